//! Images that stay in their files: threads in the background decode them in the order in which they
//! will be asked for, and never more than there is memory for.

use crate::{
    Options, folder,
    picture::{self, Fit, Header, Picture},
};
use anyhow::{Result, anyhow, bail, ensure};
use image::RgbImage;
use std::{
    collections::HashMap,
    num::NonZero,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};
use tch::{Device, Kind, Tensor};

/// Images decoded ahead at most, whatever memory there is.
const AHEAD: u64 = 1024;

/// Images read at a time, where all of them are.
const PART: usize = 256;

/// Image files, read with 8 bits a channel and one size.
#[derive(Debug, Clone)]
pub struct Files {
    pictures: Arc<[Picture]>,
    /// How they become images of one size.
    fit: Fit,
    channels: i64,
    /// Whether colours become brightness; else grey files are all grey, as the first is.
    lossy: bool,
    width: u32,
    height: u32,
    /// Bytes of decoded images that may wait to be used.
    memory: u64,
    /// Where batches go.
    device: Device,
}

impl Files {
    /// Reads the size and the channels of the first of `pictures`, of which there is one, where `options` do
    /// not say them. Errors: it is no image, or `options` ask for what no image has.
    pub(crate) fn new(pictures: Vec<Picture>, options: &Options) -> Result<Self> {
        let Header { width, height, colours } = picture::header(&pictures[0])?;
        let side = |side: i64| {
            ensure!((1..=4096).contains(&side), "a size of {side} pixels is not 1 to 4096");
            Ok(side as u32)
        };
        let fit = match (options.size, options.preprocess) {
            (None, None) => Fit::AsTheyAre,
            (Some(size), None) => Fit::Square(side(size)?),
            (None, Some(preprocess)) => Fit::By(preprocess),
            (Some(size), Some(_)) => bail!("a size of {size} pixels and a recipe for another"),
        };
        let (width, height) = fit.side().map_or((width, height), |side| (side, side));
        let channels = options.channels.unwrap_or(folder::channels_of(colours));
        ensure!(
            matches!(channels, 1 | 3),
            "{channels} channels: images of folders are read with 1 or 3"
        );
        let (lossy, memory) = (options.channels == Some(1), options.memory);
        let (pictures, device) = (pictures.into(), Device::Cpu);
        Ok(Files { pictures, fit, channels, lossy, width, height, memory, device })
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.pictures.len()
    }

    /// Channels, height and width of each.
    pub(crate) fn shape(&self) -> [i64; 3] {
        [self.channels, self.height.into(), self.width.into()]
    }

    /// Bytes of one, decoded.
    fn bytes(&self) -> u64 {
        self.channels as u64 * u64::from(self.width) * u64::from(self.height)
    }

    /// Whether all of them, decoded, take no more memory than was allowed.
    pub(crate) fn fit(&self) -> bool {
        self.bytes() * self.len() as u64 <= self.memory
    }

    /// Where batches go.
    pub(crate) fn device(&self) -> Device {
        self.device
    }

    /// The same files with batches on `device`.
    pub(crate) fn to_device(&self, device: Device) -> Files {
        Files { device, ..self.clone() }
    }

    /// Those in the given rows, in that order.
    pub(crate) fn select(&self, rows: &[i64]) -> Files {
        let pictures = rows.iter().map(|&row| self.pictures[row as usize].clone()).collect();
        Files { pictures, ..self.clone() }
    }

    /// All of them, u8 [N, C, H, W]. `tick` is called with the images of each part that was read.
    pub(crate) fn whole(&self, tick: impl Fn(u64)) -> Result<Tensor> {
        let [channels, height, width] = self.shape();
        let n = self.len() as i64;
        let whole = Tensor::empty([n, channels, height, width], (Kind::Uint8, self.device));
        let rows: Vec<i64> = (0..n).collect();
        let parts = self.read(rows.chunks(PART).map(<[i64]>::to_vec).collect());
        for (mut place, part) in whole.split(PART as i64, 0).into_iter().zip(parts) {
            place.copy_(&part?);
            tick(place.size()[0] as u64);
        }
        Ok(whole)
    }

    /// Batches of the given rows, u8 [B, C, H, W], in this order; the first bad file ends them with its error.
    pub(crate) fn read(&self, batches: Vec<Vec<i64>>) -> Reader {
        let sizes: Vec<usize> = batches.iter().map(Vec::len).collect();
        let state = Mutex::default();
        let pool = Pool {
            files: self.clone(),
            rows: batches.concat(),
            state,
            room: Condvar::new(),
            made: Condvar::new(),
        };
        let pool = Arc::new(pool);
        let workers = thread::available_parallelism().map_or(1, NonZero::get).min(pool.rows.len());
        let (sender, ready) = sync_channel(1);
        let mut threads: Vec<JoinHandle<()>> = (0..workers)
            .map(|_| {
                let pool = pool.clone();
                started("decode", move || pool.work())
            })
            .collect();
        let packed = pool.clone();
        threads.push(started("pack", move || packed.pack(&sizes, &sender)));
        Reader { ready: Some(ready), pool, threads }
    }

    /// One image, its planes after one another. Errors: no image, another size than the first, coloured where
    /// the first is grey.
    fn image(&self, row: i64) -> Result<Vec<u8>> {
        let picture = &self.pictures[row as usize];
        // A decoder that panics must not leave others waiting for its image.
        let image = catch_unwind(AssertUnwindSafe(|| picture::decode(picture, self.fit)));
        let image = image.map_err(|_| anyhow!("`{picture}` cannot be decoded"))??;
        let (width, height) = image.dimensions();
        ensure!(
            (width, height) == (self.width, self.height),
            "`{}` has {}×{} pixels, `{picture}` {width}×{height}; give a size to resize them all \
             (`--size`, in training `data.size`), or for ImageNet's networks `--preprocess torchvision`",
            self.pictures[0],
            self.width,
            self.height
        );
        if self.channels == 1 {
            return self.brightness(&image, picture);
        }
        let plane = width as usize * height as usize;
        let mut planes = vec![0; 3 * plane];
        let (red, others) = planes.split_at_mut(plane);
        let (green, blue) = others.split_at_mut(plane);
        for (i, pixel) in image.as_raw().chunks_exact(3).enumerate() {
            (red[i], green[i], blue[i]) = (pixel[0], pixel[1], pixel[2]);
        }
        Ok(planes)
    }

    /// The one plane of `image`. Errors: it has colours that nobody asked to give up.
    fn brightness(&self, image: &RgbImage, picture: &Picture) -> Result<Vec<u8>> {
        let grey = self.lossy || image.pixels().all(|p| p[0] == p[1] && p[1] == p[2]);
        ensure!(
            grey,
            "`{}` is grey, `{picture}` has colours; give the channels that all are read with, 1 or 3 \
             (`--channels`, in training `data.channels`)",
            self.pictures[0]
        );
        Ok(image.pixels().map(|pixel| picture::luma(pixel.0)).collect())
    }
}

fn started(name: &str, work: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(work);
    thread.expect("the system starts a thread")
}

/// Batches that are made in the background, in order. Dropping it ends its threads.
pub(crate) struct Reader {
    ready: Option<Receiver<Result<Tensor>>>,
    pool: Arc<Pool>,
    threads: Vec<JoinHandle<()>>,
}

impl Iterator for Reader {
    type Item = Result<Tensor>;

    fn next(&mut self) -> Option<Result<Tensor>> {
        match self.ready.as_ref()?.recv() {
            // From pinned memory the copy to a GPU does not wait for what the GPU still computes.
            Ok(batch) => {
                Some(batch.map(|t| t.to_device_(self.pool.files.device, Kind::Uint8, true, false)))
            }
            Err(_) => {
                self.ready = None;
                self.pool.close();
                let ended = self.threads.drain(..).map(JoinHandle::join);
                ended.for_each(|end| end.unwrap_or_else(|panic| resume_unwind(panic)));
                None
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.ready = None;
        self.pool.close();
        // A panic of theirs was told by `next`, or nobody asked.
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

/// What the threads share: the rows to read, and where they are.
struct Pool {
    files: Files,
    rows: Vec<i64>,
    state: Mutex<State>,
    /// There is room for one more, or nothing is wanted any more.
    room: Condvar,
    /// One more is decoded, or nothing is wanted any more.
    made: Condvar,
}

/// Positions are those in `Pool::rows`.
#[derive(Default)]
struct State {
    /// The next to decode.
    next: usize,
    /// The next to pack: all before are in a batch.
    packed: usize,
    /// Decoded and not packed.
    waiting: HashMap<usize, Result<Vec<u8>>>,
    closed: bool,
}

impl Pool {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding it")
    }

    /// Nothing is wanted any more.
    fn close(&self) {
        self.state().closed = true;
        self.room.notify_all();
        self.made.notify_all();
    }

    /// Waits for `changed` until `done`, and returns the state.
    fn until(&self, changed: &Condvar, done: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let state = changed.wait_while(self.state(), |state| !done(state));
        state.expect("nobody panics while holding it")
    }

    /// Decodes what there is room for, until nothing is left.
    fn work(&self) {
        let room = (self.files.memory / self.files.bytes()).clamp(1, AHEAD) as usize;
        let all = self.rows.len();
        loop {
            let mut state =
                self.until(&self.room, |s| s.closed || s.next == all || s.next < s.packed + room);
            if state.closed || state.next == all {
                return;
            }
            let position = state.next;
            state.next += 1;
            drop(state);
            let image = self.files.image(self.rows[position]);
            self.state().waiting.insert(position, image);
            self.made.notify_one();
        }
    }

    /// Sends batches of these sizes until nobody wants them or an image is bad.
    fn pack(&self, sizes: &[usize], ready: &SyncSender<Result<Tensor>>) {
        for &size in sizes {
            let Some(batch) = self.batch(size) else { return };
            let bad = batch.is_err();
            if ready.send(batch).is_err() || bad {
                return;
            }
        }
    }

    /// The next `size` images; none when nobody wants them.
    fn batch(&self, size: usize) -> Option<Result<Tensor>> {
        let mut bytes = Vec::with_capacity(size * self.files.bytes() as usize);
        for _ in 0..size {
            let mut state =
                self.until(&self.made, |s| s.closed || s.waiting.contains_key(&s.packed));
            let position = state.packed;
            let image = state.waiting.remove(&position)?;
            state.packed += 1;
            drop(state);
            self.room.notify_one();
            match image {
                Ok(image) => bytes.extend(image),
                Err(error) => return Some(Err(error)),
            }
        }
        let [channels, height, width] = self.files.shape();
        let shape = [size as i64, channels, height, width];
        let batch = Tensor::from_data_size(&bytes, &shape, Kind::Uint8);
        let device = self.files.device;
        Some(Ok(if device.is_cuda() { batch.internal_pin_memory(device) } else { batch }))
    }
}

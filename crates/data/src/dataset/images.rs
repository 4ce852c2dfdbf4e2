//! Where the pixels of a set are: in memory, or in files that are read as they are used.

use crate::Files;
use anyhow::Result;
use tch::{Device, Kind, Tensor};
use tensorfile::upload;

/// The pixels of a set.
#[derive(Debug)]
pub enum Images {
    /// In memory, [N, C, H, W]: u8 0 to 255, or f32 in [0, 1] where a `tensors:` file holds that. Of a
    /// table: scaled columns, f32 [N, D, 1, 1].
    Held(Tensor),
    /// In files that are decoded in the background: u8 [N, C, H, W], C 1 or 3.
    Streamed(Files),
}

/// Batches of stored pixels; only reading files gives errors.
pub(crate) type Batches<'a> = Box<dyn Iterator<Item = Result<Tensor>> + 'a>;

impl From<Tensor> for Images {
    fn from(images: Tensor) -> Self {
        Images::Held(images)
    }
}

impl Images {
    /// The pixels in memory.
    ///
    /// # Panics
    /// Where they are in files: `folder:` sets that were opened and not read, or are beyond their memory.
    pub fn held(&self) -> &Tensor {
        match self {
            Images::Held(images) => images,
            Images::Streamed(_) => panic!("these images are in files"),
        }
    }

    /// All pixels, read where they are in files. Errors: a file that is no image.
    pub fn whole(&self) -> Result<Tensor> {
        match self {
            Images::Held(images) => Ok(images.shallow_clone()),
            Images::Streamed(files) => files.whole(|_| ()),
        }
    }

    /// Channels, height and width of every image.
    pub(crate) fn shape(&self) -> [i64; 3] {
        match self {
            Images::Held(images) => {
                let (_, c, h, w) = images.size4().expect("images are [N, C, H, W]");
                [c, h, w]
            }
            Images::Streamed(files) => files.shape(),
        }
    }

    /// How a pixel is stored.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Images::Held(images) => images.kind(),
            Images::Streamed(_) => Kind::Uint8,
        }
    }

    /// With batches on `device`.
    pub(crate) fn to_device(&self, device: Device) -> Self {
        match self {
            Images::Held(images) => images.to_device(device).into(),
            Images::Streamed(files) => Images::Streamed(files.to_device(device)),
        }
    }

    /// Those that `pick` takes, which is given one row an image.
    pub(crate) fn with(&self, pick: impl Fn(&Tensor) -> Tensor) -> Self {
        match self {
            Images::Held(images) => pick(images).into(),
            Images::Streamed(files) => {
                let all = Tensor::arange(files.len() as i64, (Kind::Int64, files.device()));
                let rows: Vec<i64> = pick(&all).try_into().expect("one row each");
                Images::Streamed(files.select(&rows))
            }
        }
    }

    /// The images of `rows`, [B, C, H, W] each.
    pub(crate) fn batches(&self, rows: Vec<Vec<i64>>) -> Batches<'_> {
        match self {
            Images::Held(images) => Box::new(
                rows.into_iter()
                    .map(|rows| Ok(images.index_select(0, &upload(&rows, images.device())))),
            ),
            Images::Streamed(files) => Box::new(files.read(rows)),
        }
    }

    /// `size` of the `n` images at a time, in order; the last may be fewer.
    pub(crate) fn in_order(&self, n: usize, size: usize) -> Batches<'_> {
        let parts = (0..n).step_by(size).map(move |start| start..n.min(start + size));
        match self {
            Images::Held(images) => Box::new(
                parts.map(|part| Ok(images.narrow(0, part.start as i64, part.len() as i64))),
            ),
            Images::Streamed(files) => {
                Box::new(files.read(
                    parts.map(|part| (part.start as i64..part.end as i64).collect()).collect(),
                ))
            }
        }
    }
}

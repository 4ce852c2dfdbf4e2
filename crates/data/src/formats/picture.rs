//! One picture: what its header says, and its pixels. Its contents decide what it is, not its name: a jpeg
//! called .png is still a picture.

use anyhow::{Result, anyhow, ensure};
use image::{
    AnimationDecoder, ColorType, DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader,
    ImageResult, RgbImage,
    codecs::{gif::GifDecoder, webp::WebPDecoder},
    imageops::FilterType,
    metadata::Orientation,
};
use std::{
    fmt,
    fs::File,
    io::{BufRead, BufReader, Cursor, Seek},
    path::{Path, PathBuf},
    sync::Arc,
};

mod preprocess;
mod resample;

pub use preprocess::Preprocess;

/// The endings of files that are read as pictures, in lower case.
const ENDINGS: &[&str] = &[
    "bmp", "dib", "gif", "jfif", "jpe", "jpeg", "jpg", "pam", "pbm", "pgm", "png", "pnm", "ppm",
    "tif", "tiff", "webp",
];

/// The formats, for messages.
pub(crate) const FORMATS: &str = "png, jpeg, bmp, gif, webp, tiff and pnm";

/// More pixels than this in one picture are a broken header or no data to train on: 400 MB decoded.
const MOST_PIXELS: u64 = 1 << 27;

/// Where an encoded picture is.
#[derive(Debug, Clone)]
pub(crate) enum Picture {
    /// In a file of its own.
    File(PathBuf),
    /// In memory: what messages call it, and the contents of such a file.
    Held(Arc<(String, Vec<u8>)>),
}

impl Picture {
    /// Of each file.
    pub(crate) fn files(paths: Vec<PathBuf>) -> Vec<Picture> {
        paths.into_iter().map(Picture::File).collect()
    }

    fn read(&self) -> ImageResult<Box<dyn Readable + '_>> {
        Ok(match self {
            Picture::File(path) => Box::new(BufReader::new(File::open(path)?)),
            Picture::Held(held) => Box::new(Cursor::new(held.1.as_slice())),
        })
    }
}

impl fmt::Display for Picture {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Picture::File(path) => write!(f, "{}", path.display()),
            Picture::Held(held) => f.write_str(&held.0),
        }
    }
}

/// What decoders read.
trait Readable: BufRead + Seek {}

impl<R: BufRead + Seek> Readable for R {}

/// Whether a file's name is that of a picture.
pub(crate) fn is_named_so(path: &Path) -> bool {
    ENDINGS.contains(&ending(path).as_str())
}

/// The ending of a file's name in lower case, without the dot.
pub(crate) fn ending(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

/// Whether a file has several pictures, as its first ones show. A broken one has none that move.
pub(crate) fn moves(picture: &Picture) -> bool {
    let Picture::File(file) = picture else { return false };
    let open = || File::open(file).ok().map(BufReader::new);
    match ending(file).as_str() {
        "gif" => {
            let frames = open().and_then(|file| GifDecoder::new(file).ok());
            frames.is_some_and(|gif| gif.into_frames().nth(1).is_some_and(|frame| frame.is_ok()))
        }
        "webp" => {
            let webp = open().and_then(|file| WebPDecoder::new(file).ok());
            webp.is_some_and(|webp| webp.has_animation())
        }
        _ => false,
    }
}

/// What the header of a picture says.
pub(crate) struct Header {
    /// Pixels, after the picture is turned as its EXIF orientation says.
    pub width: u32,
    /// Pixels, after the picture is turned.
    pub height: u32,
    /// The colours it is stored in.
    pub colours: ColorType,
}

/// Reads a picture's header. Errors: it is no picture, or too large a one.
pub(crate) fn header(file: &Picture) -> Result<Header> {
    let (mut decoder, turned) = opened(file)?;
    let (width, height) = dimensions(&mut decoder, turned);
    Ok(Header { width, height, colours: decoder.color_type() })
}

/// A picture as 8-bit RGB, turned as its EXIF orientation says: grey in three equal channels, 16 bits rounded to
/// 8, without its alpha channel, of several pictures the first; made to fit.
pub(crate) fn decode(file: &Picture, fit: Fit) -> Result<RgbImage> {
    let (decoder, turned) = opened(file)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(|e| failed(file, &e))?;
    image.apply_orientation(turned);
    let image = image.into_rgb8();
    Ok(match fit {
        Fit::Square(side) if image.dimensions() != (side, side) => {
            image::imageops::resize(&image, side, side, FilterType::Triangle)
        }
        Fit::By(preprocess) => preprocess.apply(&image),
        Fit::Square(_) | Fit::AsTheyAre => image,
    })
}

/// How pictures become images of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    /// They have one.
    AsTheyAre,
    /// Height and width are resized to this.
    Square(u32),
    /// As a recipe says.
    By(Preprocess),
}

impl Fit {
    /// Height and width, where it is not those of the pictures.
    pub(crate) fn side(self) -> Option<u32> {
        match self {
            Fit::AsTheyAre => None,
            Fit::Square(side) => Some(side),
            Fit::By(_) => Some(Preprocess::SIDE),
        }
    }
}

/// The brightness of a pixel, as ITU-R 601-2 weighs its colours and Pillow rounds it; a grey one's own value.
pub(crate) fn luma([red, green, blue]: [u8; 3]) -> u8 {
    let [red, green, blue] = [red, green, blue].map(u32::from);
    ((19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16) as u8
}

/// A decoder and how its picture is turned. Errors: no picture, too large a one, one of floating-point numbers.
fn opened(file: &Picture) -> Result<(impl ImageDecoder, Orientation)> {
    let mut decoder = begun(file).map_err(|e| failed(file, &e))?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    ensure!(
        (1..=MOST_PIXELS).contains(&pixels),
        "`{file}` says it has {width}×{height} pixels; read are pictures of 1 to {MOST_PIXELS} pixels"
    );
    let float = matches!(decoder.color_type(), ColorType::Rgb32F | ColorType::Rgba32F);
    ensure!(
        !float,
        "`{file}` holds floating-point pixels, whose range nothing says; save it with 8 or 16 bits"
    );
    // A broken tag turns nothing, as in other readers.
    let turned = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    Ok((decoder, turned))
}

fn begun(file: &Picture) -> ImageResult<impl ImageDecoder> {
    let mut reader = ImageReader::new(file.read()?);
    // What the contents do not tell, the name may.
    if let Picture::File(path) = file
        && let Ok(format) = ImageFormat::from_path(path)
    {
        reader.set_format(format);
    }
    reader.with_guessed_format()?.into_decoder()
}

/// These errors say themselves what their sources say.
fn failed(file: &Picture, error: &ImageError) -> anyhow::Error {
    anyhow!("cannot read `{file}` as an image: {error}")
}

fn dimensions(decoder: &mut impl ImageDecoder, turned: Orientation) -> (u32, u32) {
    let (width, height) = decoder.dimensions();
    match turned {
        Orientation::Rotate90
        | Orientation::Rotate270
        | Orientation::Rotate90FlipH
        | Orientation::Rotate270FlipH => (height, width),
        _ => (width, height),
    }
}

//! Images that two sets share.

use crate::{Dataset, Images};
use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
};
use tch::{Device, Tensor};

/// Images hashed at a time, so that a large set needs little extra memory.
const PIECE: i64 = 1024;

impl Dataset {
    /// How many of these images `other` has as well, pixel by pixel, or rows of a table in the same scale.
    /// Images that are read as they are used are not looked at.
    pub fn shared_with(&self, other: &Dataset) -> usize {
        let (Images::Held(own), Images::Held(theirs)) = (&self.images, &other.images) else {
            return 0;
        };
        let alike = own.kind() == theirs.kind() && own.size()[1..] == theirs.size()[1..];
        if !alike {
            return 0;
        }
        let known: HashSet<u64> = hashes(theirs).collect();
        hashes(own).filter(|hash| known.contains(hash)).count()
    }
}

/// A number for each image that its pixels decide.
fn hashes(images: &Tensor) -> impl Iterator<Item = u64> {
    let pieces = images.split(PIECE, 0).into_iter();
    pieces.flat_map(|piece| {
        let piece = piece.to_device(Device::Cpu).contiguous();
        let n = piece.size()[0] as usize;
        let mut bytes = vec![0u8; piece.numel() * piece.kind().elt_size_in_bytes()];
        let numbers = piece.numel();
        piece.copy_data_u8(&mut bytes, numbers);
        let hash = |image: &[u8]| {
            let mut hasher = DefaultHasher::new();
            image.hash(&mut hasher);
            hasher.finish()
        };
        bytes.chunks(bytes.len() / n).map(hash).collect::<Vec<_>>()
    })
}

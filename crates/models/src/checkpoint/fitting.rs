//! Which architectures a file of tensors fits.

use super::{
    find, scale,
    shape::{of_tensors, shapes, sizes},
};
use crate::zoo::{self, Arch};
use std::collections::BTreeSet;
use tensorfile::Weights;

/// The architectures that the file's tensors fit, all of them.
pub(super) fn fitting(file: &mut Weights, entry: Option<&str>) -> Vec<&'static str> {
    let names: BTreeSet<String> = file.names().map(str::to_owned).collect();
    let mut fits = |arch: &&Arch| {
        if !find::is_whole(&names, arch) {
            return false;
        }
        let Ok(mut found) = find::find(&names, arch, entry, &mut |_, _| Ok(true)) else {
            return false;
        };
        let _ = scale::stored(file, &mut found);
        let given = shapes(file, &found.tensors);
        let (shape, there) = (of_tensors(arch, &given, None), given.keys().cloned().collect());
        arch.check(&shape).is_ok() && sizes(arch, &shape, &there) == given
    };
    zoo::ARCHS.iter().filter(|arch| fits(arch)).map(|arch| arch.name).collect()
}

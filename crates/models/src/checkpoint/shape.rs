//! The image shape and the number of classes of a network, from the shapes of its tensors.

use crate::{
    Builder, Params,
    zoo::{self, Arch, Shape},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    sync::OnceLock,
};
use tensorfile::Weights;

/// Shapes of tensors by the network's own names.
pub(super) type Sizes = BTreeMap<String, Vec<i64>>;

/// The largest side that is tried where a network's tensors depend on the size of its images.
const LARGEST: i64 = 512;

/// What every form of a network has.
pub(super) struct Plain {
    /// The names of its tensors.
    pub keys: BTreeSet<String>,
    /// The same, from the input on.
    pub built: Vec<String>,
}

/// The names of a network of the published shape; built once.
pub(super) fn plain(arch: &Arch) -> &'static Plain {
    static ALL: [OnceLock<Plain>; zoo::ARCHS.len()] = [const { OnceLock::new() }; _];
    let place = zoo::ARCHS.iter().position(|known| known.name == arch.name);
    ALL[place.expect("an architecture of the registry")].get_or_init(|| {
        let built = sketch(arch, &arch.shape, &BTreeSet::new()).built();
        Plain { keys: built.iter().cloned().collect(), built }
    })
}

/// The network's tensors by name and shape, without memory for their values. `names` are those of
/// a file, from which a family may take its kind.
pub(super) fn sketch(arch: &Arch, shape: &Shape, names: &BTreeSet<String>) -> Rc<Params> {
    let builder = Builder::sketch().given(names.clone());
    (arch.build)(&builder, shape);
    builder.params()
}

pub(super) fn sizes(arch: &Arch, shape: &Shape, names: &BTreeSet<String>) -> Sizes {
    let tensors = sketch(arch, shape, names).tensors();
    tensors.into_iter().map(|(name, tensor)| (name, tensor.size())).collect()
}

/// Whether a network for images of either shape has the same tensors.
pub(super) fn agree(arch: &Arch, a: &Shape, b: &Shape) -> bool {
    let none = BTreeSet::new();
    sizes(arch, a, &none) == sizes(arch, b, &none)
}

/// The shape that the tensors `given` are for. Classes and channels are those of the last and the
/// first layer. The side is `size`, else the published one, else the least that fits.
pub(super) fn of_tensors(arch: &Arch, given: &Sizes, size: Option<i64>) -> Shape {
    let names: BTreeSet<String> = given.keys().cloned().collect();
    let with = |height: i64, width: i64| -> Shape {
        let mut shape = Shape { image: [1, height, width], classes: arch.shape.classes };
        let one = sketch(arch, &shape, &names);
        let (built, tensors) = (one.built(), one.tensors());
        let length = |name: &String, axis: usize| given.get(name)?.get(axis).copied();
        if let Some(classes) = built.last().and_then(|last| length(last, 0)) {
            shape.classes = classes;
        }
        let per_channel = tensors[&built[0]].size()[1];
        let inputs = length(&built[0], 1).filter(|n| per_channel > 0 && n % per_channel == 0);
        shape.image[0] = inputs.map_or(arch.shape.image[0], |inputs| inputs / per_channel);
        shape
    };
    let [_, height, width] = arch.shape.image;
    if let Some(side) = size.filter(|&side| side > 0) {
        return with(side, side);
    }
    let published = with(height, width);
    let fits = |shape: &Shape| arch.check(shape).is_ok() && sizes(arch, shape, &names) == *given;
    let twice = Shape { image: [published.image[0], 2 * height, 2 * width], ..published };
    let (one, other) = (sizes(arch, &published, &names), sizes(arch, &twice, &names));
    // Another side changes only the tensors in which these two differ.
    let same = |(name, size): (&String, &Vec<i64>)| {
        given.get(name).is_some_and(|theirs| theirs == size || other.get(name) != Some(size))
    };
    let may_fit = one != other && one.len() == given.len() && one.iter().all(same);
    if !may_fit || fits(&published) {
        return published;
    }
    (1..=LARGEST).map(|side| with(side, side)).find(fits).unwrap_or(published)
}

/// The shapes of tensors, by the network's names.
pub(super) fn shapes(file: &Weights, tensors: &BTreeMap<String, String>) -> Sizes {
    let size = |(ours, theirs): (&String, &String)| Some((ours.clone(), file.shape(theirs)?));
    tensors.iter().filter_map(size).collect()
}

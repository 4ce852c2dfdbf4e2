//! ImageNet's classes, where weights or data have them.

use data::{Dataset, imagenet};

/// What `--classes` may say for the 1000 names.
pub const WORD: &str = "imagenet";

/// The name of each logit of a network for ImageNet-1k.
pub fn names() -> Vec<String> {
    imagenet::classes().map(|(_, name)| name.to_owned()).collect()
}

/// Data whose classes are WordNet ids with names for them, where the model has these names.
pub fn in_words(data: Dataset, model: &[String]) -> Dataset {
    let known = model.len() == 1000 && *model == names();
    match imagenet::names_of(&data.classes).filter(|_| known && data.named) {
        Some(classes) => Dataset { classes, ..data },
        None => data,
    }
}

/// What is said of a network that may be one for ImageNet and names no class.
pub fn hint(logits: usize, named: bool) -> Option<String> {
    (logits == 1000 && !named).then(|| {
        "1000 logits without names: if they are ImageNet's, `--classes imagenet` names them".into()
    })
}

//! Whether the data are what the weights take: their shape, their labels.

use super::{
    Loaded,
    classes::{self, Known},
    imagenet,
};
use crate::cli::Subject;
use anyhow::{Context, Result, ensure};
use data::{Dataset, Preprocess};
use models::{Classifier, checkpoint};
use tch::Tensor;

/// Errors: images of another shape than the network takes.
pub fn check_shape(model: &Classifier, data: &Dataset) -> Result<()> {
    const SIDE: i64 = Preprocess::SIDE as i64;
    let (wanted, found) = (model.shape.image, data.image_shape());
    let form = |s: [i64; 3]| s.map(|n| n.to_string()).join("x");
    let hint = match wanted {
        [_, SIDE, SIDE] => "; of pictures `--preprocess torchvision` makes such",
        _ => "",
    };
    ensure!(
        wanted == found,
        "the model takes {} images (channels x height x width), the data has {}{hint}",
        form(wanted),
        form(found)
    );
    Ok(())
}

/// Errors: no labels where they are needed, or for what is asked of them.
pub fn check_labels(data: &Dataset, args: &Subject, needed: bool) -> Result<()> {
    let spec = &args.data;
    ensure!(
        data.labelled || !needed,
        "`{spec}` has no labels, which this command needs; give a folder of pictures per class, or ask \
         `explain`, which goes without"
    );
    let asked = args.class.is_some() || !args.class_map.is_empty();
    ensure!(data.labelled || !asked, "`{spec}` has no classes for `--class` and `--class-map`");
    Ok(())
}

/// The data with labels in the numbers of the weights' logits, or those of one class; without labels as
/// they are.
pub fn labelled(
    data: Dataset,
    weights: &mut checkpoint::Loaded,
    args: &Subject,
) -> Result<Dataset> {
    let Known { names, said, .. } = Known::of(weights);
    let hint = imagenet::hint(names.len(), said);
    weights.notes.extend(hint);
    if !data.labelled {
        return Ok(data);
    }
    let data = imagenet::in_words(data, &weights.classifier.classes);
    let fitted = classes::fit(data, Known::of(weights), &args.class_map)?;
    weights.notes.extend(fitted.notes.iter().cloned());
    match &args.class {
        Some(class) => fitted.filter_class(class).with_context(|| format!("`--class {class}`")),
        None => Ok(fitted.data),
    }
}

impl Loaded {
    /// Takes the predicted class of each image for its label, where it has none.
    pub(super) fn label(&mut self) -> Result<()> {
        if self.data.labelled {
            return Ok(());
        }
        let (mut classes, mut first) = (vec![], 0);
        for batch in self.data.ordered(self.fits.batch) {
            let (x, _) = batch?;
            classes.push(self.predict(&x, &|i| self.place(first + i))?.0);
            first += x.size()[0] as u64;
        }
        let (labels, names) = (Tensor::cat(&classes, 0), self.card.classes.clone());
        self.data = self.data.slice(0, None)?.labelled_as(labels, names);
        let note = "the pictures have no labels: the predicted class stands for them";
        self.notes.push(note.to_owned());
        Ok(())
    }
}

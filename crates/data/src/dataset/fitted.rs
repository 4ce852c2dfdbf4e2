//! Tables in the columns and the scale of a network.

use crate::{Dataset, Features, Images, names};
use anyhow::{Context, Result};
use tch::{Kind, Tensor};

/// Data with the columns that a network takes, in its order and scale. Errors: a column is missing.
pub(crate) fn fitted(data: Dataset, wanted: Option<&Features>) -> Result<Dataset> {
    let (Some(wanted), Some(found)) = (wanted, &data.features) else { return Ok(data) };
    if wanted.same_numbers(found) {
        return Ok(data);
    }
    let mut notes = data.notes.clone();
    let told = || format!("`{}`", data.name);
    let places = wanted.places(&found.names, &mut notes).with_context(told)?;
    let left_out = || (0..found.names.len()).filter(|place| !places.contains(place));
    if left_out().next().is_some() {
        let left_out = names::few(left_out().map(|place| &found.names[place]));
        notes.push(format!("columns that the network was not trained on are left out: {left_out}"));
    }
    let rows: Vec<i64> = places.iter().map(|&place| place as i64).collect();
    let mut images = data.images.held().index_select(1, &Tensor::from_slice(&rows));
    let known = !wanted.mean.is_empty() && !found.mean.is_empty();
    if known {
        // (file's value − mean) / deviation, of what the file's own scale gives back.
        let each = |of: &dyn Fn(usize) -> f64| {
            let all: Vec<f64> = (0..places.len()).map(of).collect();
            Tensor::from_slice(&all).view([1, -1, 1, 1])
        };
        let factor = each(&|i| found.std[places[i]] / wanted.std[i]);
        let shift = each(&|i| (found.mean[places[i]] - wanted.mean[i]) / wanted.std[i]);
        images = (images.to_kind(Kind::Double) * factor + shift).to_kind(Kind::Float);
    } else {
        notes.push("the scale of its columns is not known: values are taken as they are".into());
    }
    let features = Features { dropped: found.dropped.clone(), ..wanted.clone() };
    Ok(Dataset { images: Images::Held(images), features: Some(features), notes, ..data })
}

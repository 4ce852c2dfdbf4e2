//! The pictures of an attack, from the tensors it kept. Only this file of the report knows tensors.

use super::Wall;
use crate::results::{Attacked, Keys, Record, effect};
use anyhow::{Context, Result, ensure};
use explain::similarity::in_tables;
use plot::{AttackedImage, Picture};
use std::path::Path;
use tch::{Kind, Tensor};
use tensorfile::{TensorFile, words::count};

/// Images shown of each result.
const ROWS: i64 = 5;
/// The radius shown, or the nearest to it that kept its tensors.
const SHOWN: f64 = 8.0 / 255.0;

/// The first images of an attack, whose JSON file is `path`. None if no tensors were kept, or their
/// file is gone. Errors: a broken file, tensors that do not belong together.
pub(super) fn read(path: &Path, record: &Record) -> Result<Option<Wall>> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let far = |eps: f64| (eps.max(1e-9) / SHOWN).log2().abs();
    let radii = Attacked::of(record, &Keys::new()).radii();
    let kept = radii.into_iter().filter_map(|(eps, label)| {
        let file = folder.join(record.rest.get("tensors")?.get(label)?.as_str()?);
        file.is_file().then_some((eps, label, file))
    });
    let Some((_, label, file)) = kept.min_by(|a, b| far(a.0).total_cmp(&far(b.0))) else {
        return Ok(None);
    };
    let tensors = TensorFile::read(&file)?;
    let classes = record.models.first().map_or(&[][..], |card| &card.classes);
    let rows = rows(&Kept::of(tensors)?, classes);
    let rows = rows.with_context(|| format!("in `{}`", file.display()))?;
    Ok((!rows.is_empty()).then(|| Wall { eps: label.to_owned(), rows }))
}

/// The tensors of `gradproof attack --out`, checked against each other.
struct Kept {
    images: Tensor,      // [N, C, H, W]
    adversarial: Tensor, // [N, C, H, W]
    maps: Tensor,        // [N, C', H, W], signed
    attacked_maps: Tensor,
    labels: Vec<i64>,
    targets: Vec<i64>,
    success: Vec<i64>,
    rest: TensorFile,
}

impl Kept {
    fn of(mut file: TensorFile) -> Result<Self> {
        let images = file.take("images")?;
        let size = images.size();
        ensure!(size.len() == 4, "`images` has the shape {size:?}, not [N, C, H, W]");
        let mut like = |name: &str, same: usize| -> Result<Tensor> {
            let tensor = file.take(name)?;
            let found = tensor.size();
            ensure!(
                found.len() == 4 && found[0] == size[0] && found[same..] == size[same..],
                "`{name}` has the shape {found:?}, which does not go with `images` {size:?}"
            );
            Ok(tensor)
        };
        let adversarial = like("adversarial", 1)?;
        let (maps, attacked_maps) = (like("maps", 2)?, like("attacked_maps", 2)?);
        let mut whole = |name: &str| -> Result<Vec<i64>> {
            let numbers = Vec::try_from(&file.take(name)?.to_kind(Kind::Int64).view(-1))?;
            ensure!(
                numbers.len() as i64 == size[0],
                "`{name}` has {} for {}",
                count(numbers.len(), "number"),
                count(size[0], "image")
            );
            Ok(numbers)
        };
        let (labels, targets, success) = (whole("labels")?, whole("targets")?, whole("success")?);
        Ok(Kept { images, adversarial, maps, attacked_maps, labels, targets, success, rest: file })
    }

    /// The number `name` of image `i`, where the file has it.
    fn number(&self, name: &str, i: i64) -> Option<f64> {
        let tensor = self.rest.tensors.get(name)?;
        (tensor.dim() == 1 && i < tensor.size()[0]).then(|| tensor.double_value(&[i]))
    }
}

fn rows(kept: &Kept, classes: &[String]) -> Result<Vec<AttackedImage>> {
    (0..ROWS.min(kept.images.size()[0])).map(|i| row(kept, i, classes)).collect()
}

fn row(kept: &Kept, i: i64, classes: &[String]) -> Result<AttackedImage> {
    let (image, changed) = (kept.images.get(i), kept.adversarial.get(i));
    let name = |class: i64| {
        let known = usize::try_from(class).ok().and_then(|c| classes.get(c));
        known.cloned().unwrap_or(format!("class {class}"))
    };
    let class = |confidence: Option<f64>| match confidence {
        Some(p) => format!("{} {p:.2}", name(kept.targets[i as usize])),
        None => name(kept.targets[i as usize]),
    };
    let (target, label) = (kept.targets[i as usize], kept.labels[i as usize]);
    let truth = if target == label { String::new() } else { format!(" (is {})", name(label)) };
    let effect = match kept.success[i as usize] {
        0 if kept.number("has_map", i) == Some(0.) => "no map".to_owned(),
        0 => "attack failed".to_owned(),
        _ => in_tables()[..2]
            .iter()
            .filter_map(|m| Some(effect(m.name, kept.number(m.name, i)?)))
            .collect::<Vec<_>>()
            .join(", "),
    };
    Ok(AttackedImage {
        map: Picture::from_raw_map(&kept.maps.get(i))?,
        attacked_map: Picture::from_raw_map(&kept.attacked_maps.get(i))?,
        difference: Picture::difference(&image, &changed)?,
        image: Picture::from_image(&image)?,
        attacked: Picture::from_image(&changed)?,
        before: class(kept.number("clean_confidence", i)) + &truth,
        after: class(kept.number("confidence", i)),
        effect,
    })
}

//! The images of attacks and explanations, from the tensors they kept. Only this file of the report
//! knows tensors.

use super::{Shown, Wall};
use crate::results::{Attacked, Keys, Record, effect};
use anyhow::{Context, Result, ensure};
use explain::similarity::in_tables;
use plot::{AttackedImage, Drawing, Picture};
use std::path::{Path, PathBuf};
use tch::{Kind, Tensor};
use tensorfile::{TensorFile, words::count};

/// Images in the PNG file of a result.
const FIRST: usize = 8;
/// Images whose pictures stand on the page, of each result at most.
const MOST: i64 = 1000;
/// The radius shown, or the nearest to it that kept its tensors.
const SHOWN: f64 = 8.0 / 255.0;

/// All images of a result, whose JSON file is `path`: of an attack at one radius, of `explain` by each
/// method. Empty if no tensors were kept, or their files are gone. Errors: a broken file, tensors that
/// do not belong together.
pub(super) fn read(path: &Path, record: &Record) -> Result<Vec<Wall>> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let kept = |name: &str| -> Option<PathBuf> {
        let file = folder.join(record.rest.get("tensors")?.get(name)?.as_str()?);
        file.is_file().then_some(file)
    };
    let told = |file: &Path| format!("in `{}`", file.display());
    if record.kind == "explain" {
        let methods = record.rows.distinct("method").into_iter();
        let files = methods.filter_map(|method| Some((method, kept(method)?)));
        let wall = |(method, file): (&str, PathBuf)| {
            explained(record, method, &file).with_context(|| told(&file))
        };
        return files.map(wall).collect();
    }
    let far = |eps: f64| (eps.max(1e-9) / SHOWN).log2().abs();
    let radii = Attacked::of(record, &Keys::new()).radii().into_iter();
    let kept = radii.filter_map(|(eps, label)| Some((eps, label, kept(label)?)));
    let Some((_, label, file)) = kept.min_by(|a, b| far(a.0).total_cmp(&far(b.0))) else {
        return Ok(vec![]);
    };
    let wall = attacked(record, label, &file).with_context(|| told(&file))?;
    Ok(if wall.rows.is_empty() { vec![] } else { vec![wall] })
}

/// Tensors of one image each, checked against each other.
struct Kept {
    images: Tensor, // [N, C, H, W]
    labels: Vec<i64>,
    targets: Vec<i64>,
    rest: TensorFile,
}

impl Kept {
    fn of(file: &Path) -> Result<Self> {
        let mut file = TensorFile::read(file)?;
        let images = file.take("images")?;
        let size = images.size();
        ensure!(size.len() == 4, "`images` has the shape {size:?}, not [N, C, H, W]");
        let [labels, targets] = ["labels", "targets"].map(|name| whole(&mut file, name, size[0]));
        Ok(Kept { labels: labels?, targets: targets?, rest: file, images })
    }

    /// Maps or images, `[N, C, H, W]`; what of the shape has to be that of `images` beside N.
    fn like(&mut self, name: &str, same: usize) -> Result<Tensor> {
        let (tensor, size) = (self.rest.take(name)?, self.images.size());
        let found = tensor.size();
        ensure!(
            found.len() == 4 && found[0] == size[0] && found[same..] == size[same..],
            "`{name}` has the shape {found:?}, which does not go with `images` {size:?}"
        );
        Ok(tensor)
    }

    /// How many images there are pictures of.
    fn len(&self) -> i64 {
        self.images.size()[0].min(MOST)
    }

    /// The number `name` of image `i`, where the file has it.
    fn number(&self, name: &str, i: i64) -> Option<f64> {
        let tensor = self.rest.tensors.get(name)?;
        (tensor.dim() == 1 && i < tensor.size()[0]).then(|| tensor.double_value(&[i]))
    }
}

/// A whole number an image.
fn whole(file: &mut TensorFile, name: &str, images: i64) -> Result<Vec<i64>> {
    let numbers = Vec::<i64>::try_from(&file.take(name)?.to_kind(Kind::Int64).view(-1))?;
    ensure!(
        numbers.len() as i64 == images,
        "`{name}` has {} for {}",
        count(numbers.len(), "number"),
        count(images as usize, "image")
    );
    Ok(numbers)
}

/// The name of a class, or its number.
fn named(record: &Record, class: i64) -> String {
    let classes = record.models.first().map_or(&[][..], |card| &card.classes);
    let known = usize::try_from(class).ok().and_then(|c| classes.get(c));
    known.cloned().unwrap_or(format!("class {class}"))
}

fn explained(record: &Record, method: &str, file: &Path) -> Result<Wall> {
    let mut kept = Kept::of(file)?;
    let maps = kept.like("maps", 2)?;
    let drawing = Drawing::usual(&maps);
    let row = |i: i64| -> Result<Shown> {
        let (image, map) = (kept.images.get(i), maps.get(i).to_kind(Kind::Float));
        let sum = map.sum(Kind::Double).double_value(&[]);
        let all = map.abs().sum(Kind::Double).double_value(&[]);
        let mut numbers: Vec<(String, f64)> = vec![("map-sum".into(), sum)];
        if drawing == Drawing::Signed {
            numbers.push(("positive-share".into(), (sum + all) / 2. / all));
        }
        let confidence = kept.number("confidence", i);
        numbers.extend(confidence.map(|p| ("confidence".to_owned(), p)));
        let map = |how| Picture::of_map(&map, &image, how);
        Ok(Shown {
            index: i as usize,
            label: named(record, kept.labels[i as usize]),
            class: named(record, kept.targets[i as usize]),
            success: "",
            numbers,
            pictures: vec![
                ("image", Picture::from_image(&image)?),
                ("map", map(drawing)?),
                ("overlay", map(Drawing::Overlay)?),
            ],
        })
    };
    let rows = (0..kept.len()).map(row).collect::<Result<_>>()?;
    Ok(Wall { eps: String::new(), method: method.into(), file: file.into(), rows, first: vec![] })
}

fn attacked(record: &Record, eps: &str, file: &Path) -> Result<Wall> {
    let mut kept = Kept::of(file)?;
    let changed = kept.like("adversarial", 1)?;
    let (maps, after) = (kept.like("maps", 2)?, kept.like("attacked_maps", 2)?);
    let success = whole(&mut kept.rest, "success", kept.images.size()[0])?;
    let drawing = Drawing::usual(&maps);
    let (mut rows, mut first) = (vec![], vec![]);
    for i in 0..kept.len() {
        let (image, changed) = (kept.images.get(i), changed.get(i));
        let pictures = [
            Picture::from_image(&image)?,
            Picture::of_map(&maps.get(i), &image, drawing)?,
            Picture::from_image(&changed)?,
            Picture::of_map(&after.get(i), &changed, drawing)?,
            Picture::difference(&image, &changed)?,
        ];
        let names = in_tables().into_iter().map(|s| s.name);
        let names = names.chain(["clean_confidence", "confidence"]);
        let numbers = names.filter_map(|n| Some((n.replace('_', "-"), kept.number(n, i)?)));
        let no_map = kept.number("has_map", i) == Some(0.);
        let became = match success[i as usize] {
            0 if no_map => "no map",
            0 => "no",
            _ => "yes",
        };
        if first.len() < FIRST {
            first.push(gallery(record, &kept, i, became, pictures.clone()));
        }
        rows.push(Shown {
            index: i as usize,
            label: named(record, kept.labels[i as usize]),
            class: named(record, kept.targets[i as usize]),
            success: became,
            numbers: numbers.collect(),
            pictures: AttackedImage::COLUMNS.into_iter().zip(pictures).collect(),
        });
    }
    let method = Attacked::of(record, &Keys::new()).key("method").to_owned();
    Ok(Wall { eps: eps.to_owned(), method, file: file.into(), rows, first })
}

/// A row of the PNG file.
fn gallery(
    record: &Record,
    kept: &Kept,
    i: i64,
    became: &str,
    pictures: [Picture; 5],
) -> AttackedImage {
    let (target, label) = (kept.targets[i as usize], kept.labels[i as usize]);
    let class = |confidence: Option<f64>| match confidence {
        Some(p) => format!("{} {p:.2}", named(record, target)),
        None => named(record, target),
    };
    let truth = match target == label {
        true => String::new(),
        false => format!(" (is {})", named(record, label)),
    };
    let effect = match became {
        "no map" => "no map".to_owned(),
        "no" => "attack failed".to_owned(),
        _ => in_tables()[..2]
            .iter()
            .filter_map(|m| Some(effect(m.name, kept.number(m.name, i)?)))
            .collect::<Vec<_>>()
            .join(", "),
    };
    let [image, map, attacked, attacked_map, difference] = pictures;
    let before = class(kept.number("clean_confidence", i)) + &truth;
    let after = class(kept.number("confidence", i));
    AttackedImage { image, map, attacked, attacked_map, difference, before, after, effect }
}

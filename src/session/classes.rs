//! Classes by name: labels of data in the numbers of a model's logits, wherever weights and data
//! meet. Names decide; by position alone where one side has none, and that is said.

use super::imagenet;
use anyhow::{Context, Result, bail, ensure};
use data::{
    Dataset,
    names::{Found, few, find, nearest},
};
use models::checkpoint;
use std::{collections::BTreeMap, path::Path};
use tensorfile::words::count;

/// The classes of a model.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// A name for each logit.
    pub names: &'a [String],
    /// Whether somebody said these names; where nobody did, they are numbers.
    pub said: bool,
    /// Whether they are words of a table: then numbers are names as well.
    pub words: bool,
}

/// Data in the numbers of a model's logits.
pub struct Fitted {
    /// The same images; labels and class names are the model's.
    pub data: Dataset,
    /// The logit of each name that the data have, where it is known.
    own: BTreeMap<String, usize>,
    /// Sentences for the user.
    pub notes: Vec<String>,
}

/// Names that the user gives to classes of the data: `--class-map FROM=TO`.
pub type Renamed = [(String, String)];

impl<'a> Known<'a> {
    /// Those that weights name, or count.
    pub fn of(loaded: &'a checkpoint::Loaded) -> Self {
        let says = |key: &str| loaded.metadata.contains_key(key);
        let names = &loaded.classifier.classes;
        Known { names, said: says("classes"), words: says("feature_label") }
    }

    /// Those of data that a model is trained on.
    pub fn of_data(data: &'a Dataset) -> Self {
        let words = data.features.as_ref().is_some_and(|features| features.label.is_some());
        Known { names: &data.classes, said: data.named, words }
    }

    /// Whether the names tell classes apart by more than their place.
    fn tell(&self) -> bool {
        self.said && (self.words || !self.numbered())
    }

    fn numbered(&self) -> bool {
        self.names.iter().enumerate().all(|(i, name)| *name == i.to_string())
    }

    /// The logit that `text` means: by its name, its number, or `#` and its number. Errors: one that
    /// is both the name of one and the number of another.
    pub fn number(&self, text: &str) -> Result<usize> {
        let last = self.names.len() - 1;
        let counted = text.strip_prefix('#').unwrap_or(text).parse().ok();
        let counted = counted.filter(|&number: &usize| number <= last);
        match (find(self.names, text), counted) {
            (Found::Several(a, b), _) => {
                bail!("`{text}` is the name of the logits {a} and {b}; write `#{a}` or `#{b}`")
            }
            (Found::Exact(place) | Found::Alike(place), Some(number)) if place != number => bail!(
                "`{text}` is the name of the class {place} and the number of `{}`; write `#{place}` \
                 or `#{number}`",
                self.names[number]
            ),
            (Found::Exact(place) | Found::Alike(place), _) => Ok(place),
            (Found::No, Some(number)) => Ok(number),
            (Found::No, None) => {
                let near = nearest(self.names, text);
                let near = near.map_or(String::new(), |name| format!(" (did you mean `{name}`?)"));
                bail!("no class `{text}`{near}; classes are 0 to {last}: {}", few(self.names))
            }
        }
    }
}

/// The labels of `data` as logits of a model. Errors, with both lists: a class of the data that the
/// model does not have; without names, another number of classes.
pub fn fit(data: Dataset, model: Known, renamed: &Renamed) -> Result<Fitted> {
    let names = renamed_classes(&data, renamed)?;
    let own = |to: &[i64]| {
        let known = data.classes.iter().zip(to).filter(|(_, place)| **place >= 0);
        known.map(|(name, place)| (name.clone(), *place as usize)).collect()
    };
    let in_order: Vec<i64> = (0..names.len() as i64).collect();
    if names == model.names && model.said {
        let own = own(&in_order);
        return Ok(Fitted { data, own, notes: vec![] });
    }
    let speaks = data.named || !renamed.is_empty();
    let occurs = occurring(&data);
    let places: Vec<Found> = names.iter().map(|name| find(model.names, name)).collect();
    let unknown: Vec<usize> =
        occurs.iter().copied().filter(|&class| places[class].place().is_none()).collect();
    if speaks && unknown.is_empty() {
        let to: Vec<i64> =
            places.iter().map(|place| place.place().map_or(-1, |place| place as i64)).collect();
        if renamed.is_empty() {
            one_each(&data, model, (&occurs, &to))?;
        }
        let mut notes = vec![];
        if !model.said {
            notes.push(by_number(&data));
        } else if occurs.iter().any(|&c| to[c] != c as i64 || names[c] != model.names[c]) {
            notes.push(translated(&data, model, (&occurs, &to)));
        }
        let own = own(&to);
        return Ok(Fitted { data: data.relabelled(&to, model.names.to_vec()), own, notes });
    }
    if speaks && (model.tell() || !renamed.is_empty()) {
        return Err(differ(&data, model, &names, &unknown));
    }
    let (found, wanted) = (names.len(), model.names.len());
    ensure!(
        !data.named || found == wanted,
        "`{}` has {} ({}), the model {wanted} without names: nothing says which is which; name the \
         model's with `--classes FILE` (a name a line, in the order of its logits)",
        data.name,
        count(found, "class"),
        few(&data.classes)
    );
    let most = data.labels.max().int64_value(&[]);
    ensure!(
        most < wanted as i64,
        "a label of the data is {most}; the model has {} (0 to {})",
        count(wanted, "class"),
        wanted - 1
    );
    let notes = vec![by_position(&data, model)];
    let own = own(&in_order);
    // The data's own names say more than numbers do.
    let classes = if data.named { names } else { model.names.to_vec() };
    Ok(Fitted { data: data.relabelled(&in_order, classes), own, notes })
}

impl Fitted {
    /// The images of one class, which `text` calls by its name in the model or the data, or by its
    /// number.
    pub fn filter_class(self, text: &str) -> Result<Dataset> {
        let names = self.data.classes.clone();
        let number = match (find(&names, text), self.own.get(text)) {
            (Found::No, Some(&number)) => number,
            _ => Known { names: &names, said: true, words: true }.number(text)?,
        };
        self.data.of_number(number)
    }
}

/// Errors: two classes of the data that nobody said to be one class of the model.
fn one_each(data: &Dataset, model: Known, (occurs, to): (&[usize], &[i64])) -> Result<()> {
    let mut taken: BTreeMap<i64, &String> = BTreeMap::new();
    for &class in occurs {
        let name = &data.classes[class];
        if let Some(other) = taken.insert(to[class], name) {
            let own = &model.names[to[class] as usize];
            bail!(
                "`{other}` and `{name}` of `{}` would both be `{own}` of the model; if they are, say \
                 `--class-map {other}={own},{name}={own}`",
                data.name
            );
        }
    }
    Ok(())
}

/// The names of the data's classes after `--class-map`. Errors: a name that the data do not have.
fn renamed_classes(data: &Dataset, renamed: &Renamed) -> Result<Vec<String>> {
    let mut names = data.classes.clone();
    for (i, (from, to)) in renamed.iter().enumerate() {
        ensure!(
            renamed[..i].iter().all(|(other, _)| other != from),
            "`--class-map` names `{from}` twice"
        );
        let place = find(&data.classes, from).place();
        let told = || {
            let (name, known) = (&data.name, few(&data.classes));
            format!("`--class-map {from}={to}`: `{name}` has no class `{from}`; it has {known}")
        };
        names[place.with_context(told)?].clone_from(to);
    }
    Ok(names)
}

/// The classes that have images.
fn occurring(data: &Dataset) -> Vec<usize> {
    let counts = data.labels.bincount(None::<&tch::Tensor>, data.classes.len() as i64);
    (0..data.classes.len()).filter(|&class| counts.int64_value(&[class as i64]) > 0).collect()
}

fn translated(data: &Dataset, model: Known, (occurs, to): (&[usize], &[i64])) -> String {
    let one = |class: &usize| {
        let (from, place) = (&data.classes[*class], to[*class] as usize);
        match model.names[place] == *from {
            true => format!("{from} is {place}"),
            false => format!("{from} ({}) is {place}", model.names[place]),
        }
    };
    let all: Vec<String> = occurs.iter().map(one).collect();
    format!("classes of `{}` as logits of the model, by name: {}", data.name, few(&all))
}

fn by_number(data: &Dataset) -> String {
    format!("the weights do not name their classes: names of `{}` are numbers of logits", data.name)
}

fn by_position(data: &Dataset, model: Known) -> String {
    let (name, n, logits) = (&data.name, data.classes.len(), model.names.len());
    let who = match (data.named, model.tell()) {
        (true, _) => "the weights do not name their classes".to_owned(),
        (false, true) => format!("`{name}` does not name its classes"),
        (false, false) => format!("neither the weights nor `{name}` name their classes"),
    };
    let count = if n == logits { String::new() } else { format!(" ({n} of {logits} classes)") };
    format!("{who}: the label i is taken for the logit i{count}")
}

fn differ(data: &Dataset, model: Known, names: &[String], unknown: &[usize]) -> anyhow::Error {
    let pairs: Vec<String> = unknown
        .iter()
        .map(|&class| {
            let near = nearest(model.names, &names[class]).unwrap_or("NAME");
            format!("{}={near}", data.classes[class])
        })
        .collect();
    let strangers: Vec<String> =
        unknown.iter().map(|&class| format!("`{}`", names[class])).collect();
    anyhow::anyhow!(
        "{} of the {} classes of `{}` ({}) {} no class of the model, whose {} are {}; say what \
         they are with `--class-map {}`",
        few(&strangers),
        names.len(),
        data.name,
        few(&data.classes),
        if unknown.len() == 1 { "is" } else { "are" },
        model.names.len(),
        few(model.names),
        pairs.iter().take(2).cloned().collect::<Vec<_>>().join(",")
            + if pairs.len() > 2 { ",…" } else { "" }
    )
}

/// Errors: two models whose logits are not the same classes in the same order. A note where only
/// their number can be compared.
pub fn same(first: (&str, Known), other: (&str, Known)) -> Result<Option<String>> {
    let ((a_name, a), (b_name, b)) = (first, other);
    let (n, m) = (a.names.len(), b.names.len());
    ensure!(
        n == m,
        "`{a_name}` tells {} apart and `{b_name}` {m}; all models have to tell the same \
         ones",
        count(n, "class")
    );
    let differ = a.names.iter().zip(b.names).find(|(a, b)| a != b);
    let Some((a_class, b_class)) = differ else { return Ok(None) };
    if !a.tell() || !b.tell() {
        let silent = if a.tell() { b_name } else { a_name };
        return Ok(Some(format!(
            "`{silent}` does not name its classes: its logit i is taken for the class i of the \
             others"
        )));
    }
    let [mut ours, mut theirs] = [a.names.to_vec(), b.names.to_vec()];
    ours.sort_unstable();
    theirs.sort_unstable();
    let hint = match ours == theirs {
        true => "the same classes in another order; ask about them one by one",
        false => "all models have to tell the same classes apart",
    };
    bail!("a class that is `{a_class}` in `{a_name}` is `{b_class}` in `{b_name}`: {hint}")
}

/// Class names in the order of the logits: of a file, one a line, or between commas; those of ImageNet.
pub fn listed(text: &str) -> Result<Vec<String>> {
    if text == imagenet::WORD {
        return Ok(imagenet::names());
    }
    let path = Path::new(text);
    if path.is_file() {
        let lines = tensorfile::foreign::read_text(path)?;
        let lines = lines.trim_start_matches('\u{feff}').trim_end().lines();
        return Ok(lines.map(|line| line.trim().to_owned()).collect());
    }
    ensure!(
        text.contains(','),
        "no such file: `{text}` (a name a line, in the order of the logits; or names between commas; or \
         `imagenet`)"
    );
    Ok(text.split(',').map(|name| name.trim().to_owned()).collect())
}

/// Names the logits of weights as `--classes` says. Errors: weights that name them themselves, and
/// otherwise; another number of names.
pub fn name(loaded: &mut checkpoint::Loaded, text: &str) -> Result<()> {
    let (names, told) = (listed(text)?, || format!("`--classes {text}`"));
    let own = &loaded.classifier.classes;
    ensure!(
        names.len() == own.len(),
        "{}: {} for {}",
        told(),
        count(names.len(), "name"),
        count(own.len(), "logit")
    );
    let empty = names.iter().position(String::is_empty);
    ensure!(empty.is_none(), "{}: the logit {} has no name", told(), empty.unwrap_or_default());
    let known = Known::of(loaded);
    ensure!(
        !known.tell() || names == *own,
        "{}: the weights name their classes themselves ({}); `--class-map` renames the data's",
        told(),
        few(own)
    );
    loaded.metadata.insert("classes".into(), tensorfile::header::join(&names));
    loaded.classifier.classes = names;
    Ok(())
}

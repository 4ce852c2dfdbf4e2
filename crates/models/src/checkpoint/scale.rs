//! The normalisation of a file: what its header says, what a wrapper stored beside the network,
//! what the user says. What the file says wins, unless the user insists.

use super::{Hints, find::Found};
use crate::zoo::Normalisation;
use anyhow::{Result, bail, ensure};
use tch::{Kind, Tensor};
use tensorfile::Weights;

/// Names that means and deviations have beside each other.
const PAIRS: [(&str, &str); 11] = [
    ("mean", "std"),
    ("mu", "sigma"),
    ("new_mean", "new_std"),
    ("mean", "sigma"),
    ("mu", "std"),
    ("_mean", "_std"),
    ("mean", "stddev"),
    ("means", "stds"),
    ("image_mean", "image_std"),
    ("pixel_mean", "pixel_std"),
    ("normalize_mean", "normalize_std"),
];

/// A normalisation that the file says, and how it does.
pub(super) struct Said {
    pub normalisation: Normalisation,
    pub by: String,
}

impl Said {
    /// One number for each channel, where it is one for all.
    fn of_channels(mut self, channels: i64) -> Result<Self> {
        let Normalisation { mean, std } = &mut self.normalisation;
        for values in [&mut *mean, &mut *std] {
            if let [one] = values[..] {
                *values = vec![one; channels as usize];
            }
        }
        let means = mean.len();
        let fits = means as i64 == channels;
        ensure!(fits, "the file has {means} means ({}) for {channels} channels", self.by);
        Ok(self)
    }
}

/// The normalisation that a wrapper stored: a pair beside the network or in one module beside it,
/// the nearest to the network first. Its names are no longer among those left out.
pub(super) fn stored(file: &mut Weights, found: &mut Found) -> Result<Option<Said>> {
    let mut above = found.prefix.as_str();
    loop {
        let mut pairs = vec![];
        for name in found.left.iter().chain(found.tensors.values()) {
            let Some(rest) = name.strip_prefix(above).filter(|r| r.matches('.').count() <= 1)
            else {
                continue;
            };
            let (group, last) = rest.rsplit_once('.').map_or(("", rest), |(g, l)| (g, l));
            let group = if group.is_empty() { String::new() } else { format!("{group}.") };
            let beside = |std: &str| format!("{above}{group}{std}");
            let mut pair =
                PAIRS.iter().filter(|(mean, _)| *mean == last).map(|(_, std)| beside(std));
            let known = |name: &String| {
                found.left.contains(name) || found.tensors.values().any(|n| n == name)
            };
            if let Some(std) = pair.clone().find(known) {
                pairs.push((name.clone(), std));
            } else if last == "new_mean" || last == "mu" {
                let std = pair.next_back().unwrap_or_default();
                bail!("`{name}` is there without a deviation such as `{std}`");
            }
        }
        if let Some((mean, std)) = pairs.first().cloned() {
            return read(file, found, &pairs, (mean, std)).map(Some);
        }
        if above.is_empty() {
            return Ok(None);
        }
        above = above[..above.len() - 1].rfind('.').map_or("", |dot| &above[..=dot]);
    }
}

fn read(
    file: &mut Weights,
    found: &mut Found,
    pairs: &[(String, String)],
    (mean, std): (String, String),
) -> Result<Said> {
    let (mut m, mut s) = (numbers(&file.tensor(&mean)?)?, numbers(&file.tensor(&std)?)?);
    for (other_mean, other_std) in &pairs[1..] {
        let same =
            numbers(&file.tensor(other_mean)?)? == m && numbers(&file.tensor(other_std)?)? == s;
        ensure!(same, "the file has two normalisations: `{mean}` and `{other_mean}`");
    }
    let mut by = format!("`{mean}`, `{std}`");
    if m.iter().any(|m| *m > 1.) {
        m.iter_mut().chain(&mut s).for_each(|v| *v /= 255.);
        by.push_str(", divided by 255");
    }
    let used = |name: &String| pairs.iter().any(|(m, s)| name == m || name == s);
    found.left.retain(|name| !used(name));
    found.tensors.retain(|_, name| !used(name));
    Ok(Said { normalisation: Normalisation::new(m, s)?, by })
}

/// As text has them: an f32 of 0.1 is 0.1 and not the f64 next to it.
fn numbers(tensor: &Tensor) -> Result<Vec<f64>> {
    let values = Vec::<f64>::try_from(tensor.to_kind(Kind::Double).flatten(0, -1))?;
    let short = |v: f64| (v as f32).to_string().parse().unwrap_or(v);
    Ok(if tensor.kind() == Kind::Double { values } else { values.into_iter().map(short).collect() })
}

/// What the network is given: `said` by the file, unless the user insists by `force:`; else what
/// the user says; else what is `assumed`, with a note that says `why`.
pub(super) fn choose(
    (assumed, why): (&str, &str),
    channels: i64,
    hints: &Hints,
    said: Option<Said>,
    notes: &mut Vec<String>,
) -> Result<Normalisation> {
    let said = said.map(|said| said.of_channels(channels)).transpose()?;
    let asked = hints.normalise.as_deref();
    let (text, forced) = match asked.map(|text| (text, text.strip_prefix("force:"))) {
        Some((_, Some(text))) => (Some(text), true),
        Some((text, None)) => (Some(text), false),
        None => (None, false),
    };
    let asked = text.map(|text| Normalisation::parse(text, channels)).transpose()?;
    Ok(match (said, asked) {
        (Some(said), Some(asked)) if close(&said.normalisation, &asked) => said.normalisation,
        (Some(said), Some(asked)) if forced => {
            let (by, own) = (&said.by, said.normalisation.spelled());
            notes.push(format!("`--normalise` overrules the file's own `{own}` ({by})"));
            asked
        }
        (Some(said), Some(_)) => {
            let (by, own, text) =
                (&said.by, said.normalisation.spelled(), text.unwrap_or_default());
            notes.push(format!(
                "the file's own normalisation is kept: `{own}` ({by}); \
                 `--normalise force:{text}` overrules it"
            ));
            said.normalisation
        }
        (Some(said), None) => said.normalisation,
        (None, Some(asked)) => asked,
        (None, None) => {
            notes.push(format!(
                "the file does not say its normalisation: assuming `{assumed}`{why} \
                 (`--normalise` says otherwise)"
            ));
            Normalisation::parse(assumed, channels)?
        }
    })
}

fn close(a: &Normalisation, b: &Normalisation) -> bool {
    let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
    near(&a.mean, &b.mean) && near(&a.std, &b.std)
}

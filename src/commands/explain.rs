//! `gradproof explain`: attribution maps as tensors and as a picture.

use crate::{
    cli::{Common, Explain},
    evaluation::no_map_warning,
    outcome::Outcome,
    results::{
        Better, Number, Quantity, Record, Table, keys,
        quantities::{self, of_measures},
        suffixed,
    },
    runtime::outputs::Files,
    runtime::{ui::Ui, workers::Stop},
    session::{self, Loaded},
};
use anyhow::{Context, Result, ensure};
use explain::{
    Attribution,
    heatmap::{has_mass, heat},
};
use plot::{Cell, Grid, Picture, Row, grid};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use tch::{Kind, Tensor};
use tensorfile::{TensorFile, words};

mod known;

use known::Known;

/// Images in a figure, at most.
const SHOWN: usize = 12;

/// One of the methods asked for.
struct Method {
    spelled: String,
    method: Box<dyn Attribution>,
    out: Option<PathBuf>,
}

/// Errors: unknown methods, settings out of range.
pub fn check(args: &Explain) -> Result<()> {
    methods(args).map(|_| ())
}

/// Explains every image by every method.
pub fn run(args: &Explain, common: &Common, ui: &Ui) -> Result<Outcome> {
    ensure!(
        args.out.is_some() || args.drawn.figure.is_some(),
        "nothing to write: add `--out maps.safetensors` or `--figure grid.png`"
    );
    let methods = methods(args)?;
    let out = methods.iter().filter_map(|m| m.out.clone()).chain(record_file(args));
    let files = Files::of(&args.subject).methods("--method", &args.method);
    let files = files.writes("--out", out).writes("--figure", &args.drawn.figure);
    files.check(common.force)?;
    let loaded = session::load_with_or_without_labels(&args.subject, common, ui)?;
    loaded.check_target(&args.explained)?;
    for m in &methods {
        loaded.check_method(&m.spelled, &*m.method)?;
    }
    if args.drawn.figure.is_some() {
        loaded.data.check_pixels("`--figure`")?;
        super::check_figure_channels(&loaded.data)?;
    }
    files.check_writable()?;
    loaded.announce(ui);
    let bar = ui.bar((loaded.data.len() * methods.len()) as u64, "explaining");
    let explained = explain(args, &loaded, &methods, |n| bar.inc(n))?;
    bar.finish_and_clear();
    found(args, &loaded, &methods, (&explained, explained.no_map(&methods, ui)))
}

/// Writes the maps and the figure, and says what was found.
fn found(
    args: &Explain,
    loaded: &Loaded,
    methods: &[Method],
    (explained, no_map): (&Maps, Vec<u64>),
) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let notes: Vec<_> = methods.iter().map(|m| m.method.note(loaded.data.image_shape())).collect();
    for (method, note) in methods.iter().zip(&notes) {
        if let Some(note) = note {
            outcome.say(&format!("{}: {note}", method.spelled));
        }
    }
    for (method, (maps, known)) in methods.iter().zip(explained.maps.iter().zip(&explained.known)) {
        if let Some(line) = known.line() {
            outcome.say(&format!("{}: {line}", method.spelled));
        }
        if let Some(gap) = known.mean_gap() {
            outcome.say(&format!(
                "{}: maps miss f(x) − f(baseline) by {gap:.3}, on average",
                method.spelled
            ));
        }
        let Some(path) = &method.out else { continue };
        explained.write(path, loaded, &method.spelled, (maps, known))?;
        let maps = words::count(loaded.data.len(), "map");
        outcome.say(&format!("{maps} by {}: {}", method.spelled, path.display()));
    }
    if let Some(path) = &args.drawn.figure {
        explained.draw(path, args, loaded, methods)?;
        outcome.say(&format!("figure: {}", path.display()));
    }
    let rows = rows(loaded, methods, &explained.known, &no_map);
    let rest = serde_json::json!({
        "notes": notes,
        "tensors": tensors(methods),
        "out": methods.iter().filter_map(|m| m.out.as_ref()).collect::<Vec<_>>(),
        "figure": args.drawn.figure,
    });
    let record = Record {
        kind: "explain".into(),
        origin: Some(loaded.origin()),
        models: vec![loaded.card.clone()],
        data: args.subject.data.clone(),
        images: Some(loaded.data.len() as u64),
        quantities: quantities::found(quantities(), &rows),
        rows,
        rest: serde_json::from_value(rest)?,
        ..Record::default()
    };
    if let Some(path) = record_file(args) {
        let text = serde_json::to_string_pretty(&record)?;
        tensorfile::atomic::write(&path, |f| Ok(f.write_all(text.as_bytes())?))?;
        outcome.say(&format!("numbers: {}", path.display()));
    }
    outcome.with(&record)
}

/// The name of the file of each method that has one.
fn tensors(methods: &[Method]) -> Map<String, Value> {
    let name = |m: &Method| {
        let name = m.out.as_ref()?.file_name()?.to_string_lossy().into_owned();
        Some((m.spelled.clone(), name.into()))
    };
    methods.iter().filter_map(name).collect()
}

/// Where the numbers of `--out` go, for `report`.
fn record_file(args: &Explain) -> Option<PathBuf> {
    args.out.as_ref().map(|out| out.with_extension("json"))
}

/// What its numbers are.
fn quantities() -> Vec<Quantity> {
    let delta = "mean over images of |f(x) - f(baseline) - sum of the map|";
    let [no_map, _] = of_measures();
    let delta = Quantity::new("convergence-delta", "convergence delta", delta, Better::Lower);
    [delta, no_map].into_iter().chain(known::quantities()).collect()
}

fn rows(loaded: &Loaded, methods: &[Method], known: &[Known], no_map: &[u64]) -> Table {
    let mut rows = Table::default();
    for ((method, known), &none) in methods.iter().zip(known).zip(no_map) {
        let of = keys([("model", &loaded.card.name), ("method", &method.spelled)]);
        known.rows().for_each(|(name, number)| rows.push(&of, name, number));
        rows.push(&of, "no-map", Number::exact(none as f64));
    }
    rows
}

/// The methods of `--method`, each with its output file: `maps.safetensors` for one method,
/// `maps-NAME.safetensors` for several.
fn methods(args: &Explain) -> Result<Vec<Method>> {
    let all = session::methods("--method", &args.method)?;
    let several = all.len() > 1;
    let one = |spelled: String| {
        let method = explain::parse_or_stored(&spelled)?;
        let suffix = spelled.replace([':', ',', '=', '/'], "-");
        let out = args.out.as_ref().map(|out| match several {
            true => suffixed(out, &suffix),
            false => out.clone(),
        });
        Ok(Method { spelled, method, out })
    };
    all.into_iter().map(one).collect()
}

/// Everything `--out` holds, over all images, on the CPU.
struct Maps {
    images: Tensor,      // [N, C, H, W]
    labels: Tensor,      // [N]
    targets: Tensor,     // [N]
    predictions: Tensor, // [N]
    confidence: Tensor,  // [N]
    maps: Vec<Tensor>,   // one [N, C, H, W] a method
    known: Vec<Known>,   // one a method
}

/// Of one batch, on the CPU: the columns of `--out`, and what is known of each method's maps.
type Found = (Vec<Tensor>, Vec<Known>);

/// The images `x` with labels `y`, of which `first` is the first, explained by every method.
fn batch(
    (args, loaded, methods): (&Explain, &Loaded, &[Method]),
    (x, y): (&Tensor, &Tensor),
    first: u64,
    tick: impl Fn(u64),
) -> Result<Found> {
    let batch = loaded.batch(&args.explained, x, y, first)?;
    let (prediction, confidence) = loaded.predict(x, &|i| loaded.place(first + i))?;
    let (mut maps, mut all) = (vec![], vec![]);
    for m in methods {
        let told = || format!("method `{}`", m.spelled);
        let (map, estimate) = loaded.estimate(&*m.method, &batch, first).with_context(told)?;
        let gap = m.method.convergence_delta(&loaded.model, &batch, &map);
        all.push(Known { gap, ..Known::of(estimate, args.standard_error) });
        maps.push(map);
        tick(y.numel() as u64);
    }
    let row = [x, y, &batch.target.class, &prediction, &confidence].map(Tensor::shallow_clone);
    let columns = row.into_iter().chain(maps).map(|part| part.to_device(tch::Device::Cpu));
    Ok((columns.collect(), all))
}

fn explain(
    args: &Explain,
    loaded: &Loaded,
    methods: &[Method],
    tick: impl Fn(u64) + Sync,
) -> Result<Maps> {
    let mut columns: Vec<Vec<Tensor>> = (0..5 + methods.len()).map(|_| vec![]).collect();
    let mut known: Vec<Vec<Known>> = methods.iter().map(|_| vec![]).collect();
    let make = |images: (&Tensor, &Tensor), first, stop: &Stop| {
        batch((args, loaded, methods), images, first, |n| {
            stop.check();
            tick(n);
        })
    };
    let images = (0, loaded.fits.batch, loaded.chunk(args.explained.chunk));
    loaded.each_batch(images, make, |(parts, own)| {
        columns.iter_mut().zip(parts).for_each(|(column, part)| column.push(part));
        known.iter_mut().zip(own).for_each(|(all, own)| all.push(own));
        Ok(())
    })?;
    let mut whole = columns.into_iter().map(|column| Tensor::cat(&column, 0));
    let mut next = || whole.next().expect("five columns and one a method");
    let (images, labels, targets) = (next(), next(), next());
    let (predictions, confidence) = (next(), next());
    let (maps, known) = (whole.collect(), known.into_iter().map(Known::together).collect());
    Ok(Maps { images, labels, targets, predictions, confidence, maps, known })
}

impl Maps {
    /// Images without a map by each method, of which the user is told.
    fn no_map(&self, methods: &[Method], ui: &Ui) -> Vec<u64> {
        let count = |(maps, method): (&Tensor, &Method)| {
            let none = has_mass(&heat(maps)).logical_not();
            let count = none.sum(Kind::Int64).int64_value(&[]) as u64;
            if count > 0 {
                ui.note(&no_map_warning(count, none.numel(), &method.spelled));
            }
            count
        };
        self.maps.iter().zip(methods).map(count).collect()
    }

    fn write(
        &self,
        path: &Path,
        loaded: &Loaded,
        method: &str,
        (maps, known): (&Tensor, &Known),
    ) -> Result<()> {
        let named = [
            ("maps", maps.to_kind(Kind::Float)),
            ("images", self.images.shallow_clone()),
            ("labels", self.labels.shallow_clone()),
            ("targets", self.targets.shallow_clone()),
            ("predictions", self.predictions.shallow_clone()),
            ("confidence", self.confidence.to_kind(Kind::Float)),
        ];
        let error = known.error.iter().map(|error| ("standard_error", error.shallow_clone()));
        let named = named.into_iter().chain(error);
        let tensors = named.map(|(name, t)| (name.to_owned(), t)).collect();
        let mut metadata = loaded.header();
        metadata.insert("method".into(), method.into());
        TensorFile { tensors, metadata }.write(path)
    }

    /// One row an image: the image, then its map by each method.
    fn draw(&self, path: &Path, args: &Explain, loaded: &Loaded, methods: &[Method]) -> Result<()> {
        let drawings: Vec<_> = self.maps.iter().map(|maps| args.drawn.drawing(maps)).collect();
        let name = |t: &Tensor, i: i64| &loaded.card.classes[t.int64_value(&[i]) as usize];
        let row = |i: i64| -> Result<Row> {
            let label = name(&self.labels, i);
            let said = name(&self.predictions, i);
            let caption = format!("{said} {:.2}", self.confidence.double_value(&[i]));
            let caption = match said == label {
                true => caption,
                false => format!("{caption} (is {label})"),
            };
            let image = self.images.get(i);
            let mut cells = vec![Cell { picture: Picture::from_image(&image)?, caption }];
            for (maps, drawing) in self.maps.iter().zip(&drawings) {
                let picture = Picture::of_map(&maps.get(i), &image, *drawing)?;
                cells.push(Cell { picture, caption: format!("for {}", name(&self.targets, i)) });
            }
            Ok(Row { cells })
        };
        let shape = loaded.data.image_shape();
        let shown = args.drawn.shown(loaded.data.len(), SHOWN, 1 + methods.len(), shape);
        let rows = (0..shown).map(row).collect::<Result<Vec<Row>>>()?;
        let columns = ["image"].into_iter().chain(methods.iter().map(|m| m.spelled.as_str()));
        let columns = columns.map(str::to_owned).collect();
        let title = Some(format!("{}: what {} looks at", loaded.data.name, loaded.card.name));
        grid(path, &Grid { title, columns, rows })
    }
}

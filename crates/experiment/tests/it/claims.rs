//! Claims are judged by the images of cells.

use experiment::{Experiment, Judged, Report, Verdict};
use registry::seed::splitmix;
use results::{Keys, Number, Sample, Table};
use serde_json::json;
use std::{fs, path::Path};
use tempfile::TempDir;

/// Networks of which a cell each has a number of every quantity.
const MODELS: [&str; 4] = ["a", "b", "c", "d"];

/// A run of which every cell has these values an image, by quantity and model.
struct Made {
    folder: TempDir,
    quantities: Vec<String>,
    kind: &'static str,
}

impl Made {
    fn new(kind: &'static str) -> Self {
        Made { folder: tempfile::tempdir().unwrap(), quantities: vec![], kind }
    }

    fn file(&self, claims: &str) -> String {
        let grid =
            "[step.s]\ncommand = \"list\"\n[step.s.grid]\nmodel = [\"a\", \"b\", \"c\", \"d\"]\n";
        format!("title = \"t\"\nquestion = \"?\"\n[scale.cpu]\n{grid}\n{claims}")
    }

    /// Judges `claims`, TOML, of the samples that `of` gives to each quantity and model.
    fn judged(
        &mut self,
        quantities: &[&str],
        of: &dyn Fn(usize, usize) -> Sample,
        claims: &str,
    ) -> Vec<Judged> {
        self.quantities = quantities.iter().map(|q| (*q).to_owned()).collect();
        let (path, run) = (self.folder.path().join("e.toml"), self.folder.path().join("run"));
        fs::write(&path, self.file(claims)).unwrap();
        for (model, name) in MODELS.iter().enumerate() {
            self.cell(&run, name, &|quantity| of(quantity, model));
        }
        let experiment = Experiment::read(&path, "cpu", &[]).unwrap();
        let expected: Vec<Option<Table>> = MODELS.map(|_| Some(self.rows(&|_| known()))).into();
        Report::new(&experiment, &run, &expected).unwrap().claims
    }

    fn cell(&self, run: &Path, name: &str, of: &dyn Fn(usize) -> Sample) {
        let file = run.join("cells/s").join(format!("{name}.json"));
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let found = json!({ "result": { "kind": self.kind, "rows": self.rows(of) } });
        fs::write(file, found.to_string()).unwrap();
    }

    fn rows(&self, of: &dyn Fn(usize) -> Sample) -> Table {
        let mut rows = Table::default();
        for (i, quantity) in self.quantities.iter().enumerate() {
            rows.push(&Keys::new(), quantity, of(i));
        }
        rows
    }
}

/// A number that has every statistic.
fn known() -> Sample {
    let (mean, median) = (Some(0.), Some(0.));
    let geometric = Some(1.);
    Number { mean, median, geometric, n: Some(1), ..Number::default() }.into()
}

/// A draw that is about exponential where `skewed`, else about normal.
fn draw(seed: u64, skewed: bool) -> f64 {
    let uniform =
        |i: u64| ((splitmix(seed ^ splitmix(i)) >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    if skewed { -uniform(0).ln() } else { (0..12).map(uniform).sum::<f64>() - 6. }
}

fn less(quantity: &str, [a, b]: [&str; 2]) -> String {
    format!(
        "[[claim]]\ntext = \"{quantity}: {a} below {b}\"\nwhere = {{ step = \"s\", quantity = \
         \"{quantity}\" }}\nless = {{ model = [\"{a}\", \"{b}\"] }}\n"
    )
}

#[test]
fn pages_of_noise_claim_next_to_nothing() {
    let quantities = ["p", "q", "r", "s"];
    let claims: String =
        quantities.iter().flat_map(|q| [less(q, ["a", "b"]), less(q, ["d", "c"])]).collect();
    let (pages, mut wrong) = (150u64, 0);
    for page in 0..pages {
        let noise = |quantity: usize, model: usize| {
            let at = (page << 32) | ((quantity as u64) << 24) | ((model as u64) << 16);
            let value = |image: u64| draw(splitmix(at | image), quantity % 2 == 1);
            Sample::over_images((0..16).map(value).collect(), 0)
        };
        let found = Made::new("measure").judged(&quantities, &noise, &claims);
        assert!(found.iter().all(|judged| judged.chance == Some(0.5)));
        wrong += u32::from(found.iter().any(|judged| judged.verdict.word() == "holds"));
    }
    // One page in forty may have one that holds, one in twenty one that is called anything.
    assert!(wrong <= 8, "{wrong} of {pages} pages");
}

#[test]
fn what_holds_has_no_zero_in_its_interval_and_what_is_shown_holds() {
    let mut words = vec![];
    for seed in 0..60u64 {
        let shift = (seed % 12) as f64 / 4. - 1.;
        let of = |_: usize, model: usize| {
            let value = |image: u64| {
                // The same image in each: most of what images differ by is in all of them.
                3. * draw(splitmix(image), true)
                    + draw(splitmix((seed << 40) | ((model as u64) << 32) | image), false)
                    + shift * model as f64
            };
            Sample::over_images((0..24).map(value).collect(), 0)
        };
        let rising = "[[claim]]\ntext = \"up\"\nwhere = { step = \"s\", quantity = \"q\" }\n\
                      rising = \"model\"\n";
        let found = Made::new("measure").judged(&["q"], &of, &(less("q", ["a", "b"]) + rising));
        for judged in found {
            let ends = judged.verdict.told().unwrap().interval.unwrap().ends;
            match judged.verdict {
                Verdict::Holds(_) => assert!(ends[0] > 0., "{}", judged.told()),
                Verdict::Fails(_) => assert!(ends[1] < 0., "{}", judged.told()),
                _ => {}
            }
            words.push((shift, judged.verdict.word(), judged.text));
        }
    }
    let all = |from: f64, to: f64| words.iter().filter(move |w| (from..to).contains(&w.0));
    assert!(all(1.6, 2.).all(|w| w.1 == "holds"), "{words:?}");
    assert!(all(-1.1, -0.9).any(|w| w.1 == "fails"), "{words:?}");
    assert!(all(-0.1, 0.1).all(|w| w.1 != "holds"));
}

#[test]
fn numbers_without_images_are_judged_as_what_they_are() {
    let number = |_: usize, model: usize| -> Sample { Number::exact(model as f64).into() };
    let claims = less("q", ["a", "b"])
        + "[[claim]]\ntext = \"up\"\nwhere = { step = \"s\", quantity = \"q\" }\nrising = \"model\"\n"
        + "[[claim]]\ntext = \"over\"\nwhere = { step = \"s\", quantity = \"q\", model = \"d\" }\nabove = 2.5\n";
    let told = |kind| {
        let found = Made::new(kind).judged(&["q"], &number, &claims);
        found.iter().map(Judged::told).collect::<Vec<_>>()
    };
    // Of images whose values were not kept nothing is said.
    let unkept = told("measure");
    assert!(unkept.iter().all(|told| told.starts_with("not decided (no per-image values)")));
    assert!(unkept[2].ends_with("the limit is ours"), "{}", unkept[2]);
    // Of functions everything.
    assert!(told("plane").iter().all(|told| told.starts_with("holds")));
    // Of networks what hardly is chance: four in a row, one order of 24, and not after Holm.
    let networks = told("train");
    assert!(networks[0].starts_with("not decided") && networks[0].contains("0.500"));
    assert!(networks[1].starts_with("not decided") && networks[1].contains("0.042"));
    let alone = claims.split("[[claim]]").nth(2).unwrap();
    let found = Made::new("train").judged(&["q"], &number, &format!("[[claim]]{alone}"));
    assert_eq!(found[0].verdict.word(), "holds", "{}", found[0].told());
}

#[test]
fn medians_and_ratios_are_asked_for_by_name() {
    let of = |_: usize, model: usize| {
        let value = |image: u64| {
            let base = (3. * draw(splitmix(image), false)).exp();
            base * if model == 1 {
                1.2
            } else {
                1. + 0.05 * draw(splitmix(image + 99), false).abs()
            }
        };
        Sample::over_images((0..32).map(value).collect(), 0)
    };
    let claims = ["mean", "median", "geometric"].map(|statistic| {
        less("q", ["a", "b"])
            .replace("quantity = \"q\"", &format!("quantity = \"q\", statistic = \"{statistic}\""))
    });
    let found = Made::new("measure").judged(&["q"], &of, &claims.concat());
    assert!(found[1].told().contains("median difference"), "{}", found[1].told());
    assert!(found[2].told().contains("ratio 1.1"), "{}", found[2].told());
    assert_eq!(found[2].verdict.word(), "holds");
}

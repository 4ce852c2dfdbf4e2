//! The quantities of the commands, and the rows of a training.

use super::{AUC, BELOW, FLOOR};
use ::results::{Better, Keys, Number, Quantity, Table, keys};
use explain::{Similarity, similarity::SIMILARITIES};
use train::EpochLine;

/// How far images moved.
pub fn l2_change() -> Quantity {
    let about = "l2 distance of the attacked from the clean image, pixels in [0, 1]";
    Quantity::new("l2-change", "l2 norm of the change", about, Better::Neither)
}

/// Clean accuracy.
pub fn accuracy() -> Quantity {
    let about = "share of the images that are classified correctly, in [0, 1]";
    Quantity::new("accuracy", "clean accuracy", about, Better::Higher)
}

/// The quantities of attacks on maps.
pub fn of_attacks() -> Vec<Quantity> {
    let mut all = vec![];
    for similarity in SIMILARITIES {
        let Similarity { name, title, about, better, .. } = similarity;
        all.push(Quantity::new(name, title, about, *better));
    }
    let add = |all: &mut Vec<Quantity>, own: &[(&str, &str, Better)]| {
        all.extend(
            own.iter().map(|(name, about, better)| Quantity::new(name, name, about, *better)),
        );
    };
    let with_area = [
        ("confidence", "probability of the clean prediction after the attack", Better::Neither),
        ("kept", "share of the images whose prediction stays", Better::Higher),
    ];
    add(&mut all, &with_area);
    let area = |q: &Quantity| {
        let name = format!("{}{AUC}", q.name);
        let about = format!("area over log2(255 eps) of the mean of: {}", q.about);
        Quantity::new(&name, &name, &about, q.better)
    };
    let areas: Vec<Quantity> = all.iter().map(area).collect();
    let counted = [
        ("success", "share of the images with a map whose attack succeeded", Better::Lower),
        ("no-map", "number of images without a map: they are in no mean", Better::Neither),
        (
            "measure",
            "what the attack itself makes small, on its own draws, after so many iterations (for topk \
             k-in, for mass-centre minus cdl)",
            Better::Neither,
        ),
        (
            "converged",
            "1 where the second half of the iterations brought at most 2 % of the whole fall of the \
             measure, else 0: more would help",
            Better::Neither,
        ),
    ];
    add(&mut all, &counted);
    all.extend(SIMILARITIES.iter().flat_map(of_floor));
    all.push(l2_change());
    all.extend(areas);
    all.push(accuracy());
    all
}

/// Of `all` those that `rows` have.
pub fn found(all: Vec<Quantity>, rows: &Table) -> Vec<Quantity> {
    let names = rows.distinct(results::QUANTITY);
    all.into_iter().filter(|q| names.contains(&q.name.as_str())).collect()
}

/// The quantities of `measure` that are of no metric.
pub fn of_measures() -> [Quantity; 2] {
    let about = "number of images without a map: it is zero everywhere";
    let ranks = "Spearman's rho over models of the means of lipschitz and model-lipschitz";
    [
        Quantity::new("no-map", "images without a map", about, Better::Neither),
        Quantity::new("rank-correlation", "rank correlation", ranks, Better::Higher),
    ]
}

/// The quantities of a training's last epoch, and what they are there.
pub fn of_training(last: &EpochLine) -> (Vec<Quantity>, Table) {
    let mut rows = Table::default();
    let images = "share of the images that are classified correctly, in [0, 1]: ";
    let mut quantities = vec![];
    for (name, of, value) in [
        ("train-accuracy", "training images as they were seen", Some(last.train_accuracy)),
        ("test-accuracy", "test images", last.test_accuracy),
        ("robust-accuracy", "attacked test images", last.robust_accuracy),
    ] {
        quantities.push(Quantity::new(name, name, &format!("{images}{of}"), Better::Higher));
        value.iter().for_each(|value| rows.push(&Keys::new(), name, Number::exact(*value)));
    }
    quantities.push(Quantity::new("loss", "loss", "mean of a part of the loss", Better::Lower));
    for (part, &loss) in &last.loss {
        rows.push(&keys([("part", part)]), "loss", Number::exact(loss));
    }
    for (name, of) in &last.observed {
        let about = "observed by the objective at each training image";
        quantities.push(Quantity::new(name, name, about, Better::Neither));
        let (median, p90) = (Some(of.median), Some(of.p90));
        rows.push(&Keys::new(), name, Number { median, p90, ..Number::exact(of.mean) });
    }
    (quantities, rows)
}

/// What is said of a similarity beside its value.
fn of_floor(similarity: &Similarity) -> [Quantity; 2] {
    let Similarity { name, title, better, .. } = similarity;
    let floor = (format!("{name}{FLOOR}"), format!("{title} of clean maps under other draws"));
    let below = (
        format!("{name}{BELOW}"),
        format!("1 where {title} is beyond its floor by two standard errors, else 0"),
    );
    [(floor, *better), (below, Better::Neither)]
        .map(|((name, about), better)| Quantity::new(&name, &name, &about, better))
}

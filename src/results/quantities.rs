//! The quantities of the commands, and the rows of a training.

use super::{AUC, BELOW, FLOOR, OF_OTHERS};
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
    let others = SIMILARITIES.iter().map(|similarity| {
        let name = format!("{}{OF_OTHERS}", similarity.name);
        let about =
            format!("of the clean maps of an image and of the next one: {}", similarity.about);
        Quantity::new(&name, &name, &about, Better::Neither)
    });
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
    all.extend(others);
    all.push(accuracy());
    all
}

/// Name, title, meaning and direction of each quantity of `certify`.
const CERTIFIED: [(&str, &str, &str, Better); 11] = [
    (
        "certified-k-in",
        "certified top-k intersection",
        "share of the K chosen pixels that stay among the K hottest of the smoothed map for \
         every change of the image within the radius, in [0, 1]: a lower bound of the truth",
        Better::Higher,
    ),
    (
        "attacked-k-in",
        "attacked top-k intersection",
        "share of them that an l2 attack leaves there, judged by fresh noise, in [0, 1]: an \
         upper bound",
        Better::Higher,
    ),
    (
        "resampled-k-in",
        "resampled top-k intersection",
        "the same for fresh noise without any change of the image, in [0, 1]",
        Better::Higher,
    ),
    (
        "kept",
        "prediction kept",
        "share of the images whose smoothed prediction the attack on the map leaves",
        Better::Higher,
    ),
    (
        "certified-in",
        "certified in",
        "share of the pixels that are certainly among the hottest of more than half of the \
         noisy maps within the pixel radius, in [0, 1]",
        Better::Higher,
    ),
    (
        "certified-out",
        "certified out",
        "share of the pixels that are certainly among the hottest of less than half of them, \
         in [0, 1]",
        Better::Higher,
    ),
    ("abstained", "abstained", "share of the pixels of which neither is certain", Better::Lower),
    ("pixel-radius", "pixel radius", "sigma times the normal quantile of tau, l2", Better::Neither),
    (
        "prediction-radius",
        "radius of the prediction",
        "l2 radius within which the smoothed prediction certainly stays (Cohen et al. 2019); \
         0 where it is not certain at all",
        Better::Higher,
    ),
    (
        "smoothed-accuracy",
        "accuracy under noise",
        "share of the images that most noisy copies are classified correctly of, in [0, 1]",
        Better::Higher,
    ),
    (
        "certified-prediction",
        "certified prediction",
        "share of the images whose smoothed prediction is the class explained and certainly \
         stays within the radius",
        Better::Higher,
    ),
];

/// The quantities of `certify`.
pub fn of_certificates() -> Vec<Quantity> {
    CERTIFIED.map(|(name, title, about, better)| Quantity::new(name, title, about, better)).into()
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

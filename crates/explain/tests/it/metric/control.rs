//! The controls: `zero` says nothing; `random`, which looks at no image, is not steady by construction: where an image is
//! moved it draws anew, the same whatever the chunk.

use super::known::{batch, bent, close, method};
use explain::metric::{self, Case, Memo};
use registry::parse;

fn measured(spelled: &str, of: &str, chunk: i64) -> Vec<Vec<f64>> {
    let (model, batch) = (bent(), explain::Batch { chunk, ..batch(3) });
    let (metric, method) = (metric::metric(parse(spelled).unwrap()).unwrap(), method(of));
    let case = Case {
        model: &model,
        method: &*method,
        batch: &batch,
        maps: &method.attribute(&model, &batch),
        labels: &batch.target.class,
        masks: None,
        attacked: None,
        randomised: &[],
        model_cache: &Memo::default(),
        map_cache: &Memo::default(),
        spreads: &[],
    };
    metric.measure(&case).into_iter().map(|column| Vec::try_from(column).unwrap()).collect()
}

/// Eq. 5 of Tan & Tian (2023) gives a map of zeros 1 / ‖p‖; correlations give it nothing.
#[test]
fn a_map_of_zeros_says_nothing_and_is_still_called_faithful() {
    let [faithful, pearson, spearman] = &measured("faithfulness:cells=2", "zero", 256)[..] else {
        panic!("three columns")
    };
    let other = &measured("faithfulness:cells=2", "saliency", 256)[0];
    assert!(faithful.iter().all(|f| f.is_finite() && *f > 0.) && faithful != other);
    assert!(pearson.iter().chain(spearman).all(|rho| rho.is_nan()));
    assert!(measured("lipschitz:samples=2", "zero", 256)[0].iter().all(|c| *c == 0.));
}

#[test]
fn a_control_moves_with_the_image() {
    for of in ["random", "smooth:inner=random,samples=2"] {
        for (metric, least) in [
            // Maps of 24 numbers N(0, 1), or means of two, are some 7 or 5 apart; images 0.15.
            ("lipschitz:samples=4", 10.),
            ("lipschitz:samples=4,draws=fresh", 10.),
            ("sensitivity:samples=4", 0.8),
            ("sensitivity:samples=4,draws=fresh", 0.8),
        ] {
            let found = measured(metric, of, 256);
            assert!(found[0].iter().all(|number| *number > least), "{metric} {of}: {found:?}");
            for (one, other) in found.iter().zip(measured(metric, of, 2)) {
                close(one, &other, metric);
            }
        }
        // Every neighbour has draws of its own.
        let [most, mean] = &measured("sensitivity:samples=4", of, 256)[..] else { panic!("two") };
        assert!(most.iter().zip(mean).all(|(most, mean)| most > mean), "{most:?} {mean:?}");
        // The perturbations are those of every method.
        let told = measured("infidelity:samples=3,robust=0.1,robust_samples=2", of, 256);
        assert!(told[1].iter().zip(&told[0]).all(|(there, here)| there >= here));
    }
    for (name, ignores) in [("saliency", false), ("random", true), ("smoothgrad:samples=2", false)]
    {
        let (images, method) = (batch(2), method(name));
        let moved = images.moved(&images.x, &*method);
        assert_eq!(
            (method.ignores_image(), moved.keys != images.keys),
            (ignores, ignores),
            "{name}"
        );
    }
}

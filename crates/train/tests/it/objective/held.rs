//! SSR on the statistics of a batch.

use super::ssr::{close, flat_gradient, images, jacobian, model, observe, paper, ssr};
use models::{BatchStatistics, HeldStatistics, Model};
use tch::{Kind, Tensor};
use train::objective::Step;

/// Each image by itself, with the statistics of the batch that it is trained in.
#[test]
fn on_batch_statistics_all_forms_are_the_papers_formula() {
    let (model, (x, y)) = (model("resnet20"), images(4, 5));
    let held = HeldStatistics::of(|ops| model.forward(&x, ops));
    let batch = |x: &Tensor| model.forward(x, &held);
    assert!(close(&batch(&x), &model.forward(&x, &BatchStatistics), 1e-10));
    let (w, p) = jacobian(&batch, &x);
    let xi = paper(&w, &p);
    let numbers: Vec<i64> = (0..4).collect();
    let step = Step { numbers: &numbers, images: 4, ..Step::new(&model, &x, &y) };
    let (running, _) = observe(&mut *ssr(""), &step);
    assert!(!close(&xi, &running, 0.01));
    let direct = flat_gradient(&model, &xi.mean(Kind::Double));
    for (eigenvector, visits, bound) in [("exact", 1, 1e-8), ("naive", 1, 1e-8), ("warm", 40, 1e-4)]
    {
        let mut ssr =
            ssr(&format!("norm = 'batch'\neigenvector = '{eigenvector}'\nbeta = 1\nscale = 1"));
        let mut last = None;
        for _ in 0..visits {
            let before = model.params().statistics();
            let loss = ssr.loss(&step);
            last = Some((loss.observed[0].1.copy(), flat_gradient(&model, &loss.parts[1].1)));
            model.params().restore_statistics(&before);
        }
        let (found, gradient) = last.unwrap();
        assert!(close(&found, &xi, bound), "{eigenvector}: {found} {xi}");
        assert!(close(&gradient, &direct, bound.max(1e-6)), "{eigenvector}: its gradient");
    }
}

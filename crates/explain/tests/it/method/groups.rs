//! Networks that compute a fixed number of images together, others in groups through the same ops: maps
//! are those of the network itself, or the method says that it has none.

use explain::{Batch, METHODS};
use models::{Classifier, Model, Ops, Score, Target, zoo, zoo::Shape};
use registry::few;
use tch::{Kind, Tensor};
use testkit::rule::{distance, filled, images};

/// A network in groups.
struct Groups(Classifier, i64);

impl Model for Groups {
    fn forward(&self, x: &Tensor, ops: &dyn Ops) -> Tensor {
        let n = x.size()[0];
        let one = |first: i64| {
            let rows: Vec<i64> = (first..first + self.1).map(|row| row.min(n - 1)).collect();
            let group = x.index_select(0, &Tensor::from_slice(&rows));
            self.0.forward(&group, ops).narrow(0, 0, self.1.min(n - first))
        };
        Tensor::cat(&(0..n).step_by(self.1 as usize).map(one).collect::<Vec<_>>(), 0)
    }

    fn activation(&self) -> Option<models::Activation> {
        self.0.activation()
    }

    fn taps(&self) -> Vec<&str> {
        self.0.taps()
    }

    fn nonlinear_only_in_ops(&self) -> bool {
        self.0.nonlinear_only_in_ops()
    }

    fn fixed_batch(&self) -> Option<i64> {
        Some(self.1)
    }
}

#[test]
fn maps_do_not_depend_on_groups() {
    let model = || filled(zoo::arch("resnet20").unwrap()).in_f64().frozen();
    let x = images(3, &Shape { image: [3, 8, 8], classes: 10 }).to_kind(Kind::Double);
    let plain = model();
    let batch = Batch::new(&x, &Target::predicted(&plain, &x, Score::Logit));
    for own in [1, 2, 4] {
        let (groups, mut without) = (Groups(model(), own), vec![]);
        for (name, method) in few(METHODS, &[]) {
            if method.check(&groups, [3, 8, 8]).is_err() {
                without.push(name);
                continue;
            }
            let expected = method.attribute(&plain, &batch);
            let far = distance(&method.attribute(&groups, &batch), &expected);
            assert!(far < 1e-9, "{name} in groups of {own}: {far:e} off");
        }
        assert_eq!(without, ["deeplift"]);
    }
}

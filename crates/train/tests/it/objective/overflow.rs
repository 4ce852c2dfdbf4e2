//! SSR where its eigenproblem leaves single precision.

use models::{
    Classifier, noise,
    zoo::{self, Normalisation, Shape},
};
use tch::{Device, Kind, Tensor};
use train::objective::{Step, objective};

#[test]
fn images_whose_eigenproblem_overflows_are_not_finite_and_stop_nothing() {
    let shape = Shape { image: [3, 8, 8], classes: 5 };
    let normalisation = Normalisation::parse("0.5/0.25", 3).unwrap();
    let model =
        Classifier::new(zoo::arch("resnet20").unwrap(), shape, normalisation, 7, Device::Cpu);
    let x = noise::uniform(&[1, 2, 3, 4], &[3, 8, 8], Device::Cpu);
    let y = Tensor::arange(4, (Kind::Int64, Device::Cpu));
    // The Jacobian's squares leave single precision: LAPACK never sees what it would refuse.
    for (name, weight) in model.params().weights() {
        if name.contains("conv") {
            let _ = tch::no_grad(|| weight.shallow_clone().g_mul_scalar_(1e30));
        }
    }
    for eigenvector in ["exact", "naive", "warm"] {
        let options =
            format!("name = 'ssr'\nramp = 0\neigenvector = '{eigenvector}'\nnorm = 'batch'");
        let mut ssr = objective(&toml::from_str(&options).unwrap()).unwrap();
        let loss = ssr.loss(&Step::new(&model, &x, &y));
        assert_eq!(loss.total().size(), [0i64; 0], "{eigenvector}");
    }
}

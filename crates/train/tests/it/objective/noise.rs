//! Training under noise: the loss is that of images with the noise of their keys.

use models::{
    Classifier, noise,
    zoo::{self, Normalisation, Shape},
};
use tch::{Device, Kind, Tensor};
use train::objective::{Step, objective};

#[test]
fn the_loss_is_that_of_noisy_images() {
    let shape = Shape { image: [1, 2, 3], classes: 3 };
    let scale = Normalisation::parse("none", 1).unwrap();
    let model = Classifier::new(zoo::arch("mlp").unwrap(), shape, scale, 0, Device::Cpu);
    let x = Tensor::rand([4, 1, 2, 3], (Kind::Float, Device::Cpu));
    let y = Tensor::from_slice(&[0i64, 2, 1, 1]);
    let keys = [5, 6, 7, 8];
    let loss_of = |options: &str, x: &Tensor, keys: &[u64]| {
        let step = Step { keys, ..Step::new(&model, x, &y) };
        let loss = objective(&toml::from_str(options).unwrap()).unwrap().loss(&step);
        loss.total().double_value(&[])
    };
    let drawn = noise::normal(&keys, &[1, 2, 3], Device::Cpu);
    let by_hand = loss_of("name = 'natural'", &(&x + drawn * 0.3), &[]);
    let found = loss_of("name = 'noise'\nsigma = 0.3", &x, &keys);
    assert!((found - by_hand).abs() < 1e-6, "{found} and {by_hand}");
    assert_ne!(found, loss_of("name = 'noise'\nsigma = 0.3", &x, &[1, 2, 3, 4]));
}

#[test]
fn a_length_that_is_none_is_refused() {
    for sigma in ["0", "-1", "nan"] {
        let told = objective(&toml::from_str(&format!("name = 'noise'\nsigma = {sigma}")).unwrap());
        let told = format!("{:#}", told.map(|_| ()).unwrap_err());
        assert!(told.contains("`sigma`"), "{sigma}: {told}");
    }
}

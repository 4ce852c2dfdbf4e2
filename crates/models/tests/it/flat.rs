//! All weights in one buffer: the network computes what it did, and sees what happens to the buffer.

use models::{
    Classifier, Model, Role,
    params::flat::Flat,
    zoo::{self, Normalisation, Shape},
};
use std::collections::BTreeMap;
use tch::{Device, Kind, Tensor};

fn network(channels_last: bool) -> Classifier {
    let shape = Shape { image: [3, 8, 8], classes: 3 };
    let scale = Normalisation::parse("0.5/0.25", 3).unwrap();
    let model = Classifier::new(zoo::arch("resnet20").unwrap(), shape, scale, 3, Device::Cpu);
    model.to_device(Device::Cpu, channels_last)
}

fn strides(model: &Classifier) -> Vec<Vec<i64>> {
    model.params().weights().iter().map(|(_, w)| w.stride()).collect()
}

#[test]
fn a_network_computes_what_it_did_and_follows_the_buffer() {
    let x = Tensor::linspace(0., 1., 2 * 192, (Kind::Float, Device::Cpu)).view([2, 3, 8, 8]);
    for channels_last in [false, true] {
        let model = network(channels_last);
        let (before, laid) = (model.logits(&x), strides(&model));
        let copies: BTreeMap<String, Tensor> =
            model.params().tensors().into_iter().map(|(name, t)| (name, t.copy())).collect();
        let flat = Flat::new(model.params());
        assert!(model.logits(&x).equal(&before), "the same bits");
        assert_eq!(strides(&model), laid, "the same layout");
        let split = flat.split(flat.values());
        assert_eq!(split.len(), copies.len(), "every tensor of a ResNet-20 is in the buffer");
        assert!(split.iter().all(|(name, t)| t.equal(&copies[name])));
        assert!(
            split
                .iter()
                .all(|(_, t)| t.data_ptr() as usize % 64 == flat.values().data_ptr() as usize % 64)
        );

        let _ = tch::no_grad(|| flat.values().shallow_clone().g_mul_scalar_(0.5));
        for (name, t) in model.params().tensors() {
            assert!(t.equal(&(&copies[&name] * 0.5)), "`{name}` follows");
        }
        assert!(!model.logits(&x).equal(&before));
    }
}

#[test]
fn gradients_are_laid_out_as_their_weights() {
    let model = network(true);
    let flat = Flat::new(model.params());
    let weights = model.params().weights();
    // One without a gradient, one whose gradient has another layout.
    let of: Vec<Tensor> = weights
        .iter()
        .enumerate()
        .map(|(i, (_, w))| if i == 4 { Tensor::new() } else { (w.detach() * 3.).contiguous() })
        .collect();
    let gradients = flat.gradients(&of);
    assert_eq!(gradients.values.size(), [flat.trained()]);
    assert_eq!(gradients.runs.len(), 2);
    for (i, (name, g)) in flat.split(&gradients.values).into_iter().enumerate() {
        assert_eq!(name, weights[i].0);
        let expected = if i == 4 { g.zeros_like() } else { of[i].shallow_clone() };
        assert!(g.equal(&expected), "`{name}`");
    }
    assert_eq!(gradients.given.iter().filter(|given| !**given).count(), 1);
    let total: i64 = gradients.runs.iter().map(|run| run.end - run.start).sum();
    assert!(total < flat.trained());
}

#[test]
fn what_is_never_trained_stays_outside() {
    let builder = models::Builder::new(0, Device::Cpu);
    let w = builder.weight("w", &[3], models::Init::Const(2.));
    let mask = builder.buffer("mask", &[2], models::Init::Const(f64::NEG_INFINITY), Role::Fixed);
    let mean = builder.buffer("mean", &[5], models::Init::Const(7.), Role::Mean);
    let flat = Flat::new(&builder.params());
    assert_eq!((flat.trained(), flat.values().size()), (16, vec![32]));
    let _ = tch::no_grad(|| flat.values().shallow_clone().g_add_scalar_(1.));
    assert_eq!((w.double_value(&[2]), mean.double_value(&[4])), (3., 8.));
    assert_eq!(mask.double_value(&[0]), f64::NEG_INFINITY);
    let none = flat.gradients(&[Tensor::new()]);
    assert!(
        none.runs.is_empty() && none.values.equal(&Tensor::zeros([16], (Kind::Float, Device::Cpu)))
    );
}

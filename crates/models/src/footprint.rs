//! What one image costs a pass, found by making one.

use crate::{Activation, Affine, Classifier, Ops, Pool};
use std::cell::Cell;
use tch::{Kind, Tensor};

/// What a pass over one image holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// Bytes of everything a pass makes that its gradient needs.
    pub bytes: usize,
    /// Products of its convolutions and linear layers, each with a sum. Of what else a network
    /// multiplies, such as attention, none is counted.
    pub products: u64,
    /// Those of the first of them.
    pub first_products: u64,
    /// Whether a batch norm sees one value a channel, which has no variance.
    pub lone: bool,
}

impl Classifier {
    /// Of this network, which it is asked for with a black image.
    pub fn footprint(&self) -> Footprint {
        let [c, h, w] = self.shape.image;
        let x = Tensor::zeros([1, c, h, w], (Kind::Float, self.device()));
        let meter = Meter::default();
        let _ = tch::no_grad(|| self.uncounted(&x, &meter));
        let bytes = meter.bytes.get() * self.stand_in().copies() as usize;
        let copies = self.stand_in().copies();
        let [products, first_products] = [&meter.products, &meter.first].map(|n| n.get() * copies);
        Footprint { bytes, products, first_products, lone: meter.lone.get() }
    }
}

/// Counts what each operation makes.
#[derive(Default)]
struct Meter {
    bytes: Cell<usize>,
    products: Cell<u64>,
    first: Cell<u64>,
    lone: Cell<bool>,
}

impl Meter {
    fn counted(&self, made: Tensor) -> Tensor {
        self.bytes.set(self.bytes.get() + made.numel() * made.kind().elt_size_in_bytes());
        made
    }
}

impl Ops for Meter {
    fn normalise(&self, x: &Tensor, mean: &Tensor, std: &Tensor) -> Tensor {
        self.counted((x - mean) / std)
    }

    fn act(&self, activation: &Activation, x: &Tensor) -> Tensor {
        self.counted(activation.apply(x))
    }

    fn affine(&self, layer: &Affine, x: &Tensor) -> Tensor {
        let z = layer.eval(x);
        let weight = layer.weights().0;
        let products = (z.numel() * weight.numel() / weight.size()[0] as usize) as u64;
        if self.products.replace(self.products.get() + products) == 0 {
            self.first.set(products);
        }
        let size = z.size();
        let places: i64 = size[2.min(size.len())..].iter().product();
        if layer.has_norm() && places == 1 {
            self.lone.set(true);
        }
        self.counted(z)
    }

    fn max_pool(&self, pool: Pool, x: &Tensor) -> Tensor {
        self.counted(pool.apply(x))
    }

    fn other(&self, y: Tensor) -> Tensor {
        self.counted(y)
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        Classifier,
        zoo::{self, Normalisation, Shape},
    };
    use tch::Device;

    fn network(arch: &str, side: i64) -> Classifier {
        let shape = Shape { image: [3, side, side], classes: 10 };
        let normalisation = Normalisation::parse("none", 3).unwrap();
        Classifier::new(zoo::arch(arch).unwrap(), shape, normalisation, 0, Device::Cpu)
    }

    #[test]
    fn it_grows_with_the_area_of_an_image() {
        let [small, large] = [32, 64].map(|side| network("resnet20", side).footprint().bytes);
        // 7 layers of 16 channels at 32×32, 6 of 32 at 16×16, 6 of 64 at 8×8, and what follows each
        let layers = 4 * 1024 * (7 * 16 + 6 * 8 + 6 * 4);
        assert!((2 * layers..3 * layers).contains(&small), "{small}, {layers}");
        assert!((39..41).contains(&(large * 10 / small)), "{large}, {small}");
    }

    #[test]
    fn products_are_those_of_the_layers() {
        let found = network("resnet20", 32).footprint();
        // kernel, channels in and out, places
        let layers = [
            (9 * 3 * 16 * 1024, 1),
            (9 * 16 * 16 * 1024, 6),
            (9 * 16 * 32 * 256, 1),
            (9 * 32 * 32 * 256, 5),
            (9 * 32 * 64 * 64, 1),
            (9 * 64 * 64 * 64, 5),
            (64 * 10, 1),
        ];
        assert_eq!(found.products, layers.iter().map(|(each, count)| each * count).sum::<u64>());
        assert_eq!(found.first_products, layers[0].0);
    }

    #[test]
    fn a_norm_of_one_value_is_seen() {
        let lone = |arch, side| network(arch, side).footprint().lone;
        assert!(lone("resnet18-imagenet", 32) && !lone("resnet18-imagenet", 64));
        assert!(!lone("resnet20", 32));
    }
}

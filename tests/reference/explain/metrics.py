"""Writes crates/explain/tests/golden/metrics.safetensors: metrics by captum and Quantus.

    pip install -r tests/reference/requirements.txt
    PYTHONPATH=tests/reference python tests/reference/explain/metrics.py

ResNet-20 on four 3x8x8 images, weights and images by the rule of logits.py, in double precision,
saliency maps of the logit of the second class. The object of an image is where the first channel of
the image four places later is below 0.4. Perturbations are those our metrics draw: `normal` and
`uniform` repeat crates/models/src/numeric/noise.rs, their keys those of metric/infidelity.rs and of `Neighbourhood` in
metric/robustness.rs. One number an image, [4]; names are the columns of our metrics, after a point the
option that is not the default. Where a definition differs, it is converted here, and a comment says so.

Quantus asks for numpy < 2 only for TensorFlow. Its own areas under curves do call `numpy.trapz`, which
numpy 2.4 no longer has; they are not used.
"""

import itertools
from pathlib import Path

import numpy as np
import quantus
import torch
from captum.attr import Saliency
from captum.metrics import infidelity, sensitivity_max

import networks
import store
from logits import filled
from logits import uniform as by_rule
from surrogates import ALL, key, mix

OUT = Path(__file__).resolve().parents[3] / "crates/explain/tests/golden/metrics.safetensors"
IMAGES, SHAPE = 4, (3, 8, 8)
SAMPLES = 20
SIGMA, RADIUS = 0.03, 0.1
STEPS, PIXELS = 16, 64
QUIET = {"disable_warnings": True, "normalise": False}


def name_id(name):
    found = 0xCBF29CE484222325
    for byte in name.encode():
        found = (found ^ byte) * 0x100000001B3 & ALL
    return found


def uniform(k, count):
    """U[0, 1) of one key, f32."""
    place = np.arange(count, dtype=np.uint64) * np.uint64(0x9E3779B1) + np.uint64(k & 0xFFFFFFFF)
    bits = mix(mix(place & np.uint64(0xFFFFFFFF)) ^ np.uint64(k >> 32))
    return torch.from_numpy((bits >> np.uint64(8)).astype(np.float32) / np.float32(2**24))


def normal(k, count):
    """N(0, 1) of one key, f32, rounded from f64."""
    half = (count + 1) // 2
    u, angle = uniform(k, 2 * half).double().split(half)
    angle, radius = angle * (2 * np.pi), ((-u).log1p() * -2).sqrt()
    return torch.cat([radius * angle.cos(), radius * angle.sin()])[:count].float()


def drawn(name, sample, draw):
    """What a metric draws for this sample of every image, [N, C, H, W]."""
    own = [key(key(0, image, 0), name_id(name), 0) for image in range(IMAGES)]
    inner = (name_id("perturbation"), sample) if name == "infidelity" else (sample, 0)
    return torch.stack([draw(key(k, *inner), int(np.prod(SHAPE))).double().reshape(SHAPE) for k in own])


def signed(k, count):
    return uniform(k, count) * 2 - 1


class Network(torch.nn.Module):
    """Logits of images in [0, 1], in double precision: Quantus hands images over in single."""

    def __init__(self):
        super().__init__()
        self.inner = filled(networks.NETWORKS["resnet20"][0]).double()
        self.mean, self.std = (torch.tensor(t).double().reshape(1, 3, 1, 1) for t in networks.IMAGENET)

    def forward(self, x):
        return self.inner((x.double() - self.mean) / self.std)


def by_captum(network, x, target, maps):
    # captum repeats each image for all its samples; ours go sample after sample.
    def samples(name, draw):
        return torch.stack([drawn(name, s, draw) for s in range(SAMPLES)], 1).flatten(0, 1)

    def perturbed(inputs):
        i = samples("infidelity", normal) * 0.2
        return i, inputs - i

    def near(inputs, radius):
        return inputs + samples("sensitivity", signed) * radius

    asked = {"target": target, "n_perturb_samples": SAMPLES}
    explain = Saliency(network).attribute
    return {
        "infidelity": infidelity(network, perturbed, x, maps, normalize=True, **asked),
        "infidelity.unscaled": infidelity(network, perturbed, x, maps, **asked),
        "max-sensitivity": sensitivity_max(explain, x, near, RADIUS, abs=False, **asked),
    }


def by_quantus_near(network, x, target, maps):
    """Those that look at neighbours, one sample of all images a step."""

    def neighbours(name, draw, size):
        step = itertools.count()

        def perturb(arr, **_):
            return arr + size * drawn(name, next(step), draw).flatten(1).numpy()

        return perturb

    def explain(model, inputs, targets, **_):
        inputs, targets = torch.from_numpy(inputs), torch.from_numpy(targets)
        return Saliency(model).attribute(inputs, targets, abs=False).numpy()

    def run(metric, *noise, **options):
        metric = metric(nr_samples=SAMPLES, perturb_func=neighbours(*noise), **options, **QUIET)
        return metric(network, x.numpy(), target.numpy(), maps.numpy(), explain_func=explain)

    l2 = quantus.similarity_func.distance_euclidean
    norms = {"norm_numerator": l2, "norm_denominator": l2}
    return {
        "lipschitz": run(quantus.LocalLipschitzEstimate, "lipschitz", normal, SIGMA, **norms),
        "max-sensitivity.quantus": run(quantus.MaxSensitivity, "sensitivity", signed, RADIUS),
        "avg-sensitivity": run(quantus.AvgSensitivity, "sensitivity", signed, RADIUS),
    }


def area(network, x, target, relevance, gone):
    # Quantus flips numbers, the three of a pixel after one another, and wants steps that divide the pixels:
    # it takes a third of one of ours. `black` would be the least value of the image, so the baseline is
    # given as a number. Quantus' curve starts after the first step and its area has steps of length 1;
    # ours starts at the image, over shares of the pixels.
    flip = quantus.PixelFlipping(features_in_step=PIXELS // STEPS, perturb_baseline=gone, **QUIET)
    curve = np.array(flip(network, x.numpy(), target.numpy(), relevance, softmax=True))[:, 2::3]
    before = network(x).softmax(1).gather(1, target[:, None]).detach().numpy()
    assert curve.shape == (IMAGES, STEPS)
    return np.trapezoid(np.concatenate([before, curve], 1), dx=1 / STEPS, axis=1)


def by_quantus(network, x, target, maps, masks):
    heat = maps.abs().sum(1, keepdim=True).numpy()
    place = {"s_batch": masks[:, None].numpy()}

    def run(metric, heat=heat, options={}, **more):
        metric = metric(abs=True, **options, **QUIET)
        return metric(network, x.numpy(), target.numpy(), heat.copy(), **more)

    # Quantus' `normalise` would divide by the largest number of the whole batch.
    unit = heat / heat.max((1, 2, 3), keepdims=True)
    return {
        "deletion": area(network, x, target, heat, 0.0),
        "deletion.grey": area(network, x, target, heat, 0.5),
        "deletion.signed": area(network, x, target, maps.sum(1, keepdim=True).numpy(), 0.0),
        "preservation": area(network, x, target, heat.max() - heat, 0.0),
        "pointing": run(quantus.PointingGame, **place),
        "mass": run(quantus.RelevanceMassAccuracy, **place),
        "rank": run(quantus.RelevanceRankAccuracy, **place),
        # Quantus adds 1e-7 to every number before it takes the Gini index, which has no unit.
        "sparseness": run(quantus.Sparseness, heat=unit * 1e6),
        "entropy": run(quantus.Complexity),
        "effective": run(quantus.EffectiveComplexity, heat=unit, options={"eps": 0.3}),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    images = torch.from_numpy(by_rule("images", 2 * IMAGES * int(np.prod(SHAPE)))).reshape(-1, *SHAPE)
    x, masks = images[:IMAGES], images[IMAGES:, 0] < 0.4
    network = Network().eval()
    target = network(x).topk(2).indices[:, 1]
    maps = Saliency(network).attribute(x, target, abs=False)
    found = by_captum(network, x, target, maps)
    found |= by_quantus_near(network, x, target, maps)
    found |= by_quantus(network, x, target, maps, masks)
    arrays = {name: np.asarray(torch.as_tensor(t), np.float64) for name, t in found.items()}
    for name, values in arrays.items():
        print(f"{name}: {values}")
    store.write(OUT, arrays)

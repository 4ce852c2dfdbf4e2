"""Writes crates/explain/tests/golden/masker.safetensors: a masker of RT-Sal over ResNet-20, by PyTorch.

    pip install -r tests/reference/requirements.txt
    PYTHONPATH=tests/reference python tests/reference/explain/masker.py

The decoder of Dabkowski & Gal 2017 as crates/explain/src/masker.rs has it, over the ends of two stages
of ResNet-20 on two 3x8x8 images, in double precision; weights of all by the rule of logits.py. The file
is a masker by itself: its own tensors, `mask` [2, 1, 8, 8] for the classes `class` [2], `back`
[2, 3, 8, 8], the gradient of the sum of mask * `cotangent`, and `loss` [2] of a step whose filling is
0.5 everywhere: Equation 3 with the weights of `WEIGHTS`.
"""

from pathlib import Path

import torch
import torch.nn.functional as F

import networks
import store
from logits import filled, uniform

OUT = Path(__file__).resolve().parents[3] / "crates/explain/tests/golden/masker.safetensors"
WIDTH, CLASSES = 6, 10
# Coarsest first.
TAPS = {"layer3": 64, "layer2": 32}
WEIGHTS = {"area": 4.0, "variation": 1.0, "left": 5.0, "power": 0.3}


def tensors():
    shapes = {"mask": (1, WIDTH, 3, 3), "class": (CLASSES, WIDTH, 1, 1)}
    for i, channels in enumerate(TAPS.values()):
        shapes[f"lateral{i}"] = (WIDTH, channels, 1, 1)
        if i > 0:
            shapes[f"merge{i}"] = (WIDTH, 2 * WIDTH, 3, 3)
    for name, shape in shapes.items():
        count = torch.Size(shape).numel()
        weight = torch.from_numpy(uniform(f"{name}.weight", count)).reshape(shape) - 0.5
        yield f"{name}.weight", weight * (12 / (count / shape[0])) ** 0.5
        yield f"{name}.bias", torch.from_numpy(uniform(f"{name}.bias", shape[0])) - 0.5


def decoded(p, seen, target):
    def layer(name, x):
        weight = p[f"{name}.weight"]
        return F.conv2d(x, weight, p[f"{name}.bias"], padding=weight.shape[2] // 2)

    def level(i):
        size = seen[i].square().mean((1, 2, 3), keepdim=True).sqrt()
        return F.relu(layer(f"lateral{i}", seen[i] / (size + 1e-6)))

    z = level(0)
    found = F.conv2d(z, p["class.weight"], p["class.bias"])  # every class at every place
    z = z * torch.stack([places[c] for places, c in zip(found, target)]).unsqueeze(1).sigmoid()
    for i in range(1, len(seen)):
        finer = level(i)
        up = F.interpolate(z, finer.shape[2:], mode="bilinear", align_corners=False)
        z = F.relu(layer(f"merge{i}", torch.cat([up, finer], 1)))
    return layer("mask", z).sigmoid()


def loss(logits, x, mask, target):
    whole = F.interpolate(mask, x.shape[2:], mode="bilinear", align_corners=False)
    kept = x * whole + 0.5 * (1 - whole)
    left = x * (1 - whole) + 0.5 * whole
    p = [logits(images).softmax(1).gather(1, target[:, None])[:, 0] for images in (kept, left)]
    down, across = mask.diff(dim=2), mask.diff(dim=3)
    cells = mask[0].numel()
    variation = (down.square().sum((1, 2, 3)) + across.square().sum((1, 2, 3))) / cells
    w = WEIGHTS
    of_mask = w["variation"] * variation + w["area"] * mask.mean((1, 2, 3))
    return of_mask - p[0].log() + w["left"] * (p[1] + 1e-6) ** w["power"]


if __name__ == "__main__":
    torch.set_num_threads(1)
    x = torch.from_numpy(uniform("images", 2 * 3 * 8 * 8)).reshape(2, 3, 8, 8)
    network = filled(networks.NETWORKS["resnet20"][0]).double()
    mean, std = (torch.tensor(t).double().reshape(1, 3, 1, 1) for t in networks.IMAGENET)
    seen = {}
    for tap in TAPS:
        keep = lambda _module, _inputs, output, tap=tap: seen.update({tap: output})
        getattr(network, tap).register_forward_hook(keep)

    def logits(images):
        return network((images - mean) / std)

    p = dict(tensors())
    target = torch.tensor([3, 8])
    cotangent = torch.from_numpy(uniform("cotangent", 2 * 8 * 8)).reshape(2, 1, 8, 8)
    x.requires_grad_(True)
    logits(x)
    mask = decoded(p, [seen[tap] for tap in TAPS], target)
    whole = F.interpolate(mask, x.shape[2:], mode="bilinear", align_corners=False)
    (back,) = torch.autograd.grad((whole * cotangent).sum(), x)
    with torch.no_grad():
        values = loss(logits, x, mask, target)
        found = {"mask": whole, "back": back, "cotangent": cotangent, "loss": values}
    print({name: t.flatten()[:3].tolist() for name, t in found.items()})
    arrays = {name: t.detach().float().numpy() for name, t in (p | found).items()}
    store.write(OUT, arrays | {"class": target.numpy()})

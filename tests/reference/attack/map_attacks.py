"""The published attacks on attribution maps in plain PyTorch: how strong ours have to be.

    pip install -r tests/reference/requirements.txt
    PYTHONPATH=tests/reference python tests/reference/attack/map_attacks.py CIFAR10_FOLDER --images 64 > reference.json
    target/release/gradproof attack --weights weights/resnet20-cifar10-natural.safetensors \\
        --data cifar10:CIFAR10_FOLDER --limit 64 --method ig:points=10 --attack topk --json > ours.json

`topk` and `mass-centre` (Ghorbani et al. 2019) and `manipulate` (Dombrowski et al. 2019) as Wang et
al. 2020 used them: sign steps on a network with softplus in place of every ReLU, clamped to the l-inf
ball and to [0, 1]; after every step the network with ReLUs decides, and of the iterates that keep
its prediction the one with the best own measure is the result. Heat maps are |map| summed over
channels, divided by the sum. An image with no such iterate counts with its clean map.

Written from the papers; where the released code leaves a choice:
- `mass-centre`: the centre that is moved away from is cut to whole pixels as released, or the loss
  would start where it is flat (`--centre float` does not cut it: the surrogate's centre differs
  a little). Iterates are judged by the shift from the centre that is not cut.
- `manipulate`: the target is the clean map of the next image, the last one's that of the first.
  1e11 and 1e6 are for 224x224 pixels, 1,000 classes: here times (pixels/224^2)^2 and classes/1000.
  Outputs are compared on the surrogate, after the softmax (`--outputs logits`: before; a change of
  logits is not bounded, and this term then holds the map back).
- SmoothGrad's noise is drawn once for each image; `fresh` judges the results by other noise.

JSON on stdout: for each attack and method `eps` (means over all images, `success`), and areas under
metrics over log2(255 eps): `auc` of each radius by itself, as published, and `auc_nested`, which lets
a radius keep what a smaller one found, as gradproof does (which also starts from there). With
`--single` one image at a time, as the released code works; else as many as give ROWS images a pass.
"""

import argparse
import json
import struct
import sys
import time
import types
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import spearmanr

import networks

WEIGHTS = Path(__file__).resolve().parents[3] / "weights/resnet20-cifar10-natural.safetensors"
ATTACKS = ["topk", "mass-centre", "manipulate"]
STEP = 0.5 / 255

# The networks' functions, so that their ReLU can be another one for a while.
networks.F = types.SimpleNamespace(**vars(F))


@contextmanager
def softplus(beta):
    networks.F.relu = lambda x: F.softplus(x, beta)
    yield
    networks.F.relu = F.relu


def read(path):
    """A safetensors file: its arrays and its metadata."""
    raw = Path(path).read_bytes()
    size = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8 : 8 + size])
    metadata = header.pop("__metadata__", {})
    kinds = {"F32": "<f4", "F64": "<f8", "I64": "<i8", "U8": "u1"}

    def array(entry):
        begin, end = (8 + size + offset for offset in entry["data_offsets"])
        return np.frombuffer(raw[begin:end], kinds[entry["dtype"]]).reshape(entry["shape"]).copy()

    return {name: array(entry) for name, entry in header.items()}, metadata


class Normalised(torch.nn.Module):
    def __init__(self, network, mean, std):
        super().__init__()
        self.network, self.mean, self.std = network, mean, std

    def forward(self, x):
        return self.network((x - self.mean) / self.std)


def classifier(path, fused=False):
    """One of our weights files; `fused`: batch norms are part of the convolutions before them."""
    arrays, metadata = read(path)
    network = networks.NETWORKS[metadata["arch"]][0]().eval()
    state = {name: torch.from_numpy(array) for name, array in arrays.items()}
    absent = [name for name in network.load_state_dict(state, strict=False)[0] if "num_batches" not in name]
    assert not absent and set(state) <= set(network.state_dict()), absent
    network.requires_grad_(False)
    if fused:
        fuse(network)
    parts = [[float(value) for value in part.split(",")] for part in metadata["normalise"].split("/")]
    return Normalised(network, *[torch.tensor(part).reshape(1, -1, 1, 1) for part in parts])


def fuse(module):
    for name, child in list(module.named_children()):
        if name.startswith("bn"):
            conv = "conv" + name[2:]
            fused = torch.nn.utils.fusion.fuse_conv_bn_eval(getattr(module, conv), child)
            setattr(module, conv, fused.requires_grad_(False))
            setattr(module, name, torch.nn.Identity())
        fuse(child)


def cifar10(folder, n):
    """The first test images in [0, 1] and their labels."""
    path = Path(folder)
    path = path / "test_batch.bin" if path.is_dir() else path
    records = np.fromfile(path, np.uint8).reshape(-1, 3073)[:n]
    images = torch.from_numpy(records[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32) / 255)
    return images, torch.from_numpy(records[:, 0].astype(np.int64))


# Methods: map(network, x, label, noise, graph) -> signed map, logits at x.


def gradient(network, points, label, graph):
    logits = network(points)
    score = logits.gather(1, label[:, None]).sum()
    return torch.autograd.grad(score, points, create_graph=graph)[0], logits


def tracked(x, graph):
    return x if graph else x.detach().requires_grad_()


def gxi(network, x, label, noise, graph):
    x = tracked(x, graph)
    g, logits = gradient(network, x, label, graph)
    return g * x, logits


def ig(network, x, label, noise, graph, n=10):
    points = torch.cat([x * (i / n) for i in range(1, n + 1)])
    g, logits = gradient(network, tracked(points, graph), label.repeat(n), graph)
    return g.reshape(n, *x.shape).mean(0) * x, logits[-len(x) :]  # the last point is x


def smoothgrad(network, x, label, noise, graph):
    n = len(noise)
    points = (x + noise).reshape(-1, *x.shape[1:])
    g, _ = gradient(network, tracked(points, graph), label.repeat(n), graph)
    return g.reshape(n, *x.shape).mean(0), network(x) if graph else network(x.detach())


METHODS = {"gxi": (gxi, 1), "ig": (ig, 10), "smoothgrad": (smoothgrad, 10)}


def draws(numbers, salt, shape, sigma=0.03, n=10):
    """SmoothGrad's noise of the images of these numbers, [n, N, C, H, W]."""
    one = lambda i: torch.randn(n, *shape, generator=torch.Generator().manual_seed(2 * i + salt))
    return sigma * torch.stack([one(i) for i in numbers], 1)


def heat(m):
    mass = m.abs().sum(1)
    total = mass.sum((1, 2), keepdim=True)
    return mass / (total + (total == 0))


def top(h, k):
    order = h.flatten(1).argsort(dim=1, descending=True, stable=True)[:, :k]
    return torch.zeros(h.flatten(1).shape, dtype=torch.bool).scatter(1, order, True)


def centre(h):
    at = torch.arange(h.shape[1], dtype=h.dtype)
    return torch.stack([(h.sum(2) * at).sum(1), (h.sum(1) * at).sum(1)], 1)


def judged(attack, h, clean):
    """The attack's own measure of heat maps of the network with ReLUs; less is stronger."""
    if attack == "topk":
        return (top(h, clean["k"]) & clean["top"]).sum(1) / clean["k"]
    if attack == "mass-centre":
        return -(centre(h) - clean["centre"]).norm(dim=1)
    return (h - clean["target"]).square().mean((1, 2))


def loss(attack, h, logits, clean, settings):
    """What is descended; `h` and `logits` of the surrogate."""
    if attack == "topk":
        return (h.flatten(1) * clean["top"]).sum(1)
    if attack == "mass-centre":
        from_ = clean["centre"].trunc() if settings.centre == "truncated" else clean["centre"]
        return -(centre(h) - from_).square().sum(1)
    pixels, classes = h[0].numel(), logits.shape[1]
    gamma1, gamma2 = 1e11 * (pixels / 224**2) ** 2, 1e6 * classes / 1000
    apart = output(logits, settings) - clean["output"]
    return gamma1 * (h - clean["target"]).square().mean((1, 2)) + gamma2 * apart.square().mean(1)


def output(logits, settings):
    return logits.softmax(1) if settings.outputs == "softmax" else logits


def attacked(network, attack, method, x0, noise, target, eps, settings):
    """One batch at one radius: the best iterates and their heat maps and measures."""
    logits, h0, clean = start(network, attack, method, x0, noise, target, settings)
    label = logits.argmax(1)
    best = {"x": x0, "heat": h0, "measure": judged(attack, h0, clean)}
    best["success"] = torch.zeros(len(x0), dtype=torch.bool)
    x = x0
    for _ in range(settings.iters):
        x = x.detach().requires_grad_()
        with softplus(settings.beta):
            m, logits = METHODS[method][0](network, x, label, noise, True)
            g = torch.autograd.grad(loss(attack, heat(m), logits, clean, settings).sum(), x)[0]
        x = x0 + (x.detach() - STEP * g.sign() - x0).clamp(-eps, eps)
        x = x.clamp(0, 1)
        m, logits = METHODS[method][0](network, x, label, noise, False)
        h = heat(m.detach())
        now = {"x": x, "heat": h, "measure": judged(attack, h, clean)}
        now["success"] = (logits.argmax(1) == label) & (now["measure"] < best["measure"])
        best = better(best, now, now["success"])
    return best, label, h0


def start(network, attack, method, x0, noise, target, settings):
    logits = network(x0)
    label = logits.argmax(1)
    h0 = heat(METHODS[method][0](network, x0, label, noise, False)[0].detach())
    clean = {"k": settings.k, "top": top(h0, settings.k), "centre": centre(h0), "target": target}
    with softplus(settings.beta):
        clean["output"] = output(network(x0), settings)
    return logits, h0, clean


def better(a, b, which):
    """Per image b where `which`, else a; success is either's."""
    pick = lambda s, t: torch.where(which.reshape(-1, *[1] * (s.dim() - 1)), t, s)
    both = {name: pick(a[name], b[name]) for name in a}
    return both | {"success": a["success"] | b["success"]}


def similarities(a, b, k):
    """Two heat maps [N, H, W]: per image, in double precision."""
    rank = [spearmanr(p.flatten(), q.flatten()).statistic for p, q in zip(a.numpy(), b.numpy())]
    inside = (top(a, k) & top(b, k)).sum(1) / k
    a, b = a.double(), b.double()
    return {
        "k-in": inside.double().numpy(),
        "cor": np.array(rank),
        "cdl": (centre(a) - centre(b)).norm(dim=1).numpy(),
        "cosd": 1 - F.cosine_similarity(a.flatten(1), b.flatten(1)).numpy(),
    }


def clean_maps(network, method, x, numbers, rows, salt=0):
    size = max(1, rows // METHODS[method][1])
    found = []
    for part, own in zip(x.split(size), torch.tensor(numbers).split(size)):
        noise = draws(own.tolist(), salt, x.shape[1:])
        label = network(part).argmax(1)
        found.append(heat(METHODS[method][0](network, part, label, noise, False)[0].detach()))
    return torch.cat(found)


def area(by_eps, name):
    """Trapezoid over log2 of the radius."""
    radii = sorted(by_eps)
    pairs = zip(radii, radii[1:])
    return sum(np.log2(b / a) * (by_eps[a][name] + by_eps[b][name]) / 2 for a, b in pairs)


def cell(network, attack, method, x, settings):
    """One attack on one method at every radius."""
    size = 1 if settings.single else max(1, settings.rows // METHODS[method][1])
    targets = clean_maps(network, method, x, range(len(x)), settings.rows).roll(-1, 0)
    kinds = ["alone", "nested"] + ["fresh"] * (method == "smoothgrad")
    scores = {kind: {eps: [] for eps in settings.eps} for kind in kinds}
    seconds = 0
    for numbers in torch.arange(len(x)).split(size):
        part, before = x[numbers], None
        noise = draws(numbers.tolist(), 0, x.shape[1:])
        for eps in settings.eps:
            begin = time.perf_counter()
            found, label, h0 = attacked(network, attack, method, part, noise, targets[numbers], eps / 255, settings)
            seconds += time.perf_counter() - begin
            nested = better(found, before, before["measure"] < found["measure"]) if before else found
            add(scores["alone"][eps], h0, found, settings)
            add(scores["nested"][eps], h0, nested, settings)
            if "fresh" in kinds:
                other = draws(numbers.tolist(), 1, x.shape[1:])
                maps = [smoothgrad(network, y, label, other, False)[0].detach() for y in (part, nested["x"])]
                add(scores["fresh"][eps], heat(maps[0]), nested | {"heat": heat(maps[1])}, settings)
            before = nested
        print(f"{attack} {method}: {numbers[-1] + 1} of {len(x)} images, {seconds:.0f} s", file=sys.stderr)
    result = {"attack": attack, "method": method, "seconds": seconds}
    result["image_iterations_per_s"] = len(x) * len(settings.eps) * settings.iters / seconds
    for kind in kinds:
        means = {eps: {n: float(np.mean([s[n] for s in rows])) for n in rows[0]} for eps, rows in scores[kind].items()}
        suffix = {"alone": ""}.get(kind, f"_{kind}")
        result["eps" + suffix] = means
        metrics = [name for name in means[settings.eps[0]] if name != "success"]
        result["auc" + suffix] = {name: area(means, name) for name in metrics if len(means) > 1}
    return result


def add(rows, h0, found, settings):
    values = similarities(h0, found["heat"], settings.k) | {"success": found["success"].double().numpy()}
    rows.extend(dict(zip(values, map(float, image))) for image in zip(*values.values()))


def options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="folder with CIFAR-10's test_batch.bin, or that file")
    parser.add_argument("--weights", default=WEIGHTS)
    parser.add_argument("--images", type=int, default=64, help="the first so many")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--attacks", nargs="+", default=ATTACKS, choices=ATTACKS)
    parser.add_argument("--eps", nargs="+", type=float, default=[2, 4, 8, 16], help="in 255ths, ascending")
    parser.add_argument("--iters", type=int, default=50)
    parser.add_argument("--k", type=int, default=20)
    parser.add_argument("--beta", type=float, default=20)
    parser.add_argument("--centre", default="truncated", choices=["truncated", "float"])
    parser.add_argument("--outputs", default="softmax", choices=["softmax", "logits"])
    parser.add_argument("--rows", type=int, default=64, help="images times samples in a pass")
    parser.add_argument("--single", action="store_true", help="one image at a time")
    parser.add_argument("--fused", action="store_true", help="batch norms inside convolutions")
    return parser


def main():
    settings = options().parse_args()
    network = classifier(settings.weights, settings.fused)
    x, y = cifar10(settings.data, settings.images)
    accuracy = (network(x).argmax(1) == y).double().mean().item()
    print(f"{len(x)} images, clean accuracy {100 * accuracy:.1f} %", file=sys.stderr)
    pairs = [(attack, method) for attack in settings.attacks for method in settings.methods]
    cells = [cell(network, attack, method, x, settings) for attack, method in pairs]
    told = {name: value for name, value in vars(settings).items() if name not in ("data", "weights")}
    told["weights"] = Path(settings.weights).name
    print(json.dumps({"settings": told, "images": len(x), "accuracy": accuracy, "cells": cells}, indent=1))


if __name__ == "__main__":
    main()

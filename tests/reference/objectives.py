"""Writes crates/train/tests/golden/objectives.safetensors: training objectives, with whole graphs.

    pip install -r tests/reference/requirements.txt && python tests/reference/objectives.py

A perceptron of two ELU layers in f64, its weights `weight.W`; images `x`, attacked images `x_adv`
[3, 1, 2, 3], labels `y`. Per case `CASE.parts` [2] (cross-entropy, penalty), `CASE.observed` [3],
`CASE.gradient.W`, and with an attack `CASE.value` [3] and `CASE.slope`: what the attack climbs at
`x_adv`. The cases are repeated in crates/train/tests/it/objective/robust.rs.
"""

from pathlib import Path

import torch
from torch.nn import functional as F

import store

OUT = Path(__file__).resolve().parents[2] / "crates/train/tests/golden/objectives.safetensors"
LAYERS = {"hidden1": (10, 6), "hidden2": (10, 10), "linear": (3, 10)}


def logits(weights, x):
    x = x.flatten(1)
    for name in LAYERS:
        x = F.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])
        x = F.elu(x) if name != "linear" else x
    return x


def losses(weights, x, y):
    return F.cross_entropy(logits(weights, x), y, reduction="none")


def image_gradient(weights, x, y):
    """With a graph into the weights, and into x if it has one."""
    x = x if x.requires_grad else x.clone().requires_grad_()
    return torch.autograd.grad(losses(weights, x, y).sum(), x, create_graph=True)[0]


def lengths(t):
    return t.flatten(1).square().sum(1)


def kl(p, q):
    return F.kl_div(q.log_softmax(1), p.log_softmax(1), reduction="none", log_target=True).sum(1)


def ig_norm(weights, x, x_adv, y, points, every=1):
    """L1 norm of the loss's integrated gradients from x to x_adv, by the k divisible by `every`."""
    total = torch.zeros_like(x)
    for k in range(every, points + 1, every):
        total = total + image_gradient(weights, x + k / points * (x_adv - x), y)
    return ((x_adv - x) * every / points * total).flatten(1).abs().sum(1)


def gradient_norm(weights, x, x_adv, y, weight):
    penalty = lengths(image_gradient(weights, x, y))
    return losses(weights, x, y), weight, penalty


def curvature(weights, x, x_adv, y, weight, h):
    g = image_gradient(weights, x, y)
    z = g.detach().sign()
    z = z / lengths(z).sqrt().view(-1, 1, 1, 1)
    return losses(weights, x, y), weight, lengths(image_gradient(weights, x + h * z, y) - g)


def trades(weights, x, x_adv, y, weight):
    return losses(weights, x, y), weight, kl(logits(weights, x), logits(weights, x_adv))


def ig(weights, x, x_adv, y, weight, points, every, at):
    return losses(weights, at(x, x_adv), y), weight, ig_norm(weights, x, x_adv, y, points)


def climbed(case, weights, x, x_adv, y, weight, points=1, every=1, at=None):
    if case == "trades":
        return kl(logits(weights, x).detach(), logits(weights, x_adv))
    norm = ig_norm(weights, x, x_adv, y, points, every)
    return losses(weights, x_adv, y) + weight * norm if case == "ig-sum-norm" else norm


CLEAN, ATTACKED = (lambda x, x_adv: x), (lambda x, x_adv: x_adv)
CASES = {
    "curvature": (curvature, {"weight": 4, "h": 0.75}),
    "gradient-norm": (gradient_norm, {"weight": 0.7}),
    "ig-norm": (ig, {"weight": 0.1, "points": 50, "every": 10, "at": CLEAN}),
    "ig-sum-norm": (ig, {"weight": 0.3, "points": 21, "every": 3, "at": ATTACKED}),
    "trades": (trades, {"weight": 6}),
}

if __name__ == "__main__":
    torch.manual_seed(0)
    draw = lambda *shape: torch.randn(*shape, dtype=torch.float64)
    weights = {f"{name}.weight": draw(*shape) * 0.7 for name, shape in LAYERS.items()}
    weights |= {f"{name}.bias": draw(shape[0]) * 0.3 for name, shape in LAYERS.items()}
    x = torch.rand(3, 1, 2, 3, dtype=torch.float64) * 0.6 + 0.2
    x_adv = x + (torch.rand_like(x) - 0.5) * 0.2
    y = torch.tensor([0, 2, 1])
    arrays = {"x": x, "x_adv": x_adv, "y": y} | {f"weight.{name}": w for name, w in weights.items()}
    for case, (objective, options) in CASES.items():
        w = {name: value.clone().requires_grad_() for name, value in weights.items()}
        ce, weight, penalty = objective(w, x, x_adv, y, **options)
        parts = torch.stack([ce.mean(), weight * penalty.mean()])
        parts.sum().backward()
        arrays |= {f"{case}.parts": parts.detach(), f"{case}.observed": penalty.detach()}
        arrays |= {f"{case}.gradient.{name}": t.grad for name, t in w.items()}
        if case in ("trades", "ig-norm", "ig-sum-norm"):
            at = x_adv.clone().requires_grad_()
            value = climbed(case, weights, x, at, y, **options)
            slope = torch.autograd.grad(value.sum(), at)[0]
            arrays |= {f"{case}.value": value.detach(), f"{case}.slope": slope}
    store.write(OUT, {name: t.numpy() for name, t in arrays.items()})

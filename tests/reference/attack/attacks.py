"""Writes crates/attack/tests/golden/attacks.safetensors: what torchattacks finds on a small network.

    pip install -r tests/reference/requirements.txt && PYTHONPATH=tests/reference python tests/reference/attack/attacks.py

Images 1x16x16 of ten classes, pale patterns in noise, by the rule of logits.py (`images` below);
the network is trained here and its weights are stored (`weight.*`). All in double precision.
`fgsm`, `pgd-linf`, `pgd-l2`: attacked images of the first FEW, no random start.
`apgd-LOSS-NORM.loss` and `.wrong`: best loss, and whether a mistake was seen, of one APGD run on
each image from a start by the rule. `square-NORM.wrong`: Square's mistakes. `fab-t-NORM.distance`:
how near FAB's mistake towards the strongest other class is, of the first FEW; `.wrong`: whether one
towards any of nine is within the ball.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import torchattacks

import store
from logits import uniform

OUT = Path(__file__).resolve().parents[3] / "crates/attack/tests/golden/attacks.safetensors"
COUNT, FEW, SIDE, CLASSES = 256, 24, 16, 10
EPS = {"Linf": 0.04, "L2": 0.5}
APGD_STEPS, QUERIES, FAB_STEPS = 50, 400, 20


def rule(name, *shape):
    return torch.from_numpy(uniform(name, int(np.prod(shape)))).double().reshape(shape)


def images(name, n):
    """Image i has class i % 10: 0.5 + 0.3 (pattern - 0.5) + 0.6 (noise - 0.5)."""
    y = torch.arange(n) % CLASSES
    patterns = rule("patterns", CLASSES, 1, SIDE, SIDE)
    return 0.5 + 0.3 * (patterns[y] - 0.5) + 0.6 * (rule(name, n, 1, SIDE, SIDE) - 0.5), y


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(1, 8, 3, stride=2, padding=1)
        self.conv2 = torch.nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.linear = torch.nn.Linear(16 * 4 * 4, CLASSES)

    def forward(self, x):
        x = F.relu(self.conv1((x - 0.5) * 4))
        return self.linear(F.relu(self.conv2(x)).flatten(1))


def trained():
    torch.manual_seed(0)
    network = Network()
    x, y = images("training", 2000)
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    for step in range(600):
        batch = torch.arange(step * 100, step * 100 + 100) % len(x)
        optimizer.zero_grad()
        F.cross_entropy(network(x[batch]), y[batch]).backward()
        optimizer.step()
    with torch.no_grad():  # as they are stored
        for parameter in network.parameters():
            parameter.copy_(parameter.float().double())
    return network.eval().requires_grad_(False)


class APGD(torchattacks.APGD):
    """Starts by the rule. The loss of the start stands before the first step's; as published, index
    -1 there reads the last row, which is still zero."""

    def check_oscillation(self, x, j, k, y5, k3=0.75):
        x = x.copy()
        if j == k - 1:
            x[-1] = self.first
        return super().check_oscillation(x, j, k, y5, k3)


def fab(network, norm, eps, x, y):
    """In double precision: the package casts to single, where ways near a boundary part."""
    single, torch.Tensor.float = torch.Tensor.float, torch.Tensor.double
    attack = torchattacks.FAB(network, norm=norm, eps=eps, steps=FAB_STEPS, multi_targeted=True, n_classes=10)
    attacked = attack(x, y)
    torch.Tensor.float = single
    return attacked


def apgd(network, x, y, norm, loss):
    attack = APGD(network, norm=norm, eps=EPS[norm], steps=APGD_STEPS, loss=loss)
    draw = rule("start", *x.shape)
    t = 2 * draw - 1
    length = t.abs().amax((1, 2, 3), True) if norm == "Linf" else t.square().sum((1, 2, 3), True).sqrt()
    logits = network((x + EPS[norm] * t / length).clamp(0, 1))
    first = F.cross_entropy(logits, y, reduction="none") if loss == "ce" else attack.dlr_loss(logits, y)
    attack.first = first.numpy()
    rand, randn = torch.rand, torch.randn
    torch.rand, torch.randn = lambda *_: draw, lambda *_: t
    _, right, best, _ = attack.attack_single_run(x, y)
    torch.rand, torch.randn = rand, randn
    return {"loss": best, "wrong": ~right}


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    network = trained()
    x, y = images("images", COUNT)
    right = network(x).argmax(1) == y
    print("right:", right.sum().item())
    arrays = {f"weight.{name}": p.float() for name, p in network.state_dict().items()}
    few = x[:FEW], y[:FEW]
    linf, l2 = EPS["Linf"], EPS["L2"]
    arrays["fgsm"] = torchattacks.FGSM(network, eps=linf)(*few)
    arrays["pgd-linf"] = torchattacks.PGD(network, eps=linf, alpha=linf / 4, steps=10, random_start=False)(*few)
    arrays["pgd-l2"] = torchattacks.PGDL2(
        network, eps=l2, alpha=l2 / 4, steps=10, random_start=False, eps_for_division=0
    )(*few)
    for norm, eps in EPS.items():
        for loss in ["ce", "dlr"]:
            for part, values in apgd(network, x, y, norm, loss).items():
                arrays[f"apgd-{loss}-{norm.lower()}.{part}"] = values
                print(norm, loss, part, values.double().mean().item())
        square = torchattacks.Square(network, norm=norm, eps=eps, n_queries=QUERIES)
        wrong = network(square(x, y)).argmax(1) != y
        print(norm, "square", wrong.sum().item())
        arrays[f"square-{norm.lower()}.wrong"] = wrong
        # In a ball that holds every image the first class that is tried is the only one.
        change = fab(network, norm, 1e3, *few) - few[0]
        length = change.abs().amax((1, 2, 3)) if norm == "Linf" else change.square().sum((1, 2, 3)).sqrt()
        arrays[f"fab-t-{norm.lower()}.distance"] = length
        wrong = network(fab(network, norm, eps, x, y)).argmax(1) != y
        print(norm, "fab-t", length.mean().item(), wrong.sum().item())
        arrays[f"fab-t-{norm.lower()}.wrong"] = wrong
    kinds = {torch.bool: torch.int64}
    store.write(OUT, {name: t.detach().to(kinds.get(t.dtype, t.dtype)).numpy() for name, t in arrays.items()})

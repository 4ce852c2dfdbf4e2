"""Writes crates/attack/tests/golden/map_losses.safetensors: the usual attack on maps in PyTorch.

    pip install -r tests/reference/requirements.txt && PYTHONPATH=tests/reference python tests/reference/attack/map_losses.py

A ResNet-20 and images [4, 3, 8, 8] by the rule of logits.py, in double precision, its predictions,
gradient x input. `spreads`: standard deviation of what goes into each ReLU over all images. For
LOSS `rank` and `share` of the topk objective, k = 5, and ITERATION of 50: `LOSS.ITERATION`, the
gradient in the images of the summed loss of heat maps, where each ReLU is a softplus of sharpness
10 * 30^(ITERATION / 50) / its spread.
"""

import types
from pathlib import Path

import torch
import torch.nn.functional as F

import networks
import store
from logits import filled, uniform

OUT = Path(__file__).resolve().parents[3] / "crates/attack/tests/golden/map_losses.safetensors"
K, ITERATIONS, START, END, TEMPERATURE = 5, 50, 10.0, 300.0, 0.1

networks.F = types.SimpleNamespace(**vars(F))


def with_relu(relu, run):
    networks.F.relu = relu
    found = run()
    networks.F.relu = F.relu
    return found


def spreads(network, x):
    found = []

    def noting(z):
        found.append(z.std(unbiased=False).item())
        return F.relu(z)

    with_relu(noting, lambda: network(x))
    return found


def softplus(beta, spreads):
    each = iter(spreads)
    return lambda z: F.softplus(z, beta / next(each), threshold=1e9)


def heat(network, x, target):
    score = network(x).gather(1, target[:, None]).sum()
    (g,) = torch.autograd.grad(score, x, create_graph=True)
    mass = (g * x).abs().sum(1).flatten(1)
    return mass / mass.sum(1, keepdim=True)


def rank(h, top):
    """Every pair of one of the top and one of the k largest others, one after another."""
    losses = []
    for row, own in zip(h, top):
        inside, outside = row[own], row[~own].sort(descending=True).values[:K]
        pairs = [torch.log1p((a / b) ** (1 / TEMPERATURE)) for a in inside for b in outside]
        losses.append(torch.stack(pairs).mean())
    return torch.stack(losses)


def share(h, top):
    inside = (h * top).sum(1)
    outside = h.masked_fill(top, -1).topk(K).values.sum(1)
    return inside / (inside + outside)


def main():
    torch.set_num_threads(1)
    build, _, (mean, std) = networks.NETWORKS["resnet20"]
    inner = filled(build).double().requires_grad_(False)
    mean, std = [torch.tensor(part, dtype=torch.float64).reshape(1, -1, 1, 1) for part in (mean, std)]
    network = lambda x: inner((x - mean) / std)
    x = torch.from_numpy(uniform("images", 4 * 3 * 8 * 8)).reshape(4, 3, 8, 8).requires_grad_()
    target = network(x).argmax(1)
    clean = heat(network, x, target).detach()
    top = torch.zeros_like(clean, dtype=torch.bool).scatter(1, clean.topk(K).indices, True)
    wide = spreads(network, x.detach())
    arrays = {"spreads": torch.tensor(wide)}
    for iteration in [0, 25]:
        beta = START * (END / START) ** (iteration / ITERATIONS)
        # The map is itself a gradient: both passes go through the same softplus.
        h = with_relu(softplus(beta, wide), lambda: heat(network, x, target))
        for loss in [rank, share]:
            (g,) = torch.autograd.grad(loss(h, top).sum(), x, retain_graph=True)
            arrays[f"{loss.__name__}.{iteration}"] = g
    print({key: round(array.abs().sum().item(), 6) for key, array in arrays.items()})
    store.write(OUT, {key: array.float().numpy() for key, array in arrays.items()})


if __name__ == "__main__":
    main()

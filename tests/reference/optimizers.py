"""Writes crates/train/tests/golden/optimizers.safetensors: five steps of PyTorch's optimisers.

    pip install -r tests/reference/requirements.txt && python tests/reference/optimizers.py

Two weights `a` [3, 4] and `b` [5]; `start.W`, `gradient.W` [5, ...] (step by step), `rates` [5];
per case `CASE.W` [5, ...], the weights after each step. `clipped.W` are the gradients of the
first step after clip_grad_norm_ at 0.5. The cases are repeated in crates/train/tests/it/optimizers.rs.
"""

from pathlib import Path

import torch
from torch.optim import SGD, AdamW

import store

OUT = Path(__file__).resolve().parents[2] / "crates/train/tests/golden/optimizers.safetensors"
RATES = [0.1, 0.1, 0.05, 0.02, 0.001]

CASES = {
    "sgd": (SGD, {"momentum": 0}),
    "momentum": (SGD, {"momentum": 0.9}),
    "nesterov": (SGD, {"momentum": 0.8, "nesterov": True, "weight_decay": 5e-2}),
    "decay": (SGD, {"momentum": 0.9, "weight_decay": 1e-2}),
    "adamw": (AdamW, {}),
    "adamw-options": (AdamW, {"betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.3}),
}


def run(build, options, start, gradients):
    weights = {name: value.clone().requires_grad_() for name, value in start.items()}
    optimizer = build(list(weights.values()), lr=1.0, **options)
    seen = {name: [] for name in weights}
    for step, rate in enumerate(RATES):
        optimizer.param_groups[0]["lr"] = rate
        for name, weight in weights.items():
            weight.grad = gradients[name][step].clone()
        optimizer.step()
        for name, weight in weights.items():
            seen[name].append(weight.detach().clone())
    return {name: torch.stack(values) for name, values in seen.items()}


def clipped(gradients, most):
    weights = {name: torch.zeros_like(g[0]).requires_grad_() for name, g in gradients.items()}
    for name, weight in weights.items():
        weight.grad = gradients[name][0].clone()
    torch.nn.utils.clip_grad_norm_(weights.values(), most)
    return {name: weight.grad for name, weight in weights.items()}


if __name__ == "__main__":
    torch.manual_seed(0)
    shapes = {"a": (3, 4), "b": (5,)}
    draw = lambda *shape: torch.randn(*shape, dtype=torch.float64)
    start = {name: draw(*shape) for name, shape in shapes.items()}
    gradients = {name: draw(len(RATES), *shape) for name, shape in shapes.items()}
    arrays = {"rates": torch.tensor(RATES, dtype=torch.float64)}
    arrays |= {f"start.{name}": t for name, t in start.items()}
    arrays |= {f"gradient.{name}": t for name, t in gradients.items()}
    arrays |= {f"clipped.{name}": t for name, t in clipped(gradients, 0.5).items()}
    for case, (build, options) in CASES.items():
        arrays |= {f"{case}.{name}": t for name, t in run(build, options, start, gradients).items()}
    store.write(OUT, {name: t.numpy() for name, t in arrays.items()})

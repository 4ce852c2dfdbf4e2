"""Writes crates/explain/tests/golden/averages.safetensors: integrated gradients by captum.

    pip install -r tests/reference/requirements.txt
    PYTHONPATH=tests/reference python tests/reference/explain/averages.py

ResNet-20 on two 3x8x8 images, weights and images by the rule of logits.py, in double precision, the
logit of the second class. `RULE` for every quadrature rule with 7 points from a black image, and
`constant` from an image of 0.4 by the right rule: [2, 3, 8, 8]. captum's trapezoid gives each inner
point the weight 1/n although there are n - 1 gaps; it is stored as captum has it. `gap.RULE` [2] is
captum's convergence delta.
"""

from pathlib import Path

import torch
from captum.attr import IntegratedGradients

import networks
import store
from logits import filled, uniform

OUT = Path(__file__).resolve().parents[3] / "crates/explain/tests/golden/averages.safetensors"
POINTS = 7
RULES = {
    "gauss-legendre": "gausslegendre",
    "left": "riemann_left",
    "midpoint": "riemann_middle",
    "right": "riemann_right",
    "trapezoid": "riemann_trapezoid",
}


if __name__ == "__main__":
    torch.set_num_threads(1)
    x = torch.from_numpy(uniform("images", 2 * 3 * 8 * 8)).reshape(2, 3, 8, 8)
    network = filled(networks.NETWORKS["resnet20"][0]).double()
    mean, std = (torch.tensor(t).double().reshape(1, 3, 1, 1) for t in networks.IMAGENET)

    def logits(images):
        return network((images - mean) / std)

    target = logits(x).topk(2).indices[:, 1]
    ig = IntegratedGradients(logits)
    arrays = {}
    for name, rule in RULES.items():
        arrays[name], arrays[f"gap.{name}"] = ig.attribute(
            x, 0.0, target, n_steps=POINTS, method=rule, return_convergence_delta=True
        )
    arrays["constant"] = ig.attribute(x, 0.4, target, n_steps=POINTS, method="riemann_right")
    store.write(OUT, {name: t.detach().float().numpy() for name, t in arrays.items()})

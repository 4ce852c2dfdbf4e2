"""Writes crates/explain/tests/golden/gradients.safetensors: PyTorch's input gradients.

    pip install -r tests/reference/requirements.txt
    PYTHONPATH=tests/reference python tests/reference/explain/gradients.py

ResNet-20 on two 3x8x8 images, weights and images by the rule of logits.py, in double precision.
Per score S (logit, prob, logprob) of the second class (the first has a probability so near 1 that
its gradient drowns in rounding): `S.saliency` and `S.gxi`; and with every ReLU a softplus of
sharpness 20 `S.saliency.vjp` and `S.gxi.vjp`, the product of the map's transposed Jacobian with
the next two images of the same rule. All [2, 3, 8, 8].
"""

from pathlib import Path

import torch
import torch.nn.functional as F

import networks
import store
from logits import filled, uniform

OUT = Path(__file__).resolve().parents[3] / "crates/explain/tests/golden/gradients.safetensors"
BETA = 20

SCORES = {
    "logit": lambda logits: logits,
    "prob": lambda logits: logits.softmax(1),
    "logprob": lambda logits: logits.log_softmax(1),
}


class WithActivation:
    """torch.nn.functional with another function under the name `relu`."""

    def __init__(self, relu):
        self.relu = relu

    def __getattr__(self, name):
        return getattr(F, name)


def maps(network, score, x, target):
    mean, std = (torch.tensor(t).double().reshape(1, 3, 1, 1) for t in networks.IMAGENET)
    scores = SCORES[score](network((x - mean) / std))
    chosen = scores.gather(1, target[:, None]).sum()
    gradient = torch.autograd.grad(chosen, x, create_graph=True)[0]
    return {f"{score}.saliency": gradient, f"{score}.gxi": x * gradient}


if __name__ == "__main__":
    torch.set_num_threads(1)
    images = torch.from_numpy(uniform("images", 4 * 3 * 8 * 8)).reshape(4, 3, 8, 8)
    x, cotangent = images[:2].requires_grad_(), images[2:]
    network = filled(networks.NETWORKS["resnet20"][0]).double()
    mean, std = (torch.tensor(t).double().reshape(1, 3, 1, 1) for t in networks.IMAGENET)
    target = network((x - mean) / std).topk(2).indices[:, 1]
    arrays = {}
    for score in SCORES:
        networks.F = F
        arrays |= maps(network, score, x, target)
        networks.F = WithActivation(lambda z: F.softplus(z, beta=BETA))
        for name, a_map in maps(network, score, x, target).items():
            arrays[f"{name}.vjp"] = torch.autograd.grad((a_map * cotangent).sum(), x, retain_graph=True)[0]
    store.write(OUT, {name: t.detach().float().numpy() for name, t in arrays.items()})

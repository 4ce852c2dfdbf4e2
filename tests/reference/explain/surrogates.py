"""Writes crates/explain/tests/golden/surrogates.safetensors: captum's LIME, SHAP and occlusion, squares by scikit-learn.

    pip install -r tests/reference/requirements.txt
    PYTHONPATH=tests/reference python tests/reference/explain/surrogates.py

ResNet-20 on two 3x8x8 images, weights and images by the rule of logits.py, logit of the second
class, groups the 16 cells of a 4x4 grid. Masks are those our methods draw: `draws` repeats
crates/models/src/numeric/noise.rs. Maps [2, 3, 8, 8]: `lime.cosine` (similarity of mask and ones),
`lime.images` (captum's own similarity), `lime.cosine.half` (baseline 0.5, alpha 0.1, width 0.5),
`kernelshap` (60 samples) and `kernelshap.few` (8 samples, shortest solution), `occlusion` and
`occlusion.cut` (size 3, stride 2, baseline 0.5: the last windows are cut). captum's regressions are
in single precision. `square` and `square.contribution` (every square of sides 1 to 3) are ridge
regressions of Yeh et al. 2019 by scikit-learn, on pixels and on zeros and ones (B.2); `square.cell`
is that on sums over cells of 2x2 pixels (B.1). `lime.l2` (width 3) and `lime.uniform` are ridge
regressions without an intercept (alpha 0.5), as Tan & Tian 2023, C.10 and C.9, by scikit-learn.
"""

from pathlib import Path

import numpy as np
import torch
from captum.attr import KernelShap, Lime, Occlusion
from captum.attr._core.lime import get_exp_kernel_similarity_function
from captum._utils.models.linear_model import SkLearnRidge
from sklearn.linear_model import Ridge

import networks
import store
from logits import filled, uniform

OUT = Path(__file__).resolve().parents[3] / "crates/explain/tests/golden/surrogates.safetensors"
ALL = 2**64 - 1
GROUPS = 16


def splitmix(x):
    z = (x + 0x9E3779B97F4A7C15) & ALL
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & ALL
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & ALL
    return z ^ (z >> 31)


def key(seed, image, sample):
    return splitmix(splitmix(splitmix(seed) ^ image) ^ sample)


def mix(x):
    x = ((x ^ (x >> 16)) * 0x21F0AAAD) & 0xFFFFFFFF
    x = ((x ^ (x >> 15)) * 0x735A2D97) & 0xFFFFFFFF
    return x ^ (x >> 15)


def draws(image, sample, count):
    """U[0, 1) for one sample of one image."""
    k = key(key(0, image, 0), sample, 0)
    bits = [mix(mix((i * 0x9E3779B1 + (k & 0xFFFFFFFF)) & 0xFFFFFFFF) ^ (k >> 32)) for i in range(count)]
    return np.array(bits) // 256 / 2**24


def lime_masks(image):
    def perturb(_, **__):
        for sample in range(10**6):
            yield torch.from_numpy(draws(image, sample, GROUPS) < 0.5).long()[None]

    return perturb


def shap_masks(image):
    def perturb(_, **__):
        yield torch.ones(1, GROUPS).long()
        yield torch.zeros(1, GROUPS).long()
        chance = 1 / (np.arange(1, GROUPS) * (GROUPS - np.arange(1, GROUPS)))
        below = np.cumsum(chance) / chance.sum()
        for sample in range(2, 10**6):
            u = draws(image, sample, GROUPS + 1)
            size = 1 + np.searchsorted(below, u[0], side="right")
            mask = torch.zeros(1, GROUPS).long()
            mask[0, np.argsort(u[1:], kind="stable")[:size].copy()] = 1
            yield mask

    return perturb


def cosine(width):
    """Similarity of the mask with all ones."""

    def similarity(_, __, mask, **___):
        distance = 1 - np.sqrt(mask.double().mean().item())
        return np.exp(-(distance**2) / (2 * width**2))

    return similarity


if __name__ == "__main__":
    torch.set_num_threads(1)
    images = torch.from_numpy(uniform("images", 2 * 3 * 8 * 8)).reshape(2, 3, 8, 8)
    network = filled(networks.NETWORKS["resnet20"][0]).double().requires_grad_(False)
    mean, std = (torch.tensor(t).double().reshape(1, 3, 1, 1) for t in networks.IMAGENET)
    forward = lambda x: network((x - mean) / std)
    target = forward(images).topk(2).indices[:, 1]
    cells = (torch.arange(8)[:, None] // 2 * 4 + torch.arange(8) // 2)[None, None]
    arrays = {}

    def limes(similarity, alpha, baseline):
        for i in range(2):
            lime = Lime(forward, SkLearnRidge(alpha=alpha), similarity, lime_masks(i))
            yield lime.attribute(
                images[i : i + 1], baselines=baseline, target=target[i : i + 1], feature_mask=cells, n_samples=100
            )

    def shaps(samples):
        for i in range(2):
            shap = KernelShap(forward)
            shap.perturb_func = shap_masks(i)
            yield shap.attribute(images[i : i + 1], target=target[i : i + 1], feature_mask=cells, n_samples=samples)

    def plain_limes(weight):
        for i in range(2):
            keep = np.stack([draws(i, sample, GROUPS) < 0.5 for sample in range(100)]).astype(float)
            copies = images[i] * torch.from_numpy(keep)[:, cells[0, 0]][:, None]
            values = forward(copies)[:, target[i]].numpy()
            far = ((images[i] - copies) ** 2).flatten(1).sum(1).numpy()
            fit = Ridge(0.5, fit_intercept=False, solver="cholesky").fit(keep, values, weight(far))
            yield torch.from_numpy(fit.coef_)[cells[0, 0]].expand(3, 8, 8)

    def squares(binary, cell=1):
        z = []
        for side in range(1, 4):
            for row in range(9 - side):
                for column in range(9 - side):
                    z.append(torch.zeros(1, 8, 8).double())
                    z[-1][:, row : row + side, column : column + side] = 1
        z = torch.stack(z)
        for x, y in zip(images, target):
            i = z if binary else z * x
            i = torch.nn.functional.avg_pool2d(i, cell) * cell**2
            drops = forward(x[None])[0, y] - forward(x - z * x)[:, y]
            ridge = 1e-3 * (i**2).sum().item() / i[0].numel()
            fit = Ridge(ridge, fit_intercept=False, solver="cholesky").fit(i.flatten(1).numpy(), drops.numpy())
            phi = torch.from_numpy(fit.coef_).reshape(i.shape[1:])
            phi = phi.repeat_interleave(cell, 1).repeat_interleave(cell, 2)
            yield phi.expand(3, 8, 8) / (3 if binary else 1)

    arrays["square"] = torch.stack(list(squares(binary=False)))
    arrays["square.contribution"] = torch.stack(list(squares(binary=True)))
    arrays["square.cell"] = torch.stack(list(squares(binary=False, cell=2)))
    arrays["lime.l2"] = torch.stack(list(plain_limes(lambda far: np.exp(-far / 9))))
    arrays["lime.uniform"] = torch.stack(list(plain_limes(np.ones_like)))
    arrays["lime.cosine"] = torch.cat(list(limes(cosine(1.0), 1, 0)))
    arrays["lime.cosine.half"] = torch.cat(list(limes(cosine(0.5), 0.1, 0.5)))
    arrays["lime.images"] = torch.cat(list(limes(get_exp_kernel_similarity_function(), 1, 0)))
    arrays["kernelshap"] = torch.cat(list(shaps(60)))
    arrays["kernelshap.few"] = torch.cat(list(shaps(8)))
    occlusion = Occlusion(forward)
    arrays["occlusion"] = occlusion.attribute(images, (3, 4, 4), (3, 2, 2), 0, target)
    arrays["occlusion.cut"] = occlusion.attribute(images, (3, 3, 3), (3, 2, 2), 0.5, target)
    store.write(OUT, {name: t.detach().float().numpy() for name, t in arrays.items()})

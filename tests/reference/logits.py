"""Writes crates/models/tests/golden/: what PyTorch computes with each network.

    pip install -r tests/reference/requirements.txt && python tests/reference/logits.py

Weights, running statistics and images follow `entries`, which crates/testkit/src/rule.rs
repeats, so no large file is kept. Passes are in double precision: in single, rounding puts a few
activations on the other side of a ReLU's bend and gradients differ by 1e-3. Per architecture `NAME.safetensors` holds `logits` [2, K] and,
of the first image, `gradient` (of the largest logit) and `gxi`, both [1, C, H, W]. The small
networks are also saved by torch in every checkpoint form.
"""

import json
import struct
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch

from networks import NETWORKS

OUT = Path(__file__).resolve().parents[2] / "crates/models/tests/golden"


def uniform(name, count):
    """In [0, 1): 24 bits of a hash of (FNV-1a of the name, index)."""
    seed = 0x811C9DC5
    for byte in name.encode():
        seed = (seed ^ byte) * 0x01000193 & 0xFFFFFFFF
    x = (np.arange(count, dtype=np.uint64) * 0x9E3779B1 + seed) & 0xFFFFFFFF
    for shift, factor in [(16, 0x21F0AAAD), (15, 0x735A2D97)]:
        x = ((x ^ (x >> np.uint64(shift))) * np.uint64(factor)) & np.uint64(0xFFFFFFFF)
    x ^= x >> np.uint64(15)
    return (x >> np.uint64(8)).astype(np.float64) / 2**24


def entries(name, shape):
    """The tensor `name` of a network: scaled so that activations neither die nor explode."""
    u = uniform(name, int(np.prod(shape)))
    if name.endswith("running_var"):
        values = 0.5 + u
    elif len(shape) == 1 and name.endswith("weight"):
        values = 0.75 + 0.5 * u
    elif len(shape) == 1:
        values = 0.4 * u - 0.2
    else:
        fan_in = np.prod(shape[1:])
        values = (2 * u - 1) * np.sqrt(6 / fan_in)
    return torch.from_numpy(values.astype(np.float32)).reshape(shape)


def filled(build):
    torch.manual_seed(0)
    network = build().eval()
    state = network.state_dict()
    for name, tensor in state.items():
        if tensor.is_floating_point() and not name.endswith("_mask"):
            tensor.copy_(entries(name, tuple(tensor.shape)))
    return network


def save(path, tensors):
    """The safetensors format, written out: a JSON header and the bytes."""
    header, data = {}, b""
    for name, tensor in sorted(tensors.items()):
        raw = tensor.detach().contiguous().numpy().astype("<f4").tobytes()
        span = [len(data), len(data) + len(raw)]
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": span}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def golden(name):
    build, shape, (mean, std) = NETWORKS[name]
    network = filled(build).double()
    as_image = lambda values: torch.tensor(values).double().reshape(1, -1, 1, 1)
    x = torch.from_numpy(uniform("images", 2 * int(np.prod(shape))))
    x = x.reshape(2, *shape).requires_grad_()
    logits = network((x - as_image(mean)) / as_image(std))
    gradient = torch.autograd.grad(logits.max(1).values.sum(), x)[0][:1]
    tensors = {"logits": logits, "gradient": gradient, "gxi": gradient * x[:1]}
    save(OUT / f"{name}.safetensors", tensors)
    trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
    print(f"{name}: {trained} trained, |logits| {logits.abs().max():.3g}")


def prefixed(prefix, state):
    return OrderedDict((prefix + name, tensor) for name, tensor in state.items())


def forms(name, kind):
    """One network in every form of checkpoint; `kind` is the stored type."""
    build, _, (mean, std) = NETWORKS[name]
    state = filled(build).state_dict()
    state = OrderedDict((k, t.to(kind) if t.is_floating_point() else t) for k, t in state.items())
    dump = lambda form, value, legacy: torch.save(
        value, OUT / f"{name}-{form}.pt", _use_new_zipfile_serialization=not legacy
    )
    if name == "mlp":
        dump("plain-zip", state, False)
        dump("plain-legacy", state, True)
        dump("net-zip", {"net": prefixed("module.", state), "acc": 90.5, "epoch": 7}, False)
        dump("state-dict-legacy", {"state_dict": prefixed("module.", state), "epoch": 7}, True)
    channels = len(mean)
    layout = OrderedDict()
    for part in ["normalizer", "attacker.normalize"]:
        layout[f"module.{part}.new_mean"] = torch.tensor(mean).reshape(channels, 1, 1)
        layout[f"module.{part}.new_std"] = torch.tensor(std).reshape(channels, 1, 1)
    layout.update(prefixed("module.model.", state))
    layout.update(prefixed("module.attacker.model.", state))
    dump("robustness", {"model": layout, "epoch": 150}, name == "mlp")


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    for name in NETWORKS:
        golden(name)
    forms("mlp", torch.float32)
    forms("resnet20", torch.float16)

"""Writes crates/tensorfile/tests/fixtures/: tiny checkpoints and pickles in every container form.

    pip install -r tests/reference/requirements.txt && python tests/reference/checkpoints.py
"""

import argparse
import os
import pickle
import struct
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch

OUT = Path(__file__).resolve().parents[2] / "crates/tensorfile/tests/fixtures"


def plain():
    """A state dict like a convolution with its norm; entry i of a tensor is i/8 - 1."""
    def values(*shape):
        return (torch.arange(int(np.prod(shape)), dtype=torch.float32) / 8 - 1).reshape(shape)

    return OrderedDict(
        [
            ("conv1.weight", values(2, 1, 3, 3)),
            ("bn1.weight", values(2)),
            ("bn1.bias", values(2)),
            ("bn1.running_mean", values(2)),
            ("bn1.running_var", values(2)),
            ("bn1.num_batches_tracked", torch.tensor(7)),
        ]
    )


def prefixed(prefix, state):
    return OrderedDict((prefix + name, tensor) for name, tensor in state.items())


def views():
    """Tensors that share one storage: transposed, sliced, with an offset, repeated, empty."""
    base = torch.arange(24, dtype=torch.float32)
    grid = base.reshape(4, 6)
    return OrderedDict(
        [
            ("channels_last", base.reshape(1, 2, 3, 4).contiguous(memory_format=torch.channels_last)),
            ("empty", base[5:5].reshape(0, 3)),
            ("expanded", base[3:4].expand(2, 3)),
            ("offset", base[10:14]),
            ("scalar", base[7]),
            ("sliced", grid[1::2, ::3]),
            ("transposed", grid.t()),
        ]
    )


def types():
    """The numbers 0 to 3 in every type (as truth values: all but the first)."""
    kinds = [
        torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32,
        torch.int16, torch.int8, torch.uint8, torch.bool,
    ]
    return OrderedDict((str(kind).split(".")[1], torch.arange(4).to(kind)) for kind in kinds)


def robustness():
    """The layout of MadryLab's library: the model twice, and its normalisation."""
    state = OrderedDict()
    for part in ["normalizer", "attacker.normalize"]:
        state[f"module.{part}.new_mean"] = torch.tensor([0.5, 0.25, 0.125]).reshape(3, 1, 1)
        state[f"module.{part}.new_std"] = torch.tensor([0.2, 0.3, 0.4]).reshape(3, 1, 1)
    state.update(prefixed("module.model.", plain()))
    state.update(prefixed("module.attacker.model.", plain()))
    return {"model": state, "optimizer": {"state": {}, "param_groups": [{"lr": 0.1}]}, "epoch": 3}


def odd():
    """Tensors that have no plain numbers, and one that has."""
    return {
        "complex": torch.ones(2, dtype=torch.complex64),
        "fine": torch.arange(2.0),
        "meta": torch.ones(2, device="meta"),
        "quantised": torch.quantize_per_tensor(torch.ones(2), 0.1, 0, torch.qint8),
        "sparse": torch.eye(2).to_sparse(),
    }


class Shell:
    """What a malicious file looks like: unpickling it would run a command."""

    def __reduce__(self):
        return os.system, ("echo owned",)


def save(name, value, legacy=False):
    torch.save(value, OUT / name, _use_new_zipfile_serialization=not legacy)


def checkpoints():
    full = {
        "epoch": 3,
        "best": np.float64(0.5),
        "args": argparse.Namespace(lr=0.1, milestones=[1, 2]),
        "state_dict": prefixed("module.", plain()),
        "optimizer": torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], 0.1).state_dict(),
    }
    for legacy, end in [(False, "zip"), (True, "legacy")]:
        save(f"plain-{end}.pt", plain(), legacy)
        save(f"nested-{end}.pth", full, legacy)
        save(f"views-{end}.pt", views(), legacy)
        save(f"types-{end}.pt", types(), legacy)
        save(f"robustness-{end}.pt", robustness(), legacy)
        save(f"malicious-{end}.pt", {"state_dict": plain(), "extra": Shell()}, legacy)
    module = torch.nn.Linear(2, 2)
    save("parameters-zip.pt", {"net": dict(module.named_parameters())})
    save("model-zip.pt", module)
    save("nothing-zip.pt", {"epoch": 3, "lr": 0.1})
    layer = torch.nn.Linear(1, 1)
    layer.register_buffer("running", torch.ones(2))
    for name, value in plain().items():
        part = layer
        *path, last = name.split(".")
        for step in path:
            if not hasattr(part, step):
                part.add_module(step, torch.nn.Identity())
            part = getattr(part, step)
        part.register_buffer(last, value)
    averages = {"module": plain(), "decay": 0.99}
    save("wrapped-zip.pt", [{"model": layer, "ema": averages, "epoch": 3}])
    save("odd-zip.pt", odd())
    torch.jit.save(torch.jit.trace(torch.nn.Linear(1, 1), torch.ones(1, 1)), OUT / "script-zip.pt")
    np.savez(OUT / "numpy.npz", weight=np.ones(2))


def arrays():
    """A CIFAR-like batch in every protocol, and as Python 2 wrote it."""
    images = np.arange(24, dtype=np.uint8).reshape(2, 12) + 120
    batch = {b"data": images, b"labels": [6, 9], b"batch_label": b"testing \xe9", b"fine": None}
    for protocol in range(6):
        (OUT / f"batch-{protocol}.pkl").write_bytes(pickle.dumps(batch, protocol))
    (OUT / "batch-python2.pkl").write_bytes(python2(images))
    more = {
        "fortran": np.asfortranarray(np.arange(6, dtype="<i4").reshape(2, 3)),
        "big": np.arange(3, dtype=">i2"),
        "scalar": np.float32(0.5),
        "large": 1 << 80,
        "negative": [-1, -300, -(1 << 40)],
        "set": {3},
        "text": "naïve \u2713",
        "float": -1.5e-3,
        "true": True,
        "shared": [[1, 2]] * 3,
    }
    (OUT / "values.pkl").write_bytes(pickle.dumps(more, 4))
    (OUT / "values-0.pkl").write_bytes(pickle.dumps(more, 0))


def python2(images):
    """Protocol 2 with byte strings, opcode by opcode: the official CIFAR batches look like this."""
    def text(value):
        return b"U" + struct.pack("<B", len(value)) + value

    dtype = b"cnumpy\ndtype\n" + text(b"u1") + b"K\x00K\x01\x87Rq\x01" + b"(K\x03" + text(b"|")
    dtype += b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    data = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b")
    data += b"\x87R(K\x01K\x02K\x0c\x86" + dtype + b"\x89"
    data += b"T" + struct.pack("<I", images.size) + images.tobytes() + b"tb"
    return b"\x80\x02}q\x00(" + text(b"data") + data + text(b"labels") + b"]q\x02(K\x06K\te" + b"u."


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    checkpoints()
    arrays()

"""The table of memory (docs/gpu.md): the peak of a training step, by network and objective.

    python3 benches/memory.py target/release/gradproof target/tmp/pretend-gpu/libtorch_cuda.so \
        [--networks NAME,...] [--write docs/gpu.md]

Needs no GPU: the pretended one counts the bytes of live tensors (tests/pretend-gpu). Two steps of SGD with
momentum on images of 32x32 at two batch sizes; the peak is linear in the batch, and the line through the two
is followed to 128. `--batches 64,128` measures it there. CUDA's context, workspaces of cuDNN and memory that
is cut up come on top.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

NETWORKS = ["resnet20", "resnet18", "resnet50", "vgg16", "googlenet", "swin-t"]
# One step of the adversary holds what seven do.
PGD = "attack = { norm = 'linf', eps = '8/255', steps = 1 }"
OBJECTIVES = {
    "natural": "name = 'natural'",
    "PGD": f"name = 'adversarial'\n{PGD}",
    "SSR": "name = 'ssr'",
    "IG-NORM": "name = 'ig-norm'\nattack = { eps = '8/255', step_size = '2/255', steps = 1 }",
}
BATCH = 128
CONFIG = """
seed = 0
epochs = 1
batch_size = {batch}
[data]
train = "shapes:seed=0,train={images},test=1"
[model]
arch = "{network}"
normalise = "0.5/0.25"
[optimizer]
name = "sgd"
learning_rate = 0.001
momentum = 0.9
[objective]
{objective}
"""


def peak(program, library, network, objective, batch):
    """Bytes of live tensors at most, in two steps."""
    with tempfile.TemporaryDirectory() as folder:
        settings = CONFIG.format(
            batch=batch, images=2 * batch, network=network, objective=objective
        )
        Path(folder, "run.toml").write_text(settings)
        words = [program, "train", "--config", "run.toml", "--out", "out", "--device", "cuda", "--quiet"]
        log = Path(folder, "counts.json")
        ours = {"LD_PRELOAD": library, "PRETEND_GPU_LOG": str(log), "OMP_NUM_THREADS": "1"}
        subprocess.run(words, cwd=folder, env=os.environ | ours, check=True, stdout=subprocess.DEVNULL)
        return json.loads(log.read_text())["peak"]


def gib(nbytes):
    size = nbytes / 2**30
    return f"{size:.2f}" if size < 1 else f"{size:.1f}"


def row(args, network):
    cells = []
    for name, objective in OBJECTIVES.items():
        few, many = args.batches
        low, high = (
            peak(args.program, args.library, network, objective, batch) for batch in (few, many)
        )
        cells.append(gib(high + (high - low) / (many - few) * (BATCH - many)))
        print(f"{network} {name}: {low} and {high} bytes", file=sys.stderr, flush=True)
    return f"| {network} | " + " | ".join(cells) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("library")
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--batches", default="2,4")
    parser.add_argument("--write", type=Path)
    args = parser.parse_args()
    args.program, args.library = (str(Path(p).resolve()) for p in (args.program, args.library))
    args.batches = [int(batch) for batch in args.batches.split(",")]
    head = f"| GiB, f32, batch {BATCH}, 32×32 | " + " | ".join(OBJECTIVES) + " |"
    lines = [head, "|---|" + "---|" * len(OBJECTIVES)]
    lines += [row(args, network) for network in args.networks.split(",")]
    print("\n".join(lines))
    if args.write:
        text = args.write.read_text()
        table = re.compile(r"^\| GiB, f32, .*?(?=\n\n)", re.M | re.S)
        if not table.search(text):
            sys.exit(f"{args.write} has no table of memory")
        args.write.write_text(table.sub(lambda _: "\n".join(lines), text, count=1))


main()

"""The table of memory (docs/gpu.md): the peak of a training step at batch 128, by network and objective.

    python3 benches/memory.py target/release/gradproof target/tmp/pretend-gpu/libtorch_cuda.so \\
        [--networks NAME,...] [--objectives NAME,...] [--write docs/gpu.md]

Needs no GPU: the pretended one counts the bytes of live tensors (tests/pretend-gpu) in two steps of SGD
with momentum on images of 32x32, which a CPU computes: seconds for ResNet-20, minutes for ResNet-18. What is
not asked for stays as it is in the table. Nothing is inferred from smaller batches, where weights and not
activations make the peak. CUDA's context, workspaces of cuDNN and memory that is cut up come on top.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

# One step of the adversary holds what seven do.
PGD = "attack = { norm = 'linf', eps = '8/255', steps = 1 }"
OBJECTIVES = {
    "natural": "name = 'natural'",
    "PGD": f"name = 'adversarial'\n{PGD}",
    "SSR": "name = 'ssr'",
    "IG-NORM": "name = 'ig-norm'\nattack = { eps = '8/255', step_size = '2/255', steps = 1 }",
}
BATCH = 128
TABLE = re.compile(r"^\| GiB, f32, .*?(?=\n\n)", re.M | re.S)
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


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("library")
    parser.add_argument("--networks", default="resnet20,resnet18")
    parser.add_argument("--objectives", default=",".join(OBJECTIVES))
    parser.add_argument("--write", type=Path)
    args = parser.parse_args()
    program, library = (str(Path(p).resolve()) for p in (args.program, args.library))
    cells = {}
    if args.write:
        for line in TABLE.search(args.write.read_text()).group(0).splitlines()[2:]:
            network, *known = (word.strip() for word in line.strip("|").split("|"))
            cells |= {(network, name): value for name, value in zip(OBJECTIVES, known)}
    for network in args.networks.split(","):
        for name in args.objectives.split(","):
            found = peak(program, library, network, OBJECTIVES[name], BATCH)
            cells[network, name] = gib(found)
            print(f"{network} {name}: {found} bytes", file=sys.stderr, flush=True)
    lines = [f"| GiB, f32, batch {BATCH}, 32×32 | " + " | ".join(OBJECTIVES) + " |", "|---|" + "---|" * len(OBJECTIVES)]
    for network in dict.fromkeys(network for network, _ in cells):
        lines.append(f"| {network} | " + " | ".join(cells.get((network, name), "–") for name in OBJECTIVES) + " |")
    print("\n".join(lines))
    if args.write:
        args.write.write_text(TABLE.sub(lambda _: "\n".join(lines), args.write.read_text(), count=1))


main()

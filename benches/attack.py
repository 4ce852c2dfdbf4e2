"""Attacks on maps: gradproof against PyTorch, in turn, on the same images, network and threads.

    pip install -r tests/reference/requirements.txt
    OMP_NUM_THREADS=2 python benches/attack.py target/release/gradproof CIFAR10_FOLDER [ROUNDS [IMAGES [FEW [OUT.json]]]]
    python benches/table.py OUT.json benches/attack.md    # its table there

`topk` on the g×i maps of weights/resnet20-cifar10-natural at ε = 8/255, k = 20, β = 20: `gradproof attack`
against the algorithm as published in tests/reference/attack/map_attacks.py, one of FEW images at a time, as the
released code works; IMAGES of them in a batch; so with batch norms fused into convolutions; and so with channels
innermost. torch.compile cannot differentiate twice, so there is no compiled one. gradproof has `--surrogate-precision` auto, its
default, and f32. With FEW = 0 nothing is done one at a time. A time is the
difference of a run of LONG and one of SHORT iterations, so that starting, loading and scoring cancel.
Image-iterations a second, medians; the ratio is ours by theirs, with its quartiles over the rounds.
At the end both attack IMAGES at 2, 4, 8 and 16/255 in LONG iterations: the areas under k-in must agree.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import torch

REFERENCE = Path(__file__).resolve().parents[1] / "tests/reference"
sys.path[:0] = [str(REFERENCE), str(REFERENCE / "attack")]
import map_attacks  # noqa: E402

import table  # noqa: E402

SHORT, LONG = 5, 55
BATCH = 8  # images a worker of gradproof has at once, as it chooses itself for 64
EPS = [2, 4, 8, 16]
SINGLE = "PyTorch, one at a time"
APART = 0.05  # largest difference of the areas; they are at most 3


def seconds(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def ours(program, folder, images, batch, iterations, eps, surrogate="auto"):
    line = [program, "attack", "--weights", map_attacks.WEIGHTS, "--data", f"cifar10:{folder}"]
    line += ["--limit", images, "--batch-size", batch, "--method", "gxi", "--attack", "topk"]
    line += ["--eps", ",".join(f"{e}/255" for e in eps), "--iters", iterations, "--k", 20, "--beta", 20]
    line += ["--surrogate-precision", surrogate] if surrogate != "auto" else []
    line += ["--threads", torch.get_num_threads(), "--device", "cpu", "--json", "--quiet"]
    done = subprocess.run([str(word) for word in line], stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def settings(folder, images, iterations, single, eps=EPS):
    line = [str(folder), "--images", images, "--iters", iterations, "--rows", images, "--eps", *eps]
    return map_attacks.options().parse_args([str(word) for word in line] + ["--single"] * single)


def theirs(network, x, iterations, single):
    chosen = settings("", len(x), iterations, single)
    for part in x.split(1 if single else len(x)):
        map_attacks.attacked(network, "topk", "gxi", part, None, None, 8 / 255, chosen)


def rates(program, folder, x, few, plain, fused):
    """Name -> image-iterations a second."""
    n, inner = len(x), torch.channels_last
    alone, last = x[:few], x.contiguous(memory_format=inner)
    batched = {
        "gradproof": lambda i: ours(program, folder, n, BATCH, i, [8]),
        "gradproof, f32 surrogate": lambda i: ours(program, folder, n, BATCH, i, [8], "f32"),
        "PyTorch, batched": lambda i: theirs(plain, x, i, False),
        "PyTorch, batched and fused": lambda i: theirs(fused.to(memory_format=torch.contiguous_format), x, i, False),
        "PyTorch, batched, fused, channels last": lambda i: theirs(fused.to(memory_format=inner), last, i, False),
    }
    single = {
        "gradproof, one at a time": lambda i: ours(program, folder, few, 1, i, [8]),
        SINGLE: lambda i: theirs(plain, alone, i, True),
    }
    runs = {name: (n, run) for name, run in batched.items()}
    runs.update({name: (few, run) for name, run in single.items()} if few else {})
    found = {}
    for name, (images, run) in runs.items():
        short, long = (seconds(lambda: run(n)) for n in (SHORT, LONG))
        found[name] = images * (LONG - SHORT) / (long - short)
        print(f"{name}: {found[name]:.1f}", file=sys.stderr)
    return found


def mean(result, quantity):
    """The mean in the one row of a quantity."""
    (row,) = [row for row in result["rows"] if row["quantity"] == quantity]
    return row["mean"]


def areas(program, folder, x, network):
    """Areas under k-in: ours, and theirs where a radius keeps what a smaller one found, as ours does."""
    own = ours(program, folder, len(x), BATCH, LONG, EPS)
    labels = map_attacks.cifar10(folder, len(x))[1]
    accuracy = (network(x).argmax(1) == labels).double().mean().item()
    assert abs(mean(own, "accuracy") - accuracy) < 1e-9, (mean(own, "accuracy"), accuracy)
    cell = map_attacks.cell(network, "topk", "gxi", x, settings(folder, len(x), LONG, False))
    return mean(own, "k-in-auc"), cell["auc_nested"]["k-in"]


def main(program, folder, rounds=5, n=64, few=16, out=None):
    rounds, n, few = int(rounds), int(n), int(few)
    plain, fused = (map_attacks.classifier(map_attacks.WEIGHTS, fused) for fused in (False, True))
    x = map_attacks.cifar10(folder, n)[0]
    ours(program, folder, min(n, 8), 8, 1, [8])
    theirs(plain, x[:8], 1, False)
    found = [rates(program, folder, x, few, plain, fused) for _ in range(rounds)]
    own, other = areas(program, folder, x, plain)
    result = {
        "unit": "image-iterations a second",
        "ours": ["gradproof", "gradproof, f32 surrogate", "gradproof, one at a time"],
        "settings": {"images": n, "one at a time": few, "threads": torch.get_num_threads(), "torch": torch.__version__},
        "rounds": found,
        "checks": {"k-in AUC, gradproof": own, "k-in AUC, PyTorch": other},
    }
    if out:
        Path(out).write_text(json.dumps(result, indent=1) + "\n")
    print(table.markdown(result))
    assert abs(own - other) <= APART, "one attack is weaker"


if __name__ == "__main__":
    main(*sys.argv[1:])

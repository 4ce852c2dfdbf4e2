"""Attacks on maps: gradproof against PyTorch, in turn, on the same images, network and threads.

    pip install -r tests/reference/requirements.txt
    OMP_NUM_THREADS=2 python benches/attack.py target/release/gradproof CIFAR10_FOLDER [ROUNDS [IMAGES [FEW]]]

`topk` on the g×i maps of weights/resnet20-cifar10-natural at ε = 8/255, k = 20, β = 20: `gradproof attack`
against the algorithm as published in tests/reference/map_attacks.py, one of FEW images at a time, as the
released code works; IMAGES of them in a batch; and so with batch norms fused into convolutions. A time is the
difference of a run of LONG and one of SHORT iterations, so that starting, loading and scoring cancel.
Image-iterations a second, medians; the ratio is ours by theirs, with its quartiles over the rounds.
At the end both attack IMAGES at 2, 4, 8 and 16/255 in LONG iterations: the areas under k-in must agree.
"""

import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median, quantiles

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/reference"))
import map_attacks  # noqa: E402

SHORT, LONG = 5, 55
EPS = [2, 4, 8, 16]
SINGLE = "PyTorch, one at a time"
APART = 0.05  # largest difference of the areas; they are at most 3


def seconds(run):
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def ours(program, folder, images, batch, iterations, eps):
    line = [program, "attack", "--weights", map_attacks.WEIGHTS, "--data", f"cifar10:{folder}"]
    line += ["--limit", images, "--batch-size", batch, "--method", "gxi", "--attack", "topk"]
    line += ["--eps", ",".join(f"{e}/255" for e in eps), "--iters", iterations, "--k", 20, "--beta", 20]
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
    alone, all_ = x[:few], x
    runs = {
        "gradproof, one at a time": (few, lambda n: ours(program, folder, few, 1, n, [8])),
        "gradproof": (len(x), lambda n: ours(program, folder, len(x), len(x), n, [8])),
        SINGLE: (few, lambda n: theirs(plain, alone, n, True)),
        "PyTorch, batched": (len(x), lambda n: theirs(plain, all_, n, False)),
        "PyTorch, batched and fused": (len(x), lambda n: theirs(fused, all_, n, False)),
    }
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
    own = ours(program, folder, len(x), len(x), LONG, EPS)
    labels = map_attacks.cifar10(folder, len(x))[1]
    accuracy = (network(x).argmax(1) == labels).double().mean().item()
    assert abs(mean(own, "accuracy") - accuracy) < 1e-9, (mean(own, "accuracy"), accuracy)
    cell = map_attacks.cell(network, "topk", "gxi", x, settings(folder, len(x), LONG, False))
    return mean(own, "k-in-auc"), cell["auc_nested"]["k-in"]


def main(program, folder, rounds=5, n=64, few=16):
    rounds, n, few = int(rounds), int(n), int(few)
    plain, fused = (map_attacks.classifier(map_attacks.WEIGHTS, fused) for fused in (False, True))
    x = map_attacks.cifar10(folder, n)[0]
    ours(program, folder, few, few, 1, [8])
    theirs(plain, x[:few], 1, False)
    found = [rates(program, folder, x, few, plain, fused) for _ in range(rounds)]
    print(f"{n} images in a batch, {few} one at a time, {torch.get_num_threads()} threads, {rounds} rounds\n")
    print("| | image-iterations/s | gradproof by it | gradproof one at a time by it |\n|---|---|---|---|")
    like = {"gradproof": lambda name: name != "gradproof", "gradproof, one at a time": lambda name: name == SINGLE}
    for name in found[0]:
        cells = [f"{median(r[name] for r in found):.1f}"]
        for own, compared in like.items():
            ratios = [r[own] / r[name] for r in found]
            low, _, high = quantiles(ratios, n=4) if rounds > 1 else ratios * 3
            cells.append(f"{median(ratios):.2f} ({low:.2f} to {high:.2f})" if compared(name) else "")
        print(f"| {name} | {' | '.join(cells)} |")
    own, other = areas(program, folder, x, plain)
    print(f"\nk-in AUC: gradproof {own:.4f}, PyTorch {other:.4f}")
    assert abs(own - other) <= APART, "one attack is weaker"


if __name__ == "__main__":
    main(*sys.argv[1:])

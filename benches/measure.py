"""Metrics of explanations: gradproof against Quantus, in turn, on the same images, network and threads.

    pip install -r tests/reference/requirements.txt
    OMP_NUM_THREADS=2 python benches/measure.py target/release/gradproof CIFAR10_FOLDER [--rounds N] [--images N] [--arch NAME]

Saliency maps of the predicted class's logit, weights by the rule of tests/reference/logits.py, all images in a batch. `gradproof
measure` against PixelFlipping, LocalLipschitzEstimate and MaxSensitivity, called as Quantus' documentation shows: `quantus.explain`,
which is captum's gradient of the batch, its own perturbations; and so on a network with batch norms fused into convolutions
and channels innermost, as gradproof does by itself. A time is the difference of a run of many samples (steps) and one of
few, so that starting, loading and the maps of the images cancel. Image-samples a second, medians; the ratio is ours by theirs,
with its quartiles over the rounds. At the end the means of both sides, which draw differently, must agree.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from statistics import fmean, median, quantiles

import numpy as np
import quantus
import torch

REFERENCE = Path(__file__).resolve().parents[1] / "tests/reference"
sys.path[:0] = [str(REFERENCE), str(REFERENCE / "attack")]
import map_attacks  # noqa: E402
import networks  # noqa: E402
import store  # noqa: E402
from logits import filled  # noqa: E402

SIGMA, RADIUS = 0.03, 0.1
APART = 0.1  # largest difference of the means, in units of theirs
QUIET = {"disable_warnings": True, "normalise": False}
OURS = {
    "PixelFlipping": ("deletion", "deletion:steps={}"),
    "LocalLipschitzEstimate": ("lipschitz", f"lipschitz:sigma={SIGMA},samples={{}}"),
    "MaxSensitivity": ("max-sensitivity", f"sensitivity:radius={RADIUS},samples={{}}"),
}


def seconds(run):
    start = time.perf_counter()
    found = run()
    return time.perf_counter() - start, found


def normalise(arch):
    return "/".join(",".join(map(str, part)) for part in networks.NETWORKS[arch][2])


def ours(given, weights, name, samples):
    """The mean over images."""
    column, metric = OURS[name]
    line = [given.program, "measure", metric.format(samples), "--method", "saliency"]
    line += ["--weights", weights, "--arch", given.arch, "--normalise", normalise(given.arch)]
    line += ["--data", f"cifar10:{given.folder}", "--limit", given.images, "--batch-size", given.images]
    line += ["--threads", torch.get_num_threads(), "--device", "cpu", "--json", "--quiet"]
    done = subprocess.run([str(word) for word in line], stdout=subprocess.PIPE, check=True)
    rows = json.loads(done.stdout)["rows"]
    return next(row["mean"] for row in rows if row["quantity"] == column)


def metric(name, samples, numbers):
    if name == "PixelFlipping":
        return quantus.PixelFlipping(features_in_step=numbers // samples, perturb_baseline=0.0, abs=True, **QUIET)
    if name == "MaxSensitivity":
        return quantus.MaxSensitivity(nr_samples=samples, lower_bound=RADIUS, **QUIET)
    euclidean = quantus.similarity_func.distance_euclidean
    norms = {"norm_numerator": euclidean, "norm_denominator": euclidean}
    return quantus.LocalLipschitzEstimate(nr_samples=samples, perturb_std=SIGMA, **norms, **QUIET)


def theirs(network, x, name, samples):
    with torch.no_grad():
        target = network(x).argmax(1)
        before = network(x).softmax(1).gather(1, target[:, None]).numpy()
    # PixelFlipping ranks pixels by |map| summed over channels.
    explain = {"method": "Saliency"} if name == "PixelFlipping" else {"method": "Gradient", "reduce_axes": ()}
    found = metric(name, samples, x[0].numel())(
        model=network,
        x_batch=x.numpy(),
        y_batch=target.numpy(),
        device="cpu",
        explain_func=quantus.explain,
        explain_func_kwargs=explain,
        batch_size=len(x),
    )
    if name != "PixelFlipping":
        return fmean(found)
    # Its curve starts after the first step.
    curve = np.concatenate([before, np.array(found)], 1)
    return np.trapezoid(curve, dx=1 / samples, axis=1).mean()


def network(arch, tuned):
    plain, _, (mean, std) = networks.NETWORKS[arch]
    plain = filled(plain).requires_grad_(False)
    if tuned:
        map_attacks.fuse(plain)
        plain = plain.to(memory_format=torch.channels_last)
    return map_attacks.Normalised(plain, *[torch.tensor(part).reshape(1, -1, 1, 1) for part in (mean, std)]).eval()


def main(given):
    warnings.filterwarnings("ignore")
    x = map_attacks.cifar10(given.folder, given.images)[0]
    plain, tuned = (network(given.arch, tuned) for tuned in (False, True))
    times, means = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / f"{given.arch}.safetensors"
        state = filled(networks.NETWORKS[given.arch][0]).state_dict()
        store.write(weights, {name: t.numpy() for name, t in state.items() if "num_batches" not in name})
        for _ in range(given.rounds):
            for name in OURS:
                few, many = given.steps if name == "PixelFlipping" else given.samples
                sides = {
                    "gradproof": lambda n: ours(given, weights, name, n),
                    "Quantus": lambda n: theirs(plain, x, name, n),
                    "tuned": lambda n: theirs(tuned, x, name, n),
                }
                for who, run in sides.items():
                    (short, _), (long, means[who, name]) = (seconds(lambda: run(n)) for n in (few, many))
                    rate = given.images * (many - few) / (long - short)
                    times.setdefault((who, name), []).append(rate)
                    print(f"{name}, {who}: {rate:.1f}", file=sys.stderr)
    print(f"{given.arch}, {given.images} images, {torch.get_num_threads()} threads, {given.rounds} rounds; image-samples a second\n")
    print("| metric | gradproof | Quantus | ratio | Quantus tuned | ratio | means |\n|---|---|---|---|---|---|---|")
    for name in OURS:
        own = times["gradproof", name]
        cells = [f"{median(own):.1f}"]
        for who in ("Quantus", "tuned"):
            ratios = [a / b for a, b in zip(own, times[who, name])]
            low, _, high = quantiles(ratios, n=4) if given.rounds > 1 else ratios * 3
            cells += [f"{median(times[who, name]):.1f}", f"{median(ratios):.2f} ({low:.2f} to {high:.2f})"]
        cells.append(", ".join(f"{means[who, name]:.4g}" for who in ("gradproof", "Quantus", "tuned")))
        print(f"| {name} | {' | '.join(cells)} |")
    for name in OURS:
        a, b = means["gradproof", name], means["Quantus", name]
        assert abs(a - b) <= APART * b, f"{name}: {a} beside {b}"


if __name__ == "__main__":
    line = argparse.ArgumentParser()
    line.add_argument("program")
    line.add_argument("folder")
    line.add_argument("--rounds", type=int, default=3)
    line.add_argument("--images", type=int, default=32)
    line.add_argument("--arch", default="resnet18")
    line.add_argument("--samples", type=int, nargs=2, default=[5, 50], metavar=("FEW", "MANY"))
    # Quantus wants as many numbers a step as divide the pixels: 3, 6, 12, 24, 48, … steps of 3x32x32.
    line.add_argument("--steps", type=int, nargs=2, default=[3, 48], metavar=("FEW", "MANY"))
    main(line.parse_args())

"""How many draws a map takes: maps of few draws against one of many, with pairs of draws and without.

    cargo build --release && PATH=target/release:$PATH python benches/samples.py \
        --weights weights/resnet20-cifar10-natural.safetensors --data cifar10:data/cifar-10-batches-bin

For each method, the relative error |map - truth| / |truth| (l2, every image), where the truth has `--many`
draws of another seed. Printed are, for draws with and without pairs, the number of draws at which the
median image's error is a tenth (between two numbers of draws the error is taken to fall as a power), their
ratio, and for `samples=auto` the share of images whose error is within a fifth of the tolerance, or
below. Needs numpy and safetensors.
"""

import argparse
import json
import math
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

METHODS = {
    "smoothgrad, sigma 0.03": "smoothgrad:sigma=0.03",
    "smoothgrad, sigma 0.1": "smoothgrad:sigma=0.1",
    "unigrad, radius 4/255": "unigrad:radius=4/255",
    "kernelshap, superpixels": "kernelshap:baseline=0.5",
    "lime, superpixels": "lime:baseline=0.5",
}
COUNTS = [32, 64, 128, 256, 512, 1024]
TENTH = 0.1


def maps(args, method, seed, folder):
    out = Path(folder) / "maps.safetensors"
    words = ["gradproof", "explain", "--weights", args.weights, "--data", args.data, "--force", "--quiet"]
    words += ["--limit", str(args.images), "--seed", str(seed), "--method", method, "--out", str(out), "--json"]
    said = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    drawn = next(row for row in said["rows"] if row["quantity"] == "samples")
    return load_file(out)["maps"].astype(np.float64), drawn["mean"]


def errors(found, truth):
    flat = lambda m: m.reshape(len(m), -1)
    return np.linalg.norm(flat(found - truth), axis=1) / np.linalg.norm(flat(truth), axis=1)


def draws_to(target, medians):
    """Where the errors `medians` at COUNTS fall to `target`, on straight lines between logarithms."""
    points = [(math.log(n), math.log(e)) for n, e in zip(COUNTS, medians)]
    for (n0, e0), (n1, e1) in zip(points, points[1:]):
        if e1 <= math.log(target) or n1 == points[-1][0]:
            return math.exp(n0 + (math.log(target) - e0) * (n1 - n0) / (e1 - e0))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--many", type=int, default=20_000)
    parser.add_argument("--only", help="a word of the names of the methods that are compared, such as lime")
    parser.add_argument("--out", type=Path, help="write the numbers here as JSON")
    args = parser.parse_args()
    results = {}
    for name, method in METHODS.items():
        if args.only and args.only not in name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            truth, _ = maps(args, f"{method},samples={args.many}", 1, folder)
            found = {}
            for pairs in ["true", "false"]:
                of = lambda n: maps(args, f"{method},samples={n},pairs={pairs}", 0, folder)[0]
                medians = [float(np.median(errors(of(n), truth))) for n in COUNTS]
                found[pairs] = {"median error": dict(zip(COUNTS, medians)), "draws": draws_to(TENTH, medians)}
            auto, drawn = maps(args, f"{method},samples=auto,tolerance={TENTH}", 0, folder)
            error = errors(auto, truth)
        near = float(np.mean(np.abs(error / TENTH - 1) <= 0.2))
        below = float(np.mean(error <= 1.2 * TENTH))
        ratio = found["false"]["draws"] / found["true"]["draws"]
        results[name] = {
            "pairs": found["true"],
            "independent": found["false"],
            "ratio": ratio,
            "auto": {"mean draws": drawn, "within a fifth": near, "at most a fifth above": below},
        }
        print(
            f"{name}: {found['true']['draws']:.0f} draws in pairs, {found['false']['draws']:.0f} independent, "
            f"ratio {ratio:.2f}; auto: {drawn:.0f} draws, {100 * near:.0f} % of images within a fifth of the "
            f"tolerance, {100 * below:.0f} % at most a fifth above",
            flush=True,
        )
    if args.out:
        args.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()

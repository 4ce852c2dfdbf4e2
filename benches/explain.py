"""Attribution maps: gradproof against captum, in turn, on the same images and threads.

    pip install -r tests/reference/requirements.txt
    OMP_NUM_THREADS=2 python benches/explain.py target/release/gradproof [--rounds N] [--images N] [--arch NAME] [--tuned]

Each round runs every method once by gradproof (`bench explain`, one round, its warm-up left out) and
once by captum with the same architecture, random weights (times do not depend on them) and the same
images of `shapes`; captum with its defaults (left out by `--tuned`: LIME takes a pass a sample), and tuned: all samples
in as few passes as fit 256 images, channels innermost. Superpixels of LIME and KernelSHAP are part of the time on both sides (captum:
scikit-image's quickshift). Milliseconds an image, medians; the ratio is captum's time by ours, with
its quartiles over the rounds.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

import numpy as np
import torch
from captum.attr import IntegratedGradients, KernelShap, Lime, NoiseTunnel, Saliency
from captum._utils.models.linear_model import SkLearnRidge
from skimage.segmentation import quickshift

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/reference"))
import networks  # noqa: E402

CHUNK = 256


def images(program, n):
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/shapes.safetensors"
        made = [program, "data", "make", f"shapes:seed=0,train=1,test={n}", "--split", "test", "--out", path]
        subprocess.run(made, check=True, capture_output=True)
        raw = Path(path).read_bytes()
    size = int.from_bytes(raw[:8], "little")
    place = json.loads(raw[8 : 8 + size])["images"]
    begin, end = place["data_offsets"]
    kind = {"U8": np.uint8, "F32": np.float32}[place["dtype"]]
    array = np.frombuffer(raw[8 + size + begin : 8 + size + end], kind).reshape(place["shape"])
    array = array.astype(np.float32) / (255 if kind is np.uint8 else 1)
    return torch.from_numpy(array[:n].copy())


def masks(x):
    segments = [quickshift(i.permute(1, 2, 0).double().numpy(), kernel_size=1, max_dist=200, ratio=0.1) for i in x]
    return [torch.from_numpy(s)[None].expand(3, -1, -1)[None] for s in segments]


def methods(network, x, target, tuned):
    """Name -> what computes the maps of all images."""
    each = max(1, CHUNK // len(x)) if tuned else None
    noise = NoiseTunnel(Saliency(network))
    ig = IntegratedGradients(network)

    def surrogate(kind):
        found = []
        for image, label, mask in zip(x, target, masks(x)):
            explainer = Lime(network, interpretable_model=SkLearnRidge(alpha=1)) if kind == "lime" else KernelShap(network)
            evaluations = 100 if tuned else 1
            found.append(
                explainer.attribute(
                    image[None], target=label[None], feature_mask=mask, n_samples=100, perturbations_per_eval=evaluations
                )
            )
        return torch.cat(found)

    return {
        "saliency": lambda: Saliency(network).attribute(x, target, abs=False),
        "SmoothGrad-50": lambda: noise.attribute(
            x, nt_samples=50, nt_samples_batch_size=each, stdevs=0.03, target=target, abs=False
        ),
        "IG-50": lambda: ig.attribute(
            x, target=target, n_steps=50, method="riemann_right", internal_batch_size=CHUNK if tuned else None
        ),
        "LIME-100": lambda: surrogate("lime"),
        "KernelSHAP-100": lambda: surrogate("shap"),
    }


def ours(program, arch, n):
    only = "saliency,smoothgrad-50,ig-50,lime-100,kernelshap-100"
    line = [program, "bench", "explain", "--arch", arch, "--batch-size", str(n), "--rounds", "1", "--only", only, "--json"]
    found = json.loads(subprocess.run(line, check=True, capture_output=True).stdout)
    return {row["name"]: row["median_ms"] / n for row in found["benches"]["explain"]}


def main(program, rounds, n, arch, only_tuned):
    torch.manual_seed(0)
    x = images(program, n)
    plain = networks.NETWORKS[arch][0]().eval()
    layouts = {True: torch.channels_last} if only_tuned else {False: torch.contiguous_format, True: torch.channels_last}
    others = ["tuned"] if only_tuned else ["captum", "tuned"]
    times = {}
    for _ in range(rounds):
        for name, ms in ours(program, arch, n).items():
            times.setdefault(("gradproof", name), []).append(ms)
        for tuned, layout in layouts.items():
            network, own = plain.to(memory_format=layout), x.contiguous(memory_format=layout)
            target = network(own).argmax(1)
            for name, run in methods(network, own, target, tuned).items():
                start = time.perf_counter()
                run()
                elapsed = (time.perf_counter() - start) * 1e3 / n
                times.setdefault(("tuned" if tuned else "captum", name), []).append(elapsed)
    print(f"{arch}, {n} images, {torch.get_num_threads()} threads, {rounds} rounds; ms an image\n")
    heads = {"captum": "captum", "tuned": "captum tuned"}
    print("| method | gradproof |" + "".join(f" {heads[who]} | ratio |" for who in others))
    print("|---|---" + "|---|---" * len(others) + "|")
    for name in [name for who, name in times if who == "tuned"]:
        own = times["gradproof", name]
        cells = [f"{median(own):.2f}"]
        for who in others:
            other = times[who, name]
            ratios = [b / a for a, b in zip(own, other)]
            low, _, high = quantiles(ratios, n=4) if rounds > 1 else ratios * 3
            cells += [f"{median(other):.2f}", f"{median(ratios):.2f} ({low:.2f} to {high:.2f})"]
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    line = argparse.ArgumentParser()
    line.add_argument("program")
    line.add_argument("--rounds", type=int, default=5)
    line.add_argument("--images", type=int, default=64)
    line.add_argument("--arch", default="resnet20")
    line.add_argument("--tuned", action="store_true", help="leave captum's defaults out")
    given = line.parse_args()
    main(given.program, given.rounds, given.images, given.arch, given.tuned)

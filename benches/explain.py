"""Attribution maps: gradproof against captum, in turn, on the same images and threads.

    pip install -r tests/reference/requirements.txt
    OMP_NUM_THREADS=2 python benches/explain.py target/release/gradproof [--rounds N] [--images N] [--arch NAME] [--tuned]
        [--out RESULT.json]
    python benches/table.py RESULT.json benches/explain.md    # its table there

Each round runs every method once by gradproof (`bench explain`, one round, its warm-up left out) and
once by captum with the same architecture, random weights (times do not depend on them) and the same
images of `shapes`; captum with its defaults (left out by `--tuned`: LIME takes a pass a sample), and tuned: all samples
in as few passes as fit 256 images, and in each round the fastest of four networks: as it is (eager), with batch norms fused into
convolutions, so with channels innermost, and that compiled (torch.compile, whose compilation is not timed). Superpixels of LIME and KernelSHAP are part of the time on both sides (captum:
scikit-image's quickshift). Milliseconds an image, medians; the ratio is captum's time by ours, with
its quartiles over the rounds.
"""

import argparse
import copy
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from captum.attr import IntegratedGradients, KernelShap, Lime, NoiseTunnel, Saliency
from captum._utils.models.linear_model import SkLearnRidge
from skimage.segmentation import quickshift

REFERENCE = Path(__file__).resolve().parents[1] / "tests/reference"
sys.path[:0] = [str(REFERENCE), str(REFERENCE / "attack")]
import map_attacks  # noqa: E402
import networks  # noqa: E402

import table  # noqa: E402

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


def variants(plain, x):
    """Name -> a network and the images in its layout: what PyTorch users do to be fast."""
    inner = torch.channels_last
    fused = copy.deepcopy(plain)
    map_attacks.fuse(fused)
    last = copy.deepcopy(fused).to(memory_format=inner)
    own = x.contiguous(memory_format=inner)
    return {"eager": (plain, x), "fused": (fused, x), "channels last": (last, own), "compiled": (torch.compile(last), own)}


def tuned_times(networks_, target):
    """Method -> variant -> milliseconds an image."""
    found = {}
    for variant, (network, x) in networks_.items():
        for name, run in methods(network, x, target, True).items():
            found.setdefault(name, {})[variant] = timed(run, len(x))
    return found


def timed(run, n):
    start = time.perf_counter()
    run()
    return (time.perf_counter() - start) * 1e3 / n


def main(program, rounds, n, arch, only_tuned, out):
    torch.manual_seed(0)
    x = images(program, n)
    plain = networks.NETWORKS[arch][0]().eval().requires_grad_(False)
    target = plain(x).argmax(1)
    others = variants(plain, x)
    tuned_times(others, target)  # compiles
    found = {}
    for _ in range(rounds):
        own, tuned = ours(program, arch, n), tuned_times(others, target)
        defaults = {} if only_tuned else methods(plain, x, target, False)
        for name, times in tuned.items():
            row = {"gradproof": own[name], **{f"captum, {variant}": ms for variant, ms in times.items()}}
            row |= {"captum's defaults": timed(defaults[name], n)} if defaults else {}
            found.setdefault(name, []).append(row)
    settings = {"arch": arch, "images": n, "threads": torch.get_num_threads(), "torch": torch.__version__}
    result = {"unit": "ms an image", "times": True, "ours": ["gradproof"], "settings": settings, "methods": found}
    if out:
        Path(out).write_text(json.dumps(result, indent=1) + "\n")
    print(table.markdown(result))


if __name__ == "__main__":
    line = argparse.ArgumentParser()
    line.add_argument("program")
    line.add_argument("--rounds", type=int, default=5)
    line.add_argument("--images", type=int, default=64)
    line.add_argument("--arch", default="resnet20")
    line.add_argument("--tuned", action="store_true", help="leave captum's defaults out")
    line.add_argument("--out", help="also write the times here, as JSON")
    given = line.parse_args()
    main(given.program, given.rounds, given.images, given.arch, given.tuned, given.out)

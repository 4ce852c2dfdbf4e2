"""Writes docs/results/networks.md: networks of torchvision and timm as ONNX files.

    cargo build --release && pip install -r tests/reference/requirements.txt
    python tests/reference/onnx_networks.py [--only resnet18,vgg16] [--rows FILE]

Each network is built with weights by the rule of logits.py, exported by both exporters of
torch.onnx with a free batch, and given to `target/release/gradproof` as a user would. Its logits
are compared with onnxruntime's, its maps with captum's on the module in double precision. Nothing is
downloaded. Half an hour on one core, or less in parts side by side: lines go to FILE, and those that
are there are not made again. Exits with 1 where a bound does not hold.
"""

import argparse
import contextlib
import io
import itertools
import json
import subprocess
import tempfile
import textwrap
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import timm
import torch
import torch.nn.functional as F
import torchvision
from captum.attr import IntegratedGradients, LayerGradCam, Saliency
from safetensors.numpy import load_file
from torch import nn

import networks
import store
from logits import filled

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "target/release/gradproof"
PAGE = ROOT / "docs/results/networks.md"
CLASSES, POINTS, ITERATIONS = 5, 8, 10
EXPORTERS = ["new", "old"]
LOGITS, MAPS = 1e-5, 1e-4  # bounds: of the largest logit; of the median pixel
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
METHODS = {
    "saliency": "saliency",
    "ig": f"ig:points={POINTS}",
    "gradcam": "gradcam",
    "smoothgrad": "smoothgrad:samples=2",
    "lime": "lime:samples=10,groups=grid",
    "occlusion": "occlusion:size=32,stride=32",
    "guided": "guided",
    "deeplift": "deeplift",
    "lrp": "lrp",
}

tv = lambda name, **more: lambda: getattr(torchvision.models, name)(num_classes=CLASSES, **more)
tm = lambda name, **more: lambda: timm.create_model(name, num_classes=CLASSES, **more)
# Builder, side of images, the module whose output is Grad-CAM's default layer; none where that is none.
NETWORKS = {
    "torchvision resnet18": (tv("resnet18"), 64, "layer4"),
    "torchvision resnet50": (tv("resnet50"), 64, "layer4"),
    "torchvision vgg16": (tv("vgg16", init_weights=False), 224, "features"),
    "torchvision googlenet": (tv("googlenet", init_weights=False, aux_logits=False), 64, "inception5b"),
    "torchvision densenet121": (tv("densenet121"), 64, None),
    "torchvision mobilenet_v2": (tv("mobilenet_v2"), 64, "features"),
    "torchvision mobilenet_v3_large": (tv("mobilenet_v3_large"), 64, "features"),
    "torchvision efficientnet_b0": (tv("efficientnet_b0"), 64, "features"),
    "torchvision convnext_tiny": (tv("convnext_tiny"), 64, "features"),
    "torchvision swin_t": (tv("swin_t"), 64, None),
    "torchvision vit_b_16": (tv("vit_b_16", image_size=64), 64, "conv_proj"),
    "timm deit_tiny": (tm("deit_tiny_patch16_224", img_size=64), 64, "patch_embed.proj"),
    "timm resnetv2_50": (tm("resnetv2_50"), 64, "norm"),
    "kuangliu ResNet18": (networks.NETWORKS["resnet18"][0], 32, "layer4"),
    "kuangliu VGG16": (networks.NETWORKS["vgg16"][0], 32, "features.42"),
}

HEAD = """# Networks of torchvision and timm as ONNX files

What gradproof makes of networks that others defined: each exported by both exporters of
`torch.onnx` with a free batch and given to the program, with random weights (those of
`tests/reference/logits.py`; norms fitted to the images) and {classes} or 10 classes, on blurred
noise: 3 images with sides of 64 or 32 pixels, 2 of 224.

- **logits**: largest difference from onnxruntime's, as a part of the largest logit; bound
  {logits:.0e}. Where it is larger, in brackets the difference from the module in double precision, for
  which the bound holds then, and onnxruntime's own, which is beyond it.
- **saliency**, **IG** ({points} points), **Grad-CAM** (default layer): relative error of the median
  pixel against captum on the module in double precision, and in brackets captum's own in single
  precision. Bound {maps:.0e} for saliency. Rounding moves units over the bend of a ReLU, and a unit
  changes many pixels: IG, which sums over a path, meets more of them. The correlation is the least
  over images. Grad-CAM has no number where its layer is no module.
- **k-in**: share of the largest pixels of gradient × input that are still there after a top-k
  attack (8/255, {iterations} iterations; 1 before it), mean over images.
- **refused**: of these methods:
  {methods}.

| network | exporter | logits | saliency | its correlation | IG | Grad-CAM | k-in | refused |
|---|---|---|---|---|---|---|---|---|
"""
TAIL = """
Made with `python tests/reference/onnx_networks.py` (torch {torch}, torchvision {torchvision}, timm
{timm}, onnxruntime {onnxruntime}; one CPU thread).
{verdict}
"""


class Normalised(nn.Module):
    """A network of pixels in [0, 1]."""

    def __init__(self, net):
        super().__init__()
        self.net = net
        self.register_buffer("mean", torch.tensor(MEAN).reshape(3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).reshape(3, 1, 1))

    def scaled(self, x):
        return (x - self.mean) / self.std

    def forward(self, x):
        return self.net(self.scaled(x))


def blurred_noise(side):
    torch.manual_seed(0)
    count = 2 if side > 64 else 3
    return F.interpolate(torch.rand(count, 3, 8, 8), side, mode="bicubic").clamp(0, 1)


def settle(norm, inputs):
    """Half of each channel's mean is taken off, and all are divided by their root mean square: dividing
    each by its own deviation makes rounding errors of 1e-5."""
    norm.running_mean = inputs[0].mean((0, 2, 3)) / 2
    norm.running_var[:] = (inputs[0] - norm.running_mean.reshape(-1, 1, 1)).square().mean()


@torch.no_grad()
def built(build, x):
    """The module, its norms settled in a pass over x."""
    net = Normalised(filled(build)).eval()
    hooks = [m.register_forward_pre_hook(settle) for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    net(x)
    for hook in hooks:
        hook.remove()
    return net


@contextlib.contextmanager
def quiet():
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def export(net, x, path, exporter):
    """As docs/own-network.md says, with a free batch; the normalisation stays outside."""
    with quiet():
        if exporter == "new":
            torch.onnx.export(net, (x[:2],), path, dynamo=True, dynamic_shapes=({0: "N"},), verbose=False)
        else:
            axes = {"input": {0: "N"}}
            torch.onnx.export(net, x[:1], path, dynamo=False, input_names=["input"], dynamic_axes=axes)


def run(command, *more):
    """What the program prints as JSON. Errors: its message."""
    done = subprocess.run([PROGRAM, command, "--json", *map(str, more)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return json.loads(done.stdout)


def explained(subject, methods, folder, *more):
    """Maps by method, and the messages of methods that are refused."""
    out = folder / "maps.safetensors"
    spelled = ",".join(METHODS.get(method, method) for method in methods)
    try:
        files = run("explain", *subject, "--method", spelled, "--out", out, *more)["out"]
        return {method: load_file(file)["maps"] for method, file in zip(methods, files)}, {}
    except RuntimeError as error:
        if len(methods) == 1:
            return {}, {methods[0]: str(error)}
    each = [explained(subject, [method], folder, *more) for method in methods]
    join = lambda i: {key: value for one in each for key, value in one[i].items()}
    return join(0), join(1)


def logit_errors(net, exact, subject, path, x, folder):
    """Of f_c(x) − f_c(grey) for each class c, which is what one square over all of the image shows:
    from onnxruntime's, from the `exact` ones, and onnxruntime's from these."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    logits, grey = (session.run(None, {name: net.scaled(y).numpy()})[0] for y in (x, torch.full_like(x, 0.5)))
    square = f"occlusion:size={x.shape[-1]},stride={x.shape[-1]},baseline=0.5"
    maps = [explained(subject, [square], folder, "--target", c)[0][square] for c in range(logits.shape[1])]
    drops = np.stack([a_map[:, 0, 0, 0] for a_map in maps], 1)
    error = lambda a, b: np.abs(a - b).max() / np.abs(logits).max()
    return error(drops, logits - grey), error(drops, exact), error(logits - grey, exact)


def compared(a, b):
    """Median relative error of the numbers that are not 0, and the least correlation of an image."""
    a, b = (t.reshape(len(t), -1).astype(np.float64) for t in (a, b))
    correlations = [np.corrcoef(p, q)[0, 1] for p, q in zip(a, b) if q.any()]
    return np.median(np.abs(a - b)[b != 0] / np.abs(b)[b != 0]), min(correlations)


def captum_maps(net, x, tap):
    target = net(x).argmax(1)
    with quiet():
        maps = {
            "saliency": Saliency(net).attribute(x, target=target, abs=False),
            "ig": IntegratedGradients(net).attribute(x, target=target, n_steps=POINTS, method="riemann_right"),
        }
    if tap:
        layer = net.net.get_submodule(tap)
        cam = LayerGradCam(net, layer).attribute(x, target=target, relu_attributions=True)
        cam = F.interpolate(cam, x.shape[2:], mode="bilinear", align_corners=False)
        maps["gradcam"] = cam.expand_as(x)
    return {method: a_map.detach().numpy() for method, a_map in maps.items()}


def attacked(subject, folder):
    out = folder / "attack.safetensors"
    how = ["--method", "gxi", "--attack", "topk", "--eps", "8/255", "--iters", ITERATIONS, "--out", out]
    run("attack", *subject, *how)
    return load_file(out)["k-in"].mean()


def holds(line):
    """Whether a line is within the bounds."""
    _, _, _, logits, saliency, *_, k_in, _, _ = (cell.strip() for cell in line.split("|"))
    logits, *others = map(float, logits.replace("(", "").replace(")", "").replace(";", "").split())
    close = logits <= LOGITS or others[0] <= LOGITS < others[1]
    return close and float(saliency.split()[0]) <= MAPS and float(k_in) < 1


def checked(name, exporters, folder):
    """A line of the table for each exporter."""
    build, side, tap = NETWORKS[name]
    x = blurred_noise(side)
    data = folder / "data.safetensors"
    store.write(data, {"images": x.numpy(), "labels": np.zeros(len(x), np.int64)})
    net = built(build, x)
    single = captum_maps(net, x, tap)
    double = captum_maps(net.double(), x.double(), tap)
    with torch.no_grad():
        exact = (net(x.double()) - net(torch.full_like(x, 0.5).double())).numpy()
    net.float()
    for exporter in exporters:
        path = folder / f"{exporter}.onnx"
        export(net.net, x, path, exporter)
        stats = ",".join(map(str, MEAN)) + "/" + ",".join(map(str, STD))
        subject = ["--weights", path, "--normalise", stats, "--data", f"tensors:{data}"]
        logits, *others = logit_errors(net, exact, subject, path, x, folder)
        beyond = "" if logits <= LOGITS else " ({:.1e}; {:.1e})".format(*others)
        maps, refused = explained(subject, METHODS, folder)
        error = lambda method: compared(maps[method], double[method])
        shown = lambda method: (
            f"{error(method)[0]:.1e} ({compared(single[method], double[method])[0]:.1e})"
            if method in maps and method in double
            else ""
        )
        k_in = attacked(subject, folder)
        cells = [name, exporter, f"{logits:.1e}{beyond}", shown("saliency"), f"{error('saliency')[1]:.5f}", shown("ig")]
        cells += [shown("gradcam"), f"{k_in:.3f}", "; ".join(refused.values()) or "none"]
        yield "| " + " | ".join(cells) + " |\n"


def page(lines, verdict):
    """The page's text."""
    numbers = {"classes": CLASSES, "logits": LOGITS, "maps": MAPS, "points": POINTS, "iterations": ITERATIONS}
    methods = textwrap.fill(", ".join(f"`{method}`" for method in METHODS.values()), 96, subsequent_indent="  ")
    packages = {m.__name__: m.__version__.split("+")[0] for m in (torch, torchvision, timm, onnxruntime)}
    return HEAD.format(**numbers, methods=methods) + "".join(lines) + TAIL.format(**packages, verdict=verdict)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="parts of names, separated by commas; no page is written")
    parser.add_argument("--rows", type=Path, help="file of lines: those in it are kept, new ones are added")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = args.rows.read_text().splitlines(keepends=True) if args.rows and args.rows.exists() else []
    found = {tuple(cell.strip() for cell in line.split("|")[1:3]): line for line in rows}
    for name in NETWORKS:
        if not any(part in name for part in args.only.split(",")):
            continue
        missing = [exporter for exporter in EXPORTERS if (name, exporter) not in found]
        with tempfile.TemporaryDirectory() as folder:
            for exporter, line in zip(missing, checked(name, missing, Path(folder)) if missing else []):
                print(line, end="", flush=True)
                found[name, exporter] = line
                if args.rows:
                    with args.rows.open("a") as file:
                        file.write(line)
    lines = [found[key] for key in itertools.product(NETWORKS, EXPORTERS) if key in found]
    beyond = [line.split("|")[1].strip() for line in lines if not holds(line)]
    verdict = f"Bounds do not hold: {', '.join(beyond)}." if beyond else "Every bound holds."
    if instead := [" ".join(key) for key, line in found.items() if "(" in line.split("|")[3]]:
        verdict += f"\nThat of logits holds against double precision only: {', '.join(instead)}."
    if not args.only:
        PAGE.write_text(page(lines, verdict))
    print(verdict)
    raise SystemExit(bool(beyond))


if __name__ == "__main__":
    main()

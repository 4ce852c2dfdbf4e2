"""Writes docs/results/onnx-resnet20.md: the shipped natural ResNet-20, and torch's exports of it.

    cargo build --release && pip install -r tests/reference/requirements.txt
    python tests/reference/onnx_resnet20.py cifar10:PATH

The weights are put into networks.py's definition and exported by both exporters of torch.onnx, with
batch norms folded and kept, with a fixed and a free batch. The program has to find in each file the
network that it has in weights/: accuracy, maps, PGD, attacks on maps and their speed. A quarter of
an hour on one core; exits with 1 where a bound does not hold.
"""

import argparse
import itertools
import os
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.numpy import load_file
from safetensors.torch import load_file as load_weights

import networks

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benches"))
import onnx_attack  # noqa: E402
from onnx_networks import PROGRAM, ROOT, compared, explained, quiet, run

WEIGHTS = ROOT / "weights/resnet20-cifar10-natural.safetensors"
PAGE = ROOT / "docs/results/onnx-resnet20.md"
NORMALISE = "0.4914,0.4822,0.4465/0.2023,0.1994,0.201"
METHODS = ["saliency", "gxi", "ig:points=16", "guided", "deeplift", "lrp", "gradcam"]
EXPLAINED, ROBUST = 16, 100
MAPS, BROKEN, AREA, SPEED = 1e-4, 2, 0.005, 0.9

HEAD = """# The shipped ResNet-20 through ONNX

The natural ResNet-20 of `weights/` in a PyTorch definition, exported by both exporters of
`torch.onnx`, with batch norms folded into convolutions or kept, with a batch of one image or a free
one: is each file the network that gradproof has built in? Accuracy on {images} test images of
CIFAR-10; PGD of 20 steps within 1/255 on the first {robust}: images on which only one of both is robust,
at most {broken}; maps of the first {explained}: the relative error of the median pixel against the
built-in network's, bound {maps:.0e}.

| exporter | norms | batch | accuracy | PGD differs | {methods} |
|---|---|---|---|---|{rules}|
| built in | | | {accuracy:.4f} | | {blanks} |
"""
TAIL = """
Top-k attack on gradient × input of the first {attacked} images ({area_bound} at most between areas under k-in
over the radii 2, 4, 8 and 16/255 of {steps} iterations; `benches/onnx_attack.py`: {pairs} runs of all in turn
at 8/255, the time of {long} iterations less that of {short}, medians; at least {speed_bound} of the built-in
network's speed):

| | built in | exported: new, folded, free | exported: new, kept, free |
|---|---|---|---|
{rows}
Made with `python tests/reference/onnx_resnet20.py cifar10:PATH` (torch {torch}; one CPU thread).
{verdict}
"""


def module():
    net = networks.CifarResNet(3)
    net.load_state_dict(load_weights(WEIGHTS), strict=False)
    return net.eval()


def export(net, path, exporter, norms, batch):
    x = torch.rand(2 if batch == "free" else 1, 3, 32, 32)
    with quiet():
        if exporter == "new":
            shapes = ({0: "N"},) if batch == "free" else None
            how = {"dynamo": True, "dynamic_shapes": shapes, "optimize": norms == "folded", "verbose": False}
        else:
            how = {"dynamo": False, "input_names": ["input"]}
            how["dynamic_axes"] = {"input": {0: "N"}} if batch == "free" else None
            if norms == "kept":
                how |= {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
        torch.onnx.export(net, (x,), path, **how)
    return ["--weights", path, "--normalise", NORMALISE]


def measured(weights, data, folder):
    """Accuracy, number of images, which are robust, and maps."""
    subject, out = [*weights, "--data", data], folder / "robust.safetensors"
    rows = run("eval", *subject)["rows"]
    accuracy = next(row for row in rows if row["quantity"] == "accuracy")
    run("eval", *subject, "--limit", ROBUST, "--pgd", 20, "--eps", "1/255", "--out", out)
    maps, refused = explained(subject, METHODS, folder, "--limit", EXPLAINED)
    assert not refused, refused
    return accuracy["mean"], accuracy["n"], load_file(out)["robust"], maps


def compare(form, weights, own, data, folder):
    """Whether the bounds hold against what is `own` to the built-in network, and a line."""
    accuracy, _, robust, maps = own
    found, _, still, other = measured(weights, data, folder)
    differs = int((robust != still).sum())
    errors = [compared(other[method], maps[method])[0] for method in METHODS]
    held = found == accuracy and differs <= BROKEN and max(errors) <= MAPS
    cells = [*form, f"{found:.4f}", str(differs), *(f"{error:.1e}" for error in errors)]
    return held, "| " + " | ".join(cells) + " |\n"


FORMS = list(itertools.product(["new", "old"], ["folded", "kept"], ["one", "free"]))


def page(own, lines, attacks, held):
    """The page's text."""
    accuracy, images, _, _ = own
    areas, _, speeds = attacks
    held &= max(abs(a - areas[0]) for a in areas) <= AREA and min(speeds) >= SPEED
    head = HEAD.format(
        images=images, explained=EXPLAINED, robust=ROBUST, maps=MAPS, broken=BROKEN, accuracy=accuracy,
        methods=" | ".join(METHODS), rules="|".join(["---"] * len(METHODS)), blanks=" | ".join("" for _ in METHODS),
    )  # fmt: skip
    tail = TAIL.format(
        attacked=onnx_attack.IMAGES, area_bound=AREA, pairs=onnx_attack.PAIRS, speed_bound=SPEED,
        steps=onnx_attack.STEPS, short=onnx_attack.SHORT, long=onnx_attack.LONG, rows=onnx_attack.table(attacks),
        torch=torch.__version__.split("+")[0],
        verdict="Every bound holds." if held else "A bound does not hold.",
    )  # fmt: skip
    return held, head + "".join(lines) + tail


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="CIFAR-10, as gradproof reads it")
    data = parser.parse_args().data
    os.environ["OMP_NUM_THREADS"] = "1"
    net, built_in, lines, held, exported = module(), ["--weights", WEIGHTS], [], True, {}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        own = measured(built_in, data, folder)
        for form in FORMS:
            exported[form] = export(net, folder / f"{'-'.join(form)}.onnx", *form)
            holds, line = compare(form, exported[form], own, data, folder)
            print(line, end="", flush=True)
            held &= holds
            lines.append(line)
        subjects = [built_in, exported["new", "folded", "free"], exported["new", "kept", "free"]]
        attacks = onnx_attack.compared(PROGRAM, subjects, data)
    held, text = page(own, lines, attacks, held)
    PAGE.write_text(text)
    print(onnx_attack.table(attacks))
    raise SystemExit(not held)


if __name__ == "__main__":
    main()

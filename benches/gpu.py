"""A page of what `gradproof doctor --self-test` found on a GPU, beside the same work in PyTorch.

    gradproof doctor --self-test --device cuda:0 --out self-test.json
    python benches/gpu.py self-test.json [--device cuda:0] --out docs/results/gpu.md

Needs torch alone. PyTorch runs eager and compiled (`torch.compile`), channels last, on the same card,
with the same architectures, images and types: logits, gradients of a logit in the images, gradients of
the cross-entropy in the weights. The best of five after warm-up, as the self-test has it.
"""

import argparse
import json
import re
import sys
import time
from pathlib import Path

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/reference"))
import networks  # noqa: E402

NETWORKS = {
    "resnet20": lambda: networks.CifarResNet(3),
    "resnet18": lambda: networks.ResNet([2, 2, 2, 2], bottleneck=False),
    "resnet50": lambda: networks.ResNet([3, 4, 6, 3], bottleneck=True),
}
TYPES = {"f32": torch.float32, "bf16": torch.bfloat16}
WORK = ["logits", "gradients in images", "gradients in weights"]


def seconds(device, work):
    def done():
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    for _ in range(3):
        done()
    best = float("inf")
    for _ in range(5):
        clock = time.perf_counter()
        done()
        best = min(best, time.perf_counter() - clock)
    return best


def work(network, device, kind, n, what):
    """One call of `what` on n images."""
    x = torch.rand(n, 3, 32, 32, device=device).to(memory_format=torch.channels_last)
    y = torch.zeros(n, dtype=torch.long, device=device)
    cast = torch.autocast(device.type, dtype=kind, enabled=kind != torch.float32)
    if what == "gradients in weights":
        network.train().requires_grad_(True)

        def run():
            with cast:
                logits = network(x)
            loss = nn.functional.cross_entropy(logits.float(), y)
            torch.autograd.grad(loss, list(network.parameters()))

        return run
    network.eval().requires_grad_(False)

    def run():
        with cast:
            if what == "logits":
                with torch.no_grad():
                    network(x)
                return
            at = x.detach().requires_grad_(True)
            score = network(at)[:, 0].sum()
        torch.autograd.grad(score, at)

    return run


def rates(lines, device):
    """Rows of (type, architecture, work, images, ours, eager, compiled), images a second."""
    rows = []
    for line in lines:
        found = re.fullmatch(r"(\w+): (logits|gradients in \w+)(?:, (\d+) images)?", line["what"])
        if line["part"] != "rates" or not found:
            continue
        arch, what, n = found[1], found[2], int(found[3] or rows[-1][3])
        theirs = []
        for compiled in [False, True]:
            network = NETWORKS[arch]().to(device).to(memory_format=torch.channels_last)
            timed = torch.compile(network) if compiled else network
            try:
                theirs.append(n / seconds(device, work(timed, device, TYPES[line["of"]], n, what)))
            except Exception as error:  # torch.compile needs a compiler of its own
                print(f"{arch}, {what}: {str(error).splitlines()[0]}", file=sys.stderr)
                theirs.append(None)
        rows.append((line["of"], arch, what, n, line["found"], *theirs))
    return rows


def page(found, rows):
    counts = {}
    for line in found["lines"]:
        part = counts.setdefault(line["part"], {})
        part[line["verdict"]] = part.get(line["verdict"], 0) + 1
    text = [
        "# On a GPU: the self-test, and rates beside PyTorch",
        "",
        f"{found['device']}; gradproof {found['version']} ({found['commit']}), {found['seconds']:.0f} s; made by",
        "`just gpu-check`.",
        "",
        "| part | ok | fails | skipped |",
        "|---|---|---|---|",
    ]
    for part, by in counts.items():
        text.append(f"| {part} | {by.get('ok', 0)} | {by.get('fails', 0)} | {by.get('skipped', 0)} |")
    failed = [line for line in found["lines"] if line["verdict"] == "fails"]
    if failed:
        text += ["", "What fails:", "", "| part | type | what | found | bound |", "|---|---|---|---|---|"]
        for line in failed:
            bound = f"{line['found']:.2e} | {line['bound']:.2e}"
            text.append(f"| {line['part']} | {line['of']} | {line['what']} | {bound} |")
    text += ["", "| measured | type | |", "|---|---|---|"]
    for line in found["lines"]:
        if line["verdict"] == "measured" and ":" not in line["what"]:
            text.append(f"| {line['what']} | {line['of']} | {line['found']:.4g} {line.get('note', '')} |")
    text += ["", "Images a second; the ratio is ours over the best of PyTorch.", ""]
    text += ["| network | work | type | images | gradproof | eager | compiled | ratio |", "|---|---|---|---|---|---|---|---|"]
    for of, arch, what, n, ours, *theirs in rows:
        best = max((rate for rate in theirs if rate), default=None)
        cells = [f"{rate:.0f}" if rate else "–" for rate in theirs]
        ratio = f"{ours / best:.2f}" if best else "–"
        text.append(f"| {arch} | {what} | {of} | {n} | {ours:.0f} | {cells[0]} | {cells[1]} | {ratio} |")
    return "\n".join(text) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("found", type=Path)
    parser.add_argument("--device", default="cuda:0", type=torch.device)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    found = json.loads(args.found.read_text())
    args.out.write_text(page(found, rates(found["lines"], args.device)))
    print(f"written: {args.out}")


if __name__ == "__main__":
    main()

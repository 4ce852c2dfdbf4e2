"""Attacks on maps: a network that gradproof has built in, and ONNX files of it, in turn.

    OMP_NUM_THREADS=1 python benches/onnx_attack.py target/release/gradproof cifar10:FOLDER NORMALISATION \\
        weights/resnet20-cifar10-natural.safetensors mine.onnx ...

`topk` on gradient × input. Areas under k-in over the radii 2, 4, 8 and 16/255 of STEPS iterations; CPU seconds
of LONG iterations less those of SHORT at 8/255, so that starting and loading cancel, PAIRS runs of each file
in turn: medians, and the median of the first file's part in a round by each file's.
tests/reference/onnx_resnet20.py makes the files and states what this says of them.
"""

import json
import os
import statistics
import subprocess
import sys

IMAGES, STEPS, SHORT, LONG, PAIRS = 48, 20, 2, 12, 5


def topk(program, subject, data, *more):
    how = ["--method", "gxi", "--attack", "topk", "--limit", IMAGES, "--threads", 1, "--device", "cpu"]
    line = [program, "attack", *subject, "--data", data, *how, "--json", "--quiet", *more]
    done = subprocess.run([str(word) for word in line], stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def area(program, subject, data):
    rows = topk(program, subject, data, "--iters", STEPS)["rows"]
    return next(row["mean"] for row in rows if row["quantity"] == "k-in-auc")


def cpu_seconds(program, subject, data, iterations):
    """What else the machine does matters less for these than for wall time."""
    before = os.times()
    topk(program, subject, data, "--eps", "8/255", "--iters", iterations)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def compared(program, subjects, data):
    """Of each subject, arguments that name a network: area, median time, median speed by the first's."""
    areas = [area(program, subject, data) for subject in subjects]
    time = lambda subject: (
        cpu_seconds(program, subject, data, LONG) - cpu_seconds(program, subject, data, SHORT)
    )
    rounds = [[time(subject) for subject in subjects] for _ in range(PAIRS)]
    medians = [statistics.median(column) for column in zip(*rounds)]
    speeds = [statistics.median(row[0] / row[i] for row in rounds) for i in range(len(subjects))]
    return areas, medians, speeds


def table(found):
    """Lines of a Markdown table."""
    rows = zip(["area under k-in", "CPU seconds", "speed"], found, [4, 2, 3])
    line = lambda name, cells, digits: f"| {name} | " + " | ".join(f"{c:.{digits}f}" for c in cells) + " |\n"
    return "".join(line(*row) for row in rows)


if __name__ == "__main__":
    program, data, normalisation, *files = sys.argv[1:]
    subjects = [["--weights", file, "--normalise", normalisation] for file in files]
    print(f"| | {' | '.join(files)} |\n|{'---|' * (len(files) + 1)}")
    print(table(compared(program, subjects, data)), end="")

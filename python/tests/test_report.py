"""`results.csv` of `gradproof report` in pandas: every number of every kind of result, tidy."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
from gradproof import program
from safetensors.numpy import save_file

WEIGHTS = next(
    folder / "resnet20-cifar10-natural.safetensors"
    for folder in [program.BUNDLED / "weights", Path(__file__).resolve().parents[2] / "weights"]
    if folder.is_dir()
)
SUBJECT = ["--weights", WEIGHTS, "--data", "tensors:images.safetensors"]
COMMANDS = {
    "explain": ["explain", *SUBJECT, "--method", "gxi,ig:points=2", "--out", "maps.safetensors"],
    "attack": ["attack", *SUBJECT, "--method", "gxi", "--attack", "topk", "--iters", "2",
               "--eps", "2/255,8/255", "--out", "attack.safetensors"],
    "transfer": ["transfer", *SUBJECT, "--from", "gxi", "--to", "gxi,saliency", "--attack", "topk",
                 "--iters", "2", "--eps", "8/255", "--out", "transfer.json"],
    "measure": ["measure", "deletion:steps=3,complexity", *SUBJECT, "--method", "gxi,random",
                "--out", "measure.json"],
    "certify": ["certify", *SUBJECT, "--method", "gxi", "--samples", "32", "--iters", "0",
                "--radii", "0.05", "--out", "certify.json"],
    "eval": ["eval", *SUBJECT, "--pgd", "2"],
    "plane": ["plane", "--function", "ridges", "--method", "gxi,ig", "--at", "20/11.9"],
}  # fmt: skip
IMAGES = np.random.default_rng(0).random((8, 3, 32, 32), dtype=np.float32)
LABELS = np.arange(8)


def run(folder, *words):
    done = subprocess.run(
        [program.binary(), *map(str, words), "--quiet"],
        env=program.environment(), cwd=folder, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_number_of_every_kind_is_a_row(tmp_path):
    save_file({"images": IMAGES, "labels": LABELS}, tmp_path / "images.safetensors", metadata={"class_count": "10"})
    wanted = {}
    for kind, words in COMMANDS.items():
        said = json.loads(run(tmp_path, *words, "--json"))
        assert said["kind"] == kind
        wanted[kind] = said["rows"]
        if "--out" not in words:
            (tmp_path / f"{kind}.json").write_text(json.dumps(said))
    run(tmp_path, "report", ".")
    table = pd.read_csv(tmp_path / "results.csv")
    keys = table.columns[: list(table.columns).index("mean")]
    assert not table.duplicated(list(keys)).any(), "a row is told from every other by its keys"
    for kind, rows in wanted.items():
        own = table[table["kind"] == kind]
        assert len(own) == len(rows) > 0, kind
        for (_, found), row in zip(own.iterrows(), rows):
            assert found["quantity"] == row["quantity"]
            expected = np.nan if row["mean"] is None else row["mean"]
            assert np.isclose(found["mean"], expected, rtol=1e-12, atol=0, equal_nan=True), (kind, row)


def test_written_names_files_that_exist(tmp_path):
    save_file({"images": IMAGES, "labels": LABELS}, tmp_path / "images.safetensors", metadata={"class_count": "10"})
    for kind in ["attack", "transfer", "measure", "certify"]:
        said = run(tmp_path, *COMMANDS[kind])
        named = [line.split(": ", 1)[1] for line in said.splitlines() if line.startswith("written: ")]
        assert named, said
        for name in named:
            assert (tmp_path / name).is_file(), f"{kind}: {name}"

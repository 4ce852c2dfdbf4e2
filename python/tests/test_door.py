"""The door against the program itself, on drawn images and the weights of the wheel."""

import json
import subprocess
import sys
from pathlib import Path

import gradproof
import numpy as np
import pytest
import torch
from gradproof import program
from safetensors.numpy import load_file, save_file

WEIGHTS = next(
    folder / "resnet20-cifar10-natural.safetensors"
    for folder in [program.BUNDLED / "weights", Path(__file__).resolve().parents[2] / "weights"]
    if folder.is_dir()
)
IMAGES = np.random.default_rng(0).random((4, 3, 32, 32), dtype=np.float32)
LABELS = np.array([3, 8, 1, 0])


def command(*words):
    done = subprocess.run(
        [program.binary(), *map(str, words), "--json", "--quiet"],
        env=program.environment(), check=True, capture_output=True, text=True,
    )  # fmt: skip
    return json.loads(done.stdout)


@pytest.fixture()
def data(tmp_path):
    file = tmp_path / "images.safetensors"
    save_file({"images": IMAGES, "labels": LABELS}, file, metadata={"class_count": "10"})
    return f"tensors:{file}"


def test_maps_are_those_of_the_program(data, tmp_path):
    out = tmp_path / "maps.safetensors"
    command("explain", "--weights", WEIGHTS, "--data", data, "--method", "gxi", "--out", out)
    expected = load_file(out)["maps"]
    maps = gradproof.explain(IMAGES, WEIGHTS, "gxi")
    assert maps.dtype == np.float32 and np.array_equal(maps, expected)
    both = gradproof.explain(torch.from_numpy(IMAGES), WEIGHTS, "gxi,ig:points=3")
    assert list(both) == ["gxi", "ig:points=3"]
    assert isinstance(both["gxi"], torch.Tensor) and np.array_equal(both["gxi"].numpy(), expected)


def test_a_map_is_the_gradient_of_the_same_network(tmp_path):
    """One that PyTorch computes: a linear network, whose gradient is its weight."""
    net = torch.nn.Conv2d(3, 5, 8)
    onnx = tmp_path / "net.onnx"
    pytest.importorskip("onnx")
    model = torch.nn.Sequential(net, torch.nn.Flatten())
    torch.onnx.export(model, torch.zeros(1, 3, 8, 8), str(onnx), dynamo=False)
    x = IMAGES[:2, :, :8, :8].copy()
    maps = gradproof.explain(x, onnx, "saliency", target="2", normalise="none")
    expected = net.weight[2].abs().detach().numpy()
    assert np.abs(np.abs(maps) - expected).max() < 1e-6


def test_an_attack_stays_in_its_ball_and_says_how_far_maps_moved():
    found = gradproof.attack(IMAGES, WEIGHTS, "gxi", attack="topk", eps=["2/255", "8/255"], iters=3, labels=LABELS)
    assert list(found) == ["2/255", "8/255"]
    for radius, eps in [("2/255", 2 / 255), ("8/255", 8 / 255)]:
        one = found[radius]
        assert np.abs(one.adversarial - IMAGES).max() <= eps * 1.001
        assert one.maps.shape == one.attacked_maps.shape == IMAGES.shape
        assert one.success.dtype == bool and one.similarity["k-in"].shape == (4,)
    assert found["8/255"].similarity["k-in"].mean() <= found["2/255"].similarity["k-in"].mean()


def test_a_measure_is_a_tidy_table(data):
    table = gradproof.measure(IMAGES, WEIGHTS, "gxi,random", metrics="deletion:steps=5,complexity", labels=LABELS)
    rows = command("measure", "--weights", WEIGHTS, "--data", data, "--method", "gxi,random", "deletion:steps=5,complexity")["rows"]
    assert len(table) == len(rows) and set(table["method"]) == {"gxi", "random"}
    for column in ["quantity", "mean", "n", "stderr"]:
        assert column in table.columns
    assert table["mean"].tolist() == [row["mean"] for row in rows]


def test_errors_are_the_programs_sentences():
    with pytest.raises(gradproof.GradproofError, match="unknown method `gxl`; known, nearest first: gxi"):
        gradproof.explain(IMAGES, WEIGHTS, "gxl")
    with pytest.raises(gradproof.GradproofError, match=r"\[N, C, H, W\], not \[3, 32, 32\]"):
        gradproof.explain(IMAGES[0], WEIGHTS)
    with pytest.raises(gradproof.GradproofError, match="needs `labels`"):
        gradproof.explain(IMAGES, WEIGHTS, target="label")
    with pytest.raises(gradproof.GradproofError, match="pixels must be in"):
        gradproof.explain(IMAGES * 2, WEIGHTS)


def test_the_launcher_says_what_is_missing_without_importing_torch():
    code = (
        "import importlib.util as u, sys; u.find_spec = lambda name: None\n"
        "from gradproof import program\n"
        "program.main()"
    )
    # The door's own import of numpy is fine; torch must not be needed to say that it is missing.
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "gradproof: PyTorch is not installed here: pip install torch==2.11.0\n"
    code = "import sys, gradproof.program as p; p.environment(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_lists_of_methods_are_cut_at_methods():
    split = gradproof._split
    assert split("gxi,ig:points=3,baseline=0.5,lime") == ["gxi", "ig:points=3,baseline=0.5", "lime"]

"""What a newcomer has: a JPEG and torchvision's ResNet-18, without Rust and in under three minutes."""

import time

import numpy as np
import pytest
import torch
from gradproof import program
from safetensors.numpy import load_file, save_file
from test_door import command


def resnet18():
    """A state dict with the names and the shapes of torchvision's, and drawn values."""
    torch.manual_seed(0)
    state = {}

    def conv(name, out, inside, kernel):
        state[f"{name}.weight"] = torch.randn(out, inside, kernel, kernel) * (2 / (inside * kernel**2)) ** 0.5

    def norm(name, width):
        state[f"{name}.weight"], state[f"{name}.bias"] = torch.ones(width), torch.zeros(width)
        state[f"{name}.running_mean"], state[f"{name}.running_var"] = torch.zeros(width), torch.ones(width)
        state[f"{name}.num_batches_tracked"] = torch.tensor(0)

    conv("conv1", 64, 3, 7)
    norm("bn1", 64)
    for layer, (inside, width) in enumerate([(64, 64), (64, 128), (128, 256), (256, 512)], 1):
        for block in range(2):
            name, first = f"layer{layer}.{block}", inside if block == 0 else width
            conv(f"{name}.conv1", width, first, 3)
            norm(f"{name}.bn1", width)
            conv(f"{name}.conv2", width, width, 3)
            norm(f"{name}.bn2", width)
            if first != width:
                conv(f"{name}.downsample.0", width, first, 1)
                norm(f"{name}.downsample.1", width)
    state["fc.weight"], state["fc.bias"] = torch.randn(1000, 512) / 512**0.5, torch.zeros(1000)
    return state


def test_a_photo_is_explained_by_a_torchvision_network(tmp_path):
    pillow = pytest.importorskip("PIL.Image")
    begun = time.monotonic()
    y, x = np.mgrid[0:300, 0:400]
    pillow.fromarray(np.stack([x % 256, y % 256, (x + y) % 256], -1).astype(np.uint8)).save(tmp_path / "photo.jpg")
    torch.save(resnet18(), tmp_path / "resnet18.pth")
    out, figure = tmp_path / "maps.safetensors", tmp_path / "maps.png"
    words = ["--weights", tmp_path / "resnet18.pth", "--arch", "resnet18-imagenet", "--classes", "imagenet"]
    words += ["--data", tmp_path / "photo.jpg", "--preprocess", "torchvision", "--method", "gradcam"]
    command("doctor")
    command("explain", *words, "--out", out, "--figure", figure)
    assert load_file(out)["maps"].shape == (1, 3, 224, 224)
    assert pillow.open(figure).width > 400
    assert time.monotonic() - begun < 180


def test_maps_of_captum_measure_as_the_programs_own(tmp_path):
    captum = pytest.importorskip("captum.attr")
    pytest.importorskip("onnx")
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten(), torch.nn.Linear(32, 10)
    )
    data = tmp_path / "shapes.safetensors"
    command("data", "make", "shapes:train=1,test=32", "--split", "test", "--out", data)
    images = torch.from_numpy(load_file(data)["images"]).float() / 255
    onnx = tmp_path / "net.onnx"
    torch.onnx.export(net, images[:1], str(onnx), dynamo=False, dynamic_axes={"x": [0]}, input_names=["x"])
    target = net(images).argmax(1)
    maps = captum.Saliency(net).attribute(images.clone().requires_grad_(), target=target, abs=False)
    file = tmp_path / "captum.safetensors"
    save_file({"maps": maps.detach().numpy()}, file)
    words = ["--weights", onnx, "--data", f"tensors:{data}", "--normalise", "none", "--method", f"saliency,file:{file}"]
    rows = command("measure", *words, "deletion,localisation,infidelity")["rows"]
    found = {}
    for row in rows:
        found.setdefault(row["quantity"], []).append(row["mean"])
    assert {"deletion", "infidelity"} <= set(found) and len(found) > 3
    for quantity, means in found.items():
        assert len(means) == 2 and abs(means[0] - means[1]) <= 1e-6 * max(1, abs(means[0])), (quantity, means)

"""What torchvision makes of pictures with `ImageClassification(crop_size=224)`: digests of the pixels, for
crates/data/tests/it/pictures.rs.

    python3 -m venv env && env/bin/pip install torchvision==0.26.0 && env/bin/python tests/reference/preprocess.py
"""

import hashlib
from pathlib import Path

import torch
import torchvision
from PIL import Image
from torchvision.models import ResNet18_Weights

HERE = Path(__file__).parent.parent.parent / "crates/data/tests/pictures"
SIZES = [(500, 375), (375, 500), (224, 224), (256, 256), (40, 30), (257, 301), (1000, 259)]


def picture(width, height):
    """Slopes and steps, in whole numbers: crates/data/tests/it/pictures.rs draws the same."""
    image = Image.new("RGB", (width, height))
    image.putdata([(x * 7 + y * 3 & 255, (x * y >> 3) & 255, 255 * (x // 5 + y // 3 & 1)) for y in range(height) for x in range(width)])
    return image


def main():
    transforms = ResNet18_Weights.IMAGENET1K_V1.transforms()
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (transforms.mean, transforms.std))
    lines = [f"# torchvision {torchvision.__version__}: width height md5-of-pixels red-green-blue-of-the-middle"]
    for size in SIZES:
        pixels = ((transforms(picture(*size)) * std + mean) * 255).round().to(torch.uint8)
        middle = pixels[:, 112, 112].tolist()
        digest = hashlib.md5(bytes(pixels.flatten().tolist())).hexdigest()
        lines.append(" ".join(map(str, [*size, digest, *middle])))
    (HERE / "torchvision.txt").write_text("\n".join(lines) + "\n")


main()

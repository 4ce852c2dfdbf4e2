"""Writes crates/explain/tests/golden/quickshift.safetensors: scikit-image's superpixels.

    pip install -r tests/reference/requirements.txt
    PYTHONPATH=tests/reference python tests/reference/explain/quickshift.py

200 images of three kinds (smooth, flat shapes, textured), sides of 16 to 40 pixels, one in five
grey, made by `image`, which crates/explain/tests/it/sampling/quickshift.rs repeats: `segments` is the segment
of each pixel, a byte each, image after image, eight bytes to an integer. Settings are LIME's.
"""

from pathlib import Path

import numpy as np
from skimage.segmentation import quickshift

import store
from logits import uniform

OUT = Path(__file__).resolve().parents[3] / "crates/explain/tests/golden/quickshift.safetensors"
COUNT = 200


def smooth(u, height, width):
    """Four by four hashed values per channel, joined bilinearly."""
    y, x = np.arange(height) * 3 / height, np.arange(width) * 3 / width
    i, j = y.astype(int), x.astype(int)
    s, t = (y - i)[:, None, None], (x - j)[None, :, None]
    grid = u.reshape(4, 4, -1)
    top = grid[i][:, j] * (1 - t) + grid[i][:, j + 1] * t
    low = grid[i + 1][:, j] * (1 - t) + grid[i + 1][:, j + 1] * t
    return top * (1 - s) + low * s


def shapes(u, height, width, channels):
    """Five flat rectangles on a flat ground."""
    image = np.broadcast_to(u[:channels], (height, width, channels)).copy()
    for r in u[8:].reshape(5, 8):
        top, left = int(r[0] * height), int(r[1] * width)
        image[top : top + 3 + int(r[2] * 16), left : left + 3 + int(r[3] * 16)] = r[4 : 4 + channels]
    return image


def image(i):
    u = uniform(f"quickshift {i}", 64 + 40 * 40 * 3)
    height, width = 16 + int(u[0] * 25), 16 + int(u[1] * 25)
    channels = 1 if i % 5 == 4 else 3
    ground = u[2 : 2 + 16 * channels]
    if i % 3 == 1:
        values = shapes(u[2:50], height, width, channels)
    else:
        values = smooth(ground, height, width)
    if i % 3 == 2:
        noise = u[64 : 64 + values.size].reshape(values.shape)
        values = values * 0.75 + noise * 0.25
    return np.floor(values * 255 + 0.5) / 255


def segments(values):
    rgb = np.repeat(values, 3, 2) if values.shape[2] == 1 else values
    return quickshift(rgb, kernel_size=1, max_dist=200, ratio=0.1, rng=42)


if __name__ == "__main__":
    labels = [segments(image(i)).ravel() for i in range(COUNT)]
    print("segments:", sorted(len(np.unique(a)) for a in labels)[:: COUNT // 8])
    flat = np.concatenate(labels)
    assert flat.max() < 256
    flat = np.concatenate([flat, np.zeros(-len(flat) % 8)]).astype(np.uint8)
    store.write(OUT, {"segments": flat.view("<i8")})

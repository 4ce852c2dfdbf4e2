"""Writes crates/explain/tests/golden/similarity.safetensors: what scipy and numpy say about maps.

    pip install -r tests/reference/requirements.txt
    PYTHONPATH=tests/reference python tests/reference/explain/similarity.py

Case i holds maps `i.a` and `i.b` (f32 [N, H, W]), `i.k`, and f64 `i.cor`, `i.k-in`, `i.cosd`,
`i.cdl` [N] and `i.centre` of a [N, 2]. NaN is what is undefined: of a map without mass, and of a
constant one its ranks and its top.
"""

from pathlib import Path

import numpy as np
from scipy.ndimage import center_of_mass
from scipy.spatial.distance import cosine
from scipy.stats import spearmanr

import store

OUT = Path(__file__).resolve().parents[3] / "crates/explain/tests/golden/similarity.safetensors"


def rank_correlation(a, b):
    if any(np.ptp(m) == 0 for m in (a, b)):
        return np.nan
    return spearmanr(a.ravel(), b.ravel()).statistic


def cosine_distance(a, b):
    if not (a.any() and b.any()):
        return np.nan
    return cosine(a.ravel().astype(float), b.ravel().astype(float))


def centre(m):
    if not m.any():
        return (np.array(m.shape) - 1) / 2
    return np.array(center_of_mass(m.astype(float)))


def top(m, k):
    return np.argsort(-m.ravel(), kind="stable")[:k]


def intersection(a, b, k):
    if any(np.ptp(m) == 0 for m in (a, b)):
        return np.nan
    return len(np.intersect1d(top(a, k), top(b, k))) / k


def centre_distance(a, b):
    if not (a.any() and b.any()):
        return np.nan
    return np.linalg.norm(centre(a) - centre(b))


def maps(rng, n, height, width):
    """Pairs: unrelated, related, with ties, sparse, constant, all zero."""
    a, b = rng.random((2, n, height, width)) ** 3
    for i in range(n):
        match i % 8:
            case 1:
                b[i] = a[i] + 0.2 * b[i]
            case 2:
                a[i], b[i] = np.round(3 * a[i]) / 4, np.round(4 * b[i]) / 4
            case 3:
                a[i], b[i] = a[i] * (a[i] > 0.5), b[i] * (b[i] > 0.5)
            case 4:
                a[i] = 0.25
            case 5:
                a[i], b[i] = 0.25, 0.5
            case 6:
                a[i] = 0
            case 7:
                a[i] = b[i] = 0
    return a.astype(np.float32), b.astype(np.float32)


def case(rng, n, height, width, k):
    a, b = maps(rng, n, height, width)
    each = lambda f: np.array([f(*pair) for pair in zip(a, b)], dtype=np.float64)
    return {
        "a": a,
        "b": b,
        "k": np.array([k]),
        "cor": each(rank_correlation),
        "k-in": each(lambda a, b: intersection(a, b, k)),
        "cosd": each(cosine_distance),
        "cdl": each(centre_distance),
        "centre": each(lambda a, _: centre(a)),
    }


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    sizes = [(8, 8, 8, 10), (8, 5, 9, 7), (16, 1, 6, 2), (8, 7, 3, 21), (3, 2, 1, 1)]
    arrays = {}
    for i, size in enumerate(sizes):
        arrays |= {f"{i}.{name}": array for name, array in case(rng, *size).items()}
    store.write(OUT, arrays)

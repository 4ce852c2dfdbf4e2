"""Writes crates/explain/tests/golden/certificate.safetensors: what scipy says of N(0, 1) and of Bin(n, p).

    pip install -r tests/reference/requirements.txt
    PYTHONPATH=tests/reference python tests/reference/explain/certificate.py

`z` and Φ(z) as `normal`; `p` and Φ⁻¹(p) as `quantile`; `k`, `n` and `q` with P(X ≥ k), X ~ Bin(n, q), as
`tail`; `k`, `n` and `alpha` with the bounds of Clopper & Pearson as `low` and `high`. All f64 and i64.
"""

from pathlib import Path

import numpy as np
from scipy.stats import beta, binom, norm

import store

OUT = Path(__file__).resolve().parents[3] / "crates/explain/tests/golden/certificate.safetensors"


def bounds(k, n, alpha):
    low = np.where(k == 0, 0, beta.ppf(alpha, np.maximum(k, 1), n - k + 1))
    high = np.where(k == n, 1, beta.ppf(1 - alpha, k + 1, np.maximum(n - k, 1)))
    return low, high


if __name__ == "__main__":
    rng = np.random.default_rng(0)
    z = np.concatenate([np.linspace(-12, 8, 41), [0.0]])
    p = np.concatenate([10.0 ** np.linspace(-40, -1, 40), np.linspace(0.1, 0.95, 18), [0.5, 1 - 1e-9]])
    n = np.concatenate([rng.integers(1, 30, 40), rng.integers(900, 1100, 40), np.full(20, 100_000)])
    k = (rng.random(n.size) * (n + 1)).astype(np.int64)
    k[:4], k[4:8] = 0, n[4:8]
    q = np.clip(k / n + rng.normal(size=n.size) * 2 / np.sqrt(n), 0.01, 0.99)
    alpha = 10.0 ** rng.uniform(-9, -1, n.size)
    low, high = bounds(k, n, alpha)
    arrays = {"z": z, "normal": norm.cdf(z), "p": p, "quantile": norm.ppf(p), "k": k, "n": n.astype(np.int64)}
    arrays |= {"q": q, "tail": binom.sf(k - 1, n, q), "alpha": alpha, "low": low, "high": high}
    store.write(OUT, arrays)

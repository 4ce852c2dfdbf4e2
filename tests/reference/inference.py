"""Writes crates/results/tests/golden/inference.json: what SciPy and statsmodels say of samples.

    pip install -r tests/reference/requirements.txt && python tests/reference/inference.py

`means`: values, seed, the ends of the studentised bootstrap by scipy.stats.bootstrap on the same resamples (the
percentiles of t*), the share of t* not below mean / s, plus one. `medians`: scipy.stats.quantile_test. `shares`: Wilson's
interval and the score test by statsmodels. `matched`: Agresti & Min's interval by statsmodels on the table with half an
image more in each cell. `ranks`: chances of Spearman's rho, counted over all orders. `holm`: statsmodels.
"""

import itertools
import json
from pathlib import Path

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint, proportions_ztest

OUT = Path(__file__).resolve().parents[2] / "crates/results/tests/golden/inference.json"
MASK = (1 << 64) - 1


def splitmix(x):
    z = (x + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


class Same(np.random.Generator):
    """Draws the images that the program draws."""

    def __init__(self, seed):
        super().__init__(np.random.PCG64(0))
        self.seed = seed

    def integers(self, low, high=None, size=None, **_):
        count, n = size
        starts = [splitmix(self.seed ^ splitmix(r)) for r in range(count)]
        return np.array([[(splitmix((start + i) & MASK) * n) >> 64 for i in range(n)] for start in starts])


def mean(values, seed):
    values, n = np.array(values), len(values)
    centre = values.mean()

    def ratio(x, axis=-1):
        return (x.mean(axis=axis) - centre) / (x.std(axis=axis, ddof=1) / np.sqrt(n))

    found = stats.bootstrap(
        (values,), ratio, n_resamples=1999, batch=1999, method="percentile", vectorized=True, rng=Same(seed)
    )
    low, high = found.confidence_interval
    error = values.std(ddof=1) / np.sqrt(n)
    reached = int((found.bootstrap_distribution >= centre / error).sum())
    return {
        "values": values.tolist(), "seed": seed, "low": centre - high * error, "high": centre - low * error,
        "above": (reached + 1) / 2000,
    }  # fmt: skip


def median(values):
    values = np.array(values)
    low, high = stats.quantile_test(values, q=0, p=0.5, alternative="two-sided").confidence_interval(0.95)
    above = stats.quantile_test(values, q=0, p=0.5, alternative="greater").pvalue
    return {"values": values.tolist(), "low": low, "high": high, "above": above}


def share(count, n, limit):
    low, high = proportion_confint(count, n, method="wilson")
    _, above = proportions_ztest(count, n, limit, alternative="larger", prop_var=limit)
    return {"share": count / n, "n": n, "limit": limit, "low": low - limit, "high": high - limit, "above": above}


def matched(more, fewer, n):
    a, b, n2 = more + 0.5, fewer + 0.5, n + 2
    apart, error = (a - b) / n2, np.sqrt((a + b) - (a - b) ** 2 / n2) / n2
    z = stats.norm.ppf(0.975)
    return {
        "more": more, "fewer": fewer, "n": n, "low": apart - z * error, "high": apart + z * error,
        "above": stats.norm.sf(apart / error),
    }  # fmt: skip


def rank(n, least):
    rho = [stats.spearmanr(range(n), order).statistic for order in itertools.permutations(range(n))]
    return {"n": n, "least": least, "chance": float(np.mean(np.array(rho) >= least - 1e-9))}


def main():
    rng = np.random.default_rng(0)
    normal, exponential = rng.normal(0.3, 1, 16), rng.exponential(1, 24) - 0.6
    chances = [0.01, 0.2, 0.04, 0.03, 0.005, 0.9, 0.03]
    found = {
        "means": [mean(normal, 1), mean(exponential, 2**63 + 5), mean(np.round(rng.beta(1, 3, 40) * 20) / 20 - 0.2, 7)],
        "medians": [median(rng.lognormal(0, 1.5, n) - 0.8) for n in (9, 16, 33)],
        "shares": [share(24, 24, 0.9), share(3, 10, 0.5), share(470, 500, 0.9)],
        "matched": [matched(12, 3, 50), matched(0, 5, 30)],
        "ranks": [rank(4, 0.79), rank(5, 0.9), rank(7, 0.6)],
        "holm": {"chances": chances, "adjusted": multipletests(chances, method="holm")[1].tolist()},
    }
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Explanations that are trained, attacked and measured: a thin door to the program ``gradproof``.

Images are numpy arrays or torch tensors of pixels in [0, 1], ``[N, C, H, W]``; what comes back is of
the same kind. Weights are files that the program reads: safetensors, PyTorch checkpoints, ONNX. Every
keyword that is not named here is an option of the command: ``explain(..., batch_size=16,
score="prob")`` is ``--batch-size 16 --score prob``; ``True`` is a flag, ``None`` leaves it out.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Sequence, TypeVar

import numpy as np
from safetensors.numpy import load_file, save_file

from .program import BUNDLED, GradproofError, run

if TYPE_CHECKING:
    import pandas
    import torch

    Array = TypeVar("Array", np.ndarray, torch.Tensor)

__all__ = ["Attack", "GradproofError", "attack", "copy_experiments", "explain", "measure", "run", "weights"]


@dataclass
class Attack:
    """What an attack on maps found at one radius."""

    #: ``[N, C, H, W]``; the clean image where nothing was found.
    adversarial: Any
    #: Maps of the clean and of the attacked images, ``[N, C, H, W]``.
    maps: Any
    attacked_maps: Any
    #: Whether an attacked image kept its class, bool ``[N]``.
    success: Any
    #: Similarities of the maps before and after, by name, ``[N]``: ``k-in``, ``cor``, ``cosd``, ``cdl``.
    similarity: dict[str, Any]
    #: Every other number, as in a result file: one dictionary a row.
    rows: list[dict[str, Any]] = field(repr=False)


def explain(images: Array, weights: str | PathLike, method: str = "gxi", *, labels=None, **options) -> Array | dict:
    """Signed maps ``[N, C, H, W]``; of several methods (``"gxi,ig"``) a dictionary by method.

    >>> gradproof.explain(images, "net.safetensors", "ig:points=50", target="label", labels=labels)
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "maps.safetensors"
        found = run(["explain", *_common(folder, images, weights, labels, options), "--method", method, "--out", str(out)])
        maps = [_like(images, load_file(file)["maps"]) for file in found["out"]]
    if len(maps) == 1:
        return maps[0]
    return dict(zip(_split(method), maps, strict=True))


def attack(
    images: Array,
    weights: str | PathLike,
    method: str = "gxi",
    *,
    attack: str = "topk",
    eps: str | float | Sequence[str | float] = "8/255",
    labels=None,
    **options,
) -> Attack | dict[str, Attack]:
    """Attacks the maps of ``method`` inside a ball of ``eps``; of several radii a dictionary by radius.

    >>> gradproof.attack(images, "net.safetensors", "ig", attack="mass-centre", eps="8/255").similarity["k-in"]
    """
    radii = [eps] if isinstance(eps, (str, float, int)) else list(eps)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "attack.safetensors"
        words = ["--method", method, "--attack", attack, "--eps", ",".join(map(str, radii)), "--out", str(out)]
        found = run(["attack", *_common(folder, images, weights, labels, options), *words])
        attacks = {}
        for radius, file in found["tensors"].items():
            tensors = load_file(Path(folder) / Path(file).name)
            rows = [row for row in found["rows"] if row.get("eps", radius) == radius]
            attacks[radius] = _attack(images, tensors, rows)
    return attacks if len(attacks) > 1 else next(iter(attacks.values()))


def _attack(images, tensors: dict[str, np.ndarray], rows: list[dict[str, Any]]) -> Attack:
    like = {name: _like(images, t) for name, t in tensors.items()}
    n = len(images)
    named = {row["quantity"] for row in rows}
    similarity = {name: like[name] for name in like if name in named and tensors[name].shape == (n,)}
    return Attack(
        adversarial=like["adversarial"],
        maps=like["maps"],
        attacked_maps=like["attacked_maps"],
        success=_like(images, tensors["success"].astype(bool)),
        similarity=similarity,
        rows=rows,
    )


def measure(images, weights, method: str = "gxi", *, metrics: str | None = None, labels=None, **options) -> pandas.DataFrame:
    """How good maps are: a data frame with a row for each model, method and quantity.

    ``weights`` is a file or several. ``metrics`` are as in ``gradproof list``; without them the usual
    ones. ``labels`` are wanted by metrics that ask whether a prediction is right.
    """
    try:
        import pandas
    except ImportError as error:
        raise GradproofError("`measure` returns a pandas.DataFrame: pip install pandas") from error
    files = [weights] if isinstance(weights, (str, PathLike)) else list(weights)
    with tempfile.TemporaryDirectory() as folder:
        words = _common(folder, images, ",".join(map(str, files)), labels, options)
        found = run(["measure", *words, "--method", method, *([metrics] if metrics else [])])
    return pandas.DataFrame(found["rows"])


def weights() -> dict[str, Path]:
    """The weights that come with the wheel, by name."""
    return {file.stem: file for file in sorted((BUNDLED / "weights").glob("*.safetensors"))}


def copy_experiments(to: str | PathLike) -> Path:
    """Copies experiments and the weights that they use: ``gradproof run experiments/FILE.toml`` works there."""
    to = Path(to)
    for name in ["experiments", "weights"]:
        shutil.copytree(BUNDLED / name, to / name)
    return to


def _common(folder: str, images, weights, labels, options: dict[str, Any]) -> list[str]:
    data = Path(folder) / "images.safetensors"
    pixels = _numpy(images)
    if pixels.ndim != 4:
        raise GradproofError(f"images are [N, C, H, W], not {list(pixels.shape)}")
    if pixels.dtype == np.float64:
        pixels = pixels.astype(np.float32)
    # A class for each image is needed to read them; without labels nothing asks for it.
    known = np.zeros(len(pixels), np.int64) if labels is None else _numpy(labels).astype(np.int64)
    if labels is None and options.get("target") == "label":
        raise GradproofError('`target="label"` needs `labels`')
    save_file({"images": np.ascontiguousarray(pixels), "labels": np.ascontiguousarray(known)}, data)
    words = ["--weights", str(weights), "--data", f"tensors:{data}"]
    for name, value in options.items():
        if value is None or value is False:
            continue
        words.append(f"--{name.replace('_', '-')}")
        if value is not True:
            words.append(str(value))
    return words


def _numpy(values) -> np.ndarray:
    return values.detach().cpu().numpy() if hasattr(values, "detach") else np.asarray(values)


def _like(images, values: np.ndarray):
    if not hasattr(images, "detach"):
        return values
    import torch

    return torch.from_numpy(values.copy()).to(images.device)


def _split(methods: str) -> list[str]:
    """``a:x=1,y=2,b`` as ``["a:x=1,y=2", "b"]``: what has a ``=`` and no ``:`` before it goes on."""
    parts: list[str] = []
    for word in methods.split(","):
        goes_on = "=" in word and ":" not in word.split("=")[0]
        if goes_on and parts:
            parts[-1] += f",{word}"
        else:
            parts.append(word)
    return parts

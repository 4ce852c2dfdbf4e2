"""Small datasets as Hugging Face's `datasets` writes them, for crates/data/tests/parquet.

    pip install -r tests/reference/requirements.txt
    python tests/reference/parquet.py
"""

import io
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import ClassLabel, Dataset, Features, Image, Value
from PIL import Image as Pillow

HERE = Path(__file__).parent.parent.parent / "crates/data/tests/parquet"
NAMES = ["cat", "dog", "ship"]


def pixels(i, side=8):
    """Row i: pixel (x, y) is (10 i, x, y)."""
    y, x = np.mgrid[0:side, 0:side]
    return np.stack([np.full_like(x, 10 * i), x, y], axis=-1).astype(np.uint8)


def png(i):
    stream = io.BytesIO()
    Pillow.fromarray(pixels(i)).save(stream, "PNG")
    return stream.getvalue()


def write(path, columns, features):
    path.parent.mkdir(parents=True, exist_ok=True)
    Dataset.from_dict(columns, features=Features(features)).to_parquet(path)


def main():
    shutil.rmtree(HERE, ignore_errors=True)
    classes = {"image": Image(), "label": ClassLabel(names=NAMES)}
    held = lambda rows: [{"bytes": png(i), "path": f"{i}.png"} for i in rows]
    for part, first, rows in [("train-00000-of-00002", 0, 3), ("train-00001-of-00002", 3, 2), ("test-00000-of-00001", 7, 2)]:
        numbers = range(first, first + rows)
        write(HERE / f"named/data/{part}.parquet", {"image": held(numbers), "label": [i % 3 for i in numbers]}, classes)
    two = {"img": Image(), "fine_label": ClassLabel(names=NAMES), "coarse_label": ClassLabel(names=["animal", "thing"]), "id": Value("int64")}
    write(HERE / "two.parquet", {"img": held([1, 2]), "fine_label": [1, 2], "coarse_label": [0, 1], "id": [5, 6]}, two)
    write(HERE / "untold.parquet", {"image": held([1, 2]), "label": [-1, -1]}, classes)
    pictures = pa.array([{"bytes": png(1), "path": None}, {"bytes": None, "path": "there/2.png"}], type=pa.struct({"bytes": pa.binary(), "path": pa.string()}))
    pq.write_table(pa.table({"image": pictures, "label": [0, 1]}), HERE / "elsewhere.parquet")
    # Without metadata, bytes alone, labels as words, compressed by zstd in groups of two rows.
    table = pa.table({"picture": [png(i) for i in range(5)], "label": ["b", "a", "b", "c", "a"]})
    pq.write_table(table, HERE / "words.parquet", compression="zstd", row_group_size=2)
    pq.write_table(pa.table({"label": [0, 1]}), HERE / "no-picture.parquet")
    pq.write_table(pa.table({"picture": [b"no picture"], "label": [0]}), HERE / "undecodable.parquet")


if __name__ == "__main__":
    main()

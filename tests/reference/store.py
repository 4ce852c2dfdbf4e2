"""The safetensors format, written out: the length of a JSON header, the header, the bytes."""

import json
import struct

import numpy as np

TYPES = {"bool": "BOOL", "float32": "F32", "float64": "F64", "int32": "I32", "int64": "I64", "int8": "I8", "uint8": "U8"}


def write(path, arrays):
    """Writes named arrays (or CPU tensors), sorted by name; equal contents give equal bytes."""
    header, data = {}, b""
    for name, array in sorted(arrays.items()):
        array = np.asarray(array, order="C")  # and not `ascontiguousarray`, which has no scalars
        raw = array.astype(array.dtype.newbyteorder("<")).tobytes()
        span = [len(data), len(data) + len(raw)]
        header[name] = {"dtype": TYPES[array.dtype.name], "shape": list(array.shape), "data_offsets": span}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)

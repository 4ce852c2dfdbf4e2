"""Writes crates/tensorfile/tests/fixtures/*.onnx, small models in every form that files have, and
fuzz/corpus/network/*.onnx, networks of many operators.

    pip install -r tests/reference/requirements.txt && python tests/reference/onnx_files.py

`network.onnx` runs; `network-doubled.onnx` is what onnx writes for the same network with twice the
weights, and onnxruntime's logits of both are in `network.safetensors`.
"""

import argparse
import json
import struct
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import onnx.parser
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).resolve().parents[2]
OUT, CORPUS = ROOT / "crates/tensorfile/tests/fixtures", ROOT / "fuzz/corpus/network"
# A network with its batch of 2 built in, one with attention, one with shapes that it computes.
NETWORKS = {
    "fixed": """
        fixed (float[2,3,8,8] x) => (float[2,3] y)
        <float[4,3,3,3] w, float[4] scale, float[4] shift, float[4] mean, float[4] var, float[3,64] h,
         int64[8] pads = {0, 0, 1, 1, 0, 0, 1, 1}, float low = {0}, float high = {6}, int64[2] to = {2, -1}> {
            p = Pad(x, pads)
            c = Conv(p, w)
            n = BatchNormalization(c, scale, shift, mean, var)
            r = Clip(n, low, high)
            m = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(r)
            f = Reshape(m, to)
            g = Gemm<transB = 1>(f, h)
            y = Softmax(g)
        }""",
    "attention": """
        attention (float[N,3,8,8] x) => (float[N,3] y)
        <float[6,3,4,4] w, float[6,18] qkv, float[6] scale, float[6] shift, float[6,3] h,
         int64[3] to = {0, 6, 4}, int64[3] sizes = {6, 6, 6}> {
            e = Conv<strides = [4, 4]>(x, w)
            t = Reshape(e, to)
            i = Transpose<perm = [0, 2, 1]>(t)
            l = LayerNormalization(i, scale, shift)
            a = MatMul(l, qkv)
            q, k, v = Split<axis = 2>(a, sizes)
            j = Transpose<perm = [0, 2, 1]>(k)
            u = MatMul(q, j)
            s = Softmax(u)
            o = MatMul(s, v)
            b = Add(o, i)
            d = ReduceMean<axes = [1], keepdims = 0>(b)
            g = Erf(d)
            z = Mul(g, d)
            y = MatMul(z, h)
        }""",
    "computed": """
        computed (float[N,3,H,W] x) => (float[N,4] y)
        <float[4,3,3,3] w, float[4] slope, int64[1] zero = {0}, int64[1] two = {2}, int64[1] four = {4},
         float[4] scales = {1, 1, 2, 2}, int64[2] sides = {2, 3}> {
            c = Conv<pads = [1, 1, 1, 1], strides = [2, 2]>(x, w)
            r = LeakyRelu(c)
            shape = Shape(r)
            n = Gather(shape, zero)
            rest = Slice(shape, two, four)
            many = ReduceProd(rest)
            to = Concat<axis = 0>(n, four, many)
            f = Reshape(r, to)
            large = ReduceMax<axes = [2], keepdims = 0>(f)
            small = ReduceL2<axes = [2], keepdims = 0>(f)
            a = Add(large, small)
            up = Resize<mode = "linear">(r, , scales)
            v = AveragePool<kernel_shape = [2, 2], ceil_mode = 1>(up)
            g = GlobalMaxPool(v)
            q = Squeeze(g, sides)
            more = Greater(q, a)
            k = Where(more, q, a)
            y = Mul(k, slope)
        }""",
}


def values(*shape):
    """Entry i is i/8 - 1: exact in every float."""
    return (np.arange(np.prod(shape), dtype=np.float64) / 8 - 1).reshape(shape)


def model(graph, **more):
    made = helper.make_model(graph, producer_name="gradproof", opset_imports=[helper.make_opsetid("", 17)], **more)
    made.ir_version = 9
    return made


def raw(name, data_type, array):
    return helper.make_tensor(name, data_type, array.shape, array.tobytes(), raw=True)


def bfloat16(array):
    return (array.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)


def forms():
    """Six numbers of every type, as `TYPE-raw` and as `TYPE-data`."""
    floats = values(2, 3)
    whole = np.arange(6).reshape(2, 3)
    kinds = {
        "float": (TensorProto.FLOAT, floats.astype(np.float32)),
        "double": (TensorProto.DOUBLE, floats),
        "float16": (TensorProto.FLOAT16, floats.astype(np.float16)),
        "bfloat16": (TensorProto.BFLOAT16, bfloat16(floats)),
        "int8": (TensorProto.INT8, whole.astype(np.int8) - 3),
        "int16": (TensorProto.INT16, whole.astype(np.int16) - 3),
        "int32": (TensorProto.INT32, whole.astype(np.int32) - 3),
        "int64": (TensorProto.INT64, whole.astype(np.int64) - 3),
        "uint8": (TensorProto.UINT8, whole.astype(np.uint8) + 250),
        "uint16": (TensorProto.UINT16, whole.astype(np.uint16) + 65530),
        "uint32": (TensorProto.UINT32, whole.astype(np.uint32) + 4294967290),
        "uint64": (TensorProto.UINT64, whole.astype(np.uint64)),
        "bool": (TensorProto.BOOL, whole % 2 == 1),
    }
    tensors = []
    for name, (data_type, array) in kinds.items():
        tensors.append(raw(f"{name}-raw", data_type, array))
        stored = TensorProto(name=f"{name}-data", data_type=data_type, dims=array.shape)
        if data_type == TensorProto.FLOAT:
            stored.float_data.extend(array.flatten())
        elif data_type == TensorProto.DOUBLE:
            stored.double_data.extend(array.flatten())
        elif data_type == TensorProto.INT64:
            stored.int64_data.extend(array.flatten())
        elif data_type in (TensorProto.UINT32, TensorProto.UINT64):
            stored.uint64_data.extend(array.flatten())
        else:
            bits = array.view(np.uint16) if data_type == TensorProto.FLOAT16 else array
            stored.int32_data.extend(int(n) for n in bits.flatten())
        tensors.append(stored)
    tensors += [
        raw("scalar", TensorProto.FLOAT, np.float32(2.5)),
        raw("empty", TensorProto.FLOAT, np.zeros((0, 3), np.float32)),
        TensorProto(name="empty-data", data_type=TensorProto.INT64, dims=[0]),
        helper.make_tensor("labels", TensorProto.STRING, [2], [b"cat", b"dog"]),
        raw("int4", TensorProto.INT4, np.array([0x21], np.uint8)),
    ]
    tensors[-1].dims[:] = [2]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3])]
    nodes = [
        helper.make_node("Twice", ["x"], ["t"], domain="own", name="call", alpha=0.5),
        helper.make_node(
            "Identity", ["t"], ["y"], an_int=-2, a_float=0.25, a_text="SAME_UPPER", ints=[1, -1], floats=[0.5, 2.0]
        ),
    ]
    nodes[1].attribute.append(onnx.AttributeProto(name="none", type=onnx.AttributeProto.INTS))
    nodes[1].attribute.append(onnx.AttributeProto(name="zero", type=onnx.AttributeProto.INT))
    twice = helper.make_function(
        "own", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])],
        [helper.make_opsetid("", 17)], ["alpha"],
    )
    made = model(helper.make_graph(nodes, "forms", inputs, outputs, tensors), functions=[twice])
    made.opset_import.append(helper.make_opsetid("own", 1))
    helper.set_model_props(made, {"classes": "cat,dog", "gradproof.normalise": "none"})
    return made


def network(factor):
    """Convolution, ReLU, pool, linear, of 1x6x6 images; a float16 weight that is cast."""
    r = np.random.default_rng(0)
    draw = lambda *shape: (r.normal(size=shape) * factor).astype(np.float32)
    weight = {
        "conv.weight": draw(4, 1, 3, 3),
        "conv.bias": draw(4),
        "fc.weight": draw(3, 4).astype(np.float16),
        "fc.bias": draw(3),
    }
    tensors = [numpy_helper.from_array(array, name) for name, array in weight.items()]
    # One in the field for floats, as CNTK writes it.
    floats = weight["fc.bias"]
    tensors[3] = helper.make_tensor("fc.bias", TensorProto.FLOAT, floats.shape, floats.tolist())
    nodes = [
        helper.make_node("Conv", ["image", "conv.weight", "conv.bias"], ["1"], pads=[1, 1, 1, 1], name="/conv/Conv"),
        helper.make_node("Relu", ["1"], ["2"], name="/Relu"),
        helper.make_node("GlobalAveragePool", ["2"], ["3"], name="/pool"),
        helper.make_node("Flatten", ["3"], ["4"], name="/Flatten"),
        helper.make_node("Cast", ["fc.weight"], ["w"], to=TensorProto.FLOAT, name="/Cast"),
        helper.make_node("Gemm", ["4", "w", "fc.bias"], ["logits"], transB=1, name="/fc/Gemm"),
    ]
    inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, 6, 6])]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 3])]
    made = model(helper.make_graph(nodes, "network", inputs, outputs, tensors))
    helper.set_model_props(made, {"classes": "a,b,c"})
    onnx.checker.check_model(made, full_check=True)
    return made


def doubled():
    made = network(2)
    helper.set_model_props(made, {"classes": "a,b,c", "gradproof.training": "doubled"})
    return made


def external(out):
    """The float32 weights of `network` in a file beside it, `external.data`, from byte 16 on."""
    made, data = network(1), bytearray(16)
    for tensor in made.graph.initializer:
        if tensor.name == "fc.weight":
            continue
        part = numpy_helper.to_array(tensor).tobytes()
        tensor.ClearField("raw_data")
        tensor.ClearField("float_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in {"location": "external.data", "offset": len(data), "length": len(part)}.items():
            tensor.external_data.add(key=key, value=str(value))
        data += part
    (out / "external.data").write_bytes(data)
    return made


def corpus_network(text):
    """The text's network, its weights drawn; positive, for some are variances."""
    made = onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["" : 17]> {text}')
    r = np.random.default_rng(0)
    for weight in made.graph.value_info:
        shape = [dim.dim_value for dim in weight.type.tensor_type.shape.dim]
        array = r.uniform(0.1, 1, shape).astype(np.float32)
        made.graph.initializer.append(numpy_helper.from_array(array, weight.name))
    made.graph.ClearField("value_info")
    onnx.checker.check_model(made, full_check=True)
    return made


def write_golden(out):
    """Images, and onnxruntime's logits of both networks, as safetensors."""
    images = np.random.default_rng(1).uniform(size=(5, 1, 6, 6)).astype(np.float32)
    arrays = {"images": images}
    for name in ["network", "network-doubled"]:
        session = onnxruntime.InferenceSession(str(out / f"{name}.onnx"), providers=["CPUExecutionProvider"])
        arrays[name] = session.run(None, {"image": images})[0]
    header, data = {}, b""
    for name, array in sorted(arrays.items()):
        part = array.tobytes()
        header[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": [len(data), len(data) + len(part)]}
        data += part
    text = json.dumps(header).encode()
    (out / "network.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUT)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    files = {"forms": forms(), "network": network(1), "network-doubled": doubled(), "external": external(out)}
    for name, made in files.items():
        (out / f"{name}.onnx").write_bytes(made.SerializeToString(deterministic=True))
    write_golden(out)
    CORPUS.mkdir(parents=True, exist_ok=True)
    for name, text in NETWORKS.items():
        made = corpus_network(text)
        (CORPUS / f"{name}.onnx").write_bytes(made.SerializeToString(deterministic=True))


if __name__ == "__main__":
    main()

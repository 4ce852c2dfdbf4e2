"""Writes crates/models/tests/golden/operators.safetensors: for every operator, files of one node,
what they are given, and onnxruntime's outputs.

    pip install -r tests/reference/requirements.txt && python tests/reference/onnx_operators.py

A case `Operator.number` is `…/model`, the bytes of a file; `…/in0` and so on, its inputs; `…/out0`
and so on, its outputs, floats as f32. Where onnxruntime has no kernel, the outputs are onnx's
reference evaluator's: of `LRN` of an even size. That one has a fault: it leaves channels alone that
are more than the images.
"""

import argparse
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import store

OUT = Path(__file__).resolve().parents[2] / "crates/models/tests/golden/operators.safetensors"
ARRAYS, CASES = {}, {}
DRAWN = np.random.default_rng(0)


def normal(*shape):
    return DRAWN.standard_normal(shape).astype(np.float32)


def positive(*shape):
    return np.abs(normal(*shape)) + np.float32(0.25)


def whole(*values):
    return np.array(values, np.int64)


def number(value):
    return np.array(value, np.float32)


def run(model, feeds):
    try:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
        return session.run(None, feeds)
    except (onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented, onnxruntime.capi.onnxruntime_pybind11_state.Fail) as error:
        print("reference evaluator:", model.graph.node[0].op_type, str(error).splitlines()[0][:120])
        return ReferenceEvaluator(model).run(None, feeds)


def case(op, *inputs, opset=17, outputs=1, stored=None, **attributes):
    """One node; None is an input that is left out. `stored` is how many outputs are, if not all."""
    count = CASES[op] = CASES.get(op, -1) + 1
    name = f"{op}.{count}"
    given = {f"i{i}": array for i, array in enumerate(inputs) if array is not None}
    node = helper.make_node(
        op,
        [f"i{i}" if array is not None else "" for i, array in enumerate(inputs)],
        [f"o{i}" for i in range(outputs)],
        **attributes,
    )
    said = [
        helper.make_tensor_value_info(key, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
        for key, array in given.items()
    ]
    made = [onnx.ValueInfoProto(name=f"o{i}") for i in range(outputs)]
    graph = helper.make_graph([node], "g", said, made)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 10 if opset < 23 else 11
    try:
        results = run(model, given)
    except Exception as error:
        print("FAILED", name, repr(error)[:300])
        return
    ARRAYS[f"{name}/model"] = np.frombuffer(model.SerializeToString(), np.uint8)
    for key, array in given.items():
        ARRAYS[f"{name}/in{key[1:]}"] = array
    for i, array in enumerate(results[:stored]):
        array = np.asarray(array)
        ARRAYS[f"{name}/out{i}"] = array.astype(np.float32) if array.dtype in (np.float16, np.float64) else array


def pointwise():
    x = normal(2, 3, 4)
    for op in "Abs Ceil Cos Erf Exp Floor Neg Relu Round Sigmoid Sign Sin Softplus Softsign Tanh Identity Dropout".split():
        case(op, x, opset=13)
    for op in ["Sqrt", "Log", "Reciprocal"]:
        case(op, positive(2, 3, 4), opset=13)
    for op in ["Celu", "Elu", "LeakyRelu", "HardSigmoid", "Selu"]:
        case(op, x, opset=16)
    case("Celu", x, alpha=2.0)
    case("Elu", x, alpha=0.5)
    case("LeakyRelu", x, alpha=0.25)
    case("HardSigmoid", x, alpha=1 / 6, beta=0.5)
    case("Selu", x, alpha=1.5, gamma=2.0)
    case("HardSwish", x * 3)
    case("Mish", x, opset=18)
    case("Gelu", x, opset=20)
    case("Gelu", x, opset=20, approximate="tanh")
    case("Swish", x, opset=24)
    case("Swish", x, opset=24, alpha=1.5)
    case("PRelu", normal(2, 3, 2, 2), normal(3, 1, 1))
    case("PRelu", x, normal(1))
    case("Clip", x, opset=6, min=-0.5, max=0.75)
    case("Clip", x, number(-0.5), number(0.75))
    case("Clip", x, number(0))
    case("Clip", x, None, number(0.5))
    case("Clip", x)
    case("Clip", x, number(1), number(-1))
    case("Clip", whole(-3, 0, 5), np.array(-1), np.array(2))
    case("Abs", whole(-3, 0, 5))
    case("Neg", whole(-3, 0, 5))
    case("Sign", whole(-3, 0, 5))
    case("Dropout", x, opset=7, ratio=0.5)


def arithmetic():
    a, b = normal(2, 3, 4), normal(3, 1)
    for op in ["Add", "Sub", "Mul", "Div"]:
        case(op, a, b)
        case(op, a, number(1.5))
        case(op, whole(7, -7, 9), whole(2, 2, -1))
    case("Mul", number(2.5), a)
    for op in ["Max", "Min", "Sum", "Mean"]:
        case(op, a, b, normal(2, 1, 4))
        case(op, a)
    case("Max", whole(3, -1), whole(2, 2))
    case("Min", whole(3, -1), whole(2, 2))
    case("Pow", positive(2, 3), number(2.5))
    case("Pow", normal(2, 3), number(2))
    case("Pow", positive(2, 3), normal(2, 3))
    case("Pow", whole(2, 3), whole(3, 2))
    case("Pow", normal(2, 3), np.array([3], np.int64))
    case("Mod", whole(7, -7, 7, -7), whole(3, 3, -3, -1))
    case("Mod", whole(7, -7, 7), whole(3, 3, -3), fmod=1)
    case("Mod", normal(2, 3), positive(2, 3), fmod=1)
    for op in ["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"]:
        case(op, whole(1, 2, 3), whole(1, 3, 2))
        case(op, np.float32([[0.5, 1.5], [2.5, 1.5]]), number(1.5))
    t, f = np.array([[True], [False]]), np.array([True, False])
    for op in ["And", "Or", "Xor"]:
        case(op, t, f)
    case("Not", f)
    case("Where", t, normal(1, 3), normal(2, 3))
    case("Where", f, whole(5, 6), whole(1))
    case("MatMul", normal(2, 3, 4), normal(4, 5))
    case("MatMul", normal(2, 2, 3, 4), normal(2, 2, 4, 3))
    case("MatMul", normal(1, 2, 3, 4), normal(3, 1, 4, 2))
    case("MatMul", normal(4), normal(4, 2))
    case("MatMul", normal(3, 4), normal(4))
    case("Gemm", normal(3, 4), normal(5, 4), normal(5), transB=1)
    case("Gemm", normal(3, 4), normal(4, 5))
    case("Gemm", normal(3, 4), normal(4, 5), normal(3, 5))
    case("Gemm", normal(3, 4), normal(4, 5), normal(3, 1), alpha=0.5, beta=2.0)
    case("Gemm", normal(4, 3), normal(4, 5), normal(1, 5), transA=1)
    case("Gemm", normal(3, 4), normal(5, 4), number(2), transB=1)
    case("Einsum", normal(2, 3, 4), normal(2, 5, 4), equation="bij,bkj->bik")
    case("Einsum", normal(2, 3), normal(3, 4), equation="ij, jk")
    case("Einsum", normal(2, 3, 3), equation="...ii->...i")


def shapes():
    x = normal(2, 3, 4)
    case("Reshape", x, whole(2, -1))
    case("Reshape", x, whole(0, -1))
    case("Reshape", x, whole(0, 0, 2, 2))
    case("Reshape", normal(0, 3), whole(3, 0), allowzero=1)
    case("Reshape", whole(1, 2, 3, 4), whole(2, 2))
    for axis in [0, 1, 2, 3, -1]:
        case("Flatten", x, axis=axis)
    case("Flatten", normal(2, 3, 2, 2))
    case("Transpose", x)
    case("Transpose", x, perm=[1, 0, 2])
    case("Concat", x, normal(2, 1, 4), axis=1)
    case("Concat", x, normal(2, 3, 1), normal(2, 3, 2), axis=-1)
    case("Concat", whole(1), whole(2, 3), axis=0)
    case("Squeeze", normal(1, 2, 1, 3))
    case("Squeeze", normal(1, 2, 1, 3), whole(2))
    case("Squeeze", normal(1, 2, 1, 3), whole(-2, 0))
    case("Squeeze", normal(1, 2, 1, 3), opset=11, axes=[0])
    case("Unsqueeze", x, whole(0, -1))
    case("Unsqueeze", x, whole(2, 1))
    case("Unsqueeze", x, opset=11, axes=[1])
    case("Expand", normal(3, 1), whole(2, 1, 4))
    case("Expand", normal(2, 3), whole(1))
    case("Tile", normal(2, 3), whole(2, 1))
    case("Split", normal(2, 6), axis=1, outputs=3)
    case("Split", normal(2, 6), whole(1, 5), axis=1, outputs=2)
    case("Split", normal(6, 2), opset=11, split=[2, 4], outputs=2)
    case("Split", normal(2, 7), opset=18, axis=-1, num_outputs=3, outputs=3)
    case("Shape", x)
    case("Shape", x, start=1)
    case("Shape", x, start=-2, end=-1)
    case("Size", x)
    case("Slice", normal(4, 5), opset=9, starts=[1, 0], ends=[3, -1])
    case("Slice", normal(4, 5), opset=9, starts=[-2], ends=[9223372036854775807], axes=[1])
    case("Slice", normal(4, 5), whole(1), whole(100), whole(-1), whole(2))
    case("Slice", normal(4, 5), whole(-1, 3), whole(-100, 0), whole(0, 1), whole(-1, -2))
    case("Slice", normal(4, 5), whole(3, 0), whole(1, 2))
    case("DepthToSpace", normal(1, 8, 2, 3), blocksize=2)
    case("DepthToSpace", normal(1, 8, 2, 3), blocksize=2, mode="CRD")
    case("SpaceToDepth", normal(1, 2, 4, 6), blocksize=2)
    case("Trilu", normal(3, 4))
    case("Trilu", normal(3, 4), np.array(1), upper=0)
    case("EyeLike", normal(3, 4))
    case("EyeLike", normal(3, 3), k=1, dtype=TensorProto.INT64)
    case("Gather", normal(4, 3), whole(2, -1))
    case("Gather", normal(2, 4, 3), np.array(1), axis=1)
    case("Gather", normal(2, 4), np.array([[0, 1], [3, -2]]), axis=-1)
    case("GatherElements", normal(3, 2), np.array([[0, -1], [2, 1]]), axis=0)
    case("GatherND", normal(2, 3, 4), np.array([[0, 1], [1, -1]]))
    case("GatherND", normal(2, 3, 4), np.array([[1], [-2]]), batch_dims=1)
    case("ScatterND", normal(4, 3), np.array([[1], [3]]), normal(2, 3))
    case("ScatterND", normal(4, 3), np.array([[1], [1]]), normal(2, 3), reduction="add")
    case("CumSum", normal(2, 4), np.array(1))
    case("CumSum", normal(2, 4), np.array(-1), exclusive=1)
    case("CumSum", normal(2, 4), np.array(0), reverse=1)
    case("CumSum", normal(2, 4), np.array(1), reverse=1, exclusive=1)


def makers():
    case("Constant", value=numpy_helper.from_array(normal(2, 3)))
    case("Constant", value=numpy_helper.from_array(np.float16([0.5, -1.25])))
    case("Constant", value=numpy_helper.from_array(np.float64([0.5, -1.25])))
    case("Constant", value_float=1.5)
    case("Constant", value_floats=[1.5, -2.0])
    case("Constant", value_int=3)
    case("Constant", value_ints=[3, 4])
    case("ConstantOfShape", whole(2, 3))
    case("ConstantOfShape", whole(2), value=numpy_helper.from_array(whole(7)))
    case("Range", np.array(2), np.array(9), np.array(3))
    case("Range", number(1), number(-1), number(-0.5))
    case("Range", np.array(2), np.array(1), np.array(3))
    case("Cast", np.float32([-1.7, 0.0, 2.9]), to=TensorProto.INT64)
    case("Cast", np.float32([-1.7, 0.0, 2.9]), to=TensorProto.BOOL)
    case("Cast", np.float32([-1.7, 0.0, 2.9]), to=TensorProto.INT32)
    case("Cast", np.float32([-1.7, 0.0, 2.9]), to=TensorProto.FLOAT)
    case("Cast", np.float32([-1.75, 0.0, 2.5]), to=TensorProto.FLOAT16)
    case("Cast", whole(-1, 0, 2), to=TensorProto.DOUBLE)
    case("Cast", whole(-1, 0, 2), to=TensorProto.FLOAT)
    case("Cast", np.array([True, False]), to=TensorProto.INT64)
    case("DequantizeLinear", np.uint8([[3, 200], [7, 0]]), number(0.5), np.array(128, np.uint8))
    case("DequantizeLinear", np.int8([[3, -100], [7, 0]]), np.float32([0.5, 0.25]), np.int8([1, -2]), axis=0)
    case("DequantizeLinear", np.int8([[3, -100], [7, 0]]), np.float32([0.5, 0.25]))
    case("CastLike", whole(-1, 0, 2), normal(1), opset=19)
    case("CastLike", np.float32([1.5, -2.5]), whole(1), opset=19)
    case("CastLike", np.float32([1.5, -2.5]), normal(1), opset=19)


def windows():
    x, w, b = normal(2, 4, 6, 5), normal(4, 4, 3, 3), normal(4)
    case("Conv", x, w, b, pads=[1, 1, 1, 1])
    case("Conv", x, w, pads=[0, 1, 2, 1], strides=[2, 1], kernel_shape=[3, 3])
    case("Conv", x, w, b, auto_pad="SAME_UPPER", strides=[2, 2])
    case("Conv", x, w, b, auto_pad="SAME_LOWER", strides=[2, 2])
    case("Conv", x, w, b, auto_pad="VALID")
    case("Conv", x, normal(4, 4, 2, 1), dilations=[2, 1])
    case("Conv", x, normal(8, 2, 1, 2), group=2)
    case("Conv", normal(1, 2, 6), normal(3, 2, 3), normal(3), pads=[1, 0])
    case("Conv", normal(1, 1, 3, 4, 3), normal(2, 1, 2, 2, 2))
    case("ConvTranspose", normal(1, 2, 3, 4), normal(2, 3, 3, 2), normal(3), strides=[2, 2], pads=[1, 0, 0, 1])
    case("ConvTranspose", normal(1, 2, 3, 3), normal(2, 1, 2, 2), group=2, strides=[2, 2], output_padding=[1, 1])
    case("ConvTranspose", normal(1, 2, 4), normal(2, 1, 3), dilations=[2])
    case("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    case("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    case("MaxPool", x, kernel_shape=[3, 2], strides=[2, 2], ceil_mode=1)
    case("MaxPool", x, kernel_shape=[3, 3], strides=[3, 3], pads=[1, 0, 0, 1])
    case("MaxPool", x, kernel_shape=[2, 2], pads=[1, 1, 1, 1], strides=[2, 2], ceil_mode=1)
    case("MaxPool", x, kernel_shape=[2, 2], dilations=[2, 3])
    case("MaxPool", x, kernel_shape=[3, 3], auto_pad="SAME_UPPER", strides=[2, 2])
    case("MaxPool", x, kernel_shape=[3, 3], auto_pad="SAME_LOWER", strides=[2, 2])
    case("MaxPool", normal(1, 2, 7), kernel_shape=[3], strides=[2], pads=[1, 1])
    case("MaxPool", x, opset=8, kernel_shape=[2, 2])
    case("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
    case("AveragePool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    case("AveragePool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)
    case("AveragePool", x, kernel_shape=[3, 3], pads=[0, 1, 1, 0])
    case("AveragePool", x, kernel_shape=[3, 3], pads=[0, 1, 1, 0], count_include_pad=1)
    case("AveragePool", x, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1, opset=19)
    case("AveragePool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1, opset=19)
    case("AveragePool", x, kernel_shape=[2, 3], strides=[2, 2], pads=[1, 1, 0, 1], ceil_mode=1, count_include_pad=1, opset=19)
    case("AveragePool", x, kernel_shape=[3, 3], auto_pad="SAME_UPPER", strides=[2, 2])
    case("AveragePool", normal(1, 2, 7), kernel_shape=[3], strides=[2], pads=[1, 1])
    case("AveragePool", normal(1, 1, 3, 3, 3), kernel_shape=[2, 2, 2])
    case("GlobalAveragePool", x)
    case("GlobalAveragePool", normal(1, 2, 5))
    case("GlobalMaxPool", x)
    case("LRN", x, size=3)
    case("LRN", normal(4, 4, 2, 3), size=4, alpha=0.5, beta=0.5, bias=2.0)


def norms():
    x = normal(2, 4, 3, 2)
    s, b, m, v = normal(4), normal(4), normal(4), positive(4)
    case("BatchNormalization", x, s, b, m, v, opset=15)
    case("BatchNormalization", x, s, b, m, v, opset=8, epsilon=1e-3)
    case("BatchNormalization", x, s, b, m, v, opset=15, training_mode=1, outputs=3, stored=1)
    case("BatchNormalization", normal(3, 4), s, b, m, v, opset=9)
    case("BatchNormalization", normal(3, 4, 2), s, b, m, v, opset=14)
    case("LayerNormalization", normal(2, 3, 4), normal(4), normal(4))
    case("LayerNormalization", normal(2, 3, 4), normal(4), epsilon=1e-3)
    case("LayerNormalization", normal(2, 3, 4), normal(3, 4), normal(3, 4), axis=1)
    case("InstanceNormalization", x, s, b)
    case("InstanceNormalization", normal(2, 4, 5), s, b, epsilon=1e-3)
    case("RMSNormalization", normal(2, 3, 4), normal(4), opset=23)
    case("RMSNormalization", normal(2, 3, 4), normal(3, 4), opset=23, axis=1, epsilon=1e-3)
    case("LpNormalization", normal(2, 3, 4))
    case("LpNormalization", normal(2, 3, 4), p=1, axis=1)
    case("GroupNormalization", x, normal(2), normal(2), opset=18, num_groups=2)
    case("GroupNormalization", x, s, b, opset=21, num_groups=2)
    for op in ["Softmax", "LogSoftmax"]:
        case(op, normal(2, 3, 4), opset=13)
        case(op, normal(2, 3, 4), opset=13, axis=1)
        case(op, normal(2, 3, 4), opset=11)
        case(op, normal(2, 3, 4), opset=11, axis=2)
        case(op, normal(2, 3, 4), opset=11, axis=0)


def reductions():
    x = normal(2, 3, 4)
    for op in ["L1", "L2", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare"]:
        op = f"Reduce{op}"
        last = {} if op == "ReduceSum" else {"opset": 18}
        case(op, x, whole(1), **last)
        case(op, x, whole(-1, 0), keepdims=0, **last)
        case(op, x, opset=11, axes=[2])
        case(op, x, opset=11, keepdims=0)
        case(op, x, noop_with_empty_axes=1, **last)
    for op in ["ReduceSum", "ReduceProd", "ReduceMax"]:
        case(op, whole(2, 3, 4), whole(0), opset=18, keepdims=0)


def resampling():
    x = normal(1, 2, 3, 4)
    case("Pad", x, whole(0, 0, 1, 2, 0, 0, 2, 0))
    case("Pad", x, whole(0, 0, 1, 2, 0, 1, 2, 0), number(1.5))
    case("Pad", x, whole(0, 0, 1, 2, 0, 0, 2, 1), mode="reflect")
    case("Pad", x, whole(0, 1, 1, 2, 0, 0, 2, 1), mode="edge")
    case("Pad", x, whole(0, 0, -1, 2, 0, 0, 0, -1))
    case("Pad", x, whole(1, 2, 0, 1), None, whole(2, -1), opset=18)
    case("Pad", x, whole(1, 2, 0, 1), None, whole(2, 3), opset=19, mode="wrap")
    case("Pad", x, opset=10, pads=[0, 0, 1, 2, 0, 0, 2, 0], value=0.5)
    double = np.float32([1, 1, 2, 2])
    case("Upsample", x, opset=7, scales=[1.0, 1.0, 2.0, 2.0])
    case("Upsample", x, double, opset=9)
    case("Upsample", x, double, opset=9, mode="linear")
    case("Resize", x, double, opset=10)
    case("Resize", x, double, opset=10, mode="linear")
    none = np.zeros(0, np.float32)
    for coordinates in ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"]:
        for mode in ["linear", "cubic"]:
            case("Resize", x, none, None, whole(1, 2, 5, 3), mode=mode, coordinate_transformation_mode=coordinates)
        case("Resize", x, None, double, mode="nearest", coordinate_transformation_mode=coordinates)
    for nearest in ["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"]:
        case("Resize", x, none, np.float32([1, 1, 1.5, 0.5]), nearest_mode=nearest, coordinate_transformation_mode="asymmetric", opset=13)
    case("Resize", x, none, np.float32([1, 1, 1.6, 1.4]), mode="linear", opset=13)
    case("Resize", x, none, np.float32([1, 1, 1.6, 1.4]), mode="cubic", cubic_coeff_a=-0.5, opset=13)
    case("Resize", x, none, np.float32([1, 1, 1.6, 1.4]), mode="cubic", exclude_outside=1, opset=13)
    case("Resize", x, None, None, whole(6, 6), axes=[2, 3], mode="linear", opset=18)
    case("Resize", x, None, np.float32([2, 2]), axes=[3, 2], opset=18)
    case("Resize", x, none, double, opset=11, coordinate_transformation_mode="tf_half_pixel_for_nn", nearest_mode="floor")
    case("Resize", x, None, np.float32([1, 1, 1.6, 1.4]), mode="linear", coordinate_transformation_mode="half_pixel_symmetric", opset=19)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT)
    out = parser.parse_args().out
    for part in [pointwise, arithmetic, shapes, makers, windows, norms, reductions, resampling]:
        part()
    store.write(out, ARRAYS)
    print(f"{out}: {sum(CASES.values()) + len(CASES)} cases of {len(CASES)} operators, {out.stat().st_size} bytes")

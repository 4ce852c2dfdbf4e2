//! ONNX files written node by node.

use models::noise;
use prost::Message;
use tch::{Device, Kind, Tensor};
use tensorfile::onnx::proto::{
    AttributeProto, Dimension, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    StringStringEntryProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto,
    ValueInfoProto,
};

/// A model under construction.
#[derive(Default)]
pub struct Build {
    graph: GraphProto,
    strings: Vec<(String, String)>,
    opset: Option<i64>,
}

fn texts(all: &[&str]) -> Vec<String> {
    all.iter().map(|one| (*one).to_owned()).collect()
}

/// A list of integers as an attribute.
pub fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        ints: values.to_vec(),
        r#type: Some(7),
        ..Default::default()
    }
}

/// An integer as an attribute.
pub fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        i: Some(value),
        r#type: Some(2),
        ..Default::default()
    }
}

/// A graph without inputs as an attribute: a branch of `If`, which gives `y`.
pub fn branch(name: &str, build: Build) -> AttributeProto {
    let graph = GraphProto { input: vec![], ..build.graph };
    AttributeProto {
        name: Some(name.into()),
        g: Some(Box::new(graph)),
        r#type: Some(5),
        ..Default::default()
    }
}

fn value(name: &str, element: i32, dims: &[i64]) -> ValueInfoProto {
    let dim = |&n: &i64| Dimension { dim_value: (n > 0).then_some(n), dim_param: None };
    let shape = Some(TensorShapeProto { dim: dims.iter().map(dim).collect() });
    let tensor_type = Some(TensorTypeProto { elem_type: Some(element), shape });
    ValueInfoProto { name: Some(name.into()), r#type: Some(TypeProto { tensor_type }) }
}

impl Build {
    /// One input `x`, 0 where a dimension is free, and the output `y`.
    pub fn new(dims: &[i64]) -> Self {
        let input = vec![value("x", 1, dims)];
        let output = vec![value("y", 1, &[])];
        Build { graph: GraphProto { input, output, ..Default::default() }, ..Build::default() }
    }

    /// A node with one output.
    pub fn node(
        self,
        op: &str,
        inputs: &[&str],
        output: &str,
        attributes: &[AttributeProto],
    ) -> Self {
        self.nodes(op, inputs, &[output], attributes)
    }

    /// A node with these outputs.
    pub fn nodes(
        mut self,
        op: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: &[AttributeProto],
    ) -> Self {
        self.graph.node.push(NodeProto {
            op_type: Some(op.into()),
            input: texts(inputs),
            output: texts(outputs),
            attribute: attributes.to_vec(),
            ..Default::default()
        });
        self
    }

    /// A stored tensor, in f32.
    pub fn tensor(mut self, name: &str, dims: &[i64], values: &Tensor) -> Self {
        let flat =
            Vec::<f32>::try_from(values.to_kind(Kind::Float).flatten(0, -1)).expect("floats");
        let bytes: Vec<u8> = flat.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.graph.initializer.push(TensorProto {
            dims: dims.to_vec(),
            data_type: Some(1),
            name: Some(name.into()),
            raw_data: Some(bytes.into()),
            ..Default::default()
        });
        self
    }

    /// A node that holds a tensor, in f32.
    pub fn constant(mut self, name: &str, dims: &[i64], values: &Tensor) -> Self {
        self = self.tensor(name, dims, values);
        let t = self.graph.initializer.pop().map(|t| TensorProto { name: None, ..t });
        let value = AttributeProto { name: Some("value".into()), t, ..Default::default() };
        self.node("Constant", &[], name, &[value])
    }

    /// A drawn tensor.
    pub fn drawn(self, name: &str, dims: &[i64]) -> Self {
        let values = draw(name, dims);
        self.tensor(name, dims, &values)
    }

    /// A list of stored integers.
    pub fn shape(self, name: &str, values: &[i64]) -> Self {
        self.integers(name, &[values.len() as i64], values)
    }

    /// Stored integers.
    pub fn integers(mut self, name: &str, dims: &[i64], values: &[i64]) -> Self {
        self.graph.initializer.push(TensorProto {
            dims: dims.to_vec(),
            data_type: Some(7),
            name: Some(name.into()),
            int64_data: values.to_vec(),
            ..Default::default()
        });
        self
    }

    /// The type of the input, as ONNX numbers it, instead of floats.
    pub fn of_type(mut self, element: i32) -> Self {
        for tensor in self.graph.input[0].r#type.iter_mut().filter_map(|t| t.tensor_type.as_mut()) {
            tensor.elem_type = Some(element);
        }
        self
    }

    /// The output is called `name`.
    pub fn renamed(mut self, name: &str) -> Self {
        self.graph.output = vec![value(name, 1, &[])];
        self
    }

    /// Another input, of floats; 0 where a dimension is free.
    pub fn input(mut self, name: &str, dims: &[i64]) -> Self {
        self.graph.input.push(value(name, 1, dims));
        self
    }

    /// Other outputs, before those that are there; a type of −1 is no tensor.
    pub fn outputs(mut self, all: &[(&str, i32)]) -> Self {
        let one = |&(name, element): &(&str, i32)| match element {
            -1 => ValueInfoProto {
                r#type: Some(TypeProto { tensor_type: None }),
                ..value(name, 0, &[])
            },
            _ => value(name, element, &[]),
        };
        self.graph.output.splice(0..0, all.iter().map(one));
        self
    }

    /// As IR version 3 has it: initializers are among the inputs; and its nodes in an order in
    /// which they do not run.
    pub fn odd(mut self) -> Self {
        let listed = self.graph.initializer.iter();
        let listed: Vec<_> = listed.map(|t| value(t.name(), t.data_type(), &t.dims)).collect();
        self.graph.input.splice(0..0, listed);
        self.graph.node.reverse();
        self
    }

    /// The domain of the last node.
    pub fn domain(mut self, domain: &str) -> Self {
        if let Some(node) = self.graph.node.last_mut() {
            node.domain = Some(domain.into());
        }
        self
    }

    /// A string of the file.
    pub fn string(mut self, key: &str, value: &str) -> Self {
        self.strings.push((key.into(), value.into()));
        self
    }

    /// The version of operators, instead of 17.
    pub fn opset(mut self, version: i64) -> Self {
        self.opset = Some(version);
        self
    }

    /// The file's bytes.
    pub fn bytes(self) -> Vec<u8> {
        let entry = |(key, value): (String, String)| StringStringEntryProto {
            key: Some(key),
            value: Some(value),
        };
        let set = OperatorSetIdProto { domain: None, version: self.opset.or(Some(17)) };
        let model = ModelProto {
            ir_version: Some(8),
            opset_import: vec![set],
            metadata_props: self.strings.into_iter().map(entry).collect(),
            graph: Some(self.graph),
            ..Default::default()
        };
        model.encode_to_vec()
    }
}

/// Numbers that depend on the name alone.
pub fn draw(name: &str, dims: &[i64]) -> Tensor {
    noise::normal(&[noise::name_id(name)], dims, Device::Cpu).squeeze_dim(0) * 0.5
}

/// A normalisation, a convolution with its norm, a pool, two linear layers, a softmax.
pub fn network(batch: i64) -> Build {
    classifier(batch, 8, 6)
}

/// The same for images of this side, an even number, and so many classes.
pub fn classifier(batch: i64, side: i64, classes: i64) -> Build {
    let inside = 4 * (side / 2 - 1).pow(2);
    Build::new(&[batch, 3, side, side])
        .tensor("mean", &[1, 3, 1, 1], &Tensor::from_slice(&[0.25f32, 0.5, 0.75]))
        .tensor("std", &[3, 1, 1], &Tensor::from_slice(&[0.5f32, 0.25, 0.5]))
        .drawn("conv/w", &[4, 3, 3, 3])
        .drawn("scale", &[4])
        .drawn("shift", &[4])
        .drawn("running/mean", &[4])
        .tensor("running/var", &[4], &Tensor::from_slice(&[1f32, 2., 0.5, 1.5]))
        .drawn("fc/w", &[inside, 5])
        .drawn("fc/b", &[5])
        .drawn("head/w", &[classes, 5])
        .drawn("head/b", &[classes])
        .shape("flat", &[batch.max(1), -1])
        .node("Sub", &["x", "mean"], "centred", &[])
        .node("Div", &["centred", "std"], "normal", &[])
        .node("Conv", &["normal", "conv/w"], "c", &[ints("pads", &[1, 1, 0, 0])])
        .node(
            "BatchNormalization",
            &["c", "scale", "shift", "running/mean", "running/var"],
            "n",
            &[],
        )
        .node("Relu", &["n"], "r", &[])
        .node("MaxPool", &["r"], "p", &[ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])])
        .node(
            if batch > 0 { "Reshape" } else { "Flatten" },
            if batch > 0 { &["p", "flat"] } else { &["p"] },
            "f",
            &[],
        )
        .node("MatMul", &["f", "fc/w"], "m", &[])
        .node("Add", &["fc/b", "m"], "a", &[])
        .node("Relu", &["a"], "h", &[])
        .node("Gemm", &["h", "head/w", "head/b"], "logits", &[int("transB", 1)])
        .node("Softmax", &["logits"], "y", &[int("axis", 1)])
}

/// A convolution whose weight is standardised (Qiao et al. 2019) and pruned by a mask, and a linear
/// layer: what `Conv` reads is stored nowhere.
pub fn standardised() -> Build {
    let mean = [ints("axes", &[1, 2, 3]), int("keepdims", 1)];
    Build::new(&[0, 3, 8, 8])
        .drawn("conv/w", &[4, 3, 3, 3])
        .drawn("gain", &[4, 1, 1, 1])
        .tensor("mask", &[4, 3, 3, 3], &mask(&[4, 3, 3, 3]))
        .tensor("eps", &[], &Tensor::from(1e-3f32))
        .drawn("head/w", &[6, 4])
        .node("ReduceMean", &["conv/w"], "mean", &mean)
        .node("Sub", &["conv/w", "mean"], "centred", &[])
        .node("Mul", &["centred", "centred"], "squares", &[])
        .node("ReduceMean", &["squares"], "variance", &mean)
        .node("Add", &["variance", "eps"], "sum", &[])
        .node("Sqrt", &["sum"], "deviation", &[])
        .node("Div", &["centred", "deviation"], "standard", &[])
        .node("Mul", &["standard", "gain"], "scaled", &[])
        .node("Mul", &["scaled", "mask"], "weight", &[])
        .node("Conv", &["x", "weight"], "c", &[])
        .node("Relu", &["c"], "r", &[])
        .node("GlobalAveragePool", &["r"], "g", &[])
        .node("Flatten", &["g"], "f", &[])
        .node("Gemm", &["f", "head/w"], "y", &[int("transB", 1)])
}

/// Every third number is 0, the others are 1.
pub fn mask(dims: &[i64]) -> Tensor {
    let count = Tensor::arange(dims.iter().product::<i64>(), (Kind::Int64, Device::Cpu));
    count.remainder(3).ne(0).to_kind(Kind::Float).reshape(dims)
}

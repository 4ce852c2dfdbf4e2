//! From an ONNX file to a graph that runs, tried on images of noise.

use super::{
    Graph, Input, Node,
    batch::Batch,
    check_supported, float_inputs,
    fold::{Constants, fold, initializers},
    front::{Layout, Order, before_softmax, front},
    guard::guard,
    input,
    lower::{Action, Operation, Plan, lower},
    needed, nodes, operators, output,
    trace::{Trace, squeezes, trace},
};
use crate::{Activation, Builder, Model, noise, zoo::Shape};
use anyhow::{Context, Result, bail, ensure};
use std::{cell::Cell, collections::BTreeMap, rc::Rc};
use tch::{Device, Kind, Tensor};
use tensorfile::onnx::File;

/// Sides that are tried where a file leaves them free.
const SIDES: [i64; 8] = [224, 32, 28, 64, 96, 128, 256, 299];
/// Numbers in one image, at most, as of other networks.
const MOST_NUMBERS: i64 = 3 << 24;
/// Logits of a batch and of its images one by one differ by this part of the largest, at most.
const TOLERANCE: f64 = 1e-4;
/// `TensorProto.DataType.UINT8`.
const UINT8: i32 = 2;

/// A graph, and what its file says of images and logits.
pub struct Read {
    /// The network.
    pub graph: Rc<Graph>,
    /// Image shape and number of classes.
    pub shape: Shape,
    /// Whether the file or the caller said the shape of images.
    pub sized: bool,
    /// Whether the file takes pixels as bytes, from 0 to 255.
    pub bytes: bool,
    /// Sentences to show the user.
    pub notes: Vec<String>,
}

/// What of a file a size of images has no influence on.
struct Parts {
    file: Rc<File>,
    nodes: Vec<Node>,
    constants: Constants,
    input: Input,
    output: String,
    notes: Vec<String>,
}

/// Reads a graph for images of this `shape`, or of this `side`, where the file leaves that open.
/// Errors: what is not supported, ends that are not one image and one table of classes, a node that
/// does not run, images that a batch couples.
pub fn read(file: &Rc<File>, image: Option<[i64; 3]>, side: Option<i64>) -> Result<Read> {
    guard(|| read_for(file, image, side))
}

fn read_for(file: &Rc<File>, image: Option<[i64; 3]>, side: Option<i64>) -> Result<Read> {
    let parts = parts(file)?;
    let (order, images, sized) = images(&parts, image, side)?;
    let bgr = file.metadata().get("Image.BitmapPixelFormat").is_some_and(|said| said == "Bgr8");
    let layout = Layout { order, bgr };
    let mut first = None;
    for image in &images {
        match of_image(&parts, &layout, *image, sized) {
            Ok(read) => return Ok(read),
            Err(error) => first = first.or(Some(error)),
        }
    }
    let first = first.context("its images have no size")?;
    if images.len() == 1 {
        return Err(first);
    }
    let Input { name, .. } = &parts.input;
    Err(first.context(format!("`{name}` leaves the images' size open, `--size` says it")))
}

fn parts(file: &Rc<File>) -> Result<Parts> {
    let known = |name: &str| operators::find(name).is_some();
    let (graph, mut notes) = (file.graph(), vec![]);
    let all = nodes(file.model(), graph, &known)?;
    let mut output = output(graph, &all)?;
    let all = needed(all, &output)?;
    let mut constants = initializers(file, &all, &output)?;
    let all = fold(all, &mut constants, float_inputs(graph))?;
    if let Some((before, softmax)) = before_softmax(&all, &output) {
        notes.push(format!("its last operation, `{softmax}`, is left out: logits are explained"));
        output = before;
    }
    let nodes = needed(all, &output)?;
    check_supported(&nodes, &known)?;
    let input = input(graph, &nodes)?;
    if let Some(last) = nodes.last().filter(|node| node.operator == "Relu") {
        let label = &last.label;
        notes.push(format!(
            "its last operation is a `Relu` (`{label}`): where all logits are 0, gradients are too"
        ));
    }
    let trains = |node: &&Node| {
        node.operator == "BatchNormalization" && node.int("training_mode", 0).is_ok_and(|m| m == 1)
    };
    if let Some(node) = nodes.iter().find(trains) {
        bail!("node `{}` is in training mode: export after `model.eval()`", node.label);
    }
    Ok(Parts { file: file.clone(), nodes, constants, input, output, notes })
}

/// How the file takes images, their possible shapes, and whether somebody said them.
fn images(
    parts: &Parts,
    image: Option<[i64; 3]>,
    side: Option<i64>,
) -> Result<(Order, Vec<[i64; 3]>, bool)> {
    let Input { name, dims, .. } = &parts.input;
    let free = |what: &str| format!("the {what} of the input `{name}` is free");
    if let [_, a, b, c] = dims[..] {
        let few = |n: Option<i64>| n.is_some_and(|n| (1..=4).contains(&n));
        let first = |node: &&Node| node.inputs.first() == Some(name);
        let turned = |node: &Node| {
            let axes = node.ints("perm").ok().flatten();
            node.operator == "Transpose" && axes.is_some_and(|axes| axes == [0, 3, 1, 2])
        };
        let turns = parts.nodes.iter().find(first).is_some_and(turned);
        let last = few(c) && !few(a) || turns && few(c);
        let (order, channels, height, width) = match last {
            true => (Order::ChannelsLast, c, a, b),
            false => (Order::Planes, a, b, c),
        };
        let channels =
            channels.or(image.map(|i| i[0])).with_context(|| free("number of channels"))?;
        if let (Some(height), Some(width)) = (height, width) {
            return Ok((order, vec![[channels, height, width]], true));
        }
        let sides = |h: i64, w: i64| [channels, height.unwrap_or(h), width.unwrap_or(w)];
        return Ok(match (image, side) {
            (Some([_, h, w]), _) => (order, vec![sides(h, w)], true),
            (None, Some(side)) => (order, vec![sides(side, side)], true),
            (None, None) => (order, SIDES.map(|side| sides(side, side)).to_vec(), false),
        });
    }
    let rest: Option<Vec<i64>> = dims.iter().skip(1).copied().collect();
    let rest = rest.with_context(|| free("size"))?;
    let flat = match rest[..] {
        [n] => [n, 1, 1],
        [a, b] => [1, a, b],
        _ => bail!("the input `{name}` has {} dimensions; images have 4", dims.len()),
    };
    let numbers: i64 = rest.iter().product();
    let same = image.filter(|image| image.iter().product::<i64>() == numbers);
    Ok((Order::Shape(rest), vec![same.unwrap_or(flat)], same.is_some()))
}

fn of_image(parts: &Parts, layout: &Layout, image: [i64; 3], sized: bool) -> Result<Read> {
    let numbers = image.iter().try_fold(1i64, |n, side| n.checked_mul(*side));
    let fits = numbers.is_some_and(|n| (1..=MOST_NUMBERS).contains(&n));
    ensure!(fits, "it cannot take images as large as {image:?}");
    let Parts { file, nodes, constants, input, output, notes } = parts;
    let (mut nodes, mut notes) = (nodes.clone(), notes.clone());
    let rank = input.dims.len();
    let front = front(&mut nodes, constants, &input.name, (layout, rank, image[0]))?;
    let own = input.dims[0];
    ensure!(own.unwrap_or(1) <= 1 << 12, "its batch of {} images is too large", own.unwrap_or(1));
    // One image would hide which axis of length 1 is that of images.
    let n = own.unwrap_or(if nodes.iter().any(squeezes) { 2 } else { 1 });
    let x = layout.of(&noisy(n, image));
    let trace = trace(&nodes, constants, (&front.input, &x), output)?;
    let classes = classes(&trace, output, n)?;
    let plan = lower(&nodes, constants, &trace, (&front.input, output, image))?;
    let batch = own.map_or(Batch::Free, Batch::Grown);
    notes.extend(flat(&plan, &trace, n));
    let activation = only(&trace.activations);
    let linear = Cell::new(may_be_linear(&plan));
    let (file, layout, batch) = (file.clone(), layout.clone(), Cell::new(batch));
    let graph = Graph { file, plan, own: front.scale, layout, batch, linear, activation };
    let graph = Rc::new(graph);
    try_out(&graph, &trace, own, image, &mut notes)?;
    let shape = Shape { image, classes };
    let bytes = input.element == UINT8;
    Ok(Read { graph, shape, sized, bytes, notes })
}

/// Images `[n, C, H, W]` of noise.
fn noisy(n: i64, image: [i64; 3]) -> Tensor {
    let keys: Vec<u64> = (0..n as u64).collect();
    noise::uniform(&keys, &image, Device::Cpu)
}

/// The number of classes of an output.
fn classes(trace: &Trace, output: &str, batch: i64) -> Result<i64> {
    let size = trace.logits.size();
    let spelled = || {
        let rest = size.iter().skip(1).map(|n| format!(",{n}")).collect::<String>();
        format!("the output `{output}` [N{rest}]")
    };
    let table = size.first() == Some(&batch) && size.len() > 1 && size[2..].iter().all(|n| *n == 1);
    ensure!(table && trace.logits.is_floating_point(), "{} is no table of classes", spelled());
    ensure!(size[1] > 1, "{} is one number; a classifier has one for each class", spelled());
    Ok(size[1])
}

/// What to say of operators through which no gradient comes from the image.
fn flat(plan: &Plan, trace: &Trace, n: i64) -> Option<String> {
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for step in &plan.steps {
        let Action::Operator(Operation { operator, node, .. }, _) = &step.action else { continue };
        let shape = node.outputs.first().and_then(|name| trace.shapes.get(name));
        let of_images = shape.is_some_and(|shape| shape.len() > 1 && shape[0] == n);
        if operator.flat && of_images {
            *found.entry(operator.name).or_default() += 1;
        }
    }
    let one = |(name, times): (&str, usize)| match times {
        1 => format!("a `{name}` node"),
        _ => format!("{times} `{name}` nodes"),
    };
    let all: Vec<String> = found.into_iter().map(one).collect();
    (!all.is_empty()).then(|| format!("gradients are zero through {}", all.join(", ")))
}

/// The nonlinearity, if there is one alone.
fn only(all: &[Activation]) -> Option<Activation> {
    let first = all.first().filter(|a| !matches!(a, Activation::PRelu { .. }))?;
    all.iter().all(|a| a == first).then(|| first.clone())
}

/// Runs the network on three images: as its nodes said, and each image as if it were alone.
fn try_out(
    graph: &Rc<Graph>,
    trace: &Trace,
    own: Option<i64>,
    image: [i64; 3],
    notes: &mut Vec<String>,
) -> Result<()> {
    let params = {
        let builder = Builder::blank(Device::Cpu);
        graph.build(&builder);
        builder.params()
    };
    params.fill(&graph.values())?;
    let net = graph.build(&Builder::frozen(&params));
    let run = |x: &Tensor, batch: Batch| {
        graph.batch.set(batch);
        tch::no_grad(|| guard(|| Ok(net.logits(x))))
    };
    let (n, kind) = (trace.logits.size()[0], own.map_or(Batch::Free, Batch::Apart));
    let first = run(&noisy(n, image), kind)?;
    let said = trace.logits.reshape([n, -1]);
    ensure!(close(&first, &said), "its layers do not give what its nodes give");
    let three = noisy(3, image);
    let alone = match own {
        Some(_) => run(&three, kind)?,
        None => {
            let each = |i| run(&three.narrow(0, i, 1), kind);
            Tensor::cat(&(0..3).map(each).collect::<Result<Vec<_>>>()?, 0)
        }
    };
    let together = run(&three, own.map_or(Batch::Free, Batch::Grown));
    match (own, together) {
        (_, Ok(together)) if close(&together, &alone) => Ok(()),
        (None, Ok(_)) => bail!("the answer for an image depends on the others of its batch"),
        (None, Err(error)) => Err(error.context("it does not run on a batch of 3 images")),
        (Some(own), _) => {
            graph.batch.set(Batch::Apart(own));
            let groups =
                if own == 1 { "one at a time".into() } else { format!("in groups of {own}") };
            notes.push(format!("the file has batch {own} built in: images go {groups}"));
            Ok(())
        }
    }
}

fn close(a: &Tensor, b: &Tensor) -> bool {
    if a.size() != b.size() {
        return false;
    }
    let largest = |t: &Tensor| t.abs().max().double_value(&[]);
    largest(&(a - b)) <= TOLERANCE * largest(b).max(f64::MIN_POSITIVE)
}

/// Whether nothing says that the network is not linear but for what it leaves to `Ops`; a product of
/// two values or a constant that is added shows only when it is tried.
fn may_be_linear(plan: &Plan) -> bool {
    plan.steps.iter().all(|step| match &step.action {
        Action::Layer(_) => true,
        Action::Operator(operation, _) => operation.operator.linear,
    })
}

impl Graph {
    /// Finds out whether `model`, made of this graph, is linear but for what it leaves to `Ops`: its
    /// derivative along a direction must be that of its gradients, also with softplus.
    pub(crate) fn try_linear(&self, model: &dyn Model, image: [i64; 3]) {
        if self.linear.get() {
            let same = |model: &dyn Model| guard(|| Ok(follows(model, image))).unwrap_or(false);
            let linear = same(model) && same(&crate::softened(model, 10.));
            self.linear.set(linear);
        }
    }
}

/// Whether a linearised pass gives the derivatives that autograd gives.
fn follows(model: &dyn Model, image: [i64; 3]) -> bool {
    let x = noisy(1, image).set_requires_grad(true);
    let along = |key: u64| noise::normal(&[key], &image, Device::Cpu);
    let Some(pass) = crate::jvp::LinearisedPass::of(model, &x) else { return false };
    let direction = along(10);
    let rates = pass.along(&direction).detach();
    let logits = model.logits(&x);
    let same = |key: u64| {
        let weights = noise::normal(&[key], &[logits.size()[1]], Device::Cpu);
        let sum = (&logits * &weights).sum(Kind::Float);
        let gradient = Tensor::run_backward(&[&sum], &[&x], true, false).swap_remove(0);
        let a = (gradient * &direction).flatten(1, -1).sum_dim_intlist([1].as_slice(), false, None);
        let b = (&rates * &weights).sum_dim_intlist([1].as_slice(), false, None);
        let size = |t: &Tensor| t.square().sum(Kind::Double).sqrt().double_value(&[]);
        let scale = size(&rates) * size(&weights);
        // Not so where a number is NaN.
        size(&(a - b)) / scale.max(f64::MIN_POSITIVE) <= TOLERANCE
    };
    [20, 30].into_iter().all(same) && close(&pass.logits.detach(), &logits.detach())
}

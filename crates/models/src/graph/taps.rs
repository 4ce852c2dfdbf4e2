//! Where Grad-CAM can look: values that are maps of features over the image.

use super::{Node, trace::Trace};
use std::collections::BTreeSet;

/// Operators whose results have places of their own: windows over the image.
const WINDOWS: [&str; 4] = ["Conv", "MaxPool", "AveragePool", "ConvTranspose"];
/// Operators whose results have no places, whatever their shape.
const NONE: [&str; 4] = ["MatMul", "Softmax", "Einsum", "Gemm"];

/// The names of values `[N, C, H, W]` over more than one place of the image, in the order of nodes.
/// Attention also makes tensors of four axes: only such heights and widths count that a window made
/// or that divide the image's.
pub(super) fn taps(nodes: &[Node], trace: &Trace, image: [i64; 3]) -> BTreeSet<String> {
    let size = |name: &String| match trace.shapes.get(name).map(Vec::as_slice) {
        Some(&[_, _, h, w]) => Some((h, w)),
        _ => None,
    };
    let made = |node: &&Node| WINDOWS.contains(&node.operator.as_str());
    let windows: BTreeSet<(i64, i64)> =
        nodes.iter().filter(made).filter_map(|node| size(node.outputs.first()?)).collect();
    let [_, height, width] = image;
    let over = |(h, w): (i64, i64)| {
        let divides = h > 0 && w > 0 && height % h == 0 && width % w == 0;
        h * w > 1 && (windows.contains(&(h, w)) || divides)
    };
    let batch = trace.logits.size().first().copied();
    let is_tap = |name: &&String| {
        let first = trace.shapes.get(*name).and_then(|shape| shape.first().copied());
        first == batch && size(name).is_some_and(over)
    };
    let places = nodes.iter().filter(|node| !NONE.contains(&node.operator.as_str()));
    places.filter_map(|node| node.outputs.first()).filter(is_tap).cloned().collect()
}

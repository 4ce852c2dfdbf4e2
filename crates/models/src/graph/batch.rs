//! Graphs with the number of images built in: shapes grow with it where that gives what the file
//! gives for its own number; else images go in groups of that number.

use super::{Node, lower::Told, trace::integers};
use crate::upload;
use tch::Tensor;

/// How many images a graph takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Batch {
    /// Any number.
    Free,
    /// The file says this number; shapes are grown to any other.
    Grown(i64),
    /// This number in every pass.
    Apart(i64),
}

impl Batch {
    /// The file's number and the number `n` of a pass, where they differ.
    pub fn factor(self, n: i64) -> Option<(i64, i64)> {
        match self {
            Batch::Grown(own) if own != n => Some((own, n)),
            _ => None,
        }
    }

    /// Images a pass, if there is only one number.
    pub fn apart(self) -> Option<i64> {
        match self {
            Batch::Apart(own) => Some(own),
            _ => None,
        }
    }
}

/// Changes what a node reads from the file's number of images to another: the shape that it is told,
/// a constant of that many rows beside values of images.
pub(super) fn grown(
    node: &Node,
    inputs: &mut [Option<Tensor>],
    told: Option<&Told>,
    factor: Option<(i64, i64)>,
) {
    let Some((own, n)) = factor else { return };
    if let (Some(Told { asked, given }), Some(Some(shape))) = (told, inputs.get_mut(1)) {
        let first = given.first().filter(|first| *first % own == 0);
        if let (Some(first), true) = (first, integers(shape).as_ref() == Some(asked)) {
            let grown = [&[first / own * n], &given[1..]].concat();
            *shape = upload(&grown, shape.device());
        }
    }
    if node.operator == "Concat" {
        // Lists of integers are shapes, not rows of images.
        let rows = |t: &Tensor| t.size().first().copied().filter(|_| t.is_floating_point());
        let many = inputs.iter().flatten().any(|t| rows(t) == Some(n));
        for t in inputs.iter_mut().flatten().filter(|t| many && rows(t) == Some(own)) {
            *t = t.narrow(0, 0, 1).expand([&[n], &t.size()[1..]].concat(), false);
        }
    }
}

//! `If`: the branch of a known condition is written out, also inside branches; others are refused.

use super::{Build, Written, draw, images, int, near};
use models::Model;
use tch::Tensor;
use testkit::onnx::branch;

/// Nodes of a branch.
fn inside() -> Build {
    Build::new(&[])
}

/// [N, 3, 4, 4] to a value `f` [N, 48], and whether `a` is `b`.
fn outside(a: i64, b: i64) -> Build {
    Build::new(&[0, 3, 4, 4])
        .shape("a", &[a])
        .shape("b", &[b])
        .node("Equal", &["a", "b"], "same", &[])
        .node("Not", &["same"], "other", &[])
        .node("Flatten", &["x"], "f", &[])
        .drawn("v", &[48, 5])
        .drawn("w", &[48, 5])
}

#[test]
fn the_branch_of_a_known_condition_is_the_network() {
    let f = images(3, &[3, 4, 4]).flatten(1, -1);
    let v = || f.matmul(&draw("v", &[48, 5]));
    let w = || f.matmul(&draw("w", &[48, 5]));
    let own = || f.matmul(&draw("own", &[48, 5]));
    // The other branch may hold whatever it wants, and read what only it needs.
    let file =
        |a, b| {
            let reads = inside()
                .drawn("own", &[48, 5])
                .node("MatMul", &["f", "own"], "m", &[])
                .node("Relu", &["m"], "y", &[]);
            let other = inside().node("LSTM", &["sorted"], "y", &[]);
            outside(a, b).node("TopK", &["f"], "sorted", &[]).node(
                "If",
                &["same"],
                "y",
                &[branch("then_branch", reads), branch("else_branch", other)],
            )
        };
    let model = file(2, 2).load().unwrap().classifier;
    near(&model.logits(&images(3, &[3, 4, 4])), &own().relu(), 1e-5);
    let names: Vec<String> = model.params().tensors().into_keys().collect();
    assert!(names.len() == 1 && names[0].ends_with("/own"), "{names:?}");
    let said = file(2, 3).refused();
    assert!(said.starts_with("2 operators are not supported: `LSTM` (1 time"), "{said}");

    // Branches inside branches, a condition and values from two scopes outside.
    let nested = |a, b| {
        let deep = |weight| inside().node("MatMul", &["g", weight], "y", &[]);
        let choice = [branch("then_branch", deep("v")), branch("else_branch", deep("w"))];
        let then = inside()
            .node("Neg", &["f"], "g", &[])
            .node("If", &["other"], "z", &choice)
            .node("Neg", &["z"], "y", &[]);
        let otherwise = inside().node("MatMul", &["f", "v"], "y", &[]);
        let choice = [branch("then_branch", then), branch("else_branch", otherwise)];
        outside(a, b).node("If", &["same"], "s", &choice).node("Softmax", &["s"], "y", &[])
    };
    for (a, b, wanted) in [(1, 1, w()), (1, 2, v())] {
        let loaded = nested(a, b).load().unwrap();
        near(&loaded.classifier.logits(&images(3, &[3, 4, 4])), &wanted, 1e-5);
        assert!(loaded.notes.iter().any(|note| note.contains("`Softmax`, is left out")));
    }
}

#[test]
fn a_condition_of_the_image_is_refused_with_its_node() {
    let file = |condition: &str| {
        let of = |weight| inside().node("MatMul", &["f", weight], "y", &[]);
        let zero = Tensor::from(0f32);
        outside(1, 1)
            .tensor("zero", &[], &zero)
            .node("ReduceMean", &["x"], "mean", &[int("keepdims", 0)])
            .node("Greater", &["mean", "zero"], "bright", &[])
            .node(
                "If",
                &[condition],
                "y",
                &[branch("then_branch", of("v")), branch("else_branch", of("w"))],
            )
    };
    assert_eq!(
        file("bright").refused(),
        "1 operator is not supported: `If` (1 time, first at `y`); the condition of an `If` may not \
         depend on the image"
    );
    assert!(file("same").load().is_ok());
    let half = outside(1, 1).node(
        "If",
        &["same"],
        "y",
        &[branch("then_branch", inside().node("MatMul", &["f", "v"], "y", &[]))],
    );
    assert_eq!(half.refused(), "y: an `If` without `else_branch`");
}

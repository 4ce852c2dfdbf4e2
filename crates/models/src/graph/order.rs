//! Which nodes a value needs, and in which order they run. Files exist whose nodes are not sorted.

use super::Node;
use anyhow::{Result, bail, ensure};
use std::collections::{BTreeMap, HashMap};

/// The nodes that `output` needs, each after those that make what it reads; nodes of a sorted file
/// keep their order. Errors: a value made twice, nodes that wait for each other.
pub fn needed(nodes: Vec<Node>, output: &str) -> Result<Vec<Node>> {
    let makers = makers(&nodes)?;
    let mut keep = vec![false; nodes.len()];
    let mut open: Vec<usize> = makers.get(output).copied().into_iter().collect();
    while let Some(i) = open.pop() {
        if !std::mem::replace(&mut keep[i], true) {
            open.extend(nodes[i].inputs.iter().filter_map(|name| makers.get(name.as_str())));
        }
    }
    let order = sorted(&nodes, &makers, &keep)?;
    let mut nodes: Vec<Option<Node>> = nodes.into_iter().map(Some).collect();
    Ok(order.into_iter().filter_map(|i| nodes[i].take()).collect())
}

/// Which node makes each value.
fn makers(nodes: &[Node]) -> Result<HashMap<String, usize>> {
    let mut makers = HashMap::new();
    for (i, node) in nodes.iter().enumerate() {
        for name in node.outputs.iter().filter(|name| !name.is_empty()) {
            let before = makers.insert(name.clone(), i);
            ensure!(before.is_none(), "two nodes make `{name}`: the last is `{}`", node.label);
        }
    }
    Ok(makers)
}

/// The places of those to keep, in an order in which they run.
fn sorted(nodes: &[Node], makers: &HashMap<String, usize>, keep: &[bool]) -> Result<Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum State {
        New,
        Waiting,
        Done,
    }
    let (mut states, mut order) = (vec![State::New; nodes.len()], vec![]);
    for start in (0..nodes.len()).filter(|&i| keep[i]) {
        let mut stack = vec![start];
        while let Some(&i) = stack.last() {
            if states[i] != State::New {
                stack.pop();
                if states[i] == State::Waiting {
                    states[i] = State::Done;
                    order.push(i);
                }
                continue;
            }
            states[i] = State::Waiting;
            for &maker in nodes[i].inputs.iter().filter_map(|name| makers.get(name)) {
                match states[maker] {
                    State::New => stack.push(maker),
                    State::Waiting => bail!("node `{}` needs what it makes", nodes[i].label),
                    State::Done => (),
                }
            }
        }
    }
    Ok(order)
}

/// That every operator is known. The error names all that are not: how many nodes, and the first.
pub fn check_supported(nodes: &[Node], known: &dyn Fn(&str) -> bool) -> Result<()> {
    let mut found: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    for node in nodes.iter().filter(|node| !known(&node.operator)) {
        found.entry(&node.operator).or_insert((0, &node.label)).0 += 1;
    }
    if found.is_empty() {
        return Ok(());
    }
    let one = |(operator, (times, first)): (&&str, &(usize, &str))| {
        format!("`{operator}` ({}, first at `{first}`)", tensorfile::words::count(times, "time"))
    };
    let all: Vec<String> = found.iter().map(one).collect();
    let quantised = |name: &&&str| {
        name.ends_with("Integer") || name.starts_with("QLinear") || name.contains("QuantizeLinear")
    };
    let hint = match found.keys().find(quantised) {
        Some(_) => "; it is a quantised file: export the float model",
        None if found.contains_key("If") => {
            "; the condition of an `If` may not depend on the image"
        }
        None => "",
    };
    let (n, verb) = (found.len(), if found.len() == 1 { "is" } else { "are" });
    let operators = tensorfile::words::count(n, "operator");
    bail!("{operators} {verb} not supported: {}{hint}", all.join(", "))
}

//! The pickle machine's memory: input, stack, marks, memo, and the nodes they point to. Nodes are
//! kept in one vector because pickles fill lists and dicts after others already refer to them.
//! Limits keep a small file from unfolding into a huge value.

use super::{Object, Value, calls};
use anyhow::{Context, Result, bail, ensure};
use std::{borrow::Cow, collections::HashMap};

/// More nested than this is not data that anyone saved (and a list inside itself has no end).
const DEEPEST: usize = 100;
/// The most nodes of one pickle; each takes at least one byte of it.
pub(super) const MOST_NODES: usize = 1 << 21;
/// What one value is counted as, in bytes, besides its contents.
const NODE_COST: usize = 80;

/// The place of a node.
pub(super) type Id = u32;

/// One value under construction; strings and bytes are borrowed from the input.
#[derive(Debug)]
pub(super) enum Node<'a> {
    None,
    Bool(bool),
    Int(i64),
    Long(Vec<u8>),
    Float(f64),
    Str(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(String),
    Persistent(Id),
    Call(Box<Call>),
}

/// A call that was asked for, and what was put into its result afterwards.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) class: String,
    pub(super) args: Id,
    pub(super) state: Option<Id>,
    pub(super) items: Vec<(Id, Id)>,
}

/// The machine, between two opcodes.
pub(super) struct Machine<'a> {
    input: &'a [u8],
    at: usize,
    nodes: Vec<Node<'a>>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    pub(super) memo: HashMap<u64, Id>,
}

impl<'a> Machine<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        let (nodes, stack, marks) = (vec![], vec![], vec![]);
        Machine { input, at: 0, nodes, stack, marks, memo: HashMap::new() }
    }

    /// How many bytes have been read.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Runs to the STOP opcode; the node that is the result.
    pub(super) fn run(&mut self) -> Result<Id> {
        loop {
            let at = self.at;
            let op = self.take(1)?[0];
            if op == b'.' {
                return self.pop();
            }
            self.step(op).with_context(|| format!("at byte {at} of the pickle"))?;
        }
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.input.len());
        let end = end.with_context(|| {
            let left = self.input.len() - self.at;
            format!("the pickle is cut short: {count} more bytes are announced, {left} are there")
        })?;
        let bytes = &self.input[self.at..end];
        self.at = end;
        Ok(bytes)
    }

    /// An unsigned little-endian number of `bytes` bytes (at most 8).
    pub(super) fn number(&mut self, bytes: usize) -> Result<u64> {
        let bytes = self.take(bytes)?;
        Ok(bytes.iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte)))
    }

    /// The bytes whose length stands before them in `width` bytes.
    pub(super) fn counted(&mut self, width: usize) -> Result<&'a [u8]> {
        let count = self.number(width)?;
        self.take(usize::try_from(count).context("a length beyond the memory")?)
    }

    /// The bytes up to the next line end.
    pub(super) fn line(&mut self) -> Result<&'a [u8]> {
        let rest = &self.input[self.at..];
        let end = rest.iter().position(|&byte| byte == b'\n').context("the pickle is cut short")?;
        self.at += end + 1;
        Ok(&rest[..end])
    }

    pub(super) fn push(&mut self, node: Node<'a>) -> Result<()> {
        let id = self.add(node)?;
        self.stack.push(id);
        Ok(())
    }

    pub(super) fn push_id(&mut self, id: Id) {
        self.stack.push(id);
    }

    pub(super) fn add(&mut self, node: Node<'a>) -> Result<Id> {
        let id = self.nodes.len();
        ensure!(id < MOST_NODES, "the pickle has more than {MOST_NODES} values");
        self.nodes.push(node);
        Ok(id as Id)
    }

    pub(super) fn node(&mut self, id: Id) -> &mut Node<'a> {
        &mut self.nodes[id as usize]
    }

    pub(super) fn top(&self) -> Result<Id> {
        let floor = self.marks.last().copied().unwrap_or(0);
        ensure!(self.stack.len() > floor, "the pickle takes from an empty stack");
        Ok(self.stack[self.stack.len() - 1])
    }

    pub(super) fn pop(&mut self) -> Result<Id> {
        let id = self.top()?;
        self.stack.pop();
        Ok(id)
    }

    pub(super) fn mark(&mut self) {
        self.marks.push(self.stack.len());
    }

    /// Everything above the last mark, which is taken away too.
    pub(super) fn above_mark(&mut self) -> Result<Vec<Id>> {
        let mark = self.marks.pop().context("the pickle closes what it never opened")?;
        Ok(self.stack.split_off(mark))
    }

    pub(super) fn text(&mut self, id: Id) -> Result<String> {
        match self.node(id) {
            Node::Str(text) => Ok(text.to_string()),
            Node::Bytes(bytes) => Ok(std::str::from_utf8(bytes)?.to_owned()),
            _ => bail!("a name that is not text"),
        }
    }

    /// The finished value of a node. The result may be much larger than the pickle where things
    /// are shared, but not without limit.
    pub(super) fn value(&self, id: Id) -> Result<Value> {
        let size = self.input.len();
        let mut budget = size.saturating_mul(128).saturating_add(1 << 24);
        budget = budget.min(size.saturating_mul(2).saturating_add(1 << 28));
        self.build(id, 0, &mut budget)
    }

    fn build(&self, id: Id, depth: usize, budget: &mut usize) -> Result<Value> {
        ensure!(depth < DEEPEST, "the pickle is nested more than {DEEPEST} deep");
        let node = &self.nodes[id as usize];
        let contents = match node {
            Node::Str(text) => text.len(),
            Node::Bytes(bytes) => bytes.len(),
            Node::Long(bytes) => bytes.len(),
            Node::Global(name) => name.len(),
            Node::Call(call) => call.class.len(),
            _ => 0,
        };
        let rest = budget.checked_sub(NODE_COST + contents);
        *budget = rest.context("the pickle unfolds to far more than its own size")?;
        Ok(match node {
            Node::None => Value::None,
            Node::Bool(truth) => Value::Bool(*truth),
            Node::Int(number) => Value::Int(*number),
            Node::Long(bytes) => Value::Long(bytes.clone()),
            Node::Float(number) => Value::Float(*number),
            Node::Str(text) => Value::Str(text.to_string()),
            Node::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
            Node::Global(name) => Value::Global(name.clone()),
            Node::List(ids) => Value::List(self.all(ids, depth, budget)?),
            Node::Tuple(ids) => Value::Tuple(self.all(ids, depth, budget)?),
            Node::Dict(pairs) => Value::Dict(self.pairs(pairs, depth, budget)?),
            Node::Persistent(id) => Value::Persistent(self.build(*id, depth + 1, budget)?.into()),
            Node::Call(call) => self.called(call, depth, budget)?,
        })
    }

    fn called(&self, call: &Call, depth: usize, budget: &mut usize) -> Result<Value> {
        let Value::Tuple(args) = self.build(call.args, depth + 1, budget)? else {
            bail!("`{}` is called with something that is not a tuple", call.class)
        };
        let state = match call.state {
            Some(state) => self.build(state, depth + 1, budget)?,
            None => Value::None,
        };
        let items = self.pairs(&call.items, depth, budget)?;
        let class = call.class.clone();
        calls::interpret(Object { class, args, state: state.into(), items })
    }

    fn all(&self, ids: &[Id], depth: usize, budget: &mut usize) -> Result<Vec<Value>> {
        ids.iter().map(|&id| self.build(id, depth + 1, budget)).collect()
    }

    fn pairs(
        &self,
        pairs: &[(Id, Id)],
        depth: usize,
        budget: &mut usize,
    ) -> Result<Vec<(Value, Value)>> {
        let mut built = vec![];
        for &(key, value) in pairs {
            let key = self.build(key, depth + 1, budget)?;
            built.push((key, self.build(value, depth + 1, budget)?));
        }
        Ok(built)
    }
}

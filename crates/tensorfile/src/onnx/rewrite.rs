//! The same file with other weights: their bytes are overwritten where they lie, strings are
//! appended, and every other byte stays.

use super::{
    File,
    elements::{Element, element},
    external::{self, Region},
    is_float,
    proto::{AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto},
    proto::{StringStringEntryProto, TensorProto},
    records,
    values::{check_bytes, count, packed},
};
use crate::atomic;
use anyhow::{Context, Result, bail, ensure};
use prost::Message;
use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Seek, SeekFrom, Write, copy},
    ops::Range,
    path::{Path, PathBuf},
};
use tch::{Device, Tensor};

/// Where the numbers of a tensor are.
enum Place {
    /// In the model's file.
    Inside(Range<usize>),
    /// In another file.
    Beside(Region),
}

/// A tensor of the file and its new numbers.
pub type Replacement<'a> = (&'a TensorProto, &'a Tensor);

/// New bytes of the files beside the model, by their names in it.
type Beside = BTreeMap<String, Vec<(Range<u64>, Vec<u8>)>>;

impl File {
    /// Whether [`Self::write`] can replace the numbers of `tensor`. Errors: they are no floats, or
    /// are stored in a form whose length depends on their values.
    pub fn check_writable(&self, tensor: &TensorProto) -> Result<()> {
        self.place(tensor).map(drop).with_context(|| format!("tensor `{}`", tensor.name()))
    }

    /// Errors: those of [`Self::rewritten`], but that weights beside the file are welcome.
    pub fn check_rewritable(&self, new: &[Replacement]) -> Result<()> {
        self.replaced(new, &[]).map(drop)
    }

    /// The bytes of the file with new numbers of some of its tensors and new strings; a string
    /// whose key is there is replaced. Numbers are rounded to the type of the file. Errors: those of
    /// [`Self::check_writable`], another shape, tensors that share their numbers, a number too large
    /// for its type, external data, which [`Self::write`] takes.
    pub fn rewritten(&self, new: &[Replacement], about: &[(&str, &str)]) -> Result<Vec<u8>> {
        let (bytes, beside) = self.replaced(new, about)?;
        if let Some(location) = beside.keys().next() {
            bail!("its weights are beside it, in `{location}`");
        }
        Ok(bytes)
    }

    /// Writes the file with new numbers and strings to `path`, as [`Self::rewritten`], and the
    /// files of its external data beside it, each whole or not there. Errors: those of
    /// [`Self::rewritten`], and external data that would overwrite those of this file.
    pub fn write(&self, path: &Path, new: &[Replacement], about: &[(&str, &str)]) -> Result<()> {
        let (bytes, mut beside) = self.replaced(new, about)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let files = self.files_beside()?;
        for (location, from) in &files {
            let to = folder.join(location);
            let same = fs::canonicalize(&to).is_ok_and(|to| to == *from);
            ensure!(!same, "`{}` would overwrite the weights of its source", to.display());
        }
        for (location, from) in &files {
            let parts = beside.remove(location).unwrap_or_default();
            let told = || format!("cannot read external data `{location}`");
            let mut from = fs::File::open(from).with_context(told)?;
            atomic::write(&folder.join(location), |to| patched(&mut from, parts, to))?;
        }
        atomic::write(path, |file| Ok(file.write_all(&bytes)?))
    }

    fn replaced(&self, new: &[Replacement], about: &[(&str, &str)]) -> Result<(Vec<u8>, Beside)> {
        let (mut bytes, mut beside) = (self.bytes.to_vec(), Beside::new());
        let mut inside: Vec<Range<usize>> = vec![];
        for (tensor, values) in new {
            let told = || format!("tensor `{}`", tensor.name());
            let part = encoded(tensor, values).with_context(told)?;
            match self.place(tensor).with_context(told)? {
                Place::Inside(range) => {
                    let shared = inside.iter().any(|other| meet(other, &range));
                    ensure!(!shared, "{} shares its numbers with another tensor", told());
                    bytes[range.clone()].copy_from_slice(&part);
                    inside.push(range);
                }
                Place::Beside(region) => {
                    let parts = beside.entry(region.location).or_default();
                    let shared = parts.iter().any(|(range, _)| meet(range, &region.range));
                    ensure!(!shared, "{} shares its numbers with another tensor", told());
                    parts.push((region.range, part));
                }
            }
        }
        let keys = about.iter().map(|(key, _)| *key).collect();
        for range in records::metadata(&self.bytes, &keys)?.into_iter().rev() {
            bytes.drain(range);
        }
        let entry = |(key, value): &(&str, &str)| StringStringEntryProto {
            key: Some((*key).to_owned()),
            value: Some((*value).to_owned()),
        };
        let metadata_props = about.iter().map(entry).collect();
        ModelProto { metadata_props, ..ModelProto::default() }.encode(&mut bytes)?;
        Ok((bytes, beside))
    }

    fn place(&self, tensor: &TensorProto) -> Result<Place> {
        let element = element(tensor.data_type())?;
        ensure!(is_float(tensor.data_type()), "its numbers are no floats");
        let count = count(&tensor.dims)?;
        if external::is_external(tensor) {
            let bytes = (count * element.bytes) as u64;
            return Ok(Place::Beside(external::region(self.folder(), tensor, bytes)?));
        }
        let Some(part) = packed(tensor, element) else {
            ensure!(count == 0, "its `{}` numbers are stored as integers", element.name);
            return Ok(Place::Inside(0..0));
        };
        check_bytes(part.len(), count, element)?;
        let start = (part.as_ptr() as usize).checked_sub(self.bytes.as_ptr() as usize);
        let range = start.and_then(|start| Some(start..start.checked_add(part.len())?));
        let range = range.filter(|range| range.end <= self.bytes.len());
        Ok(Place::Inside(range.context("it is not a tensor of this file")?))
    }

    /// Name and place of every file that a tensor of the model refers to.
    fn files_beside(&self) -> Result<BTreeMap<String, PathBuf>> {
        let mut found = BTreeMap::new();
        for tensor in self.tensors().into_iter().filter(|tensor| external::is_external(tensor)) {
            let file = external::file(self.folder(), tensor);
            let (location, path) = file.with_context(|| format!("tensor `{}`", tensor.name()))?;
            found.insert(location, path);
        }
        Ok(found)
    }

    /// Every tensor: initializers and attributes, also of functions and branches.
    fn tensors(&self) -> Vec<&TensorProto> {
        let mut found = vec![];
        of_graph(&self.graph, &mut found);
        for FunctionProto { node, attribute_proto, .. } in &self.model.functions {
            of_nodes(node, &mut found);
            attribute_proto.iter().for_each(|a| of_attribute(a, &mut found));
        }
        found
    }
}

fn of_graph<'a>(graph: &'a GraphProto, found: &mut Vec<&'a TensorProto>) {
    found.extend(&graph.initializer);
    of_nodes(&graph.node, found);
}

fn of_nodes<'a>(nodes: &'a [NodeProto], found: &mut Vec<&'a TensorProto>) {
    nodes.iter().flat_map(|node| &node.attribute).for_each(|a| of_attribute(a, found));
}

fn of_attribute<'a>(attribute: &'a AttributeProto, found: &mut Vec<&'a TensorProto>) {
    found.extend(&attribute.t);
    if let Some(graph) = &attribute.g {
        of_graph(graph, found);
    }
}

fn meet<T: PartialOrd>(a: &Range<T>, b: &Range<T>) -> bool {
    a.start < b.end && b.start < a.end
}

/// The bytes of `values` in the type of `tensor`.
fn encoded(tensor: &TensorProto, values: &Tensor) -> Result<Vec<u8>> {
    let Element { kind, name, .. } = element(tensor.data_type())?;
    let (found, wanted) = (values.size(), &tensor.dims);
    ensure!(found == *wanted, "new numbers of the shape {found:?} for the shape {wanted:?}");
    let values = values.detach().to_device(Device::Cpu);
    let rounded = values.to_kind(kind).contiguous();
    let finite = |t: &Tensor| t.isfinite().all().int64_value(&[]) != 0;
    ensure!(finite(&rounded) || !finite(&values), "a new number is too large for `{name}`");
    let mut bytes = vec![0; rounded.numel() * kind.elt_size_in_bytes()];
    rounded.f_copy_data_u8(&mut bytes, rounded.numel())?;
    Ok(bytes)
}

/// Copies `from` with some of its parts replaced.
fn patched(
    from: &mut fs::File,
    mut parts: Vec<(Range<u64>, Vec<u8>)>,
    to: &mut dyn Write,
) -> Result<()> {
    parts.sort_by_key(|(range, _)| range.start);
    let mut at = 0;
    for (range, bytes) in parts {
        copy(&mut Read::by_ref(from).take(range.start - at), to)?;
        to.write_all(&bytes)?;
        at = from.seek(SeekFrom::Start(range.end))?;
    }
    copy(from, to)?;
    Ok(())
}

//! The records that a message consists of, without decoding them.

use super::proto::StringStringEntryProto;
use anyhow::Result;
use prost::{
    Message,
    bytes::{Buf, Bytes},
    encoding::{DecodeContext, decode_key, skip_field},
};
use std::{collections::BTreeSet, ops::Range};

/// Tag and place of each record of a message.
fn records(message: &[u8]) -> Result<Vec<(u32, Range<usize>)>> {
    let (mut rest, mut found) = (message, vec![]);
    while rest.has_remaining() {
        let start = message.len() - rest.len();
        let (tag, wire) = decode_key(&mut rest)?;
        skip_field(wire, tag, &mut rest, DecodeContext::default())?;
        found.push((tag, start..message.len() - rest.len()));
    }
    Ok(found)
}

/// The places of those of `keys` among a model's strings. A key may be there once only, so they
/// are taken out before new ones are appended.
pub(super) fn metadata(model: &Bytes, keys: &BTreeSet<&str>) -> Result<Vec<Range<usize>>> {
    #[derive(Clone, PartialEq, Message)]
    struct Strings {
        #[prost(message, repeated, tag = "14")]
        metadata_props: Vec<StringStringEntryProto>,
    }
    let mut found = vec![];
    for (_, place) in records(model)?.into_iter().filter(|(tag, _)| *tag == 14) {
        let strings = Strings::decode(model.slice(place.clone()))?;
        if strings.metadata_props.iter().any(|entry| keys.contains(entry.key())) {
            found.push(place);
        }
    }
    Ok(found)
}

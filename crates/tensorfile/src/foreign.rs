//! What a file is that is not what its name says, told from its first bytes: people pass what a
//! browser, a version control system or another library left under the right name.

use anyhow::{Context, Result, bail};
use std::{fs, path::Path};

/// Offset, the bytes there, and what a file with them is; behind `: ` what to do for its tensors.
const KNOWN: &[(usize, &[u8], &str)] = &[
    (0, b"version https://git-lfs", "a git-lfs pointer, not the file: fetch it by `git lfs pull`"),
    (0, b"\x1f\x8b", "compressed by gzip: unpack it first"),
    (0, b"BZh", "compressed by bzip2: unpack it first"),
    (0, b"\xfd7zXZ", "compressed by xz: unpack it first"),
    (0, b"\x28\xb5\x2f\xfd", "compressed by zstd: unpack it first"),
    (0, b"7z\xbc\xaf", "a 7z archive: unpack it first"),
    (0, b"Rar!", "a rar archive: unpack it first"),
    (257, b"ustar", "a tar archive: unpack it first"),
    (0, b"\x89HDF", "an HDF5 file, as Keras writes it: export ONNX instead"),
    (0, b"\x93NUMPY", "a NumPy array: save a PyTorch `state_dict` or safetensors instead"),
    (0, b"GGUF", "a GGUF file: save safetensors instead"),
    (4, b"TFL3", "a TensorFlow Lite model: export ONNX instead"),
    (0, b"\x89PNG", "a PNG picture"),
    (0, b"\xff\xd8\xff", "a JPEG picture"),
    (0, b"%PDF", "a PDF document"),
    (0, b"PAR1", "a Parquet table"),
];

/// What browsers and servers leave.
const PAGE: &str = "a web page, not the file: the address was that of a page, or asked for a login";

/// The text in `path`. Errors: it cannot be read, is none, or is of another kind.
pub fn read_text(path: &Path) -> Result<String> {
    let name = path.display();
    let bytes = fs::read(path).with_context(|| format!("cannot read `{name}`"))?;
    if let Some(what) = no_text(&bytes) {
        bail!("`{name}` is {what}");
    }
    String::from_utf8(bytes).ok().with_context(|| format!("`{name}` is not UTF-8 text"))
}

/// What a file of these bytes is, where that is known and it is neither a table nor other text that a
/// person writes.
pub fn no_text(bytes: &[u8]) -> Option<&'static str> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = bytes.trim_ascii_start();
    let (first, rest) = text.split_first()?;
    let next = rest.trim_ascii_start().first();
    let start = text[..text.len().min(16)].to_ascii_lowercase();
    let pages: [&[u8]; 4] = [b"<!doctype", b"<html", b"<?xml", b"<head"];
    match (first, next) {
        _ if pages.iter().any(|page| start.starts_with(page)) => Some(PAGE),
        (b'{', Some(b'"' | b'}')) | (b'[', Some(b'{')) => Some("JSON text"),
        _ if bytes.starts_with(b"PK\x03\x04") => {
            Some("a zip archive, such as a workbook (.xlsx) or NumPy's .npz")
        }
        // What to do for tensors is not what to do for text.
        _ => known(bytes).map(|what| match what.split_once(": save ") {
            Some((what, _)) => what,
            None => what,
        }),
    }
}

fn known(bytes: &[u8]) -> Option<&'static str> {
    let starts =
        |at: usize, magic: &[u8]| bytes.get(at..).is_some_and(|rest| rest.starts_with(magic));
    KNOWN.iter().find(|(at, magic, _)| starts(*at, magic)).map(|(_, _, what)| *what)
}

/// What a file of these bytes is, where that is known and it is no tensor file.
pub fn what(bytes: &[u8]) -> Option<&'static str> {
    let text = bytes.trim_ascii_start();
    match (bytes, known(bytes)) {
        ([], _) => Some("an empty file"),
        (_, Some(what)) => Some(what),
        _ if is_safetensors(bytes) => None,
        _ if is_onnx(bytes) => Some("an ONNX model, which is a network and no file of tensors"),
        _ if text.starts_with(b"<") => Some(PAGE),
        _ if text.starts_with(b"{") => Some("JSON text, which holds no tensors"),
        _ if bytes.len() > 7 && is_text(bytes) => Some("text, which holds no tensors"),
        _ => None,
    }
}

/// Whether the first bytes are UTF-8 without control characters.
fn is_text(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(512)];
    let text = match std::str::from_utf8(start) {
        Ok(text) => text,
        // The last character may have been cut.
        Err(e) if e.error_len().is_none() => {
            std::str::from_utf8(&start[..e.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    text.chars().all(|c| !c.is_control() || c.is_ascii_whitespace())
}

/// Whether a file that starts with `head` (8 bytes are enough) is an ONNX model: the version of the
/// format comes first, then another field of a model.
pub fn is_onnx(head: &[u8]) -> bool {
    // producer, its version, domain, model version, doc, graph, operator sets, metadata
    let next = [0x12, 0x1a, 0x22, 0x28, 0x32, 0x3a, 0x42, 0x72];
    matches!(head, [8, 1..=127, key, ..] if next.contains(key)) && !is_safetensors(head)
}

/// Whether a header of safetensors follows eight bytes that announce its length.
fn is_safetensors(bytes: &[u8]) -> bool {
    bytes.get(8) == Some(&b'{') && bytes[4..8] == [0; 4]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_in_any_script_is_called_text() {
        let long = "ε".repeat(400) + "x"; // 512 bytes end within no character of it
        for text in ["# map of β = 20\n", &long, &format!("a{long}")] {
            assert_eq!(what(text.as_bytes()), Some("text, which holds no tensors"), "{text}");
        }
        assert_eq!(what(b"\x10\x00\x00\x00\x00\x00\x00\x00{\"a\":{}}"), None);
    }

    #[test]
    fn what_is_no_text_of_a_person_is_named() {
        for (bytes, what) in [
            (&b"\n<!DOCTYPE html>"[..], "a web page"),
            (b"\xef\xbb\xbf<HTML>", "a web page"),
            (b"version https://git-lfs.github.com/spec/v1\noid", "a git-lfs pointer"),
            (b"{ \"a\": 1 }", "JSON text"),
            (b"[\n {\"a\": 1}]", "JSON text"),
            (b"PK\x03\x04..", "a zip archive"),
            (b"\x93NUMPY\x01", "a NumPy array"),
            (b"PAR1", "a Parquet table"),
        ] {
            let said = no_text(bytes).unwrap_or_default();
            assert!(said.starts_with(what) && !said.contains("state_dict"), "{what}: {said}");
        }
        for text in ["", "a,b\n1,2", "[data]\n", "[[table]]\n", "{1 3, 4 x}", "<1,>2,y\n"] {
            assert_eq!(no_text(text.as_bytes()), None, "{text}");
        }
    }
}

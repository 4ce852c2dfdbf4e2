//! The bytes of a file as text: UTF-8, UTF-16 where it says so, else Latin-1.

use anyhow::{Result, bail, ensure};
use tensorfile::foreign;

/// The text, with one sign for the end of a line, and a note where it is in neither UTF. Errors: it is
/// no text, or that of a web page or another format.
pub(super) fn decoded(bytes: &[u8]) -> Result<(String, Vec<String>)> {
    if let Some(what) = foreign::no_text(bytes) {
        bail!("it is {what}");
    }
    let mut notes = vec![];
    let text = match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes)?,
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes)?,
        _ => match std::str::from_utf8(bytes) {
            Ok(text) => text.trim_start_matches('\u{feff}').to_owned(),
            Err(error) => {
                let line = 1 + bytes[..error.valid_up_to()].iter().filter(|b| **b == b'\n').count();
                notes.push(format!("it is not UTF-8 text (line {line}): it is read as Latin-1"));
                bytes.iter().map(|&byte| char::from(byte)).collect()
            }
        },
    };
    ensure!(!text.contains('\0'), "it is not text: it has bytes of value 0");
    Ok((text.replace("\r\n", "\n").replace('\r', "\n"), notes))
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Result<String> {
    let units: Vec<u16> = bytes.chunks(2).map(|b| unit([b[0], *b.get(1).unwrap_or(&0)])).collect();
    let text = String::from_utf16(&units);
    text.map_err(|_| anyhow::anyhow!("it starts like UTF-16 text and is none"))
}

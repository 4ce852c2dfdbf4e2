//! TensorBoard event files with scalars: TFRecord frames around a four-field protobuf message.

use crate::EpochLine;
use anyhow::Result;
use std::path::Path;

/// Writes all of `lines` as one event file; wall time counts from the start of the run.
pub fn write(path: &Path, lines: &[EpochLine]) -> Result<()> {
    tensorfile::atomic::write(path, |file| {
        let mut clock = 0.;
        // field 3: file_version
        file.write_all(&frame(&event(clock, 0, &bytes_field(3, b"brain.Event:2"))))?;
        for line in lines {
            clock += line.seconds;
            for (tag, value) in line.scalars() {
                let value = [bytes_field(1, tag.as_bytes()), float_field(2, value as f32)].concat();
                let summary = bytes_field(5, &bytes_field(1, &value));
                file.write_all(&frame(&event(clock, u64::from(line.epoch), &summary)))?;
            }
        }
        Ok(())
    })
}

/// Event { 1: wall_time double, 2: step int64, then one of the rest }.
fn event(wall_time: f64, step: u64, rest: &[u8]) -> Vec<u8> {
    let mut out = vec![1 << 3 | 1];
    out.extend(wall_time.to_le_bytes());
    out.push(2 << 3);
    varint(step, &mut out);
    out.extend(rest);
    out
}

fn bytes_field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    varint(bytes.len() as u64, &mut out);
    out.extend(bytes);
    out
}

fn float_field(number: u8, value: f32) -> Vec<u8> {
    [&[number << 3 | 5][..], &value.to_le_bytes()].concat()
}

fn varint(mut n: u64, out: &mut Vec<u8>) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Length, its checksum, the record, its checksum.
fn frame(record: &[u8]) -> Vec<u8> {
    let length = (record.len() as u64).to_le_bytes();
    [&length[..], &masked_crc(&length), record, &masked_crc(record)].concat()
}

fn masked_crc(bytes: &[u8]) -> [u8; 4] {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

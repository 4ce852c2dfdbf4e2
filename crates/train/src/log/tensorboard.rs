//! TensorBoard event files with scalars and settings: TFRecord frames around small protobuf messages.

use crate::EpochLine;
use anyhow::Result;
use std::path::Path;
use toml::Value;

/// The tag under which TensorBoard's table of hyperparameters looks for a run's.
const SETTINGS: &str = "_hparams_/session_start_info";

/// The tag of the loss on the way through an epoch, whose step is one of the run; all others count epochs.
pub const LOSS: &str = "loss/steps";

/// Writes `settings`, by their names, and all of `lines` as one event file. Wall time is when it was; of lines
/// that do not say it, since the start of the run.
pub fn write(path: &Path, settings: &[(String, Value)], lines: &[EpochLine]) -> Result<()> {
    tensorfile::atomic::write(path, |file| {
        let begun = lines.first().map_or(0., |line| (line.ended - line.seconds).max(0.));
        // field 3: file_version
        file.write_all(&frame(&event(begun, 0, &bytes_field(3, b"brain.Event:2"))))?;
        file.write_all(&frame(&event(begun, 0, &summary(&hyperparameters(settings, begun)))))?;
        let mut clock = 0.;
        for line in lines {
            clock = if line.ended > 0. { line.ended } else { clock + line.seconds };
            for reading in &line.steps {
                let at = clock - line.seconds + reading.seconds;
                let value = summary(&scalar(LOSS, reading.loss));
                file.write_all(&frame(&event(at, reading.step, &value)))?;
            }
            for (tag, value) in line.scalars() {
                let value = summary(&scalar(&tag, value));
                file.write_all(&frame(&event(clock, u64::from(line.epoch), &value)))?;
            }
        }
        Ok(())
    })
}

/// Event's field 5, Summary { 1: value }.
fn summary(value: &[u8]) -> Vec<u8> {
    bytes_field(5, &bytes_field(1, value))
}

/// Value { 1: tag, 2: simple_value }.
fn scalar(tag: &str, value: f64) -> Vec<u8> {
    [bytes_field(1, tag.as_bytes()), float_field(2, value as f32)].concat()
}

/// Value { 1: tag, 9: SummaryMetadata { 1: PluginData { 1: plugin_name, 2: content } } }, where the content is
/// HParamsPluginData { 3: SessionStartInfo { 1: settings, 5: start_time_secs } }.
fn hyperparameters(settings: &[(String, Value)], begun: f64) -> Vec<u8> {
    let entry = |(key, value): &(String, Value)| {
        let entry = [bytes_field(1, key.as_bytes()), bytes_field(2, &setting(value))].concat();
        bytes_field(1, &entry)
    };
    let mut session: Vec<u8> = settings.iter().flat_map(entry).collect();
    session.extend(double_field(5, begun));
    let content = bytes_field(3, &session);
    let plugin = [bytes_field(1, b"hparams"), bytes_field(2, &content)].concat();
    [bytes_field(1, SETTINGS.as_bytes()), bytes_field(9, &bytes_field(1, &plugin))].concat()
}

/// google.protobuf.Value { 2: number_value, 3: string_value, 4: bool_value }: one of them.
fn setting(value: &Value) -> Vec<u8> {
    match value {
        Value::Integer(n) => double_field(2, *n as f64),
        Value::Float(n) => double_field(2, *n),
        Value::Boolean(yes) => vec![4 << 3, u8::from(*yes)],
        Value::String(text) => bytes_field(3, text.as_bytes()),
        other => bytes_field(3, other.to_string().as_bytes()),
    }
}

/// Event { 1: wall_time double, 2: step int64, then one of the rest }.
fn event(wall_time: f64, step: u64, rest: &[u8]) -> Vec<u8> {
    let mut out = double_field(1, wall_time);
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

fn double_field(number: u8, value: f64) -> Vec<u8> {
    [&[number << 3 | 1][..], &value.to_le_bytes()].concat()
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

//! One HTTP download into a file that a later attempt, or a later run, goes on with.

use anyhow::{Context, Result, anyhow};
use std::{
    fs::OpenOptions,
    io::{Read, Write},
    path::Path,
    time::Duration,
};
use ureq::{Agent, Body, http::Response};

/// A server that says nothing for this long is given up.
const SILENCE: Duration = Duration::from_secs(30);
/// Attempts that bring nothing before giving up; one that brings something starts the count anew.
const ATTEMPTS: usize = 3;

/// Downloads `url` into `part`, going on after the bytes that are there already. Reports bytes on
/// disk and, where known, in all.
pub(super) fn download(url: &str, part: &Path, report: &dyn Fn(u64, Option<u64>)) -> Result<()> {
    let agent = Agent::config_builder()
        .timeout_connect(Some(SILENCE))
        .timeout_recv_response(Some(SILENCE))
        .timeout_per_read(Some(SILENCE))
        .http_status_as_error(false)
        .accept_encoding("identity") // the checksum is that of the file as it is
        .build()
        .new_agent();
    let mut fruitless = 0;
    loop {
        let before = length(part);
        match attempt(&agent, url, part, before, report) {
            Ok(()) => return Ok(()),
            Err(Failure::Final(error)) => return Err(error),
            Err(Failure::Passing(error)) => {
                fruitless = if length(part) > before { 0 } else { fruitless + 1 };
                if fruitless == ATTEMPTS {
                    return Err(error);
                }
            }
        }
    }
}

/// Why an attempt failed.
enum Failure {
    /// The network's fault: another attempt may get further.
    Passing(anyhow::Error),
    /// Another attempt would fail the same way.
    Final(anyhow::Error),
}

fn length(path: &Path) -> u64 {
    path.metadata().map_or(0, |metadata| metadata.len())
}

fn attempt(
    agent: &Agent,
    url: &str,
    part: &Path,
    have: u64,
    report: &dyn Fn(u64, Option<u64>),
) -> Result<(), Failure> {
    let mut request = agent.get(url);
    if have > 0 {
        request = request.header("Range", format!("bytes={have}-"));
    }
    let answer = request.call().map_err(|error| Failure::Passing(error.into()))?;
    let status = answer.status().as_u16();
    let have = match status {
        200 => 0, // the whole file, whatever was asked for
        206 => have,
        // What is there is as long as the file or longer: the checksum will tell.
        416 if have > 0 => return Ok(()),
        500..=599 => return Err(Failure::Passing(anyhow!("the server says {status}"))),
        _ => return Err(Failure::Final(anyhow!("the server says {status}"))),
    };
    save(answer, part, have, report)
}

/// Writes the body of `answer` into `part` from byte `have` on.
fn save(
    answer: Response<Body>,
    part: &Path,
    have: u64,
    report: &dyn Fn(u64, Option<u64>),
) -> Result<(), Failure> {
    let told = || format!("cannot write `{}`", part.display());
    let mut options = OpenOptions::new();
    let options = options.create(true).write(true).append(have > 0).truncate(have == 0);
    let mut file = options.open(part).with_context(told).map_err(Failure::Final)?;
    let total = answer.body().content_length().map(|rest| have + rest);
    let mut body = answer.into_body().into_reader();
    let (mut done, mut buffer) = (have, vec![0; 1 << 16]);
    report(done, total);
    loop {
        let count = body.read(&mut buffer).map_err(|error| Failure::Passing(error.into()))?;
        if count == 0 {
            break;
        }
        file.write_all(&buffer[..count]).with_context(told).map_err(Failure::Final)?;
        done += count as u64;
        report(done, total);
    }
    match total {
        Some(total) if done < total => {
            Err(Failure::Passing(anyhow!("the connection ended at {done} of {total} bytes")))
        }
        _ => file.sync_all().with_context(told).map_err(Failure::Final),
    }
}

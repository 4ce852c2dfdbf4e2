//! Downloads from a small file server that each test starts on the loopback.

use data::{
    Split,
    fetch::{Progress, Remote, Source, fetch},
    load,
};
use md5::{Digest, Md5};
use std::{
    cell::RefCell,
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    sync::{Arc, Mutex},
    thread,
};
use tempfile::tempdir;

/// Requests seen, as (path, first byte asked for).
type Seen = Arc<Mutex<Vec<(String, usize)>>>;

/// Serves `body` under every path, answering at most 20 requests; with `breaks` the first answer
/// stops half way. Returns the address and what was asked for.
fn serve(body: Vec<u8>, breaks: bool) -> (String, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/files/", listener.local_addr().unwrap());
    let seen = Seen::default();
    let log = seen.clone();
    thread::spawn(move || {
        for (i, stream) in listener.incoming().take(20).enumerate() {
            _ = answer(stream.unwrap(), &body, breaks && i == 0, &log);
        }
    });
    (url, seen)
}

fn answer(mut stream: TcpStream, body: &[u8], half: bool, seen: &Seen) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().unwrap()?;
    let mut from = 0;
    for line in lines {
        let line = line?.to_lowercase();
        if let Some(range) = line.strip_prefix("range: bytes=") {
            from = range.trim_end_matches('-').parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    seen.lock().unwrap().push((request.split(' ').nth(1).unwrap().to_owned(), from));
    let rest = body.get(from..).unwrap_or_default();
    let status = match from {
        0 => "200 OK",
        _ if rest.is_empty() => "416 Range Not Satisfiable",
        _ => "206 Partial Content",
    };
    let length = rest.len();
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")?;
    stream.write_all(if half { &rest[..length / 2] } else { rest })
}

fn md5(bytes: &[u8]) -> String {
    Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A CIFAR-10 archive with two records a batch, like the official one otherwise.
fn archive() -> Vec<u8> {
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(
        vec![],
        flate2::Compression::none(), // so that half of it is a good part of it
    ));
    for name in (1..=5).map(|i| format!("data_batch_{i}")).chain(["test_batch".into()]) {
        let mut header = tar::Header::new_gnu();
        header.set_size(2 * 3073);
        header.set_mode(0o644);
        let place = format!("cifar-10-batches-bin/{name}.bin");
        tar.append_data(&mut header, place, [1u8; 2 * 3073].as_slice()).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

/// Fetches `served` as the set `cifar10` of the checksum `sum` into `dir`; returns the message
/// of an error, or what was reported last.
fn get(dir: &Path, url: &str, sum: &str) -> Result<(u64, Option<u64>), String> {
    let files = [Remote { name: "small.tar.gz", md5: sum }];
    let unpacked = Some("cifar-10-batches-bin");
    let source = Source { name: "cifar10", url, files: &files, unpacked };
    let last = RefCell::new((0, None));
    let note = |p: Progress| {
        assert_eq!(p.file, "small.tar.gz");
        assert!(p.done <= p.total.unwrap());
        *last.borrow_mut() = (p.done, p.total);
    };
    let place = source.fetch(dir, &note).map_err(|error| format!("{error:#}"))?;
    let set = load(&place.display().to_string(), &Split::Train.into());
    assert_eq!(set.unwrap().len(), 10);
    let left: Vec<_> = dir.read_dir().unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["cifar-10-batches-bin"], "nothing else is left behind");
    Ok(last.into_inner())
}

#[test]
fn a_download_is_checked_unpacked_and_not_repeated() {
    let (dir, body) = (tempdir().unwrap(), archive());
    let (sum, length) = (md5(&body), body.len() as u64);
    let (url, seen) = serve(body, false);
    assert_eq!(get(dir.path(), &url, &sum).unwrap(), (length, Some(length)));
    assert_eq!(*seen.lock().unwrap(), [("/files/small.tar.gz".to_owned(), 0)]);
    assert_eq!(get(dir.path(), &url, &sum).unwrap(), (0, None), "it is there already");
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[test]
fn a_part_is_gone_on_with() {
    let (dir, body) = (tempdir().unwrap(), archive());
    fs::write(dir.path().join("small.tar.gz.part"), &body[..1000]).unwrap();
    let (sum, length) = (md5(&body), body.len() as u64);
    let (url, seen) = serve(body, false);
    assert_eq!(get(dir.path(), &url, &sum).unwrap(), (length, Some(length)));
    assert_eq!(seen.lock().unwrap()[0].1, 1000);
}

#[test]
fn a_broken_connection_is_gone_on_with_at_once() {
    let (dir, body) = (tempdir().unwrap(), archive());
    let (sum, half) = (md5(&body), body.len() / 2);
    let (url, seen) = serve(body, true);
    get(dir.path(), &url, &sum).unwrap();
    let asked: Vec<usize> = seen.lock().unwrap().iter().map(|(_, from)| *from).collect();
    assert_eq!(asked, [0, half]);
}

#[test]
fn a_whole_part_only_needs_its_checksum() {
    let (dir, body) = (tempdir().unwrap(), archive());
    fs::write(dir.path().join("small.tar.gz.part"), &body).unwrap();
    let sum = md5(&body);
    get(dir.path(), &serve(body, false).0, &sum).unwrap();
}

#[test]
fn a_wrong_checksum_removes_the_file() {
    let dir = tempdir().unwrap();
    let (url, _) = serve(b"something else".to_vec(), false);
    let right = "c32a1d4ab5d03f1284b67883e8d87530";
    let message = fetch("cifar10", dir.path(), Some(&url), &|_| {}).unwrap_err().to_string();
    assert!(message.contains(right) && message.contains(&md5(b"something else")), "{message}");
    assert!(message.contains("cifar-10-binary.tar.gz"), "{message}");
    assert_eq!(dir.path().read_dir().unwrap().count(), 0);
}

#[test]
fn without_a_server_it_says_what_to_put_where() {
    let dir = tempdir().unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{closed}"); // the listener is gone again
    let message = format!("{:#}", fetch("mnist", dir.path(), Some(&url), &|_| {}).unwrap_err());
    let by_hand = dir.path().join("train-images-idx3-ubyte.gz");
    for part in [&format!("`{url}/train-images-idx3-ubyte.gz`"), "by hand", "efused"] {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
    assert!(message.contains(&format!("put it at `{}`", by_hand.display())), "{message}");
}

#[test]
fn a_file_put_there_by_hand_is_taken() {
    let (dir, body) = (tempdir().unwrap(), archive());
    fs::write(dir.path().join("small.tar.gz"), &body).unwrap();
    assert_eq!(get(dir.path(), "http://127.0.0.1:1/", &md5(&body)).unwrap(), (0, None));
}

#[test]
fn refusals_and_unknown_names_are_told() {
    let (dir, body) = (tempdir().unwrap(), archive());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        while !lines.next().unwrap().unwrap().is_empty() {}
        write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    assert!(get(dir.path(), &url, &md5(&body)).unwrap_err().contains("the server says 404"));
    let message = fetch("imagenet", dir.path(), None, &|_| {}).unwrap_err().to_string();
    assert_eq!(message, "cannot fetch `imagenet`; known: cifar10, mnist");
}

//! What a file is that holds no tensors, told from its first bytes: people pass what a browser, a
//! version control system or another library left under the right name.

/// Offset, the bytes there, and what a file with them is.
const KNOWN: &[(usize, &[u8], &str)] = &[
    (0, b"version https://git-lfs", "a git-lfs pointer, not the file: fetch it by `git lfs pull`"),
    (0, b"\x1f\x8b", "compressed by gzip: unpack it first"),
    (0, b"BZh", "compressed by bzip2: unpack it first"),
    (0, b"\xfd7zXZ", "compressed by xz: unpack it first"),
    (0, b"\x28\xb5\x2f\xfd", "compressed by zstd: unpack it first"),
    (0, b"7z\xbc\xaf", "a 7z archive: unpack it first"),
    (0, b"Rar!", "a rar archive: unpack it first"),
    (257, b"ustar", "a tar archive: unpack it first"),
    (0, b"\x89HDF", "an HDF5 file, as Keras writes it: save a PyTorch `state_dict` instead"),
    (0, b"\x93NUMPY", "a NumPy array: save a PyTorch `state_dict` or safetensors instead"),
    (0, b"GGUF", "a GGUF file: save safetensors instead"),
    (4, b"TFL3", "a TensorFlow Lite model: save a PyTorch `state_dict` instead"),
    (0, b"\x89PNG", "a PNG picture"),
    (0, b"\xff\xd8\xff", "a JPEG picture"),
    (0, b"%PDF", "a PDF document"),
];

/// What a file of these bytes is, where that is known and it is no tensor file.
pub fn what(bytes: &[u8]) -> Option<&'static str> {
    let text = bytes.trim_ascii_start();
    let is_text =
        |part: &[u8]| part.iter().all(|b| b.is_ascii_graphic() || b.is_ascii_whitespace());
    let known = KNOWN
        .iter()
        .find(|(at, magic, _)| bytes.get(*at..).is_some_and(|rest| rest.starts_with(magic)));
    match (bytes, known) {
        ([], _) => Some("an empty file"),
        (_, Some((_, _, what))) => Some(what),
        _ if is_safetensors(bytes) => None,
        ([8, 1..=20, 0x12 | 0x1a | 0x22 | 0x3a | 0x42, ..], _) => {
            Some("an ONNX model: save a PyTorch `state_dict` instead")
        }
        _ if text.starts_with(b"<") => {
            Some("a web page, not the file: the address was that of a page, or asked for a login")
        }
        _ if text.starts_with(b"{") => Some("JSON text, which holds no tensors"),
        _ if bytes.len() > 7 && is_text(&bytes[..bytes.len().min(512)]) => {
            Some("text, which holds no tensors")
        }
        _ => None,
    }
}

/// Whether a header of safetensors follows eight bytes that announce its length.
fn is_safetensors(bytes: &[u8]) -> bool {
    bytes.get(8) == Some(&b'{') && bytes[4..8] == [0; 4]
}

//! Counted nouns, as headers, notes and messages of every crate write them.

use std::fmt::Display;

/// `1 image`, `3 images`, `2 classes`.
pub fn count(n: impl Display, noun: &str) -> String {
    let n = n.to_string();
    let (stem, ending) = match noun {
        _ if n == "1" => (noun, ""),
        _ if noun.ends_with("ix") => (&noun[..noun.len() - 2], "ices"),
        _ if noun.ends_with('s') || noun.ends_with("tch") => (noun, "es"),
        _ => (noun, "s"),
    };
    format!("{n} {stem}{ending}")
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn one_is_not_many() {
        let said = [
            count(1, "image"),
            count(0, "image"),
            count(21, "row"),
            count(2u64, "class"),
            count(1i64, "class"),
            count(3, "batch"),
            count(2, "epoch"),
            count(2, "matrix"),
        ];
        let right = [
            "1 image",
            "0 images",
            "21 rows",
            "2 classes",
            "1 class",
            "3 batches",
            "2 epochs",
            "2 matrices",
        ];
        assert_eq!(said, right);
    }
}

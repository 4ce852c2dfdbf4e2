//! What a cell of a table is: nothing, a number, or a word.

/// Whether a cell holds nothing, in any of the ways programs write it. An infinite number is no
/// value either.
pub(super) fn is_missing(cell: &str) -> bool {
    let cell = cell.to_lowercase();
    let words = [
        "", "?", ".", "-", "--", "na", "n/a", "#n/a", "<na>", "n.a.", "nan", "-nan", "null",
        "(null)", "none", "nil", "nat", "missing",
    ];
    words.contains(&cell.as_str()) || is_infinite(&cell)
}

/// Whether a cell of words holds nothing: `none` and `-` may be words there.
pub(super) fn is_blank(cell: &str) -> bool {
    matches!(cell, "" | "?" | "NA" | "N/A" | "<NA>" | "NaN" | "nan" | "null")
}

/// Whether a cell is an infinite number, or one too large for 64 bits.
pub(super) fn is_infinite(cell: &str) -> bool {
    cell.parse().is_ok_and(f64::is_infinite)
}

/// A finite number.
pub(super) fn number(cell: &str) -> Option<f64> {
    cell.parse().ok().filter(|value: &f64| value.is_finite())
}

/// Whether a cell is a number to people: with a unit, signs between thousands, a date.
pub(super) fn looks_like_a_number(cell: &str) -> bool {
    let bare = cell.trim_start_matches(['+', '-', '−', '<', '>', '~', '$', '€', '£']);
    let signs = |c: char| " .,:/'%-+eE$€£".contains(c);
    number(cell).is_some()
        || bare.starts_with(|c: char| c.is_ascii_digit() || c == '.')
            && bare.chars().all(|c| c.is_ascii_digit() || signs(c))
            && bare.contains(|c: char| c.is_ascii_digit())
}

/// `1,5` as `1.5`, where that is a number.
pub(super) fn with_point(cell: &str) -> Option<String> {
    let point = cell.replacen(',', ".", 1);
    let one = cell.matches(',').count() == 1 && !cell.contains('.');
    (one && number(&point).is_some()).then_some(point)
}

/// Whether the comma of such a number may stand between thousands.
pub(super) fn may_be_thousands(cell: &str) -> bool {
    let Some((left, right)) = cell.trim_start_matches(['+', '-']).split_once(',') else {
        return false;
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    digits(left) && digits(right) && right.len() == 3 && left.len() <= 3 && !left.starts_with('0')
}

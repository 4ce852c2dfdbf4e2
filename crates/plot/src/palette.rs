//! The colours of charts. Lines also differ by marker, so no colour has to be told from another.

/// A line's colour on white paper and on the page's dark background, as 0xRRGGBB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hue {
    pub(crate) light: u32,
    dark: u32,
}

const fn hue(light: u32, dark: u32) -> Hue {
    Hue { light, dark }
}

/// Text.
pub(crate) const INK: Hue = hue(0x1F2328, 0xE6EAEE);
/// Ticks and the second rank of text.
pub(crate) const MUTED: Hue = hue(0x59636E, 0xA3ADB8);
/// Grid lines.
pub(crate) const GRID: Hue = hue(0xDDE2E7, 0x343B44);
/// The axes themselves.
pub(crate) const AXIS: Hue = hue(0x8A939C, 0x77818C);

/// One hue a line, in order; more lines than hues begin again with another marker.
pub(crate) const SERIES: [Hue; 8] = [
    hue(0xC2410C, 0xFB923C),
    hue(0x0B6BB8, 0x60B0F4),
    hue(0x0F7B5F, 0x3DD6A8),
    hue(0x9333A8, 0xD08BEA),
    hue(0x8F5B04, 0xEAB308),
    hue(0x0E7490, 0x4FC9E0),
    hue(0xBE185D, 0xF58AB7),
    hue(0x57534E, 0xBDB7B2),
];

/// The element class under which [`dark_rules`] apply.
pub(crate) const RULES_DARK: &str = "chart";

/// CSS rules that give an SVG chart its colours on a dark background.
pub fn dark_rules() -> String {
    let mut rules = String::new();
    for Hue { light, dark } in [INK, MUTED, GRID, AXIS].into_iter().chain(SERIES) {
        for property in ["fill", "stroke"] {
            rules.push_str(&format!(
                ".{RULES_DARK} [{property}=\"#{light:06X}\"]{{{property}:#{dark:06X}}}\n"
            ));
        }
    }
    rules
}

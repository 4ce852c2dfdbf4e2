//! One value of a chart.

/// One measured value.
#[derive(Clone, Debug)]
pub struct Point {
    /// ε or epoch.
    pub x: f64,
    /// Below the axis; empty for epochs, whose labels are chosen.
    pub label: String,
    /// Mean.
    pub y: f64,
    /// Standard error of the mean; 0 draws none.
    pub stderr: f64,
    /// Least, quartiles, largest: a box rather than a marker.
    pub spread: Option<[f64; 5]>,
}

impl Point {
    /// A mean and its standard error.
    pub fn new(x: f64, label: String, y: f64, stderr: f64) -> Self {
        Point { x, label, y, stderr, spread: None }
    }

    /// A distribution; `y` is its middle.
    pub fn boxed(x: f64, label: String, five: [f64; 5]) -> Self {
        Point { spread: Some(five), ..Point::new(x, label, five[2], 0.0) }
    }

    /// What is told of it under the mouse.
    pub(super) fn told(&self, x: f64) -> String {
        let place = if self.label.is_empty() { number(x) } else { self.label.clone() };
        match (self.spread, self.stderr) {
            (Some([least, q1, middle, q3, most]), _) => {
                let [least, q1, middle, q3, most] = [least, q1, middle, q3, most].map(number);
                format!("{place}: {middle}, quartiles {q1} and {q3}, {least} to {most}")
            }
            (None, error) if error > 0. => {
                format!("{place}: {} ± {}", number(self.y), number(error))
            }
            _ => format!("{place}: {}", number(self.y)),
        }
    }

    /// The lowest thing that is drawn.
    pub fn lowest(&self) -> f64 {
        self.ends().0
    }

    /// The lowest and the highest.
    pub(super) fn ends(&self) -> (f64, f64) {
        let stderr = if self.stderr.is_finite() { self.stderr.max(0.0) } else { 0.0 };
        self.spread.map_or((self.y - stderr, self.y + stderr), |five| (five[0], five[4]))
    }
}

/// Four digits.
fn number(value: f64) -> String {
    let digits =
        if value == 0. { 0 } else { 3 - (value.abs().log10().floor() as i32).clamp(-6, 3) };
    format!("{value:.*}", digits as usize)
}

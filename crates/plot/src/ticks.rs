//! Where an axis has numbers.

/// Round values from at most `low` to at least `high`, about `count` of them.
pub(crate) fn ticks(low: f64, high: f64, count: usize) -> Vec<(f64, String)> {
    let high = if high > low { high } else { low + 1.0 };
    let rough = (high - low) / count as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * power);
    let step = step.into_iter().find(|s| *s >= rough * 0.999).unwrap_or(10.0 * power);
    let decimals = (-step.log10().floor()).clamp(0.0, 9.0) as usize;
    let (first, last) = ((low / step + 1e-9).floor() as i64, (high / step - 1e-9).ceil() as i64);
    (first..=last)
        .map(|i| (i as f64 * step, format!("{:.decimals$}", i as f64 * step).replace('-', "−")))
        .collect()
}

/// Numbers between 10^`low` and 10^`high`, at their logarithms: powers of ten; where there are fewer
/// than three, twice and five times them too; where those are fewer than two, round numbers.
pub(crate) fn log_ticks(low: f64, high: f64) -> Vec<(f64, String)> {
    let multiples = |factors: &[u8]| {
        let mut all = vec![];
        for power in low.floor() as i32..=high.floor() as i32 {
            for &factor in factors {
                let value = f64::from(factor) * 10f64.powi(power);
                all.push((value.log10(), spelled(factor, power)));
            }
        }
        all.retain(|(tick, _)| (low..=high).contains(tick));
        all
    };
    let (powers, more) = (multiples(&[1]), multiples(&[1, 2, 5]));
    match (powers.len(), more.len()) {
        (3.., _) => powers,
        (_, 2..) => more,
        _ => {
            let all = ticks(10f64.powf(low), 10f64.powf(high), 4).into_iter();
            let all = all.map(|(value, text)| (value.log10(), text));
            all.filter(|(tick, _)| (low..=high).contains(tick)).collect()
        }
    }
}

/// Such as `0.02` of 2 and −2; far from one `2e6`.
fn spelled(factor: u8, power: i32) -> String {
    match power {
        0..=3 => format!("{}", f64::from(factor) * 10f64.powi(power)),
        -3..0 => format!("{:.*}", -power as usize, f64::from(factor) * 10f64.powi(power)),
        _ => format!("{factor}e{power}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(ticks: &[(f64, String)]) -> Vec<&str> {
        ticks.iter().map(|(_, text)| text.as_str()).collect()
    }

    #[test]
    fn ticks_are_round_and_cover_the_range() {
        assert_eq!(texts(&ticks(0.0, 1.0, 5)), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(texts(&ticks(-0.3, 1.0, 5)), ["−0.5", "0.0", "0.5", "1.0"]);
        assert_eq!(texts(&ticks(0.0, 7.3, 5)), ["0", "2", "4", "6", "8"]);
        let flat = ticks(3.0, 3.0, 5);
        assert!(flat[0].0 <= 3.0 && flat.last().unwrap().0 > 3.0);
    }

    #[test]
    fn every_logarithmic_axis_has_numbers() {
        let of = |low: f64, high: f64| log_ticks(low.log10(), high.log10());
        assert_eq!(texts(&of(2e-5, 20.)), ["1e-4", "0.001", "0.01", "0.1", "1", "10"]);
        assert_eq!(texts(&of(90., 2e5)), ["100", "1000", "1e4", "1e5"]);
        assert_eq!(texts(&of(0.15, 0.8)), ["0.2", "0.5"]);
        assert_eq!(texts(&of(0.08, 3.)), ["0.1", "0.2", "0.5", "1", "2"]);
        assert_eq!(texts(&of(3.1, 4.6)), ["3.5", "4.0", "4.5"]);
        let at: Vec<f64> = of(0.08, 3.).iter().map(|(tick, _)| 10f64.powf(*tick)).collect();
        assert!(at.iter().zip([0.1, 0.2, 0.5, 1., 2.]).all(|(a, b)| (a - b).abs() < 1e-12));
    }
}

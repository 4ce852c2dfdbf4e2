//! Several tests at once.

/// How likely it would be that the least of `chances` is so small, or the second, …, if nothing were
/// there (Simes 1986); 1 of none. Valid where tests are independent or go together.
pub fn simes(chances: &[f64]) -> f64 {
    let mut sorted = chances.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len() as f64;
    sorted.iter().enumerate().map(|(i, p)| n * p / (i + 1) as f64).fold(1., f64::min)
}

/// The chances of Holm (1979) for the same claims: where those of at most 0.05 are called something,
/// one of them or more is called so wrongly with a chance of 0.05 at most.
pub fn holm(chances: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..chances.len()).collect();
    order.sort_by(|a, b| chances[*a].total_cmp(&chances[*b]));
    let (mut adjusted, mut least) = (vec![1.; chances.len()], 0f64);
    for (rank, &i) in order.iter().enumerate() {
        least = least.max((chances.len() - rank) as f64 * chances[i]).min(1.);
        adjusted[i] = least;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holm_and_simes_are_as_printed() {
        // R: p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm") is 0.03 0.06 0.06 0.02.
        let found = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (found, wanted) in found.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((found - wanted).abs() < 1e-12, "{found}");
        }
        assert_eq!(holm(&[0.7, 0.9]), [1., 1.]);
        assert!((simes(&[0.01, 0.04, 0.03]) - 0.03).abs() < 1e-12);
        assert!((simes(&[0.02, 0.021, 0.022]) - 0.022).abs() < 1e-12);
        assert_eq!(simes(&[]), 1.);
    }
}

//! A claimed Walsh–Hadamard spectrum against answers of the function: how well it agrees with them.
use crate::double_double::{DoubleDouble, dot_of, exponent_of, scale};

/// Agreement of a spectrum with the answers at some points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Agreement {
    /// The largest difference between an answer and the spectrum's value.
    pub largest_difference: f64,
    /// The largest answer minus the smallest.
    pub spread: f64,
    /// The largest difference as a share of the spread: a large constant does not hide what is missing beside it. Infinite
    /// where the answers are all equal and the spectrum differs from them.
    pub relative_to_spread: f64,
    /// `1 − Σ(x − x̂)² / Σ(x − x̄)²`; none where the answers are all equal, for then there is nothing to explain.
    pub r2: Option<f64>,
    /// The root of the mean of the squared differences.
    pub root_mean_square: f64,
}

/// The spectrum's value at a point: `Σ ± X[k]`, minus where the point and the index share an odd number of bits.
pub fn evaluate(spectrum: &[(u64, f64)], point: u64) -> DoubleDouble {
    spectrum.iter().map(|&(k, v)| if (k & point).count_ones() % 2 == 1 { -v } else { v }).map(DoubleDouble::from).sum()
}

/// Judges `(index, value)` pairs by the answers at points, both as bit masks of the variables.
///
/// # Panics
/// When there are no points, or not one answer for each.
pub fn judge(points: &[u64], answers: &[f64], spectrum: &[(u64, f64)]) -> Agreement {
    assert!(!points.is_empty() && points.len() == answers.len(), "one answer for each of at least one point");
    // All values in units of the largest one, so that nothing overflows or underflows.
    let values = answers.iter().chain(spectrum.iter().map(|c| &c.1));
    let unit = exponent_of(values.fold(0.0_f64, |m, v| m.max(v.abs())));
    let terms: Vec<(u64, f64)> = spectrum.iter().map(|&(k, v)| (k, scale(v, -unit))).collect();
    let x: Vec<DoubleDouble> = answers.iter().map(|&v| scale(v, -unit).into()).collect();
    let count = x.len() as f64;
    let difference: Vec<DoubleDouble> = points.iter().zip(&x).map(|(&m, &x)| x - evaluate(&terms, m)).collect();
    // Seen from the first answer, a constant leaves no rounding at all.
    let from_first: Vec<DoubleDouble> = x.iter().map(|&v| v - x[0]).collect();
    let mean = from_first.iter().copied().sum::<DoubleDouble>() / count;
    let about_mean: Vec<DoubleDouble> = from_first.iter().map(|&v| v - mean).collect();
    let largest = difference.iter().fold(DoubleDouble::ZERO, |m, d| m.max(d.abs()));
    let (low, high) =
        from_first.iter().fold((DoubleDouble::ZERO, DoubleDouble::ZERO), |(l, h), &v| (l.min(v), h.max(v)));
    let spread = high - low;
    // Squares of what is small beside a constant are brought near one before they are taken.
    let squares = |v: &[DoubleDouble]| {
        let unit = exponent_of(v.iter().fold(0.0_f64, |m, v| m.max(v.to_f64().abs())));
        let v: Vec<DoubleDouble> = v.iter().map(|v| v.times_power_of_two(-unit)).collect();
        (dot_of(&v, &v), unit)
    };
    let ((errors, error_unit), (variance, spread_unit)) = (squares(&difference), squares(&about_mean));
    let back = |v: DoubleDouble| v.times_power_of_two(unit).to_f64();
    let relative = match (largest.to_f64() == 0.0, spread.to_f64() == 0.0) {
        (true, _) => 0.0,
        (false, true) => f64::INFINITY,
        (false, false) => (largest / spread).to_f64(),
    };
    let share = || (errors / variance).times_power_of_two(2 * (error_unit - spread_unit));
    Agreement {
        largest_difference: back(largest),
        spread: back(spread),
        relative_to_spread: relative,
        r2: (spread.to_f64() > 0.0).then(|| (DoubleDouble::ONE - share()).to_f64()),
        root_mean_square: back((errors / count).sqrt().times_power_of_two(error_unit)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(spectrum: &[(u64, f64)], points: &[u64]) -> Vec<f64> {
        points.iter().map(|&m| evaluate(spectrum, m).to_f64()).collect()
    }

    #[test]
    fn a_term_missing_beside_a_large_constant_is_seen() {
        let points: Vec<u64> = (0..64).collect();
        let truth = [(0, 1e9), (3, 1.0), (5, 0.25)];
        let x = answers(&truth, &points);
        let right = judge(&points, &x, &truth);
        assert_eq!((right.relative_to_spread, right.r2, right.spread), (0.0, Some(1.0), 2.5));
        let wrong = judge(&points, &x, &truth[..2]);
        assert_eq!((wrong.relative_to_spread, wrong.largest_difference), (0.1, 0.25));
        assert!((wrong.r2.unwrap() - (1.0 - 0.0625 / 1.0625)).abs() < 1e-15);
        assert_eq!(judge(&points, &x, &truth[..1]).r2, Some(0.0));
    }

    #[test]
    fn constants_have_no_r2_and_units_do_not_matter() {
        let points = [0, 1, 2, 3];
        let flat = judge(&points, &[0.1; 4], &[(0, 0.1)]);
        assert_eq!((flat.r2, flat.relative_to_spread), (None, 0.0));
        assert_eq!(judge(&points, &[0.1; 4], &[]).relative_to_spread, f64::INFINITY);
        for unit in [1e-300, 1.0, 1e300] {
            let x = answers(&[(1, unit), (2, 3.0 * unit)], &points);
            let half = judge(&points, &x, &[(2, 3.0 * unit)]);
            assert!((half.r2.unwrap() - 0.9).abs() < 1e-14 && (half.root_mean_square / unit - 1.0).abs() < 1e-14);
        }
    }
}

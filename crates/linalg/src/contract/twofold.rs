//! Sums that do not depend on the order of their terms: held in twice the precision of `f64`, and rounded in the end to a grid
//! that is far coarser than what is lost on the way.
use crate::LinalgError;

/// Many sums side by side, each the unevaluated sum of two numbers.
///
/// What is lost is below `2⁻⁹⁴` of the sum of the magnitudes of the terms, for up to `2⁵⁰` terms. [`Twofold::rounded`] to
/// `2⁻⁴⁶` of a magnitude not below that sum therefore gives the same bits for every order of terms and of merges, but where a sum
/// lies within that loss of the middle between two points of the grid: one case in `2⁴⁷` for a sum with random digits, and none
/// where the terms are whole numbers whose sum is below `2⁵³`.
///
/// Row LA-20 of `paper-refs.md`.
///
/// ```
/// use samplewise_linalg::twofold::Twofold;
/// let terms = [1e16, 1.0, -1e16, 1e-3];
/// let mut forward = Twofold::zeros(1);
/// terms.iter().for_each(|t| forward.add(0, *t));
/// let mut backward = Twofold::zeros(1);
/// terms.iter().rev().for_each(|t| backward.add(0, *t));
/// assert_eq!(forward.value(0), 1.001);
/// assert_eq!(forward.value(0), backward.value(0));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Twofold {
    high: Vec<f64>,
    low: Vec<f64>,
}

/// Bits of a magnitude that are kept by rounding.
pub const KEPT_BITS: i32 = 46;

/// `a + b` and what rounding took from it, exactly.
#[inline(always)]
pub fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let s = a + b;
    let t = s - a;
    (s, (a - (s - t)) + (b - t))
}

/// `a·b` and what rounding took from it, exactly unless it underflows.
#[inline(always)]
pub fn two_product(a: f64, b: f64) -> (f64, f64) {
    let p = a * b;
    (p, a.mul_add(b, -p))
}

#[inline(always)]
fn put(high: &mut f64, low: &mut f64, (a, b): (f64, f64)) {
    let (s, e) = two_sum(*high, a);
    let (t, f) = two_sum(*low, b);
    let (s, e) = two_sum(s, e + t);
    (*high, *low) = two_sum(s, e + f);
}

impl Twofold {
    /// Sums without terms.
    pub fn zeros(len: usize) -> Self {
        Self { high: vec![0.0; len], low: vec![0.0; len] }
    }

    /// From the parts that [`Twofold::parts`] gave.
    ///
    /// # Errors
    /// [`LinalgError::Length`]; [`LinalgError::NotFinite`].
    pub fn from_parts(high: Vec<f64>, low: Vec<f64>) -> Result<Self, LinalgError> {
        if high.len() != low.len() {
            return Err(LinalgError::Length { argument: "low", given: low.len(), expected: high.len() });
        }
        for (argument, part) in [("high", &high), ("low", &low)] {
            if let Some(row) = part.iter().position(|v| !v.is_finite()) {
                return Err(LinalgError::NotFinite { argument, row, column: 0, value: part[row] });
            }
        }
        Ok(Self { high, low })
    }

    /// The sums rounded to `f64`, and what is left of each.
    pub fn parts(&self) -> (&[f64], &[f64]) {
        (&self.high, &self.low)
    }

    /// Number of sums.
    pub fn len(&self) -> usize {
        self.high.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.high.is_empty()
    }

    /// Adds a term to a sum.
    #[inline]
    pub fn add(&mut self, at: usize, term: f64) {
        put(&mut self.high[at], &mut self.low[at], (term, 0.0));
    }

    /// Adds a product to a sum, with all its digits.
    #[inline]
    pub fn add_product(&mut self, at: usize, a: f64, b: f64) {
        put(&mut self.high[at], &mut self.low[at], two_product(a, b));
    }

    /// Adds sums of as many terms to as many sums from `first` on.
    #[inline(always)]
    pub(crate) fn add_pairs(&mut self, first: usize, high: &[f64], low: &[f64]) {
        let own = self.high[first..].iter_mut().zip(&mut self.low[first..]);
        own.zip(high.iter().zip(low)).for_each(|((h, l), (a, b))| put(h, l, (*a, *b)));
    }

    /// Adds the sums of other terms.
    ///
    /// # Panics
    /// With another number of sums.
    pub fn merge(&mut self, other: &Self) {
        assert_eq!(self.len(), other.len(), "as many sums");
        self.add_pairs(0, &other.high, &other.low);
    }

    /// A sum, rounded to `f64`.
    #[inline]
    pub fn value(&self, at: usize) -> f64 {
        self.high[at] + self.low[at]
    }

    /// A sum, rounded to `2⁻⁴⁶` of the next power of two of a magnitude. With the magnitude of its terms, or one that does not
    /// depend on their order and is not below it, the same bits for every order.
    pub fn rounded(&self, at: usize, magnitude: f64) -> f64 {
        if magnitude == 0.0 || !magnitude.is_finite() {
            return 0.0;
        }
        // A number half as large again as 2^52 units of the grid swallows what lies below them.
        let (h, l) = (self.high[at], self.low[at]);
        let grid = 1.5 * power_of_two_above(magnitude) * 2_f64.powi(52 - KEPT_BITS);
        let rough = (h + grid) - grid;
        rough + (((h - rough) + l + grid) - grid)
    }

    /// Whether all sums are finite.
    pub fn is_finite(&self) -> bool {
        self.high.iter().all(|v| v.is_finite())
    }
}

/// The least power of two that is not below a positive number, from its bits: no logarithm of a library decides.
fn power_of_two_above(x: f64) -> f64 {
    let x = x.clamp(f64::MIN_POSITIVE, 2_f64.powi(1_000));
    let bits = x.to_bits();
    let whole = f64::from_bits(bits & (0x7ff << 52));
    if whole == x { whole } else { 2.0 * whole }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Streams, normal, shuffle};

    /// LA-20: sums of terms of very different sizes, in any order and any tree, have the same bits, which are those of exact
    /// sums of whole numbers.
    #[test]
    fn sums_do_not_depend_on_the_order() {
        let mut rng = Streams::new(3).stream(0);
        for scale in [1e-120_f64, 1.0, 1e120] {
            for _ in 0..200 {
                // Multiples of 2^-60 of the scale, so that i128 knows the exact sum.
                let unit = scale.log2().floor().exp2() * 2_f64.powi(-60);
                let whole: Vec<i128> = (0..500)
                    .map(|i| (normal(&mut rng) * 2_f64.powi(52 - (i % 40))) as i128 * (1_i128 << (i % 8)))
                    .collect();
                let exact: i128 = whole.iter().sum();
                let magnitude: f64 = whole.iter().map(|w| w.abs() as f64 * unit).sum();
                let mut terms: Vec<f64> = whole.iter().map(|&w| w as f64 * unit).collect();
                let mut seen = Vec::new();
                for parts in 1..5 {
                    shuffle(&mut rng, &mut terms);
                    let mut sums = vec![Twofold::zeros(1); parts];
                    terms.iter().enumerate().for_each(|(i, t)| sums[i % parts].add(0, *t));
                    let whole = sums.into_iter().reduce(|mut a, b| {
                        a.merge(&b);
                        a
                    });
                    let whole = whole.unwrap();
                    assert!(
                        (whole.value(0) - exact as f64 * unit).abs() <= 2_f64.powi(-52) * (exact as f64 * unit).abs()
                    );
                    seen.push(whole.rounded(0, magnitude).to_bits());
                }
                assert!(seen.windows(2).all(|w| w[0] == w[1]));
                let off = (f64::from_bits(seen[0]) - exact as f64 * unit).abs();
                assert!(off <= 2_f64.powi(-KEPT_BITS) * magnitude * 1.01, "{off} of {magnitude}");
            }
        }
    }

    #[test]
    fn powers_of_two() {
        for (x, above) in [(1.0, 1.0), (1.5, 2.0), (2.0, 2.0), (0.75, 1.0), (5e-324, f64::MIN_POSITIVE)] {
            assert_eq!(power_of_two_above(x), above);
        }
        assert_eq!(Twofold::zeros(2).rounded(1, 0.0), 0.0);
        assert!(
            Twofold::from_parts(vec![1.0], vec![]).is_err() && Twofold::from_parts(vec![f64::NAN], vec![0.0]).is_err()
        );
    }
}

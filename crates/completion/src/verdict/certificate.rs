//! What held-out entries prove (row COM-6).

/// The order statistic of the held-out errors (row COM-6): with probability `1 − δ`, at most a share `ln(1/δ)/v` of all
/// entries like the `v` held out has a larger error than the largest of them. They come from rows and columns with more
/// than `k + 2` entries, and speak of those.
///
/// Bounds on the mean square (Hoeffding, Bernstein) are useless for exact recovery: they give 0.3 where the truth is 1e-7.
/// One use per verification set: whoever looks at it twice doubles `δ`.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Certificate {
    /// Held-out entries `v`.
    pub entries: usize,
    /// The largest error among them.
    pub largest_error: f64,
    /// Root mean square error among them.
    pub rmse: f64,
}

impl Certificate {
    /// The share of entries that may have an error above [`Certificate::largest_error`], with probability `1 − delta`.
    pub fn exceeding_share(&self, delta: f64) -> f64 {
        ((1.0 / delta).ln() / self.entries as f64).min(1.0)
    }

    /// Empirical Bernstein bound of the root mean square error over all entries like those held out, with probability
    /// `1 − delta`, when every error is known to be at most `bound` (predictions clipped to the range of the values):
    /// Maurer and Pontil, 2009, theorem 4.
    pub fn rmse_bound(&self, bound: f64, delta: f64) -> f64 {
        let v = self.entries as f64;
        if self.entries < 2 || bound <= 0.0 {
            return bound;
        }
        let log = (2.0 / delta).ln();
        // In units of the bound, so that no square vanishes or overflows.
        let mean = (self.rmse / bound).powi(2);
        // Squared errors lie in [0, 1], so their variance is at most their mean.
        let variance = (mean - mean * mean).max(0.0) * v / (v - 1.0);
        let square = mean + (2.0 * variance * log / v).sqrt() + 7.0 * log / (3.0 * (v - 1.0));
        bound * square.sqrt().min(1.0)
    }
}

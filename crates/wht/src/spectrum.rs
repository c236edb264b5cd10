//! The answer and its evidence.

/// One nonzero coefficient.
#[derive(Clone, Debug, PartialEq)]
pub struct Coefficient {
    /// Index `k`: bit `i` is variable `i`.
    pub index: u64,
    /// `X[k]`, in the units of `x`.
    pub value: f64,
    /// Standard error from the residual noise, `None` without noise.
    pub std_error: Option<f64>,
}

impl Coefficient {
    /// The variables of the interaction, ascending.
    pub fn variables(&self) -> Vec<usize> {
        (0..64).filter(|i| self.index >> i & 1 == 1).collect()
    }

    /// The index as `n` characters, variable 0 first.
    pub fn index_string(&self, n: usize) -> String {
        (0..n).map(|i| if self.index >> i & 1 == 1 { '1' } else { '0' }).collect()
    }
}

/// What can be said of the answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Status {
    /// No bin was left unexplained and the fresh samples agree with the answer: to `1e-8` of the largest value without
    /// noise, within three standard errors of the noise otherwise (when the noise is unknown, at least eight fresh
    /// samples, a quarter of whose spread is explained). Coefficients below [`Report::detection_limit`] may be missing:
    /// nothing certifies an exact support. The dense transform sees every value and needs no fresh samples.
    Verified,
    /// Decoding ended with bins it could not explain, or fresh samples disagree. The coefficients are the best guess.
    Stalled {
        /// Bins left unexplained.
        multi_tons: usize,
    },
    /// Decoded, but no fresh samples were asked, so nothing is claimed.
    Unverified,
}

/// Evidence of a decode.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Which decoder ran, in words.
    pub decoder: &'static str,
    /// Distinct values of `x` that were asked, verification included.
    pub samples: usize,
    /// Of these, the ones kept from the decoder.
    pub verification: usize,
    /// Root mean square of `x − x̂` over the verification samples, or `None` without them.
    pub residual_std: Option<f64>,
    /// `1 − Σ(x − x̂)² / Σ(x − x̄)²` over the verification samples; `None` without them or when they are constant.
    pub r2: Option<f64>,
    /// Standard deviation of the noise as the decoder saw it; 0 without noise.
    pub noise_std: f64,
    /// `(√(2 ln N) + 3) σ / √M`, at least `1e-8` of the largest value: coefficients below it are likely to be missed.
    pub detection_limit: f64,
    /// Plans made (more than one when the sparsity was unknown).
    pub stages: usize,
}

/// The nonzero coefficients found.
#[derive(Clone, Debug, PartialEq)]
pub struct Spectrum {
    /// Number of variables `n`.
    pub variables: usize,
    /// Coefficients, index ascending.
    pub coefficients: Vec<Coefficient>,
    /// What can be said of them.
    pub status: Status,
    /// The evidence.
    pub report: Report,
}

impl Spectrum {
    /// `x̂[m]` of the spectrum found.
    pub fn evaluate(&self, m: u64) -> f64 {
        self.coefficients
            .iter()
            .map(|c| if (m & c.index).count_ones().is_multiple_of(2) { c.value } else { -c.value })
            .sum()
    }

    /// The `k` coefficients of largest magnitude, largest first, ties by index.
    pub fn top(&self, k: usize) -> Vec<&Coefficient> {
        let mut all: Vec<&Coefficient> = self.coefficients.iter().collect();
        all.sort_by(|a, b| b.value.abs().total_cmp(&a.value.abs()).then(a.index.cmp(&b.index)));
        all.truncate(k);
        all
    }

    /// `Σ X[k]²` by number of variables, constant first.
    pub fn energy_by_degree(&self) -> Vec<f64> {
        let mut out = vec![0.0; self.variables + 1];
        for c in &self.coefficients {
            out[c.index.count_ones() as usize] += c.value * c.value;
        }
        out
    }
}

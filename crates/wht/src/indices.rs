//! What a spectrum says in the words of cooperative games and of sensitivity analysis.
//!
//! With `x[m]` the worth of the coalition of the variables whose bit is 1,
//! `x[m] = Σ_k X[k] Π_{i∈k} (1 − 2m_i)`, and everything below is a sum over the coefficients found (rows WHT-7 to
//! WHT-9): no further value of `x` is needed.
use std::collections::BTreeMap;

use crate::field::bits::Bits;
use crate::{Error, Spectrum};

/// Terms that a Möbius transform may have.
const MAX_TERMS: u128 = 1 << 24;

impl<I: Bits> Spectrum<I> {
    /// Coefficients `μ(S)` of `x[m] = Σ_{S ⊆ m} μ(S)`, set ascending as bits, zeros left out (row WHT-7):
    /// `μ(S) = (−2)^{|S|} Σ_{k ⊇ S} X[k]`. Cost `Σ_k 2^{|k|}` additions.
    ///
    /// # Errors
    /// [`Error::TooLarge`] beyond `2²⁴` terms, which one coefficient of 25 variables has.
    pub fn to_moebius(&self) -> Result<Vec<(I, f64)>, Error> {
        let terms = |c: &crate::Coefficient<I>| 1_u128.checked_shl(c.index.weight() as u32).unwrap_or(u128::MAX);
        let terms = self.coefficients.iter().map(terms).fold(0, u128::saturating_add);
        if terms > MAX_TERMS {
            return Err(Error::TooLarge { what: "terms of the Möbius transform", count: terms, most: MAX_TERMS });
        }
        let mut sums: BTreeMap<I, f64> = BTreeMap::new();
        for c in &self.coefficients {
            let members = c.index.positions();
            for choice in 0..1_usize << members.len() {
                let chosen = members.iter().enumerate().filter(|(bit, _)| choice >> bit & 1 == 1).map(|(_, &i)| i);
                *sums.entry(I::from_positions(chosen)).or_insert(0.0) +=
                    power_of_minus_two(choice.count_ones()) * c.value;
            }
        }
        Ok(sums.into_iter().filter(|s| s.1 != 0.0).collect())
    }

    /// Shapley values of the variables (row WHT-8): `φ_i = −2 Σ_{k∋i, |k| odd} X[k]/|k|`. Their sum is
    /// `x[1…1] − x[0…0]`.
    pub fn shapley(&self) -> Vec<f64> {
        let mut out = vec![0.0; self.variables];
        for c in self.coefficients.iter().filter(|c| c.index.weight() % 2 == 1) {
            let share = -2.0 * c.value / c.index.weight() as f64;
            c.variables().into_iter().for_each(|i| out[i] += share);
        }
        out
    }

    /// Banzhaf values (row WHT-8): the mean of `x[m with i] − x[m without i]` over all `m`, `−2 X[{i}]`.
    pub fn banzhaf(&self) -> Vec<f64> {
        let mut out = vec![0.0; self.variables];
        for c in &self.coefficients {
            if let [only] = c.variables()[..] {
                out[only] = -2.0 * c.value;
            }
        }
        out
    }

    /// Banzhaf interaction of a set of variables, given as bits (row WHT-8): `(−2)^{|S|} X[S]`.
    pub fn banzhaf_interaction(&self, set: I) -> f64 {
        let value =
            self.coefficients.binary_search_by_key(&set, |c| c.index).map_or(0.0, |at| self.coefficients[at].value);
        power_of_minus_two(set.weight() as u32) * value
    }

    /// Variance of `x` over uniformly random `m`: the energy outside the constant.
    pub fn variance(&self) -> f64 {
        self.coefficients.iter().filter(|c| !c.index.is_zero()).map(|c| c.value * c.value).sum()
    }

    /// Sobol indices `(first order, total)` of the variables (row WHT-9): the share of the variance that variable `i`
    /// explains alone, and the share that is lost without it. Zeros when `x` is constant.
    pub fn sobol(&self) -> (Vec<f64>, Vec<f64>) {
        let (mut first, mut total) = (vec![0.0; self.variables], vec![0.0; self.variables]);
        let variance = self.variance();
        if variance > 0.0 {
            for c in &self.coefficients {
                let share = c.value * c.value / variance;
                let members = c.variables();
                if let [only] = members[..] {
                    first[only] += share;
                }
                members.into_iter().for_each(|i| total[i] += share);
            }
        }
        (first, total)
    }
}

fn power_of_minus_two(exponent: u32) -> f64 {
    let magnitude = f64::from(exponent).exp2();
    if exponent.is_multiple_of(2) { magnitude } else { -magnitude }
}

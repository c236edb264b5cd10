//! The definition (test oracle and baseline, rows WHT-1 and WHT-6), and the dense fast transform.
use samplewise_linalg::{fwht, scale};

use crate::Error;
use crate::field::bits::Bits;

/// `x[m] = Σ_k (−1)^⟨m,k⟩ X[k]` by its definition, for a sparse spectrum. Cost one term per coefficient.
pub fn evaluate<I: Bits>(spectrum: &[(I, f64)], m: I) -> f64 {
    spectrum.iter().map(|&(k, v)| if m.parity(k) { -v } else { v }).sum()
}

/// The unnormalised transform `y[k] = Σ_m (−1)^⟨m,k⟩ x[m]` in place (row WHT-1); divide by the length for `X`.
///
/// Cost `n·2ⁿ` additions, no allocation.
///
/// # Errors
/// [`Error::Argument`] for a length that is no power of two.
pub fn transform_in_place(values: &mut [f64]) -> Result<(), Error> {
    if !values.len().is_power_of_two() {
        return Err(Error::length(values.len(), 1));
    }
    fwht::fwht_in_place(values);
    Ok(())
}

/// The spectrum `X` of all `2ⁿ` values: the transform divided by the length.
///
/// Row WHT-1 of `paper-refs.md`.
///
/// # Errors
/// [`Error::Argument`] for a length that is no power of two.
pub fn spectrum(values: &[f64]) -> Result<Vec<f64>, Error> {
    let mut out = values.to_vec();
    // Sums of `2ⁿ` values near the largest number overflow: these are divided first.
    let first = scale::exponent(scale::largest(values)) + values.len().max(1).ilog2() as i32 >= 1023;
    let divide = |out: &mut [f64]| {
        let scale = 1.0 / out.len() as f64;
        out.iter_mut().for_each(|v| *v *= scale);
    };
    if first {
        divide(&mut out);
    }
    transform_in_place(&mut out)?;
    if !first {
        divide(&mut out);
    }
    Ok(out)
}

//! The definition, symbol by symbol: test oracle, bench baseline, and the engine of tiny inputs.
use crate::letters::classes::{Classes, Code};

/// Subtracts `M[i]` from `out[i]`, comparing every pair (row HAM-1). Cost `n·m` comparisons.
pub fn subtract_matches<C: Code>(classes: &Classes, codes: &[C], out: &mut [u32]) {
    for (i, distance) in out.iter_mut().enumerate() {
        let aligned = classes.pattern.iter().zip(&codes[i..]);
        *distance -=
            aligned.filter(|(letter, code)| letter.is_some_and(|l| classes.matches(l, code.index()))).count() as u32;
    }
}

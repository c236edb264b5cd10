//! The definition, symbol by symbol: test oracle, bench baseline, and the engine of tiny inputs.
use crate::relation::{Relation, Symbol};

/// `D[i]` by comparing every pair (row HAM-1). Cost `n·m` look-ups.
pub fn distances<S: Symbol>(relation: &Relation<S>, codes: &[u16], out: &mut [u32]) {
    for (i, d) in out.iter_mut().enumerate() {
        *d = relation
            .pattern
            .iter()
            .zip(&codes[i..])
            .filter(|(class, code)| class.is_some_and(|c| !relation.matches[c as usize][**code as usize]))
            .count() as u32;
    }
}

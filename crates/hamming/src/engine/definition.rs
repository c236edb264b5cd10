//! The definition, symbol by symbol: test oracle, bench baseline, and the engine of tiny inputs.
use crate::engine::choose::Work;
use crate::engine::costs::{Cost, costs};
use crate::engine::fft::Certificate;
use crate::engine::{CountingEngine, byte_counters};
use crate::letters::classes::{Classes, Code};

/// Subtracts `M[i]` from `out[i]`, comparing every pair (row HAM-1). Cost `n·m` comparisons.
pub fn subtract_matches<C: Code>(classes: &Classes, codes: &[C], out: &mut [u32]) {
    for (i, distance) in out.iter_mut().enumerate() {
        let aligned = classes.pattern.iter().zip(&codes[i..]);
        *distance -=
            aligned.filter(|(letter, code)| letter.is_some_and(|l| classes.matches(l, code.index()))).count() as u32;
    }
}

/// The letters of a pattern, as they are.
pub struct Prepared(Classes);

impl CountingEngine for Prepared {
    type Scratch = ();

    fn prepare(letters: Classes) -> Self {
        Self(letters)
    }

    fn block(&self) -> usize {
        byte_counters::BLOCK
    }

    fn subtract<C: Code>(&self, codes: &[C], out: &mut [u32], (): &mut ()) -> Option<Certificate> {
        subtract_matches(&self.0, codes, out);
        None
    }

    fn cost(_: &Work) -> Cost {
        Cost::new(|a, _| a * costs().definition, 0.0)
    }
}

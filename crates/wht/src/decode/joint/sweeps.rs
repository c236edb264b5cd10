//! Kernels over candidates: correlations with residuals and what a coefficient takes from them.
use super::state::{Member, State};
use crate::field::bits::Bits;

/// `Σ a_i b_i` in eight lanes, so that the compiler may use registers of that width; the order is fixed.
#[inline(always)]
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a8, a_rest) = a.as_chunks::<8>();
    let (b8, b_rest) = b.as_chunks::<8>();
    let mut lanes = [0.0; 8];
    for (x, y) in a8.iter().zip(b8) {
        for i in 0..8 {
            lanes[i] += x[i] * y[i];
        }
    }
    for (i, (x, y)) in a_rest.iter().zip(b_rest).enumerate() {
        lanes[i] += x * y;
    }
    fold(lanes)
}

/// `y ← y − value·s`; returns `Σ y_i²`.
#[inline(always)]
pub(super) fn take_away(y: &mut [f64], value: f64, s: &[f64]) -> f64 {
    let (y8, y_rest) = y.as_chunks_mut::<8>();
    let (s8, s_rest) = s.as_chunks::<8>();
    let mut lanes = [0.0; 8];
    for (y, s) in y8.iter_mut().zip(s8) {
        for i in 0..8 {
            y[i] -= value * s[i];
            lanes[i] += y[i] * y[i];
        }
    }
    for (i, (y, s)) in y_rest.iter_mut().zip(s_rest).enumerate() {
        *y -= value * s;
        lanes[i] += *y * *y;
    }
    fold(lanes)
}

/// ±1 from bits: the bit is the sign.
#[inline(always)]
pub(super) fn expand(word: u128, out: &mut [f64]) {
    let one = 1_f64.to_bits();
    for (part, word) in out.chunks_mut(64).zip([word as u64, (word >> 64) as u64]) {
        for (p, s) in part.iter_mut().enumerate() {
            *s = f64::from_bits(one | (word >> p) << 63);
        }
    }
}

#[inline(always)]
pub(super) fn fold([a, b, c, d, e, f, g, h]: [f64; 8]) -> f64 {
    ((a + e) + (b + f)) + ((c + g) + (d + h))
}

/// A sweep of least squares as one kernel: its loops use the registers that the CPU has. Returns the largest change.
pub(super) struct Sweep<'s, 'a, I>(pub &'s mut State<'a, I>);

impl<I: Bits> pulp::WithSimd for Sweep<'_, '_, I> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> f64 {
        let state = self.0;
        let mut largest = 0.0_f64;
        for i in 0..state.support.len() {
            let at = state.support[i];
            let change = state.correlation(at);
            state.pool[at].value += change;
            state.subtract(at, change);
            largest = largest.max(change.abs());
        }
        largest
    }
}

/// Gains of the candidates whose bins changed.
pub(super) struct Rate<'s, 'a, I> {
    pub state: &'s State<'a, I>,
    pub part: &'s mut [Member<I>],
}

impl<I: Bits> pulp::WithSimd for Rate<'_, '_, I> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        for m in self.part.iter_mut().filter(|m| !m.inside) {
            let now = self.state.changes_of(m);
            if m.seen != now {
                m.seen = now;
                m.gain = self.state.score_of(m).0;
            }
        }
    }
}

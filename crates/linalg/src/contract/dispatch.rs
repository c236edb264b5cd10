//! Loops compiled for the widest vector instructions that this machine has.

/// Runs a loop in the version for the widest vector instructions of this machine: AVX-512, AVX2 with FMA, or what the target
/// has.
///
/// Write `#[inline(always)]` before the closure. It is called as `FnMut`: a closure that is called as `FnOnce` goes through a
/// function of its own, which is compiled for the target alone, so that it would run without the vector instructions and would
/// call a library for each [`f64::mul_add`].
///
/// ```
/// let (a, mut b) = (vec![2.0_f64; 1_000], vec![1.0; 1_000]);
/// samplewise_linalg::dispatch::widest(
///     #[inline(always)]
///     || b.iter_mut().zip(&a).for_each(|(b, a)| *b = a.mul_add(3.0, *b)),
/// );
/// assert_eq!(b[999], 7.0);
/// ```
pub fn widest<R>(f: impl FnMut() -> R) -> R {
    pulp::Arch::new().dispatch(Run(f))
}

struct Run<F>(F);

impl<R, F: FnMut() -> R> pulp::WithSimd for Run<F> {
    type Output = R;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(mut self, _: S) -> R {
        (self.0)()
    }
}

//! Real FFT plans, cached per thread (realfft over rustfft).
use std::cell::RefCell;
use std::sync::Arc;

pub use num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

/// Floats that have real FFTs: `f32`, `f64`.
pub trait FftReal: realfft::FftNum + rustfft::FftNum {
    /// The plan of length `n` of this thread, made at the first call.
    fn plan(n: usize) -> RealPlan<Self>;
}

/// Forward and inverse transform of one real length `n`.
#[derive(Clone)]
pub struct RealPlan<T: FftReal> {
    forward: Arc<dyn RealToComplex<T>>,
    inverse: Arc<dyn ComplexToReal<T>>,
}

macro_rules! fft_real {
    ($t:ty, $cache:ident) => {
        thread_local! {
            static $cache: RefCell<RealFftPlanner<$t>> = RefCell::new(RealFftPlanner::new());
        }
        impl FftReal for $t {
            fn plan(n: usize) -> RealPlan<$t> {
                $cache.with_borrow_mut(|p| RealPlan { forward: p.plan_fft_forward(n), inverse: p.plan_fft_inverse(n) })
            }
        }
    };
}
fft_real!(f32, PLANS_F32);
fft_real!(f64, PLANS_F64);

impl<T: FftReal> RealPlan<T> {
    /// Number of real values of the transform.
    pub fn len(&self) -> usize {
        self.forward.len()
    }

    /// True for length zero.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Length of the half spectrum, `n/2 + 1`.
    pub fn spectrum_len(&self) -> usize {
        self.len() / 2 + 1
    }

    /// A zero spectrum of the right length.
    pub fn zero_spectrum(&self) -> Vec<Complex<T>> {
        vec![Complex::new(T::zero(), T::zero()); self.spectrum_len()]
    }

    /// Unnormalised forward transform; `signal` is overwritten.
    ///
    /// # Panics
    /// When a length does not match the plan.
    pub fn forward(&self, signal: &mut [T], spectrum: &mut [Complex<T>]) {
        self.forward.process(signal, spectrum).expect("lengths match the plan");
    }

    /// [`RealPlan::forward`] with working memory that is kept from call to call.
    ///
    /// # Panics
    /// As [`RealPlan::forward`].
    pub fn forward_with(&self, signal: &mut [T], spectrum: &mut [Complex<T>], scratch: &mut Vec<Complex<T>>) {
        scratch.resize(self.forward.get_scratch_len(), Complex::new(T::zero(), T::zero()));
        self.forward.process_with_scratch(signal, spectrum, scratch).expect("lengths match the plan");
    }

    /// Unnormalised inverse transform (divide by `n`); `spectrum` is overwritten. The imaginary parts of the first
    /// and, for even `n`, the last bin are dropped, as they are zero up to rounding for any real result.
    ///
    /// # Panics
    /// When a length does not match the plan.
    pub fn inverse(&self, spectrum: &mut [Complex<T>], signal: &mut [T]) {
        let last = spectrum.len() - 1;
        spectrum[0].im = T::zero();
        if self.len().is_multiple_of(2) {
            spectrum[last].im = T::zero();
        }
        self.inverse.process(spectrum, signal).expect("lengths match the plan");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inverse_undoes_the_forward_transform() {
        for n in [2, 6, 15, 64, 100] {
            let plan = <f64 as FftReal>::plan(n);
            let x: Vec<f64> = (0..n).map(|i| (i * i % 7) as f64).collect();
            let (mut buffer, mut spectrum) = (x.clone(), plan.zero_spectrum());
            plan.forward(&mut buffer, &mut spectrum);
            plan.inverse(&mut spectrum, &mut buffer);
            for (a, b) in x.iter().zip(&buffer) {
                assert!((a - b / n as f64).abs() < 1e-13, "length {n}");
            }
        }
    }
}

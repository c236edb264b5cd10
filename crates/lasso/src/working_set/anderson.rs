//! Anderson extrapolation: the combination of the last iterates whose differences cancel best.
use samplewise_linalg::factor::Cholesky;
use samplewise_linalg::{Matrix, sums};

/// Differences that are combined.
pub(crate) const MEMORY: usize = 5;

/// The combination of `MEMORY + 2` iterates; `None` where their differences say nothing.
pub(crate) fn extrapolate(history: &[Vec<f64>]) -> Option<Vec<f64>> {
    let difference = |k: usize| -> Vec<f64> { history[k + 1].iter().zip(&history[k]).map(|(a, b)| a - b).collect() };
    let u: Vec<Vec<f64>> = (0..=MEMORY).map(difference).collect();
    let gram = Matrix::from_fn(MEMORY + 1, MEMORY + 1, |i, j| sums::dot(&u[i], &u[j]));
    let trace: f64 = (0..=MEMORY).map(|i| gram[(i, i)]).sum();
    let factor = Cholesky::new(&gram, 1e-10 * trace).ok()?;
    let mut mix = vec![1.0; MEMORY + 1];
    factor.solve_in_place(&mut mix);
    let total: f64 = mix.iter().sum();
    if !total.is_finite() || total == 0.0 {
        return None;
    }
    let mut out = vec![0.0; history[0].len()];
    for (m, w) in mix.iter().zip(&history[1..]) {
        sums::axpy(m / total, w, &mut out);
    }
    Some(out)
}

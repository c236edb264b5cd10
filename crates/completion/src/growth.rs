//! Growth of the rank: one direction after another, each annealed before the next. Finds small singular values beside
//! large ones where annealing at the full rank does not.
use crate::kernel::KernelReal;
use samplewise_linalg::random::{Streams, normal};
use samplewise_linalg::{LinalgError, Matrix};

use crate::control::Control;
use crate::entries::Entries;
use crate::half_step::{Manner, Ridge};
use crate::state::State;

/// Pairs of half steps per rank.
const PAIRS: usize = 12;
/// Factor of the ridge per pair.
const DECAY: f64 = 0.7;
/// Products with the residual and back that find the next direction.
const POWER_STEPS: usize = 12;

/// Grows `state` from no factors to `rank`; returns the ridge from which to anneal on.
pub(crate) fn grow<T: KernelReal>(
    entries: &Entries<T>,
    state: &mut State<T>,
    rank: usize,
    manner: Manner,
    streams: Streams,
    control: &mut Control<'_>,
) -> Result<f64, LinalgError> {
    let floor = (entries.len() * rank) as f64;
    let mut top = 0.0;
    for r in 1..=rank {
        let (sigma, left, right) = leading(entries, state, streams.child(1000 + r as u64))?;
        top = sigma;
        let root = sigma.sqrt();
        let append = |old: &Matrix<T>, new: &[f64]| {
            Matrix::from_fn(old.rows(), r, |i, c| if c + 1 < r { old[(i, c)] } else { T::from_f64(root * new[i]) })
        };
        (state.u, state.v) = (append(&state.u, &left), append(&state.v, &right));
        let mut lambda = sigma;
        for _ in 0..PAIRS {
            lambda *= DECAY;
            let work = state.pair(entries, Ridge { lambda, exponent: 0.0, bias: None }, manner);
            if !control.step("growth", work / floor, None) {
                return Ok(lambda);
            }
        }
        control.book("growth", 2.0 * POWER_STEPS as f64 / rank as f64);
    }
    Ok(top)
}

/// The leading singular triplet of the residual.
fn leading<T: KernelReal>(
    entries: &Entries<T>,
    state: &State<T>,
    streams: Streams,
) -> Result<(f64, Vec<f64>, Vec<f64>), LinalgError> {
    let residual: Vec<f64> = entries.iter().map(|(i, j, v, _)| v - state.predict(i, j)).collect();
    let mut rng = streams.stream(0);
    let mut x: Vec<f64> = (0..entries.columns()).map(|_| normal(&mut rng)).collect();
    let (mut y, mut sigma) = (vec![0.0; entries.rows()], 0.0);
    for _ in 0..POWER_STEPS {
        normalise(&mut x);
        y.fill(0.0);
        for ((i, j, ..), r) in entries.iter().zip(&residual) {
            y[i] += r * x[j];
        }
        normalise(&mut y);
        x.fill(0.0);
        for ((i, j, ..), r) in entries.iter().zip(&residual) {
            x[j] += r * y[i];
        }
        sigma = samplewise_linalg::chunk::norm(&x);
        if !sigma.is_finite() {
            return Err(LinalgError::NotFinite { argument: "residual", row: 0, column: 0, value: sigma });
        }
    }
    normalise(&mut x);
    Ok((sigma, y, x))
}

fn normalise(x: &mut [f64]) {
    let norm = samplewise_linalg::chunk::norm(x);
    if norm > 0.0 {
        x.iter_mut().for_each(|v| *v /= norm);
    }
}

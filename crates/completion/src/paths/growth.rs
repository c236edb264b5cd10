//! Growth of the rank: one direction after another, each annealed before the next. Finds small singular values beside
//! large ones where annealing at the full rank does not.
use crate::kernel::KernelReal;
use samplewise_linalg::random::Streams;
use samplewise_linalg::{LinalgError, Matrix};

use crate::control::Control;
use crate::data::biases::{residual_entries, start};
use crate::data::entries::Entries;
use crate::data::ridge::{Manner, Ridge};
use crate::data::state::State;

/// Pairs of half steps per rank.
const PAIRS: usize = 12;
/// Factor of the ridge per pair.
const DECAY: f64 = 0.7;

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
        // The next direction is the leading one of the residual.
        let next = start(&residual_entries(entries, state), 1, &mut streams.stream(r as u64))?;
        let sigma = next.values.first().copied().unwrap_or(0.0).max(f64::MIN_POSITIVE);
        top = sigma;
        let append = |old: &Matrix<T>, new: &Matrix| {
            Matrix::from_fn(old.rows(), r, |i, c| if c + 1 < r { old[(i, c)] } else { T::from_f64(new[(i, 0)]) })
        };
        (state.u, state.v) = (append(&state.u, &next.u), append(&state.v, &next.v));
        let mut lambda = sigma;
        for _ in 0..PAIRS {
            lambda *= DECAY;
            let work = state.pair(entries, Ridge { lambda, exponent: 0.0, biases: None }, manner);
            if !control.step("growth", work / floor, None) {
                return Ok(lambda);
            }
        }
        control.book("growth", next.floors / rank as f64);
    }
    Ok(top)
}

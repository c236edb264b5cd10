//! Many computations of some steps each, side by side, under the eyes of one observer.
use std::ops::ControlFlow;

use rayon::prelude::*;
use samplewise_linalg::factor::Cholesky;
use samplewise_linalg::observe::Watch;
use samplewise_linalg::{Matrix, Progress};

/// Points beyond which one step of a job takes so long that there are looks inside it, and jobs go one after the other.
pub(crate) const LARGE: usize = 500;

/// A look from inside a long computation; whether it asked to stop is seen at the next look outside.
pub(crate) fn looking<'a>(watch: &'a mut Watch<'_>, stage: &'static str) -> impl FnMut() + 'a {
    move || {
        watch.ticks(|| Progress { stage, step: 0, total: None, value: None });
    }
}

/// The Cholesky factor of a matrix, with looks between its panels; none where the matrix is not positive definite.
pub(crate) fn factored(matrix: Matrix, look: &mut dyn FnMut()) -> Option<Cholesky> {
    let look = &mut |_| {
        look();
        ControlFlow::Continue(())
    };
    Cholesky::new_watched(matrix, look).ok().flatten()
}

/// Steps every job until none goes on, as many at once as there are threads, with a look between two rounds.
pub(crate) fn run_in_rounds<T: Send>(
    jobs: &mut [T],
    step: impl Fn(usize, &mut T, &mut dyn FnMut()) -> bool + Sync,
    (stage, large): (&'static str, bool),
    watch: &mut Watch<'_>,
) {
    let threads = if large { 1 } else { rayon::current_num_threads() };
    let mut open: Vec<bool> = vec![true; jobs.len()];
    let mut done = 0;
    if watch.stops(Progress { stage, step: 0, total: None, value: None }) {
        return;
    }
    while open.iter().any(|o| *o) {
        let all = jobs.iter_mut().zip(&mut open).enumerate();
        let mut active: Vec<(usize, &mut T, &mut bool)> =
            all.filter(|(_, (_, open))| **open).map(|(i, (job, open))| (i, job, open)).collect();
        for part in active.chunks_mut(threads) {
            if large {
                for (i, job, open) in part.iter_mut() {
                    **open = step(*i, job, &mut looking(watch, stage));
                }
            } else {
                part.par_iter_mut().for_each(|(i, job, open)| **open = step(*i, job, &mut || ()));
            }
            done += part.len();
            if watch.ticks(|| Progress { stage, step: done, total: None, value: None }) {
                return;
            }
        }
    }
}

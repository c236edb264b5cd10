//! The start: a few subspace iterations on the observed matrix, unobserved entries zero.
use rand::Rng;
use rayon::prelude::*;
use samplewise_linalg::{CsrMatrix, LinalgError, Matrix, factor, gram, random, spmm, sums};

use crate::data::entries::{Entries, Orientation, Renumbering};
use crate::data::ridge::BIAS_RIDGE;
use crate::data::split::Triplet;
use crate::data::state::State;
use crate::kernel::KernelReal;

/// Leading singular triplets, roughly: `U√S`, `V√S` and `S`.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    pub u: Matrix,
    pub v: Matrix,
    pub values: Vec<f64>,
    /// Products with the observed matrix, in floors.
    pub floors: f64,
}

/// Columns beyond the rank, at least; the block is a whole number of registers wide.
const OVERSAMPLING: usize = 3;
/// Products with the matrix and back. The homotopy makes the accuracy almost irrelevant; what is needed is the first
/// singular value.
const STEPS: usize = 2;

/// The `rank` leading triplets of the matrix with these entries and zeros elsewhere; triplets beyond its own rank are
/// small and random.
///
/// Row COM-14 of `paper-refs.md`.
pub(crate) fn start<T: KernelReal, R: Rng + ?Sized>(
    entries: &Entries<T>,
    rank: usize,
    rng: &mut R,
) -> Result<Start, LinalgError> {
    let (m, n) = (entries.rows(), entries.columns());
    let width = (rank + OVERSAMPLING).next_multiple_of(8).min(m).min(n);
    let times = |a: &CsrMatrix<T>, x: &Matrix| -> Matrix {
        let x = Matrix::from_vec(x.rows(), x.columns(), x.as_slice().iter().map(|v| T::from_f64(*v)).collect());
        let y = spmm::multiply(a, &x.expect("as many numbers as before"));
        let wide = y.as_slice().iter().map(|v| v.to_f64()).collect();
        Matrix::from_vec(y.rows(), y.columns(), wide).expect("as many numbers as before")
    };
    let mut x = orthonormal(&Matrix::from_fn(n, width, |_, _| random::normal(rng)))?;
    for _ in 0..STEPS {
        let y = orthonormal(&times(&entries.by_row.values, &x))?;
        x = orthonormal(&times(&entries.by_column.values, &y))?;
    }
    let y = times(&entries.by_row.values, &x);
    let (squares, w) = factor::symmetric_eigen(&gram::gram(&y, None, None)?.matrix)?;
    let found = squares.len();
    // Ascending: the last ones lead.
    let values: Vec<f64> = squares.iter().rev().map(|s| s.max(0.0).sqrt()).collect();
    let w = Matrix::from_fn(found, found, |r, c| w[(r, found - 1 - c)]);
    let (left, right) = (y.multiply(&w)?, x.multiply(&w)?);
    let top = values.first().copied().unwrap_or(0.0);
    let small = 1e-3 * if top > 0.0 { top.sqrt() } else { 1.0 };
    let mut side = |rows: usize, from: &Matrix, left: bool| {
        Matrix::from_fn(rows, rank, |i, c| match values.get(c) {
            Some(&s) if s > 1e-12 * top && s > 0.0 => from[(i, c)] * if left { 1.0 / s.sqrt() } else { s.sqrt() },
            _ => small * random::normal(rng),
        })
    };
    let (u, v) = (side(m, &left, true), side(n, &right, false));
    let floors = (2 * STEPS + 1) as f64 * width as f64 / rank as f64;
    Ok(Start { u, v, values: values.into_iter().take(rank).collect(), floors })
}

/// Columns of the same span, orthonormal up to rounding; dependent ones become zero.
pub(crate) fn orthonormal(a: &Matrix) -> Result<Matrix, LinalgError> {
    a.check_finite("product with the observed matrix")?;
    let (values, vectors) = factor::symmetric_eigen(&gram::gram(a, None, None)?.matrix)?;
    let top = values.last().copied().unwrap_or(0.0);
    let scales: Vec<f64> =
        values.iter().map(|&s| if s > 1e-14 * top && s > 0.0 { 1.0 / s.sqrt() } else { 0.0 }).collect();
    let q = values.len();
    a.multiply(&Matrix::from_fn(q, q, |r, c| vectors[(r, c)] * scales[c]))
}

/// Mean, and biases of rows and columns in turn with a ridge (or zero without biases).
pub(crate) fn biases_only(entries: &Entries, biases: bool, ridge: f64) -> State {
    let mut state = State::empty(entries.rows(), entries.columns(), 0);
    if biases {
        let (mut top, mut bottom) = (0.0, 0.0);
        entries.iter().for_each(|(_, _, v, w)| {
            top += w * v;
            bottom += w;
        });
        state.mean = top / bottom;
        settle(entries, &mut state, ridge);
    }
    state
}

/// Rounds of the biases with a ridge; the path goes on with them.
const BIAS_ROUNDS: usize = 5;
/// Rounds without one, which come to rest more slowly, and the change over the largest bias at which they have.
const FREE_ROUNDS: usize = 500;
const AT_REST: f64 = 1e-12;
/// Looks at an entry beyond which free biases are left as they are.
const MOST_LOOKS: usize = 200_000_000;

fn settle(entries: &Entries, state: &mut State, ridge: f64) {
    let rounds = if ridge > 0.0 { BIAS_ROUNDS } else { FREE_ROUNDS.min(MOST_LOOKS / entries.len()).max(BIAS_ROUNDS) };
    for _ in 0..rounds {
        let before = state.column_biases.clone();
        bias_step(&entries.by_row, state.mean, &state.column_biases, &mut state.row_biases, ridge);
        bias_step(&entries.by_column, state.mean, &state.row_biases, &mut state.column_biases, ridge);
        let largest = state.column_biases.iter().fold(0.0_f64, |m, b| m.max(b.abs()));
        let change = before.iter().zip(&state.column_biases).fold(0.0_f64, |m, (a, b)| m.max((a - b).abs()));
        if ridge == 0.0 && change <= AT_REST * largest {
            break;
        }
    }
}

/// Ridges that the baseline chooses from.
const BASELINES: [f64; 5] = [0.0, 1.0, 3.0, 10.0, 30.0];
/// Without tuning entries every so manieth entry chooses.
const EVERY: usize = 10;

/// What a model must beat: mean and biases of the entries `fitted`, with the ridge that predicts the tuning entries best
/// when it is fitted without them (to a tenth of the entries when there are none).
pub(crate) fn baseline(fitted: &Entries, tuned: Option<(&Entries, &[Triplet])>) -> State {
    let (m, n) = (fitted.rows(), fitted.columns());
    let everyone = (Renumbering::without(m, &[]), Renumbering::without(n, &[]));
    let own;
    let chosen = match tuned {
        Some((without, tuning)) if !tuning.is_empty() => Some((without, tuning.to_vec())),
        _ => {
            let held = |p: usize| p % EVERY == EVERY / 2;
            own = fitted.select(|p| !held(p), &everyone.0, &everyone.1);
            let tuning = fitted.iter().enumerate().filter(|(p, _)| held(*p)).map(|(_, e)| (e.0, e.1, e.2)).collect();
            own.as_ref().map(|own| (own, tuning))
        }
    };
    let mut best = (f64::INFINITY, BIAS_RIDGE);
    if let Some((without, tuning)) = chosen.filter(|c| !c.1.is_empty()) {
        for ridge in BASELINES {
            let state = biases_only(without, true, ridge);
            let errors: Vec<f64> = tuning.iter().map(|&(i, j, v)| v - state.predict(i, j)).collect();
            let error = sums::norm(&errors);
            if error < best.0 {
                best = (error, ridge);
            }
        }
    }
    biases_only(fitted, true, best.1)
}

fn bias_step(side: &Orientation, mean: f64, other: &[f64], biases: &mut [f64], ridge: f64) {
    biases.par_iter_mut().with_min_len(64).enumerate().for_each(|(i, bias)| {
        let (indices, values, weights) = side.row(i);
        let (mut top, mut bottom) = (0.0, ridge);
        for (p, (&j, v)) in indices.iter().zip(values).enumerate() {
            let w = weights.map_or(1.0, |w| w[p]);
            top += w * (v - mean - other[j as usize]);
            bottom += w;
        }
        *bias = if bottom > 0.0 { top / bottom } else { 0.0 };
    });
}

/// The entries minus what a state predicts.
pub(crate) fn residual_entries<T: KernelReal>(entries: &Entries<T>, state: &State<T>) -> Entries<T> {
    let mut out = entries.clone();
    if state.rank() == 0 && state.is_without_biases() {
        return out;
    }
    let values: Vec<T> = entries.iter().map(|(i, j, v, _)| T::from_f64(v - state.predict(i, j))).collect();
    out.by_row.values.values_mut().copy_from_slice(&values);
    out.by_column.values = out.by_row.values.transpose();
    out
}

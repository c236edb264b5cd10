//! `ℓ1` and quantile regression of many rows by few of them (row SEN-16): Portnoy and Koenker's preprocessing, with a
//! coreset by Lewis weights where they draw uniformly, so that rare columns are in it.
//!
//! The coreset's fit says of most rows on which side of the fit they lie. Such a row contributes a linear term: all rows
//! above are one row, their sum, and all below another. The reduced problem is solved exactly; where the solution
//! contradicts a side, the row is put back and the problem solved again, so that the answer is that of all rows.
use samplewise_linalg::leverage::{Whitening, row_norms_squared};
use samplewise_linalg::observe::Observer;
use samplewise_linalg::{LinalgError, Matrix};

use crate::design::Design;
use crate::interior_point::{self, Solution};
use crate::scores::lewis_for_sampling;
use crate::{Coreset, SensitivityError};

/// Rows per expected coreset row from which preprocessing pays (`cargo bench --bench sensitivity -- crossover`).
const WORTHWHILE: usize = 3;
/// Attempts with more rows undecided before all are.
const ATTEMPTS: usize = 4;
/// Times that rows are put back in one attempt.
const REPAIRS: usize = 8;

/// Rows of the coreset: grows as Portnoy and Koenker's, whose errors balance at `n^{2/3}`.
fn coreset_size(n: usize, d: usize) -> usize {
    let d = d as f64;
    ((n as f64).powf(2.0 / 3.0) * d.sqrt() * 0.6).max(20.0 * d) as usize
}

/// True when the reduced problems are so much smaller that they pay for the rest.
pub(super) fn pays(n: usize, d: usize) -> bool {
    n >= 10_000 && n >= WORTHWHILE * coreset_size(n, d)
}

/// What the preprocessing did.
pub(super) struct Preprocessed {
    pub(super) solution: Solution,
    /// Rows of the largest reduced problem.
    pub(super) rows: usize,
    /// Rows put back because their side was wrong.
    pub(super) repaired: usize,
}

/// Solves for all rows; `None` when the sides could not be settled.
pub(super) fn solve(
    design: &Design<'_>,
    base: &Whitening,
    source: samplewise_linalg::Rows<'_>,
    b: &[f64],
    tau: f64,
    tolerance: f64,
    observer: &mut dyn Observer,
) -> Result<Option<Preprocessed>, SensitivityError> {
    let (n, d) = (b.len(), design.rank());
    let mut size = coreset_size(n, d);
    // The width of the band in which the side of a row is uncertain grows with the row's leverage.
    let leverage = row_norms_squared(source, &base.transform);
    let spread: Vec<f64> = leverage.iter().map(|t| t.max(1e-3 * d as f64 / n as f64).sqrt()).collect();
    let weights = lewis_for_sampling(source, 1.0, leverage, base)?;
    let mut residual = vec![0.0; n];
    for attempt in 0..ATTEMPTS {
        if 2 * size > n {
            break;
        }
        let sample = Coreset::bernoulli(&weights, size, attempt as u64)?;
        let target: Vec<f64> = sample.rows.iter().map(|&i| b[i]).collect();
        let rough = interior_point::solve(
            &design.select(&sample.rows)?,
            &target,
            Some(&sample.weights),
            tau,
            tolerance.max(1e-6),
            observer,
        )?;
        if rough.interrupted {
            return Ok(Some(Preprocessed { solution: whole(rough, n), rows: sample.rows.len(), repaired: 0 }));
        }
        fill_residual(design, b, &rough.x, &mut residual);
        // The rows nearest to the fit, in units of their uncertainty, stay.
        let mut near: Vec<(f64, u32)> =
            (0..n).map(|i| (residual[i].abs() / spread[i], i as u32)).collect();
        let stay = size.min(n - 1);
        near.select_nth_unstable_by(stay, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut undecided = vec![false; n];
        near[..stay].iter().for_each(|e| undecided[e.1 as usize] = true);
        let above: Vec<bool> = residual.iter().map(|r| *r > 0.0).collect();
        let mut repaired = 0;
        for _ in 0..REPAIRS {
            let rows: Vec<usize> = (0..n).filter(|&i| undecided[i]).collect();
            let mut solution = reduced(design, b, &rows, &undecided, &above, tau, tolerance, observer)?;
            fill_residual(design, b, &solution.x, &mut residual);
            let wrong: Vec<usize> =
                (0..n).filter(|&i| !undecided[i] && (residual[i] > 0.0) != above[i] && residual[i] != 0.0).collect();
            if wrong.is_empty() || solution.interrupted {
                // Decided rows are at the limit of their side.
                let mut dual: Vec<f64> = above.iter().map(|a| if *a { tau } else { tau - 1.0 }).collect();
                rows.iter().zip(&solution.dual).for_each(|(&i, u)| dual[i] = *u);
                solution.dual = dual;
                return Ok(Some(Preprocessed { solution, rows: rows.len() + 2, repaired }));
            }
            repaired += wrong.len();
            if wrong.len() > stay / 5 {
                break;
            }
            wrong.iter().for_each(|&i| undecided[i] = true);
        }
        size *= 2;
    }
    Ok(None)
}

fn fill_residual(design: &Design<'_>, b: &[f64], x: &[f64], residual: &mut [f64]) {
    design.multiply_into(x, residual);
    residual.iter_mut().zip(b).for_each(|(r, b)| *r = b - *r);
}

/// A dual point that says nothing, as long as the rows.
fn whole(mut solution: Solution, n: usize) -> Solution {
    solution.dual = vec![0.0; n];
    solution
}

/// The undecided rows, and the sums of those above and below.
fn reduced(
    design: &Design<'_>,
    b: &[f64],
    rows: &[usize],
    undecided: &[bool],
    above: &[bool],
    tau: f64,
    tolerance: f64,
    observer: &mut dyn Observer,
) -> Result<Solution, LinalgError> {
    let d = design.rank();
    let chosen = design.select(rows)?;
    let mut data = chosen.into_vec();
    let mut target: Vec<f64> = rows.iter().map(|&i| b[i]).collect();
    for side in [true, false] {
        let members: Vec<f64> =
            undecided.iter().zip(above).map(|(u, a)| f64::from(u8::from(!u && *a == side))).collect();
        data.extend(design.multiply_transpose(&members));
        target.push(members.iter().zip(b).map(|(m, b)| m * b).sum());
    }
    let all = Matrix::from_vec(target.len(), d, data)?;
    let mut solution = interior_point::solve(&all, &target, None, tau, tolerance, observer)?;
    solution.dual.truncate(rows.len());
    Ok(solution)
}

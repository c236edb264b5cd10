//! `ℓ1` and quantile regression of many rows by few of them (row SEN-16): Portnoy and Koenker's preprocessing, with a
//! coreset by root leverage (the first step towards Lewis weights) where they draw uniformly, so that rare columns are in it.
//!
//! The coreset's fit says of most rows on which side of the fit they lie. The loss of such a row is linear: all of them
//! together are one linear term. The reduced problem is solved exactly; where the solution contradicts a side, the row is
//! put back and the problem solved again, so that the answer is that of all rows.
use samplewise_linalg::leverage::Whitening;
use samplewise_linalg::observe::Observer;
use samplewise_linalg::{LinalgError, Matrix, Rows, sums};

use crate::design::Design;
use crate::loss::Loss;
use crate::options::Preprocessing;
use crate::solve::interior_point::{self, Solution, Start};
use crate::{Coreset, Error};

/// Rows, and rows per row of the reduced problem, from which preprocessing is tried
/// (`cargo bench --bench sensitivity -- crossover`).
const LEAST: usize = 2_500;
const WORTHWHILE: usize = 4;
/// Times that rows are chosen anew, each time a quarter more.
const ATTEMPTS: usize = 8;
/// Share of what the open rows can balance in any column beyond which more are opened before anything is solved.
const TIGHT: f64 = 0.6;
/// Times that rows are put back in one attempt.
const REPAIRS: usize = 8;
/// Relative gap of the fit of the coreset: it has to be better than its own error only.
const ROUGH: f64 = 1e-6;

/// Rows of the coreset and of the reduced problem. The fit of `m` rows is off by about `√(d/m)` in the units in which `n·t`
/// rows lie within `t` of it, so that `n·√(d/m)` rows times a constant are undecided: both problems are equally large for
/// `m = (constant·n·√d)^{2/3}`.
fn coreset_size(n: usize, d: usize) -> usize {
    const CONSTANT: f64 = 1.5;
    let d = d as f64;
    (CONSTANT * n as f64 * d.sqrt()).powf(2.0 / 3.0).max(20.0 * d) as usize
}

/// True when the reduced problems are so much smaller that they pay for the rest, or are to be tried.
pub(crate) fn pays(n: usize, d: usize, wanted: Preprocessing) -> bool {
    let size = coreset_size(n, d);
    d > 0
        && match wanted {
            Preprocessing::Auto => n >= LEAST && n >= WORTHWHILE * size,
            Preprocessing::Always => n > 2 * size,
            Preprocessing::Never => false,
        }
}

/// What the preprocessing did.
pub(crate) struct Preprocessed {
    pub(crate) solution: Solution,
    /// Rows of the largest reduced problem.
    pub(crate) rows: usize,
    /// Rows put back because their side was wrong.
    pub(crate) repaired: usize,
}

/// How far the preprocessing came.
pub(crate) enum Progress {
    /// The reduced problem was solved, and its solution contradicts the side of no row.
    Settled(Preprocessed),
    /// The sides could not be settled, or a reduced problem has no minimum: coefficients of the best fit on the way.
    Open(Vec<f64>),
}

/// Solves for all rows.
///
/// Row SEN-16 of `paper-refs.md`.
pub(crate) fn solve(
    design: &Design<'_>,
    base: &Whitening,
    source: Rows<'_>,
    b: &[f64],
    tau: f64,
    tolerance: f64,
    observer: &mut dyn Observer,
) -> Result<Progress, Error> {
    let (n, d) = (b.len(), design.rank());
    let mut size = coreset_size(n, d);
    // The first step towards Lewis weights of p = 1 costs nothing beyond leverage scores, and is enough here.
    let mut spread = spread(source, base, observer)?;
    let sample = Coreset::bernoulli(&spread, size, 0)?;
    let target: Vec<f64> = sample.rows.iter().map(|&i| b[i]).collect();
    let rows = design.select(&sample.rows, observer)?;
    let rough = interior_point::solve(&rows, &target, Some(&sample.weights), tau, tolerance.max(ROUGH), observer);
    let rough = match rough {
        Ok(rough) => rough,
        Err(LinalgError::Interrupted) => return Err(Error::Interrupted),
        // A coreset without a fit is no reason to have none.
        Err(_) => return Ok(Progress::Open(vec![0.0; d])),
    };
    let mut residual = vec![0.0; n];
    fill_residual(design, b, &rough.x, &mut residual);
    if rough.interrupted {
        let solution = Solution { dual: vec![0.0; n], ..rough };
        return Ok(Progress::Settled(Preprocessed { solution, rows: sample.rows.len(), repaired: 0 }));
    }
    let loss = Loss::Quantile(tau);
    let mut best = (loss.value(&residual), rough.x.clone());
    let (mut x, mut repaired) = (rough.x, 0);
    for _ in 0..ATTEMPTS {
        if 2 * size > n {
            break;
        }
        let mut sides = sides(&residual, &spread, size);
        let mut before: Option<Solution> = None;
        for _ in 0..REPAIRS {
            let open: Vec<usize> = (0..n).filter(|&i| sides[i] == Side::Open).collect();
            let reduced = match Reduced::new(design, b, &open, &sides, tau, observer) {
                // The caller's next look ends the work with these.
                Err(LinalgError::Interrupted) => return Ok(Progress::Open(best.1)),
                reduced => reduced?,
            };
            if before.is_none() && reduced.widen(design, &mut spread) {
                break;
            }
            // What solved the problem with fewer rows open is feasible for this one, too.
            let dual: Option<Vec<f64>> = before.as_ref().map(|s| open.iter().map(|&i| s.dual[i]).collect());
            let start =
                Start { x: Some(&x), dual: dual.as_deref(), linear: Some((&reduced.coefficients, reduced.constant)) };
            let solution =
                interior_point::solve_from(&reduced.rows, &reduced.target, None, tau, tolerance, &start, observer);
            if solution == Err(LinalgError::Interrupted) {
                return Ok(Progress::Open(best.1));
            }
            let solved = solution.ok().filter(|s| s.converged || s.interrupted);
            let Some(solution) = solved else {
                // It may be without a minimum; the coefficients can be anywhere.
                fill_residual(design, b, &best.1, &mut residual);
                x.clone_from(&best.1);
                break;
            };
            fill_residual(design, b, &solution.x, &mut residual);
            let value = loss.value(&residual);
            if value < best.0 {
                best = (value, solution.x.clone());
            }
            let contradicts = |i: &usize| match sides[*i] {
                Side::Open => false,
                Side::Above => residual[*i] < 0.0,
                Side::Below => residual[*i] > 0.0,
            };
            let wrong: Vec<usize> = (0..n).filter(contradicts).collect();
            // Decided rows are at the limit of their side.
            let mut dual: Vec<f64> = sides.iter().map(|s| s.limit(tau)).collect();
            open.iter().zip(&solution.dual).for_each(|(&i, u)| dual[i] = *u);
            let solution = Solution { dual, ..solution };
            x.clone_from(&solution.x);
            if wrong.is_empty() || solution.interrupted {
                return Ok(Progress::Settled(Preprocessed { solution, rows: open.len(), repaired }));
            }
            repaired += wrong.len();
            if wrong.len() > size / 2 {
                break;
            }
            wrong.iter().for_each(|&i| sides[i] = Side::Open);
            before = Some(solution);
        }
        size += size / 4;
    }
    Ok(Progress::Open(best.1))
}

/// The rows nearest to the fit, in units of their uncertainty, stay open.
fn sides(residual: &[f64], spread: &[f64], open: usize) -> Vec<Side> {
    let n = residual.len();
    let mut sides: Vec<Side> = residual.iter().map(|r| if *r > 0.0 { Side::Above } else { Side::Below }).collect();
    if open >= n {
        return vec![Side::Open; n];
    }
    let mut near: Vec<(f64, u32)> = (0..n).map(|i| (residual[i].abs() / spread[i], i as u32)).collect();
    near.select_nth_unstable_by(open, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    near[..open].iter().for_each(|e| sides[e.1 as usize] = Side::Open);
    sides
}

/// Square roots of the leverage scores, none far below the mean: the uncertainty of a row's fitted value grows as they do.
fn spread(source: Rows<'_>, base: &Whitening, observer: &mut dyn Observer) -> Result<Vec<f64>, LinalgError> {
    let least = 1e-3 * base.rank as f64 / source.rows() as f64;
    let norms = base.norms_squared_observed(source, observer)?;
    Ok(norms.iter().map(|t| t.max(least).sqrt()).collect())
}

/// Where a row lies as seen from the fit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Open,
    Above,
    Below,
}

fn fill_residual(design: &Design<'_>, b: &[f64], x: &[f64], residual: &mut [f64]) {
    design.multiply_into(x, residual);
    residual.iter_mut().zip(b).for_each(|(r, b)| *r = b - *r);
}

/// The open rows; those above and below are linear terms.
struct Reduced {
    rows: Matrix,
    target: Vec<f64>,
    /// `Σ_i u_i a_i` and `Σ_i u_i b_i` over the decided rows, `u` at the limit of their side.
    coefficients: Vec<f64>,
    constant: f64,
    /// What each column needs, as a share of what the open rows can balance: above one there is no feasible dual point, and
    /// the reduced problem has no minimum.
    shares: Vec<f64>,
}

impl Reduced {
    fn new(
        design: &Design<'_>,
        b: &[f64],
        open: &[usize],
        sides: &[Side],
        tau: f64,
        observer: &mut dyn Observer,
    ) -> Result<Self, LinalgError> {
        let limits: Vec<f64> = sides.iter().map(|s| s.limit(tau)).collect();
        let mut needed = vec![0.0; design.rows().columns()];
        design.rows().multiply_transpose_vector_into(&limits, &mut needed);
        let given = design.rows().select_rows(open);
        let (mut most, mut least) = (vec![0.0; needed.len()], vec![0.0; needed.len()]);
        for row in given.as_slice().chunks_exact(needed.len()) {
            for ((v, most), least) in row.iter().zip(&mut most).zip(&mut least) {
                *most += (tau * v).max((tau - 1.0) * v);
                *least += (tau * v).min((tau - 1.0) * v);
            }
        }
        // Infinite where no open row has an entry: more rows have to be opened.
        let share = |(n, (m, l)): (&f64, (&f64, &f64))| if *n > 0.0 { n / l.abs() } else { -n / m };
        let shares = needed.iter().zip(most.iter().zip(&least)).map(share);
        Ok(Self {
            shares: shares.map(|s| if s.is_nan() { 0.0 } else { s }).collect(),
            rows: design.transform(given, observer)?,
            target: open.iter().map(|&i| b[i]).collect(),
            coefficients: design.transform_transpose(&needed),
            constant: sums::dot(&limits, b),
        })
    }

    /// Where a column is tight, the side of its rows is less certain than their leverage says (their residuals may be larger
    /// than those of others): their band is doubled. False when no column is.
    fn widen(&self, design: &Design<'_>, spread: &mut [f64]) -> bool {
        let rows = design.rows();
        let (mut unit, mut column) = (vec![0.0; rows.columns()], vec![0.0; rows.rows()]);
        let mut any = false;
        for (j, _) in self.shares.iter().enumerate().filter(|s| *s.1 > TIGHT) {
            any = true;
            unit[j] = 1.0;
            rows.multiply_vector_into(&unit, &mut column);
            unit[j] = 0.0;
            let half = 0.5 * column.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
            spread.iter_mut().zip(&column).filter(|e| e.1.abs() >= half).for_each(|(s, _)| *s *= 2.0);
        }
        any
    }
}

impl Side {
    /// Entry of the dual point.
    fn limit(self, tau: f64) -> f64 {
        match self {
            Side::Open => 0.0,
            Side::Above => tau,
            Side::Below => tau - 1.0,
        }
    }
}

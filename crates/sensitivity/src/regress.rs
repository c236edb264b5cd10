//! `ℓp` and quantile regression, on all rows or on a coreset, judged on all rows.
use std::borrow::Cow;
use std::time::Instant;

use samplewise_linalg::argument::check_ranges;
use samplewise_linalg::leverage::whiten_observed;
use samplewise_linalg::observe::{Observer, Watch};
use samplewise_linalg::scale::{extreme_exponent_of, ldexp};
use samplewise_linalg::{CsrMatrix, CsrView, LinalgError, Matrix, Rows, Seconds};

use crate::Error;
use crate::answer::{Outcome, Regression};
use crate::coreset::{ScreenedCoreset, screened_coreset_observed};
use crate::design::Design;
use crate::loss::Loss;
use crate::options::{CoresetOptions, FIT, Options};
use crate::power::check_exponent;
use crate::solve::{Solved, quantile, solve};
use crate::table::Table;
use crate::verdict::judge::{Judged, judge};

/// Minimises the weighted loss over all rows, dense or sparse (rows SEN-6 and SEN-16).
///
/// Row TRU-1 of `paper-refs.md`.
///
/// `p = 1` and quantiles by an interior point method, from some thousand rows on of a reduced problem, and then by a descent
/// along edges to an optimal vertex of all rows; `p = 2` by least squares; other `p` by Newton's method along easier problems.
/// Cost of the interior point method `n·d²` flops for each
/// of 10 to 25 steps, with preprocessing about four passes over the rows and `n^{2/3}·d^{5/2}` flops a step.
///
/// ```
/// use samplewise_sensitivity::{Loss, Matrix, Options, regress};
/// let a = Matrix::from_fn(50, 1, |i, _| i as f64);
/// let b: Vec<f64> = (0..50).map(|i| 3.0 + 2.0 * f64::from(i) + if i % 7 == 0 { 40.0 } else { 0.0 }).collect();
/// let fit = regress(&a, &b, Loss::Quantile(0.5), &Options { intercept: true, ..Options::default() })?;
/// assert!(fit.converged() && (fit.coefficients[0] - 2.0).abs() < 1e-9 && (fit.intercept - 3.0).abs() < 1e-9);
/// # Ok::<(), samplewise_sensitivity::Error>(())
/// ```
///
/// # Errors
/// [`Error::Argument`], [`Error::Data`].
pub fn regress<'a>(a: impl Into<Rows<'a>>, b: &[f64], loss: Loss, options: &Options) -> Result<Regression, Error> {
    regress_observed(a, b, loss, options, &mut ())
}

/// [`regress`] with progress and cancellation; when stopped, the best coefficients by then.
///
/// The observer is asked at least every 50 ms of one core up to about 200 columns, beyond that after every 4,096 rows of each
/// thread. Exceptions are single products of the whole table with a vector, beyond about 100 million entries, passes over
/// sparse tables, and for columns that nearly depend on each other the sketch that preconditions them.
///
/// # Errors
/// As [`regress`]; [`Error::Interrupted`] when it was stopped before there were coefficients.
pub fn regress_observed<'a>(
    a: impl Into<Rows<'a>>,
    b: &[f64],
    loss: Loss,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Regression, Error> {
    let (start, a) = (Instant::now(), a.into());
    check(a, b, loss, options)?;
    let table = Table::new(a, b, loss, options)?;
    let mut fit = regress_table(table.rows(), table.target(), loss, options, observer)?;
    table.split(&mut fit.coefficients, &mut fit.intercept);
    fit.report.seconds = Seconds::since(start);
    Ok(fit)
}

fn regress_table(
    a: Rows<'_>,
    b: &[f64],
    loss: Loss,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Regression, Error> {
    let tolerance = options.tolerance;
    let (b, exponent) = moderate(b);
    let b = &b[..];
    let watch = &mut Watch::new(observer);
    let base = whiten_observed(a, None, watch)?;
    let design = Design::new(a, &base, watch)?;
    let solved = match loss.quantile() {
        Some(tau) if base.rank > 0 => {
            let how = (tolerance, options.preprocessing);
            quantile::solve_all((&design, &base, a), b, tau, how, watch)?
        }
        _ => solve(&design, b, None, loss, tolerance, watch)?,
    };
    let coefficients = representable(coefficients(&base.transform, &solved.x), exponent)?;
    let judged = Judged { a, b, loss, coefficients, design: Some(design), certify: true, tolerance };
    judge(judged, solved, a.rows(), base.rank, watch)?.multiply_target(exponent, loss)
}

/// A target whose powers are far from both ends of the range, and the exponent it was divided by.
fn moderate(b: &[f64]) -> (Cow<'_, [f64]>, i32) {
    let e = extreme_exponent_of(b);
    if e == 0 {
        return (b.into(), 0);
    }
    (b.iter().map(|b| ldexp(*b, -e)).collect::<Vec<f64>>().into(), e)
}

/// Samples about `size` rows by their importance for `[A b]`, minimises the weighted loss over them, and judges the
/// answer on all rows (row SEN-8).
///
/// # Errors
/// As [`regress`]; [`Error::Size`] unless `columns + 1 ≤ size ≤ rows`, the column of an intercept and rows with a weight
/// counted.
pub fn regress_on_coreset<'a>(
    a: impl Into<Rows<'a>>,
    b: &[f64],
    loss: Loss,
    size: usize,
    options: &CoresetOptions,
) -> Result<Regression, Error> {
    regress_on_coreset_observed(a, b, loss, size, options, &mut ())
}

/// [`regress_on_coreset`] with progress and cancellation: of the solver, whose answer is then the best so far, or of the
/// certificate. There is no lower bound then, and [`Regression::no_bound`] says why.
///
/// # Errors
/// As [`regress_on_coreset`].
pub fn regress_on_coreset_observed<'a>(
    a: impl Into<Rows<'a>>,
    b: &[f64],
    loss: Loss,
    size: usize,
    options: &CoresetOptions,
    observer: &mut dyn Observer,
) -> Result<Regression, Error> {
    let (start, a) = (Instant::now(), a.into());
    check(a, b, loss, &options.fit)?;
    let table = Table::new(a, b, loss, &options.fit)?;
    let mut fit = regress_sampled(table.rows(), table.target(), loss, size, options, observer)?;
    table.split(&mut fit.coefficients, &mut fit.intercept);
    fit.report.seconds = Seconds::since(start);
    Ok(fit)
}

fn regress_sampled(
    a: Rows<'_>,
    b: &[f64],
    loss: Loss,
    size: usize,
    options: &CoresetOptions,
    observer: &mut dyn Observer,
) -> Result<Regression, Error> {
    let tolerance = options.fit.tolerance;
    let (b, exponent) = moderate(b);
    let b = &b[..];
    let (n, d) = (a.rows(), a.columns());
    if size < d + 1 || size > n {
        return Err(Error::Size { size, least: d + 1, rows: n });
    }
    let (apart, dense);
    let joined = match a {
        Rows::View(a) => Rows::Joined(a, b),
        Rows::Sparse(a) => {
            apart = join(a, b)?;
            (&apart).into()
        }
        Rows::Joined(..) => {
            dense = a.copy_to_dense()?;
            Rows::Joined(dense.view(), b)
        }
    };
    let (p, watch) = (loss.exponent(), &mut Watch::new(observer));
    let ScreenedCoreset { coreset: sample, rows_scored } = screened_coreset_observed(joined, p, size, options, watch)?;
    if sample.rows.is_empty() {
        return Err(Error::NothingDrawn { size });
    }
    let target: Vec<f64> = sample.rows.iter().map(|&i| b[i]).collect();
    let chosen = a.select_rows(&sample.rows);
    let (solved, rank) = fit_rows(&chosen, &target, &sample.weights, loss, tolerance, watch)?;
    let coefficients = representable(solved.x.clone(), exponent)?;
    let certify = options.certify && solved.outcome != Outcome::Interrupted;
    let judged = Judged { a, b, loss, coefficients, design: None, certify, tolerance };
    let mut fit = judge(judged, solved, sample.rows.len(), rank, watch)?;
    fit.report.rows_scored = rows_scored;
    fit.multiply_target(exponent, loss)
}

/// `[A b]` of a sparse `A`.
pub(crate) fn join(a: CsrView<'_>, b: &[f64]) -> Result<CsrMatrix, LinalgError> {
    let d = a.columns();
    let (mut offsets, mut indices, mut values) = (vec![0], Vec::new(), Vec::new());
    for (i, &b) in b.iter().enumerate() {
        let (columns, entries) = a.row(i);
        indices.extend(columns);
        values.extend(entries);
        if b != 0.0 {
            indices.push(d as u32);
            values.push(b);
        }
        offsets.push(values.len());
    }
    CsrMatrix::from_parts(a.rows(), d + 1, offsets, indices, values)
}

/// Solves on weighted rows; coefficients are those of the columns.
pub(crate) fn fit_rows(
    rows: &Matrix,
    target: &[f64],
    weights: &[f64],
    loss: Loss,
    tolerance: f64,
    observer: &mut dyn Observer,
) -> Result<(Solved, usize), Error> {
    // In whitened coordinates every Gram matrix is well conditioned and the rank is full.
    let white = whiten_observed(rows, None, observer)?;
    let design = Design::whitened(rows.view().multiply_observed(&white.transform, observer)?);
    let mut solved = solve(&design, target, Some(weights), loss, tolerance, observer)?;
    solved.x = coefficients(&white.transform, &solved.x);
    Ok((solved, white.rank))
}

fn coefficients(transform: &Matrix, x: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; transform.rows()];
    transform.multiply_vector_into(x, &mut out);
    out
}

/// Coefficients of a target divided by `2^e`, as those of the target as given are after rounding: what is judged is what is
/// returned. An error where one is too large for a number.
fn representable(mut coefficients: Vec<f64>, e: i32) -> Result<Vec<f64>, Error> {
    for c in &mut coefficients {
        let given = ldexp(*c, e);
        if !given.is_finite() {
            let allowed = "one that a number can hold: scale its column or the target";
            return Err(Error::argument("coefficient", given, allowed));
        }
        *c = ldexp(given, -e);
    }
    Ok(coefficients)
}

fn check(a: Rows<'_>, b: &[f64], loss: Loss, options: &Options) -> Result<(), Error> {
    check_design(a, loss, options)?;
    if b.len() != a.rows() {
        return Err(LinalgError::Length { argument: "b", given: b.len(), expected: a.rows() }.into());
    }
    if let Some(row) = b.iter().position(|v| !v.is_finite()) {
        return Err(LinalgError::NotFinite { argument: "b", row, column: 0, value: b[row] }.into());
    }
    Ok(())
}

pub(crate) fn check_design(a: Rows<'_>, loss: Loss, options: &Options) -> Result<(), Error> {
    if a.rows() == 0 || a.columns() == 0 {
        return Err(LinalgError::Empty { argument: "a" }.into());
    }
    match loss {
        Loss::Lp(p) => check_exponent(p)?,
        Loss::Quantile(tau) => {
            if !(tau > 0.0 && tau < 1.0) {
                return Err(Error::argument("quantile", tau, "above 0 and below 1"));
            }
        }
    }
    check_ranges(options, &FIT)?;
    Ok(())
}

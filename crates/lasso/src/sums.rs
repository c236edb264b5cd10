//! Fits from sums over the rows: what one pass over a table of any size leaves behind (row LAS-8).
//!
//! The objective depends on the rows by the products of the columns only. A table of as many rows as columns that has the same
//! products therefore has the same fits, and everything that solves and proves a fit of a table serves here too.
use std::time::Instant;

use samplewise_linalg::gram::{MomentTotals, Moments};
use samplewise_linalg::observe::{Observer, Progress, Watch};
use samplewise_linalg::twofold::KEPT_BITS;
use samplewise_linalg::{Ending, LinalgError, Matrix, NoBound, Seconds, Summary, sums};

use crate::answer::{Solution, Status};
use crate::calls::{lambda_grid_observed, path_observed};
use crate::cross_validate::{CrossValidation, CrossValidationReport, CrossValidationRoute, averages};
use crate::options::{Grid, Options};
use crate::{Design, Error};

/// Rounding of a sum in units of the norms of its columns, with that of the means that are taken from it.
const ROUNDING: f64 = 8.0 / (1_u64 << KEPT_BITS) as f64;

/// A table with the products of many rows.
struct Stand {
    design: Design,
    y: Vec<f64>,
    means: Vec<f64>,
    target_mean: f64,
    weight: f64,
    /// Norms of the columns and of the target as they were summed: rounding is in their units.
    norms: Vec<f64>,
    target_norm: f64,
    /// What the norms of the columns less their means are at most.
    spreads: Vec<f64>,
    /// Columns whose spread rounding does not tell from none: they take no part.
    flat: Vec<bool>,
}

/// Checks what sums cannot answer.
fn check(columns: usize, target: usize, options: &Options) -> Result<(), Error> {
    if target >= columns {
        return Err(LinalgError::IndexOutOfRange { argument: "target", index: target, bound: columns }.into());
    }
    if columns < 2 {
        return Err(Error::Empty { rows: columns, columns: columns - 1 });
    }
    if options.sample_weights.is_some() {
        return Err(Error::Unsupported { option: "sample_weights", allowed: "rows; sums have the weights in them" });
    }
    if options.penalty_factors.as_ref().is_some_and(|f| f.contains(&0.0)) {
        return Err(Error::Unsupported { option: "penalty_factors", allowed: "above 0 for fits from sums" });
    }
    Ok(())
}

impl Stand {
    fn new(totals: &MomentTotals, target: usize, intercept: bool) -> Result<Self, Error> {
        let d = totals.sums.len();
        if totals.rows == 0 || totals.weight <= 0.0 {
            return Err(Error::Empty { rows: 0, columns: d - 1 });
        }
        let means = if intercept { totals.means() } else { vec![0.0; d] };
        let mut products = if intercept { totals.centred() } else { totals.about(&means)? };
        let order: Vec<usize> = (0..d).filter(|&j| j != target).chain([target]).collect();
        // Sums are rounded in units of the squares about the origin, or about zero where those are larger and asked for.
        let squares: Vec<f64> = (0..d).map(|j| totals.products[(j, j)].max(products[(j, j)])).collect();
        let before = |j: usize| squares[j];
        let spread = |j: usize, products: &Matrix| (products[(j, j)].max(0.0) + ROUNDING * before(j)).sqrt();
        let spreads = order[..d - 1].iter().map(|&j| spread(j, &products)).collect();
        let is_flat: Vec<bool> = (0..d).map(|j| products[(j, j)] <= ROUNDING * before(j)).collect();
        for j in 0..d {
            if is_flat[j] {
                for k in 0..d {
                    products[(j, k)] = 0.0;
                    products[(k, j)] = 0.0;
                }
            }
        }
        let products = Matrix::from_fn(d, d, |i, j| products[(order[i], order[j])]);
        let rows = root(&products);
        let count = rows.rows().max(1);
        // One over twice the number of rows is in the objective; the sums are divided by the weight instead.
        let factor = (count as f64 / totals.weight).sqrt();
        let values = (0..d - 1).flat_map(|j| (0..count).map(move |i| (i, j)));
        let entry = |i: usize, j: usize| if i < rows.rows() { factor * rows[(i, j)] } else { 0.0 };
        let norm = |j: usize| before(order[j]).sqrt();
        Ok(Self {
            design: Design::dense_columns(values.map(|(i, j)| entry(i, j)).collect(), count, d - 1)?,
            y: (0..count).map(|i| entry(i, d - 1)).collect(),
            means: order[..d - 1].iter().map(|&j| means[j]).collect(),
            target_mean: means[target],
            weight: totals.weight,
            norms: (0..d - 1).map(norm).collect(),
            target_norm: norm(d - 1),
            spreads,
            flat: order[..d - 1].iter().map(|&j| is_flat[j]).collect(),
        })
    }

    /// A fit of the table as one of the rows: with its intercept, and with a bound that rounding of the sums cannot break.
    fn of_the_rows(&self, mut fit: Solution, options: &Options) -> Solution {
        fit.intercept = self.target_mean - fit.coefficients.iter().map(|&(j, w)| w * self.means[j]).sum::<f64>();
        let size = self.target_norm + fit.coefficients.iter().map(|&(j, w)| w.abs() * self.norms[j]).sum::<f64>();
        // Rounding, and what the factor leaves of a column below it.
        let unit = ROUNDING + (self.norms.len() + 1) as f64 * 2_f64.powi(-KEPT_BITS);
        let mut residual = self.y.clone();
        let fitted = self.design.products(&fit.coefficients, 0.0);
        residual.iter_mut().zip(&fitted).for_each(|(r, f)| *r -= f);
        let loss = sums::dot(&residual, &residual) / (2.0 * residual.len() as f64);
        // A correlation is off by so much of its limit at most; of a column that takes no part it is all of it. The dual point shrinks until it is allowed all the same, and its
        // value with it by the product of residual and fit, which at the optimum is the penalty, twice for its square part.
        let factors = options.penalty_factors.as_deref();
        let off = |j: usize| {
            let correlation = if self.flat[j] {
                self.spreads[j] * (2.0 * loss * self.weight + unit * size * size).sqrt()
            } else {
                unit * self.norms[j] * size
            };
            let deviation = if options.standardize { self.spreads[j] / self.weight.sqrt() } else { 1.0 };
            let limit = fit.lambda * options.mix * factors.map_or(1.0, |f| f[j]) * deviation;
            if correlation > 0.0 { correlation / self.weight / limit } else { 0.0 }
        };
        let off = (0..self.norms.len()).map(off).fold(0.0, f64::max);
        let moved = 2.0 * (fit.objective - loss).max(0.0) + fit.gap();
        // The intercept as a double, beside means that are far from zero.
        let parts = fit.coefficients.iter().map(|&(j, w)| (w * self.means[j]).abs()).sum::<f64>();
        let shift = 4.0 * f64::EPSILON * (self.target_mean.abs() + parts);
        // Once for the objective and once for the bound.
        let slack = 2.0 * unit * size * size / self.weight + shift * shift + off * (2.0 * moved + off * fit.objective);
        let tolerance = options.tolerance * fit.report.null_objective;
        if let Some(bound) = fit.lower_bound {
            let bound = bound - slack;
            if bound.is_finite() {
                fit.lower_bound = Some(bound);
            } else {
                (fit.lower_bound, fit.no_bound) = (None, Some(NoBound::Failed { objective: fit.objective, bound }));
            }
        }
        if fit.status == Status::Converged && fit.gap() > tolerance {
            fit.status = Status::NotConverged;
            fit.report.ending = Ending::Limit;
        }
        fit
    }
}

/// Rows whose products are a positive semidefinite matrix, by a Cholesky factor whose largest pivot comes next; what is left of a
/// column below the rounding of sums is nothing.
fn root(products: &Matrix) -> Matrix {
    let d = products.rows();
    let scale: Vec<f64> = (0..d).map(|j| products[(j, j)].max(0.0).sqrt()).collect();
    let inverse: Vec<f64> = scale.iter().map(|s| if *s > 0.0 { 1.0 / s } else { 0.0 }).collect();
    let mut left: Vec<f64> = scale.iter().map(|s| f64::from(u8::from(*s > 0.0))).collect();
    let mut rows: Vec<Vec<f64>> = Vec::new();
    let least = d as f64 * 2_f64.powi(-KEPT_BITS);
    while let Some(pivot) = (0..d).filter(|&j| left[j] > least).max_by(|&a, &b| left[a].total_cmp(&left[b])) {
        let diagonal = left[pivot].sqrt();
        let row: Vec<f64> = (0..d)
            .map(|j| {
                if left[j] <= 0.0 {
                    return 0.0;
                }
                let known: f64 = rows.iter().map(|r| r[pivot] * r[j]).sum();
                (products[(pivot, j)] * inverse[pivot] * inverse[j] - known) / diagonal
            })
            .collect();
        for (left, r) in left.iter_mut().zip(&row) {
            *left -= r * r;
        }
        // A column that was a pivot has nothing left; its entries in later rows are zero.
        left[pivot] = 0.0;
        rows.push(row);
    }
    Matrix::from_fn(rows.len(), d, |i, j| rows[i][j] * scale[j])
}

/// The values of λ of a grid for sums of rows; `target` is the column that is fitted by all others.
///
/// # Errors
/// As [`path_of_moments`].
pub fn lambda_grid_of_moments(
    totals: &MomentTotals,
    target: usize,
    grid: &Grid,
    options: &Options,
) -> Result<Vec<f64>, Error> {
    check(totals.sums.len(), target, options)?;
    let stand = Stand::new(totals, target, options.intercept)?;
    lambda_grid_observed(&stand.design, &stand.y, grid, &of_stand(options), &mut ())
}

fn of_stand(options: &Options) -> Options {
    Options { intercept: false, ..options.clone() }
}

/// [`path`](crate::path()) for sums of rows: `target` is the column that is fitted by all others, and coefficients are those of the
/// others in their order. The weights of the rows are in the sums.
///
/// The fits are those of the rows up to the rounding of the sums, `2⁻⁴⁶` of the products of norms, which the lower bounds
/// allow for: give sums about the means where columns are far from zero ([`Moments::about`]). Cost `d³` once and that of a path
/// over a table of `d` rows.
///
/// Row LAS-8 of `paper-refs.md`.
///
/// ```
/// use samplewise_lasso::{Grid, Options, path_of_moments};
/// use samplewise_linalg::gram::Moments;
/// use samplewise_linalg::{Matrix, Summary};
/// // Two features, and a target that is twice the first, in rows that never are in one place.
/// let mut sums = Moments::new(3)?;
/// for block in 0..10 {
///     let rows = Matrix::from_fn(100, 3, |i, j| {
///         let (a, b) = (((block * 100 + i) % 17) as f64, ((block * 100 + i) % 23) as f64);
///         [a, b, 2.0 * a + 1.0][j]
///     });
///     sums.update((rows.view(), None))?;
/// }
/// let fits = path_of_moments(&sums.finish()?, 2, &Grid::Values(vec![1e-6]), &Options::default())?;
/// assert!((fits[0].coefficient(0) - 2.0).abs() < 1e-6 && (fits[0].intercept - 1.0).abs() < 1e-5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::Data`] for a target that is no column, [`Error::Empty`] without rows or features, [`Error::Unsupported`] for sample
/// weights and factors of zero, and as [`path`](crate::path()).
pub fn path_of_moments(
    totals: &MomentTotals,
    target: usize,
    grid: &Grid,
    options: &Options,
) -> Result<Vec<Solution>, Error> {
    path_of_moments_observed(totals, target, grid, options, &mut ())
}

/// [`path_of_moments`] with progress and cancellation, as [`path_observed`].
///
/// # Errors
/// As [`path_of_moments`].
pub fn path_of_moments_observed(
    totals: &MomentTotals,
    target: usize,
    grid: &Grid,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Vec<Solution>, Error> {
    check(totals.sums.len(), target, options)?;
    let stand = Stand::new(totals, target, options.intercept)?;
    let fits = path_observed(&stand.design, &stand.y, grid, &of_stand(options), observer)?;
    Ok(fits.into_iter().map(|fit| stand.of_the_rows(fit, options)).collect())
}

/// [`cross_validate`](crate::cross_validate()) for sums of the rows of each fold: each is held out once.
///
/// # Errors
/// As [`path_of_moments`]; [`Error::Argument`] for less than two folds, [`Error::Data`] for folds of different columns.
pub fn cross_validate_moments(
    folds: &[Moments],
    target: usize,
    grid: &Grid,
    options: &Options,
) -> Result<CrossValidation, Error> {
    cross_validate_moments_observed(folds, target, grid, options, &mut ())
}

/// [`cross_validate_moments`] with progress and cancellation.
///
/// # Errors
/// As [`cross_validate_moments`]; an interrupted run is [`Error::Interrupted`] only when no fold was finished.
pub fn cross_validate_moments_observed(
    folds: &[Moments],
    target: usize,
    grid: &Grid,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<CrossValidation, Error> {
    let start = Instant::now();
    if folds.len() < 2 {
        return Err(Error::count("folds", folds.len(), "at least 2"));
    }
    check(folds[0].columns(), target, options)?;
    let watch = &mut Watch::new(observer);
    let without = |left_out: Option<usize>| -> Result<MomentTotals, Error> {
        let mut parts = folds.iter().enumerate().filter(|(k, _)| Some(*k) != left_out).map(|(_, m)| m.clone());
        let mut all = parts.next().ok_or(Error::Interrupted)?;
        for part in parts {
            all.merge(part)?;
        }
        Ok(all.finish()?)
    };
    let all = without(None)?;
    let grid = Grid::Values(lambda_grid_of_moments(&all, target, grid, options)?);
    let (mut errors, mut stopped) = (Vec::new(), false);
    for (k, held_out) in folds.iter().enumerate() {
        let held_out = HeldOut::new(&held_out.clone().finish()?);
        // A fold without weight says nothing.
        if held_out.weight > 0.0 {
            let fits = path_of_moments_observed(&without(Some(k))?, target, &grid, options, watch);
            match fits {
                Ok(fits) if fits.last().is_some_and(|f| f.report.ending != Ending::Interrupted) => {
                    errors.push(fits.iter().map(|fit| held_out.squared_error(target, fit)).collect());
                }
                Ok(_) | Err(Error::Interrupted) => stopped = true,
                Err(e) => return Err(e),
            }
        }
        let progress = Progress { stage: "folds", step: k + 1, total: Some(folds.len()), value: None };
        if stopped || (watch.stops(progress) && k + 1 < folds.len()) {
            stopped = true;
            break;
        }
    }
    if errors.is_empty() {
        return Err(Error::Interrupted);
    }
    // What was found must not be lost to an observer that has asked to stop.
    let mut path = if stopped {
        path_of_moments(&all, target, &grid, options)?
    } else {
        path_of_moments_observed(&all, target, &grid, options, watch)?
    };
    stopped |= path.last().is_some_and(|f| f.report.ending == Ending::Interrupted);
    let (mean_squared_error, standard_error) = averages(&errors);
    let best = (0..path.len())
        .min_by(|&a, &b| mean_squared_error[a].total_cmp(&mean_squared_error[b]))
        .ok_or(Error::Interrupted)?;
    let seconds = Seconds::since(start);
    path.iter_mut().for_each(|fit| fit.report.seconds = seconds);
    let Grid::Values(lambdas) = grid else { return Err(Error::Interrupted) };
    Ok(CrossValidation {
        lambdas,
        mean_squared_error,
        standard_error,
        best,
        path,
        report: CrossValidationReport {
            ending: if stopped { Ending::Interrupted } else { Ending::Finished },
            route: CrossValidationRoute::Moments,
            folds: errors.len(),
            seconds,
        },
    })
}

/// Sums of the rows of a fold.
struct HeldOut {
    products: Matrix,
    means: Vec<f64>,
    weight: f64,
}

impl HeldOut {
    fn new(totals: &MomentTotals) -> Self {
        Self { products: totals.centred(), means: totals.means(), weight: totals.weight }
    }

    /// Mean squared error of a fit on these rows.
    fn squared_error(&self, target: usize, fit: &Solution) -> f64 {
        let column = |j: usize| if j < target { j } else { j + 1 };
        let terms: Vec<(usize, f64)> =
            fit.coefficients.iter().map(|&(j, w)| (column(j), -w)).chain([(target, 1.0)]).collect();
        let row = |i: usize| terms.iter().map(|&(j, b)| b * self.products[(i, j)]).sum::<f64>();
        let spread: f64 = terms.iter().map(|&(i, a)| a * row(i)).sum();
        let mean = terms.iter().map(|&(j, a)| a * self.means[j]).sum::<f64>() - fit.intercept;
        spread.max(0.0) / self.weight + mean * mean
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CrossValidationOptions, Folds, cross_validate, path};
    use samplewise_linalg::random::{Streams, normal};

    /// Columns far from zero and of different sizes, one twice, one constant; the target last.
    fn table(n: usize) -> Matrix {
        let mut rng = Streams::new(5).stream(0);
        let mut x = Matrix::from_fn(n, 9, |_, j| 10_f64.powi(j as i32 % 4 - 2) * (3.0 + normal(&mut rng)));
        for i in 0..n {
            let row = x.row_mut(i);
            row[6] = row[1];
            row[7] = 4.0;
            row[8] = 2.0 * row[0] - 0.5 * row[3] + row[5] + 0.3 * normal(&mut rng) + 7.0;
        }
        x
    }

    fn design(x: &Matrix) -> (Design, Vec<f64>) {
        let d = x.columns() - 1;
        let features = Matrix::from_fn(x.rows(), d, |i, j| x[(i, j)]);
        (Design::dense(&features).unwrap(), x.copy_column(d))
    }

    /// About values near the means, as one would guess them from a few rows.
    fn sums(x: &Matrix, weights: Option<&[f64]>) -> Moments {
        let origin = [0.03, 0.3, 3.0, 30.0, 0.03, 0.3, 0.3, 4.0, -7.6];
        let mut out = Moments::about(&origin[..x.columns()]).unwrap();
        out.update((x.view(), weights)).unwrap();
        out
    }

    /// LAS-8: fits from sums are those of the rows: with weights, standardised, with signs, as an elastic net, without an
    /// intercept; the bounds are below the least objective that either way finds.
    #[test]
    fn fits_from_sums_are_those_of_the_rows() {
        let x = table(600);
        let (design, y) = design(&x);
        let weights: Vec<f64> = (0..600).map(|i| f64::from(i % 4)).collect();
        let plain = Options::default();
        for options in [
            plain.clone(),
            Options { intercept: false, ..plain.clone() },
            Options { standardize: true, ..plain.clone() },
            Options { positive: true, ..plain.clone() },
            Options { mix: 0.5, ..plain.clone() },
            Options { penalty_factors: Some((1..9).map(f64::from).collect()), ..plain.clone() },
            Options { sample_weights: Some(weights.clone()), ..plain.clone() },
        ] {
            let grid = Grid::Geometric { count: 20, min_ratio: 1e-3 };
            let of_rows = path(&design, &y, &grid, &options).unwrap();
            let without = Options { sample_weights: None, ..options.clone() };
            let totals = sums(&x, options.sample_weights.as_deref()).finish().unwrap();
            let of_sums = path_of_moments(&totals, 8, &grid, &without).unwrap();
            assert_eq!(of_rows.len(), of_sums.len());
            for (a, b) in of_rows.iter().zip(&of_sums) {
                let null = a.report.null_objective;
                assert!((a.lambda / b.lambda - 1.0).abs() < 1e-10);
                assert!((a.objective - b.objective).abs() < 2e-8 * null, "{} {}", a.objective, b.objective);
                assert!(b.converged(), "{b:?} of {options:?}");
                assert!(b.lower_bound.unwrap() <= a.objective.min(b.objective), "{b:?} of {options:?}");
                let difference: Vec<f64> = a.to_dense().iter().zip(b.to_dense()).map(|(a, b)| a - b).collect();
                // In units of the spread of the columns; the column that is there twice may be split in any way.
                let near = |j: usize, by: f64| (by * 10_f64.powi(j as i32 % 4 - 2)).abs() < 2e-3;
                assert!(near(1, difference[1] + difference[6]), "{difference:?}");
                assert!([0, 2, 3, 4, 5, 7].iter().all(|&j| near(j, difference[j])), "{difference:?}");
                assert!((a.intercept - b.intercept).abs() < 1e-2);
            }
        }
    }

    /// LAS-8: errors of folds from their sums are those of their rows.
    #[test]
    fn folds_of_sums_have_the_errors_of_their_rows() {
        let x = table(500);
        let (design, y) = design(&x);
        let rows: Vec<Vec<usize>> = (0..5).map(|k| (0..500).filter(|i| i % 5 == k).collect()).collect();
        let folds: Vec<Moments> = rows.iter().map(|r| sums(&x.select_rows(r), None)).collect();
        let options = CrossValidationOptions { folds: Folds::Given(rows), ..CrossValidationOptions::default() };
        let of_rows = cross_validate(&design, &y, &options).unwrap();
        let of_sums = cross_validate_moments(&folds, 8, &options.grid, &options.fit).unwrap();
        assert!(of_rows.converged() && of_sums.converged());
        for k in 0..of_rows.lambdas.len() {
            let (a, b) = (of_rows.mean_squared_error[k], of_sums.mean_squared_error[k]);
            assert!((a - b).abs() < 1e-6 * a, "{a} {b}");
            assert!((of_rows.standard_error[k] - of_sums.standard_error[k]).abs() < 1e-5 * a);
        }
    }

    /// LAS-8: a column whose spread rounding hides takes no part, and nothing is claimed as if it had none.
    #[test]
    fn a_spread_that_rounding_hides_is_not_taken_for_none() {
        let mut rng = Streams::new(6).stream(0);
        let spread: Vec<f64> = (0..300).map(|_| normal(&mut rng)).collect();
        // The target is the spread of the first column, which is far from zero; the second is constant.
        let x = Matrix::from_fn(300, 3, |i, j| [1e8 + spread[i], 4.0, 50.0 * spread[i]][j]);
        for standardize in [false, true] {
            let options = Options { standardize, ..Options::default() };
            let grid = Grid::Values(vec![1.0]);
            let fit = |origin: &[f64]| {
                let mut sums = Moments::about(origin).unwrap();
                sums.update((x.view(), None)).unwrap();
                path_of_moments(&sums.finish().unwrap(), 2, &grid, &options).unwrap().remove(0)
            };
            let hidden = fit(&[0.0, 0.0, 0.0]);
            let seen = fit(&[1e8, 4.0, 0.0]);
            assert!(seen.converged() && seen.coefficient(0) > 40.0, "{seen:?}");
            assert!(!hidden.converged() && hidden.lower_bound.is_none_or(|b| b <= seen.objective), "{hidden:?}");
        }
    }

    /// LAS-8: rounding of the sums is in the bound: columns far from zero say that they do not know, and about their means they
    /// do.
    #[test]
    fn what_rounding_took_is_not_claimed() {
        let mut x = table(400);
        (0..400).for_each(|i| x.row_mut(i)[..6].iter_mut().for_each(|v| *v += 1e6));
        let grid = Grid::Values(vec![1e-3]);
        let options = Options::default();
        let (design, y) = design(&x);
        let truth = path(&design, &y, &grid, &options).unwrap().remove(0);
        let far = path_of_moments(&sums(&x, None).finish().unwrap(), 8, &grid, &options).unwrap().remove(0);
        assert!(!far.converged() && far.lower_bound.is_none_or(|b| b <= truth.objective));
        let mut near = Moments::about(&sums(&x, None).finish().unwrap().means()).unwrap();
        near.update((x.view(), None)).unwrap();
        let near = path_of_moments(&near.finish().unwrap(), 8, &grid, &options).unwrap().remove(0);
        assert!(near.converged() && (near.objective - truth.objective).abs() < 2e-8 * truth.report.null_objective);
    }

    #[test]
    fn what_sums_cannot_answer_is_an_error() {
        let totals = sums(&table(50), None).finish().unwrap();
        let (grid, options) = (Grid::default(), Options::default());
        let fails = |target, options: &Options| path_of_moments(&totals, target, &grid, options).unwrap_err();
        assert!(matches!(fails(9, &options), Error::Data(_)));
        let weights = Options { sample_weights: Some(vec![1.0; 50]), ..options.clone() };
        assert!(matches!(fails(8, &weights), Error::Unsupported { option: "sample_weights", .. }));
        let free = Options { penalty_factors: Some(vec![0.0; 8]), ..options.clone() };
        assert!(matches!(fails(8, &free), Error::Unsupported { option: "penalty_factors", .. }));
        let empty = Moments::new(3).unwrap().finish().unwrap();
        assert!(matches!(path_of_moments(&empty, 0, &grid, &options), Err(Error::Empty { .. })));
        let one = Moments::new(1).unwrap().finish().unwrap();
        assert!(path_of_moments(&one, 0, &grid, &options).is_err());
        assert!(cross_validate_moments(&[Moments::new(3).unwrap()], 0, &grid, &options).is_err());
        // A constant target, and all rows zero.
        let flat = sums(&Matrix::from_fn(9, 2, |i, j| if j == 0 { i as f64 } else { 5.0 }), None).finish().unwrap();
        let fit = path_of_moments(&flat, 1, &Grid::Values(vec![0.1]), &options).unwrap().remove(0);
        assert!(fit.coefficients.is_empty() && (fit.intercept - 5.0).abs() < 1e-12);
        let zero = sums(&Matrix::zeros(4, 3), None).finish().unwrap();
        assert!(path_of_moments(&zero, 1, &Grid::Values(vec![0.1]), &options).unwrap()[0].coefficients.is_empty());
    }
}

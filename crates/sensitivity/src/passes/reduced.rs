//! The problem that is left to the driver: the rows near the fit, and the others as a linear term.
use samplewise_linalg::factor::Cholesky;
use samplewise_linalg::observe::{Observer, Progress, Watch};
use samplewise_linalg::{LinalgError, Matrix, Summary};

use super::band::Sums;
use super::kept::Kept;
use super::question::{Band, Fit};
use crate::Error;
use crate::design::Design;
use crate::solve::edge::{self, End, Vertex};
use crate::solve::interior_point::{self, Start};

/// Rows between two looks at the observer.
pub(super) const LOOK: usize = 1_024;

/// Rows in coordinates in which the columns are orthonormal, and their targets.
pub(super) fn whitened(band: &Band, rows: &Kept, watch: &mut Watch<'_>) -> Result<(Matrix, Vec<f64>), Error> {
    let (d, r) = (band.origin.len(), band.transform.columns());
    let mut z = Matrix::zeros(rows.len(), band.rank());
    let mut target = Vec::with_capacity(rows.len());
    for i in 0..rows.len() {
        let progress = || Progress { stage: "coordinates", step: i, total: Some(rows.len()), value: None };
        if i.is_multiple_of(LOOK) && watch.ticks(progress) {
            return Err(Error::Interrupted);
        }
        let row = rows.row(i);
        let out = z.row_mut(i);
        for (j, (v, o)) in row[..d].iter().zip(&band.origin).enumerate() {
            let x = v - o;
            for (z, t) in out[..r].iter_mut().zip(band.transform.row(j)) {
                *z += x * t;
            }
        }
        out[r..].fill(band.constant);
        target.push(row[d]);
    }
    Ok((z, target))
}

/// `Tᵀ` of sums over features and ones.
pub(super) fn whiten_sums(band: &Band, columns: &[f64]) -> Vec<f64> {
    let d = band.origin.len();
    let mut out = vec![0.0; band.transform.columns()];
    band.transform.multiply_transpose_vector_into(&columns[..d], &mut out);
    if band.constant > 0.0 {
        out.push(band.constant * columns[d]);
    }
    out
}

/// Coefficients of the features less their origin, from whitened ones.
pub(super) fn fit_of(band: &Band, x: &[f64]) -> Fit {
    let r = band.transform.columns();
    let mut slopes = vec![0.0; band.origin.len()];
    band.transform.multiply_vector_into(&x[..r], &mut slopes);
    Fit { slopes, level: x.get(r).map_or(0.0, |v| v * band.constant) }
}

/// Multiplier of a decided row: the limit of its side, by the arithmetic of the pass.
pub(super) fn limit(band: &Band, row: &[f64]) -> f64 {
    let d = band.origin.len();
    let Some(fit) = &band.sides_at else { return 0.0 };
    let sum =
        row[..d].iter().zip(&band.origin).zip(&fit.slopes).fold(fit.level, |sum, ((v, o), c)| (v - o).mul_add(*c, sum));
    if row[d] - sum > 0.0 { band.tau } else { band.tau - 1.0 }
}

/// What a solver of open rows came to.
pub(super) enum Solved {
    /// The optimal vertex of the problem.
    Vertex(Vertex),
    /// The problem has no minimum, or rounding hid it: more rows have to be open.
    Open,
}

/// Minimises over the open rows with the others as a linear term, in whitened coordinates.
pub(super) fn solve(
    (z, target, weights): (&Matrix, &[f64], Option<&[f64]>),
    linear: &[f64],
    tau: f64,
    start: Option<&[f64]>,
    observer: &mut dyn Observer,
) -> Result<Solved, Error> {
    /// Gap to which the interior point method comes: the descent along edges ends exactly.
    const NEAR: f64 = 1e-7;
    let watch = &mut Watch::new(observer);
    if z.rows() < z.columns() {
        return Ok(Solved::Open);
    }
    let begin = Start { x: start, dual: None, linear: Some((linear, 0.0)) };
    let near = match interior_point::solve_from(z, target, weights, tau, NEAR, &begin, watch) {
        Ok(found) if found.interrupted => return Err(Error::Interrupted),
        Ok(found) if found.converged => found.x,
        Err(LinalgError::Interrupted) => return Err(Error::Interrupted),
        _ => start.map_or_else(|| vec![0.0; z.columns()], <[f64]>::to_vec),
    };
    let design = Design::whitened(z.clone());
    match edge::finish(&design, target, weights, tau, &near, Some(linear), watch) {
        Err(LinalgError::Interrupted) => Err(Error::Interrupted),
        Err(other) => Err(other.into()),
        Ok(Some(vertex)) if vertex.end == End::Interrupted => Err(Error::Interrupted),
        Ok(Some(vertex)) => Ok(Solved::Vertex(vertex)),
        Ok(None) => Ok(Solved::Open),
    }
}

/// `Σ u x` and `Σ u` over the decided rows, as the pass rounds them, less those of rows that were put back.
pub(super) fn decided_columns(band: &Band, sums: &Sums, back: &Kept) -> Vec<f64> {
    let d = band.origin.len();
    let mut out: Vec<f64> = (0..=d).map(|j| sums.column(j, band)).collect();
    for i in 0..back.len() {
        let (row, u) = (back.row(i), limit(band, back.row(i)));
        for ((out, v), o) in out.iter_mut().zip(&row[..d]).zip(&band.origin) {
            *out -= u * (v - o);
        }
        out[d] -= u;
    }
    out
}

/// Multipliers of tied rows, as a cut linear function of their features, that come nearer to balancing all others: a step of
/// Newton's method. `None` when too few of them are not cut.
pub(super) fn balance(band: &Band, before: &Fit, sums: &Sums) -> Option<Fit> {
    let totals = sums.tied.clone()?.finish().ok()?;
    let d = band.origin.len();
    let missing: Vec<f64> = (0..=d).map(|j| -sums.column(j, band)).collect();
    let mut target = whiten_sums(band, &missing);
    // The Gram matrix of the tied rows in whitened coordinates.
    let (t, r) = (&band.transform, band.rank());
    let inner = t.transpose().multiply(&totals.products.multiply(t).ok()?).ok()?;
    let mut along = vec![0.0; t.columns()];
    t.multiply_transpose_vector_into(&totals.sums, &mut along);
    let gram = Matrix::from_fn(r, r, |a, b| match (a.min(b), a.max(b)) {
        (i, j) if j < t.columns() => 0.5 * (inner[(i, j)] + inner[(j, i)]),
        (i, _) if i < t.columns() => band.constant * along[i],
        _ => band.constant * band.constant * totals.weight,
    });
    let trace: f64 = (0..r).map(|j| gram[(j, j)]).sum();
    let gram = Matrix::from_fn(r, r, |i, j| gram[(i, j)] + if i == j { 1e-14 * trace } else { 0.0 });
    Cholesky::new(&gram, 0.0).ok()?.solve_in_place(&mut target);
    let step = fit_of(band, &target);
    let slopes = before.slopes.iter().zip(&step.slopes).map(|(a, b)| a + b).collect();
    let fit = Fit { slopes, level: before.level + step.level };
    let finite = fit.slopes.iter().chain([&fit.level]).all(|v| v.is_finite());
    finite.then_some(fit)
}

/// The least number within which as much weight lies as is wanted; the largest number there is where there is less.
pub(super) fn band_of(mut ratios: Vec<(f64, f64)>, wanted: f64) -> f64 {
    ratios.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut sum = 0.0;
    for (ratio, weight) in ratios {
        sum += weight;
        if sum >= wanted {
            return ratio;
        }
    }
    f64::MAX
}

//! What may be claimed of the fit of a verified pass: no coefficients have a smaller loss than the bound; and which are as good.
use samplewise_linalg::observe::{Progress, Watch};
use samplewise_linalg::sums;
use samplewise_linalg::twofold::{KEPT_BITS, Twofold};

use super::band::{DECIDED, DECIDED_SIZE, LOSS, ROUNDING, Sums};
use super::kept::Kept;
use super::question::Band;
use super::reduced::{LOOK, limit, whiten_sums, whitened};
use crate::Error;
use crate::solve::edge::invert;

/// What is judged: the vertex of the open rows, and what the pass said of all others.
pub(super) struct Judged<'a> {
    pub band: &'a Band,
    pub sums: &'a Sums,
    /// Open rows with their multipliers, those put back among them.
    pub rows: &'a Kept,
    pub dual: &'a [f64],
    /// Rows that the pass counts as decided although they were put back.
    pub back: &'a Kept,
}

/// What [`crate::Regression`] says of it, for the quantile loss.
#[derive(Clone, Copy, Debug)]
pub(super) struct Verdict {
    pub objective: f64,
    pub bound: f64,
    /// What rounding of the residuals can do to the objective.
    pub rounding: f64,
}

/// Loss and lower bound (row SEN-33): for `u` within its limits, `Σ ρ(b − Ax') ≥ Σ u (b − Ax') = Σ u r − (Aᵀu)ᵀ(x' − x)`.
pub(super) fn judge(j: &Judged<'_>, watch: &mut Watch<'_>) -> Result<Verdict, Error> {
    let Judged { band, sums: s, rows, dual, back } = *j;
    let (d, tau) = (band.origin.len(), band.tau);
    let objective = s.scalar(LOSS);
    let rounding = s.scalar(ROUNDING);
    // Everything by the multipliers of the open rows, in twice the precision.
    let mut columns = Twofold::zeros(d + 1);
    for k in 0..=d {
        columns.add(k, s.column(k, band));
    }
    let mut value = Twofold::zeros(1);
    value.add(0, s.scalar(DECIDED));
    let mut add = |row: &[f64], u: f64| {
        let fit = &band.judged_at;
        let x = |k: usize| row[k] - band.origin[k];
        let fitted = (0..d).fold(fit.level, |sum, k| x(k).mul_add(fit.slopes[k], sum));
        value.add_product(0, u, row[d] - fitted);
        (0..d).for_each(|k| columns.add_product(k, u, x(k)));
        columns.add(d, u);
    };
    let mut worst = 1.0_f64;
    for (i, &u) in dual.iter().enumerate() {
        let progress = || Progress { stage: "certificate", step: i, total: Some(dual.len()), value: Some(objective) };
        if i.is_multiple_of(LOOK) && watch.ticks(progress) {
            return Err(Error::Interrupted);
        }
        worst = worst.max(u / tau).max(-u / (1.0 - tau));
        add(rows.row(i), u);
    }
    (0..back.len()).for_each(|i| add(back.row(i), -limit(band, back.row(i))));
    let leak = whiten_sums(band, &(0..=d).map(|k| columns.value(k)).collect::<Vec<_>>());
    // The sums of the decided rows are known to half a step of their grid, which is a share of the next power of two.
    let grid: Vec<f64> = (0..=d).map(|k| 2_f64.powi(-KEPT_BITS) * s.magnitude(k, band)).collect();
    let unseen: f64 = (0..band.transform.columns())
        .map(|k| (0..d).map(|j| band.transform[(j, k)].abs() * grid[j]).sum::<f64>())
        .chain([band.constant * grid[d]])
        .map(|v| v * v)
        .sum::<f64>()
        .sqrt();
    // A better x has ‖A(x − x₀)‖₁ ≤ 2·loss/min(τ, 1 − τ), and no entry of a vector of the column space is above the root of the
    // largest leverage times its norm.
    let reach = 2.0 * objective / tau.min(1.0 - tau) * (1.01 * s.leverage).sqrt().min(1.0);
    let grid_of_value = 2.0 * 2_f64.powi(-KEPT_BITS) * s.scalar(DECIDED_SIZE);
    let bound = value.value(0) - rounding - grid_of_value - (2.0 * sums::norm(&leak) + 1.02 * unseen) * reach;
    Ok(Verdict { objective, bound: (bound / worst).max(0.0), rounding })
}

/// For each feature, and for the intercept where there is one, the least and largest coefficient on the edges of the vertex
/// along which the loss rises by at most `excess`: every value between belongs to a fit that is as good.
pub(super) fn ranges(
    (settled_at, band): (&[f64], &Band),
    (rows, dual, basis): (&Kept, &[f64], &[usize]),
    (x, coefficients): (&[f64], &[f64]),
    excess: f64,
    watch: &mut Watch<'_>,
) -> Result<Vec<[f64; 2]>, Error> {
    let (d, r) = (band.origin.len(), band.transform.columns());
    let mut out: Vec<[f64; 2]> = coefficients.iter().map(|c| [*c, *c]).collect();
    for (column, _) in &band.dependent {
        // Others can take its place.
        out[*column] = [f64::NEG_INFINITY, f64::INFINITY];
    }
    let (z, target) = whitened(band, rows, watch)?;
    let Some(inverse) = invert(&z, basis) else { return Ok(out) };
    let mut residual = vec![0.0; target.len()];
    z.multiply_vector_into(x, &mut residual);
    residual.iter_mut().zip(&target).for_each(|(r, b)| *r = b - *r);
    let mut in_basis = vec![false; target.len()];
    basis.iter().for_each(|&i| in_basis[i] = true);
    // As far as this no decided row can come to its other side.
    let away: f64 = settled_at.iter().zip(x).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
    let free = (band.thresholds[0].min(band.thresholds[1]) - away).max(0.0);
    let rank = basis.len();
    let mut v = vec![0.0; target.len()];
    for (k, &row) in basis.iter().enumerate() {
        for sign in [1.0, -1.0] {
            let progress = || Progress { stage: "ranges", step: k, total: Some(rank), value: None };
            if watch.ticks(progress) {
                return Err(Error::Interrupted);
            }
            let edge: Vec<f64> = (0..rank).map(|j| sign * inverse[j * rank + k]).collect();
            z.multiply_vector_into(&edge, &mut v);
            // Upwards at the row its residual is below zero, downwards above.
            let slack = if sign > 0.0 { dual[row] + 1.0 - band.tau } else { band.tau - dual[row] };
            let length = sums::norm(&edge);
            let mut ahead: Vec<(f64, f64)> = (0..target.len())
                .filter(|&i| !in_basis[i] && v[i] != 0.0 && (dual[i] > 0.0) == (v[i] > 0.0))
                .map(|i| ((residual[i] / v[i]).max(0.0), v[i].abs()))
                .filter(|e| e.0 * slack <= excess)
                .collect();
            ahead.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
            let far = reach(slack.max(0.0), &ahead, excess).min(free / length);
            let mut moved = vec![0.0; d];
            band.transform.multiply_vector_into(&edge[..r], &mut moved);
            if band.constant > 0.0 {
                let level = edge[r] * band.constant;
                moved.push(level - sums::dot(&moved[..d], &band.origin));
            }
            for (range, (m, c)) in out.iter_mut().zip(moved.iter().zip(coefficients)).filter(|e| *e.1.0 != 0.0) {
                let end = c + m * far;
                *range = [range[0].min(end), range[1].max(end)];
            }
        }
    }
    Ok(out)
}

/// How far a loss that rises at first by `slope`, and by so much more from each breakpoint on, takes to rise by `excess`.
fn reach(mut slope: f64, breakpoints: &[(f64, f64)], excess: f64) -> f64 {
    let (mut at, mut left) = (0.0, excess);
    for &(time, more) in breakpoints {
        let rise = slope * (time - at);
        if rise > left {
            break;
        }
        (at, left, slope) = (time, left - rise, slope + more);
    }
    if slope > 0.0 { at + left / slope } else { f64::MAX }
}

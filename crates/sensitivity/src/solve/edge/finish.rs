//! From coefficients nearby to an optimal vertex of all rows.
use samplewise_linalg::observe::Observer;
use samplewise_linalg::{LinalgError, sums};

use super::{End, Rows, Vertex, descend};
use crate::design::Design;

/// Rows up to which all of them are open from the beginning.
const ALL_OPEN: usize = 8_192;
/// Rounds of opening rows that turned out to be on the wrong side.
const ROUNDS: usize = 60;

/// The optimal vertex of all rows from coefficients nearby, in whitened coordinates; of many rows only those near the fit
/// are looked at one by one, the others are a linear term until the fit contradicts their side. `linear` is `Σ u_i a_i` of
/// rows elsewhere whose multipliers are decided. `None` when no vertex could be reached.
///
/// # Errors
/// [`LinalgError`] of the selection of rows.
pub(crate) fn finish(
    design: &Design<'_>,
    b: &[f64],
    weights: Option<&[f64]>,
    tau: f64,
    x: &[f64],
    linear: Option<&[f64]>,
    observer: &mut dyn Observer,
) -> Result<Option<Vertex>, LinalgError> {
    let (n, d) = (b.len(), design.rank());
    let mut residual = vec![0.0; n];
    let mut x = if x.iter().all(|v| v.is_finite()) { x.to_vec() } else { vec![0.0; d] };
    fill_residual(design, b, &x, &mut residual);
    let weight = |i: usize| weights.map_or(1.0, |w| w[i]);
    let present = (0..n).filter(|&i| weight(i) > 0.0).count();
    let mut size = if present <= ALL_OPEN { present } else { (n / 32).max(2_048).max(64 * d).min(present) };
    let mut open: Vec<usize> = Vec::new();
    let mut basis: Option<Vec<usize>> = None; // by numbers of all rows
    let mut pivots = 0;
    for _ in 0..ROUNDS {
        if open.is_empty() {
            open = nearest(&residual, size, &weight);
            basis = None;
        }
        let mut is_open = vec![false; n];
        open.iter().for_each(|&i| is_open[i] = true);
        let side = |i: usize| if residual[i] > 0.0 { weight(i) * tau } else { weight(i) * (tau - 1.0) };
        let decided: Vec<f64> = (0..n).map(|i| if is_open[i] { 0.0 } else { side(i) }).collect();
        let mut all = if open.len() == present { vec![0.0; d] } else { design.multiply_transpose(&decided) };
        if let Some(linear) = linear {
            sums::axpy(1.0, linear, &mut all);
        }
        let rows = design.select(&open, observer)?;
        let target: Vec<f64> = open.iter().map(|&i| b[i]).collect();
        let own: Option<Vec<f64>> = weights.map(|w| open.iter().map(|&i| w[i]).collect());
        let problem = Rows { a: &rows, b: &target, weights: own.as_deref(), tau, linear: all };
        let mut order: Vec<usize> = (0..open.len()).collect();
        order.sort_unstable_by(|&i, &j| residual[open[i]].abs().total_cmp(&residual[open[j]].abs()).then(i.cmp(&j)));
        let local = basis.as_ref().map(|basis| {
            basis.iter().map(|i| open.binary_search(i).expect("the basis is open")).collect::<Vec<usize>>()
        });
        let found = descend(&problem, local, &order, observer);
        pivots += found.pivots;
        match found.end {
            End::Unbounded if open.len() < present => {
                size = (4 * size).min(present);
                open.clear();
                continue;
            }
            End::Unbounded | End::Limit => return Ok(None),
            End::Interrupted | End::Optimal => {}
        }
        x.clone_from(&found.x);
        let mut fresh = vec![0.0; n];
        fill_residual(design, b, &x, &mut fresh);
        let wrong = |i: usize| !is_open[i] && weight(i) > 0.0 && decided[i] * fresh[i] < 0.0;
        let wrong: Vec<usize> = (0..n).filter(|&i| wrong(i)).collect();
        let global: Vec<usize> = found.basis.iter().map(|&k| open[k]).collect();
        if wrong.is_empty() || found.end == End::Interrupted {
            let mut dual = decided;
            open.iter().zip(&found.dual).for_each(|(&i, u)| dual[i] = *u);
            return Ok(Some(Vertex { x, dual, basis: global, pivots, end: found.end }));
        }
        if wrong.len() > size / 2 {
            size = (2 * size).min(present);
            residual = fresh;
            open.clear();
            continue;
        }
        // Sides of the rows that stay decided are unchanged: `residual` keeps them.
        open.extend(&wrong);
        open.sort_unstable();
        basis = Some(global);
    }
    Ok(None)
}

/// Rows of positive weight nearest to the fit, ascending.
fn nearest(residual: &[f64], size: usize, weight: &impl Fn(usize) -> f64) -> Vec<usize> {
    let mut rows: Vec<usize> = (0..residual.len()).filter(|&i| weight(i) > 0.0).collect();
    if size < rows.len() {
        rows.select_nth_unstable_by(size, |&i, &j| residual[i].abs().total_cmp(&residual[j].abs()).then(i.cmp(&j)));
        rows.truncate(size);
        rows.sort_unstable();
    }
    rows
}

fn fill_residual(design: &Design<'_>, b: &[f64], x: &[f64], residual: &mut [f64]) {
    design.multiply_into(x, residual);
    residual.iter_mut().zip(b).for_each(|(r, b)| *r = b - *r);
}

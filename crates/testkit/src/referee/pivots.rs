//! An exact dual point of `min_x Σ φ_i(b_i − a_iᵀx)`, where `φ_i` has the slope `hi_i > 0` above zero and `lo_i < 0` below.
//!
//! The dual problem is `max bᵀu` over `Aᵀu = 0`, `lo ≤ u ≤ hi`. The simplex method walks from vertex to vertex in
//! double-double. It needs no care to be trusted: whatever it ends with is made feasible, and a feasible point is a bound.
use samplewise_linalg::random::Streams;

use super::algebra::{Basis, DEPENDENT, column, residual, solve};
use crate::double_double::DoubleDouble;

/// A feasible dual point and its value.
#[derive(Clone, Debug)]
pub struct DualPoint {
    /// One multiplier a row, within its limits.
    pub multipliers: Vec<DoubleDouble>,
    /// `bᵀu`, which the minimum is not below.
    pub value: DoubleDouble,
    /// Whether no pivot could improve it.
    pub optimal: bool,
    /// How many pivots it took.
    pub pivots: usize,
}

/// Ties between rows are broken by changing the target by this share of its size, far below the precision of `f64`.
const PERTURBATION: f64 = 1e-21;

/// Finds a dual point for the rows of `A` (entries near one), the target, and the limits of every row. The walk begins at
/// the vertex of the rows whose targets are nearest to zero, so the target should be the residual of a good answer.
pub fn dual_point(rows: &[Vec<f64>], b: &[DoubleDouble], limits: &[(DoubleDouble, DoubleDouble)]) -> DualPoint {
    let n = b.len();
    let d = rows.first().map_or(0, Vec::len);
    let independent = Basis::of((0..d).map(|j| column(rows, j)), DEPENDENT).members().to_vec();
    let a: Vec<Vec<f64>> = rows.iter().map(|r| independent.iter().map(|&j| r[j]).collect()).collect();
    let d = independent.len();
    let streams = Streams::new(77);
    let size = b.iter().fold(0.0_f64, |m, v| m.max(v.to_f64().abs()));
    let size = if size > 0.0 { size } else { 1.0 };
    let target: Vec<DoubleDouble> =
        (0..n).map(|i| b[i] + (streams.uniform(i as u64) - 0.5) * PERTURBATION * size).collect();
    let mut basis = nearest(&a, &target, d);
    let mut walk = Walk { a: &a, target: &target, limits };
    let (mut pivots, most) = (0, 50 * d + 2 * n);
    let (mut u, optimal) = loop {
        let Some(at) = walk.vertex(&basis) else {
            break (vec![DoubleDouble::ZERO; n], false);
        };
        let violation = |k: usize| {
            let (lo, hi) = limits[basis[k]];
            (at.multipliers[basis[k]] - hi).max(lo - at.multipliers[basis[k]])
        };
        let worst = (0..d).max_by(|&i, &j| violation(i).to_f64().total_cmp(&violation(j).to_f64()));
        let limit = |k: usize| (limits[basis[k]].1 - limits[basis[k]].0).to_f64();
        match worst {
            Some(k) if violation(k).to_f64() > 1e-18 * limit(k) && pivots < most => {
                let Some(entering) = walk.step(&basis, k, &at, violation(k)) else {
                    break (at.multipliers, false);
                };
                basis[k] = entering;
                pivots += 1;
            }
            Some(k) => break (at.multipliers.clone(), violation(k).to_f64() <= 1e-18 * limit(k)),
            None => break (at.multipliers, true),
        }
    };
    // Towards zero, until every multiplier is within its limits: Aᵀu = 0 stays true.
    let mut share = DoubleDouble::ONE;
    for (u, (lo, hi)) in u.iter().zip(limits) {
        if *u > *hi {
            share = share.min(*hi / *u);
        } else if *u < *lo {
            share = share.min(*lo / *u);
        }
    }
    u.iter_mut().for_each(|u| *u *= share);
    let value = u.iter().zip(b).map(|(&u, &b)| u * b).sum();
    DualPoint { multipliers: u, value, optimal, pivots }
}

/// The `d` independent rows whose targets are nearest to zero; nearly dependent rows are passed over at first.
fn nearest(a: &[Vec<f64>], target: &[DoubleDouble], d: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..target.len()).collect();
    order.sort_by(|&i, &j| target[i].to_f64().abs().total_cmp(&target[j].to_f64().abs()));
    let mut basis = Basis::default();
    for dependent in [1e-6, DEPENDENT] {
        for &i in &order {
            if basis.rank() == d {
                break;
            }
            if !basis.members().contains(&i) {
                basis.push(i, a[i].iter().map(|&v| v.into()).collect(), dependent);
            }
        }
    }
    basis.members().to_vec()
}

struct Walk<'a> {
    a: &'a [Vec<f64>],
    target: &'a [DoubleDouble],
    limits: &'a [(DoubleDouble, DoubleDouble)],
}

/// Residuals and multipliers at a vertex.
struct Vertex {
    residual: Vec<DoubleDouble>,
    multipliers: Vec<DoubleDouble>,
}

impl Walk<'_> {
    fn square(&self, basis: &[usize]) -> Vec<Vec<DoubleDouble>> {
        basis.iter().map(|&i| self.a[i].iter().map(|&v| v.into()).collect()).collect()
    }

    /// The vertex at which the rows of the basis have no residual. All others are at the limit of their side, and the
    /// multipliers of the basis balance them.
    fn vertex(&self, basis: &[usize]) -> Option<Vertex> {
        let d = basis.len();
        let b: Vec<f64> = self.target.iter().map(|t| t.to_f64()).collect();
        let x = solve(self.square(basis), basis.iter().map(|&i| self.target[i]).collect())?;
        let mut residual = residual(self.a, &b, &x);
        residual.iter_mut().zip(self.target).for_each(|(r, t)| *r += DoubleDouble::from(t.low()));
        basis.iter().for_each(|&i| residual[i] = DoubleDouble::ZERO);
        let side = |i: usize| if residual[i] >= DoubleDouble::ZERO { self.limits[i].1 } else { self.limits[i].0 };
        let mut multipliers: Vec<DoubleDouble> = (0..residual.len()).map(side).collect();
        basis.iter().for_each(|&i| multipliers[i] = DoubleDouble::ZERO);
        let mut pull = vec![DoubleDouble::ZERO; d];
        for (row, &u) in self.a.iter().zip(&multipliers) {
            pull.iter_mut().zip(row).for_each(|(p, &v)| *p -= u * v);
        }
        let square = self.square(basis);
        let transposed = (0..d).map(|j| (0..d).map(|i| square[i][j]).collect()).collect();
        for (&i, u) in basis.iter().zip(solve(transposed, pull)?) {
            multipliers[i] = u;
        }
        Some(Vertex { residual, multipliers })
    }

    /// Lets row `k` of the basis go, along the edge on which the loss falls, to its minimum on that edge; the row that
    /// meets zero there enters.
    fn step(&mut self, basis: &[usize], k: usize, at: &Vertex, violation: DoubleDouble) -> Option<usize> {
        let mut unit = vec![DoubleDouble::ZERO; basis.len()];
        let above = at.multipliers[basis[k]] > self.limits[basis[k]].1;
        unit[k] = if above { DoubleDouble::ONE } else { -DoubleDouble::ONE };
        let edge = solve(self.square(basis), unit)?;
        let mut stops: Vec<(DoubleDouble, DoubleDouble, usize)> = Vec::new();
        for (i, row) in self.a.iter().enumerate() {
            if basis.contains(&i) {
                continue;
            }
            let speed: DoubleDouble = row.iter().zip(&edge).map(|(&a, &e)| e * a).sum();
            let r = at.residual[i];
            if speed.to_f64().abs() > 1e-24 && (r >= DoubleDouble::ZERO) != (speed > DoubleDouble::ZERO) {
                stops.push(((r / speed).abs(), (self.limits[i].1 - self.limits[i].0) * speed.abs(), i));
            }
        }
        stops.sort_by(|p, q| p.0.partial_cmp(&q.0).unwrap_or(std::cmp::Ordering::Equal));
        let mut slope = -violation;
        stops.into_iter().find_map(|(_, bend, i)| {
            slope += bend;
            (slope >= DoubleDouble::ZERO).then_some(i)
        })
    }
}

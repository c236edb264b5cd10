//! `ℓ1` and quantile regression by descent along edges: Barrodale and Roberts' method with the long step.
//!
//! `min_x Σ_i w_i ρ_τ(b_i − a_iᵀx) − linearᵀx` over rows in whitened coordinates. A vertex is given by a basis of `d` rows
//! whose residuals are zero; all other rows lie above or below the fit, and their multipliers are `w_i τ` or `w_i (τ − 1)`.
//! The multipliers of the basis follow from them. One that is beyond its limits names an edge along which the objective
//! falls; the step goes past all breakpoints up to the one where it would rise again. A vertex whose multipliers are within
//! their limits is optimal, and its multipliers are an exact dual point, so that the gap is rounding.
//!
//! Sides are state and not signs of residuals: a row whose residual is zero without being in the basis has exactly one side.
//! Where steps of length zero pile up (tied rows), the targets are moved apart by tiny amounts, and back at the end.
use samplewise_linalg::observe::{Observer, Progress};
use samplewise_linalg::{Matrix, sums};

mod finish;

pub(crate) use finish::finish;

/// Where a descent ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// In an optimal vertex.
    Optimal,
    /// The objective falls without bound: rows that were left out are needed.
    Unbounded,
    /// Too many pivots, or a basis that rounding makes singular.
    Limit,
    /// The observer stopped it.
    Interrupted,
}

/// The rows of a problem.
pub(crate) struct Rows<'a> {
    pub(crate) a: &'a Matrix,
    pub(crate) b: &'a [f64],
    /// Ones when `None`; zero is allowed.
    pub(crate) weights: Option<&'a [f64]>,
    pub(crate) tau: f64,
    /// `Σ u_i a_i` of rows whose multipliers `u_i` are decided.
    pub(crate) linear: Vec<f64>,
}

/// A vertex and its dual point.
pub(crate) struct Vertex {
    pub(crate) x: Vec<f64>,
    /// Multipliers of the rows, within `w_i (τ − 1)` and `w_i τ` where the vertex is optimal.
    pub(crate) dual: Vec<f64>,
    pub(crate) basis: Vec<usize>,
    pub(crate) pivots: usize,
    pub(crate) end: End,
}

/// Pivots between two factorisations of the basis.
const REFRESH: usize = 50;
/// A direction whose product with a row is below this does not move the row. Rows have norms around `√(d/n)` and directions
/// around `√(n/d)`.
const MOVES: f64 = 1e-11;
/// Size of the amounts by which tied targets are moved apart, in mean residuals: at first, and each time after that the ties
/// come back.
const APART: [f64; 3] = [1e-8, 1e-9, 1e-10];
/// A row joins the basis only when its part outside the rows before it has at least this share of its length: first, and
/// where too few rows do.
const INDEPENDENT: [f64; 2] = [1e-3, 1e-9];

struct Descent<'a, 'r> {
    rows: &'r Rows<'a>,
    d: usize,
    /// Targets, moved apart where ties made that necessary.
    b: Vec<f64>,
    basis: Vec<usize>,
    /// Row-major inverse of the rows of the basis: `x = inverse · b_basis`.
    inverse: Vec<f64>,
    in_basis: Vec<bool>,
    above: Vec<bool>,
    residual: Vec<f64>,
    x: Vec<f64>,
    /// `Σ u_i a_i` over all rows outside the basis, the decided ones included.
    gradient: Vec<f64>,
    multipliers: Vec<f64>,
    pivots: usize,
    scratch: Vec<f64>,
}

/// An edge along which the objective falls.
struct Edge {
    leaving: usize,
    /// Sign with which the column of the inverse is followed.
    sign: f64,
    /// By how much the multiplier is beyond its limit: the rate at which the objective falls.
    violation: f64,
}

impl Rows<'_> {
    fn weight(&self, i: usize) -> f64 {
        self.weights.map_or(1.0, |w| w[i])
    }

    fn limit(&self, i: usize, above: bool) -> f64 {
        self.weight(i) * if above { self.tau } else { self.tau - 1.0 }
    }
}

/// Descends from the vertex of `basis`; `d` independent rows are chosen from `order`, the first ones first, where it is
/// `None`.
///
/// Row SEN-19 of `paper-refs.md`.
pub(crate) fn descend(
    rows: &Rows<'_>,
    basis: Option<Vec<usize>>,
    order: &[usize],
    observer: &mut dyn Observer,
) -> Vertex {
    let (m, d) = (rows.a.rows(), rows.a.columns());
    let failed = |basis| Vertex { x: vec![0.0; d], dual: vec![0.0; m], basis, pivots: 0, end: End::Limit };
    let basis = match basis {
        Some(basis) => basis,
        None => independent(rows.a, order),
    };
    if basis.len() < d {
        // The rows do not span the space: others have to be opened.
        return Vertex { end: End::Unbounded, ..failed(basis) };
    }
    let Some(inverse) = invert(rows.a, &basis) else { return failed(basis) };
    let mut in_basis = vec![false; m];
    basis.iter().for_each(|&i| in_basis[i] = true);
    let mut state = Descent {
        rows,
        d,
        b: rows.b.to_vec(),
        basis,
        inverse,
        in_basis,
        above: vec![false; m],
        residual: vec![0.0; m],
        x: vec![0.0; d],
        gradient: vec![0.0; d],
        multipliers: vec![0.0; d],
        pivots: 0,
        scratch: vec![0.0; m],
    };
    state.fit();
    (0..m).for_each(|i| state.above[i] = state.residual[i] > 0.0);
    state.sum_gradient();
    let end = state.run(observer);
    let mut dual: Vec<f64> =
        (0..m).map(|i| if state.in_basis[i] { 0.0 } else { rows.limit(i, state.above[i]) }).collect();
    state.basis.iter().zip(&state.multipliers).for_each(|(&i, u)| dual[i] = *u);
    Vertex { x: state.x, dual, basis: state.basis, pivots: state.pivots, end }
}

impl Descent<'_, '_> {
    fn run(&mut self, observer: &mut dyn Observer) -> End {
        let limit = 50 * self.d + self.b.len() + 200;
        // Ties are met with a handful of zero steps; more of them than this could be a circle.
        let patience = 3 * self.d + 10;
        let (mut idle, mut moved) = (0, 0);
        let mut apart = false;
        loop {
            self.find_multipliers();
            let progress = Progress { stage: "edges", step: self.pivots, total: None, value: None };
            if observer.step(progress).is_break() {
                return End::Interrupted;
            }
            let Some(edge) = self.steepest() else {
                if !apart && self.settled() {
                    return End::Optimal;
                }
                // Rounding is taken out, and so is what moved the targets apart; sides of rows that are off zero by more
                // than rounding follow their residuals.
                self.b.copy_from_slice(self.rows.b);
                apart = false;
                if !self.refresh() {
                    return End::Limit;
                }
                self.find_multipliers();
                if self.steepest().is_none() {
                    return End::Optimal;
                }
                (idle, moved) = (0, moved.max(1));
                if self.pivots >= limit {
                    return End::Limit;
                }
                continue;
            };
            if self.pivots >= limit {
                return End::Limit;
            }
            match self.step(&edge) {
                None => return End::Unbounded,
                Some(length) if length > 0.0 => idle = 0,
                Some(_) => idle += 1,
            }
            if self.pivots.is_multiple_of(REFRESH) && !self.refresh() {
                return End::Limit;
            }
            if idle > patience && !apart {
                if moved >= APART.len() {
                    return End::Limit;
                }
                self.move_apart(APART[moved]);
                (apart, idle, moved) = (true, 0, moved + 1);
            }
        }
    }

    /// Coefficients and residuals of the basis from scratch.
    fn fit(&mut self) {
        let d = self.d;
        for j in 0..d {
            self.x[j] = (0..d).map(|k| self.inverse[j * d + k] * self.b[self.basis[k]]).sum();
        }
        // One round of refinement: the inverse is as exact as its rows are independent.
        let left: Vec<f64> = self.basis.iter().map(|&i| self.b[i] - sums::dot(self.rows.a.row(i), &self.x)).collect();
        for j in 0..d {
            self.x[j] += (0..d).map(|k| self.inverse[j * d + k] * left[k]).sum::<f64>();
        }
        self.rows.a.multiply_vector_into(&self.x, &mut self.residual);
        self.residual.iter_mut().zip(&self.b).for_each(|(r, b)| *r = b - *r);
        self.basis.iter().for_each(|&i| self.residual[i] = 0.0);
    }

    fn sum_gradient(&mut self) {
        for i in 0..self.b.len() {
            self.scratch[i] = if self.in_basis[i] { 0.0 } else { self.rows.limit(i, self.above[i]) };
        }
        self.rows.a.multiply_transpose_vector_into(&self.scratch, &mut self.gradient);
        sums::axpy(1.0, &self.rows.linear, &mut self.gradient);
    }

    fn find_multipliers(&mut self) {
        let d = self.d;
        for k in 0..d {
            self.multipliers[k] = -(0..d).map(|j| self.inverse[j * d + k] * self.gradient[j]).sum::<f64>();
        }
    }

    /// Everything from scratch; rows off zero by more than rounding are on the side of their residual. False when rounding
    /// makes the basis singular.
    fn refresh(&mut self) -> bool {
        let Some(inverse) = invert(self.rows.a, &self.basis) else { return false };
        self.inverse = inverse;
        self.fit();
        let rounding = self.rounding();
        for (above, r) in self.above.iter_mut().zip(&self.residual) {
            if r.abs() > rounding {
                *above = *r > 0.0;
            }
        }
        self.sum_gradient();
        true
    }

    /// What a residual can be off by.
    fn rounding(&self) -> f64 {
        let largest = self.b.iter().fold(0.0_f64, |m, b| m.max(b.abs()));
        64.0 * f64::EPSILON * largest
    }

    /// Whether every row lies on its side, up to rounding.
    fn settled(&self) -> bool {
        let rounding = self.rounding();
        self.above.iter().zip(&self.residual).all(|(above, r)| if *above { *r >= -rounding } else { *r <= rounding })
    }

    /// The edge of steepest descent, in whitened coordinates.
    fn steepest(&self) -> Option<Edge> {
        let d = self.d;
        let mut best: Option<(f64, Edge)> = None;
        for k in 0..d {
            let (i, u) = (self.basis[k], self.multipliers[k]);
            let (over, under) = (u - self.rows.limit(i, true), self.rows.limit(i, false) - u);
            let violation = over.max(under);
            // The multiplier is a sum over all rows, whose rounding this is.
            let size: f64 = (0..d).map(|j| (self.inverse[j * d + k] * self.gradient[j]).abs()).sum();
            if violation <= 1e-13 * self.rows.weight(i).max(self.rows.tau.min(1.0 - self.rows.tau)) + 1e-14 * size {
                continue;
            }
            let norm = (0..d).map(|j| self.inverse[j * d + k].powi(2)).sum::<f64>().sqrt();
            let rate = violation / norm;
            if best.as_ref().is_none_or(|b| rate > b.0) {
                best = Some((rate, Edge { leaving: k, sign: if over > under { -1.0 } else { 1.0 }, violation }));
            }
        }
        best.map(|b| b.1)
    }

    /// Follows an edge to its lowest point and exchanges the rows; returns the length, or `None` where there is no lowest
    /// point.
    fn step(&mut self, edge: &Edge) -> Option<f64> {
        let (d, k) = (self.d, edge.leaving);
        let direction: Vec<f64> = (0..d).map(|j| edge.sign * self.inverse[j * d + k]).collect();
        let mut v = std::mem::take(&mut self.scratch);
        self.rows.a.multiply_vector_into(&direction, &mut v);
        let found = self.lowest(&v, edge.violation);
        let Some((passed, entering, length)) = found else {
            self.scratch = v;
            return None;
        };
        let add = |g: &mut [f64], s: f64, row: &[f64]| g.iter_mut().zip(row).for_each(|(g, x)| *g += s * x);
        for i in passed {
            let change = self.rows.weight(i) * if self.above[i] { -1.0 } else { 1.0 };
            self.above[i] = !self.above[i];
            add(&mut self.gradient, change, self.rows.a.row(i));
        }
        self.residual.iter_mut().zip(&v).for_each(|(r, v)| *r -= length * v);
        sums::axpy(length, &direction, &mut self.x);
        self.scratch = v;
        add(&mut self.gradient, -self.rows.limit(entering, self.above[entering]), self.rows.a.row(entering));
        let leaving = self.basis[k];
        self.above[leaving] = edge.sign < 0.0;
        add(&mut self.gradient, self.rows.limit(leaving, self.above[leaving]), self.rows.a.row(leaving));
        (self.in_basis[leaving], self.in_basis[entering]) = (false, true);
        self.basis[k] = entering;
        self.residual[entering] = 0.0;
        // The new row of the basis changes its inverse by a matrix of rank one.
        let row = self.rows.a.row(entering);
        let products: Vec<f64> = (0..d).map(|c| (0..d).map(|j| row[j] * self.inverse[j * d + c]).sum()).collect();
        let pivot = 1.0 / products[k];
        for j in 0..d {
            let factor = self.inverse[j * d + k] * pivot;
            for c in (0..d).filter(|c| *c != k) {
                self.inverse[j * d + c] -= factor * products[c];
            }
            self.inverse[j * d + k] = factor;
        }
        self.pivots += 1;
        Some(length)
    }

    /// Rows that the long step passes, the one that ends it, and its length.
    fn lowest(&self, v: &[f64], violation: f64) -> Option<(Vec<usize>, usize, f64)> {
        // Time, what passing it takes from the rate of descent, row.
        let mut ahead: Vec<(f64, f64, u32)> = Vec::new();
        let mut total = 0.0;
        for (i, &v) in v.iter().enumerate() {
            if self.in_basis[i] || v.abs() <= MOVES || self.above[i] != (v > 0.0) {
                continue;
            }
            let time = (self.residual[i] / v).max(0.0);
            let rate = self.rows.weight(i) * v.abs();
            total += rate;
            ahead.push((time, rate, i as u32));
        }
        // A row of weight zero ends no step.
        if total < violation {
            return None;
        }
        let (mut low, mut high, mut passed) = (0, ahead.len(), 0.0);
        while high - low > 1 {
            let middle = (high - low) / 2;
            ahead[low..high].select_nth_unstable_by(middle, |a, b| a.0.total_cmp(&b.0).then(a.2.cmp(&b.2)));
            let rate: f64 = ahead[low..low + middle].iter().map(|a| a.1).sum();
            if passed + rate >= violation {
                high = low + middle;
            } else {
                passed += rate;
                low += middle;
            }
        }
        let (time, _, entering) = ahead[low];
        Some((ahead[..low].iter().map(|a| a.2 as usize).collect(), entering as usize, time))
    }

    /// Moves tied targets apart by up to `share` of the mean residual, differently for each row.
    fn move_apart(&mut self, share: f64) {
        let typical = self.residual.iter().map(|r| r.abs()).sum::<f64>() / self.residual.len() as f64;
        let largest = self.b.iter().fold(0.0_f64, |m, b| m.max(b.abs()));
        let size = share * if typical > 0.0 { typical } else { largest };
        for (i, b) in self.b.iter_mut().enumerate() {
            // A hash of the row's number between one half and one, with a sign.
            let mut h = (i as u64).wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            h = (h ^ (h >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            h ^= h >> 31;
            let unit = 0.5 + 0.5 * (h >> 12) as f64 / (1_u64 << 52) as f64;
            *b += size * if h & 1 == 0 { unit } else { -unit };
        }
        self.fit();
        (0..self.b.len()).for_each(|i| self.above[i] = self.residual[i] > 0.0);
        self.sum_gradient();
    }
}

/// The first independent rows of `order`, at most as many as there are columns.
fn independent(a: &Matrix, order: &[usize]) -> Vec<usize> {
    let d = a.columns();
    let mut chosen: Vec<usize> = Vec::with_capacity(d);
    let mut directions: Vec<Vec<f64>> = Vec::with_capacity(d);
    for share in INDEPENDENT {
        for &i in order {
            if chosen.len() == d {
                return chosen;
            }
            let mut row = a.row(i).to_vec();
            let whole = sums::norm(&row);
            for _ in 0..2 {
                for q in &directions {
                    let along = sums::dot(q, &row);
                    sums::axpy(-along, q, &mut row);
                }
            }
            let rest = sums::norm(&row);
            if rest > share * whole && rest > 0.0 && !chosen.contains(&i) {
                row.iter_mut().for_each(|v| *v /= rest);
                directions.push(row);
                chosen.push(i);
            }
        }
    }
    chosen
}

/// Row-major inverse of the rows `basis` of `a`, by elimination with the largest pivot of each column.
pub(crate) fn invert(a: &Matrix, basis: &[usize]) -> Option<Vec<f64>> {
    let d = basis.len();
    let mut m: Vec<f64> = basis.iter().flat_map(|&i| a.row(i).iter().copied()).collect();
    let largest = m.iter().fold(0.0_f64, |s, v| s.max(v.abs()));
    let mut inverse = vec![0.0; d * d];
    (0..d).for_each(|i| inverse[i * d + i] = 1.0);
    for c in 0..d {
        let pivot = (c..d).max_by(|&i, &j| m[i * d + c].abs().total_cmp(&m[j * d + c].abs()))?;
        if m[pivot * d + c].abs() <= 1e-14 * largest {
            return None;
        }
        for k in 0..d {
            m.swap(pivot * d + k, c * d + k);
            inverse.swap(pivot * d + k, c * d + k);
        }
        let scale = 1.0 / m[c * d + c];
        for k in 0..d {
            m[c * d + k] *= scale;
            inverse[c * d + k] *= scale;
        }
        for i in (0..d).filter(|i| *i != c) {
            let factor = m[i * d + c];
            if factor != 0.0 {
                for k in 0..d {
                    m[i * d + k] -= factor * m[c * d + k];
                    inverse[i * d + k] -= factor * inverse[c * d + k];
                }
            }
        }
    }
    Some(inverse)
}

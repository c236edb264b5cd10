//! The Lasso and the elastic net: the objective of given coefficients, and a dual value of the referee's own.
//!
//! `min_{w,b}  (1/2n) Σ_i s_i (y_i − x_iᵀw − b)² + λ Σ_j ω_j ( α|d_j w_j| + (1−α)/2 · (d_j w_j)² )`, `l_j ≤ w_j ≤ u_j`, with
//! weights `s_i` scaled to mean 1, and `d_j = 1`, or with standardisation the root of the second moment of column `j`,
//! centred when there is an intercept.
use samplewise_linalg::Matrix;

use super::Judgement;
use super::algebra::{Basis, DEPENDENT, balanced, column, exponent};
use crate::double_double::{DoubleDouble, dot_of, scale, sum};

/// The problem beside its data, with the meaning that `samplewise_lasso::Options` gives to the fields of these names.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The share `α` of the ℓ1 term.
    pub mix: f64,
    /// Whether there is an intercept.
    pub intercept: bool,
    /// Whether the coefficients of standardised columns are penalised.
    pub standardize: bool,
    /// Weights of the rows, of any sum.
    pub weights: Option<Vec<f64>>,
    /// `ω`.
    pub penalty_factors: Option<Vec<f64>>,
    /// Lower bounds; `positive` of the options is a lower bound of zero everywhere.
    pub lower: Option<Vec<f64>>,
    /// Upper bound of the sensitivity of each row.
    pub upper: Option<Vec<f64>>,
    /// Beside an intercept, a column whose deviation is at most this share of its mean counts as constant: it takes no part
    /// in the dual. The default is the rounding of the referee; a solver that works in double precision may say `1e-14`.
    pub constant_below: f64,
    /// An unpenalised column of which less than this share is outside the other unpenalised ones takes no part in the dual.
    /// The default is the rounding of the referee; a solver that works in double precision may say `1e-12`.
    pub dependent_below: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mix: 1.0,
            intercept: true,
            standardize: false,
            weights: None,
            penalty_factors: None,
            lower: None,
            upper: None,
            constant_below: DEPENDENT,
            dependent_below: DEPENDENT,
        }
    }
}

/// One column's term `λω(α|dw| + (1−α)(dw)²/2)` on `[l, u]`, as `a|w| + b w²/2`, in scaled units.
#[derive(Clone, Copy)]
struct Term {
    absolute: DoubleDouble,
    quadratic: DoubleDouble,
    lower: f64,
    upper: f64,
}

impl Term {
    fn value(&self, w: DoubleDouble) -> DoubleDouble {
        self.absolute * w.abs() + (self.quadratic * w * w).times_power_of_two(-1)
    }

    /// The bound on the side of `z`.
    fn bound(&self, z: DoubleDouble) -> f64 {
        if z > DoubleDouble::ZERO { self.upper } else { -self.lower }
    }

    /// The `|w|` that maximises `zw − value(w)`; infinite where there is no maximum.
    fn maximiser(&self, z: DoubleDouble) -> DoubleDouble {
        let excess = z.abs() - self.absolute;
        if excess <= DoubleDouble::ZERO || self.bound(z) == 0.0 {
            return DoubleDouble::ZERO;
        }
        let bound = DoubleDouble::from(self.bound(z));
        if self.quadratic > DoubleDouble::ZERO { (excess / self.quadratic).min(bound) } else { bound }
    }

    /// `max_w zw − value(w)`.
    fn conjugate(&self, z: DoubleDouble) -> DoubleDouble {
        let w = self.maximiser(z);
        if w.to_f64() == 0.0 { DoubleDouble::ZERO } else { w * z.abs() - self.value(w) }
    }
}

/// Judges an intercept and coefficients `(column, value)`; columns that are not listed have the coefficient zero.
///
/// The dual point is the residual of the answer, freed in double-double of what it has along the intercept and the
/// unpenalised unbounded columns, and times the scale that makes the dual value largest.
pub fn judge(
    x: &Matrix,
    y: &[f64],
    lambda: f64,
    settings: &Settings,
    intercept: f64,
    coefficients: &[(usize, f64)],
) -> Judgement {
    let (n, p) = (x.rows(), x.columns());
    // Units: target and columns are divided by powers of two, so that no square overflows or underflows.
    let (rows, units) = balanced(x);
    let unit = exponent(y.iter().copied());
    let t: Vec<f64> = y.iter().map(|&y| scale(y, -unit)).collect();
    let weights = match &settings.weights {
        Some(w) => {
            let unit = exponent(w.iter().copied());
            let w: Vec<f64> = w.iter().map(|&w| scale(w, -unit)).collect();
            let total = sum(&w);
            w.iter().map(|&w| DoubleDouble::from(w) * n as f64 / total).collect()
        }
        None => vec![DoubleDouble::ONE; n],
    };
    let roots: Vec<DoubleDouble> = weights.iter().map(|w| w.sqrt()).collect();
    let mean = |v: &[DoubleDouble]| {
        if settings.intercept { dot_of(v, &weights) / n as f64 } else { DoubleDouble::ZERO }
    };
    let weighted = |v: &[DoubleDouble]| -> Vec<DoubleDouble> {
        let mean = mean(v);
        v.iter().zip(&roots).map(|(&v, &q)| (v - mean) * q).collect()
    };
    let mut columns: Vec<Vec<DoubleDouble>> = Vec::with_capacity(p);
    let mut terms: Vec<Term> = Vec::with_capacity(p);
    for j in 0..p {
        let raw = column(&rows, j);
        let mut centred = weighted(&raw);
        let deviation = (dot_of(&centred, &centred) / n as f64).sqrt();
        if deviation.to_f64() <= settings.constant_below * mean(&raw).to_f64().abs() {
            centred.fill(DoubleDouble::ZERO);
        }
        let factor = settings.penalty_factors.as_ref().map_or(1.0, |f| f[j]);
        let penalty = DoubleDouble::from(lambda) * factor;
        let d = if settings.standardize { deviation } else { DoubleDouble::ONE };
        // A coefficient in these units is w·2^(column − target), and the objective is divided by 2^(2·target).
        let shrink = if settings.standardize { (-unit, 0) } else { (-unit - units[j], -2 * units[j]) };
        let bound = |b: &Option<Vec<f64>>, none: f64| b.as_ref().map_or(none, |b| scale(b[j], units[j] - unit));
        terms.push(Term {
            absolute: (penalty * settings.mix * d).times_power_of_two(shrink.0),
            quadratic: (penalty * (DoubleDouble::ONE - settings.mix) * d * d).times_power_of_two(shrink.1),
            lower: bound(&settings.lower, f64::NEG_INFINITY),
            upper: bound(&settings.upper, f64::INFINITY),
        });
        columns.push(centred);
    }

    let mut residual: Vec<DoubleDouble> = t.iter().map(|&t| DoubleDouble::from(t) - scale(intercept, -unit)).collect();
    let mut penalty = DoubleDouble::ZERO;
    let mut allowed = true;
    for &(j, w) in coefficients {
        let w = scale(w, units[j] - unit);
        allowed &= terms[j].lower <= w && w <= terms[j].upper;
        penalty += terms[j].value(w.into());
        residual.iter_mut().zip(&rows).for_each(|(r, row)| *r -= DoubleDouble::exact_product(w, row[j]));
    }
    residual.iter_mut().zip(&roots).for_each(|(r, &q)| *r *= q);
    let half_mean = |v: &[DoubleDouble]| dot_of(v, v) / (2 * n) as f64;
    let objective = if allowed { half_mean(&residual) + penalty } else { f64::INFINITY.into() };

    let wide: Vec<DoubleDouble> = t.iter().map(|&t| t.into()).collect();
    let target = weighted(&wide);
    let null = half_mean(&target);
    let is_free = |j: &usize| {
        let term = &terms[*j];
        let penalised = term.absolute > DoubleDouble::ZERO || term.quadratic > DoubleDouble::ZERO;
        !penalised && term.lower == f64::NEG_INFINITY && term.upper == f64::INFINITY
    };
    let free: Vec<usize> = (0..p).filter(is_free).collect();
    // The intercept comes first, and by itself: what is dropped as dependent is dropped among centred columns.
    Basis::of(settings.intercept.then(|| roots.clone()), 0.0).project_off(&mut residual);
    Basis::of(free.iter().map(|&j| columns[j].clone()), settings.dependent_below).project_off(&mut residual);
    let correlations: Vec<(usize, DoubleDouble)> = (0..p)
        .filter(|j| !is_free(j))
        .map(|j| (j, dot_of(&columns[j], &residual) / n as f64))
        .filter(|(_, c)| c.to_f64() != 0.0)
        .collect();
    let (along, squares) = (dot_of(&target, &residual) / n as f64, dot_of(&residual, &residual) / n as f64);
    Judgement::new(objective, best_dual(&terms, &correlations, along, squares), null, 2 * unit)
}

/// The largest of `D(s) = s·along − s²·squares/2 − Σ h_j*(s c_j)` over `s ≥ 0`. `D` is concave, so its slope is bisected.
fn best_dual(
    terms: &[Term],
    correlations: &[(usize, DoubleDouble)],
    along: DoubleDouble,
    squares: DoubleDouble,
) -> DoubleDouble {
    if along <= DoubleDouble::ZERO || squares <= DoubleDouble::ZERO {
        return DoubleDouble::ZERO;
    }
    let mut last = along / squares;
    for &(j, c) in correlations {
        let term = &terms[j];
        if term.bound(c).is_infinite() && term.quadratic.to_f64() == 0.0 {
            last = last.min(term.absolute / c.abs());
        }
    }
    let over: Vec<(Term, DoubleDouble)> = correlations
        .iter()
        .map(|&(j, c)| (terms[j], c))
        .filter(|(term, c)| (*c * last).abs() > term.absolute && term.bound(*c) > 0.0)
        // Where there is no maximum the scale keeps the column within its constraint, up to the last bit.
        .filter(|(term, c)| !(term.bound(*c).is_infinite() && term.quadratic.to_f64() == 0.0))
        .collect();
    let value = |s: DoubleDouble| {
        let conjugates: DoubleDouble = over.iter().map(|(term, c)| term.conjugate(*c * s)).sum();
        s * along - (s * s * squares).times_power_of_two(-1) - conjugates
    };
    let rises = |s: DoubleDouble| {
        let taken: DoubleDouble = over.iter().map(|(term, c)| term.maximiser(*c * s) * c.abs()).sum();
        along - s * squares - taken > DoubleDouble::ZERO
    };
    if rises(last) {
        return value(last);
    }
    let (mut low, mut high) = (DoubleDouble::ZERO, last);
    for _ in 0..60 {
        let middle = (low + high).times_power_of_two(-1);
        if rises(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    value(low).max(value(high))
}

#[cfg(test)]
#[path = "lasso_tests.rs"]
mod tests;

//! The verdict on what is returned: the objective is that of the coefficients and the intercept as the caller gets them.
//!
//! Solvers work on centred and scaled columns. Beside a large constant in the target, or a column whose mean is many times
//! its deviation, rounding of the returned numbers alone moves the objective: a coefficient of `10⁷` on a column near `10⁶`
//! needs an intercept near `10¹³`, of which a double keeps `10⁻³`. Where that could matter beside the tolerance, residual and
//! certificate are computed again from what is returned, with products in twice the precision.
use samplewise_linalg::scale::ldexp;
use samplewise_linalg::{Seconds, sums};

use crate::answer::{Outcome, Report, Solution, bound};
use crate::design::Store;
use crate::options::Options;
use crate::problem::Problem;
use crate::working_set::lambda_path::{Fit, certificate_of};
use crate::{Design, Error};

/// Share of the tolerance that rounding of the answer may take before it is judged with care.
pub(crate) const SHARE: f64 = 0.01;

/// Fits in terms of the columns as given; an error where a coefficient is too large for a number.
///
/// Rows LAS-1, TRU-2 and TRU-3 of `paper-refs.md`.
pub(crate) fn answers(
    problem: &Problem<'_>,
    design: &Design,
    y: &[f64],
    o: &Options,
    fits: Vec<Fit>,
) -> Result<Vec<Solution>, Error> {
    fits.into_iter().map(|fit| answer(problem, design, y, o, fit)).collect()
}

/// Refuses a coefficient that is too large for a number: such a column is some 600 powers of ten smaller than the target.
pub(crate) fn check_coefficient(position: usize, value: f64) -> Result<(), Error> {
    if value.is_finite() {
        return Ok(());
    }
    let allowed = "one that a number can hold; scale the column or y";
    Err(Error::Entry { argument: "coefficient of the solution", position, value, allowed })
}

fn answer(problem: &Problem<'_>, design: &Design, y: &[f64], o: &Options, mut fit: Fit) -> Result<Solution, Error> {
    // A bound is met exactly: what scaling rounded is taken back.
    let within = |j: usize, w: f64| {
        let lower = if o.positive { 0.0 } else { o.lower.as_ref().map_or(f64::NEG_INFINITY, |l| l[j]) };
        w.clamp(lower, o.upper.as_ref().map_or(f64::INFINITY, |u| u[j]))
    };
    let given: Vec<(usize, f64)> = fit.w.iter().map(|&(j, w)| (j, within(j, problem.coefficient(j, w)))).collect();
    given.iter().try_for_each(|&(j, w)| check_coefficient(j, w))?;
    // A coefficient that is too small for all digits of a number, or for a number at all.
    let lost = fit.w.iter().zip(&given).any(|(scaled, given)| scaled.1 != 0.0 && given.1.abs() < f64::MIN_POSITIVE);
    let mut coefficients: Vec<(usize, f64)> = given.into_iter().filter(|c| c.1 != 0.0).collect();
    coefficients.sort_unstable_by_key(|c| c.0);
    let null = problem.null_objective();
    let mut intercept = if o.intercept { plain_intercept(design, y, o, &coefficients) } else { 0.0 };
    let squares = 2.0 * fit.certificate.primal;
    let moved = problem.residual_rounding(ldexp(intercept, -problem.target_exponent), fit.w.iter().copied());
    if lost || squares.sqrt() * moved + moved * moved > SHARE * o.tolerance * null || !intercept.is_finite() {
        let residual;
        let (f, q) = (problem.target_exponent, problem.roots());
        (intercept, residual) = exact_residual(design, y, (f, &q, o.intercept), &coefficients);
        let w: Vec<(usize, f64)> = coefficients.iter().map(|&(j, w)| (j, problem.scaled_coefficient(j, w))).collect();
        let before = fit.certificate;
        fit.certificate = certificate_of(problem, fit.lambda, &w, &residual);
        if before.dual > fit.certificate.dual && !before.failed() {
            // Both bound the minimum from below.
            (fit.certificate.dual, fit.certificate.scale) = (before.dual, before.scale);
        }
        if fit.status == Outcome::Converged && fit.certificate.gap() > o.tolerance * null {
            fit.status = Outcome::Limit;
        }
    }
    if fit.certificate.failed() && fit.status != Outcome::Interrupted {
        fit.status = Outcome::CertificateFailed;
    }
    let (status, ending) = fit.status.parts();
    let as_given = |value: f64| problem.objective_as_given(value);
    let (objective, gap) = (as_given(fit.certificate.primal), as_given(fit.certificate.gap()));
    let (lower_bound, no_bound) = bound(objective, as_given(fit.certificate.dual), gap, ending);
    Ok(Solution {
        lambda: problem.as_given(fit.lambda),
        intercept,
        coefficients,
        columns: problem.p,
        objective,
        lower_bound,
        no_bound,
        status,
        report: Report {
            ending,
            route: fit.route,
            iterations: fit.iterations,
            seconds: Seconds::default(),
            null_objective: as_given(null),
            dual_scale: fit.certificate.scale,
            working_set: fit.working_set,
            columns_checked: fit.columns_checked,
        },
    })
}

/// The weighted mean of what the coefficients leave of the target.
fn plain_intercept(design: &Design, y: &[f64], o: &Options, coefficients: &[(usize, f64)]) -> f64 {
    let fitted = design.products(coefficients, 0.0);
    let weight = |i: usize| o.sample_weights.as_ref().map_or(1.0, |w| w[i]);
    let total = sums::sum_by(y.len(), weight);
    sums::sum_by(y.len(), |i| weight(i) * (y[i] - fitted[i])) / total
}

/// The intercept as a double, and the residual of coefficients and intercept in units of a target scaled by `2^-f`, weighted
/// by the roots `q`; all sums but the last rounding in twice the precision.
pub(crate) fn exact_residual(
    design: &Design,
    y: &[f64],
    (f, q, with_intercept): (i32, &[f64], bool),
    coefficients: &[(usize, f64)],
) -> (f64, Vec<f64>) {
    let mut r: Vec<(f64, f64)> = y.iter().map(|y| (ldexp(*y, -f), 0.0)).collect();
    for &(j, w) in coefficients {
        let w = ldexp(w, design.exponent(j) - f);
        let take = |(r, x): (&mut (f64, f64), f64)| *r = subtract_product(*r, w, x);
        match &design.store {
            Store::Dense(c) => r.iter_mut().zip(c[j * y.len()..].iter().copied()).for_each(take),
            Store::Sparse(c) => {
                let (at, x) = c.row(j);
                at.iter().zip(x).for_each(|(&i, &x)| take((&mut r[i as usize], x)));
            }
            Store::Custom(_) => r.iter_mut().zip(design.copy_column(j)).for_each(take),
        }
    }
    let mut intercept = 0.0;
    if with_intercept {
        let (mut sum, mut total) = ((0.0, 0.0), 0.0);
        for ((high, low), q) in r.iter().zip(q) {
            let s = q * q;
            sum = subtract_product(sum, -s, *high);
            sum = subtract_product(sum, -s, *low);
            total += s;
        }
        intercept = ldexp((sum.0 + sum.1) / total, f);
        let scaled = ldexp(intercept, -f);
        r.iter_mut().for_each(|r| *r = subtract_product(*r, 1.0, scaled));
    }
    (intercept, r.iter().zip(q).map(|((high, low), q)| (high + low) * q).collect())
}

/// `a − x y` of a sum `a` of two doubles, of which the second is the rounding of the first.
fn subtract_product(a: (f64, f64), x: f64, y: f64) -> (f64, f64) {
    let product = x * y;
    // The rounding of the product, by halves of 26 and 27 bits (Dekker).
    let halves = |v: f64| {
        let big = v * 134_217_729.0;
        let high = big - (big - v);
        (high, v - high)
    };
    let ((xh, xl), (yh, yl)) = (halves(x), halves(y));
    let error = ((xh * yh - product) + xh * yl + xl * yh) + xl * yl;
    let sum = a.0 - product;
    let part = sum - a.0;
    let rounding = (a.0 - (sum - part)) + (-product - part);
    let low = a.1 + (rounding - error);
    let high = sum + low;
    (high, low - (high - sum))
}

#[cfg(test)]
mod tests {
    use super::subtract_product;

    #[test]
    fn products_keep_twice_the_digits() {
        // (2^30 + 1)² − 2^60 − 2^31 = 1.
        let x = 2.0_f64.powi(30) + 1.0;
        let mut sum = (0.0, 0.0);
        sum = subtract_product(sum, -x, x);
        sum = subtract_product(sum, 1.0, 2.0_f64.powi(60));
        sum = subtract_product(sum, 1.0, 2.0_f64.powi(31));
        assert_eq!(sum.0 + sum.1, 1.0);
    }
}

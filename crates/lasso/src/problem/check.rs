//! What a table, a target and options must be.
use samplewise_linalg::argument::check_ranges;
use samplewise_linalg::sums;

use crate::options::RANGES;
use crate::{Design, Error, Options};

pub(crate) fn check_vector(
    argument: &'static str,
    v: &[f64],
    expected: usize,
    valid: impl Fn(f64) -> bool,
    allowed: &'static str,
) -> Result<(), Error> {
    if v.len() != expected {
        return Err(Error::Length { argument, given: v.len(), expected });
    }
    match v.iter().position(|&x| !valid(x)) {
        Some(position) => Err(Error::Entry { argument, position, value: v[position], allowed }),
        None => Ok(()),
    }
}

pub(crate) fn check(design: &Design, y: &[f64], o: &Options) -> Result<(), Error> {
    let (n, p) = (design.rows, design.columns);
    if n == 0 || p == 0 {
        return Err(Error::Empty { rows: n, columns: p });
    }
    check_vector("y", y, n, f64::is_finite, "finite")?;
    check_ranges(o, &RANGES)?;
    if let Some(w) = &o.sample_weights {
        check_vector("sample_weights", w, n, |x| x.is_finite() && x >= 0.0, "finite and not negative")?;
    }
    if let Some(f) = &o.penalty_factors {
        check_vector(
            "penalty_factors",
            f,
            p,
            |x| x == 0.0 || (1e-100..=1e100).contains(&x),
            "zero, or 1e-100 to 1e100",
        )?;
    }
    if let Some(l) = &o.lower {
        check_vector("lower", l, p, |x| x <= 0.0, "zero or below")?;
    }
    if let Some(u) = &o.upper {
        check_vector("upper", u, p, |x| x >= 0.0, "zero or above")?;
    }
    if !sums::dot(y, y).is_finite() {
        let (argument, allowed) = ("y", "values whose sum of squares is finite");
        return Err(Error::Entry { argument, position: 0, value: y[0], allowed });
    }
    Ok(())
}

/// Whether all values with a positive weight are the same.
pub(crate) fn is_constant(column: &[f64], weights: &[f64]) -> bool {
    let mut counted = column.iter().zip(weights).filter(|e| *e.1 > 0.0).map(|e| *e.0);
    let first = counted.next();
    counted.all(|x| Some(x) == first)
}

/// Checks one λ.
pub(crate) fn check_lambda(lambda: f64) -> Result<(), Error> {
    if lambda.is_normal() && lambda > 0.0 {
        Ok(())
    } else {
        Err(Error::argument("lambda", lambda, "finite and above 0"))
    }
}

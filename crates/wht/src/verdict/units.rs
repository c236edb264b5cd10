//! Units of the answers in which nothing overflows, vanishes or hides behind a constant.
use std::borrow::Cow;

use rayon::prelude::*;
use samplewise_linalg::scale::{exponent, ldexp};

use crate::Error;
use crate::answer::{Coefficient, Spectrum, Status};
use crate::field::bits::Bits;
use crate::options::Noise;
use crate::plan::spec::PlanSpec;

/// Units in which nothing overflows, vanishes or hides behind a large constant: answers are divided by a power of two where
/// their squares would leave the range of numbers, and freed of a constant where it is many times their spread. Both are
/// exact, and both are undone in the answer.
pub(crate) struct Units {
    exponent: i32,
    shift: f64,
    /// Rounding of one answer: half of its last digit and half of one of the estimate.
    pub rounding: f64,
}

/// A constant is subtracted when no two answers differ by more than this share of the largest one. Then all of them are
/// within a factor of two of each other, and differences are exact.
const OFFSET: f64 = 1.0 / 16.0;
/// Exponents beyond this are scaled.
const MODERATE: i32 = 330;

impl Units {
    pub fn of(answers: &[f64]) -> Self {
        let (low, high) = range_of(answers);
        let largest = low.abs().max(high.abs());
        let e = exponent(largest);
        let e = if e.abs() > MODERATE { e } else { 0 };
        // Halves, because the difference of two numbers of opposite signs may overflow.
        let offset = 0.5 * high - 0.5 * low <= 0.5 * OFFSET * largest;
        let shift = if offset && !answers.is_empty() { ldexp(answers[0], -e) } else { 0.0 };
        Self { exponent: e, shift, rounding: f64::EPSILON * ldexp(largest, -e) }
    }

    /// What values are divided by, as a power of two, before anything is subtracted.
    pub fn exponent(&self) -> i32 {
        self.exponent
    }

    /// What is subtracted after that.
    pub fn shift(&self) -> f64 {
        self.shift
    }

    pub fn apply<'a>(&self, answers: &'a [f64]) -> Cow<'a, [f64]> {
        if self.exponent == 0 && self.shift == 0.0 {
            return Cow::Borrowed(answers);
        }
        Cow::Owned(answers.par_iter().with_min_len(PART).map(|v| ldexp(*v, -self.exponent) - self.shift).collect())
    }

    /// The plan in these units. Rounding of the answers is noise as well, whatever was said of it.
    pub fn spec<'a>(&self, spec: &'a PlanSpec) -> Cow<'a, PlanSpec> {
        match spec.noise {
            Noise::Std(s) if self.exponent != 0 || s < self.rounding => {
                let noise = Noise::Std(ldexp(s, -self.exponent).max(self.rounding));
                Cow::Owned(PlanSpec { noise, ..spec.clone() })
            }
            _ => Cow::Borrowed(spec),
        }
    }

    pub fn restore<I: Bits>(&self, out: &mut Spectrum<I>) {
        if self.shift != 0.0 {
            match out.coefficients.first_mut() {
                Some(first) if first.index.is_zero() => first.value += self.shift,
                _ => {
                    let noisy = out.report.noise_std > 0.0;
                    let used = (out.report.samples - out.report.verification).max(1) as f64;
                    let std_error = noisy.then(|| out.report.noise_std / used.sqrt());
                    let constant = Coefficient { index: I::zero(), value: self.shift, std_error };
                    out.coefficients.insert(0, constant);
                }
            }
        }
        if self.exponent == 0 {
            return;
        }
        let back = |v: f64| ldexp(v, self.exponent).clamp(-f64::MAX, f64::MAX);
        for c in &mut out.coefficients {
            c.value = back(c.value);
            c.std_error = c.std_error.map(back);
        }
        out.report.residual_std = out.report.residual_std.map(back);
        out.report.rounding = back(out.report.rounding);
        out.report.noise_std = back(out.report.noise_std);
        out.report.detection_limit = back(out.report.detection_limit);
        if let Status::Verified { detection_limit, .. } = &mut out.status {
            *detection_limit = back(*detection_limit);
        }
    }
}

pub(crate) fn check_finite(answers: &[f64]) -> Result<(), Error> {
    let finite = |part: &[f64]| part.iter().all(|v| v.is_finite());
    if answers.len() < 2 * PART { finite(answers) } else { answers.par_chunks(PART).all(finite) }
        .then_some(())
        .ok_or_else(|| {
            let position = answers.iter().position(|v| !v.is_finite()).unwrap_or(0);
            Error::AnswerNotFinite { position, value: answers[position] }
        })
}

/// Values a task looks at.
const PART: usize = 1 << 16;

/// Least and largest value; zeros of none.
pub(crate) fn range_of(values: &[f64]) -> (f64, f64) {
    let start = values.first().map_or((0.0, 0.0), |v| (*v, *v));
    let wider = |a: (f64, f64), b: (f64, f64)| (a.0.min(b.0), a.1.max(b.1));
    let of = |part: &[f64]| part.iter().fold(start, |r, v| wider(r, (*v, *v)));
    if values.len() < 2 * PART { of(values) } else { values.par_chunks(PART).map(of).reduce(|| start, wider) }
}

pub(crate) fn largest_of(values: &[f64]) -> f64 {
    let of = |part: &[f64]| part.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    if values.len() < 2 * PART { of(values) } else { values.par_chunks(PART).map(of).reduce(|| 0.0, f64::max) }
}

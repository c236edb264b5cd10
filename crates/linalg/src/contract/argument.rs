//! What every crate says of an argument outside its range, and tables of ranges.
use std::ops::Bound::{self, Excluded, Included, Unbounded};
use std::ops::RangeBounds as _;

/// An argument outside its range.
///
/// ```
/// use samplewise_linalg::ArgumentError;
/// let refused = ArgumentError::number("tolerance", -1.0, "finite and positive");
/// assert_eq!(refused.to_string(), "tolerance is -1, allowed is finite and positive");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name} is {given}, allowed is {allowed}")]
pub struct ArgumentError {
    /// Name of the argument, option or field.
    pub name: &'static str,
    /// The value that was given, as text.
    pub given: String,
    /// Allowed values, in words.
    pub allowed: String,
}

impl ArgumentError {
    /// Of a value that shows itself.
    pub fn new(name: &'static str, given: impl std::fmt::Display, allowed: impl Into<String>) -> Self {
        Self { name, given: given.to_string(), allowed: allowed.into() }
    }

    /// Of a number: with an exponent where its digits would fill lines.
    pub fn number(name: &'static str, given: f64, allowed: impl Into<String>) -> Self {
        Self { name, given: plain(given), allowed: allowed.into() }
    }
}

/// The range of one number in the options `O`: one table of them feeds the check of a call, its message, and the test that
/// compares both with the documentation.
///
/// ```
/// use samplewise_linalg::argument::{OptionRange, check_ranges};
/// use std::ops::Bound::{Excluded, Included};
/// struct Options { share: f64 }
/// const RANGES: [OptionRange<Options>; 1] = [OptionRange {
///     name: "share", low: Excluded(0.0), high: Included(1.0), get: |o| Some(o.share), set: |o, v| o.share = v,
/// }];
/// let refused = check_ranges(&Options { share: 0.0 }, &RANGES).unwrap_err();
/// assert_eq!(refused.to_string(), "share is 0, allowed is above 0 and at most 1");
/// ```
#[derive(Debug)]
pub struct OptionRange<O> {
    /// Name of the field.
    pub name: &'static str,
    /// Lower end of the range.
    pub low: Bound<f64>,
    /// Upper end; without one, the number must still be finite.
    pub high: Bound<f64>,
    /// The number, or none where the options leave it open.
    pub get: fn(&O) -> Option<f64>,
    /// Gives it another value.
    pub set: fn(&mut O, f64),
}

impl<O> OptionRange<O> {
    /// Whether a number is within the range.
    pub fn contains(&self, value: f64) -> bool {
        value.is_finite() && (self.low, self.high).contains(&value)
    }

    /// The range in words, as messages and documentation have it.
    pub fn allowed(&self) -> String {
        let (low, high) = (self.low, self.high);
        match (low, high) {
            (Included(a), Included(b)) => format!("{} to {}", plain(a), plain(b)),
            (Excluded(a), Excluded(b)) => format!("above {} and below {}", plain(a), plain(b)),
            (Excluded(a), Included(b)) => format!("above {} and at most {}", plain(a), plain(b)),
            (Included(a), Excluded(b)) => format!("at least {} and below {}", plain(a), plain(b)),
            (Included(a), Unbounded) => format!("finite and at least {}", plain(a)),
            (Excluded(a), Unbounded) => format!("finite and above {}", plain(a)),
            (Unbounded, Included(b)) => format!("finite and at most {}", plain(b)),
            (Unbounded, Excluded(b)) => format!("finite and below {}", plain(b)),
            (Unbounded, Unbounded) => "finite".to_owned(),
        }
    }
}

/// A number in words: with an exponent where its digits would fill lines.
fn plain(value: f64) -> String {
    let far = value != 0.0 && value.is_finite() && !(1e-5..1e16).contains(&value.abs());
    if far { format!("{value:e}") } else { value.to_string() }
}

/// Checks every number of some options.
///
/// # Errors
/// The first that is out of its range.
pub fn check_ranges<O>(options: &O, ranges: &[OptionRange<O>]) -> Result<(), ArgumentError> {
    for range in ranges {
        if let Some(value) = (range.get)(options)
            && !range.contains(value)
        {
            return Err(ArgumentError::number(range.name, value, range.allowed()));
        }
    }
    Ok(())
}

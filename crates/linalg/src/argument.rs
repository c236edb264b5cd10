//! What every crate says of an argument outside its range.

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
    /// Value given.
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
        let far = given != 0.0 && given.is_finite() && !(1e-5..1e16).contains(&given.abs());
        let given = if far { format!("{given:e}") } else { given.to_string() };
        Self { name, given, allowed: allowed.into() }
    }
}

//! Numbers that may be infinite or NaN as data of serde: formats for people, such as JSON, have no word for these and would
//! lose them. There they are the texts `inf`, `-inf` and `NaN`; elsewhere they are numbers like others.
//!
//! A field says `#[serde(with = "samplewise_linalg::extended")]`, a list `extended::list`, one that may be missing `extended::optional_list`.
use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A number of a list.
#[derive(Clone, Copy)]
struct Extended(f64);

/// Writes a number.
///
/// # Errors
/// Those of the format.
pub fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
    // The text of an infinity or of NaN reads back as what it was.
    if value.is_finite() || !to.is_human_readable() { to.serialize_f64(*value) } else { to.collect_str(value) }
}

/// Reads a number.
///
/// # Errors
/// Those of the format, and for what is no number.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    if from.is_human_readable() { from.deserialize_any(Number) } else { f64::deserialize(from) }
}

impl Serialize for Extended {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        serialize(&self.0, to)
    }
}

impl<'de> Deserialize<'de> for Extended {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        deserialize(from).map(Self)
    }
}

struct Number;

impl Visitor<'_> for Number {
    type Value = f64;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a number, inf, -inf or NaN")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<f64, E> {
        Ok(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<f64, E> {
        Ok(value as f64)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<f64, E> {
        Ok(value as f64)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<f64, E> {
        value.parse().map_err(|_| E::invalid_value(serde::de::Unexpected::Str(value), &self))
    }
}

/// Lists.
pub mod list {
    use super::{Deserialize, Deserializer, Extended, Serializer};

    /// Writes a list.
    ///
    /// # Errors
    /// Those of the format.
    pub fn serialize<S: Serializer>(list: &[f64], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(list.iter().map(|v| Extended(*v)))
    }

    /// Reads a list.
    ///
    /// # Errors
    /// Those of the format, and for what is no number.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f64>, D::Error> {
        Ok(Vec::<Extended>::deserialize(from)?.into_iter().map(|v| v.0).collect())
    }
}

/// Lists that may be missing.
pub mod optional_list {
    use super::{Deserialize, Deserializer, Extended, Serialize, Serializer};

    /// Writes a list.
    ///
    /// # Errors
    /// Those of the format.
    #[allow(clippy::ref_option)] // the shape that serde asks for
    pub fn serialize<S: Serializer>(list: &Option<Vec<f64>>, to: S) -> Result<S::Ok, S::Error> {
        list.as_ref().map(|list| list.iter().map(|v| Extended(*v)).collect::<Vec<_>>()).serialize(to)
    }

    /// Reads a list.
    ///
    /// # Errors
    /// Those of the format, and for what is no number.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<f64>>, D::Error> {
        let list = Option::<Vec<Extended>>::deserialize(from)?;
        Ok(list.map(|list| list.into_iter().map(|v| v.0).collect()))
    }
}

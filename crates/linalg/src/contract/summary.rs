//! Mergeable summaries: data may be split in any way, each part summarised anywhere, and the summaries combined in any
//! order; bytes travel between processes and versions.
use crate::LinalgError;
#[cfg(doc)]
use crate::envelope;

/// A summary of data that can be split.
///
/// `merge` must give the same answer for every tree of merges, up to rounding; `to_bytes`/`from_bytes` are versioned,
/// little-endian, and independent of the machine.
pub trait Summary: Sized {
    /// What one update takes.
    type Input<'a>;
    /// What comes out at the end.
    type Output;

    /// Adds data to the summary.
    ///
    /// # Errors
    /// When the data do not fit the summary or are not finite.
    fn update(&mut self, input: Self::Input<'_>) -> Result<(), LinalgError>;
    /// Adds another summary's data.
    ///
    /// # Errors
    /// When the summaries are of different dimensions.
    fn merge(&mut self, other: Self) -> Result<(), LinalgError>;
    /// The summary in its [`envelope`].
    fn to_bytes(&self) -> Vec<u8>;
    /// Reads what [`Summary::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`LinalgError::Bytes`].
    fn from_bytes(bytes: &[u8]) -> Result<Self, LinalgError>;
    /// What the summary says in the end.
    ///
    /// # Errors
    /// When there is no result yet.
    fn finish(self) -> Result<Self::Output, LinalgError>;
}

//! The envelope of everything that is stored as bytes: what it is, in which format, and a checksum, so that bytes that were
//! damaged, cut or meant for something else are an error and never other data.
//!
//! Little-endian: `"SWS1" | kind u16 | format u16 | length u64 | names u64 | rows u64 | rows' checksum u64 | body | XXH3-64 of
//! all before`. `length` counts everything, the checksum included. `names` and the
//! rows' checksum are kept free for hashes of the names of the columns and of the rows; both are zero in every format so far.
use twox_hash::XxHash3_64;

use crate::LinalgError;

/// What the body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Kind {
    /// [`crate::gram::GramSummary`].
    Gram = 1,
    /// A streaming coreset.
    Coreset = 2,
    /// The data of a task.
    Task = 3,
    /// A completion model.
    Completion = 4,
    /// A sparse Walsh–Hadamard spectrum.
    Spectrum = 5,
    /// An adaptive recovery of a spectrum under way.
    Recovery = 6,
    /// A planner of a multi-task sampling under way.
    Planner = 7,
    /// Draws of a posterior of completions.
    Posterior = 8,
    /// A surrogate of a function of few-valued variables.
    Surrogate = 9,
    /// A surrogate under way, which asks for points.
    AskedSurrogate = 10,
    /// Weighted sums of rows and of their products.
    Moments = 11,
    /// A coreset of rows with keys.
    KeyedCoreset = 12,
    /// What a pass over rows that lie elsewhere is asked.
    Question = 13,
    /// What a pass over rows answers.
    QuantilePass = 14,
    /// A regression by passes under way.
    QuantileDriver = 15,
    /// Moments of folds of the rows.
    FoldedMoments = 16,
}

impl Kind {
    /// The word for messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gram => "Gram summary",
            Self::Coreset => "streaming coreset",
            Self::Task => "task",
            Self::Completion => "completion model",
            Self::Spectrum => "spectrum",
            Self::Recovery => "recovery",
            Self::Planner => "planner",
            Self::Posterior => "posterior",
            Self::Surrogate => "surrogate",
            Self::AskedSurrogate => "asked surrogate",
            Self::Moments => "moments",
            Self::KeyedCoreset => "keyed coreset",
            Self::Question => "question of a pass",
            Self::QuantilePass => "pass",
            Self::QuantileDriver => "regression by passes",
            Self::FoldedMoments => "moments of folds",
        }
    }
}

const MAGIC: &[u8; 4] = b"SWS1";
/// Bytes before the body and after it.
const HEAD: usize = 40;
const TAIL: usize = 8;

/// A body in its envelope; `rows` is how many rows a summary has seen.
///
/// Row TRU-4 of `paper-refs.md`.
pub fn seal(kind: Kind, format: u16, rows: u64, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD + body.len() + TAIL);
    out.extend(MAGIC);
    out.extend((kind as u16).to_le_bytes());
    out.extend(format.to_le_bytes());
    for word in [(HEAD + body.len() + TAIL) as u64, 0, rows, 0] {
        out.extend(word.to_le_bytes());
    }
    out.extend(body);
    let checksum = XxHash3_64::oneshot(&out);
    out.extend(checksum.to_le_bytes());
    out
}

/// The kind of sealed bytes, as far as their head says; `None` for anything else.
pub fn kind_of(bytes: &[u8]) -> Option<u16> {
    let head = bytes.strip_prefix(MAGIC)?;
    head.first_chunk().map(|half| u16::from_le_bytes(*half))
}

/// Rows and body of an envelope of this kind in the one format that is known.
///
/// # Errors
/// [`LinalgError::Bytes`] for anything that [`seal`] did not write: another magic, kind or format, another length, bytes
/// that do not have their checksum, words that are zero in what it writes.
pub fn open(kind: Kind, format: u16, bytes: &[u8]) -> Result<(u64, &[u8]), LinalgError> {
    let bad = |reason| LinalgError::Bytes { kind: kind.name(), reason };
    let short = || bad("they are shorter than the header");
    if !bytes.starts_with(MAGIC) {
        let whole = bytes.len() >= MAGIC.len();
        return Err(if whole { bad("they do not begin with the magic SWS1") } else { short() });
    }
    let (head, rest) = bytes.split_at_checked(HEAD).ok_or_else(short)?;
    let half = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
    let word = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("eight bytes"));
    if word(8) != bytes.len() as u64 {
        return Err(bad("their length is not the one they name: they are cut or something follows them"));
    }
    let (body, tail) = rest.split_at_checked(rest.len().wrapping_sub(TAIL)).ok_or_else(short)?;
    if XxHash3_64::oneshot(&bytes[..bytes.len() - TAIL]).to_le_bytes() != tail {
        return Err(bad("they do not have their checksum: they are damaged"));
    }
    if half(4) != kind as u16 {
        return Err(bad("they are of another kind"));
    }
    if half(6) != format {
        return Err(bad("their format is unknown: a newer version wrote them"));
    }
    if word(16) != 0 || word(32) != 0 {
        return Err(bad("they name columns or the rows' checksum, which this version does not write"));
    }
    Ok((word(24), body))
}

/// Writes the numbers of a body, little-endian.
#[derive(Clone, Debug, Default)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    /// A whole number.
    pub fn word(&mut self, value: u64) {
        self.0.extend(value.to_le_bytes());
    }

    /// Appends a count.
    pub fn count(&mut self, value: usize) {
        self.word(value as u64);
    }

    /// A yes or no.
    pub fn flag(&mut self, value: bool) {
        self.word(u64::from(value));
    }

    /// Appends a number, bit by bit.
    pub fn number(&mut self, value: f64) {
        self.word(value.to_bits());
    }

    /// A number that may be missing.
    pub fn optional(&mut self, value: Option<f64>) {
        self.flag(value.is_some());
        self.number(value.unwrap_or(0.0));
    }

    /// How many numbers, then the numbers.
    pub fn numbers(&mut self, values: &[f64]) {
        self.count(values.len());
        values.iter().for_each(|&v| self.number(v));
    }

    /// How many counts, then the counts.
    pub fn counts(&mut self, values: &[usize]) {
        self.count(values.len());
        values.iter().for_each(|&v| self.count(v));
    }

    /// Length, then the bytes.
    pub fn bytes(&mut self, value: &[u8]) {
        self.count(value.len());
        self.0.extend(value);
    }

    /// A text, as its bytes.
    pub fn text(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }
}

/// Reads what a [`Writer`] wrote; whatever does not fit is an error, and nothing is reserved that the bytes do not hold.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    kind: Kind,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Over the body of an envelope of this kind.
    pub fn new(kind: Kind, body: &'a [u8]) -> Self {
        Self { kind, rest: body }
    }

    /// The error of bytes that say something impossible.
    pub fn bad(&self, reason: &'static str) -> LinalgError {
        LinalgError::Bytes { kind: self.kind.name(), reason }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], LinalgError> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or_else(|| self.bad("their body ends too early"))?;
        self.rest = rest;
        Ok(head)
    }

    /// A whole number.
    ///
    /// # Errors
    /// [`LinalgError::Bytes`], as of every method.
    pub fn word(&mut self) -> Result<u64, LinalgError> {
        Ok(u64::from_le_bytes(self.take(8)?.try_into().expect("eight bytes")))
    }

    /// Reads a count.
    ///
    /// # Errors
    /// [`LinalgError::Bytes`].
    pub fn count(&mut self) -> Result<usize, LinalgError> {
        let word = self.word()?;
        usize::try_from(word).map_err(|_| self.bad("a count does not fit"))
    }

    /// A count of things of at least so many bytes each, which must be there.
    ///
    /// # Errors
    /// [`LinalgError::Bytes`].
    pub fn length(&mut self, each: usize) -> Result<usize, LinalgError> {
        let count = self.count()?;
        let there = count.checked_mul(each).is_some_and(|bytes| bytes <= self.rest.len());
        if there { Ok(count) } else { Err(self.bad("their body ends too early")) }
    }

    /// A yes or no.
    ///
    /// # Errors
    /// [`LinalgError::Bytes`].
    pub fn flag(&mut self) -> Result<bool, LinalgError> {
        match self.word()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.bad("a yes or no is neither")),
        }
    }

    /// A number, which may be infinite or NaN.
    ///
    /// # Errors
    /// [`LinalgError::Bytes`].
    pub fn number(&mut self) -> Result<f64, LinalgError> {
        self.word().map(f64::from_bits)
    }

    /// A finite number.
    ///
    /// # Errors
    /// [`LinalgError::Bytes`].
    pub fn finite(&mut self) -> Result<f64, LinalgError> {
        let value = self.number()?;
        if value.is_finite() { Ok(value) } else { Err(self.bad("a number is not finite")) }
    }

    /// A number that may be missing.
    ///
    /// # Errors
    /// [`LinalgError::Bytes`].
    pub fn optional(&mut self) -> Result<Option<f64>, LinalgError> {
        let there = self.flag()?;
        let value = self.number()?;
        Ok(there.then_some(value))
    }

    /// Reads how many numbers, then the numbers.
    ///
    /// # Errors
    /// [`LinalgError::Bytes`].
    pub fn numbers(&mut self) -> Result<Vec<f64>, LinalgError> {
        let count = self.length(8)?;
        (0..count).map(|_| self.number()).collect()
    }

    /// Reads how many counts, then the counts.
    ///
    /// # Errors
    /// [`LinalgError::Bytes`].
    pub fn counts(&mut self) -> Result<Vec<usize>, LinalgError> {
        let count = self.length(8)?;
        (0..count).map(|_| self.count()).collect()
    }

    /// Reads a length, then so many bytes.
    ///
    /// # Errors
    /// [`LinalgError::Bytes`].
    pub fn bytes(&mut self) -> Result<&'a [u8], LinalgError> {
        let count = self.length(1)?;
        self.take(count)
    }

    /// Reads a text.
    ///
    /// # Errors
    /// [`LinalgError::Bytes`].
    pub fn text(&mut self) -> Result<String, LinalgError> {
        let bytes = self.bytes()?.to_vec();
        String::from_utf8(bytes).map_err(|_| self.bad("a text is no UTF-8"))
    }

    /// Ends the body: nothing may follow.
    ///
    /// # Errors
    /// [`LinalgError::Bytes`].
    pub fn end(self) -> Result<(), LinalgError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.bad("something follows their body")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_can_be_opened_and_nothing_else() {
        let sealed = seal(Kind::Task, 1, 7, b"the body");
        assert_eq!(open(Kind::Task, 1, &sealed).unwrap(), (7, &b"the body"[..]));
        assert!(open(Kind::Gram, 1, &sealed).is_err() && open(Kind::Task, 2, &sealed).is_err());
        // Every damaged bit, every cut, and whatever follows.
        for bit in 0..8 * sealed.len() {
            let mut damaged = sealed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(open(Kind::Task, 1, &damaged).is_err(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(open(Kind::Task, 1, &sealed[..length]).is_err(), "cut at {length}");
        }
        assert!(open(Kind::Task, 1, &[&sealed[..], b"x"].concat()).is_err());
        // What is reserved must be zero, also where the checksum is right.
        for at in [16, 32] {
            let mut other = sealed[..sealed.len() - TAIL].to_vec();
            other[at] = 1;
            let checksum = XxHash3_64::oneshot(&other);
            other.extend(checksum.to_le_bytes());
            assert!(open(Kind::Task, 1, &other).is_err(), "word at {at}");
        }
    }
}

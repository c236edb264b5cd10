//! One pass over the rows of a part of the table.
use rayon::prelude::*;
use samplewise_linalg::envelope::{self, Kind, Reader, Writer};
use samplewise_linalg::gram::Moments;
use samplewise_linalg::keys::checksum;
use samplewise_linalg::twofold::Twofold;
use samplewise_linalg::{LinalgError, Summary};

use super::band::{SCALARS, Sums, sums};
use super::kept::Kept;
use super::question::{Question, Tied, What};
use crate::KeyedRows;

/// The answer of some rows to a [`Question`]: a summary, merged with those of other parts in any order and told to the
/// [`super::QuantileDriver`].
///
/// Rows are the features and then the target; keys identify them ([`samplewise_linalg::keys`]). Cost about `d²` products a row;
/// memory the rows near the fit, at most those that the driver's options allow.
///
/// Row SEN-33 of `paper-refs.md`.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantilePass {
    pub(super) question: Question,
    pub(super) rows: u64,
    pub(super) checksum: u64,
    pub(super) sums: Answered,
}

/// By kind of question.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answered {
    Sums(Box<Moments>),
    Band(Box<Sums>),
}

const FORMAT: u16 = 1;
/// Rows that one task works on.
const CHUNK: usize = 8_192;

impl QuantilePass {
    /// No rows yet.
    ///
    /// # Errors
    /// [`LinalgError`] for a question that is too large.
    pub fn new(question: &Question) -> Result<Self, LinalgError> {
        let sums = match &question.what {
            What::Sums(origin) => Answered::Sums(Box::new(Moments::about(origin)?)),
            What::Band(band) => Answered::Band(Box::new(Sums::new(band))),
        };
        Ok(Self { question: question.clone(), rows: 0, checksum: 0, sums })
    }

    /// Number of rows that were seen.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// [`checksum`] of the keys of the rows seen.
    pub fn checksum(&self) -> u64 {
        self.checksum
    }

    /// Rows that go to the driver.
    pub fn held(&self) -> usize {
        match &self.sums {
            Answered::Sums(_) => 0,
            Answered::Band(sums) => sums.kept.len() + sums.against.len(),
        }
    }

    fn bad(reason: &'static str) -> LinalgError {
        LinalgError::Bytes { kind: Kind::QuantilePass.name(), reason }
    }
}

impl Summary for QuantilePass {
    type Input<'a> = KeyedRows<'a>;
    type Output = Self;

    /// Adds rows; where it fails, nothing is added.
    ///
    /// # Errors
    /// [`LinalgError::Length`], [`LinalgError::Shape`], [`LinalgError::NotFinite`]; [`LinalgError::OutOfRange`] for sums of
    /// squares of features, and sums of losses, that overflow.
    fn update(&mut self, KeyedRows { keys, rows }: KeyedRows<'_>) -> Result<(), LinalgError> {
        let d = self.question.features;
        if keys.len() != rows.rows() {
            return Err(LinalgError::Length { argument: "keys", given: keys.len(), expected: rows.rows() });
        }
        if rows.columns() != d + 1 {
            let expected = format!("{d} features and the target");
            return Err(LinalgError::Shape { argument: "rows", rows: rows.rows(), columns: rows.columns(), expected });
        }
        rows.check_finite("rows")?;
        let total =
            self.rows.checked_add(keys.len() as u64).ok_or_else(|| Self::bad("more rows than can be counted"))?;
        match (&mut self.sums, &self.question.what) {
            (Answered::Sums(moments), _) => {
                let features = rows.transpose().select_range(0..d).transpose();
                moments.update((features, None))?;
            }
            (Answered::Band(own), What::Band(band)) => {
                let starts: Vec<usize> = (0..keys.len()).step_by(CHUNK).collect();
                let mut all = Sums::new(band);
                for together in starts.chunks(rayon::current_num_threads().max(1)) {
                    let parts: Result<Vec<Sums>, LinalgError> = together
                        .par_iter()
                        .map(|&from| {
                            let to = (from + CHUNK).min(keys.len());
                            sums(band, &keys[from..to], rows.select_range(from..to))
                        })
                        .collect();
                    for part in parts? {
                        all.merge(part, band)?;
                    }
                }
                if !(all.columns.is_finite() && all.scalars.is_finite()) {
                    let allowed = "finite; divide the target or the features";
                    return Err(LinalgError::OutOfRange { argument: "sum of losses", value: f64::INFINITY, allowed });
                }
                own.merge(all, band)?;
            }
            (Answered::Band(_), What::Sums(_)) => return Err(Self::bad("it answers another question")),
        }
        self.checksum = self.checksum.wrapping_add(checksum(keys));
        self.rows = total;
        Ok(())
    }

    fn merge(&mut self, other: Self) -> Result<(), LinalgError> {
        if self.question != other.question {
            return Err(Self::bad("they answer different questions"));
        }
        let rows = self.rows.checked_add(other.rows).ok_or_else(|| Self::bad("more rows than can be counted"))?;
        match (&mut self.sums, other.sums, &self.question.what) {
            (Answered::Sums(own), Answered::Sums(other), _) => own.merge(*other)?,
            (Answered::Band(own), Answered::Band(other), What::Band(band)) => own.merge(*other, band)?,
            _ => return Err(Self::bad("they answer different questions")),
        }
        self.rows = rows;
        self.checksum = self.checksum.wrapping_add(other.checksum);
        Ok(())
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::default();
        self.question.write(&mut out);
        out.word(self.checksum);
        match &self.sums {
            Answered::Sums(moments) => out.bytes(&moments.to_bytes()),
            Answered::Band(sums) => sums.write(&mut out),
        }
        envelope::seal(Kind::QuantilePass, FORMAT, self.rows, &out.0)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, LinalgError> {
        let (rows, body) = envelope::open(Kind::QuantilePass, FORMAT, bytes)?;
        let mut r = Reader::new(Kind::QuantilePass, body);
        let question = Question::read(&mut r)?;
        let checksum = r.word()?;
        let sums = match &question.what {
            What::Sums(origin) => {
                let moments = Moments::from_bytes(r.bytes()?)?;
                if moments.rows() != rows || moments.columns() != origin.len() {
                    return Err(r.bad("its rows cannot be counted"));
                }
                Answered::Sums(Box::new(moments))
            }
            What::Band(band) => {
                let sums = Sums::read(band.origin.len(), band.dependent.len(), &mut r)?;
                if sums.tied.is_some() != (band.tied != Tied::Kept)
                    || sums.open > rows
                    || sums.kept.len() as u64 > sums.open
                    || sums.wrong > rows - sums.open
                    || sums.decided() != Some(rows - sums.open)
                {
                    return Err(r.bad("its rows cannot be counted"));
                }
                Answered::Band(Box::new(sums))
            }
        };
        r.end()?;
        Ok(Self { question, rows, checksum, sums })
    }

    /// The pass itself: the driver finishes it.
    fn finish(self) -> Result<Self, LinalgError> {
        Ok(self)
    }
}

impl Sums {
    fn write(&self, out: &mut Writer) {
        for sums in [&self.columns, &self.scalars] {
            let (high, low) = sums.parts();
            out.numbers(high);
            out.numbers(low);
        }
        out.flag(self.tied.is_some());
        if let Some(moments) = &self.tied {
            out.bytes(&moments.to_bytes());
        }
        out.number(self.leverage);
        out.word(self.open);
        out.word(self.above);
        out.word(self.below);
        out.word(self.wrong);
        self.outside.iter().for_each(|&count| out.word(count));
        self.kept.write(out);
        self.against.write(out);
    }

    fn read(features: usize, dependent: usize, r: &mut Reader<'_>) -> Result<Self, LinalgError> {
        let twofold = |len: usize, r: &mut Reader<'_>| {
            let sums = Twofold::from_parts(r.numbers()?, r.numbers()?).map_err(|_| r.bad("a sum is not finite"))?;
            if sums.len() == len { Ok(sums) } else { Err(r.bad("sums are missing")) }
        };
        let (columns, scalars) = (twofold(features + 1, r)?, twofold(SCALARS, r)?);
        let tied = if r.flag()? { Some(Moments::from_bytes(r.bytes()?)?) } else { None };
        if tied.as_ref().is_some_and(|m| m.columns() != features) {
            return Err(r.bad("sums are missing"));
        }
        let (leverage, open) = (r.finite()?, r.word()?);
        let (above, below, wrong) = (r.word()?, r.word()?, r.word()?);
        let outside = (0..dependent).map(|_| r.word()).collect::<Result<_, _>>()?;
        let (kept, against) = (Kept::read(features + 1, r)?, Kept::read(features + 1, r)?);
        Ok(Self { columns, scalars, tied, leverage, open, above, below, wrong, outside, kept, against })
    }
}

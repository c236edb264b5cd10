//! What a pass is asked.
use samplewise_linalg::envelope::{self, Kind, Reader, Writer};
use samplewise_linalg::{LinalgError, Matrix};

/// What a pass over the table is asked: bytes for whoever runs it, with [`super::QuantilePass::new`] at the other end.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// Features of a row; the target comes after them.
    pub(super) features: usize,
    pub(super) what: What,
}

/// The kinds of passes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum What {
    /// Sums of the features about this point.
    Sums(Vec<f64>),
    Band(Box<Band>),
}

/// Coefficients of the features less their origin, and the level there.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fit {
    pub slopes: Vec<f64>,
    pub level: f64,
}

/// Which rows are open, and how they are sampled.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Band {
    pub tau: f64,
    pub seed: u64,
    /// Rows of the table.
    pub rows: u64,
    /// Point that is taken from the features; zeros without an intercept.
    pub origin: Vec<f64>,
    /// Squared norms of the columns less their origin.
    pub norms: Vec<f64>,
    /// `d × rank`: features less their origin times this have orthonormal columns.
    pub transform: Matrix,
    /// Entry of every row in the coordinate of the intercept: `1/√n`, zero without an intercept.
    pub constant: f64,
    /// Columns that depend on others, and the combination that each is of those.
    pub dependent: Vec<(usize, Vec<f64>)>,
    /// Fit at which the sides are decided; `None`: all rows are open.
    pub sides_at: Option<Fit>,
    /// Fit whose loss is asked for.
    pub judged_at: Fit,
    /// Rows are open that are below the fit by at most the first times their spread, or above it by the second.
    pub thresholds: [f64; 2],
    /// Open rows are kept with this times their spread over the mean spread; all of them from 1 on.
    pub rate: f64,
    /// Rows kept at most.
    pub most: usize,
    /// What is asked of the open rows beside.
    pub tied: Tied,
}

/// Where more rows than can be kept are tied with the fit, they are proven to be in balance without any of them.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tied {
    /// Nothing.
    Kept,
    /// Open rows have the multiplier `τ − ½` plus this function of the features less their origin, cut to its limits, and count
    /// as decided; sums of the features of those that are not cut and of their products.
    Multipliers(Fit),
}

impl Band {
    /// Coordinates in which the columns are orthonormal.
    pub fn rank(&self) -> usize {
        self.transform.columns() + usize::from(self.constant > 0.0)
    }

    /// `√(rank/n)`: the spread that rows have in the mean.
    pub fn typical(&self) -> f64 {
        (self.rank().max(1) as f64 / self.rows as f64).sqrt()
    }

    /// Least spread of a row: rows that hardly lean on the columns are uncertain, too.
    pub fn floor(&self) -> f64 {
        1e-3_f64.sqrt() * self.typical()
    }

    /// Probability with which an open row of this spread is kept when the rate was halved so many times.
    pub fn probability(&self, spread: f64, halvings: u32) -> f64 {
        if self.rate >= 1.0 && halvings == 0 {
            return 1.0;
        }
        (self.rate * 0.5_f64.powi(halvings as i32) * spread / self.typical()).min(1.0)
    }
}

const FORMAT: u16 = 1;
/// Features of a table: a pass holds its triangle of products.
pub(super) const MOST_FEATURES: usize = 1 << 12;

impl Question {
    /// Features of a row, which the target follows.
    pub fn features(&self) -> usize {
        self.features
    }

    /// The kind of pass, for people: `"sums"`, `"sample"`, `"band"`, `"ties"` or `"verification"`.
    pub fn stage(&self) -> &'static str {
        match &self.what {
            What::Sums(_) => "sums",
            What::Band(band) if band.sides_at.is_none() => "sample",
            What::Band(band) if band.tied != Tied::Kept => "ties",
            What::Band(band) if band.sides_at.as_ref() == Some(&band.judged_at) => "band",
            What::Band(_) => "verification",
        }
    }

    /// Sealed with a checksum.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::default();
        self.write(&mut out);
        envelope::seal(Kind::Question, FORMAT, 0, &out.0)
    }

    /// Reads what [`Question::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`LinalgError::Bytes`] for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LinalgError> {
        let (_, body) = envelope::open(Kind::Question, FORMAT, bytes)?;
        let mut r = Reader::new(Kind::Question, body);
        let out = Self::read(&mut r)?;
        r.end()?;
        Ok(out)
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.count(self.features);
        match &self.what {
            What::Sums(origin) => {
                out.flag(false);
                out.numbers(origin);
            }
            What::Band(band) => {
                out.flag(true);
                band.write(out);
            }
        }
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Result<Self, LinalgError> {
        let features = r.count()?;
        if features == 0 || features > MOST_FEATURES {
            return Err(r.bad("the number of its features is not allowed"));
        }
        let what =
            if r.flag()? { What::Band(Box::new(Band::read(features, r)?)) } else { What::Sums(finite(r, features)?) };
        Ok(Self { features, what })
    }
}

fn finite(r: &mut Reader<'_>, len: usize) -> Result<Vec<f64>, LinalgError> {
    let values = r.numbers()?;
    if values.len() != len || !values.iter().all(|v| v.is_finite()) {
        return Err(r.bad("numbers are missing or not finite"));
    }
    Ok(values)
}

impl Fit {
    pub fn zero(features: usize) -> Self {
        Self { slopes: vec![0.0; features], level: 0.0 }
    }

    pub fn write(&self, out: &mut Writer) {
        out.numbers(&self.slopes);
        out.number(self.level);
    }

    pub fn read(features: usize, r: &mut Reader<'_>) -> Result<Self, LinalgError> {
        Ok(Self { slopes: finite(r, features)?, level: r.finite()? })
    }
}

impl Band {
    pub fn write(&self, out: &mut Writer) {
        out.word(self.seed);
        out.word(self.rows);
        out.count(self.most);
        for value in [self.tau, self.constant, self.rate].iter().chain(&self.thresholds) {
            out.number(*value);
        }
        out.numbers(&self.origin);
        out.numbers(&self.norms);
        out.count(self.transform.columns());
        out.numbers(self.transform.as_slice());
        out.count(self.dependent.len());
        for (column, combination) in &self.dependent {
            out.count(*column);
            out.numbers(combination);
        }
        out.count(match &self.tied {
            Tied::Kept => 0,
            Tied::Multipliers(_) => 1,
        });
        if let Tied::Multipliers(fit) = &self.tied {
            fit.write(out);
        }
        self.judged_at.write(out);
        out.flag(self.sides_at.is_some());
        if let Some(fit) = &self.sides_at {
            fit.write(out);
        }
    }

    pub fn read(features: usize, r: &mut Reader<'_>) -> Result<Self, LinalgError> {
        let (seed, rows, most) = (r.word()?, r.word()?, r.count()?);
        let (tau, constant, rate) = (r.finite()?, r.finite()?, r.finite()?);
        let thresholds = [r.finite()?, r.finite()?];
        let (origin, norms) = (finite(r, features)?, finite(r, features)?);
        let rank = r.count()?;
        if rank > features || rows == 0 || !(tau > 0.0 && tau < 1.0) || constant < 0.0 || rate <= 0.0 {
            return Err(r.bad("a number is not allowed"));
        }
        let transform = Matrix::from_vec(features, rank, finite(r, features * rank)?)?;
        let dependent = (0..r.length(16)?)
            .map(|_| {
                let column = r.count()?;
                if column >= features {
                    Err(r.bad("a column is beyond the last"))
                } else {
                    Ok((column, finite(r, features)?))
                }
            })
            .collect::<Result<_, _>>()?;
        let tied = match r.word()? {
            0 => Tied::Kept,
            1 => Tied::Multipliers(Fit::read(features, r)?),
            _ => return Err(r.bad("what it asks of tied rows is unknown")),
        };
        let judged_at = Fit::read(features, r)?;
        let sides_at = if r.flag()? { Some(Fit::read(features, r)?) } else { None };
        Ok(Self {
            tau,
            seed,
            rows,
            origin,
            norms,
            transform,
            constant,
            dependent,
            sides_at,
            judged_at,
            thresholds,
            rate,
            most,
            tied,
        })
    }
}

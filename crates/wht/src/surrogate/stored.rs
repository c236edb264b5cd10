//! Surrogates as data: points, parameters and shares, from which the factors are made again with the same bits.
use std::sync::Arc;

use samplewise_linalg::envelope::{self, Reader, Writer};
use samplewise_linalg::{Ending, LinalgError, Seconds};

use super::answer::{ExpertReport, Kind, Report, Status};
use super::expert::{Expert, Process, Terms};
use super::functionals::prior_of;
use super::kernel::Kernel;
use super::letters::{LetterPosterior, MOST_LETTERS};
use super::mixture::{Member, Mixture};
use super::posterior::Posterior;
use super::sets::{Set, log_empty};
use super::table::{Layout, Table};
use crate::Error;
use crate::field::bits::Bits;

const FORMAT: u16 = 1;
/// As the range of the option.
const MOST_POINTS: usize = 20_000;
/// Means and scales are in moderate units.
const LARGEST: f64 = 1e150;
const ENVELOPE: envelope::Kind = envelope::Kind::Surrogate;

/// What is stored of a mixture.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Stored {
    levels: Vec<usize>,
    /// Distinct points, row after row, with how often each was told and the mean of its values.
    points: Vec<u8>,
    repeats: Vec<f64>,
    values: Vec<f64>,
    within: f64,
    mean: f64,
    scale: f64,
    exponent: i32,
    shift: f64,
    level: f64,
    status: Status,
    report: Report,
    members: Vec<StoredMember>,
}

#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct StoredMember {
    kind: Kind,
    share: f64,
    model: Model,
}

#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
enum Model {
    Process {
        relevance: Vec<f64>,
        variance: f64,
        constant: f64,
        noise: f64,
        tail: f64,
        own_noise: f64,
        sets: Vec<Set>,
        more: Vec<f64>,
    },
    Terms {
        sets: Vec<Set>,
        values: Vec<f64>,
        errors: Vec<f64>,
        residual: f64,
    },
}

impl From<&Mixture> for Stored {
    fn from(mixture: &Mixture) -> Self {
        let table = mixture.processes().first().map(|p| Arc::clone(&p.1.table));
        let member = |m: &Member| {
            let model = match &m.expert {
                Expert::Process(p) => {
                    let (sets, more) = p.extra.iter().cloned().unzip();
                    let Kernel { relevance, variance, constant, noise } = p.kernel.clone();
                    Model::Process {
                        relevance,
                        variance,
                        constant,
                        noise,
                        tail: p.tail,
                        own_noise: p.noise,
                        sets,
                        more,
                    }
                }
                Expert::Terms(Terms { sets, values, errors, residual }) => Model::Terms {
                    sets: sets.clone(),
                    values: values.clone(),
                    errors: errors.clone(),
                    residual: *residual,
                },
            };
            StoredMember { kind: m.kind, share: m.share, model }
        };
        let of_table = |get: fn(&Table) -> f64, otherwise: f64| table.as_ref().map_or(otherwise, |t| get(t));
        Self {
            levels: mixture.layout.levels.to_vec(),
            points: table.as_ref().map_or_else(Vec::new, |t| t.codes.clone()),
            repeats: table.as_ref().map_or_else(Vec::new, |t| t.repeats.clone()),
            values: table.as_ref().map_or_else(Vec::new, |t| t.values.clone()),
            within: of_table(|t| t.within, 0.0),
            mean: of_table(|t| t.mean, 0.0),
            scale: of_table(|t| t.scale, 1.0),
            exponent: mixture.exponent,
            shift: mixture.shift,
            level: mixture.level,
            status: mixture.status,
            // The same model is the same data, however long it took.
            report: Report { seconds: Seconds::default(), ..mixture.report.clone() },
            members: mixture.members.iter().map(member).collect(),
        }
    }
}

impl Stored {
    /// Whether the variances of a process are none below zero, and a plain one is what its kernel says.
    fn fits(&self, kind: Kind, model: &Model) -> bool {
        let Model::Process { relevance, variance, constant, noise, tail, own_noise, sets, more } = model else {
            return true;
        };
        if !matches!(kind, Kind::HeavyTails { .. }) {
            return *tail == 1.0 && noise == own_noise && sets.is_empty();
        }
        let kernel = Kernel { relevance: relevance.clone(), variance: *variance, constant: *constant, noise: *noise };
        let shares = kernel.shares(&self.levels);
        let empty = log_empty(*variance, &shares);
        let prior = |s: &Set| tail * prior_of(&kernel, &shares, empty, s);
        let distinct: std::collections::BTreeSet<&Set> = sets.iter().collect();
        distinct.len() == sets.len() && sets.iter().zip(more).all(|(s, m)| prior(s) + m >= -1e-9 * prior(s))
    }

    /// Why it is no surrogate, if it is none.
    fn fault(&self) -> Option<&'static str> {
        let n = self.levels.len();
        let finite = |values: &[f64]| values.iter().all(|v| v.is_finite());
        let sets_fit = |sets: &[Set]| {
            let inside = |s: &Set| s.windows(2).all(|w| w[0] < w[1]) && s.iter().all(|&i| usize::from(i) < n);
            sets.iter().all(inside)
        };
        if n == 0 || n > 1_024 || self.levels.iter().any(|a| !(1..=MOST_LETTERS).contains(a)) {
            return Some("their positions or levels are out of range");
        }
        let count = self.values.len();
        if self.points.len() != count * n || self.repeats.len() != count {
            return Some("they do not have a row, a count and a value for every point");
        }
        if self.points.chunks_exact(n).any(|p| p.iter().zip(&self.levels).any(|(&x, &a)| usize::from(x) >= a)) {
            return Some("a point has a letter that its position does not have");
        }
        let distinct = super::table::count_distinct(&self.points, n);
        if distinct != count || count > MOST_POINTS {
            return Some("a point is there twice, or there are more than 20000");
        }
        let r = &self.report;
        if r.interval_scale.iter().any(|q| !(*q >= 0.0 && q.is_finite()))
            || r.constant_variables.iter().any(|&i| i >= n)
        {
            return Some("their report has a number out of range");
        }
        let numbers = [self.within, self.mean, self.shift, self.level];
        if !(0.0 < self.level && self.level < 1.0)
            || self.within < 0.0
            || self.mean.abs() > LARGEST
            || self.scale > LARGEST
        {
            return Some("their level, mean or scale is out of range");
        }
        let fine = finite(&self.values) && finite(&numbers) && self.repeats.iter().all(|r| (1.0..1e15).contains(r));
        if !(fine && self.scale > 0.0 && (-1_100..=1_100).contains(&self.exponent)) {
            return Some("a number of theirs is out of range");
        }
        let total: f64 = self.members.iter().map(|m| m.share).sum();
        let positive = self.members.iter().all(|m| m.share > 0.0);
        if !(positive && (total - 1.0).abs() < 1e-9) {
            return Some("the shares of their experts do not add up to one");
        }
        for member in &self.members {
            let bad = match &member.model {
                Model::Process { relevance, variance, constant, noise, tail, own_noise, sets, more } => {
                    // Somewhat more than what a fit may find.
                    let positive = (1e-5..1e5).contains(variance)
                        && (1e-6..1e3).contains(constant)
                        && (1e-30..1e30).contains(tail);
                    let noisy = [*noise, *own_noise].iter().all(|v| (0.0..=1e13).contains(v));
                    let two = sets.is_empty() || self.levels.iter().all(|&a| a <= 2);
                    let relevant = relevance.len() == n && relevance.iter().all(|w| (0.0..=10.0).contains(w));
                    count == 0
                        || !positive
                        || !noisy
                        || !two
                        || !relevant
                        || sets.len() != more.len()
                        || !finite(more)
                        || !sets_fit(sets)
                }
                Model::Terms { sets, values, errors, residual } => {
                    let two = sets.iter().all(Vec::is_empty) || self.levels.iter().all(|&a| a <= 2);
                    let lengths = sets.len() == values.len() && sets.len() == errors.len();
                    !two || !lengths
                        || !finite(values)
                        || !finite(errors)
                        || errors.iter().any(|e| *e < 0.0)
                        || *residual < 0.0
                        || residual.is_nan()
                        || !sets_fit(sets)
                }
            };
            if bad || !self.fits(member.kind, &member.model) {
                return Some("an expert of theirs has parameters out of range");
            }
        }
        None
    }

    fn restore(self) -> Result<Mixture, Error> {
        let bad = |reason| Error::from(LinalgError::Bytes { kind: ENVELOPE.name(), reason });
        if let Some(reason) = self.fault() {
            return Err(bad(reason));
        }
        let layout = Arc::new(Layout::new(&self.levels));
        let table = (!self.values.is_empty()).then(|| {
            let means = (self.values.clone(), self.repeats.clone());
            Arc::new(Table::from_means(&layout, self.points.clone(), means, self.within, (self.mean, self.scale)))
        });
        let mut members = Vec::with_capacity(self.members.len());
        for StoredMember { kind, share, model } in self.members {
            let expert = match model {
                Model::Process { relevance, variance, constant, noise, tail, own_noise, sets, more } => {
                    let kernel = Kernel { relevance, variance, constant, noise };
                    let table = table.as_ref().ok_or_else(|| bad("they have a process without points"))?;
                    let process = match kind {
                        Kind::HeavyTails { .. } => {
                            let extra = sets.into_iter().zip(more).collect();
                            Process::with_extra(&kernel, table, (tail, own_noise), extra, &mut || ())
                        }
                        _ => Process::plain(&kernel, table, &mut || ()),
                    };
                    let process = process.ok_or_else(|| bad("the matrix of an expert of theirs cannot be factored"))?;
                    Expert::Process(Box::new(process))
                }
                Model::Terms { sets, values, errors, residual } => {
                    Expert::Terms(Terms { sets, values, errors, residual })
                }
            };
            members.push(Member { kind, share, expert });
        }
        let mut out = Mixture::new(&layout, members, self.status, self.report, self.level);
        (out.exponent, out.shift) = (self.exponent, self.shift);
        Ok(out)
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.counts(&self.levels);
        w.bytes(&self.points);
        w.numbers(&self.repeats);
        w.numbers(&self.values);
        let numbers = [self.within, self.mean, self.scale, f64::from(self.exponent), self.shift, self.level];
        numbers.into_iter().for_each(|v| w.number(v));
        let (status, terms) = match self.status {
            Status::Constant => (0, 0),
            Status::Explained { terms } => (1, terms),
            Status::Predictive => (2, 0),
            Status::NoStructure => (3, 0),
            Status::Unjudged => (4, 0),
        };
        w.count(status);
        w.count(terms);
        let r = &self.report;
        w.count(ENDINGS.iter().position(|e| *e == r.ending).expect("an ending of the list"));
        w.count(r.experts.len());
        for e in &r.experts {
            write_kind(&mut w, e.kind);
            w.number(e.share);
            w.optional(e.held_out_r2);
        }
        w.number(r.constant_share);
        w.optional(r.held_out_r2);
        w.count(r.held_out);
        w.number(r.noise_std);
        w.numbers(&r.interval_scale);
        w.count(r.iterations);
        w.number(r.largest_gradient);
        w.count(r.merged);
        w.counts(&r.constant_variables);
        w.number(r.seconds.0);
        w.count(self.members.len());
        for m in &self.members {
            write_kind(&mut w, m.kind);
            w.number(m.share);
            match &m.model {
                Model::Process { relevance, variance, constant, noise, tail, own_noise, sets, more } => {
                    w.flag(true);
                    w.numbers(relevance);
                    w.numbers(&[*variance, *constant, *noise, *tail, *own_noise]);
                    write_sets(&mut w, sets);
                    w.numbers(more);
                }
                Model::Terms { sets, values, errors, residual } => {
                    w.flag(false);
                    write_sets(&mut w, sets);
                    w.numbers(values);
                    w.numbers(errors);
                    w.number(*residual);
                }
            }
        }
        envelope::seal(ENVELOPE, FORMAT, self.values.len() as u64, &w.0)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let (_, body) = envelope::open(ENVELOPE, FORMAT, bytes)?;
        let mut r = Reader::new(ENVELOPE, body);
        let levels = r.counts()?;
        let points = r.bytes()?.to_vec();
        let (repeats, values) = (r.numbers()?, r.numbers()?);
        let [within, mean, scale, exponent] = [r.number()?, r.number()?, r.number()?, r.finite()?];
        let [shift, level] = [r.number()?, r.number()?];
        let status = match (r.count()?, r.count()?) {
            (0, _) => Status::Constant,
            (1, terms) => Status::Explained { terms },
            (2, _) => Status::Predictive,
            (3, _) => Status::NoStructure,
            (4, _) => Status::Unjudged,
            _ => return Err(r.bad("a status is unknown").into()),
        };
        let ending = r.count()?;
        let ending = *ENDINGS.get(ending).ok_or_else(|| r.bad("an ending is unknown"))?;
        let count = r.length(40)?;
        let mut experts = Vec::with_capacity(count);
        for _ in 0..count {
            experts.push(ExpertReport { kind: read_kind(&mut r)?, share: r.number()?, held_out_r2: r.optional()? });
        }
        let (constant_share, held_out_r2, held_out, noise_std) = (r.number()?, r.optional()?, r.count()?, r.number()?);
        let interval_scale = r.numbers()?.try_into().map_err(|_| r.bad("they have another number of intervals"))?;
        let (iterations, largest_gradient, merged) = (r.count()?, r.number()?, r.count()?);
        let (constant_variables, seconds) = (r.counts()?, Seconds(r.number()?));
        let report = Report {
            ending,
            experts,
            constant_share,
            held_out_r2,
            held_out,
            noise_std,
            interval_scale,
            iterations,
            largest_gradient,
            merged,
            constant_variables,
            seconds,
        };
        let count = r.length(24)?;
        let mut members = Vec::with_capacity(count);
        for _ in 0..count {
            let (kind, share) = (read_kind(&mut r)?, r.number()?);
            let model = if r.flag()? {
                let relevance = r.numbers()?;
                let numbers = r.numbers()?;
                let &[variance, constant, noise, tail, own_noise] = numbers.as_slice() else {
                    return Err(r.bad("a process has another number of parameters").into());
                };
                let (sets, more) = (read_sets(&mut r)?, r.numbers()?);
                Model::Process { relevance, variance, constant, noise, tail, own_noise, sets, more }
            } else {
                Model::Terms {
                    sets: read_sets(&mut r)?,
                    values: r.numbers()?,
                    errors: r.numbers()?,
                    residual: r.number()?,
                }
            };
            members.push(StoredMember { kind, share, model });
        }
        r.end()?;
        let exponent = exponent as i32;
        Ok(Self {
            levels,
            points,
            repeats,
            values,
            within,
            mean,
            scale,
            exponent,
            shift,
            level,
            status,
            report,
            members,
        })
    }
}

pub(super) const ENDINGS: [Ending; 3] = [Ending::Finished, Ending::Limit, Ending::Interrupted];

fn write_kind(w: &mut Writer, kind: Kind) {
    let (number, value) = match kind {
        Kind::Process { spread } => (0, spread),
        Kind::HeavyTails { freedom } => (1, freedom),
        Kind::Pursuit => (2, 0.0),
        Kind::Constant => (3, 0.0),
    };
    w.count(number);
    w.number(value);
}

fn read_kind(r: &mut Reader<'_>) -> Result<Kind, Error> {
    match (r.count()?, r.number()?) {
        (0, spread) => Ok(Kind::Process { spread }),
        (1, freedom) => Ok(Kind::HeavyTails { freedom }),
        (2, _) => Ok(Kind::Pursuit),
        (3, _) => Ok(Kind::Constant),
        _ => Err(r.bad("a kind of expert is unknown").into()),
    }
}

fn write_sets(w: &mut Writer, sets: &[Set]) {
    w.count(sets.len());
    for set in sets {
        w.counts(&set.iter().map(|&i| usize::from(i)).collect::<Vec<_>>());
    }
}

fn read_sets(r: &mut Reader<'_>) -> Result<Vec<Set>, Error> {
    let count = r.length(8)?;
    let member = |r: &Reader<'_>, i: usize| u16::try_from(i).map_err(|_| r.bad("a set has a member out of range"));
    (0..count)
        .map(|_| {
            let members = r.counts()?;
            Ok(members.into_iter().map(|i| member(r, i)).collect::<Result<Set, _>>()?)
        })
        .collect()
}

impl<I: Bits> Posterior<I> {
    /// Versioned, little-endian bytes with a checksum: points, parameters and shares.
    pub fn to_bytes(&self) -> Vec<u8> {
        Stored::from(&self.mixture).to_bytes()
    }

    /// Reads back what [`Posterior::to_bytes`] wrote; it says the same with the same bits. Cost `b³/3` flops for each expert.
    ///
    /// # Errors
    /// [`Error::Data`] for bytes that are cut, damaged, of another kind, or of a function that is not one of two levels and
    /// as many variables as indices have bits.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        of_bits(Stored::from_bytes(bytes)?.restore()?)
    }
}

fn of_bits<I: Bits>(mixture: Mixture) -> Result<Posterior<I>, Error> {
    if mixture.layout.levels.len() > I::WIDTH || mixture.layout.levels.iter().any(|&a| a != 2) {
        let reason = "they are of more variables than indices have bits, or of more than two levels";
        return Err(LinalgError::Bytes { kind: ENVELOPE.name(), reason }.into());
    }
    Ok(Posterior::of(mixture))
}

impl LetterPosterior {
    /// Versioned, little-endian bytes with a checksum: points, parameters and shares.
    pub fn to_bytes(&self) -> Vec<u8> {
        Stored::from(&self.mixture).to_bytes()
    }

    /// Reads back what [`LetterPosterior::to_bytes`] or [`Posterior::to_bytes`] wrote; it says the same with the same bits.
    ///
    /// # Errors
    /// [`Error::Data`] for bytes that are cut, damaged or of another kind.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        Ok(Self::of(Stored::from_bytes(bytes)?.restore()?))
    }
}

#[cfg(feature = "serde")]
mod as_data {
    use super::{Bits, LetterPosterior, Posterior, Stored, of_bits};
    use serde::de::Error as _;

    impl<I: Bits> serde::Serialize for Posterior<I> {
        fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            Stored::from(&self.mixture).serialize(to)
        }
    }

    impl<'de, I: Bits> serde::Deserialize<'de> for Posterior<I> {
        fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            Stored::deserialize(from)?.restore().and_then(of_bits).map_err(D::Error::custom)
        }
    }

    impl serde::Serialize for LetterPosterior {
        fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            Stored::from(&self.mixture).serialize(to)
        }
    }

    impl<'de> serde::Deserialize<'de> for LetterPosterior {
        fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            Stored::deserialize(from)?.restore().map(Self::of).map_err(D::Error::custom)
        }
    }
}

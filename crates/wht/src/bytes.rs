//! Spectra and recoveries as versioned bytes with a checksum, so that a long search survives the program that ran it.
use samplewise_linalg::envelope::{Kind, Reader, Writer, open, seal};
use samplewise_linalg::{Ending, Seconds};

use crate::Error;
use crate::answer::{Choice, Coefficient, Report, Spectrum, Status};
use crate::field::bits::Bits;
use crate::options::{Decoder, Errors, Noise, Support};
use crate::plan::spec::PlanSpec;

const FORMAT: u16 = 1;

impl<I: Bits> Spectrum<I> {
    /// Versioned, little-endian bytes with a checksum.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.count(I::WIDTH);
        write_spectrum(&mut w, self);
        seal(Kind::Spectrum, FORMAT, self.report.samples as u64, &w.0)
    }

    /// Reads back what [`Spectrum::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`Error::Data`] for bytes that are cut, damaged, or of another kind or width.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let (_, body) = open(Kind::Spectrum, FORMAT, bytes)?;
        let mut r = Reader::new(Kind::Spectrum, body);
        width::<I>(&mut r)?;
        let out = read_spectrum(&mut r)?;
        r.end()?;
        Ok(out)
    }
}

/// The envelope of a recovery.
pub(crate) fn seal_recovery(told: usize, body: &Writer) -> Vec<u8> {
    seal(Kind::Recovery, FORMAT, told as u64, &body.0)
}

/// The body of a recovery.
pub(crate) fn open_recovery(bytes: &[u8]) -> Result<Reader<'_>, Error> {
    let (_, body) = open(Kind::Recovery, FORMAT, bytes)?;
    Ok(Reader::new(Kind::Recovery, body))
}

/// Number of variables that an index type of stored bytes has room for.
pub(crate) fn stored_width(kind: Kind, bytes: &[u8]) -> Result<usize, Error> {
    let (_, body) = open(kind, FORMAT, bytes)?;
    Ok(Reader::new(kind, body).count()?)
}

pub(crate) fn width<I: Bits>(r: &mut Reader<'_>) -> Result<(), Error> {
    if r.count()? == I::WIDTH { Ok(()) } else { Err(r.bad("their indices are of another width").into()) }
}

pub(crate) fn write_index<I: Bits>(w: &mut Writer, index: I) {
    index.for_each_word(|word| w.word(word));
}

pub(crate) fn read_index<I: Bits>(r: &mut Reader<'_>, variables: usize) -> Result<I, Error> {
    let mut out = I::zero();
    for i in 0..I::WIDTH / 64 {
        out |= I::from_word_at(r.word()?, i);
    }
    let inside = out & I::ones(variables) == out;
    if inside { Ok(out) } else { Err(r.bad("an index has a variable that does not exist").into()) }
}

pub(crate) fn write_spectrum<I: Bits>(w: &mut Writer, s: &Spectrum<I>) {
    w.count(s.variables);
    w.count(s.coefficients.len());
    for c in &s.coefficients {
        write_index(w, c.index);
        w.number(c.value);
        w.optional(c.std_error);
    }
    let (kind, first, second, third) = match s.status {
        Status::Exact { delta } => (0, delta, 0.0, 0.0),
        Status::Verified { r2_at_least, detection_limit, delta } => (1, r2_at_least, detection_limit, delta),
        Status::Constant { differs_at_most, delta } => (2, differs_at_most, delta, 0.0),
        Status::Stalled { multi_tons } => (3, multi_tons as f64, 0.0, 0.0),
        Status::BudgetSpent => (4, 0.0, 0.0, 0.0),
        Status::Unverified => (5, 0.0, 0.0, 0.0),
    };
    w.count(kind);
    [first, second, third].into_iter().for_each(|v| w.number(v));
    let r = &s.report;
    w.count(position(&DECODERS, &r.route));
    w.count(r.samples);
    w.count(r.verification);
    [r.residual_std, r.r2, r.differs_at_most].into_iter().for_each(|v| w.optional(v));
    [r.rounding, r.noise_std, r.detection_limit, r.seconds.0].into_iter().for_each(|v| w.number(v));
    w.counts(&r.stages);
    w.count(position(&ENDINGS, &r.ending));
    w.optional(r.choice.map(|c| c.dense_seconds));
    w.optional(r.choice.map(|c| c.sparse_seconds));
}

pub(crate) fn read_spectrum<I: Bits>(r: &mut Reader<'_>) -> Result<Spectrum<I>, Error> {
    let variables = read_variables::<I>(r)?;
    let count = r.length(I::WIDTH / 8 + 24)?;
    let mut coefficients: Vec<Coefficient<I>> = Vec::with_capacity(count);
    for _ in 0..count {
        let index = read_index(r, variables)?;
        if coefficients.last().is_some_and(|last| last.index >= index) {
            return Err(r.bad("their coefficients are not in order").into());
        }
        coefficients.push(Coefficient { index, value: r.finite()?, std_error: r.optional()? });
    }
    let kind = r.count()?;
    let [first, second, third] = [r.number()?, r.number()?, r.number()?];
    let status = match kind {
        0 => Status::Exact { delta: first },
        1 => Status::Verified { r2_at_least: first, detection_limit: second, delta: third },
        2 => Status::Constant { differs_at_most: first, delta: second },
        3 => Status::Stalled { multi_tons: first as usize },
        4 => Status::BudgetSpent,
        5 => Status::Unverified,
        _ => return Err(r.bad("a status is unknown").into()),
    };
    let route = choice(r, &DECODERS)?;
    let (samples, verification) = (r.count()?, r.count()?);
    let [residual_std, r2, differs_at_most] = [r.optional()?, r.optional()?, r.optional()?];
    let [rounding, noise_std, detection_limit, seconds] = [r.number()?, r.number()?, r.number()?, r.number()?];
    let stages = r.counts()?;
    let ending = choice(r, &ENDINGS)?;
    let (dense, sparse) = (r.optional()?, r.optional()?);
    let choice = dense.zip(sparse).map(|(dense_seconds, sparse_seconds)| Choice { dense_seconds, sparse_seconds });
    let report = Report {
        route,
        samples,
        verification,
        residual_std,
        r2,
        differs_at_most,
        rounding,
        noise_std,
        detection_limit,
        stages,
        ending,
        seconds: Seconds(seconds),
        choice,
    };
    Ok(Spectrum { variables, coefficients, status, report })
}

fn read_variables<I: Bits>(r: &mut Reader<'_>) -> Result<usize, Error> {
    let variables = r.count()?;
    if variables <= I::WIDTH {
        Ok(variables)
    } else {
        Err(r.bad("they have more variables than indices have bits").into())
    }
}

pub(crate) fn write_spec(w: &mut Writer, s: &PlanSpec) {
    [s.variables, s.sparsity].into_iter().for_each(|v| w.count(v));
    w.flag(s.sparsity_known);
    let (kind, std) = match s.noise {
        Noise::None => (0, 0.0),
        Noise::Std(std) => (1, std),
        Noise::Unknown => (2, 0.0),
    };
    w.count(kind);
    w.number(std);
    match &s.support {
        Support::Any => w.count(0),
        Support::MaxDegree(t) => w.counts(&[*t]),
        Support::Hereditary { max_degree } => w.counts(&[*max_degree, 0]),
        Support::Within(sets) => {
            w.count(3);
            w.count(sets.len());
            sets.iter().for_each(|set| w.counts(set));
        }
    }
    w.count(position(&DECODERS, &s.decoder));
    w.word(s.seed);
    w.counts(&s.group_bits);
    w.counts(&s.group_offsets);
    [s.anchors, s.points, s.verification].into_iter().for_each(|v| w.count(v));
    w.number(s.delta);
    w.count(position(&ERRORS, &s.errors));
}

pub(crate) fn read_spec(r: &mut Reader<'_>) -> Result<PlanSpec, Error> {
    let (variables, sparsity, sparsity_known) = (r.count()?, r.count()?, r.flag()?);
    let noise = match (r.count()?, r.number()?) {
        (0, _) => Noise::None,
        (1, std) => Noise::Std(std),
        (2, _) => Noise::Unknown,
        _ => return Err(r.bad("a kind of noise is unknown").into()),
    };
    let support = match r.count()? {
        0 => Support::Any,
        1 => Support::MaxDegree(r.count()?),
        2 => {
            let max_degree = r.count()?;
            r.count()?;
            Support::Hereditary { max_degree }
        }
        3 => {
            let count = r.length(8)?;
            Support::Within((0..count).map(|_| r.counts()).collect::<Result<_, _>>()?)
        }
        _ => return Err(r.bad("a kind of support is unknown").into()),
    };
    Ok(PlanSpec {
        variables,
        sparsity,
        sparsity_known,
        noise,
        support,
        decoder: choice(r, &DECODERS)?,
        seed: r.word()?,
        group_bits: r.counts()?,
        group_offsets: r.counts()?,
        anchors: r.count()?,
        points: r.count()?,
        verification: r.count()?,
        delta: r.number()?,
        errors: choice(r, &ERRORS)?,
    })
}

/// Numbers of the choices in stored bytes: new ones go to the end.
const DECODERS: [Decoder; 9] = [
    Decoder::Auto,
    Decoder::Dense,
    Decoder::SignBits,
    Decoder::Spright,
    Decoder::JointList,
    Decoder::ExhaustiveLists,
    Decoder::BchLists,
    Decoder::Heredity,
    Decoder::Surrogate,
];
const ENDINGS: [Ending; 3] = [Ending::Finished, Ending::Limit, Ending::Interrupted];
const ERRORS: [Errors; 2] = [Errors::Model, Errors::Sandwich];

fn position<T: PartialEq>(all: &[T], one: &T) -> usize {
    all.iter().position(|x| x == one).expect("a choice of the list")
}

fn choice<T: Copy>(r: &mut Reader<'_>, all: &[T]) -> Result<T, Error> {
    let at = r.count()?;
    all.get(at).copied().ok_or_else(|| r.bad("a choice is unknown").into())
}

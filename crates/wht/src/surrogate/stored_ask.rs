//! A surrogate under way as bytes: what was asked and told, what is asked now, and what was learned.
use samplewise_linalg::envelope::{self, Reader, Writer};

use super::ask::{AskOptions, Surrogate, Target};
use super::kernel::Kernel;
use super::options::Options;
use super::posterior::Posterior;
use super::stored::ENDINGS;
use crate::Error;
use crate::bytes::{read_index, width, write_index};
use crate::field::bits::Bits;
use crate::options::Noise;

const FORMAT: u16 = 1;
const ENVELOPE: envelope::Kind = envelope::Kind::AskedSurrogate;
const TARGETS: [Target; 3] = [Target::Values, Target::Shapley, Target::Maximum];

impl<I: Bits> Surrogate<I> {
    /// The surrogate as it stands, as versioned, little-endian bytes with a checksum.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.count(I::WIDTH);
        w.count(self.variables);
        w.count(TARGETS.iter().position(|t| *t == self.target).expect("a target of the list"));
        write_options(&mut w, &self.options);
        w.numbers(&self.values);
        self.points.iter().for_each(|&m| write_index(&mut w, m));
        w.count(self.pending.len());
        self.pending.iter().for_each(|&m| write_index(&mut w, m));
        w.count(self.batches);
        w.count(ENDINGS.iter().position(|e| *e == self.ending).expect("an ending of the list"));
        w.flag(self.posterior.is_some());
        if let Some(posterior) = &self.posterior {
            w.bytes(&posterior.to_bytes());
        }
        w.flag(self.kernel.is_some());
        if let Some(Kernel { relevance, variance, constant, noise }) = &self.kernel {
            w.numbers(relevance);
            w.numbers(&[*variance, *constant, *noise]);
        }
        envelope::seal(ENVELOPE, FORMAT, self.values.len() as u64, &w.0)
    }

    /// Reads back what [`Surrogate::to_bytes`] wrote; it goes on as the other would have, with the same bits.
    ///
    /// # Errors
    /// [`Error::Data`] for bytes that are cut, damaged, or of another kind or width; as [`Surrogate::new`] for options out of
    /// range.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let (_, body) = envelope::open(ENVELOPE, FORMAT, bytes)?;
        let mut r = Reader::new(ENVELOPE, body);
        width::<I>(&mut r)?;
        let (variables, target) = (r.count()?, r.count()?);
        let target = *TARGETS.get(target).ok_or_else(|| r.bad("a target is unknown"))?;
        let options = read_options(&mut r)?;
        let mut out = Self::for_bits(variables, target, &options)?;
        out.values = r.numbers()?;
        let indices = |count: usize, r: &mut Reader<'_>| -> Result<Vec<I>, Error> {
            (0..count).map(|_| read_index(r, variables)).collect()
        };
        out.points = indices(out.values.len(), &mut r)?;
        let count = r.length(I::WIDTH / 8)?;
        out.pending = indices(count, &mut r)?;
        out.batches = r.count()?;
        let ending = r.count()?;
        out.ending = *ENDINGS.get(ending).ok_or_else(|| r.bad("an ending is unknown"))?;
        out.posterior = if r.flag()? { Some(Posterior::from_bytes(r.bytes()?)?) } else { None };
        if r.flag()? {
            let (relevance, numbers) = (r.numbers()?, r.numbers()?);
            let fits =
                relevance.len() == variables && relevance.iter().chain(&numbers).all(|v| v.is_finite() && *v >= 0.0);
            let &[variance, constant, noise] = numbers.as_slice() else {
                return Err(r.bad("a process has another number of parameters").into());
            };
            if !fits || variance == 0.0 || constant == 0.0 || relevance.contains(&0.0) {
                return Err(r.bad("a process has parameters out of range").into());
            }
            out.kernel = Some(Kernel { relevance, variance, constant, noise });
        }
        if out.values.iter().any(|v| !v.is_finite()) {
            return Err(r.bad("a value is not finite").into());
        }
        let distinct: std::collections::BTreeSet<I> = out.points.iter().chain(&out.pending).copied().collect();
        if distinct.len() != out.points.len() + out.pending.len() || distinct.len() > options.budget {
            return Err(r.bad("a point is asked twice, or there are more than the budget").into());
        }
        if out.posterior.as_ref().is_some_and(|p| p.variables() != variables) {
            return Err(r.bad("what was learned is of another number of variables").into());
        }
        if out.values.is_empty() && out.pending.is_empty() && out.ending == ENDINGS[0] {
            return Err(r.bad("nothing is asked, and nothing was told").into());
        }
        r.end()?;
        Ok(out)
    }
}

fn write_options(w: &mut Writer, options: &AskOptions) {
    let fit = &options.fit;
    w.word(fit.seed);
    let (noise, std) = match fit.noise {
        Noise::None => (0, 0.0),
        Noise::Std(std) => (1, std),
        Noise::Unknown => (2, 0.0),
    };
    w.count(noise);
    w.number(std);
    w.numbers(&fit.spreads);
    w.numbers(&fit.tails);
    w.flag(fit.pursuit);
    w.counts(&[fit.folds, fit.evidence_points, fit.polish, fit.candidates, fit.max_points]);
    w.number(fit.level);
    w.count(options.budget);
    w.count(options.batch.unwrap_or(0));
    w.number(options.enough);
}

fn read_options(r: &mut Reader<'_>) -> Result<AskOptions, Error> {
    let seed = r.word()?;
    let noise = match (r.count()?, r.number()?) {
        (0, _) => Noise::None,
        (1, std) => Noise::Std(std),
        (2, _) => Noise::Unknown,
        _ => return Err(r.bad("a kind of noise is unknown").into()),
    };
    let (spreads, tails, pursuit) = (r.numbers()?, r.numbers()?, r.flag()?);
    let counts = r.counts()?;
    let &[folds, evidence_points, polish, candidates, max_points] = counts.as_slice() else {
        return Err(r.bad("they have another number of options").into());
    };
    let level = r.number()?;
    let (budget, batch, enough) = (r.count()?, r.count()?, r.number()?);
    let fit = Options {
        seed,
        noise,
        spreads,
        tails,
        pursuit,
        folds,
        evidence_points,
        polish,
        candidates,
        max_points,
        level,
        groups: None,
    };
    Ok(AskOptions { fit, budget, batch: Some(batch).filter(|b| *b > 0), enough })
}

//! A driver as bytes, so that a regression goes on where another process left it.
use std::time::Instant;

use samplewise_linalg::envelope::{self, Kind, Reader, Writer};
use samplewise_linalg::{Ending, LinalgError, NoBound, Seconds};

use super::PassOptions;
use super::driver::{PassRecord, PassStage, QuantileDriver, Settled};
use super::judge::Verdict;
use super::kept::Kept;
use super::question::{Band, Fit, Question};
use crate::Loss;
use crate::answer::{Outcome, Regression, Report, Route};

const FORMAT: u16 = 1;
const STAGES: [PassStage; 5] =
    [PassStage::Sums, PassStage::Sample, PassStage::Band, PassStage::Ties, PassStage::Verification];

impl QuantileDriver {
    /// Everything it knows, sealed with a checksum: what is told after [`QuantileDriver::from_bytes`] has the same effect.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::default();
        let (quantile, parameter) = match self.loss {
            Loss::Quantile(tau) => (true, tau),
            Loss::Lp(p) => (false, p),
        };
        out.flag(quantile);
        out.number(parameter);
        out.count(self.features);
        let o = &self.options;
        out.flag(o.intercept);
        out.number(o.tolerance);
        out.counts(&[o.sample_rows, o.most_rows, o.max_passes]);
        out.word(o.seed);
        some(&mut out, self.asked.as_ref(), |out, q| q.write(out));
        some(&mut out, self.known.as_ref(), |out, known| {
            out.word(known.0);
            out.word(known.1);
        });
        out.flag(self.moved);
        out.counts(&[self.rank, self.unbounded as usize, self.balances, self.iterations, self.rows_used]);
        out.numbers(&self.origin);
        out.number(self.last_open);
        out.flag(self.ending == Ending::Finished);
        some(&mut out, self.near.as_ref(), |out, x| out.numbers(x));
        some(&mut out, self.best.as_ref(), |out, (fit, loss)| {
            fit.write(out);
            out.number(*loss);
        });
        some(&mut out, self.verdict.as_ref(), |out, (v, ranges)| {
            out.numbers(&[v.objective, v.bound, v.rounding]);
            out.numbers(ranges.as_flattened());
        });
        some(&mut out, self.settled.as_ref(), |out, s| {
            s.band.write(out);
            s.rows.write(out);
            s.back.write(out);
            out.numbers(&s.x);
            out.numbers(&s.dual);
            out.counts(&s.basis);
            out.count(s.repairs);
        });
        some(&mut out, self.in_memory.as_ref(), write_fit);
        out.count(self.records.len());
        for r in &self.records {
            out.count(STAGES.iter().position(|s| *s == r.stage).expect("one of the stages"));
            out.optional(r.objective);
            out.word(r.open);
            out.count(r.sent);
            out.word(r.wrong);
        }
        envelope::seal(Kind::QuantileDriver, FORMAT, self.known.map_or(0, |k| k.0), &out.0)
    }

    /// Reads what [`QuantileDriver::to_bytes`] wrote. The time of its report begins anew.
    ///
    /// # Errors
    /// [`LinalgError::Bytes`] for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LinalgError> {
        let (_, body) = envelope::open(Kind::QuantileDriver, FORMAT, bytes)?;
        let r = &mut Reader::new(Kind::QuantileDriver, body);
        let bad = |reason| LinalgError::Bytes { kind: Kind::QuantileDriver.name(), reason };
        let loss = if r.flag()? { Loss::Quantile(r.number()?) } else { Loss::Lp(r.number()?) };
        let features = r.count()?;
        let (intercept, tolerance) = (r.flag()?, r.number()?);
        let [sample_rows, most_rows, max_passes] = counts(r)?;
        let options = PassOptions { intercept, tolerance, sample_rows, most_rows, max_passes, seed: r.word()? };
        let mut out = Self::new(features, loss, &options).map_err(|_| bad("its options are not allowed"))?;
        out.asked = maybe(r, Question::read)?;
        out.known = maybe(r, |r| Ok((r.word()?, r.word()?)))?;
        out.moved = r.flag()?;
        let [rank, unbounded, balances, iterations, rows_used] = counts(r)?;
        (out.rank, out.balances, out.iterations, out.rows_used) = (rank, balances, iterations, rows_used);
        out.unbounded = u32::try_from(unbounded).map_err(|_| bad("a count does not fit"))?;
        (out.origin, out.last_open) = (r.numbers()?, r.number()?);
        out.ending = if r.flag()? { Ending::Finished } else { Ending::Limit };
        out.near = maybe(r, Reader::numbers)?;
        out.best = maybe(r, |r| Ok((Fit::read(features, r)?, r.finite()?)))?;
        out.verdict = maybe(r, |r| {
            let (numbers, ranges) = (r.numbers()?, r.numbers()?);
            let [objective, bound, rounding] =
                <[f64; 3]>::try_from(numbers).map_err(|_| bad("a verdict has the wrong length"))?;
            Ok((Verdict { objective, bound, rounding }, ranges.as_chunks().0.to_vec()))
        })?;
        let width = features.checked_add(1).ok_or_else(|| bad("a count does not fit"))?;
        out.settled = maybe(r, |r| {
            Ok(Settled {
                band: Band::read(features, r)?,
                rows: Kept::read(width, r)?,
                back: Kept::read(width, r)?,
                x: r.numbers()?,
                dual: r.numbers()?,
                basis: r.counts()?,
                repairs: r.count()?,
            })
        })?;
        out.in_memory = maybe(r, |r| read_fit(features, r))?;
        let count = r.length(40)?;
        out.records = (0..count)
            .map(|_| {
                let stage = *STAGES.get(r.count()?).ok_or_else(|| bad("a stage is unknown"))?;
                let objective = r.optional()?;
                Ok(PassRecord { stage, objective, open: r.word()?, sent: r.count()?, wrong: r.word()? })
            })
            .collect::<Result<_, LinalgError>>()?;
        out.start = Instant::now();
        let fits = |s: &Settled| {
            s.dual.len() == s.rows.len()
                && s.x.len() == s.band.rank()
                && s.basis.iter().all(|&i| i < s.rows.len())
                && s.band.origin.len() == features
        };
        let asked = out.asked.as_ref().is_none_or(|q| q.features() == features);
        let known = out.origin.is_empty() || out.origin.len() == features;
        if !(asked && known && out.settled.as_ref().is_none_or(fits)) {
            return Err(bad("its parts do not fit together"));
        }
        std::mem::replace(r, Reader::new(Kind::QuantileDriver, &[])).end()?;
        Ok(out)
    }
}

fn some<T>(out: &mut Writer, value: Option<&T>, write: impl FnOnce(&mut Writer, &T)) {
    out.flag(value.is_some());
    if let Some(value) = value {
        write(out, value);
    }
}

fn maybe<'a, T>(
    r: &mut Reader<'a>,
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, LinalgError>,
) -> Result<Option<T>, LinalgError> {
    if r.flag()? { read(r).map(Some) } else { Ok(None) }
}

fn counts<const N: usize>(r: &mut Reader<'_>) -> Result<[usize; N], LinalgError> {
    let values = r.counts()?;
    <[usize; N]>::try_from(values).map_err(|_| r.bad("counts are missing"))
}

/// A fit of all rows; the driver has ended with it.
fn write_fit(out: &mut Writer, fit: &Regression) {
    out.numbers(&fit.coefficients);
    out.numbers(&[fit.intercept, fit.objective]);
    out.optional(fit.lower_bound);
    out.flag(fit.converged());
    out.counts(&[fit.report.iterations, fit.report.rows_used, fit.report.rank]);
}

fn read_fit(features: usize, r: &mut Reader<'_>) -> Result<Regression, LinalgError> {
    let coefficients = r.numbers()?;
    let [intercept, objective] = <[f64; 2]>::try_from(r.numbers()?).map_err(|_| r.bad("a fit has the wrong length"))?;
    if coefficients.len() != features {
        return Err(r.bad("a fit has the wrong length"));
    }
    let (lower_bound, converged) = (r.optional()?, r.flag()?);
    let [iterations, rows_used, rank] = counts(r)?;
    let outcome = if converged { Outcome::Converged } else { Outcome::Limit };
    let (status, ending) = outcome.parts();
    let no_bound = if lower_bound.is_none() { Some(NoBound::Failed { objective, bound: f64::NAN }) } else { None };
    let (route, seconds) = (Route::Passes, Seconds::default());
    let report = Report { ending, route, iterations, seconds, rows_used, rows_scored: 0, rank };
    Ok(Regression { coefficients, intercept, objective, lower_bound, no_bound, status, report })
}

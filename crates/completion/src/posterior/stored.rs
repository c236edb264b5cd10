//! Draws as bytes.
use samplewise_linalg::envelope::{self, Kind, Reader, Writer};
use samplewise_linalg::{Ending, LinalgError, Matrix, Seconds};

use crate::{Ensemble, Error, Model, Posterior, PosteriorReport};

const FORMAT: u16 = 1;

impl Posterior {
    /// The draws and their evidence in bytes, in the [`envelope`] with its checksum. The wall time is not part of them.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.count(self.models.models().len());
        for model in self.models.models() {
            let (u, v) = model.factors();
            [model.rows(), model.columns(), model.rank()].into_iter().for_each(|size| out.count(size));
            out.number(model.mean);
            [&model.row_biases[..], &model.column_biases, u.as_slice(), v.as_slice()]
                .into_iter()
                .for_each(|part| out.numbers(part));
        }
        out.numbers(&self.noise);
        let r = &self.report;
        out.text(r.ending.name());
        out.number(r.noise);
        out.numbers(&r.trace);
        out.counts(&[r.fitted_entries, r.verification_entries]);
        out.number(r.train_rmse);
        for value in [r.test_rmse, r.baseline_test_rmse, r.test_coverage] {
            out.optional(value);
        }
        envelope::seal(Kind::Posterior, FORMAT, 0, &out.0)
    }

    /// Reads what [`Posterior::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`Error::Data`] for anything else: another kind or format, a wrong checksum, sizes that do not fit each other, numbers
    /// that are not finite.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let (counted, body) = envelope::open(Kind::Posterior, FORMAT, bytes)?;
        let mut body = Reader::new(Kind::Posterior, body);
        if counted != 0 {
            return Err(body.bad("a size is out of range").into());
        }
        // Three sizes, a mean and four lengths at least.
        let draws = body.length(64)?;
        let models: Vec<Model> = (0..draws).map(|_| model(&mut body)).collect::<Result<_, _>>()?;
        let noise = body.numbers()?;
        if noise.len() != draws || !noise.iter().all(|x| x.is_finite() && *x >= 0.0) {
            return Err(body.bad("the noise of a draw is missing or no deviation").into());
        }
        let word = body.text()?;
        let all = [Ending::Finished, Ending::Limit, Ending::Interrupted];
        let ending = all.into_iter().find(|e| e.name() == word).ok_or_else(|| body.bad("an ending is unknown"))?;
        let (mean_noise, trace) = (body.finite()?, body.numbers()?);
        let counts = body.counts()?;
        let &[fitted_entries, verification_entries] = &counts[..] else {
            return Err(body.bad("a count is missing").into());
        };
        let train_rmse = body.finite()?;
        let [test_rmse, baseline_test_rmse, test_coverage] = [body.optional()?, body.optional()?, body.optional()?];
        if models.is_empty() {
            return Err(body.bad("there are no draws").into());
        }
        body.end()?;
        let models = Ensemble::new(models)?;
        let seconds = Seconds::default();
        let report = PosteriorReport {
            ending,
            seconds,
            noise: mean_noise,
            trace,
            fitted_entries,
            verification_entries,
            train_rmse,
            test_rmse,
            baseline_test_rmse,
            test_coverage,
        };
        Ok(Self { models, noise, report })
    }
}

fn model(body: &mut Reader<'_>) -> Result<Model, LinalgError> {
    let (m, n, k) = (body.count()?, body.count()?, body.count()?);
    let mean = body.finite()?;
    let (row_biases, column_biases, u, v) = (body.numbers()?, body.numbers()?, body.numbers()?, body.numbers()?);
    let fits = row_biases.len() == m
        && column_biases.len() == n
        && m.checked_mul(k) == Some(u.len())
        && n.checked_mul(k) == Some(v.len())
        && (m > 0 || n > 0 || k == 0);
    if !fits {
        return Err(body.bad("their length does not fit the sizes"));
    }
    if ![&row_biases, &column_biases, &u, &v].into_iter().flatten().all(|x| x.is_finite()) {
        return Err(body.bad("a number is not finite"));
    }
    let (row_factors, column_factors) = (Matrix::from_vec(m, k, u)?, Matrix::from_vec(n, k, v)?);
    Ok(Model { mean, row_biases, column_biases, row_factors, column_factors })
}

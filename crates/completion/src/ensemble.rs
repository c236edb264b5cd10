//! Means of several models.
use samplewise_linalg::observe::Observer;
use samplewise_linalg::random::Streams;
use samplewise_linalg::{Ending, LinalgError, Real};

use crate::complete::complete_from;
use crate::{Entries, Error, Model, Options, Rank};

/// The mean prediction of several models of the same shape, of fits from different starts: a little better than each.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Ensemble {
    models: Vec<Model>,
}

impl Ensemble {
    /// The mean of some models.
    ///
    /// # Errors
    /// [`Error::Empty`] without models; [`Error::Data`] for shapes that differ.
    pub fn new(models: Vec<Model>) -> Result<Self, Error> {
        let first = models.first().ok_or(Error::Empty)?;
        let (rows, columns) = (first.rows(), first.columns());
        match models.iter().find(|m| (m.rows(), m.columns()) != (rows, columns)) {
            Some(m) => {
                let (rows, columns, expected) = (m.rows(), m.columns(), format!("{rows} x {columns}"));
                Err(LinalgError::Shape { argument: "models", rows, columns, expected }.into())
            }
            None => Ok(Self { models }),
        }
    }

    /// The ensemble of values that are `2^e` times as large.
    pub(crate) fn multiply_values(&mut self, e: i32) {
        self.models.iter_mut().for_each(|m| m.multiply_values(e));
    }

    /// The models whose mean is taken, in the order of their fits.
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// The mean prediction of one entry.
    ///
    /// # Panics
    /// When the position is outside the matrix.
    pub fn predict(&self, row: usize, column: usize) -> f64 {
        self.models.iter().map(|m| m.predict(row, column)).sum::<f64>() / self.models.len() as f64
    }

    /// Fits `count` times, each with its own start and its own entries held out, all from [`Options::seed`].
    ///
    /// ```
    /// use samplewise_completion::{Ensemble, Entries, Options, Rank};
    /// let seen = (0..40).flat_map(|i| (0..30).map(move |j| (i, j))).filter(|(i, j)| (i * 7 + j * 11) % 10 < 6);
    /// let entries: Vec<_> = seen.map(|(i, j)| (i, j, (1.0 + i as f64) * (2.0 - j as f64 / 10.0))).collect();
    /// let data = Entries::new(40, 30, &entries, None)?;
    /// let mean = Ensemble::fit(&data, Rank::Fixed(1), 3, &Options::default())?;
    /// assert_eq!(mean.models().len(), 3);
    /// assert!((mean.predict(0, 29) + 0.9).abs() < 1e-4); // never seen
    /// # Ok::<(), samplewise_completion::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`complete`](fn@crate::complete); [`Error::Empty`] for a count of zero.
    pub fn fit<T: Real>(entries: &Entries<T>, rank: Rank, count: usize, options: &Options) -> Result<Self, Error> {
        Self::fit_observed(entries, rank, count, options, &mut ())
    }

    /// [`Ensemble::fit`] with progress and cancellation; an observer that stops a fit ends the ensemble with it.
    ///
    /// # Errors
    /// As [`Ensemble::fit`].
    pub fn fit_observed<T: Real>(
        entries: &Entries<T>,
        rank: Rank,
        count: usize,
        options: &Options,
        observer: &mut dyn Observer,
    ) -> Result<Self, Error> {
        let mut rng = Streams::new(options.seed).stream(0);
        let mut models = Vec::new();
        for _ in 0..count {
            let found = complete_from(entries, rank, options, Streams::from_rng(&mut rng), observer)?;
            models.push(found.model);
            if found.report.ending == Ending::Interrupted {
                break;
            }
        }
        Self::new(models)
    }
}

//! Means of several models.
use rand::Rng;
use samplewise_linalg::observe::Observer;
use samplewise_linalg::{LinalgError, Real};

use crate::{CompletionError, Entries, Model, Options, Rank, Status, complete_observed};

/// The mean prediction of several models of the same shape, of fits from different starts: a little better than each.
#[derive(Clone, Debug, PartialEq)]
pub struct Ensemble {
    models: Vec<Model>,
}

impl Ensemble {
    /// # Errors
    /// [`CompletionError::Empty`] without models; [`CompletionError::Entries`] for shapes that differ.
    pub fn new(models: Vec<Model>) -> Result<Self, CompletionError> {
        let first = models.first().ok_or(CompletionError::Empty)?;
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

    /// The models.
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

    /// Fits `count` times, each with its own start and its own entries held out, all from `rng`. An observer that stops a
    /// fit ends the ensemble with it.
    ///
    /// ```
    /// use samplewise_completion::{Ensemble, Entries, Options, Rank};
    /// use samplewise_linalg::random::Streams;
    /// let seen = (0..40).flat_map(|i| (0..30).map(move |j| (i, j))).filter(|(i, j)| (i * 7 + j * 11) % 10 < 6);
    /// let entries: Vec<_> = seen.map(|(i, j)| (i, j, (1.0 + i as f64) * (2.0 - j as f64 / 10.0))).collect();
    /// let data = Entries::new(40, 30, &entries, None)?;
    /// let mean = Ensemble::fit(&data, Rank::Fixed(1), &Options::default(), 3, &mut Streams::new(0).stream(0), &mut ())?;
    /// assert_eq!(mean.models().len(), 3);
    /// assert!((mean.predict(0, 29) + 0.9).abs() < 1e-4); // never seen
    /// # Ok::<(), samplewise_completion::CompletionError>(())
    /// ```
    ///
    /// # Errors
    /// As [`complete`](fn@crate::complete); [`CompletionError::Empty`] for a count of zero.
    pub fn fit<T: Real, R: Rng + ?Sized>(
        entries: &Entries<T>,
        rank: Rank,
        options: &Options,
        count: usize,
        rng: &mut R,
        observer: &mut dyn Observer,
    ) -> Result<Self, CompletionError> {
        let mut models = Vec::new();
        for _ in 0..count {
            let found = complete_observed(entries, rank, options, None, rng, observer)?;
            models.push(found.model);
            if found.status == Status::Interrupted {
                break;
            }
        }
        Self::new(models)
    }
}

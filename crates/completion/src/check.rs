//! What is refused before anything is computed.
use samplewise_linalg::argument::check_ranges;
use samplewise_linalg::{LinalgError, Real, scale};

use crate::data::split::Triplet;
use crate::options::{Loss, RANGES, Solver};
use crate::{Entries, Error, Options, Rank};

/// Predictions are sums of products, which must have room above the values.
const LARGEST_VALUE: f64 = 1e304;

/// Entries to judge by: inside the matrix and finite.
pub(crate) fn check_test<T: Real>(entries: &Entries<T>, test: &[Triplet]) -> Result<(), Error> {
    for &(row, column, value) in test {
        let outside = |argument, index, bound| LinalgError::IndexOutOfRange { argument, index, bound };
        if row >= entries.rows() {
            return Err(outside("row of a test entry", row, entries.rows()).into());
        }
        if column >= entries.columns() {
            return Err(outside("column of a test entry", column, entries.columns()).into());
        }
        if !value.is_finite() {
            return Err(LinalgError::NotFinite { argument: "test", row, column, value }.into());
        }
    }
    Ok(())
}

/// Rank, number of entries and options; returns the largest rank.
pub(crate) fn check<T: Real>(entries: &Entries<T>, rank: Rank, options: &Options) -> Result<usize, Error> {
    let limit = entries.rows().min(entries.columns());
    let (k, largest) = match rank {
        Rank::Fixed(k) => (k, k),
        Rank::Auto { max } => (1, max.min(limit)),
    };
    check_entries(entries, k.min(largest), limit)?;
    let range = |name, value: f64, ok: bool, allowed: &str| {
        if ok { Ok(()) } else { Err(Error::argument(name, value, allowed)) }
    };
    let o = options;
    check_ranges(o, &RANGES)?;
    match o.advanced.solver {
        Solver::ConjugateGradients { steps } => {
            range("solver.steps", steps as f64, (1..=100).contains(&steps), "1 to 100")?;
        }
        Solver::Sketched { accuracy, rows_per_unknown } => {
            range("solver.accuracy", accuracy, accuracy > 0.0 && accuracy < 1.0, "above 0 and below 1")?;
            let rows = rows_per_unknown;
            range("solver.rows_per_unknown", rows as f64, (2..=64).contains(&rows), "2 to 64")?;
        }
        Solver::Auto | Solver::Exact => {}
    }
    if let Loss::Huber { threshold } = o.loss {
        range("loss.threshold", threshold, threshold.is_finite() && threshold > 0.0, "finite and above 0")?;
    }
    if let Rank::Auto { .. } = rank {
        range("tuning", o.tuning, o.tuning > 0.0, "above 0 with an automatic rank")?;
    }
    if let Some(model) = &o.start {
        let given = (model.row_factors.rows(), model.column_factors.rows(), model.rank());
        let fits = given == (entries.rows(), entries.columns(), k);
        if !fits || matches!(rank, Rank::Auto { .. }) {
            let expected = (entries.rows(), entries.columns(), k);
            return Err(Error::Start { given, expected });
        }
        model.check()?;
        let largest = |m: &samplewise_linalg::Matrix| scale::largest(m.as_slice());
        let size = largest(&model.row_factors) * largest(&model.column_factors) * model.rank() as f64;
        let values = scale::largest_of(entries.by_row.values.values().iter().map(|v| v.to_f64()));
        let allowed = "a model whose predictions are not beyond 1e30 times the values";
        range("start", size, size <= 1e30 * values.max(f64::MIN_POSITIVE), allowed)?;
    }
    Ok(largest)
}

/// Rank within its limit, entries enough and not too many.
pub(crate) fn check_entries<T: Real>(entries: &Entries<T>, rank: usize, limit: usize) -> Result<(), Error> {
    if rank == 0 || rank > limit {
        return Err(Error::Rank { rank, limit });
    }
    if u32::try_from(entries.len()).is_err() {
        let bytes = 24 * entries.len() as u128;
        return Err(LinalgError::TooLarge { what: "a fit of 2^32 entries or more", bytes }.into());
    }
    let values = scale::largest_of(entries.by_row.values.values().iter().map(|v| v.to_f64()));
    if values > LARGEST_VALUE {
        let allowed = "at most 1e304: give them in other units";
        return Err(Error::argument("largest value of the entries", values, allowed));
    }
    let needed = 2 * rank + 2;
    if entries.len() < needed {
        return Err(Error::TooFewEntries { given: entries.len(), rank, needed });
    }
    Ok(())
}

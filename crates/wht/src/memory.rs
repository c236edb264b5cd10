//! Values that are all there already: is it faster to look at few of them, or to transform them all?
//!
//! The sparse way pays for its plan, its samples and its decoder, the dense way for `n·2ⁿ` additions. The cost model's
//! constants come from `cargo bench --bench wht -- crossover`, which prints what it predicts beside what it measures.
use samplewise_linalg::Observer;

use crate::Error;
use crate::answer::{Choice, Spectrum};
use crate::options::{Decoder, Options, Sparsity};
use crate::plan::Plan;
use crate::recovery::recover_observed;

/// Nanoseconds per value of the dense way, per value and doubling, and for a plan, per sample and per coefficient of the sparse way.
const DENSE_VALUE: f64 = 1.6;
const DENSE_STEP: f64 = 0.07;
const SPARSE_FIXED: f64 = 55_000.0;
const SPARSE_SAMPLE: f64 = 27.0;
const SPARSE_COEFFICIENT: f64 = 450.0;
/// With noise lists cost far more than peeling.
const SPARSE_COEFFICIENT_NOISY: f64 = 25_000.0;

/// The spectrum of all `2ⁿ` values, by the way that the cost model expects to be faster; the report says which and why.
/// A decoder that was asked for by name is taken. With noise the dense way also averages over all values.
///
/// Row WHT-14 of `paper-refs.md`.
///
/// ```
/// use samplewise_wht::{Options, recover_in_memory};
/// let values: Vec<f64> = (0..1_u32 << 10).map(|m| if m.count_ones() % 2 == 0 { 3.0 } else { -3.0 }).collect();
/// let found = recover_in_memory(&values, 1, &Options::default())?;
/// assert_eq!(found.coefficients[0].index, 1023);
/// let choice = found.report.choice.expect("a choice was made");
/// assert!(choice.dense_seconds < choice.sparse_seconds); // 1,024 values are transformed in a microsecond or two
/// # Ok::<(), samplewise_wht::Error>(())
/// ```
///
/// # Errors
/// [`Error::Argument`] for a length that is no power of two, and as [`Plan::new`] and [`Plan::decode`].
pub fn recover_in_memory(values: &[f64], sparsity: impl Into<Sparsity>, options: &Options) -> Result<Spectrum, Error> {
    recover_in_memory_observed(values, sparsity, options, &mut ())
}

/// [`recover_in_memory`] with progress; when stopped, the best answer by then.
///
/// # Errors
/// As [`recover_in_memory`]; [`Error::Interrupted`] when the observer stops it before anything was decoded.
pub fn recover_in_memory_observed(
    values: &[f64],
    sparsity: impl Into<Sparsity>,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Spectrum, Error> {
    if values.len() < 2 || !values.len().is_power_of_two() {
        return Err(Error::length(values.len(), 2));
    }
    let n = values.len().trailing_zeros() as usize;
    let sparsity = sparsity.into();
    if options.decoder != Decoder::Auto {
        return sparse(values, n, sparsity, options, observer);
    }
    let plan = Plan::new(n, sparsity, options)?;
    let choice = predict(n, plan.spec().sparsity, plan.spec().group_bits.is_empty(), samples(&plan), options);
    let mut found = if choice.dense_seconds <= choice.sparse_seconds {
        // The plan's queries are all points in order: no need to write them down.
        let all = Options { decoder: Decoder::Dense, ..options.clone() };
        Plan::new(n, sparsity, &all)?.decode_all_values(values, observer)?
    } else {
        sparse(values, n, sparsity, options, observer)?
    };
    found.report.choice = Some(choice);
    Ok(found)
}

fn sparse(
    values: &[f64],
    n: usize,
    sparsity: Sparsity,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Spectrum, Error> {
    if let Sparsity::Known(_) = sparsity {
        let plan = Plan::new(n, sparsity, options)?;
        if plan.spec().decoder == Decoder::Dense {
            return plan.decode_all_values(values, observer);
        }
    }
    recover_observed(|m: u64| values[m as usize], n, sparsity, options, observer)
}

fn samples(plan: &Plan) -> f64 {
    let spec = plan.spec();
    crate::plan::sizes::asked(&spec.group_bits, &spec.group_offsets) as f64 + (spec.points + spec.verification) as f64
}

/// Predicted seconds of both ways.
fn predict(n: usize, sparsity: usize, ungrouped: bool, samples: f64, options: &Options) -> Choice {
    let count = (n as f64).exp2();
    let dense = count * (DENSE_VALUE + DENSE_STEP * n as f64);
    let noisy = options.noise != crate::Noise::None;
    let each = if noisy { SPARSE_COEFFICIENT_NOISY } else { SPARSE_COEFFICIENT };
    // A sparse plan that turned dense has no groups, and no advantage.
    let sparse =
        if ungrouped { f64::INFINITY } else { SPARSE_FIXED + samples * SPARSE_SAMPLE + sparsity as f64 * each };
    Choice { dense_seconds: dense * 1e-9, sparse_seconds: sparse * 1e-9 }
}

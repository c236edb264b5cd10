//! The heredity pursuit as an expert: on points as rows of codes, and whether what it found can be chance.
use std::collections::HashMap;

use foldhash::fast::FixedState;
use samplewise_linalg::Observer;
use samplewise_linalg::observe::Watch;
use samplewise_linalg::random::{StreamRng, shuffle};

use super::expert::Terms;
use super::sets::Set;
use crate::decode::heredity::{self, Setting};
use crate::field::bits::{Bits, Wide};
use crate::verdict::refit::{self, Errors};

/// What the pursuit found.
#[derive(Clone, Debug)]
pub(crate) struct Pursued {
    pub terms: Terms,
    /// Interactions that were candidates.
    pub candidates: usize,
}

/// Most variables of an interaction.
const DEGREE: usize = 5;

/// Pursues the values of points of two levels, in an order drawn from `rng`: which of them the pursuit holds out does not
/// depend on the order in which they were told. `None` when the observer stops it.
pub(crate) fn pursue(
    (codes, positions): (&[u8], usize),
    values: &[f64],
    rounding: f64,
    rng: &mut StreamRng,
    watch: &mut Watch<'_>,
) -> Option<Pursued> {
    match positions {
        0..=64 => of_width::<u64>((codes, positions), values, rounding, rng, watch),
        65..=256 => of_width::<Wide<4>>((codes, positions), values, rounding, rng, watch),
        _ => of_width::<Wide<16>>((codes, positions), values, rounding, rng, watch),
    }
}

fn of_width<I: Bits>(
    (codes, positions): (&[u8], usize),
    values: &[f64],
    rounding: f64,
    rng: &mut StreamRng,
    watch: &mut Watch<'_>,
) -> Option<Pursued> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    shuffle(rng, &mut order);
    let points: Vec<I> = order.iter().map(|&j| to_bits(&codes[j * positions..(j + 1) * positions])).collect();
    let values: Vec<f64> = order.iter().map(|&j| values[j]).collect();
    let setting = Setting { variables: positions, max_degree: DEGREE.min(positions), most: usize::MAX, rounding };
    let found = heredity::pursue(&points, &values, setting, watch as &mut dyn Observer);
    if found.stopped {
        return None;
    }
    let sets = found.coefficients.iter().map(|c| of_bits(c.0)).collect();
    let coefficients = found.coefficients.iter().map(|c| c.1).collect();
    let terms = Terms { sets, values: coefficients, errors: found.std_errors, residual: found.variance };
    Some(Pursued { terms, candidates: found.candidates })
}

pub(crate) fn to_bits<I: Bits>(point: &[u8]) -> I {
    I::from_positions(point.iter().enumerate().filter(|c| *c.1 != 0).map(|c| c.0))
}

pub(crate) fn of_bits<I: Bits>(index: I) -> Set {
    index.positions().into_iter().map(|i| i as u16).collect()
}

/// These sets fitted to all values by least squares; none too when the observer ends it.
pub(crate) fn refit(
    sets: &[Set],
    (codes, positions): (&[u8], usize),
    values: &[f64],
    watch: &mut Watch<'_>,
) -> Option<Terms> {
    match positions {
        0..=64 => refit_of_width::<u64>(sets, (codes, positions), values, watch),
        65..=256 => refit_of_width::<Wide<4>>(sets, (codes, positions), values, watch),
        _ => refit_of_width::<Wide<16>>(sets, (codes, positions), values, watch),
    }
}

fn refit_of_width<I: Bits>(
    sets: &[Set],
    (codes, positions): (&[u8], usize),
    values: &[f64],
    watch: &mut Watch<'_>,
) -> Option<Terms> {
    let points: Vec<I> = codes.chunks_exact(positions).map(to_bits).collect();
    let support: Vec<I> = sets.iter().map(|s| I::from_positions(s.iter().map(|&i| usize::from(i)))).collect();
    let fit = refit::least_squares(&points, values, &support, 0.0, Errors::Model, watch)?;
    Some(Terms { sets: sets.to_vec(), values: fit.values, errors: fit.std_errors, residual: fit.variance })
}

/// Largest difference beside the spread of the values that counts as rounding.
pub(crate) const AGREES: f64 = 1e-8;
/// Logarithm of the probability with which chance explains everything.
const CHANCE: f64 = -16.0;

/// Whether some terms explain all of the values at distinct points to rounding, and cannot do so by chance: each value beyond
/// their number agrees with a wrong answer with the frequency of the commonest value at most, and there are
/// `candidatesᵗᵉʳᵐˢ` answers. Terms of positions that the points do not tell from others explain nothing.
pub(crate) fn explains(
    found: &Pursued,
    (codes, positions): (&[u8], usize),
    values: &[f64],
    spread: f64,
    rounding: f64,
) -> bool {
    let terms = found.terms.sets.len();
    let near = AGREES * spread + 4.0 * rounding;
    let predicted = found.terms.predict(codes, positions).0;
    if 2 * terms > values.len() || predicted.iter().zip(values).any(|(p, v)| (p - v).abs() > near) {
        return false;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let commonest = sorted.chunk_by(|a, b| (b - a).abs() <= near).map(<[f64]>::len).max().unwrap_or(0);
    let agrees = (commonest as f64 / values.len() as f64).ln();
    let answers = terms as f64 * (found.candidates.max(2) as f64).ln();
    (values.len() - terms) as f64 * agrees + answers <= CHANCE && !has_twins(found, codes, positions)
}

/// Whether a position of some term is the same as another, or its opposite, at all points: then either could be meant.
fn has_twins(found: &Pursued, codes: &[u8], positions: usize) -> bool {
    let column = |i: usize| -> Vec<bool> {
        let first = codes.get(i).copied();
        codes.chunks_exact(positions).map(|p| Some(p[i]) != first).collect()
    };
    let mut counts: HashMap<Vec<bool>, usize, FixedState> = HashMap::default();
    (0..positions).for_each(|i| *counts.entry(column(i)).or_insert(0) += 1);
    let mut used: Vec<u16> = found.terms.sets.concat();
    used.sort_unstable();
    used.dedup();
    used.into_iter().any(|i| counts[&column(usize::from(i))] > 1)
}

//! The decoders: from the values of a plan to coefficients.
pub(crate) mod heredity;
pub(crate) mod joint;
pub(crate) mod lists;
pub(crate) mod peel;

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use foldhash::fast::FixedState;
use samplewise_linalg::observe::Watch;
use samplewise_linalg::{Observer, fwht};

use crate::bins::subsample::Group;
use crate::decode::joint::Setting;
use crate::decode::lists::{Bch, Exhaustive, Lists, OrderedStatistics};
use crate::decode::peel::Rule;
use crate::field::bits::Bits;
use crate::options::{Decoder, Noise, Support};
use crate::plan::sizes;
use crate::plan::spec::PlanSpec;
use crate::verdict::units::range_of;
use crate::verdict::verify::AGREES;
use crate::{dense, surrogate};

/// What a decoder sees. Samples kept for verification are not in it.
#[derive(Debug)]
pub(crate) struct Observed<'a, I> {
    /// What was asked for.
    pub spec: &'a PlanSpec,
    /// Its groups; none for the dense transform and for random points.
    pub groups: &'a [Group<I>],
    /// The bins of each group, as [`Group::observe`] makes them.
    pub bins: Vec<Vec<f64>>,
    /// The points asked, each once, and the values there.
    pub points: &'a [I],
    /// Values `x[m]`.
    pub values: &'a [f64],
    /// Largest magnitude of a value.
    pub largest: f64,
    /// What rounding has done to a value: beside a large constant that was subtracted, more than the last digit of what is
    /// left.
    pub rounding: f64,
}

/// What a decoder found.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found<I> {
    /// `(index, value)`, index ascending.
    pub coefficients: Vec<(I, f64)>,
    /// Bins left unexplained, where the decoder knows.
    pub multi_tons: usize,
    /// Standard deviation of the noise as the decoder saw it.
    pub noise_std: f64,
    /// Standard errors, in the order of the coefficients, when the values are those of least squares already.
    pub std_errors: Option<Vec<f64>>,
    /// Ridge of the least squares that follow, in samples. `None` when the values are final.
    pub ridge: Option<f64>,
    /// The decoder that answered, where it is not the one that was asked.
    pub route: Option<Decoder>,
}

impl<I> Found<I> {
    /// What is known of a call that the observer ended at once.
    fn nothing() -> Self {
        Self { coefficients: Vec::new(), multi_tons: 0, noise_std: 0.0, std_errors: None, ridge: None, route: None }
    }
}

/// The table of [`Decoder::ExhaustiveLists`], which a plan makes once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tabled<I>(Arc<OnceLock<Exhaustive<I>>>);

/// Decodes by the decoder of the plan. When the observer stops it, it returns the best it has.
pub(crate) fn decode<I: Bits>(seen: Observed<'_, I>, table: &Tabled<I>, observer: &mut dyn Observer) -> Found<I> {
    match seen.spec.decoder {
        Decoder::Dense => transform(&seen),
        Decoder::SignBits | Decoder::Auto => {
            let rule = Rule::SignBits { tolerance: 1e-9 * seen.largest + 4.0 * seen.rounding };
            peeled(seen, rule, 0.0, observer)
        }
        Decoder::Spright => {
            let std = if let Noise::Std(s) = seen.spec.noise { s } else { 0.0 };
            peeled(seen, Rule::Paired { variance: std * std }, std, observer)
        }
        Decoder::JointList => joint_list(seen, observer),
        Decoder::ExhaustiveLists => exhaustive_lists(seen, table, observer),
        Decoder::BchLists => {
            let lists = Bch::new(seen.groups, seen.spec.variables, seen.spec.degree());
            listed(seen, &lists, observer)
        }
        Decoder::Heredity => heredity(&seen, observer),
        Decoder::Surrogate => nearly_sparse(&seen, observer),
    }
}

fn peeled<I: Bits>(seen: Observed<'_, I>, rule: Rule, noise_std: f64, observer: &mut dyn Observer) -> Found<I> {
    let n = seen.spec.variables;
    let free = |c: usize| n - seen.groups[c].bits;
    let peeled = peel::peel(seen.groups, seen.bins, free, rule, observer);
    let ridge = (noise_std > 0.0).then_some(0.0);
    Found {
        coefficients: peeled.coefficients,
        multi_tons: peeled.multi_tons,
        noise_std,
        std_errors: None,
        ridge,
        route: None,
    }
}

/// Joint list peeling with lists from ordered statistics.
fn joint_list<I: Bits>(seen: Observed<'_, I>, observer: &mut dyn Observer) -> Found<I> {
    let all = OrderedStatistics::new(seen.groups, seen.spec.variables);
    let (degree, support) = (seen.spec.degree(), &seen.spec.support);
    let within: Option<HashSet<I, FixedState>> = match support {
        Support::Within(sets) => Some(sets.iter().map(|s| I::from_positions(s.iter().copied())).collect()),
        _ => None,
    };
    let allowed = |k: I| k.weight() <= degree && within.as_ref().is_none_or(|w| w.contains(&k));
    if *support == Support::Any {
        listed(seen, &all, observer)
    } else {
        listed(seen, &Allowed { all, allowed }, observer)
    }
}

/// Joint list peeling with lists from all candidates.
fn exhaustive_lists<I: Bits>(seen: Observed<'_, I>, table: &Tabled<I>, observer: &mut dyn Observer) -> Found<I> {
    if table.0.get().is_none() {
        let made = match &seen.spec.support {
            Support::Within(sets) => {
                let sets: Vec<I> = sets.iter().map(|s| I::from_positions(s.iter().copied())).collect();
                Exhaustive::of_sets(seen.groups, &sets, observer)
            }
            _ => Exhaustive::up_to_degree(seen.groups, seen.spec.variables, seen.spec.degree(), observer),
        };
        if let Some(made) = made {
            // Where another thread was faster, its table is the same.
            let _ = table.0.set(made);
        }
    }
    match table.0.get() {
        Some(lists) => listed(seen, lists, observer),
        None => Found::nothing(),
    }
}

/// Lists that keep to a support.
struct Allowed<L, F> {
    all: L,
    allowed: F,
}

impl<I: Bits, L: Lists<I>, F: Fn(I) -> bool + Sync> Lists<I> for Allowed<L, F> {
    fn list(&self, group: usize, bin: usize, y: &[f64], effort: usize, length: usize) -> Vec<I> {
        let mut out = self.all.list(group, bin, y, effort, length);
        out.retain(|&k| (self.allowed)(k));
        out
    }

    fn most_effort(&self) -> usize {
        self.all.most_effort()
    }
}

fn listed<I: Bits>(seen: Observed<'_, I>, lists: &dyn Lists<I>, observer: &mut dyn Observer) -> Found<I> {
    let spec = seen.spec;
    let setting = Setting {
        ln_candidates: sizes::ln_candidates(spec.variables, &spec.support),
        sparsity: spec.sparsity_known.then_some(spec.sparsity),
        variance: if let Noise::Std(s) = spec.noise { Some(s * s) } else { None },
        rounding: 1e-12 * seen.largest + seen.rounding,
    };
    let d = joint::decode(seen.groups, seen.bins, lists, setting, observer);
    Found {
        coefficients: d.coefficients,
        multi_tons: 0,
        noise_std: d.variance.sqrt(),
        std_errors: Some(d.std_errors),
        ridge: Some(0.0),
        route: None,
    }
}

/// Decodes by pursuit of interactions whose parents are there.
fn heredity<I: Bits>(seen: &Observed<'_, I>, observer: &mut dyn Observer) -> Found<I> {
    let setting = heredity::Setting {
        variables: seen.spec.variables,
        max_degree: seen.spec.degree(),
        most: if seen.spec.sparsity_known { seen.spec.sparsity } else { usize::MAX },
        rounding: 1e-12 * seen.largest + seen.rounding,
    };
    let d = heredity::pursue(seen.points, seen.values, setting, observer);
    let ridge = d.ridge * seen.points.len() as f64 * heredity::RIDGE_KEPT;
    Found {
        coefficients: d.coefficients,
        multi_tons: 0,
        noise_std: d.variance.sqrt(),
        std_errors: Some(d.std_errors),
        ridge: Some(ridge),
        route: None,
    }
}

/// The pursuit where it explains every value, else the largest coefficients of a mixture of processes.
///
/// Row GP-12 of `paper-refs.md`.
fn nearly_sparse<I: Bits>(seen: &Observed<'_, I>, observer: &mut dyn Observer) -> Found<I> {
    let mut watch = Watch::new(observer);
    let mut pursued = heredity(seen, &mut watch);
    pursued.route = Some(Decoder::Heredity);
    let near = AGREES * spread_of(seen.values) + 4.0 * seen.rounding;
    let explained = 2 * pursued.coefficients.len() <= seen.points.len()
        && seen
            .points
            .iter()
            .zip(seen.values)
            .all(|(&m, v)| (dense::evaluate(&pursued.coefficients, m) - v).abs() <= near);
    if explained || watch.stopped() || seen.points.len() > surrogate::MOST_POINTS {
        return pursued;
    }
    let noise = if let Noise::Std(std) = seen.spec.noise { Noise::Std(std) } else { Noise::Unknown };
    let most =
        if seen.spec.sparsity_known { seen.spec.sparsity } else { seen.spec.sparsity.min(2 * seen.points.len()) };
    let found = surrogate::largest(
        seen.points,
        (seen.values, seen.rounding),
        seen.spec.variables,
        (noise, seen.spec.seed),
        most,
        &mut watch,
    );
    let Some((coefficients, noise_std)) = found else { return pursued };
    let (coefficients, std_errors) = coefficients.into_iter().map(|(k, v, e)| ((k, v), e)).unzip();
    Found { coefficients, multi_tons: 0, noise_std, std_errors: Some(std_errors), ridge: None, route: None }
}

fn spread_of(values: &[f64]) -> f64 {
    let (low, high) = range_of(values);
    high - low
}

/// All values are there: transform, and keep what stands above the noise (or above rounding).
fn transform<I: Bits>(seen: &Observed<'_, I>) -> Found<I> {
    let mut x = seen.values.to_vec();
    fwht::fwht_in_place(&mut x);
    let count = x.len() as f64;
    x.iter_mut().for_each(|v| *v /= count);
    let largest = x.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    let std = match seen.spec.noise {
        Noise::None => 0.0,
        Noise::Std(s) => s,
        Noise::Unknown => {
            // Most coefficients are noise: their median magnitude is 0.6745 standard deviations.
            let mut all: Vec<f64> = x.iter().map(|v| v.abs()).collect();
            let middle = (all.len() - 1) / 2;
            *all.select_nth_unstable_by(middle, f64::total_cmp).1 / 0.6745 * count.sqrt()
        }
    };
    let floor = (1e-12 * largest + 2.0 * seen.rounding / count.sqrt())
        .max(std / count.sqrt() * ((2.0 * count.ln()).sqrt() + 1.0));
    let found = x.iter().enumerate().filter(|(_, v)| v.abs() > floor).map(|(k, &v)| (I::from_low(k as u64), v));
    Found { coefficients: found.collect(), multi_tons: 0, noise_std: std, std_errors: None, ridge: None, route: None }
}

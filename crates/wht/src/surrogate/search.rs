//! The largest coefficients of a mixture, with a bound of all that were not looked at (row GP-4).
//!
//! Sets come in falling order of their prior variance, of every process in its own. With `λ` the next one, every set that was
//! not seen has, in a process with the factor `t`,
//! `|m_S| ≤ min(tλ‖α‖₁, √(tλ·(αᵀ(K − noise)α − Σ_seen m_T²/λ_T)), √(Σ_T m_T² − Σ_seen m_T²))`: by the order of the sets, because
//! the norm of the mean in the space of the kernel has no negative terms, and by Parseval.
use std::collections::HashSet;

use foldhash::fast::FixedState;
use samplewise_linalg::sums;

use super::energy::Product;
use super::expert::Process;
use super::sets::{Falling, Set, Signs, log_empty};

/// One process of the mixture, its share, and how far it was looked through.
struct Walk<'a> {
    share: f64,
    process: &'a Process,
    falling: Falling,
    shares: Vec<f64>,
    empty: f64,
    next: Option<(Set, f64)>,
    absolute: f64,
    /// What is left of the norm and of the energy, and the rounding of both.
    norm: f64,
    energy: f64,
    slack: (f64, f64),
    /// Sets whose variance is not that of the kernel.
    special: HashSet<Set, FixedState>,
}

/// What was found.
pub(crate) struct Found {
    /// Sets that were looked at, each once.
    pub sets: Vec<Set>,
    /// No other has a larger mean, in units of the spread.
    pub missed_at_most: f64,
}

/// Sets that are looked at most.
const MOST: usize = 1 << 18;
/// Products of a set and a point between two looks.
const PRODUCTS: usize = 1 << 24;

impl<'a> Walk<'a> {
    fn new(share: f64, process: &'a Process, signs: &Signs, look: &mut dyn FnMut()) -> Self {
        let (table, alpha) = (&process.table, &process.alpha);
        let levels = &table.layout.levels;
        let shares = process.kernel.shares(levels);
        let empty = log_empty(process.kernel.variance, &shares);
        // ‖m‖² in the space of the kernel is zᵀα − noise·Σα²/r.
        let noise = |j: usize| alpha[j] * alpha[j] * process.nugget(table.repeats[j]);
        let whole = sums::dot(alpha, &table.values);
        let norm = whole - sums::sum_by(alpha.len(), noise);
        let product = Product::new(&process.kernel, &process.kernel, levels);
        let (beyond, rounding) = product.form(table, alpha, look);
        // The empty set is seen at once: its energy is not in it.
        let mut energy = process.tail * process.tail * beyond;
        let mut special = HashSet::default();
        let sets: Vec<Set> = process.extra.iter().map(|e| e.0.clone()).collect();
        let products = signs.products(sets.iter(), alpha);
        let mut out = Self {
            share,
            process,
            falling: Falling::new(&shares),
            shares,
            empty,
            next: None,
            absolute: alpha.iter().map(|a| a.abs()).sum(),
            norm,
            energy: 0.0,
            slack: (0.0, 0.0),
            special: HashSet::default(),
        };
        for ((set, more), product) in process.extra.iter().zip(products) {
            let own = out.prior(set);
            energy += ((own + more).powi(2) - own * own) * product * product;
            special.insert(set.clone());
            out.take(own + more, product);
        }
        // The matrix that was factored is that of the kernel up to b·eps times its size.
        let extra: f64 = process.extra.iter().map(|e| e.1.abs()).sum();
        let size = process.tail * process.kernel.at_a_point() + extra + process.nugget(1.0);
        let eps = 8.0 * alpha.len() as f64 * f64::EPSILON;
        let squares = sums::dot(alpha, alpha) * alpha.len() as f64;
        out.slack = (eps * (whole.abs() + size * squares), process.tail * process.tail * rounding + eps * energy.abs());
        out.energy += energy;
        out.special = special;
        // The empty set: its variance is that of the constant as well.
        let (constant, _) = out.falling.next().expect("the empty set is the first");
        let own = out.prior(&constant) + process.tail * process.kernel.constant;
        let sum = sums::sum(alpha);
        out.norm -= own * sum * sum;
        out.next = out.falling.next();
        out
    }

    fn prior(&self, set: &[u16]) -> f64 {
        self.process.tail * super::functionals::prior_of(&self.process.kernel, &self.shares, self.empty, set)
    }

    /// Counts a set as seen.
    fn take(&mut self, variance: f64, product: f64) {
        self.norm -= variance * product * product;
        self.energy -= (variance * product).powi(2);
    }

    /// Bound of every set that was not seen.
    fn bound(&self) -> f64 {
        let Some((_, log)) = &self.next else { return 0.0 };
        let prior = self.process.tail * (self.empty + log).exp();
        let by_size = prior * self.absolute;
        let by_norm = (prior * (self.norm + self.slack.0).max(0.0)).sqrt();
        let by_energy = (self.energy + self.slack.1).max(0.0).sqrt();
        self.share * by_size.min(by_norm).min(by_energy) * (1.0 + 1e-9)
    }

    /// The next `count` sets, which count as seen from now on.
    fn go_on(&mut self, count: usize, signs: &Signs, seen: &mut Vec<Set>, known: &mut HashSet<Set, FixedState>) {
        let mut sets = Vec::with_capacity(count);
        while sets.len() < count {
            let Some((set, log)) = self.next.take() else { break };
            self.next = self.falling.next();
            sets.push((set, log));
        }
        let products = signs.products(sets.iter().map(|s| &s.0), &self.process.alpha);
        for ((set, log), product) in sets.into_iter().zip(products) {
            if !self.special.contains(&set) {
                self.take(self.process.tail * (self.empty + log).exp(), product);
            }
            if known.insert(set.clone()) {
                seen.push(set);
            }
        }
    }
}

/// Looks at sets until none that was not seen can be among the `k` largest; `means` gives the means of some sets. `terms` are
/// sets that are looked at in any case.
///
/// Row GP-4 of `paper-refs.md`.
pub(crate) fn largest(
    parts: &[(f64, &Process)],
    terms: &[Set],
    k: usize,
    signs: &Signs,
    mut means: impl FnMut(&[Set]) -> Vec<f64>,
    look: &mut dyn FnMut(),
) -> Found {
    let mut known: HashSet<Set, FixedState> = HashSet::default();
    let mut seen: Vec<Set> = Vec::new();
    let mut sizes: Vec<f64> = Vec::new();
    let extra = parts.iter().flat_map(|(_, p)| p.extra.iter().map(|e| &e.0));
    for set in std::iter::once(&Vec::new()).chain(terms).chain(extra) {
        if known.insert(set.clone()) {
            seen.push(set.clone());
        }
    }
    let mut walks: Vec<Walk<'_>> = Vec::with_capacity(parts.len());
    for &(share, process) in parts {
        look();
        walks.push(Walk::new(share, process, signs, look));
    }
    let points = walks.iter().map(|w| w.process.table.len()).sum::<usize>();
    let together = (PRODUCTS / points.max(1)).max(64);
    let mut count = 64.max(k.min(MOST));
    loop {
        for part in seen[sizes.len()..].chunks(together) {
            look();
            sizes.extend(means(part).into_iter().map(f64::abs));
        }
        let bound: f64 = walks.iter().map(Walk::bound).sum();
        let enough = sizes.len() >= k && {
            let mut sorted = sizes.clone();
            sorted.sort_by(|a, b| b.total_cmp(a));
            k == 0 || bound <= sorted[k - 1]
        };
        if enough || bound == 0.0 || seen.len() >= MOST {
            return Found { sets: seen, missed_at_most: bound };
        }
        for walk in &mut walks {
            for first in (0..count).step_by(together) {
                look();
                walk.go_on(together.min(count - first), signs, &mut seen, &mut known);
            }
        }
        count = (seen.len() / 2).max(64);
    }
}

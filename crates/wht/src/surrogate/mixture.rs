//! The mixture: experts with their shares, and everything that it answers.
use std::sync::{Arc, OnceLock};

use rayon::prelude::*;
use samplewise_linalg::scale::ldexp;
use samplewise_linalg::{Ending, Matrix, Seconds};

use super::answer::{Energy, Estimate, ExpertReport, Kind, Report, Sobol, Status};
use super::energy::{self, Mean};
use super::expert::{Expert, Functionals, Process};
use super::fit::Task;
use super::functionals::{Coefficients, Interactions, Shapley};
use super::letters::Interaction;
use super::mix::total;
use super::search;
use super::sets::{Falling, Set, Signs};
use super::table::Layout;

/// Sets of positions of each expert, and combinations of letters of each, among which large interactions are sought.
const MOST_SETS: usize = 300;
const MOST_COMBINATIONS: usize = 512;

/// An expert and its share.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub kind: Kind,
    pub share: f64,
    pub expert: Expert,
}

/// Experts that are mixed. What they say is in moderate units: `shift` and a power of two lead back to those of the values.
#[derive(Clone, Debug)]
pub(crate) struct Mixture {
    pub layout: Arc<Layout>,
    pub members: Vec<Member>,
    pub status: Status,
    pub report: Report,
    pub level: f64,
    pub exponent: i32,
    pub shift: f64,
    /// Energies of the pairs of processes, made at the first use.
    totals: OnceLock<Vec<Vec<energy::Energies>>>,
}

impl Mixture {
    pub fn new(layout: &Arc<Layout>, members: Vec<Member>, status: Status, report: Report, level: f64) -> Self {
        Self {
            layout: Arc::clone(layout),
            members,
            status,
            report,
            level,
            exponent: 0,
            shift: 0.0,
            totals: OnceLock::new(),
        }
    }

    /// One expert that is a list of terms.
    pub fn of_terms(task: &Task<'_>, terms: super::expert::Terms, kind: Kind, status: Status) -> Self {
        let constant = if kind == Kind::Constant { 1.0 } else { 0.0 };
        let normal = |level: f64| crate::verdict::verify::normal_quantile(0.5 + 0.5 * level);
        let level = task.options.level;
        let report = Report {
            ending: Ending::Finished,
            experts: vec![ExpertReport { kind, share: 1.0, held_out_r2: None }],
            constant_share: constant,
            held_out_r2: None,
            held_out: 0,
            noise_std: terms.residual.sqrt(),
            interval_scale: [0.5, 0.9, 0.95, level].map(normal),
            iterations: 0,
            largest_gradient: 0.0,
            merged: 0,
            constant_variables: Vec::new(),
            seconds: Seconds::default(),
        };
        let members = vec![Member { kind, share: 1.0, expert: Expert::Terms(terms) }];
        Self::new(&task.layout, members, status, report, level)
    }

    /// Into the units of the values.
    fn back(&self, value: f64) -> f64 {
        ldexp(value, self.exponent).clamp(-f64::MAX, f64::MAX)
    }

    fn estimate_of(&self, mean: f64, variance: f64) -> Estimate {
        let deviation = variance.max(0.0).sqrt();
        let half = self.report.interval_scale[3] * deviation;
        Estimate {
            mean: self.back(mean),
            deviation: self.back(deviation),
            low: self.back(mean - half),
            high: self.back(mean + half),
        }
    }

    /// New values at points (rows of codes).
    pub fn predict(&self, codes: &[u8]) -> Vec<Estimate> {
        let n = self.layout.positions();
        let said: Vec<(f64, Vec<f64>, Vec<f64>)> = self
            .members
            .iter()
            .map(|m| {
                let (means, variances) = m.expert.predict(codes, n);
                (m.share, means, variances)
            })
            .collect();
        (0..codes.len() / n)
            .map(|j| {
                let (mean, variance) = total(said.iter().map(|s| (s.0, s.1[j], s.2[j])));
                self.estimate_of(mean + self.shift, variance)
            })
            .collect()
    }

    /// Means of new values, in moderate units.
    pub fn means(&self, codes: &[u8]) -> Vec<f64> {
        let n = self.layout.positions();
        let mut out = vec![self.shift; codes.len() / n];
        for m in &self.members {
            out.iter_mut().zip(m.expert.means(codes, n)).for_each(|(o, v)| *o += m.share * v);
        }
        out
    }

    /// [`Mixture::means`] in the units of the values.
    pub fn means_in_units(&self, codes: &[u8]) -> Vec<f64> {
        self.means(codes).into_iter().map(|v| self.back(v)).collect()
    }

    /// The process with the largest share.
    pub fn leading(&self) -> Option<&Process> {
        self.processes().into_iter().max_by(|a, b| a.0.total_cmp(&b.0)).map(|p| p.1)
    }

    /// Functionals of the function.
    pub fn estimate(&self, functionals: &dyn Functionals) -> Vec<Estimate> {
        self.estimate_watched(functionals, &mut || ())
    }

    /// [`Mixture::estimate`] with a call every few hundredths of a second.
    pub fn estimate_watched(&self, functionals: &dyn Functionals, look: &mut dyn FnMut()) -> Vec<Estimate> {
        let said: Vec<(f64, Vec<f64>, Vec<f64>)> = self
            .members
            .iter()
            .map(|m| {
                let (means, variances) = m.expert.estimate(functionals, look);
                (m.share, means, variances)
            })
            .collect();
        let mut constants = vec![0.0; functionals.count()];
        functionals.of_set(&[], &mut constants);
        (0..functionals.count())
            .map(|l| {
                let (mean, variance) = total(said.iter().map(|s| (s.0, s.1[l], s.2[l])));
                self.estimate_of(mean + self.shift * constants[l], variance)
            })
            .collect()
    }

    pub fn processes(&self) -> Vec<(f64, &Process)> {
        self.members
            .iter()
            .filter_map(|m| match &m.expert {
                Expert::Process(p) => Some((m.share, &**p)),
                Expert::Terms(_) => None,
            })
            .collect()
    }

    /// Covariance of the Shapley values, in the squares of the units of the values.
    pub fn shapley_covariance(&self) -> Matrix {
        let n = self.layout.positions();
        let shapley = Shapley { positions: n };
        let mut means = vec![0.0; n];
        let mut parts = Vec::new();
        for m in &self.members {
            let (mean, _) = m.expert.estimate(&shapley, &mut || ());
            let mut covariance = Matrix::zeros(n, n);
            match &m.expert {
                Expert::Process(p) => {
                    let mut cross = p.cross(&shapley);
                    p.factor.solve_lower_rows_in_place(&mut cross).expect("rows of one length");
                    let prior = shapley.prior_covariance(&p.kernel);
                    let scale = p.table.scale * p.table.scale;
                    covariance = Matrix::from_fn(n, n, |i, l| {
                        let known = samplewise_linalg::sums::dot(cross.row(i), cross.row(l));
                        scale * (p.tail * prior[(i, l)] - known)
                    });
                    let mut on = vec![0.0; n];
                    for (set, more) in p.extra.iter().filter(|e| e.0.len() % 2 == 1) {
                        on.fill(0.0);
                        shapley.of_set(set, &mut on);
                        add_outer(&mut covariance, scale * more, set, &on);
                    }
                }
                Expert::Terms(terms) => {
                    let mut on = vec![0.0; n];
                    for (set, error) in terms.sets.iter().zip(&terms.errors).filter(|e| e.0.len() % 2 == 1) {
                        on.fill(0.0);
                        shapley.of_set(set, &mut on);
                        add_outer(&mut covariance, error * error, set, &on);
                    }
                }
            }
            means.iter_mut().zip(&mean).for_each(|(t, v)| *t += m.share * v);
            parts.push((m.share, mean, covariance));
        }
        Matrix::from_fn(n, n, |i, l| {
            let one = |(share, mean, covariance): &(f64, Vec<f64>, Matrix)| {
                share * (covariance[(i, l)] + (mean[i] - means[i]) * (mean[l] - means[l]))
            };
            self.back(self.back(parts.iter().map(one).sum::<f64>()))
        })
    }

    /// The mean as one spectrum, in units of the spread of the table; none without a process.
    fn mean(&self) -> Option<(f64, Mean<'_>)> {
        let processes = self.processes();
        let table = &processes.first()?.1.table;
        let mut terms: Vec<(Set, f64)> = Vec::new();
        for (share, process) in &processes {
            terms.extend(terms_of(process, *share));
        }
        for m in &self.members {
            if let Expert::Terms(own) = &m.expert {
                terms.extend(own.sets.iter().cloned().zip(own.values.iter().map(|v| m.share * v / table.scale)));
            }
        }
        terms.sort_by(|a, b| a.0.cmp(&b.0));
        terms.dedup_by(|next, first| {
            let same = next.0 == first.0;
            if same {
                first.1 += next.1;
            }
            same
        });
        let parts = processes;
        Some((table.scale, Mean { table, parts, terms }))
    }

    /// Squares of energies in the units of the values.
    fn squared(&self, energy: f64, scale: f64) -> f64 {
        self.back(self.back(energy.max(0.0) * scale * scale)).min(f64::MAX)
    }

    /// Terms of the mixture alone, where there is no process.
    fn own_terms(&self) -> Vec<(Set, f64, f64)> {
        let of = |m: &Member| match &m.expert {
            Expert::Terms(terms) => {
                let errors = terms.errors.iter();
                terms
                    .sets
                    .iter()
                    .cloned()
                    .zip(terms.values.iter().map(|v| m.share * v))
                    .zip(errors)
                    .map(|((s, v), e)| (s, v, *e))
                    .collect()
            }
            Expert::Process(_) => Vec::new(),
        };
        self.members.iter().flat_map(of).collect()
    }

    /// Energies by number of positions, `0..=degrees`, and of all larger ones last; the constant counts as none.
    pub fn energy_by_degree(&self, degrees: usize) -> Vec<Energy> {
        let mut of_mean = vec![0.0; degrees + 2];
        let mut expected = vec![0.0; degrees + 2];
        let mut unit = 1.0;
        let spread_out = |by: &[f64], total: f64, share: f64, out: &mut [f64]| {
            out.iter_mut().zip(by).for_each(|(o, e)| *o += share * e.max(0.0));
            out[degrees + 1] += share * (total - by.iter().sum::<f64>()).max(0.0);
        };
        if let Some((scale, mean)) = self.mean() {
            unit = scale;
            let pairs = self.totals.get_or_init(|| mean.pairs());
            let by_degree = mean.by_degree(degrees);
            let energies = mean.energies(pairs, &by_degree, degrees);
            spread_out(&energies.by_degree, energies.total, 1.0, &mut of_mean);
            for (i, (share, process)) in mean.parts.iter().enumerate() {
                let alone = Mean { table: mean.table, parts: vec![(1.0, *process)], terms: terms_of(process, 1.0) };
                let (own, own_degrees) = (vec![pairs[i][i].clone()], vec![by_degree[i][i].clone()]);
                let own = alone.energies(&[own], &[own_degrees], degrees);
                spread_out(&own.by_degree, own.total, *share, &mut expected);
                let (all, by) = energy::variances(process, degrees);
                spread_out(&by, all, *share, &mut expected);
            }
        } else {
            for (set, value, _) in self.own_terms().iter().filter(|t| !t.0.is_empty()) {
                of_mean[set.len().min(degrees + 1)] += value * value;
            }
        }
        for m in &self.members {
            if let Expert::Terms(terms) = &m.expert {
                for ((set, value), error) in terms.sets.iter().zip(&terms.values).zip(&terms.errors) {
                    if !set.is_empty() {
                        let add = m.share * (value * value + error * error) / (unit * unit);
                        expected[set.len().min(degrees + 1)] += add;
                    }
                }
            }
        }
        let all: f64 = of_mean.iter().sum();
        let share = |o: f64| if all > 0.0 { o / all } else { 0.0 };
        let energy = |(o, e): (&f64, f64)| Energy {
            share: share(*o),
            of_mean: self.squared(*o, unit),
            expected: self.squared(e, unit),
        };
        of_mean.iter().zip(expected).map(energy).collect()
    }

    /// Variance of the mean, in the square of moderate units.
    fn variance(&self) -> f64 {
        match self.mean() {
            Some((scale, mean)) => {
                mean.energies(self.totals.get_or_init(|| mean.pairs()), &[], 0).total * scale * scale
            }
            None => self.own_terms().iter().filter(|t| !t.0.is_empty()).map(|t| t.1 * t.1).sum(),
        }
    }

    /// Sobol indices of the mean.
    pub fn sobol(&self) -> Sobol {
        let n = self.layout.positions();
        let (mut first, mut total) = (vec![0.0; n], vec![0.0; n]);
        let (variance, unit) = if let Some((scale, mean)) = self.mean() {
            let energies = mean.energies(self.totals.get_or_init(|| mean.pairs()), &[], 0);
            total.copy_from_slice(&energies.of_position);
            first = self.first_order(&mean);
            (energies.total, scale)
        } else {
            let mut variance = 0.0;
            for (set, value, _) in self.own_terms().iter().filter(|t| !t.0.is_empty()) {
                variance += value * value;
                set.iter().for_each(|&i| total[usize::from(i)] += value * value);
                if let [only] = set[..] {
                    first[usize::from(only)] += value * value;
                }
            }
            (variance, 1.0)
        };
        let share = |v: &f64| if variance > 0.0 { (v / variance).clamp(0.0, 1.0) } else { 0.0 };
        Sobol {
            first: first.iter().map(share).collect(),
            total: total.iter().map(share).collect(),
            variance: self.squared(variance, unit),
        }
    }

    /// Energy of each position alone. For two levels the square of its coefficient; for more, of its interaction.
    fn first_order(&self, mean: &Mean<'_>) -> Vec<f64> {
        let n = self.layout.positions();
        let singles: Vec<Set> = (0..n as u16).map(|i| vec![i]).collect();
        if self.layout.levels.iter().all(|&a| a <= 2) {
            let own: std::collections::BTreeMap<&Set, f64> = mean.terms.iter().map(|t| (&t.0, t.1)).collect();
            let known = mean.of_kernels(&singles);
            return singles.iter().zip(known).map(|(s, k)| (k + own.get(s).unwrap_or(&0.0)).powi(2)).collect();
        }
        let letters: Vec<(Set, Vec<u8>)> =
            (0..n).flat_map(|i| (0..self.layout.levels[i]).map(move |a| (vec![i as u16], vec![a as u8]))).collect();
        let family = Interactions(&letters);
        let mut values = vec![0.0; letters.len()];
        for (share, process) in self.processes() {
            let (means, _) = process.estimate(&family, &mut || ());
            values.iter_mut().zip(means).for_each(|(v, m)| *v += share * m / process.table.scale);
        }
        let mut out = vec![0.0; n];
        for ((set, _), v) in letters.iter().zip(values) {
            out[usize::from(set[0])] += v * v / self.layout.levels[usize::from(set[0])] as f64;
        }
        out
    }

    /// The `k` largest interactions of two or more positions by their energy, among those of largest prior variance.
    pub fn largest_interactions(&self, k: usize) -> Vec<Interaction> {
        let levels = &self.layout.levels;
        let combinations = |set: &Set| set.iter().map(|&i| levels[usize::from(i)]).product::<usize>();
        let mut sets: std::collections::BTreeSet<Set> = std::collections::BTreeSet::new();
        for (_, process) in self.processes() {
            let likely = Falling::new(&process.kernel.shares(levels)).map(|s| s.0);
            sets.extend(likely.filter(|s| s.len() > 1).take(MOST_SETS));
            sets.extend(process.extra.iter().map(|e| e.0.clone()).take(MOST_SETS));
        }
        for m in &self.members {
            if let Expert::Terms(terms) = &m.expert {
                sets.extend(terms.sets.iter().cloned());
            }
        }
        sets.retain(|s| s.len() > 1 && combinations(s) <= MOST_COMBINATIONS);
        let sets: Vec<Set> = sets.into_iter().collect();
        let one = |set: &Set| {
            let count = combinations(set);
            let mut means = vec![0.0; count];
            for m in &self.members {
                let of_expert = m.expert.interaction_means(set, count);
                means.iter_mut().zip(of_expert).for_each(|(o, v)| *o += m.share * v);
            }
            let energy = means.iter().map(|v| v * v).sum::<f64>() / count as f64;
            let mut at = (0..count).max_by(|&a, &b| means[a].abs().total_cmp(&means[b].abs())).unwrap_or(0);
            let letter = |&i: &u16| {
                let (levels, here) = (levels[usize::from(i)], at);
                at /= levels;
                (here % levels) as u8
            };
            (energy, set.clone(), set.iter().map(letter).collect())
        };
        let mut found: Vec<(f64, Set, Vec<u8>)> = sets.par_iter().map(one).collect();
        found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        found.truncate(k);
        found.retain(|f| f.0 > 0.0);
        let variance = self.variance();
        let wanted: Vec<(Set, Vec<u8>)> = found.iter().map(|f| (f.1.clone(), f.2.clone())).collect();
        let estimates = self.estimate(&Interactions(&wanted));
        let one = |((energy, set, letters), estimate): ((f64, Set, Vec<u8>), Estimate)| Interaction {
            positions: set.iter().map(|&i| usize::from(i)).collect(),
            letters,
            estimate,
            share: if variance > 0.0 { energy / variance } else { 0.0 },
        };
        found.into_iter().zip(estimates).map(one).collect()
    }

    /// The `k` largest coefficients, the largest first, and the largest that may have been missed.
    pub fn top(&self, k: usize, look: &mut dyn FnMut()) -> (Vec<(Set, Estimate)>, f64) {
        let processes = self.processes();
        let (mut sets, missed, scale) = if let Some((_, first)) = processes.first() {
            let signs = Signs::of_table(&first.table);
            let (scale, mean) = self.mean().expect("a process");
            let own: std::collections::BTreeMap<&Set, f64> = mean.terms.iter().map(|t| (&t.0, t.1)).collect();
            let terms: Vec<Set> = mean.terms.iter().map(|t| t.0.clone()).collect();
            // The empty set has the means of the tables and the constant of the kernels as well.
            let of_process = |(share, p): &(f64, &Process)| {
                share * (p.table.mean / scale + p.tail * p.kernel.constant * p.alpha.iter().sum::<f64>())
            };
            let level = processes.iter().map(of_process).sum::<f64>() + self.shift / scale;
            let means = |sets: &[Set]| -> Vec<f64> {
                let known = mean.of_kernels(sets);
                let more = |s: &Set| own.get(s).unwrap_or(&0.0) + if s.is_empty() { level } else { 0.0 };
                sets.iter().zip(known).map(|(s, v)| v + more(s)).collect()
            };
            let found = search::largest(&processes, &terms, k, &signs, means, look);
            let sizes = means(&found.sets);
            (found.sets.into_iter().zip(sizes).collect::<Vec<_>>(), found.missed_at_most, scale)
        } else {
            let mut terms: Vec<(Set, f64)> = self.own_terms().into_iter().map(|t| (t.0, t.1)).collect();
            if self.shift != 0.0 {
                match terms.iter_mut().find(|t| t.0.is_empty()) {
                    Some(constant) => constant.1 += self.shift,
                    None => terms.push((Vec::new(), self.shift)),
                }
            }
            (terms, 0.0, 1.0)
        };
        sets.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()).then_with(|| a.0.cmp(&b.0)));
        let next = sets.get(k).map_or(0.0, |s| s.1.abs());
        sets.truncate(k);
        let wanted: Vec<Set> = sets.into_iter().map(|s| s.0).collect();
        let mut estimates = Vec::with_capacity(wanted.len());
        for part in wanted.chunks(512) {
            estimates.extend(self.estimate_watched(&Coefficients(part), look));
        }
        let missed = self.back(missed.max(next) * scale);
        (wanted.into_iter().zip(estimates).collect(), missed)
    }
}

fn add_outer(covariance: &mut Matrix, factor: f64, set: &[u16], on: &[f64]) {
    for &i in set {
        for &l in set {
            let (i, l) = (usize::from(i), usize::from(l));
            covariance[(i, l)] += factor * on[i] * on[l];
        }
    }
}

/// Coefficients of a process beside those of its kernel, in units of the spread, times a share.
fn terms_of(process: &Process, share: f64) -> Vec<(Set, f64)> {
    if process.extra.is_empty() {
        return Vec::new();
    }
    let signs = Signs::of_table(&process.table);
    let products = signs.products(process.extra.iter().map(|e| &e.0), &process.alpha);
    process.extra.iter().zip(products).map(|((set, more), p)| (set.clone(), share * more * p)).collect()
}

//! The driver: experts of one kernel family on all points and without each fold, their shares from what was held out.
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use foldhash::fast::FixedState;
use rayon::prelude::*;
use samplewise_linalg::observe::Watch;
use samplewise_linalg::random::{Streams, shuffle};
use samplewise_linalg::scale::ldexp;
use samplewise_linalg::{Ending, Observer, Progress, Seconds};

use super::answer::{ExpertReport, Kind, Report, Status};
use super::evidence::{Evidence, NoiseVariance};
use super::expert::{Expert, Process, Terms};
use super::heavy::{Follows, Refinement, candidates};
use super::kernel::Kernel;
use super::lbfgs::Minimiser;
use super::mix::{HeldOut, interval_scale};
use super::mixture::{Member, Mixture};
use super::options::{Options, check};
use super::pursuit::{self, Pursued};
use super::rounds::{LARGE, looking, run_in_rounds};
use super::table::{Layout, Table, count_distinct, units_of};
use super::workspace::Workspaces;
use crate::Error;
use crate::options::Noise;
use crate::verdict::units::{Units, check_finite, range_of};

/// What is fitted: points as rows of codes, and their values in moderate units.
pub(super) struct Task<'a> {
    pub layout: Arc<Layout>,
    pub codes: &'a [u8],
    pub values: &'a [f64],
    pub options: &'a Options,
    pub rounding: f64,
    pub spread: f64,
    pub noise: NoiseSetting,
}

/// The noise as told, in moderate units.
#[derive(Clone, Copy, Debug)]
pub(super) enum NoiseSetting {
    Free,
    Std(f64),
}

/// Steps of a minimisation, and of a refinement: with few degrees of freedom, with many, and beyond 400 points.
pub(super) const STEPS: usize = 40;
const SPARSE_STEPS: usize = 20;
const SMOOTH_STEPS: usize = 12;
const STEPS_BEYOND: usize = 10;
/// Candidates for heavy tails in all.
const MOST_CANDIDATES: usize = 1_500;
/// Standard deviation of the noise in units of the spread of the values, at most: more says no more than that they are noise.
const MOST_NOISE: f64 = 1e6;
/// Names of the streams.
const FOLDS: u64 = 0;
const PURSUIT: u64 = 1;

/// Fits a mixture. Codes are within their levels; values that were freed of a constant before are less exact than their size
/// says: by `least_rounding`, else 0.
///
/// Rows GP-8 and GP-10 of `paper-refs.md`.
pub(crate) fn fit(
    levels: &[usize],
    codes: &[u8],
    values: &[f64],
    options: &Options,
    least_rounding: f64,
    observer: &mut dyn Observer,
) -> Result<Mixture, Error> {
    let start = Instant::now();
    let n = levels.len();
    check(options, values.len())?;
    check_finite(values)?;
    if values.len() < 3 {
        return Err(Error::count("values.len()", values.len(), "at least 3"));
    }
    let units = Units::of(values);
    let moderate = units.apply(values);
    let (low, high) = range_of(&moderate);
    let noise = match options.noise {
        Noise::None => NoiseSetting::Std(0.0),
        Noise::Std(std) => NoiseSetting::Std(ldexp(std, -units.exponent())),
        Noise::Unknown => NoiseSetting::Free,
    };
    let layout = Arc::new(Layout::new(levels));
    let spread = high - low;
    let rounding = units.rounding.max(ldexp(least_rounding, -units.exponent()));
    let task = Task { layout: Arc::clone(&layout), codes, values: &moderate, options, rounding, spread, noise };
    let distinct = task.distinct();
    if distinct > options.max_points {
        let (count, most) = (distinct as u128, options.max_points as u128);
        return Err(Error::TooLarge { what: "distinct points", count, most });
    }
    let mut watch = Watch::new(observer);
    let mut mixture = if spread <= 2.0 * rounding {
        let terms = Terms::constant(0.5 * low + 0.5 * high, 0.0);
        Mixture::of_terms(&task, terms, Kind::Constant, Status::Constant)
    } else {
        task.run(&mut watch)?
    };
    mixture.exponent = units.exponent();
    mixture.shift = units.shift();
    mixture.report.merged = values.len() - distinct;
    let first = &codes[..n];
    let varies = |i: usize| codes.chunks_exact(n).any(|p| p[i] != first[i]);
    mixture.report.constant_variables = (0..n).filter(|&i| !varies(i)).collect();
    mixture.report.noise_std = ldexp(mixture.report.noise_std, units.exponent()).min(f64::MAX);
    if let Noise::Std(told) = options.noise {
        mixture.report.noise_std = told;
    }
    if watch.stopped() {
        mixture.report.ending = Ending::Interrupted;
    }
    mixture.report.seconds = Seconds::since(start);
    Ok(mixture)
}

impl<'a> Task<'a> {
    /// Of two levels everywhere, for values that were divided by this power of two already; the noise of the options was not.
    pub(super) fn of_bits(n: usize, codes: &'a [u8], values: &'a [f64], exponent: i32, options: &'a Options) -> Self {
        let (low, high) = range_of(values);
        let rounding = f64::EPSILON * low.abs().max(high.abs());
        let noise = match options.noise {
            Noise::None => NoiseSetting::Std(0.0),
            Noise::Std(std) => NoiseSetting::Std(ldexp(std, -exponent)),
            Noise::Unknown => NoiseSetting::Free,
        };
        let layout = Arc::new(Layout::new(&vec![2; n]));
        Self { layout, codes, values, options, rounding, spread: high - low, noise }
    }
}

impl Task<'_> {
    pub(super) fn positions(&self) -> usize {
        self.layout.positions()
    }

    pub(super) fn two_levels(&self) -> bool {
        self.layout.levels.iter().all(|&a| a <= 2)
    }

    pub(super) fn distinct(&self) -> usize {
        count_distinct(self.codes, self.positions())
    }

    pub(super) fn select(&self, rows: &[usize]) -> (Vec<u8>, Vec<f64>) {
        let n = self.positions();
        let codes = rows.iter().flat_map(|&j| &self.codes[j * n..(j + 1) * n]).copied().collect();
        (codes, rows.iter().map(|&j| self.values[j]).collect())
    }

    pub(super) fn table(&self, rows: &[usize]) -> Arc<Table> {
        let (codes, values) = self.select(rows);
        Arc::new(Table::new(&self.layout, &codes, &values))
    }

    /// [`Task::table`] in units that are given.
    pub(super) fn table_in(&self, rows: &[usize], units: (f64, f64)) -> Arc<Table> {
        let (codes, values) = self.select(rows);
        Arc::new(Table::in_units(&self.layout, &codes, &values, units))
    }

    pub(super) fn noise_of(&self, table: &Table) -> NoiseVariance {
        match self.noise {
            NoiseSetting::Free => NoiseVariance::Free,
            NoiseSetting::Std(std) => NoiseVariance::Fixed((std / table.scale).min(MOST_NOISE).powi(2)),
        }
    }

    /// Rows that are held out together, in a random order: repeats of a point, a point and its complement in the variables
    /// that vary, a group of the caller's, and whatever these tie together.
    pub(super) fn groups(&self) -> Vec<Vec<usize>> {
        let n = self.positions();
        let first = &self.codes[..n];
        let varies: Vec<bool> = (0..n).map(|i| self.codes.chunks_exact(n).any(|p| p[i] != first[i])).collect();
        let mut parents: Vec<usize> = (0..self.values.len()).collect();
        let mut of_point: HashMap<Vec<u8>, usize, FixedState> = HashMap::default();
        let mut of_group: HashMap<usize, usize, FixedState> = HashMap::default();
        for (j, point) in self.codes.chunks_exact(n).enumerate() {
            let turned = |(i, &x): (usize, &u8)| if varies[i] && self.layout.levels[i] == 2 { 1 - x } else { x };
            let other: Vec<u8> = point.iter().enumerate().map(turned).collect();
            let known = *of_point.entry(point.to_vec().min(other)).or_insert(j);
            tie(&mut parents, known, j);
            if let Some(groups) = &self.options.groups {
                let known = *of_group.entry(groups[j]).or_insert(j);
                tie(&mut parents, known, j);
            }
        }
        let mut out: Vec<Vec<usize>> = Vec::new();
        let mut place: HashMap<usize, usize, FixedState> = HashMap::default();
        for j in 0..self.values.len() {
            let root = root(&mut parents, j);
            let at = *place.entry(root).or_insert_with(|| {
                out.push(Vec::new());
                out.len() - 1
            });
            out[at].push(j);
        }
        shuffle(&mut Streams::new(self.options.seed).stream(FOLDS), &mut out);
        out
    }

    /// Distinct points of some rows with the means of their values, in the order of their first appearance.
    pub(super) fn merged(&self, codes: &[u8], values: &[f64]) -> (Vec<u8>, Vec<f64>) {
        let table = Table::in_units(&self.layout, codes, values, (0.0, 1.0));
        (table.codes, table.values)
    }

    pub(super) fn pursue(&self, codes: &[u8], values: &[f64], stream: u64, watch: &mut Watch<'_>) -> Option<Pursued> {
        let mut rng = Streams::new(self.options.seed).child(PURSUIT).stream(stream);
        // A point that was told several times is one point: its repeats are no evidence of their own.
        let (codes, values) = &self.merged(codes, values);
        pursuit::pursue((codes, self.positions()), values, 1e-12 * self.spread + self.rounding, &mut rng, watch)
    }

    fn run(&self, watch: &mut Watch<'_>) -> Result<Mixture, Error> {
        let mut pursued = None;
        if self.options.pursuit && self.two_levels() {
            pursued = self.pursue(self.codes, self.values, 0, watch);
            if let Some(found) = pursued.as_ref().filter(|found| self.explains(found)) {
                return Ok(self.explained(found.terms.clone()));
            }
        }
        let fitted = if watch.stopped() {
            None
        } else if self.distinct() <= self.options.evidence_points + self.options.evidence_points / 4 {
            self.all_in_folds(pursued.as_ref(), watch)
        } else {
            self.beyond_the_evidence(pursued.as_ref(), watch)
        };
        match (fitted, pursued) {
            (Some(mixture), _) => Ok(mixture),
            // Stopped before a process was there: the pursuit is what is left.
            (None, Some(found)) => Ok(Mixture::of_terms(self, found.terms, Kind::Pursuit, Status::Unjudged)),
            (None, None) => Err(Error::Interrupted),
        }
    }

    /// Whether the pursuit explains every value, repeats included.
    fn explains(&self, found: &Pursued) -> bool {
        let near = pursuit::AGREES * self.spread + 4.0 * self.rounding;
        let predicted = found.terms.predict(self.codes, self.positions()).0;
        let (codes, values) = self.merged(self.codes, self.values);
        predicted.iter().zip(self.values).all(|(p, v)| (p - v).abs() <= near)
            && pursuit::explains(found, (&codes, self.positions()), &values, self.spread, self.rounding)
    }

    pub(super) fn explained(&self, mut terms: Terms) -> Mixture {
        // What is left is rounding.
        let left = terms.predict(self.codes, self.positions()).0.into_iter().zip(self.values);
        let largest = left.map(|(p, v)| (p - v).abs()).fold(self.rounding, f64::max);
        terms.residual = largest * largest;
        let status = Status::Explained { terms: terms.sets.len() };
        Mixture::of_terms(self, terms, Kind::Pursuit, status)
    }

    /// The kinds of the experts, in order.
    pub(super) fn kinds(&self, heavy: bool, pursuit: bool) -> Vec<Kind> {
        let mut out: Vec<Kind> = self.options.spreads.iter().map(|&spread| Kind::Process { spread }).collect();
        if heavy {
            out.extend(self.options.tails.iter().map(|&freedom| Kind::HeavyTails { freedom }));
        }
        if pursuit {
            out.push(Kind::Pursuit);
        }
        out
    }

    /// The expert whose kernel heavy tails start from.
    pub(super) fn base(&self) -> usize {
        self.options.spreads.len() / 2
    }

    fn tail_steps(freedom: f64, points: usize) -> usize {
        if points > 400 {
            STEPS_BEYOND
        } else if freedom < 1.0 {
            SPARSE_STEPS
        } else {
            SMOOTH_STEPS
        }
    }

    /// Minimises the evidence of every table and spread, in rounds of as many evaluations as there are threads. What is
    /// there when the observer stops it is what they end with.
    pub(super) fn kernels(
        &self,
        tables: &[Arc<Table>],
        from: Option<&[Kernel]>,
        steps: usize,
        watch: &mut Watch<'_>,
    ) -> Vec<Vec<Fitted>> {
        let spreads = &self.options.spreads;
        let evidence = |job: usize| {
            let table = &tables[job / spreads.len()];
            Evidence { table, spread: spreads[job % spreads.len()], noise: self.noise_of(table) }
        };
        let start = |job: usize| from.map(|kernels| &kernels[job % spreads.len()]);
        let mut jobs: Vec<Minimiser> =
            (0..tables.len() * spreads.len()).map(|job| evidence(job).minimiser(start(job), steps)).collect();
        let workspaces = Workspaces::default();
        run_in_rounds(
            &mut jobs,
            |job, minimiser, look| {
                let Some(point) = minimiser.point().map(<[f64]>::to_vec) else { return false };
                let (value, gradient) = workspaces.with(|w| evidence(job).evaluate(&point, w, look));
                minimiser.tell(value, &gradient);
                true
            },
            ("evidence", tables[0].len() > LARGE),
            watch,
        );
        let fitted = |(job, minimiser): (usize, &Minimiser)| Fitted {
            kernel: self.with_unseen(evidence(job).kernel(minimiser.best()), &tables[job / spreads.len()]),
            steps: minimiser.steps(),
            gradient: minimiser.largest_gradient(),
        };
        let all: Vec<Fitted> = jobs.iter().enumerate().map(fitted).collect();
        all.chunks(spreads.len()).map(<[Fitted]>::to_vec).collect()
    }

    /// Positions that vary among all points but not in a table matter as much as the others of the table do in the mean.
    fn with_unseen(&self, mut kernel: Kernel, table: &Table) -> Kernel {
        let logs: Vec<f64> = table.varying.iter().map(|&i| kernel.relevance[i].ln()).collect();
        let level = if logs.is_empty() { 0.0 } else { (logs.iter().sum::<f64>() / logs.len() as f64).exp() };
        let n = self.positions();
        for i in 0..n {
            if kernel.relevance[i] == 0.0 && self.codes.chunks_exact(n).any(|p| p[i] != self.codes[i]) {
                kernel.relevance[i] = level;
            }
        }
        kernel
    }

    /// Heavy tails around the kernel of each table; none where the observer stops it. In the order of the options.
    pub(super) fn heavy(
        &self,
        tables: &[Arc<Table>],
        kernels: &[Kernel],
        watch: &mut Watch<'_>,
    ) -> Option<Vec<Vec<Option<Process>>>> {
        let tails = &self.options.tails;
        if tails.is_empty() || !self.two_levels() {
            return Some(vec![Vec::new(); tables.len()]);
        }
        let known = matches!(self.noise, NoiseSetting::Std(_));
        let follows = if known { Follows::Tail } else { Follows::TailAndNoise };
        let mut jobs: Vec<(usize, Option<Refinement>)> = Vec::new();
        for (table, kernel) in tables.iter().zip(kernels) {
            let most = (self.options.candidates * table.len()).min(MOST_CANDIDATES);
            let plain = Process::plain(kernel, table, &mut looking(watch, "heavy tails"));
            let chosen = plain.map(|p| candidates(kernel, table, &p.alpha, most));
            for &freedom in tails {
                let refined = chosen.as_ref().map(|c| Refinement::new(kernel, table, c.clone(), freedom, follows));
                jobs.push((Self::tail_steps(freedom, table.len()), refined));
            }
            if watch.ticks(|| Progress { stage: "heavy tails", step: jobs.len(), total: None, value: None }) {
                return None;
            }
        }
        let workspaces = Workspaces::default();
        run_in_rounds(
            &mut jobs,
            |job, (left, refined), look| {
                let Some(refined) = refined else { return false };
                if *left == 0 || !workspaces.with(|w| refined.step(&tables[job / tails.len()], w, look)) {
                    return false;
                }
                *left -= 1;
                true
            },
            ("heavy tails", tables[0].len() > LARGE),
            watch,
        );
        if watch.stopped() {
            return None;
        }
        let mut done: Vec<Option<Process>> = Vec::with_capacity(jobs.len());
        for (job, (_, refined)) in jobs.iter().enumerate() {
            let at = job / tails.len();
            let mut look = looking(watch, "heavy tails");
            done.push(refined.as_ref().and_then(|r| Process::heavy(&kernels[at], &tables[at], r, &mut look)));
        }
        Some(done.chunks(tails.len()).map(<[Option<Process>]>::to_vec).collect())
    }

    /// Few points: everything is fitted anew without each fold.
    fn all_in_folds(&self, pursued: Option<&Pursued>, watch: &mut Watch<'_>) -> Option<Mixture> {
        let n = self.positions();
        let groups = self.groups();
        let folds = self.options.folds.min(groups.len());
        let mut fold_of = vec![0; self.values.len()];
        groups.iter().enumerate().for_each(|(g, rows)| rows.iter().for_each(|&j| fold_of[j] = g % folds));
        let rows_of = |fold: usize, inside: bool| -> Vec<usize> {
            (0..self.values.len()).filter(|&j| (fold_of[j] == fold) == inside).collect()
        };
        // One group cannot be held out: there is nothing to learn from without it.
        let training: Vec<Vec<usize>> =
            if folds < 2 { Vec::new() } else { (0..folds).map(|f| rows_of(f, false)).collect() };
        let mut tables = vec![self.table(&(0..self.values.len()).collect::<Vec<_>>())];
        tables.extend(training.iter().map(|rows| self.table(rows)));
        // The pursuit without each fold first: it is fast, and may explain everything.
        let mut pursuits = Vec::new();
        if pursued.is_some() {
            for (fold, rows) in training.iter().enumerate() {
                let (codes, values) = self.select(rows);
                let found = self.pursue(&codes, &values, 1 + fold as u64, watch)?;
                let (held, known) = self.select(&rows_of(fold, true));
                if let Some(terms) = self.snaps(&found, &held, &known) {
                    return Some(self.explained(terms));
                }
                pursuits.push(found.terms);
            }
        }
        let fitted = self.kernels(&tables, None, STEPS, watch);
        let bases: Vec<Kernel> = fitted.iter().map(|f| f[self.base()].kernel.clone()).collect();
        let heavy = if watch.stopped() { None } else { self.heavy(&tables, &bases, watch) };
        let Some(heavy) = heavy else {
            return self.unjudged(&tables[0], &fitted[0]);
        };
        let kinds = self.kinds(self.two_levels(), pursued.is_some());
        let mut held_out = HeldOut { experts: vec![(Vec::new(), Vec::new()); kinds.len()], ..HeldOut::default() };
        for fold in 0..training.len() {
            let (codes, values) = self.select(&rows_of(fold, true));
            let table = &tables[fold + 1];
            held_out.seen.extend(vec![(table.mean, table.scale * table.scale); values.len()]);
            let mut experts: Vec<Option<Process>> = Vec::new();
            for one in &fitted[fold + 1] {
                experts.push(Process::plain(&one.kernel, table, &mut looking(watch, "held-out points")));
            }
            experts.extend(heavy[fold + 1].iter().cloned());
            let unknown = || (vec![f64::NAN; values.len()], vec![f64::NAN; values.len()]);
            let mut said: Vec<(Vec<f64>, Vec<f64>)> =
                experts.par_iter().map(|e| e.as_ref().map_or_else(unknown, |e| e.predict(&codes))).collect();
            said.extend(pursuits.get(fold).map(|terms| terms.predict(&codes, n)));
            for (all, (means, variances)) in held_out.experts.iter_mut().zip(said) {
                all.0.extend(means);
                all.1.extend(variances);
            }
            held_out.values.extend(values);
            if watch.ticks(|| Progress { stage: "held-out points", step: fold + 1, total: Some(folds), value: None }) {
                return self.unjudged(&tables[0], &fitted[0]);
            }
        }
        let shares = self.shares(&kinds, &mut held_out);
        let mut experts: Vec<Option<Expert>> = Vec::new();
        for one in &fitted[0] {
            let process = Process::plain(&one.kernel, &tables[0], &mut looking(watch, "processes on all points"));
            experts.push(process.map(|p| Expert::Process(Box::new(p))));
        }
        experts.extend(heavy[0].iter().map(|p| p.clone().map(|p| Expert::Process(Box::new(p)))));
        experts.extend(pursued.map(|p| Some(Expert::Terms(p.terms.clone()))));
        let fitted_all: Vec<Fitted> = fitted.into_iter().flatten().collect();
        Some(self.assemble(&kinds, shares, experts, &held_out, &fitted_all))
    }

    /// Whether a pursuit without some values explains them all the same: then it is the answer, fitted to all values.
    pub(super) fn snaps(&self, found: &Pursued, codes: &[u8], values: &[f64]) -> Option<Terms> {
        let n = self.positions();
        let predicted = found.terms.predict(codes, n).0;
        let near = pursuit::AGREES * self.spread + 4.0 * self.rounding;
        let (low, high) = range_of(values);
        let agree = predicted.iter().zip(values).all(|(p, v)| (p - v).abs() <= near);
        if !agree || high - low <= near || 2 * found.terms.sets.len() > self.values.len() {
            return None;
        }
        let terms = pursuit::refit(&found.terms.sets, (self.codes, n), self.values)?;
        let again = Pursued { terms, candidates: found.candidates };
        self.explains(&again).then_some(again.terms)
    }

    /// Shares of the experts; the variance of the pursuit is what it leaves of held-out values.
    pub(super) fn shares(&self, kinds: &[Kind], held_out: &mut HeldOut) -> Vec<f64> {
        if held_out.values.is_empty() {
            let mut out = vec![0.0; kinds.len() + 1];
            out[self.base()] = 1.0;
            return out;
        }
        if let Some(at) = kinds.iter().position(|k| *k == Kind::Pursuit) {
            let residual = residual_of(held_out, at);
            held_out.experts[at].1.fill(residual);
        }
        held_out.shares()
    }

    pub(super) fn assemble(
        &self,
        kinds: &[Kind],
        mut shares: Vec<f64>,
        experts: Vec<Option<Expert>>,
        held_out: &HeldOut,
        fitted: &[Fitted],
    ) -> Mixture {
        // An expert that failed on all points leaves its share to the constant.
        for (at, expert) in experts.iter().enumerate() {
            if expert.is_none() {
                let lost = std::mem::take(&mut shares[at]);
                shares[kinds.len()] += lost;
            }
        }
        let mut reports: Vec<ExpertReport> = kinds
            .iter()
            .zip(&shares)
            .enumerate()
            .map(|(at, (&kind, &share))| {
                let said = &held_out.experts[at].0;
                let held_out_r2 = if said.is_empty() { None } else { held_out.r2(said) };
                ExpertReport { kind, share, held_out_r2 }
            })
            .collect();
        let constant_share = shares[kinds.len()];
        let of_mean: Vec<f64> = held_out.seen.iter().map(|s| s.0).collect();
        let held_out_r2 = if of_mean.is_empty() { None } else { held_out.r2(&of_mean) };
        reports.push(ExpertReport { kind: Kind::Constant, share: constant_share, held_out_r2 });
        let mixed = if held_out.values.is_empty() { Vec::new() } else { held_out.mixed(&shares) };
        let means: Vec<f64> = mixed.iter().map(|m| m.0).collect();
        let scores: Vec<f64> = mixed
            .iter()
            .zip(&held_out.values)
            .map(|((mean, variance), v)| (v - mean).abs() / variance.sqrt().max(self.rounding))
            .collect();
        let levels = [0.5, 0.9, 0.95, self.options.level];
        let status = if held_out.values.is_empty() {
            Status::Unjudged
        } else if constant_share > 0.5 || !held_out.improves(&means) {
            Status::NoStructure
        } else {
            Status::Predictive
        };
        let mut members: Vec<Member> = Vec::new();
        let residual = kinds.iter().position(|k| *k == Kind::Pursuit).map(|at| residual_of(held_out, at));
        for ((&kind, &share), expert) in kinds.iter().zip(&shares).zip(experts) {
            if share > 0.0
                && let Some(mut expert) = expert
            {
                if let (Expert::Terms(terms), Some(residual)) = (&mut expert, residual) {
                    terms.residual = residual;
                }
                members.push(Member { kind, share, expert });
            }
        }
        if constant_share > 0.0 {
            let (mean, scale) = units_of(self.values);
            let terms = Terms::constant(mean, scale * scale);
            members.push(Member { kind: Kind::Constant, share: constant_share, expert: Expert::Terms(terms) });
        }
        let noise = |m: &Member| match &m.expert {
            Expert::Process(p) => m.share * p.noise * p.table.scale * p.table.scale,
            Expert::Terms(terms) => m.share * terms.residual,
        };
        let report = Report {
            ending: Ending::Finished,
            experts: reports,
            constant_share,
            held_out_r2: if means.is_empty() { None } else { held_out.r2(&means) },
            held_out: held_out.values.len(),
            noise_std: members.iter().map(noise).sum::<f64>().sqrt(),
            interval_scale: levels.map(|level| interval_scale(&scores, level)),
            iterations: fitted.iter().map(|f| f.steps).sum(),
            largest_gradient: fitted.iter().map(|f| f.gradient).fold(0.0, f64::max),
            merged: 0,
            constant_variables: Vec::new(),
            seconds: Seconds::default(),
        };
        Mixture::new(&self.layout, members, status, report, self.options.level)
    }

    /// Stopped before anything was held out: the process of the middle spread, as it stands.
    pub(super) fn unjudged(&self, table: &Arc<Table>, fitted: &[Fitted]) -> Option<Mixture> {
        let process = Process::plain(&fitted[self.base()].kernel, table, &mut || ())?;
        let kinds = self.kinds(false, false);
        let mut experts: Vec<Option<Expert>> = kinds.iter().map(|_| None).collect();
        experts[self.base()] = Some(Expert::Process(Box::new(process)));
        let mut shares = vec![0.0; kinds.len() + 1];
        shares[self.base()] = 1.0;
        let held_out = HeldOut { experts: vec![(Vec::new(), Vec::new()); kinds.len()], ..HeldOut::default() };
        Some(self.assemble(&kinds, shares, experts, &held_out, fitted))
    }
}

/// A kernel that was fitted.
#[derive(Clone, Debug)]
pub(super) struct Fitted {
    pub kernel: Kernel,
    pub steps: usize,
    pub gradient: f64,
}

/// Mean square of what an expert leaves of the held-out values.
fn residual_of(held_out: &HeldOut, expert: usize) -> f64 {
    let said = &held_out.experts[expert].0;
    let squares: f64 = held_out.values.iter().zip(said).map(|(v, p)| (v - p).powi(2)).sum();
    squares / held_out.values.len().max(1) as f64
}

/// The first of those that a value is tied to.
fn root(parents: &mut [usize], mut j: usize) -> usize {
    while parents[j] != j {
        parents[j] = parents[parents[j]];
        j = parents[j];
    }
    j
}

fn tie(parents: &mut [usize], a: usize, b: usize) {
    let (a, b) = (root(parents, a), root(parents, b));
    parents[a.max(b)] = a.min(b);
}

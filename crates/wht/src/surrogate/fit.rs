//! The driver: experts of one kernel family on all points and without each fold, their shares from what was held out.
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use foldhash::fast::FixedState;
use rayon::prelude::*;
use samplewise_linalg::observe::Watch;
use samplewise_linalg::random::{Streams, shuffle};
use samplewise_linalg::scale::ldexp;
use samplewise_linalg::{Ending, Matrix, Observer, Progress, Seconds};

use super::answer::{ExpertReport, Kind, Report, Status};
use super::evidence::{Evidence, NoiseVariance};
use super::expert::{Expert, Process, Terms};
use super::heavy::{Refinement, candidates};
use super::kernel::Kernel;
use super::lbfgs::Minimiser;
use super::mix::{HeldOut, interval_scale};
use super::mixture::{Member, Mixture};
use super::options::{Options, check};
use super::pursuit::{self, Pursued};
use super::table::{Layout, Table};
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
const STEPS: usize = 40;
const SPARSE_STEPS: usize = 20;
const SMOOTH_STEPS: usize = 12;
const STEPS_BEYOND: usize = 10;
/// Candidates for heavy tails in all.
const MOST_CANDIDATES: usize = 1_500;
/// Share from which an expert is polished, and points beyond which none is.
const POLISHED: f64 = 0.15;
const MOST_POLISHED: usize = 1_500;
/// Held-out points where not all choose the relevances.
const MOST_HELD_OUT: usize = 1_200;
/// Heavy tails take part beyond the evidence points where they leave less than this share of what the process leaves.
const WORTH: f64 = 0.9;
/// Names of the streams.
const FOLDS: u64 = 0;
const PURSUIT: u64 = 1;

/// Fits a mixture. Values are finite and at least three, codes are within their levels.
pub(crate) fn fit(
    levels: &[usize],
    codes: &[u8],
    values: &[f64],
    options: &Options,
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
    let rounding = units.rounding;
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
    mixture.report.noise_std = ldexp(mixture.report.noise_std, units.exponent());
    if watch.stopped() {
        mixture.report.ending = Ending::Interrupted;
    }
    mixture.report.seconds = Seconds::since(start);
    Ok(mixture)
}

impl Task<'_> {
    fn positions(&self) -> usize {
        self.layout.positions()
    }

    fn two_levels(&self) -> bool {
        self.layout.levels.iter().all(|&a| a <= 2)
    }

    fn distinct(&self) -> usize {
        let n = self.positions();
        self.codes.chunks_exact(n).collect::<std::collections::HashSet<_, FixedState>>().len()
    }

    fn select(&self, rows: &[usize]) -> (Vec<u8>, Vec<f64>) {
        let n = self.positions();
        let codes = rows.iter().flat_map(|&j| &self.codes[j * n..(j + 1) * n]).copied().collect();
        (codes, rows.iter().map(|&j| self.values[j]).collect())
    }

    fn table(&self, rows: &[usize]) -> Arc<Table> {
        let (codes, values) = self.select(rows);
        Arc::new(Table::new(&self.layout, &codes, &values))
    }

    fn noise_of(&self, table: &Table) -> NoiseVariance {
        match self.noise {
            NoiseSetting::Free => NoiseVariance::Free,
            NoiseSetting::Std(std) => NoiseVariance::Fixed((std / table.scale).powi(2)),
        }
    }

    /// Rows that are held out together, in a random order: repeats of a point, a point and its complement, a group of the
    /// caller's.
    fn groups(&self) -> Vec<Vec<usize>> {
        let n = self.positions();
        let mut of_group: Vec<Vec<usize>> = Vec::new();
        if let Some(groups) = &self.options.groups {
            let mut known: HashMap<usize, usize, FixedState> = HashMap::default();
            for (j, group) in groups.iter().enumerate() {
                let at = *known.entry(*group).or_insert_with(|| {
                    of_group.push(Vec::new());
                    of_group.len() - 1
                });
                of_group[at].push(j);
            }
        } else {
            let mut known: HashMap<Vec<u8>, usize, FixedState> = HashMap::default();
            for (j, point) in self.codes.chunks_exact(n).enumerate() {
                let other: Vec<u8> = point
                    .iter()
                    .zip(self.layout.levels.iter())
                    .map(|(&x, &a)| if a == 2 { 1 - x } else { x })
                    .collect();
                let key = point.to_vec().min(other);
                let at = *known.entry(key).or_insert_with(|| {
                    of_group.push(Vec::new());
                    of_group.len() - 1
                });
                of_group[at].push(j);
            }
        }
        shuffle(&mut Streams::new(self.options.seed).stream(FOLDS), &mut of_group);
        of_group
    }

    fn pursue(&self, codes: &[u8], values: &[f64], stream: u64, watch: &mut Watch<'_>) -> Option<Pursued> {
        let mut rng = Streams::new(self.options.seed).child(PURSUIT).stream(stream);
        pursuit::pursue((codes, self.positions()), values, 1e-12 * self.spread + self.rounding, &mut rng, watch)
    }

    fn run(&self, watch: &mut Watch<'_>) -> Result<Mixture, Error> {
        let n = self.positions();
        let mut pursued = None;
        if self.options.pursuit && self.two_levels() {
            pursued = self.pursue(self.codes, self.values, 0, watch);
            if let Some(found) = &pursued {
                let predicted = found.terms.predict(self.codes, n).0;
                if pursuit::explains(found, &predicted, self.values, self.spread, self.rounding) {
                    return Ok(self.explained(found.terms.clone()));
                }
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

    fn explained(&self, mut terms: Terms) -> Mixture {
        // What is left is rounding.
        let left = terms.predict(self.codes, self.positions()).0.into_iter().zip(self.values);
        let largest = left.map(|(p, v)| (p - v).abs()).fold(self.rounding, f64::max);
        terms.residual = largest * largest;
        let status = Status::Explained { terms: terms.sets.len() };
        Mixture::of_terms(self, terms, Kind::Pursuit, status)
    }

    /// The kinds of the experts, in order.
    fn kinds(&self, heavy: bool, pursuit: bool) -> Vec<Kind> {
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
    fn base(&self) -> usize {
        self.options.spreads.len() / 2
    }

    fn tail_steps(&self, freedom: f64, points: usize) -> usize {
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
    fn kernels(
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
        run_in_rounds(
            &mut jobs,
            |job, minimiser| {
                let Some(point) = minimiser.point().map(<[f64]>::to_vec) else { return false };
                let (value, gradient) = evidence(job).evaluate(&point);
                minimiser.tell(value, &gradient);
                true
            },
            "evidence",
            watch,
        );
        let fitted = |(job, minimiser): (usize, &Minimiser)| Fitted {
            kernel: evidence(job).kernel(minimiser.best()),
            steps: minimiser.steps(),
            gradient: minimiser.largest_gradient(),
        };
        let all: Vec<Fitted> = jobs.iter().enumerate().map(fitted).collect();
        all.chunks(spreads.len()).map(<[Fitted]>::to_vec).collect()
    }

    /// Heavy tails around the kernel of each table; none where the observer stops it. In the order of the options.
    fn heavy(
        &self,
        tables: &[Arc<Table>],
        kernels: &[Kernel],
        watch: &mut Watch<'_>,
    ) -> Option<Vec<Vec<Option<Process>>>> {
        let tails = &self.options.tails;
        if tails.is_empty() || !self.two_levels() {
            return Some(vec![Vec::new(); tables.len()]);
        }
        let mut jobs: Vec<(usize, Option<Refinement>)> = Vec::new();
        for (table, kernel) in tables.iter().zip(kernels) {
            let most = (self.options.candidates * table.len()).min(MOST_CANDIDATES);
            let chosen = Process::plain(kernel, table).map(|p| candidates(kernel, table, &p.alpha, most));
            for &freedom in tails {
                let refined = chosen.as_ref().map(|c| Refinement::new(kernel, table, c.clone(), freedom, true));
                jobs.push((self.tail_steps(freedom, table.len()), refined));
            }
            if watch.ticks(|| Progress { stage: "heavy tails", step: jobs.len(), total: None, value: None }) {
                return None;
            }
        }
        run_in_rounds(
            &mut jobs,
            |job, (left, refined)| {
                let Some(refined) = refined else { return false };
                if *left == 0 || !refined.step(&tables[job / tails.len()]) {
                    return false;
                }
                *left -= 1;
                true
            },
            "heavy tails",
            watch,
        );
        if watch.stopped() {
            return None;
        }
        let done: Vec<Option<Process>> = jobs
            .par_iter()
            .enumerate()
            .map(|(job, (_, refined))| {
                let at = job / tails.len();
                Process::heavy(&kernels[at], &tables[at], refined.as_ref()?)
            })
            .collect();
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
        // A fold whose values are all alike cannot be fitted, and one group cannot be held out.
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
            let plain = fitted[fold + 1].iter().map(|f| Process::plain(&f.kernel, table));
            let experts: Vec<Option<Process>> = plain.chain(heavy[fold + 1].iter().cloned()).collect();
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
        let mut experts: Vec<Option<Expert>> = fitted[0]
            .iter()
            .map(|f| Process::plain(&f.kernel, &tables[0]).map(|p| Expert::Process(Box::new(p))))
            .collect();
        experts.extend(heavy[0].iter().map(|p| p.clone().map(|p| Expert::Process(Box::new(p)))));
        experts.extend(pursued.map(|p| Some(Expert::Terms(p.terms.clone()))));
        let fitted_all: Vec<Fitted> = fitted.into_iter().flatten().collect();
        Some(self.assemble(kinds, shares, experts, held_out, &fitted_all))
    }

    /// Whether a pursuit without some values explains them all the same: then it is the answer, fitted to all values.
    fn snaps(&self, found: &Pursued, codes: &[u8], values: &[f64]) -> Option<Terms> {
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
        let predicted = again.terms.predict(self.codes, n).0;
        pursuit::explains(&again, &predicted, self.values, self.spread, self.rounding).then_some(again.terms)
    }

    /// Shares of the experts; the variance of the pursuit is what it leaves of held-out values.
    fn shares(&self, kinds: &[Kind], held_out: &mut HeldOut) -> Vec<f64> {
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

    fn assemble(
        &self,
        kinds: Vec<Kind>,
        mut shares: Vec<f64>,
        experts: Vec<Option<Expert>>,
        held_out: HeldOut,
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
        } else if constant_share > 0.5 {
            Status::NoStructure
        } else {
            Status::Predictive
        };
        let mut members: Vec<Member> = Vec::new();
        let residual = kinds.iter().position(|k| *k == Kind::Pursuit).map(|at| residual_of(&held_out, at));
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
            let table = Table::new(&self.layout, self.codes, self.values);
            let terms = Terms::constant(table.mean, table.scale * table.scale);
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
    fn unjudged(&self, table: &Arc<Table>, fitted: &[Fitted]) -> Option<Mixture> {
        let process = Process::plain(&fitted[self.base()].kernel, table)?;
        let kinds = self.kinds(false, false);
        let mut experts: Vec<Option<Expert>> = kinds.iter().map(|_| None).collect();
        experts[self.base()] = Some(Expert::Process(Box::new(process)));
        let mut shares = vec![0.0; kinds.len() + 1];
        shares[self.base()] = 1.0;
        let held_out = HeldOut { experts: vec![(Vec::new(), Vec::new()); kinds.len()], ..HeldOut::default() };
        Some(self.assemble(kinds, shares, experts, held_out, fitted))
    }

    /// Many points: some choose the relevances, others are held out in blocks, and the processes condition on all of them.
    fn beyond_the_evidence(&self, pursued: Option<&Pursued>, watch: &mut Watch<'_>) -> Option<Mixture> {
        let n = self.positions();
        let groups = self.groups();
        let mut evidence: Vec<usize> = Vec::new();
        let mut at = 0;
        while at < groups.len() && evidence.len() < self.options.evidence_points {
            evidence.extend(&groups[at]);
            at += 1;
        }
        let blocks = if self.distinct() <= 700 { 4 } else { 3 };
        let mut held: Vec<Vec<usize>> = vec![Vec::new(); blocks.min(groups.len() - at)];
        let mut rest: Vec<usize> = Vec::new();
        let mut count = 0;
        for (g, rows) in groups[at..].iter().enumerate() {
            if count < MOST_HELD_OUT {
                let block = g % held.len();
                held[block].extend(rows);
                count += rows.len();
            } else {
                rest.extend(rows);
            }
        }
        let small = [self.table(&evidence)];
        let fitted = self.kernels(&small, None, STEPS, watch).remove(0);
        if watch.stopped() {
            return self.unjudged(&small[0], &fitted);
        }
        // Held-out points last, so that the corner of the factor is all that predicts them from the others.
        let order: Vec<usize> = evidence.iter().chain(&rest).chain(held.iter().flatten()).copied().collect();
        let table = self.table(&order);
        let before = Table::new(
            &self.layout,
            &self.select(&order[..evidence.len() + rest.len()]).0,
            &vec![0.0; evidence.len() + rest.len()],
        )
        .len();
        let sizes: Vec<usize> = held.iter().map(|rows| self.table(rows).len()).collect();
        let (heavy, pursuit) = (self.worth_heavy_tails(&evidence, &fitted, watch)?, pursued.is_some());
        let kinds = self.kinds(heavy, pursuit);
        let mut held_out = HeldOut { experts: vec![(Vec::new(), Vec::new()); kinds.len()], ..HeldOut::default() };
        let scaled = |v: f64| table.mean + table.scale * v;
        held_out.values = table.values[before..].iter().map(|&v| scaled(v)).collect();
        held_out.seen = vec![(table.mean, table.scale * table.scale); held_out.values.len()];
        for (k, one) in fitted.iter().enumerate() {
            let process = Process::plain(&one.kernel, &table);
            held_out.experts[k] = match process.and_then(|p| blocks_of(&p, before, &sizes)) {
                Some((left, variances)) => (held_out.values.iter().zip(left).map(|(v, l)| v - l).collect(), variances),
                None => (vec![f64::NAN; held_out.values.len()], vec![f64::NAN; held_out.values.len()]),
            };
            let done =
                Progress { stage: "processes on all points", step: k + 1, total: Some(fitted.len()), value: None };
            if watch.stops(done) {
                return self.unjudged(&small[0], &fitted);
            }
        }
        let base = fitted[self.base()].kernel.clone();
        if heavy || pursuit {
            for (block, rows) in held.iter().enumerate() {
                let others: Vec<usize> = evidence
                    .iter()
                    .chain(&rest)
                    .chain(held.iter().enumerate().filter(|b| b.0 != block).flat_map(|b| b.1))
                    .copied()
                    .collect();
                let codes = self.table(rows).codes.clone();
                if heavy {
                    let training = [self.table(&others)];
                    let refined = self.heavy(&training, std::slice::from_ref(&base), watch)?.remove(0);
                    for (k, process) in refined.into_iter().enumerate() {
                        let count = codes.len() / n;
                        let said = process
                            .map_or_else(|| (vec![f64::NAN; count], vec![f64::NAN; count]), |p| p.predict(&codes));
                        let all = &mut held_out.experts[fitted.len() + k];
                        all.0.extend(said.0);
                        all.1.extend(said.1);
                    }
                }
                if pursuit {
                    let (training, values) = self.select(&others);
                    let Some(found) = self.pursue(&training, &values, 1 + block as u64, watch) else {
                        return self.unjudged(&small[0], &fitted);
                    };
                    let (known, truth) = self.select(rows);
                    if let Some(terms) = self.snaps(&found, &known, &truth) {
                        return Some(self.explained(terms));
                    }
                    let said = found.terms.predict(&codes, n);
                    let all = held_out.experts.last_mut().expect("the pursuit is the last");
                    all.0.extend(said.0);
                    all.1.extend(said.1);
                }
            }
        }
        let shares = self.shares(&kinds, &mut held_out);
        let mut kernels: Vec<Fitted> = fitted.clone();
        if self.options.polish > 0 && table.len() <= MOST_POLISHED {
            let wanted: Vec<usize> = (0..fitted.len()).filter(|&k| shares[k] >= POLISHED).collect();
            for k in wanted {
                if let Some(polished) = self.polish(&table, k, &fitted[k], watch) {
                    kernels[k] = polished;
                }
            }
        }
        let mut experts: Vec<Option<Expert>> = Vec::new();
        for (k, one) in kernels.iter().enumerate() {
            let process = if shares[k] > 0.0 { Process::plain(&one.kernel, &table) } else { None };
            experts.push(process.map(|p| Expert::Process(Box::new(p))));
        }
        if heavy {
            let whole = [Arc::clone(&table)];
            let wanted = shares[fitted.len()..fitted.len() + self.options.tails.len()].iter().any(|s| *s > 0.0);
            let refined = if wanted {
                self.heavy(&whole, &[base], watch)?.remove(0)
            } else {
                vec![None; self.options.tails.len()]
            };
            experts.extend(refined.into_iter().map(|p| p.map(|p| Expert::Process(Box::new(p)))));
        }
        experts.extend(pursued.map(|p| Some(Expert::Terms(p.terms.clone()))));
        Some(self.assemble(kinds, shares, experts, held_out, &kernels))
    }

    /// Steps on all points from where the evidence points led.
    fn polish(&self, table: &Arc<Table>, k: usize, from: &Fitted, watch: &mut Watch<'_>) -> Option<Fitted> {
        let evidence = Evidence { table, spread: self.options.spreads[k], noise: self.noise_of(table) };
        let mut minimiser = evidence.minimiser(Some(&from.kernel), self.options.polish);
        while let Some(point) = minimiser.point().map(<[f64]>::to_vec) {
            let (value, gradient) = evidence.evaluate(&point);
            minimiser.tell(value, &gradient);
            let progress = Progress {
                stage: "polish",
                step: minimiser.steps(),
                total: Some(self.options.polish),
                value: Some(value),
            };
            if watch.ticks(|| progress) {
                break;
            }
        }
        minimiser.value().is_finite().then(|| Fitted {
            kernel: evidence.kernel(minimiser.best()),
            steps: from.steps + minimiser.steps(),
            gradient: minimiser.largest_gradient(),
        })
    }

    /// Whether heavy tails are worth their time: on the evidence points, a quarter of them held out from the values but not
    /// from the kernel.
    fn worth_heavy_tails(&self, evidence: &[usize], fitted: &[Fitted], watch: &mut Watch<'_>) -> Option<bool> {
        if self.options.tails.is_empty() || !self.two_levels() {
            return Some(false);
        }
        let kernel = &fitted[self.base()].kernel;
        let (held, training) = evidence.split_at(evidence.len() / 4);
        let table = [self.table(training)];
        let (codes, values) = self.select(held);
        let left = |p: &Process| {
            let said = p.predict(&codes).0;
            values.iter().zip(said).map(|(v, m)| (v - m) * (v - m)).sum::<f64>()
        };
        let Some(plain) = Process::plain(kernel, &table[0]).map(|p| left(&p)) else { return Some(false) };
        let refined = self.heavy(&table, std::slice::from_ref(kernel), watch)?.remove(0);
        Some(refined.iter().flatten().map(left).any(|heavy| heavy < WORTH * plain))
    }
}

/// A kernel that was fitted.
#[derive(Clone, Debug)]
struct Fitted {
    kernel: Kernel,
    steps: usize,
    gradient: f64,
}

/// Mean square of what an expert leaves of the held-out values.
fn residual_of(held_out: &HeldOut, expert: usize) -> f64 {
    let said = &held_out.experts[expert].0;
    let squares: f64 = held_out.values.iter().zip(said).map(|(v, p)| (v - p).powi(2)).sum();
    squares / held_out.values.len().max(1) as f64
}

/// What a process leaves of the points after the first `before`, in blocks of these sizes, each from all points outside it.
fn blocks_of(process: &Process, before: usize, sizes: &[usize]) -> Option<(Vec<f64>, Vec<f64>)> {
    let lower = process.factor.lower();
    let count = lower.rows() - before;
    // The corner of K⁻¹ is the inverse of the product of the corner of the factor.
    let corner = Matrix::from_fn(count, count, |i, j| lower[(before + i, before + j)]);
    let corner = samplewise_linalg::factor::Cholesky::from_lower(corner).ok()?;
    let mut inverse = Matrix::zeros(count, count);
    corner.inverse_into(&mut inverse).ok()?;
    let (mut left, mut variances) = (Vec::new(), Vec::new());
    let mut at = 0;
    for size in sizes {
        let block: Vec<usize> = (at..at + size).collect();
        let (l, v) = process.held_out(&block, &inverse, before)?;
        left.extend(l);
        variances.extend(v);
        at += size;
    }
    Some((left, variances))
}

/// Steps every job until none goes on, as many at once as there are threads, with a look between two rounds.
fn run_in_rounds<T: Send>(
    jobs: &mut [T],
    step: impl Fn(usize, &mut T) -> bool + Sync,
    stage: &'static str,
    watch: &mut Watch<'_>,
) {
    let threads = rayon::current_num_threads();
    let mut open: Vec<bool> = vec![true; jobs.len()];
    let mut done = 0;
    while open.iter().any(|o| *o) {
        let mut active: Vec<(usize, &mut T, &mut bool)> =
            jobs.iter_mut().zip(&mut open).enumerate().filter(|(_, (_, o))| **o).map(|(i, (j, o))| (i, j, o)).collect();
        for part in active.chunks_mut(threads) {
            part.par_iter_mut().for_each(|(i, job, open)| **open = step(*i, job));
            done += part.len();
            if watch.ticks(|| Progress { stage, step: done, total: None, value: None }) {
                return;
            }
        }
    }
}

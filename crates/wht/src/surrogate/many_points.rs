//! Fits of more points than choose the relevances: others are held out, and the processes condition on all of them.
use std::collections::HashSet;
use std::sync::Arc;

use foldhash::fast::FixedState;
use samplewise_linalg::observe::Watch;
use samplewise_linalg::{Matrix, Progress};

use super::evidence::Evidence;
use super::expert::{Expert, Process};
use super::fit::Task;
use super::mix::HeldOut;
use super::mixture::Mixture;
use super::pursuit::Pursued;
use super::rounds::looking;
use super::table::{Table, count_distinct, units_of};
use super::training::{Fitted, STEPS};
use super::workspace::Workspace;

/// Share from which an expert is polished, and points beyond which none is.
const POLISHED: f64 = 0.15;
const MOST_POLISHED: usize = 1_500;
/// Points up to which heavy tails and the pursuit are fitted anew without each block.
const MOST_IN_BLOCKS: usize = 1_500;
/// Held-out points where not all choose the relevances.
const MOST_HELD_OUT: usize = 1_200;
/// Heavy tails take part beyond the evidence points where they leave less than this share of what the process leaves.
const WORTH: f64 = 0.9;

impl Task<'_> {
    /// Many points: some choose the relevances, others are held out in blocks, and the processes condition on all of them.
    pub(super) fn beyond_the_evidence(&self, pursued: Option<&Pursued>, watch: &mut Watch<'_>) -> Option<Mixture> {
        let n = self.positions();
        let groups = self.groups();
        let (mut evidence, mut rest): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
        let mut points: HashSet<&[u8], FixedState> = HashSet::default();
        let mut at = 0;
        while at < groups.len() && points.len() < self.options.evidence_points {
            for &j in &groups[at] {
                let point = &self.codes[j * n..(j + 1) * n];
                // What is too much of a group is never held out, since its other members chose the relevances.
                if points.contains(point) || points.len() < self.options.evidence_points {
                    points.insert(point);
                    evidence.push(j);
                } else {
                    rest.push(j);
                }
            }
            at += 1;
        }
        let blocks = if self.distinct() <= 700 { 4 } else { 3 };
        let mut held: Vec<Vec<usize>> = vec![Vec::new(); blocks.min(groups.len() - at)];
        let mut count = 0;
        for (g, rows) in groups[at..].iter().enumerate() {
            if count < MOST_HELD_OUT {
                let block = g % held.len();
                held[block].extend(rows);
                count += count_distinct(&self.select(rows).0, n);
            } else {
                rest.extend(rows);
            }
        }
        // One unit for all tables: a kernel of one serves on another.
        let units = units_of(self.values);
        let small = [self.table_in(&evidence, units)];
        let fitted = self.kernels(&small, None, STEPS, watch).remove(0);
        if watch.stopped() {
            return self.unjudged(&small[0], &fitted);
        }
        // Held-out points last, so that the corner of the factor is all that predicts them from the others.
        let order: Vec<usize> = evidence.iter().chain(&rest).chain(held.iter().flatten()).copied().collect();
        let table = self.table_in(&order, units);
        let before = count_distinct(&self.select(&order[..evidence.len() + rest.len()]).0, n);
        let sizes: Vec<usize> = held.iter().map(|rows| count_distinct(&self.select(rows).0, n)).collect();
        let few = table.len() <= MOST_IN_BLOCKS;
        let worth = if few { self.worth_heavy_tails(&evidence, units, &fitted, watch) } else { Some(false) };
        let Some(heavy) = worth else {
            return self.unjudged(&small[0], &fitted);
        };
        let pursued = pursued.filter(|_| few);
        let pursuit = pursued.is_some();
        let kinds = self.kinds(heavy, pursuit);
        let mut held_out = HeldOut { experts: vec![(Vec::new(), Vec::new()); kinds.len()], ..HeldOut::default() };
        let scaled = |v: f64| table.mean + table.scale * v;
        held_out.values = table.values[before..].iter().map(|&v| scaled(v)).collect();
        held_out.seen = vec![(table.mean, table.scale * table.scale); held_out.values.len()];
        for (k, one) in fitted.iter().enumerate() {
            let process = Process::plain(&one.kernel, &table, &mut looking(watch, "processes on all points"));
            looking(watch, "held-out points")();
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
                let codes = self.merged(&self.select(rows).0, &vec![0.0; rows.len()]).0;
                if heavy {
                    let training = [self.table_in(&others, units)];
                    let Some(mut refined) = self.heavy(&training, std::slice::from_ref(&base), watch) else {
                        return self.unjudged(&small[0], &fitted);
                    };
                    let refined = refined.remove(0);
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
                    if let Some(terms) = self.snaps(&found, (&known, &truth), watch) {
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
            let mut look = looking(watch, "processes on all points");
            let process = if shares[k] > 0.0 { Process::plain(&one.kernel, &table, &mut look) } else { None };
            experts.push(process.map(|p| Expert::Process(Box::new(p))));
        }
        if heavy {
            let whole = [Arc::clone(&table)];
            let tails = self.options.tails.len();
            let wanted = shares[fitted.len()..fitted.len() + tails].iter().any(|s| *s > 0.0);
            // Stopped here, the shares stand, and what the tails would have had is the constant's.
            let refined = if wanted { self.heavy(&whole, &[base], watch) } else { None };
            let refined = refined.map_or_else(|| vec![None; tails], |mut all| all.remove(0));
            experts.extend(refined.into_iter().map(|p| p.map(|p| Expert::Process(Box::new(p)))));
        }
        experts.extend(pursued.map(|p| Some(Expert::Terms(p.terms.clone()))));
        Some(self.assemble(&kinds, shares, experts, &held_out, &kernels))
    }

    /// Steps on all points from where the evidence points led.
    fn polish(&self, table: &Arc<Table>, k: usize, from: &Fitted, watch: &mut Watch<'_>) -> Option<Fitted> {
        let evidence = Evidence { table, spread: self.options.spreads[k], noise: self.noise_of(table) };
        let mut minimiser = evidence.minimiser(Some(&from.kernel), self.options.polish);
        let mut workspace = Workspace::default();
        while let Some(point) = minimiser.point().map(<[f64]>::to_vec) {
            let (value, gradient) = evidence.evaluate(&point, &mut workspace, &mut looking(watch, "polish"));
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
    fn worth_heavy_tails(
        &self,
        evidence: &[usize],
        units: (f64, f64),
        fitted: &[Fitted],
        watch: &mut Watch<'_>,
    ) -> Option<bool> {
        if self.options.tails.is_empty() || !self.two_levels() {
            return Some(false);
        }
        let kernel = &fitted[self.base()].kernel;
        let (held, training) = evidence.split_at(evidence.len() / 4);
        let table = [self.table_in(training, units)];
        let (codes, values) = self.select(held);
        let left = |p: &Process| {
            let said = p.predict(&codes).0;
            values.iter().zip(said).map(|(v, m)| (v - m) * (v - m)).sum::<f64>()
        };
        let Some(plain) = Process::plain(kernel, &table[0], &mut || ()).map(|p| left(&p)) else {
            return Some(false);
        };
        let refined = self.heavy(&table, std::slice::from_ref(kernel), watch)?.remove(0);
        Some(refined.iter().flatten().map(left).any(|heavy| heavy < WORTH * plain))
    }
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

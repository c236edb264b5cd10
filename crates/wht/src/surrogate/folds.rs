//! Few points: all experts on all of them and without each fold, their shares from what was held out.
use std::collections::HashMap;

use foldhash::fast::FixedState;
use rayon::prelude::*;
use samplewise_linalg::Progress;
use samplewise_linalg::observe::Watch;
use samplewise_linalg::random::{Streams, shuffle};

use super::expert::{Expert, Process};
use super::fit::Task;
use super::kernel::Kernel;
use super::mix::HeldOut;
use super::mixture::Mixture;
use super::pursuit::Pursued;
use super::rounds::looking;
use super::training::{Fitted, STEPS};

/// Name of the stream of the folds.
const FOLDS: u64 = 0;

impl Task<'_> {
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

    /// Few points: everything is fitted anew without each fold.
    pub(super) fn all_in_folds(&self, pursued: Option<&Pursued>, watch: &mut Watch<'_>) -> Option<Mixture> {
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
                if let Some(terms) = self.snaps(&found, (&held, &known), watch) {
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

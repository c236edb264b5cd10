//! Training: minima of the evidence, and heavy tails around them, of several tables at once.
use std::sync::Arc;

use samplewise_linalg::Progress;
use samplewise_linalg::observe::Watch;

use super::answer::Kind;
use super::evidence::Evidence;
use super::expert::Process;
use super::fit::{NoiseSetting, Task};
use super::heavy::{Follows, Refinement, candidates};
use super::kernel::Kernel;
use super::lbfgs::Minimiser;
use super::rounds::{LARGE, looking, run_in_rounds};
use super::table::Table;
use super::workspace::Workspaces;

/// Steps of a minimisation, and of a refinement: with few degrees of freedom, with many, and beyond 400 points.
pub(super) const STEPS: usize = 40;
const SPARSE_STEPS: usize = 20;
const SMOOTH_STEPS: usize = 12;
const STEPS_BEYOND: usize = 10;
/// Candidates for heavy tails in all.
const MOST_CANDIDATES: usize = 1_500;

/// A kernel that was fitted.
#[derive(Clone, Debug)]
pub(super) struct Fitted {
    pub kernel: Kernel,
    pub steps: usize,
    pub gradient: f64,
}

impl Task<'_> {
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
}

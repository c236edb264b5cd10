//! A mixture of experts and their shares, with what held-out values say of it.
use std::sync::Arc;

use samplewise_linalg::{Ending, Seconds};

use super::answer::{ExpertReport, Kind, Report, Status};
use super::expert::{Expert, Process, Terms};
use super::fit::Task;
use super::mix::{HeldOut, interval_scale};
use super::mixture::{Member, Mixture};
use super::table::{Table, units_of};
use super::training::Fitted;

impl Task<'_> {
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

/// Mean square of what an expert leaves of the held-out values.
fn residual_of(held_out: &HeldOut, expert: usize) -> f64 {
    let said = &held_out.experts[expert].0;
    let squares: f64 = held_out.values.iter().zip(said).map(|(v, p)| (v - p).powi(2)).sum();
    squares / held_out.values.len().max(1) as f64
}

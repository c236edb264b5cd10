//! What the planner spends: the money of a round, and the samples that it buys.
use super::Planner;
use crate::answer::Round;
use crate::cost::Budget;

impl Planner {
    pub(super) fn last_round(&self) -> usize {
        // A risk is approached in as many rounds as it takes, each at most doubling what there is.
        if matches!(self.budget, Budget::Risk { .. }) { 40 } else { self.options.rounds }
    }

    /// What the goal still lacks. When a task cannot give its part, the rest of the round's money goes to the others.
    pub(super) fn missing(&mut self) -> Vec<(usize, usize)> {
        let lost = |p: &Self| (0..p.goal.len()).any(|m| p.short(m) > p.available[m]);
        if lost(self) {
            self.plan(); // within what is available, so that nothing is lost again
        }
        (0..self.goal.len()).map(|m| (m, self.short(m).min(self.available[m]))).filter(|w| w.1 > 0).collect()
    }

    pub(super) fn short(&self, task: usize) -> usize {
        self.goal[task].saturating_sub(self.tasks[task].samples())
    }

    /// Spent so far, in the budget's money: samples, unless it is of costs.
    pub(super) fn spent(&self) -> f64 {
        match self.budget {
            Budget::Cost(_) => self.cost(),
            _ => self.samples().iter().sum::<usize>() as f64,
        }
    }

    /// Money for the exploration.
    pub(super) fn exploration(&self) -> f64 {
        let least = self.options.floor.max(1);
        let floor = match self.budget {
            Budget::Cost(_) => self.costs.iter().map(|c| c.total(least)).sum(),
            _ => (least * self.tasks.len()) as f64,
        };
        // Without rounds after it the exploration is all there is.
        let explored = if self.options.rounds == 0 { 1.0 } else { self.options.exploration };
        let share = match self.budget {
            Budget::Samples(n) => n as f64 * explored,
            Budget::Cost(c) => c * explored,
            Budget::Risk { most, .. } => {
                // Four samples per parameter: with hardly more samples than parameters the noise looks like none, and
                // any risk like reached.
                let both = self.tasks.len() + self.targets[0].features();
                (4 * self.options.dimension.unwrap_or(5) * both).min(most) as f64
            }
        };
        share.max(floor).min(self.whole())
    }

    /// The budget, in its money.
    pub(super) fn whole(&self) -> f64 {
        match self.budget {
            Budget::Samples(n) | Budget::Risk { most: n, .. } => n as f64,
            Budget::Cost(c) => c,
        }
    }

    /// Money for a round, given the state before it.
    pub(super) fn money_of_round(&self, now: &Round) -> f64 {
        let left = self.options.rounds.saturating_add(1).saturating_sub(self.round).max(1) as f64;
        match self.budget {
            Budget::Samples(n) => ((n as f64 - self.samples().iter().sum::<usize>() as f64) / left).ceil(),
            Budget::Cost(c) => (c - self.cost()) / left,
            Budget::Risk { target, most } => {
                let spent = self.samples().iter().sum::<usize>() as f64;
                let growth = (now.predicted_risk / target - 1.0).min(1.0);
                // A risk that is not a number is not known yet.
                let growth = if growth.is_nan() { 1.0 } else { growth };
                if growth <= 0.0 { 0.0 } else { (spent * growth).ceil().min(most as f64 - spent) }
            }
        }
    }

    /// Price of `count` samples more, in the budget's money.
    pub(super) fn price(&self, task: usize, count: usize) -> f64 {
        let n = self.tasks[task].samples();
        match self.budget {
            Budget::Cost(_) => self.costs[task].total(n.saturating_add(count)) - self.costs[task].total(n),
            _ => count as f64,
        }
    }

    /// Sets the goal: samples in all towards the shares, as far as the round's money goes; what wanted tasks cannot give
    /// is asked of all alike.
    pub(super) fn plan(&mut self) {
        let samples = self.samples();
        let mut wanted = vec![0; samples.len()];
        let everywhere = vec![1.0 / samples.len() as f64; samples.len()];
        for shares in [self.shares.clone(), everywhere] {
            let price: f64 = wanted.iter().enumerate().map(|(m, n)| self.price(m, *n)).sum();
            let left = self.until - self.spent() - price;
            let dry =
                |m: usize| shares[m] <= 0.0 || samples[m].saturating_add(wanted[m]) - samples[m] >= self.available[m];
            if left <= 0.0 || (0..samples.len()).all(dry) {
                continue;
            }
            self.top_up(&shares, left, &mut wanted);
            if (0..samples.len()).any(|m| self.shares[m] > 0.0 && wanted[m] < self.available[m]) {
                break; // wanted tasks have more: what is left is less than a sample of them
            }
        }
        self.goal = samples.iter().zip(&wanted).map(|(n, w)| n + w).collect();
    }

    /// Adds to `wanted` towards `shares` of the whole for at most `money`.
    fn top_up(&self, shares: &[f64], money: f64, wanted: &mut [usize]) {
        let have: Vec<f64> = self.samples().iter().zip(&*wanted).map(|(n, w)| (n + w) as f64).collect();
        let before = wanted.to_vec();
        let room = |m: usize| (self.available[m] - before[m]) as f64;
        let more = |whole: f64| -> Vec<f64> {
            (0..have.len()).map(|m| (whole * shares[m] - have[m]).clamp(0.0, room(m))).collect()
        };
        let extra = |m: usize, n: usize| self.price(m, before[m].saturating_add(n)) - self.price(m, before[m]);
        let price = |more: &[f64]| -> f64 { more.iter().enumerate().map(|(m, n)| extra(m, n.floor() as usize)).sum() };
        // The cost never falls with the whole: double, then halve.
        let (mut low, mut high) = (0.0, have.iter().sum::<f64>() + 1.0);
        while price(&more(high)) <= money && high < 1e15 {
            low = high;
            high *= 2.0;
        }
        for _ in 0..100 {
            let middle = 0.5 * (low + high);
            if price(&more(middle)) <= money { low = middle } else { high = middle }
        }
        let exact = more(low);
        let mut left = money - price(&exact);
        // Remainders, the largest first, once around.
        let mut order: Vec<usize> = (0..exact.len()).filter(|&m| shares[m] > 0.0).collect();
        let rest = |m: usize| exact[m] - exact[m].floor();
        order.sort_by(|&a, &b| rest(b).total_cmp(&rest(a)).then(shares[b].total_cmp(&shares[a])).then(a.cmp(&b)));
        wanted.iter_mut().zip(&exact).for_each(|(w, e)| *w += e.floor() as usize);
        for m in order {
            let next = self.price(m, wanted[m] + 1) - self.price(m, wanted[m]);
            if wanted[m] < self.available[m] && next <= left + 1e-9 * money {
                wanted[m] += 1;
                left -= next;
            }
        }
    }

    pub(super) fn prices(&self) -> Option<Vec<f64>> {
        let Budget::Cost(whole) = self.budget else { return None };
        let typical = (whole / self.tasks.len() as f64).max(1.0);
        let count = |m: usize| self.costs[m].affordable(self.tasks[m].samples(), typical, 1 << 20).max(1);
        Some((0..self.tasks.len()).map(|m| self.costs[m].price(self.tasks[m].samples(), count(m))).collect())
    }
}

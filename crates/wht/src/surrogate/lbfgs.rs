//! L-BFGS within bounds, asked and told: whoever runs several of them decides when each is evaluated.
//!
//! Directions are those of the two-loop recursion over the coordinates that are free: a coordinate at a bound whose gradient
//! points outwards is held for the step. Steps are projected on the bounds, and chosen by bisection for the two conditions of
//! Wolfe (Lewis and Overton 2013). A value that is not finite counts as too large.
use samplewise_linalg::sums::{axpy, dot};

/// When a minimisation ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stop {
    /// Number of steps.
    pub steps: usize,
    /// Relative decrease of one step.
    pub decrease: f64,
    /// Largest entry of the projected gradient.
    pub gradient: f64,
}

/// Row GP-17 of `paper-refs.md`. A minimisation under way: evaluate at [`Minimiser::point`], [`Minimiser::tell`] value and gradient, until it is over.
#[derive(Clone, Debug)]
pub(crate) struct Minimiser {
    low: Vec<f64>,
    high: Vec<f64>,
    stop: Stop,
    /// The best point so far, and what is known there.
    best: Vec<f64>,
    value: f64,
    gradient: Vec<f64>,
    direction: Vec<f64>,
    /// The point to evaluate.
    trial: Vec<f64>,
    step: f64,
    /// Steps known to be too short and too long.
    bracket: (f64, f64),
    tries: usize,
    pairs: Vec<(Vec<f64>, Vec<f64>)>,
    steps: usize,
    started: bool,
    over: bool,
}

/// Pairs of differences that are remembered.
const MEMORY: usize = 20;
/// Sufficient decrease and curvature.
const DECREASE: f64 = 1e-4;
const CURVATURE: f64 = 0.9;
/// Evaluations of one line search.
const TRIES: usize = 20;

impl Minimiser {
    pub fn new(start: Vec<f64>, low: Vec<f64>, high: Vec<f64>, stop: Stop) -> Self {
        let mut trial = start;
        clamp(&mut trial, &low, &high);
        let size = trial.len();
        Self {
            low,
            high,
            stop,
            best: trial.clone(),
            value: f64::INFINITY,
            gradient: vec![0.0; size],
            direction: vec![0.0; size],
            trial,
            step: 1.0,
            bracket: (0.0, f64::INFINITY),
            tries: 0,
            pairs: Vec::new(),
            steps: 0,
            started: false,
            over: false,
        }
    }

    /// Where to evaluate; `None` when it is over.
    pub fn point(&self) -> Option<&[f64]> {
        (!self.over).then_some(&self.trial)
    }

    /// The best point that was evaluated.
    pub fn best(&self) -> &[f64] {
        &self.best
    }

    /// The value there.
    pub fn value(&self) -> f64 {
        self.value
    }

    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Largest entry of the gradient at the best point, of the coordinates that are free.
    pub fn largest_gradient(&self) -> f64 {
        (0..self.best.len()).filter(|&i| self.free(i)).fold(0.0, |m, i| self.gradient[i].abs().max(m))
    }

    /// Takes value and gradient at [`Minimiser::point`].
    pub fn tell(&mut self, value: f64, gradient: &[f64]) {
        if self.over {
            return;
        }
        let finite = value.is_finite() && gradient.iter().all(|g| g.is_finite());
        if !self.started {
            self.started = true;
            if !finite {
                self.over = true;
                return;
            }
            self.value = value;
            self.gradient.copy_from_slice(gradient);
            self.begin_step();
            return;
        }
        self.tries += 1;
        let moved: Vec<f64> = self.trial.iter().zip(&self.best).map(|(t, b)| t - b).collect();
        let slope = dot(&self.gradient, &moved);
        let long = !finite || value > self.value + DECREASE * slope;
        if long {
            self.bracket.1 = self.step;
        } else if dot(gradient, &moved) < CURVATURE * slope && self.tries < TRIES {
            self.bracket.0 = self.step;
        } else {
            self.accept(value, gradient, moved);
            return;
        }
        if self.tries >= TRIES {
            self.over = true;
            return;
        }
        self.step = if self.bracket.1.is_finite() { 0.5 * (self.bracket.0 + self.bracket.1) } else { 2.0 * self.step };
        let before = std::mem::take(&mut self.trial);
        self.place();
        if self.trial == before {
            // The bounds hold every coordinate that could still move: a longer step is the same one.
            if long {
                self.over = true;
            } else {
                self.accept(value, gradient, moved);
            }
        }
    }

    fn accept(&mut self, value: f64, gradient: &[f64], moved: Vec<f64>) {
        let change: Vec<f64> = gradient.iter().zip(&self.gradient).map(|(new, old)| new - old).collect();
        if dot(&moved, &change) > 1e-10 * dot(&change, &change).sqrt() * dot(&moved, &moved).sqrt() {
            if self.pairs.len() == MEMORY {
                self.pairs.remove(0);
            }
            self.pairs.push((moved, change));
        }
        let fell = self.value - value;
        self.best.copy_from_slice(&self.trial);
        self.gradient.copy_from_slice(gradient);
        self.value = value;
        self.steps += 1;
        if fell <= self.stop.decrease * value.abs().max(fell.abs()).max(1.0) {
            self.over = true;
        } else {
            self.begin_step();
        }
    }

    fn begin_step(&mut self) {
        if self.steps >= self.stop.steps || self.largest_gradient() <= self.stop.gradient {
            self.over = true;
            return;
        }
        let held: Vec<bool> = (0..self.best.len()).map(|i| !self.free(i)).collect();
        self.direction = self.quasi_newton(&held);
        if dot(&self.direction, &self.gradient) >= 0.0 {
            self.pairs.clear();
            self.direction = self.quasi_newton(&held);
        }
        let first = 1.0 / dot(&self.direction, &self.direction).sqrt().max(f64::MIN_POSITIVE);
        self.step = if self.pairs.is_empty() { first.min(1.0) } else { 1.0 };
        self.bracket = (0.0, f64::INFINITY);
        self.tries = 0;
        self.place();
        if self.trial == self.best {
            self.over = true;
        }
    }

    /// `−H g` over the free coordinates.
    fn quasi_newton(&self, held: &[bool]) -> Vec<f64> {
        let mut out: Vec<f64> = self.gradient.iter().zip(held).map(|(g, &h)| if h { 0.0 } else { -g }).collect();
        let mut shares = Vec::with_capacity(self.pairs.len());
        for (moved, change) in self.pairs.iter().rev() {
            let share = dot(moved, &out) / dot(moved, change);
            axpy(-share, change, &mut out);
            shares.push(share);
        }
        if let Some((moved, change)) = self.pairs.last() {
            let scale = dot(moved, change) / dot(change, change);
            out.iter_mut().for_each(|v| *v *= scale);
        }
        for ((moved, change), share) in self.pairs.iter().zip(shares.into_iter().rev()) {
            let back = share - dot(change, &out) / dot(moved, change);
            axpy(back, moved, &mut out);
        }
        out.iter_mut().zip(held).filter(|(_, h)| **h).for_each(|(v, _)| *v = 0.0);
        out
    }

    fn free(&self, i: usize) -> bool {
        let (x, g) = (self.best[i], self.gradient[i]);
        !(x <= self.low[i] && g >= 0.0 || x >= self.high[i] && g <= 0.0)
    }

    fn place(&mut self) {
        self.trial = self.best.iter().zip(&self.direction).map(|(x, d)| x + self.step * d).collect();
        clamp(&mut self.trial, &self.low, &self.high);
    }
}

fn clamp(x: &mut [f64], low: &[f64], high: &[f64]) {
    x.iter_mut().zip(low).zip(high).for_each(|((x, l), h)| *x = x.clamp(*l, *h));
}

#[cfg(test)]
mod tests {
    use super::*;

    const STOP: Stop = Stop { steps: 500, decrease: 1e-15, gradient: 1e-9 };

    fn minimise(
        mut of: impl FnMut(&[f64]) -> (f64, Vec<f64>),
        from: Vec<f64>,
        low: f64,
        high: f64,
    ) -> (Minimiser, usize) {
        let size = from.len();
        let mut minimiser = Minimiser::new(from, vec![low; size], vec![high; size], STOP);
        let mut evaluations = 0;
        while let Some(point) = minimiser.point() {
            let (value, gradient) = of(point);
            minimiser.tell(value, &gradient);
            evaluations += 1;
        }
        (minimiser, evaluations)
    }

    fn rosenbrock(x: &[f64]) -> (f64, Vec<f64>) {
        let mut g = vec![0.0; x.len()];
        let mut f = 0.0;
        for i in 0..x.len() - 1 {
            let (a, b) = (1.0 - x[i], x[i + 1] - x[i] * x[i]);
            f += a * a + 100.0 * b * b;
            g[i] += -2.0 * a - 400.0 * x[i] * b;
            g[i + 1] += 200.0 * b;
        }
        (f, g)
    }

    #[test]
    fn valleys_are_followed_to_their_end() {
        let (found, evaluations) = minimise(rosenbrock, vec![-1.2; 10], -10.0, 10.0);
        assert!(found.best().iter().all(|x| (x - 1.0).abs() < 1e-6), "{:?} {}", found.best(), found.value());
        assert!(evaluations < 300, "{evaluations}");
    }

    /// At a minimum on a bound the free part of the gradient is zero, and the other points outwards.
    #[test]
    fn bounds_are_kept() {
        let (found, _) = minimise(rosenbrock, vec![-1.2; 4], -2.0, 0.5);
        let (_, g) = rosenbrock(found.best());
        for (x, g) in found.best().iter().zip(g) {
            assert!((-2.0..=0.5).contains(x) && (g.abs() < 1e-6 || *x == 0.5 && g < 0.0), "{x} {g}");
        }
        let (start, _) = minimise(|x| (-x[0], vec![-1.0]), vec![0.0], -1.0, 1.0);
        assert_eq!(start.best(), [1.0]);
    }

    /// Where a factorisation fails the value is infinite: the step is halved, and a start that fails is the answer.
    #[test]
    fn values_that_are_not_finite_are_avoided() {
        let wall = |x: &[f64]| {
            if x[0] > 1.0 { (f64::INFINITY, vec![f64::NAN]) } else { ((x[0] - 3.0).powi(2), vec![2.0 * (x[0] - 3.0)]) }
        };
        let (found, _) = minimise(wall, vec![-5.0], -10.0, 10.0);
        assert!((found.best()[0] - 1.0).abs() < 1e-3, "{:?}", found.best());
        let (found, evaluations) = minimise(|_| (f64::NAN, vec![0.0]), vec![2.0], -10.0, 10.0);
        assert_eq!((found.best(), evaluations), (&[2.0][..], 1));
    }
}

//! Log-det iteratively reweighted least squares (Kümmerle and Mayrink Verdun, 2021), slowed down: the smoothing `ε` falls by
//! a constant factor, not to the next singular value at once, which loses most successes near the limit.
//!
//! The iterate is `X = P_Ω*(r) + P_T γ`: a sparse residual plus an element of the tangent space of the last rank-`k`
//! approximation `U S Vᵀ`. `γ` solves `(D + P_T* P_Ω* P_Ω P_T) γ = P_T* P_Ω* y`, `D` diagonal in the basis
//! `U C Vᵀ + U Nᵀ + M Vᵀ`.
use samplewise_linalg::{CsrMatrix, LinalgError, Matrix, factor, gram, spmm};

use crate::control::Control;
use crate::data::biases::Start;
use crate::data::entries::Entries;
use crate::data::state::State;
use crate::kernel::{Panel, reduced};

/// Factor of `ε` per step: 0.9 succeeds half as often near the limit, 0.7 never (12 instances each).
const DECAY: f64 = 0.95;
/// Conjugate gradient steps per iterate, and the share of the right-hand side at which they end: at 1e-2 the iteration
/// stalls before the small singular values come in (0 of 24 instances of condition 10; at 1e-3 24 of 24).
const INNER: usize = 15;
const INNER_TOLERANCE: f64 = 1e-3;
/// Columns beyond the rank of the subspace iteration; the first of them tells the next singular value.
const OVERSAMPLING: usize = 5;
/// Number of iterates at most.
const STEPS: usize = 250;
/// Training residual over the spread at which the finish is tried; a failure tries again at a third of it.
const HAND_OVER: f64 = 3e-2;

/// The iteration, from one hand-over to the next.
pub(crate) struct Search<'a> {
    entries: &'a Entries,
    rank: usize,
    u: Matrix,
    v: Matrix,
    s: Vec<f64>,
    /// Subspace of the right side, with the columns beyond the rank.
    wide: Matrix,
    epsilon: f64,
    gamma: Tangent,
    steps: usize,
    threshold: f64,
}

/// An element of the tangent space: `U C Vᵀ + U Nᵀ + M Vᵀ`.
#[derive(Clone)]
struct Tangent {
    core: Matrix,
    /// `n × k`, orthogonal to `V`.
    n: Matrix,
    /// `m × k`, orthogonal to `U`.
    m: Matrix,
}

impl Tangent {
    fn parts(&self) -> [&[f64]; 3] {
        [self.core.as_slice(), self.n.as_slice(), self.m.as_slice()]
    }
    fn parts_mut(&mut self) -> [&mut [f64]; 3] {
        [self.core.as_mut_slice(), self.n.as_mut_slice(), self.m.as_mut_slice()]
    }
    fn dot(&self, other: &Self) -> f64 {
        self.parts().iter().zip(other.parts()).map(|(a, b)| samplewise_linalg::sums::dot(a, b)).sum()
    }
    fn add_scaled(&mut self, alpha: f64, other: &Self) {
        for (a, b) in self.parts_mut().into_iter().zip(other.parts()) {
            samplewise_linalg::sums::axpy(alpha, b, a);
        }
    }
}

impl<'a> Search<'a> {
    pub fn new(entries: &'a Entries, first: &Start, rank: usize) -> Self {
        let unit = |m: &Matrix| {
            Matrix::from_fn(m.rows(), rank, |i, c| {
                m[(i, c)] / first.values.get(c).map_or(1.0, |s| s.max(f64::MIN_POSITIVE).sqrt())
            })
        };
        let (u, v) = (unit(&first.u), unit(&first.v));
        let s: Vec<f64> = (0..rank).map(|c| first.values.get(c).copied().unwrap_or(0.0)).collect();
        let gamma = Tangent {
            core: Matrix::from_fn(rank, rank, |a, b| if a == b { s[a] } else { 0.0 }),
            n: Matrix::zeros(entries.columns(), rank),
            m: Matrix::zeros(entries.rows(), rank),
        };
        let mut search = Self {
            entries,
            rank,
            wide: v.clone(),
            u,
            v,
            epsilon: s.last().copied().unwrap_or(0.0).max(f64::MIN_POSITIVE),
            s,
            gamma,
            steps: 0,
            threshold: HAND_OVER,
        };
        search.widen();
        search
    }

    /// The rank-`k` approximation at hand.
    pub fn state(&self) -> State {
        let mut state = State::empty(self.entries.rows(), self.entries.columns(), self.rank);
        let side = |q: &Matrix| Matrix::from_fn(q.rows(), self.rank, |i, c| q[(i, c)] * self.s[c].max(0.0).sqrt());
        (state.u, state.v) = (side(&self.u), side(&self.v));
        state
    }

    /// First damping of the finish: a hundredth of what the entries hold of the smallest direction.
    pub fn damping(&self) -> f64 {
        let share = self.entries.len() as f64 / (self.entries.rows() * self.entries.columns()) as f64;
        1e-2 * share * self.s.last().copied().unwrap_or(0.0)
    }

    /// Iterates until the finish is worth trying; `None` at the end.
    pub fn next(&mut self, spread: f64, control: &mut Control<'_>) -> Result<Option<State>, LinalgError> {
        while self.steps < STEPS {
            self.steps += 1;
            let floors = self.iterate()?;
            let state = self.state();
            let residual = state.training_rmse(self.entries) / spread;
            if !control.step("reweighting", floors, Some(residual)) || !residual.is_finite() {
                return Ok(None);
            }
            if residual <= self.threshold {
                self.threshold = residual / 3.0;
                return Ok(Some(state));
            }
        }
        Ok(None)
    }

    /// Completes the subspace of the right side by coordinates that do not lie in it.
    fn widen(&mut self) {
        let width = (self.rank + OVERSAMPLING).min(self.entries.rows()).min(self.entries.columns());
        let streams = samplewise_linalg::random::Streams::new(1);
        let (n, k) = (self.v.rows(), self.rank);
        self.wide = Matrix::from_fn(n, width.max(k), |j, c| {
            if c < k { self.v[(j, c)] } else { streams.uniform((j * 64 + c) as u64) - 0.5 }
        });
    }

    fn iterate(&mut self) -> Result<f64, LinalgError> {
        let k = self.rank;
        // Weights of the smoothed log-det: ε²/(s_a s_b − ε²) in the core, ε/(s_a − ε) beside it.
        let e = self.epsilon;
        let gap = |x: f64| x.max(1e-12 * e);
        let core_weight = Matrix::from_fn(k, k, |a, b| e * e / gap(self.s[a] * self.s[b] - e * e).max(1e-9 * e * e));
        let side_weight: Vec<f64> = self.s.iter().map(|s| e / gap(s - e).max(1e-9 * e)).collect();
        let weighted = |x: &Tangent| {
            let mut out = x.clone();
            out.core.as_mut_slice().iter_mut().zip(core_weight.as_slice()).for_each(|(x, w)| *x *= w);
            for side in [&mut out.n, &mut out.m] {
                side.as_mut_slice().chunks_exact_mut(k).for_each(|row| {
                    row.iter_mut().zip(&side_weight).for_each(|(x, w)| *x *= w);
                });
            }
            out
        };
        let share = self.entries.len() as f64 / (self.entries.rows() * self.entries.columns()) as f64;
        let precondition = |x: &Tangent| {
            let mut out = x.clone();
            out.core.as_mut_slice().iter_mut().zip(core_weight.as_slice()).for_each(|(x, w)| *x /= w + share);
            for side in [&mut out.n, &mut out.m] {
                side.as_mut_slice().chunks_exact_mut(k).for_each(|row| {
                    row.iter_mut().zip(&side_weight).for_each(|(x, w)| *x /= w + share);
                });
            }
            out
        };
        let (pu, pv) = (Panel::<f64>::copy(&self.u), Panel::<f64>::copy(&self.v));
        let minus = |p: &Panel<f64>| {
            let data = p.data.iter().map(|x| -x).collect();
            Panel { data, width: p.width, columns: p.columns }
        };
        let (mu, mv) = (minus(&pu), minus(&pv));
        let normal = |x: &Tangent| -> Result<Tangent, LinalgError> {
            let (a, b) = (Panel::<f64>::copy(&self.right_of(x)?), Panel::<f64>::copy(&x.m));
            let (mut sv, mut su) = (Panel::zeros(pu.rows(), k), Panel::zeros(pv.rows(), k));
            // (P_Ω P_T x)_ij = u_i·a_j + b_i·v_j, times v_j over j and times u_i over i.
            reduced(&self.entries.by_row, &b, &mu, &a, &pv, &mut sv);
            reduced(&self.entries.by_column, &a, &mv, &b, &pu, &mut su);
            self.project(&sv.to_matrix(), &su.to_matrix())
        };
        let right = self.project(
            &spmm::multiply(&self.entries.by_row.values, &self.v),
            &spmm::multiply(&self.entries.by_column.values, &self.u),
        )?;
        let mut x = self.gamma.clone();
        let apply = |x: &Tangent| -> Result<Tangent, LinalgError> {
            let mut out = normal(x)?;
            out.add_scaled(1.0, &weighted(x));
            Ok(out)
        };
        let mut r = right.clone();
        r.add_scaled(-1.0, &apply(&x)?);
        let mut z = precondition(&r);
        let mut p = z.clone();
        let mut rz = r.dot(&z);
        let goal = INNER_TOLERANCE * INNER_TOLERANCE * right.dot(&precondition(&right));
        let mut used = 0;
        while used < INNER && rz > goal && rz.is_finite() {
            let q = apply(&p)?;
            let alpha = rz / p.dot(&q);
            x.add_scaled(alpha, &p);
            r.add_scaled(-alpha, &q);
            z = precondition(&r);
            let next = r.dot(&z);
            let mut direction = z.clone();
            direction.add_scaled(next / rz, &p);
            p = direction;
            rz = next;
            used += 1;
        }
        self.gamma = x;
        self.approximate()?;
        Ok((6 * (used + 1) + 6) as f64)
    }

    /// `a` with `P_T x = U aᵀ + M Vᵀ`.
    fn right_of(&self, x: &Tangent) -> Result<Matrix, LinalgError> {
        let mut a = self.v.multiply(&x.core.transpose())?;
        samplewise_linalg::sums::axpy(1.0, x.n.as_slice(), a.as_mut_slice());
        Ok(a)
    }

    /// The tangent part of a matrix `S` given `S V` and `Sᵀ U`.
    fn project(&self, sv: &Matrix, su: &Matrix) -> Result<Tangent, LinalgError> {
        let core = self.u.transpose().multiply(sv)?;
        let mut m = sv.clone();
        samplewise_linalg::sums::axpy(-1.0, self.u.multiply(&core)?.as_slice(), m.as_mut_slice());
        let mut n = su.clone();
        samplewise_linalg::sums::axpy(-1.0, self.v.multiply(&core.transpose())?.as_slice(), n.as_mut_slice());
        Ok(Tangent { core, n, m })
    }

    /// Subspace iteration on the iterate, the new approximation, and the next `ε`.
    fn approximate(&mut self) -> Result<(), LinalgError> {
        let k = self.rank;
        let a = self.right_of(&self.gamma)?;
        let mut sparse: CsrMatrix = self.entries.by_row.values.clone();
        let residual: Vec<f64> = self
            .entries
            .by_row
            .iter()
            .map(|(i, j, y, _)| {
                y - samplewise_linalg::sums::dot(self.u.row(i), a.row(j))
                    - samplewise_linalg::sums::dot(self.gamma.m.row(i), self.v.row(j))
            })
            .collect();
        sparse.values_mut().copy_from_slice(&residual);
        let turned = sparse.transpose();
        let times = |w: &Matrix| -> Result<Matrix, LinalgError> {
            let mut out = spmm::multiply(&sparse, w);
            let low = self.u.multiply(&a.transpose().multiply(w)?)?;
            samplewise_linalg::sums::axpy(1.0, low.as_slice(), out.as_mut_slice());
            let low = self.gamma.m.multiply(&self.v.transpose().multiply(w)?)?;
            samplewise_linalg::sums::axpy(1.0, low.as_slice(), out.as_mut_slice());
            Ok(out)
        };
        let times_transposed = |w: &Matrix| -> Result<Matrix, LinalgError> {
            let mut out = spmm::multiply(&turned, w);
            let low = a.multiply(&self.u.transpose().multiply(w)?)?;
            samplewise_linalg::sums::axpy(1.0, low.as_slice(), out.as_mut_slice());
            let low = self.v.multiply(&self.gamma.m.transpose().multiply(w)?)?;
            samplewise_linalg::sums::axpy(1.0, low.as_slice(), out.as_mut_slice());
            Ok(out)
        };
        let left = orthonormal(&times(&self.wide)?)?;
        let right = orthonormal(&times_transposed(&left)?)?;
        let y = times(&right)?;
        let (squares, w) = factor::symmetric_eigen(&gram::gram(&y, None, None)?.matrix)?;
        let found = squares.len();
        let values: Vec<f64> = squares.iter().rev().map(|s| s.max(0.0).sqrt()).collect();
        let w = Matrix::from_fn(found, found, |r, c| w[(r, found - 1 - c)]);
        let (left, right) = (y.multiply(&w)?, right.multiply(&w)?);
        let old = (self.u.clone(), self.v.clone(), self.gamma.clone());
        self.u = Matrix::from_fn(left.rows(), k, |i, c| left[(i, c)] / values[c].max(f64::MIN_POSITIVE));
        self.v = Matrix::from_fn(right.rows(), k, |i, c| right[(i, c)]);
        self.s = values[..k].to_vec();
        self.wide = right;
        let next = values.get(k).copied().unwrap_or(0.0);
        self.epsilon = next.max(DECAY * self.epsilon).min(self.epsilon);
        // The same tangent element seen from the new subspaces starts the next solve.
        let (u, v, gamma) = old;
        let part = |x: &Matrix, y: &Matrix| x.transpose().multiply(y);
        let sv = {
            let mut out = u.multiply(&part(&a, &self.v)?)?;
            let low = gamma.m.multiply(&part(&v, &self.v)?)?;
            samplewise_linalg::sums::axpy(1.0, low.as_slice(), out.as_mut_slice());
            out
        };
        let su = {
            let mut out = a.multiply(&part(&u, &self.u)?)?;
            let low = v.multiply(&part(&gamma.m, &self.u)?)?;
            samplewise_linalg::sums::axpy(1.0, low.as_slice(), out.as_mut_slice());
            out
        };
        self.gamma = self.project(&sv, &su)?;
        Ok(())
    }
}

fn orthonormal(a: &Matrix) -> Result<Matrix, LinalgError> {
    crate::data::biases::orthonormal(a)
}

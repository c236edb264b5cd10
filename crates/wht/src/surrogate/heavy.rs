//! Heavy-tailed coefficients around the spectrum of a kernel (rows GP-13 and GP-16).
//!
//! The product of the kernel spreads its energy over all sets, trees put theirs on few. `λ_S` is kept as a scale, and the
//! coefficient gets Student's distribution: `f̂(S) | γ_S ~ N(0, γ_S)`, `γ_S ~ InvGamma(ν/2, ν λ_S/2)`. For the candidates with the
//! largest means `γ_S` is found by expectation and maximisation, all others keep `γ_S = λ_S`, up to one factor `t`.
use samplewise_linalg::factor::Cholesky;
use samplewise_linalg::{Matrix, rows_times_rows, sums};

use super::kernel::{JITTER, Kernel};
use super::rounds::factored;
use super::sets::{Falling, Set, Signs, log_empty};
use super::table::Table;
use super::workspace::{Workspace, shape};

/// Sets of largest prior variance among which candidates are sought.
const SOUGHT: usize = 20_000;

/// The sets with the largest posterior means among those of largest prior variance, and their prior variances; most of the
/// empty set's worth is that of the constant, so that it is none of them.
pub(crate) fn candidates(kernel: &Kernel, table: &Table, alpha: &[f64], most: usize) -> (Vec<Set>, Vec<f64>) {
    let shares = kernel.shares(&table.layout.levels);
    let empty = log_empty(kernel.variance, &shares);
    let (sets, prior): (Vec<Set>, Vec<f64>) =
        Falling::new(&shares).skip(1).take(SOUGHT).map(|(set, log)| (set, (empty + log).exp())).unzip();
    let products = Signs::of_table(table).products(sets.iter(), alpha);
    let mut order: Vec<usize> = (0..sets.len()).collect();
    let size = |s: usize| (prior[s] * products[s]).abs();
    order.sort_by(|&a, &b| size(b).total_cmp(&size(a)).then(a.cmp(&b)));
    order.truncate(most);
    (order.iter().map(|&s| sets[s].clone()).collect(), order.iter().map(|&s| prior[s]).collect())
}

/// What follows the values beside the variances of the candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follows {
    /// Neither tail nor noise: then no step lowers the posterior density.
    #[cfg_attr(not(test), allow(dead_code))]
    Nothing,
    /// The factor of the other sets; the noise is known.
    Tail,
    TailAndNoise,
}

/// A refinement under way: [`Refinement::step`] until it is over. As it begins, it is the kernel.
///
/// Row GP-16 of `paper-refs.md`.
#[derive(Clone, Debug)]
pub(crate) struct Refinement {
    pub sets: Vec<Set>,
    pub prior: Vec<f64>,
    /// Variances `γ` of the candidates.
    pub variance: Vec<f64>,
    /// Factor `t` of all other sets.
    pub tail: f64,
    pub noise: f64,
    jitter: f64,
    freedom: f64,
    follows: Follows,
    /// Signs of the candidates, a row for each.
    rows: Matrix,
    /// The same, a row for each point.
    columns: Matrix,
    /// The kernel without the candidates.
    rest: Matrix,
}

/// Least noise variance in units of the spread, and the most that tail and noise change in a step.
const LEAST_NOISE: f64 = 1e-9;
const CHANGE: (f64, f64) = (0.2, 2.0);

impl Refinement {
    /// Starts where the kernel stands; `freedom` is `ν`.
    pub fn new(
        kernel: &Kernel,
        table: &Table,
        (sets, prior): (Vec<Set>, Vec<f64>),
        freedom: f64,
        follows: Follows,
    ) -> Self {
        let rows = Signs::of_table(table).rows(&sets);
        let columns = rows.transpose();
        let mut rest = kernel.of_table(table);
        rest.as_mut_slice().iter_mut().for_each(|v| *v += kernel.constant);
        let (mut own, mut scaled) = (Matrix::zeros(0, 0), Matrix::zeros(0, 0));
        weighted_gram(&columns, &prior, &mut own, &mut scaled);
        rest.as_mut_slice().iter_mut().zip(own.as_slice()).for_each(|(r, o)| *r -= o);
        let (noise, jitter) = (kernel.noise, JITTER * kernel.variance);
        Self { variance: prior.clone(), sets, prior, tail: 1.0, noise, jitter, freedom, follows, rows, columns, rest }
    }

    /// The matrix as it stands, its factor and `α`; none where it cannot be factored.
    pub fn condition(
        &self,
        table: &Table,
        workspace: &mut Workspace,
        look: &mut dyn FnMut(),
    ) -> Option<(Vec<f64>, Cholesky)> {
        let mut matrix = std::mem::replace(&mut workspace.matrix, Matrix::zeros(0, 0));
        weighted_gram(&self.columns, &self.variance, &mut matrix, &mut workspace.columns);
        matrix.as_mut_slice().iter_mut().zip(self.rest.as_slice()).for_each(|(m, r)| *m += self.tail * r);
        for (j, repeats) in table.repeats.iter().enumerate() {
            matrix[(j, j)] += self.noise / repeats + self.jitter;
        }
        look();
        let factor = factored(matrix, look)?;
        let mut alpha = table.values.clone();
        factor.solve_in_place(&mut alpha);
        alpha.iter().all(|a| a.is_finite()).then_some((alpha, factor))
    }

    /// One step of expectation and maximisation; false where the matrix cannot be factored, and nothing has changed. Cost
    /// `b²(J + b)` multiplications for `b` points and `J` candidates.
    ///
    /// Row GP-13 of `paper-refs.md`.
    pub fn step(&mut self, table: &Table, workspace: &mut Workspace, look: &mut dyn FnMut()) -> bool {
        let Some((alpha, factor)) = self.condition(table, workspace, look) else { return false };
        let solved = &mut workspace.rows;
        shape(solved, self.rows.rows(), self.rows.columns());
        solved.as_mut_slice().copy_from_slice(self.rows.as_slice());
        solve_in_parts(&factor, solved, look);
        for s in 0..self.sets.len() {
            let mean = self.variance[s] * sums::dot(self.rows.row(s), &alpha);
            let known = sums::dot(solved.row(s), solved.row(s));
            let left = (self.variance[s] - self.variance[s] * self.variance[s] * known).max(0.0);
            self.variance[s] = (self.freedom * self.prior[s] + mean * mean + left) / (self.freedom + 1.0);
        }
        if self.follows != Follows::Nothing {
            let b = table.len();
            let Workspace { half, inverse, .. } = workspace;
            shape(half, b, b);
            shape(inverse, b, b);
            factor.lower_inverse_into(half).expect("one shape");
            Cholesky::inverse_from_half(half, inverse).expect("one shape");
            look();
            let by_row = |j: usize| sums::dot(self.rest.row(j), &alpha) * alpha[j];
            let seen = sums::sum_by(b, by_row);
            let expected = sums::sum_by(b, |j| sums::dot(self.rest.row(j), inverse.row(j)));
            self.tail *= (seen / expected.max(1e-300)).clamp(CHANGE.0, CHANGE.1);
        }
        if self.follows == Follows::TailAndNoise {
            let inverse = &workspace.inverse;
            let weight = |j: usize| 1.0 / table.repeats[j];
            let seen = sums::sum_by(alpha.len(), |j| alpha[j] * alpha[j] * weight(j));
            let expected = sums::sum_by(alpha.len(), |j| inverse[(j, j)] * weight(j));
            self.noise = (self.noise * (seen / expected).clamp(CHANGE.0, CHANGE.1)).max(LEAST_NOISE);
        }
        workspace.matrix = factor.into_lower();
        true
    }
}

/// Multiplications between two looks.
const LOOK: usize = 1 << 27;

/// `L⁻¹` of every row, with a look between parts of the rows.
pub(crate) fn solve_in_parts(factor: &Cholesky, rows: &mut Matrix, look: &mut dyn FnMut()) {
    let b = rows.columns();
    let part = (LOOK / (b * b).max(1)).max(16);
    if rows.rows() <= part {
        factor.solve_lower_rows_in_place(rows).expect("rows of one length");
        return look();
    }
    for first in (0..rows.rows()).step_by(part) {
        let last = (first + part).min(rows.rows());
        let some = &mut rows.as_mut_slice()[first * b..last * b];
        let mut copy = Matrix::from_vec(last - first, b, some.to_vec()).expect("whole rows");
        factor.solve_lower_rows_in_place(&mut copy).expect("rows of one length");
        some.copy_from_slice(copy.as_slice());
        look();
    }
}

/// `Σ_S weights_S χ_S χ_Sᵀ` from the signs, a row for each point.
fn weighted_gram(columns: &Matrix, weights: &[f64], out: &mut Matrix, scaled: &mut Matrix) {
    let roots: Vec<f64> = weights.iter().map(|w| w.sqrt()).collect();
    let (b, count) = (columns.rows(), weights.len());
    shape(out, b, b);
    if count == 0 {
        out.as_mut_slice().fill(0.0);
        return;
    }
    shape(scaled, b, count);
    for j in 0..b {
        scaled.row_mut(j).iter_mut().zip(columns.row(j)).zip(&roots).for_each(|((s, c), r)| *s = c * r);
    }
    rows_times_rows::rows_gram(scaled.as_slice(), count, out.as_mut_slice(), b).expect("a square of whole rows");
}

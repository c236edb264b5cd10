//! The experts that are mixed: a process (a kernel conditioned on the values, with or without heavy-tailed coefficients), and
//! a list of coefficients.
//!
//! Both answer for linear functionals `Λ` of the function. A process has `Λf ~ N(hᵀα, ΛΛ'k − ‖L⁻¹h‖²)` with
//! `h_j = Λk(·, x_j)` (row GP-3).
use std::sync::Arc;

use rayon::prelude::*;
use samplewise_linalg::factor::Cholesky;
use samplewise_linalg::{Matrix, rows_times_rows, sums};

use super::evidence::condition;
use super::heavy::{Refinement, solve_in_parts};
use super::kernel::{JITTER, Kernel};
use super::rounds::factored;
use super::sets::{Set, Signs, sign};
use super::table::Table;

/// A family of linear functionals of a function of the positions.
///
/// Row GP-3 of `paper-refs.md`.
pub(crate) trait Functionals: Sync {
    /// How many.
    fn count(&self) -> usize;
    /// `Λ s² exp(−D(·, x_j))`, a row for each functional.
    fn cross(&self, kernel: &Kernel, table: &Table) -> Matrix;
    /// `ΛΛ' s² exp(−D)`, one for each functional.
    fn prior(&self, kernel: &Kernel, levels: &[usize]) -> Vec<f64>;
    /// `Λχ_S`, one for each functional; for more than two levels only that of the empty set is asked.
    fn of_set(&self, set: &[u16], out: &mut [f64]);
}

/// A kernel conditioned on the values of a table: `m(x_j) = y_j − η α_j`.
///
/// Row GP-5 of `paper-refs.md`.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub table: Arc<Table>,
    pub kernel: Kernel,
    /// Factor `t` of the kernel.
    pub tail: f64,
    /// Noise of one value.
    pub noise: f64,
    /// What the variance of the coefficient of a set has beyond `t λ_S`.
    pub extra: Vec<(Set, f64)>,
    pub alpha: Vec<f64>,
    pub factor: Cholesky,
}

/// Coefficients, as the pursuit and the constant have them, in the units of the values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Terms {
    pub sets: Vec<Set>,
    pub values: Vec<f64>,
    pub errors: Vec<f64>,
    /// Variance of what is left of a value.
    pub residual: f64,
}

#[derive(Clone, Debug)]
pub(crate) enum Expert {
    Process(Box<Process>),
    Terms(Terms),
}

/// Points that are predicted at once.
const BLOCK: usize = 128;

impl Process {
    /// None where the matrix cannot be factored.
    pub fn plain(kernel: &Kernel, table: &Arc<Table>, look: &mut dyn FnMut()) -> Option<Self> {
        let mut matrix = Matrix::zeros(0, 0);
        kernel.of_table_into(table, &mut matrix, look);
        let (alpha, factor) = condition(kernel, matrix, table, look)?;
        let noise = kernel.noise;
        let table = Arc::clone(table);
        Some(Self { table, kernel: kernel.clone(), tail: 1.0, noise, extra: Vec::new(), alpha, factor })
    }

    /// A refinement as it stands; none where its matrix cannot be factored.
    pub fn heavy(kernel: &Kernel, table: &Arc<Table>, refined: &Refinement, look: &mut dyn FnMut()) -> Option<Self> {
        let extra = refined.sets.iter().zip(&refined.prior).zip(&refined.variance);
        let extra = extra.map(|((set, prior), variance)| (set.clone(), variance - refined.tail * prior)).collect();
        Self::with_extra(kernel, table, (refined.tail, refined.noise), extra, look)
    }

    /// A kernel times a factor, with more variance for some sets; none where its matrix cannot be factored.
    pub fn with_extra(
        kernel: &Kernel,
        table: &Arc<Table>,
        (tail, noise): (f64, f64),
        extra: Vec<(Set, f64)>,
        look: &mut dyn FnMut(),
    ) -> Option<Self> {
        let mut matrix = kernel.of_table(table);
        matrix.as_mut_slice().iter_mut().for_each(|v| *v = tail * (*v + kernel.constant));
        let (sets, more): (Vec<Set>, Vec<f64>) = extra.iter().cloned().unzip();
        let rows = Signs::of_table(table).rows(&sets).transpose();
        let mut weighted = rows.clone();
        for j in 0..weighted.rows() {
            weighted.row_mut(j).iter_mut().zip(&more).for_each(|(v, m)| *v *= m);
        }
        let b = table.len();
        if !more.is_empty() {
            let mut add = Matrix::zeros(b, b);
            rows_times_rows::rows_times_rows(weighted.as_slice(), rows.as_slice(), more.len(), add.as_mut_slice(), b)
                .expect("rows of one length");
            matrix.as_mut_slice().iter_mut().zip(add.as_slice()).for_each(|(m, a)| *m += a);
        }
        for (j, repeats) in table.repeats.iter().enumerate() {
            matrix[(j, j)] += noise / repeats + JITTER * kernel.variance;
        }
        look();
        let factor = factored(matrix, look)?;
        let mut alpha = table.values.clone();
        factor.solve_in_place(&mut alpha);
        let table = Arc::clone(table);
        let finite = alpha.iter().all(|a| a.is_finite());
        finite.then(|| Self { table, kernel: kernel.clone(), tail, noise, extra, alpha, factor })
    }

    /// What stands on the diagonal beside the kernel for a point that was told `repeats` times.
    pub fn nugget(&self, repeats: f64) -> f64 {
        self.noise / repeats + JITTER * self.kernel.variance
    }

    /// `1` where the functional of a constant is meant.
    fn of_constant(functionals: &dyn Functionals) -> Vec<f64> {
        let mut out = vec![0.0; functionals.count()];
        functionals.of_set(&[], &mut out);
        out
    }

    /// `h`, a row for each functional.
    pub fn cross(&self, functionals: &dyn Functionals) -> Matrix {
        let mut out = functionals.cross(&self.kernel, &self.table);
        let constants = Self::of_constant(functionals);
        for (l, one) in constants.iter().enumerate() {
            out.row_mut(l).iter_mut().for_each(|v| *v = self.tail * (*v + self.kernel.constant * one));
        }
        if !self.extra.is_empty() {
            let signs = Signs::of_table(&self.table);
            let mut on = vec![0.0; functionals.count()];
            for (set, more) in &self.extra {
                on.fill(0.0);
                functionals.of_set(set, &mut on);
                let bits = signs.of(set);
                for (l, value) in on.iter().enumerate().filter(|v| *v.1 != 0.0) {
                    let add = more * value;
                    for (part, word) in out.row_mut(l).chunks_mut(64).zip(&bits) {
                        part.iter_mut()
                            .enumerate()
                            .for_each(|(i, v)| *v += if word >> i & 1 == 1 { -add } else { add });
                    }
                }
            }
        }
        out
    }

    /// `ΛΛ'k` of each functional.
    pub fn prior(&self, functionals: &dyn Functionals) -> Vec<f64> {
        let mut out = functionals.prior(&self.kernel, &self.table.layout.levels);
        let constants = Self::of_constant(functionals);
        out.iter_mut().zip(&constants).for_each(|(v, one)| *v = self.tail * (*v + self.kernel.constant * one * one));
        let mut on = vec![0.0; functionals.count()];
        for (set, more) in &self.extra {
            on.fill(0.0);
            functionals.of_set(set, &mut on);
            out.iter_mut().zip(&on).for_each(|(v, o)| *v += more * o * o);
        }
        out
    }

    /// Means and variances of functionals, in the units of the values.
    pub fn estimate(&self, functionals: &dyn Functionals, look: &mut dyn FnMut()) -> (Vec<f64>, Vec<f64>) {
        let mut cross = self.cross(functionals);
        let (scale, mean) = (self.table.scale, self.table.mean);
        let constants = Self::of_constant(functionals);
        let means = (0..cross.rows()).map(|l| scale * sums::dot(cross.row(l), &self.alpha) + mean * constants[l]);
        let means = means.collect();
        solve_in_parts(&self.factor, &mut cross, look);
        let prior = self.prior(functionals);
        let variance = |l: usize| scale * scale * left(prior[l], sums::dot(cross.row(l), cross.row(l)));
        (means, (0..prior.len()).map(variance).collect())
    }

    /// Means and variances of new values at points, the noise included.
    pub fn predict(&self, codes: &[u8]) -> (Vec<f64>, Vec<f64>) {
        let n = self.table.layout.positions();
        let parts: Vec<(Vec<f64>, Vec<f64>)> =
            codes.par_chunks((n * BLOCK).max(1)).map(|part| self.predict_block(part)).collect();
        let (mut means, mut variances) = (Vec::new(), Vec::new());
        for (m, v) in parts {
            means.extend(m);
            variances.extend(v);
        }
        (means, variances)
    }

    /// Covariance with the values told, a row for each point.
    fn cross_of_points(&self, codes: &[u8]) -> Matrix {
        let table = &self.table;
        let mut cross = self.kernel.between(&table.layout.features(codes), table);
        cross.as_mut_slice().iter_mut().for_each(|v| *v = self.tail * (*v + self.kernel.constant));
        if !self.extra.is_empty() {
            let own = self.signs(&table.codes);
            let mut add = Matrix::zeros(cross.rows(), cross.columns());
            self.add_extra(&self.signs(codes), &own, &mut add);
            cross.as_mut_slice().iter_mut().zip(add.as_slice()).for_each(|(c, a)| *c += a);
        }
        cross
    }

    /// Signs of the sets with more variance, a row for each point.
    fn signs(&self, codes: &[u8]) -> Matrix {
        let sets: Vec<Set> = self.extra.iter().map(|e| e.0.clone()).collect();
        Signs::new(codes, self.table.layout.positions()).rows(&sets).transpose()
    }

    /// `Σ_S d_S χ_S(x) χ_S(x')` for rows of signs.
    fn add_extra(&self, left: &Matrix, right: &Matrix, out: &mut Matrix) {
        let mut weighted = left.clone();
        for q in 0..weighted.rows() {
            weighted.row_mut(q).iter_mut().zip(&self.extra).for_each(|(v, e)| *v *= e.1);
        }
        let (k, stride) = (self.extra.len(), out.columns());
        rows_times_rows::rows_times_rows(weighted.as_slice(), right.as_slice(), k, out.as_mut_slice(), stride)
            .expect("rows of one length");
    }

    /// Posterior covariance of the function at points, in squares of the spread.
    pub fn covariance(&self, codes: &[u8]) -> Matrix {
        let layout = &self.table.layout;
        let mut cross = self.cross_of_points(codes);
        self.factor.solve_lower_rows_in_place(&mut cross).expect("rows of one length");
        let count = cross.rows();
        let others = Table::from_means(layout, codes.to_vec(), (vec![0.0; count], vec![1.0; count]), 0.0, (0.0, 1.0));
        let mut out = self.kernel.of_table(&others);
        out.as_mut_slice().iter_mut().for_each(|v| *v = self.tail * (*v + self.kernel.constant));
        let mut add = Matrix::zeros(count, count);
        if !self.extra.is_empty() {
            let signs = self.signs(codes);
            self.add_extra(&signs, &signs, &mut add);
            out.as_mut_slice().iter_mut().zip(add.as_slice()).for_each(|(o, a)| *o += a);
        }
        rows_times_rows::rows_gram(cross.as_slice(), self.table.len(), add.as_mut_slice(), count)
            .expect("a square of whole rows");
        out.as_mut_slice().iter_mut().zip(add.as_slice()).for_each(|(o, a)| *o -= a);
        out
    }

    /// What the positions of a set do together at every combination of their letters, the first position fastest, in units of
    /// the spread: the values are added up by combination, and the factors of each position applied to the sums. Cost `b`
    /// and a few multiplications for each combination.
    pub fn interaction_means(&self, set: &Set) -> Vec<f64> {
        let levels = &self.table.layout.levels;
        let counts: Vec<usize> = set.iter().map(|&i| levels[usize::from(i)]).collect();
        let mut sums = vec![0.0; counts.iter().product()];
        for (j, alpha) in self.alpha.iter().enumerate() {
            let point = self.table.point(j);
            let place =
                set.iter().zip(&counts).rev().fold(0, |at, (&i, a)| at * a + usize::from(point[usize::from(i)]));
            sums[place] += alpha;
        }
        let mean_factor = |i: usize| {
            let a = levels[i] as f64;
            (1.0 + (a - 1.0) * (-self.kernel.relevance[i]).exp()) / a
        };
        let whole = self.tail * self.kernel.variance * (0..levels.len()).map(mean_factor).product::<f64>();
        let mut stride = 1;
        for (&i, &count) in set.iter().zip(&counts) {
            let i = usize::from(i);
            let (mean, miss) = (mean_factor(i), (-self.kernel.relevance[i]).exp());
            let (matched, missed) = (1.0 / mean - 1.0, miss / mean - 1.0);
            for block in sums.chunks_mut(stride * count) {
                for at in 0..stride {
                    let all: f64 = (0..count).map(|a| block[at + a * stride]).sum();
                    for a in 0..count {
                        let own = block[at + a * stride];
                        block[at + a * stride] = matched * own + missed * (all - own);
                    }
                }
            }
            stride *= count;
        }
        sums.iter_mut().for_each(|v| *v *= whole);
        if let Some((_, more)) = self.extra.iter().find(|e| e.0 == *set) {
            let product = Signs::of_table(&self.table).products(std::iter::once(set), &self.alpha)[0];
            for (at, v) in sums.iter_mut().enumerate() {
                *v += more * product * if at.count_ones() % 2 == 0 { 1.0 } else { -1.0 };
            }
        }
        sums
    }

    /// Means of new values at points.
    pub fn means(&self, codes: &[u8]) -> Vec<f64> {
        let n = self.table.layout.positions();
        let (scale, mean) = (self.table.scale, self.table.mean);
        let block = |part: &[u8]| {
            let cross = self.cross_of_points(part);
            (0..cross.rows()).map(|q| mean + scale * sums::dot(cross.row(q), &self.alpha)).collect::<Vec<f64>>()
        };
        codes.par_chunks((n * BLOCK).max(1)).flat_map_iter(block).collect()
    }

    fn predict_block(&self, codes: &[u8]) -> (Vec<f64>, Vec<f64>) {
        let mut cross = self.cross_of_points(codes);
        let prior = self.tail * self.kernel.at_a_point() + self.extra.iter().map(|e| e.1).sum::<f64>();
        let (scale, mean) = (self.table.scale, self.table.mean);
        let means = (0..cross.rows()).map(|q| mean + scale * sums::dot(cross.row(q), &self.alpha)).collect();
        self.factor.solve_lower_rows_in_place(&mut cross).expect("rows of one length");
        let variance =
            |q: usize| scale * scale * (left(prior, sums::dot(cross.row(q), cross.row(q))) + self.nugget(1.0));
        (means, (0..cross.rows()).map(variance).collect())
    }

    /// What is left of values that were told, each block of points predicted from all others: `e_B = ([K⁻¹]_BB)⁻¹α_B`,
    /// with the variances of the values (row GP-6). `inverse` is the corner of `K⁻¹` after the first `before` points, which the
    /// positions in the block are counted from.
    pub fn held_out(&self, block: &[usize], inverse: &Matrix, before: usize) -> Option<(Vec<f64>, Vec<f64>)> {
        let part = Matrix::from_fn(block.len(), block.len(), |i, j| inverse[(block[i], block[j])]);
        let factor = Cholesky::new(&part, 0.0).ok()?;
        let mut residual: Vec<f64> = block.iter().map(|&j| self.alpha[before + j]).collect();
        factor.solve_in_place(&mut residual);
        let scale = self.table.scale;
        let mut covariance = Matrix::zeros(block.len(), block.len());
        factor.inverse_into(&mut covariance).ok()?;
        let variances = (0..block.len()).map(|i| scale * scale * covariance[(i, i)]).collect();
        Some((residual.iter().map(|r| scale * r).collect(), variances))
    }
}

/// A variance that is a difference: what is below the rounding of the minuend is zero.
fn left(prior: f64, known: f64) -> f64 {
    let difference = prior - known;
    if difference > 0.0 { difference } else { 0.0 }
}

impl Terms {
    /// The constant function, of values with this variance.
    pub fn constant(mean: f64, variance: f64) -> Self {
        Self { sets: vec![Vec::new()], values: vec![mean], errors: vec![0.0], residual: variance }
    }

    pub fn estimate(&self, functionals: &dyn Functionals) -> (Vec<f64>, Vec<f64>) {
        let count = functionals.count();
        let (mut means, mut variances, mut on) = (vec![0.0; count], vec![0.0; count], vec![0.0; count]);
        for ((set, value), error) in self.sets.iter().zip(&self.values).zip(&self.errors) {
            on.fill(0.0);
            functionals.of_set(set, &mut on);
            for l in 0..count {
                means[l] += on[l] * value;
                variances[l] += (on[l] * error).powi(2);
            }
        }
        (means, variances)
    }

    pub fn predict(&self, codes: &[u8], positions: usize) -> (Vec<f64>, Vec<f64>) {
        let spread = self.residual + self.errors.iter().map(|e| e * e).sum::<f64>();
        let value = |point: &[u8]| self.sets.iter().zip(&self.values).map(|(set, v)| v * sign(set, point)).sum();
        let means: Vec<f64> = codes.par_chunks(positions).with_min_len(64).map(value).collect();
        let variances = vec![spread; means.len()];
        (means, variances)
    }
}

impl Expert {
    /// [`Process::interaction_means`] in the units of the values, for a set of two positions or more.
    pub fn interaction_means(&self, set: &Set, combinations: usize) -> Vec<f64> {
        match self {
            Self::Process(process) => {
                let scale = process.table.scale;
                process.interaction_means(set).into_iter().map(|v| scale * v).collect()
            }
            Self::Terms(terms) => {
                let value: f64 = terms.sets.iter().zip(&terms.values).filter(|t| t.0 == set).map(|t| t.1).sum();
                (0..combinations).map(|at| if at.count_ones() % 2 == 0 { value } else { -value }).collect()
            }
        }
    }

    pub fn estimate(&self, functionals: &dyn Functionals, look: &mut dyn FnMut()) -> (Vec<f64>, Vec<f64>) {
        match self {
            Self::Process(process) => process.estimate(functionals, look),
            Self::Terms(terms) => terms.estimate(functionals),
        }
    }

    pub fn means(&self, codes: &[u8], positions: usize) -> Vec<f64> {
        match self {
            Self::Process(process) => process.means(codes),
            Self::Terms(terms) => terms.predict(codes, positions).0,
        }
    }

    pub fn predict(&self, codes: &[u8], positions: usize) -> (Vec<f64>, Vec<f64>) {
        match self {
            Self::Process(process) => process.predict(codes),
            Self::Terms(terms) => terms.predict(codes, positions),
        }
    }
}

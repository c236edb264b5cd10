//! Energies of the spectrum: in all, by position, by number of positions (row GP-7).
//!
//! The means of two processes are `Σ_S λ_S (χ_Sᵀα) χ_S`, and the sum of the products of their coefficients is `αᵀQα'` with
//! `Q = Σ_S λ_S λ'_S χ_Sχ_Sᵀ`, which is again a product over the positions: `u + o(A − 1)` where two points match and `u − o`
//! where they do not, `u = c̄c̄'` and `o = (1 − c)(1 − c')/A²` for `A` levels, `c = e^{−w}` and `c̄ = (1 + (A − 1)c)/A`.
use rayon::prelude::*;
use samplewise_linalg::{Matrix, sums};

use super::exp::shifted_exp_m1;
use super::expert::Process;
use super::kernel::Kernel;
use super::sets::{Set, Signs, log_empty};
use super::table::Table;

/// The product kernel of two kernels.
///
/// Row GP-7 of `paper-refs.md`.
pub(crate) struct Product {
    /// As a kernel: `variance·exp(−D)`.
    pub kernel: Kernel,
    /// `u` and `o` of each position.
    pub even: Vec<f64>,
    pub odd: Vec<f64>,
    /// `s² s'²`.
    pub scale: f64,
}

impl Product {
    pub fn new(first: &Kernel, second: &Kernel, levels: &[usize]) -> Self {
        let miss = |k: &Kernel, i: usize| (-k.relevance[i]).exp();
        let count = |i: usize| levels[i] as f64;
        let mean = |k: &Kernel, i: usize| (1.0 + (count(i) - 1.0) * miss(k, i)) / count(i);
        let n = levels.len();
        let even: Vec<f64> = (0..n).map(|i| mean(first, i) * mean(second, i)).collect();
        let apart = |k: &Kernel, i: usize| -(-k.relevance[i]).exp_m1() / count(i);
        let odd: Vec<f64> = (0..n).map(|i| apart(first, i) * apart(second, i)).collect();
        let scale = first.variance * second.variance;
        let matched = |i: usize| even[i] + odd[i] * (count(i) - 1.0);
        let relevance = (0..n).map(|i| (odd[i] * count(i) / (even[i] - odd[i])).ln_1p()).collect();
        let variance = scale * (0..n).map(matched).product::<f64>();
        Self { kernel: Kernel { relevance, variance, constant: 0.0, noise: 0.0 }, even, odd, scale }
    }

    /// `λ_∅ λ'_∅`.
    fn of_empty(&self) -> f64 {
        self.scale * self.even.iter().product::<f64>()
    }

    /// `(Q − λ_∅λ'_∅)/(λ_∅λ'_∅)` between all points of a table: what the sets with members add, without the cancellation of
    /// a difference.
    fn beyond_empty(&self, table: &Table, look: &mut dyn FnMut()) -> Matrix {
        let levels = &table.layout.levels;
        let mut out = self.kernel.exponents(table, look);
        let most: f64 =
            (0..levels.len()).map(|i| (self.odd[i] * (levels[i] as f64 - 1.0) / self.even[i]).ln_1p()).sum();
        for stretch in out.as_mut_slice().chunks_mut(PART * PARTS) {
            stretch.par_chunks_mut(PART).for_each(|part| shifted_exp_m1(part, most));
            look();
        }
        out
    }

    /// `Σ_jl Q_jl α_j α_l` over all sets with members, and a bound of its rounding.
    pub fn form(&self, table: &Table, alpha: &[f64], look: &mut dyn FnMut()) -> (f64, f64) {
        let beyond = self.beyond_empty(table, look);
        let whole = self.of_empty();
        let size: Vec<f64> = alpha.iter().map(|a| a.abs()).collect();
        let slack = f64::EPSILON * size.iter().sum::<f64>();
        let of_row = |j: usize| {
            let absolute = beyond.row(j).iter().zip(&size).map(|(q, a)| q.abs() * a).sum::<f64>();
            (alpha[j] * sums::dot(beyond.row(j), alpha), alpha[j].abs() * (absolute + slack))
        };
        let count = alpha.len();
        let all: Vec<usize> = (0..count).collect();
        let mut rows: Vec<(f64, f64)> = Vec::with_capacity(count);
        for part in all.chunks((PART * PARTS).div_ceil(count.max(1))) {
            rows.par_extend(part.par_iter().with_min_len(16).map(|&j| of_row(j)));
            look();
        }
        let rounding = 8.0 * f64::EPSILON * count as f64 * whole * sums::sum_by(count, |j| rows[j].1);
        (whole * sums::sum_by(count, |j| rows[j].0), rounding)
    }

    /// `Σ_jl Q_jl W_jl` over all sets with members, and for each position over the sets that hold it.
    pub fn energies(&self, table: &Table, weights: &Matrix) -> (f64, Vec<f64>) {
        let mut product = self.beyond_empty(table, &mut || ());
        let whole = self.of_empty();
        let all = whole * sums::dot(product.as_slice(), weights.as_slice());
        product.as_mut_slice().iter_mut().zip(weights.as_slice()).for_each(|(p, w)| *p = whole * (*p + 1.0) * w);
        let every = sums::sum(product.as_slice());
        let apart = table.mismatches(&product);
        let of_position = |i: usize| {
            let more = table.layout.levels[i] as f64 - 1.0;
            let (u, o) = (self.even[i], self.odd[i]);
            (every - apart[i]) * o * more / (u + o * more) - apart[i] * o / (u - o)
        };
        (all, (0..apart.len()).map(of_position).collect())
    }

    /// `Σ_jl Q_jl W_jl` over the sets of each size up to `degrees`. Cost `b²·n·degrees/2` multiplications.
    pub fn by_degree(&self, table: &Table, weights: &Matrix, degrees: usize) -> Vec<f64> {
        let b = table.len();
        let n = table.layout.positions();
        let whole = self.scale * self.even.iter().product::<f64>();
        let ratio: Vec<f64> = self.odd.iter().zip(&self.even).map(|(o, u)| o / u).collect();
        let by_position: Vec<u8> = (0..n).flat_map(|i| (0..b).map(move |j| table.point(j)[i])).collect();
        // Elementary symmetric polynomials of the ratios of a point with all before it, degree by degree.
        let of_point = |sums_of: &mut Matrix, j: usize| -> Vec<f64> {
            sums_of.as_mut_slice().fill(0.0);
            sums_of.row_mut(0)[..=j].fill(1.0);
            for (i, &x) in table.point(j).iter().enumerate() {
                let same = ratio[i] * (table.layout.levels[i] as f64 - 1.0);
                let codes = &by_position[i * b..][..=j];
                for d in (1..=degrees).rev() {
                    let (lower, upper) = sums_of.as_mut_slice().split_at_mut(d * b);
                    let lower = &lower[(d - 1) * b..][..=j];
                    for ((o, l), &code) in upper[..=j].iter_mut().zip(lower).zip(codes) {
                        *o += l * if code == x { same } else { -ratio[i] };
                    }
                }
            }
            let one = |d: usize| {
                let row = &sums_of.row(d)[..=j];
                2.0 * sums::dot(&row[..j], &weights.row(j)[..j]) + row[j] * weights[(j, j)]
            };
            (0..=degrees).map(one).collect()
        };
        let points: Vec<usize> = (0..b).collect();
        let rows: Vec<Vec<f64>> = points
            .par_chunks(POINTS)
            .flat_map_iter(|part| {
                let mut sums_of = Matrix::zeros(degrees + 1, b);
                part.iter().map(|&j| of_point(&mut sums_of, j)).collect::<Vec<_>>()
            })
            .collect();
        (0..=degrees).map(|d| whole * rows.iter().map(|r| r[d]).sum::<f64>()).collect()
    }
}

/// Numbers and points of a task.
const PART: usize = 1 << 14;
/// Tasks between two looks.
const PARTS: usize = 64;
const POINTS: usize = 64;

/// The mean of a mixture as one spectrum: processes with their shares, and terms of their own, in units of the spread.
pub(crate) struct Mean<'a> {
    pub table: &'a Table,
    /// Share of each process, and the process.
    pub parts: Vec<(f64, &'a Process)>,
    /// Coefficients beside those of the kernels.
    pub terms: Vec<(Set, f64)>,
}

/// Energies of the mean.
#[derive(Clone, Debug)]
pub(crate) struct Energies {
    /// Without the constant.
    pub total: f64,
    /// Of the sets that hold a position.
    pub of_position: Vec<f64>,
    /// Of each number of positions up to what was asked; the constant's is 0.
    pub by_degree: Vec<f64>,
}

impl Mean<'_> {
    /// `m_S` of the kernels alone.
    pub fn of_kernels(&self, sets: &[Set]) -> Vec<f64> {
        let signs = Signs::of_table(self.table);
        let mut out = vec![0.0; sets.len()];
        for (share, process) in &self.parts {
            let shares = process.kernel.shares(&self.table.layout.levels);
            let empty = log_empty(process.kernel.variance, &shares);
            let products = signs.products(sets.iter(), &process.alpha);
            for ((o, set), product) in out.iter_mut().zip(sets).zip(products) {
                *o +=
                    share * process.tail * super::functionals::prior_of(&process.kernel, &shares, empty, set) * product;
            }
        }
        out
    }

    /// Energies of every pair of processes, each with the share 1, in all and by position.
    pub fn pairs(&self) -> Vec<Vec<Energies>> {
        self.of_pairs(|product, weights| {
            let (total, of_position) = product.energies(self.table, weights);
            Energies { total, of_position, by_degree: Vec::new() }
        })
    }

    /// Energies of every pair of processes by number of positions up to `degrees`.
    pub fn by_degree(&self, degrees: usize) -> Vec<Vec<Vec<f64>>> {
        self.of_pairs(|product, weights| {
            let mut by_degree = product.by_degree(self.table, weights, degrees);
            by_degree[0] = 0.0;
            by_degree
        })
    }

    fn of_pairs<T>(&self, of: impl Fn(&Product, &Matrix) -> T) -> Vec<Vec<T>> {
        let (b, levels) = (self.table.len(), &self.table.layout.levels);
        let one = |first: &Process, second: &Process| {
            let tails = 0.5 * first.tail * second.tail;
            let (x, y) = (&first.alpha, &second.alpha);
            let weights = Matrix::from_fn(b, b, |j, l| tails * (x[j] * y[l] + x[l] * y[j]));
            of(&Product::new(&first.kernel, &second.kernel, levels), &weights)
        };
        let row = |i: usize| self.parts[..=i].iter().map(|(_, other)| one(self.parts[i].1, other)).collect();
        (0..self.parts.len()).map(row).collect()
    }

    /// Energies of the mean, from those of the pairs of its processes; by number of positions where those are given.
    pub fn energies(&self, pairs: &[Vec<Energies>], by_degree: &[Vec<Vec<f64>>], degrees: usize) -> Energies {
        let n = self.table.layout.positions();
        let mut out = Energies { total: 0.0, of_position: vec![0.0; n], by_degree: vec![0.0; degrees + 1] };
        for (i, row) in pairs.iter().enumerate() {
            for (l, pair) in row.iter().enumerate() {
                let share = self.parts[i].0 * self.parts[l].0 * if i == l { 1.0 } else { 2.0 };
                out.total += share * pair.total;
                out.of_position.iter_mut().zip(&pair.of_position).for_each(|(o, e)| *o += share * e);
                if let Some(by) = by_degree.get(i) {
                    out.by_degree.iter_mut().zip(&by[l]).for_each(|(o, e)| *o += share * e);
                }
            }
        }
        self.add_terms(&mut out, degrees);
        out
    }

    fn add_terms(&self, out: &mut Energies, degrees: usize) {
        let sets: Vec<Set> = self.terms.iter().map(|t| t.0.clone()).filter(|s| !s.is_empty()).collect();
        let own = self.terms.iter().filter(|t| !t.0.is_empty()).map(|t| t.1);
        let known = if sets.is_empty() { Vec::new() } else { self.of_kernels(&sets) };
        for ((set, own), kernel) in sets.iter().zip(own).zip(known) {
            let more = own * (own + 2.0 * kernel);
            out.total += more;
            set.iter().for_each(|&i| out.of_position[usize::from(i)] += more);
            if set.len() <= degrees {
                out.by_degree[set.len()] += more;
            }
        }
    }
}

/// Posterior variances of all coefficients of a process, summed by number of positions up to `degrees` and in all, without
/// the constant, in units of the spread.
pub(crate) fn variances(process: &Process, degrees: usize) -> (f64, Vec<f64>) {
    let table = &process.table;
    let (b, levels) = (table.len(), &table.layout.levels);
    let mut inverse = Matrix::zeros(b, b);
    process.factor.inverse_into(&mut inverse).expect("one shape");
    let square = process.tail * process.tail;
    let product = Product::new(&process.kernel, &process.kernel, levels);
    let (known, _) = product.energies(table, &inverse);
    let known_by = product.by_degree(table, &inverse, degrees);
    // Prior variances: elementary symmetric polynomials of `p/(1 − p)`.
    let shares = process.kernel.shares(levels);
    let empty = log_empty(process.kernel.variance, &shares).exp();
    let mut prior = vec![0.0; degrees + 1];
    prior[0] = empty;
    for p in &shares {
        for d in (1..=degrees).rev() {
            prior[d] += prior[d - 1] * p / (1.0 - p);
        }
    }
    let mut total = process.tail * (process.kernel.variance - empty) - square * known;
    let mut by: Vec<f64> = prior.iter().zip(&known_by).map(|(p, k)| process.tail * p - square * k).collect();
    if !process.extra.is_empty() {
        let sets: Vec<Set> = process.extra.iter().map(|e| e.0.clone()).collect();
        let mut rows = Signs::of_table(table).rows(&sets);
        process.factor.solve_lower_rows_in_place(&mut rows).expect("rows of one length");
        for (s, (set, more)) in process.extra.iter().enumerate() {
            let own = super::functionals::prior_of(&process.kernel, &shares, empty.ln(), set) * process.tail;
            let square = (own + more).powi(2) - own * own;
            let add = more - square * sums::dot(rows.row(s), rows.row(s));
            total += add;
            if set.len() <= degrees {
                by[set.len()] += add;
            }
        }
    }
    by[0] = 0.0;
    (total.max(0.0), by.into_iter().map(|v| v.max(0.0)).collect())
}

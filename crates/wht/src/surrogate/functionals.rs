//! Linear functionals in closed form (row GP-3): coefficients, Möbius terms, Shapley values, interactions of two positions,
//! interactions of letters.
//!
//! Under a product kernel all of them are products over the positions, or integrals of such products over `q`: coalitions in
//! which every other position is taken with probability `q`. The integrand is a polynomial of degree `n`, for which
//! `⌈(n + 1)/2⌉` nodes of Gauss and Legendre are exact; beyond 48 positions 25 nodes agree with them to rounding wherever
//! `Σw ≤ 20`.
use samplewise_linalg::Matrix;

use super::expert::Functionals;
use super::kernel::Kernel;
use super::sets::{Set, Signs, log_empty};
use super::table::Table;

/// `X[S]` of some sets.
pub(crate) struct Coefficients<'a>(pub &'a [Set]);

/// The prior variance `λ_S` of a set.
pub(crate) fn prior_of(kernel: &Kernel, shares: &[f64], empty: f64, set: &[u16]) -> f64 {
    let ratio: f64 = set.iter().map(|&i| shares[usize::from(i)]).map(|p| p.ln() - (-p).ln_1p()).sum();
    if kernel.variance > 0.0 { (empty + ratio).exp() } else { 0.0 }
}

impl Functionals for Coefficients<'_> {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn cross(&self, kernel: &Kernel, table: &Table) -> Matrix {
        let prior = self.prior(kernel, &table.layout.levels);
        let mut out = Signs::of_table(table).rows(self.0);
        for (s, p) in prior.iter().enumerate() {
            out.row_mut(s).iter_mut().for_each(|v| *v *= p);
        }
        out
    }

    fn prior(&self, kernel: &Kernel, levels: &[usize]) -> Vec<f64> {
        let shares = kernel.shares(levels);
        let empty = log_empty(kernel.variance, &shares);
        self.0.iter().map(|set| prior_of(kernel, &shares, empty, set)).collect()
    }

    fn of_set(&self, set: &[u16], out: &mut [f64]) {
        self.0.iter().zip(out).filter(|(s, _)| s.as_slice() == set).for_each(|(_, o)| *o = 1.0);
    }
}

/// Factors of the kernel at level 1 and 0 for every point and position of a table of two levels.
fn factors(kernel: &Kernel, point: &[u8]) -> (Vec<f64>, Vec<f64>) {
    let miss = |i: usize| (-kernel.relevance[i]).exp();
    let at = |level: u8| {
        point.iter().enumerate().map(move |(i, &x)| if x == level { 1.0 } else { miss(i) }).collect::<Vec<f64>>()
    };
    (at(1), at(0))
}

/// Möbius terms `μ(S)` of `x[m] = Σ_{S⊆m} μ(S)` of some sets.
pub(crate) struct Moebius<'a>(pub &'a [Set]);

impl Functionals for Moebius<'_> {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn cross(&self, kernel: &Kernel, table: &Table) -> Matrix {
        let mut out = Matrix::zeros(self.0.len(), table.len());
        for j in 0..table.len() {
            let (one, zero) = factors(kernel, table.point(j));
            for (s, set) in self.0.iter().enumerate() {
                let mut product = kernel.variance;
                let mut members = set.iter().peekable();
                for i in 0..one.len() {
                    let inside = members.next_if(|&&m| usize::from(m) == i).is_some();
                    product *= if inside { one[i] - zero[i] } else { zero[i] };
                }
                out[(s, j)] = product;
            }
        }
        out
    }

    fn prior(&self, kernel: &Kernel, _: &[usize]) -> Vec<f64> {
        let twice = |&i: &u16| -2.0 * (-kernel.relevance[usize::from(i)]).exp_m1();
        self.0.iter().map(|set| kernel.variance * set.iter().map(twice).product::<f64>()).collect()
    }

    fn of_set(&self, set: &[u16], out: &mut [f64]) {
        for (wanted, o) in self.0.iter().zip(out) {
            if wanted.iter().all(|i| set.binary_search(i).is_ok()) {
                *o = (-2.0_f64).powi(wanted.len() as i32);
            }
        }
    }
}

/// Nodes and weights of Gauss and Legendre on `[0, 1]`.
pub(crate) fn nodes(count: usize) -> Vec<(f64, f64)> {
    (0..count)
        .map(|k| {
            let mut x = (std::f64::consts::PI * (k as f64 + 0.75) / (count as f64 + 0.5)).cos();
            let mut slope = 1.0;
            for _ in 0..100 {
                let (mut before, mut here) = (1.0, x);
                for degree in 2..=count {
                    let d = degree as f64;
                    (before, here) = (here, ((2.0 * d - 1.0) * x * here - (d - 1.0) * before) / d);
                }
                slope = if count == 0 { 1.0 } else { count as f64 * (x * here - before) / (x * x - 1.0) };
                let step = here / slope;
                x -= step;
                if step.abs() < 1e-15 {
                    break;
                }
            }
            (0.5 * (1.0 + x), 1.0 / ((1.0 - x * x) * slope * slope))
        })
        .collect()
}

/// Nodes for polynomials of this degree in `q`.
fn nodes_for(degree: usize) -> Vec<(f64, f64)> {
    let exact = degree / 2 + 1;
    nodes(if degree <= 48 { exact } else { exact.min(25) })
}

/// What an integral over `q` needs of every point: `Π_i F_i` and `(k¹ − k⁰)/F_i`, with `F = q k¹ + (1 − q) k⁰`.
fn ratios(kernel: &Kernel, table: &Table, q: f64) -> (Vec<f64>, Matrix) {
    let n = table.layout.positions();
    let miss: Vec<f64> = kernel.relevance.iter().map(|w| (-w).exp()).collect();
    let mut products = vec![kernel.variance; table.len()];
    let mut ratios = Matrix::zeros(table.len(), n);
    for j in 0..table.len() {
        let row = ratios.row_mut(j);
        for (i, &x) in table.point(j).iter().enumerate() {
            let (one, zero) = if x == 1 { (1.0, miss[i]) } else { (miss[i], 1.0) };
            let mixed = q * one + (1.0 - q) * zero;
            products[j] *= mixed;
            row[i] = (one - zero) / mixed;
        }
    }
    (products, ratios)
}

/// `Π_i g_i(q, q')` with `g = a + e^{−w}(1 − a)` and `a = qq' + (1 − q)(1 − q')`, and `g` itself.
fn agreement(kernel: &Kernel, q: f64, other: f64) -> (f64, Vec<f64>) {
    let a = q * other + (1.0 - q) * (1.0 - other);
    let g: Vec<f64> = kernel.relevance.iter().map(|w| a + (-w).exp() * (1.0 - a)).collect();
    (kernel.variance * g.iter().product::<f64>(), g)
}

/// Shapley values of all positions.
pub(crate) struct Shapley {
    pub positions: usize,
}

impl Shapley {
    /// Prior covariance of the Shapley values.
    pub fn prior_covariance(&self, kernel: &Kernel) -> Matrix {
        let n = self.positions;
        let nodes = nodes_for(n);
        let apart: Vec<f64> = kernel.relevance.iter().map(|w| -(-w).exp_m1()).collect();
        let mut out = Matrix::zeros(n, n);
        for &(q, weight) in &nodes {
            for &(other, second) in &nodes {
                let (product, g) = agreement(kernel, q, other);
                let product = product * weight * second;
                let slopes = (2.0 * q - 1.0) * (2.0 * other - 1.0);
                for i in 0..n {
                    out[(i, i)] += product * 2.0 * apart[i] / g[i];
                    for l in 0..i {
                        out[(i, l)] += product * slopes * apart[i] * apart[l] / (g[i] * g[l]);
                    }
                }
            }
        }
        for i in 0..n {
            for l in 0..i {
                out[(l, i)] = out[(i, l)];
            }
        }
        out
    }
}

impl Functionals for Shapley {
    fn count(&self) -> usize {
        self.positions
    }

    fn cross(&self, kernel: &Kernel, table: &Table) -> Matrix {
        let mut sums = Matrix::zeros(table.len(), self.positions);
        for (q, weight) in nodes_for(self.positions) {
            let (products, ratios) = ratios(kernel, table, q);
            for (j, product) in products.iter().enumerate() {
                samplewise_linalg::sums::axpy(weight * product, ratios.row(j), sums.row_mut(j));
            }
        }
        sums.transpose()
    }

    fn prior(&self, kernel: &Kernel, _: &[usize]) -> Vec<f64> {
        let mut out = vec![0.0; self.positions];
        let nodes = nodes_for(self.positions);
        for &(q, weight) in &nodes {
            for &(other, second) in &nodes {
                let (product, g) = agreement(kernel, q, other);
                let twice = 2.0 * product * weight * second;
                let apart = kernel.relevance.iter().map(|w| -(-w).exp_m1());
                out.iter_mut().zip(apart).zip(&g).for_each(|((o, a), g)| *o += twice * a / g);
            }
        }
        out
    }

    fn of_set(&self, set: &[u16], out: &mut [f64]) {
        if set.len() % 2 == 1 {
            set.iter().for_each(|&i| out[usize::from(i)] = -2.0 / set.len() as f64);
        }
    }
}

/// Which index of the interaction of two variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum PairIndex {
    /// Shapley interaction index: the mean over all orders of the variables.
    Shapley,
    /// Shapley–Taylor index of order 2.
    Taylor,
    /// Faithful Shapley index of order 2.
    Faith,
    /// Banzhaf: the mean over all coalitions of the others.
    Banzhaf,
}

/// Interactions of pairs of positions.
pub(crate) struct Pairs<'a> {
    pub index: PairIndex,
    pub pairs: &'a [(usize, usize)],
}

impl PairIndex {
    /// Nodes for `n` positions, with the weight of coalitions that take every other position with probability `q`.
    fn nodes(self, n: usize) -> Vec<(f64, f64)> {
        if self == Self::Banzhaf {
            return vec![(0.5, 1.0)];
        }
        let weight = |q: f64| match self {
            Self::Taylor => 2.0 * (1.0 - q),
            Self::Faith => 6.0 * q * (1.0 - q),
            Self::Shapley | Self::Banzhaf => 1.0,
        };
        nodes_for(n + 1).into_iter().map(|(q, w)| (q, w * weight(q))).collect()
    }

    /// The index of two members of a set with coefficient 1.
    fn of_members(self, size: usize) -> f64 {
        let d = size as f64;
        match (self, size.is_multiple_of(2)) {
            (Self::Shapley | Self::Taylor, true) => 4.0 / (d - 1.0),
            (Self::Faith, true) => 6.0 * (1.0 / (d - 1.0) - 1.0 / (d + 1.0)),
            (Self::Shapley | Self::Faith, false) => 0.0,
            (Self::Taylor, false) => 4.0 / d,
            (Self::Banzhaf, _) => 4.0 * f64::from(u8::from(size == 2)),
        }
    }
}

impl Functionals for Pairs<'_> {
    fn count(&self) -> usize {
        self.pairs.len()
    }

    fn cross(&self, kernel: &Kernel, table: &Table) -> Matrix {
        let mut out = Matrix::zeros(self.pairs.len(), table.len());
        for (q, weight) in self.index.nodes(table.layout.positions()) {
            let (products, ratios) = ratios(kernel, table, q);
            let ratios = ratios.transpose();
            for (p, &(i, l)) in self.pairs.iter().enumerate() {
                let (first, second) = (ratios.row(i), ratios.row(l));
                for (j, o) in out.row_mut(p).iter_mut().enumerate() {
                    *o += weight * products[j] * first[j] * second[j];
                }
            }
        }
        out
    }

    fn prior(&self, kernel: &Kernel, levels: &[usize]) -> Vec<f64> {
        let mut out = vec![0.0; self.pairs.len()];
        let nodes = self.index.nodes(levels.len());
        let apart: Vec<f64> = kernel.relevance.iter().map(|w| -(-w).exp_m1()).collect();
        for &(q, weight) in &nodes {
            for &(other, second) in &nodes {
                let (product, g) = agreement(kernel, q, other);
                for (o, &(i, l)) in out.iter_mut().zip(self.pairs) {
                    *o += 4.0 * product * weight * second * apart[i] * apart[l] / (g[i] * g[l]);
                }
            }
        }
        out
    }

    fn of_set(&self, set: &[u16], out: &mut [f64]) {
        let value = self.index.of_members(set.len().max(2));
        for (o, &(i, l)) in out.iter_mut().zip(self.pairs) {
            if set.binary_search(&(i as u16)).is_ok() && set.binary_search(&(l as u16)).is_ok() {
                *o = value;
            }
        }
    }
}

/// Interactions of positions at letters: the part of the function that is a function of these positions alone, of mean zero
/// over each of them, at one choice of letters. Positions ascend.
pub(crate) struct Interactions<'a>(pub &'a [(Set, Vec<u8>)]);

impl Functionals for Interactions<'_> {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn cross(&self, kernel: &Kernel, table: &Table) -> Matrix {
        let miss: Vec<f64> = kernel.relevance.iter().map(|w| (-w).exp()).collect();
        let mean = |i: usize| {
            let a = table.layout.levels[i] as f64;
            (1.0 + (a - 1.0) * miss[i]) / a
        };
        let means: Vec<f64> = (0..miss.len()).map(mean).collect();
        let whole = kernel.variance * means.iter().product::<f64>();
        let mut out = Matrix::zeros(self.0.len(), table.len());
        for (s, (set, letters)) in self.0.iter().enumerate() {
            for j in 0..table.len() {
                let point = table.point(j);
                let members = set.iter().zip(letters).map(|(&i, &letter)| {
                    let i = usize::from(i);
                    let factor = if point[i] == letter { 1.0 } else { miss[i] };
                    factor / means[i] - 1.0
                });
                out[(s, j)] = whole * members.product::<f64>();
            }
        }
        out
    }

    fn prior(&self, kernel: &Kernel, levels: &[usize]) -> Vec<f64> {
        let mean = |i: usize| {
            let a = levels[i] as f64;
            (1.0 + (a - 1.0) * (-kernel.relevance[i]).exp()) / a
        };
        let whole = kernel.variance * (0..levels.len()).map(mean).product::<f64>();
        let of = |set: &Set| set.iter().map(|&i| 1.0 / mean(usize::from(i)) - 1.0).product::<f64>();
        self.0.iter().map(|(set, _)| whole * of(set)).collect()
    }

    fn of_set(&self, set: &[u16], out: &mut [f64]) {
        for ((wanted, letters), o) in self.0.iter().zip(out) {
            if wanted.as_slice() == set {
                *o = if letters.iter().fold(0, |x, l| x ^ l) & 1 == 1 { -1.0 } else { 1.0 };
            }
        }
    }
}

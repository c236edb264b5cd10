//! How well a kernel explains the values: the negative logarithm of their density and of the prior of the parameters, with its
//! gradient (row GP-2).
//!
//! Relevances have the hierarchical prior `log w_i ~ N(m, τ²)`, `m ~ N(−3, 2²)`, with `m` integrated out: the common level is
//! free, and the spread `τ` says how different the positions may be. No evidence at the optimum can choose `τ` (it always
//! prefers the widest), which is why several are fitted and mixed by held-out points.
use samplewise_linalg::factor::Cholesky;
use samplewise_linalg::{Matrix, sums};

use super::kernel::{JITTER, Kernel};
use super::lbfgs::{Minimiser, Stop};
use super::rounds::factored;
use super::table::Table;
use super::workspace::{Workspace, shape};

/// What is known of the noise variance, in units of the spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum NoiseVariance {
    Free,
    Fixed(f64),
}

/// The objective of one table and one spread of relevances. Parameters: logarithms of the relevances of the positions that
/// vary, then of `s²`, `c` and `η`.
pub(crate) struct Evidence<'a> {
    pub table: &'a Table,
    pub spread: f64,
    pub noise: NoiseVariance,
}

/// Mean and variance of the common level of `log w`.
const LEVEL: f64 = -3.0;
const LEVEL_VARIANCE: f64 = 4.0;
/// `log s²` has this standard deviation about zero, which keeps it off infinity.
const AMPLITUDE: f64 = 4.0;
/// Ranges of `log w`, `log s²`, `log c`, `log η`.
const RANGES: [(f64, f64); 4] = [(-14.0, 2.0), (-10.0, 10.0), (-12.0, 5.0), (-18.0, 3.0)];

impl Evidence<'_> {
    /// A minimisation from the flat start, or from another kernel.
    pub fn minimiser(&self, from: Option<&Kernel>, steps: usize) -> Minimiser {
        let active = self.table.varying.len();
        let fixed = match self.noise {
            NoiseVariance::Free => None,
            NoiseVariance::Fixed(v) => Some(v.ln().max(RANGES[3].0)),
        };
        let mut start = vec![-(active.max(1) as f64).ln(); active];
        start.extend([0.0, 0.1_f64.ln(), 0.01_f64.ln()]);
        if let Some(kernel) = from {
            start = self.parameters(kernel);
        }
        let (mut low, mut high): (Vec<f64>, Vec<f64>) =
            std::iter::repeat_n(RANGES[0], active).chain(RANGES[1..].iter().copied()).unzip();
        if let Some(fixed) = fixed {
            (low[active + 2], high[active + 2]) = (fixed, fixed);
        }
        Minimiser::new(start, low, high, Stop { steps, decrease: 1e-9, gradient: 1e-5 })
    }

    fn parameters(&self, kernel: &Kernel) -> Vec<f64> {
        let logs = self.table.varying.iter().map(|&i| kernel.relevance[i].ln());
        logs.chain([kernel.variance.ln(), kernel.constant.ln(), kernel.noise.ln()]).collect()
    }

    /// The kernel of some parameters.
    pub fn kernel(&self, parameters: &[f64]) -> Kernel {
        let active = self.table.varying.len();
        // Nothing is known of positions that never vary: the function is taken not to depend on them.
        let mut relevance = vec![0.0; self.table.layout.positions()];
        self.table.varying.iter().zip(parameters).for_each(|(&i, p)| relevance[i] = p.exp());
        let [variance, constant, noise] = [0, 1, 2].map(|i| parameters[active + i].exp());
        Kernel { relevance, variance, constant, noise }
    }

    /// Value and gradient; an infinite value where the matrix cannot be factored. Cost `b³ + b²m` multiplications for `b`
    /// points and `m` columns of features.
    ///
    /// Row GP-2 of `paper-refs.md`.
    pub fn evaluate(&self, parameters: &[f64], workspace: &mut Workspace, look: &mut dyn FnMut()) -> (f64, Vec<f64>) {
        let table = self.table;
        let (b, active) = (table.len(), table.varying.len());
        let kernel = self.kernel(parameters);
        let Workspace { kernel: base, matrix, half, inverse, .. } = workspace;
        kernel.of_table_into(table, base, look);
        let mut whole = std::mem::replace(matrix, Matrix::zeros(0, 0));
        shape(&mut whole, b, b);
        whole.as_mut_slice().copy_from_slice(base.as_slice());
        let Some((alpha, factor)) = condition(&kernel, whole, table, look) else {
            return (f64::INFINITY, vec![0.0; parameters.len()]);
        };
        let logs = (0..b).map(|j| factor.lower()[(j, j)].ln()).sum::<f64>();
        let mut value = 0.5 * sums::dot(&alpha, &table.values) + logs;
        shape(half, b, b);
        shape(inverse, b, b);
        factor.lower_inverse_into(half).expect("one shape");
        Cholesky::inverse_from_half(half, inverse).expect("one shape");
        *matrix = factor.into_lower();
        look();
        // G = K⁻¹ − ααᵀ, and T = G ∘ s² exp(−D) in its place.
        let (mut sum, mut trace, mut noisy) = (0.0, 0.0, 0.0);
        for j in 0..b {
            let row = inverse.row_mut(j);
            sums::axpy(-alpha[j], &alpha, row);
            sum += sums::sum(row);
            trace += row[j];
            noisy += row[j] / table.repeats[j];
            row.iter_mut().zip(base.row(j)).for_each(|(g, e)| *g *= e);
        }
        let total = sums::sum(inverse.as_slice());
        let mismatch = table.mismatches(inverse);
        let mut gradient: Vec<f64> = table.varying.iter().map(|&i| -0.5 * kernel.relevance[i] * mismatch[i]).collect();
        gradient.push(0.5 * (total + JITTER * kernel.variance * trace));
        gradient.push(0.5 * kernel.constant * sum);
        gradient.push(0.5 * kernel.noise * noisy);
        // Repeats: the density of the values about the mean of their point.
        let more: f64 = table.repeats.iter().map(|r| r - 1.0).sum();
        if more > 0.0 {
            value += 0.5 * (more * kernel.noise.ln() + table.within / kernel.noise);
            gradient[active + 2] += 0.5 * (more - table.within / kernel.noise);
        }
        if matches!(self.noise, NoiseVariance::Fixed(_)) {
            gradient[active + 2] = 0.0;
        }
        self.add_priors(parameters, &mut value, &mut gradient);
        (value, gradient)
    }

    fn add_priors(&self, parameters: &[f64], value: &mut f64, gradient: &mut [f64]) {
        let active = self.table.varying.len();
        let logs = &parameters[..active];
        let (variance, sum) = (self.spread * self.spread, logs.iter().map(|l| l - LEVEL).sum::<f64>());
        let shared = LEVEL_VARIANCE / (variance + active as f64 * LEVEL_VARIANCE);
        let squares: f64 = logs.iter().map(|l| (l - LEVEL).powi(2)).sum();
        *value += 0.5 / variance * (squares - shared * sum * sum);
        gradient.iter_mut().zip(logs).for_each(|(g, l)| *g += (l - LEVEL - shared * sum) / variance);
        let amplitude = parameters[active];
        *value += 0.5 * (amplitude / AMPLITUDE).powi(2);
        gradient[active] += amplitude / (AMPLITUDE * AMPLITUDE);
    }
}

/// `α = K⁻¹z` and the factor of `K = s² exp(−D) + c + noise`, in place of `s² exp(−D)`; none where `K` cannot be factored.
/// `look` is called every few hundredths of a second.
pub(crate) fn condition(
    kernel: &Kernel,
    mut matrix: Matrix,
    table: &Table,
    look: &mut dyn FnMut(),
) -> Option<(Vec<f64>, Cholesky)> {
    look();
    matrix.as_mut_slice().iter_mut().for_each(|v| *v += kernel.constant);
    for (j, repeats) in table.repeats.iter().enumerate() {
        matrix[(j, j)] += kernel.nugget(*repeats);
    }
    let factor = factored(matrix, look)?;
    let mut alpha = table.values.clone();
    factor.solve_in_place(&mut alpha);
    alpha.iter().all(|a| a.is_finite()).then_some((alpha, factor))
}

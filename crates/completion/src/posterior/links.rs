//! What was observed says something by itself: the prior mean of a row moves by its share of the vectors of the columns
//! that it has entries in (the implicit feedback of SVD++, here with a prior and drawn).
use pulp::bytemuck;
use rand::Rng;
use samplewise_linalg::batched::lanes::Lanes;
use samplewise_linalg::{LinalgError, Matrix, factor};

use super::prior::{Prior, gamma, normal, solve_lower_transpose};
use crate::data::entries::Orientation;

/// `shift_i = |Ω_i|^{-1/2} Σ_{j ∈ Ω_i} β_j`, with `β_j ~ N(0, (λ Λ)⁻¹)`.
#[derive(Clone, Debug)]
pub(super) struct Links {
    beta: Matrix,
    precision: f64,
}

/// `λ` before the first draw.
const FIRST: f64 = 10.0;

impl Links {
    pub fn new(others: usize, d: usize) -> Self {
        Self { beta: Matrix::zeros(others, d), precision: FIRST }
    }

    /// `β` and `λ`.
    pub fn parts(&self) -> (&Matrix, f64) {
        (&self.beta, self.precision)
    }

    /// Draws every `β_j` in turn given the others, then `λ`, and makes the shifts of the rows `x` anew.
    ///
    /// In coordinates where `Λ` is the identity the components of `β_j` are independent and share one precision, so that a
    /// draw costs `3|Ω|d` multiplications.
    pub fn draw<R: Rng + ?Sized>(
        &mut self,
        own: &Orientation,
        other: &Orientation,
        x: &Matrix,
        prior: &Prior,
        shift: &mut Matrix,
        rng: &mut R,
    ) -> Result<(), LinalgError> {
        let (n, d) = (x.rows(), x.columns());
        let factor = factor::Cholesky::new(&prior.precision, 0.0)?;
        let lower = factor.lower();
        let weights: Vec<f32> = (0..n).map(|i| (own.count(i).max(1) as f32).sqrt().recip()).collect();
        let centred = Matrix::from_fn(n, d, |i, c| x[(i, c)] - prior.mean[c]).multiply(lower)?;
        let mut beta = self.beta.multiply(lower)?;
        let mut rest = Rows::copy(&centred);
        let mut vectors = Rows::copy(&beta);
        let mut noise = Rows::zeros(beta.rows(), d);
        (0..beta.rows()).for_each(|j| noise.row_mut(j)[..d].iter_mut().for_each(|z| *z = normal(rng) as f32));
        let (weights, precision) = (&weights[..], self.precision);
        pulp::Arch::new().dispatch(Sweep {
            own,
            other,
            weights,
            precision,
            noise: &noise,
            vectors: &mut vectors,
            rest: &mut rest,
        });
        (0..beta.rows()).for_each(|j| vectors.copy_row_to(j, beta.row_mut(j)));
        let squares: f64 = beta.as_slice().iter().map(|b| b * b).sum();
        self.precision = gamma(f64::midpoint(1.0, beta.as_slice().len() as f64), 2.0 / (1.0 + squares), rng);
        // Back: rows were multiplied by L from the right.
        for j in 0..beta.rows() {
            solve_lower_transpose(lower, beta.row_mut(j));
        }
        self.beta = beta;
        for i in 0..n {
            let row = shift.row_mut(i);
            rest.copy_row_to(i, row);
            row.iter_mut().zip(centred.row(i)).for_each(|(s, c)| *s = c - *s);
            solve_lower_transpose(lower, row);
        }
        Ok(())
    }
}

/// Rows padded with zeros to whole registers of any width.
struct Rows {
    data: Vec<f32>,
    width: usize,
}

impl Rows {
    fn zeros(rows: usize, columns: usize) -> Self {
        let width = columns.next_multiple_of(16);
        Self { data: vec![0.0; rows * width], width }
    }

    fn copy(matrix: &Matrix) -> Self {
        let mut out = Self::zeros(matrix.rows(), matrix.columns());
        for i in 0..matrix.rows() {
            out.row_mut(i).iter_mut().zip(matrix.row(i)).for_each(|(a, b)| *a = *b as f32);
        }
        out
    }

    fn row_mut(&mut self, i: usize) -> &mut [f32] {
        &mut self.data[i * self.width..(i + 1) * self.width]
    }

    fn copy_row_to(&self, i: usize, to: &mut [f64]) {
        let row = &self.data[i * self.width..(i + 1) * self.width];
        to.iter_mut().zip(row).for_each(|(a, b)| *a = f64::from(*b));
    }
}

/// Every vector once, given the others, on the widest registers.
struct Sweep<'a> {
    own: &'a Orientation,
    other: &'a Orientation,
    weights: &'a [f32],
    precision: f64,
    noise: &'a Rows,
    vectors: &'a mut Rows,
    /// Rows of the side in, what the shifts leave of them out.
    rest: &'a mut Rows,
}

impl pulp::WithSimd for Sweep<'_> {
    type Output = ();

    /// Columns are independent, and go through in as many registers as stay in registers.
    #[inline(always)]
    fn with_simd<S: pulp::Simd>(mut self, s: S) {
        let registers = self.rest.width / <S as Lanes<f32>>::WIDTH;
        let mut v = 0;
        while v < registers {
            v += match registers - v {
                4.. => self.columns::<S, 4>(s, v),
                2.. => self.columns::<S, 2>(s, v),
                _ => self.columns::<S, 1>(s, v),
            };
        }
    }
}

impl Sweep<'_> {
    /// The columns in `R` registers from `v`.
    #[inline(always)]
    fn columns<S: Lanes<f32>, const R: usize>(&mut self, s: S, v: usize) -> usize {
        let Self { own, other, weights, precision, noise, vectors, rest } = self;
        let stride = rest.width / S::WIDTH;
        let noise: &[S::V] = bytemuck::cast_slice(&noise.data);
        let vectors: &mut [S::V] = bytemuck::cast_slice_mut(&mut vectors.data);
        let rest: &mut [S::V] = bytemuck::cast_slice_mut(&mut rest.data);
        let (one, zero) = (s.splat(1.0), s.splat(0.0));
        for (i, &weight) in weights.iter().enumerate() {
            let mut sum = [zero; R];
            for &j in &own.values.indices()[own.values.row_range(i)] {
                let at = j as usize * stride + v;
                add(s, one, &vectors[at..at + R], &mut sum);
            }
            let at = i * stride + v;
            add(s, s.splat(-weight), &sum, &mut rest[at..at + R]);
        }
        for j in 0..other.values.rows() {
            let rows = &other.values.indices()[other.values.row_range(j)];
            let mut share = 0.0;
            let mut sum = [zero; R];
            for &i in rows {
                let (weight, at) = (weights[i as usize], i as usize * stride + v);
                share += f64::from(weight * weight);
                add(s, s.splat(weight), &rest[at..at + R], &mut sum);
            }
            let total = *precision + share;
            let (inverse, share, deviation) = ((1.0 / total) as f32, share as f32, total.sqrt().recip() as f32);
            let at = j * stride + v;
            for r in 0..R {
                let old = vectors[at + r];
                let mean = s.mul(s.splat(inverse), s.add_product(s.splat(share), old, sum[r]));
                let new = s.add_product(s.splat(deviation), noise[at + r], mean);
                sum[r] = s.sub(old, new);
                vectors[at + r] = new;
            }
            for &i in rows {
                let at = i as usize * stride + v;
                add(s, s.splat(weights[i as usize]), &sum, &mut rest[at..at + R]);
            }
        }
        R
    }
}

#[inline(always)]
fn add<S: Lanes<f32>>(s: S, factor: S::V, from: &[S::V], to: &mut [S::V]) {
    for (t, f) in to.iter_mut().zip(from) {
        *t = s.add_product(factor, *f, *t);
    }
}

#[cfg(test)]
mod tests {
    use samplewise_linalg::random::Streams;

    use super::*;
    use crate::Entries;

    /// COM-11: the first vector, given the others, has its mean and covariance; shifts are what the vectors add up to.
    #[test]
    fn links_are_drawn_from_their_conditional() {
        let (n, p, d, draws) = (9, 4, 3, 4_000);
        let s = Streams::new(8);
        let seen: Vec<(usize, usize, f64)> = (0..n * p)
            .filter(|c| c % p == 0 && c / p < 6 || s.uniform(*c as u64) < 0.5)
            .map(|c| (c / p, c % p, 0.0))
            .collect();
        let entries = Entries::new(n, p, &seen, None).unwrap();
        let x = Matrix::from_fn(n, d, |i, c| s.uniform((100 + i * d + c) as u64));
        let mut prior = Prior::new(d);
        prior.precision = Matrix::from_vec(3, 3, vec![2.0, 0.5, 0.0, 0.5, 1.0, -0.3, 0.0, -0.3, 1.5]).unwrap();
        prior.mean = vec![0.1, -0.2, 0.3];
        let first = Links { beta: Matrix::from_fn(p, d, |j, c| s.uniform((300 + j * d + c) as u64)), precision: 0.7 };
        let weight = |i: usize| (seen.iter().filter(|e| e.0 == i).count() as f64).sqrt().recip();
        let (mut total, mut mean) = (0.7, vec![0.0; d]);
        for &(i, ..) in seen.iter().filter(|e| e.1 == 0) {
            total += weight(i).powi(2);
            for c in 0..d {
                let others = seen.iter().filter(|e| e.0 == i && e.1 != 0);
                let others: f64 = others.map(|e| weight(i) * first.beta[(e.1, c)]).sum();
                mean[c] += weight(i) * (x[(i, c)] - prior.mean[c] - others);
            }
        }
        let factor = factor::Cholesky::new(&prior.precision, 0.0).unwrap();
        let (mut sums, mut products) = (vec![0.0; d], Matrix::<f64>::zeros(d, d));
        let mut rng = s.stream(0);
        for _ in 0..draws {
            let (mut links, mut shift) = (first.clone(), Matrix::zeros(n, d));
            links.draw(&entries.by_row, &entries.by_column, &x, &prior, &mut shift, &mut rng).unwrap();
            for c in 0..d {
                let e = links.beta[(0, c)] - mean[c] / total;
                sums[c] += e / f64::from(draws);
                for r in 0..d {
                    products[(r, c)] += e * (links.beta[(0, r)] - mean[r] / total) / f64::from(draws);
                }
                for i in 0..n {
                    let sum: f64 = seen.iter().filter(|e| e.0 == i).map(|e| weight(i) * links.beta[(e.1, c)]).sum();
                    assert!((shift[(i, c)] - sum).abs() < 1e-5, "row {i}");
                }
            }
        }
        for c in 0..d {
            let mut e = vec![0.0; d];
            e[c] = 1.0 / total;
            factor.solve_in_place(&mut e);
            // Five standard errors: a false alarm in 6e-7 per number.
            assert!(sums[c].abs() < 5.0 * (e[c] / f64::from(draws)).sqrt(), "mean {c}: {}", sums[c]);
            for r in 0..d {
                let scale = (products[(r, r)] * products[(c, c)]).sqrt();
                assert!((products[(r, c)] - e[r]).abs() < 5.0 * 1.5 * scale / f64::from(draws).sqrt(), "{r} {c}");
            }
        }
    }
}

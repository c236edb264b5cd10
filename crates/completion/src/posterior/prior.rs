//! The prior of one side: rows normal around a mean, mean and precision normal-Wishart, drawn given the rows.
use rand::Rng;
use rand_distr::{Distribution, Gamma, StandardNormal};
use samplewise_linalg::{LinalgError, Matrix, factor, gram};

/// `x_i ~ N(m + shift_i, Λ⁻¹)`.
#[derive(Clone, Debug)]
pub(super) struct Prior {
    pub mean: Vec<f64>,
    pub precision: Matrix,
}

/// Rows that the mean of the prior's mean counts for.
const MEAN_WEIGHT: f64 = 2.0;

impl Prior {
    pub fn new(d: usize) -> Self {
        Self { mean: vec![0.0; d], precision: Matrix::identity(d) }
    }

    /// A draw given the rows and the vectors `β_j ~ N(0, (λΛ)⁻¹)` of `links`, `(β, λ)`: `Λ ~ Wishart`, `m ~ N(·, (β + n)⁻¹ Λ⁻¹)`, with `β = 2` rows of zeros, `d` degrees of freedom
    /// and the identity as scale before the data (Salakhutdinov and Mnih 2008, equation 14).
    pub fn draw<R: Rng + ?Sized>(
        &mut self,
        x: &Matrix,
        shift: &Matrix,
        links: Option<(&Matrix, f64)>,
        rng: &mut R,
    ) -> Result<(), LinalgError> {
        let (n, d) = (x.rows(), x.columns());
        let count = n as f64;
        let total = MEAN_WEIGHT + count;
        let mut rest = Matrix::from_fn(n, d, |i, c| x[(i, c)] - shift[(i, c)]);
        let mut mean = vec![0.0; d];
        for i in 0..n {
            mean.iter_mut().zip(rest.row(i)).for_each(|(m, e)| *m += e / count);
        }
        for i in 0..n {
            rest.row_mut(i).iter_mut().zip(&mean).for_each(|(e, m)| *e -= m);
        }
        let mut scatter = gram::gram(&rest, None, None)?.matrix;
        for r in 0..d {
            for c in 0..d {
                scatter[(r, c)] += MEAN_WEIGHT * count / total * mean[r] * mean[c];
            }
            scatter[(r, r)] += 1.0;
        }
        let mut freedom = d as f64 + count;
        if let Some((vectors, precision)) = links {
            freedom += vectors.rows() as f64;
            let more = gram::gram(vectors, None, None)?.matrix;
            scatter.as_mut_slice().iter_mut().zip(more.as_slice()).for_each(|(s, g)| *s += precision * g);
        }
        self.precision = wishart(&scatter, freedom, rng)?;
        let lower = factor::Cholesky::new(&self.precision, 0.0)?;
        let scale = total.sqrt().recip();
        let mut noise: Vec<f64> = (0..d).map(|_| scale * normal(rng)).collect();
        solve_lower_transpose(lower.lower(), &mut noise);
        self.mean = mean.iter().zip(noise).map(|(m, z)| count * m / total + z).collect();
        Ok(())
    }
}

/// Wishart with the inverse of `scatter` as scale, by Bartlett: with `S = C Cᵀ` and a lower triangle `T` of normal numbers,
/// roots of chi-squares on its diagonal, `C⁻ᵀ T Tᵀ C⁻¹`.
fn wishart<R: Rng + ?Sized>(scatter: &Matrix, freedom: f64, rng: &mut R) -> Result<Matrix, LinalgError> {
    let d = scatter.rows();
    let lower = factor::Cholesky::new(scatter, 0.0)?;
    let mut t = Matrix::zeros(d, d);
    for r in 0..d {
        t[(r, r)] = gamma((freedom - r as f64) / 2.0, 2.0, rng).sqrt();
        for c in 0..r {
            t[(r, c)] = normal(rng);
        }
    }
    // Rows of the transpose are columns of C⁻ᵀ T.
    let mut columns = t.transpose();
    for c in 0..d {
        solve_lower_transpose(lower.lower(), columns.row_mut(c));
    }
    let root = columns.transpose();
    root.multiply(&columns)
}

/// Solves `Lᵀ x = b` in place.
pub(super) fn solve_lower_transpose(lower: &Matrix, b: &mut [f64]) {
    for i in (0..b.len()).rev() {
        let x = b[i] / lower[(i, i)];
        b[i] = x;
        b[..i].iter_mut().zip(lower.row(i)).for_each(|(b, l)| *b -= x * l);
    }
}

pub(super) fn normal<R: Rng + ?Sized>(rng: &mut R) -> f64 {
    StandardNormal.sample(rng)
}

/// A gamma number of this shape and scale, both positive.
pub(super) fn gamma<R: Rng + ?Sized>(shape: f64, scale: f64, rng: &mut R) -> f64 {
    Gamma::new(shape, scale).map_or(shape * scale, |g| g.sample(rng))
}

#[cfg(test)]
mod tests {
    use samplewise_linalg::random::Streams;

    use super::*;

    /// COM-11: the mean of Wishart draws is the degrees of freedom times the scale, and their spread is the known one.
    #[test]
    fn wishart_draws_have_their_moments() {
        let scatter = Matrix::from_vec(3, 3, vec![2.0, 0.5, 0.0, 0.5, 1.0, -0.3, 0.0, -0.3, 1.5]).unwrap();
        let (freedom, draws) = (9.0_f64, 20_000);
        let mut rng = Streams::new(3).stream(0);
        let (mut mean, mut square) = (Matrix::<f64>::zeros(3, 3), Matrix::<f64>::zeros(3, 3));
        for _ in 0..draws {
            let w = wishart(&scatter, freedom, &mut rng).unwrap();
            for r in 0..3 {
                for c in 0..3 {
                    mean[(r, c)] += w[(r, c)] / f64::from(draws);
                    square[(r, c)] += w[(r, c)].powi(2) / f64::from(draws);
                }
            }
        }
        let factor = factor::Cholesky::new(&scatter, 0.0).unwrap();
        let scale: Matrix = Matrix::from_fn(3, 3, |r, c| {
            let mut e = vec![0.0; 3];
            e[c] = 1.0;
            factor.solve_in_place(&mut e);
            e[r]
        });
        for r in 0..3 {
            for c in 0..3 {
                let variance = freedom * (scale[(r, c)].powi(2) + scale[(r, r)] * scale[(c, c)]);
                // Five standard errors: a false alarm in 3e-7 per number.
                let error = 5.0 * (variance / f64::from(draws)).sqrt();
                assert!((mean[(r, c)] - freedom * scale[(r, c)]).abs() < error, "{r} {c}");
                let found = square[(r, c)] - mean[(r, c)].powi(2);
                assert!((found / variance - 1.0).abs() < 0.1, "{r} {c}: {found} for {variance}");
            }
        }
    }
}

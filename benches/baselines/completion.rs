//! Published matrix completion methods in short, as baselines: find `X = U Vᵀ` of a given rank from the entries of `M`
//! in `Ω`.
//!
//! Own versions of the plain algorithms, one thread, `f64`. All start from the truncated SVD of `P_Ω(M)/p` except
//! [`sgd`]; all stop when `‖P_Ω(X − M)‖ ≤ tolerance · ‖P_Ω(M)‖` or after `max_iterations`. Work is counted in floors: one
//! floor is one residual pass over the entries, `2 |Ω| rank` flops. Work that does not touch the entries (QR, small
//! SVDs, `rank × rank` systems) is not counted, which favours the baselines.

mod dense;

use dense::*;

/// One observed entry: row, column, value.
pub type Entry = (usize, usize, f64);

/// What every method is given; `2 rank ≤ rows, columns`, and no position twice.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    pub rows: usize,
    pub columns: usize,
    pub rank: usize,
    pub entries: &'a [Entry],
    /// Outer iterations at most: pairs of half steps, least-squares problems, gradient steps or epochs.
    pub max_iterations: usize,
    /// Relative residual on the entries to stop at.
    pub tolerance: f64,
}

/// Every method with its name.
pub const METHODS: [(&str, fn(&Input<'_>) -> Fit); 7] = [
    ("als", als),
    ("gauss_newton", gauss_newton),
    ("r2rils", r2rils),
    ("gnmr", gnmr),
    ("matrix_irls", matrix_irls),
    ("scaled_gd", scaled_gd),
    ("sgd", sgd),
];

/// A completed matrix, `X[i, j] = u_i · v_j`.
pub struct Fit {
    /// Left factor, `rows × rank`, row-major.
    pub u: Vec<f64>,
    /// Right factor, `columns × rank`, row-major.
    pub v: Vec<f64>,
    /// Work in residual passes over the entries, the start included.
    pub floors: f64,
    /// Outer iterations.
    pub iterations: usize,
}

/// Power steps of the spectral start.
const START_STEPS: usize = 15;
/// Columns of a power block beyond the rank.
const EXTRA_COLUMNS: usize = 5;

/// Alternating least squares: exact rows of `U` for fixed `V`, then the reverse.
///
/// Jain, Netrapalli, Sanghavi, "Low-rank matrix completion using alternating minimization", 2013, arXiv:1212.0467,
/// without the splitting of the samples over the iterations, as everybody runs it.
pub fn als(input: &Input<'_>) -> Fit {
    let Input { rank, max_iterations, tolerance, .. } = *input;
    let mut p = Problem::new(input);
    let (mut u, _, mut v) = p.spectral_start();
    for iteration in 1..=max_iterations {
        solve_rows(&p.by_row, &v, rank, &mut u);
        solve_rows(&p.by_column, &u, rank, &mut v);
        // Per half step (k + 1)/2 passes for the Gram matrices and one for the right sides.
        p.floors += rank as f64 + 3.0;
        if p.relative_residual(&u, &v) <= tolerance {
            return p.fit(u, v, iteration);
        }
    }
    p.fit(u, v, max_iterations)
}

/// Gauss-Newton on the manifold of rank `k`: least squares on the tangent space at the iterate, then the truncated SVD.
///
/// The model is that of Vandereycken, "Low-rank matrix completion by Riemannian optimization", 2013, arXiv:1209.3834,
/// with plain Gauss-Newton steps in place of nonlinear conjugate gradients; no damping, no line search.
pub fn gauss_newton(input: &Input<'_>) -> Fit {
    let Input { rows, rank, max_iterations, tolerance, .. } = *input;
    let mut p = Problem::new(input);
    let (mut u, mut s, mut v) = p.spectral_start();
    for iteration in 1..=max_iterations {
        let residual = p.residual(&scale_columns(&u, &s), &v);
        let relative = norm(&residual) / p.norm;
        if relative <= tolerance {
            return p.fit(scale_columns(&u, &s), v, iteration - 1);
        }
        // Exact solves of the nearly singular early systems throw the iterate far away.
        let (inner, cap) = if relative > 1e-2 { (0.1, 30) } else { ((0.3 * tolerance / relative).min(0.1), 300) };
        let step = p.least_squares(&u, &v, residual, inner, cap);
        let (du, dv) = step.split_at(rows * rank);
        // U S Vᵀ + dU Vᵀ + U dVᵀ = [U S + dU, U] [V, dV]ᵀ
        let left = beside(&add(&scale_columns(&u, &s), 1.0, du), &u, rank);
        (u, s, v) = truncate(&left, &beside(&v, dv, rank), 2 * rank, rank);
    }
    p.fit(scale_columns(&u, &s), v, max_iterations)
}

/// R2RILS: least squares for a matrix `A Vᵀ + U Bᵀ` of rank `2k`, then the average of old and new column directions.
///
/// Bauch, Nadler, Zilber, "Rank 2r iterative least squares: efficient recovery of ill-conditioned low rank matrices from
/// few entries", 2021, arXiv:2002.01849.
pub fn r2rils(input: &Input<'_>) -> Fit {
    let mut p = Problem::new(input);
    let (u, _, v) = p.spectral_start();
    let k = input.rank;
    rank_2k(p, input, u, v, 0.0, |old, new| unit_columns(&add(old, 1.0, &unit_columns(new, k)), k))
}

/// GNMR, the "setting" variant: `U, V` become the solution `A, B` of least norm of `P_Ω(A Vᵀ + U Bᵀ − U Vᵀ) = P_Ω(M)`.
///
/// Zilber, Nadler, "GNMR: a provable one-line algorithm for low rank matrix recovery", 2022, arXiv:2106.12933. `U Vᵀ`
/// itself does not converge, since the steps keep exchanging `UᵀU` and `VᵀV`; the matrix of rank `2k` does.
pub fn gnmr(input: &Input<'_>) -> Fit {
    let mut p = Problem::new(input);
    let (u, v) = p.balanced_start();
    rank_2k(p, input, u, v, 1.0, |_, new| new.to_vec())
}

/// Repeats: solve `P_Ω(A Vᵀ + U Bᵀ − shift · U Vᵀ) = P_Ω(M)` with the least norm, by LSQR from zero, then
/// `U = update(U, A)`, `V = update(V, B)`. The answer is the best rank `k` of that matrix with the least residual.
fn rank_2k(
    mut p: Problem,
    input: &Input<'_>,
    mut u: Vec<f64>,
    mut v: Vec<f64>,
    shift: f64,
    update: impl Fn(&[f64], &[f64]) -> Vec<f64>,
) -> Fit {
    let k = input.rank;
    let (mut best_u, mut best_v, mut best, mut last) = (u.clone(), v.clone(), f64::INFINITY, f64::INFINITY);
    for iteration in 1..=input.max_iterations {
        let mut target = p.values();
        if shift != 0.0 {
            // P_Ω(U Vᵀ) = P_Ω(M) − residual
            let residual = p.residual(&u, &v);
            target.iter_mut().zip(residual).for_each(|(t, r)| *t += shift * (*t - r));
        }
        let solution = p.least_squares(&u, &v, target, (last * last).min(INNER_TOLERANCE), INNER_CAP);
        let (a, b) = solution.split_at(input.rows * k);
        let (left, right) = (beside(a, &u, k), beside(&v, &add(b, -shift, &v), k));
        let (x, s, y) = truncate(&left, &right, 2 * k, k);
        let x = scale_columns(&x, &s);
        last = p.relative_residual(&x, &y);
        if last < best {
            (best, best_u, best_v) = (last, x, y);
        }
        if best <= input.tolerance {
            return p.fit(best_u, best_v, iteration);
        }
        (u, v) = (update(&u, a), update(&v, b));
    }
    p.fit(best_u, best_v, input.max_iterations)
}

/// First accuracy of the inner LSQR of [`r2rils`] and [`gnmr`], later the square of the relative residual. Tuned at
/// 1000 × 1000, rank 5, 1.75 entries per degree of freedom: the 1e-5 of the authors' R2RILS costs 10 (R2RILS) and 18
/// (GNMR) times the floors of 3e-2, with equal success.
const INNER_TOLERANCE: f64 = 3e-2;
/// Steps of that LSQR at most, as in the authors' R2RILS. With 300 both fail at 1.5 entries per degree of freedom.
const INNER_CAP: usize = 1000;

/// MatrixIRLS: iteratively reweighted least squares for the smoothed `log det`, `ε = min(ε, σ_{k+1}(X))`.
///
/// Kümmerle, Mayrink Verdun, "A scalable second order method for ill-conditioned matrix completion from few samples",
/// 2021, arXiv:2106.02119. The iterate is kept as a tangent part `γ` at its top `k` singular vectors plus the sparse
/// residual `P_Ω(M − γ)`, and `γ` solves `(ε² D⁻¹ + A*A) γ = A* M` with `A` the restriction of the tangent space to `Ω`
/// and `D` equal to `σ_i σ_j − ε²` on the core `U G Vᵀ` and `σ_i ε − ε²` beside it.
pub fn matrix_irls(input: &Input<'_>) -> Fit {
    let Input { rows, columns, rank: k, max_iterations, tolerance, .. } = *input;
    let mut p = Problem::new(input);
    let width = (k + EXTRA_COLUMNS).min(rows).min(columns);
    let mut rng = Random(2);
    let start = rng.normals(columns * width);
    let (mut u_all, mut s, mut v_all) = p.top_svd(&p.values(), (&[], &[], 0), start, START_STEPS);
    let mut epsilon = f64::INFINITY;
    let (mut u, mut v) = (Vec::new(), Vec::new());
    for iteration in 1..=max_iterations {
        (u, v) = (first_columns(&u_all, width, k), first_columns(&v_all, width, k));
        epsilon = epsilon.min(*s.get(k).unwrap_or(&0.0)).min(s[0]);
        // ε² D⁻¹ in the coordinates [G; C; B]; D = 0 where σ_i = ε, so it is kept off zero.
        let inverse = |a: f64, b: f64| epsilon * epsilon / (a * b - epsilon * epsilon).max(1e-12 * s[0] * s[0]);
        let mut weights: Vec<f64> = (0..k * k).map(|c| inverse(s[c / k], s[c % k])).collect();
        weights.extend((0..(rows + columns) * k).map(|c| inverse(s[c % k], epsilon)));
        let mut diagonal = vec![0.0; k * k + (rows + columns) * k];
        (0..k).for_each(|i| diagonal[i * k + i] = s[i]);
        let gamma = p.weighted_tangent_solve(&u, &v, &weights, diagonal);
        let lifted = lift(&u, &gamma, k);
        let sparse: Vec<f64> = p.values().iter().zip(p.tangent(&u, &v, &lifted)).map(|(m, t)| m - t).collect();
        let (a, b) = lifted.split_at(rows * k);
        let (left, right) = (beside(a, &u, k), beside(&v, b, k));
        let (x, t, y) = truncate(&left, &right, 2 * k, k);
        let x = scale_columns(&x, &t);
        if p.relative_residual(&x, &y) <= tolerance {
            return p.fit(x, y, iteration);
        }
        let mut block = v_all;
        for row in block.chunks_exact_mut(width) {
            row[k + 1..].iter_mut().for_each(|x| *x = rng.normal() / (columns as f64).sqrt());
        }
        (u_all, s, v_all) = p.top_svd(&sparse, (&left, &right, 2 * k), block, IRLS_STEPS);
    }
    p.fit(scale_columns(&u, &s[..k]), v, max_iterations)
}

/// Power steps per outer iteration of [`matrix_irls`].
const IRLS_STEPS: usize = 4;

/// Scaled gradient descent: the gradient in `U` times `(VᵀV)⁻¹` and the reverse, step `0.5/p`.
///
/// Tong, Ma, Chi, "Accelerating ill-conditioned low-rank matrix estimation via scaled gradient descent", 2021,
/// arXiv:2005.08898, without the projection on incoherent factors. A step that raises the residual is halved.
pub fn scaled_gd(input: &Input<'_>) -> Fit {
    let Input { rows, rank, max_iterations, tolerance, .. } = *input;
    let mut p = Problem::new(input);
    let (mut u, mut v) = p.balanced_start();
    let full_step = 0.5 / p.density();
    let mut step = full_step;
    let mut residual = p.residual(&u, &v);
    for iteration in 1..=max_iterations {
        let gradient = p.adjoint(&u, &v, &residual);
        let (gu, gv) = gradient.split_at(rows * rank);
        let (du, dv) = (times_inverse(gu, &gram(&v, rank), rank), times_inverse(gv, &gram(&u, rank), rank));
        let before = norm(&residual);
        loop {
            let (next_u, next_v) = (add(&u, step, &du), add(&v, step, &dv));
            residual = p.residual(&next_u, &next_v);
            if norm(&residual) <= before || step < 1e-6 * full_step {
                (u, v) = (next_u, next_v);
                break;
            }
            step *= 0.5;
        }
        step = (1.5 * step).min(full_step);
        if norm(&residual) <= tolerance * p.norm {
            return p.fit(u, v, iteration);
        }
    }
    p.fit(u, v, max_iterations)
}

/// Learning rate of the first epoch of [`sgd`], for entries of unit mean square.
const LEARNING_RATE: f64 = 0.03;
/// Epochs after which that rate is halved, then divided by three, and so on.
const RATE_EPOCHS: f64 = 30.0;
/// Ridge on both factors per update, for entries of unit mean square.
const RIDGE: f64 = 0.02;

/// Stochastic gradient descent over the entries in random order, without bias terms; one iteration is one epoch.
///
/// The factor model of Koren, Bell, Volinsky, "Matrix factorization techniques for recommender systems", 2009. Meant for
/// noisy data: its ridge and its learning rate `1/epoch` keep it from high accuracy.
pub fn sgd(input: &Input<'_>) -> Fit {
    let Input { rows, columns, rank, entries, max_iterations, tolerance } = *input;
    let mut p = Problem::new(input);
    let mut rng = Random(3);
    let scale = (p.norm / (entries.len() as f64).sqrt()).max(f64::MIN_POSITIVE);
    let spread = 0.5 * (rank as f64).powf(-0.25);
    let mut draw = |count: usize| rng.normals(count).into_iter().map(|x| spread * x).collect::<Vec<f64>>();
    let (mut u, mut v) = (draw(rows * rank), draw(columns * rank));
    let mut order = p.by_row.clone();
    for iteration in 1..=max_iterations {
        let rate = LEARNING_RATE / (1.0 + (iteration - 1) as f64 / RATE_EPOCHS);
        for i in (1..order.len()).rev() {
            order.swap(i, rng.below(i + 1));
        }
        let mut squares = 0.0;
        for &(i, j, value) in &order {
            let (x, y) = (&mut u[i * rank..][..rank], &mut v[j * rank..][..rank]);
            let error = value / scale - dot(x, y);
            squares += error * error;
            for (a, b) in x.iter_mut().zip(y) {
                (*a, *b) = (*a + rate * (error * *b - RIDGE * *a), *b + rate * (error * *a - RIDGE * *b));
            }
        }
        p.floors += 3.0;
        if squares.sqrt() * scale <= tolerance * p.norm {
            return p.fit(scaled(&u, scale), v, iteration);
        }
    }
    p.fit(scaled(&u, scale), v, max_iterations)
}

/// The entries in both orders, and the work done on them.
struct Problem {
    rows: usize,
    columns: usize,
    rank: usize,
    by_row: Vec<Entry>,
    /// As `(column, row, value)`.
    by_column: Vec<Entry>,
    norm: f64,
    floors: f64,
}

impl Problem {
    fn new(input: &Input<'_>) -> Self {
        let Input { rows, columns, rank, entries, .. } = *input;
        let mut by_row = entries.to_vec();
        by_row.sort_unstable_by_key(|e| (e.0, e.1));
        let mut by_column: Vec<Entry> = entries.iter().map(|e| (e.1, e.0, e.2)).collect();
        by_column.sort_unstable_by_key(|e| (e.0, e.1));
        let norm = entries.iter().map(|e| e.2 * e.2).sum::<f64>().sqrt();
        Self { rows, columns, rank, by_row, by_column, norm, floors: 0.0 }
    }

    fn fit(self, u: Vec<f64>, v: Vec<f64>, iterations: usize) -> Fit {
        Fit { u, v, floors: self.floors, iterations }
    }

    fn density(&self) -> f64 {
        self.by_row.len() as f64 / (self.rows as f64 * self.columns as f64)
    }

    fn values(&self) -> Vec<f64> {
        self.by_row.iter().map(|e| e.2).collect()
    }

    /// `P_Ω(M − U Vᵀ)`, in the order of `by_row` as every vector over `Ω`.
    fn residual(&mut self, u: &[f64], v: &[f64]) -> Vec<f64> {
        let k = self.rank;
        self.floors += 1.0;
        self.by_row.iter().map(|&(i, j, value)| value - dot(&u[i * k..][..k], &v[j * k..][..k])).collect()
    }

    fn relative_residual(&mut self, u: &[f64], v: &[f64]) -> f64 {
        norm(&self.residual(u, v)) / self.norm
    }

    /// `P_Ω(A Vᵀ + U Bᵀ)` for `x = [A; B]`: two passes.
    fn tangent(&mut self, u: &[f64], v: &[f64], x: &[f64]) -> Vec<f64> {
        let k = self.rank;
        let (a, b) = x.split_at(self.rows * k);
        self.floors += 2.0;
        let row = |m: &[f64], i: usize, n: &[f64], j: usize| dot(&m[i * k..][..k], &n[j * k..][..k]);
        self.by_row.iter().map(|&(i, j, _)| row(a, i, v, j) + row(u, i, b, j)).collect()
    }

    /// The transpose of `tangent`, `[R V; Rᵀ U]` for the sparse matrix `R`: two passes.
    fn adjoint(&mut self, u: &[f64], v: &[f64], r: &[f64]) -> Vec<f64> {
        let mut out = self.sparse_times(r, false, v, self.rank);
        out.extend(self.sparse_times(r, true, u, self.rank));
        out
    }

    /// `R B` or `Rᵀ B` for the sparse matrix `R` and a block of `width` columns.
    fn sparse_times(&mut self, r: &[f64], transpose: bool, block: &[f64], width: usize) -> Vec<f64> {
        let mut out = vec![0.0; if transpose { self.columns } else { self.rows } * width];
        for (&(i, j, _), &value) in self.by_row.iter().zip(r) {
            let (to, from) = if transpose { (j, i) } else { (i, j) };
            add_to(&mut out[to * width..][..width], value, &block[from * width..][..width]);
        }
        self.floors += width as f64 / self.rank as f64;
        out
    }

    /// Leading singular triplets of `R + L Nᵀ`, `low = (L, N, inner width)`, by block power steps from `block`.
    fn top_svd(
        &mut self,
        r: &[f64],
        low: (&[f64], &[f64], usize),
        block: Vec<f64>,
        steps: usize,
    ) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
        let (left, right, inner) = low;
        let width = block.len() / self.columns;
        let mut v = block;
        let mut u = Vec::new();
        let mut small = Vec::new();
        for _ in 0..steps {
            u = self.sparse_times(r, false, &v, width);
            add_to(&mut u, 1.0, &product(left, &transpose_product(right, &v, inner, width), inner, width));
            orthonormalise(&mut u, width);
            v = self.sparse_times(r, true, &u, width);
            add_to(&mut v, 1.0, &product(right, &transpose_product(left, &u, inner, width), inner, width));
            small = orthonormalise(&mut v, width);
        }
        // X ≈ U (V R)ᵀ = U Rᵀ Vᵀ
        let (a, s, b) = small_svd(&transposed(&small, width), width);
        (product(&u, &a, width, width), s, product(&v, &b, width, width))
    }

    /// Truncated SVD of `P_Ω(M)/p`.
    fn spectral_start(&mut self) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
        let width = (self.rank + EXTRA_COLUMNS).min(self.rows).min(self.columns);
        let block = Random(1).normals(self.columns * width);
        let scaled_values = scaled(&self.values(), 1.0 / self.density());
        let (u, s, v) = self.top_svd(&scaled_values, (&[], &[], 0), block, START_STEPS);
        let k = self.rank;
        (first_columns(&u, width, k), s[..k].to_vec(), first_columns(&v, width, k))
    }

    /// The same start as `(U √S, V √S)`.
    fn balanced_start(&mut self) -> (Vec<f64>, Vec<f64>) {
        let (u, s, v) = self.spectral_start();
        let root: Vec<f64> = s.iter().map(|x| x.sqrt()).collect();
        (scale_columns(&u, &root), scale_columns(&v, &root))
    }

    /// LSQR (Paige and Saunders 1982) from zero for `min ‖P_Ω(A Vᵀ + U Bᵀ) − b‖`, four floors a step. Ends when the
    /// residual or the gradient has fallen to `tolerance` times its first value, or after `cap` steps.
    fn least_squares(&mut self, u: &[f64], v: &[f64], b: Vec<f64>, tolerance: f64, cap: usize) -> Vec<f64> {
        let mut y = b;
        let first = normalise(&mut y);
        let mut w = self.adjoint(u, v, &y);
        let mut alpha = normalise(&mut w);
        let first_gradient = alpha * first;
        let mut x = vec![0.0; w.len()];
        let mut direction = w.clone();
        let (mut phi_bar, mut rho_bar) = (first, alpha);
        for _ in 0..cap {
            y = add(&self.tangent(u, v, &w), -alpha, &y);
            let beta = normalise(&mut y);
            w = add(&self.adjoint(u, v, &y), -beta, &w);
            alpha = normalise(&mut w);
            let rho = rho_bar.hypot(beta);
            if rho == 0.0 {
                break;
            }
            let (c, s) = (rho_bar / rho, beta / rho);
            add_to(&mut x, c * phi_bar / rho, &direction);
            direction = add(&w, -s * alpha / rho, &direction);
            rho_bar = -c * alpha;
            phi_bar *= s;
            if phi_bar <= tolerance * first || phi_bar * alpha * c.abs() <= tolerance * first_gradient {
                break;
            }
        }
        x
    }

    /// Conjugate gradients for `(W + A*A) γ = A* M` from `gamma`, preconditioned by `W + p`. Tangent vectors are
    /// `[G; C; B]` for `U G Vᵀ + C Vᵀ + U Bᵀ` with `UᵀC = 0` and `VᵀB = 0`.
    fn weighted_tangent_solve(&mut self, u: &[f64], v: &[f64], weights: &[f64], gamma: Vec<f64>) -> Vec<f64> {
        let k = self.rank;
        let density = self.density();
        let mut x = gamma;
        let values = self.values();
        let fitted = self.tangent(u, v, &lift(u, &x, k));
        let back = self.adjoint(u, v, &add(&values, -1.0, &fitted));
        let mut r = lower(u, v, &back, k);
        r.iter_mut().zip(weights).zip(&x).for_each(|((r, w), x)| *r -= w * x);
        let precondition = |r: &[f64]| r.iter().zip(weights).map(|(r, w)| r / (w + density)).collect::<Vec<f64>>();
        let mut z = precondition(&r);
        let mut direction = z.clone();
        let mut energy = dot(&r, &z);
        let first = energy;
        for _ in 0..IRLS_CAP {
            if energy <= IRLS_TOLERANCE * IRLS_TOLERANCE * first {
                break;
            }
            let image = self.tangent(u, v, &lift(u, &direction, k));
            let back = self.adjoint(u, v, &image);
            let mut applied = lower(u, v, &back, k);
            applied.iter_mut().zip(weights).zip(&direction).for_each(|((a, w), d)| *a += w * d);
            let step = energy / dot(&direction, &applied);
            add_to(&mut x, step, &direction);
            add_to(&mut r, -step, &applied);
            z = precondition(&r);
            let next = dot(&r, &z);
            direction = add(&z, next / energy, &direction);
            energy = next;
        }
        x
    }
}

/// Steps of conjugate gradients at most in one outer iteration of [`matrix_irls`].
const IRLS_CAP: usize = 100;
/// Relative accuracy of those solves.
const IRLS_TOLERANCE: f64 = 1e-3;

/// `[G; C; B]` to `[U G + C; B]`, the coordinates of `Problem::tangent`.
fn lift(u: &[f64], x: &[f64], k: usize) -> Vec<f64> {
    let mut out = x[k * k..].to_vec();
    add_to(&mut out[..u.len()], 1.0, &product(u, &x[..k * k], k, k));
    out
}

/// `[R V; Rᵀ U]` to the orthogonal coordinates `[G; C; B]`: the transpose of `lift` on the tangent space.
fn lower(u: &[f64], v: &[f64], y: &[f64], k: usize) -> Vec<f64> {
    let (rv, rtu) = y.split_at(u.len());
    let core = transpose_product(u, rv, k, k);
    let mut out = core.clone();
    out.extend(add(rv, -1.0, &product(u, &core, k, k)));
    out.extend(add(rtu, -1.0, &product(v, &transpose_product(v, rtu, k, k), k, k)));
    out
}

/// Each row of `out` by its normal equations; `grouped` is sorted by that row.
fn solve_rows(grouped: &[Entry], fixed: &[f64], k: usize, out: &mut [f64]) {
    let mut normal = vec![0.0; k * k];
    for group in grouped.chunk_by(|a, b| a.0 == b.0) {
        normal.fill(0.0);
        let right = &mut out[group[0].0 * k..][..k];
        right.fill(0.0);
        for &(_, j, value) in group {
            let row = &fixed[j * k..][..k];
            add_to(right, value, row);
            for a in 0..k {
                add_to(&mut normal[a * k..][..=a], row[a], &row[..=a]);
            }
        }
        cholesky(&mut normal, k);
        cholesky_solve(&normal, right);
    }
}

/// SplitMix64, so that the file needs no dependency and every run is the same.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    fn below(&mut self, count: usize) -> usize {
        ((u128::from(self.next()) * count as u128) >> 64) as usize
    }

    /// Box-Muller, one of the pair.
    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }

    fn normals(&mut self, count: usize) -> Vec<f64> {
        (0..count).map(|_| self.normal()).collect()
    }
}

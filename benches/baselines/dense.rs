//! Small dense linear algebra of the rivals: row-major slices, nothing tuned.

/// Lower factor in place; the diagonal is raised by `1e-12` of its mean.
pub fn cholesky(a: &mut [f64], k: usize) {
    let jitter = 1e-12 * (0..k).map(|i| a[i * k + i]).sum::<f64>() / k as f64 + f64::MIN_POSITIVE;
    for i in 0..k {
        for j in 0..=i {
            let rest = a[i * k + j] - dot(&a[i * k..][..j], &a[j * k..][..j]);
            a[i * k + j] = if i == j { (rest + jitter).max(jitter).sqrt() } else { rest / a[j * k + j] };
        }
    }
}

pub fn cholesky_solve(l: &[f64], x: &mut [f64]) {
    let k = x.len();
    for i in 0..k {
        x[i] = (x[i] - dot(&l[i * k..][..i], &x[..i])) / l[i * k + i];
    }
    for i in (0..k).rev() {
        x[i] /= l[i * k + i];
        let (head, tail) = x.split_at_mut(i);
        add_to(head, -tail[0], &l[i * k..][..i]);
    }
}

/// Rows of `a` times the inverse of a Gram matrix.
pub fn times_inverse(a: &[f64], gram: &[f64], k: usize) -> Vec<f64> {
    let mut factor = gram.to_vec();
    cholesky(&mut factor, k);
    let mut out = a.to_vec();
    out.chunks_exact_mut(k).for_each(|row| cholesky_solve(&factor, row));
    out
}

pub fn gram(a: &[f64], k: usize) -> Vec<f64> {
    transpose_product(a, a, k, k)
}

/// Best rank-`k` approximation `U S Vᵀ` of `A Bᵀ`, both with `width` columns.
pub fn truncate(a: &[f64], b: &[f64], width: usize, k: usize) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let (mut qa, mut qb) = (a.to_vec(), b.to_vec());
    let (ra, rb) = (orthonormalise(&mut qa, width), orthonormalise(&mut qb, width));
    let (x, s, y) = small_svd(&product(&ra, &transposed(&rb, width), width, width), width);
    let (x, y) = (first_columns(&x, width, k), first_columns(&y, width, k));
    (product(&qa, &x, width, k), s[..k].to_vec(), product(&qb, &y, width, k))
}

/// Modified Gram-Schmidt, twice; returns `R`. A column that depends on the earlier ones becomes zero.
pub fn orthonormalise(a: &mut [f64], width: usize) -> Vec<f64> {
    let height = a.len() / width;
    let mut r = vec![0.0; width * width];
    let mut q = transposed(a, width);
    for j in 0..width {
        let (done, rest) = q.split_at_mut(j * height);
        let column = &mut rest[..height];
        let before = norm(column);
        for _ in 0..2 {
            for (i, basis) in done.chunks_exact(height).enumerate() {
                let part = dot(basis, column);
                r[i * width + j] += part;
                add_to(column, -part, basis);
            }
        }
        if norm(column) > 1e-14 * before {
            r[j * width + j] = normalise(column);
        } else {
            column.fill(0.0);
        }
    }
    a.copy_from_slice(&transposed(&q, height));
    r
}

/// One-sided Jacobi SVD of a small square matrix, singular values descending.
pub fn small_svd(a: &[f64], n: usize) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    // Rows of `w` are columns of A, turned until they are orthogonal; `v` collects the rotations.
    let mut w = transposed(a, n);
    let mut v: Vec<f64> = (0..n * n).map(|c| if c / n == c % n { 1.0 } else { 0.0 }).collect();
    for _ in 0..40 {
        let mut turned = false;
        for i in 0..n {
            for j in i + 1..n {
                let (x, y) = (&w[i * n..][..n], &w[j * n..][..n]);
                let (xx, yy, xy) = (dot(x, x), dot(y, y), dot(x, y));
                if xy.abs() <= 1e-15 * (xx * yy).sqrt() {
                    continue;
                }
                turned = true;
                let zeta = (yy - xx) / (2.0 * xy);
                let t = zeta.signum() / (zeta.abs() + zeta.hypot(1.0));
                let c = 1.0 / t.hypot(1.0);
                for matrix in [&mut w, &mut v] {
                    let (head, tail) = matrix.split_at_mut(j * n);
                    for (x, y) in head[i * n..][..n].iter_mut().zip(tail) {
                        (*x, *y) = (c * (*x - t * *y), c * (*y + t * *x));
                    }
                }
            }
        }
        if !turned {
            break;
        }
    }
    let sizes: Vec<f64> = w.chunks_exact_mut(n).map(normalise).collect();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| sizes[j].total_cmp(&sizes[i]));
    let sorted = |m: &[f64]| (0..n * n).map(|c| m[order[c % n] * n + c / n]).collect();
    (sorted(&w), order.iter().map(|&i| sizes[i]).collect(), sorted(&v))
}

/// `A B` for `B` of `inner × width`, all row-major.
pub fn product(a: &[f64], b: &[f64], inner: usize, width: usize) -> Vec<f64> {
    if inner == 0 {
        return Vec::new();
    }
    let mut out = vec![0.0; a.len() / inner * width];
    for (row, coefficients) in out.chunks_exact_mut(width).zip(a.chunks_exact(inner)) {
        coefficients.iter().zip(b.chunks_exact(width)).for_each(|(&c, line)| add_to(row, c, line));
    }
    out
}

/// `Aᵀ B` for `A` with `inner` and `B` with `width` columns.
pub fn transpose_product(a: &[f64], b: &[f64], inner: usize, width: usize) -> Vec<f64> {
    let mut out = vec![0.0; inner * width];
    if inner > 0 {
        for (coefficients, line) in a.chunks_exact(inner).zip(b.chunks_exact(width)) {
            out.chunks_exact_mut(width).zip(coefficients).for_each(|(row, &c)| add_to(row, c, line));
        }
    }
    out
}

pub fn transposed(a: &[f64], width: usize) -> Vec<f64> {
    (0..width).flat_map(|j| a.iter().skip(j).step_by(width).copied()).collect()
}

pub fn first_columns(a: &[f64], width: usize, count: usize) -> Vec<f64> {
    a.chunks_exact(width).flat_map(|row| row[..count].iter().copied()).collect()
}

pub fn scale_columns(a: &[f64], scales: &[f64]) -> Vec<f64> {
    a.chunks_exact(scales.len()).flat_map(|row| row.iter().zip(scales).map(|(x, s)| x * s)).collect()
}

pub fn unit_columns(a: &[f64], k: usize) -> Vec<f64> {
    let inverse: Vec<f64> = gram(a, k).iter().step_by(k + 1).map(|x| 1.0 / x.sqrt().max(f64::MIN_POSITIVE)).collect();
    scale_columns(a, &inverse)
}

/// `[A, B]`, both with `k` columns.
pub fn beside(a: &[f64], b: &[f64], k: usize) -> Vec<f64> {
    a.chunks_exact(k).zip(b.chunks_exact(k)).flat_map(|(x, y)| x.iter().chain(y).copied()).collect()
}

pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

pub fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

/// Divides by the norm and returns it; a zero vector stays.
pub fn normalise(a: &mut [f64]) -> f64 {
    let size = norm(a);
    if size > 0.0 {
        a.iter_mut().for_each(|x| *x /= size);
    }
    size
}

pub fn add_to(out: &mut [f64], factor: f64, a: &[f64]) {
    out.iter_mut().zip(a).for_each(|(o, x)| *o += factor * x);
}

pub fn add(a: &[f64], factor: f64, b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(x, y)| x + factor * y).collect()
}

pub fn scaled(a: &[f64], factor: f64) -> Vec<f64> {
    a.iter().map(|x| factor * x).collect()
}

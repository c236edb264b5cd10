//! Passes over tall tables: norms of the rows of a product, and Gram matrices with weights that depend on them.
use rayon::prelude::*;

use crate::gram::panels::{self, Packed, Task};
use crate::gram::{self, BLOCK, Gram};
use crate::observe::{Observer, Progress, Watch, blocks_between_looks};
use crate::rows::Rows;
use crate::{CsrView, LinalgError, Matrix, MatrixView, sums};

/// The Gram matrix of `D^½ A T`.
pub(crate) fn gram_of_product(
    a: Rows<'_>,
    weights: Option<&[f64]>,
    transform: &Matrix,
    observer: &mut dyn Observer,
) -> Result<Matrix, LinalgError> {
    let (d, r) = (transform.rows(), transform.columns());
    if r == 0 {
        return Ok(Matrix::zeros(0, 0));
    }
    let packed = Packed::new(transform);
    let ld = panels::stride(r);
    let sums = gram::in_blocks(a.rows(), ld, observer, |from, to, out, scratch| {
        let weights = weights.map(|w| &w[from..to]);
        match (a, a.dense_part(from, to)) {
            (_, Some(rows)) => {
                panels::run(rows, d, Task::GramOfProduct { transform: &packed, weights, out }, scratch);
            }
            (Rows::Sparse(a), _) => {
                let mut product = vec![0.0; (to - from) * r];
                for (i, y) in (from..to).zip(product.chunks_exact_mut(r)) {
                    sparse_product(a, i, transform, y);
                }
                let product = MatrixView::from_row_major(&product, to - from, r).expect("a row each");
                panels::run((product, None), r, Task::Gram { weights, right: None, out }, scratch);
            }
            _ => unreachable!("rows are sparse or have a dense part"),
        }
    })?;
    Ok(gram::unpack(&sums, r, ld, false)?.matrix)
}

/// `Tᵀ a_i`.
fn sparse_product(a: CsrView<'_>, i: usize, transform: &Matrix, y: &mut [f64]) {
    y.fill(0.0);
    let (indices, values) = a.row(i);
    for (&j, &v) in indices.iter().zip(values) {
        sums::axpy(v, transform.row(j as usize), y);
    }
}

/// Squared row norms of `A T`, without storing `A T`. The value of a row does not depend on the rows beside it.
///
/// Cost `2·n·d·r` flops, half of that for a triangular `T`; `2·nnz·r` for sparse rows.
///
/// # Panics
/// When `T` has not as many rows as `A` has columns.
pub fn row_norms_squared<'a>(a: impl Into<Rows<'a>>, transform: &Matrix) -> Vec<f64> {
    row_norms_squared_observed(a, transform, &mut ()).expect("the observer goes on")
}

/// [`row_norms_squared`] with cancellation; of dense rows the observer is asked at least every 50 ms of one core up to about
/// 200 columns, beyond that after every [`BLOCK`] rows of each thread.
///
/// # Errors
/// [`LinalgError::Interrupted`] when the observer stops it.
///
/// # Panics
/// As [`row_norms_squared`].
pub fn row_norms_squared_observed<'a>(
    a: impl Into<Rows<'a>>,
    transform: &Matrix,
    observer: &mut dyn Observer,
) -> Result<Vec<f64>, LinalgError> {
    let a = a.into();
    let (n, d) = (a.rows(), a.columns());
    assert_eq!(d, transform.rows(), "{d} columns times {} rows", transform.rows());
    let mut out = vec![0.0; n];
    if d == 0 || transform.columns() == 0 {
        return Ok(out);
    }
    let (packed, mut watch) = (Packed::new(transform), Watch::new(observer));
    let wave = BLOCK * blocks_between_looks(BLOCK * d * transform.columns());
    for (w, part) in out.chunks_mut(wave).enumerate() {
        let (from, to) = (w * wave, w * wave + part.len());
        part.par_chunks_mut(BLOCK).enumerate().for_each_init(panels::Scratch::default, |scratch, (b, out)| {
            norms_of_block(a, from + b * BLOCK, transform, &packed, out, scratch);
        });
        if to < n && watch.ticks(|| Progress { stage: "norms of rows", step: to, total: Some(n), value: None }) {
            return Err(LinalgError::Interrupted);
        }
    }
    Ok(out)
}

fn norms_of_block(
    a: Rows<'_>,
    from: usize,
    transform: &Matrix,
    packed: &Packed,
    out: &mut [f64],
    scratch: &mut panels::Scratch,
) {
    match (a, a.dense_part(from, from + out.len())) {
        (_, Some(rows)) => panels::run(rows, a.columns(), Task::Norms { transform: packed, out }, scratch),
        (Rows::Sparse(a), _) => {
            let mut y = vec![0.0; transform.columns()];
            for (k, q) in out.iter_mut().enumerate() {
                sparse_product(a, from + k, transform, &mut y);
                *q = sums::dot(&y, &y);
            }
        }
        _ => unreachable!("rows are sparse or have a dense part"),
    }
}

/// One pass for what iterations on weights need twice: the squared row norms of `A T`, and the Gram matrix of the rows with
/// weights that `weigh` makes of the norms of consecutive rows: of the first one's number, and as many norms as weights.
///
/// Row LA-14 of `paper-refs.md`.
///
/// Cost `2·n·d·r + n·d²` flops, half of the first for a triangular `T`; reads `A` once. Same bits for every thread count.
///
/// # Errors
/// [`LinalgError::Length`] when `T` has not as many rows as `A` has columns; [`LinalgError::TooLarge`].
pub fn reweigh<'a>(
    a: impl Into<Rows<'a>>,
    transform: &Matrix,
    weigh: &(dyn Fn(usize, &[f64], &mut [f64]) + Sync),
) -> Result<(Vec<f64>, Matrix), LinalgError> {
    reweigh_observed(a, transform, weigh, &mut ())
}

/// [`reweigh`] with cancellation; the observer is asked as by [`gram::gram_observed`].
///
/// # Errors
/// As [`reweigh`]; [`LinalgError::Interrupted`] when the observer stops it.
pub fn reweigh_observed<'a>(
    a: impl Into<Rows<'a>>,
    transform: &Matrix,
    weigh: &(dyn Fn(usize, &[f64], &mut [f64]) + Sync),
    observer: &mut dyn Observer,
) -> Result<(Vec<f64>, Matrix), LinalgError> {
    let a = a.into();
    let (n, d) = (a.rows(), a.columns());
    if transform.rows() != d {
        return Err(LinalgError::Length { argument: "rows of transform", given: transform.rows(), expected: d });
    }
    if d == 0 || n == 0 {
        return Ok((vec![0.0; n], Matrix::zeros(d, d)));
    }
    let packed = Packed::new(transform);
    let mut norms = vec![0.0; n];
    let mut parts: Vec<&mut [f64]> = norms.chunks_mut(BLOCK).collect();
    let ld = gram::stride(a);
    let sums = gram::in_blocks_with(n, ld, &mut parts, observer, |from, to, out, norms, scratch| {
        match (a, a.dense_part(from, to)) {
            (_, Some(rows)) => {
                let weigh = &|i: usize, q: &[f64], w: &mut [f64]| weigh(from + i, q, w);
                panels::run(rows, d, Task::Reweighed { transform: &packed, norms, weigh, out }, scratch);
            }
            (Rows::Sparse(sparse), _) => {
                norms_of_block(a, from, transform, &packed, norms, scratch);
                let mut weights = vec![0.0; norms.len()];
                weigh(from, norms, &mut weights);
                gram::add_sparse(sparse, from, to, Some(&weights), None, out);
            }
            _ => unreachable!("rows are sparse or have a dense part"),
        }
    })?;
    let Gram { matrix, .. } = gram::unpack(&sums, d, ld, false)?;
    Ok((norms, matrix))
}

/// Quadratic forms with `W Wᵀ` of sparse rows.
pub(super) fn quadratic_forms(a: CsrView<'_>, transform: &Matrix) -> Vec<f64> {
    let inverse = transform.multiply(&transform.transpose()).expect("shapes match");
    let mut out = vec![0.0; a.rows()];
    out.par_chunks_mut(BLOCK).enumerate().for_each(|(b, out)| {
        for (k, q) in out.iter_mut().enumerate() {
            let (indices, values) = a.row(b * BLOCK + k);
            let mut sum = 0.0;
            for (p, (&i, &v)) in indices.iter().zip(values).enumerate() {
                let row = inverse.row(i as usize);
                let beside: f64 = indices[..p].iter().zip(values).map(|(&j, u)| row[j as usize] * u).sum();
                sum += v * (2.0 * beside + row[i as usize] * v);
            }
            *q = sum.max(0.0);
        }
    });
    out
}

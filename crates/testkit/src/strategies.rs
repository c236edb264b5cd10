//! proptest strategies shared by the crates.
use proptest::prelude::*;
use samplewise_linalg::Matrix;

use crate::generate;

/// Dense matrices with small integer entries, so that sums are exact.
pub fn integer_matrix(max_rows: usize, max_columns: usize) -> impl Strategy<Value = Matrix> {
    (1..=max_rows, 1..=max_columns).prop_flat_map(|(rows, columns)| {
        prop::collection::vec(-5_i8..=5, rows * columns).prop_map(move |v| {
            Matrix::from_vec(rows, columns, v.into_iter().map(f64::from).collect()).expect("length matches")
        })
    })
}

/// Gaussian matrices of full column rank (more rows than columns).
pub fn tall_matrix(max_rows: usize, max_columns: usize) -> impl Strategy<Value = Matrix> {
    (1..=max_columns, 0..max_rows, any::<u64>())
        .prop_map(move |(columns, extra, seed)| generate::random_matrix(2 * columns + 2 + extra, columns, seed))
}

/// A text over the first `letters` letters.
pub fn text(letters: u8, max_len: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec((0..letters).prop_map(|l| b'A' + l), 0..=max_len)
}

/// A sparse spectrum over `variables` bits with integer values.
pub fn integer_spectrum(variables: usize, max_sparsity: usize) -> impl Strategy<Value = Vec<(u64, f64)>> {
    prop::collection::btree_map(0..1_u64 << variables, -50_i8..=50, 0..=max_sparsity)
        .prop_map(|m| m.into_iter().filter(|e| e.1 != 0).map(|(k, v)| (k, f64::from(v))).collect())
}

//! Misuse and bytes of the facade.
use samplewise_linalg::factor::{Cholesky, symmetric_eigen};
use samplewise_linalg::gram::GramSummary;
use samplewise_linalg::gram::gram;
use samplewise_linalg::tsqr::tsqr;
use samplewise_linalg::{LinalgError, Matrix, Summary};

/// What is not square is an error and not a panic.
#[test]
fn matrices_that_are_not_square_are_refused() {
    for (rows, columns) in [(2, 3), (3, 2), (0, 1), (1, 0), (100, 99)] {
        let a = Matrix::zeros(rows, columns);
        assert!(matches!(Cholesky::new(&a, 1.0), Err(LinalgError::Shape { .. })), "{rows} x {columns}");
        assert!(matches!(symmetric_eigen(&a), Err(LinalgError::Shape { .. })), "{rows} x {columns}");
    }
}

/// NaN and infinities in a table, its weights or its right side are named, wherever they are.
#[test]
fn numbers_that_are_not_finite_do_not_pass() {
    for (rows, columns) in [(1, 1), (5, 3), (40, 7), (5_000, 3)] {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            for at in [0, rows / 2, rows - 1] {
                let ones = vec![1.0; rows];
                let mut marked = ones.clone();
                marked[at] = value;
                let x = Matrix::from_fn(rows, columns, |i, j| ((i * 7 + j * 3) % 5) as f64 + 1.0);
                let mut bad = x.clone();
                bad.row_mut(at)[columns - 1] = value;
                assert!(matches!(gram(&bad, None, None), Err(LinalgError::NotFinite { argument: "x", .. })));
                assert!(matches!(tsqr(&bad), Err(LinalgError::NotFinite { .. })), "{rows} x {columns} {value} at {at}");
                let weighted = gram(&x, Some(&marked), Some(&ones));
                assert!(matches!(weighted, Err(LinalgError::NotFinite { argument: "weights", .. })), "{weighted:?}");
                let right = gram(&x, None, Some(&marked));
                assert!(matches!(right, Err(LinalgError::NotFinite { argument: "right", .. })), "{right:?}");
            }
        }
    }
    let huge = Matrix::from_fn(4, 2, |_, _| 1e200);
    assert!(matches!(gram(&huge, None, None), Err(LinalgError::OutOfRange { .. })));
}

/// Row TRU-4: damaged, cut or foreign bytes are errors, at every bit.
#[test]
fn damaged_summaries_are_refused() {
    let mut summary = GramSummary::new(3).unwrap();
    summary.update((Matrix::from_fn(5, 3, |i, j| (i * j) as f64).view(), &[1.0, 2.0, 3.0, 4.0, 5.0])).unwrap();
    let bytes = summary.to_bytes();
    assert_eq!(GramSummary::from_bytes(&bytes).unwrap(), summary);
    for bit in 0..8 * bytes.len() {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(GramSummary::from_bytes(&damaged).is_err(), "bit {bit}");
    }
    assert!((0..bytes.len()).all(|n| GramSummary::from_bytes(&bytes[..n]).is_err()));
}

//! Each shape is what its name says, and the referees can judge it.
use super::*;
use crate::referee::completion::{components, determined};
use crate::referee::{lasso, least_squares, regression, spectrum};

#[test]
fn the_shapes_are_what_their_names_say() {
    for seed in 0..60 {
        let d = few_rows_many_columns(seed);
        assert!(d.a.columns() > d.a.rows() && d.a.columns() <= 200 && d.b.len() == d.a.rows());
        assert!(d.a.as_slice().iter().chain(&d.b).all(|v| v.is_finite()));
    }
    let counts = counts_with_ties(200, 6, 3);
    assert!(counts.b.iter().all(|b| b.fract() == 0.0 && *b >= 0.0));
    assert_eq!(least_squares::rank(&counts.a, 0.0), 4, "one column is repeated, one is a sum");
    let heavy = extreme_quantiles(2_000, 8, 1);
    let largest = heavy.b.iter().fold(0.0_f64, |m, b| m.max(b.abs()));
    assert!(largest > 20.0 && (0..2_000).all(|i| heavy.a[(i, 0)] == 1.0 && heavy.a[(i, 3)] > 0.0));
}

#[test]
fn a_referee_judges_each_of_them() {
    for seed in 0..12 {
        let d = few_rows_many_columns(seed);
        let null = lasso::judge(&d.a, &d.b, 0.1, &lasso::Settings::default(), 0.0, &[]);
        assert!(null.gap >= 0.0 && null.dual >= 0.0, "{}", d.name);
        let d = counts_with_ties(60, 5, seed);
        for tau in EXTREME_QUANTILES {
            let zero = regression::judge(&d.a, &d.b, None, regression::Loss::Quantile(tau), &[0.0; 5]);
            assert!(zero.gap >= -1e-25 && zero.dual >= 0.0, "{} {tau} {zero:?}", d.name);
        }
    }
    for exponent in POWERS_OF_TWO {
        let d = powers_of_two_scales(10, 4, exponent, 1);
        let found = least_squares::judge(&d.a, &d.b, &[0.0; 4]);
        assert!(found.rank == 4 && found.excess > 0.9, "{exponent}: {found:?}");
    }
}

#[test]
fn blocks_are_loose_until_they_share_enough() {
    let open = |blocks| {
        let p = disjoint_blocks(6, 2, 1.0, blocks, 1);
        let cells: Vec<_> = p.observed.iter().map(|e| (e.0, e.1)).collect();
        let parts = components(12, 12, &cells).0.into_iter().max().unwrap() + 1;
        (parts, 144 - determined(12, 12, if blocks == Blocks::Signs { 1 } else { 2 }, &cells, 1).count())
    };
    assert_eq!(open(Blocks::Disjoint), (2, 72));
    assert_eq!(open(Blocks::Bridges(1)), (1, 71));
    assert_eq!(open(Blocks::Bridges(4)), (1, 0));
    // The second block sees one column of the first: its row factors are known along one direction of two.
    let (parts, free) = open(Blocks::SharedColumns(1));
    assert!(parts == 1 && free > 0);
    assert_eq!(open(Blocks::SharedColumns(2)), (1, 0));
    let (parts, free) = open(Blocks::Signs);
    assert!(parts == 2 && free > 0);
}

#[test]
fn constants_hide_the_terms_from_a_relative_error_only() {
    let truth = constant_plus_small(12, 9, 1e9, 4);
    assert_eq!((truth.len(), truth[0]), (10, (0, 1e9)));
    let points: Vec<u64> = (0..256).map(|k| k * 16 + k % 13).collect();
    let x: Vec<f64> = points.iter().map(|&m| spectrum::evaluate(&truth, m).to_f64()).collect();
    let constant_alone = spectrum::judge(&points, &x, &truth[..1]);
    assert!(constant_alone.largest_difference < 1e-8 * 1e9 && constant_alone.relative_to_spread > 0.4);
    for (name, value) in zero_function() {
        let flat = spectrum::judge(&points, &vec![value; points.len()], &[(0, value)]);
        assert_eq!((flat.r2, flat.relative_to_spread), (None, 0.0), "{name}");
    }
    let d = offset_target(20, 3, 1e12, 1);
    let blind = least_squares::judge(&d.a, &d.b, &[0.0; 3]);
    assert!(blind.residual > 1e12);
    let d = nearly_constant_column(20, 3, 1e6, 1e-7, 2);
    assert!(d.a.copy_column(0).iter().all(|v| (v - 1e6).abs() < 1e-6));
}

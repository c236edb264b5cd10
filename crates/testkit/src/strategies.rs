//! proptest strategies shared by the crates.
use proptest::prelude::*;
use samplewise_linalg::Matrix;

use crate::designs::Design;
use crate::double_double::scale;
use crate::generate;
use crate::hostile::{self, Blocks, Pattern};

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

/// Tables and targets that mix what breaks solvers: fewer rows than columns, all entries equal, zero and duplicate columns,
/// a huge offset, tiny and huge units, ties. Several may meet in one table.
pub fn hostile_table(max_rows: usize, max_columns: usize) -> impl Strategy<Value = (Matrix, Vec<f64>)> {
    (1..=max_rows, 1..=max_columns, any::<u64>(), 0..8_u8, 0..4_u8, -300..=300_i32).prop_map(
        |(n, p, seed, shape, column, unit)| {
            let source = generate::random_matrix(n, p + 1, seed);
            let mut a = Matrix::from_fn(n, p, |i, j| source[(i, j)]);
            let mut b: Vec<f64> = (0..n).map(|i| source[(i, p)]).collect();
            match shape {
                0 => a.as_mut_slice().fill(source[(0, 0)]),
                1 => b.fill(source[(0, p)]),
                2 => b.iter_mut().for_each(|b| *b += 1e9),
                3 => a.as_mut_slice().iter_mut().for_each(|v| *v += 1e6),
                4 => a.as_mut_slice().iter_mut().chain(&mut b).for_each(|v| *v = v.round()),
                5 => b.iter_mut().for_each(|b| *b = scale(*b, unit)),
                6 => a.as_mut_slice().iter_mut().for_each(|v| *v = scale(*v, unit)),
                _ => {}
            }
            for i in 0..n {
                let row = a.row_mut(i);
                match column {
                    0 => row[0] = 0.0,
                    1 => row[p - 1] = row[0],
                    2 => row[0] = scale(row[0], unit),
                    _ => {}
                }
            }
            (a, b)
        },
    )
}

/// [`hostile::few_rows_many_columns`].
pub fn few_rows_many_columns() -> impl Strategy<Value = Design> {
    any::<u64>().prop_map(hostile::few_rows_many_columns)
}

/// [`hostile::extreme_quantiles`] with one of [`hostile::EXTREME_QUANTILES`].
pub fn extreme_quantiles(max_rows: usize, max_columns: usize) -> impl Strategy<Value = (Design, f64)> {
    (1..=max_rows, 1..=max_columns, any::<u64>(), prop::sample::select(&hostile::EXTREME_QUANTILES[..]))
        .prop_map(|(n, d, seed, tau)| (hostile::extreme_quantiles(n, d, seed), tau))
}

/// [`hostile::counts_with_ties`].
pub fn counts_with_ties(max_rows: usize, max_columns: usize) -> impl Strategy<Value = Design> {
    (1..=max_rows, 1..=max_columns, any::<u64>()).prop_map(|(n, d, seed)| hostile::counts_with_ties(n, d, seed))
}

/// [`hostile::constant_plus_small`], with constants from 1 to 1e12.
pub fn constant_plus_small(variables: usize, max_terms: usize) -> impl Strategy<Value = Vec<(u64, f64)>> {
    (0..=max_terms, 0..=12_i32, any::<u64>())
        .prop_map(move |(terms, e, seed)| hostile::constant_plus_small(variables, terms, 10.0_f64.powi(e), seed))
}

/// The value of one of [`hostile::zero_function`].
pub fn zero_function() -> impl Strategy<Value = f64> {
    prop::sample::select(hostile::zero_function()).prop_map(|f| f.1)
}

/// [`hostile::disjoint_blocks`] of any kind, all entries of the blocks seen.
pub fn disjoint_blocks(max_size: usize, rank: usize) -> impl Strategy<Value = Pattern> {
    let kind = prop_oneof![
        Just(Blocks::Disjoint),
        (1..rank * rank + 2).prop_map(Blocks::Bridges),
        (1..rank + 2).prop_map(Blocks::SharedColumns),
        Just(Blocks::Signs),
    ];
    (rank + 1..=max_size.max(rank + 1), kind, any::<u64>())
        .prop_map(move |(size, kind, seed)| hostile::disjoint_blocks(size, rank, 1.0, kind, seed))
}

/// [`hostile::powers_of_two_scales`] with exponents up to ±1000.
pub fn powers_of_two_scales(max_rows: usize, max_columns: usize) -> impl Strategy<Value = Design> {
    (1..=max_rows, 1..=max_columns, prop::sample::select(&hostile::POWERS_OF_TWO[..]), any::<u64>())
        .prop_map(|(n, p, exponent, seed)| hostile::powers_of_two_scales(n, p, exponent, seed))
}

/// [`hostile::nearly_constant_column`] with levels from 1 to 1e8 and deviations from 1e-9 to 1.
pub fn nearly_constant_column(max_rows: usize, max_columns: usize) -> impl Strategy<Value = Design> {
    (1..=max_rows, 1..=max_columns, 0..=8_i32, -9..=0_i32, any::<u64>()).prop_map(|(n, p, level, deviation, seed)| {
        hostile::nearly_constant_column(n, p, 10.0_f64.powi(level), 10.0_f64.powi(deviation), seed)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::referee::{lasso, least_squares, regression};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn referees_bound_hostile_tables_from_below((a, b) in hostile_table(12, 8)) {
            let null = lasso::judge(&a, &b, 0.1, &lasso::Settings::default(), 0.0, &[]);
            prop_assert!(null.gap >= -1e-25 * null.objective && null.dual >= 0.0);
            let x = vec![0.0; a.columns()];
            for loss in [regression::Loss::Quantile(0.01), regression::Loss::Power(3.0)] {
                let zero = regression::judge(&a, &b, None, loss, &x);
                prop_assert!(zero.relative_gap >= -1e-25 && zero.relative_gap <= 1.0, "{loss:?} {zero:?}");
            }
            let zero = least_squares::judge(&a, &b, &x);
            prop_assert!(zero.excess <= 1.0 + 1e-15 && zero.rank <= a.rows().min(a.columns()));
        }

        #[test]
        fn named_shapes_are_finite(
            few in few_rows_many_columns(),
            (heavy, _) in extreme_quantiles(30, 6),
            counts in counts_with_ties(30, 6),
            units in powers_of_two_scales(10, 4),
            level in nearly_constant_column(10, 4),
            spectrum in constant_plus_small(8, 12),
            pattern in disjoint_blocks(6, 2),
        ) {
            for d in [few, heavy, counts, units, level] {
                prop_assert!(d.a.as_slice().iter().chain(&d.b).all(|v| v.is_finite()), "{}", d.name);
            }
            prop_assert!(spectrum.windows(2).all(|w| w[0].0 < w[1].0));
            prop_assert!(pattern.observed.windows(2).all(|w| (w[0].0, w[0].1) < (w[1].0, w[1].1)));
        }
    }
}

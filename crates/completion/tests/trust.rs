//! What is verified is right, in whatever units; what is not determined is said to be so; nothing is shrunk unasked.
use std::ops::ControlFlow;

use samplewise_completion::{
    Advanced, Entries, Error, Options, PosteriorOptions, Rank, Solver, Status, Verification, complete,
    complete_observed, sample_posterior,
};
use samplewise_linalg::observe::FromFn;
use samplewise_linalg::random::{Streams, normal, uniform};
use samplewise_linalg::scale::ldexp;
use samplewise_linalg::{Ending, Matrix};
use samplewise_testkit::generate::random_low_rank;
use samplewise_testkit::hostile::{self, Blocks, Degenerate};
use samplewise_testkit::referee::completion::{components, determined};

fn rng(seed: u64) -> impl rand::Rng {
    Streams::new(seed).stream(0)
}

/// Row COM-13: between blocks nothing is claimed, whatever ties them: nothing, too few entries, too few lines, signs.
#[test]
fn blocks_are_verified_in_parts_only() {
    let (mut parts, mut whole, mut wrong) = (0, 0, 0);
    for seed in 0..60_u64 {
        let rank = 1 + seed as usize % 2;
        let kind = match seed / 2 % 5 {
            0 => Blocks::Disjoint,
            1 => Blocks::Bridges(1),
            2 => Blocks::SharedColumns(rank - 1),
            3 => Blocks::SharedColumns(rank + 2),
            _ => Blocks::Signs,
        };
        let rank = if matches!(kind, Blocks::Signs) { 1 } else { rank };
        let pattern = hostile::disjoint_blocks(18, rank, 0.8, kind, seed);
        let (m, n) = (pattern.truth.rows(), pattern.truth.columns());
        let entries = Entries::new(m, n, &pattern.observed, None).unwrap();
        let options = Options { seed, exact_recovery: Some(1e-6), ..Options::default() };
        let found = complete(&entries, Rank::Fixed(rank), &options).unwrap();
        let cells: Vec<(usize, usize)> = pattern.observed.iter().map(|e| (e.0, e.1)).collect();
        let exact = determined(m, n, rank, &cells, seed);
        let name = format!("seed {seed} rank {rank} {kind:?}");
        let all = (0..m).all(|i| (0..n).all(|j| exact.at(i, j)));
        match found.status {
            Status::VerifiedInParts => parts += 1,
            Status::Verified => {
                whole += 1;
                assert!(all, "{name}: verified as a whole");
            }
            _ => continue,
        }
        let size = pattern.truth.norm() / ((m * n) as f64).sqrt();
        for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
            let off = (found.model.predict(i, j) - pattern.truth[(i, j)]).abs() > 1e-3 * size;
            match found.predict(i, j) {
                Some(value) => {
                    assert!(exact.at(i, j), "{name}: entry {i} {j} is not determined");
                    assert!(!off, "{name}: {value} for {} at {i} {j}", pattern.truth[(i, j)]);
                }
                None => wrong += usize::from(off),
            }
        }
        let (_, of_columns) = components(m, n, &cells);
        let count = of_columns.iter().collect::<std::collections::BTreeSet<_>>().len();
        assert!(found.report.determination.components <= count.max(2), "{name}");
    }
    assert!(
        parts >= 20 && whole >= 5 && wrong > 100,
        "{parts} in parts, {whole} as a whole, {wrong} entries would be wrong"
    );
}

/// Row TRU-1: noise is never verified and tables are recovered, in all units.
#[test]
fn units_do_not_matter() {
    let (truth, cells) = random_low_rank(30, 30, 1, 400, 5);
    let noise = |e: i32| -> Vec<(usize, usize, f64)> {
        let mut rng = Streams::new(3).stream(1);
        (0..900).filter(|c| c % 3 != 0).map(|c| (c / 30, c % 30, ldexp(normal(&mut rng), e))).collect()
    };
    let mut first = None;
    for e in [0, -1000, -700, -550, -540, -300, -100, 100, 300, 500, 520, 700, 990] {
        let table: Vec<(usize, usize, f64)> = cells.iter().map(|&(i, j)| (i, j, ldexp(truth[(i, j)], e))).collect();
        let entries = Entries::new(30, 30, &table, None).unwrap();
        for options in [Options::default(), Options { exact_recovery: Some(1e-6), ..Options::default() }] {
            let found = complete(&entries, Rank::Fixed(1), &Options { seed: 1, ..options.clone() }).unwrap();
            assert_eq!(found.status, Status::Verified, "2^{e}");
            for i in 0..30 {
                for j in 0..30 {
                    let value = ldexp(found.model.predict(i, j), -e);
                    assert!((value - truth[(i, j)]).abs() < 1e-5, "2^{e} at {i} {j}: {value}");
                }
            }
        }
        let entries = Entries::new(30, 30, &noise(e), None).unwrap();
        let found = complete(&entries, Rank::Fixed(2), &Options { seed: 1, ..Options::default() }).unwrap();
        assert_eq!(found.status, Status::Fitted, "noise times 2^{e}");
        let relative = found.report.relative_test_error.unwrap();
        assert!(relative > 0.5, "noise times 2^{e}: {relative}");
        let first = *first.get_or_insert(relative);
        assert!((relative - first).abs() < 1e-6 * first, "noise times 2^{e}: {relative} for {first}");
        let sampling = PosteriorOptions { seed: 1, burn_in: 5, samples: 5, ..PosteriorOptions::default() };
        let draws = sample_posterior(&entries, Rank::Fixed(1), &sampling).unwrap();
        let found = draws.predict(3, 4);
        assert!(found.deviation > 0.0 && found.mean.is_finite() && found.deviation.is_finite(), "2^{e}: {found:?}");
    }
    let huge = Entries::new(3, 3, &[(0, 0, f64::MAX), (1, 1, 1.0), (2, 2, 1.0), (0, 1, 2.0)], None).unwrap();
    let refused = complete(&huge, Rank::Fixed(1), &Options { seed: 1, ..Options::default() });
    assert!(matches!(refused, Err(Error::Argument(_))), "{refused:?}");
}

/// A table that mean and biases fit exactly, four entries in a row.
fn additive() -> (Matrix, Vec<(usize, usize, f64)>) {
    let truth = Matrix::from_fn(60, 40, |i, j| 100.0 + 10.0 * ((i * 7) % 13) as f64 - 25.0 * ((j * 5) % 11) as f64);
    let seen = (0..60).flat_map(|i| (0..40).map(move |j| (i, j))).filter(|(i, j)| (i * 17 + j * 23) % 7 < 2);
    let entries = seen.map(|(i, j)| (i, j, truth[(i, j)])).collect();
    (truth, entries)
}

/// Row COM-14: where no ridge is asked for nothing is shrunk, biases included, and the baseline is an honest one.
#[test]
fn no_ridge_shrinks_nothing() {
    let (truth, cells) = additive();
    let entries = Entries::new(60, 40, &cells, None).unwrap();
    let options = Options { seed: 2, biases: true, lambda: Some(0.0), ..Options::default() };
    let found = complete(&entries, Rank::Fixed(1), &options).unwrap();
    assert!(found.report.test_rmse.unwrap() < 1e-3, "{:?}", found.report);
    assert!(found.report.baseline_test_rmse.unwrap() < 1e-6, "{:?}", found.report);
    assert!((found.model.predict(0, 39) - truth[(0, 39)]).abs() < 1e-2);
    let default = Options { seed: 2, biases: true, ..Options::default() };
    let found = complete(&entries, Rank::Fixed(1), &default).unwrap();
    assert!(found.report.baseline_test_rmse.unwrap() < 1e-6, "{:?}", found.report);
}

/// A verified model of an interrupted fit says both.
#[test]
fn interrupted_fits_say_so() {
    let (truth, cells) = random_low_rank(60, 60, 2, 2_000, 8);
    let table: Vec<(usize, usize, f64)> = cells.iter().map(|&(i, j)| (i, j, truth[(i, j)])).collect();
    let entries = Entries::new(60, 60, &table, None).unwrap();
    let mut verified = 0;
    for after in 0..60 {
        let (mut steps, mut stopped) = (0, false);
        let mut observer = FromFn(|_| {
            steps += 1;
            stopped |= steps > after;
            if stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let options = Options { seed: 1, exact_recovery: Some(1e-6), ..Options::default() };
        let found = complete_observed(&entries, Rank::Fixed(2), &options, &mut observer).unwrap();
        assert_eq!(found.report.ending == Ending::Interrupted, stopped, "{after}");
        verified += usize::from(stopped && found.status.is_verified());
    }
    assert!(verified > 0, "no interrupted fit was verified: the test sees nothing");
}

/// A start far off is refused, not fitted to nonsense; rows folded in near the largest numbers are finite or refused.
#[test]
fn starts_and_new_rows_near_the_ends_of_the_range() {
    let (truth, cells) = random_low_rank(20, 20, 1, 200, 3);
    let table: Vec<(usize, usize, f64)> = cells.iter().map(|&(i, j)| (i, j, truth[(i, j)])).collect();
    let entries = Entries::new(20, 20, &table, None).unwrap();
    let found = complete(&entries, Rank::Fixed(1), &Options { seed: 1, ..Options::default() }).unwrap();
    for size in [1e-200, 1e10, 1e50, 1e200] {
        let mut start = found.model.clone();
        start.row_factors.as_mut_slice().fill(size);
        start.column_factors.as_mut_slice().fill(size);
        let options = Options { seed: 1, start: Some(start), ..Options::default() };
        match complete(&entries, Rank::Fixed(1), &options) {
            Ok(found) => {
                assert!(found.model.predict(0, 0).is_finite() && found.report.train_rmse.is_finite(), "{size:e}");
            }
            Err(error) => assert!(size > 1e14 && error.to_string().contains("start"), "{size:e}: {error}"),
        }
    }
    match found.model.fold_in(&[(0, f64::MAX), (1, -f64::MAX), (2, f64::MAX)], 0.0) {
        Ok(row) => assert!(row.bias.is_finite() && row.factors.iter().all(|f| f.is_finite()), "{row:?}"),
        Err(error) => assert!(error.to_string().contains("finite"), "{error}"),
    }
}

/// Row COM-13: tables on which the pattern says more than the entries do. What is said to be determined is right, and what
/// is verified meets every entry that was given.
#[test]
fn what_is_determined_is_right_on_degenerate_tables() {
    let shapes = [
        Degenerate::OverRanked,
        Degenerate::SharedColumnsAlike,
        Degenerate::BlockOfLowerRank,
        Degenerate::SeenInZeroRows,
    ];
    let (mut verified, mut in_parts) = (0, 0);
    for seed in 0..80_u64 {
        let (shape, n) = (shapes[seed as usize % 4], 12 + 4 * (seed as usize / 4 % 5));
        let table = hostile::degenerate_table(n, shape, seed);
        let entries = Entries::new(n, n, &table.observed, None).unwrap();
        let options = Options { seed, exact_recovery: Some(1e-6), ..Options::default() };
        let rank = if seed % 3 == 2 { Rank::Auto { max: 3 } } else { Rank::Fixed(shape.rank()) };
        let found = complete(&entries, rank, &options).unwrap();
        if !found.status.is_verified() {
            continue;
        }
        verified += 1;
        in_parts += usize::from(found.status == Status::VerifiedInParts);
        let size = found.report.spread;
        let cells = (0..n).flat_map(|i| (0..n).map(move |j| (i, j)));
        let wrong: Vec<(usize, usize)> = cells
            .filter(|&(i, j)| found.predict(i, j).is_some_and(|p| (p - table.truth[(i, j)]).abs() > 1e-3 * size))
            .collect();
        let report = (&found.status, found.report.relative_test_error, &found.report.determination.check);
        assert!(wrong.is_empty(), "seed {seed} {shape:?} n {n} {rank:?}: {} wrong {report:?}", wrong.len());
        assert!(
            found.model.rmse(&table.observed).unwrap() <= 1e-3 * size,
            "seed {seed} {shape:?}: given entries missed"
        );
    }
    assert!(verified >= 40 && in_parts >= 20, "{verified} verified, {in_parts} in parts");
}

/// A spread far below the values is the scale of the tolerance all the same.
#[test]
fn small_differences_of_large_values_are_not_verified_by_their_size() {
    let (m, n) = (30, 30);
    let (u, _) = random_low_rank(m, n, 2, 0, 3);
    let value = |i: usize, j: usize| 1e13 + u[(i, j)];
    let cells = (0..m).flat_map(|i| (0..n).map(move |j| (i, j))).filter(|(i, j)| (i * 7 + j * 11) % 10 < 7);
    let observed: Vec<_> = cells.map(|(i, j)| (i, j, value(i, j))).collect();
    let entries = Entries::new(m, n, &observed, None).unwrap();
    let options = Options { exact_recovery: Some(1e-6), ..Options::default() };
    let found = complete(&entries, Rank::Fixed(1), &options).unwrap();
    assert!(found.report.spread < 100.0, "{}", found.report.spread);
    assert!(!found.status.is_verified(), "{:?} {:?}", found.status, found.report.test_rmse);
}

/// What is verified meets all that was given, also where few entries are held out and lines are left over.
#[test]
fn verified_models_meet_what_was_given() {
    let mut verified = 0;
    for seed in 0..1_500_u64 {
        let mut draw = rng(seed);
        let n = [5, 6, 8, 12][seed as usize % 4];
        let whole = seed / 4 % 2 == 0;
        let rank = 1 + seed as usize / 8 % 2;
        let density = [0.2, 0.3, 0.5, 0.8][seed as usize / 16 % 4];
        let mut factor = || {
            Matrix::from_fn(n, rank, |_, _| {
                let x: f64 = normal(&mut draw);
                if whole { (1.5 * x).round() } else { x }
            })
        };
        let truth = factor().multiply(&factor().transpose()).unwrap();
        let cells = (0..n).flat_map(|i| (0..n).map(move |j| (i, j)));
        let observed: Vec<_> = cells
            .filter(|_| samplewise_linalg::random::uniform(&mut draw) < density)
            .map(|(i, j)| (i, j, truth[(i, j)]))
            .collect();
        let Ok(entries) = Entries::new(n, n, &observed, None) else { continue };
        let options = Options { seed, exact_recovery: Some(1e-6), ..Options::default() };
        let Ok(found) = complete(&entries, Rank::Fixed(rank), &options) else { continue };
        if found.status != Status::Verified && found.status != Status::VerifiedInParts {
            continue;
        }
        verified += 1;
        for &(i, j, v) in &observed {
            // Factors of undetermined lines are held small.
            let allowed = if found.determined(i, j) { 1e-4 } else { 1e-2 };
            let off = (found.model.predict(i, j) - v).abs() > allowed * found.report.spread;
            let told = found.status == Status::VerifiedInParts && !found.determined(i, j);
            assert!(!off || told, "seed {seed}: {} for {v} at {i} {j}, {:?}", found.model.predict(i, j), found.status);
        }
    }
    assert!(verified >= 100, "{verified} verified");
}

/// Row TRU-1: a table that mean, biases and one product fit exactly is fitted so, whatever small ridge is asked for, and
/// by the ridge that the tuning entries choose; biases are not drawn to the mean where the factors are not.
#[test]
fn biases_are_shrunk_no_more_than_factors() {
    let value = |i: usize, j: usize| (1.0 + 0.3 * i as f64) * (1.0 + 0.2 * j as f64);
    let seen: Vec<(usize, usize, f64)> = (0..600)
        .map(|at| (at / 20, at % 20))
        .filter(|(i, j)| (7 * i + 11 * j) % 5 < 3)
        .map(|(i, j)| (i, j, value(i, j)))
        .collect();
    let data = Entries::new(30, 20, &seen, None).unwrap();
    for lambda in [Some(0.0), Some(1e-12), Some(1e-8), Some(1e-4), None] {
        let options = Options { biases: true, lambda, ..Options::default() };
        let found = complete(&data, Rank::Fixed(1), &options).unwrap();
        let worst = (0..600).map(|at| (found.model.predict(at / 20, at % 20) - value(at / 20, at % 20)).abs());
        let worst = worst.fold(0.0, f64::max) / found.report.spread;
        assert!(worst < 1e-3, "{lambda:?}: {worst:e} {:?}", found.report);
    }
}

/// Row COM-13: a given entry counts whatever its weight: one that ties two blocks together is met, or nothing that hangs on it
/// is called determined.
#[test]
fn entries_of_small_weight_are_met_or_nothing_hangs_on_them() {
    for seed in 0..20 {
        for weight in [1.0, 1e-4, 1e-8, 1e-10] {
            let mut draw = rng(seed);
            let (u, v): (Vec<f64>, Vec<f64>) = (0..20).map(|_| (normal(&mut draw), normal(&mut draw))).unzip();
            let mut seen = Vec::new();
            let mut weights = Vec::new();
            for i in 0..20 {
                for j in 0..20 {
                    let tie = (i, j) == (3, 15);
                    if (i < 10) == (j < 10) || tie {
                        seen.push((i, j, u[i] * v[j]));
                        weights.push(if tie { weight } else { 1.0 });
                    }
                }
            }
            let data = Entries::new(20, 20, &seen, Some(&weights)).unwrap();
            let found = complete(&data, Rank::Fixed(1), &Options { seed, ..Options::default() }).unwrap();
            if found.status.is_verified() {
                for i in 0..20 {
                    for (j, v) in v.iter().enumerate() {
                        let off = found.predict(i, j).map_or(0.0, |p| (p - u[i] * v).abs() / found.report.spread);
                        assert!(off < 0.05, "seed {seed} weight {weight:e} ({i}, {j}): {off} {:?}", found.status);
                    }
                }
            }
        }
    }
}

/// Row COM-13: what is called determined is so at the accuracy that the model has, in all but one of a hundred tables: factors
/// of very different sizes, and a tolerance that is met by the first alone.
#[test]
fn determined_entries_are_right_at_loose_tolerances() {
    let (mut verified, mut wrong) = (0, Vec::new());
    for seed in 0..200 {
        let mut draw = rng(seed);
        let u = Matrix::from_fn(16, 3, |_, _| normal(&mut draw));
        let v = Matrix::from_fn(30, 3, |_, c| if c > 0 { 1e-4 } else { 1.0 } * normal(&mut draw));
        let value = |i: usize, j: usize| (0..3).map(|c| u[(i, c)] * v[(j, c)]).sum::<f64>();
        let cells = (0..480).map(|at| (at / 30, at % 30));
        let seen: Vec<(usize, usize, f64)> =
            cells.filter(|_| uniform(&mut draw) < 0.45).map(|(i, j)| (i, j, value(i, j))).collect();
        let data = Entries::new(16, 30, &seen, None).unwrap();
        let options = Options { seed, exact_recovery: Some(1e-3), ..Options::default() };
        let Ok(found) = complete(&data, Rank::Fixed(3), &options) else { continue };
        if !found.status.is_verified() {
            continue;
        }
        verified += 1;
        let off = |at: usize| found.predict(at / 30, at % 30).map_or(0.0, |p| (p - value(at / 30, at % 30)).abs());
        let worst = (0..480).map(off).fold(0.0, f64::max) / found.report.spread;
        if worst > 0.05 {
            wrong.push((seed, worst));
        }
    }
    assert!(wrong.len() <= verified / 100 && verified > 100, "{wrong:?} of {verified}");
}

/// Ridges beyond every number, offsets that leave hardly a digit, and test entries that were given.
#[test]
fn extreme_arguments_have_answers_or_errors_that_name_them() {
    let cells = |i: usize, j: usize| 1e-30 * ((i + 1) * (j + 1)) as f64;
    let seen: Vec<(usize, usize, f64)> = (0..144).map(|at| (at / 12, at % 12, cells(at / 12, at % 12))).collect();
    let data = Entries::new(12, 12, &seen, None).unwrap();
    for solver in [Solver::Auto, Solver::Exact, Solver::Sketched { accuracy: 0.3, rows_per_unknown: 4 }] {
        for biases in [false, true] {
            let options = Options {
                lambda: Some(1e290),
                biases,
                advanced: Advanced { solver, ..Advanced::default() },
                ..Options::default()
            };
            let found = complete(&data, Rank::Fixed(1), &options).unwrap();
            assert!(found.report.lambda.is_finite() && found.report.train_rmse.is_finite(), "{solver:?} {biases}");
        }
    }
    for seed in 0..100 {
        let mut draw = rng(seed);
        let seen: Vec<(usize, usize, f64)> = (0..36)
            .map(|at| (at / 6, at % 6, 1e7 + (10.0 * uniform(&mut draw)).floor()))
            .filter(|e| !(e.0 * 5 + e.1 * 3 + seed as usize).is_multiple_of(5))
            .collect();
        if let Ok(data) = Entries::new(6, 6, &seen, None) {
            let found = complete(&data, Rank::Fixed(3), &Options { seed, ..Options::default() });
            assert!(found.is_ok(), "seed {seed}: {found:?}");
        }
    }
    // Noise, judged by what was given, is never verified.
    let mut draw = rng(7);
    let seen: Vec<(usize, usize, f64)> = (0..64).map(|at| (at / 8, at % 8, normal(&mut draw))).collect();
    let data = Entries::new(8, 8, &seen, None).unwrap();
    let options = Options::default();
    let found = complete(
        &data,
        Rank::Fixed(8),
        &Options { seed: 1, verification: Verification::Given(seen.clone()), ..options.clone() },
    )
    .unwrap();
    assert!(!found.status.is_verified(), "{:?}", found.status);
}

//! Surrogates through their public face: claims, symmetries, bad input, storage (rows GP-1 and GP-8 to GP-15).
use samplewise_linalg::random::{Streams, below, normal, shuffle, uniform};
use samplewise_testkit::hostile::{Measured, measured_functions};
use samplewise_testkit::{assert_rate_at_most, generate};
use samplewise_wht::surrogate::{
    AskOptions, Kind, LetterPosterior, Letters, Options, PairIndex, Posterior, Status, Surrogate, Target, fit,
    fit_letters, fit_letters_observed, fit_observed,
};
use samplewise_wht::{Decoder, Ending, Error, Noise, Plan, Recovery, Sparsity, Support, Wide, dense, recover};

fn points(n: usize, count: usize, seed: u64) -> Vec<u64> {
    let mut rng = Streams::new(seed).stream(0);
    (0..count).map(|_| (0..n).fold(0, |m, i| m | (below(&mut rng, 2) as u64) << i)).collect()
}

/// Nearly sparse: some interactions, and a nonlinear function of a weighted sum.
fn curved(n: usize) -> impl Fn(u64) -> f64 {
    move |m| {
        let x = |i: usize| (m >> i & 1) as f64;
        let sum: f64 = (0..n).map(|i| x(i) / (1.0 + i as f64)).sum();
        (2.0 * sum - 2.0).tanh() + x(0) * x(1) - 0.5 * x(2) * x(3)
    }
}

fn r2(model: &Posterior, f: impl Fn(u64) -> f64, n: usize) -> f64 {
    let fresh = points(n, 1_000, 999);
    let said = model.predict_all(&fresh).unwrap();
    let truth: Vec<f64> = fresh.iter().map(|&m| f(m)).collect();
    let mean = truth.iter().sum::<f64>() / truth.len() as f64;
    let left: f64 = truth.iter().zip(&said).map(|(t, s)| (t - s.mean).powi(2)).sum();
    1.0 - left / truth.iter().map(|t| (t - mean).powi(2)).sum::<f64>()
}

/// What the README says of functions that are not sparse.
#[test]
fn nearly_sparse_functions_are_learned() {
    let n = 16;
    let f = curved(n);
    let told = points(n, 120, 1);
    let values: Vec<f64> = told.iter().map(|&m| f(m)).collect();
    let model = fit(&told, &values, n, &Options::default()).unwrap();
    assert_eq!((model.status, model.report.ending), (Status::Predictive, Ending::Finished));
    let (truth, said) = (r2(&model, &f, n), model.report.held_out_r2.unwrap());
    assert!(truth > 0.9 && (truth - said).abs() < 0.08, "{truth} {said}");
    assert!(model.converged() && model.report.held_out == 120 && model.report.merged == 0);
    let shares: f64 = model.report.experts.iter().map(|e| e.share).sum();
    assert!((shares - 1.0).abs() < 1e-9);
    // The largest coefficients add up to the function.
    let top = model.top(2_000);
    let spectrum: Vec<(u64, f64)> = top.coefficients.iter().map(|c| (c.0, c.1.mean)).collect();
    for &m in &points(n, 20, 3) {
        assert!((dense::evaluate(&spectrum, m) - model.predict(m).unwrap().mean).abs() < 0.02);
    }
    assert!(top.missed_at_most < 1e-3);
}

/// GP-1: two levels everywhere give the bits of `fit`.
#[test]
fn two_letters_are_bits() {
    let n = 8;
    let f = curved(n);
    let told = points(n, 60, 2);
    let values: Vec<f64> = told.iter().map(|&m| f(m)).collect();
    let rows: Vec<u8> = told.iter().flat_map(|m| (0..n).map(move |i| (m >> i & 1) as u8)).collect();
    let bits = fit(&told, &values, n, &Options::default()).unwrap();
    let letters = fit_letters(&Letters::new(vec![2; n], rows.clone()).unwrap(), &values, &Options::default()).unwrap();
    let said = letters.predict(&Letters::new(vec![2; n], rows).unwrap()).unwrap();
    assert_eq!(bits.predict_all(&told).unwrap(), said);
    assert_eq!((bits.status, &bits.report), (letters.status, &letters.report));
    let wide: Vec<Wide<4>> = told.iter().map(|&m| samplewise_wht::Bits::from_low(m)).collect();
    let wide = fit(&wide, &values, n, &Options::default()).unwrap();
    assert_eq!(wide.shapley(), bits.shapley());
}

/// GP-8: a variable turned round and values times a power of two change no bit of what is said; another order of the
/// variables or another constant only the last ones.
#[test]
fn symmetries_are_kept() {
    let n = 8;
    let f = curved(n);
    let told = points(n, 60, 5);
    let values: Vec<f64> = told.iter().map(|&m| f(m)).collect();
    let options = Options { pursuit: false, ..Options::default() };
    let plain = fit(&told, &values, n, &options).unwrap();
    let fresh = points(n, 50, 6);
    let said = plain.predict_all(&fresh).unwrap();
    let turn = |all: &[u64]| all.iter().map(|m| m ^ 0b101).collect::<Vec<_>>();
    let turned = fit(&turn(&told), &values, n, &options).unwrap();
    assert_eq!(turned.predict_all(&turn(&fresh)).unwrap(), said);
    let scaled: Vec<f64> = values.iter().map(|v| v * 1024.0).collect();
    let scaled = fit(&told, &scaled, n, &options).unwrap().predict_all(&fresh).unwrap();
    assert!(scaled.iter().zip(&said).all(|(a, b)| a.mean == 1024.0 * b.mean && a.high == 1024.0 * b.high));
    for shift in [3.0, 1e6] {
        let moved: Vec<f64> = values.iter().map(|v| v + shift).collect();
        let moved = fit(&told, &moved, n, &options).unwrap().predict_all(&fresh).unwrap();
        let largest = moved.iter().zip(&said).map(|(a, b)| (a.mean - shift - b.mean).abs()).fold(0.0, f64::max);
        assert!(largest < 1e-3, "{shift}: {largest}");
    }
    // A variable that never varies says nothing and changes nothing.
    let more = fit(&told, &values, n + 1, &options).unwrap();
    assert_eq!(more.report.constant_variables, [n]);
    let again = more.predict_all(&fresh).unwrap();
    assert_eq!(again, said);
}

/// GP-10: the same bits for every number of threads, with few points and with many.
#[test]
fn results_do_not_depend_on_threads() {
    let n = 12;
    let f = curved(n);
    for (count, options) in [(70, Options::default()), (160, Options { evidence_points: 60, ..Options::default() })] {
        let told = points(n, count, 7);
        let values: Vec<f64> = told.iter().map(|&m| f(m)).collect();
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| fit(&told, &values, n, &options).unwrap().to_bytes())
        };
        // The seconds are part of the bytes and differ.
        let model = |threads| Posterior::<u64>::from_bytes(&run(threads)).unwrap();
        let (one, three) = (model(1), model(3));
        assert_eq!(one.predict_all(&told).unwrap(), three.predict_all(&told).unwrap());
        assert_eq!((one.report.clone(), one.shapley()), (three.report.clone(), three.shapley()));
    }
}

/// GP-11: intervals hold what they say. 40 functions drawn at random, 200 fresh values each: the share within the 90 %
/// intervals is within three standard deviations of what a conformal interval of 80 held-out values has, over functions.
#[test]
fn intervals_hold_what_they_say() {
    let n = 10;
    let mut shares = Vec::new();
    for seed in 0..40 {
        let mut rng = Streams::new(seed).stream(0);
        let terms: Vec<(u64, f64)> = (0..300)
            .map(|_| {
                let degree = 1 + below(&mut rng, 3);
                let set = (0..degree).fold(0, |k, _| k | 1_u64 << below(&mut rng, n));
                (set, normal(&mut rng) * 0.5_f64.powi(degree as i32))
            })
            .collect();
        let told = points(n, 80, 100 + seed);
        let values: Vec<f64> = told.iter().map(|&m| dense::evaluate(&terms, m) + 0.1 * normal(&mut rng)).collect();
        let model = fit(&told, &values, n, &Options::default()).unwrap();
        let fresh = points(n, 200, 1_000 + seed);
        let said = model.predict_all(&fresh).unwrap();
        let inside = fresh.iter().zip(&said).filter(|(m, s)| {
            let value = dense::evaluate(&terms, **m) + 0.1 * normal(&mut rng);
            (s.low..=s.high).contains(&value)
        });
        shares.push(inside.count() as f64 / 200.0);
    }
    let mean = shares.iter().sum::<f64>() / 40.0;
    assert!((0.86..0.97).contains(&mean), "{mean}");
    assert!(shares.iter().filter(|s| (0.78..=1.0).contains(*s)).count() >= 36, "{shares:?}");
}

/// GP-12: what was recovered exactly is recovered exactly: all cases of WHT-11 through `Decoder::Auto`, where the report says
/// that the pursuit answered.
#[test]
fn sparse_functions_are_still_recovered_exactly() {
    for (variables, trees, depth, seed) in [(30, 5, 3, 1), (12, 3, 2, 2), (60, 5, 3, 3), (20, 1, 5, 4)] {
        let truth = generate::tree_spectrum(variables, trees, depth, seed);
        let support = Support::Hereditary { max_degree: depth };
        let samples = Some(6 * truth.len());
        let options = samplewise_wht::Options { seed, support, samples, ..samplewise_wht::Options::default() };
        let auto = recover(|m: u64| dense::evaluate(&truth, m), variables, 500, &options).unwrap();
        let named = samplewise_wht::Options { decoder: Decoder::Heredity, ..options };
        let pursuit = recover(|m: u64| dense::evaluate(&truth, m), variables, 500, &named).unwrap();
        assert_eq!(auto, pursuit);
        assert_eq!(auto.report.route, Decoder::Heredity);
        // And by the surrogate itself.
        let told = points(variables, 6 * truth.len(), 50 + seed);
        let values: Vec<f64> = told.iter().map(|&m| dense::evaluate(&truth, m)).collect();
        let model = fit(&told, &values, variables, &Options::default()).unwrap();
        assert!(matches!(model.status, Status::Explained { terms } if terms <= truth.len() + 1), "{:?}", model.status);
        let size = truth.iter().map(|t| t.1.abs()).fold(0.0, f64::max);
        assert!(truth.iter().all(|t| (model.coefficient(t.0).unwrap().mean - t.1).abs() < 1e-9 * size));
    }
}

/// A function that is not sparse is explained better by the surrogate, in a plan and in an adaptive recovery, and no claim is
/// made that the fresh samples do not bear.
#[test]
fn plans_of_nearly_sparse_functions_end_with_the_surrogate() {
    let n = 16;
    let f = curved(n);
    let options = |decoder| samplewise_wht::Options {
        decoder,
        support: Support::Hereditary { max_degree: 4 },
        samples: Some(200),
        ..samplewise_wht::Options::default()
    };
    let run = |decoder| recover(&f, n, 150, &options(decoder)).unwrap();
    let (auto, pursuit) = (run(Decoder::Auto), run(Decoder::Heredity));
    assert_eq!(auto.report.route, Decoder::Surrogate);
    assert!(
        auto.report.r2.unwrap() > pursuit.report.r2.unwrap() + 0.02,
        "{:?} {:?}",
        auto.report.r2,
        pursuit.report.r2
    );
    assert!(matches!(auto.status, samplewise_wht::Status::Stalled { .. }) && auto.coefficients.len() <= 150);
    assert!(auto.coefficients.windows(2).all(|w| w[0].index < w[1].index));
    let adaptive = |decoder| {
        let mut recovery = Recovery::new(n, Sparsity::Unknown { max: 400 }, &options(decoder)).unwrap();
        while !recovery.ask().is_empty() {
            let answers: Vec<f64> = recovery.ask().iter().map(|&m| f(m)).collect();
            recovery.tell(&answers).unwrap();
            let bytes = recovery.to_bytes();
            assert_eq!(Recovery::<u64>::from_bytes(&bytes).unwrap().to_bytes(), bytes);
        }
        recovery.finish().unwrap()
    };
    let (auto, pursuit) = (adaptive(Decoder::Auto), adaptive(Decoder::Heredity));
    assert_eq!((auto.report.route, auto.report.samples), (Decoder::Surrogate, pursuit.report.samples));
    assert!(auto.report.r2 > pursuit.report.r2 && auto.report.ending == Ending::Limit);
    // Beyond the most points the pursuit answers, and the report says so.
    let many = samplewise_wht::Options { samples: Some(4_100), ..options(Decoder::Auto) };
    assert_eq!(Plan::new(n, 150, &many).unwrap().spec().decoder, Decoder::Heredity);
}

/// GP-15: noise is not explained. 60 tables of pure noise: fresh R² is seldom far below zero, and one process of the widest
/// spread alone, which no held-out value judges, is.
#[test]
fn noise_is_not_explained() {
    let (n, count) = (12, 60);
    let (mut mixed, mut alone) = (Vec::new(), Vec::new());
    for seed in 0..60 {
        let mut rng = Streams::new(seed).stream(0);
        let told = points(n, count, 2_000 + seed);
        let values: Vec<f64> = told.iter().map(|_| normal(&mut rng)).collect();
        let zero = |model: &Posterior| {
            let fresh = points(n, 300, 5_000 + seed);
            // The truth is zero, and the variance of a value one.
            -model.predict_all(&fresh).unwrap().iter().map(|s| s.mean * s.mean).sum::<f64>() / 300.0
        };
        let model = fit(&told, &values, n, &Options::default()).unwrap();
        assert!(!matches!(model.status, Status::Explained { .. }));
        mixed.push(zero(&model));
        let single = Options { spreads: vec![6.0], tails: vec![], pursuit: false, ..Options::default() };
        let model = fit(&told, &values, n, &single).unwrap();
        let share = model.report.experts[0].share;
        assert_eq!(model.report.experts[0].kind, Kind::Process { spread: 6.0 });
        alone.push(if share > 0.0 { zero(&model) / (share * share) } else { -1.0 });
    }
    let median = |v: &mut Vec<f64>| {
        v.sort_by(f64::total_cmp);
        v[v.len() / 2]
    };
    let far = mixed.iter().filter(|r| **r < -0.2).count();
    let (mixed, alone) = (median(&mut mixed), median(&mut alone));
    assert!(mixed > -0.08 && far <= 6, "{mixed} {far}");
    assert!(alone < 2.0 * mixed, "{alone} {mixed}");
}

/// One spike in a hundred values is not a function: fresh points are answered by the mean.
#[test]
fn one_spike_is_not_a_function() {
    let told = points(20, 100, 8);
    let mut values = vec![3.7; 100];
    values[3] = 4.7;
    let model = fit(&told, &values, 20, &Options::default()).unwrap();
    assert!(!matches!(model.status, Status::Explained { .. } | Status::Constant));
    for &m in &points(20, 20, 9) {
        assert!((model.predict(m).unwrap().mean - 3.71).abs() < 0.1);
    }
}

/// Constants, in all units, are constants.
#[test]
fn constants_are_constants() {
    for value in [0.0, 3.7, -1e200, 1e-200, 5e-324, f64::MAX] {
        let told = points(6, 30, 4);
        let model = fit(&told, &vec![value; 30], 6, &Options::default()).unwrap();
        assert_eq!(model.status, Status::Constant);
        let said = model.predict(7).unwrap();
        assert!((said.mean - value).abs() <= 4.0 * f64::EPSILON * value.abs() && said.deviation == 0.0, "{said:?}");
        assert!(model.shapley().iter().all(|e| e.mean == 0.0));
        assert_eq!(model.top(3).coefficients.len(), 1);
        let sobol = model.sobol();
        assert!(sobol.total.iter().all(|t| *t == 0.0));
    }
}

/// The measured functions of the testkit: no panic, no claim that is not true, finite numbers, bytes that say the same.
#[test]
fn hostile_tables_have_honest_answers() {
    for Measured { name, variables: n, points: told, values } in measured_functions(77) {
        for options in [
            Options::default(),
            Options { noise: Noise::None, ..Options::default() },
            Options { noise: Noise::Std(0.1), tails: vec![], ..Options::default() },
            Options { evidence_points: 10, folds: 2, ..Options::default() },
        ] {
            let model = fit(&told, &values, n, &options).unwrap_or_else(|e| panic!("{name}: {e}"));
            let said = model.predict_all(&(0..32).collect::<Vec<u64>>()).unwrap();
            for s in &said {
                let finite = [s.mean, s.deviation, s.low, s.high].iter().all(|v| v.is_finite());
                assert!(finite && s.low <= s.mean && s.mean <= s.high && s.deviation >= 0.0, "{name}: {s:?}");
            }
            let size = values.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
            if let Status::Explained { .. } = model.status {
                let low = values.iter().copied().fold(f64::INFINITY, f64::min);
                let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let near = 2e-8 * (0.5 * high - 0.5 * low) + 16.0 * f64::EPSILON * size;
                for (m, v) in told.iter().zip(&values) {
                    assert!((model.predict(*m).unwrap().mean - v).abs() <= near, "{name}");
                }
            }
            let shapley: f64 = model.shapley().iter().map(|e| e.mean).sum();
            let ends = model.coefficient(0).unwrap().mean;
            assert!(shapley.is_finite() && ends.is_finite());
            assert!(model.sobol().total.iter().all(|t| (0.0..=1.0).contains(t)));
            assert_eq!(model.energy_by_degree(3).len(), 5);
            assert!(model.pairs(PairIndex::Faith).iter().all(|p| p.2.mean.is_finite()));
            let bytes = model.to_bytes();
            let again = Posterior::<u64>::from_bytes(&bytes).unwrap();
            assert_eq!(again.predict_all(&(0..32).collect::<Vec<u64>>()).unwrap(), said, "{name}");
        }
    }
}

/// Bad input has an error that names the argument, its value and what is allowed, before anything is computed.
#[test]
fn bad_input_is_refused_by_name() {
    let told = points(6, 10, 1);
    let values: Vec<f64> = told.iter().map(|&m| m as f64).collect();
    let text = |e: Error| e.to_string();
    let run = |options: &Options| text(fit(&told, &values, 6, options).unwrap_err());
    let d = Options::default;
    assert_eq!(text(fit(&told[..2], &values[..2], 6, &d()).unwrap_err()), "values.len() is 2, allowed is at least 3");
    assert_eq!(text(fit::<u64>(&[], &[], 6, &d()).unwrap_err()), "values.len() is 0, allowed is at least 3");
    assert!(matches!(fit(&told, &values[..9], 6, &d()), Err(Error::AnswersMismatch { asked: 10, given: 9 })));
    let mut bad = values.clone();
    bad[4] = f64::NAN;
    assert!(matches!(fit(&told, &bad, 6, &d()), Err(Error::AnswerNotFinite { position: 4, .. })));
    assert_eq!(text(fit(&told, &values, 0, &d()).unwrap_err()), "variables is 0, allowed is 1 to 64");
    assert_eq!(text(fit(&told, &values, 65, &d()).unwrap_err()), "variables is 65, allowed is 1 to 64");
    let outside = text(fit(&[1, 2, 128], &values[..3], 6, &d()).unwrap_err());
    assert!(outside.contains("points is 128 with bit 7") && outside.contains("bits 0 to 5"), "{outside}");
    assert_eq!(run(&Options { folds: 1, ..d() }), "folds is 1, allowed is 2 to 20");
    assert_eq!(run(&Options { level: 1.0, ..d() }), "level is 1, allowed is above 0 and below 1");
    assert_eq!(run(&Options { spreads: vec![], ..d() }), "spreads.len() is 0, allowed is 1 to 6");
    assert_eq!(run(&Options { spreads: vec![f64::NAN], ..d() }), "spreads is NaN, allowed is 0.05 to 20");
    assert_eq!(run(&Options { tails: vec![0.0], ..d() }), "tails is 0, allowed is 0.01 to 1e9");
    assert_eq!(run(&Options { noise: Noise::Std(-1.0), ..d() }), "noise is -1, allowed is finite and above 0");
    assert_eq!(run(&Options { groups: Some(vec![1]), ..d() }), "groups.len() is 1, allowed is 10, one for each point");
    let many: Vec<u64> = (0..40).collect();
    let values: Vec<f64> = many.iter().map(|&m| m as f64).collect();
    let most = Options { max_points: 30, ..d() };
    let refused = text(fit(&many, &values, 6, &most).unwrap_err());
    assert!(refused.starts_with("distinct points would be 40, allowed is 30"), "{refused}");
    let model = fit(&many, &values, 6, &d()).unwrap();
    assert!(text(model.predict(64).unwrap_err()).contains("with bit 6"));
    assert_eq!(text(model.pair(0, 6, PairIndex::Shapley).unwrap_err()), "variable is 6, allowed is 0 to 5");
    assert!(model.pair(1, 1, PairIndex::Shapley).is_err());
    // Letters.
    let refused = text(Letters::new(vec![4, 4], vec![0, 1, 4, 0]).unwrap_err());
    assert_eq!(refused, "row 1 has letter 4 at position 0, allowed is 0 to 3");
    assert!(Letters::new(vec![], vec![]).is_err() && Letters::new(vec![65], vec![]).is_err());
    assert!(Letters::new(vec![4, 4], vec![0; 3]).is_err());
    assert!(Letters::from_words(&["AC", "ACG"], "ACGT").is_err() && Letters::from_words(&["AC"], "AA").is_err());
    assert!(Letters::from_words::<&str>(&[], "ACGT").is_err());
}

/// Letters are learned as such, and what several positions do together is found.
#[test]
fn letters_are_learned() {
    let levels = vec![4; 6];
    let mut rng = Streams::new(3).stream(0);
    let rows: Vec<u8> = (0..200 * 6).map(|_| below(&mut rng, 4) as u8).collect();
    let f = |r: &[u8]| f64::from(r[0]) * 0.5 + if r[1] == r[2] { 2.0 } else { 0.0 } - if r[3] == 3 { 1.0 } else { 0.0 };
    let all = Letters::new(levels.clone(), rows).unwrap();
    let values: Vec<f64> = (0..all.len()).map(|j| f(all.row(j)) + 0.05 * normal(&mut rng)).collect();
    let model = fit_letters(&all, &values, &Options::default()).unwrap();
    assert_eq!(model.status, Status::Predictive);
    assert!(model.report.held_out_r2.unwrap() > 0.9, "{:?}", model.report);
    let sobol = model.sobol();
    assert!(sobol.total[1] > 0.3 && sobol.first[1] < 0.05 && sobol.total[5] < 0.02, "{sobol:?}");
    // Two letters that agree: 2 less the means over both.
    let pair = model.interaction(&[1, 2], &[2, 2]).unwrap();
    assert!((pair.mean - 1.5).abs() < 0.4, "{pair:?}");
    assert!(model.interaction(&[2, 1], &[0, 0]).is_err() && model.interaction(&[1, 9], &[0, 0]).is_err());
    let energies = model.energy_by_degree(2);
    assert!(energies[1].of_mean > 0.3 && energies[2].of_mean > 0.3 && energies[3].of_mean < 0.2, "{energies:?}");
    let again = LetterPosterior::from_bytes(&model.to_bytes()).unwrap();
    assert_eq!(again.predict(&all).unwrap(), model.predict(&all).unwrap());
    assert!(Posterior::<u64>::from_bytes(&model.to_bytes()).is_err(), "four levels are no bits");
    assert!(model.predict(&Letters::new(vec![3; 6], vec![0; 6]).unwrap()).is_err());
}

/// Groups are held out together: a value that is the same for both members of a pair is no evidence for either.
#[test]
fn groups_are_held_out_together() {
    let n = 10;
    let mut rng = Streams::new(12).stream(0);
    // Twins that differ in one variable that does nothing, with the noise of their pair.
    let told: Vec<u64> = points(n - 1, 40, 13).into_iter().flat_map(|m| [m, m | 1 << (n - 1)]).collect();
    let values: Vec<f64> = (0..40).flat_map(|_| [normal(&mut rng); 2]).collect();
    let apart = fit(&told, &values, n, &Options::default()).unwrap();
    let groups = Some((0..80).map(|j| j / 2).collect());
    let together = fit(&told, &values, n, &Options { groups, ..Options::default() }).unwrap();
    assert!(apart.report.held_out_r2.unwrap() > 0.5, "twins tell each other: {:?}", apart.report.held_out_r2);
    assert!(together.report.held_out_r2.unwrap() < 0.2, "{:?}", together.report.held_out_r2);
}

/// Bytes that are cut or damaged are an error that says so, at every length and for every byte of the head.
#[test]
fn damaged_bytes_are_refused() {
    let n = 6;
    let told = points(n, 20, 1);
    let values: Vec<f64> = told.iter().map(|&m| curved(n)(m)).collect();
    let bytes = fit(&told, &values, n, &Options::default()).unwrap().to_bytes();
    for cut in (0..bytes.len()).step_by(7) {
        assert!(matches!(Posterior::<u64>::from_bytes(&bytes[..cut]), Err(Error::Data(_))));
    }
    let mut rng = Streams::new(2).stream(0);
    for _ in 0..200 {
        let mut bad = bytes.clone();
        let at = below(&mut rng, bad.len());
        bad[at] ^= 1 << below(&mut rng, 8);
        assert!(matches!(Posterior::<u64>::from_bytes(&bad), Err(Error::Data(_))), "{at}");
    }
}

/// A surrogate under way that goes through bytes before every answer asks and answers as one that does not; bytes that are cut
/// or damaged are an error.
#[test]
fn asked_surrogates_go_through_bytes() {
    let n = 7;
    let f = curved(n);
    for target in [Target::Values, Target::Shapley, Target::Maximum] {
        let fit = Options { tails: vec![], level: 0.8, seed: 3, ..Options::default() };
        let options = AskOptions { fit, budget: 90, batch: Some(15), enough: 0.02 };
        let mut plain = Surrogate::new(n, target, &options).unwrap();
        let mut stored = plain.clone();
        let mut rng = Streams::new(4).stream(0);
        while !plain.ask().is_empty() {
            let bytes = stored.to_bytes();
            let cut = below(&mut rng, bytes.len());
            assert!(matches!(Surrogate::<u64>::from_bytes(&bytes[..cut]), Err(Error::Data(_))));
            let mut bad = bytes.clone();
            bad[cut] ^= 1 << below(&mut rng, 8);
            assert!(matches!(Surrogate::<u64>::from_bytes(&bad), Err(Error::Data(_))));
            assert!(matches!(Surrogate::<Wide<2>>::from_bytes(&bytes), Err(Error::Data(_))));
            stored = Surrogate::from_bytes(&bytes).unwrap();
            assert_eq!(stored.to_bytes(), bytes);
            assert_eq!((plain.ask(), plain.best()), (stored.ask(), stored.best()));
            let answers: Vec<f64> = plain.ask().iter().map(|&m| f(m)).collect();
            plain.tell(&answers).unwrap();
            stored.tell(&answers).unwrap();
        }
        assert!(plain.points().len() > 40 && stored.ask().is_empty());
        let stored = Surrogate::<u64>::from_bytes(&stored.to_bytes()).unwrap();
        let (plain, stored) = (plain.finish().unwrap(), stored.finish().unwrap());
        assert_eq!((plain.shapley(), plain.status), (stored.shapley(), stored.status));
    }
}

/// Where every point there is was told, no limit ended it.
#[test]
fn small_spaces_are_finished() {
    let f = |m: u64| (m as f64).sin();
    for target in [Target::Values, Target::Shapley, Target::Maximum] {
        let options = AskOptions { budget: 100, batch: Some(4), enough: 0.0, ..AskOptions::default() };
        let (done, _) = ask_all(f, 4, target, &options);
        assert_eq!(
            (done.points().len(), done.best().unwrap().0),
            (16, (0..16).max_by(|&a, &b| f(a).total_cmp(&f(b))).unwrap())
        );
        assert_eq!(done.finish().unwrap().report.ending, Ending::Finished, "{target:?}");
    }
}

#[cfg(feature = "serde")]
#[test]
fn surrogates_are_data() {
    let n = 6;
    let told = points(n, 30, 1);
    let values: Vec<f64> = told.iter().map(|&m| curved(n)(m)).collect();
    let model = fit(&told, &values, n, &Options::default()).unwrap();
    let text = serde_json::to_string(&model).unwrap();
    let again: Posterior = serde_json::from_str(&text).unwrap();
    assert_eq!((again.predict_all(&told).unwrap(), &again.report), (model.predict_all(&told).unwrap(), &model.report));
    let broken = text.replacen("\"scale\":", "\"scale\":-", 1);
    assert!(serde_json::from_str::<Posterior>(&broken).is_err());
}

/// At whatever look it is stopped, the answer says so and is finite; what was done before is the answer.
#[test]
fn stopped_fits_say_so() {
    let n = 10;
    let f = curved(n);
    let mut rng = Streams::new(5).stream(0);
    let mut stopped = 0;
    for options in [Options::default(), Options { evidence_points: 40, ..Options::default() }] {
        let told = points(n, 90, 3);
        let values: Vec<f64> = told.iter().map(|&m| f(m)).collect();
        let looks: Vec<usize> = (1..8).chain((0..12).map(|_| 1 + below(&mut rng, 300))).collect();
        for look in looks {
            let (answer, came) =
                samplewise_testkit::stopping::stopped_at(look, |o| fit_observed(&told, &values, n, &options, o));
            match answer {
                Err(e) => assert!(came && e == Error::Interrupted),
                Ok(model) => {
                    assert_eq!(model.report.ending == Ending::Interrupted, came, "look {look}");
                    assert!(!came || !model.converged());
                    assert!(model.predict_all(&told).unwrap().iter().all(|s| s.mean.is_finite()));
                    stopped += usize::from(came);
                }
            }
        }
    }
    assert!(stopped >= 8, "{stopped}");
    let rows = Letters::new(vec![3; 4], (0..40_u8).map(|i| i % 3).collect()).unwrap();
    let values: Vec<f64> = (0..10).map(f64::from).collect();
    let run = |o: &mut dyn samplewise_wht::Observer| fit_letters_observed(&rows, &values, &Options::default(), o);
    let (answer, came) = samplewise_testkit::stopping::stopped_at(1, run);
    let model = answer.unwrap();
    assert!(came && model.report.ending == Ending::Interrupted && model.status == Status::Unjudged);
}

/// S5 in small: few of many variables matter, and they are found.
#[test]
fn few_of_many_variables_are_found() {
    let n = 300;
    let mut failures = 0;
    for seed in 0..10 {
        let mut rng = Streams::new(seed).stream(0);
        let mut order: Vec<usize> = (0..n).collect();
        shuffle(&mut rng, &mut order);
        let told: Vec<Wide<16>> = (0..150)
            .map(|_| samplewise_wht::Bits::from_positions((0..n).filter(|_| uniform(&mut rng) < 0.5)))
            .collect();
        let f = |m: Wide<16>| {
            let x = |i: usize| f64::from(u8::from(samplewise_wht::Bits::bit(m, order[i])));
            3.0 * x(0) - 2.0 * x(1) * x(2) + x(3) * x(4) * x(5) + x(6) - x(7)
        };
        let values: Vec<f64> = told.iter().map(|&m| f(m)).collect();
        let model = fit(&told, &values, n, &Options::default()).unwrap();
        failures += usize::from(!matches!(model.status, Status::Explained { .. }));
    }
    assert_rate_at_most(failures, 10, 0.1, 1e-3);
}

/// Tells a surrogate what it asks until it is over.
fn ask_all(f: impl Fn(u64) -> f64, n: usize, target: Target, options: &AskOptions) -> (Surrogate, usize) {
    let mut surrogate = Surrogate::new(n, target, options).unwrap();
    let mut batches = 0;
    while !surrogate.ask().is_empty() {
        let answers: Vec<f64> = surrogate.ask().iter().map(|&m| f(m)).collect();
        surrogate.tell(&answers).unwrap();
        batches += 1;
    }
    (surrogate, batches)
}

/// Asked Shapley values are within the error asked for, points are asked once, and the budget is kept.
#[test]
fn asked_values_are_as_good_as_asked_for() {
    let n = 12;
    let f = curved(n);
    // By definition: the mean over coalitions of each size.
    let mut truth = vec![0.0; n];
    let weight: Vec<f64> = (0..n)
        .map(|s| {
            (1..=s).chain(1..=(n - 1 - s)).map(|k| (k as f64).ln()).sum::<f64>()
                - (1..=n).map(|k| (k as f64).ln()).sum::<f64>()
        })
        .map(f64::exp)
        .collect();
    for m in 0..1_u64 << n {
        for (i, t) in truth.iter_mut().enumerate().filter(|(i, _)| m >> i & 1 == 0) {
            *t += weight[m.count_ones() as usize] * (f(m | 1 << i) - f(m));
        }
    }
    let options = AskOptions { budget: 400, enough: 0.03, ..AskOptions::default() };
    let (surrogate, batches) = ask_all(&f, n, Target::Shapley, &options);
    let mut points = surrogate.points().to_vec();
    assert!(points.contains(&0) && points.contains(&0xfff) && batches > 1);
    points.sort_unstable();
    points.dedup();
    assert!(points.len() == surrogate.values().len() && points.len() <= 400);
    let model = surrogate.finish().unwrap();
    let shapley = model.shapley();
    let error: f64 = shapley.iter().zip(&truth).map(|(e, t)| (e.mean - t).powi(2)).sum();
    let size: f64 = truth.iter().map(|t| t * t).sum();
    assert!(error < 0.03_f64.powi(2) * size, "{}", (error / size).sqrt());
    assert!(model.report.ending == Ending::Finished);
    // A budget that is spent is a limit.
    let little = AskOptions { budget: 45, enough: 0.0, ..AskOptions::default() };
    let (surrogate, _) = ask_all(&f, n, Target::Values, &little);
    assert_eq!((surrogate.points().len(), surrogate.finish().unwrap().report.ending), (45, Ending::Limit));
    // An explained function ends at the first batch.
    let (surrogate, batches) = ask_all(|m| (m & 1) as f64 - 2.0 * (m >> 1 & 1) as f64, n, Target::Values, &little);
    assert_eq!((batches, surrogate.finish().unwrap().report.ending), (1, Ending::Finished));
}

/// The largest value of a rugged function of 4,096 points from 150 of them, in 9 of 10 runs at least as good as the best of
/// as many random points, and mostly the largest of all.
#[test]
fn maxima_are_found() {
    let n = 12;
    let (mut found, mut better) = (0, 0);
    for seed in 0..10 {
        let mut rng = Streams::new(seed).stream(0);
        let tables: Vec<Vec<f64>> = (0..n).map(|_| (0..8).map(|_| normal(&mut rng)).collect()).collect();
        let f = |m: u64| (0..n).map(|i| tables[i][((m | m << n) >> i & 7) as usize]).sum::<f64>();
        let largest = (0..1_u64 << n).map(f).fold(f64::NEG_INFINITY, f64::max);
        let fit = Options { seed, ..Options::default() };
        let options = AskOptions { budget: 150, fit, ..AskOptions::default() };
        let (surrogate, _) = ask_all(f, n, Target::Maximum, &options);
        let (point, value) = surrogate.best().unwrap();
        assert_eq!(f(point), value);
        let random = points(n, 150, 50 + seed).into_iter().map(f).fold(f64::NEG_INFINITY, f64::max);
        found += usize::from(value == largest);
        better += usize::from(value >= random);
        surrogate.finish().unwrap();
    }
    assert!(found >= 7 && better >= 9, "{found} {better}");
}

#[test]
fn asking_is_refused_by_name() {
    let text = |options: &AskOptions| Surrogate::new(6, Target::Values, options).unwrap_err().to_string();
    let d = AskOptions::default;
    assert_eq!(text(&AskOptions { budget: 7, ..d() }), "budget is 7, allowed is 8 to 20000");
    assert_eq!(
        text(&AskOptions { budget: 5_000, ..d() }),
        "budget is 5000, allowed is at most 4000, the max_points of the surrogate"
    );
    assert_eq!(text(&AskOptions { batch: Some(0), ..d() }), "batch is 0, allowed is at least 1");
    assert_eq!(text(&AskOptions { enough: 1.0, ..d() }), "enough is 1, allowed is at least 0 and below 1");
    let fit = Options { groups: Some(vec![]), ..Options::default() };
    assert_eq!(text(&AskOptions { fit, ..d() }), "groups is given, allowed is none: points are not known yet");
    assert!(Surrogate::new(65, Target::Values, &d()).is_err());
    let mut surrogate = Surrogate::new(6, Target::Values, &d()).unwrap();
    assert!(matches!(surrogate.tell(&[1.0]), Err(Error::AnswersMismatch { .. })));
    let nan = vec![f64::NAN; surrogate.ask().len()];
    assert!(matches!(surrogate.tell(&nan), Err(Error::AnswerNotFinite { position: 0, .. })));
    surrogate.interrupt();
    assert_eq!(surrogate.finish().unwrap_err(), Error::Interrupted);
}

/// What to measure next is new, and better than chance: variants of large values are large, those that tell of others tell
/// more than random ones.
#[test]
fn next_variants_are_new() {
    let levels = vec![3; 6];
    let mut rng = Streams::new(8).stream(0);
    let f = |r: &[u8]| f64::from(r[0]) + if r[1] == r[2] { 2.0 } else { 0.0 } - 0.5 * f64::from(r[5]);
    let rows: Vec<u8> = (0..120 * 6).map(|_| below(&mut rng, 3) as u8).collect();
    let told = Letters::new(levels.clone(), rows).unwrap();
    let values: Vec<f64> = (0..told.len()).map(|j| f(told.row(j)) + 0.1 * normal(&mut rng)).collect();
    let model = fit_letters(&told, &values, &Options::default()).unwrap();
    let known: Vec<&[u8]> = (0..told.len()).map(|j| told.row(j)).collect();
    for next in [
        model.most_informative(&told, 12, 1).unwrap(),
        model.most_promising(&told, &values, 12, 1).unwrap(),
        model.highest(&told, &values, 12, 1).unwrap(),
    ] {
        assert_eq!(next.len(), 12);
        assert!((0..12).all(|j| !known.contains(&next.row(j)) && (0..j).all(|k| next.row(k) != next.row(j))));
    }
    let high = model.highest(&told, &values, 5, 1).unwrap();
    assert!((0..5).all(|j| f(high.row(j)) >= 3.0), "{high:?}");
    let few = Letters::new(vec![2; 2], vec![0, 0, 0, 1, 1, 0, 1, 1]).unwrap();
    let model = fit_letters(&few, &[0.0, 1.0, 5.0, 2.0], &Options::default()).unwrap();
    assert!(model.highest(&few, &[0.0, 1.0, 5.0, 2.0], 5, 0).unwrap().is_empty());
    assert!(model.most_informative(&few, 5, 0).unwrap().is_empty());
    assert!(model.most_promising(&few, &[0.0; 3], 5, 0).is_err());
}

/// Groups that split a point, and repeats, tie rows together; repeats are no evidence of their own.
#[test]
fn repeats_and_groups_are_tied() {
    let n = 8;
    let mut rng = Streams::new(31).stream(0);
    // A point in two groups, with few points for the relevances: rows of both are one part.
    let mut told = points(n, 60, 32);
    told.push(told[0]);
    told.push(told[7]);
    let values: Vec<f64> = told.iter().map(|&m| curved(n)(m) + 0.1 * normal(&mut rng)).collect();
    for evidence_points in [20, 400] {
        let options = Options { groups: Some((0..62).collect()), evidence_points, ..Options::default() };
        let model = fit(&told, &values, n, &options).unwrap();
        assert!(model.report.merged >= 2 && model.report.held_out_r2.is_some());
        // One group is never held out.
        let options = Options { groups: Some(vec![7; 62]), evidence_points, ..Options::default() };
        assert_eq!(fit(&told, &values, n, &options).unwrap().status, Status::Unjudged);
    }
    // Eight points of an arbitrary function, fifty times each, are explained by nothing.
    let few = points(30, 8, 33);
    let arbitrary: Vec<f64> = few.iter().map(|_| normal(&mut rng)).collect();
    let told: Vec<u64> = few.iter().flat_map(|m| vec![*m; 50]).collect();
    let values: Vec<f64> = arbitrary.iter().flat_map(|v| vec![*v; 50]).collect();
    let model = fit(&told, &values, 30, &Options::default()).unwrap();
    assert!(!matches!(model.status, Status::Explained { .. }), "{:?}", model.status);
    // Neither is a function of one of two variables that are always the same.
    let told: Vec<u64> = points(10, 80, 34).into_iter().map(|m| m & !2 | (m & 1) << 1).collect();
    let values: Vec<f64> = told.iter().map(|m| (m & 1) as f64 + (m >> 3 & 1) as f64).collect();
    let model = fit(&told, &values, 10, &Options::default()).unwrap();
    assert!(!matches!(model.status, Status::Explained { .. }), "{:?}", model.status);
    assert!(model.coefficient(2).unwrap().deviation > 1e-6);
}

/// Told noise is the noise, whatever values the points of the relevances have, and structure is not claimed of noise.
#[test]
fn told_noise_and_claims_are_kept() {
    let n = 10;
    let mut rng = Streams::new(41).stream(0);
    let told = points(n, 150, 42);
    let mut values: Vec<f64> = told.iter().map(|&m| curved(n)(m) + 0.1 * normal(&mut rng)).collect();
    let options = Options { evidence_points: 40, noise: Noise::Std(0.1), pursuit: false, ..Options::default() };
    let model = fit(&told, &values, n, &options).unwrap();
    assert!((model.report.noise_std - 0.1).abs() < 0.05, "{}", model.report.noise_std);
    // An outlier among the other points does not change what noise means.
    values[149] += 1e3;
    let model = fit(&told, &values, n, &options).unwrap();
    let constant = model.report.constant_share;
    let of_processes = model.report.noise_std;
    assert!(constant > 0.0 || of_processes < 0.2, "{constant} {of_processes}");
    let mut claims = 0;
    for seed in 0..40 {
        let mut rng = Streams::new(seed).stream(1);
        let told = points(n, 50, 700 + seed);
        let values: Vec<f64> = told.iter().map(|_| normal(&mut rng)).collect();
        let options = Options { tails: vec![], ..Options::default() };
        claims += usize::from(fit(&told, &values, n, &options).unwrap().status == Status::Predictive);
    }
    // Two standard errors on one side are 2.3 %; the shares are chosen on the same values.
    assert_rate_at_most(claims, 40, 0.1, 1e-3);
}

/// Kernels with a large amplitude cancel: the bound of what was not seen still holds, by all coefficients of the mean.
#[test]
fn bounds_hold_where_energies_cancel() {
    let n = 12;
    for seed in 0..6 {
        let told = points(n, 100, 60 + seed);
        let values: Vec<f64> = told
            .iter()
            .map(|&m| {
                (0..n).map(|i| (m >> i & 1) as f64).sum::<f64>()
                    + 0.01 * f64::from(u8::from(m & 3 == 3))
                    + 0.003 * ((m * 7) % 5) as f64
            })
            .collect();
        let options = Options {
            spreads: vec![0.5],
            tails: vec![],
            pursuit: false,
            noise: Noise::Std(1e-3),
            ..Options::default()
        };
        let model = fit(&told, &values, n, &options).unwrap();
        let all: Vec<u64> = (0..1 << n).collect();
        let mut means: Vec<f64> = model.predict_all(&all).unwrap().iter().map(|e| e.mean).collect();
        means = dense::spectrum(&means).unwrap();
        for k in [1, 14, 40] {
            let top = model.top(k);
            let seen: Vec<u64> = top.coefficients.iter().map(|c| c.0).collect();
            let missed =
                (0..1_u64 << n).filter(|m| !seen.contains(m)).map(|m| means[m as usize].abs()).fold(0.0, f64::max);
            assert!(missed <= top.missed_at_most * (1.0 + 1e-6) + 1e-10, "{seed} {k}: {missed} {}", top.missed_at_most);
        }
        let energies = model.energy_by_degree(2);
        let of = |d: u32| (0..1_usize << n).filter(|k| k.count_ones() == d).map(|k| means[k].powi(2)).sum::<f64>();
        let more: f64 = (3..=n as u32).map(of).sum();
        assert!((energies[2].of_mean - of(2)).abs() < 1e-7 && (energies[3].of_mean - more).abs() < 1e-7);
        assert_eq!(model.top(usize::MAX).coefficients.len().min(10), 10);
        let covariance = model.shapley_covariance();
        assert!((0..n).all(|i| covariance[(i, i)].is_finite()));
    }
}

/// A search asks the same points in all units, told noise included.
#[test]
fn searches_do_not_depend_on_units() {
    let n = 10;
    let f = curved(n);
    let run = |unit: f64| {
        let fit = Options { noise: Noise::Std(0.01 * unit), tails: vec![], ..Options::default() };
        let options = AskOptions { budget: 80, fit, ..AskOptions::default() };
        ask_all(|m| f(m) * unit, n, Target::Maximum, &options).0.points().to_vec()
    };
    let one = run(1.0);
    for exponent in [-600, 600] {
        assert_eq!(run(2.0_f64.powi(exponent)), one, "2^{exponent}");
    }
}

//! Each bad input and its error; each edge and its answer.
use samplewise_linalg::observe::FromFn;
use samplewise_testkit::ranges;
use samplewise_wht::any::{self, AnyPlan, AnyRecovery, AnySpectrum};
use samplewise_wht::internals::RANGES;
use samplewise_wht::{
    ArgumentError, Decoder, Error, Noise, Options, Plan, Recovery, Sparsity, Spectrum, Status, Support, Wide, dense,
    recover, recover_observed,
};
use std::ops::ControlFlow;

#[test]
fn bad_arguments_name_themselves() {
    let ok = Options::default();
    assert!(matches!(Plan::new(0, 1, &ok), Err(Error::Argument(ArgumentError { name: "variables", .. }))));
    assert!(matches!(Plan::new(65, 1, &ok), Err(Error::Argument(ArgumentError { name: "variables", .. }))));
    assert!(matches!(Plan::new(5, 0, &ok), Err(Error::Argument(ArgumentError { name: "sparsity", .. }))));
    assert!(matches!(Plan::new(5, 33, &ok), Err(Error::Argument(ArgumentError { name: "sparsity", .. }))));
    for std in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let options = Options { noise: Noise::Std(std), ..Options::default() };
        assert!(matches!(Plan::new(10, 3, &options), Err(Error::Argument(ArgumentError { name: "noise", .. }))));
    }
    let unknown = Options { noise: Noise::Unknown, decoder: Decoder::Spright, ..Options::default() };
    assert!(matches!(Plan::new(10, 3, &unknown), Err(Error::DecoderNeeds { .. })));
    for noise in [Noise::Unknown, Noise::Std(1.0)] {
        let exact = Options { noise, decoder: Decoder::SignBits, ..Options::default() };
        assert!(matches!(Plan::new(10, 3, &exact), Err(Error::DecoderNeeds { .. })));
    }
    let huge = Options { decoder: Decoder::Dense, ..Options::default() };
    assert!(matches!(Plan::new(60, 3, &huge), Err(Error::TooLarge { .. })));
    let odd = dense::spectrum(&[1.0; 3]).unwrap_err().to_string();
    assert_eq!(odd, "values.len() is 3, allowed is a power of two, and 1 at least");
    let blind = Options { verification: 0, ..Options::default() };
    assert!(Recovery::new(10, Sparsity::Unknown { max: 8 }, &blind).is_err());
    for delta in [0.0, 1.0, f64::NAN] {
        let options = Options { delta, ..Options::default() };
        assert!(matches!(Plan::new(10, 3, &options), Err(Error::Argument(ArgumentError { name: "delta", .. }))));
    }
    for (support, decoder) in [
        (Support::MaxDegree(0), Decoder::Auto),
        (Support::MaxDegree(11), Decoder::Auto),
        (Support::Hereditary { max_degree: 0 }, Decoder::Auto),
        (Support::Within(vec![]), Decoder::Auto),
        (Support::Within(vec![vec![0, 10]]), Decoder::Auto),
        (Support::Any, Decoder::BchLists),
    ] {
        let options = Options { support: support.clone(), decoder, ..Options::default() };
        assert!(Plan::new(10, 3, &options).is_err(), "{support:?}");
    }
    let wide = Options { support: Support::MaxDegree(20), decoder: Decoder::BchLists, ..Options::default() };
    assert!(matches!(Plan::new(60, 3, &wide), Err(Error::DecoderNeeds { decoder: Decoder::BchLists, .. })));
    // Left to itself the plan does without the bound.
    assert!(Plan::new(60, 3, &Options { decoder: Decoder::Auto, ..wide }).is_ok());
    let crowded = Options { decoder: Decoder::JointList, noise: Noise::Unknown, ..Options::default() };
    assert!(matches!(Plan::<Wide<16>>::for_bits(1_000, 3, &crowded), Err(Error::DecoderNeeds { .. })));
    assert!(matches!(Plan::<Wide<16>>::for_bits(1_000, 1 << 20, &ok), Err(Error::TooLarge { .. })));
    let poor = Options { samples: Some(10), ..Options::default() };
    let unknown = Sparsity::Unknown { max: 8 };
    assert!(matches!(Recovery::new(20, unknown, &poor), Err(Error::Budget { samples: 10, .. })));
}

#[test]
fn bad_answers_are_refused() {
    let plan = Plan::new(12, 2, &Options::default()).unwrap();
    let mut answers = vec![0.0; plan.queries().len()];
    assert!(matches!(plan.decode(&answers[1..]), Err(Error::AnswersMismatch { .. })));
    answers[3] = f64::NAN;
    assert!(matches!(plan.decode(&answers), Err(Error::AnswerNotFinite { position: 3, .. })));
}

#[test]
fn the_zero_and_the_constant_function_are_recovered() {
    for value in [0.0, -4.0] {
        for noise in [Noise::None, Noise::Unknown] {
            let found = recover(|_: u64| value, 16, 4, &Options { noise, ..Options::default() }).unwrap();
            let got: Vec<(u64, f64)> = found.coefficients.iter().map(|c| (c.index, c.value)).collect();
            if value == 0.0 {
                assert!(got.is_empty(), "{got:?}");
            } else {
                assert_eq!(got.len(), 1, "{got:?}");
                assert!(got[0].0 == 0 && (got[0].1 - value).abs() < 1e-9);
            }
        }
    }
}

#[test]
fn every_size_up_to_the_largest_is_planned() {
    for n in 1..=64 {
        for noise in [Noise::None, Noise::Std(0.1), Noise::Unknown] {
            let x = |m: u64| if m & 1 == 0 { 1.0 } else { -1.0 };
            let found = recover(x, n, 1, &Options { noise, ..Options::default() }).unwrap();
            assert_eq!(found.top(1)[0].index, 1, "n = {n}, {noise:?}");
        }
    }
}

/// A plan that was edited by hand is refused, not trusted.
#[test]
fn edited_plans_are_refused() {
    let noisy = Options { noise: Noise::Unknown, ..Options::default() };
    for options in [Options::default(), noisy] {
        let spec = Plan::new(30, 5, &options).unwrap().spec().clone();
        for offsets in [vec![], vec![0; 3], vec![129; spec.group_bits.len()], vec![1]] {
            let edited = samplewise_wht::PlanSpec { group_offsets: offsets, ..spec.clone() };
            assert!(matches!(Plan::from_spec(edited), Err(Error::Argument(ArgumentError { name: "groups", .. }))));
        }
        let empty = samplewise_wht::PlanSpec { group_bits: vec![], group_offsets: vec![], ..spec };
        assert!(Plan::from_spec(empty).is_err());
    }
    assert!(matches!(Plan::new(63, 1 << 60, &Options::default()), Err(Error::TooLarge { .. })));
}

/// With unknown noise, noise alone is not a verified spectrum: by lists (n = 18), by the dense transform (n = 8), and
/// with too few fresh samples to tell.
#[test]
fn noise_alone_is_not_called_verified() {
    for (n, verification) in [(18, 64), (8, 64), (8, 0), (18, 1)] {
        for seed in 0..20 {
            let mut rng = samplewise_linalg::random::Streams::new(seed).stream(0);
            let options = Options { seed, noise: Noise::Unknown, verification, ..Options::default() };
            let found = recover(|_: u64| samplewise_linalg::random::normal(&mut rng), n, 30, &options).unwrap();
            assert!(!found.status.is_verified(), "n {n} seed {seed}: {:?}", found.report);
        }
    }
    // All coefficients equal, so that the median calls them noise.
    let spike = recover(
        |m: u64| if m == 0 { 16.0 } else { 0.0 },
        4,
        16,
        &Options { noise: Noise::Unknown, ..Options::default() },
    );
    assert!(!spike.unwrap().status.is_verified());
}

/// A plan for fewer coefficients than there are, small enough to be dense, still finds all of them.
#[test]
fn the_dense_plan_drops_nothing() {
    let found = recover(
        |m: u64| (1..6).map(|k: u64| f64::from(1 - 2 * ((m & k).count_ones() as i32 % 2))).sum(),
        6,
        2,
        &Options::default(),
    );
    let found = found.unwrap();
    assert_eq!((found.coefficients.len(), found.report.route), (5, Decoder::Dense));
}

/// A given sparsity larger than the truth is not filled up with noise.
#[test]
fn a_generous_sparsity_adds_no_noise() {
    let truth = [(3_u64, 1.0), (700, 1.7), (2_049, -1.3)];
    let mut wrong = 0;
    for seed in 0..25 {
        for (noise, std) in [(Noise::Unknown, 1.0), (Noise::Std(1.0), 1.0), (Noise::Unknown, 0.0)] {
            let mut rng = samplewise_linalg::random::Streams::new(seed).stream(5);
            let options = Options { seed, noise, samples: Some(768), ..Options::default() };
            let x = |m| dense::evaluate(&truth, m) + std * samplewise_linalg::random::normal(&mut rng);
            let found = recover(x, 12, 10, &options).unwrap();
            wrong += usize::from(found.coefficients.iter().map(|c| c.index).ne(truth.iter().map(|t| t.0)));
        }
    }
    assert!(wrong <= 12, "{wrong} of 75");
}

/// Stopping, budgets and limits return what was paid for.
#[test]
fn unknown_sparsity_keeps_what_was_asked() {
    let dense_function = |m: u64| ((m.wrapping_mul(2_654_435_761)) % 251) as f64;
    let unknown = Sparsity::Unknown { max: 10_000 };
    let mut stop = FromFn(|_| ControlFlow::Break(()));
    let stopped = recover_observed(dense_function, 20, unknown, &Options::default(), &mut stop);
    assert_eq!(stopped.unwrap_err(), Error::Interrupted);
    for noise in [Noise::None, Noise::Unknown, Noise::Std(1.0)] {
        let mut asked = std::collections::HashSet::new();
        let budget = Options { samples: Some(3_000), noise, ..Options::default() };
        let sample = |m| {
            assert!(asked.insert(m), "asked twice");
            dense_function(m)
        };
        let found = recover(sample, 30, unknown, &budget).unwrap();
        assert!(asked.len() <= 3_000 && found.report.samples == asked.len(), "{}", asked.len());
        assert!(matches!(found.status, Status::BudgetSpent | Status::Stalled { .. }), "{:?}", found.status);
    }
}

/// Answers that are refused leave an adaptive recovery as it was.
#[test]
fn a_recovery_survives_bad_answers() {
    let mut recovery = Recovery::new(20, Sparsity::Unknown { max: 100 }, &Options::default()).unwrap();
    let asked = recovery.ask().to_vec();
    let mut answers = vec![1.0; asked.len()];
    assert!(matches!(recovery.tell(&answers[1..]), Err(Error::AnswersMismatch { .. })));
    answers[2] = f64::INFINITY;
    assert!(matches!(recovery.tell(&answers), Err(Error::AnswerNotFinite { position: 2, .. })));
    assert_eq!(recovery.ask(), asked);
    answers[2] = 1.0;
    recovery.tell(&answers).unwrap();
    // All answers are the same: one stage shows what there is to show.
    assert!(recovery.ask().is_empty());
    let found = recovery.spectrum().unwrap().clone();
    assert!(matches!(found.status, Status::Constant { .. }) && found.coefficients.len() == 1);
    recovery.tell(&[]).unwrap();
    assert_eq!(recovery.spectrum(), Some(&found));
}

/// A rare peak that no sample met is not explained away: a constant on the fresh points verifies nothing with noise.
#[test]
fn constants_show_nothing() {
    let peak = |m: u64| if m & 0x3ff == 0x3ff { 1.0 } else { 0.0 };
    for noise in [Noise::Std(0.1), Noise::Unknown] {
        let found = recover(peak, 20, 5, &Options { noise, ..Options::default() }).unwrap();
        assert!(!found.status.is_verified(), "{:?}", found.status);
    }
}

/// A bound on the degree binds every list, and what breaks it is not reported.
#[test]
fn lists_keep_to_their_support() {
    for seed in 0..10 {
        let mut rng = samplewise_linalg::random::Streams::new(seed).stream(3);
        let support = Support::MaxDegree(1);
        let options = Options {
            seed,
            noise: Noise::Std(1.0),
            support,
            decoder: Decoder::JointList,
            samples: Some(1_500),
            ..Options::default()
        };
        let x = |m: u64| if m & 1 == 0 { 2.0 } else { -2.0 } + samplewise_linalg::random::normal(&mut rng);
        let found = recover(x, 20, Sparsity::Unknown { max: 50 }, &options);
        // Adaptive or not, nothing of a higher degree.
        assert!(found.unwrap().coefficients.iter().all(|c| c.index.count_ones() <= 1));
    }
}

/// Answers near the ends of the range of numbers are decoded as if they were in other units.
#[test]
fn huge_and_tiny_answers_are_decoded() {
    let truth = [(3_u64, 1.0), (700, 1.5), (2_049, -2.0)];
    for exponent in [-900, 0, 900] {
        let scale = f64::from(exponent).exp2();
        for (noise, support) in [
            (Noise::None, Support::Any),
            (Noise::Std(0.1 * scale), Support::Any),
            (Noise::Unknown, Support::MaxDegree(6)),
        ] {
            let options = Options { noise, support, samples: Some(600), ..Options::default() };
            let found = recover(|m: u64| scale * dense::evaluate(&truth, m), 12, 3, &options).unwrap();
            let indices = found.coefficients.iter().map(|c| c.index);
            assert!(indices.eq(truth.iter().map(|t| t.0)), "{exponent} {noise:?}: {found:?}");
            assert!((found.coefficients[2].value / scale + 2.0).abs() < 1e-9);
        }
    }
}

#[test]
fn a_function_that_is_not_sparse_is_not_called_verified() {
    let found = recover(|m: u64| ((m * m) % 251) as f64, 16, 4, &Options::default()).unwrap();
    assert!(matches!(found.status, Status::Stalled { .. }), "{:?}", found.status);
}

#[test]
fn ranges_are_those_of_the_documentation() {
    let start = Options { noise: Noise::Std(0.5), ..Options::default() };
    let spec = Plan::new(10, 3, &start).unwrap().spec().clone();
    ranges::walk(&spec, &RANGES, include_str!("../src/options.rs"), |spec| {
        let options =
            Options { noise: spec.noise, verification: spec.verification, delta: spec.delta, ..Options::default() };
        match Plan::new(10, 3, &options) {
            Err(Error::Argument(e)) => Some(e),
            Err(e) => panic!("{e}"),
            Ok(_) => None,
        }
    });
}

/// A recovery that is stored after every stage asks and answers what the other one does, and damaged bytes are refused.
#[test]
fn recoveries_and_spectra_travel_as_bytes() {
    for (noise, support) in [
        (Noise::None, Support::Any),
        (Noise::Unknown, Support::MaxDegree(2)),
        (Noise::None, Support::Hereditary { max_degree: 3 }),
        (Noise::Std(0.1), Support::Within(vec![vec![0], vec![1, 2], vec![4, 5], vec![]])),
    ] {
        let options = Options { noise, support, ..Options::default() };
        let x = |m: u64| {
            dense::evaluate(&[(0, 1.0), (0b1, 2.0), (0b110, -3.0)], m)
                + if noise == Noise::None { 0.0 } else { 0.05 * ((m * 7919) as f64).sin() }
        };
        let mut straight = Recovery::new(14, Sparsity::Unknown { max: 50 }, &options).unwrap();
        let mut stored = straight.clone();
        while !straight.ask().is_empty() {
            assert_eq!(straight.ask(), stored.ask());
            let answers: Vec<f64> = straight.ask().iter().map(|&m| x(m)).collect();
            straight.tell(&answers).unwrap();
            stored.tell(&answers).unwrap();
            let bytes = stored.to_bytes();
            stored = Recovery::from_bytes(&bytes).unwrap();
            assert_eq!(stored.to_bytes(), bytes);
        }
        assert!(stored.ask().is_empty());
        let (straight, stored) = (straight.finish().unwrap(), stored.finish().unwrap());
        assert_eq!((&straight.coefficients, straight.status), (&stored.coefficients, stored.status));
        let bytes = straight.to_bytes();
        assert_eq!(Spectrum::from_bytes(&bytes).unwrap(), straight);
        assert!(Spectrum::<Wide<4>>::from_bytes(&bytes).is_err() && Recovery::<u64>::from_bytes(&bytes).is_err());
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(
                Spectrum::<u64>::from_bytes(&damaged).is_err() && Spectrum::<u64>::from_bytes(&bytes[..at]).is_err()
            );
        }
    }
}

/// The types for a number of variables known at run time do what the others do.
#[test]
fn any_width_does_what_its_width_does() {
    let terms = [(0_u64, 1.5), (0b1000, 2.0), (0b110, -3.0)];
    let options = Options { support: Support::MaxDegree(2), seed: 4, ..Options::default() };
    let plan = Plan::new(20, 3, &options).unwrap();
    let any = AnyPlan::new(20, 3, &options).unwrap();
    assert_eq!(
        (any.spec(), any.queries().len(), any.verification()),
        (plan.spec(), plan.queries().len(), plan.verification())
    );
    let rows = any.queries().to_rows();
    for (row, m) in rows.chunks_exact(20).zip(plan.queries()) {
        assert!(row.iter().enumerate().all(|(i, &bit)| u64::from(bit) == m >> i & 1));
    }
    let mut few = vec![9; 40];
    any.queries().write_rows(3..5, &mut few).unwrap();
    assert_eq!(few, rows[60..100]);
    assert!(any.queries().write_rows(3..6, &mut few).is_err() && any.queries().write_rows(3..5_000, &mut few).is_err());
    let answers: Vec<f64> = plan.queries().iter().map(|&m| dense::evaluate(&terms, m)).collect();
    let (found, of_any) = (plan.decode(&answers).unwrap(), any.decode(&answers).unwrap());
    assert_eq!(
        of_any.sets(),
        found.coefficients.iter().map(samplewise_wht::Coefficient::variables).collect::<Vec<_>>()
    );
    assert_eq!(of_any.values(), found.coefficients.iter().map(|c| c.value).collect::<Vec<_>>());
    assert_eq!((of_any.status(), of_any.shapley(), of_any.sobol()), (found.status, found.shapley(), found.sobol()));
    assert_eq!(of_any.predict(&rows).unwrap(), found.predict(plan.queries()));
    assert!(of_any.predict(&rows[1..]).is_err() && of_any.banzhaf_interaction(&[20]).is_err());
    assert_eq!(of_any.banzhaf_interaction(&[1, 2]).unwrap(), found.banzhaf_interaction(0b110));
    let moebius = of_any.to_moebius().unwrap();
    assert!(moebius.iter().map(|m| m.1).eq(found.to_moebius().unwrap().into_iter().map(|m| m.1)));
    assert_eq!(AnySpectrum::from_bytes(&of_any.to_bytes()).unwrap(), of_any);

    // Beyond 64 and beyond 256 variables, by rows alone.
    for n in [100, 300] {
        let sign =
            |row: &[u8], set: &[usize]| if set.iter().filter(|&&i| row[i] != 0).count() % 2 == 0 { 1.0 } else { -1.0 };
        let x = |row: &[u8]| 2.0 * sign(row, &[n - 1]) - sign(row, &[3, 70]);
        let found = any::recover(x, n, Sparsity::Unknown { max: 20 }, &options).unwrap();
        assert_eq!(
            (found.sets(), found.values(), found.converged()),
            (vec![vec![3, 70], vec![n - 1]], vec![-1.0, 2.0], true)
        );
        let mut recovery = AnyRecovery::new(n, Sparsity::Unknown { max: 20 }, &options).unwrap();
        while !recovery.ask().is_empty() {
            let answers: Vec<f64> = recovery.ask().to_rows().chunks_exact(n).map(x).collect();
            recovery.tell(&answers).unwrap();
            recovery = AnyRecovery::from_bytes(&recovery.to_bytes()).unwrap();
        }
        assert_eq!(recovery.finish().unwrap().sets(), found.sets());
    }
}

#[cfg(feature = "serde")]
#[test]
fn options_and_answers_are_data() {
    let options = Options { noise: Noise::Std(0.3), support: Support::MaxDegree(2), ..Options::default() };
    let text = serde_json::to_string(&options).unwrap();
    assert_eq!(serde_json::from_str::<Options>(&text).unwrap(), options);
    let found = recover(|m: u64| (m & 1) as f64, 10, 3, &Options::default()).unwrap();
    let back: Spectrum = serde_json::from_str(&serde_json::to_string(&found).unwrap()).unwrap();
    assert_eq!((back.coefficients, back.status), (found.coefficients, found.status));
}

//! Each bad input and its error; each edge and its answer.
use samplewise_linalg::observe::FromFn;
use samplewise_wht::{
    Decoder, Noise, Options, Plan, Recovery, Sparsity, Status, Support, WhtError, Wide, dense, recover,
    recover_observed,
};
use std::ops::ControlFlow;

#[test]
fn bad_arguments_name_themselves() {
    let ok = Options::default();
    assert_eq!(Plan::new(0, 1, &ok).unwrap_err(), WhtError::Variables { variables: 0, most: 64 });
    assert_eq!(Plan::new(65, 1, &ok).unwrap_err(), WhtError::Variables { variables: 65, most: 64 });
    assert_eq!(Plan::new(5, 0, &ok).unwrap_err(), WhtError::Sparsity { sparsity: 0, variables: 5 });
    assert_eq!(Plan::new(5, 33, &ok).unwrap_err(), WhtError::Sparsity { sparsity: 33, variables: 5 });
    for std in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let options = Options { noise: Noise::Std(std), ..Options::default() };
        assert!(matches!(Plan::new(10, 3, &options), Err(WhtError::OptionOutOfRange { option: "noise", .. })));
    }
    let unknown = Options { noise: Noise::Unknown, decoder: Decoder::Spright, ..Options::default() };
    assert!(matches!(Plan::new(10, 3, &unknown), Err(WhtError::DecoderNeeds { .. })));
    for noise in [Noise::Unknown, Noise::Std(1.0)] {
        let exact = Options { noise, decoder: Decoder::SignBits, ..Options::default() };
        assert!(matches!(Plan::new(10, 3, &exact), Err(WhtError::DecoderNeeds { .. })));
    }
    let huge = Options { decoder: Decoder::Dense, ..Options::default() };
    assert!(matches!(Plan::new(60, 3, &huge), Err(WhtError::TooLarge { .. })));
    assert_eq!(dense::spectrum(&[1.0; 3]).unwrap_err(), WhtError::LengthNotPowerOfTwo { len: 3 });
    let blind = Options { verification: 0, ..Options::default() };
    assert!(Recovery::new(10, Sparsity::Unknown { max: 8 }, &blind).is_err());
    for delta in [0.0, 1.0, f64::NAN] {
        let options = Options { delta, ..Options::default() };
        assert!(matches!(Plan::new(10, 3, &options), Err(WhtError::OptionOutOfRange { option: "delta", .. })));
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
    assert!(matches!(Plan::new(60, 3, &wide), Err(WhtError::DecoderNeeds { decoder: Decoder::BchLists, .. })));
    // Left to itself the plan does without the bound.
    assert!(Plan::new(60, 3, &Options { decoder: Decoder::Auto, ..wide }).is_ok());
    let crowded = Options { decoder: Decoder::JointList, noise: Noise::Unknown, ..Options::default() };
    assert!(matches!(Plan::<Wide<16>>::for_bits(1_000, 3, &crowded), Err(WhtError::DecoderNeeds { .. })));
    assert!(matches!(Plan::<Wide<16>>::for_bits(1_000, 1 << 20, &ok), Err(WhtError::TooLarge { .. })));
    let poor = Options { samples: Some(10), ..Options::default() };
    let unknown = Sparsity::Unknown { max: 8 };
    assert!(matches!(Recovery::new(20, unknown, &poor), Err(WhtError::Budget { samples: 10, .. })));
}

#[test]
fn bad_answers_are_refused() {
    let plan = Plan::new(12, 2, &Options::default()).unwrap();
    let mut answers = vec![0.0; plan.queries().len()];
    assert!(matches!(plan.decode(&answers[1..]), Err(WhtError::AnswersMismatch { .. })));
    answers[3] = f64::NAN;
    assert!(matches!(plan.decode(&answers), Err(WhtError::AnswerNotFinite { position: 3, .. })));
}

#[test]
fn the_zero_and_the_constant_function_are_recovered() {
    for value in [0.0, -4.0] {
        for noise in [Noise::None, Noise::Unknown] {
            let found = recover(16, 4, |_| value, &Options { noise, ..Options::default() }).unwrap();
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
            let found = recover(n, 1, x, &Options { noise, ..Options::default() }).unwrap();
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
            assert!(matches!(Plan::from_spec(edited), Err(WhtError::OptionOutOfRange { option: "groups", .. })));
        }
        let empty = samplewise_wht::PlanSpec { group_bits: vec![], group_offsets: vec![], ..spec };
        assert!(Plan::from_spec(empty).is_err());
    }
    assert!(matches!(Plan::new(63, 1 << 60, &Options::default()), Err(WhtError::TooLarge { .. })));
}

/// With unknown noise, noise alone is not a verified spectrum: by lists (n = 18), by the dense transform (n = 8), and
/// with too few fresh samples to tell.
#[test]
fn noise_alone_is_not_called_verified() {
    for (n, verification) in [(18, 64), (8, 64), (8, 0), (18, 1)] {
        for seed in 0..20 {
            let mut rng = samplewise_linalg::random::Streams::new(seed).stream(0);
            let options = Options { seed, noise: Noise::Unknown, verification, ..Options::default() };
            let found = recover(n, 30, |_| samplewise_linalg::random::normal(&mut rng), &options).unwrap();
            assert!(!found.status.is_verified(), "n {n} seed {seed}: {:?}", found.report);
        }
    }
    // All coefficients equal, so that the median calls them noise.
    let spike =
        recover(4, 16, |m| if m == 0 { 16.0 } else { 0.0 }, &Options { noise: Noise::Unknown, ..Options::default() });
    assert!(!spike.unwrap().status.is_verified());
}

/// A plan for fewer coefficients than there are, small enough to be dense, still finds all of them.
#[test]
fn the_dense_plan_drops_nothing() {
    let found = recover(
        6,
        2,
        |m| (1..6).map(|k: u64| f64::from(1 - 2 * ((m & k).count_ones() as i32 % 2))).sum(),
        &Options::default(),
    );
    let found = found.unwrap();
    assert_eq!((found.coefficients.len(), found.report.decoder), (5, "dense"));
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
            let found = recover(12, 10, x, &options).unwrap();
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
    let stopped = recover_observed(20, unknown, dense_function, &Options::default(), &mut stop);
    assert_eq!(stopped.unwrap_err(), WhtError::Stopped);
    for noise in [Noise::None, Noise::Unknown, Noise::Std(1.0)] {
        let mut asked = std::collections::HashSet::new();
        let budget = Options { samples: Some(3_000), noise, ..Options::default() };
        let sample = |m| {
            assert!(asked.insert(m), "asked twice");
            dense_function(m)
        };
        let found = recover(30, unknown, sample, &budget).unwrap();
        assert!(asked.len() <= 3_000 && found.report.samples == asked.len(), "{}", asked.len());
        assert!(matches!(found.status, Status::BudgetSpent | Status::Stalled { .. }), "{:?}", found.status);
    }
}

/// Answers that are refused leave an adaptive recovery as it was.
#[test]
fn a_recovery_survives_bad_answers() {
    let mut recovery = Recovery::new(20, Sparsity::Unknown { max: 100 }, &Options::default()).unwrap();
    let asked = recovery.queries().to_vec();
    let mut answers = vec![1.0; asked.len()];
    assert!(matches!(recovery.tell(&answers[1..], &mut ()), Err(WhtError::AnswersMismatch { .. })));
    answers[2] = f64::INFINITY;
    assert!(matches!(recovery.tell(&answers, &mut ()), Err(WhtError::AnswerNotFinite { position: 2, .. })));
    assert_eq!(recovery.queries(), asked);
    answers[2] = 1.0;
    recovery.tell(&answers, &mut ()).unwrap();
    // All answers are the same: one stage shows what there is to show.
    assert!(recovery.queries().is_empty());
    let found = recovery.spectrum().unwrap().clone();
    assert!(matches!(found.status, Status::Constant { .. }) && found.coefficients.len() == 1);
    recovery.tell(&[], &mut ()).unwrap();
    assert_eq!(recovery.spectrum(), Some(&found));
}

/// A rare peak that no sample met is not explained away: a constant on the fresh points verifies nothing with noise.
#[test]
fn constants_show_nothing() {
    let peak = |m: u64| if m & 0x3ff == 0x3ff { 1.0 } else { 0.0 };
    for noise in [Noise::Std(0.1), Noise::Unknown] {
        let found = recover(20, 5, peak, &Options { noise, ..Options::default() }).unwrap();
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
        let found = recover(20, Sparsity::Unknown { max: 50 }, x, &options);
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
            let found = recover(12, 3, |m| scale * dense::evaluate(&truth, m), &options).unwrap();
            let indices = found.coefficients.iter().map(|c| c.index);
            assert!(indices.eq(truth.iter().map(|t| t.0)), "{exponent} {noise:?}: {found:?}");
            assert!((found.coefficients[2].value / scale + 2.0).abs() < 1e-9);
        }
    }
}

/// A foreign decoder on a plan of all values is held to all of them.
#[test]
fn foreign_decoders_are_not_believed() {
    use samplewise_wht::decoder::{Decode, Found, Observed};
    struct Nothing;
    impl Decode<u64> for Nothing {
        fn name(&self) -> &'static str {
            "nothing"
        }
        fn decode(&self, _: Observed<'_, u64>, _: &mut dyn samplewise_linalg::Observer) -> Found<u64> {
            Found { coefficients: vec![], multi_tons: 0, noise_std: 0.0, std_errors: None, ridge: None }
        }
    }
    let plan = Plan::new(4, 16, &Options::default()).unwrap();
    let answers: Vec<f64> = (0..16).map(f64::from).collect();
    assert!(plan.decode(&answers).unwrap().status.is_verified());
    assert!(!plan.decode_with(&answers, &Nothing, &mut ()).unwrap().status.is_verified());
}

#[test]
fn a_function_that_is_not_sparse_is_not_called_verified() {
    let found = recover(16, 4, |m| ((m * m) % 251) as f64, &Options::default()).unwrap();
    assert!(matches!(found.status, Status::Stalled { .. }), "{:?}", found.status);
}

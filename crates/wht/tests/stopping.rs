//! A call that is stopped says so, at whatever look, and claims nothing that it did not see.
use std::time::Duration;

use samplewise_linalg::random::{Streams, below, normal};
use samplewise_testkit::stopping::{Gap, gaps, looks, stopped_at};
use samplewise_wht::{
    Decoder, Ending, Error, Noise, Options, Plan, Recovery, Sparsity, Support, dense, recover_in_memory_observed,
    recover_observed,
};

fn spectrum(n: usize, count: usize, degree: usize, seed: u64) -> Vec<(u64, f64)> {
    let mut rng = Streams::new(seed).stream(0);
    (0..count)
        .map(|_| {
            let size = 1 + below(&mut rng, degree);
            let index = (0..size).fold(0, |k, _| k | 1_u64 << below(&mut rng, n));
            (index, 2.0 + normal(&mut rng).abs())
        })
        .collect()
}

#[test]
fn stopped_decodes_say_so() {
    let mut stopped = 0;
    for (decoder, noise, support) in [
        (Decoder::SignBits, Noise::None, Support::Any),
        (Decoder::Spright, Noise::Std(0.3), Support::Any),
        (Decoder::JointList, Noise::Std(0.3), Support::Any),
        (Decoder::ExhaustiveLists, Noise::Unknown, Support::MaxDegree(2)),
        (Decoder::BchLists, Noise::Std(0.3), Support::MaxDegree(2)),
        (Decoder::Heredity, Noise::Unknown, Support::Hereditary { max_degree: 2 }),
        (Decoder::Surrogate, Noise::Unknown, Support::Hereditary { max_degree: 2 }),
        (Decoder::Dense, Noise::Std(0.3), Support::Any),
    ] {
        let n = if decoder == Decoder::Dense { 12 } else { 20 };
        let truth = spectrum(n, 40, 2, 5);
        let options = Options { decoder, noise, support, ..Options::default() };
        let plan = Plan::new(n, 40, &options).unwrap();
        let mut rng = Streams::new(6).stream(0);
        let std = if noise == Noise::None { 0.0 } else { 0.3 };
        let answers: Vec<f64> =
            plan.queries().iter().map(|&m| dense::evaluate(&truth, m) + std * normal(&mut rng)).collect();
        let whole = plan.decode(&answers).unwrap();
        assert_eq!(whole.report.ending, Ending::Finished);
        for look in looks(4, 30, 7) {
            let (part, came) = stopped_at(look, |o| plan.decode_observed(&answers, o).unwrap());
            assert_eq!(part.report.ending == Ending::Interrupted, came, "{decoder:?}, look {look}");
            assert!(!came || !part.converged());
            if !came {
                assert_eq!(part.coefficients, whole.coefficients);
            }
            stopped += usize::from(came);
        }
    }
    assert!(stopped >= 12, "{stopped} runs were stopped");
}

#[test]
fn stopped_recoveries_keep_what_they_have() {
    let truth = spectrum(24, 60, 3, 8);
    let unknown = Sparsity::Unknown { max: 500 };
    let mut stopped = 0;
    for noise in [Noise::None, Noise::Std(0.3)] {
        let options = Options { noise, ..Options::default() };
        let mut rng = Streams::new(9).stream(0);
        let std = if noise == Noise::None { 0.0 } else { 0.3 };
        let mut x = |m: u64| dense::evaluate(&truth, m) + std * normal(&mut rng);
        for look in looks(8, 60, 10) {
            let (found, came) = stopped_at(look, |o| recover_observed(&mut x, 24, unknown, &options, o));
            match found {
                Ok(found) => {
                    assert_eq!(found.report.ending == Ending::Interrupted, came, "look {look}");
                    assert!(!came || !found.converged());
                }
                Err(e) => assert!(came && e == Error::Interrupted),
            }
            stopped += usize::from(came);
        }
        let values: Vec<f64> = (0..1 << 12).map(|m| dense::evaluate(&[(5, 2.0)], m)).collect();
        let (found, came) = stopped_at(1, |o| recover_in_memory_observed(&values, unknown, &options, o));
        assert!(!came || found.is_err() || !found.unwrap().converged());
        let plan = Plan::new(24, 60, &options).unwrap();
        let (asked, came) = stopped_at(1, |o| plan.queries_observed(o).map(<[u64]>::len));
        assert_eq!(asked.is_err(), came);
    }
    assert!(stopped >= 8, "{stopped} runs were stopped");
    let mut recovery = Recovery::new(24, unknown, &Options::default()).unwrap();
    recovery.interrupt();
    assert_eq!(recovery.finish().unwrap_err(), Error::Interrupted);
}

#[test]
fn the_observer_is_asked_often() {
    let mut found: Vec<(String, Gap)> = Vec::new();
    for (name, n, count, options) in [
        ("sign bits", 40, 20_000, Options::default()),
        ("joint lists", 40, 1_000, Options { noise: Noise::Std(0.5), ..Options::default() }),
        (
            "exhaustive lists",
            100,
            300,
            Options { noise: Noise::Std(0.5), support: Support::MaxDegree(2), ..Options::default() },
        ),
        (
            "surrogate of many points",
            64,
            100,
            Options {
                noise: Noise::Unknown,
                support: Support::Hereditary { max_degree: 3 },
                samples: Some(3_000),
                ..Options::default()
            },
        ),
        (
            "surrogate",
            40,
            300,
            Options {
                noise: Noise::Unknown,
                support: Support::Hereditary { max_degree: 3 },
                samples: Some(450),
                ..Options::default()
            },
        ),
        (
            "heredity",
            64,
            100,
            Options {
                decoder: Decoder::Heredity,
                noise: Noise::Unknown,
                support: Support::Hereditary { max_degree: 3 },
                samples: Some(3_000),
                ..Options::default()
            },
        ),
        ("dense", 20, 100, Options { decoder: Decoder::Dense, noise: Noise::Std(0.5), ..Options::default() }),
    ] {
        let n = n.min(64);
        let truth = spectrum(n, count, 3, 11);
        let plan = Plan::new(n, count, &options).unwrap();
        found.push((format!("{name}, queries"), gaps(|o| plan.queries_observed(o).map(<[u64]>::len)).1));
        let answers = plan.answers_of(&truth);
        found.push((name.into(), gaps(|o| plan.decode_observed(&answers, o).unwrap()).1));
    }
    for (call, gap) in &found {
        println!("{call}: longest gap {:?} before {}, {} looks", gap.longest, gap.stage, gap.looks);
    }
    // Twice the contract: the tests are built with debug assertions.
    let late: Vec<_> = found.iter().filter(|(_, gap)| gap.longest > Duration::from_millis(100)).collect();
    assert!(late.is_empty(), "{late:?}");
}

//! Row COM-11: draws from the posterior.
use std::ops::ControlFlow;
use std::time::Duration;

use samplewise_completion::{
    Ending, Entries, Error, Options, Posterior, PosteriorOptions, Rank, Verification, complete, sample_posterior,
    sample_posterior_observed,
};
use samplewise_linalg::observe::{Deadline, FromFn, Progress};
use samplewise_linalg::random::{Streams, normal};

type Triplet = (usize, usize, f64);

/// Entries of a model of the kind that the sampler assumes: normal factors and biases, normal noise; three tenths seen, the
/// rest to judge. With `chosen`, entries with a large value are seen more often.
fn ratings(m: usize, n: usize, rank: usize, noise: f64, chosen: bool, seed: u64) -> (Vec<Triplet>, Vec<Triplet>) {
    let mut rng = Streams::new(seed).stream(0);
    let mut draw = |count: usize| -> Vec<f64> { (0..count).map(|_| normal(&mut rng)).collect() };
    let (u, v, b, c) = (draw(m * rank), draw(n * rank), draw(m), draw(n));
    let (mut seen, mut rest) = (Vec::new(), Vec::new());
    let s = Streams::new(seed).child(1);
    let mut rng = s.stream(0);
    for i in 0..m {
        for j in 0..n {
            let product: f64 = (0..rank).map(|k| u[i * rank + k] * v[j * rank + k]).sum();
            let value = 3.0 + 0.5 * b[i] + 0.5 * c[j] + product;
            let chance = if chosen { 0.3 / (1.0 + (-2.0 * product).exp()) } else { 0.3 };
            let entry = (i, j, value + noise * normal(&mut rng));
            if s.uniform((i * n + j) as u64) < chance { seen.push(entry) } else { rest.push(entry) }
        }
    }
    (seen, rest)
}

fn sample(
    m: usize,
    n: usize,
    seen: &[Triplet],
    rank: usize,
    sampling: &PosteriorOptions,
    test: &[Triplet],
) -> Posterior {
    let data = Entries::new(m, n, seen, None).unwrap();
    sample_posterior(
        &data,
        Rank::Fixed(rank),
        &PosteriorOptions { seed: 5, verification: Verification::Given(test.to_vec()), ..sampling.clone() },
    )
    .unwrap()
}

/// COM-11: on data of the model's own kind nine tenths of unseen entries are within the interval of nine tenths, and the
/// noise is found.
#[test]
fn intervals_hold_what_they_say() {
    let (mut inside, mut judged) = (0.0, 0.0);
    for seed in 0..6 {
        let (seen, test) = ratings(120, 90, 3, 0.7, false, seed);
        let found =
            sample(120, 90, &seen, 3, &PosteriorOptions { implicit: false, ..PosteriorOptions::default() }, &test);
        assert!((found.report.noise / 0.7 - 1.0).abs() < 0.1, "seed {seed}: noise {}", found.report.noise);
        assert!(found.report.test_rmse.unwrap() < 0.7 * found.report.baseline_test_rmse.unwrap());
        inside += found.report.test_coverage.unwrap() * test.len() as f64;
        judged += test.len() as f64;
    }
    // Entries of a row share its error, so the share is less certain than that of 45,000 independent ones.
    let share = inside / judged;
    assert!((0.88..=0.92).contains(&share), "{share} of the entries");
}

/// COM-11: with a rank that is too large, where one fit has to be held back, the mean of the draws predicts better than the
/// ridge that a tuning set has chosen, judged on the same entries.
#[test]
fn the_mean_of_draws_beats_one_fit() {
    let mut wins = 0;
    for seed in 0..6 {
        let (seen, test) = ratings(120, 60, 3, 0.7, false, 30 + seed);
        let found =
            sample(120, 60, &seen, 10, &PosteriorOptions { implicit: false, ..PosteriorOptions::default() }, &test);
        let data = Entries::new(120, 60, &seen, None).unwrap();
        let options = Options { biases: true, ..Options::default() };
        let one = complete(
            &data,
            Rank::Fixed(10),
            &Options { seed, verification: Verification::Given(test.clone()), ..options.clone() },
        )
        .unwrap();
        wins += usize::from(found.report.test_rmse.unwrap() < 0.99 * one.model.rmse(&test).unwrap());
    }
    assert_eq!(wins, 6);
}

/// COM-11: where the choice of the entries says something of their values, letting it speak helps.
#[test]
fn chosen_entries_speak() {
    let mut wins = 0;
    for seed in 0..5 {
        let (seen, test) = ratings(150, 100, 2, 1.0, true, 20 + seed);
        let error = |implicit| {
            let sampling = PosteriorOptions { implicit, ..PosteriorOptions::default() };
            sample(150, 100, &seen, 2, &sampling, &test).report.test_rmse.unwrap()
        };
        let (deaf, listening) = (error(false), error(true));
        wins += usize::from(listening < deaf);
    }
    assert_eq!(wins, 5);
}

/// COM-11: the same draws for every number of threads; entries of hardly any weight are hardly heard; entries held out are
/// fitted after they have judged.
#[test]
fn draws_do_not_depend_on_threads() {
    let (seen, test) = ratings(300, 60, 2, 0.5, false, 40);
    let data = Entries::new(300, 60, &seen, None).unwrap();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let sampling = PosteriorOptions { burn_in: 4, samples: 3, ..PosteriorOptions::default() };
        pool.install(|| {
            sample_posterior(&data, Rank::Fixed(2), &PosteriorOptions { seed: 1, ..sampling.clone() }).unwrap()
        })
    };
    let one = run(1);
    assert_eq!(one, run(3));
    assert_eq!(one.report.fitted_entries, seen.len());
    assert_eq!(one.report.verification_entries, (0.05 * seen.len() as f64).round() as usize);
    // Two chains of the burn-in and the draws, the second with a shorter one.
    assert_eq!((one.models.models().len(), one.report.trace.len()), (3, 4 + 3 + 1 + 3));

    let sampling = PosteriorOptions { seed: 1, verification: Verification::Share(0.0), ..PosteriorOptions::default() };
    let found = |data: &Entries| sample_posterior(data, Rank::Fixed(2), &sampling).unwrap();
    let wrong: Vec<Triplet> = seen.iter().map(|&(i, j, v)| (i, j, if (i + j) % 2 == 0 { v } else { -9.0 })).collect();
    let weights: Vec<f64> = seen.iter().map(|e| if (e.0 + e.1) % 2 == 0 { 1.0 } else { 1e-6 }).collect();
    let heard = found(&Entries::new(300, 60, &wrong, Some(&weights)).unwrap());
    let right: Vec<f64> = test.iter().map(|e| e.2 - heard.predict(e.0, e.1).mean).collect();
    let rmse = (right.iter().map(|e| e * e).sum::<f64>() / right.len() as f64).sqrt();
    assert!(rmse < 1.0, "{rmse}");
}

/// COM-11: a run that is stopped, or out of time, gives the draws so far, one at least.
#[test]
fn a_stopped_run_gives_its_draws() {
    let (seen, test) = ratings(40, 30, 1, 0.5, false, 50);
    let data = Entries::new(40, 30, &seen, None).unwrap();
    for (after, draws) in [(1, 1), (20, 1), (21, 1), (25, 5)] {
        let mut observer =
            FromFn(|p: Progress| if p.step < after { ControlFlow::Continue(()) } else { ControlFlow::Break(()) });
        let sampling = PosteriorOptions::default();
        let found = sample_posterior_observed(
            &data,
            Rank::Fixed(1),
            &PosteriorOptions { seed: 1, verification: Verification::Given(test.clone()), ..sampling.clone() },
            &mut observer,
        )
        .unwrap();
        assert_eq!((found.report.ending, found.models.models().len()), (Ending::Interrupted, draws), "after {after}");
        assert!(found.report.test_rmse.unwrap().is_finite());
    }
    // Stopped after the entries held out have judged: the draws that were judged stay.
    let mut seen_sweeps = 0;
    let mut observer = FromFn(|_: Progress| {
        seen_sweeps += 1;
        if seen_sweeps < 95 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    let found = sample_posterior_observed(
        &data,
        Rank::Fixed(1),
        &PosteriorOptions { seed: 1, ..PosteriorOptions::default() },
        &mut observer,
    )
    .unwrap();
    assert_eq!((found.report.ending, found.models.models().len()), (Ending::Interrupted, 60));
    assert_eq!(found.report.fitted_entries + found.report.verification_entries, data.len());

    let mut over = Deadline::after(Duration::ZERO);
    let options = PosteriorOptions::default();
    let found = sample_posterior_observed(&data, Rank::Fixed(1), &options, &mut over).unwrap();
    assert_eq!((found.report.ending, found.models.models().len()), (Ending::Interrupted, 1));
}

/// COM-11: odd data are answered: equal values, values of any size, empty rows; bad arguments are refused by name.
#[test]
fn odd_data_are_answered_and_bad_arguments_refused() {
    let (seen, test) = ratings(40, 30, 1, 0.5, false, 60);
    let sampling = PosteriorOptions::default();
    for scale in [0.0, 1e-200, 1e200] {
        let moved: Vec<Triplet> = seen.iter().filter(|e| e.0 != 7).map(|e| (e.0, e.1, e.2 * scale)).collect();
        for biases in [true, false] {
            let data = Entries::new(40, 30, &moved, None).unwrap();
            let sampling = PosteriorOptions { biases, ..sampling.clone() };
            let found =
                sample_posterior(&data, Rank::Fixed(2), &PosteriorOptions { seed: 1, ..sampling.clone() }).unwrap();
            for i in 0..40 {
                let p = found.predict(i, 3);
                assert!(p.mean.is_finite() && p.deviation.is_finite(), "scale {scale}, row {i}: {p:?}");
                assert!(p.mean.abs() <= 100.0 * scale.max(1e-300) + f64::from(u8::from(scale == 0.0)));
            }
        }
    }
    let data = Entries::new(40, 30, &seen, None).unwrap();
    let refused = |rank, sampling: &PosteriorOptions, test: Option<&[Triplet]>| {
        let mut sampling = sampling.clone();
        if let Some(test) = test {
            sampling.verification = Verification::Given(test.to_vec());
        }
        sample_posterior(&data, Rank::Fixed(rank), &sampling).unwrap_err()
    };
    assert_eq!(refused(0, &sampling, None), Error::Rank { rank: 0, limit: 30 });
    assert_eq!(refused(31, &sampling, None), Error::Rank { rank: 31, limit: 30 });
    for bad in [
        PosteriorOptions { samples: 0, ..sampling.clone() },
        PosteriorOptions { verification: Verification::Share(f64::NAN), ..sampling.clone() },
        PosteriorOptions { verification: Verification::Share(0.6), ..sampling.clone() },
        PosteriorOptions { burn_in: usize::MAX, ..sampling.clone() },
    ] {
        assert!(matches!(refused(1, &bad, None), Error::Argument(_)));
    }
    // 360 entries of 70 rows and columns: one factor each five; never more than is allowed.
    for (max, rank) in [(9, 1), (0, 0)] {
        let found = sample_posterior(&data, Rank::Auto { max }, &PosteriorOptions { seed: 1, ..sampling.clone() });
        match found {
            Ok(found) => assert_eq!(found.models.models()[0].rank(), rank),
            Err(error) => assert_eq!(error, Error::Rank { rank, limit: 30 }),
        }
    }
    let huge = PosteriorOptions { samples: usize::MAX / 1_000, ..sampling.clone() };
    assert!(matches!(refused(1, &huge, None), Error::Data(_)));
    for bad in [(40, 0, 1.0), (0, 30, 1.0), (0, 0, f64::NAN)] {
        assert!(matches!(refused(1, &sampling, Some(&[test[0], bad])), Error::Data(_)));
    }
}

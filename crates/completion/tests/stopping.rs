//! A call that is stopped says so, at whatever look, and claims nothing that it does not prove.
use std::time::Duration;

use samplewise_completion::{
    Ending, Ensemble, Entries, Loss, Options, PosteriorOptions, Rank, complete_observed, sample_posterior_observed,
};
use samplewise_testkit::generate;
use samplewise_testkit::stopping::{Gap, gaps, looks, stopped_at};

fn entries(m: usize, n: usize, rank: usize, count: usize) -> Entries {
    let (truth, cells) = generate::random_low_rank(m, n, rank, count, 5);
    let seen: Vec<_> = cells.iter().map(|&(i, j)| (i, j, truth[(i, j)])).collect();
    Entries::new(m, n, &seen, None).unwrap()
}

#[test]
fn stopped_fits_say_so() {
    let data = entries(60, 50, 2, 900);
    let (mut stopped, mut proved) = (0, 0);
    let cases = [
        (Rank::Fixed(2), Options::default()),
        (Rank::Fixed(2), Options { exact_recovery: Some(1e-6), ..Options::default() }),
        (Rank::Auto { max: 4 }, Options { biases: true, ..Options::default() }),
        (Rank::Fixed(2), Options { loss: Loss::Trimmed, ..Options::default() }),
    ];
    for (rank, options) in &cases {
        for look in looks(6, 40, 4) {
            let (found, came) = stopped_at(look, |o| complete_observed(&data, *rank, options, o).unwrap());
            assert_eq!(found.report.ending == Ending::Interrupted, came, "look {look}, {options:?}");
            assert!(found.model.predict(3, 3).is_finite());
            // What is claimed all the same is proved by entries held out.
            let proof = found.report.relative_test_error.is_some_and(|e| e <= 1e-6);
            assert!(!came || !found.converged() || (found.status.is_verified() && proof), "look {look}");
            stopped += usize::from(came);
            proved += usize::from(came && found.converged());
        }
    }
    assert!(stopped >= 15 && stopped > proved, "{stopped} runs were stopped, {proved} of them verified");
}

#[test]
fn stopped_draws_and_ensembles_say_so() {
    let data = entries(40, 30, 2, 500);
    let options = PosteriorOptions { burn_in: 5, samples: 10, ..PosteriorOptions::default() };
    let mut stopped = 0;
    for look in looks(6, 30, 4) {
        let (found, came) =
            stopped_at(look, |o| sample_posterior_observed(&data, Rank::Fixed(2), &options, o).unwrap());
        assert_eq!(found.report.ending == Ending::Interrupted, came, "look {look}");
        assert!(found.converged() != came && !found.models.models().is_empty());
        stopped += usize::from(came);
    }
    assert!(stopped >= 5, "{stopped} runs were stopped");
    let options = Options::default();
    let (mean, came) = stopped_at(2, |o| Ensemble::fit_observed(&data, Rank::Fixed(2), 4, &options, o).unwrap());
    assert!(came && mean.models().len() == 1);
}

#[test]
fn the_observer_is_asked_often() {
    let data = entries(2_000, 1_500, 5, 120_000);
    let options = Options { exact_recovery: Some(1e-6), ..Options::default() };
    let plain = PosteriorOptions { burn_in: 1, samples: 2, ..PosteriorOptions::default() };
    let rank = Rank::Fixed(5);
    let found: [(&str, Gap); 3] = [
        ("exact recovery", gaps(|o| complete_observed(&data, rank, &options, o).unwrap()).1),
        ("default", gaps(|o| complete_observed(&data, rank, &Options::default(), o).unwrap()).1),
        ("draws", gaps(|o| sample_posterior_observed(&data, rank, &plain, o).unwrap()).1),
    ];
    for (call, gap) in &found {
        println!("{call}: longest gap {:?} before {}, {} looks", gap.longest, gap.stage, gap.looks);
    }
    // Twice the contract: the tests are built with debug assertions.
    let late: Vec<_> = found.iter().filter(|(_, gap)| gap.longest > Duration::from_millis(100)).collect();
    assert!(late.is_empty(), "{late:?}");
}

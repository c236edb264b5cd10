//! A call that is stopped says so, at whatever look, and claims nothing that it does not prove.
use std::time::Duration;

use samplewise_linalg::random::{Streams, normal};
use samplewise_sensitivity::{
    CertifiedOptions, Coreset, CoresetOptions, DistortionOptions, Ending, Error, LabelPlan, Loss, Matrix, Method,
    NoBound, Options, SampleOptions, Sampler, Status, certified_sensitivities_observed, distortion_observed,
    recursive_root_leverage_observed, regress_observed, regress_on_coreset_observed, scores_observed,
};
use samplewise_testkit::stopping::{Gap, gaps, looks, stopped_at};

fn table(n: usize, d: usize, seed: u64) -> (Matrix, Vec<f64>) {
    let mut rng = Streams::new(seed).stream(0);
    let a = Matrix::from_fn(n, d, |_, _| normal(&mut rng));
    let b = (0..n).map(|i| a[(i, 0)] + 0.5 * normal(&mut rng)).collect();
    (a, b)
}

#[test]
fn stopped_regressions_say_so() {
    let (a, b) = table(4_000, 5, 1);
    let mut stopped = 0;
    for loss in [Loss::Lp(1.0), Loss::Quantile(0.2), Loss::Lp(1.5), Loss::Lp(4.0)] {
        for look in looks(4, 25, 2) {
            let (fit, came) = stopped_at(look, |o| regress_observed(&a, &b, loss, &Options::default(), o).unwrap());
            // A run that was asked to stop when all was done is done.
            assert!(came || fit.converged(), "{loss:?}, look {look}: {fit:?}");
            if fit.report.ending == Ending::Interrupted {
                assert!(came && fit.status == Status::NotConverged);
                assert!(fit.lower_bound.is_none_or(|bound| bound <= fit.objective));
                stopped += 1;
            } else {
                assert!(fit.converged());
            }
            let options = CoresetOptions::default();
            let (fit, came) =
                stopped_at(look, |o| regress_on_coreset_observed(&a, &b, loss, 300, &options, o).unwrap());
            assert!(came || fit.lower_bound.is_some());
            if fit.report.ending == Ending::Interrupted {
                assert_eq!((fit.no_bound, fit.status), (Some(NoBound::Interrupted), Status::NotConverged));
                stopped += 1;
            }
        }
    }
    assert!(stopped >= 20, "{stopped} runs were stopped");
}

#[test]
fn stopped_scores_samples_and_searches_say_so() {
    let (a, b) = table(3_000, 6, 3);
    let mut stopped = 0;
    for look in looks(4, 20, 4) {
        let (s, came) = stopped_at(look, |o| scores_observed(&a, 1.0, &Method::Lewis.into(), o).unwrap());
        assert!(came || s.converged());
        assert!(s.lower.iter().zip(&s.upper).all(|(l, u)| l <= u), "bounds hold");
        stopped += usize::from(s.report.ending == Ending::Interrupted);

        let rows: Vec<usize> = (0..600).collect();
        let options = CertifiedOptions::default();
        let (c, came) = stopped_at(look, |o| certified_sensitivities_observed(&a, 1.5, &rows, &options, o).unwrap());
        assert!(came || c.converged());
        assert!(c.lower.iter().zip(&c.upper).all(|(l, u)| l <= u), "bounds hold");
        stopped += usize::from(c.report.ending == Ending::Interrupted);

        let sample = Coreset::bernoulli(&s.values, 300, 1).unwrap();
        let options = DistortionOptions::default();
        let (d, came) = stopped_at(look, |o| distortion_observed(&a, &sample, 1.0, &options, o).unwrap());
        assert_eq!(d.report.ending == Ending::Interrupted, came);
        stopped += usize::from(came);

        let (r, came) = stopped_at(look, |o| recursive_root_leverage_observed(&a, 1.0, 100, 2, o));
        assert!(r.is_ok() || (came && r == Err(Error::Interrupted)));

        let options = CoresetOptions::default();
        let (plan, _) = stopped_at(look, |o| LabelPlan::new_observed(&a, Loss::Lp(1.0), 200, &options, o));
        if let Ok(mut plan) = plan {
            let labels: Vec<f64> = plan.ask().iter().map(|&i| b[i]).collect();
            plan.tell(&labels).unwrap();
            let (fit, came) = stopped_at(look, |o| plan.finish_observed(&a, o).unwrap());
            assert!(came || fit.converged());
        }
    }
    assert!(stopped >= 8, "{stopped} runs were stopped");
}

/// A stop within a pass over a large table ends the call with what there was before: nothing, bounds by leverage scores, or
/// the step before.
#[test]
fn passes_over_large_tables_are_stopped_within() {
    let (a, b) = table(120_000, 60, 7);
    let (mut without, mut ended) = (0, 0);
    for look in 1..=12 {
        let (fit, came) = stopped_at(look, |o| regress_observed(&a, &b, Loss::Lp(1.5), &Options::default(), o));
        match fit {
            Err(e) => {
                assert!(came && e == Error::Interrupted, "{e}");
                without += 1;
            }
            Ok(fit) if fit.report.ending == Ending::Interrupted => {
                assert!(came && fit.status == Status::NotConverged);
                assert!(fit.lower_bound.is_none_or(|bound| bound <= fit.objective));
                ended += 1;
            }
            // Asked to stop when all was done, or not at all.
            Ok(fit) => assert!(fit.converged(), "{:?}", fit.report),
        }
        let (scores, came) = stopped_at(look, |o| scores_observed(&a, 1.0, &Method::Lewis.into(), o));
        match scores {
            Err(e) => assert!(came && e == Error::Interrupted, "{e}"),
            Ok(s) => {
                assert!(!came || s.report.ending == Ending::Interrupted || s.converged());
                assert!(s.lower.iter().zip(&s.upper).all(|(l, u)| l <= u), "bounds hold");
            }
        }
    }
    assert!(without > 0 && ended > 0, "{without} without an answer, {ended} with one");
}

#[test]
fn the_observer_is_asked_often() {
    let (a, b) = table(60_000, 12, 5);
    let mut found: Vec<(&str, Gap)> = Vec::new();
    for (name, loss) in [("l1", Loss::Lp(1.0)), ("quantile", Loss::Quantile(0.9)), ("p = 1.5", Loss::Lp(1.5))] {
        found.push((name, gaps(|o| regress_observed(&a, &b, loss, &Options::default(), o).unwrap()).1));
    }
    let lewis = gaps(|o| scores_observed(&a, 1.0, &Method::Lewis.into(), o).unwrap());
    let tree = SampleOptions { sampler: Sampler::Tree, seed: 1 };
    let values = &lewis.0.values;
    found.push(("tree", gaps(|o| Coreset::sample_observed(&a, values, 1.0, 2_000, &tree, o).unwrap()).1));
    found.push(("Lewis weights", lewis.1));
    let options = CoresetOptions::default();
    let coreset = gaps(|o| regress_on_coreset_observed(&a, &b, Loss::Lp(1.0), 1_000, &options, o).unwrap());
    found.push(("on a coreset", coreset.1));
    // A table whose single passes take longer than the contract allows between two looks.
    let (a, b) = table(300_000, 40, 6);
    for (name, loss) in [("large, l1", Loss::Lp(1.0)), ("large, p = 2", Loss::Lp(2.0)), ("large, p = 3", Loss::Lp(3.0))]
    {
        found.push((name, gaps(|o| regress_observed(&a, &b, loss, &Options::default(), o).unwrap()).1));
    }
    found.push(("large, Lewis", gaps(|o| scores_observed(&a, 1.0, &Method::Lewis.into(), o).unwrap()).1));
    for (call, gap) in &found {
        println!("{call}: longest gap {:?} before {}, {} looks", gap.longest, gap.stage, gap.looks);
    }
    // Twice the contract: the tests are built with debug assertions.
    let late: Vec<_> = found.iter().filter(|(_, gap)| gap.longest > Duration::from_millis(100)).collect();
    assert!(late.is_empty(), "{late:?}");
}

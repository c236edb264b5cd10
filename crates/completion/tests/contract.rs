//! What every crate of the collection promises of its options and answers.
use samplewise_completion::internals::{POSTERIOR, RANGES};
use samplewise_completion::{
    Completion, CooBuilder, Ensemble, Entries, Error, Options, Posterior, PosteriorOptions, Rank, complete,
    sample_posterior,
};
use samplewise_linalg::{ArgumentError, Duplicates};
use samplewise_testkit::{generate, ranges};

fn entries() -> Entries {
    let (truth, cells) = generate::random_low_rank(30, 20, 2, 400, 3);
    let seen: Vec<_> = cells.iter().map(|&(i, j)| (i, j, truth[(i, j)])).collect();
    Entries::new(30, 20, &seen, None).unwrap()
}

/// The argument that was refused.
fn refused<T>(answer: Result<T, Error>) -> Option<ArgumentError> {
    match answer {
        Err(Error::Argument(e)) => Some(e),
        // What does not fit in memory is told by its size.
        Err(Error::Data(_)) | Ok(_) => None,
        Err(e) => panic!("{e}"),
    }
}

#[test]
fn ranges_are_those_of_the_documentation() {
    let data = entries();
    let source = include_str!("../src/options.rs");
    let short = Options { max_iterations: 3, ..Options::default() };
    ranges::walk(&short, &RANGES, source, |options| refused(complete(&data, Rank::Fixed(2), options)));
    let short = PosteriorOptions { burn_in: 1, samples: 2, ..PosteriorOptions::default() };
    ranges::walk(&short, &POSTERIOR, source, |options| {
        // Within the range, and longer than a test may take.
        if options.burn_in == 1_000_000_000 {
            return None;
        }
        refused(sample_posterior(&data, Rank::Fixed(2), options))
    });
}

#[test]
fn seeds_decide_and_members_of_an_ensemble_differ() {
    let data = entries();
    let run = |seed: u64| complete(&data, Rank::Fixed(2), &Options { seed, ..Options::default() }).unwrap();
    assert_eq!(run(3), run(3));
    assert_ne!(run(3).model, run(4).model);
    let mean = Ensemble::fit(&data, Rank::Fixed(2), 2, &Options { seed: 3, ..Options::default() }).unwrap();
    assert_ne!(mean.models()[0], mean.models()[1]);
    let again = Ensemble::fit(&data, Rank::Fixed(2), 1, &Options { seed: 3, ..Options::default() }).unwrap();
    assert_eq!(again.models()[0], mean.models()[0]);
}

#[test]
fn entries_come_from_lists_and_predictions_go_into_slices() {
    let data = entries();
    let (mut rows, mut columns, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for (i, j, v, _) in data.iter() {
        rows.push(i);
        columns.push(j);
        values.push(v);
    }
    let same = Entries::from_triplets(30, 20, (&rows, &columns, &values), None).unwrap();
    assert_eq!(same.iter().collect::<Vec<_>>(), data.iter().collect::<Vec<_>>());
    assert!(matches!(Entries::from_triplets(30, 20, (&rows, &columns[1..], &values), None), Err(Error::Data(_))));
    let model = complete(&data, Rank::Fixed(2), &Options::default()).unwrap().model;
    let mut out = vec![0.0; rows.len()];
    model.predict_into(&rows, &columns, &mut out).unwrap();
    assert!(out.iter().zip(rows.iter().zip(&columns)).all(|(p, (&i, &j))| *p == model.predict(i, j)));
    assert!(model.predict_into(&rows, &columns, &mut out[1..]).is_err());
    assert!(model.predict_into(&[30], &[0], &mut [0.0]).is_err());
    // Many new rows are new rows one by one.
    let mut new = CooBuilder::new(3, 20);
    for (i, j, v) in [(0, 3, 1.0), (0, 7, -2.0), (2, 3, 0.5), (2, 4, 0.25), (2, 19, 4.0)] {
        new.push(i, j, v).unwrap();
    }
    let new = new.build(Duplicates::Error).unwrap();
    let (factors, biases) = model.fold_in_many(&new, 0.1).unwrap();
    let one = model.fold_in(&[(3, 0.5), (4, 0.25), (19, 4.0)], 0.1).unwrap();
    assert_eq!((factors.row(2), biases[2]), (&one.factors[..], one.bias));
    assert!(factors.row(1).iter().all(|x| *x == 0.0));
    let wide = CooBuilder::new(1, 21).build(Duplicates::Error).unwrap();
    assert!(matches!(model.fold_in_many(&wide, 0.1), Err(Error::Data(_))));
}

#[test]
fn draws_travel_as_bytes() {
    let options = PosteriorOptions { burn_in: 2, samples: 3, ..PosteriorOptions::default() };
    let draws = sample_posterior(&entries(), Rank::Fixed(2), &options).unwrap();
    let bytes = draws.to_bytes();
    let back = Posterior::from_bytes(&bytes).unwrap();
    assert_eq!(back, draws);
    let at = [(0, 0), (29, 19), (4, 7)];
    assert_eq!(back.predict_many(&at).unwrap(), at.map(|(i, j)| draws.predict(i, j)));
    assert!(draws.predict_many(&[(30, 0)]).is_err());
    for at in (0..bytes.len()).step_by(37) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(matches!(Posterior::from_bytes(&damaged), Err(Error::Data(_))), "byte {at}");
        assert!(matches!(Posterior::from_bytes(&bytes[..at]), Err(Error::Data(_))), "cut at {at}");
    }
    let model = &draws.models.models()[0];
    assert!(Posterior::from_bytes(&model.to_bytes()).is_err());
}

#[test]
fn answers_say_whether_they_may_be_used() {
    let data = entries();
    let good = complete(&data, Rank::Fixed(2), &Options::default()).unwrap();
    assert!(good.converged() && good.report.ending == samplewise_completion::Ending::Finished);
    let short = Options { max_iterations: 1, ..Options::default() };
    let cut: Completion = complete(&data, Rank::Fixed(2), &short).unwrap();
    assert!(!cut.converged() && cut.report.ending == samplewise_completion::Ending::Limit);
}

#[cfg(feature = "serde")]
#[test]
fn options_and_answers_are_data() {
    let data = entries();
    let options = Options {
        verification: samplewise_completion::Verification::Given(vec![(0, 0, 1.5)]),
        lambda: Some(0.25),
        ..Options::default()
    };
    let text = serde_json::to_string(&options).unwrap();
    assert_eq!(serde_json::from_str::<Options>(&text).unwrap(), options);
    let found = complete(&data, Rank::Fixed(2), &Options::default()).unwrap();
    let value = serde_json::to_value(&found).unwrap();
    assert_eq!(value["report"]["rank"], 2);
    let back: samplewise_completion::Model = serde_json::from_value(value["model"].clone()).unwrap();
    assert_eq!(back, found.model);
}

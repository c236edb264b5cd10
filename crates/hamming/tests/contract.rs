//! What every crate of the collection promises of its options and answers.
use samplewise_hamming::internals::APPROXIMATE;
use samplewise_hamming::{ApproximateOptions, Error, Options, Plan};
use samplewise_testkit::ranges;

#[test]
fn ranges_are_those_of_the_documentation() {
    let plan = Plan::new(b"ACGT", &Options::default()).unwrap();
    ranges::walk(&ApproximateOptions::default(), &APPROXIMATE, include_str!("../src/options.rs"), |options| match plan
        .approximate(b"ACGTACGTTT", options)
    {
        Err(Error::Argument(e)) => Some(e),
        Err(e) => panic!("{e}"),
        Ok(_) => None,
    });
}

#[cfg(feature = "serde")]
#[test]
fn options_and_answers_are_data() {
    let options = Options { wildcard: Some(b'N'), ..Options::default() };
    let text = serde_json::to_string(&options).unwrap();
    assert_eq!(serde_json::from_str::<Options>(&text).unwrap(), options);
    let answer = Plan::new(b"ACNT", &options).unwrap().distances(b"ACGAACGTT").unwrap();
    let text = serde_json::to_string(&answer).unwrap();
    let back: samplewise_hamming::Answer = serde_json::from_str(&text).unwrap();
    assert_eq!((&back.distances, back.report.ending), (&answer.distances, answer.report.ending));
}

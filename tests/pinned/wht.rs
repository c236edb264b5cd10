//! Sparse Walsh–Hadamard transforms.
use samplewise::linalg::random::{below, normal};
use samplewise::wht::surrogate::{self, Estimate};
use samplewise::wht::{
    Decoder, Noise, Options, Plan, Recovery, Sparsity, Spectrum, Support, dense, recover, recover_in_memory,
};

use crate::{Pins, stream};

fn pin_spectrum(pins: &mut Pins, name: &str, found: &Spectrum) {
    let coefficients: Vec<(u64, f64)> = found.coefficients.iter().map(|c| (c.index, c.value)).collect();
    pins.pin(format!("wht {name}"), &[&coefficients, &found.report.samples, &found.status.is_verified()]);
}

pub fn pin(pins: &mut Pins) {
    let mut rng = stream(20);
    let n = 12;
    let terms: Vec<(u64, f64)> = (0..9).map(|_| (below(&mut rng, 1 << n) as u64, normal(&mut rng))).collect();
    let low: Vec<(u64, f64)> = terms.iter().map(|t| (1 << (t.0 % 12) | 1 << (t.0 / 12 % 12), t.1)).collect();
    let clean = |m: u64| dense::evaluate(&terms, m);
    let exact = recover(clean, n, 9, &Options { seed: 3, ..Options::default() }).unwrap();
    pin_spectrum(pins, "no noise", &exact);
    let unknown = recover(clean, n, Sparsity::Unknown { max: 40 }, &Options { seed: 3, ..Options::default() }).unwrap();
    pin_spectrum(pins, "unknown sparsity", &unknown);
    let decoders = [
        Decoder::Auto,
        Decoder::Dense,
        Decoder::SignBits,
        Decoder::Spright,
        Decoder::JointList,
        Decoder::ExhaustiveLists,
        Decoder::BchLists,
        Decoder::Heredity,
    ];
    for decoder in decoders {
        for noise in [Noise::Std(0.1), Noise::Unknown] {
            let support =
                if decoder == Decoder::Heredity { Support::Hereditary { max_degree: 2 } } else { Support::default() };
            let options = Options { seed: 4, noise, decoder, support, ..Options::default() };
            let source = if decoder == Decoder::Heredity { &low } else { &terms };
            let name = format!("{decoder:?} {noise:?}");
            let Ok(plan) = Plan::new(n, 9, &options) else {
                pins.pin(format!("wht {name} refused"), &[]);
                continue;
            };
            let mut rng = stream(21);
            let answers: Vec<f64> =
                plan.queries().iter().map(|&m| dense::evaluate(source, m) + 0.1 * normal(&mut rng)).collect();
            pin_spectrum(pins, &name, &plan.decode(&answers).unwrap());
        }
    }
    let values: Vec<f64> = (0..1 << n).map(clean).collect();
    pin_spectrum(pins, "in memory", &recover_in_memory(&values, 9, &Options::default()).unwrap());
    pins.pin("wht dense", &[&dense::spectrum(&values).unwrap()]);
    let mut ask = Recovery::new(30, 5, &Options { seed: 9, ..Options::default() }).unwrap();
    while !ask.ask().is_empty() {
        let answers: Vec<f64> = ask.ask().iter().map(|&m| dense::evaluate(&terms, m)).collect();
        ask.tell(&answers).unwrap();
    }
    pin_spectrum(pins, "ask and tell", ask.spectrum().unwrap());
    pin_surrogates(pins);
}

fn pin_surrogates(pins: &mut Pins) {
    let estimates = |all: &[Estimate]| -> Vec<f64> { all.iter().flat_map(|e| [e.mean, e.deviation, e.high]).collect() };
    let mut rng = stream(22);
    let n = 9;
    let curved = |m: u64| (f64::from(m.count_ones()) - 4.0).tanh() + 0.5 * (m & 1) as f64 * (m >> 3 & 1) as f64;
    let points: Vec<u64> = (0..70).map(|_| below(&mut rng, 1 << n) as u64).collect();
    let values: Vec<f64> = points.iter().map(|&m| curved(m) + 0.05 * normal(&mut rng)).collect();
    for (name, evidence_points) in [("all points", 400), ("more than the evidence", 40)] {
        let options = surrogate::Options { evidence_points, ..surrogate::Options::default() };
        let model = surrogate::fit(&points, &values, n, &options).unwrap();
        let largest: Vec<u64> = model.top(5).coefficients.iter().map(|c| c.0).collect();
        let said = estimates(&model.predict_all(&points).unwrap());
        pins.pin(
            format!("wht surrogate {name}"),
            &[&said, &estimates(&model.shapley()), &largest, &model.report.held_out_r2],
        );
    }
    let rows: Vec<u8> = (0..80 * 4).map(|_| below(&mut rng, 3) as u8).collect();
    let measured: Vec<f64> = rows.chunks(4).map(|r| f64::from(r[0]) + f64::from(u8::from(r[1] == r[2]))).collect();
    let letters = surrogate::Letters::new(vec![3; 4], rows).unwrap();
    let model = surrogate::fit_letters(&letters, &measured, &surrogate::Options::default()).unwrap();
    let largest: Vec<f64> = model.largest_interactions(4).iter().map(|i| i.estimate.mean).collect();
    pins.pin("wht surrogate of letters", &[&estimates(&model.predict(&letters).unwrap()), &largest]);
    for target in [surrogate::Target::Shapley, surrogate::Target::Maximum] {
        let options = surrogate::AskOptions { budget: 80, ..surrogate::AskOptions::default() };
        let mut ask = surrogate::Surrogate::new(n, target, &options).unwrap();
        while !ask.ask().is_empty() {
            let answers: Vec<f64> = ask.ask().iter().map(|&m| curved(m)).collect();
            ask.tell(&answers).unwrap();
        }
        let points = ask.points().to_vec();
        pins.pin(format!("wht surrogate asked, {target:?}"), &[&points, &estimates(&ask.finish().unwrap().shapley())]);
    }
}

//! Sparse Walsh–Hadamard transforms.
use samplewise::linalg::random::{below, normal};
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
}

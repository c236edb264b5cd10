//! Matrix completion.
use samplewise::completion::{
    Advanced, Entries, Finish, Loss, Options, PosteriorOptions, Rank, Solver, complete, sample_posterior,
};
use samplewise::linalg::random::{normal, uniform};

use crate::{Pins, gaussian, stream};

fn table(noise: f64, share: f64) -> Vec<(usize, usize, f64)> {
    let (u, v, mut rng) = (gaussian(60, 3, 10), gaussian(50, 3, 11), stream(12));
    let value = |i: usize, j: usize| (0..3).map(|k| u[(i, k)] * v[(j, k)]).sum::<f64>();
    let mut out = Vec::new();
    for i in 0..60 {
        for j in 0..50 {
            if uniform(&mut rng) < share {
                out.push((i, j, value(i, j) + noise * normal(&mut rng)));
            }
        }
    }
    out
}

fn advanced(advanced: Advanced) -> Options {
    Options { advanced, ..Options::default() }
}

pub fn pin(pins: &mut Pins) {
    let exact = Entries::new(60, 50, &table(0.0, 0.4), None).unwrap();
    let scarce = Entries::new(60, 50, &table(0.0, 0.18), None).unwrap();
    let noisy = Entries::new(60, 50, &table(0.3, 0.5), None).unwrap();
    let exact_recovery = Some(1e-8);
    let cases = [
        ("exact", &exact, Rank::Fixed(3), Options { exact_recovery, ..Options::default() }),
        ("scarce", &scarce, Rank::Fixed(3), Options { exact_recovery, ..Options::default() }),
        ("auto", &exact, Rank::Auto { max: 6 }, Options::default()),
        ("noisy", &noisy, Rank::Auto { max: 6 }, Options::default()),
        ("biases", &noisy, Rank::Fixed(3), Options { biases: true, ..Options::default() }),
        ("exact rows", &noisy, Rank::Fixed(3), advanced(Advanced { solver: Solver::Exact, ..Advanced::default() })),
        (
            "conjugate gradients",
            &noisy,
            Rank::Fixed(3),
            advanced(Advanced { solver: Solver::ConjugateGradients { steps: 3 }, ..Advanced::default() }),
        ),
        (
            "sketched",
            &noisy,
            Rank::Fixed(3),
            advanced(Advanced {
                solver: Solver::Sketched { accuracy: 1e-3, rows_per_unknown: 4 },
                ..Advanced::default()
            }),
        ),
        (
            "alternating",
            &exact,
            Rank::Fixed(3),
            advanced(Advanced { finish: Finish::Alternating, ..Advanced::default() }),
        ),
        ("huber", &noisy, Rank::Fixed(3), Options { loss: Loss::Huber { threshold: 1.345 }, ..Options::default() }),
        ("trimmed", &noisy, Rank::Fixed(3), Options { loss: Loss::Trimmed, ..Options::default() }),
        ("non-negative", &noisy, Rank::Fixed(3), Options { non_negative: true, ..Options::default() }),
    ];
    for (name, entries, rank, options) in cases {
        let found = complete(entries, rank, &Options { seed: 5, ..options.clone() }).unwrap();
        let (u, v) = found.model.factors();
        let report = &found.report;
        pins.pin(
            format!("completion {name}"),
            &[u, v, &found.model.row_biases, &found.status.name(), &report.iterations, &report.rank, &report.lambda],
        );
        if name == "noisy" {
            let folded = found.model.fold_in(&[(0, 1.0), (3, -1.0), (7, 0.5)], 0.1).unwrap();
            pins.pin("completion fold in", &[&folded.factors, &folded.bias]);
        }
    }
    let sampling = PosteriorOptions { burn_in: 5, samples: 6, ..PosteriorOptions::default() };
    let drawn = sample_posterior(&noisy, Rank::Fixed(3), &PosteriorOptions { seed: 6, ..sampling.clone() }).unwrap();
    let means: Vec<f64> = (0..40).map(|i| drawn.predict(i, i).mean).collect();
    pins.pin("completion posterior", &[&means, &drawn.noise]);
}

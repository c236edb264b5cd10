//! Sparse Walsh–Hadamard transforms: successes, samples and times of every decoder; supports are judged here, against the
//! spectrum that the values were made from. What is claimed and false (W11) is counted by the test
//! `cargo nextest run -p samplewise-wht claims --no-capture`. Peers in other languages: `python3 benches/peers/run.py wht` and `wht-spex`.
//! `cargo bench --bench wht -- WORD` runs the tables whose name has WORD; `curves` also writes
//! `benches/results/wht_curve.csv`, and runs only when it is named. One thread: `RAYON_NUM_THREADS=1`.
use std::collections::BTreeMap;
use std::fmt::Write as _;

use samplewise::lasso;
use samplewise::linalg::Matrix;
use samplewise::linalg::random::{Streams, normal};
use samplewise::wht::{Decoder, Noise, Options, Plan, Sparsity, Spectrum, Support, dense, recover, recover_in_memory};
use samplewise_benches::{Table, median, print, seconds};
use samplewise_testkit::fixtures;
use samplewise_testkit::generate::{low_degree_spectrum, random_spectrum};
use samplewise_testkit::trees::TreeModel;

type Truth = Vec<(u64, f64)>;

/// Noisy answers to a plan.
fn answers(plan: &Plan, truth: &[(u64, f64)], std: f64, seed: u64) -> Vec<f64> {
    let mut rng = Streams::new(seed).stream(77);
    plan.answers_of(truth).into_iter().map(|v| v + std * normal(&mut rng)).collect()
}

fn exact(found: &Spectrum, truth: &[(u64, f64)]) -> bool {
    found.coefficients.iter().map(|c| c.index).eq(truth.iter().map(|t| t.0))
}

/// `Σ (X − X̂)²`.
fn missing(found: &Spectrum, truth: &[(u64, f64)]) -> f64 {
    let mut left: BTreeMap<u64, f64> = truth.iter().copied().collect();
    found.coefficients.iter().for_each(|c| *left.entry(c.index).or_insert(0.0) -= c.value);
    left.values().map(|v| v * v).sum()
}

fn milliseconds<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let (time, out) = seconds(work);
    (1e3 * time, out)
}

fn decibels(snr: Option<f64>) -> String {
    snr.map_or("none".to_owned(), |s| format!("{:.0} dB", 10.0 * s.log10()))
}

/// Exact supports of `seeds` runs, samples, and the median time of a decode.
fn successes(
    seeds: u64,
    n: usize,
    truth: impl Fn(u64) -> Truth,
    snr: Option<f64>,
    sparsity: Sparsity,
    options: &Options,
) -> (usize, usize, f64) {
    let (mut right, mut samples, mut times) = (0, 0, Vec::new());
    for seed in 0..seeds {
        let truth = truth(seed);
        let std = snr.map_or(0.0, |s| (truth.iter().map(|t| t.1 * t.1).sum::<f64>() / s).sqrt());
        let noise = match options.noise {
            Noise::Std(_) => Noise::Std(std),
            other => other,
        };
        let plan = Plan::new(n, sparsity, &Options { seed, noise, ..options.clone() }).expect("valid plan");
        let answers = answers(&plan, &truth, std, seed);
        plan.decode(&answers).expect("as many answers as queries"); // tables are made once a plan
        let (time, found) = milliseconds(|| plan.decode(&answers).expect("as many answers as queries"));
        right += usize::from(exact(&found, &truth));
        samples = samples.max(answers.len());
        times.push(time);
    }
    (right, samples, median(times))
}

/// How often the default noiseless plan recovers `±1` amplitudes, its hardest case.
fn default_plans() {
    println!("noiseless default plans, +-1, 20 variables: K, samples, exact of 200");
    for k in [2, 5, 10, 16, 24, 33, 48, 64, 100, 150, 200, 300, 500, 1_000, 4_000] {
        let options = Options { verification: 0, ..Options::default() };
        let (right, samples, _) =
            successes(200, 20, |s| random_spectrum(20, k, false, s), None, Sparsity::Known(k), &options);
        println!("{k:5}  {samples:6}  {right}");
        assert!(right >= 194, "{k}: {right} of 200");
    }
}

/// The operating points of the default decoders.
fn decoders() {
    println!("variables  K      noise  amplitudes  samples  exact of  seeds  decode ms (median)");
    for (n, k, snr, samples, gaussian, seeds) in [
        (20, 1_024, None, Some(11_059), true, 200),
        (20, 1_024, None, None, true, 200),
        (20, 1_024, None, None, false, 200),
        (20, 102, Some(10.0), Some(1_920), false, 300),
        (20, 102, Some(10.0), Some(2_048), false, 300),
        (20, 102, Some(10.0), None, false, 300),
        (20, 102, Some(10.0), Some(4_096), false, 300),
        (20, 102, Some(1.0), Some(7_680), false, 300),
        (14, 26, Some(10.0), Some(512), false, 300),
        (14, 26, Some(1.0), Some(1_728), false, 300),
        (18, 64, Some(10.0), Some(1_280), false, 300),
    ] {
        let noise = if snr.is_some() { Noise::Std(1.0) } else { Noise::None };
        let options = Options { noise, samples, verification: 0, ..Options::default() };
        let truth = |seed| random_spectrum(n, k, gaussian, seed);
        let (right, samples, time) = successes(seeds, n, truth, snr, Sparsity::Known(k), &options);
        let amplitudes = if gaussian { "normal" } else { "+-1" };
        println!("{n:9}  {k:5}  {:>5}  {amplitudes:>10}  {samples:7}  {right:8}  {seeds:5}  {time:.3}", decibels(snr));
        assert!(10 * right >= 8 * seeds as usize, "{right} of {seeds}");
    }
}

/// At most 5 of 40 variables, with lists from all candidates and from BCH syndromes.
fn degree() {
    println!("at most 5 of 40 variables, K = 100, 10 dB: lists, samples, exact of 100, decode ms, with its table ms");
    let cases = [
        (Decoder::ExhaustiveLists, Some(1_920)),
        (Decoder::ExhaustiveLists, Some(2_304)),
        (Decoder::ExhaustiveLists, None),
        (Decoder::BchLists, Some(4_224)),
        (Decoder::BchLists, Some(8_064)),
    ];
    for (decoder, samples) in cases {
        let support = Support::MaxDegree(5);
        let options =
            Options { noise: Noise::Std(1.0), support, decoder, samples, verification: 0, ..Options::default() };
        let truth = |seed| low_degree_spectrum(40, 100, 5, seed);
        let (right, samples, time) = successes(100, 40, truth, Some(10.0), Sparsity::Known(100), &options);
        let first = (0..20).map(|seed| {
            let plan = Plan::new(40, 100, &Options { seed, noise: Noise::Std(10_f64.sqrt()), ..options.clone() })
                .expect("valid plan");
            let answers = answers(&plan, &truth(seed), 10_f64.sqrt(), seed);
            milliseconds(|| plan.decode(&answers).expect("as many answers as queries")).0
        });
        println!("{decoder:?}  {samples}  {right}  {time:.2}  {:.2}", median(first.collect()));
    }
}

/// Sums of decision trees, masked to the mean (ten instances) and over binary inputs (ten seeds).
fn trees() {
    println!("trees, heredity pursuit: model, evaluations, R2 mean and least of ten, coefficients, decode ms (median)");
    for name in ["breast_cancer", "diabetes", "wine", "digits", "breast_cancer_binary"] {
        let model = TreeModel::parse(&fixtures::text(&format!("trees_{name}.json.gz"))).expect("a model");
        let n = model.features.len();
        for budget in [250, 312, 600, 1_200] {
            let (mut fits, mut times, mut sizes) = (Vec::new(), Vec::new(), 0);
            for run in 0..10 {
                let game = model.game(run);
                let truth = game.spectrum();
                let support = Support::Hereditary { max_degree: 5.min(n) };
                // Two thirds of a small landscape are not sparse sampling any more.
                let samples = Some(budget.min((2 << n.min(30)) / 3));
                let options = Options { seed: run as u64, support, samples, verification: 0, ..Options::default() };
                let plan = Plan::new(n, Sparsity::Unknown { max: 1_000.min(1 << n.min(20)) }, &options);
                let plan = plan.expect("valid plan");
                let answers: Vec<f64> = plan.queries().iter().map(|&m| game.score(m)).collect();
                let (time, found) = milliseconds(|| plan.decode(&answers).expect("as many answers as queries"));
                let spread: f64 = truth.iter().filter(|t| t.0 != 0).map(|t| t.1 * t.1).sum();
                fits.push(1.0 - missing(&found, &truth) / spread);
                times.push(time);
                sizes += found.coefficients.len();
            }
            let mean = fits.iter().sum::<f64>() / fits.len() as f64;
            let least = fits.iter().fold(1.0_f64, |a, b| a.min(*b));
            println!("{name:21} {budget:5}  {mean:.5} {least:.5}  {:4}  {:.2}", sizes / fits.len(), median(times));
        }
    }
}

/// W6, the crate of the same name; FFHT is in the facade's peers script.
fn dense_transform() {
    println!("dense transform, f64: length, ours us, `fwht` crate us, ratio");
    for lg in [8, 12, 16, 20] {
        let x: Vec<f64> = (0..1 << lg).map(|i| f64::from(i * 7 % 13)).collect();
        let (mut ours, mut theirs) = (x.clone(), x.clone());
        let rounds = (1 << 22 >> lg).clamp(3, 400);
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            ours.copy_from_slice(&x);
            theirs.copy_from_slice(&x);
            times[0].push(milliseconds(|| dense::transform_in_place(&mut ours)).0);
            times[1].push(milliseconds(|| fwht::core::fwht_slice(&mut theirs)).0);
            assert_eq!(ours, theirs); // small integers: exact
        }
        let [ours, theirs] = times.map(|t| 1e3 * median(t));
        println!("2^{lg:<2}  {ours:9.2}  {theirs:9.2}  {:.1}", theirs / ours);
    }
}

/// Time per coefficient as the sparsity grows, 60 variables, without noise and at 10 dB, one and two threads.
fn scaling() {
    println!("60 variables: K, noise, samples, us per coefficient with 1 and 2 threads, ratio");
    for snr in [None, Some(10.0)] {
        let mut first = 0.0;
        for k in [1_000, 10_000, 100_000] {
            let truth = random_spectrum(60, k, snr.is_none(), 3);
            let std = snr.map_or(0.0, |s| (k as f64 / s).sqrt());
            let noise = snr.map_or(Noise::None, |_| Noise::Std(std));
            let plan = Plan::new(60, k, &Options { noise, ..Options::default() }).expect("valid plan");
            let answers = answers(&plan, &truth, std, 1);
            let rounds = if snr.is_some() { 1 } else { 5 };
            let [one, two] = [1, 2].map(|threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
                pool.install(|| {
                    let run = |_| {
                        let (time, found) = milliseconds(|| plan.decode(&answers).expect("as many answers"));
                        assert!(exact(&found, &truth), "{k}: {:?}", found.status);
                        1e3 * time / k as f64
                    };
                    median((0..rounds).map(run).collect())
                })
            });
            if k == 1_000 {
                first = one;
            }
            let noise = decibels(snr);
            let grown = one / first;
            println!(
                "{k:6}  {noise:>5}  {:8}  {one:8.2}  {two:8.2}  {:.2}; {grown:.2} of K = 1,000",
                answers.len(),
                one / two
            );
        }
    }
}

/// The sparsity and the noise unknown, against fixed plans that know both.
fn rateless() {
    println!(
        "rateless, 20 variables: K, noise, unknown, exact of seeds, mean and most samples (64 fresh ones included)"
    );
    for (k, snr, seeds) in [(102, 10.0, 1_000), (30, 10.0, 1_000), (102, 1.0, 100)] {
        let std = (k as f64 / snr).sqrt();
        for noise in [Noise::Std(std), Noise::Unknown] {
            let (mut right, mut total, mut most) = (0, 0, 0);
            for seed in 0..seeds {
                let truth = random_spectrum(20, k, false, seed);
                let mut rng = Streams::new(seed).stream(77);
                let x = |m| dense::evaluate(&truth, m) + std * normal(&mut rng);
                let options = Options { seed, noise, ..Options::default() };
                let found = recover(x, 20, Sparsity::Unknown { max: 2_000 }, &options).expect("valid");
                right += usize::from(exact(&found, &truth));
                total += found.report.samples;
                most = most.max(found.report.samples);
            }
            let unknown = if noise == Noise::Unknown { "K and noise" } else { "K" };
            let mean = total / seeds as usize;
            println!("{k:4}  {:>5}  {unknown:11}  {right} of {seeds}  {mean:5} {most:5}", decibels(Some(snr)));
        }
        // The least fixed plan with 95 % successes, K and noise known: what the others are measured against.
        let options =
            |samples| Options { noise: Noise::Std(1.0), samples: Some(samples), verification: 0, ..Options::default() };
        let truth = |seed| random_spectrum(20, k, false, seed);
        let mut budget = 12 * k;
        let (right, samples, _) = loop {
            let outcome = successes(100, 20, truth, Some(snr), Sparsity::Known(k), &options(budget));
            if outcome.0 >= 95 {
                break outcome;
            }
            budget += budget / 16;
        };
        println!("{k:4}  {:>5}  nothing      {right} of 100  {samples:5}", decibels(Some(snr)));
    }
}

/// Coverage of 95 % intervals over 200 seeds.
fn errors() {
    println!("95 % intervals: variables, K, noise, covered of all");
    for (n, k, snr, samples) in
        [(14, 26, 10.0, 512), (14, 26, 1.0, 1_728), (20, 102, 10.0, 2_048), (20, 102, 10.0, 4_096)]
    {
        let (mut inside, mut all) = (0_u32, 0_u32);
        for seed in 0..200 {
            let truth = random_spectrum(n, k, false, seed);
            let std = (k as f64 / snr).sqrt();
            let options = Options { seed, noise: Noise::Unknown, samples: Some(samples), ..Options::default() };
            let plan = Plan::new(n, k, &options).expect("valid plan");
            let found = plan.decode(&answers(&plan, &truth, std, seed)).expect("as many answers as queries");
            for c in &found.coefficients {
                if let Ok(at) = truth.binary_search_by_key(&c.index, |t| t.0) {
                    all += 1;
                    inside += u32::from((c.value - truth[at].1).abs() <= 1.96 * c.std_error.expect("noise"));
                }
            }
        }
        println!(
            "{n:3}  {k:3}  {:>5}  {:.2} % of {all}",
            decibels(Some(snr)),
            100.0 * f64::from(inside) / f64::from(all)
        );
    }
}

/// Full landscapes of 2^16 sequences, a fifth of them asked.
fn landscapes() {
    println!(
        "binding of 65,536 8-mers, 13,107 asked: factor, method, coefficients, energy captured, the best so many, ratio"
    );
    let folder = fixtures::full_data("tf-binding");
    let Some(folder) = folder else {
        println!("not there: python3 scripts/fetch_data.py fetch tf-binding");
        return;
    };
    for name in ["CRX", "GFI1B", "PAX4", "SIX6"] {
        let table = fixtures::full_table(&folder.join(format!("{name}.csv")));
        let mut x = vec![f64::NAN; 1 << 16];
        for (word, y) in table.rows.iter().map(|r| &r[0]).zip(table.numbers("y")) {
            let code = |b| "ACGT".bytes().position(|c| c == b).expect("a base");
            x[word.bytes().fold(0, |m, b| m << 2 | code(b))] = y;
        }
        assert!(x.iter().all(|v| v.is_finite()));
        let spectrum = dense::spectrum(&x).expect("a power of two");
        let truth: Truth = spectrum.iter().enumerate().map(|(k, &v)| (k as u64, v)).collect();
        let total: f64 = spectrum[1..].iter().map(|v| v * v).sum();
        let mut energies: Vec<f64> = spectrum[1..].iter().map(|v| v * v).collect();
        energies.sort_by(|a, b| b.total_cmp(a));
        let show = |method: &str, size: usize, missing: f64, time: f64| {
            let captured = 1.0 - missing / total;
            let best = energies[..size.min(energies.len())].iter().sum::<f64>() / total;
            println!("{name:6} {method:22} {size:4}  {captured:.3}  {best:.3}  {:.3}  {time:.0} ms", captured / best);
        };
        let options = Options { noise: Noise::Unknown, samples: Some(13_107 - 64), ..Options::default() };
        for k in [50, 200, 400] {
            let plan = Plan::new(16, k, &options).expect("valid plan");
            let answers: Vec<f64> = plan.queries().iter().map(|&m| x[m as usize]).collect();
            let (time, found) = milliseconds(|| plan.decode(&answers).expect("as many answers as queries"));
            let mut left = missing(&found, &truth);
            // The mean is no achievement.
            left -= (spectrum[0] - found.coefficients.iter().find(|c| c.index == 0).map_or(0.0, |c| c.value)).powi(2);
            show(&format!("joint lists, K = {k}"), found.coefficients.len(), left, time);
        }
        // All terms of at most three bits, on as many random rows; the penalty is chosen on a fifth of them.
        let mut order: Vec<usize> = (0..1 << 16).collect();
        samplewise::linalg::random::shuffle(&mut Streams::new(1).stream(0), &mut order);
        let rows = &order[..13_107];
        let terms: Vec<usize> = (1..1 << 16_usize).filter(|k: &usize| k.count_ones() <= 3).collect();
        let sign = |m: usize, k: usize| if (m & k).count_ones().is_multiple_of(2) { 1.0 } else { -1.0 };
        let (train, tune) = rows.split_at(rows.len() * 4 / 5);
        let matrix = |rows: &[usize]| Matrix::from_fn(rows.len(), terms.len(), |i, j| sign(rows[i], terms[j]));
        let values = |rows: &[usize]| rows.iter().map(|&m| x[m]).collect::<Vec<f64>>();
        let (time, fit) = milliseconds(|| {
            let design = lasso::Design::dense(&matrix(train)).expect("finite");
            let options = lasso::Options::default();
            let fits =
                lasso::path(&design, &values(train), &lasso::Grid::Geometric { count: 30, min_ratio: 1e-3 }, &options)
                    .expect("a path");
            let (held, truth) = (matrix(tune), values(tune));
            let error = |f: &lasso::Solution| {
                let squares = truth.iter().enumerate().map(|(i, y)| {
                    let sum: f64 = f.coefficients.iter().map(|&(j, w)| w * held.row(i)[j]).sum();
                    (y - f.intercept - sum).powi(2)
                });
                squares.sum::<f64>()
            };
            fits.into_iter().min_by(|a, b| error(a).total_cmp(&error(b))).expect("a fit")
        });
        let mut left: Vec<f64> = spectrum.clone();
        fit.coefficients.iter().for_each(|&(j, w)| left[terms[j]] -= w);
        let left = left[1..].iter().map(|v| v * v).sum();
        show("Lasso, degree <= 3", fit.coefficients.len(), left, time);
    }
}

/// Values in memory: predicted and measured times of both ways, and what the choice costs where it is wrong.
fn crossover() {
    println!("in memory: n, K, noise, dense ms (predicted), sparse ms (predicted), chosen, lost by the choice");
    for (n, k, noisy) in [
        (12, 16, false),
        (14, 16, false),
        (14, 128, false),
        (16, 32, false),
        (16, 256, false),
        (18, 64, false),
        (18, 512, false),
        (20, 100, false),
        (20, 1_024, false),
        (22, 100, false),
        (22, 2_048, false),
        (18, 50, true),
        (20, 100, true),
        (22, 100, true),
    ] {
        let truth = random_spectrum(n, k, true, 5);
        let mut values = vec![0.0; 1 << n];
        truth.iter().for_each(|t| values[t.0 as usize] = t.1);
        dense::transform_in_place(&mut values).expect("a power of two");
        if noisy {
            let mut rng = Streams::new(9).stream(0);
            let std = (k as f64 / 10.0).sqrt();
            values.iter_mut().for_each(|v| *v += std * normal(&mut rng));
        }
        let noise = if noisy { Noise::Std((k as f64 / 10.0).sqrt()) } else { Noise::None };
        let run = |decoder| {
            let options = Options { noise, decoder, ..Options::default() };
            let once = |_| milliseconds(|| recover_in_memory(&values, k, &options).expect("valid")).0;
            median((0..7).map(once).collect())
        };
        let wanted = if noisy { Decoder::JointList } else { Decoder::SignBits };
        let (all, few) = (run(Decoder::Dense), run(wanted));
        let options = Options { noise, ..Options::default() };
        let found = recover_in_memory(&values, k, &options).expect("valid");
        let choice = found.report.choice.expect("a choice");
        let (chosen, taken) =
            if choice.dense_seconds <= choice.sparse_seconds { ("dense", all) } else { ("sparse", few) };
        println!(
            "{n:2} {k:5} {:5}  {all:8.3} ({:8.3})  {few:8.3} ({:8.3})  {chosen:6}  {:.0} %",
            if noisy { "10 dB" } else { "none" },
            1e3 * choice.dense_seconds,
            1e3 * choice.sparse_seconds,
            100.0 * (taken / all.min(few) - 1.0)
        );
    }
}

/// Successes against samples, as a table for the picture `benches/results/wht_curves.svg`.
fn curves() {
    let seeds = 100;
    let mut csv = "n,K,snr_db,method,samples,successes,seeds\n".to_owned();
    for (n, k) in [(14, 26), (18, 64), (20, 102)] {
        for (snr, factors) in [
            (10.0, [8.0, 10.0, 12.0, 14.0, 16.0, 18.0, 20.0, 26.0]),
            (1.0, [30.0, 40.0, 50.0, 56.0, 62.0, 70.0, 80.0, 100.0]),
        ] {
            for (method, known) in [("\"joint lists, K known\"", true), ("\"joint lists, K and noise unknown\"", false)]
            {
                let mut before = 0;
                for factor in factors {
                    let noise = if known { Noise::Std(1.0) } else { Noise::Unknown };
                    let samples = Some((factor * k as f64) as usize);
                    let options = Options { noise, samples, verification: 0, ..Options::default() };
                    let sparsity = if known { Sparsity::Known(k) } else { Sparsity::Unknown { max: k } };
                    let truth = |seed| random_spectrum(n, k, false, 1_000 + seed);
                    let (right, samples, _) = successes(seeds, n, truth, Some(snr), sparsity, &options);
                    if samples > before {
                        let db = (10.0 * snr.log10()).round();
                        writeln!(csv, "{n},{k},{db},{method},{samples},{right},{seeds}").expect("a string grows");
                        before = samples;
                    }
                }
            }
        }
    }
    print!("{csv}");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/results/wht_curve.csv");
    std::fs::write(path, csv).expect("writable results");
}

fn main() {
    print(&[
        Table::new("default plans", default_plans),
        Table::new("decoders", decoders),
        Table::new("degree", degree),
        Table::new("trees", trees),
        Table::new("dense", dense_transform),
        Table::new("scaling", scaling),
        Table::new("rateless", rateless),
        Table::new("errors", errors),
        Table::new("landscapes", landscapes),
        Table::new("crossover", crossover),
        Table::on_request("curves", curves),
    ]);
}

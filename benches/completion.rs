//! Matrix completion: rates of recovery, time and work against one look at every entry, noise, gross errors, real data.
//! `cargo bench --bench completion -- WORD` runs the tables whose name has WORD; `hard` (2,000 runs), `curves` (which
//! writes `benches/results/completion_curve.csv`) and `picture` (which draws it) run only when they are named. One thread: `RAYON_NUM_THREADS=1`; with
//! more, instances of a rate run side by side. Peers in other languages: `python3 benches/peers/run.py completion`.
use std::fmt::Write as _;
use std::hint::black_box;

use rayon::prelude::*;
use samplewise::completion::internals::Pass;
use samplewise::completion::{
    Advanced, Completion, Entries, Finish, Loss, Options, PosteriorOptions, Rank, Route, Solver, Status, Verification,
    complete, sample_posterior,
};
use samplewise::linalg::random::{Streams, normal, uniform};
use samplewise_benches::{Table, median, print, seconds};
use samplewise_testkit::generate::{LowRank, conditioned_low_rank, skewed_low_rank};
use samplewise_testkit::{fixtures, picture};

#[path = "baselines/completion.rs"]
#[allow(missing_docs, clippy::pedantic)]
mod baselines;

type Triplets = Vec<(usize, usize, f64)>;

fn instance(n: usize, rank: usize, condition: f64, oversampling: f64, seed: u64) -> (LowRank, Triplets) {
    let count = (oversampling * (rank * (2 * n - rank)) as f64) as usize;
    let (truth, cells) = conditioned_low_rank(n, n, rank, condition, count, seed);
    let seen = cells.into_iter().map(|(i, j)| (i, j, truth.at(i, j))).collect();
    (truth, seen)
}

fn exact() -> Options {
    Options { exact_recovery: Some(1e-6), ..Options::default() }
}

fn fit(n: usize, seen: &Triplets, rank: usize, options: &Options, seed: u64) -> Completion {
    let data = Entries::new(n, n, seen, None).expect("valid entries");
    complete(&data, Rank::Fixed(rank), &Options { seed, ..options.clone() }).expect("valid options")
}

/// Relative error over the rows and columns that the entries determine, on every tenth row.
fn error(truth: &LowRank, found: &Completion) -> f64 {
    let except = [&found.report.undetermined_rows[..], &found.report.undetermined_columns[..]];
    truth.relative_error(10, except, |i, j| found.model.predict(i, j))
}

fn determined(found: &Completion) -> bool {
    found.report.undetermined_rows.is_empty() && found.report.undetermined_columns.is_empty()
}

fn floors(found: &Completion) -> f64 {
    found.report.stages.iter().map(|s| s.floors).sum()
}

/// Successes (relative error at most 1e-4) of 50 seeds, 1000 × 1000, at least rank entries in each row and column.
fn recovery() {
    println!("recovery: 1000 x 1000, 50 seeds, relative error <= 1e-4 on what is determined; floors of the successes");
    println!("rank  condition  oversampling  successes  goal  undetermined somewhere  false  median floors  paths");
    for (rank, condition, oversampling, goal) in [
        (5, 1.0, 1.3, 0.90),
        (5, 1.0, 1.5, 0.98),
        (10, 1.0, 1.1, 0.95),
        (10, 10.0, 1.3, 0.95),
        (5, 10.0, 2.0, 0.95),
        (5, 100.0, 2.0, 0.95),
    ] {
        let runs: Vec<(bool, bool, bool, f64, Route)> = (0..50)
            .into_par_iter()
            .map(|seed| {
                let (truth, seen) = instance(1000, rank, condition, oversampling, seed);
                let found = fit(1000, &seen, rank, &exact(), seed);
                let good = error(&truth, &found) <= 1e-4;
                let lie = found.status == Status::Verified && !good;
                (good, determined(&found), lie, floors(&found), found.report.route)
            })
            .collect();
        let good: Vec<_> = runs.iter().filter(|r| r.0).collect();
        let count = |kind: &dyn Fn(Route) -> bool| good.iter().filter(|r| kind(r.4)).count();
        println!(
            "{rank:4}  {condition:9}  {oversampling:12}  {:6}/50  {goal:4}  {:22}  {:5}  {:13.0}  annealing {}, growth {}, reweighting {}",
            good.len(),
            runs.iter().filter(|r| !r.1).count(),
            runs.iter().filter(|r| r.2).count(),
            median(good.iter().map(|r| r.3).collect()),
            count(&|p| matches!(p, Route::Annealing { .. })),
            count(&|p| p == Route::Growth),
            count(&|p| p == Route::Reweighting),
        );
    }
}

/// Floors beside published methods (own versions) at κ = 1, k = 5.
fn rivals() {
    println!("rivals: 1000 x 1000, rank 5, condition 1, 12 seeds, relative error <= 1e-4");
    println!("oversampling  method         successes  median floors  times ours");
    for oversampling in [3.0, 1.75, 1.5] {
        let ours: Vec<(bool, f64)> = (0..12)
            .into_par_iter()
            .map(|seed| {
                let (truth, seen) = instance(1000, 5, 1.0, oversampling, seed);
                let found = fit(1000, &seen, 5, &exact(), seed);
                (error(&truth, &found) <= 1e-4, floors(&found))
            })
            .collect();
        let show = |name: &str, runs: &[(bool, f64)], unit: f64| {
            let good: Vec<f64> = runs.iter().filter(|r| r.0).map(|r| r.1).collect();
            let (count, middle) = (good.len(), median(good));
            println!("{oversampling:12}  {name:13}  {count:6}/12  {middle:13.0}  {:10.1}", middle / unit);
            middle
        };
        let unit = show("samplewise", &ours, f64::NAN);
        for (name, method) in baselines::METHODS.iter().filter(|m| m.0 != "sgd") {
            let slow = ["als", "scaled_gd"].contains(name);
            let runs: Vec<(bool, f64)> = (0..12)
                .into_par_iter()
                .map(|seed| {
                    let (truth, seen) = instance(1000, 5, 1.0, oversampling, seed);
                    let input = baselines::Input {
                        rows: 1000,
                        columns: 1000,
                        rank: 5,
                        entries: &seen,
                        max_iterations: if slow { 1000 } else { 60 },
                        tolerance: 1e-7,
                    };
                    let out = method(&input);
                    let predict = |i: usize, j: usize| (0..5).map(|c| out.u[i * 5 + c] * out.v[j * 5 + c]).sum();
                    let e = truth.relative_error(10, [&[], &[]], predict);
                    black_box(out.iterations);
                    (e <= 1e-4, out.floors)
                })
                .collect();
            show(name, &runs, unit);
        }
    }
}

/// The whole fit in looks at every entry, in single precision.
fn passes() {
    let threads = rayon::current_num_threads();
    println!(
        "passes: n = 10,000, oversampling 3, to 1e-6, {threads} threads; one pass = residuals of all entries in f32"
    );
    println!("rank  error    seconds  one pass ms  passes  stages (passes)");
    for rank in [10, 50] {
        let (truth, seen) = instance(10_000, rank, 1.0, 3.0, 1);
        let data = Entries::new(10_000, 10_000, &seen, None).expect("valid entries");
        let mut times = Vec::new();
        let mut last = None;
        for _ in 0..5 {
            let run = || complete(&data, Rank::Fixed(rank), &exact());
            let (time, found) = seconds(run);
            times.push(time);
            last = Some(found.expect("valid options"));
        }
        let found = last.expect("five runs");
        let e = truth.relative_error(100, [&[], &[]], |i, j| found.model.predict(i, j));
        assert!(e <= 1e-6, "rank {rank}: error {e:e}");
        let one = Pass::new(&data, &found.model).expect("single precision");
        let pass = median((0..21).map(|_| seconds(|| one.pass()).0).collect());
        let total = median(times);
        let stages: Vec<String> =
            found.report.stages.iter().map(|s| format!("{} {:.0}", s.name, s.seconds.0 / pass)).collect();
        let pass_ms = 1e3 * pass;
        println!("{rank:4}  {e:7.1e}  {total:7.3}  {pass_ms:11.2}  {:6.0}  {}", total / pass, stages.join(", "));
    }
    let (_, seen) = instance(10_000, 50, 1.0, 3.0, 1);
    let plain = Options {
        advanced: Advanced { decay: Some(1e-9), finish: Finish::Alternating, ..Advanced::default() },
        ..exact()
    };
    let (time, found) = seconds(|| fit(10_000, &seen, 50, &plain, 0));
    let test = found.report.relative_test_error.unwrap_or(f64::NAN);
    println!(
        "rank 50, plain exact ALS from the same start: {time:.1} s, held-out error {test:.1e}, {:?}",
        found.status
    );
}

/// Error on all entries over `σ √(k(m+n)/|Ω|) √(ρ/(ρ−1))`.
fn noise() {
    println!("noise: 1000 x 1000, rank 5, signal of standard deviation 1, 6 seeds, median over the oracle rate");
    println!("noise  oversampling  error / rate  goal");
    for (std, oversampling, goal) in [(0.1, 3.0, 1.06), (0.1, 5.0, 1.06), (0.1, 10.0, 1.06), (1.0, 1.5, 1.3)] {
        let ratios: Vec<f64> = (0..6)
            .into_par_iter()
            .map(|seed| {
                let (truth, mut seen) = instance(1000, 5, 1.0, oversampling, seed);
                let mut rng = Streams::new(seed).stream(9);
                seen.iter_mut().for_each(|e| e.2 += std * normal(&mut rng));
                let found = fit(1000, &seen, 5, &Options::default(), seed);
                let reference = std * (10_000.0 / seen.len() as f64).sqrt();
                let rate = if std < 1.0 { (oversampling / (oversampling - 1.0)).sqrt() } else { 1.0 };
                error(&truth, &found) / reference / rate
            })
            .collect();
        println!("{std:5}  {oversampling:12}  {:12.3}  {goal:4}", median(ratios));
    }
    println!("(noise as large as the signal: over the rate without the last factor)");
}

/// Additive errors of ten standard deviations.
fn outliers() {
    println!("outliers: 1000 x 1000, rank 5, noise 0.05, 20 seeds; error over that of the fit without the outliers");
    println!("share  oversampling  within 1.03  within 1.1  median ratio  median ratio, squared loss");
    for (share, oversampling) in [(0.05, 5.0), (0.10, 3.0)] {
        let ratios: Vec<(f64, f64)> = (0..20)
            .into_par_iter()
            .map(|seed| {
                let (truth, mut seen) = instance(1000, 5, 1.0, oversampling, seed);
                let mut rng = Streams::new(seed).stream(9);
                let mut clean = Vec::new();
                for e in &mut seen {
                    e.2 += 0.05 * normal(&mut rng);
                    if uniform(&mut rng) < share {
                        e.2 += 10.0 * if uniform(&mut rng) < 0.5 { 1.0 } else { -1.0 };
                    } else {
                        clean.push(*e);
                    }
                }
                let run = |seen: &Triplets, loss: Loss| {
                    error(&truth, &fit(1000, seen, 5, &Options { loss, ..Options::default() }, seed))
                };
                let oracle = run(&clean, Loss::Squared);
                (run(&seen, Loss::Trimmed) / oracle, run(&seen, Loss::Squared) / oracle)
            })
            .collect();
        let within = |limit: f64| ratios.iter().filter(|r| r.0 <= limit).count();
        println!(
            "{share:5}  {oversampling:12}  {:8}/20  {:7}/20  {:12.3}  {:.0}",
            within(1.03),
            within(1.1),
            median(ratios.iter().map(|r| r.0).collect()),
            median(ratios.iter().map(|r| r.1).collect())
        );
    }
}

/// Pairs and multiplications with each row solver, alternation to the end.
fn solvers() {
    println!("solvers: n = 2,000, oversampling 4, alternation to 1e-6");
    println!("rank  solver    pairs  multiplications / (entries x rank)  seconds");
    for rank in [10, 50] {
        let (_, seen) = instance(2_000, rank, 1.0, 4.0, 3);
        for (name, solver) in [
            ("exact", Solver::Exact),
            ("cg", Solver::ConjugateGradients { steps: 3 }),
            ("sketched", Solver::Sketched { accuracy: 0.1, rows_per_unknown: 4 }),
        ] {
            let options = Options {
                advanced: Advanced { solver, finish: Finish::Alternating, ..Advanced::default() },
                ..exact()
            };
            let (time, found) = seconds(|| fit(2_000, &seen, rank, &options, 1));
            assert_eq!(found.status, Status::Verified, "{name}");
            println!("{rank:4}  {name:8}  {:5}  {:34.0}  {time:7.2}", found.report.iterations, floors(&found));
        }
    }
    println!("at a ridge, single precision, n = 3,000, oversampling 2, noise 0.5: 20 pairs, seconds; held-out error");
    println!("rank  exact  three steps  auto  exact   three steps  auto");
    for rank in [8, 16, 24, 32, 50, 100] {
        let (_, mut seen) = instance(3_000, rank, 1.0, 2.0, 3);
        let mut rng = Streams::new(3).stream(9);
        seen.iter_mut().for_each(|e| e.2 += 0.5 * normal(&mut rng));
        let runs = [Solver::Exact, Solver::ConjugateGradients { steps: 3 }, Solver::Auto].map(|solver| {
            let (lambda, ridge_exponent) = (Some(0.03), Some(1.0));
            let options = Options {
                lambda,
                max_iterations: 20,
                advanced: Advanced { solver, ridge_exponent, ..Advanced::default() },
                ..Options::default()
            };
            let (time, found) = (0..3)
                .map(|_| seconds(|| fit(3_000, &seen, rank, &options, 1)))
                .min_by(|a, b| a.0.total_cmp(&b.0))
                .expect("three runs");
            (time, found.report.relative_test_error.unwrap_or(f64::NAN))
        });
        let [(a, x), (b, y), (c, z)] = runs;
        assert!(y.max(z) < 1.01 * x, "rank {rank}: errors {y} and {z}, exact rows {x}");
        println!("{rank:4}  {a:5.2}  {b:11.2}  {c:4.2}  {x:6.4}  {y:11.4}  {z:6.4}");
    }
}

/// R² of protein GB1 double mutants that were hidden.
fn gb1() {
    let Some(path) = fixtures::full_data("gb1/gb1_data.csv") else {
        println!("gb1: no data (python3 scripts/fetch_data.py fetch gb1)");
        return;
    };
    let (names, mut pairs) = fixtures::full_gb1(&path);
    samplewise::linalg::random::shuffle(&mut Streams::new(1).stream(0), &mut pairs);
    println!("gb1: {} pairs of {} mutants, rank by the tuning set", pairs.len(), names.len());
    println!("hidden  rank  R2 of one fit  seconds  rank  R2 of 30 draws  seconds  goal    additive");
    for (hidden, goal) in [(50, 0.971), (80, 0.965), (90, 0.9585), (95, 0.951)] {
        let (seen, rest) = pairs.split_at(pairs.len() * (100 - hidden) / 100);
        let entries: Triplets = seen.iter().flat_map(|&(a, b, v)| [(a, b, v), (b, a, v)]).collect();
        let data = Entries::new(names.len(), names.len(), &entries, None).expect("valid entries");
        let options = Options { biases: true, ..Options::default() };
        let run = |rank: Rank, options: &Options| complete(&data, rank, options).expect("valid options");
        let (time, found) = seconds(|| run(Rank::Auto { max: 40 }, &options));
        let additive = run(Rank::Fixed(1), &Options { lambda: Some(1e12), ..options.clone() });
        let mean = rest.iter().map(|h| h.2).sum::<f64>() / rest.len() as f64;
        let total: f64 = rest.iter().map(|h| (h.2 - mean).powi(2)).sum();
        let r2 = |f: &Completion| {
            let both = |a, b| f64::midpoint(f.model.predict(a, b), f.model.predict(b, a));
            1.0 - rest.iter().map(|&(a, b, v)| (v - both(a, b)).powi(2)).sum::<f64>() / total
        };
        // Each pair stands twice, and was not chosen for what it is.
        let sampling = PosteriorOptions {
            samples: 30,
            burn_in: 15,
            implicit: false,
            verification: Verification::Share(0.0),
            ..PosteriorOptions::default()
        };
        let (drawing, draws) =
            seconds(|| sample_posterior(&data, Rank::Auto { max: 23 }, &sampling).expect("valid options"));
        let both = |a, b| f64::midpoint(draws.predict(a, b).mean, draws.predict(b, a).mean);
        println!(
            "{hidden:4} %  {:4}  {:13.4}  {time:7.2}  {:4}  {:14.4}  {drawing:7.2}  {goal:6}  {:8.4}",
            found.report.rank,
            r2(&found),
            draws.models.models()[0].rank(),
            1.0 - rest.iter().map(|&(a, b, v)| (v - both(a, b)).powi(2)).sum::<f64>() / total,
            r2(&additive)
        );
    }
}

/// False claims and coverage of the certificate in runs near the limit.
fn hard() {
    println!("hard: 300 x 300, rank 3, 2,000 runs, oversampling 1.0 to 2.0");
    let runs: Vec<(Status, f64, bool)> = (0..2000_u64)
        .into_par_iter()
        .map(|seed| {
            let oversampling = 1.05 + 0.95 * (seed % 20) as f64 / 19.0;
            let (truth, seen) = instance(300, 3, if seed % 3 == 0 { 10.0 } else { 1.0 }, oversampling, seed);
            let found = fit(300, &seen, 3, &Options { max_iterations: 1500, ..exact() }, seed);
            let all = truth.relative_error(1, [&[], &[]], |i, j| found.model.predict(i, j));
            let certificate = found.report.certificate.expect("entries were held out");
            // Entries like those held out: of rows and columns with more than rank + 2 entries.
            let (mut rows, mut columns) = (vec![0; 300], vec![0; 300]);
            seen.iter().for_each(|e| {
                rows[e.0] += 1;
                columns[e.1] += 1;
            });
            let alike: Vec<(usize, usize)> =
                (0..300 * 300).map(|c| (c / 300, c % 300)).filter(|&(i, j)| rows[i] > 5 && columns[j] > 5).collect();
            let far = |&(i, j): &(usize, usize)| {
                (found.model.predict(i, j) - truth.at(i, j)).abs() > certificate.largest_error
            };
            let above = alike.iter().filter(|c| far(c)).count();
            let covered = above as f64 / alike.len() as f64 <= certificate.exceeding_share(0.05);
            (found.status, all.min(error(&truth, &found)), covered)
        })
        .collect();
    let verified: Vec<_> = runs.iter().filter(|r| r.0 == Status::Verified).collect();
    let lies = verified.iter().filter(|r| r.1 > 1e-3).count();
    let covered = runs.iter().filter(|r| r.2).count();
    println!("verified {}, of these wrong (error > 1e-3 on what is determined) {lies}", verified.len());
    println!("certificate at 95 % holds for entries like those held out in {covered} of 2000");
}

/// Rows of very different size, and rows and columns of very different counts.
fn skewed() {
    println!("skewed: 1000 x 1000, rank 5, 40 seeds, relative error <= 1e-4 on what is determined");
    println!("row norms  sampling  oversampling  successes  goal  false");
    for (power, zipf, oversampling, goal) in [(0.5, 0.0, 4.0, 0.95), (0.0, 0.8, 2.5, 0.98)] {
        let runs: Vec<(bool, bool)> = (0..40)
            .into_par_iter()
            .map(|seed| {
                let count = (oversampling * 5.0 * 1995.0) as usize;
                let (truth, cells) = skewed_low_rank(1000, 5, power, zipf, count, seed);
                let seen: Triplets = cells.into_iter().map(|(i, j)| (i, j, truth.at(i, j))).collect();
                let found = fit(1000, &seen, 5, &exact(), seed);
                let good = error(&truth, &found) <= 1e-4;
                (good, found.status == Status::Verified && !good)
            })
            .collect();
        let (good, lies) = (runs.iter().filter(|r| r.0).count(), runs.iter().filter(|r| r.1).count());
        println!("  i^-{power:3}  Zipf {zipf:3}  {oversampling:12}  {good:6}/40  {goal:4}  {lies:5}");
    }
}

/// MovieLens 100K, the mean of draws beside one fit; the same splits for both, predictions clipped to the stars.
fn ratings() {
    let Some(path) = fixtures::full_data("ml-100k/ratings.csv") else {
        println!("ratings: no data (python3 scripts/fetch_data.py fetch ml-100k)");
        return;
    };
    let text = std::fs::read_to_string(path).expect("fetched data can be read");
    let number = |cell: Option<&str>| cell.and_then(|c| c.parse::<f64>().ok()).expect("three numbers a line");
    let mut all: Triplets = text
        .lines()
        .skip(1)
        .map(|line| {
            let mut cells = line.split(',');
            let (user, item) = (number(cells.next()) as usize, number(cells.next()) as usize);
            (user, item, number(cells.next()))
        })
        .collect();
    let [m, n] = [all.iter().map(|e| e.0).max(), all.iter().map(|e| e.1).max()].map(|x| x.map_or(0, |x| x + 1));
    println!("ratings: MovieLens 100K, five random splits 90/10, {} threads", rayon::current_num_threads());
    println!("method                RMSE    seconds  nine tenths hold");
    let rows: Vec<[(f64, f64, f64); 4]> = (0..5)
        .map(|seed| {
            samplewise::linalg::random::shuffle(&mut Streams::new(seed).stream(0), &mut all);
            let (test, train) = all.split_at(all.len() / 10);
            let data = Entries::new(m, n, train, None).expect("valid entries");
            let rmse = |predict: &dyn Fn(usize, usize) -> f64| {
                let squares: f64 = test.iter().map(|e| (e.2 - predict(e.0, e.1).clamp(1.0, 5.0)).powi(2)).sum();
                (squares / test.len() as f64).sqrt()
            };
            let draws = |samples: usize, implicit: bool| {
                let sampling = PosteriorOptions {
                    samples,
                    burn_in: samples.div_ceil(3),
                    implicit,
                    verification: Verification::Given(test.to_vec()),
                    seed,
                    ..PosteriorOptions::default()
                };
                let run = || sample_posterior(&data, Rank::Auto { max: 23 }, &sampling);
                let (time, found) = seconds(run);
                let found = found.expect("valid options");
                (rmse(&|i, j| found.predict(i, j).mean), time, found.report.test_coverage.unwrap_or(f64::NAN))
            };
            let options = Options { biases: true, seed, ..Options::default() };
            let (time, one) = seconds(|| complete(&data, Rank::Fixed(10), &options));
            let one = one.expect("valid options");
            let one = (rmse(&|i, j| one.model.predict(i, j)), time, f64::NAN);
            [draws(60, true), draws(15, true), draws(60, false), one]
        })
        .collect();
    for (c, name) in ["60 draws", "15 draws", "60 draws, no links", "one fit, rank 10"].iter().enumerate() {
        let mean = |f: &dyn Fn(&(f64, f64, f64)) -> f64| rows.iter().map(|r| f(&r[c])).sum::<f64>() / rows.len() as f64;
        let (error, time, inside) = (mean(&|r| r.0), median(rows.iter().map(|r| r[c].1).collect()), mean(&|r| r.2));
        println!("{name:20}  {error:.4}  {time:7.2}  {inside:16.3}");
    }
}

/// Memory beyond the entries while fitting, on Linux.
fn memory() {
    println!("memory: n = 20,000, rank 10, oversampling 10; peak of the process while it fits, above that before");
    let status = |name: &str| -> Option<f64> {
        let text = std::fs::read_to_string("/proc/self/status").ok()?;
        let line = text.lines().find_map(|l| l.strip_prefix(name))?;
        Some(line.trim().trim_end_matches(" kB").parse::<f64>().ok()? * 1024.0)
    };
    let data = {
        // One entry in each hundred columns of each row; large blocks alone, which go back to the system.
        let truth = conditioned_low_rank(20_000, 20_000, 10, 1.0, 200_000, 1).0;
        let streams = Streams::new(2);
        let at = |c: usize| 100 * (c % 200) + (100.0 * streams.uniform(c as u64)) as usize;
        let seen: Triplets = (0..4_000_000).map(|c| (c / 200, at(c), truth.at(c / 200, at(c)))).collect();
        Entries::new(20_000, 20_000, &seen, None).expect("valid entries")
    };
    // The peak starts anew.
    let fresh = std::fs::write("/proc/self/clear_refs", "5").is_ok();
    let before = status("VmRSS:");
    let found = complete(&data, Rank::Fixed(10), &exact()).expect("valid options");
    assert_eq!(found.status, Status::Verified);
    match (fresh, before, status("VmHWM:")) {
        (true, Some(before), Some(peak)) => {
            let own = 24.0 * data.len() as f64;
            println!(
                "entries {:.0} MB in both orientations; the fit takes {:.0} MB more: {:.2} of them, {:.2} with them (goal 2.5)",
                own / 1e6,
                (peak - before) / 1e6,
                (peak - before) / own,
                (peak - before) / own + 1.0
            );
        }
        _ => println!("this system does not tell"),
    }
}

/// Successes against oversampling, beside plain ALS and R2RILS.
fn curves() {
    let mut csv = "rank,condition,oversampling,method,successes,seeds\n".to_owned();
    for (rank, condition) in [(5, 1.0), (5, 10.0)] {
        for oversampling in [1.1, 1.2, 1.3, 1.4, 1.5, 1.75, 2.0, 2.5, 3.0] {
            let runs: Vec<[bool; 3]> = (0..20)
                .into_par_iter()
                .map(|seed| {
                    let (truth, seen) = instance(500, rank, condition, oversampling, seed);
                    let ours = error(&truth, &fit(500, &seen, rank, &exact(), seed)) <= 1e-4;
                    let rival = |method: fn(&baselines::Input<'_>) -> baselines::Fit, limit: usize| {
                        let input = baselines::Input {
                            rows: 500,
                            columns: 500,
                            rank,
                            entries: &seen,
                            max_iterations: limit,
                            tolerance: 1e-7,
                        };
                        let out = method(&input);
                        let row = |x: &[f64], i: usize| x[i * rank..(i + 1) * rank].to_vec();
                        let predict = |i, j| row(&out.u, i).iter().zip(row(&out.v, j)).map(|(a, b)| a * b).sum::<f64>();
                        truth.relative_error(10, [&[], &[]], predict) <= 1e-4
                    };
                    [ours, rival(baselines::als, 500), rival(baselines::r2rils, 50)]
                })
                .collect();
            for (m, name) in ["samplewise", "als", "r2rils"].iter().enumerate() {
                let count = runs.iter().filter(|r| r[m]).count();
                let _ = writeln!(csv, "{rank},{condition},{oversampling},{name},{count},20");
            }
        }
    }
    print!("{csv}");
    std::fs::write(CURVE, csv).expect("benches/results can be written");
    picture();
}

const CURVE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/results/completion_curve.csv");

/// Draws the curves that `curves` has written.
fn picture() {
    let text = std::fs::read_to_string(CURVE).expect("benches/results/completion_curve.csv is there");
    let lines: Vec<Vec<&str>> = text.lines().skip(1).map(|l| l.split(',').collect()).collect();
    let panels = ["1", "10"].map(|condition| {
        let of = |method: &str| -> Vec<(f64, f64)> {
            let chosen = lines.iter().filter(|l| l[1] == condition && l[3] == method);
            let number = |c: &str| c.parse::<f64>().expect("a number");
            chosen.map(|l| (number(l[2]), 100.0 * number(l[4]) / number(l[5]))).collect()
        };
        picture::Panel {
            title: if condition == "1" { "500 x 500, rank 5, condition 1" } else { "500 x 500, rank 5, condition 10" },
            axes: ["entries over degrees of freedom", "recovered (%)"],
            ranges: [1.0..3.0, 0.0..102.0],
            lines: [("samplewise", "samplewise"), ("R2RILS", "r2rils"), ("alternating least squares", "als")]
                .map(|(name, method)| (name, of(method)))
                .to_vec(),
            points: Vec::new(),
        }
    });
    let path = std::path::Path::new(CURVE).with_extension("svg");
    picture::draw(&path, &panels).expect("benches/results can be written");
    println!("drawn: benches/results/completion_curve.svg");
}

fn main() {
    print(&[
        Table::new("recovery", recovery),
        Table::new("rivals", rivals),
        Table::new("passes", passes),
        Table::new("noise", noise),
        Table::new("outliers", outliers),
        Table::new("solvers", solvers),
        Table::new("skewed", skewed),
        Table::new("ratings", ratings),
        Table::new("gb1", gb1),
        Table::new("memory", memory),
        Table::on_request("hard", hard),
        Table::on_request("curves", curves),
        Table::on_request("picture", picture),
    ]);
}

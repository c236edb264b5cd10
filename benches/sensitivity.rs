//! Leverage scores, Lewis weights, certified sensitivities, coresets and `ℓ1` regression, each beside what it replaces.
//! `cargo bench --bench sensitivity -- WORD` runs the tables whose name has WORD; `stream` (a table of 5 GB) runs only when
//! it is named. One thread: `RAYON_NUM_THREADS=1`. Real tables: `python3 scripts/fetch_data.py fetch flights cpssw8 gss
//! diamonds`. Peers in other languages: `python3 benches/peers/run.py sensitivity`.
use std::time::Instant;

use rayon::prelude::*;
use samplewise::linalg::leverage::{leverage_scores, reweigh, row_norms_squared, whiten};
use samplewise::linalg::random::{Streams, normal};
use samplewise::linalg::{Matrix, Summary, sums};
use samplewise::sensitivity::{
    Block, CertifiedOptions, Coreset, CoresetOptions, DistortionOptions, Loss, Method, Options, Preprocessing, Route,
    SampleOptions, Sampler, ScoreOptions, StreamOptions, StreamingCoreset, certified_sensitivities, distortion,
    planned_size, regress, regress_on_coreset, scores,
};
use samplewise_benches::{Table, median, print, seconds, timed};
use samplewise_testkit::designs::{self, Design};
use samplewise_testkit::generate::random_matrix;
use sha2::{Digest, Sha256};

fn leverage_by_qr(a: &Matrix) -> Vec<f64> {
    let (n, d) = (a.rows(), a.columns());
    let thin = faer::MatRef::from_row_major_slice(a.as_slice(), n, d).to_owned().qr().compute_thin_Q();
    (0..n).map(|i| (0..d).map(|j| thin[(i, j)].powi(2)).sum()).collect()
}

/// Exact leverage scores beside faer's thin QR.
fn leverage() {
    println!("leverage: exact scores; floor: n d^2 multiply-adds; both answers agree to 1e-10");
    println!("       n    d   ours ms  GF/s   thin QR of faer ms   times as fast");
    for (n, d) in [(100_000, 10), (100_000, 50), (100_000, 100), (1_000_000, 10), (300_000, 100)] {
        let a = random_matrix(n, d, 1);
        let (ours, found) = timed(5, || leverage_scores(&a).expect("finite"));
        let (theirs, expected) = seconds(|| leverage_by_qr(&a));
        assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-10));
        let flops = 2.0 * n as f64 * (d * d) as f64;
        println!(
            "{n:8}  {d:3}  {:8.1}  {:4.1}  {:19.0}  {:14.1}",
            1e3 * ours,
            1e-9 * flops / ours,
            1e3 * theirs,
            theirs / ours
        );
    }
}

/// Orthonormal columns with heavy rows, and a triangular mixing of the given condition number.
fn conditioned(n: usize, d: usize, condition: f64, seed: u64) -> (Matrix, Vec<f64>) {
    let mut rng = Streams::new(seed).stream(0);
    let heavy: Vec<f64> = (0..n).map(|_| normal(&mut rng).abs().powi(-1).min(1e3)).collect();
    let raw = Matrix::from_fn(n, d, |i, _| heavy[i] * normal(&mut rng));
    // Gram-Schmidt, twice.
    let mut columns: Vec<Vec<f64>> = (0..d).map(|j| raw.copy_column(j)).collect();
    for j in 0..d {
        for _ in 0..2 {
            for k in 0..j {
                let (done, rest) = columns.split_at_mut(j);
                let c = sums::dot(&done[k], &rest[0]);
                sums::axpy(-c, &done[k], &mut rest[0]);
            }
        }
        let norm = sums::norm(&columns[j]);
        columns[j].iter_mut().for_each(|v| *v /= norm);
    }
    let truth = (0..n).map(|i| columns.iter().map(|c| c[i] * c[i]).sum()).collect();
    // Q D V with a random orthogonal V, so that no scaling of columns helps.
    let v = samplewise::linalg::factor::dense_svd(&random_matrix(d, d, seed + 1)).expect("finite").u;
    let scale = |j: usize| condition.powf(-(j as f64) / (d as f64 - 1.0));
    let a = Matrix::from_fn(n, d, |i, c| (0..d).map(|j| columns[j][i] * scale(j) * v[(j, c)]).sum());
    (a, truth)
}

/// Largest relative error of a leverage score against the columns the matrix was made from.
fn accuracy() {
    println!(
        "accuracy: 4000 x 20, heavy rows, largest relative error of a score (goal: 1e-6 to 1e10, never worse than QR)"
    );
    println!("condition      ours   thin QR of faer   numerical rank");
    for exponent in [2, 3, 4, 6, 8, 10, 12] {
        let (a, truth) = conditioned(4000, 20, 10_f64.powi(exponent), 3);
        let worst = |s: &[f64]| s.iter().zip(&truth).map(|(s, t)| (s / t - 1.0).abs()).fold(0.0, f64::max);
        let rank = whiten(&a, None).expect("finite").rank;
        println!(
            "     1e{exponent:<2}  {:8.1e}   {:15.1e}   {rank:14}",
            worst(&leverage_scores(&a).expect("finite")),
            worst(&leverage_by_qr(&a))
        );
    }
}

/// Lewis weights in units of one pair of passes.
fn lewis() {
    println!("Lewis weights: time in pairs of passes (Gram matrix and norms) of the same table");
    println!("table                 p   to 10 %: passes  pairs    to 1 %: passes  pairs   reference residual");
    let mut tables = vec![("Gaussian 200000 x 50".to_owned(), random_matrix(200_000, 50, 1))];
    tables.extend(designs::flights_mid().map(|d| (d.name, d.a)));
    tables.extend(designs::fetched("diamonds").map(|d| (d.name, d.a)));
    for (name, a) in tables {
        let white = whiten(&a, None).expect("finite").transform;
        let (pair, _) = timed(5, || (whiten(&a, None), row_norms_squared(&a, &white)));
        for p in [1.0, 1.5, 3.0, 4.0, 8.0] {
            let run = |tolerance| {
                let options = ScoreOptions { tolerance, ..ScoreOptions::default() };
                let (time, s) = timed(5, || scores(&a, p, &options).expect("finite"));
                (s.report.iterations + 1, time / pair, s)
            };
            let (rough, fine) = (run(0.1), run(0.01));
            println!(
                "{name:20} {p:3}  {:16}  {:5.1}  {:16}  {:5.1}  {:18.4}",
                rough.0, rough.1, fine.0, fine.1, fine.2.report.residual
            );
        }
    }
}

/// All sensitivities of small tables, certified.
fn certified() {
    println!("certified: all sensitivities, gap at most 1e-3; seconds of all rows (peer: run.py sensitivity)");
    println!("   n   d    p   seconds   steps   largest gap    total between");
    for (n, d) in [(2000, 8), (2000, 24)] {
        let a = random_matrix(n, d, 5);
        let rows: Vec<usize> = (0..n).collect();
        for p in [1.0, 1.5, 3.0, 4.0] {
            let (time, c) =
                seconds(|| certified_sensitivities(&a, p, &rows, &CertifiedOptions { gap: 1e-3 }).expect("finite"));
            let gap = c.upper.iter().zip(&c.lower).map(|(u, l)| u / l - 1.0).fold(0.0, f64::max);
            let (low, high): (f64, f64) = (c.lower.iter().sum(), c.upper.iter().sum());
            println!("{n:5} {d:3}  {p:3}  {time:8.2}  {:6}  {gap:12.1e}  {low:8.3} {high:8.3}", c.report.iterations);
        }
    }
}

fn excess(d: &Design, x: &[f64], best: f64) -> f64 {
    let mut r = vec![0.0; d.b.len()];
    d.a.multiply_vector_into(x, &mut r);
    r.iter_mut().zip(&d.b).for_each(|(r, b)| *r = b - *r);
    Loss::Lp(1.0).value(&r) / best - 1.0
}

/// `ℓ1` regression on coresets of all flights.
fn coreset() {
    let Some(d) = designs::flights_mid() else {
        return println!("coreset: flights are not there");
    };
    let (all, best) = timed(5, || regress(&d.a, &d.b, Loss::Lp(1.0), &Options::default()).expect("finite"));
    let (n, columns) = (d.a.rows(), d.a.columns());
    println!(
        "coreset: {n} flights x {columns}, sum of absolute errors; all rows certified in {:.0} ms, gap {:.0e}",
        1e3 * all,
        best.gap().expect("a bound") / best.objective
    );
    println!(
        "method                 rows   excess, median   worst (of 20 at 5300, else 9)   scores and solve ms   with certificate ms, gap"
    );
    for (name, method, sampler) in [
        ("Lewis", Method::Lewis, Sampler::Bernoulli),
        ("Lewis, tree", Method::Lewis, Sampler::Tree),
        ("leverage", Method::Leverage, Sampler::Bernoulli),
        ("root leverage", Method::RootLeverage, Sampler::Bernoulli),
        ("uniform", Method::Uniform, Sampler::Bernoulli),
    ] {
        for (size, seeds) in [(1_060, 9), (5_300, 20), (21_200, 9)] {
            if sampler == Sampler::Tree && size != 5_300 {
                continue;
            }
            let options = |seed| CoresetOptions { method, sampler, seed, certify: false, ..CoresetOptions::default() };
            let run =
                |seed| seconds(|| regress_on_coreset(&d.a, &d.b, Loss::Lp(1.0), size, &options(seed)).expect("finite"));
            let runs: Vec<(f64, f64)> =
                (0..seeds).map(run).map(|(t, f)| (t, excess(&d, &f.coefficients, best.objective))).collect();
            let (time, f) = seconds(|| {
                regress_on_coreset(&d.a, &d.b, Loss::Lp(1.0), size, &CoresetOptions { certify: true, ..options(0) })
                    .expect("finite")
            });
            println!(
                "{name:20} {size:6}   {:14.2e}   {:11.2e}   {:20.0}   {:10.0}  {:.1e}",
                median(runs.iter().map(|r| r.1).collect()),
                runs.iter().map(|r| r.1).fold(0.0, f64::max),
                1e3 * median(runs.iter().map(|r| r.0).collect()),
                1e3 * time,
                f.gap().expect("a bound") / f.objective
            );
        }
    }
}

/// Exact median regression, certified.
fn exact() {
    println!(
        "exact: median regression of all rows, gap = objective over certified bound - 1 (peers: run.py sensitivity)"
    );
    println!("table                      n   d        ms   relative gap  steps  rows of the reduced problem, put back");
    let mut tables: Vec<Design> = ["cpssw8", "diamonds", "gss"].iter().filter_map(|n| designs::fetched(n)).collect();
    tables.extend(designs::flights_seven());
    tables.extend(designs::flights_mid());
    tables.push(designs::student_noise(100_000, 10, 1));
    tables.push(designs::student_noise(100_000, 100, 1));
    tables.push(designs::student_noise(1_000_000, 10, 1));
    for d in tables {
        let (time, f) = timed(5, || regress(&d.a, &d.b, Loss::Lp(1.0), &Options::default()).expect("finite"));
        let path = match f.report.route {
            Route::Preprocessed { rows, repaired } => format!("{rows}, {repaired}"),
            _ => "all".to_owned(),
        };
        println!(
            "{:20} {:8} {:3}  {:8.1}  {:12.1e}  {:5}  {path}",
            d.name,
            d.a.rows(),
            d.a.columns(),
            1e3 * time,
            f.gap().expect("a bound") / f.objective,
            f.report.iterations
        );
    }
}

/// When a reduced problem pays: the median regression of rows spread over tables, with it and without.
fn crossover() {
    println!("crossover: median regression with and without preprocessing, ms; rows of the reduced problem");
    println!("table                      n   d    without      with   times as fast   reduced to");
    let mut tables = vec![designs::student_noise(80_000, 4, 1), designs::student_noise(80_000, 50, 1)];
    tables.extend(["cpssw8", "diamonds", "gss"].iter().filter_map(|n| designs::fetched(n)));
    tables.extend(designs::flights_mid());
    for d in tables {
        for n in [2_500, 5_000, 10_000, 20_000, 40_000, 80_000] {
            if n > d.a.rows() {
                continue;
            }
            // Spread over the table, so that rare columns have entries.
            let rows: Vec<usize> = (0..n).map(|i| i * d.a.rows() / n).collect();
            let (a, b) = (d.a.select_rows(&rows), rows.iter().map(|&i| d.b[i]).collect::<Vec<_>>());
            let run = |preprocessing| {
                let options = Options { preprocessing, ..Options::default() };
                timed(5, || regress(&a, &b, Loss::Lp(1.0), &options).expect("finite"))
            };
            let ((without, plain), (with, reduced)) = (run(Preprocessing::Never), run(Preprocessing::Always));
            assert!((plain.objective / reduced.objective - 1.0).abs() < 1e-7);
            let Route::Preprocessed { rows, .. } = reduced.report.route else { continue };
            let (name, d) = (&d.name, a.columns());
            println!(
                "{name:20} {n:8} {d:3}  {:9.1} {:9.1}  {:14.2}   {rows:10}",
                1e3 * without,
                1e3 * with,
                without / with
            );
        }
    }
}

/// Distortion of samplers with the same scores under the same search.
fn samplers() {
    println!("samplers: Lewis weights, 32 d rows, distortion found by the search, mean of 5 seeds");
    println!("table            p   Bernoulli   priority       tree   tree over Bernoulli");
    for (name, a) in designs::for_coresets() {
        for p in [1.0, 1.5, 2.0, 4.0] {
            let s = scores(&a, p, &Method::Lewis.into()).expect("finite");
            let size = 32 * a.columns();
            let mean = |sampler| {
                let one = |seed: u64| {
                    let c = Coreset::sample(&a, &s.values, p, size, &SampleOptions { sampler, seed }).expect("valid");
                    distortion(&a, &c, p, &DistortionOptions::default()).expect("finite").at_least
                };
                (0..5).into_par_iter().map(one).sum::<f64>() / 5.0
            };
            let [b, q, t] = [Sampler::Bernoulli, Sampler::Priority, Sampler::Tree].map(mean);
            println!("{name:14} {p:3}   {b:9.3}   {q:8.3}   {t:8.3}   {:8.2}", t / b);
        }
    }
}

/// Sizes planned for a distortion, under the search.
fn embedding() {
    println!("embedding: size planned for epsilon; seeds of 40 in which the search stays within it, the largest found");
    println!("table            p   epsilon    rows   within   largest");
    for (name, a) in designs::for_coresets() {
        for p in [1.0, 1.5, 2.0, 3.0, 4.0] {
            let s = scores(&a, p, &Method::Lewis.into()).expect("finite");
            let epsilon = if p <= 2.0 { 0.3 } else { 0.5 };
            let size = planned_size(epsilon, p, s.rank).expect("valid").min(a.rows());
            let found: Vec<f64> = (0..40_u64)
                .into_par_iter()
                .map(|seed| {
                    let c = Coreset::bernoulli(&s.values, size, seed).expect("valid");
                    distortion(&a, &c, p, &DistortionOptions::default()).expect("finite").at_least
                })
                .collect();
            let within = found.iter().filter(|f| **f <= epsilon).count();
            println!(
                "{name:14} {p:3}   {epsilon:7}  {size:6}   {within:3}/40   {:7.3}",
                found.iter().copied().fold(0.0, f64::max)
            );
        }
    }
}

/// The same coreset from any shards and threads, as a digest of row numbers and weights.
fn shards() {
    println!("shards: SHA-256 of row numbers and weights, first 16 digits");
    let digest = |rows: &mut dyn Iterator<Item = u64>, weights: &[f64]| {
        let mut hash = Sha256::new();
        rows.for_each(|r| hash.update(r.to_le_bytes()));
        weights.iter().for_each(|w| hash.update(w.to_bits().to_le_bytes()));
        format!("{:016x}", u64::from_be_bytes(*hash.finalize().first_chunk::<8>().expect("32 bytes")))
    };
    let a = designs::flights_mid().map_or_else(|| random_matrix(150_000, 20, 1), |d| d.a);
    for (method, p) in
        [(Method::Leverage, 2.0), (Method::RootLeverage, 1.0), (Method::Lewis, 1.0), (Method::Lewis, 3.0)]
    {
        let options = StreamOptions { p, method, size: 4_000, seed: 1 };
        let mut digests = Vec::new();
        for shards in [1, 3, 7] {
            for threads in [1, 2] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
                let out = pool.install(|| {
                    let mut parts: Vec<StreamingCoreset> = (0..shards)
                        .map(|k| {
                            let mut part = StreamingCoreset::new(a.columns(), &options).expect("valid");
                            let (from, to) = (k * a.rows() / shards, (k + 1) * a.rows() / shards);
                            for first in (from..to).step_by(10_007) {
                                let rows: Vec<usize> = (first..(first + 10_007).min(to)).collect();
                                let block = a.select_rows(&rows);
                                part.update(Block { first: first as u64, rows: block.view() }).expect("finite");
                            }
                            part
                        })
                        .collect();
                    let mut all = parts.pop().expect("one");
                    parts.into_iter().for_each(|p| all.merge(p).expect("same options"));
                    all.finish().expect("complete")
                });
                let sum = digest(&mut out.rows.iter().copied(), &out.weights);
                digests.push((shards, threads, out.rows.len(), sum));
            }
        }
        let batch = (method != Method::Lewis).then(|| {
            let s = scores(&a, p, &method.into()).expect("finite");
            let (n, d) = (a.rows() as f64, a.columns() as f64);
            let rate = 4_000.0 / if method == Method::Leverage { d } else { n.powf(1.0 - p / 2.0) * d.powf(p / 2.0) };
            let c = Coreset::with_rate(&s.values, rate, 1).expect("scores");
            digest(&mut c.rows.iter().map(|r| *r as u64), &c.weights)
        });
        for (shards, threads, rows, digest) in &digests {
            println!("{method:?} p = {p}: {shards} shards, {threads} threads: {rows} rows {digest}");
        }
        println!(
            "  all equal: {}; all rows at once: {}",
            digests.iter().all(|d| d.3 == digests[0].3),
            batch.map_or("(another coreset)".to_owned(), |b| (b == digests[0].3).to_string())
        );
    }
}

/// Leverage scores of a sparse design beside the dense kernel.
fn sparse() {
    let Some(f) = designs::flights_wide() else {
        return println!("sparse: flights are not there");
    };
    let (a, dense) = (f.sparse(), f.dense("").a);
    let share = a.nnz() as f64 / (a.rows() * a.columns()) as f64;
    println!("sparse: leverage scores of {} flights x {}, {:.1} % dense", a.rows(), a.columns(), 100.0 * share);
    let (sparse_time, s) = timed(5, || scores(&a, 2.0, &Method::Leverage.into()).expect("finite").values);
    let (dense_time, t) = timed(5, || scores(&dense, 2.0, &Method::Leverage.into()).expect("finite").values);
    let apart = s.iter().zip(&t).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    println!(
        "sparse {:.1} ms, dense {:.1} ms: {:.1} times as fast; apart by {apart:.0e}",
        1e3 * sparse_time,
        1e3 * dense_time,
        dense_time / sparse_time
    );
    let (exact, s) = timed(5, || leverage_scores(&a).expect("finite"));
    let (exact_dense, _) = timed(5, || leverage_scores(&dense).expect("finite"));
    println!(
        "to the last digits (condition {:.0e}): {:.1} ms, dense {:.1} ms; sum {:.6}",
        whiten(&a, None).expect("finite").condition,
        1e3 * exact,
        1e3 * exact_dense,
        s.iter().sum::<f64>()
    );
}

/// One fused pass beside the two it replaces.
fn fused() {
    println!("fused: norms and the next Gram matrix in one pass, ms");
    for (n, d) in [(1_000_000, 10), (200_000, 50), (100_000, 100)] {
        let a = random_matrix(n, d, 1);
        let t = whiten(&a, None).expect("finite").transform;
        let (one, _) = timed(5, || {
            reweigh(&a, &t, &|_, q, w| w.iter_mut().zip(q).for_each(|(w, q)| *w = q.sqrt())).expect("finite")
        });
        let (two, _) = timed(5, || {
            let q = row_norms_squared(&a, &t);
            let w: Vec<f64> = q.iter().map(|q| q.sqrt()).collect();
            samplewise::linalg::gram::gram(&a, Some(&w), None).expect("finite")
        });
        println!("{n:8} x {d:3}: {:.1} against {:.1}", 1e3 * one, 1e3 * two);
    }
}

/// A table of 5 GB through the command line: seconds, and the most memory that it had.
fn stream() {
    use std::io::Write;
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    let (program, path) = (folder.join("release/samplewise"), folder.join("tmp/stream.csv"));
    if !program.is_file() {
        return println!("stream: build target/release/samplewise first (cargo build --release -p samplewise-cli)");
    }
    std::fs::create_dir_all(folder.join("tmp")).expect("a folder for the table");
    // Rows of a part, over and over: only their numbers differ.
    let mut rng = Streams::new(1).stream(0);
    let mut part = String::new();
    while part.len() < 64 << 20 {
        let cells: Vec<String> = (0..10).map(|_| format!("{:.4}", normal(&mut rng))).collect();
        part += &cells.join(",");
        part.push('\n');
    }
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).expect("the table can be written"));
    writeln!(file, "a,b,c,d,e,f,g,h,i,j").expect("space for the table");
    let mut bytes = 0;
    while bytes < 5_000_000_000_u64 {
        file.write_all(part.as_bytes()).expect("space for the table");
        bytes += part.len() as u64;
    }
    file.flush().expect("space for the table");
    drop(file);
    println!("stream: a table of {:.1} GB", 1e-9 * bytes as f64);
    for method in ["root-leverage", "lewis"] {
        let start = Instant::now();
        let out = folder.join("tmp/stream_coreset.csv");
        let mut child = std::process::Command::new(&program)
            .args(["sensitivity", "--stream", "--size", "5000", "--method", method, "--threads", "1", "--out"])
            .args([&out, &path])
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("the program starts");
        let mut most = 0_u64;
        while child.try_wait().expect("a child").is_none() {
            let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
            let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).and_then(|l| l.split_whitespace().next());
            most = most.max(peak.and_then(|v| v.parse().ok()).unwrap_or(0));
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let rows = std::fs::read_to_string(&out).map_or(0, |t| t.lines().count() - 1);
        println!(
            "{method}: {rows} rows in {:.0} s, {:.0} MB resident at most",
            start.elapsed().as_secs_f64(),
            most as f64 / 1024.0
        );
    }
    let _ = std::fs::remove_file(&path);
}

fn main() {
    print(&[
        Table::new("leverage", leverage),
        Table::new("accuracy", accuracy),
        Table::new("lewis", lewis),
        Table::new("certified", certified),
        Table::new("coreset", coreset),
        Table::new("exact", exact),
        Table::new("crossover", crossover),
        Table::new("samplers", samplers),
        Table::new("embedding", embedding),
        Table::new("shards", shards),
        Table::new("sparse", sparse),
        Table::new("fused", fused),
        Table::on_request("stream", stream),
    ]);
}

//! The program that `run.py differential` asks: `peer-differential CORE PROBLEMS ANSWERS`. Both files are
//! little-endian, one record after another. A problem is a list of vectors of doubles (`u32` how many, of each a `u64`
//! length and its numbers), the first of them sizes and options. An answer is a `u8` (0 answered, 1 refused, 2
//! panicked), a `f64` of seconds, a text (`u32` length, bytes) that says why there is none, and a list of vectors.
//! Nothing is judged here.
use std::any::Any;
use std::error::Error;
use std::io::{BufWriter, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};
use std::{env, fs, panic, process, thread};

use samplewise::completion::{self, Entries, Rank, complete};
use samplewise::hamming::{
    self, Alphabet, Batch, Engine, PackedDna, Plan, Query, Search, Stream, TextN, WildcardMeaning,
};
use samplewise::lasso::{self, Design, Ending, path};
use samplewise::linalg::factor::{Cholesky, dense_svd, symmetric_eigen};
use samplewise::linalg::gram::gram;
use samplewise::linalg::leverage::leverage_scores;
use samplewise::linalg::lstsq::{self, least_squares};
use samplewise::linalg::tsqr::tsqr;
use samplewise::linalg::{CooBuilder, CsrMatrix, Duplicates, Matrix};
use samplewise::mtrl::{self, FitOptions, TaskData, allocate, fit_representation, predicted_risk, relevance};
use samplewise::sensitivity::{self, Loss, Options, Preprocessing, regress};
use samplewise::wht::{self, Decoder, Noise, Recovery, Sparsity, Spectrum, recover_in_memory};

/// For one problem, and the exit code when it has not been enough.
const PATIENCE: Duration = Duration::from_secs(10);
const SAT: i32 = 3;

type Numbers = Vec<f64>;
type Found = Result<Vec<Numbers>, Box<dyn Error>>;

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let [core, problems, answers] = &words[..] else { panic!("peer-differential CORE PROBLEMS ANSWERS") };
    let solve: fn(&[Numbers]) -> Found = match core.as_str() {
        "lasso" => lasso,
        "sensitivity" => sensitivity,
        "wht" => wht,
        "hamming" => hamming,
        "completion" => completion,
        "linalg" => linalg,
        "mtrl" => mtrl,
        _ => panic!("no core {core:?}"),
    };
    let bytes = fs::read(problems).unwrap_or_else(|error| panic!("{problems}: {error}"));
    let file = fs::File::create(answers).unwrap_or_else(|error| panic!("{answers}: {error}"));
    let (mut rest, mut out) = (&bytes[..], BufWriter::new(file));
    panic::set_hook(Box::new(|_| ()));
    let done = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&done);
    thread::spawn(move || watch(&seen));
    while !rest.is_empty() {
        let problem = read(&mut rest);
        let start = Instant::now();
        let found = catch_unwind(AssertUnwindSafe(|| solve(&problem)));
        write(&mut out, start.elapsed().as_secs_f64(), found).expect("room for the answers");
        done.fetch_add(1, Relaxed);
    }
    out.flush().expect("room for the answers");
}

/// Ends the process where one problem takes longer than all of them should.
fn watch(done: &AtomicUsize) {
    loop {
        let before = done.load(Relaxed);
        thread::sleep(PATIENCE);
        if done.load(Relaxed) == before {
            process::exit(SAT);
        }
    }
}

// --- cores ---------------------------------------------------------------------------------------

/// `[rows, columns, intercept, positive, mix, standardize, tolerance, solver, sparse]`, table by rows, target, lambdas,
/// and, empty where there are none, lower and upper bounds, weights, penalty factors.
fn lasso(parts: &[Numbers]) -> Found {
    let [o, x, y, lambdas, lower, upper, weights, factors] = parts else { return Err("eight parts".into()) };
    let given = |v: &Numbers| (!v.is_empty()).then(|| v.clone());
    let solvers = {
        use lasso::Solver::{Auto, CoordinateDescent, Homotopy, WorkingSet};
        [Auto, WorkingSet, Homotopy, CoordinateDescent]
    };
    let options = lasso::Options {
        intercept: o[2] != 0.0,
        positive: o[3] != 0.0,
        mix: o[4],
        standardize: o[5] != 0.0,
        tolerance: o[6],
        solver: solvers[o[7] as usize],
        lower: given(lower),
        upper: given(upper),
        sample_weights: given(weights),
        penalty_factors: given(factors),
        ..lasso::Options::default()
    };
    let x = matrix(o[0], o[1], x)?;
    let design = if o[8] == 0.0 { Design::dense(&x)? } else { Design::sparse(&sparse(&x)?)? };
    let mut out = Vec::new();
    for s in path(&design, y, &lambdas.as_slice().into(), &options)? {
        let status = match (s.status, s.report.ending) {
            (lasso::Status::Converged, _) => 0.0,
            (lasso::Status::NotConverged, Ending::Interrupted) => 2.0,
            (lasso::Status::NotConverged, _) => 1.0,
            (lasso::Status::CertificateFailed, _) => 3.0,
        };
        out.push(vec![
            status,
            s.objective,
            s.lower_bound.unwrap_or(f64::NAN),
            s.gap(),
            s.report.null_objective,
            s.intercept,
        ]);
        out.push(s.coefficients.iter().map(|c| c.0 as f64).collect());
        out.push(s.coefficients.iter().map(|c| c.1).collect());
    }
    Ok(out)
}

/// `[rows, columns, quantile or exponent (0, 1), its value, preprocessing, tolerance, sparse]`, table by rows, target.
fn sensitivity(parts: &[Numbers]) -> Found {
    let [o, a, b] = parts else { return Err("three parts".into()) };
    let loss = if o[2] == 0.0 { Loss::Quantile(o[3]) } else { Loss::Lp(o[3]) };
    let preprocessing = [Preprocessing::Auto, Preprocessing::Always, Preprocessing::Never][o[4] as usize];
    let options = Options { tolerance: o[5], preprocessing, ..Options::default() };
    let a = matrix(o[0], o[1], a)?;
    let found = if o[6] == 0.0 { regress(&a, b, loss, &options)? } else { regress(&sparse(&a)?, b, loss, &options)? };
    let status = match (found.status, found.report.ending) {
        (sensitivity::Status::Converged, _) => 0.0,
        (sensitivity::Status::NotConverged, Ending::Interrupted) => 2.0,
        (sensitivity::Status::NotConverged, _) => 1.0,
    };
    let lower = found.lower_bound.unwrap_or(f64::NAN);
    Ok(vec![vec![status, found.objective, lower, found.report.rank as f64], found.coefficients])
}

/// `[way (0 sparse, 1 in memory), variables, sparsity known, sparsity, noise (0 none, 1 known, 2 unknown), its size,
/// decoder, seed, delta, most queries]`, all values or none; where none, coefficients as indices and values.
fn wht(parts: &[Numbers]) -> Found {
    let [o, values, indices, coefficients] = parts else { return Err("four parts".into()) };
    let sparsity = if o[2] == 0.0 { Sparsity::Unknown { max: o[3] as usize } } else { Sparsity::Known(o[3] as usize) };
    let noise = [Noise::None, Noise::Std(o[5]), Noise::Unknown][o[4] as usize];
    let decoder = [Decoder::Auto, Decoder::Dense][o[6] as usize];
    let options = wht::Options { noise, decoder, seed: o[7] as u64, delta: o[8], ..wht::Options::default() };
    let terms: Vec<(u64, f64)> = indices.iter().zip(coefficients).map(|(&k, &v)| (k as u64, v)).collect();
    let sample = |m: u64| match values.get(m as usize) {
        Some(&value) => value,
        None => terms.iter().map(|&(k, v)| if (m & k).count_ones().is_multiple_of(2) { v } else { -v }).sum(),
    };
    let (variables, most) = (o[1] as usize, o[9] as usize);
    if o[0] != 0.0 {
        return Ok(spectrum(&recover_in_memory(values, sparsity, &options)?, 0));
    }
    if o[2] != 0.0 {
        let plan = wht::Plan::new(variables, sparsity, &options)?;
        let queries = plan.queries();
        if queries.len() > most {
            return Ok(vec![vec![6.0, 0.0, 0.0, queries.len() as f64], vec![], vec![]]);
        }
        return Ok(spectrum(&plan.decode(&queries.iter().map(|&m| sample(m)).collect::<Numbers>())?, 0));
    }
    let mut recovery = Recovery::new(variables, sparsity, &options)?;
    while !recovery.ask().is_empty() {
        let asked = recovery.samples() + recovery.ask().len();
        if asked > most {
            return Ok(recovery.spectrum().map_or(vec![vec![6.0, 0.0, 0.0, asked as f64], vec![], vec![]], |s| {
                let mut out = spectrum(s, asked);
                out[0][0] = 6.0;
                out
            }));
        }
        let answers: Numbers = recovery.ask().iter().map(|&m| sample(m)).collect();
        recovery.tell(&answers)?;
    }
    Ok(spectrum(recovery.spectrum().ok_or("no answer")?, 0))
}

/// Status (6 where the check stopped it), what it claims, and the samples asked.
fn spectrum(found: &Spectrum, asked: usize) -> Vec<Numbers> {
    let (status, claim, delta) = match found.status {
        wht::Status::Exact { delta } => (0.0, f64::NAN, delta),
        wht::Status::Verified { r2_at_least, delta, .. } => (1.0, r2_at_least, delta),
        wht::Status::Stalled { .. } => (2.0, f64::NAN, f64::NAN),
        wht::Status::BudgetSpent => (3.0, f64::NAN, f64::NAN),
        wht::Status::Unverified => (4.0, f64::NAN, f64::NAN),
        wht::Status::Constant { differs_at_most, delta } => (5.0, differs_at_most, delta),
    };
    let head = vec![status, claim, delta, found.report.samples.max(asked) as f64];
    let (indices, values) = found.coefficients.iter().map(|c| (c.index as f64, c.value)).unzip();
    vec![head, indices, values]
}

/// `[alphabet, wildcard or -1, its meaning, mismatches of the search, task, its engine]`, pattern, text. Task 0:
/// distances by every engine, in pieces (100), in a batch (101), packed (102) and overhanging (103), each as its
/// number, distances and valid pairs; task 1: hits of a search.
fn hamming(parts: &[Numbers]) -> Found {
    let [o, pattern, text] = parts else { return Err("three parts".into()) };
    let bytes = |v: &Numbers| v.iter().map(|&x| x as u8).collect::<Vec<u8>>();
    let (pattern, text) = (bytes(pattern), bytes(text));
    let meanings = [WildcardMeaning::Match, WildcardMeaning::Mismatch, WildcardMeaning::Excluded];
    let with = |engine| hamming::Options {
        alphabet: [Alphabet::Bytes, Alphabet::Dna, Alphabet::Iupac][o[0] as usize],
        wildcard: (o[1] >= 0.0).then_some(o[1] as u8),
        wildcard_meaning: meanings[o[2] as usize],
        // The reference compares sets of letters: an N of the text overlaps everything.
        text_n: TextN::Match,
        engine,
    };
    let auto = with(Engine::Auto);
    let numbers = |v: &[u32]| v.iter().map(|&x| f64::from(x)).collect::<Numbers>();
    let mut out = Vec::new();
    if o[4] != 0.0 {
        let queries = [Query::new(&pattern, o[3] as u32)];
        let (strands, options) = (o[0] == 1.0, with(Engine::ALL[o[5] as usize]));
        let search = if strands { Search::both_strands(&queries, &options)? } else { Search::new(&queries, &options)? };
        for hit in search.find(&text).hits {
            out.push(vec![hit.position as f64, f64::from(u8::from(hit.reverse)), f64::from(hit.distance)]);
        }
        return Ok(out);
    }
    for (number, engine) in Engine::ALL.into_iter().enumerate() {
        let Ok(plan) = Plan::new(&pattern, &with(engine)) else { continue };
        let found = plan.distances(&text)?;
        out.extend([vec![number as f64], numbers(&found.distances), numbers(&found.valid.unwrap_or_default())]);
    }
    let plan = Plan::new(&pattern, &auto)?;
    let (mut stream, mut distances, mut valid) = (Stream::new(&plan), Vec::new(), Vec::new());
    for piece in text.chunks(pattern.len() / 2 + 1) {
        stream.push(piece, |block| {
            distances.extend_from_slice(block.distances);
            valid.extend_from_slice(block.valid.unwrap_or_default());
        });
    }
    stream.finish(|block| {
        distances.extend_from_slice(block.distances);
        valid.extend_from_slice(block.valid.unwrap_or_default());
    });
    out.extend([vec![100.0], numbers(&distances), numbers(&valid)]);
    let batch = Batch::new(&[&pattern[..], &pattern[..pattern.len().div_ceil(2)]], &auto)?.distances(&text)?;
    let first = &batch[0];
    out.extend([vec![101.0], numbers(&first.distances), numbers(first.valid.as_deref().unwrap_or_default())]);
    out.extend([vec![103.0], numbers(&plan.overhanging_distances(&text)?.distances), vec![]]);
    if o[0] == 1.0
        && o[1] < 0.0
        && let Ok(packed) = PackedDna::from_letters(&text)
    {
        let found = plan.distances_packed(&packed)?;
        out.extend([vec![102.0], numbers(&found.distances), numbers(&found.valid.unwrap_or_default())]);
    }
    Ok(out)
}

/// `[rows, columns, rank (0: up to four), tolerance (0: none), biases, lambda (-1: chosen), seed]`, rows, columns and
/// values of the entries. A prediction that is not determined is NaN.
fn completion(parts: &[Numbers]) -> Found {
    let [o, rows, columns, values] = parts else { return Err("four parts".into()) };
    let (m, n) = (o[0] as usize, o[1] as usize);
    let at = |v: f64| v as usize;
    let entries: Vec<_> = rows.iter().zip(columns).zip(values).map(|((&i, &j), &v)| (at(i), at(j), v)).collect();
    let data = Entries::new(m, n, &entries, None)?;
    let rank = if o[2] == 0.0 { Rank::Auto { max: 4 } } else { Rank::Fixed(at(o[2])) };
    let options = completion::Options {
        exact_recovery: (o[3] > 0.0).then_some(o[3]),
        biases: o[4] != 0.0,
        lambda: (o[5] >= 0.0).then_some(o[5]),
        seed: o[6] as u64,
        ..completion::Options::default()
    };
    let found = complete(&data, rank, &options)?;
    let status = match found.status {
        completion::Status::Verified | completion::Status::VerifiedInParts => 0.0,
        completion::Status::Fitted => 1.0,
        completion::Status::NotRecovered => 2.0,
        completion::Status::NotConverged => 3.0,
    };
    let report = &found.report;
    let lines = |v: &[usize]| v.iter().map(|&i| i as f64).collect::<Numbers>();
    let predicted = (0..m * n).map(|at| found.predict(at / n, at % n).unwrap_or(f64::NAN)).collect();
    let head = vec![status, report.rank as f64, report.baseline_test_rmse.unwrap_or(f64::NAN)];
    Ok(vec![head, lines(&report.undetermined_rows), lines(&report.undetermined_columns), predicted])
}

/// `[task, rows, columns, method]`, a matrix by rows, a right-hand side or weights.
fn linalg(parts: &[Numbers]) -> Found {
    let [o, a, b] = parts else { return Err("three parts".into()) };
    let a = matrix(o[1], o[2], a)?;
    let methods = {
        use lstsq::Method::{Auto, Gram, Preconditioned, Sketched, Tsqr};
        [Auto, Tsqr, Gram, Sketched, Preconditioned]
    };
    Ok(match o[0] as u8 {
        0 => {
            let found = least_squares(&a, b, methods[o[3] as usize])?;
            vec![vec![found.rank as f64, found.residual_norm], found.x]
        }
        1 => {
            let found = dense_svd(&a)?;
            vec![found.u.into_vec(), found.s, found.v.into_vec()]
        }
        2 => {
            let (values, vectors) = symmetric_eigen(&a)?;
            vec![values, vectors.into_vec()]
        }
        3 => vec![Cholesky::new(&a, 0.0)?.lower().as_slice().to_vec()],
        4 => vec![gram(&a, (!b.is_empty()).then_some(&b[..]), None)?.matrix.into_vec()],
        5 => vec![tsqr(&a)?.r.into_vec()],
        _ => vec![leverage_scores(&a)?],
    })
}

/// `[task, ...]`: 0 a fit `[features, tasks, rows of a task, dimension, seed]` of tables and labels; 1 an allocation
/// `[budget]` by shares and caps (empty: none); 2 a risk `[dimension]` of weights, target, samples; 3 relevance
/// `[dimension, strategy]` of weights, target.
fn mtrl(parts: &[Numbers]) -> Found {
    let o = &parts[0];
    Ok(match o[0] as u8 {
        0 => {
            let (d, tasks, rows) = (o[1] as usize, o[2] as usize, o[3] as usize);
            let tables = parts[1].chunks_exact(d * rows).zip(parts[2].chunks_exact(rows)).take(tasks);
            let data: Vec<TaskData> =
                tables.map(|(x, y)| TaskData::new(&matrix(o[3], o[1], x)?, y)).collect::<Result<_, _>>()?;
            let options = FitOptions { seed: o[5] as u64, ..FitOptions::default() };
            let found = fit_representation(&data, Some(o[4] as usize), &options)?;
            vec![
                vec![found.loss, f64::from(u8::from(found.report.iterations >= options.max_iterations))],
                found.basis.into_vec(),
                found.weights.into_vec(),
            ]
        }
        1 => {
            let caps: Vec<usize> = parts[2].iter().map(|&c| c as usize).collect();
            let caps = (!caps.is_empty()).then_some(&caps[..]);
            vec![allocate(&parts[1], o[1] as usize, caps)?.iter().map(|&n| n as f64).collect()]
        }
        2 => {
            let weights = matrix(o[1], (parts[1].len() as f64) / o[1], &parts[1])?;
            vec![vec![predicted_risk(&weights, &parts[2], &parts[3])?]]
        }
        _ => {
            let weights = matrix(o[1], (parts[1].len() as f64) / o[1], &parts[1])?;
            let strategy = {
                use mtrl::Strategy::{L1, L2, LeastL1};
                [L2, LeastL1, L1][o[2] as usize]
            };
            let found = relevance(&weights, &parts[2], strategy, None, None)?;
            vec![vec![found.norm, found.gap], found.nu, found.shares]
        }
    })
}

// --- numbers -------------------------------------------------------------------------------------

fn matrix(rows: f64, columns: f64, values: &[f64]) -> Result<Matrix, samplewise::linalg::LinalgError> {
    Matrix::from_vec(rows as usize, columns as usize, values.to_vec())
}

/// The entries that are not zero.
fn sparse(a: &Matrix) -> Result<CsrMatrix, samplewise::linalg::LinalgError> {
    let mut entries = CooBuilder::new(a.rows(), a.columns());
    for i in 0..a.rows() {
        for (j, &v) in a.row(i).iter().enumerate().filter(|(_, v)| **v != 0.0) {
            entries.push(i, j, v)?;
        }
    }
    entries.build(Duplicates::Error)
}

fn read(rest: &mut &[u8]) -> Vec<Numbers> {
    let count = u32::from_le_bytes(take(rest));
    let vector = |_| {
        let length = u64::from_le_bytes(take(rest));
        (0..length).map(|_| f64::from_le_bytes(take(rest))).collect()
    };
    (0..count).map(vector).collect()
}

fn take<const B: usize>(rest: &mut &[u8]) -> [u8; B] {
    let (head, tail) = rest.split_first_chunk().expect("a whole record");
    *rest = tail;
    *head
}

fn write(out: &mut impl Write, seconds: f64, found: Result<Found, Box<dyn Any + Send>>) -> std::io::Result<()> {
    let (outcome, text, parts) = match found {
        Ok(Ok(parts)) => (0_u8, String::new(), parts),
        Ok(Err(error)) => (1, error.to_string(), Vec::new()),
        Err(panic) => {
            let said = panic.downcast_ref::<&str>().map(ToString::to_string);
            (2, said.or_else(|| panic.downcast_ref().cloned()).unwrap_or_default(), Vec::new())
        }
    };
    out.write_all(&[outcome])?;
    out.write_all(&seconds.to_le_bytes())?;
    out.write_all(&(text.len() as u32).to_le_bytes())?;
    out.write_all(text.as_bytes())?;
    out.write_all(&(parts.len() as u32).to_le_bytes())?;
    for part in parts {
        out.write_all(&(part.len() as u64).to_le_bytes())?;
        part.iter().try_for_each(|v| out.write_all(&v.to_le_bytes()))?;
    }
    out.flush()
}

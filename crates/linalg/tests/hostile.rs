//! Every public call on shapes 0..40 and hostile values: an error or an answer free of NaN, never a panic or a hang.
//!
//! 64 cases by default; `SAMPLEWISE_FUZZ_CASES=100000 cargo test --release -p samplewise-linalg --test hostile` for a long
//! run, which prints how many calls were answered and how many refused.
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use proptest::prelude::*;
use samplewise_linalg::batched::{NormalFactors, Penalty, solve_penalised};
use samplewise_linalg::gram::GramSummary;
use samplewise_linalg::krylov::{self, KrylovOptions};
use samplewise_linalg::lstsq::{Method, least_squares, sparse_least_squares};
use samplewise_linalg::random::Streams;
use samplewise_linalg::sketch::{Kind, Sketch};
use samplewise_linalg::svd::{SvdOptions, truncated_svd};
use samplewise_linalg::{
    CooBuilder, CsrMatrix, Duplicates, LinearOperator, Matrix, MatrixView, Summary, factor, gram, leverage, spmm, tsqr,
};

static ANSWERED: AtomicUsize = AtomicUsize::new(0);
static REFUSED: AtomicUsize = AtomicUsize::new(0);

fn cases() -> u32 {
    std::env::var("SAMPLEWISE_FUZZ_CASES").ok().and_then(|v| v.parse().ok()).unwrap_or(64)
}

const VALUES: [f64; 12] = [
    0.0,
    -0.0,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    1e150,
    -1e150,
    1e-150,
    f64::MIN_POSITIVE / 8.0,
    f64::MAX,
    f64::EPSILON,
    1.0,
];

/// How a matrix is spoilt.
#[derive(Clone, Copy, Debug)]
enum Spoil {
    Entries(f64),
    OneEntry(f64),
    Row(f64),
    Column(f64),
    Scale(f64),
    EqualColumns,
    EqualRows,
    Nothing,
}

fn spoils() -> impl Strategy<Value = Spoil> {
    let value = prop::sample::select(VALUES.to_vec());
    prop_oneof![
        value.clone().prop_map(Spoil::Entries),
        value.clone().prop_map(Spoil::OneEntry),
        value.clone().prop_map(Spoil::Row),
        value.clone().prop_map(Spoil::Column),
        value.prop_map(Spoil::Scale),
        Just(Spoil::EqualColumns),
        Just(Spoil::EqualRows),
        Just(Spoil::Nothing),
    ]
}

fn spoilt(n: usize, d: usize, spoil: Spoil, s: Streams) -> Matrix {
    let (row, column) = ((s.uniform(1) * n as f64) as usize, (s.uniform(2) * d as f64) as usize);
    let plain = |i: usize, j: usize| s.uniform((10 + i * d + j) as u64) - 0.5;
    Matrix::from_fn(n, d, |i, j| match spoil {
        Spoil::Entries(v) if s.uniform((1_000_000 + i * d + j) as u64) < 0.4 => v,
        Spoil::OneEntry(v) if (i, j) == (row, column) => v,
        Spoil::Row(v) if i == row => v,
        Spoil::Column(v) if j == column => v,
        Spoil::Scale(v) => v * plain(i, j),
        Spoil::EqualColumns => plain(i, 0),
        Spoil::EqualRows => plain(0, j),
        _ => plain(i, j),
    })
}

/// Counts, and checks that an answer to numbers is made of numbers.
fn judge<T, E>(
    call: &str,
    result: Result<T, E>,
    numbers: impl FnOnce(&T) -> Vec<f64>,
) -> Result<Option<T>, TestCaseError> {
    if let Ok(answer) = result {
        ANSWERED.fetch_add(1, Relaxed);
        prop_assert!(!numbers(&answer).iter().any(|v| v.is_nan()), "{call}: a silent NaN");
        Ok(Some(answer))
    } else {
        REFUSED.fetch_add(1, Relaxed);
        Ok(None)
    }
}

#[test]
fn every_call_answers_or_refuses() {
    let config = ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() };
    let inputs = (0_usize..40, 0_usize..40, 0_usize..45, spoils(), spoils(), any::<u64>());
    proptest::test_runner::TestRunner::new(config)
        .run(&inputs, |(n, d, k, spoil, spoil_b, seed)| attempt(n, d, k, spoil, spoil_b, seed))
        .unwrap_or_else(|e| panic!("{e}"));
    let (answered, refused) = (ANSWERED.load(Relaxed), REFUSED.load(Relaxed));
    println!("{} cases: {answered} calls answered, {refused} refused; no panic, no hang, no silent NaN", cases());
    assert!(answered > 0 && refused > 0);
}

fn attempt(n: usize, d: usize, k: usize, spoil: Spoil, spoil_b: Spoil, seed: u64) -> Result<(), TestCaseError> {
    let begin = Instant::now();
    let s = Streams::new(seed);
    let a = spoilt(n, d, spoil, s);
    let b = spoilt(n, 1, spoil_b, s.child(1)).into_vec();
    let weights: Vec<f64> = spoilt(n, 1, spoil_b, s.child(2)).into_vec().iter().map(|w| w.abs()).collect();
    // Sums of squares of what is given stay in range: then a product may not be NaN either.
    let tame = a.as_slice().iter().chain(&b).chain(&weights).all(|v| v.abs() < 1e151);
    let small = a.as_slice().iter().chain(&b).chain(&weights).all(|v| v.abs() < 1e90);

    for method in [Method::Auto, Method::Gram, Method::Tsqr, Method::Sketched, Method::Preconditioned] {
        judge("least_squares", least_squares(&a, &b, method), |f| {
            [&f.x[..], &[f.condition, f.residual_norm, f.residual_orthogonality]].concat()
        })?;
    }
    for w in [None, Some(&weights[..])] {
        judge("whiten", leverage::whiten(&a, w), |w| w.transform.as_slice().to_vec())?;
        let g = gram::gram(&a, w, Some(&b));
        judge("gram", g, |g| if small { [g.matrix.as_slice(), &g.right].concat() } else { vec![] })?;
    }
    let scores = judge("leverage_scores", leverage::leverage_scores(&a), Clone::clone)?;
    if let Some(scores) = scores {
        let sum: f64 = scores.iter().sum();
        prop_assert!((sum - sum.round()).abs() < 1e-6 && sum < n.min(d) as f64 + 0.5, "{scores:?}");
    }
    if tame {
        let r = tsqr::tsqr(&a).unwrap().r;
        prop_assert!(!r.as_slice().iter().any(|v| v.is_nan()), "tsqr: a silent NaN");
    }
    judge("dense_svd", factor::dense_svd(&a), |f| [f.u.as_slice(), &f.s, f.v.as_slice()].concat())?;
    let svd = truncated_svd(&a, k, &SvdOptions::default());
    judge("truncated_svd", svd, |f| [f.u.as_slice(), &f.s, f.v.as_slice(), &f.residuals].concat())?;
    if n == d {
        judge("symmetric_eigen", factor::symmetric_eigen(&a), |(values, _)| values.clone())?;
        judge("Cholesky", factor::Cholesky::new(&a, 0.1), |f| f.lower().as_slice().to_vec())?;
    }
    for solve in [krylov::lsqr, krylov::lsmr] {
        let options = KrylovOptions { max_iterations: 100, damping: s.uniform(5), ..KrylovOptions::default() };
        judge("lsqr/lsmr", solve(&a, &b, &options), |f| {
            [&f.x[..], &[f.residual_norm, f.residual_orthogonality]].concat()
        })?;
    }
    for kind in [Kind::Gaussian, Kind::SparseSign, Kind::CountSketch, Kind::Srht] {
        let sketch = Sketch::new(kind, k, seed).and_then(|sketch| sketch.apply(&a));
        judge("sketch", sketch, |m| if tame { m.as_slice().to_vec() } else { vec![] })?;
    }
    // Products of matching and of other shapes.
    let other = spoilt(k, d, spoil_b, s.child(3));
    let in_range = small && other.as_slice().iter().all(|v| v.abs() < 1e90);
    judge("multiply", a.multiply(&other), |m| if in_range { m.as_slice().to_vec() } else { vec![] })?;
    judge("multiply", a.multiply(&other.transpose()), |m| if in_range { m.as_slice().to_vec() } else { vec![] })?;
    judge("check_finite", a.check_finite("a"), |()| vec![])?;
    judge("from_strided", MatrixView::from_strided(a.as_slice(), d, n, k, n), |_| vec![])?;
    // Sparse, with indices that may be out of range and doubled.
    let mut coo = CooBuilder::new(n, d);
    for t in 0..2 * k as u64 {
        let (i, j) = ((s.uniform(90 + 2 * t) * 41.0) as usize, (s.uniform(91 + 2 * t) * 41.0) as usize);
        let v = b.get(i).copied().unwrap_or(1.0);
        judge("push", coo.push(i, j, v), |()| vec![])?;
    }
    for policy in [Duplicates::Error, Duplicates::Sum, Duplicates::Last] {
        let Some(sparse) = judge("build", coo.clone().build(policy), |m| m.values().to_vec())? else { continue };
        // Many small problems: what calls itself solved is finite, whatever the features, the targets and the ridge are.
        let features = spoilt(d, k, spoil, s.child(4));
        let targets: Vec<f64> = (0..sparse.nnz()).map(|p| b.get(p).copied().unwrap_or(1.0)).collect();
        let penalty =
            Penalty { ridge: &weights, last: Some(s.uniform(6)), floor: s.uniform(7).round() * 1e-12, draw: None };
        let mut x = Matrix::zeros(n, k);
        let solved = solve_penalised(&features, &sparse, &targets, None, &penalty, &mut x);
        judge("solve_penalised", solved, |solved| {
            (0..n).filter(|&i| solved[i]).flat_map(|i| x.row(i).to_vec()).collect()
        })?;
        let kept =
            NormalFactors::new(features.view(), &sparse, None, penalty.ridge.first().copied().unwrap_or(0.0), 1e-13);
        let mut answers = vec![0.0; n * k];
        let solved = kept.and_then(|kept| kept.solve_into(&vec![1.0; n * k], k, &mut answers));
        judge("NormalFactors", solved, |()| answers.clone())?;
        judge("sparse_least_squares", sparse_least_squares(&sparse, &b), |f| {
            [&f.x[..], &[f.residual_norm, f.residual_orthogonality]].concat()
        })?;
        let x = Matrix::from_fn(d, k, |i, j| (i + j) as f64);
        let product = spmm::multiply(&sparse, &x);
        prop_assert!(!product.as_slice().iter().any(|v| v.is_nan()));
        prop_assert_eq!(sparse.transpose().transpose(), sparse.clone());
        prop_assert!(!sparse.frobenius_norm().is_nan());
    }
    let indices: Vec<u32> = (0..k).map(|t| (s.uniform(7000 + t as u64) * d as f64 * 1.1) as u32).collect();
    let offsets: Vec<usize> = (0..=n).map(|i| if i == n { k } else { i * k / (n + 1) }).collect();
    judge("from_parts", CsrMatrix::from_parts(n, d, offsets, indices, vec![1.0; k]), |_| vec![])?;
    let text: String = (0..k)
        .map(|t| "%Matrix 0123\n.-e"[(s.uniform(t as u64) * 16.0) as usize..].chars().next().unwrap_or(' '))
        .collect();
    judge("from_matrix_market", CsrMatrix::from_matrix_market(&text), |_| vec![])?;
    judge(
        "from_matrix_market",
        CsrMatrix::from_matrix_market(&format!(
            "%%MatrixMarket matrix coordinate real general\n{n} {d} 1\n{k} {k} {}\n",
            VALUES[k % 12]
        )),
        |_| vec![],
    )?;
    // Bytes of a summary, cut and flipped.
    if let Some(mut summary) = judge("GramSummary::new", GramSummary::new(d), |_| vec![])? {
        judge("update", summary.update((a.view(), &b)), |()| vec![])?;
        let mut bytes = summary.to_bytes();
        let at = (s.uniform(4) * bytes.len() as f64) as usize;
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1 << (seed % 8);
        }
        judge("from_bytes", GramSummary::from_bytes(&bytes), |_| vec![])?;
        judge("from_bytes", GramSummary::from_bytes(&bytes[..at]), |_| vec![])?;
    }
    prop_assert!(begin.elapsed().as_secs() < 20, "a hang: {:?}", begin.elapsed());
    Ok(())
}

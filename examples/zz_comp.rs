use rayon::prelude::*;
use samplewise::completion::{Entries, Options, Rank, complete};
use samplewise::linalg::random::Streams;
use samplewise_testkit::generate::conditioned_low_rank;
fn main() {
    let a: Vec<f64> = std::env::args().skip(1).map(|x| x.parse().unwrap()).collect();
    let (n, k, kappa, rho, seeds) = (a[0] as usize, a[1] as usize, a[2], a[3], a[4] as u64);
    let verbose = a.len() > 5;
    let count = (rho * (k * (2 * n - k)) as f64) as usize;
    let t0 = std::time::Instant::now();
    let all: Vec<(bool, f64, f64, String, f64)> = (0..seeds).into_par_iter().map(|seed| {
        let (truth, cells) = conditioned_low_rank(n, n, k, kappa, count, seed);
        let seen: Vec<_> = cells.iter().map(|&(i, j)| (i, j, truth.at(i, j))).collect();
        let data = Entries::new(n, n, &seen, None).unwrap();
        let mut options = Options { tolerance: Some(1e-6), ..Options::default() };
        if let Ok(t) = std::env::var("TUNE") { options.tuning = t.parse().unwrap(); }
        if let Ok(t) = std::env::var("VER") { options.verification = t.parse().unwrap(); }
        let t = std::time::Instant::now();
        let f = complete(&data, Rank::Fixed(k), &options, &mut Streams::new(seed).stream(0)).unwrap();
        let secs = t.elapsed().as_secs_f64();
        let e = truth.relative_error(10, [&f.report.undetermined_rows, &f.report.undetermined_columns], |i, j| f.model.predict(i, j));
        let floors: f64 = f.report.stages.iter().map(|s| s.floors).sum();
        if verbose {
            let st: Vec<String> = f.report.stages.iter().map(|s| format!("{}:{}/{:.0}/{:.1}ms", s.name, s.steps, s.floors, s.seconds * 1e3)).collect();
            println!("seed {seed} err {e:.1e} {:?} {:?} train {:.1e} test {:?} peeled {}+{} {}", f.status, f.report.path, f.report.train_rmse, f.report.relative_test_error, f.report.undetermined_rows.len(), f.report.undetermined_columns.len(), st.join(" "));
        }
        (e <= 1e-4, if f.report.undetermined_rows.is_empty() && f.report.undetermined_columns.is_empty() {0.0} else {1.0}, floors, format!("{:?}", f.report.path), secs)
    }).collect();
    let ok = all.iter().filter(|a| a.0).count();
    let mut paths = std::collections::BTreeMap::new();
    all.iter().filter(|a| a.0).for_each(|a| *paths.entry(a.3.clone()).or_insert(0) += 1);
    let fl: f64 = all.iter().filter(|a| a.0).map(|a| a.2).sum::<f64>() / ok.max(1) as f64;
    let secs: f64 = all.iter().map(|a| a.4).sum::<f64>() / all.len() as f64;
    let und: f64 = all.iter().map(|a| a.1).sum();
    println!("und {und} n {n} k {k} kappa {kappa} rho {rho}: {ok}/{seeds} floors {fl:.0} mean {secs:.3}s {paths:?} wall {:.1}s", t0.elapsed().as_secs_f64());
}

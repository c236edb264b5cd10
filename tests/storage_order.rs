//! Row LA-16: a table of any storage order is read where it lies, and every core answers as for a copy of it, bit for bit.
use samplewise::completion::{self, Entries};
use samplewise::lasso::{self, Design};
use samplewise::mtrl::TaskData;
use samplewise::sensitivity::{
    Block, CoresetOptions, Loss, Matrix, MatrixView, Method, Options, Rows, ScoreOptions, StreamOptions,
    StreamingCoreset, Summary, regress, regress_on_coreset, scores,
};

/// A table of `n × d` with a target, reproducible without a generator.
fn table(n: usize, d: usize) -> (Matrix, Vec<f64>) {
    let entry = |i: usize, j: usize| ((i * 7919 + j * 104_729 + i * j * 31) % 1009) as f64 / 1009.0 - 0.5;
    let a = Matrix::from_fn(n, d, entry);
    let b = (0..n).map(|i| a.row(i).iter().sum::<f64>() + entry(i, d + 3).powi(3)).collect();
    (a, b)
}

/// Every answer that a core gives for a table.
fn answers(a: MatrixView<'_>, b: &[f64]) -> Vec<Vec<f64>> {
    let (n, d) = (a.rows(), a.columns());
    let mut out = Vec::new();
    let weights: Vec<f64> = (0..n).map(|i| (i % 3) as f64).collect();
    for options in [
        Options::default(),
        Options { intercept: true, ..Options::default() },
        Options { intercept: true, sample_weights: Some(weights), ..Options::default() },
    ] {
        for loss in [Loss::Quantile(0.3), Loss::Lp(1.0), Loss::Lp(1.5), Loss::Lp(2.0)] {
            let fit = regress(a, b, loss, &options).unwrap();
            let bound = fit.lower_bound.as_ref().copied().unwrap_or(f64::NEG_INFINITY);
            out.push([fit.coefficients.clone(), vec![fit.intercept, fit.objective, bound]].concat());
            out.push(fit.predict(a).unwrap());
        }
    }
    let options = CoresetOptions { seed: 4, ..CoresetOptions::default() };
    out.push(regress_on_coreset(a, b, Loss::Lp(1.0), n / 2, &options).unwrap().coefficients);
    out.push(scores(a, 1.0, &ScoreOptions::default()).unwrap().values);
    out.push(scores(Rows::Joined(a, b), 1.5, &ScoreOptions::default()).unwrap().values);
    let mut stream =
        StreamingCoreset::new(d, &StreamOptions { p: 1.0, method: Method::RootLeverage, size: n / 3, seed: 2 })
            .unwrap();
    stream.update(Block { first: 0, rows: a }).unwrap();
    let coreset = stream.finish().unwrap();
    out.push(coreset.rows.iter().map(|i| *i as f64).chain(coreset.weights).collect());

    let design = Design::dense(a).unwrap();
    let fit = lasso::solve(&design, b, 0.01, &lasso::Options::default()).unwrap();
    out.push(fit.coefficients.iter().flat_map(|c| [c.0 as f64, c.1]).chain([fit.intercept]).collect());
    let task = TaskData::new(a, b).unwrap();
    out.push(task.right().into_owned());

    let entries = Entries::from_dense(a).unwrap();
    let o = completion::Options { max_iterations: 5, ..completion::Options::default() };
    let found = completion::complete(&entries, completion::Rank::Fixed(1), &o).unwrap();
    out.push((0..20.min(n)).map(|i| found.model.predict(i, i % d)).collect());
    out
}

#[test]
fn answers_do_not_depend_on_the_storage_order() {
    for (n, d) in [(60, 3), (5_000, 4)] {
        let (a, b) = table(n, d);
        let by_column = a.transpose().into_vec();
        let apart: Vec<f64> = a.as_slice().chunks(d).flat_map(|row| row.iter().copied().chain([f64::NAN])).collect();
        let plain = answers(a.view(), &b);
        for view in [
            MatrixView::from_column_major(&by_column, n, d).unwrap(),
            MatrixView::from_strided(&apart, n, d, d + 1, 1).unwrap(),
        ] {
            let found = answers(view, &b);
            for (k, (found, plain)) in found.iter().zip(&plain).enumerate() {
                let bits = |v: &[f64]| v.iter().map(|v| v.to_bits()).collect::<Vec<u64>>();
                assert_eq!(bits(found), bits(plain), "{n} x {d}, answer {k}");
            }
        }
    }
}

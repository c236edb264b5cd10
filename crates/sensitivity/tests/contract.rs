//! What every crate of the collection promises of its options and answers.
use samplewise_linalg::Duplicates;
use samplewise_sensitivity::internals::{CERTIFIED, FIT, SCORES};
use samplewise_sensitivity::{
    CertifiedOptions, CooBuilder, CoresetOptions, CsrMatrix, Error, LabelPlan, Loss, Matrix, Method, Options,
    SampleOptions, ScoreOptions, certified_sensitivities, planned_size, regress, regress_on_coreset, scores,
};
use samplewise_testkit::{generate, ranges};

fn refused<T>(answer: Result<T, Error>) -> Option<samplewise_sensitivity::ArgumentError> {
    match answer {
        Err(Error::Argument(e)) => Some(e),
        Err(e) => panic!("{e}"),
        Ok(_) => None,
    }
}

fn sparse(a: &Matrix) -> CsrMatrix {
    let mut out = CooBuilder::new(a.rows(), a.columns());
    for i in 0..a.rows() {
        for (j, &v) in a.row(i).iter().enumerate().filter(|e| *e.1 != 0.0) {
            out.push(i, j, v).unwrap();
        }
    }
    out.build(Duplicates::Sum).unwrap()
}

#[test]
fn ranges_are_those_of_the_documentation() {
    let source = include_str!("../src/options.rs");
    let a = generate::random_matrix(12, 2, 1);
    let b: Vec<f64> = (0..12).map(f64::from).collect();
    ranges::walk(&Options::default(), &FIT, source, |o| refused(regress(&a, &b, Loss::Lp(2.0), o)));
    let (from, to) =
        (source.find("pub struct ScoreOptions").unwrap(), source.find("impl Default for ScoreOptions").unwrap());
    ranges::walk(&ScoreOptions::default(), &SCORES, &source[from..to], |o| refused(scores(&a, 1.0, o)));
    let from = source.find("pub struct CertifiedOptions").unwrap();
    ranges::walk(&CertifiedOptions::default(), &CERTIFIED, &source[from..], |o| {
        refused(certified_sensitivities(&a, 1.0, &[0], o))
    });
    assert!(planned_size(1.0, 1.0, 3).is_err() && planned_size(0.5, 65.0, 3).is_err());
}

/// A row with a weight is a row that many times, a row with none is not there, and an intercept is a column of ones; dense and
/// sparse.
#[test]
fn weights_and_intercepts_are_what_they_stand_for() {
    let (n, d) = (60, 3);
    let a = generate::random_matrix(n, d, 3);
    let b: Vec<f64> = (0..n).map(|i| 2.0 + a[(i, 0)] - 3.0 * a[(i, 2)] + ((i * 7) % 5) as f64 * 0.3).collect();
    let weights: Vec<f64> = (0..n).map(|i| [1.0, 2.0, 0.0, 3.0][i % 4]).collect();
    let copies: Vec<usize> = (0..n).flat_map(|i| vec![i; weights[i] as usize]).collect();
    let many = a.select_rows(&copies);
    let target: Vec<f64> = copies.iter().map(|&i| b[i]).collect();
    let with_ones = Matrix::from_fn(copies.len(), d + 1, |i, j| if j == d { 1.0 } else { many[(i, j)] });
    for loss in [Loss::Lp(1.0), Loss::Lp(1.5), Loss::Lp(2.0), Loss::Lp(3.0), Loss::Quantile(0.3)] {
        let plain = Options::default();
        let weighted = Options { sample_weights: Some(weights.clone()), ..plain.clone() };
        let wanted = regress(&many, &target, loss, &plain).unwrap();
        for found in [regress(&a, &b, loss, &weighted).unwrap(), regress(&sparse(&a), &b, loss, &weighted).unwrap()] {
            assert!(found.converged() && found.intercept == 0.0, "{loss:?}: {found:?}");
            assert!((found.objective - wanted.objective).abs() <= 1e-8 * wanted.objective, "{loss:?}");
        }
        let wanted = regress(&with_ones, &target, loss, &plain).unwrap();
        let both = Options { intercept: true, ..weighted.clone() };
        for found in [regress(&a, &b, loss, &both).unwrap(), regress(&sparse(&a), &b, loss, &both).unwrap()] {
            assert!(found.converged() && found.coefficients.len() == d, "{loss:?}: {found:?}");
            assert!((found.objective - wanted.objective).abs() <= 1e-8 * wanted.objective, "{loss:?}");
            assert!((found.intercept - wanted.coefficients[d]).abs() < 1e-4, "{loss:?}");
            let fitted = found.predict(&a).unwrap();
            let loss_of_fit: f64 = (0..n).map(|i| weights[i] * loss.value(&[b[i] - fitted[i]])).sum();
            assert!((loss_of_fit - found.objective).abs() <= 1e-10 * found.objective, "{loss:?}");
            assert!(found.predict(&Matrix::zeros(2, d + 1)).is_err());
        }
        let alone = Options { intercept: true, ..plain.clone() };
        let found = regress(&a, &b, loss, &alone).unwrap();
        let ones = Matrix::from_fn(n, d + 1, |i, j| if j == d { 1.0 } else { a[(i, j)] });
        let wanted = regress(&ones, &b, loss, &plain).unwrap();
        assert!((found.objective - wanted.objective).abs() <= 1e-9 * wanted.objective, "{loss:?}");
        let few = CoresetOptions { fit: both, ..CoresetOptions::default() };
        let found = regress_on_coreset(&a, &b, loss, 40, &few).unwrap();
        assert!(found.lower_bound.unwrap() <= found.objective && found.coefficients.len() == d, "{loss:?}");
    }
    for bad in [vec![1.0; n - 1], vec![0.0; n], vec![-1.0; n], vec![f64::NAN; n], vec![f64::INFINITY; n]] {
        let options = Options { sample_weights: Some(bad), ..Options::default() };
        assert!(regress(&a, &b, Loss::Lp(1.0), &options).is_err());
    }
}

/// A coreset goes into a regression as it is.
#[test]
fn a_coreset_is_rows_and_weights() {
    let a = generate::random_matrix(2_000, 3, 4);
    let b: Vec<f64> = (0..2_000).map(|i| a[(i, 0)] + ((i * 13) % 7) as f64 * 0.1).collect();
    let s = scores(&a, 1.0, &Method::Lewis.into()).unwrap();
    let c = samplewise_sensitivity::Coreset::sample(&a, &s.values, 1.0, 500, &SampleOptions::default()).unwrap();
    let target: Vec<f64> = c.rows.iter().map(|&i| b[i]).collect();
    let options = Options { sample_weights: Some(c.weights.clone()), ..Options::default() };
    let few = regress(&a.select_rows(&c.rows), &target, Loss::Lp(1.0), &options).unwrap();
    let all = regress(&a, &b, Loss::Lp(1.0), &Options::default()).unwrap();
    assert!(few.converged() && (few.objective / all.objective - 1.0).abs() < 0.2);
    let loss: f64 = few.predict(&a).unwrap().iter().zip(&b).map(|(f, b)| (b - f).abs()).sum();
    assert!(loss < 1.05 * all.objective);
}

#[test]
fn labels_are_asked_for_and_told_in_parts() {
    let a = generate::random_matrix(500, 3, 5);
    let options = CoresetOptions::default();
    let mut plan = LabelPlan::new(&a, Loss::Lp(1.0), 60, &options).unwrap();
    let all = plan.ask().to_vec();
    assert!(plan.finish(&a).is_err(), "labels are missing");
    plan.tell(&[1.0; 10]).unwrap();
    assert_eq!(plan.ask(), &all[10..]);
    assert!(matches!(plan.tell(&[1.0, f64::NAN]), Err(Error::Label { row, .. }) if row == all[11]));
    assert!(plan.tell(&vec![1.0; all.len()]).is_err() && plan.ask() == &all[10..]);
    plan.tell(&vec![1.0; all.len() - 10]).unwrap();
    assert!(plan.finish(&Matrix::zeros(500, 2)).is_err() && plan.finish(&Matrix::zeros(3, 3)).is_err());
    assert!(plan.finish(&a).unwrap().converged());
    for fit in [
        Options { intercept: true, ..Options::default() },
        Options { sample_weights: Some(vec![1.0; 500]), ..Options::default() },
    ] {
        let options = CoresetOptions { fit, ..CoresetOptions::default() };
        assert!(matches!(LabelPlan::new(&a, Loss::Lp(1.0), 60, &options), Err(Error::Argument(_))));
    }
}

#[cfg(feature = "serde")]
#[test]
fn options_and_answers_are_data() {
    let a = generate::random_matrix(50, 2, 6);
    let b: Vec<f64> = (0..50).map(f64::from).collect();
    let options = CoresetOptions { seed: 4, ..CoresetOptions::default() };
    let text = serde_json::to_string(&options).unwrap();
    assert_eq!(serde_json::from_str::<CoresetOptions>(&text).unwrap(), options);
    let fit = regress(&a, &b, Loss::Quantile(0.2), &options.fit).unwrap();
    let back: samplewise_sensitivity::Regression = serde_json::from_str(&serde_json::to_string(&fit).unwrap()).unwrap();
    assert_eq!(back, fit);
    let plan = LabelPlan::new(&a, Loss::Lp(1.0), 20, &options).unwrap();
    assert_eq!(serde_json::from_str::<LabelPlan>(&serde_json::to_string(&plan).unwrap()).unwrap(), plan);
}

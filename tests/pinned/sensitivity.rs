//! Scores, coresets and regression.
use samplewise::linalg::{Matrix, Summary};
use samplewise::sensitivity::{
    Block, CertifiedOptions, Coreset, CoresetOptions, LabelPlan, Loss, Method, Options, Preprocessing, SampleOptions,
    Sampler, StreamOptions, StreamingCoreset, certified_sensitivities, recursive_root_leverage, regress,
    regress_on_coreset, scores, screened_coreset,
};

use crate::{Pins, gaussian, linalg::sparse};

pub fn pin(pins: &mut Pins) {
    let a = gaussian(1_500, 6, 40);
    let b: Vec<f64> = gaussian(1_500, 1, 41).as_slice().iter().zip(0..).map(|(v, i)| v + a[(i, 0)]).collect();
    let s = sparse(900, 12, 42);
    for method in [Method::Uniform, Method::Leverage, Method::RootLeverage, Method::Lewis] {
        for p in [1.0, 1.5, 3.0] {
            let name = format!("sensitivity {method:?} {p}");
            match scores(&a, p, &method.into()) {
                Ok(found) => pins.pin(name, &[&found.values, &found.lower, &found.upper]),
                Err(_) => pins.pin(format!("{name} refused"), &[]),
            }
        }
    }
    pins.pin("sensitivity sparse", &[&scores(&s, 1.0, &Method::Lewis.into()).unwrap().values]);
    let certified = certified_sensitivities(&a, 1.5, &[0, 3, 9], &CertifiedOptions { gap: 1e-3 }).unwrap();
    pins.pin("sensitivity certified", &[&certified.lower, &certified.upper]);
    let lewis = scores(&a, 1.0, &Method::Lewis.into()).unwrap().values;
    for sampler in [Sampler::Bernoulli, Sampler::Priority, Sampler::Tree] {
        let chosen = Coreset::sample(&a, &lewis, 1.0, 150, &SampleOptions { sampler, seed: 7 }).unwrap();
        pins.pin(format!("sensitivity {sampler:?}"), &[&chosen.rows, &chosen.weights]);
    }
    let screened = screened_coreset(&a, 1.0, 100, &CoresetOptions::default()).unwrap().coreset;
    pins.pin("sensitivity screened", &[&screened.rows, &screened.weights]);
    let recursive = recursive_root_leverage(&a, 1.0, 100, 3).unwrap().coreset;
    pins.pin("sensitivity recursive", &[&recursive.rows, &recursive.weights]);
    for loss in [Loss::Quantile(0.5), Loss::Quantile(0.99), Loss::Lp(1.0), Loss::Lp(1.1), Loss::Lp(2.0), Loss::Lp(8.0)]
    {
        for preprocessing in [Preprocessing::Auto, Preprocessing::Always, Preprocessing::Never] {
            let options = Options { preprocessing, ..Options::default() };
            let fit = regress(&a, &b, loss, &options).unwrap();
            let parts: [&dyn crate::Bits; 3] = [&fit.coefficients, &fit.objective, &fit.lower_bound];
            pins.pin(format!("sensitivity {loss:?} {preprocessing:?}"), &parts);
        }
        let fit = regress_on_coreset(&a, &b, loss, 200, &CoresetOptions::default()).unwrap();
        pins.pin(format!("sensitivity {loss:?} coreset"), &[&fit.coefficients, &fit.objective, &fit.lower_bound]);
    }
    let mut plan = LabelPlan::new(&a, Loss::Lp(1.0), 120, &CoresetOptions::default()).unwrap();
    let labels: Vec<f64> = plan.ask().iter().map(|&i| b[i]).collect();
    plan.tell(&labels).unwrap();
    let weights = &plan.coreset().weights;
    pins.pin("sensitivity asked labels", &[&plan.finish(&a).unwrap().coefficients, weights]);
    for method in [Method::RootLeverage, Method::Lewis] {
        let mut stream = StreamingCoreset::new(6, &StreamOptions { p: 1.0, method, size: 200, seed: 3 }).unwrap();
        for first in (0..1_500).step_by(400) {
            let rows = Matrix::from_fn(400.min(1_500 - first), 6, |i, j| a[(first + i, j)]);
            stream.update(Block { first: first as u64, rows: rows.view() }).unwrap();
        }
        let found = stream.finish().unwrap();
        pins.pin(format!("sensitivity stream {method:?}"), &[&found.rows, &found.weights]);
    }
}

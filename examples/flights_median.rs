//! Median regression of arrival delays: how many of the flights are needed, and which?
//!
//! `cargo run --release --example flights_median` runs on 5,000 embedded flights;
//! after `python3 scripts/fetch_data.py fetch flights` on all 327,346 complete ones.
//! With `-- FILE.svg` it draws the loss above the optimum against the number of rows.
use samplewise::linalg::{Matrix, Rows};
use samplewise::sensitivity::{Coreset, Loss, Method, Options, SampleOptions, Sampler, regress, scores};
use samplewise_testkit::{fixtures, picture};

const NUMERIC: [&str; 5] = ["dep_delay", "distance", "air_time", "hour", "month"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let full = fixtures::full_data("flights/flights.csv");
    let mut table = if let Some(path) = &full {
        fixtures::full_table(path)
    } else {
        println!("full data absent (python3 scripts/fetch_data.py fetch flights): the embedded sample instead");
        fixtures::table("flights.csv.gz")
    };
    let needed: Vec<usize> = NUMERIC.iter().chain(&["arr_delay"]).map(|c| table.column(c)).collect();
    table.rows.retain(|r| needed.iter().all(|&j| r[j].parse::<f64>().is_ok()));
    let numeric = NUMERIC.map(|c| table.numbers(c));
    let b = table.numbers("arr_delay");
    let carrier = table.column("carrier");
    let mut carriers: Vec<&str> = table.rows.iter().map(|r| r[carrier].as_str()).collect();
    carriers.sort_unstable();
    carriers.dedup();
    // One slope of the departure delay and one level per carrier: some carriers have a handful of flights.
    let k = carriers.len();
    let a = Matrix::from_fn(b.len(), NUMERIC.len() + 2 * k, |i, j| {
        let own = |c: usize| f64::from(u8::from(table.rows[i][carrier] == carriers[c]));
        match j.checked_sub(NUMERIC.len()) {
            None => numeric[j][i],
            Some(c) if c < k => own(c),
            Some(c) => own(c - k) * numeric[0][i],
        }
    });
    println!("{} flights, {} columns", a.rows(), a.columns());
    let best = regress(&a, &b, Loss::Lp(1.0), &Options::default())?;
    println!(
        "least sum of absolute errors {:.2}, certified: nothing is below {:.2}\n",
        best.objective,
        best.lower_bound.expect("a bound")
    );
    let methods = [
        ("uniform", Method::Uniform, Sampler::Bernoulli),
        ("leverage", Method::Leverage, Sampler::Bernoulli),
        ("root leverage", Method::RootLeverage, Sampler::Bernoulli),
        ("Lewis", Method::Lewis, Sampler::Bernoulli),
        ("Lewis, tree", Method::Lewis, Sampler::Tree),
    ];
    let joined = Rows::Joined(a.view(), &b);
    let d = a.columns();
    let mut scored = Vec::new();
    for (_, method, sampler) in methods {
        scored.push((scores(joined, 1.0, &method.into())?.values, sampler));
    }
    let mut lines = methods.map(|m| (m.0, Vec::new()));
    println!("loss above the optimum on all flights, in percent: median (worst) of 9 samples");
    println!("  rows  {}", methods.map(|m| format!("{:>20}", m.0)).join(""));
    for size in [150, 300, 600, 1_200, 2_400] {
        let mut line = format!("{size:6}  ");
        for ((scores, sampler), (_, points)) in scored.iter().zip(&mut lines) {
            let mut excess = Vec::new();
            for seed in 0..9 {
                // `regress_on_coreset` does this in one call, and certifies each answer on all rows.
                let sample = Coreset::sample(joined, scores, 1.0, size, &SampleOptions { sampler: *sampler, seed })?
                    .scaled_rows(joined, 1.0);
                let rows = Matrix::from_fn(sample.rows(), d, |i, j| sample[(i, j)]);
                let fit = regress(&rows, &sample.copy_column(d), Loss::Lp(1.0), &Options::default())?;
                let mut residual = vec![0.0; b.len()];
                a.multiply_vector_into(&fit.coefficients, &mut residual);
                residual.iter_mut().zip(&b).for_each(|(r, b)| *r = b - *r);
                excess.push(100.0 * (Loss::Lp(1.0).value(&residual) / best.objective - 1.0));
            }
            excess.sort_by(f64::total_cmp);
            line += &format!("{:>20}", format!("{:.2} ({:.2})", excess[4], excess[8]));
            points.push((f64::from(size as u32).log10(), excess[4].max(1e-3).log10()));
        }
        println!("{line}");
    }
    if let Some(path) = std::env::args().nth(1) {
        let values = lines.iter().flat_map(|l| l.1.iter().map(|p| p.1));
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        let panel = picture::Panel {
            title: &format!("Median regression of {} flights, {d} columns", a.rows()),
            axes: ["log10 of rows sampled", "log10 of loss above the optimum (%), median of 9"],
            ranges: [2.1..3.5, low - 0.1..high + 0.1],
            lines: lines.to_vec(),
            points: Vec::new(),
        };
        picture::draw(path.as_ref(), &[panel])?;
        println!("drawn: {path}");
    }
    Ok(())
}

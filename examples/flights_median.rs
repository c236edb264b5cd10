//! Median regression of arrival delays: how many of the flights are needed, and which?
//!
//! `cargo run --release --example flights_median` runs on 5,000 embedded flights;
//! after `python3 scripts/fetch_data.py fetch flights` on all 327,346 complete ones.
use samplewise::linalg::Matrix;
use samplewise::sensitivity::{Coreset, Loss, Method, regress, scores};
use samplewise_testkit::fixtures;

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
    let best = regress(&a, &b, Loss::Lp(1.0), 1e-9)?;
    println!(
        "least sum of absolute errors {:.2}, certified: nothing is below {:.2}\n",
        best.objective, best.lower_bound
    );
    let methods = [
        ("uniform", Method::Uniform),
        ("leverage", Method::Leverage),
        ("root leverage", Method::RootLeverage),
        ("Lewis", Method::Lewis),
    ];
    let d = a.columns();
    let joined = Matrix::from_fn(b.len(), d + 1, |i, j| if j < d { a[(i, j)] } else { b[i] });
    let mut scored = Vec::new();
    for (name, method) in methods {
        scored.push((name, scores(&joined, 1.0, method)?.values));
    }
    println!("loss above the optimum on all flights, in percent: median (worst) of 9 samples");
    println!("  rows  {}", methods.map(|m| format!("{:>20}", m.0)).join(""));
    for size in [150, 300, 600, 1_200, 2_400] {
        let mut line = format!("{size:6}  ");
        for (_, scores) in &scored {
            let mut excess = Vec::new();
            for seed in 0..9 {
                // `regress_on_coreset` does this in one call, and certifies each answer on all rows.
                let sample = Coreset::bernoulli(scores, size, seed)?.scaled_rows(&joined, 1.0);
                let rows = Matrix::from_fn(sample.rows(), d, |i, j| sample[(i, j)]);
                let fit = regress(&rows, &sample.copy_column(d), Loss::Lp(1.0), 1e-9)?;
                let mut residual = vec![0.0; b.len()];
                a.multiply_vector_into(&fit.coefficients, &mut residual);
                residual.iter_mut().zip(&b).for_each(|(r, b)| *r = b - *r);
                excess.push(100.0 * (Loss::Lp(1.0).value(&residual) / best.objective - 1.0));
            }
            excess.sort_by(f64::total_cmp);
            line += &format!("{:>20}", format!("{:.2} ({:.2})", excess[4], excess[8]));
        }
        println!("{line}");
    }
    Ok(())
}

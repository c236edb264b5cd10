//! An RNA splice site (5'ss of BRCA2, 9 bases): which bases act together, and how much of the landscape must be read to
//! know it? `cargo run --release --example mpsa_landscape`
use samplewise::wht::{Noise, Options, Plan};
use samplewise_testkit::fixtures;

/// Variable `i` is bit `i` of the code. A base is A 00, C 01, G 10, U 11: its high bit says G or U, its low bit C or U.
const NAMES: [&str; 15] = [
    "+6:CU", "+6:GU", "+5:CU", "+5:GU", "+4:CU", "+4:GU", "+3:CU", "+3:GU", "+2:C", "-1:CU", "-1:GU", "-2:CU", "-2:GU",
    "-3:CU", "-3:GU",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let measured = fixtures::mpsa();
    let mean = measured.iter().map(|m| m.1).sum::<f64>() / measured.len() as f64;
    let mut landscape = vec![mean; 1 << 15]; // variants that nobody measured count as average
    measured.iter().for_each(|&(m, y)| landscape[m as usize] = y);
    println!("{} of 32,768 variants measured; log10 percent spliced in\n", measured.len());

    println!("budget   asked  coefficients  R2 never asked  R2 said by the report");
    let mut best = None;
    for budget in [1_024, 2_048, 4_096, 8_192] {
        let options = Options { seed: 1, noise: Noise::Unknown, samples: Some(budget), ..Options::default() };
        let plan = Plan::new(15, 200, &options)?;
        let answers: Vec<f64> = plan.queries().iter().map(|&m| landscape[m as usize]).collect();
        let found = plan.decode(&answers)?;
        let mut asked = vec![false; 1 << 15];
        plan.queries().iter().for_each(|&m| asked[m as usize] = true);
        let unseen: Vec<(u64, f64)> = measured.iter().copied().filter(|m| !asked[m.0 as usize]).collect();
        let center = unseen.iter().map(|u| u.1).sum::<f64>() / unseen.len() as f64;
        let total: f64 = unseen.iter().map(|u| (u.1 - center).powi(2)).sum();
        let left: f64 = unseen.iter().map(|u| (u.1 - found.evaluate(u.0)).powi(2)).sum();
        println!(
            "{budget:6}  {:6}  {:12}  {:14.3}  {}",
            found.report.samples,
            found.coefficients.len(),
            1.0 - left / total,
            found.report.r2.map_or("none".to_owned(), |r| format!("{r:.3}"))
        );
        best = Some(found);
    }
    if let Some(found) = best {
        println!("\nlargest effects at the last budget, +- standard error:");
        for c in found.top(12).into_iter().filter(|c| c.index != 0) {
            let names: Vec<&str> = c.variables().into_iter().map(|v| NAMES[v]).collect();
            println!("  {:+.3} +- {:.3}  {}", c.value, c.std_error.unwrap_or(0.0), names.join(" x "));
        }
        let energy = found.energy_by_degree();
        let all: f64 = energy[1..].iter().sum();
        println!("\nenergy by number of bits that act together:");
        for (degree, e) in energy.iter().enumerate().skip(1).filter(|e| *e.1 > 0.0) {
            println!("  {degree}: {:5.1} %", 100.0 * e / all);
        }
    }
    Ok(())
}

//! An RNA splice site (5'ss of BRCA2, 9 bases): which bases act together, and how much of the landscape must be measured to
//! know it? `cargo run --release --example mpsa_landscape`
use samplewise::linalg::random::{Streams, shuffle};
use samplewise::wht::surrogate::{LetterPosterior, Letters, Options, fit_letters};
use samplewise_testkit::fixtures;

/// Positions of the nine bases about the site.
const NAMES: [&str; 9] = ["-3", "-2", "-1", "+1", "+2", "+3", "+4", "+5", "+6"];
/// Variants that are kept to judge all models by.
const KEPT: usize = 6_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (words, values) = fixtures::mpsa_words();
    let mut order: Vec<usize> = (0..words.len()).collect();
    shuffle(&mut Streams::new(1).stream(0), &mut order);
    let (kept, pool) = order.split_at(KEPT);
    let variants = |rows: &[usize]| Letters::from_words(&rows.iter().map(|&j| &words[j]).collect::<Vec<_>>(), "ACGU");
    let told = |rows: &[usize]| rows.iter().map(|&j| values[j]).collect::<Vec<f64>>();
    println!(
        "{} of 32,768 variants measured; log10 percent spliced in; {KEPT} of them kept to judge by\n",
        words.len()
    );

    println!("measured  R2 on those kept  R2 said  90 % intervals hold  noise  seconds");
    let (truth, unseen) = (told(kept), variants(kept)?);
    let mut last: Option<(LetterPosterior, &[usize])> = None;
    for count in [500, 1_000, 2_000] {
        let measured = &pool[..count];
        let model = fit_letters(&variants(measured)?, &told(measured), &Options::default())?;
        let said = model.predict(&unseen)?;
        let center = truth.iter().sum::<f64>() / truth.len() as f64;
        let total: f64 = truth.iter().map(|v| (v - center).powi(2)).sum();
        let left: f64 = truth.iter().zip(&said).map(|(v, e)| (v - e.mean).powi(2)).sum();
        let inside = truth.iter().zip(&said).filter(|(v, e)| (e.low..=e.high).contains(v)).count();
        println!(
            "{count:8}  {:16.3}  {:7.3}  {:17.1} %  {:5.2}  {:7.1}",
            1.0 - left / total,
            model.report.held_out_r2.unwrap_or(f64::NAN),
            100.0 * inside as f64 / KEPT as f64,
            model.report.noise_std,
            model.report.seconds.0
        );
        last = Some((model, measured));
    }
    let (model, measured) = last.ok_or("three budgets were tried")?;
    let sobol = model.sobol();
    println!("\nposition  alone  in total  best base");
    for (i, name) in NAMES.iter().enumerate().filter(|(i, _)| sobol.total[*i] > 0.0) {
        let effects = model.effects(i)?;
        let best = (0..effects.len()).max_by(|&a, &b| effects[a].mean.total_cmp(&effects[b].mean)).unwrap_or(0);
        let (first, total) = (100.0 * sobol.first[i], 100.0 * sobol.total[i]);
        let letter = "ACGU".as_bytes()[best] as char;
        println!("{name:8}  {first:4.1} %  {total:6.1} %  {letter} {:+.3}", effects[best].mean);
    }
    println!("\nlargest interactions, where they are largest:");
    for i in model.largest_interactions(6) {
        let member = |(&p, &a): (&usize, &u8)| format!("{}{}", NAMES[p], "ACGU".as_bytes()[usize::from(a)] as char);
        let members: Vec<String> = i.positions.iter().zip(&i.letters).map(member).collect();
        let half = 0.5 * (i.estimate.high - i.estimate.low);
        println!(
            "  {:+.3} +- {half:.3}  {:4.1} % of the variance  {}",
            i.estimate.mean,
            100.0 * i.share,
            members.join(" x ")
        );
    }
    println!("\nbest variants among those not measured, and what was measured of them:");
    let known: std::collections::HashMap<&str, f64> =
        words.iter().map(String::as_str).zip(values.iter().copied()).collect();
    let highest = model.highest(&variants(measured)?, &told(measured), 5, 1)?;
    for (j, e) in model.predict(&highest)?.iter().enumerate() {
        let word: String = highest.row(j).iter().map(|&a| "ACGU".as_bytes()[usize::from(a)] as char).collect();
        let seen = known.get(word.as_str()).map_or("never".to_owned(), |v| format!("{v:.2}"));
        println!("  {word}  {:.2} ({:.2} to {:.2}), measured {seen}", e.mean, e.low, e.high);
    }
    Ok(())
}

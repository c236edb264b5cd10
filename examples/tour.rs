//! Five sample-frugal algorithms on five real data sets, each with the answer beside the truth and the naive method.
use samplewise::completion::{Entries, Options as CompletionOptions, Rank, complete};
use samplewise::hamming::{Options as HammingOptions, Plan as HammingPlan, reverse_complement};
use samplewise::linalg::Matrix;
use samplewise::linalg::random::{Streams, shuffle};
use samplewise::mtrl::{Budget, Options as MtrlOptions, Strategy, TaskData, learn};
use samplewise::sensitivity::{
    CoresetOptions as SensitivityOptions, Loss, Method, Options as RegressOptions, regress, regress_on_coreset,
};
use samplewise::wht::surrogate::{Letters, Options as SurrogateOptions, fit_letters};
use samplewise_testkit::fixtures;

#[path = "common/digits.rs"]
mod digits;
use digits::{Digits, mean_squared_error};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    completion()?;
    wht()?;
    hamming()?;
    sensitivity()?;
    multitask()
}

/// Hide 80 % of the double mutants of protein GB1 and predict them.
fn completion() -> Outcome {
    let (rows, columns, mut all) = fixtures::gb1();
    shuffle(&mut Streams::new(1).stream(0), &mut all);
    let (seen, hidden) = all.split_at(all.len() / 5);
    let data = Entries::new(rows.len(), columns.len(), seen, None)?;
    let options = CompletionOptions { biases: true, ..CompletionOptions::default() };
    let found = complete(&data, Rank::Auto { max: 12 }, &options)?;
    let additive = complete(&data, Rank::Fixed(1), &CompletionOptions { lambda: Some(1e12), ..options })?;
    let mean = hidden.iter().map(|e| e.2).sum::<f64>() / hidden.len() as f64;
    let spread = (hidden.iter().map(|e| (e.2 - mean).powi(2)).sum::<f64>() / hidden.len() as f64).sqrt();
    let r2 = |rmse: Option<f64>| 1.0 - (rmse.unwrap_or(f64::NAN) / spread).powi(2);
    println!("1. Matrix completion: how fit are the protein GB1 double mutants that nobody measured?");
    println!(
        "   asked: {} of {} measured pairs of a {} x {} table",
        seen.len(),
        seen.len() + hidden.len(),
        rows.len(),
        columns.len()
    );
    println!(
        "   rank {} found; R2 on the {} hidden pairs: {:.3}",
        found.report.rank,
        hidden.len(),
        r2(found.model.rmse(hidden))
    );
    println!("   naive, effects of single mutants added up: R2 {:.3}\n", r2(additive.model.rmse(hidden)));
    Ok(())
}

/// How well is a splice site recognised? Measure some of the variants only.
fn wht() -> Outcome {
    let (words, values) = fixtures::mpsa_words();
    let mut order: Vec<usize> = (0..words.len()).collect();
    shuffle(&mut Streams::new(1).stream(0), &mut order);
    let (measured, unseen) = order.split_at(2_000);
    let variants = |rows: &[usize]| Letters::from_words(&rows.iter().map(|&j| &words[j]).collect::<Vec<_>>(), "ACGU");
    let told: Vec<f64> = measured.iter().map(|&j| values[j]).collect();
    let model = fit_letters(&variants(measured)?, &told, &SurrogateOptions::default())?;
    let truth: Vec<f64> = unseen.iter().map(|&j| values[j]).collect();
    let center = truth.iter().sum::<f64>() / truth.len() as f64;
    let total: f64 = truth.iter().map(|v| (v - center).powi(2)).sum();
    let r2 = |said: &[f64]| 1.0 - truth.iter().zip(said).map(|(v, s)| (v - s).powi(2)).sum::<f64>() / total;
    // Naive: one effect per base and position, by least squares on the same variants.
    let row = |j: usize| {
        let base = |(i, b): (usize, char)| "CGU".find(b).map(|at| 3 * i + at);
        let mut out = vec![0.0; 28];
        words[j].chars().enumerate().filter_map(base).for_each(|at| out[at] = 1.0);
        out[27] = 1.0;
        out
    };
    let rows: Vec<f64> = measured.iter().flat_map(|&j| row(j)).collect();
    let x = Matrix::from_vec(measured.len(), 28, rows)?;
    let linear = samplewise::linalg::lstsq::least_squares(&x, &told, samplewise::linalg::lstsq::Method::Auto)?.x;
    let additive: Vec<f64> =
        unseen.iter().map(|&j| row(j).iter().zip(&linear).map(|(x, b)| x * b).sum::<f64>()).collect();
    let energies = model.energy_by_degree(2);
    let all: f64 = energies.iter().map(|e| e.of_mean).sum();
    println!("2. Walsh-Hadamard surrogate: how well is an RNA splice site recognised, and which bases act together?");
    println!("   asked: {} of {} measured variants", measured.len(), words.len());
    println!(
        "   R2 on the {} variants never asked: {:.3} (said from held-out ones: {:.3}); interactions are {:.0} % of it",
        unseen.len(),
        r2(&model.means(&variants(unseen)?)?),
        model.report.held_out_r2.unwrap_or(f64::NAN),
        100.0 * (1.0 - energies[1].of_mean / all)
    );
    println!("   naive, one effect per base from the same variants: R2 {:.3}\n", r2(&additive));
    Ok(())
}

/// Which stretch of phage lambda did E. coli keep?
fn hamming() -> Outcome {
    let text = fixtures::fasta("lambda.fa.gz").remove(0).1;
    println!("3. Hamming distances: where in phage lambda do these two pieces of E. coli come from?");
    let mut comparisons = 0;
    for (name, gene) in fixtures::fasta("ecoli_patterns.fa") {
        let mut best = None;
        let mut engine = String::new();
        for (strand, pattern) in [('+', gene.clone()), ('-', reverse_complement(&gene))] {
            comparisons += (text.len() - gene.len() + 1) * gene.len();
            let answer = HammingPlan::new(&pattern, &HammingOptions::default())?.distances(&text)?;
            let (position, distance) = answer.minimum().ok_or("no alignment")?;
            engine = answer.report.engine_names();
            if best.is_none_or(|b: (u32, usize, char)| distance < b.0) {
                best = Some((distance, position, strand));
            }
        }
        let (distance, position, strand) = best.ok_or("no alignment")?;
        let chance = gene.len() * 3 / 4;
        println!(
            "   {}: position {position} strand {strand}, {distance} of {} letters differ (chance: about {chance}); engine {engine}",
            name.split_whitespace().next().unwrap_or(""),
            gene.len()
        );
    }
    println!("   naive, letter by letter: {comparisons} comparisons for the same answer\n");
    Ok(())
}

/// Median regression of arrival delays on 600 of 5,000 flights.
fn sensitivity() -> Outcome {
    let table = fixtures::table("flights.csv.gz");
    let numeric = ["dep_delay", "distance", "air_time", "hour", "month"].map(|c| table.numbers(c));
    let mut carriers: Vec<String> = table.rows.iter().map(|r| r[table.column("carrier")].clone()).collect();
    let by_row = carriers.clone();
    carriers.sort();
    carriers.dedup();
    let n = table.rows.len();
    // One level and one slope of the departure delay per carrier: some carriers have a handful of flights.
    let (fixed, k) = (numeric.len(), carriers.len());
    let d = fixed + 2 * k;
    let a = Matrix::from_fn(n, d, |i, j| {
        let own = |c: usize| f64::from(u8::from(by_row[i] == carriers[c]));
        match j.checked_sub(fixed) {
            None => numeric[j][i],
            Some(c) if c < k => own(c),
            Some(c) => own(c - k) * numeric[0][i],
        }
    });
    let b = table.numbers("arr_delay");
    let best = regress(&a, &b, Loss::Lp(1.0), &RegressOptions::default())?;
    let size = 600;
    let excess = |method| -> Result<(f64, f64), Box<dyn std::error::Error>> {
        let mut all = Vec::new();
        for seed in 0..9 {
            let fit = regress_on_coreset(
                &a,
                &b,
                Loss::Lp(1.0),
                size,
                &SensitivityOptions { method, seed, ..SensitivityOptions::default() },
            )?;
            all.push(100.0 * (fit.objective / best.objective - 1.0));
        }
        all.sort_by(f64::total_cmp);
        Ok((all[4], all[8]))
    };
    let (lewis, uniform) = (excess(Method::Lewis)?, excess(Method::Uniform)?);
    println!("4. Sensitivity sampling: what delays flights, from an eighth of the rows?");
    println!("   asked: about {size} of {n} rows ({d} columns, 16 carriers, some with 6 flights), slopes per carrier");
    println!(
        "   loss above the optimum on all rows, median and worst of 9 samples: {:.2} % and {:.2} %",
        lewis.0, lewis.1
    );
    println!("   naive, uniform rows: {:.2} % and {:.2} %", uniform.0, uniform.1);
    println!(
        "   the full optimum {:.0} is certified: nothing is below {:.0}\n",
        best.objective,
        best.lower_bound.expect("a bound")
    );
    Ok(())
}

/// Ten digit detectors from a few labels and forty related tasks.
fn multitask() -> Outcome {
    let mut mse = [0.0; 4];
    let mut alone = [0.0; 5];
    for digit in 0..10 {
        let mut data = Digits::new(digit as u64);
        let (x, y) = data.target(digit, 900..940)?;
        let (test_x, test_y) = data.target(digit, 1000..1797)?;
        let labelled = TaskData::new(&x, &y)?;
        let strategies = [Strategy::Guarded, Strategy::L1, Strategy::L2, Strategy::Uniform];
        for (slot, strategy) in strategies.into_iter().enumerate() {
            let options = MtrlOptions {
                dimension: Some(20),
                strategy,
                ridge: 0.05,
                source_ridge: 0.05,
                ..MtrlOptions::default()
            };
            let mut source = Digits::new(digit as u64);
            let learned = learn(&mut source, std::slice::from_ref(&labelled), Budget::Samples(8000), &options)?;
            mse[slot] += mean_squared_error(learned.target(), &test_x, &test_y) / 10.0;
        }
        for (error, ridge) in alone.iter_mut().zip([0.1, 0.3, 1.0, 3.0, 10.0]) {
            *error += mean_squared_error(&labelled.weights(&Matrix::identity(65), ridge)?, &test_x, &test_y) / 10.0;
        }
    }
    println!(
        "5. Active multi-task learning: ten digit detectors from 40 labels each and 8,000 samples of 40 related tasks"
    );
    println!("   mean squared error on 797 unseen images, mean over the ten targets:");
    println!(
        "   by relevance: guarded {:.3}, L1 {:.3}, L2 {:.3}; uniform sampling {:.3}",
        mse[0], mse[1], mse[2], mse[3]
    );
    let best = alone.iter().copied().fold(f64::INFINITY, f64::min);
    println!("   naive, ridge regression on the 40 labels alone, best of five ridges: {best:.3}");
    Ok(())
}

//! Draws from the posterior: `--solver gibbs`.
use samplewise_completion::{Ending, Entries, Matrix, Posterior, PosteriorOptions, Rank, sample_posterior_observed};
use serde_json::json;

use super::triplets::Ids;
use super::{Arguments, Counted, Data, answer_table, ending_of, failure};
use crate::choices::EntryLoss;
use crate::failure::{Failure, usage};
use crate::output::{self, Array, line};
use crate::session::{Answer, Session};

/// The largest of `--rank auto`: with the bias it fills whole registers.
const LARGEST: usize = 23;
/// Draws kept at most.
const MOST_DRAWS: usize = 1_000_000;

/// What the words of the call ask for.
pub fn sampling(a: &Arguments) -> Result<(Rank, PosteriorOptions), Failure> {
    let other = [
        ("--lambda", a.lambda != "auto"),
        ("--ridge-exponent", a.ridge_exponent.is_some()),
        ("--tolerance", a.tolerance.is_some()),
        ("--loss", a.loss != EntryLoss::Squared),
        ("--non-negative", a.non_negative),
        ("--max-iterations", a.max_iterations.is_some()),
    ];
    if let Some((name, _)) = other.iter().find(|o| o.1) {
        return Err(usage(format!("{name} means nothing to --solver gibbs, which draws noise and priors as well")));
    }
    let rank = match a.rank.as_str() {
        "auto" => Rank::Auto { max: LARGEST },
        k => Rank::Fixed(k.parse().map_err(|_| usage(format!("--rank is {k}, allowed is auto or a number")))?),
    };
    let samples = a.samples.unwrap_or(PosteriorOptions::default().samples);
    if !(1..=MOST_DRAWS).contains(&samples) {
        return Err(usage(format!("--samples is {samples}, allowed is 1 to {MOST_DRAWS}")));
    }
    let sampling =
        PosteriorOptions { samples, burn_in: samples.div_ceil(3), biases: a.biases(), ..PosteriorOptions::default() };
    Ok((rank, sampling))
}

pub fn run(
    (rank, sampling): (Rank, PosteriorOptions),
    a: &Arguments,
    data: &Data,
    session: &Session,
) -> Result<Answer, Failure> {
    let mut observer = a.watched(session)?;
    let Data { train, rows, columns, pairs, .. } = data;
    let sampling = PosteriorOptions { verification: a.verification(data), seed: session.seed(), ..sampling };
    let found = session.stage("compute", || {
        let entries =
            Entries::new(rows.len(), columns.len(), &train.entries, train.weights.as_deref()).map_err(failure)?;
        sample_posterior_observed(&entries, rank, &sampling, &mut observer).map_err(failure)
    })?;
    let mut counted = None;
    if let (Some((pairs, positions)), Some(out)) = (pairs, &a.out) {
        // A posterior says of every entry how much is known: none is undetermined.
        let mut count = Counted::default();
        session.stage("write", || {
            output::write(out, |w| {
                writeln!(w, "{}", line(out, &["row", "column", "prediction", "deviation"])?)?;
                for (pair, at) in pairs.iter().zip(positions) {
                    let (mean, deviation) = if let Some((i, j)) = at {
                        let p = found.predict(*i, *j);
                        count.determined += 1;
                        (p.mean.to_string(), p.deviation.to_string())
                    } else {
                        count.unknown += 1;
                        (String::new(), String::new())
                    };
                    writeln!(w, "{}", line(out, &[&pair[0], &pair[1], &mean, &deviation])?)?;
                }
                Ok(())
            })
        })?;
        counted = Some(count);
    }
    if let Some(path) = &a.factors {
        session.stage("write", || write_draws(path, &found, rows, columns))?;
    }
    Ok(answer(a, session, &found, (rows.len(), columns.len(), train.entries.len()), counted.as_ref()))
}

/// As for one fit, with the draws as first axis, and the noise.
fn write_draws(path: &std::path::Path, found: &Posterior, rows: &Ids, columns: &Ids) -> Result<(), Failure> {
    let models = found.models.models();
    let draws = models.len() as u64;
    let all = |part: &dyn Fn(&samplewise_completion::Model) -> &[f64]| -> Vec<f64> {
        models.iter().flat_map(|m| part(m).iter().copied()).collect()
    };
    let shape = |m: &Matrix| vec![draws, m.rows() as u64, m.columns() as u64];
    let (u, v) = models[0].factors();
    let (row_ids, column_ids) = (rows.in_order(), columns.in_order());
    let (row_biases, column_biases) = (all(&|m| &m.row_biases), all(&|m| &m.column_biases));
    let (left, right) = (all(&|m| m.row_factors.as_slice()), all(&|m| m.column_factors.as_slice()));
    let numbers = |shape, values| Array::Numbers { shape, values };
    output::write_npz(
        path,
        &[
            ("mean", numbers(Vec::new(), &[models[0].mean])),
            ("noise", numbers(vec![draws], &found.noise)),
            ("row_biases", numbers(vec![draws, u.rows() as u64], &row_biases)),
            ("column_biases", numbers(vec![draws, v.rows() as u64], &column_biases)),
            ("row_factors", numbers(shape(u), &left)),
            ("column_factors", numbers(shape(v), &right)),
            ("row_ids", Array::Names(&row_ids)),
            ("column_ids", Array::Names(&column_ids)),
        ],
    )
}

fn answer(
    a: &Arguments,
    session: &Session,
    found: &Posterior,
    shape: (usize, usize, usize),
    counted: Option<&Counted>,
) -> Answer {
    let r = &found.report;
    let ending = ending_of(r.ending, session);
    let status = match ending {
        Ending::Interrupted => "interrupted",
        Ending::Limit => "limit",
        Ending::Finished => "fitted",
    };
    if ending == Ending::Limit {
        session.warn("the limit of time was reached: these are the draws so far");
    }
    let rank = found.models.models()[0].rank();
    let (rows, columns, observed) = shape;
    let result = json!({
        "status": status, "rows": rows, "columns": columns, "observed": observed, "undetermined_rows": null,
        "undetermined_columns": null, "rank": rank, "train_rmse": r.train_rmse, "test_rmse": r.test_rmse,
        "baseline_test_rmse": r.baseline_test_rmse, "predictions": counted.map(Counted::json),
    });
    let report = json!({
        "path": "posterior draws", "ending": ending.name(),
        "draws": found.models.models().len(), "noise": r.noise, "noise_trace": r.trace,
        "test_coverage_of_nine_tenths": r.test_coverage, "fitted_entries": r.fitted_entries,
        "verification_entries": r.verification_entries,
    });
    let mut table =
        answer_table((status, ending), shape, rank, [Some(r.train_rmse), r.test_rmse, r.baseline_test_rmse]);
    table += &format!("noise         {:.5}, mean of {} draws\n", r.noise, found.models.models().len());
    Answer { parameters: a.parameters(), result, report: super::super::map(report), table }
}

//! `samplewise sensitivity`.
use std::path::PathBuf;

use samplewise_sensitivity::{
    Coreset, Loss, Method, Options, Regression, Status, regress_observed, regress_on_coreset_observed, scores,
};
use serde_json::json;

use crate::input::Table;
use crate::output;
use crate::session::{Answer, Failure, Session, bad, usage};

#[derive(clap::Args)]
pub struct Arguments {
    table: PathBuf,
    /// Feature columns, or all.
    #[arg(long, default_value = "all")]
    features: String,
    #[arg(long)]
    intercept: bool,
    #[arg(long)]
    no_header: bool,
    #[arg(long, default_value_t = 1.0)]
    p: f64,
    /// lewis, leverage, root-leverage or uniform.
    #[arg(long, default_value = "lewis")]
    method: String,
    /// Expected size of the coreset.
    #[arg(long)]
    size: Option<usize>,
    /// Not in this version.
    #[arg(long)]
    epsilon: Option<f64>,
    /// bernoulli.
    #[arg(long, default_value = "bernoulli")]
    sampler: String,
    /// Scores: row,score,lower,upper.
    #[arg(long)]
    scores: Option<PathBuf>,
    /// Coreset: row,weight and the original columns.
    #[arg(long, requires = "size")]
    out: Option<PathBuf>,
    /// Not in this version.
    #[arg(long)]
    stream: bool,
    /// Target column of a regression.
    #[arg(long)]
    regress: Option<String>,
    #[arg(long, requires = "regress")]
    quantile: Option<f64>,
    /// Regress on all rows. Without it the regression draws its own coreset, scored on features and target together.
    #[arg(long, requires = "regress")]
    exact: bool,
}

pub fn run(a: &Arguments, session: &Session) -> Result<Answer, Failure> {
    let later = |what: &str| Err(usage(format!("{what} is not available in this version")));
    if a.epsilon.is_some() {
        return later("--epsilon");
    }
    if a.stream {
        return later("--stream");
    }
    if a.quantile.is_some() && a.p != 1.0 {
        return Err(usage("--quantile is a loss of its own and goes with --p 1 only"));
    }
    if a.sampler != "bernoulli" {
        return later(&format!("--sampler {}", a.sampler));
    }
    let method = match a.method.as_str() {
        "lewis" => Method::Lewis,
        "leverage" => Method::Leverage,
        "root-leverage" => Method::RootLeverage,
        "uniform" => Method::Uniform,
        other => return later(&format!("--method {other}")),
    };
    let (table, features, x, y) = session.stage("read", || {
        let table = Table::read_numbers(&a.table, a.no_header)?;
        let target = a.regress.as_ref().map(|c| table.column(c)).transpose()?;
        let features = table.select(&a.features, &target.map_or(vec![], |t| vec![t]))?;
        let x = table.matrix(&features, a.intercept)?;
        let y = target.map(|t| table.numbers(t)).transpose()?;
        Ok((table, features, x, y))
    })?;
    let name = |e: &dyn std::fmt::Display| bad(format!("{}: {e}", a.table.display()));
    let s = session.stage("compute", || scores(&x, a.p, method).map_err(|e| name(&e)))?;
    let size = a.size.unwrap_or_else(|| (50 * (x.columns() + 1)).min(x.rows()));
    let sample =
        session.stage("compute", || Coreset::bernoulli(&s.values, size, session.seed()).map_err(|e| name(&e)))?;
    let regression = y
        .map(|y| {
            let loss = a.quantile.map_or(Loss::Lp(a.p), Loss::Quantile);
            let mut observer = session;
            session.stage("regress", || {
                if a.exact {
                    regress_observed(&x, &y, loss, 1e-9, &mut observer)
                } else {
                    let options = Options { method, seed: session.seed(), ..Options::default() };
                    regress_on_coreset_observed(&x, &y, loss, size, &options, &mut observer)
                }
                .map_err(|e| name(&e))
            })
        })
        .transpose()?;
    session.stage("write", || {
        if let Some(path) = &a.scores {
            output::write(path, |w| {
                writeln!(w, "row,score,lower,upper")?;
                (0..x.rows()).try_for_each(|i| writeln!(w, "{i},{},{},{}", s.values[i], s.lower[i], s.upper[i]))
            })?;
        }
        if let Some(path) = &a.out {
            output::write(path, |w| {
                let mut csv = csv::Writer::from_writer(w);
                csv.write_record(["row", "weight"].into_iter().chain(table.header.iter().map(String::as_str)))?;
                for (&i, weight) in sample.rows.iter().zip(&sample.weights) {
                    let head = [i.to_string(), weight.to_string()];
                    csv.write_record(head.iter().chain(&table.rows[i]))?;
                }
                csv.flush()
            })?;
        }
        Ok(())
    })?;
    let mut result =
        json!({"rows": x.rows(), "columns": x.columns(), "rank": s.rank, "total": s.total, "size": sample.rows.len()});
    let mut text = format!(
        "rows {} columns {} rank {}\ntotal score {:.4}\ncoreset {} rows\n",
        x.rows(),
        x.columns(),
        s.rank,
        s.total,
        sample.rows.len()
    );
    if let Some(r) = &regression {
        let mut names: Vec<&str> = features.iter().map(|&j| table.header[j].as_str()).collect();
        if a.intercept {
            names.push("(intercept)");
        }
        let list: Vec<_> = names.iter().zip(&r.coefficients).map(|(n, v)| json!({"name": n, "value": v})).collect();
        result["regression"] = json!({"coefficients": list, "objective": r.objective, "lower_bound": r.lower_bound,
            "gap": r.objective - r.lower_bound, "rows_used": r.rows_used});
        text += &describe(r, &names);
    }
    Ok(Answer {
        parameters: json!({"table": a.table, "features": a.features, "intercept": a.intercept, "p": a.p, "method": a.method,
            "size": size, "regress": a.regress, "quantile": a.quantile, "exact": a.exact}),
        result,
        report: super::map(
            json!({"path": a.method, "condition": s.condition, "lewis_steps": s.steps, "lewis_residual": s.residual,
            "expected_size": sample.expected_size,
            "solver": regression.map(|r| json!({"iterations": r.iterations, "converged": r.status == Status::Converged}))}),
        ),
        table: text,
    })
}

fn describe(r: &Regression, names: &[&str]) -> String {
    let mut text = format!(
        "objective {:.6} on all rows, at least {:.6} is unavoidable ({} rows used)\n",
        r.objective, r.lower_bound, r.rows_used
    );
    for (n, v) in names.iter().zip(&r.coefficients) {
        text += &format!("{n:>16} {v:+.6}\n");
    }
    text
}

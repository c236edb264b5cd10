//! `samplewise lasso` with groups of columns or several targets.
use std::collections::HashMap;
use std::path::Path;

use samplewise_lasso::Design;
use samplewise_lasso::group::{GroupOptions, GroupSolution, largest_lambda, path_observed, single_columns};
use samplewise_linalg::Matrix;
use serde_json::json;

use super::Arguments;
use super::run::failure;
use super::show::{say, status};
use crate::cells::Header;
use crate::choices::LassoSolver;
use crate::failure::{Failure, bad, usage};
use crate::input::Table;
use crate::output::{self, line};
use crate::session::{Answer, Session, shown, shown_option};

/// Options of one target without groups that have no meaning here.
pub fn check(a: &Arguments) -> Result<(), Failure> {
    let given = [
        ("--cv", a.cv.is_some()),
        ("--elastic-net", a.elastic_net != 1.0),
        ("--positive", a.positive),
        ("--standardize", a.standardize),
        ("--unpenalized", a.unpenalized.is_some()),
        ("--lower", a.lower.is_some()),
        ("--upper", a.upper.is_some()),
        ("--solver", a.solver != LassoSolver::Auto),
    ];
    match given.iter().find(|g| g.1) {
        Some((option, _)) => Err(usage(format!("{option} does not go with --groups or several targets"))),
        None => Ok(()),
    }
}

/// Groups by the names in a CSV with the columns `column` and `group`; columns that are not listed are groups of their own.
fn read(file: &Path, names: &[String]) -> Result<(Vec<Vec<usize>>, Vec<String>), Failure> {
    groups_of(&Table::read(file, Header::Given, |_| true)?, names)
}

/// The groups that a table lists, and their names.
pub fn groups_of(table: &Table, names: &[String]) -> Result<(Vec<Vec<usize>>, Vec<String>), Failure> {
    let (column, group) = (table.column("column")?, table.column("group")?);
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (j, name) in names.iter().enumerate() {
        if places.insert(name.as_str(), j).is_some() {
            return Err(bad(format!("{}: the table has two columns {name:?}", table.name)));
        }
    }
    let mut number: HashMap<&str, usize> = HashMap::new();
    let (mut groups, mut titles): (Vec<Vec<usize>>, Vec<String>) = (Vec::new(), Vec::new());
    let mut listed = vec![false; names.len()];
    for (cells, line) in table.rows.iter().zip(&table.lines) {
        let at = |j: usize| format!("{}:{line}:{}", table.name, j + 1);
        let cell = |j: usize| cells.get(j).ok_or_else(|| bad(format!("{}: the cell is missing", at(j))));
        let (name, title) = (cell(column)?, cell(group)?);
        if title.is_empty() {
            return Err(bad(format!("{}: the cell is empty", at(group))));
        }
        let &place = places
            .get(name.as_str())
            .ok_or_else(|| bad(format!("{}: {name:?} is not a feature column of the table", at(column))))?;
        if std::mem::replace(&mut listed[place], true) {
            return Err(bad(format!("{}: column {name:?} is listed twice", at(column))));
        }
        let g = *number.entry(title).or_insert_with(|| {
            groups.push(Vec::new());
            titles.push(title.clone());
            groups.len() - 1
        });
        groups[g].push(place);
    }
    for j in (0..names.len()).filter(|&j| !listed[j]) {
        groups.push(vec![j]);
        titles.push(names[j].clone());
    }
    Ok((groups, titles))
}

/// Solves for targets that share their support.
pub fn run(
    a: &Arguments,
    session: &Session,
    design: &Design,
    (targets, titles): (&[Vec<f64>], &[String]),
    (names, weights): (&[String], Option<Vec<f64>>),
) -> Result<Answer, Failure> {
    let (groups, group_names) = match &a.groups {
        Some(file) => read(file, names)?,
        None => (single_columns(design), names.to_vec()),
    };
    let y = Matrix::from_fn(targets[0].len(), targets.len(), |i, t| targets[t][i]);
    let options = GroupOptions {
        tolerance: a.tolerance,
        intercept: !a.no_intercept,
        sample_weights: weights,
        ..GroupOptions::default()
    };
    let options = GroupOptions { max_iterations: a.max_iterations.unwrap_or(options.max_iterations), ..options };
    let fail = |e| failure(&a.table.display().to_string(), e);
    let mut observer = session;
    let fits = session.stage("compute", || {
        let top = match largest_lambda(design, &y, &groups, &options).map_err(fail)? {
            0.0 => 1.0,
            top => top,
        };
        let wanted = a.lambda.unwrap_or(0.1 * top);
        // Each λ starts from the one before: a single one is reached by a short path.
        let lambdas: Vec<f64> = match a.path {
            Some(count) => {
                let ratio = a.min_ratio.unwrap_or(1e-2);
                if count == 0 || !(ratio > 0.0 && ratio < 1.0) {
                    return Err(usage("--path must be 1 or more and --min-ratio between 0 and 1"));
                }
                let last = (count - 1).max(1) as f64;
                (0..count).map(|k| top * ratio.powf(k as f64 / last)).collect()
            }
            None => (1..60).map(|k| top * 0.5_f64.powi(k)).take_while(|l| *l > 1.5 * wanted).chain([wanted]).collect(),
        };
        let mut fits = path_observed(design, &y, &groups, &lambdas.into(), &options, &mut observer).map_err(fail)?;
        if a.path.is_none() {
            fits.drain(..fits.len() - 1);
        }
        Ok(fits)
    })?;
    let show = |s: &GroupSolution| {
        let list: Vec<_> = s.coefficients.iter().map(|(j, v)| json!({"name": names[*j], "values": v})).collect();
        let chosen: Vec<_> = s.groups.iter().map(|&g| &group_names[g]).collect();
        json!({"lambda": s.lambda, "targets": titles, "intercepts": s.intercepts, "groups": chosen, "coefficients": list,
            "status": status(s.status, s.report.ending), "objective": s.objective, "duality_gap": s.gap(), "dual_scale": s.report.dual_scale})
    };
    let best = fits.last().expect("one λ, one answer");
    let mut result = show(best);
    if a.path.is_some() {
        result["path"] = fits.iter().map(show).collect();
    }
    let mut table = format!(
        "lambda {:.6e}\nobjective {:.6e}, duality gap {:.1e}\nstatus {}, {}\n{} of {} groups\n{:>16} {}\n{:>16}",
        best.lambda,
        best.objective,
        best.gap(),
        status(best.status, best.report.ending),
        best.report.ending.name(),
        best.groups.len(),
        groups.len(),
        "",
        titles.join(" "),
        "(intercept)"
    );
    say(session, &fits.iter().map(|f| (f.status, f.report.ending)).collect::<Vec<_>>());
    let row = |values: &[f64]| {
        let cells: Vec<String> = values.iter().map(|v| format!("{v:+.6}")).collect();
        format!(" {}\n", cells.join(" "))
    };
    table += &row(&best.intercepts);
    for (j, values) in &best.coefficients {
        table += &format!("{:>16}{}", names[*j], row(values));
    }
    if let Some(file) = &a.out {
        output::write(file, |to| {
            writeln!(to, "{}", line(file, &["lambda", "column", "target", "coefficient"])?)?;
            for fit in &fits {
                let lambda = fit.lambda.to_string();
                for (t, title) in titles.iter().enumerate() {
                    let intercept = fit.intercepts[t].to_string();
                    writeln!(to, "{}", line(file, &[&lambda, "(intercept)", title, &intercept])?)?;
                    for (j, values) in &fit.coefficients {
                        writeln!(to, "{}", line(file, &[&lambda, &names[*j], title, &values[t].to_string()])?)?;
                    }
                }
            }
            Ok(())
        })?;
    }
    Ok(Answer {
        parameters: json!({"table": shown(&a.table), "target": a.target, "groups": shown_option(a.groups.as_ref()), "lambda": a.lambda, "path": a.path,
            "tolerance": a.tolerance}),
        result,
        report: super::super::map(
            json!({"path": best.report.route.name(), "status": status(best.status, best.report.ending),
            "ending": best.report.ending.name(),
            "iterations": fits.iter().map(|f| f.report.iterations).sum::<usize>(), "null_objective": best.report.null_objective}),
        ),
        table,
    })
}

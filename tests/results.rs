//! `benches/RESULTS.md` and the table of the README are made from the records in `benches/results`, not written.
//!
//! `SAMPLEWISE_RESULTS=write cargo test --test results` makes both anew; without it the test fails where they differ from the
//! records.
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

/// One record, and what its table answers.
struct Section {
    record: &'static str,
    title: &'static str,
    question: &'static str,
    /// Field beside the time (or several, of which the first that is there is shown), and its word.
    quality: Option<(&'static str, &'static str)>,
}

const SECTIONS: [Section; 15] = [
    Section {
        record: "linalg",
        title: "The facade",
        question: "How fast are the building blocks beside LAPACK, faer, scipy and FFHT, with the same answers?",
        quality: Some(("error", "error")),
    },
    Section {
        record: "hamming",
        title: "Hamming distances",
        question: "How long take all distances of one pattern, and all places with few mismatches? The C loops are compiled \
                   for the machine; sassy searches by edit distance, which finds more.",
        quality: None,
    },
    Section {
        record: "wht",
        title: "Sparse Walsh–Hadamard transform",
        question: "How long does decoding take where both find the support, and in how many trials do they?",
        quality: Some(("exact", "exact")),
    },
    Section {
        record: "wht-degree",
        title: "Sparse Walsh–Hadamard transform, bounded degree",
        question: "The same where no term has more than a few variables, which the decoders are told.",
        quality: Some(("exact", "exact")),
    },
    Section {
        record: "wht-spex",
        title: "Explaining boosted trees",
        question: "How much of the variance of a score do the terms found explain, from the same evaluations as SPEX?",
        quality: Some(("r2_mean", "R²")),
    },
    Section {
        record: "wht-surrogate",
        title: "Functions that are not sparse, and Shapley values",
        question: "How much of the variance on fresh points is explained from the same number of evaluations, and how far \
                   off are Shapley values?",
        quality: Some(("r2|error", "R², or squared error of Shapley values over the sum of their squares")),
    },
    Section {
        record: "completion",
        title: "Ratings",
        question: "How far off are predictions of ratings held out, and how long does the fit take? Draws have nothing to \
                   tune; the others were tuned on the training ratings.",
        quality: Some(("rmse", "RMSE")),
    },
    Section {
        record: "completion-synthetic",
        title: "Matrix completion, ten million entries",
        question: "The same for a synthetic matrix of rank 50, whose noise is known.",
        quality: Some(("rmse", "RMSE")),
    },
    Section {
        record: "sensitivity",
        title: "Leverage scores, sensitivities, quantile regression",
        question: "How long take exact scores, certified sensitivities and median regression of all rows?",
        quality: Some(("gap", "gap")),
    },
    Section {
        record: "lasso",
        title: "Lasso",
        question: "Seconds to a relative duality gap of 1e-6, which the harness computes from the coefficients.",
        quality: Some(("least_error", "least gap")),
    },
    Section {
        record: "lasso-paths",
        title: "Lasso, long works",
        question: "The same for works that take seconds.",
        quality: Some(("least_error", "least gap")),
    },
    Section {
        record: "mtrl",
        title: "Multi-task representations and relevance",
        question: "How long take the representation and the relevance of a planner's round?",
        quality: Some(("excess", "excess risk")),
    },
    Section {
        record: "differential",
        title: "Hard inputs",
        question: "How many of the answers on inputs that are hard are off the bound, judged by references in twice the \
                   precision?",
        quality: None,
    },
    Section {
        record: "python",
        title: "The Python package",
        question: "What does a call cost beside the crate's own time and memory, how long take the estimators beside \
                   scikit-learn's own and its imputers, how soon does Ctrl-C answer, and what does SPEX explain in shapiq?",
        quality: Some((
            "r2|rmse|excess|share|over_us",
            "R², RMSE, excess objective, share of memory, or µs beside the crate",
        )),
    },
    Section {
        record: "scale",
        title: "Larger than one machine",
        question: "Do all engines give the same bits, and what do passes over a table cost beside the table in memory?",
        quality: Some(("gap|apart|resident_mb", "relative gap, difference of coefficients, or MB resident")),
    },
];

/// A row of the README: core, words for the work, record, case, rival (none: the fastest).
const FRONT: [(&str, &str, &str, &str, Option<&str>); 8] = [
    (
        "completion",
        "ratings of MovieLens 100K, 60 draws",
        "completion",
        "ml-100k, random 90/10",
        Some("cmfrec CMF, tuned"),
    ),
    ("wht", "102 terms of 20 variables at 10 dB, decoding", "wht", "n=20 K=102 10 dB, 2048 samples", None),
    (
        "wht",
        "a support vector machine on 30 features, from 600 evaluations",
        "wht-surrogate",
        "svm-cancer n=30, 600 evaluations",
        Some("ProxySPEX"),
    ),
    (
        "hamming",
        "100 guides in E. coli, both strands, at most 4 mismatches",
        "hamming",
        "E. coli 4,639,675, at most k mismatches, 100 guides, both strands, k=4",
        None,
    ),
    (
        "sensitivity",
        "median regression of 327,346 flights, certified",
        "sensitivity",
        "median regression, flights7, 327,346 x 7",
        None,
    ),
    ("lasso", "100 values of λ, dense table A", "lasso-paths", "path A", None),
    ("mtrl", "representation from 100 samples a task", "mtrl", "representation, 100 samples a task", None),
    ("linalg", "triangular factor of 1,000,000 × 100", "linalg", "R of 1,000,000 x 100", None),
];

const OURS: &str = "samplewise";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn record(name: &str) -> Value {
    let text = fs::read_to_string(root().join("benches/results").join(format!("{name}.json"))).expect("a record");
    serde_json::from_str(&text).expect("a record is JSON")
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or_default()
}

/// The rows of one thread, or of all.
fn rows(record: &Value, case: Option<&str>) -> Vec<Value> {
    let all = record["rows"].as_array().expect("rows");
    let wanted = |r: &&Value| r["threads"] == 1 && case.is_none_or(|c| text(r, "case") == c);
    all.iter().filter(wanted).cloned().collect()
}

/// Two digits, without an exponent where there need be none.
fn short(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let digits = 1 - value.abs().log10().floor() as i32;
    if (1e-4..1e6).contains(&value.abs()) {
        format!("{value:.*}", digits.max(0) as usize)
    } else {
        format!("{value:.1e}")
    }
}

/// Time, ratio to ours, and quality.
fn cell(row: &Value, quality: Option<(&str, &str)>) -> String {
    let mut out = row["median_s"].as_f64().map_or_else(|| "–".to_owned(), short);
    if let (Some(ratio), false) = (row["ratio_to_ours_1_thread"].as_f64(), text(row, "tool") == OURS) {
        let _ = write!(out, " ({} ×)", short(ratio));
    }
    let value = quality.and_then(|(fields, _)| fields.split('|').map(|f| &row[f]).find(|v| !v.is_null()));
    match value {
        Some(Value::String(value)) => {
            let _ = write!(out, "; {value}");
        }
        Some(Value::Number(value)) => match row["trials"].as_u64() {
            Some(trials) => {
                let _ = write!(out, "; {value} of {trials}");
            }
            None => {
                let _ = write!(out, "; {}", short(value.as_f64().unwrap_or(f64::NAN)));
            }
        },
        _ => {}
    }
    out
}

/// One table for each run of cases that the same tools have answered.
fn tables(record: &Value, quality: Option<(&str, &str)>, out: &mut String) {
    let rows = rows(record, None);
    let mut cases: Vec<&str> = Vec::new();
    rows.iter().for_each(|r| {
        if !cases.contains(&text(r, "case")) {
            cases.push(text(r, "case"));
        }
    });
    let tools_of = |case: &str| -> Vec<String> {
        rows.iter().filter(|r| text(r, "case") == case).map(|r| text(r, "tool").to_owned()).collect()
    };
    let mut before: Vec<String> = Vec::new();
    for case in cases {
        let tools = tools_of(case);
        if tools != before {
            let _ = write!(out, "\n| case | {} |\n|{}\n", tools.join(" | "), "---|".repeat(tools.len() + 1));
            before.clone_from(&tools);
        }
        let cells: Vec<String> = rows.iter().filter(|r| text(r, "case") == case).map(|r| cell(r, quality)).collect();
        let _ = writeln!(out, "| {case} | {} |", cells.join(" | "));
    }
}

/// Cases in which another tool is faster.
fn losses(record: &Value) -> String {
    let slower = |r: &Value| r["ratio_to_ours_1_thread"].as_f64().filter(|x| *x < 1.0);
    let all: Vec<String> = rows(record, None)
        .iter()
        .filter(|r| !text(r, "tool").starts_with(OURS))
        .filter_map(|r| slower(r).map(|x| format!("{}: {} ({} ×)", text(r, "case"), text(r, "tool"), short(x))))
        .collect();
    if all.is_empty() { "no case".to_owned() } else { all.join("; ") }
}

fn hard_inputs(record: &Value, out: &mut String) {
    out.push_str("\n| core | inputs | problems | off | worst | bound | reference |\n|---|---|---|---|---|---|---|\n");
    for r in rows(record, None) {
        let word = |field: &str| match &r[field] {
            Value::String(s) => s.clone(),
            Value::Null => "–".to_owned(),
            other => other.to_string(),
        };
        let cells = ["case", "tool", "problems", "off", "worst", "bound", "reference"].map(word);
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
}

/// How often each call was timed.
fn runs(record: &Value) -> String {
    let counts: BTreeSet<u64> =
        record["rows"].as_array().into_iter().flatten().filter_map(|r| r["runs"].as_u64()).filter(|n| *n > 0).collect();
    match (counts.first(), counts.last()) {
        (Some(1), Some(1)) => ", one run of each call".to_owned(),
        (Some(least), Some(most)) if least == most => format!(", {most} runs of each call"),
        (Some(least), Some(most)) => format!(", {least} to {most} runs of each call"),
        _ => String::new(),
    }
}

fn results() -> String {
    let mut out = "# Results\n\nMade from the records in `benches/results` by `SAMPLEWISE_RESULTS=write cargo test --test \
                   results`; a test fails where they differ. Seconds are medians on one thread; in brackets the time over \
                   ours on the same input in the same run. The harness compares the answers before it compares times. \
                   Records also hold the least and the largest time, the runs of more threads and the versions of all \
                   tools. Runs with the word *quick* have fewer repetitions.\n"
        .to_owned();
    for section in &SECTIONS {
        let record = record(section.record);
        let quick = if record["quick"] == true { ", *quick*" } else { "" };
        let (day, _) = text(&record, "date_utc").split_at(10);
        let _ = write!(out, "\n## {}\n\n{}", section.title, section.question);
        if let Some((_, word)) = section.quality {
            let _ = write!(out, " Behind the semicolon: {word}.");
        }
        let (cpu, cores) = (text(&record["machine"], "cpu"), &record["machine"]["cores"]);
        let runs = runs(&record);
        let _ = writeln!(out, "\n\n`{}`, {day}, {cpu} with {cores} cores{quick}{runs}.", text(&record, "command"));
        if section.record == "differential" {
            hard_inputs(&record, &mut out);
            continue;
        }
        tables(&record, section.quality, &mut out);
        let _ = writeln!(out, "\nWhere another is faster: {}.", losses(&record));
    }
    out
}

/// The table of the README.
fn front() -> String {
    let mut out = "| core | work | best rival | times as fast | record |\n|---|---|---|---|---|\n".to_owned();
    for (core, work, name, case, rival) in FRONT {
        let record = record(name);
        let rows = rows(&record, Some(case));
        let mut others = rows.iter().filter(|r| !text(r, "tool").starts_with(OURS));
        let best = match rival {
            Some(tool) => others.find(|r| text(r, "tool") == tool),
            None => others
                .filter(|r| r["ratio_to_ours_1_thread"].as_f64().is_some())
                .min_by(|a, b| a["median_s"].as_f64().unwrap().total_cmp(&b["median_s"].as_f64().unwrap())),
        };
        let best = best.unwrap_or_else(|| panic!("{name}: no rival in {case}"));
        let mut ratio = short(best["ratio_to_ours_1_thread"].as_f64().expect("a ratio"));
        let ours = rows.iter().find(|r| text(r, "tool") == OURS).expect("our row");
        if let (Some(a), Some(b)) = (ours["rmse"].as_str(), best["rmse"].as_str()) {
            let _ = write!(ratio, ", RMSE {a} against {b}");
        }
        if let (Some(a), Some(b)) = (ours["r2"].as_f64(), best["r2"].as_f64()) {
            let _ = write!(ratio, ", R² {a:.3} against {b:.3}");
        }
        let quick = if record["quick"] == true { ", quick" } else { "" };
        let _ = writeln!(out, "| {core} | {work} | {} | {ratio} | `{name}.json`{quick} |", text(best, "tool"));
    }
    out
}

const BEGIN: &str = "<!-- made by tests/results.rs -->\n";
const END: &str = "<!-- end -->";

#[test]
fn results_are_those_of_the_records() {
    let (path, readme) = (root().join("benches/RESULTS.md"), root().join("README.md"));
    let page = fs::read_to_string(&readme).expect("the README");
    let (head, rest) = page.split_once(BEGIN).expect("the table of the README");
    let (_, tail) = rest.split_once(END).expect("the end of the table");
    let fresh = format!("{head}{BEGIN}{}{END}{tail}", front());
    if std::env::var("SAMPLEWISE_RESULTS").is_ok_and(|v| v == "write") {
        fs::write(&path, results()).expect("a writable folder");
        fs::write(&readme, fresh).expect("a writable folder");
        return;
    }
    let advice = "make it anew with SAMPLEWISE_RESULTS=write cargo test --test results";
    assert!(
        fs::read_to_string(&path).is_ok_and(|t| t == results()),
        "benches/RESULTS.md is not of the records: {advice}"
    );
    assert!(page == fresh, "the table of README.md is not of the records: {advice}");
}

#[test]
fn every_record_has_a_section() {
    let files = fs::read_dir(root().join("benches/results")).expect("the records").flatten();
    let names = files.filter_map(|f| f.file_name().to_str()?.strip_suffix(".json").map(str::to_owned));
    let records: BTreeSet<String> = names.filter(|n| n != "instructions").collect();
    let sections: BTreeSet<String> = SECTIONS.iter().map(|s| s.record.to_owned()).collect();
    assert_eq!(records, sections);
}

#[test]
fn the_readme_is_short() {
    let lines = fs::read_to_string(root().join("README.md")).expect("the README").lines().count();
    assert!(lines <= 120, "README.md has {lines} lines");
}

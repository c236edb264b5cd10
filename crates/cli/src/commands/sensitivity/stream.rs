//! `--stream`: one pass over a table of any length. Memory holds the rows that may still be chosen, with their cells.
use std::collections::HashMap;

use samplewise_linalg::{Matrix, Summary};
use samplewise_sensitivity::{Block, StreamOptions, StreamingCoreset, planned_size};
use serde_json::json;

use super::{Arguments, Choice, write_coreset};
use crate::input;
use crate::session::{Answer, Failure, Session, bad, usage};

/// Rows handed over at a time.
const BLOCK: usize = 4096;

pub fn run(a: &Arguments, choice: &Choice, session: &Session) -> Result<Answer, Failure> {
    for (given, option, why) in [
        (a.scores.is_some(), "--scores", "final scores need a second pass"),
        (a.regress.is_some(), "--regress", "write the coreset and regress on that, with its weights"),
        (a.sampler != "bernoulli", "--sampler", "a stream decides each row by its own hash: bernoulli"),
    ] {
        if given {
            return Err(usage(format!("{option} does not go with --stream: {why}")));
        }
    }
    let name = a.table.display().to_string();
    let mut reader = Reader::open(a, &name)?;
    let features = input::select(&name, &reader.header, &a.features, &[])?;
    let columns = features.len() + usize::from(a.intercept);
    let size = match (a.size, a.epsilon) {
        (Some(size), _) => size,
        (_, Some(epsilon)) => planned_size(epsilon, a.p, columns).map_err(|e| bad(format!("{name}: {e}")))?,
        _ => 50 * (columns + 1),
    };
    let options = StreamOptions { p: a.p, method: choice.method, size, seed: session.seed() };
    let mut stream = StreamingCoreset::new(columns, options).map_err(usage)?;
    // Cells of rows that may still be chosen; those given up are dropped when half of them are.
    let mut cells: HashMap<u64, csv::StringRecord> = HashMap::new();
    let (mut due, mut seen, mut most) = (4 * BLOCK, 0_u64, 0);
    session.stage("compute", || {
        let mut observer = session;
        loop {
            let mut data = Vec::with_capacity(BLOCK * columns);
            let first = seen;
            while ((seen - first) as usize) < BLOCK && reader.next()? {
                for &j in &features {
                    data.push(input::number(&name, reader.line(), j, reader.record.get(j))?);
                }
                if a.intercept {
                    data.push(1.0);
                }
                cells.insert(seen, reader.record.clone());
                seen += 1;
            }
            if seen == first {
                break;
            }
            let rows = Matrix::from_vec((seen - first) as usize, columns, data).map_err(bad)?;
            stream.update(Block { first, rows: &rows }).map_err(|e| bad(format!("{name}: {e}")))?;
            most = most.max(cells.len());
            if cells.len() >= due {
                let held = stream.held();
                cells.retain(|row, _| held.binary_search(row).is_ok());
                due = (2 * cells.len()).max(4 * BLOCK);
            }
            let progress = samplewise_linalg::Progress { stage: "rows", step: seen as usize, total: None, value: None };
            if samplewise_linalg::Observer::step(&mut observer, progress).is_break() {
                break;
            }
        }
        if seen == 0 { Err(bad(format!("{name}: no rows"))) } else { Ok(()) }
    })?;
    let out = session.stage("compute", || stream.finish().map_err(|e| bad(format!("{name}: {e}"))))?;
    session.stage("write", || {
        let Some(path) = &a.out else { return Ok(()) };
        let rows = out.rows.iter().zip(&out.weights).map(|(row, w)| (*row, *w, cells[row].iter()));
        write_coreset(path, &reader.header, rows)
    })?;
    let whole = if out.levels == 0 {
        "the same as of all rows at once".to_owned()
    } else {
        format!("by {} levels of merging and reducing", out.levels)
    };
    let note = if session.interrupted() { "interrupted: of the rows read so far\n" } else { "" };
    Ok(Answer {
        parameters: json!({"table": a.table, "features": a.features, "intercept": a.intercept, "p": a.p,
            "method": a.method, "size": size, "epsilon": a.epsilon, "sampler": a.sampler, "stream": true}),
        result: json!({"rows": out.seen, "columns": columns, "rank": out.rank, "total": out.total,
            "size": out.rows.len()}),
        report: super::super::map(json!({"path": format!("{}, streamed", a.method), "condition": out.condition,
            "levels": out.levels, "most_rows_held": most, "interrupted": session.interrupted()})),
        table: format!(
            "rows {} columns {columns} rank {}\ncoreset {} rows, {whole}; at most {most} rows were held\n{note}",
            out.seen,
            out.rank,
            out.rows.len()
        ),
    })
}

/// Records of a table one by one.
struct Reader {
    csv: csv::Reader<Box<dyn std::io::Read + Send>>,
    name: String,
    gz: bool,
    header: Vec<String>,
    record: csv::StringRecord,
    /// The first record, when it is no header.
    first: bool,
}

impl Reader {
    fn open(a: &Arguments, name: &str) -> Result<Self, Failure> {
        let (reader, gz) = input::open(&a.table)?;
        let delimiter = if input::kind(&a.table) == "tsv" { b'\t' } else { b',' };
        let boxed: Box<dyn std::io::Read + Send> = Box::new(reader);
        let csv =
            csv::ReaderBuilder::new().has_headers(false).delimiter(delimiter).trim(csv::Trim::All).from_reader(boxed);
        let record = csv::StringRecord::new();
        let mut out = Self { csv, name: name.to_owned(), gz, header: Vec::new(), record, first: false };
        if !out.advance()? {
            return Err(bad(format!("{name}: the file is empty")));
        }
        out.first = a.no_header || out.record.iter().all(|c| c.parse::<f64>().is_ok());
        out.header = if out.first {
            (0..out.record.len()).map(|j| j.to_string()).collect()
        } else {
            out.record.iter().map(str::to_owned).collect()
        };
        Ok(out)
    }

    /// Line of the record, 1-based.
    fn line(&self) -> u64 {
        self.record.position().map_or(0, csv::Position::line)
    }

    fn next(&mut self) -> Result<bool, Failure> {
        if std::mem::take(&mut self.first) { Ok(true) } else { self.advance() }
    }

    fn advance(&mut self) -> Result<bool, Failure> {
        self.csv.read_record(&mut self.record).map_err(|e| match e.position().map(csv::Position::line) {
            Some(line) => bad(format!("{}:{line}:1: {e}", self.name)),
            None => input::damaged(&self.name, self.gz, &e),
        })
    }
}

//! The records of a table one by one, in constant memory.
use std::io::Read;
use std::path::Path;

use csv::{Position, StringRecord};

use crate::input::{damaged, kind, open};
#[cfg(feature = "parquet")]
use crate::session::usage;
use crate::session::{Failure, bad};

/// CSV, TSV by name, or Parquet.
pub struct Records {
    pub name: String,
    pub header: Vec<String>,
    /// The present one.
    pub record: StringRecord,
    source: Source,
    gz: bool,
    /// The present record is the first and no header: it is still to be given.
    first: bool,
}

enum Source {
    Csv(csv::Reader<Box<dyn Read + Send>>),
    #[cfg(feature = "parquet")]
    Parquet(crate::parquet::Rows),
}

impl Records {
    /// `is_header` tells from its first record whether a file has a header.
    pub fn open(path: &Path, no_header: bool, is_header: impl Fn(&[String]) -> bool) -> Result<Self, Failure> {
        if kind(path) == "parquet" {
            return Self::open_parquet(path, no_header);
        }
        let name = path.display().to_string();
        let (reader, gz) = open(path)?;
        let delimiter = if kind(path) == "tsv" { b'\t' } else { b',' };
        let boxed: Box<dyn Read + Send> = Box::new(reader);
        let csv =
            csv::ReaderBuilder::new().has_headers(false).delimiter(delimiter).trim(csv::Trim::All).from_reader(boxed);
        let source = Source::Csv(csv);
        let mut out = Self { name, header: Vec::new(), record: StringRecord::new(), source, gz, first: false };
        if !out.advance()? {
            return Err(bad(format!("{}: the file is empty", out.name)));
        }
        let cells: Vec<String> = out.record.iter().map(str::to_owned).collect();
        out.first = no_header || !is_header(&cells);
        out.header = if out.first { (0..cells.len()).map(|j| j.to_string()).collect() } else { cells };
        Ok(out)
    }

    #[cfg(feature = "parquet")]
    fn open_parquet(path: &Path, no_header: bool) -> Result<Self, Failure> {
        if no_header {
            return Err(usage("--no-header does not go with Parquet, which has names"));
        }
        let (name, rows) = (path.display().to_string(), crate::parquet::Rows::open(path)?);
        let (header, record) = (rows.header.clone(), StringRecord::new());
        Ok(Self { name, header, record, source: Source::Parquet(rows), gz: false, first: false })
    }

    #[cfg(not(feature = "parquet"))]
    fn open_parquet(_: &Path, _: bool) -> Result<Self, Failure> {
        Err(crate::session::usage(crate::input::WITHOUT_PARQUET))
    }

    /// Goes on to the next record; false at the end.
    pub fn next(&mut self) -> Result<bool, Failure> {
        if std::mem::take(&mut self.first) { Ok(true) } else { self.advance() }
    }

    /// Line of the present record, 1-based.
    pub fn line(&self) -> u64 {
        self.record.position().map_or(0, Position::line)
    }

    fn advance(&mut self) -> Result<bool, Failure> {
        match &mut self.source {
            Source::Csv(csv) => csv.read_record(&mut self.record).map_err(|e| match e.position().map(Position::line) {
                Some(line) => bad(format!("{}:{line}:1: {e}", self.name)),
                None => damaged(&self.name, self.gz, &e),
            }),
            #[cfg(feature = "parquet")]
            Source::Parquet(rows) => rows.next(&mut self.record),
        }
    }
}

//! The records of a table one by one, in constant memory.
use std::io::{BufRead, Cursor, Read};
use std::path::Path;

use csv::{Position, StringRecord};

use crate::cells::{Format, Header, Trimmed, look_at_names, unreadable};
#[cfg(feature = "parquet")]
use crate::failure::usage;
use crate::failure::{Failure, bad};
use crate::input::{damaged, kind, open};

/// Bytes of the first line that are looked at for what separates the cells.
const HEAD: u64 = 1 << 20;

/// An open text.
pub type Text = Box<dyn BufRead + Send>;

/// CSV, TSV or Parquet.
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
    Csv(csv::Reader<Trimmed<Text>>),
    #[cfg(feature = "parquet")]
    Parquet(crate::parquet::Rows),
}

impl Records {
    /// `looks` tells from its first record whether a file has a header, where `header` does not say.
    pub fn open(path: &Path, header: Header, looks: impl FnOnce(&[String]) -> bool) -> Result<Self, Failure> {
        if kind(path) == "parquet" {
            return Self::open_parquet(path, header == Header::Absent);
        }
        let (reader, gz) = open(path)?;
        Self::of(Box::new(reader), (path.display().to_string(), &kind(path), gz), header, looks)
    }

    /// [`Records::open`] of an open stream with its name, ending and whether it is gzip.
    pub fn of(
        mut text: Text,
        (name, ending, gz): (String, &str, bool),
        header: Header,
        looks: impl FnOnce(&[String]) -> bool,
    ) -> Result<Self, Failure> {
        // The whole first line, also where a pipe gives less at a time.
        let mut head = Vec::new();
        (&mut text).take(HEAD).read_until(b'\n', &mut head).map_err(|e| damaged(&name, gz, &e))?;
        let format = Format::of(ending, &head);
        let source = Source::Csv(format.reader(Box::new(Cursor::new(head).chain(text))));
        let mut out = Self { name, header: Vec::new(), record: StringRecord::new(), source, gz, first: false };
        if !out.advance()? {
            return Err(bad(format!("{}: the file is empty", out.name)));
        }
        let cells: Vec<String> = out.record.iter().map(str::to_owned).collect();
        out.first = !header.is(|| looks(&cells));
        out.header = if out.first { (0..cells.len()).map(|j| j.to_string()).collect() } else { cells };
        if !out.first {
            look_at_names(&out.name, &out.header);
        }
        Ok(out)
    }

    /// Whether the first line names the columns.
    pub fn has_header(&self) -> bool {
        !self.first
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
        Err(crate::failure::usage(crate::input::WITHOUT_PARQUET))
    }

    /// Goes on to the next record; false at the end.
    pub fn read_next(&mut self) -> Result<bool, Failure> {
        if std::mem::take(&mut self.first) { Ok(true) } else { self.advance() }
    }

    /// Line of the present record, 1-based.
    pub fn line(&self) -> u64 {
        self.record.position().map_or(0, Position::line)
    }

    fn advance(&mut self) -> Result<bool, Failure> {
        match &mut self.source {
            Source::Csv(csv) => csv.read_record(&mut self.record).map_err(|e| match e.kind() {
                csv::ErrorKind::Io(e) if e.kind() != std::io::ErrorKind::InvalidData => damaged(&self.name, self.gz, e),
                _ => unreadable(&self.name, &e),
            }),
            #[cfg(feature = "parquet")]
            Source::Parquet(rows) => rows.next(&mut self.record),
        }
    }
}

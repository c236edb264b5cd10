//! Cells of CSV and TSV text: what separates them, which quotes are quotes, and which line is the header.
use std::io::{BufRead, Error, ErrorKind, Read, Result};

use crate::failure::{Failure, bad};

/// What the caller says of the first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// Nothing: it is looked at.
    Detect,
    /// It names the columns.
    Given,
    /// It is data.
    Absent,
}

/// The words of every command that reads tables of cells.
#[derive(clap::Args, Clone, Copy, Debug, Default)]
pub struct FirstLine {
    /// The first line of every file is the header, also one of numbers.
    #[arg(long, conflicts_with = "no_header")]
    header: bool,
    /// The first line of every file is data.
    #[arg(long)]
    no_header: bool,
}

impl FirstLine {
    /// Whether anything was said.
    pub fn is_given(self) -> bool {
        self.header || self.no_header
    }

    /// What was said.
    pub fn header(self) -> Header {
        match (self.header, self.no_header) {
            (true, _) => Header::Given,
            (_, true) => Header::Absent,
            _ => Header::Detect,
        }
    }
}

impl Header {
    /// Whether the first line is a header, where `looks` decides if nothing was said.
    pub fn is(self, looks: impl FnOnce() -> bool) -> bool {
        match self {
            Self::Detect => looks(),
            Self::Given => true,
            Self::Absent => false,
        }
    }
}

/// How a text separates its cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Commas; a cell may be quoted.
    Csv,
    /// Tabs; a quote is a character like others.
    Tsv,
}

impl Format {
    /// By the ending of the name, and of other names by the first line: tabs and no comma.
    pub fn of(ending: &str, head: &[u8]) -> Self {
        let line = head.split(|b| *b == b'\n').next().unwrap_or(head);
        let tabs = line.contains(&b'\t') && !line.contains(&b',');
        if ending == "tsv" || tabs { Self::Tsv } else { Self::Csv }
    }

    /// A reader of its records.
    pub fn reader<R: BufRead>(self, text: R) -> csv::Reader<Trimmed<R>> {
        let mut builder = csv::ReaderBuilder::new();
        builder.has_headers(false).delimiter(self.delimiter()).quoting(self == Self::Csv);
        builder.from_reader(Trimmed::new(text, self))
    }

    fn delimiter(self) -> u8 {
        if self == Self::Tsv { b'\t' } else { b',' }
    }
}

/// Where the text stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the first character of a cell.
    Start,
    Plain,
    Quoted,
    /// Behind a quote inside of quotes: it ends the cell, or another one follows.
    Quote,
    /// Behind a quoted cell.
    After,
}

/// A text without the blanks around its cells, except those inside of quotes, and without a byte order mark. A quoted cell
/// that is not closed, or that something follows, is an error with its line: otherwise it would swallow lines in silence.
pub struct Trimmed<R> {
    text: R,
    format: Format,
    place: Place,
    line: u64,
    /// Line at which the last quote was opened.
    opened: u64,
    /// Blanks that may be inside of a plain cell.
    blanks: Vec<u8>,
    ready: Vec<u8>,
    at: usize,
    begun: bool,
}

impl<R: BufRead> Trimmed<R> {
    fn new(text: R, format: Format) -> Self {
        let (blanks, ready) = (Vec::new(), Vec::new());
        Self { text, format, place: Place::Start, line: 1, opened: 0, blanks, ready, at: 0, begun: false }
    }

    /// Makes more of the text ready; false at its end.
    fn more(&mut self) -> Result<bool> {
        self.ready.clear();
        self.at = 0;
        while self.ready.is_empty() {
            let buffer = self.text.fill_buf()?;
            if buffer.is_empty() {
                return match self.place {
                    Place::Quoted => Err(wrong(self.opened, "a quoted cell that begins here is not closed")),
                    _ => Ok(false),
                };
            }
            let mut chunk = buffer.to_vec();
            let read = chunk.len();
            self.text.consume(read);
            if !std::mem::replace(&mut self.begun, true) && chunk.starts_with(b"\xef\xbb\xbf") {
                chunk.drain(..3);
            }
            for b in chunk {
                self.take(b)?;
            }
        }
        Ok(true)
    }

    fn take(&mut self, b: u8) -> Result<()> {
        let delimiter = self.format.delimiter();
        let blank = b == b' ' || b == b'\t' && delimiter != b'\t';
        let ends = b == delimiter || b == b'\n' || b == b'\r';
        self.place = match self.place {
            Place::Quoted => {
                self.ready.push(b);
                if b == b'"' { Place::Quote } else { Place::Quoted }
            }
            Place::Quote if b == b'"' => {
                self.ready.push(b);
                Place::Quoted
            }
            _ if ends => {
                self.blanks.clear();
                self.ready.push(b);
                Place::Start
            }
            Place::Quote | Place::After if blank => Place::After,
            Place::Quote | Place::After => {
                let what = format!("a quoted cell is followed by {:?}", char::from(b));
                return Err(wrong(self.line, &what));
            }
            Place::Start if blank => Place::Start,
            Place::Start if b == b'"' && self.format == Format::Csv => {
                self.opened = self.line;
                self.ready.push(b);
                Place::Quoted
            }
            Place::Plain if blank => {
                self.blanks.push(b);
                Place::Plain
            }
            Place::Start | Place::Plain => {
                self.ready.append(&mut self.blanks);
                self.ready.push(b);
                Place::Plain
            }
        };
        self.line += u64::from(b == b'\n');
        Ok(())
    }
}

impl<R: BufRead> Read for Trimmed<R> {
    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        if self.at == self.ready.len() && !self.more()? {
            return Ok(0);
        }
        let count = out.len().min(self.ready.len() - self.at);
        out[..count].copy_from_slice(&self.ready[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

fn wrong(line: u64, what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("line {line}: {what}"))
}

/// What to say of a record that cannot be read.
pub fn unreadable(name: &str, e: &csv::Error) -> Failure {
    match (e.kind(), e.position()) {
        // The position is in the sentence.
        (csv::ErrorKind::Io(e), _) => bad(format!("{name}: {e}")),
        (_, Some(position)) => bad(format!("{name}:{}:1: {e}", position.line())),
        _ => bad(format!("{name}: {e}")),
    }
}

/// Whether a first line of a table of numbers names the columns: a cell is no number, or there are three columns or more
/// and the cells are exactly 0, 1, 2, … as numpy and pandas write them.
pub fn names_numbers(name: &str, first: &[String]) -> bool {
    if first.iter().any(|c| c.parse::<f64>().is_err()) {
        return true;
    }
    let counts = first.len() >= 3 && first.iter().enumerate().all(|(j, c)| *c == j.to_string());
    if counts {
        let last = first.len() - 1;
        warn(name, &format!("the first line, 0 to {last}, is taken as the header; --no-header says it is data"));
    }
    counts
}

/// Says which columns of a header cannot be chosen by name.
pub fn look_at_names(name: &str, header: &[String]) {
    let mut seen: Vec<(&str, usize)> = header.iter().map(String::as_str).zip(0..).collect();
    seen.sort_unstable();
    for pair in seen.windows(2).filter(|w| w[0].0 == w[1].0 && !w[0].0.is_empty()) {
        let (title, a, b) = (pair[0].0, pair[0].1, pair[1].1);
        warn(name, &format!("columns {a} and {b} are both named {title:?}: only their numbers can choose one"));
    }
    if let Some(j) = header.iter().position(String::is_empty) {
        warn(name, &format!("column {j} has no name; if it numbers the rows, leave it out of the features"));
    }
}

fn warn(name: &str, what: &str) {
    eprintln!("samplewise: warning: {name}: {what}");
}

/// A column by name, or 0-based number.
pub fn column(name: &str, header: &[String], wanted: &str) -> std::result::Result<usize, Failure> {
    let mut named = (0..header.len()).filter(|&j| header[j] == wanted);
    match (named.next(), named.next()) {
        (Some(first), Some(second)) => Err(bad(format!(
            "{name}: columns {first} and {second} are both named {wanted:?}; choose one by its number"
        ))),
        (Some(only), None) => Ok(only),
        _ => {
            let by_number = wanted.parse().ok().filter(|&j: &usize| j < header.len());
            by_number.ok_or_else(|| bad(format!("{name}: no column {wanted:?}; columns are {}", header.join(", "))))
        }
    }
}

/// Names separated by commas; one that holds a comma may be quoted as in CSV.
pub fn list(text: &str) -> Vec<String> {
    let mut reader = Format::Csv.reader(text.as_bytes());
    let mut cells = csv::StringRecord::new();
    match reader.read_record(&mut cells) {
        Ok(true) => cells.iter().map(str::to_owned).collect(),
        _ => text.split(',').map(|c| c.trim().to_owned()).collect(),
    }
}

/// Columns named in `list` (`all`: every one), without those in `except`. The whole list may be one name.
pub fn select(
    name: &str,
    header: &[String],
    names: &str,
    except: &[usize],
) -> std::result::Result<Vec<usize>, Failure> {
    let all: Vec<usize> = if names == "all" {
        (0..header.len()).filter(|j| !except.contains(j)).collect()
    } else if header.iter().any(|h| h == names) {
        vec![column(name, header, names)?]
    } else {
        list(names).iter().map(|c| column(name, header, c)).collect::<std::result::Result<_, _>>()?
    };
    if all.is_empty() { Err(bad(format!("{name}: no feature columns"))) } else { Ok(all) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(format: Format, text: &str) -> std::result::Result<Vec<Vec<String>>, String> {
        let mut out = Vec::new();
        for record in format.reader(text.as_bytes()).records() {
            out.push(record.map_err(|e| e.to_string())?.iter().map(str::to_owned).collect());
        }
        Ok(out)
    }

    #[test]
    fn blanks_belong_to_quoted_cells_only() {
        let found = records(Format::Csv, "\u{feff} a , \" b\" ,c d \n\"x, \"\"y\"\"\",,\"\"\n").unwrap();
        assert_eq!(found, [["a", " b", "c d"], ["x, \"y\"", "", ""]]);
        let found = records(Format::Tsv, "\"weird al\t1\n say \"hi\" \t2\n").unwrap();
        assert_eq!(found, [["\"weird al", "1"], ["say \"hi\"", "2"]]);
    }

    #[test]
    fn quotes_that_swallow_lines_are_refused() {
        assert!(records(Format::Csv, "a,b\n\"c,d\ne,f\n").unwrap_err().contains("line 2"));
        assert!(records(Format::Csv, "a,b\n\"c\"d,e\n").unwrap_err().contains("line 2"));
        assert_eq!(records(Format::Csv, "\"a\nb\",c\n").unwrap(), [["a\nb", "c"]]);
    }

    #[test]
    fn formats_and_headers_are_recognised() {
        assert_eq!(Format::of("data", b"1\t2\t3\n"), Format::Tsv);
        assert_eq!(Format::of("csv", b"a b,c\td\n"), Format::Csv);
        let cells = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<String>>();
        assert!(names_numbers("", &cells("0,1,2")) && names_numbers("", &cells("x,1")));
        assert!(!names_numbers("", &cells("0,1")) && !names_numbers("", &cells("0,1,3")));
        assert_eq!(list("\"a, b\",c , d"), ["a, b", "c", "d"]);
        assert_eq!(
            select("t", &cells("a, b").iter().map(|_| "a, b".to_owned()).take(1).collect::<Vec<_>>(), "a, b", &[])
                .unwrap(),
            [0]
        );
        assert!(column("t", &cells("a,a,b"), "a").unwrap_err().message.contains("both named"));
    }
}

//! Reading tables, arrays and sequences; every complaint names file, line and column.
use std::io::Read;
use std::path::Path;

use samplewise_linalg::Matrix;

use crate::session::{Failure, bad};

/// The bytes of a file (`-`: standard input), decompressed when they are gzip.
pub fn bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    let fail = |e: std::io::Error| bad(format!("{}: {e}", path.display()));
    let mut raw = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().lock().read_to_end(&mut raw).map_err(fail)?;
    } else if path.is_dir() {
        return Err(bad(format!("{}: is a folder, a file is wanted", path.display())));
    } else {
        raw = std::fs::read(path).map_err(fail)?;
    }
    if raw.starts_with(&[0x1f, 0x8b]) {
        let mut out = Vec::new();
        flate2::read::MultiGzDecoder::new(&raw[..])
            .read_to_end(&mut out)
            .map_err(|e| bad(format!("{}: damaged gzip file: {e}", path.display())))?;
        raw = out;
    }
    if raw.is_empty() {
        return Err(bad(format!("{}: the file is empty", path.display())));
    }
    Ok(raw)
}

/// The ending of a file's name in lower case, without `.gz`.
pub fn kind(path: &Path) -> String {
    let name = path.file_name().map_or(String::new(), |n| n.to_string_lossy().to_lowercase());
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    name.rsplit_once('.').map_or(String::new(), |(_, ending)| ending.to_owned())
}

/// A text table.
pub struct Table {
    pub name: String,
    pub header: Vec<String>,
    pub rows: Vec<Vec<String>>,
    /// Line of each row in the file, 1-based.
    pub lines: Vec<u64>,
}

impl Table {
    /// Reads CSV (or TSV by name). The first line is a header when `numeric` has a column whose first cell is no number.
    pub fn read(path: &Path, no_header: bool, is_header: impl Fn(&[String]) -> bool) -> Result<Self, Failure> {
        let name = path.display().to_string();
        let raw = bytes(path)?;
        let tsv = kind(path) == "tsv";
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .delimiter(if tsv { b'\t' } else { b',' })
            .trim(csv::Trim::All)
            .from_reader(&raw[..]);
        let (mut rows, mut lines) = (Vec::new(), Vec::new());
        for record in reader.records() {
            let record = record.map_err(|e| {
                let line = e.position().map_or(0, csv::Position::line);
                bad(format!("{name}:{line}:1: {e}"))
            })?;
            lines.push(record.position().map_or(0, csv::Position::line));
            rows.push(record.iter().map(str::to_owned).collect::<Vec<String>>());
        }
        let header = match rows.first() {
            Some(first) if !no_header && is_header(first) => {
                lines.remove(0);
                rows.remove(0)
            }
            Some(first) => (0..first.len()).map(|j| j.to_string()).collect(),
            None => Vec::new(),
        };
        if rows.is_empty() {
            return Err(bad(format!("{name}: no rows")));
        }
        Ok(Self { name, header, rows, lines })
    }

    /// Reads a table of numbers: a first line with any non-number is the header.
    pub fn read_numbers(path: &Path, no_header: bool) -> Result<Self, Failure> {
        Self::read(path, no_header, |first| first.iter().any(|c| c.parse::<f64>().is_err()))
    }

    /// A column by name, or 0-based number.
    pub fn column(&self, wanted: &str) -> Result<usize, Failure> {
        let by_number = || wanted.parse().ok().filter(|&j: &usize| j < self.header.len());
        self.header
            .iter()
            .position(|h| h == wanted)
            .or_else(by_number)
            .ok_or_else(|| bad(format!("{}: no column {wanted:?}; columns are {}", self.name, self.header.join(", "))))
    }

    pub fn number(&self, row: usize, column: usize) -> Result<f64, Failure> {
        let at = format!("{}:{}:{}", self.name, self.lines[row], column + 1);
        let cell = self.rows[row].get(column).ok_or_else(|| bad(format!("{at}: the cell is missing")))?;
        match cell.parse::<f64>() {
            Ok(v) if v.is_finite() => Ok(v),
            Ok(v) => Err(bad(format!("{at}: value {v} is not finite"))),
            Err(_) => Err(bad(format!("{at}: value {cell:?} is not a number"))),
        }
    }

    pub fn numbers(&self, column: usize) -> Result<Vec<f64>, Failure> {
        (0..self.rows.len()).map(|i| self.number(i, column)).collect()
    }

    /// The given columns as a matrix, with a last column of ones when asked.
    pub fn matrix(&self, columns: &[usize], intercept: bool) -> Result<Matrix, Failure> {
        let mut data = Vec::with_capacity(self.rows.len() * (columns.len() + 1));
        for i in 0..self.rows.len() {
            for &j in columns {
                data.push(self.number(i, j)?);
            }
            if intercept {
                data.push(1.0);
            }
        }
        Matrix::from_vec(self.rows.len(), columns.len() + usize::from(intercept), data).map_err(bad)
    }

    /// Columns named in `list` (`all`: every one), without those in `except`.
    pub fn select(&self, list: &str, except: &[usize]) -> Result<Vec<usize>, Failure> {
        let all: Vec<usize> = if list == "all" {
            (0..self.header.len()).filter(|j| !except.contains(j)).collect()
        } else {
            list.split(',').map(|c| self.column(c.trim())).collect::<Result<_, _>>()?
        };
        if all.is_empty() { Err(bad(format!("{}: no feature columns", self.name))) } else { Ok(all) }
    }
}

/// A vector of numbers from `.npy` (f64 or f32) or text with one number per line.
pub fn vector(path: &Path) -> Result<Vec<f64>, Failure> {
    let raw = bytes(path)?;
    let name = path.display();
    let values: Vec<f64> = if raw.starts_with(b"\x93NUMPY") {
        let open = || npyz::NpyFile::new(&raw[..]).map_err(|e| bad(format!("{name}: damaged .npy file: {e}")));
        let damaged = |e: std::io::Error| bad(format!("{name}: damaged .npy file: {e}"));
        let file = open()?;
        if file.shape().len() != 1 {
            return Err(bad(format!("{name}: the array has shape {:?}, a vector is wanted", file.shape())));
        }
        match file.try_data::<f64>() {
            Ok(data) => data.collect::<Result<_, _>>().map_err(damaged)?,
            Err(file) => match file.try_data::<f32>() {
                Ok(data) => data.map(|v| v.map(f64::from)).collect::<Result<_, _>>().map_err(damaged)?,
                Err(_) => return Err(bad(format!("{name}: the array is not of type float64 or float32"))),
            },
        }
    } else {
        let text = String::from_utf8(raw).map_err(|_| bad(format!("{name}: neither .npy nor text")))?;
        let parse = |(i, l): (usize, &str)| {
            l.trim().parse::<f64>().map_err(|_| bad(format!("{name}:{}:1: value {l:?} is not a number", i + 1)))
        };
        text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()).map(parse).collect::<Result<_, _>>()?
    };
    match values.iter().position(|v| !v.is_finite()) {
        Some(i) => Err(bad(format!("{name}:{}:1: value {} is not finite", i + 1, values[i]))),
        None => Ok(values),
    }
}

/// Records `(name, sequence)`: FASTA by name or first byte, else the raw bytes without final line breaks.
pub fn sequences(path: &Path) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let raw = bytes(path)?;
    let name = path.display().to_string();
    if !raw.starts_with(b">") {
        let end = raw.iter().rposition(|b| !b"\r\n".contains(b)).map_or(0, |i| i + 1);
        return Ok(vec![(name, raw[..end].to_vec())]);
    }
    let mut reader = needletail::parse_fastx_reader(&raw[..]).map_err(|e| bad(format!("{name}: {e}")))?;
    let mut out = Vec::new();
    while let Some(record) = reader.next() {
        let record = record.map_err(|e| bad(format!("{name}: {e}")))?;
        let id = String::from_utf8_lossy(record.id()).split_whitespace().next().unwrap_or("").to_owned();
        out.push((id, record.seq().into_owned()));
    }
    Ok(out)
}

//! Reading tables, arrays and sequences; every complaint names file, line and column.
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use samplewise_linalg::Matrix;

use crate::cells::{Format, Header, column, look_at_names, names_numbers, select, unreadable};
#[cfg(not(feature = "parquet"))]
use crate::failure::usage;
use crate::failure::{Failure, bad};

/// Whether a read of standard input has begun and not come back.
pub static WAITING: AtomicBool = AtomicBool::new(false);

/// Standard input, which says when it is waited for.
struct StandardInput;

impl Read for StandardInput {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        WAITING.store(true, Ordering::SeqCst);
        let read = loop {
            match std::io::stdin().lock().read(buffer) {
                // A signal ends a wait; whoever catches it decides what comes of it.
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        WAITING.store(false, Ordering::SeqCst);
        read
    }
}

/// The bytes of a file (`-`: standard input), decompressed when they are gzip.
pub fn bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    let fail = |e: std::io::Error| bad(format!("{}: {e}", path.display()));
    let mut raw = Vec::new();
    if path == Path::new("-") {
        StandardInput.read_to_end(&mut raw).map_err(fail)?;
    } else if path.is_dir() {
        return Err(bad(format!("{}: is a folder, a file is wanted", path.display())));
    } else {
        raw = std::fs::read(path).map_err(fail)?;
    }
    decompressed(raw, &path.display().to_string())
}

/// The bytes of a file that was read, decompressed when they are gzip.
pub fn decompressed(mut raw: Vec<u8>, name: &str) -> Result<Vec<u8>, Failure> {
    if raw.starts_with(&[0x1f, 0x8b]) {
        let mut out = Vec::new();
        flate2::read::MultiGzDecoder::new(&raw[..])
            .read_to_end(&mut out)
            .map_err(|e| bad(format!("{name}: damaged gzip file: {e}")))?;
        raw = out;
    }
    if raw.is_empty() {
        return Err(bad(format!("{name}: the file is empty")));
    }
    Ok(raw)
}

/// The ending of a file's name in lower case, without `.gz`.
pub fn kind(path: &Path) -> String {
    let name = path.file_name().map_or(String::new(), |n| n.to_string_lossy().to_lowercase());
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    name.rsplit_once('.').map_or(String::new(), |(_, ending)| ending.to_owned())
}

/// What to say of a Parquet file where the feature is off.
#[cfg(not(feature = "parquet"))]
pub const WITHOUT_PARQUET: &str = "this build has no Parquet: install samplewise-cli with --features parquet";

/// A table of cells.
pub struct Table {
    pub name: String,
    pub header: Vec<String>,
    pub rows: Vec<Vec<String>>,
    /// Line of each row in the file, 1-based.
    pub lines: Vec<u64>,
    /// Whether the first line named the columns; else their names are their numbers.
    pub named: bool,
}

impl Table {
    /// Reads CSV or TSV; `looks` tells from the first line whether it names the columns, where `header` does not say.
    pub fn read(path: &Path, header: Header, looks: impl FnOnce(&[String]) -> bool) -> Result<Self, Failure> {
        if kind(path) == "parquet" {
            return Self::read_parquet(path, header == Header::Absent);
        }
        Self::of(&bytes(path)?, &path.display().to_string(), &kind(path), header, looks)
    }

    /// [`Table::read`] of the bytes of a file.
    pub fn of(
        raw: &[u8],
        name: &str,
        ending: &str,
        header: Header,
        looks: impl FnOnce(&[String]) -> bool,
    ) -> Result<Self, Failure> {
        if raw.starts_with(b"%%MatrixMarket") {
            return Err(bad(format!("{name}: is a MatrixMarket file, which is known by its ending, .mtx")));
        }
        let mut reader = Format::of(ending, raw).reader(raw);
        let (mut rows, mut lines) = (Vec::new(), Vec::new());
        for record in reader.records() {
            let record = record.map_err(|e| unreadable(name, &e))?;
            lines.push(record.position().map_or(0, csv::Position::line));
            rows.push(record.iter().map(str::to_owned).collect::<Vec<String>>());
        }
        let count = rows.len();
        let header = match rows.first() {
            Some(first) if header.is(|| looks(first)) => {
                look_at_names(name, first);
                lines.remove(0);
                rows.remove(0)
            }
            Some(first) => (0..first.len()).map(|j| j.to_string()).collect(),
            None => Vec::new(),
        };
        if rows.is_empty() {
            return Err(bad(format!("{name}: no rows")));
        }
        let named = rows.len() < count;
        Ok(Self { name: name.to_owned(), header, rows, lines, named })
    }

    #[cfg(feature = "parquet")]
    fn read_parquet(path: &Path, no_header: bool) -> Result<Self, Failure> {
        if no_header {
            return Err(crate::failure::usage("--no-header does not go with Parquet, which has names"));
        }
        let mut source = crate::parquet::Rows::open(path)?;
        let mut record = csv::StringRecord::new();
        let mut rows: Vec<Vec<String>> = Vec::new();
        while source.next(&mut record)? {
            rows.push(record.iter().map(str::to_owned).collect());
        }
        let name = path.display().to_string();
        if rows.is_empty() {
            return Err(bad(format!("{name}: no rows")));
        }
        let lines = (1..=rows.len() as u64).collect();
        Ok(Self { name, header: source.header, rows, lines, named: true })
    }

    #[cfg(not(feature = "parquet"))]
    fn read_parquet(_: &Path, _: bool) -> Result<Self, Failure> {
        Err(usage(WITHOUT_PARQUET))
    }

    /// Reads a table of numbers, see [`names_numbers`].
    pub fn read_numbers(path: &Path, header: Header) -> Result<Self, Failure> {
        Self::read(path, header, |first| names_numbers(&path.display().to_string(), first))
    }

    /// A column by name, or 0-based number.
    pub fn column(&self, wanted: &str) -> Result<usize, Failure> {
        column(&self.name, &self.header, wanted)
    }

    pub fn number(&self, row: usize, column: usize) -> Result<f64, Failure> {
        number(&self.name, self.lines[row], column, self.rows[row].get(column).map(String::as_str))
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
        select(&self.name, &self.header, list, except)
    }
}

/// A cell as a number; complaints name file, line and column.
pub fn number(name: &str, line: u64, column: usize, cell: Option<&str>) -> Result<f64, Failure> {
    let at = || format!("{name}:{line}:{}", column + 1);
    let cell = cell.ok_or_else(|| bad(format!("{}: the cell is missing", at())))?;
    match cell.parse::<f64>() {
        Ok(v) if v.is_finite() => Ok(v),
        Ok(v) => Err(bad(format!("{}: value {v} is not finite", at()))),
        Err(_) => Err(bad(format!("{}: value {cell:?} is not a number", at()))),
    }
}

/// A vector of numbers from `.npy` (floating point or integers) or text with one number per line.
pub fn vector(path: &Path) -> Result<Vec<f64>, Failure> {
    vector_of(&bytes(path)?, &path.display().to_string())
}

/// [`vector`] of the bytes of a file.
pub fn vector_of(raw: &[u8], name: &str) -> Result<Vec<f64>, Failure> {
    if raw.starts_with(b"\x93NUMPY") {
        let values = npy(raw, name)?;
        return match values.iter().position(|v| !v.is_finite()) {
            Some(i) => Err(bad(format!("{name}: element {i} is {}, which is not finite", values[i]))),
            None => Ok(values),
        };
    }
    let text = std::str::from_utf8(raw).map_err(|_| bad(format!("{name}: neither .npy nor text")))?;
    let lines = text.trim_start_matches('\u{feff}').lines().enumerate().filter(|(_, l)| !l.trim().is_empty());
    lines.map(|(i, l)| number(name, i as u64 + 1, 0, Some(l.trim()))).collect()
}

/// The numbers of an `.npy` file; integers that a double cannot hold are refused.
fn npy(raw: &[u8], name: &str) -> Result<Vec<f64>, Failure> {
    let damaged = |e: std::io::Error| bad(format!("{name}: damaged .npy file: {e}"));
    check_npy_header(raw).map_err(|why| bad(format!("{name}: damaged .npy file: {why}")))?;
    let file = npyz::NpyFile::new(raw).map_err(damaged)?;
    if file.shape().len() != 1 {
        return Err(bad(format!("{name}: the array has shape {:?}, a vector is wanted", file.shape())));
    }
    /// Tries one type after the other; each gives the file back when it is of another one.
    macro_rules! of_type {
        ($file:expr; $($kind:ty => $convert:expr),* $(,)?) => {{
            let file = $file;
            $(let file = match file.try_data::<$kind>() {
                Ok(data) => return data.map(|v| v.map_err(damaged).and_then($convert)).collect(),
                Err(file) => file,
            };)*
            Err(bad(format!("{name}: the array is of type {}, numbers are wanted", file.dtype().descr())))
        }};
    }
    let exact = |v: i128| {
        let double = v as f64;
        let lost = || bad(format!("{name}: the integer {v} has more digits than a double holds"));
        if double as i128 == v { Ok(double) } else { Err(lost()) }
    };
    of_type!(file;
        f64 => Ok,
        f32 => |v| Ok(f64::from(v)),
        i64 => |v| exact(v.into()), u64 => |v| exact(v.into()),
        i32 => |v| Ok(f64::from(v)), u32 => |v| Ok(f64::from(v)),
        i16 => |v| Ok(f64::from(v)), u16 => |v| Ok(f64::from(v)),
        i8 => |v| Ok(f64::from(v)), u8 => |v| Ok(f64::from(v)),
        bool => |v| Ok(f64::from(u8::from(v))),
    )
}

/// Refuses headers of `.npy` files that the parser would believe or could not end: a length beyond the file, which it would
/// set aside, brackets within brackets, which it tries in all ways, and shapes of more elements than the file has bytes.
fn check_npy_header(raw: &[u8]) -> Result<(), &'static str> {
    const DEEPEST: usize = 4;
    let Some((head, rest)) = raw.split_first_chunk::<12>() else { return Err("it is cut") };
    let wide = head[6] > 1;
    let length = if wide { u32::from_le_bytes([head[8], head[9], head[10], head[11]]) as usize } else { rest.len() };
    if length > rest.len() {
        return Err("its header is longer than the file");
    }
    // A short length ends within the file in any case, and the values are no part of the header.
    let text = if wide {
        &rest[..length]
    } else {
        &raw[10..raw.len().min(10 + usize::from(head[8]) + 256 * usize::from(head[9]))]
    };
    let (mut quote, mut depth, mut number, mut elements) = (None, 0_usize, 0_u64, 1_u64);
    for &b in text.iter().chain(b" ") {
        if quote.is_none() && b.is_ascii_digit() {
            number = number.saturating_mul(10).saturating_add(u64::from(b - b'0'));
            continue;
        }
        elements = elements.saturating_mul(number.max(1));
        number = 0;
        match b {
            b'\'' | b'"' if quote.is_none() => quote = Some(b),
            _ if quote == Some(b) => quote = None,
            b'(' | b'[' | b'{' if quote.is_none() => depth += 1,
            b')' | b']' | b'}' if quote.is_none() => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return Err("brackets within brackets");
        }
    }
    if elements > raw.len() as u64 { Err("its shape is larger than the file") } else { Ok(()) }
}

/// A file (`-`: standard input) as a stream, decompressed when it is gzip, and whether it is.
pub fn open(path: &Path) -> Result<(BufReader<Box<dyn Read + Send>>, bool), Failure> {
    let name = path.display();
    let fail = |e: std::io::Error| bad(format!("{name}: {e}"));
    if path.is_dir() {
        return Err(bad(format!("{name}: is a folder, a file is wanted")));
    }
    let plain: Box<dyn Read + Send> = if path == Path::new("-") {
        Box::new(StandardInput)
    } else {
        Box::new(std::fs::File::open(path).map_err(fail)?)
    };
    let mut plain = BufReader::with_capacity(1 << 20, plain);
    let gz = plain.fill_buf().map_err(fail)?.starts_with(&[0x1f, 0x8b]);
    let reader: Box<dyn Read + Send> =
        if gz { Box::new(flate2::bufread::MultiGzDecoder::new(plain)) } else { Box::new(plain) };
    Ok((BufReader::with_capacity(1 << 20, reader), gz))
}

/// What to say of an error in the middle of a file.
pub fn damaged(name: &str, gz: bool, e: &dyn std::fmt::Display) -> Failure {
    bad(if gz { format!("{name}: damaged gzip file: {e}") } else { format!("{name}: {e}") })
}

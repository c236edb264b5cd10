//! Reading tables, arrays and sequences; every complaint names file, line and column.
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use samplewise_linalg::Matrix;

use crate::session::{Failure, bad, usage};

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
}

impl Table {
    /// Reads CSV (or TSV by name). The first line is a header when `numeric` has a column whose first cell is no number.
    pub fn read(path: &Path, no_header: bool, is_header: impl Fn(&[String]) -> bool) -> Result<Self, Failure> {
        let name = path.display().to_string();
        if kind(path) == "parquet" {
            return Self::read_parquet(path, no_header);
        }
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

    #[cfg(feature = "parquet")]
    fn read_parquet(path: &Path, no_header: bool) -> Result<Self, Failure> {
        if no_header {
            return Err(usage("--no-header does not go with Parquet, which has names"));
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
        Ok(Self { name, header: source.header, rows, lines })
    }

    #[cfg(not(feature = "parquet"))]
    fn read_parquet(_: &Path, _: bool) -> Result<Self, Failure> {
        Err(usage(WITHOUT_PARQUET))
    }

    /// Reads a table of numbers: a first line with any non-number is the header.
    pub fn read_numbers(path: &Path, no_header: bool) -> Result<Self, Failure> {
        Self::read(path, no_header, |first| first.iter().any(|c| c.parse::<f64>().is_err()))
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

/// A column by name, or 0-based number.
pub fn column(name: &str, header: &[String], wanted: &str) -> Result<usize, Failure> {
    let by_number = || wanted.parse().ok().filter(|&j: &usize| j < header.len());
    header
        .iter()
        .position(|h| h == wanted)
        .or_else(by_number)
        .ok_or_else(|| bad(format!("{name}: no column {wanted:?}; columns are {}", header.join(", "))))
}

/// Columns named in `list` (`all`: every one), without those in `except`.
pub fn select(name: &str, header: &[String], list: &str, except: &[usize]) -> Result<Vec<usize>, Failure> {
    let all: Vec<usize> = if list == "all" {
        (0..header.len()).filter(|j| !except.contains(j)).collect()
    } else {
        list.split(',').map(|c| column(name, header, c.trim())).collect::<Result<_, _>>()?
    };
    if all.is_empty() { Err(bad(format!("{name}: no feature columns"))) } else { Ok(all) }
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

/// What a text consists of, in order.
pub enum Piece<'a> {
    /// A record begins.
    Record(String),
    /// The next of its symbols.
    Symbols(&'a [u8]),
}

/// A file (`-`: standard input) as a stream, decompressed when it is gzip, and whether it is.
pub fn open(path: &Path) -> Result<(BufReader<Box<dyn Read + Send>>, bool), Failure> {
    let name = path.display();
    let fail = |e: std::io::Error| bad(format!("{name}: {e}"));
    if path.is_dir() {
        return Err(bad(format!("{name}: is a folder, a file is wanted")));
    }
    let plain: Box<dyn Read + Send> = if path == Path::new("-") {
        Box::new(std::io::stdin())
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

/// Reads a text piece by piece in constant memory: FASTQ by name, FASTA by its first byte, else the raw bytes without
/// final line breaks as one record; gzip is decompressed. `take` returns false to stop.
pub fn text(path: &Path, mut take: impl FnMut(Piece<'_>) -> Result<bool, Failure>) -> Result<(), Failure> {
    let name = path.display().to_string();
    let (mut reader, gz) = open(path)?;
    let fail = |e: std::io::Error| damaged(&name, gz, &e);
    let first = *reader.fill_buf().map_err(fail)?.first().ok_or_else(|| bad(format!("{name}: the file is empty")))?;
    if matches!(kind(path).as_str(), "fq" | "fastq") {
        let mut records = needletail::parse_fastx_reader(reader).map_err(|e| bad(format!("{name}: {e}")))?;
        while let Some(record) = records.next() {
            let record = record.map_err(|e| bad(format!("{name}: {e}")))?;
            if !take(Piece::Record(first_word(record.id())))? || !take(Piece::Symbols(&record.seq()))? {
                break;
            }
        }
        return Ok(());
    }
    let fasta = first == b'>';
    if !fasta && !take(Piece::Record(name.clone()))? {
        return Ok(());
    }
    // Of a FASTA file: whether a line begins, and the header that is being read. Of raw bytes: line breaks that may be final.
    let (mut line_start, mut header, mut held) = (true, None::<Vec<u8>>, Vec::new());
    loop {
        let buffer = reader.fill_buf().map_err(fail)?;
        let len = buffer.len();
        if len == 0 {
            break;
        }
        let mut goes_on = true;
        if fasta {
            for line in buffer.split_inclusive(|&b| b == b'\n') {
                if line_start && line[0] == b'>' {
                    header = Some(Vec::new());
                }
                line_start = line.ends_with(b"\n");
                if let Some(h) = &mut header {
                    h.extend_from_slice(line);
                    if line_start && let Some(h) = header.take() {
                        goes_on = take(Piece::Record(first_word(&h[1..])))?;
                    }
                } else {
                    for part in line.split(u8::is_ascii_whitespace).filter(|part| !part.is_empty()) {
                        goes_on = take(Piece::Symbols(part))?;
                    }
                }
                if !goes_on {
                    return Ok(());
                }
            }
        } else {
            let end = buffer.iter().rposition(|b| !b"\r\n".contains(b)).map_or(0, |i| i + 1);
            if end > 0 {
                goes_on = (held.is_empty() || take(Piece::Symbols(&held))?) && take(Piece::Symbols(&buffer[..end]))?;
                held.clear();
            }
            held.extend_from_slice(&buffer[end..]);
        }
        if !goes_on {
            return Ok(());
        }
        reader.consume(len);
    }
    if let Some(h) = header {
        take(Piece::Record(first_word(&h[1..])))?;
    }
    Ok(())
}

fn first_word(header: &[u8]) -> String {
    String::from_utf8_lossy(header).split_whitespace().next().unwrap_or("").to_owned()
}

/// Records `(name, sequence)` of a [`text`] as a whole.
pub fn sequences(path: &Path) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let mut out: Vec<(String, Vec<u8>)> = Vec::new();
    text(path, |piece| {
        match piece {
            Piece::Record(name) => out.push((name, Vec::new())),
            Piece::Symbols(part) => out.last_mut().expect("a record began").1.extend_from_slice(part),
        }
        Ok(true)
    })?;
    Ok(out)
}

//! The embedded real data under `examples/data`; sources and licences in its `LICENSES.md`.
use std::io::Read;
use std::path::{Path, PathBuf};

use samplewise_linalg::Matrix;

/// Path of a fixture.
pub fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/data").join(name)
}

/// Where `scripts/fetch_data.py` puts the full data sets.
pub fn full_data(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("SAMPLEWISE_DATA")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/data"), PathBuf::from);
    Some(folder.join(name)).filter(|p| p.exists())
}

/// A table: header, then rows of text.
pub struct Table {
    /// Column names.
    pub header: Vec<String>,
    /// Number of rows.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// Position of a column.
    pub fn column(&self, name: &str) -> usize {
        self.header.iter().position(|h| h == name).unwrap_or_else(|| panic!("no column {name}"))
    }

    /// A column as numbers.
    pub fn numbers(&self, name: &str) -> Vec<f64> {
        let j = self.column(name);
        self.rows.iter().map(|r| r[j].parse().unwrap_or_else(|_| panic!("{} is not a number", r[j]))).collect()
    }
}

/// Reads a fixture table (`.csv.gz`).
pub fn table(name: &str) -> Table {
    parse(text(name).as_bytes())
}

/// Reads a table of the full data.
pub fn full_table(path: &Path) -> Table {
    parse(&std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
}

fn parse(bytes: &[u8]) -> Table {
    let mut reader = csv::Reader::from_reader(bytes);
    let header = reader.headers().expect("table has a header").iter().map(str::to_owned).collect();
    let rows = reader.records().map(|r| r.expect("table row").iter().map(str::to_owned).collect()).collect();
    Table { header, rows }
}

/// Reads a fixture as text, decompressing `.gz`.
pub fn text(name: &str) -> String {
    let bytes = std::fs::read(path(name)).unwrap_or_else(|e| panic!("fixture {name}: {e}"));
    let mut out = String::new();
    if Path::new(name).extension().is_some_and(|e| e == "gz") {
        flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_string(&mut out).expect("fixture is gzip");
    } else {
        out = String::from_utf8(bytes).expect("fixture is text");
    }
    out
}

/// Records `(name, sequence)` of a FASTA fixture.
pub fn fasta(name: &str) -> Vec<(String, Vec<u8>)> {
    let text = text(name);
    let mut reader = needletail::parse_fastx_reader(text.as_bytes()).expect("fixture is FASTA");
    let mut out = Vec::new();
    while let Some(record) = reader.next() {
        let record = record.expect("fixture record");
        out.push((String::from_utf8_lossy(record.id()).into_owned(), record.seq().into_owned()));
    }
    out
}

/// GB1 crop: row names, column names and `(row, column, value)` of the measured double mutants.
pub fn gb1() -> (Vec<String>, Vec<String>, Vec<(usize, usize, f64)>) {
    let table = table("gb1_crop.csv.gz");
    let (mut rows, mut columns, mut entries) = (Vec::new(), Vec::new(), Vec::new());
    let intern = |names: &mut Vec<String>, name: &str| {
        names.iter().position(|n| n == name).unwrap_or_else(|| {
            names.push(name.to_owned());
            names.len() - 1
        })
    };
    for r in &table.rows {
        let entry = (intern(&mut rows, &r[0]), intern(&mut columns, &r[1]), r[2].parse().expect("a number"));
        entries.push(entry);
    }
    (rows, columns, entries)
}

/// All measured GB1 double mutants, of a file of `scripts/fetch_data.py`: names of the single mutants and, for each pair,
/// their numbers in ascending order and the fitness.
pub fn full_gb1(path: &Path) -> (Vec<String>, Vec<(usize, usize, f64)>) {
    const WILD_TYPE: &[u8] = b"QYKLILNGKTLKGETTTEAVDAATAEKVFKQYANDNGVDGEWTYDDATKTFTVTE";
    let table = full_table(path);
    let (x, y) = (table.column("x"), table.numbers("y"));
    let mut numbers = std::collections::BTreeMap::new();
    let mut pairs = Vec::new();
    for (row, value) in table.rows.iter().zip(y) {
        let changed: Vec<(usize, u8)> = row[x].bytes().enumerate().filter(|&(i, b)| b != WILD_TYPE[i]).collect();
        if let [a, b] = changed[..] {
            let count = numbers.len();
            let first = *numbers.entry(a).or_insert(count);
            let count = numbers.len();
            let second = *numbers.entry(b).or_insert(count);
            pairs.push((first, second, value));
        }
    }
    let mut names = vec![String::new(); numbers.len()];
    for ((i, b), number) in numbers {
        names[number] = format!("{}{}{}", WILD_TYPE[i] as char, i + 2, b as char);
    }
    (names, pairs)
}

/// The measured variants of an RNA splice site, `(code, log10 percent spliced in)`, codes below 2^15.
///
/// A site is `NNN G [UC] NNNN`: two bits for each free base (A 00, C 01, G 10, U 11) and one for U or C, the first base
/// in the highest bits.
pub fn mpsa() -> Vec<(u64, f64)> {
    let table = table("mpsa.csv.gz");
    let code = |site: &str| {
        site.bytes().enumerate().filter(|(i, _)| *i != 3).fold(0, |m, (i, b)| {
            let bits = match b {
                b'A' => 0,
                b'C' => 1,
                b'G' => 2,
                _ => 3,
            };
            if i == 4 { m << 1 | u64::from(b == b'C') } else { m << 2 | bits }
        })
    };
    table.rows.iter().zip(table.numbers("y")).map(|(r, y)| (code(&r[0]), y)).collect()
}

/// The same measurements as [`mpsa`], each site as a word of nine letters of `ACGU`.
pub fn mpsa_words() -> (Vec<String>, Vec<f64>) {
    let table = table("mpsa.csv.gz");
    (table.rows.iter().map(|r| r[0].clone()).collect(), table.numbers("y"))
}

/// Handwritten digits: 1,797 images of 64 pixels (0 to 1) and their labels.
pub fn digits() -> (Matrix, Vec<usize>) {
    let table = table("digits.csv.gz");
    let x = Matrix::from_fn(table.rows.len(), 64, |i, j| table.rows[i][j].parse::<f64>().expect("a pixel") / 16.0);
    let y = table.rows.iter().map(|r| r[64].parse().expect("a label")).collect();
    (x, y)
}

//! What is done with the bytes of a file, one function for each reader. The fuzz targets and the test of the corpus call
//! them. Each must end soon, without a panic and without more memory than a few times the bytes and a constant; what is read
//! must be the same however the bytes come, and what is stored must be the same bytes when it is stored again.
use std::io::{BufReader, Cursor};

use samplewise_cli::cells::{Header, column, list, names_numbers, select};
use samplewise_cli::choices::Repeated;
use samplewise_cli::commands::complete::triplets::{Ids, looks_like_header, pairs_of, read_from};
use samplewise_cli::commands::hamming::decode::{Decode, Tokens};
use samplewise_cli::commands::lasso::groups::groups_of;
use samplewise_cli::commands::mtrl::read::costs_of;
use samplewise_cli::commands::wht::exec::answers_of;
use samplewise_cli::input::{Table, decompressed, vector_of};
use samplewise_cli::records::Records;
use samplewise_cli::sequences::{Piece, sequences_of, text_of};
use samplewise_completion::{Entries, Model};
use samplewise_hamming::PackedDna;
use samplewise_lasso::Design;
use samplewise_linalg::envelope::{Kind, seal};
use samplewise_linalg::factor::Cholesky;
use samplewise_linalg::gram::GramSummary;
use samplewise_linalg::{CsrMatrix, Matrix, Summary};
use samplewise_mtrl::{Budget, TaskData, TaskOracle, learn};
use samplewise_sensitivity::{Block, StreamingCoreset};
use samplewise_wht::{Bits, Plan, PlanSpec, Wide};

/// A function and its name, which is also that of its fuzz target and of the folder of its corpus.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
#[allow(dead_code, reason = "a fuzz target calls one of them")]
pub const TARGETS: [Target; 16] = [
    ("columns", columns),
    ("completion_model", completion_model),
    ("coreset", coreset),
    ("costs", costs),
    ("gram_summary", gram_summary),
    ("groups", groups),
    ("gzip", gzip),
    ("log", log),
    ("matrix_market", matrix_market),
    ("packed_dna", packed_dna),
    ("plan", plan),
    ("sequences", sequences),
    ("table", table),
    ("task_data", task_data),
    ("triplets", triplets),
    ("vector", vector),
];

const HEADERS: [Header; 3] = [Header::Detect, Header::Given, Header::Absent];

/// Sizes up to which something is computed from what was read.
const SMALL: usize = 8;

/// A stream that gives so many bytes at a time.
fn stream(data: &[u8], step: usize) -> BufReader<Cursor<Vec<u8>>> {
    BufReader::with_capacity(step, Cursor::new(data.to_vec()))
}

/// Header and rows with their lines, by the reader of single records.
fn records_of(data: &[u8], ending: &str, header: Header) -> Option<(Vec<String>, Vec<(u64, Vec<String>)>)> {
    let name = ("file".to_owned(), ending, false);
    let looks = |first: &[String]| names_numbers("file", first);
    let mut records = Records::of(Box::new(stream(data, 3)), name, header, looks).ok()?;
    let mut rows = Vec::new();
    while records.read_next().ok()? {
        rows.push((records.line(), records.record.iter().map(str::to_owned).collect()));
    }
    Some((records.header, rows))
}

/// Tables of cells: as a whole and record by record, then as numbers.
pub fn table(data: &[u8]) {
    for (header, ending) in HEADERS.into_iter().flat_map(|h| ["csv", "tsv", "data"].map(|e| (h, e))) {
        let whole = Table::of(data, "file", ending, header, |first| names_numbers("file", first));
        let single = records_of(data, ending, header).filter(|r| !r.1.is_empty());
        let Ok(table) = whole else {
            assert!(single.is_none(), "read record by record only, as {ending} with {header:?}");
            continue;
        };
        let rows = table.lines.iter().copied().zip(table.rows.iter().cloned()).collect();
        assert_eq!(single, Some((table.header.clone(), rows)), "as {ending} with {header:?}");
        let all = table.select("all", &[]);
        if let Ok(columns) = &all
            && let Ok(matrix) = table.matrix(columns, true)
        {
            assert_eq!((matrix.rows(), matrix.columns()), (table.rows.len(), columns.len() + 1));
            assert!(matrix.as_slice().iter().all(|v| v.is_finite()));
        }
        for title in &table.header {
            let _ = table.column(title).and_then(|j| table.numbers(j));
        }
    }
}

/// Lists of columns: the first line is the header, the others are lists.
pub fn columns(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.split('\n');
    let header = list(lines.next().unwrap_or_default());
    for wanted in lines {
        if let Ok(j) = column("file", &header, wanted) {
            assert!(j < header.len());
        }
        if let Ok(chosen) = select("file", &header, wanted, &[0]) {
            assert!(!chosen.is_empty() && chosen.iter().all(|j| *j < header.len()));
        }
    }
}

/// Triplets with every policy for repeated pairs, and the same file as pairs to predict.
pub fn triplets(data: &[u8]) {
    let asked = ["2,1,0", "0,1,2,3"].map(list);
    for repeats in [Repeated::Error, Repeated::Mean, Repeated::First, Repeated::Last, Repeated::Sum] {
        for asked in [None, Some(&asked[0][..]), Some(&asked[1][..])] {
            let name = ("file".to_owned(), "csv", false);
            let Ok(records) = Records::of(Box::new(stream(data, 5)), name, Header::Detect, looks_like_header(asked))
            else {
                continue;
            };
            let (mut rows, mut columns) = (Ids::default(), Ids::default());
            let Ok(found) = read_from(records, repeats, asked, &mut rows, &mut columns) else { continue };
            assert!(found.entries.iter().all(|e| e.0 < rows.len() && e.1 < columns.len()));
            assert_eq!((rows.in_order().len(), columns.in_order().len()), (rows.len(), columns.len()));
            let entries = Entries::new(rows.len(), columns.len(), &found.entries, found.weights.as_deref());
            assert!(
                repeats == Repeated::Sum || repeats == Repeated::Mean || found.weights.is_some() || entries.is_ok()
            );
            if asked.is_none()
                && let Ok(pairs) = Table::of(data, "file", "csv", Header::Detect, |_| found.named)
            {
                let pairs = pairs_of(&pairs, &found.names).expect("triplets begin with pairs");
                let known = |[row, column]: &[String; 2]| rows.get(row).is_some() && columns.get(column).is_some();
                assert!(pairs.iter().all(known));
            }
        }
    }
}

/// Groups of columns.
pub fn groups(data: &[u8]) {
    let names = ["a", "b", "c d", "0"].map(str::to_owned);
    let Ok(table) = Table::of(data, "file", "csv", Header::Given, |_| true) else { return };
    let Ok((groups, titles)) = groups_of(&table, &names) else { return };
    let mut all: Vec<usize> = groups.concat();
    all.sort_unstable();
    assert_eq!((all, groups.len()), ((0..names.len()).collect(), titles.len()));
}

/// Prices of tasks.
pub fn costs(data: &[u8]) {
    let names = ["a", "b c"].map(str::to_owned);
    let Ok(table) = Table::of(data, "file", "csv", Header::Given, |_| true) else { return };
    let Ok(costs) = costs_of(&table, &names) else { return };
    assert_eq!(costs.len(), names.len());
    for cost in costs {
        let _ = cost.total(3);
    }
}

/// Answers that a log has.
pub fn log(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let first = text.find(' ').unwrap_or(0);
    for variables in [0, 3, first] {
        let Ok((known, whole)) = answers_of(text, "file", variables) else { continue };
        assert!(known.iter().all(|(query, value)| query.len() == variables && value.is_finite()));
        // What is kept is read the same again.
        let again = answers_of(&text[..whole], "file", variables);
        assert_eq!(again.ok(), Some((known, whole)));
    }
}

/// Vectors as text or `.npy`.
pub fn vector(data: &[u8]) {
    if let Ok(values) = vector_of(data, "file") {
        assert!(values.len() <= data.len() && values.iter().all(|v| v.is_finite()));
    }
}

/// Compressed files: a byte holds at most 1032 others.
pub fn gzip(data: &[u8]) {
    if let Ok(out) = decompressed(data.to_vec(), "file") {
        assert!(!out.is_empty() && out.len() <= 1032 * data.len());
    }
}

/// FASTA, FASTQ and raw texts, then as numbers between blanks.
pub fn sequences(data: &[u8]) {
    for ending in ["fa", "fq", ""] {
        let whole = sequences_of(data, "file", ending, false).ok();
        let parts = sequences_of(stream(data, 2), "file", ending, false).ok();
        assert_eq!(whole, parts, "as {ending:?}");
        let Some(records) = whole else { continue };
        assert!(records.iter().map(|r| r.1.len()).sum::<usize>() <= data.len());
        let mut seen = 0;
        let stopped = text_of(stream(data, 7), "file", ending, false, |piece| {
            seen += usize::from(matches!(piece, Piece::Record(_)));
            Ok(seen < 2)
        });
        assert!(stopped.is_ok() && seen == records.len().min(2));
        for (_, symbols) in &records {
            let numbers = |step: usize| {
                let (mut decode, mut out) = (Tokens::default(), Vec::new());
                symbols.chunks(step).try_for_each(|part| decode.feed(part, &mut out)).ok()?;
                decode.end(&mut out).ok().map(|()| out)
            };
            assert_eq!(numbers(1), numbers(symbols.len().max(1)));
            if let Ok(packed) = PackedDna::from_letters(symbols) {
                assert!(packed.to_letters().eq_ignore_ascii_case(symbols));
            }
        }
    }
}

/// Packed letters: a length, then the bytes.
pub fn packed_dna(data: &[u8]) {
    let Some((len, bytes)) = data.split_first_chunk::<8>() else { return };
    let Ok(packed) = PackedDna::from_bytes(bytes.to_vec(), u64::from_le_bytes(*len) as usize) else { return };
    let letters = packed.to_letters();
    assert_eq!(letters.len(), packed.len());
    assert_eq!(PackedDna::from_letters(&letters).as_ref(), Ok(&packed));
    assert_eq!(PackedDna::from_bytes(packed.as_bytes().to_vec(), packed.len()), Ok(packed));
}

/// Sparse matrices, and a Lasso on small ones.
pub fn matrix_market(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(x) = CsrMatrix::from_matrix_market(text) else { return };
    assert!(x.nnz() <= data.len() && x.values().iter().all(|v| v.is_finite()));
    if x.rows() > SMALL || x.columns() > SMALL {
        return;
    }
    let Ok(design) = Design::sparse(&x) else { return };
    let y: Vec<f64> = (0..x.rows()).map(|i| (i * i % 5) as f64 - 1.5).collect();
    let options = samplewise_lasso::Options { max_iterations: 50, ..samplewise_lasso::Options::default() };
    let _ = samplewise_lasso::solve(&design, &y, 0.1, &options);
}

/// Plans of a transform; small ones decode the answers of a function with one term.
pub fn plan(data: &[u8]) {
    fn decode<I: Bits>(spec: &PlanSpec) {
        let small = spec.variables <= SMALL && spec.verification <= 1 << 10;
        let few = |spec: &PlanSpec| {
            let bins = spec.group_bits.iter().map(|b| 1_u128.checked_shl(*b as u32).unwrap_or(u128::MAX));
            let asked = bins.zip(&spec.group_offsets).map(|(b, p)| b.saturating_mul(*p as u128));
            asked.fold(spec.points as u128, u128::saturating_add) <= 1 << 10
        };
        // A plan of many queries is as large as its queries.
        if !few(spec) {
            return;
        }
        let Ok(plan) = Plan::<I>::for_bits_from_spec(spec.clone()) else { return };
        let again: PlanSpec = serde_json::from_str(&serde_json::to_string(plan.spec()).expect("a plan is JSON"))
            .expect("what was written can be read");
        assert_eq!(&again, spec);
        if small {
            let answers = plan.answers_of(&[(I::from_low(1), 2.0)]);
            plan.decode(&answers).expect("there are as many answers as queries");
            assert!(plan.decode(&[0.0]).is_err() || answers.len() == 1);
        }
    }
    let Ok(spec) = serde_json::from_slice::<PlanSpec>(data) else { return };
    match spec.variables {
        0..=64 => decode::<u64>(&spec),
        65..=256 => decode::<Wide<4>>(&spec),
        _ => decode::<Wide<16>>(&spec),
    }
}

/// The eight bytes at a place, zero behind the end.
fn word(data: &[u8], at: usize) -> u64 {
    data.get(at..).and_then(<[u8]>::first_chunk::<8>).map_or(0, |w| u64::from_le_bytes(*w))
}

/// The data as they are, and as a body in an envelope that is right, with the rows given.
fn sealed(kind: Kind, data: &[u8], rows: u64, read: impl Fn(&[u8])) {
    read(data);
    read(&seal(kind, 1, rows, data));
}

/// Sums of least squares.
pub fn gram_summary(data: &[u8]) {
    sealed(Kind::Gram, data, word(data, 8), |bytes| {
        let Ok(mut summary) = GramSummary::from_bytes(bytes) else { return };
        assert_eq!(summary.to_bytes(), bytes);
        let totals = summary.clone().finish().expect("sums are always there");
        let d = totals.right.len();
        assert!(totals.squares >= 0.0 && (totals.matrix.rows(), totals.matrix.columns()) == (d, d));
        let _ = summary.merge(summary.clone());
        let _ = summary.update((Matrix::from_fn(2, d, |i, j| (i + j) as f64).view(), &[1.0, -1.0]));
        let mut solution = totals.right;
        if let Ok(factor) = Cholesky::new(&totals.matrix, 1.0) {
            factor.solve_in_place(&mut solution);
        }
        if let Ok(other) = GramSummary::new(d + 1) {
            assert!(summary.merge(other).is_err());
        }
    });
}

/// Coresets of streams.
pub fn coreset(data: &[u8]) {
    sealed(Kind::Coreset, data, word(data, 40), |bytes| {
        let Ok(mut stream) = StreamingCoreset::from_bytes(bytes) else { return };
        assert_eq!(stream.to_bytes(), bytes);
        let held = stream.held();
        assert!(held.len() <= bytes.len() && held.is_sorted());
        // The number of columns is the fifth word of the body.
        let columns = word(bytes, 40 + 4 * 8) as usize;
        if columns <= SMALL {
            let _ = stream.clone().finish();
            let rows = Matrix::from_fn(5, columns, |i, j| ((i + 1) * (j + 2) % 7) as f64);
            for first in [0, word(bytes, 40 + 6 * 8), 1 << 40, u64::MAX - 2] {
                let _ = stream.update(Block { first, rows: rows.view() });
            }
            let _ = stream.finish();
        }
        let same = StreamingCoreset::from_bytes(bytes).expect("it was read before");
        let mut twice = same.clone();
        assert!(twice.merge(same).is_err() || word(bytes, 40 + 5 * 8) == 0);
    });
}

/// Sources of three rows for a target.
struct Sources(usize);

impl TaskOracle for Sources {
    fn tasks(&self) -> usize {
        2
    }
    fn draw(&mut self, task: usize, count: usize) -> Result<(Matrix, Vec<f64>), samplewise_mtrl::Error> {
        let x = Matrix::from_fn(count.min(3), self.0, |i, j| ((i * 3 + j * 5 + task) % 7) as f64 - 3.0);
        let y = (0..x.rows()).map(|i| x.row(i).iter().sum()).collect();
        Ok((x, y))
    }
}

/// The data of a task.
pub fn task_data(data: &[u8]) {
    sealed(Kind::Task, data, word(data, 16), |bytes| {
        let Ok(mut task) = TaskData::from_bytes(bytes) else { return };
        assert_eq!(task.to_bytes(), bytes);
        // The envelope has the rows too.
        assert!(task.square() >= 0.0 && task.samples() as u64 == word(bytes, 24));
        let d = task.features();
        assert!(task.gram_times(&Matrix::zeros(d + 1, 1)).is_err());
        let basis = Matrix::from_fn(d, 1, |i, _| 1.0 / (i + 1) as f64);
        let _ = task.gram_times(&basis);
        let _ = task.weights(&basis, 0.1);
        if d > 0 && d <= 3 {
            let _ = learn(&mut Sources(d), &[task.clone()], Budget::Samples(6), &samplewise_mtrl::Options::default());
        }
        let _ = task.merge(task.clone());
        let _ = task.update((Matrix::from_fn(2, d, |i, j| (i + j) as f64).view(), &[1.0, -1.0]));
        let _ = task.weights(&basis, 0.1);
    });
}

/// Models of completions.
pub fn completion_model(data: &[u8]) {
    sealed(Kind::Completion, data, 0, |bytes| {
        let Ok(model) = Model::from_bytes(bytes) else { return };
        assert_eq!(model.to_bytes(), bytes);
        let (rows, columns) = (model.rows(), model.columns());
        assert_eq!(model.transposed().transposed(), model);
        assert!(model.predict_many(&[(rows, 0)]).is_err() && model.top(rows, 1, &[]).is_err());
        let _ = model.fold_in(&[], 0.1);
        if rows > 0 && columns > 0 {
            let _ = (model.predict(rows - 1, columns - 1), model.rmse(&[(0, 0, 1.0)]));
            assert_eq!(model.top(0, 2, &[0]).map(|t| t.len()), Ok((columns - 1).min(2)));
            if let Ok(row) = model.fold_in(&[(columns - 1, 1.0)], 0.1) {
                let _ = (model.predict_folded(&row, 0), model.top_of(&row, 1, &[]));
            }
            let block = Entries::new(1, columns, &[(0, 0, 1.0)], None).expect("one entry");
            let _ = model.update_rows(&block, 0.1, 1.0);
        }
    });
}

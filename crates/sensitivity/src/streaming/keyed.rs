//! Coresets of rows that have keys and come in any order, from any number of parts (row SEN-32).
//!
//! Engines for tables beyond one machine give rows in any order, and may give a part other rows each time. Here nothing depends
//! on the order: a row's fate is decided by the hash of its key and by sums that are held in twice the precision
//! ([`samplewise_linalg::gram::Moments`]).
use samplewise_linalg::envelope::{self, Kind, Reader, Writer};
use samplewise_linalg::gram::{FoldedMoments, Moments};
use samplewise_linalg::keys::checksum;
use samplewise_linalg::random::Streams;
use samplewise_linalg::{LinalgError, Matrix, MatrixView, Summary};

use super::candidates::{Candidates, rate};
use super::{MAX_SIZE, StreamOptions, StreamedCoreset};
use crate::Error;
use crate::power::check_exponent;
use crate::scores::Method;

/// Rows with their keys, one for each row.
#[derive(Clone, Copy, Debug)]
pub struct KeyedRows<'a> {
    /// The key of each row: a number that identifies it ([`samplewise_linalg::keys`]). Rows with the same key share their luck.
    pub keys: &'a [u64],
    /// The rows.
    pub rows: MatrixView<'a>,
}

/// A coreset in the making, of rows that have keys: rows may come in any order and any number of parts, and parts may be merged
/// in any order, also after a trip through bytes; the coreset has the same bits ([`Moments`] says how sure that is).
///
/// It has the rows of a [`super::StreamingCoreset`] whose row numbers are the keys, and its weights to `10⁻¹⁰`. Memory
/// about `4·size` rows and `8·d²` bytes. Where columns are beyond condition 1e7, or depend on others to nine digits but not
/// exactly, no row can be given up: then, beyond [`KeyedCoreset::with_limit`] rows, it is an error that names the columns.
///
/// Rows that came twice cannot be told from others: compare [`KeyedCoreset::seen`] and [`KeyedCoreset::checksum`] with what is
/// expected, as each further pass over the same table does.
///
/// Row SEN-32 of `paper-refs.md`.
///
/// ```
/// use samplewise_sensitivity::{KeyedCoreset, KeyedRows, Matrix, Method, StreamOptions, Summary};
/// let options = StreamOptions { p: 1.0, method: Method::RootLeverage, size: 200, seed: 7 };
/// let table = Matrix::from_fn(30_000, 3, |i, j| ((i * (j + 3)) % 101) as f64 - 50.0);
/// let part = |rows: Vec<usize>| -> Result<KeyedCoreset, Box<dyn std::error::Error>> {
///     let keys: Vec<u64> = rows.iter().map(|&i| i as u64).collect();
///     let mut out = KeyedCoreset::new(3, &options)?;
///     out.update(KeyedRows { keys: &keys, rows: table.select_rows(&rows).view() })?;
///     Ok(out)
/// };
/// let whole = part((0..30_000).collect())?;
/// let mut halves = part((0..30_000).rev().filter(|i| i % 2 == 0).collect())?;
/// halves.merge(part((0..30_000).filter(|i| i % 2 == 1).collect())?)?;
/// assert_eq!(halves.checksum(), whole.checksum());
/// assert_eq!(halves.finish()?, whole.finish()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct KeyedCoreset {
    options: StreamOptions,
    moments: Moments,
    /// Sum of the hashed keys: two of the same rows have the same.
    checksum: u64,
    candidates: Candidates,
    due: usize,
    limit: usize,
    /// The Gram matrix of all rows, the rows and their checksum, where an earlier pass has told them.
    known: Option<Known>,
}

#[derive(Clone, Debug, PartialEq)]
struct Known {
    gram: Matrix,
    rows: u64,
    checksum: u64,
}

const FORMAT: u16 = 1;
/// Least number of candidates that are thinned.
const FEW: usize = 4_096;
const METHODS: [Method; 3] = [Method::Uniform, Method::Leverage, Method::RootLeverage];

impl KeyedCoreset {
    /// No rows yet, of so many columns.
    ///
    /// # Errors
    /// [`Error::Argument`] for an exponent outside 1 to 64 (2 for root leverage), [`Error::Stream`] for methods that cannot be had
    /// so, [`Error::Size`], [`Error::Data`] for no columns or too many.
    pub fn new(columns: usize, options: &StreamOptions) -> Result<Self, Error> {
        check_exponent(options.p)?;
        if columns == 0 {
            return Err(LinalgError::Empty { argument: "columns" }.into());
        }
        if options.size == 0 || options.size > MAX_SIZE {
            return Err(Error::Size { size: options.size, least: 1, rows: MAX_SIZE });
        }
        if !METHODS.contains(&options.method) {
            return Err(Error::Stream);
        }
        if options.method == Method::RootLeverage && options.p > 2.0 {
            return Err(Error::argument("p", options.p, "1 to 2 for root leverage in a stream"));
        }
        let due = options.size.saturating_mul(4).max(FEW);
        Ok(Self {
            options: *options,
            moments: Moments::new(columns)?,
            checksum: 0,
            candidates: Candidates::default(),
            due,
            limit: options.size.saturating_mul(64).max(4 * due),
            known: None,
        })
    }

    /// With another limit of the rows held; by default 64 times the size, 16,384 at least.
    #[must_use]
    pub fn with_limit(self, rows: usize) -> Self {
        Self { limit: rows.max(self.due), ..self }
    }

    /// A second pass over the rows of a first one: it holds the rows of the coreset only, and ends with an error where the rows
    /// are not those of the first pass. The coreset is the same.
    ///
    /// # Errors
    /// [`Error::Data`] where the first pass has seen no row.
    pub fn again(&self) -> Result<Self, Error> {
        if self.seen() == 0 {
            return Err(LinalgError::Empty { argument: "first pass" }.into());
        }
        let known = Known { gram: self.moments.products(), rows: self.seen(), checksum: self.checksum };
        let mut out = Self::new(self.columns(), &self.options)?;
        (out.known, out.limit) = (Some(known), self.limit);
        Ok(out)
    }

    /// As [`KeyedCoreset::again`], after a first pass that has only summed up the rows, about zero: nothing but these sums travels
    /// in it.
    ///
    /// # Errors
    /// As [`KeyedCoreset::new`]; [`Error::Data`] for sums of no rows, or about another origin.
    pub fn after(sums: &FoldedMoments, options: &StreamOptions) -> Result<Self, Error> {
        if sums.rows() == 0 {
            return Err(LinalgError::Empty { argument: "first pass" }.into());
        }
        let all = sums.all()?;
        let totals = all.clone().finish()?;
        if let Some(&value) = totals.origin.iter().find(|o| **o != 0.0) {
            return Err(LinalgError::OutOfRange { argument: "origin of the sums", value, allowed: "0" }.into());
        }
        let mut out = Self::new(all.columns(), options)?;
        out.known = Some(Known { gram: all.products(), rows: sums.rows(), checksum: sums.checksum() });
        Ok(out)
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.moments.columns()
    }

    /// Number of rows that were seen.
    pub fn seen(&self) -> u64 {
        self.moments.rows()
    }

    /// [`checksum`] of the keys of the rows seen.
    pub fn checksum(&self) -> u64 {
        self.checksum
    }

    /// Number of rows held.
    pub fn held(&self) -> usize {
        self.candidates.len()
    }

    /// Sums of the rows seen.
    pub fn moments(&self) -> &Moments {
        &self.moments
    }

    fn bad(reason: &'static str) -> LinalgError {
        LinalgError::Bytes { kind: Kind::KeyedCoreset.name(), reason }
    }

    /// Gives up the rows that the sums so far already rule out: before bytes travel, this makes them few.
    ///
    /// # Errors
    /// [`LinalgError::TooLarge`] where more rows than the limit have to be held.
    pub fn compact(&mut self) -> Result<(), LinalgError> {
        let (gram, rows) = self.gram();
        let factor = self.candidates.rule_out(&self.options, &gram, rows)?;
        if self.held() > self.limit {
            let kept = factor.map_or_else(Vec::new, |(f, _)| f.kept);
            let dependent: Vec<usize> = (0..gram.rows()).filter(|j| !kept.contains(j)).collect();
            return Err(held_too_many(self.held(), self.limit, gram.rows(), &dependent));
        }
        self.due = self.options.size.saturating_mul(4).max(FEW).max(2 * self.held());
        Ok(())
    }

    /// The Gram matrix and the number of the rows so far, or of all where an earlier pass has told them.
    fn gram(&self) -> (Matrix, u64) {
        self.known.as_ref().map_or_else(|| (self.moments.products(), self.seen()), |k| (k.gram.clone(), k.rows))
    }

    /// A second pass must see the rows of the first.
    fn check_known(&self) -> Result<(), LinalgError> {
        match &self.known {
            Some(known) if (known.rows, known.checksum) != (self.seen(), self.checksum) => Err(Self::bad(
                "its rows are not those of the pass before: the table changed, or part of it is made anew each time it is read",
            )),
            _ => Ok(()),
        }
    }

    fn thin(&mut self) -> Result<(), LinalgError> {
        if self.held() < self.due { Ok(()) } else { self.compact() }
    }
}

fn held_too_many(held: usize, limit: usize, columns: usize, dependent: &[usize]) -> LinalgError {
    let which = if dependent.is_empty() {
        "columns that depend on others nearly, or a size that most rows exceed".to_owned()
    } else {
        format!("columns {dependent:?} that depend on others nearly")
    };
    let expected =
        format!("at most {limit} rows; because of {which} no row can be given up: centre columns, or leave some out");
    LinalgError::Shape { argument: "what has to be held", rows: held, columns, expected }
}

impl Summary for KeyedCoreset {
    type Input<'a> = KeyedRows<'a>;
    type Output = StreamedCoreset;

    fn update(&mut self, KeyedRows { keys, rows }: KeyedRows<'_>) -> Result<(), LinalgError> {
        if keys.len() != rows.rows() {
            return Err(LinalgError::Length { argument: "keys", given: keys.len(), expected: rows.rows() });
        }
        // It looks at the rows first, and changes nothing where they are not allowed.
        self.moments.update((rows, None))?;
        let hash = Streams::new(self.options.seed);
        self.checksum = self.checksum.wrapping_add(checksum(keys));
        // A row whose hash is above the rate is out whatever its score, which is at most one.
        let seen = self.known.as_ref().map_or(self.seen(), |k| k.rows);
        let most = rate(&self.options, seen, self.columns()) * (1.0 + 1e-9);
        rows.for_each_row(|i, row| {
            if hash.uniform(keys[i]) < most {
                self.candidates.numbers.push(keys[i]);
                self.candidates.data.extend_from_slice(row);
            }
        });
        self.thin()
    }

    fn merge(&mut self, other: Self) -> Result<(), LinalgError> {
        if (other.columns(), other.options) != (self.columns(), self.options) {
            return Err(Self::bad("columns or options differ"));
        }
        if other.known != self.known {
            return Err(Self::bad("they are of different passes"));
        }
        self.moments.merge(other.moments)?;
        self.checksum = self.checksum.wrapping_add(other.checksum);
        self.candidates.extend(other.candidates);
        self.limit = self.limit.min(other.limit);
        self.thin()
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.count(METHODS.iter().position(|m| *m == self.options.method).expect("one of the three"));
        out.count(self.options.size);
        out.word(self.options.seed);
        out.number(self.options.p);
        out.count(self.limit);
        out.word(self.checksum);
        out.flag(self.known.is_some());
        if let Some(known) = &self.known {
            out.word(known.rows);
            out.word(known.checksum);
            out.numbers(known.gram.as_slice());
        }
        out.bytes(&self.moments.to_bytes());
        out.count(self.held());
        self.candidates.numbers.iter().for_each(|&key| out.word(key));
        out.numbers(&self.candidates.data);
        envelope::seal(Kind::KeyedCoreset, FORMAT, self.seen(), &out.0)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, LinalgError> {
        let (seen, body) = envelope::open(Kind::KeyedCoreset, FORMAT, bytes)?;
        let mut r = Reader::new(Kind::KeyedCoreset, body);
        let method = *METHODS.get(r.count()?).ok_or_else(|| r.bad("unknown method"))?;
        let (size, seed, p) = (r.count()?, r.word()?, r.number()?);
        let (limit, checksum) = (r.count()?, r.word()?);
        let known = if r.flag()? { Some((r.word()?, r.word()?, r.numbers()?)) } else { None };
        let moments = Moments::from_bytes(r.bytes()?)?;
        let columns = moments.columns();
        let mut out = Self::new(columns, &StreamOptions { p, method, size, seed })
            .map_err(|_| r.bad("its options are not allowed"))?;
        if moments.rows() != seen || limit < out.due {
            return Err(r.bad("its rows cannot be counted"));
        }
        (out.moments, out.checksum, out.limit) = (moments, checksum, limit);
        if let Some((rows, checksum, gram)) = known {
            let gram = Matrix::from_vec(columns, columns, gram)?;
            gram.check_finite("Gram matrix")?;
            out.known = Some(Known { gram, rows, checksum });
        }
        let held = r.length(8)?;
        out.candidates.numbers = (0..held).map(|_| r.word()).collect::<Result<_, _>>()?;
        out.candidates.data = r.numbers()?;
        if held.checked_mul(columns) != Some(out.candidates.data.len())
            || !out.candidates.data.iter().all(|v| v.is_finite())
        {
            return Err(r.bad("its rows have the wrong length, or are not finite"));
        }
        if out.held() as u64 > seen {
            return Err(r.bad("it holds more rows than it has seen"));
        }
        r.end()?;
        out.due = out.due.max(2 * out.held());
        Ok(out)
    }

    /// The coreset of all rows, its rows by ascending key.
    ///
    /// # Errors
    /// [`LinalgError::Empty`] without rows; [`LinalgError::Bytes`] where the rows are not those of the first pass;
    /// [`LinalgError::OutOfRange`] for a column whose squares are too small to have kept their digits.
    fn finish(self) -> Result<StreamedCoreset, LinalgError> {
        if self.seen() == 0 {
            return Err(LinalgError::Empty { argument: "stream" });
        }
        self.check_known()?;
        // Squares that have lost their digits are an error, not a column of zeros.
        self.moments.clone().finish()?;
        let (gram, rows) = self.gram();
        self.candidates.coreset(&self.options, &gram, rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Block, StreamingCoreset};
    use samplewise_linalg::random::{normal, shuffle};

    /// Columns of different sizes, the last one rare; with `dependent`, a sum of two others that a few rows do not obey.
    fn table(n: usize, dependent: bool) -> Matrix {
        let mut rng = Streams::new(9).stream(0);
        let mut x = Matrix::from_fn(n, 6, |i, j| match j {
            5 => f64::from(u8::from(i % 1_000 == 17)),
            _ => 10_f64.powi(2 * j as i32 - 4) * normal(&mut rng),
        });
        for i in (0..n).filter(|_| dependent) {
            let row = x.row_mut(i);
            row[4] = row[0] + row[1] + f64::from(u8::from(i % 4_000 == 99));
        }
        x
    }

    fn part(x: &Matrix, options: &StreamOptions, rows: &[usize]) -> KeyedCoreset {
        let mut out = KeyedCoreset::new(x.columns(), options).unwrap();
        add(&mut out, x, rows);
        out
    }

    fn add(out: &mut KeyedCoreset, x: &Matrix, rows: &[usize]) {
        for block in rows.chunks(3_000) {
            let keys: Vec<u64> = block.iter().map(|&i| i as u64).collect();
            out.update(KeyedRows { keys: &keys, rows: x.select_rows(block).view() }).unwrap();
        }
    }

    /// SEN-32: any order of rows, any parts, any tree of merges, bytes between: the same bits; the rows of the coreset by numbers,
    /// and its weights to 1e-10.
    #[test]
    fn keyed_rows_may_come_in_any_order() {
        let mut rng = Streams::new(4).stream(0);
        for (method, dependent) in [
            (Method::RootLeverage, false),
            (Method::RootLeverage, true),
            (Method::Leverage, false),
            (Method::Uniform, false),
        ] {
            let n = 40_000;
            let x = table(n, dependent);
            let options = StreamOptions { p: 1.0, method, size: 300, seed: 3 };
            let mut order: Vec<usize> = (0..n).collect();
            let whole = part(&x, &options, &order);
            assert!(whole.held() < 8_000, "{} rows are held", whole.held());
            let checksum = whole.checksum();
            let whole = whole.finish().unwrap();
            let mut numbered = StreamingCoreset::new(6, &options).unwrap();
            numbered.update(Block { first: 0, rows: x.view() }).unwrap();
            let numbered = numbered.finish().unwrap();
            assert_eq!((&whole.rows, &whole.data, whole.rank), (&numbered.rows, &numbered.data, numbered.rank));
            assert!(whole.weights.iter().zip(&numbered.weights).all(|(a, b)| (a / b - 1.0).abs() < 1e-10));
            for parts in [1, 2, 7, 50] {
                shuffle(&mut rng, &mut order);
                let mut all: Vec<KeyedCoreset> =
                    order.chunks(n.div_ceil(parts)).map(|rows| part(&x, &options, rows)).collect();
                all.push(KeyedCoreset::new(6, &options).unwrap());
                while all.len() > 1 {
                    let (a, mut b) = (all.swap_remove(all.len() / 3), all.pop().unwrap());
                    b.compact().unwrap();
                    b.merge(KeyedCoreset::from_bytes(&a.to_bytes()).unwrap()).unwrap();
                    all.insert(0, b);
                }
                let merged = all.pop().unwrap();
                assert_eq!((merged.checksum(), merged.seen()), (checksum, n as u64));
                assert_eq!(merged.finish().unwrap(), whole, "{parts} parts");
            }
        }
    }

    /// SEN-32: a second pass holds the coreset only and is the same; other rows in it are an error.
    #[test]
    fn a_second_pass_gives_the_same_coreset() {
        let x = table(20_000, false);
        let options = StreamOptions { p: 1.0, method: Method::RootLeverage, size: 200, seed: 1 };
        let mut order: Vec<usize> = (0..20_000).collect();
        let first = part(&x, &options, &order);
        shuffle(&mut Streams::new(2).stream(0), &mut order);
        let parts: Vec<KeyedCoreset> = order
            .chunks(9_000)
            .map(|rows| {
                let mut out = first.again().unwrap();
                add(&mut out, &x, rows);
                out.compact().unwrap();
                assert!(out.held() < 220, "{} rows are held", out.held());
                KeyedCoreset::from_bytes(&out.to_bytes()).unwrap()
            })
            .collect();
        let merged = parts.into_iter().reduce(|mut a, b| {
            a.merge(b).unwrap();
            a
        });
        let merged = merged.unwrap();
        let mut twice = merged.clone();
        add(&mut twice, &x, &[5]);
        assert!(twice.finish().unwrap_err().to_string().contains("pass before"));
        let mut mixed = merged.clone();
        assert!(mixed.merge(first.clone()).is_err());
        let mut other = first.again().unwrap();
        add(&mut other, &x, &order[1..]);
        add(&mut other, &x, &order[1..2]);
        assert!(other.finish().unwrap_err().to_string().contains("pass before"));
        assert_eq!(merged.finish().unwrap(), first.clone().finish().unwrap());
        assert!(KeyedCoreset::new(6, &options).unwrap().again().is_err());
        // A first pass of sums alone says as much.
        let mut sums = FoldedMoments::about(&[0.0; 6], 1, 0).unwrap();
        assert!(KeyedCoreset::after(&sums, &options).is_err());
        let keys: Vec<u64> = (0..20_000).collect();
        sums.update((&keys, x.view(), None)).unwrap();
        let mut second = KeyedCoreset::after(&sums, &options).unwrap();
        add(&mut second, &x, &order);
        assert_eq!(second.finish().unwrap(), first.clone().finish().unwrap());
    }

    #[test]
    fn what_cannot_be_is_an_error_and_changes_nothing() {
        let options = StreamOptions { p: 1.0, method: Method::RootLeverage, size: 20, seed: 1 };
        for bad in [
            StreamOptions { p: 3.0, ..options },
            StreamOptions { p: f64::NAN, ..options },
            StreamOptions { size: 0, ..options },
            StreamOptions { method: Method::Lewis, ..options },
        ] {
            assert!(KeyedCoreset::new(2, &bad).is_err());
        }
        assert!(KeyedCoreset::new(0, &options).is_err() && KeyedCoreset::new(1 << 20, &options).is_err());
        let x = table(50, false);
        let mut one = part(&x, &options, &(0..50).collect::<Vec<_>>());
        let before = one.clone();
        let rows = Matrix::from_fn(2, 6, |i, _| if i == 1 { f64::NAN } else { 1.0 });
        assert!(one.update(KeyedRows { keys: &[1, 2], rows: rows.view() }).is_err());
        assert!(one.update(KeyedRows { keys: &[1], rows: x.select_rows(&[0, 1]).view() }).is_err());
        assert!(one.update(KeyedRows { keys: &[1], rows: Matrix::zeros(1, 5).view() }).is_err());
        assert!(one.merge(KeyedCoreset::new(5, &options).unwrap()).is_err());
        assert!(one.merge(KeyedCoreset::new(6, &StreamOptions { seed: 2, ..options }).unwrap()).is_err());
        assert_eq!(one, before);
        let bytes = one.to_bytes();
        assert!((0..bytes.len()).all(|n| KeyedCoreset::from_bytes(&bytes[..n]).is_err()));
        assert!(KeyedCoreset::new(3, &options).unwrap().finish().is_err());
        // All rows with one key.
        let mut again = KeyedCoreset::new(6, &options).unwrap();
        again.update(KeyedRows { keys: &[7; 50], rows: x.view() }).unwrap();
        let together = again.finish().unwrap();
        assert!(together.rows.iter().all(|&k| k == 7) && together.seen == 50);
        // All rows zero: nothing has a score.
        let mut zero = KeyedCoreset::new(2, &options).unwrap();
        zero.update(KeyedRows { keys: &[1, 2, 3], rows: Matrix::zeros(3, 2).view() }).unwrap();
        let nothing = zero.finish().unwrap();
        assert!(nothing.rows.is_empty() && nothing.rank == 0 && nothing.seen == 3);
    }

    /// Where no row can be given up, memory ends in an error that names the columns.
    #[test]
    fn rows_that_cannot_be_given_up_end_in_an_error() {
        let mut rng = Streams::new(8).stream(0);
        let mut x = Matrix::from_fn(30_000, 3, |_, _| normal(&mut rng));
        for i in 0..30_000 {
            let row = x.row_mut(i);
            row[2] = row[0] + row[1] + 1e-8 * row[2];
        }
        let options = StreamOptions { p: 1.0, method: Method::RootLeverage, size: 100, seed: 1 };
        let mut all = KeyedCoreset::new(3, &options).unwrap().with_limit(8_000);
        let blocks: Vec<Vec<usize>> = (0..30_000).collect::<Vec<_>>().chunks(1_000).map(<[usize]>::to_vec).collect();
        let ended = blocks.iter().find_map(|rows| {
            let keys: Vec<u64> = rows.iter().map(|&i| i as u64).collect();
            all.update(KeyedRows { keys: &keys, rows: x.select_rows(rows).view() }).err()
        });
        let message = ended.expect("more rows than the limit").to_string();
        assert!(message.contains("at most 8000 rows") && message.contains("columns [2]"), "{message}");
    }
}

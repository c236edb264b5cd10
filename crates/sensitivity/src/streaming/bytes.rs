//! A stream as bytes: options, waiting rows, state; little-endian, in the envelope of the facade.
use std::collections::BTreeMap;

use samplewise_linalg::envelope::{self, Kind};
use samplewise_linalg::{LinalgError, Matrix};

use super::reduce::Part;
use super::{State, StreamOptions, StreamingCoreset};
use crate::scores::Method;

const FORMAT: u16 = 1;
const METHODS: [Method; 4] = [Method::Uniform, Method::Leverage, Method::RootLeverage, Method::Lewis];

pub(super) fn write(s: &StreamingCoreset) -> Vec<u8> {
    let mut out = Vec::new();
    let method = METHODS.iter().position(|m| *m == s.options.method).expect("one of the four") as u64;
    let head = [method, s.options.size as u64, s.options.seed, s.options.p.to_bits(), s.columns as u64, s.seen, s.end];
    head.iter().for_each(|v| out.extend(v.to_le_bytes()));
    word(&mut out, s.runs.len() as u64);
    for (first, run) in &s.runs {
        word(&mut out, *first);
        numbers(&mut out, run);
    }
    match &s.state {
        State::Decide(d) => {
            word(&mut out, d.grams.iter().count() as u64);
            for (first, level, g) in d.grams.iter() {
                word(&mut out, first);
                word(&mut out, u64::from(level));
                numbers(&mut out, g.as_slice());
            }
            word(&mut out, d.candidates.len() as u64);
            d.candidates.numbers.iter().for_each(|n| word(&mut out, *n));
            numbers(&mut out, &d.candidates.data);
        }
        State::Reduce(r) => {
            word(&mut out, r.parts.iter().count() as u64);
            for (first, level, part) in r.parts.iter() {
                word(&mut out, first);
                word(&mut out, u64::from(level));
                word(&mut out, part.numbers.len() as u64);
                part.numbers.iter().for_each(|n| word(&mut out, *n));
                numbers(&mut out, &part.weights);
                numbers(&mut out, part.data.as_slice());
            }
        }
    }
    envelope::seal(Kind::Coreset, FORMAT, s.seen, &out)
}

fn word(out: &mut Vec<u8>, v: u64) {
    out.extend(v.to_le_bytes());
}

fn numbers(out: &mut Vec<u8>, values: &[f64]) {
    word(out, values.len() as u64);
    values.iter().for_each(|v| out.extend(v.to_le_bytes()));
}

fn bad(reason: &'static str) -> LinalgError {
    LinalgError::Bytes { kind: "streaming coreset", reason }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn word(&mut self) -> Result<u64, LinalgError> {
        let (head, rest) = self.0.split_first_chunk::<8>().ok_or_else(|| bad("it ends early"))?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*head))
    }

    /// A count of things of at least `size` bytes each that follow.
    fn count(&mut self, size: usize) -> Result<usize, LinalgError> {
        let count = usize::try_from(self.word()?).map_err(|_| bad("a count does not fit"))?;
        if count.checked_mul(size).is_none_or(|b| b > self.0.len()) { Err(bad("it ends early")) } else { Ok(count) }
    }

    fn words(&mut self, count: usize) -> Result<Vec<u64>, LinalgError> {
        (0..count).map(|_| self.word()).collect()
    }

    fn numbers(&mut self) -> Result<Vec<f64>, LinalgError> {
        let count = self.count(8)?;
        let values: Vec<f64> = self.words(count)?.into_iter().map(f64::from_bits).collect();
        if values.iter().all(|v| v.is_finite()) { Ok(values) } else { Err(bad("an entry is not finite")) }
    }

    fn level(&mut self) -> Result<u32, LinalgError> {
        u32::try_from(self.word()?).map_err(|_| bad("a level does not fit"))
    }
}

/// The first rows of runs and nodes, which are written in their order.
struct Ascending(Option<u64>);

impl Ascending {
    fn check(&mut self, first: u64) -> Result<(), LinalgError> {
        let before = self.0.replace(first);
        if before.is_none_or(|b| b < first) { Ok(()) } else { Err(bad("its parts are out of order")) }
    }
}

pub(super) fn read(bytes: &[u8]) -> Result<StreamingCoreset, LinalgError> {
    let (counted, body) = envelope::open(Kind::Coreset, FORMAT, bytes)?;
    let mut r = Reader(body);
    let method = *METHODS.get(r.word()? as usize).ok_or_else(|| bad("unknown method"))?;
    let size = usize::try_from(r.word()?).map_err(|_| bad("the size does not fit"))?;
    let seed = r.word()?;
    let p = f64::from_bits(r.word()?);
    let columns = usize::try_from(r.word()?).ok().filter(|c| *c < 1 << 32).ok_or_else(|| bad("too many columns"))?;
    let options = StreamOptions { p, method, size, seed };
    let mut out = StreamingCoreset::new(columns, &options).map_err(|_| bad("its options are not allowed"))?;
    (out.seen, out.end) = (r.word()?, r.word()?);
    let end = out.end;
    if counted != out.seen || out.seen > end || end > super::MAX_ROWS {
        return Err(bad("its rows cannot be counted"));
    }
    let leaves = end.div_ceil(out.leaf());
    let fits = move |first: u64, level: u32| level < 62 && first.checked_add(1 << level).is_some_and(|e| e <= leaves);
    let mut order = Ascending(None);
    let runs = r.count(16)?;
    out.runs = (0..runs)
        .map(|_| {
            let (first, run) = (r.word()?, r.numbers()?);
            let rows = (run.len() / columns) as u64;
            if rows == 0 || !run.len().is_multiple_of(columns) || first.checked_add(rows).is_none_or(|e| e > end) {
                return Err(bad("a run of rows has the wrong length"));
            }
            order.check(first)?;
            Ok((first, run))
        })
        .collect::<Result<BTreeMap<_, _>, _>>()?;
    let mut order = Ascending(None);
    match &mut out.state {
        State::Decide(d) => {
            for _ in 0..r.count(24)? {
                let (first, level) = (r.word()?, r.level()?);
                if !fits(first, level) {
                    return Err(bad("a node lies beyond the last row"));
                }
                order.check(first)?;
                let g = Matrix::from_vec(columns, columns, r.numbers()?)?;
                d.grams.insert(first, level, g, |_, _, _, _| Err(bad("its sums are not combined")))?;
            }
            let count = r.count(8)?;
            d.candidates.numbers = r.words(count)?;
            d.candidates.data = r.numbers()?;
            if d.candidates.data.len() != count * columns {
                return Err(bad("candidates have the wrong length"));
            }
        }
        State::Reduce(reduce) => {
            for _ in 0..r.count(40)? {
                let (first, level) = (r.word()?, r.level()?);
                if !fits(first, level) {
                    return Err(bad("a node lies beyond the last row"));
                }
                order.check(first)?;
                let count = r.count(8)?;
                let part = Part {
                    numbers: r.words(count)?,
                    weights: r.numbers()?,
                    data: Matrix::from_vec(count, columns, r.numbers()?)?,
                };
                if part.weights.len() != count || part.weights.iter().any(|w| *w < 1.0) {
                    return Err(bad("weights do not fit their rows"));
                }
                reduce.parts.insert(first, level, part, |_, _, _, _| Err(bad("its parts are not combined")))?;
            }
        }
    }
    let mut covered = out.covered();
    covered.sort_unstable();
    if covered.windows(2).any(|w| w[1].0 < w[0].1) || covered.iter().map(|c| c.1 - c.0).sum::<u64>() != out.seen {
        return Err(bad("its rows do not add up"));
    }
    if let State::Decide(d) = &out.state {
        let mut numbers = d.candidates.numbers.clone();
        numbers.sort_unstable();
        if numbers.windows(2).any(|w| w[0] == w[1]) || numbers.last().is_some_and(|n| *n >= end) {
            return Err(bad("its candidates are no rows"));
        }
    }
    if r.0.is_empty() { Ok(out) } else { Err(bad("something follows its end")) }
}

//! The choice of engine, and the answers.
use std::time::Instant;

use rayon::prelude::*;
use samplewise_linalg::observe::{Observer, Progress};

use crate::fft::Certificate;
use crate::relation::{Alphabet, Relation, Symbol};
use crate::{HammingError, bitsliced, definition, fft, vertical};

/// An engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Engine {
    /// The cheapest by the cost model.
    #[default]
    Auto,
    /// [`crate::definition`].
    Definition,
    /// [`crate::vertical`].
    Vertical,
    /// [`crate::bitsliced`].
    Bitsliced,
    /// [`crate::fft`].
    Fft,
}

impl Engine {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Auto => "auto",
            Engine::Definition => "definition",
            Engine::Vertical => "vertical",
            Engine::Bitsliced => "bitsliced",
            Engine::Fft => "fft",
        }
    }
}

/// Settings of [`Plan::new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Options {
    /// Meaning of the letters. Default [`Alphabet::Bytes`].
    pub alphabet: Alphabet,
    /// A letter that matches everything, in pattern and text. Default none.
    pub wildcard: Option<u8>,
    /// Engine. Default [`Engine::Auto`].
    pub engine: Engine,
}

/// What one engine was expected to cost, and did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EngineCost {
    /// The engine.
    pub engine: Engine,
    /// Classes of the pattern it served.
    pub classes: usize,
    /// Predicted nanoseconds per alignment on one thread.
    pub predicted: f64,
    /// Measured nanoseconds per alignment, wall time times threads.
    pub actual: f64,
}

/// Evidence of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The engine that ran.
    pub engine: EngineCost,
    /// Predictions for all engines, cheapest first.
    pub predictions: Vec<(Engine, f64)>,
    /// Certificates of the FFT engine, if it ran.
    pub certificate: Option<Certificate>,
    /// False when the observer stopped the call: `distances` then holds the alignments done.
    pub complete: bool,
}

/// Distances with their evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// `D[i]` for `i = 0 .. n − m`.
    pub distances: Vec<u32>,
    /// The evidence.
    pub report: Report,
}

impl Answer {
    /// The smallest distance and its first position.
    pub fn minimum(&self) -> Option<(usize, u32)> {
        self.distances.iter().copied().enumerate().min_by_key(|&(i, d)| (d, i))
    }

    /// Positions with at most `k` mismatches, ascending, with their distances.
    pub fn matches_within(&self, k: u32) -> Vec<(usize, u32)> {
        self.distances.iter().copied().enumerate().filter(|&(_, d)| d <= k).collect()
    }

    /// The `b` best alignments, by distance, then position.
    pub fn best(&self, b: usize) -> Vec<(usize, u32)> {
        let mut all: Vec<(usize, u32)> = self.distances.iter().copied().enumerate().collect();
        let b = b.min(all.len());
        if b > 0 && b < all.len() {
            all.select_nth_unstable_by_key(b - 1, |&(i, d)| (d, i));
        }
        all.truncate(b);
        all.sort_unstable_by_key(|&(i, d)| (d, i));
        all
    }

    /// How many alignments have each distance, from 0 to the largest that occurs.
    pub fn histogram(&self) -> Vec<u64> {
        let mut out = vec![0; self.distances.iter().max().map_or(0, |&d| d as usize + 1)];
        self.distances.iter().for_each(|&d| out[d as usize] += 1);
        out
    }
}

/// A pattern ready to be compared with any number of texts.
#[derive(Clone, Debug)]
pub struct Plan<S: Symbol = u8> {
    relation: Relation<S>,
    engine: Engine,
}

/// Pairs of symbols below which nothing beats comparing them: set-up costs more. *Tuned*: bench `hamming/crossover`.
const DEFINITION_PAIRS: usize = 4096;
/// Alignments between two looks at the observer.
const STRIDE: usize = 1 << 22;

impl Plan<u8> {
    /// Prepares a byte pattern.
    ///
    /// # Errors
    /// [`HammingError::EmptyPattern`], [`HammingError::UnknownSymbol`], [`HammingError::PatternTooLong`].
    pub fn new(pattern: &[u8], options: &Options) -> Result<Self, HammingError> {
        check_len(pattern.len())?;
        let relation = Relation::of_alphabet(pattern, options.alphabet, options.wildcard)?;
        Ok(Self { relation, engine: options.engine })
    }
}

impl<S: Symbol> Plan<S> {
    /// Prepares a pattern of any symbols compared for equality; `wildcard` matches everything in pattern and text.
    ///
    /// # Errors
    /// [`HammingError::EmptyPattern`], [`HammingError::EngineUnsuitable`] beyond 65,000 distinct symbols.
    pub fn of_symbols(pattern: &[S], wildcard: Option<S>, engine: Engine) -> Result<Self, HammingError> {
        check_len(pattern.len())?;
        Ok(Self { relation: Relation::equality(pattern, wildcard)?, engine })
    }

    /// Length of the pattern.
    pub fn pattern_len(&self) -> usize {
        self.relation.pattern.len()
    }

    /// All distances (row HAM-6). Cost: see [`Plan::explain`]. The same for every thread count.
    ///
    /// # Errors
    /// [`HammingError::PatternLongerThanText`].
    pub fn distances(&self, text: &[S]) -> Result<Answer, HammingError> {
        self.distances_observed(text, &mut ())
    }

    /// [`Plan::distances`] with progress; when stopped, the alignments done so far are returned and
    /// `report.complete` is false.
    ///
    /// # Errors
    /// As [`Plan::distances`].
    pub fn distances_observed(&self, text: &[S], observer: &mut dyn Observer) -> Result<Answer, HammingError> {
        let m = self.pattern_len();
        if m > text.len() {
            return Err(HammingError::PatternLongerThanText { pattern: m, text: text.len() });
        }
        let alignments = text.len() - m + 1;
        let predictions = self.explain(text.len());
        let engine = match self.engine {
            Engine::Auto => predictions[0].0,
            forced => forced,
        };
        let predicted = predictions.iter().find(|p| p.0 == engine).map_or(f64::NAN, |p| p.1);
        let start = Instant::now();
        let codes = self.relation.encode(text);
        let mut distances = vec![0; alignments];
        let mut certificate: Option<Certificate> = None;
        let mut done = 0;
        while done < alignments {
            let end = (done + STRIDE).min(alignments);
            if let Some(c) = self.stretch(engine, &codes[done..end + m - 1], &mut distances[done..end]) {
                certificate = Some(match certificate {
                    None => c,
                    Some(before) => Certificate {
                        f32_blocks: before.f32_blocks + c.f32_blocks,
                        f64_blocks: before.f64_blocks + c.f64_blocks,
                        recounted: before.recounted + c.recounted,
                        largest_residual: before.largest_residual.max(c.largest_residual),
                    },
                });
            }
            done = end;
            let progress = Progress { stage: engine.name(), step: done, total: Some(alignments), value: None };
            if observer.step(progress).is_break() {
                break;
            }
        }
        distances.truncate(done);
        let nanoseconds = start.elapsed().as_secs_f64() * 1e9 * rayon::current_num_threads() as f64;
        let engine = EngineCost {
            engine,
            classes: self.relation.classes(),
            predicted,
            actual: nanoseconds / done.max(1) as f64,
        };
        let complete = done == alignments;
        Ok(Answer { distances, report: Report { engine, predictions, certificate, complete } })
    }

    fn stretch(&self, engine: Engine, codes: &[u16], out: &mut [u32]) -> Option<Certificate> {
        let (relation, m) = (&self.relation, self.pattern_len());
        type Kernel<S> = fn(&Relation<S>, &[u16], &mut [u32]);
        let (kernel, block): (Kernel<S>, usize) = match engine {
            Engine::Fft => return Some(fft::distances(relation, codes, out)),
            Engine::Definition => (definition::distances, vertical::BLOCK),
            Engine::Vertical => (vertical::distances, vertical::BLOCK),
            Engine::Bitsliced | Engine::Auto => (bitsliced::distances, bitsliced::BLOCK),
        };
        out.par_chunks_mut(block).enumerate().for_each(|(b, part)| {
            let first = b * block;
            kernel(relation, &codes[first..first + part.len() + m - 1], part);
        });
        None
    }

    /// Predicted nanoseconds per alignment on one thread for each engine, cheapest first.
    ///
    /// *Tuned* constants of [`COSTS`], measured by the bench `hamming`; only their ratios decide.
    pub fn explain(&self, text_len: usize) -> Vec<(Engine, f64)> {
        let m = self.pattern_len();
        let counted = self.relation.counted() as f64;
        let classes = self.relation.classes() as f64;
        let alignments = (text_len + 1).saturating_sub(m).max(1);
        let n = fft::transform_len(m) as f64;
        // Blocks overlap by the pattern, which every table pays again; short texts pay for a whole transform.
        let overlap = |block: usize| (block.min(alignments) + m.min(1 << 14)) as f64 / block.min(alignments) as f64;
        let per_alignment = n / ((n - m as f64 + 1.0).min(alignments as f64));
        let mut out = vec![
            (Engine::Definition, COSTS.definition * m as f64),
            (
                Engine::Vertical,
                COSTS.vertical * counted + COSTS.vertical_class * classes * overlap(vertical::BLOCK) + 1.0,
            ),
            (
                Engine::Bitsliced,
                COSTS.bitsliced * counted
                    + COSTS.bitsliced_class * classes * overlap(bitsliced::BLOCK) * (m as f64 / 16_384.0).ceil()
                    + 1.5,
            ),
            (Engine::Fft, COSTS.fft * (classes + 1.5) * per_alignment * n.log2() / 14.0),
        ];
        if alignments.saturating_mul(m) <= DEFINITION_PAIRS {
            out[0].1 = 0.0;
        }
        out.sort_by(|a, b| a.1.total_cmp(&b.1));
        out
    }
}

/// Nanoseconds of the cost model.
#[derive(Clone, Copy, Debug)]
pub struct Costs {
    /// Per pattern symbol, definition.
    pub definition: f64,
    /// Per counted pattern symbol, vertical.
    pub vertical: f64,
    /// Per class, vertical.
    pub vertical_class: f64,
    /// Per counted pattern symbol, bit-sliced.
    pub bitsliced: f64,
    /// Per class and piece, bit-sliced.
    pub bitsliced_class: f64,
    /// Per transform and output at length 2^14.
    pub fft: f64,
}

/// The constants in use.
pub const COSTS: Costs =
    Costs { definition: 1.0, vertical: 0.02, vertical_class: 0.6, bitsliced: 0.003, bitsliced_class: 1.0, fft: 2.0 };

fn check_len(pattern: usize) -> Result<(), HammingError> {
    let limit = 1 << 28;
    if pattern > limit { Err(HammingError::PatternTooLong { pattern, limit }) } else { Ok(()) }
}

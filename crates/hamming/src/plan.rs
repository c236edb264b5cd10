//! The choice of engine, and the answers.
use std::time::Instant;

use rayon::prelude::*;
use samplewise_linalg::observe::{Observer, Progress};

use crate::classes::{Classes, Code};
use crate::dispatch::{Part, Work};
use crate::fft::Certificate;
use crate::pairs::Lists;
use crate::relation::{Alphabet, Codes, Relation, Symbol};
use crate::{HammingError, bitsliced, definition, fft, pairs, vertical};

/// An engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Engine {
    /// The cheapest by the cost model, for each letter of the pattern.
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
    /// [`crate::pairs`].
    Pairs,
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
            Engine::Pairs => "pairs",
        }
    }
}

/// Settings of [`Plan::new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Options {
    /// Meaning of the letters. Default [`Alphabet::Bytes`].
    pub alphabet: Alphabet,
    /// A letter that matches everything, in pattern and text; in either case where the alphabet ignores case. Default
    /// none.
    pub wildcard: Option<u8>,
    /// Engine. Default [`Engine::Auto`].
    pub engine: Engine,
}

/// What one engine was expected to cost, and did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EngineCost {
    /// The engine.
    pub engine: Engine,
    /// Letters of the pattern that it counts.
    pub letters: usize,
    /// Predicted nanoseconds per alignment on one thread.
    pub predicted: f64,
    /// Measured nanoseconds per alignment, wall time times threads; `None` before it ran.
    pub actual: Option<f64>,
}

/// Evidence of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The engines that ran, with the letters they counted.
    pub engines: Vec<EngineCost>,
    /// Certificates of the FFT engine, if it ran.
    pub certificate: Option<Certificate>,
    /// False when the observer stopped the call: `distances` then holds the alignments done.
    pub complete: bool,
}

impl Report {
    /// The engines' names, joined by `+`.
    pub fn path(&self) -> String {
        self.engines.iter().map(|e| e.engine.name()).collect::<Vec<_>>().join("+")
    }
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

/// Alignments between two looks at the observer.
const STRIDE: usize = 1 << 22;

impl Plan<u8> {
    /// Prepares a byte pattern.
    ///
    /// # Errors
    /// [`HammingError::EmptyPattern`], [`HammingError::UnknownSymbol`], [`HammingError::PatternTooLong`],
    /// [`HammingError::EngineUnsuitable`].
    pub fn new(pattern: &[u8], options: &Options) -> Result<Self, HammingError> {
        check_len(pattern.len())?;
        let relation = Relation::of_alphabet(pattern, options.alphabet, options.wildcard)?;
        Self::checked(relation, options.engine)
    }
}

impl<S: Symbol> Plan<S> {
    /// Prepares a pattern of any symbols compared for equality; `wildcard` matches everything in pattern and text.
    ///
    /// # Errors
    /// [`HammingError::EmptyPattern`], [`HammingError::EngineUnsuitable`] beyond 65,000 distinct symbols.
    pub fn of_symbols(pattern: &[S], wildcard: Option<S>, engine: Engine) -> Result<Self, HammingError> {
        check_len(pattern.len())?;
        Self::checked(Relation::equality(pattern, wildcard)?, engine)
    }

    fn checked(relation: Relation<S>, engine: Engine) -> Result<Self, HammingError> {
        let bytes = fft::bytes(relation.classes.len(), relation.classes.pattern.len());
        if engine == Engine::Fft && bytes > crate::dispatch::MAX_SPECTRA {
            let reason = "the spectra of the pattern's letters would take more than 2 GiB";
            return Err(HammingError::EngineUnsuitable { engine: "fft", reason });
        }
        Ok(Self { relation, engine })
    }

    /// Length of the pattern.
    pub fn pattern_len(&self) -> usize {
        self.relation.classes.pattern.len()
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
        Ok(match self.relation.encode(text) {
            Codes::Narrow(codes) => self.count(&codes, observer),
            Codes::Wide(codes) => self.count(&codes, observer),
        })
    }

    /// Pattern positions that do not match at one alignment, ascending; as many as its distance (row HAM-1).
    ///
    /// # Errors
    /// [`HammingError::PatternLongerThanText`], [`HammingError::Alignment`].
    pub fn mismatch_positions(&self, text: &[S], alignment: usize) -> Result<Vec<usize>, HammingError> {
        let m = self.pattern_len();
        if m > text.len() {
            return Err(HammingError::PatternLongerThanText { pattern: m, text: text.len() });
        }
        let last = text.len() - m;
        if alignment > last {
            return Err(HammingError::Alignment { alignment, last });
        }
        let classes = &self.relation.classes;
        let differs = |codes: &dyn Fn(usize) -> usize| -> Vec<usize> {
            let letters = classes.pattern.iter().enumerate();
            letters.filter(|(j, l)| l.is_some_and(|l| !classes.matches(l, codes(*j)))).map(|(j, _)| j).collect()
        };
        Ok(match self.relation.encode(&text[alignment..alignment + m]) {
            Codes::Narrow(codes) => differs(&|j| codes[j].index()),
            Codes::Wide(codes) => differs(&|j| codes[j].index()),
        })
    }

    /// What would run on this text: engines, letters, predicted nanoseconds per alignment; nothing is computed.
    ///
    /// *Tuned* constants of [`crate::dispatch::COSTS`], measured by the bench `hamming`; only their ratios decide.
    pub fn explain(&self, text: &[S]) -> Vec<EngineCost> {
        let parts = match self.relation.encode(text) {
            Codes::Narrow(codes) => self.parts(&codes),
            Codes::Wide(codes) => self.parts(&codes),
        };
        parts.iter().map(|p| cost(p, None)).collect()
    }

    fn parts<C: Code>(&self, codes: &[C]) -> Vec<Part> {
        let work = Work::new(&self.relation.classes, codes);
        if self.engine == Engine::Auto { work.choose() } else { work.all(self.engine) }
    }

    fn count<C: Code>(&self, codes: &[C], observer: &mut dyn Observer) -> Answer {
        let m = self.pattern_len();
        let alignments = codes.len() - m + 1;
        let parts = self.parts(codes);
        let letters: Vec<Classes> = parts.iter().map(|p| self.relation.classes.restrict(&p.letters)).collect();
        let kernels: Vec<Kernel<'_>> = parts.iter().zip(&letters).map(|(p, l)| Kernel::new(p.engine, l)).collect();
        let counted = self.relation.classes.counted() as u32;
        let mut seconds = vec![0.0; parts.len()];
        let mut distances = vec![0; alignments];
        let mut certificate: Option<Certificate> = None;
        let stride = kernels.iter().map(|k| k.block(m)).max().map_or(STRIDE, |block| STRIDE.max(4 * block));
        let mut done = 0;
        while done < alignments {
            let end = done.saturating_add(stride).min(alignments);
            for (i, (kernel, seconds)) in kernels.iter().zip(&mut seconds).enumerate() {
                let start = Instant::now();
                let first = (i == 0).then_some(counted);
                if let Some(c) = kernel.subtract_matches(&codes[done..end + m - 1], m, first, &mut distances[done..end])
                {
                    certificate = Some(certificate.unwrap_or_default().and(c));
                }
                *seconds += start.elapsed().as_secs_f64();
            }
            done = end;
            let progress = Progress { stage: parts[0].engine.name(), step: done, total: Some(alignments), value: None };
            if observer.step(progress).is_break() {
                break;
            }
        }
        distances.truncate(done);
        let per_alignment = 1e9 * rayon::current_num_threads() as f64 / done.max(1) as f64;
        let engines = parts.iter().zip(&seconds).map(|(p, s)| cost(p, Some(s * per_alignment))).collect();
        Answer { distances, report: Report { engines, certificate, complete: done == alignments } }
    }
}

fn cost(part: &Part, actual: Option<f64>) -> EngineCost {
    let letters = part.letters.iter().filter(|&&kept| kept).count();
    EngineCost { engine: part.engine, letters, predicted: part.predicted, actual }
}

/// An engine with what it prepared for its letters.
enum Kernel<'a> {
    Definition(&'a Classes),
    Vertical(vertical::Prepared<'a>),
    Bitsliced(bitsliced::Prepared<'a>),
    Fft(fft::Prepared<'a>),
    Pairs(Lists),
}

impl<'a> Kernel<'a> {
    fn new(engine: Engine, letters: &'a Classes) -> Self {
        match engine {
            Engine::Definition => Kernel::Definition(letters),
            Engine::Vertical => Kernel::Vertical(vertical::Prepared::new(letters)),
            Engine::Bitsliced | Engine::Auto => Kernel::Bitsliced(bitsliced::Prepared::new(letters)),
            Engine::Fft => Kernel::Fft(fft::Prepared::new(letters)),
            Engine::Pairs => Kernel::Pairs(Lists::new(letters)),
        }
    }

    /// Alignments that are worked on together.
    fn block(&self, m: usize) -> usize {
        match self {
            Kernel::Definition(_) | Kernel::Vertical(_) => vertical::BLOCK,
            Kernel::Bitsliced(_) => bitsliced::BLOCK,
            Kernel::Fft(_) => fft::transform_len(m) - m + 1,
            Kernel::Pairs(_) => pairs::BLOCK.max(m),
        }
    }

    /// Subtracts the matches of the alignments `0..out.len()` of the text from `out`, which is first filled if a value is
    /// given; blocks run in parallel.
    fn subtract_matches<C: Code>(
        &self,
        codes: &[C],
        m: usize,
        fill: Option<u32>,
        out: &mut [u32],
    ) -> Option<Certificate> {
        let block = self.block(m);
        let parts = out.par_chunks_mut(block).enumerate().map(|(b, part)| {
            if let Some(value) = fill {
                part.fill(value);
            }
            (&codes[b * block..b * block + part.len() + m - 1], part)
        });
        match self {
            Kernel::Definition(letters) => {
                parts.for_each(|(text, part)| definition::subtract_matches(letters, text, part));
            }
            Kernel::Vertical(prepared) => parts.for_each_init(vertical::Scratch::default, |scratch, (text, part)| {
                prepared.subtract_matches(text, part, scratch);
            }),
            Kernel::Bitsliced(prepared) => parts.for_each_init(bitsliced::Scratch::default, |scratch, (text, part)| {
                prepared.subtract_matches(text, part, scratch);
            }),
            Kernel::Pairs(lists) => parts.for_each(|(text, part)| {
                lists.subtract_matches(text, part);
            }),
            Kernel::Fft(prepared) => {
                return Some(
                    parts
                        .map(|(text, part)| prepared.subtract_matches(text, part))
                        .reduce(Certificate::default, Certificate::and),
                );
            }
        }
        None
    }
}

fn check_len(pattern: usize) -> Result<(), HammingError> {
    let limit = 1 << 28;
    if pattern > limit { Err(HammingError::PatternTooLong { pattern, limit }) } else { Ok(()) }
}

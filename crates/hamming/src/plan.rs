//! One pattern and all its alignments.
use std::ops::Range;

use samplewise_linalg::observe::{Observer, Progress};

use crate::answer::{Answer, Block, EngineCost, Report};
use crate::classes::{Classes, Code};
use crate::counter::{Counter, cost};
use crate::dispatch::Work;
use crate::engine::Engine;
use crate::relation::{Alphabet, Codes, Relation, Symbol, TextN, WildcardMeaning};
use crate::{HammingError, fft, ntt};

/// Settings of [`Plan::new`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Options {
    /// Meaning of the letters. Default [`Alphabet::Bytes`].
    pub alphabet: Alphabet,
    /// The wildcard, in pattern and text; in either case where the alphabet ignores case. Default none.
    pub wildcard: Option<u8>,
    /// What the wildcard counts. Default [`WildcardMeaning::Match`].
    pub wildcard_meaning: WildcardMeaning,
    /// What an `N` of the text matches with [`Alphabet::Iupac`]. Default [`TextN::Mismatch`].
    pub text_n: TextN,
    /// Engine. Default [`Engine::Auto`].
    pub engine: Engine,
}

/// A pattern ready to be compared with any number of texts.
#[derive(Clone, Debug)]
pub struct Plan<S: Symbol = u8> {
    pub(crate) relation: Relation<S>,
    pub(crate) engine: Engine,
}

impl Plan<u8> {
    /// Prepares a byte pattern.
    ///
    /// # Errors
    /// [`HammingError::EmptyPattern`], [`HammingError::UnknownSymbol`], [`HammingError::PatternTooLong`],
    /// [`HammingError::EngineUnsuitable`].
    pub fn new(pattern: &[u8], options: &Options) -> Result<Self, HammingError> {
        check_len(pattern.len())?;
        let relation = Relation::of_alphabet(
            pattern,
            options.alphabet,
            options.wildcard,
            options.wildcard_meaning,
            options.text_n,
        )?;
        Self::checked(relation, options.engine)
    }
}

impl<S: Symbol> Plan<S> {
    /// Prepares a pattern of any symbols compared for equality; `wildcard` counts, in pattern and text, what it means.
    ///
    /// # Errors
    /// [`HammingError::EmptyPattern`], [`HammingError::PatternTooLong`], [`HammingError::EngineUnsuitable`].
    pub fn of_symbols(
        pattern: &[S],
        wildcard: Option<(S, WildcardMeaning)>,
        engine: Engine,
    ) -> Result<Self, HammingError> {
        check_len(pattern.len())?;
        let (symbol, meaning) = wildcard.map_or((None, WildcardMeaning::Match), |(s, meaning)| (Some(s), meaning));
        Self::checked(Relation::equality(pattern, symbol, meaning)?, engine)
    }

    fn checked(relation: Relation<S>, engine: Engine) -> Result<Self, HammingError> {
        if engine == Engine::Periodic {
            let reason = "it finds alignments within few mismatches, and counts no others";
            return Err(HammingError::EngineUnsuitable { engine: engine.name(), reason });
        }
        check_spectra(engine, relation.classes.len(), relation.classes.pattern.len(), 1)?;
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
        let alignments = self.alignments(text)?;
        let mut run = self.run(text);
        let mut distances = Vec::with_capacity(alignments);
        let mut valid = run.excluded.is_some().then(|| Vec::with_capacity(alignments));
        let complete = run.strides(alignments, observer, |run, part| {
            distances.resize(part.end, 0);
            if let Some(valid) = &mut valid {
                valid.resize(part.end, 0);
            }
            let valid = valid.as_mut().map(|v| &mut v[part.clone()]);
            run.count(&text[part.start..part.end + self.pattern_len() - 1], &mut distances[part], valid);
        });
        Ok(Answer { distances, valid, report: run.main.report(complete) })
    }

    /// All distances into memory of the caller's, as long as there are alignments: `n − m + 1`.
    ///
    /// # Errors
    /// [`HammingError::PatternLongerThanText`], [`HammingError::BufferLength`].
    pub fn distances_into(&self, text: &[S], out: &mut [u32]) -> Result<Report, HammingError> {
        let alignments = self.alignments(text)?;
        if out.len() != alignments {
            return Err(HammingError::BufferLength { given: out.len(), needed: alignments });
        }
        let mut run = self.run(text);
        run.excluded = None;
        run.strides(alignments, &mut (), |run, part| {
            run.count(&text[part.start..part.end + self.pattern_len() - 1], &mut out[part], None);
        });
        Ok(run.main.report(true))
    }

    /// All distances, handed over block by block in ascending order; memory does not grow with the text.
    ///
    /// # Errors
    /// [`HammingError::PatternLongerThanText`].
    pub fn for_each_block(
        &self,
        text: &[S],
        observer: &mut dyn Observer,
        mut sink: impl FnMut(Block<'_>),
    ) -> Result<Report, HammingError> {
        let alignments = self.alignments(text)?;
        let mut run = self.run(text);
        let (mut distances, mut valid) = (Vec::new(), run.excluded.as_ref().map(|_| Vec::new()));
        let complete = run.strides(alignments, observer, |run, part| {
            let symbols = &text[part.start..part.end + self.pattern_len() - 1];
            run.block(symbols, part, &mut distances, &mut valid, &mut sink);
        });
        Ok(run.main.report(complete))
    }

    /// Pattern positions that do not match at one alignment, ascending; as many as its distance (row HAM-1).
    ///
    /// # Errors
    /// [`HammingError::PatternLongerThanText`], [`HammingError::Alignment`].
    pub fn mismatch_positions(&self, text: &[S], alignment: usize) -> Result<Vec<usize>, HammingError> {
        let last = self.alignments(text)? - 1;
        if alignment > last {
            return Err(HammingError::Alignment { alignment, last });
        }
        let classes = &self.relation.classes;
        let wild = self.relation.meaning == WildcardMeaning::Mismatch;
        let codes = self.relation.encode_full(&text[alignment..alignment + self.pattern_len()]);
        let differs =
            |(j, letter): &(usize, &Option<u32>)| letter.map_or(wild, |l| !classes.matches(l, codes[*j] as usize));
        Ok(classes.pattern.iter().enumerate().filter(differs).map(|(j, _)| j).collect())
    }

    /// What would run on this text: engines, letters, predicted nanoseconds per alignment; nothing is computed.
    ///
    /// *Tuned* constants of [`crate::dispatch::costs`], measured by the bench `hamming`; only their ratios decide.
    pub fn explain(&self, text: &[S]) -> Vec<EngineCost> {
        let work = self.work(&self.relation.classes, text);
        let parts = if self.engine == Engine::Auto { work.choose() } else { work.all(self.engine) };
        parts.iter().map(|p| cost(p, None)).collect()
    }

    pub(crate) fn alignments(&self, text: &[S]) -> Result<usize, HammingError> {
        let m = self.pattern_len();
        if m > text.len() {
            return Err(HammingError::PatternLongerThanText { pattern: m, text: text.len() });
        }
        Ok(text.len() - m + 1)
    }

    pub(crate) fn work(&self, classes: &Classes, text: &[S]) -> Work {
        let samples = Work::samples(text).map(|part| self.relation.encode_full(part));
        Work::new(classes, samples, text.len())
    }

    /// Engines for a text like this one.
    pub(crate) fn run(&self, text: &[S]) -> Run<'_, S> {
        let classes = &self.relation.classes;
        let counter = |classes: &Classes, base| Counter::new(classes, self.engine, base, &self.work(classes, text));
        let main = counter(classes, self.relation.base(&classes.pattern));
        let excluded = self.relation.excluded(&classes.pattern).map(|e| counter(&e, e.counted() as u32));
        Run { relation: &self.relation, main, excluded }
    }
}

/// A plan at work on a text.
pub(crate) struct Run<'p, S: Symbol> {
    relation: &'p Relation<S>,
    main: Counter,
    excluded: Option<Counter>,
}

impl<S: Symbol> Run<'_, S> {
    /// Alignments that are worth counting at a time.
    pub fn stride(&self) -> usize {
        self.excluded.as_ref().map_or(0, Counter::stride).max(self.main.stride())
    }

    pub fn report(&self, complete: bool) -> Report {
        self.main.report(complete)
    }

    /// True when valid pairs are counted too.
    pub fn excludes(&self) -> bool {
        self.excluded.is_some()
    }

    /// Stretch after stretch, until the observer stops; true when it did not.
    pub fn strides(
        &mut self,
        alignments: usize,
        observer: &mut dyn Observer,
        mut each: impl FnMut(&mut Self, Range<usize>),
    ) -> bool {
        let stride = self.stride();
        let mut done = 0;
        while done < alignments {
            let end = done.saturating_add(stride).min(alignments);
            each(self, done..end);
            done = end;
            let progress = Progress { stage: self.main.name(), step: done, total: Some(alignments), value: None };
            if observer.step(progress).is_break() {
                break;
            }
        }
        done == alignments
    }

    /// Counts one stretch.
    pub fn count(&mut self, text: &[S], out: &mut [u32], valid: Option<&mut [u32]>) {
        match self.relation.encode(text) {
            Codes::Narrow(codes) => self.count_codes(&codes, out, valid),
            Codes::Wide(codes) => self.count_codes(&codes, out, valid),
            Codes::Full(codes) => self.count_codes(&codes, out, valid),
        }
    }

    fn count_codes<C: Code>(&mut self, codes: &[C], out: &mut [u32], valid: Option<&mut [u32]>) {
        self.main.count(codes, out);
        if let (Some(counter), Some(valid)) = (&mut self.excluded, valid) {
            counter.count(codes, valid);
        }
    }

    /// Counts one stretch and hands it over.
    pub fn block(
        &mut self,
        text: &[S],
        part: Range<usize>,
        distances: &mut Vec<u32>,
        valid: &mut Option<Vec<u32>>,
        sink: &mut impl FnMut(Block<'_>),
    ) {
        distances.resize(part.len(), 0);
        if let Some(valid) = valid {
            valid.resize(part.len(), 0);
        }
        self.count(text, distances, valid.as_deref_mut());
        sink(Block { position: part.start, distances, valid: valid.as_deref() });
    }
}

pub(crate) fn check_len(pattern: usize) -> Result<(), HammingError> {
    let limit = 1 << 28;
    if pattern > limit { Err(HammingError::PatternTooLong { pattern, limit }) } else { Ok(()) }
}

/// An engine that is forced may need more memory for spectra than is allowed, of so many patterns at once.
pub(crate) fn check_spectra(
    engine: Engine,
    letters: usize,
    pattern: usize,
    patterns: usize,
) -> Result<(), HammingError> {
    let bytes = match engine {
        Engine::Fft => fft::bytes(letters, pattern),
        Engine::Ntt => ntt::bytes(letters, pattern),
        _ => return Ok(()),
    };
    let (bytes, limit) = (bytes * patterns as u128, crate::dispatch::MAX_SPECTRA);
    if bytes > limit {
        return Err(HammingError::SpectraTooLarge { engine: engine.name(), letters, bytes, limit });
    }
    Ok(())
}

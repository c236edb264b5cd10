//! One pattern and all its alignments.
use std::ops::Range;

use samplewise_linalg::Ending;
use samplewise_linalg::observe::{Observer, Progress};

use crate::Error;
use crate::answer::{Answer, Block, EngineCost, Report};
use crate::engine::Engine;
use crate::engine::choose::Work;
use crate::engine::running::{Counter, cost};
use crate::letters::classes::{Classes, Code};
use crate::letters::relation::{Codes, Relation, Symbol, WildcardMeaning};
use crate::options::{Options, SymbolOptions};

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
    /// [`Error::EmptyPattern`], [`Error::UnknownSymbol`], [`Error::Argument`] for a pattern of more than 2^28 symbols,
    /// [`Error::EngineUnsuitable`].
    pub fn new(pattern: &[u8], options: &Options) -> Result<Self, Error> {
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
    /// Prepares a pattern of any symbols compared for equality.
    ///
    /// # Errors
    /// [`Error::EmptyPattern`], [`Error::Argument`] for a pattern of more than 2^28 symbols, [`Error::EngineUnsuitable`].
    pub fn of_symbols(pattern: &[S], options: &SymbolOptions<S>) -> Result<Self, Error> {
        check_len(pattern.len())?;
        Self::checked(Relation::equality(pattern, options.wildcard, options.wildcard_meaning)?, options.engine)
    }

    fn checked(relation: Relation<S>, engine: Engine) -> Result<Self, Error> {
        if engine == Engine::Periodic {
            let reason = "it finds alignments within few mismatches, and counts no others";
            return Err(Error::EngineUnsuitable { engine: engine.name(), reason });
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
    /// [`Error::PatternLongerThanText`].
    pub fn distances(&self, text: &[S]) -> Result<Answer, Error> {
        self.distances_observed(text, &mut ())
    }

    /// [`Plan::distances`] with progress; when stopped, the alignments done so far are returned and
    /// `report.ending` says so.
    ///
    /// # Errors
    /// As [`Plan::distances`].
    pub fn distances_observed(&self, text: &[S], observer: &mut dyn Observer) -> Result<Answer, Error> {
        let alignments = self.alignments(text)?;
        let mut run = self.run(text);
        let mut distances = Vec::with_capacity(alignments);
        let mut valid = run.excluded.is_some().then(|| Vec::with_capacity(alignments));
        let ending = run.strides(alignments, observer, |run, part| {
            distances.resize(part.end, 0);
            if let Some(valid) = &mut valid {
                valid.resize(part.end, 0);
            }
            let valid = valid.as_mut().map(|v| &mut v[part.clone()]);
            run.count(&self.relation, self.symbols(text, &part), &mut distances[part], valid);
        });
        Ok(Answer { distances, valid, report: run.report(ending) })
    }

    /// All distances into memory of the caller's, as long as there are alignments: `n − m + 1`.
    ///
    /// # Errors
    /// [`Error::PatternLongerThanText`], [`Error::Argument`] for memory of another length.
    pub fn distances_into(&self, text: &[S], out: &mut [u32]) -> Result<Report, Error> {
        self.distances_into_observed(text, out, &mut ())
    }

    /// [`Plan::distances_into`] with progress; when stopped, what is beyond the alignments done stays as it was, and
    /// `report.ending` says so.
    ///
    /// # Errors
    /// As [`Plan::distances_into`].
    pub fn distances_into_observed(
        &self,
        text: &[S],
        out: &mut [u32],
        observer: &mut dyn Observer,
    ) -> Result<Report, Error> {
        let alignments = self.alignments(text)?;
        if out.len() != alignments {
            let allowed = format!("{alignments}, one distance for each alignment");
            return Err(Error::count("out.len()", out.len(), allowed));
        }
        let mut run = self.run(text);
        run.excluded = None;
        let ending = run.strides(alignments, observer, |run, part| {
            run.count(&self.relation, self.symbols(text, &part), &mut out[part], None);
        });
        Ok(run.report(ending))
    }

    /// All distances, handed over block by block in ascending order; memory does not grow with the text.
    ///
    /// # Errors
    /// [`Error::PatternLongerThanText`].
    pub fn for_each_block(&self, text: &[S], sink: impl FnMut(Block<'_>)) -> Result<Report, Error> {
        self.for_each_block_observed(text, sink, &mut ())
    }

    /// [`Plan::for_each_block`] with progress and cancellation.
    ///
    /// # Errors
    /// As [`Plan::for_each_block`].
    pub fn for_each_block_observed(
        &self,
        text: &[S],
        mut sink: impl FnMut(Block<'_>),
        observer: &mut dyn Observer,
    ) -> Result<Report, Error> {
        let alignments = self.alignments(text)?;
        let mut run = self.run(text);
        let (mut distances, mut valid) = (Vec::new(), run.excluded.as_ref().map(|_| Vec::new()));
        let ending = run.strides(alignments, observer, |run, part| {
            let symbols = self.symbols(text, &part);
            run.block(&self.relation, symbols, part, &mut distances, &mut valid, &mut sink);
        });
        Ok(run.report(ending))
    }

    /// Pattern positions that do not match at one alignment, ascending; as many as its distance (row HAM-1).
    ///
    /// # Errors
    /// [`Error::PatternLongerThanText`], [`Error::Argument`] for an alignment that the text does not have.
    pub fn mismatch_positions(&self, text: &[S], alignment: usize) -> Result<Vec<usize>, Error> {
        let last = self.alignments(text)? - 1;
        if alignment > last {
            return Err(Error::count("alignment", alignment, format!("0 to {last}")));
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
    /// *Tuned* constants of [`crate::engine::costs::costs`], measured by the bench `hamming`; only their ratios decide.
    pub fn explain(&self, text: &[S]) -> Vec<EngineCost> {
        let work = self.work(&self.relation.classes, text);
        let parts = if self.engine == Engine::Auto { work.choose() } else { work.all(self.engine) };
        parts.iter().map(|p| cost(p, None)).collect()
    }

    pub(crate) fn alignments(&self, text: &[S]) -> Result<usize, Error> {
        let m = self.pattern_len();
        if m > text.len() {
            return Err(Error::PatternLongerThanText { pattern: m, text: text.len() });
        }
        Ok(text.len() - m + 1)
    }

    pub(crate) fn work(&self, classes: &Classes, text: &[S]) -> Work {
        let samples = Work::samples(text).map(|part| self.relation.encode_full(part));
        Work::new(classes, samples, text.len())
    }

    /// The symbols that some alignments meet.
    pub(crate) fn symbols<'t>(&self, text: &'t [S], alignments: &Range<usize>) -> &'t [S] {
        &text[alignments.start..alignments.end + self.pattern_len() - 1]
    }

    /// Engines for a text like this one.
    pub(crate) fn run(&self, text: &[S]) -> Run {
        let classes = &self.relation.classes;
        let counter = |classes: &Classes, base| Counter::new(classes, self.engine, base, &self.work(classes, text));
        let main = counter(classes, self.relation.base(&classes.pattern));
        let excluded = self.relation.excluded(&classes.pattern).map(|e| counter(&e, e.counted() as u32));
        Run { main, excluded }
    }
}

/// A plan at work on a text; the calls that need the plan's relation are given it, so that a stream can own both.
pub(crate) struct Run {
    main: Counter,
    excluded: Option<Counter>,
}

impl Run {
    /// Alignments that are worth counting at a time.
    pub fn stride(&self) -> usize {
        self.excluded.as_ref().map_or(0, Counter::stride).max(self.main.stride())
    }

    pub fn report(&self, ending: Ending) -> Report {
        self.main.report(ending)
    }

    /// True when valid pairs are counted too.
    pub fn excludes(&self) -> bool {
        self.excluded.is_some()
    }

    /// Stretch after stretch, until the observer stops.
    pub fn strides(
        &mut self,
        alignments: usize,
        observer: &mut dyn Observer,
        mut each: impl FnMut(&mut Self, Range<usize>),
    ) -> Ending {
        let stride = self.stride();
        let mut done = 0;
        while done < alignments {
            let end = done.saturating_add(stride).min(alignments);
            each(self, done..end);
            done = end;
            let progress = Progress { stage: self.main.name(), step: done, total: Some(alignments), value: None };
            if observer.step(progress).is_break() && done < alignments {
                return Ending::Interrupted;
            }
        }
        Ending::Finished
    }

    /// Counts one stretch.
    pub fn count<S: Symbol>(&mut self, relation: &Relation<S>, text: &[S], out: &mut [u32], valid: Option<&mut [u32]>) {
        match relation.encode(text) {
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
    pub fn block<S: Symbol>(
        &mut self,
        relation: &Relation<S>,
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
        self.count(relation, text, distances, valid.as_deref_mut());
        sink(Block { position: part.start, distances, valid: valid.as_deref() });
    }
}

pub(crate) fn check_len(pattern: usize) -> Result<(), Error> {
    let limit = 1 << 28;
    if pattern > limit { Err(Error::count("pattern.len()", pattern, format!("1 to {limit}"))) } else { Ok(()) }
}

/// An engine that is forced may need more memory for spectra than is allowed, of so many patterns at once.
pub(crate) fn check_spectra(engine: Engine, letters: usize, pattern: usize, patterns: usize) -> Result<(), Error> {
    let (bytes, limit) = (engine.bytes(letters, pattern) * patterns as u128, crate::engine::choose::MAX_SPECTRA);
    if bytes > limit {
        return Err(Error::SpectraTooLarge { engine: engine.name(), letters, bytes, limit });
    }
    Ok(())
}

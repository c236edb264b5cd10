//! Texts that arrive in pieces.
use std::ops::Deref;

use samplewise_linalg::Ending;

use crate::answer::{Block, Report};
use crate::letters::relation::Symbol;
use crate::plan::{Plan, Run};
use crate::search::{Hit, Scan, Search};

/// Distances of a text that is pushed in pieces of any size; the same, block after block, as of the whole text.
///
/// Engines are chosen from the first stretch. Memory: the pattern and one stretch, whatever the text's length. The plan is
/// borrowed (`&Plan`) or owned (`Arc<Plan>`, `Box<Plan>`).
///
/// ```
/// use samplewise_hamming::{Options, Plan, Stream};
/// let plan = Plan::new(b"ACGT".as_slice(), &Options::default())?;
/// let mut distances = Vec::new();
/// let mut stream = Stream::new(&plan);
/// for piece in [b"ACG".as_slice(), b"AACG", b"TT"] {
///     stream.push(piece, |block| distances.extend_from_slice(block.distances));
/// }
/// stream.finish(|block| distances.extend_from_slice(block.distances));
/// assert_eq!(distances, [1, 4, 4, 3, 0, 3]);
/// # Ok::<(), samplewise_hamming::Error>(())
/// ```
pub struct Stream<P, S: Symbol = u8> {
    plan: P,
    run: Option<Run>,
    /// Symbols whose alignments are not counted yet.
    pending: Vec<S>,
    done: usize,
    distances: Vec<u32>,
    valid: Option<Vec<u32>>,
}

/// Symbols that are collected before engines are chosen and counting begins.
const FIRST: usize = 1 << 18;

impl<P: Deref<Target = Plan<S>>, S: Symbol> Stream<P, S> {
    /// Nothing pushed yet.
    pub fn new(plan: P) -> Self {
        Self { plan, run: None, pending: Vec::new(), done: 0, distances: Vec::new(), valid: None }
    }

    /// A stream that goes on where another one stood ([`Stream::state`]): with the same plan it hands over the same distances.
    pub fn resume(plan: P, done: usize, pending: Vec<S>) -> Self {
        Self { plan, run: None, pending, done, distances: Vec::new(), valid: None }
    }

    /// Where it stands: the number of positions whose distances were handed over, and the symbols of the text from there on.
    pub fn state(&self) -> (usize, &[S]) {
        (self.done, &self.pending)
    }

    /// Takes the next piece of the text; hands over what is known by now.
    pub fn push(&mut self, piece: &[S], mut sink: impl FnMut(Block<'_>)) {
        let mut piece = piece;
        while !piece.is_empty() {
            // So much at a time that a giant piece is not copied as a whole.
            let wanted = self.wanted();
            let take = piece.len().min(wanted.saturating_sub(self.pending.len()).max(1));
            self.pending.extend_from_slice(&piece[..take]);
            piece = &piece[take..];
            if self.pending.len() >= wanted {
                self.count(&mut sink);
            }
        }
    }

    /// Ends the text: hands over the last distances. `None` when the text was shorter than the pattern.
    pub fn finish(mut self, mut sink: impl FnMut(Block<'_>)) -> Option<Report> {
        if self.pending.len() >= self.plan.pattern_len() {
            self.count(&mut sink);
        }
        self.run.map(|run| run.report(Ending::Finished))
    }

    fn wanted(&self) -> usize {
        let m = self.plan.pattern_len();
        m - 1 + self.run.as_ref().map_or(FIRST.max(m), Run::stride)
    }

    fn count(&mut self, sink: &mut impl FnMut(Block<'_>)) {
        let m = self.plan.pattern_len();
        let run = self.run.get_or_insert_with(|| self.plan.run(&self.pending));
        if run.excludes() {
            self.valid.get_or_insert_default();
        }
        let alignments = self.pending.len() - m + 1;
        let (plan, part) = (&self.plan.relation, self.done..self.done + alignments);
        run.block(plan, &self.pending, part, &mut self.distances, &mut self.valid, sink);
        self.done += alignments;
        self.pending.drain(..alignments);
    }
}

/// Hits in a text that is pushed in pieces of any size; the same as in the whole text, in the same order. Memory: the
/// longest pattern and one stretch. The search is borrowed or owned, as the plan of a [`Stream`].
///
/// ```
/// use samplewise_hamming::{Options, Query, Search, SearchStream};
/// let search = Search::new(&[Query::new(b"GATTACA".as_slice(), 1)], &Options::default())?;
/// let mut places = Vec::new();
/// let mut stream = SearchStream::new(&search);
/// for piece in [b"TTGAT".as_slice(), b"CACATT", b"CCGGT"] {
///     stream.push(piece, |hit| places.push((hit.position, hit.distance)));
/// }
/// stream.finish(|hit| places.push((hit.position, hit.distance)));
/// assert_eq!(places, [(2, 1)]);
/// # Ok::<(), samplewise_hamming::Error>(())
/// ```
pub struct SearchStream<P, S: Symbol = u8> {
    search: P,
    scan: Option<Scan>,
    pending: Vec<S>,
    done: usize,
    hits: Vec<Hit>,
}

impl<P: Deref<Target = Search<S>>, S: Symbol> SearchStream<P, S> {
    /// Nothing pushed yet.
    pub fn new(search: P) -> Self {
        Self { search, scan: None, pending: Vec::new(), done: 0, hits: Vec::new() }
    }

    /// A stream that goes on where another one stood ([`SearchStream::state`]): with the same search it hands over the same hits.
    pub fn resume(search: P, done: usize, pending: Vec<S>) -> Self {
        Self { search, scan: None, pending, done, hits: Vec::new() }
    }

    /// Where it stands: the number of positions that were searched, and the symbols of the text from there on.
    pub fn state(&self) -> (usize, &[S]) {
        (self.done, &self.pending)
    }

    /// Takes the next piece of the text; hands over the hits that are known by now.
    pub fn push(&mut self, piece: &[S], mut sink: impl FnMut(Hit)) {
        let mut piece = piece;
        while !piece.is_empty() {
            let stride =
                self.scan.as_ref().map_or(FIRST.max(self.search.longest()), |scan| scan.stride(self.search.longest()));
            let wanted = stride + self.search.longest() - 1;
            let take = piece.len().min(wanted.saturating_sub(self.pending.len()).max(1));
            self.pending.extend_from_slice(&piece[..take]);
            piece = &piece[take..];
            if self.pending.len() >= wanted {
                self.find(self.pending.len() + 1 - self.search.longest(), &mut sink);
            }
        }
    }

    /// Ends the text: hands over the last hits; `None` for an empty text.
    pub fn finish(mut self, mut sink: impl FnMut(Hit)) -> Option<Report> {
        if !self.pending.is_empty() {
            self.find(self.pending.len(), &mut sink);
        }
        self.scan.map(|scan| scan.report(Ending::Finished))
    }

    fn find(&mut self, span: usize, sink: &mut impl FnMut(Hit)) {
        let scan = self.scan.get_or_insert_with(|| self.search.scan(&self.pending));
        scan.piece(&self.search, &self.pending, span, self.done, &mut self.hits);
        self.hits.drain(..).for_each(sink);
        self.done += span;
        self.pending.drain(..span);
    }
}

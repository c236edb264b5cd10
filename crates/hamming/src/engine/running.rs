//! The engines of one pattern, prepared once and run over stretches of text.
use std::time::Instant;

use rayon::prelude::*;
use samplewise_linalg::{Ending, Seconds};

use crate::answer::{EngineCost, Report, Route};
use crate::engine::Engine;
use crate::engine::bitsliced;
use crate::engine::byte_counters;
use crate::engine::choose::{Part, Work};
use crate::engine::definition;
use crate::engine::equal_letters;
use crate::engine::equal_letters::Lists;
use crate::engine::fft;
use crate::engine::fft::Certificate;
use crate::engine::ntt;
use crate::engine::pool::Pool;
use crate::letters::classes::{Classes, Code};
use crate::paper::sumset;

/// Alignments between two looks at the observer on one thread: few enough that what one engine wrote is in the cache for
/// the next, and for who takes it.
const STRIDE: usize = 1 << 16;
/// The same for each of several threads, which are woken for every stride.
const SHARED_STRIDE: usize = 1 << 19;
/// Predicted nanoseconds between two looks at the observer: a fifth of [`samplewise_linalg::observe::LONGEST_GAP`].
const LOOK: f64 = 1e7;

/// The engines for the letters of one pattern, and what they did so far.
pub(crate) struct Counter {
    parts: Vec<Part>,
    kernels: Vec<Kernel>,
    pattern_len: usize,
    base: u32,
    seconds: Vec<f64>,
    certificate: Option<Certificate>,
    done: usize,
}

impl Counter {
    /// Chooses engines for a text of which `work` was measured; distances are `base` less the matches.
    pub fn new(classes: &Classes, engine: Engine, base: u32, work: &Work) -> Self {
        let parts = if engine == Engine::Auto { work.choose() } else { work.all(engine) };
        let kernels: Vec<Kernel> = parts.iter().map(|p| Kernel::new(p.engine, classes.restrict(&p.letters))).collect();
        let seconds = vec![0.0; parts.len()];
        Self { parts, kernels, pattern_len: classes.pattern.len(), base, seconds, certificate: None, done: 0 }
    }

    /// Alignments that are worth counting at a time.
    pub fn stride(&self) -> usize {
        let m = self.pattern_len;
        let threads = rayon::current_num_threads();
        let stride = if threads == 1 { STRIDE } else { SHARED_STRIDE * threads };
        let stride = self.kernels.iter().map(|k| k.block(m)).max().map_or(stride, |block| stride.max(4 * block)).max(m);
        // Less where that is slow, but no less than a block for each thread, and so many that the symbols which two
        // stretches share, which are encoded twice, cost less than they.
        stride.min(stride_of(self.predicted(), m).max(self.block() * threads))
    }

    /// Predicted nanoseconds per alignment on one thread.
    pub fn predicted(&self) -> f64 {
        self.parts.iter().map(|p| p.predicted).sum()
    }

    /// Alignments that engines work on together.
    pub fn block(&self) -> usize {
        self.kernels.iter().map(|k| k.block(self.pattern_len)).max().unwrap_or(1)
    }

    /// Name of the first engine.
    pub fn name(&self) -> &'static str {
        self.parts[0].engine.name()
    }

    /// Distances of the alignments `0..out.len()` of `codes`, which hold `out.len() + m − 1` symbols.
    pub fn count<C: Code>(&mut self, codes: &[C], out: &mut [u32]) {
        for (i, (kernel, seconds)) in self.kernels.iter().zip(&mut self.seconds).enumerate() {
            let start = Instant::now();
            let base = (i == 0).then_some(self.base);
            if let Some(c) = kernel.subtract_matches(codes, self.pattern_len, base, out) {
                self.certificate = Some(self.certificate.unwrap_or_default().and(c));
            }
            *seconds += start.elapsed().as_secs_f64();
        }
        self.done += out.len();
    }

    /// The evidence so far.
    pub fn report(&self, ending: Ending) -> Report {
        let per_alignment = 1e9 * rayon::current_num_threads() as f64 / self.done.max(1) as f64;
        let engines = self.parts.iter().zip(&self.seconds).map(|(p, s)| cost(p, Some(s * per_alignment))).collect();
        let (certificate, seconds) = (self.certificate, Seconds(self.seconds.iter().sum()));
        Report { ending, route: Route::Counting, engines, certificate, seconds }
    }
}

/// Alignments between two looks at the observer, at so many nanoseconds each on one thread; more where the symbols of a
/// pattern, which neighbouring stretches both encode, would cost more than the counting.
pub(crate) fn stride_of(nanoseconds: f64, pattern_len: usize) -> usize {
    ((LOOK * rayon::current_num_threads() as f64).max(pattern_len as f64) / nanoseconds.max(1e-3)) as usize
}

/// What a part costs.
pub(crate) fn cost(part: &Part, actual: Option<f64>) -> EngineCost {
    let letters = part.letters.iter().filter(|&&kept| kept).count();
    EngineCost { engine: part.engine, letters, predicted: part.predicted, actual }
}

/// An engine with what it prepared for its letters.
enum Kernel {
    Definition(Classes),
    Vertical(byte_counters::Prepared, Pool<byte_counters::Scratch>),
    Bitsliced(bitsliced::Prepared, Pool<bitsliced::Scratch>),
    Fft(Box<fft::Prepared>, Pool<fft::Scratch>),
    Ntt(ntt::Prepared, Pool<ntt::Scratch>),
    Pairs(Lists),
    Sumset(sumset::Prepared),
}

impl Kernel {
    fn new(engine: Engine, letters: Classes) -> Self {
        match engine {
            Engine::Definition => Kernel::Definition(letters),
            Engine::Vertical => Kernel::Vertical(byte_counters::Prepared::new(letters), Pool::default()),
            Engine::Bitsliced | Engine::Periodic | Engine::Auto => {
                Kernel::Bitsliced(bitsliced::Prepared::new(letters), Pool::default())
            }
            Engine::Fft => Kernel::Fft(Box::new(fft::Prepared::new(letters)), Pool::default()),
            Engine::Ntt => Kernel::Ntt(ntt::Prepared::new(letters), Pool::default()),
            Engine::Pairs => Kernel::Pairs(Lists::new(&letters)),
            Engine::Sumset => Kernel::Sumset(sumset::Prepared::new(letters)),
        }
    }

    /// Alignments that are worked on together.
    fn block(&self, m: usize) -> usize {
        match self {
            Kernel::Definition(_) | Kernel::Vertical(..) => byte_counters::BLOCK,
            Kernel::Bitsliced(..) => bitsliced::BLOCK,
            Kernel::Fft(prepared, _) => prepared.shape().block(),
            Kernel::Ntt(prepared, _) => prepared.block(),
            Kernel::Pairs(_) => equal_letters::BLOCK.max(m),
            Kernel::Sumset(_) => sumset::block(m),
        }
    }

    /// Subtracts the matches of the alignments `0..out.len()` of the text from `base` where one is given, else from what
    /// `out` holds; blocks run in parallel.
    fn subtract_matches<C: Code>(
        &self,
        codes: &[C],
        m: usize,
        base: Option<u32>,
        out: &mut [u32],
    ) -> Option<Certificate> {
        let work = |(text, part): (&[C], &mut [u32])| {
            if let Some(base) = base
                && !matches!(self, Kernel::Bitsliced(..))
            {
                part.fill(base);
            }
            match self {
                Kernel::Definition(letters) => definition::subtract_matches(letters, text, part),
                Kernel::Vertical(prepared, pool) => {
                    pool.with(|scratch| prepared.subtract_matches(text, part, scratch));
                }
                Kernel::Bitsliced(prepared, pool) => {
                    pool.with(|scratch| prepared.subtract_matches(text, base, part, scratch));
                }
                Kernel::Ntt(prepared, pool) => {
                    pool.with(|scratch| prepared.subtract_matches(text, part, scratch));
                }
                Kernel::Sumset(prepared) => {
                    prepared.subtract_matches(text, part);
                }
                Kernel::Pairs(lists) => {
                    lists.subtract_matches(text, part);
                }
                Kernel::Fft(prepared, pool) => {
                    return Some(pool.with(|scratch| prepared.subtract_matches(text, part, scratch)));
                }
            }
            None
        };
        let block = self.block(m);
        let symbols = |b: usize, len: usize| &codes[b * block..b * block + len + m - 1];
        let both = |x: Option<Certificate>, y: Option<Certificate>| match (x, y) {
            (Some(x), Some(y)) => Some(x.and(y)),
            (x, y) => x.or(y),
        };
        // One thread needs no other, which would have to be woken.
        if rayon::current_num_threads() == 1 || out.len() <= block {
            let parts = out.chunks_mut(block).enumerate();
            parts.map(|(b, part)| work((symbols(b, part.len()), part))).fold(None, both)
        } else {
            let parts = out.par_chunks_mut(block).enumerate();
            parts.map(|(b, part)| work((symbols(b, part.len()), part))).reduce(|| None, both)
        }
    }
}

//! The engines of one pattern, prepared once and run over stretches of text.
use std::time::Instant;

use samplewise_linalg::{Ending, Seconds};

use crate::answer::{EngineCost, Report, Route};
use crate::engine::choose::{Part, Work};
use crate::engine::fft::Certificate;
use crate::engine::{Engine, Kernel};
use crate::letters::classes::{Classes, Code};

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
        let stride = self.kernels.iter().map(Kernel::block).max().map_or(stride, |block| stride.max(4 * block)).max(m);
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
        self.kernels.iter().map(Kernel::block).max().unwrap_or(1)
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
            if let Some(c) = kernel.count(codes, self.pattern_len, base, out) {
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

//! The engines: each counts, for some letters of a pattern, the matches of every alignment.
//!
//! An engine is one file with a type that implements [`CountingEngine`], and one line in the list at the end of this one:
//! from that come [`Engine`], its names, the cost model and what runs.
pub(crate) mod bitsliced;
pub(crate) mod byte_counters;
pub(crate) mod choose;
pub(crate) mod costs;
pub(crate) mod definition;
pub(crate) mod equal_letters;
pub(crate) mod fft;
pub(crate) mod match_bits;
pub(crate) mod mismatch_budget;
pub(crate) mod modular;
pub(crate) mod ntt;
pub(crate) mod periodic;
pub(crate) mod pool;
pub(crate) mod running;

use rayon::prelude::*;

use crate::engine::choose::Work;
use crate::engine::costs::Cost;
use crate::engine::fft::Certificate;
use crate::engine::pool::Pool;
use crate::letters::classes::{Classes, Code};
use crate::paper::sumset;

/// What an engine owns: what it prepares for the letters that it is given, how it counts a block, and what that costs.
pub(crate) trait CountingEngine: Send + Sync + Sized {
    /// The letters of a pattern may be shared out between this engine and others.
    const SHARES_LETTERS: bool = false;
    /// It holds a spectrum for each letter, and shares the letters with no other that does.
    const HAS_SPECTRA: bool = false;

    /// Working memory, which blocks share.
    type Scratch: Default + Send;

    /// For the letters that it is to count.
    fn prepare(letters: Classes) -> Self;

    /// Alignments that are worked on together.
    fn block(&self) -> usize;

    /// Subtracts the matches of one block of alignments from `out`; `codes` holds the text from its first alignment to its
    /// last symbol.
    fn subtract<C: Code>(&self, codes: &[C], out: &mut [u32], scratch: &mut Self::Scratch) -> Option<Certificate>;

    /// The same from `base`, whatever `out` holds.
    fn subtract_from<C: Code>(
        &self,
        base: u32,
        codes: &[C],
        out: &mut [u32],
        scratch: &mut Self::Scratch,
    ) -> Option<Certificate> {
        out.fill(base);
        self.subtract(codes, out, scratch)
    }

    /// The prediction of the cost model.
    fn cost(work: &Work) -> Cost;

    /// Bytes of spectra for so many letters of a pattern of such a length.
    fn bytes(_letters: usize, _pattern: usize) -> u128 {
        0
    }

    /// Letters that so much memory is enough for.
    fn most_letters(_pattern: usize, _memory: u128) -> usize {
        usize::MAX
    }
}

/// An engine that prepared its letters, and the working memory of its blocks.
pub(crate) struct Prepared<E: CountingEngine> {
    engine: E,
    pool: Pool<E::Scratch>,
}

impl<E: CountingEngine> Prepared<E> {
    fn new(letters: Classes) -> Self {
        Self { engine: E::prepare(letters), pool: Pool::default() }
    }

    /// Subtracts the matches of the alignments `0..out.len()` of the text from `base` where one is given, else from what
    /// `out` holds; blocks run in parallel.
    fn count<C: Code>(&self, codes: &[C], m: usize, base: Option<u32>, out: &mut [u32]) -> Option<Certificate> {
        let block = self.engine.block();
        let work = |(b, part): (usize, &mut [u32])| {
            let text = &codes[b * block..b * block + part.len() + m - 1];
            self.pool.with(|scratch| match base {
                Some(base) => self.engine.subtract_from(base, text, part, scratch),
                None => self.engine.subtract(text, part, scratch),
            })
        };
        let both = |x: Option<Certificate>, y: Option<Certificate>| match (x, y) {
            (Some(x), Some(y)) => Some(x.and(y)),
            (x, y) => x.or(y),
        };
        // One thread needs no other, which would have to be woken.
        if rayon::current_num_threads() == 1 || out.len() <= block {
            out.chunks_mut(block).enumerate().map(work).fold(None, both)
        } else {
            out.par_chunks_mut(block).enumerate().map(work).reduce(|| None, both)
        }
    }
}

/// Makes [`Engine`] and all that depends on the list of engines. `Auto` stands before the list and `Periodic`, which only
/// searches, behind it; where something has to be counted, both count as the engine named.
macro_rules! engines {
    (counting as $usual:ident; $($(#[$doc:meta])* $engine:ident, $name:literal, $prepared:ty;)*) => {
        /// A way to count matches; each gives the same numbers.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        pub enum Engine {
            /// The cheapest by the cost model, for each letter of the pattern.
            #[default]
            Auto,
            $($(#[$doc])* $engine,)*
            /// Only searches: by the breaks of periods, where all patterns have short ones and match by equality without
            /// required positions; elsewhere the search is as with [`Engine::Auto`], and says so.
            Periodic,
        }

        impl Engine {
            /// All of them.
            pub const ALL: [Engine; 2 + [$($name),*].len()] = [Engine::Auto, $(Engine::$engine,)* Engine::Periodic];

            /// Its name on the command line.
            pub fn name(self) -> &'static str {
                match self {
                    Engine::Auto => "auto",
                    $(Engine::$engine => $name,)*
                    Engine::Periodic => "periodic",
                }
            }

            pub(crate) fn shares_letters(self) -> bool {
                match self {
                    $(Engine::$engine => <$prepared as CountingEngine>::SHARES_LETTERS,)*
                    Engine::Auto | Engine::Periodic => false,
                }
            }

            pub(crate) fn has_spectra(self) -> bool {
                match self {
                    $(Engine::$engine => <$prepared as CountingEngine>::HAS_SPECTRA,)*
                    Engine::Auto | Engine::Periodic => false,
                }
            }

            pub(crate) fn cost(self, work: &Work) -> Cost {
                match self {
                    $(Engine::$engine => <$prepared as CountingEngine>::cost(work),)*
                    Engine::Auto | Engine::Periodic => Engine::$usual.cost(work),
                }
            }

            pub(crate) fn bytes(self, letters: usize, pattern: usize) -> u128 {
                match self {
                    $(Engine::$engine => <$prepared as CountingEngine>::bytes(letters, pattern),)*
                    Engine::Auto | Engine::Periodic => 0,
                }
            }

            pub(crate) fn most_letters(self, pattern: usize, memory: u128) -> usize {
                match self {
                    $(Engine::$engine => <$prepared as CountingEngine>::most_letters(pattern, memory),)*
                    Engine::Auto | Engine::Periodic => usize::MAX,
                }
            }
        }

        /// An engine at work on its letters.
        pub(crate) enum Kernel {
            $($engine(Box<Prepared<$prepared>>),)*
        }

        impl Kernel {
            pub fn new(engine: Engine, letters: Classes) -> Self {
                match engine {
                    $(Engine::$engine => Kernel::$engine(Box::new(Prepared::new(letters))),)*
                    Engine::Auto | Engine::Periodic => Self::new(Engine::$usual, letters),
                }
            }

            /// Alignments that are worked on together.
            pub fn block(&self) -> usize {
                match self {
                    $(Kernel::$engine(prepared) => prepared.engine.block(),)*
                }
            }

            /// Counts all blocks of a text, as [`Prepared::count`] does.
            pub fn count<C: Code>(
                &self,
                codes: &[C],
                m: usize,
                base: Option<u32>,
                out: &mut [u32],
            ) -> Option<Certificate> {
                match self {
                    $(Kernel::$engine(prepared) => prepared.count(codes, m, base, out),)*
                }
            }
        }
    };
}

engines! {
    counting as Bitsliced;
    /// Symbol by symbol, as the definition says; for tiny inputs.
    Definition, "definition", definition::Prepared;
    /// Compares bytes, pattern symbol by pattern symbol, and counts in bytes; for short patterns.
    Vertical, "vertical", byte_counters::Prepared;
    /// A bit per text position and letter, counted in bit planes by carry-save adders; for longer patterns.
    Bitsliced, "bitsliced", bitsliced::Prepared;
    /// A real FFT per letter, certified exact.
    Fft, "fft", fft::Prepared;
    /// Transforms in words of 16 bits modulo a prime; for long patterns.
    Ntt, "ntt", ntt::Prepared;
    /// Pairs of equal letters, one by one; for rare letters.
    Pairs, "pairs", equal_letters::Lists;
    /// Sumsets by the lemma of the paper; never chosen.
    Sumset, "sumset", sumset::Prepared;
}

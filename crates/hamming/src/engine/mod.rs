//! The engines: each counts, for some letters of a pattern, the matches of every alignment.
pub(crate) mod bitsliced;
pub(crate) mod byte_counters;
pub(crate) mod choose;
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

/// A way to count matches; each gives the same numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Engine {
    /// The cheapest by the cost model, for each letter of the pattern.
    #[default]
    Auto,
    /// Symbol by symbol, as the definition says; for tiny inputs.
    Definition,
    /// Compares bytes, pattern symbol by pattern symbol, and counts in bytes; for short patterns.
    Vertical,
    /// A bit per text position and letter, counted in bit planes by carry-save adders; for longer patterns.
    Bitsliced,
    /// A real FFT per letter, certified exact.
    Fft,
    /// Transforms in words of 16 bits modulo a prime; for long patterns.
    Ntt,
    /// Pairs of equal letters, one by one; for rare letters.
    Pairs,
    /// Sumsets by the lemma of the paper; never chosen.
    Sumset,
    /// Only searches: by the breaks of periods, where all patterns have short ones and match by equality without required
    /// positions; elsewhere the search is as with [`Engine::Auto`], and says so.
    Periodic,
}

impl Engine {
    /// All of them.
    pub const ALL: [Engine; 9] = [
        Engine::Auto,
        Engine::Definition,
        Engine::Vertical,
        Engine::Bitsliced,
        Engine::Fft,
        Engine::Ntt,
        Engine::Pairs,
        Engine::Sumset,
        Engine::Periodic,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Auto => "auto",
            Engine::Definition => "definition",
            Engine::Vertical => "vertical",
            Engine::Bitsliced => "bitsliced",
            Engine::Fft => "fft",
            Engine::Ntt => "ntt",
            Engine::Pairs => "pairs",
            Engine::Sumset => "sumset",
            Engine::Periodic => "periodic",
        }
    }
}

//! The cost model: constants for each instruction set, and what an engine makes of them.
use crate::engine::choose::Work;

/// What an engine is predicted to cost, in nanoseconds per alignment on one thread.
pub(crate) struct Cost {
    /// Of one letter, by its occurrences in the pattern and its share of the text.
    pub letter: Box<dyn Fn(f64, f64) -> f64>,
    /// Whatever the letters are.
    pub fixed: f64,
}

impl Cost {
    pub fn new(letter: impl Fn(f64, f64) -> f64 + 'static, fixed: f64) -> Self {
        Self { letter: Box::new(letter), fixed }
    }
}

impl Work {
    /// How much more of the text is read than there are alignments, where blocks overlap by the pattern, or by the piece of
    /// it that is counted together.
    pub fn overlap(&self, block: usize, piece: usize) -> f64 {
        let block = (self.alignments.max(1) as f64).min(block as f64);
        (block + (self.pattern_len as f64).min(piece as f64)) / block
    }
}

/// The constants by name: one list for the struct, the command line and whoever else shows them.
macro_rules! costs {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Nanoseconds of the cost model, one thread.
        #[derive(Clone, Copy, Debug)]
        pub struct Costs {
            $($(#[$doc])* pub $name: f64,)*
        }

        impl Costs {
            /// Every constant with its name.
            pub fn list(&self) -> Vec<(&'static str, f64)> {
                vec![$((stringify!($name), self.$name),)*]
            }
        }
    };
}

costs! {
    /// Definition: per pattern symbol and alignment.
    definition,
    /// Vertical: per counted pattern symbol and alignment.
    vertical,
    /// Vertical: per letter and text symbol.
    vertical_letter,
    /// Vertical: per alignment.
    vertical_fixed,
    /// Bit-sliced: per counted pattern symbol and alignment.
    bitsliced,
    /// Bit-sliced: per letter and text symbol.
    bitsliced_letter,
    /// Bit-sliced: per text symbol and shift, of the eight, at which a letter occurs.
    bitsliced_shift,
    /// Bit-sliced: per alignment.
    bitsliced_fixed,
    /// FFT: per letter and text symbol at length 2^14.
    fft_letter,
    /// FFT: per text symbol at length 2^14.
    fft_fixed,
    /// FFT: per letter, transformed symbol and piece of the pattern beyond the first.
    fft_product,
    /// FFT: so many times as much in double precision.
    fft_double,
    /// NTT: of one transform.
    ntt_transform,
    /// NTT: per letter, piece of the pattern and text symbol that is transformed.
    ntt_product,
    /// NTT: so many times as much for products of spectra beyond the caches.
    ntt_spectra_outside,
    /// NTT: of one inverse more, beyond the caches.
    ntt_outside,
    /// NTT: per alignment.
    ntt_fixed,
    /// Search without early exit: per pattern symbol and alignment.
    bounded,
    /// Periodic search: per text symbol.
    periodic,
    /// Periodic search: per symbol of stretches that are periodic.
    periodic_stretch,
    /// Pairs: per pair of letters that occur often in the pattern, whose counters lie in a row.
    pairs_long,
    /// Pairs: per pair of others.
    pairs,
    /// Pairs: per text symbol.
    pairs_fixed,
}

/// With AVX-512. *Tuned*: bench `hamming`, tables `dispatch` and `long`; only their ratios decide.
const AVX512: Costs = Costs {
    definition: 0.5,
    vertical: 0.006,
    vertical_letter: 0.012,
    vertical_fixed: 0.25,
    bitsliced: 0.0011,
    bitsliced_letter: 0.003,
    bitsliced_shift: 0.0028,
    bitsliced_fixed: 0.2,
    fft_letter: 1.05,
    fft_fixed: 2.1,
    fft_product: 0.24,
    fft_double: 2.2,
    ntt_transform: 880.0,
    ntt_product: 0.013,
    ntt_spectra_outside: 1.6,
    ntt_outside: 1600.0,
    ntt_fixed: 0.25,
    bounded: 0.003,
    periodic: 3.0,
    periodic_stretch: 8.0,
    pairs_long: 0.55,
    pairs: 1.1,
    pairs_fixed: 6.0,
};

/// With AVX2, on the same machine.
#[cfg(target_arch = "x86_64")]
const AVX2: Costs = Costs { bounded: 0.0045, bitsliced: 0.0017, ntt_transform: 1600.0, ntt_product: 0.022, ..AVX512 };

/// With neither, on the same machine.
const PLAIN: Costs = Costs {
    bounded: 0.01,
    vertical: 0.0085,
    bitsliced: 0.0036,
    bitsliced_letter: 0.02,
    bitsliced_shift: 0.014,
    bitsliced_fixed: 1.5,
    // Elsewhere than on x86-64 the words of 16 bits are arrays that the compiler is left with.
    ntt_transform: if cfg!(target_arch = "x86_64") { 3200.0 } else { 45_000.0 },
    ntt_product: if cfg!(target_arch = "x86_64") { 0.044 } else { 0.6 },
    ..AVX512
};

/// The constants for this machine's instruction set.
pub fn costs() -> &'static Costs {
    #[cfg(target_arch = "x86_64")]
    match pulp::Arch::new() {
        pulp::Arch::V4(_) => return &AVX512,
        pulp::Arch::V3(_) => return &AVX2,
        _ => {}
    }
    &PLAIN
}

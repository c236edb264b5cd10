//! The choice of engine, letter by letter: `M = Σ_c M_c`, so every letter may be counted by the engine that suits it.
use crate::engine::Engine;
use crate::engine::bitsliced;
use crate::engine::byte_counters;
use crate::engine::fft;
use crate::engine::ntt;
use crate::letters::classes::{Classes, Rule};

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

/// Bytes that the caches hold.
const CACHED: u128 = 16 << 20;

/// Pairs of symbols below which nothing beats comparing them: set-up costs more. An estimate: no
/// bench has texts this short.
pub const DEFINITION_PAIRS: usize = 4096;

/// Bytes of spectra beyond which the FFT is not used.
pub(crate) const MAX_SPECTRA: u128 = 2 << 30;

/// One engine and the letters it counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// The engine that is meant.
    pub engine: Engine,
    /// `letters[c]`: letter `c` is its.
    pub letters: Vec<bool>,
    /// Predicted nanoseconds per alignment on one thread.
    pub predicted: f64,
}

/// What decides: the shape of the work and how often each letter occurs.
#[derive(Clone, Debug)]
pub struct Work {
    pattern_len: usize,
    alignments: usize,
    /// `(occurrences in the pattern, share of the text)` of each letter.
    letters: Vec<(f64, f64)>,
    /// Letters that the FFT and the NTT may have.
    most_spectra: [usize; 2],
    fft: fft::Shape,
    /// Every text symbol is one of the letters.
    covered: bool,
}

impl Work {
    /// Stretches of a text, at most 32,768 symbols together and a 32nd of a text that is not short, from which shares are
    /// measured.
    pub fn samples<S>(text: &[S]) -> impl Iterator<Item = &[S]> {
        let step = text.len().div_ceil(16).max(1);
        let some = (step / 32).clamp(256, 2048);
        text.chunks(step).map(move |part| &part[..part.len().min(some)])
    }

    /// Measures a text of `len` symbols by the codes of its [samples](Work::samples).
    pub fn new<P: AsRef<[u32]>>(classes: &Classes, samples: impl IntoIterator<Item = P>, len: usize) -> Self {
        Self::of_shares(classes, &shares(classes, samples), len)
    }

    /// The same from the share of the text that each letter matches.
    pub(crate) fn of_shares(classes: &Classes, share: &[f64], len: usize) -> Self {
        let pattern_len = classes.pattern.len();
        let letters = classes.occurrences().iter().zip(share).map(|(&a, &f)| (a as f64, f)).collect();
        Self {
            pattern_len,
            alignments: (len + 1).saturating_sub(pattern_len),
            letters,
            most_spectra: [fft::most_letters(pattern_len, MAX_SPECTRA), ntt::most_letters(pattern_len, MAX_SPECTRA)],
            fft: fft::Shape::new(classes),
            covered: share.iter().sum::<f64>() > 1.0 - 1e-9,
        }
    }

    /// Cost of one letter and fixed cost of an engine, nanoseconds per alignment.
    fn costs(&self, engine: Engine) -> (Box<dyn Fn(f64, f64) -> f64>, f64) {
        let (m, n, costs) = (self.pattern_len as f64, self.alignments.max(1) as f64, costs());
        // Blocks overlap by the pattern, or the piece of it that is counted together, which tables pay again.
        let overlap = |block: usize, piece: f64| {
            let block = n.min(block as f64);
            (block + m.min(piece)) / block
        };
        let pieces = (m / bitsliced::PIECE as f64).ceil();
        match engine {
            Engine::Definition => (Box::new(move |a, _| a * costs.definition), 0.0),
            Engine::Vertical => {
                let letter = costs.vertical_letter * overlap(byte_counters::BLOCK, m);
                (Box::new(move |a, _| a * costs.vertical + letter), costs.vertical_fixed)
            }
            Engine::Bitsliced | Engine::Periodic | Engine::Auto => {
                // Tables of a letter are made for every piece where it occurs, counts written once for 64 letters.
                let overlap = overlap(bitsliced::BLOCK, bitsliced::PIECE as f64);
                let cost = move |a: f64, _| {
                    let here = a.min(pieces);
                    let table = costs.bitsliced_letter + costs.bitsliced_shift * (a / here.max(1.0)).min(8.0);
                    a * costs.bitsliced + (table * overlap + costs.bitsliced_fixed / 64.0) * here
                };
                (Box::new(cost), costs.bitsliced_fixed * pieces)
            }
            Engine::Fft => {
                let length = self.fft.len as f64;
                let precision = if self.fft.single { 1.0 } else { costs.fft_double };
                let (p, blocks) = (self.fft.pieces as f64, (n / self.fft.hop as f64).ceil());
                // Short texts pay for a whole transform, and every text for those of the pattern.
                let together = blocks.min(self.fft.blocks() as f64);
                let transforms = blocks * (together + p - 1.0) / together + p;
                let scale = precision * length / n * length.log2() / 14.0;
                let products = precision * blocks * length / n * costs.fft_product * (p - 1.0);
                let fixed = costs.fft_fixed * scale * (blocks + p);
                (Box::new(move |_, _| costs.fft_letter * scale * transforms + products), fixed)
            }
            Engine::Ntt => {
                let shared = ntt_costs(self.pattern_len, self.alignments, self.letters.len());
                let cost =
                    move |a: f64, _| shared.transforms + shared.products + a / ntt::TOGETHER as f64 * shared.inverse;
                (Box::new(cost), costs.ntt_fixed + shared.inverse)
            }
            // Nothing that was measured; more than any other.
            Engine::Sumset => (Box::new(|a, _| 10.0 * a), 100.0),
            Engine::Pairs => {
                let block = n.min(crate::engine::equal_letters::BLOCK as f64);
                let pair = |a: f64| costs.pairs_long + (costs.pairs - costs.pairs_long) / (1.0 + a / 32.0);
                (Box::new(move |a, f| a * f * pair(a)), costs.pairs_fixed * (block + m) / block)
            }
        }
    }

    /// Predicted nanoseconds per alignment when one engine counts everything.
    pub fn single(&self, engine: Engine) -> f64 {
        let (letter, fixed) = self.costs(engine);
        self.letters.iter().map(|&(a, f)| letter(a, f)).sum::<f64>() + fixed
    }

    /// Everything by one engine.
    pub fn all(&self, engine: Engine) -> Vec<Part> {
        vec![Part { engine, letters: vec![true; self.letters.len()], predicted: self.single(engine) }]
    }

    /// The cheapest plan: definition or vertical for all letters, or for each letter the cheapest of a set of engines,
    /// over all sets. Cost `O(K)`, or `O(K log K)` where spectra have no room.
    ///
    /// Row HAM-6 of `paper-refs.md`.
    pub fn choose(&self) -> Vec<Part> {
        if self.alignments.saturating_mul(self.pattern_len) <= DEFINITION_PAIRS {
            return self.all(Engine::Definition);
        }
        const MIXED: [Engine; 4] = [Engine::Bitsliced, Engine::Fft, Engine::Ntt, Engine::Pairs];
        const SPECTRA: [Engine; 2] = [Engine::Fft, Engine::Ntt];
        let mut best = self.all(Engine::Vertical);
        let mut least = best[0].predicted;
        // Of each engine its fixed cost and that of every letter.
        let costs: Vec<(f64, Vec<f64>, f64)> = MIXED
            .iter()
            .map(|&engine| {
                let (letter, fixed) = self.costs(engine);
                (fixed, self.letters.iter().map(|&(a, f)| letter(a, f)).collect(), letter(0.0, 0.0))
            })
            .collect();
        for set in 1..1_usize << MIXED.len() {
            let engines: Vec<usize> = (0..MIXED.len()).filter(|e| set >> e & 1 == 1).collect();
            let spectral: Vec<usize> = engines.iter().copied().filter(|&e| SPECTRA.contains(&MIXED[e])).collect();
            if spectral.len() > 1 {
                continue; // one of them is better for all letters
            }
            let spectral = spectral.first().copied();
            // The cheapest engine of a letter, and its cost.
            let cheapest = |letter: usize, but: Option<usize>| {
                let offers = engines.iter().filter(|e| Some(**e) != but).map(|&e| (costs[e].1[letter], e));
                offers.min_by(|x, y| x.0.total_cmp(&y.0).then(x.1.cmp(&y.1)))
            };
            let mut choice: Vec<usize> =
                (0..self.letters.len()).map(|c| cheapest(c, None).expect("at least one engine").1).collect();
            let mut total: f64 = engines.iter().map(|&e| costs[e].0).sum();
            let mut spared = 0.0;
            if let Some(by) = spectral {
                // Spectra have a limit; what gains least by them goes elsewhere.
                let most = self.most_spectra[usize::from(MIXED[by] == Engine::Ntt)];
                let mut transformed: Vec<usize> = (0..choice.len()).filter(|&c| choice[c] == by).collect();
                if transformed.len() > most {
                    let gain = |c: usize| cheapest(c, spectral).map_or(f64::INFINITY, |o| o.0) - costs[by].1[c];
                    transformed.sort_by(|&x, &y| gain(y).total_cmp(&gain(x)).then(x.cmp(&y)));
                    for &c in &transformed[most..] {
                        match cheapest(c, spectral) {
                            Some((_, e)) => choice[c] = e,
                            None => total = f64::INFINITY,
                        }
                    }
                } else if transformed.len() == choice.len() && self.covered {
                    spared = costs[by].2;
                }
            }
            total += choice.iter().enumerate().map(|(c, &e)| costs[e].1[c]).sum::<f64>() - spared;
            if engines.iter().any(|e| !choice.contains(e)) || total >= least {
                continue; // the set without an engine that nothing goes to is one of its own
            }
            least = total;
            best = engines
                .iter()
                .map(|&e| {
                    let letters: Vec<bool> = choice.iter().map(|&c| c == e).collect();
                    let own = choice.iter().enumerate().filter(|&(_, &c)| c == e).map(|(c, _)| costs[e].1[c]);
                    let spared = if Some(e) == spectral { spared } else { 0.0 };
                    Part { engine: MIXED[e], letters, predicted: costs[e].0 + own.sum::<f64>() - spared }
                })
                .collect();
        }
        best
    }
}

/// Nanoseconds per alignment of the NTT.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NttCosts {
    /// Of the transforms for one letter.
    pub transforms: f64,
    /// Of its products.
    pub products: f64,
    /// Of one inverse.
    pub inverse: f64,
}

/// For a pattern of `m` symbols, so many alignments, and at most so many letters.
pub(crate) fn ntt_costs(m: usize, alignments: usize, letters: usize) -> NttCosts {
    let (costs, n) = (costs(), alignments.max(1) as f64);
    let (pieces, hop) = ntt::shape(m);
    let (p, blocks) = (pieces as f64, (n / hop as f64).ceil());
    // The blocks of a short text that are transformed, the text's that are transformed twice, and those of the pattern.
    let together = blocks.min(ntt::blocks(pieces) as f64);
    let transforms = blocks * (together + p - 1.0) / together + 2.0 * p;
    // Products wait for memory where they are too many for the caches.
    let outside = ntt::bytes_of_products(m) > CACHED;
    // So do spectra of the text.
    let spectra = if ntt::bytes_of_text(letters, m) > CACHED { costs.ntt_spectra_outside } else { 1.0 };
    NttCosts {
        transforms: transforms * costs.ntt_transform / n,
        products: spectra * blocks * p * ntt::LENGTH as f64 * costs.ntt_product / n,
        inverse: blocks * (costs.ntt_transform + if outside { costs.ntt_outside } else { 0.0 }) / n,
    }
}

/// Share of the sampled text that each letter matches.
pub(crate) fn shares<P: AsRef<[u32]>>(classes: &Classes, samples: impl IntoIterator<Item = P>) -> Vec<f64> {
    // Few codes are counted in four tables in turn: a counter waits for its last increment.
    let few = classes.code_count <= 1 << 12;
    let mut histogram = vec![0_u32; classes.code_count];
    let mut others = [(); 3].map(|()| vec![0_u32; if few { classes.code_count } else { 0 }]);
    let mut seen = 0;
    for part in samples {
        let part = part.as_ref();
        let (fours, rest) = if few { part.as_chunks::<4>() } else { (&[][..], part) };
        let [second, third, fourth] = &mut others;
        for &[a, b, c, d] in fours {
            histogram[a as usize] += 1;
            second[b as usize] += 1;
            third[c as usize] += 1;
            fourth[d as usize] += 1;
        }
        rest.iter().for_each(|&code| histogram[code as usize] += 1);
        seen += part.len();
    }
    for other in others {
        histogram.iter_mut().zip(other).for_each(|(a, b)| *a += b);
    }
    let count = |c: u32| f64::from(histogram[c as usize]);
    let share = |letter: usize| match classes.rule {
        Rule::Equal { wildcard } => count(classes.codes[letter]) + wildcard.map_or(0.0, count),
        Rule::Share => {
            (0..classes.code_count as u32).filter(|&c| classes.matches(letter as u32, c as usize)).map(count).sum()
        }
    };
    (0..classes.len()).map(|letter| share(letter) / (seen as f64).max(1.0)).collect()
}

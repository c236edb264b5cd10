//! The choice of engine, letter by letter: `M = Σ_c M_c`, so every letter may be counted by the engine that suits it.
use crate::engine::Engine;
use crate::engine::fft;
use crate::letters::classes::{Classes, Rule};

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
    pub pattern_len: usize,
    pub alignments: usize,
    /// `(occurrences in the pattern, share of the text)` of each letter.
    pub letters: Vec<(f64, f64)>,
    /// How the FFT would cut the pattern.
    pub fft: fft::Shape,
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
            fft: fft::Shape::new(classes),
            covered: share.iter().sum::<f64>() > 1.0 - 1e-9,
        }
    }

    /// Predicted nanoseconds per alignment when one engine counts everything.
    pub fn single(&self, engine: Engine) -> f64 {
        let cost = engine.cost(self);
        self.letters.iter().map(|&(a, f)| (cost.letter)(a, f)).sum::<f64>() + cost.fixed
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
        let mixed: Vec<Engine> = Engine::ALL.into_iter().filter(|e| e.shares_letters()).collect();
        let mut best = self.all(Engine::Vertical);
        let mut least = best[0].predicted;
        // Of each engine its fixed cost and that of every letter.
        let costs: Vec<(f64, Vec<f64>, f64)> = mixed
            .iter()
            .map(|engine| {
                let cost = engine.cost(self);
                let letters = self.letters.iter().map(|&(a, f)| (cost.letter)(a, f)).collect();
                (cost.fixed, letters, (cost.letter)(0.0, 0.0))
            })
            .collect();
        for set in 1..1_usize << mixed.len() {
            let engines: Vec<usize> = (0..mixed.len()).filter(|e| set >> e & 1 == 1).collect();
            let spectral: Vec<usize> = engines.iter().copied().filter(|&e| mixed[e].has_spectra()).collect();
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
                let most = mixed[by].most_letters(self.pattern_len, MAX_SPECTRA);
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
                    Part { engine: mixed[e], letters, predicted: costs[e].0 + own.sum::<f64>() - spared }
                })
                .collect();
        }
        best
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

//! A surrogate of a function of positions with several letters each, as sequences have them.
use samplewise_linalg::observe::Watch;
use samplewise_linalg::{ArgumentError, Ending, Observer, Progress};

use super::answer::{Energy, Estimate, Report, Sobol, Status};
use super::design::{self, Known};
use super::fit::fit as fit_table;
use super::functionals::{Interactions, Shapley};
use super::mixture::Mixture;
use super::options::Options;
use super::sets::Set;
use crate::Error;

/// Most letters of a position.
pub(super) const MOST_LETTERS: usize = 64;

/// Points as rows of letters: one number for each position, from 0 to below its number of levels.
///
/// ```
/// use samplewise_wht::surrogate::Letters;
/// let variants = Letters::from_words(&["ACGT", "ACGA"], "ACGT")?;
/// assert_eq!(variants.row(1), [0, 1, 2, 0]);
/// let refused = Letters::from_words(&["ACGT", "ACGN"], "ACGT").unwrap_err();
/// assert_eq!(refused.to_string(), "word is \"ACGN\" in row 1, allowed is letters of ACGT; it has N at position 3");
/// # Ok::<(), samplewise_wht::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letters {
    levels: Vec<usize>,
    rows: Vec<u8>,
}

impl Letters {
    /// Rows one after the other, for positions with so many levels each, 1 to 64.
    ///
    /// # Errors
    /// [`Error::Argument`] for no positions or more than 1,024, for levels out of range, or rows that are not whole;
    /// [`Error::Letter`] for a letter that its position does not have.
    pub fn new(levels: Vec<usize>, rows: Vec<u8>) -> Result<Self, Error> {
        if levels.is_empty() || levels.len() > 1_024 {
            return Err(Error::count("levels.len()", levels.len(), "1 to 1024 positions"));
        }
        if let Some(&bad) = levels.iter().find(|a| !(1..=MOST_LETTERS).contains(*a)) {
            return Err(Error::count("levels", bad, format!("1 to {MOST_LETTERS} at a position")));
        }
        let n = levels.len();
        if !rows.len().is_multiple_of(n) {
            return Err(Error::count("rows.len()", rows.len(), format!("a multiple of {n}, the number of positions")));
        }
        for (row, point) in rows.chunks_exact(n).enumerate() {
            for (position, (&value, &count)) in point.iter().zip(&levels).enumerate() {
                if usize::from(value) >= count {
                    return Err(Error::Letter { row, position, value: value.into(), largest: count - 1 });
                }
            }
        }
        Ok(Self { levels, rows })
    }

    /// Words of one length over an alphabet of characters, each named once.
    ///
    /// # Errors
    /// [`Error::Argument`] for no words, words of another length than the first, or with a character that is not in the
    /// alphabet; for an alphabet of fewer than 2 or more than 64 characters, or one that names a character twice.
    pub fn from_words<W: AsRef<str>>(words: &[W], alphabet: &str) -> Result<Self, Error> {
        let alphabet: Vec<char> = alphabet.chars().collect();
        let argument = |name: &'static str, given: String, allowed: String| ArgumentError::new(name, given, allowed);
        if !(2..=MOST_LETTERS).contains(&alphabet.len()) {
            return Err(Error::count("alphabet", alphabet.len(), format!("2 to {MOST_LETTERS} characters")));
        }
        let text: String = alphabet.iter().collect();
        if (1..alphabet.len()).any(|i| alphabet[..i].contains(&alphabet[i])) {
            return Err(argument("alphabet", text, "characters that are named once".to_owned()).into());
        }
        let length = words.first().map_or(0, |w| w.as_ref().chars().count());
        let mut rows = Vec::with_capacity(words.len() * length);
        for (row, word) in words.iter().map(AsRef::as_ref).enumerate() {
            if word.chars().count() != length || length == 0 {
                let given = format!("{word:?} in row {row}");
                return Err(argument("word", given, format!("{length} letters, as the first, and at least one")).into());
            }
            for (position, letter) in word.chars().enumerate() {
                let Some(code) = alphabet.iter().position(|&a| a == letter) else {
                    let allowed = format!("letters of {text}; it has {letter} at position {position}");
                    return Err(argument("word", format!("{word:?} in row {row}"), allowed).into());
                };
                rows.push(code as u8);
            }
        }
        Self::new(vec![alphabet.len(); length], rows)
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len() / self.levels.len()
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Number of levels of each position.
    pub fn levels(&self) -> &[usize] {
        &self.levels
    }

    /// Letters of a row.
    pub fn row(&self, row: usize) -> &[u8] {
        let n = self.levels.len();
        &self.rows[row * n..(row + 1) * n]
    }
}

/// What some positions do together.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Interaction {
    /// The positions, ascending.
    pub positions: Vec<usize>,
    /// The letters at which it is largest.
    pub letters: Vec<u8>,
    /// Its value there.
    pub estimate: Estimate,
    /// Its variance over uniformly random letters, as a share of that of the posterior mean.
    pub share: f64,
}

/// What was learned of a function of letters; see [`super::Posterior`].
#[derive(Clone, Debug)]
pub struct LetterPosterior {
    /// What can be said of it.
    pub status: Status,
    /// The evidence.
    pub report: Report,
    pub(super) mixture: Mixture,
}

/// [`super::fit`] for letters. Two levels at every position give the bits of [`super::fit`]; more are not written in bits,
/// which would cost accuracy and change what an interaction is.
///
/// Row GP-1 of `paper-refs.md`.
///
/// # Errors
/// As [`super::fit`].
pub fn fit_letters(points: &Letters, values: &[f64], options: &Options) -> Result<LetterPosterior, Error> {
    fit_letters_observed(points, values, options, &mut ())
}

/// [`fit_letters`] with progress; when stopped, the best answer by then.
///
/// # Errors
/// As [`super::fit_observed`].
pub fn fit_letters_observed(
    points: &Letters,
    values: &[f64],
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<LetterPosterior, Error> {
    if points.len() != values.len() {
        return Err(Error::AnswersMismatch { asked: points.len(), given: values.len() });
    }
    Ok(LetterPosterior::of(fit_table(points.levels(), &points.rows, values, options, 0.0, observer)?))
}

impl LetterPosterior {
    pub(super) fn of(mixture: Mixture) -> Self {
        Self { status: mixture.status, report: mixture.report.clone(), mixture }
    }

    /// Level of the intervals, as the options had it.
    pub fn level(&self) -> f64 {
        self.mixture.level
    }

    /// Number of levels of each position.
    pub fn levels(&self) -> &[usize] {
        &self.mixture.layout.levels
    }

    /// Whether the call came to its end and held-out values judged the answer.
    pub fn converged(&self) -> bool {
        self.report.ending == Ending::Finished && self.status != Status::Unjudged
    }

    /// New values at points, their noise included, in parallel. Cost `b² + b·n` for each point and expert.
    ///
    /// # Errors
    /// [`Error::Argument`] for points with other levels.
    pub fn predict(&self, points: &Letters) -> Result<Vec<Estimate>, Error> {
        self.check_levels(points)?;
        Ok(self.mixture.predict(&points.rows))
    }

    /// The means of [`LetterPosterior::predict`] alone, which cost `b·n` for each point and expert.
    ///
    /// # Errors
    /// As [`LetterPosterior::predict`].
    pub fn means(&self, points: &Letters) -> Result<Vec<f64>, Error> {
        self.check_levels(points)?;
        Ok(self.mixture.means_in_units(&points.rows))
    }

    /// What some positions (ascending) do together at these letters, beyond what fewer of them do: the part of the function of
    /// these positions alone that has mean zero over the letters of each.
    ///
    /// # Errors
    /// [`Error::Argument`] for positions that do not exist or do not ascend, or another number of letters than positions;
    /// [`Error::Letter`].
    pub fn interaction(&self, positions: &[usize], letters: &[u8]) -> Result<Estimate, Error> {
        let n = self.levels().len();
        if let Some(&bad) = positions.iter().find(|&&i| i >= n) {
            return Err(Error::count("positions", bad, format!("0 to {}", n - 1)));
        }
        if let Some(pair) = positions.windows(2).find(|w| w[0] >= w[1]) {
            return Err(Error::count("positions", pair[1], format!("above {}, the one before it", pair[0])));
        }
        if letters.len() != positions.len() {
            return Err(Error::count("letters.len()", letters.len(), format!("{}, as positions", positions.len())));
        }
        for (row, (&position, &value)) in positions.iter().zip(letters).enumerate() {
            if usize::from(value) >= self.levels()[position] {
                let largest = self.levels()[position] - 1;
                return Err(Error::Letter { row, position, value: value.into(), largest });
            }
        }
        let set: Set = positions.iter().map(|&i| i as u16).collect();
        Ok(self.mixture.estimate(&Interactions(&[(set, letters.to_vec())]))[0])
    }

    /// The `k` interactions of two or more positions with the most variance that were found, the largest first, each at the
    /// letters where it is largest. Looked at are the sets with the largest prior variance of every expert, of up to 512
    /// combinations of letters each; smaller ones may be missed.
    pub fn largest_interactions(&self, k: usize) -> Vec<Interaction> {
        self.mixture.largest_interactions(k)
    }

    /// What one position does alone at each of its letters: the entries of [`LetterPosterior::interaction`] of one position.
    ///
    /// # Errors
    /// [`Error::Argument`] for a position that does not exist.
    pub fn effects(&self, position: usize) -> Result<Vec<Estimate>, Error> {
        let n = self.levels().len();
        if position >= n {
            return Err(Error::count("position", position, format!("0 to {}", n - 1)));
        }
        let wanted: Vec<(Set, Vec<u8>)> =
            (0..self.levels()[position]).map(|a| (vec![position as u16], vec![a as u8])).collect();
        Ok(self.mixture.estimate(&Interactions(&wanted)))
    }

    /// `count` points not told yet whose values tell most of all others: random candidates, of which each next one lowers the
    /// sum of the posterior variances most. Uniformly random where no process has a share. Randomness from `seed`.
    ///
    /// # Errors
    /// [`Error::Argument`] for points with other levels.
    pub fn most_informative(&self, told: &Letters, count: usize, seed: u64) -> Result<Letters, Error> {
        let mut known = self.known(told)?;
        let mut rng = design::generator(seed, 0);
        let rows = match self.mixture.leading() {
            Some(process) => design::informative(process, count, &mut known, &mut rng),
            None => design::random(self.levels(), count, &mut known, &mut rng),
        };
        Letters::new(self.levels().to_vec(), rows.concat())
    }

    /// `count` points not told yet that may have the largest value: climbs on the mean and up to two deviations.
    ///
    /// # Errors
    /// As [`LetterPosterior::most_informative`]; [`Error::AnswersMismatch`].
    pub fn most_promising(&self, told: &Letters, values: &[f64], count: usize, seed: u64) -> Result<Letters, Error> {
        self.most_promising_observed(told, values, count, seed, &mut ())
    }

    /// [`LetterPosterior::most_promising`] with progress; when stopped, the points that were found by then.
    ///
    /// # Errors
    /// As [`LetterPosterior::most_promising`].
    pub fn most_promising_observed(
        &self,
        told: &Letters,
        values: &[f64],
        count: usize,
        seed: u64,
        observer: &mut dyn Observer,
    ) -> Result<Letters, Error> {
        let mut watch = Watch::new(observer);
        let progress = Progress { stage: "climbs", step: 0, total: Some(count), value: None };
        let best = Self::ranked(told, values)?;
        let mut known = self.known(told)?;
        let mut rng = design::generator(seed, 0);
        let score = |points: &[u8]| self.mixture.predict(points).iter().map(|e| (e.mean, e.deviation)).collect();
        let means = |points: &[u8]| self.mixture.means(points);
        let rows = design::largest((&score, &means), self.levels(), (&best, count), &mut known, &mut rng, &mut || {
            watch.ticks(|| progress)
        });
        Letters::new(self.levels().to_vec(), rows.concat())
    }

    /// `count` points not told yet with the largest means that were found, the largest first. Not all points are looked at.
    ///
    /// # Errors
    /// As [`LetterPosterior::most_promising`].
    pub fn highest(&self, told: &Letters, values: &[f64], count: usize, seed: u64) -> Result<Letters, Error> {
        self.highest_observed(told, values, count, seed, &mut ())
    }

    /// [`LetterPosterior::highest`] with progress; when stopped, the best that were found by then.
    ///
    /// # Errors
    /// As [`LetterPosterior::highest`].
    pub fn highest_observed(
        &self,
        told: &Letters,
        values: &[f64],
        count: usize,
        seed: u64,
        observer: &mut dyn Observer,
    ) -> Result<Letters, Error> {
        let mut watch = Watch::new(observer);
        let progress = Progress { stage: "largest means", step: 0, total: None, value: None };
        let best = Self::ranked(told, values)?;
        let known = self.known(told)?;
        let mut rng = design::generator(seed, 0);
        let means = |points: &[u8]| self.mixture.means(points);
        let rows =
            design::highest(&means, self.levels(), (&best, count), &known, &mut rng, &mut || watch.ticks(|| progress));
        Letters::new(self.levels().to_vec(), rows.concat())
    }

    fn check_levels(&self, points: &Letters) -> Result<(), Error> {
        if points.levels() == self.levels() {
            return Ok(());
        }
        let given = format!("{:?}", points.levels());
        Err(ArgumentError::new("levels of the points", given, format!("{:?}", self.levels())).into())
    }

    fn known(&self, told: &Letters) -> Result<Known, Error> {
        self.check_levels(told)?;
        Ok((0..told.len()).map(|j| told.row(j).to_vec()).collect())
    }

    /// The points told, those of the largest values first.
    fn ranked(told: &Letters, values: &[f64]) -> Result<Vec<Vec<u8>>, Error> {
        if told.len() != values.len() {
            return Err(Error::AnswersMismatch { asked: told.len(), given: values.len() });
        }
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
        Ok(order.into_iter().map(|j| told.row(j).to_vec()).collect())
    }

    /// Shapley values of the positions from their first level to their second; `None` where a position has another number of
    /// levels than two. Positions of one level have none, and make it `None` too.
    pub fn shapley(&self) -> Option<Vec<Estimate>> {
        let two = self.levels().iter().all(|&a| a == 2);
        two.then(|| self.mixture.estimate(&Shapley { positions: self.levels().len() }))
    }

    /// Sobol indices of the posterior mean, over uniformly random letters.
    pub fn sobol(&self) -> Sobol {
        self.mixture.sobol()
    }

    /// Variances by number of positions; see [`super::Posterior::energy_by_degree`].
    pub fn energy_by_degree(&self, degrees: usize) -> Vec<Energy> {
        self.mixture.energy_by_degree(degrees.min(self.levels().len()))
    }
}

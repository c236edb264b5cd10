//! Sums of the rows of each fold, where a row's fold is the hash of its key.
use super::Moments;
use crate::envelope::{self, Kind, Reader, Writer};
use crate::keys;
use crate::random::Streams;
use crate::{LinalgError, MatrixView, Summary};

/// [`Moments`] of each of several folds: a row's fold depends on its key and the seed alone, so that every order, part and merge of
/// the rows gives the same bits. Summed up they are the moments of all rows; without one, those of the rows outside a fold.
///
/// Row LA-21 of `paper-refs.md`.
///
/// ```
/// use samplewise_linalg::gram::FoldedMoments;
/// use samplewise_linalg::{Matrix, Summary};
/// let rows = Matrix::from_fn(1_000, 2, |i, j| ((i * (j + 3)) % 17) as f64);
/// let mut folds = FoldedMoments::about(&[0.0, 0.0], 5, 7)?;
/// folds.update((&(0..1_000).collect::<Vec<u64>>(), rows.view(), None))?;
/// assert_eq!(folds.finish()?.iter().map(|m| m.rows()).sum::<u64>(), 1_000);
/// # Ok::<(), samplewise_linalg::LinalgError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct FoldedMoments {
    seed: u64,
    checksum: u64,
    folds: Vec<Moments>,
}

const FORMAT: u16 = 1;
/// Folds whose sums are kept beside each other.
const MOST_FOLDS: usize = 1_000;

impl FoldedMoments {
    /// No rows yet; the origin is taken from each row first.
    ///
    /// # Errors
    /// [`LinalgError::OutOfRange`] for no folds or more than 1,000; as [`Moments::about`].
    pub fn about(origin: &[f64], folds: usize, seed: u64) -> Result<Self, LinalgError> {
        if folds == 0 || folds > MOST_FOLDS {
            let allowed = "1 to 1,000";
            return Err(LinalgError::OutOfRange { argument: "folds", value: folds as f64, allowed });
        }
        Ok(Self { seed, checksum: 0, folds: vec![Moments::about(origin)?; folds] })
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.folds[0].columns()
    }

    /// The moments of all rows.
    ///
    /// # Errors
    /// [`LinalgError::OutOfRange`] for sums that overflow.
    pub fn all(&self) -> Result<Moments, LinalgError> {
        let (first, rest) = self.folds.split_first().expect("one fold at least");
        rest.iter().try_fold(first.clone(), |mut all, fold| {
            all.merge(fold.clone())?;
            Ok(all)
        })
    }

    /// Number of rows that were seen.
    pub fn rows(&self) -> u64 {
        self.folds.iter().map(Moments::rows).sum()
    }

    /// [`keys::checksum`] of the rows seen.
    pub fn checksum(&self) -> u64 {
        self.checksum
    }
}

impl Summary for FoldedMoments {
    /// Keys of the rows, the rows, and weights.
    type Input<'a> = (&'a [u64], MatrixView<'a>, Option<&'a [f64]>);
    type Output = Vec<Moments>;

    /// Adds rows, each to its fold; where it fails, nothing is added.
    ///
    /// # Errors
    /// [`LinalgError::Length`] for keys that are not one for each row; as of [`Moments`].
    fn update(&mut self, (keys, rows, weights): (&[u64], MatrixView<'_>, Option<&[f64]>)) -> Result<(), LinalgError> {
        if keys.len() != rows.rows() {
            return Err(LinalgError::Length { argument: "keys", given: keys.len(), expected: rows.rows() });
        }
        if let Some(w) = weights.filter(|w| w.len() != keys.len()) {
            return Err(LinalgError::Length { argument: "weights", given: w.len(), expected: keys.len() });
        }
        rows.check_finite("rows")?;
        let count = self.folds.len() as u64;
        let hash = Streams::new(self.seed);
        let mut own: Vec<Vec<usize>> = vec![Vec::new(); self.folds.len()];
        keys.iter().enumerate().for_each(|(i, &key)| own[(hash.bits(key) % count) as usize].push(i));
        let mut folds = self.folds.clone();
        for (fold, own) in folds.iter_mut().zip(&own) {
            let some = weights.map(|w| own.iter().map(|&i| w[i]).collect::<Vec<f64>>());
            if count == 1 {
                fold.update((rows, weights))?;
            } else {
                fold.update((rows.select_rows(own).view(), some.as_deref()))?;
            }
        }
        self.folds = folds;
        self.checksum = self.checksum.wrapping_add(keys::checksum(keys));
        Ok(())
    }

    fn merge(&mut self, other: Self) -> Result<(), LinalgError> {
        if (self.seed, self.folds.len()) != (other.seed, other.folds.len()) {
            return Err(LinalgError::Bytes {
                kind: Kind::FoldedMoments.name(),
                reason: "seeds or numbers of folds differ",
            });
        }
        let mut folds = self.folds.clone();
        for (own, other) in folds.iter_mut().zip(other.folds) {
            own.merge(other)?;
        }
        self.folds = folds;
        self.checksum = self.checksum.wrapping_add(other.checksum);
        Ok(())
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.word(self.seed);
        out.word(self.checksum);
        out.count(self.folds.len());
        self.folds.iter().for_each(|fold| out.bytes(&fold.to_bytes()));
        envelope::seal(Kind::FoldedMoments, FORMAT, self.rows(), &out.0)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, LinalgError> {
        let (rows, body) = envelope::open(Kind::FoldedMoments, FORMAT, bytes)?;
        let mut r = Reader::new(Kind::FoldedMoments, body);
        let (seed, checksum) = (r.word()?, r.word()?);
        let count = r.length(8)?;
        let folds = (0..count).map(|_| Moments::from_bytes(r.bytes()?)).collect::<Result<Vec<_>, _>>()?;
        let alike = folds.windows(2).all(|w| w[0].columns() == w[1].columns());
        let seen = folds.iter().try_fold(0_u64, |sum, fold| sum.checked_add(fold.rows()));
        if count == 0 || count > MOST_FOLDS || !alike || seen != Some(rows) {
            return Err(r.bad("its folds do not fit together"));
        }
        r.end()?;
        Ok(Self { seed, checksum, folds })
    }

    /// The moments of each fold.
    fn finish(self) -> Result<Vec<Moments>, LinalgError> {
        Ok(self.folds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Matrix;
    use crate::random::{normal, shuffle};

    /// LA-21: any order of rows, any split and any merge gives the same folds; all folds together are the rows.
    #[test]
    fn folds_do_not_depend_on_the_order() {
        let mut rng = Streams::new(4).stream(0);
        let rows = Matrix::from_fn(3_000, 4, |_, _| normal(&mut rng));
        let part = |order: &[usize], folds: usize| {
            let keys: Vec<u64> = order.iter().map(|&i| i as u64).collect();
            let mut out = FoldedMoments::about(&[0.5; 4], folds, 3).unwrap();
            out.update((&keys, rows.select_rows(order).view(), None)).unwrap();
            out
        };
        let mut order: Vec<usize> = (0..3_000).collect();
        let finished =
            |folds: FoldedMoments| folds.finish().unwrap().into_iter().map(|m| m.finish().unwrap()).collect::<Vec<_>>();
        for folds in [1, 5, 40] {
            let whole = part(&order, folds);
            shuffle(&mut rng, &mut order);
            let merged = order.chunks(700).map(|rows| part(rows, folds)).reduce(|a, mut b| {
                b.merge(FoldedMoments::from_bytes(&a.to_bytes()).unwrap()).unwrap();
                b
            });
            let merged = merged.unwrap();
            assert_eq!((merged.rows(), merged.checksum()), (3_000, whole.checksum()));
            let all = whole.clone().finish().unwrap().into_iter().reduce(|mut a, b| {
                a.merge(b).unwrap();
                a
            });
            assert_eq!(all.unwrap().finish().unwrap(), part(&order, 1).finish().unwrap().remove(0).finish().unwrap());
            assert_eq!(finished(merged), finished(whole));
        }
        let mut one = part(&order[..10], 5);
        let before = one.clone();
        assert!(one.merge(part(&order[..10], 4)).is_err());
        assert!(one.update((&[1], Matrix::zeros(2, 4).view(), None)).is_err());
        assert!(one.update((&[1], Matrix::from_fn(1, 4, |_, _| f64::NAN).view(), None)).is_err());
        assert!(one.update((&[1], Matrix::zeros(1, 4).view(), Some(&[-1.0]))).is_err());
        assert_eq!(one, before);
        let bytes = one.to_bytes();
        assert!((0..bytes.len()).all(|n| FoldedMoments::from_bytes(&bytes[..n]).is_err()));
        assert!(FoldedMoments::about(&[0.0], 0, 1).is_err() && FoldedMoments::about(&[0.0], 1_001, 1).is_err());
    }
}

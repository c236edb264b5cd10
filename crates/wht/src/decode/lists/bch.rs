//! Lists from BCH syndromes: candidates of at most `t` variables, at a cost that does not grow with their number.
//!
//! The parity matrix `H` of the primitive BCH code of designed distance `2t + 1` has rows `⟨h, k⟩` from which every `k` of
//! at most `t` variables follows. Its row space serves twice: `b` vectors of a basis hash into bins, so that the bin's
//! number is a part of the syndrome, and the others are the offsets, whose signs are the rest of it.
use super::{Best, Lists, Tables};
use crate::bins::subsample::{Group, sign_bit_offsets};
use crate::field::bits::{Bits, low_bits};
use crate::field::gf2::{self, Invertible, Map};
use rand::Rng;

/// Least reliable signs that are flipped, by effort. *Tuned* in the design's measurements at `n = 40`, `t = 5`.
const FLIPS: [usize; 4] = [3, 5, 7, 9];

/// Lists of the groups made by [`bch_group`].
///
/// Row WHT-13 of `paper-refs.md`.
#[derive(Clone, Debug)]
pub struct Bch {
    code: Code,
    /// For each group: bin bits, and the map from the basis of the row space to the syndromes.
    groups: Vec<(usize, Map<u64>)>,
}

/// The rank of the parity matrix for `variables` and `degree`: bin bits and offsets of a group sum to one more. `None` when
/// the syndrome does not fit one word.
///
/// It is computed: composite cyclotomic cosets make it smaller than `t·m` (27 instead of 30 for 40 variables, `t = 5`).
pub fn bch_rank<I: Bits>(variables: usize, degree: usize) -> Option<usize> {
    let code = Code::new(variables, degree)?;
    Some(gf2::independent(&code.parity_rows::<I>()).len())
}

/// A group whose bins and offsets read the syndrome of a BCH code; the map that it needs to be decoded.
///
/// # Panics
/// When [`bch_rank`] is `None` or not above `bits`.
pub fn bch_group<I: Bits, R: Rng + ?Sized>(variables: usize, degree: usize, bits: usize, rng: &mut R) -> Group<I> {
    let code = Code::new(variables, degree).expect("a syndrome that fits a word");
    let (basis, _) = code.basis::<I>();
    let rank = basis.len();
    assert!(bits < rank, "{bits} bin bits of {rank}");
    let mix = Invertible::<u64>::random(rank, rng);
    let mut rows: Vec<I> = (0..rank)
        .map(|i| {
            let mut row = I::zero();
            mix.row(i).for_each_one(|j| row ^= basis[j]);
            row
        })
        .collect();
    // The rest of the space: any completion, as no offset looks there.
    rows.extend((0..variables).map(I::unit));
    let rows: Vec<I> = gf2::independent(&rows).into_iter().map(|i| rows[i]).collect();
    let map = Invertible::from_rows(rows).expect("a basis");
    Group::with_map(map, bits, sign_bit_offsets(rank - bits))
}

impl Bch {
    /// Lists for groups of [`bch_group`] with the same variables and degree.
    ///
    /// # Panics
    /// For other groups.
    pub fn new<I: Bits>(groups: &[Group<I>], variables: usize, degree: usize) -> Self {
        let code = Code::new(variables, degree).expect("a syndrome that fits a word");
        let (basis, syndrome_of) = code.basis::<I>();
        let rank = basis.len();
        let maps = groups
            .iter()
            .map(|g| {
                assert_eq!(g.offsets.len() + g.bits, rank + 1, "a group of this code");
                // Coordinates of the group's rows in the basis, inverted: from what is seen to the basis, to the syndrome.
                let rows: Vec<u64> = (0..rank).map(|i| coordinates(&basis, g.functional(i))).collect();
                let back = gf2::invert(&gf2::transpose(&rows)).expect("independent rows");
                (g.bits, Map::new(back.iter().map(|&c| syndrome_of.apply(c)).collect()))
            })
            .collect();
        Self { code, groups: maps }
    }
}

impl<I: Bits> Lists<I> for Bch {
    fn list(&self, group: usize, bin: usize, y: &[f64], effort: usize, length: usize) -> Vec<I> {
        let (bits, to_syndrome) = &self.groups[group];
        let count = y.len();
        let hard = y.iter().enumerate().fold(0_u64, |w, (p, v)| w | u64::from(*v < 0.0) << p);
        let everyone = low_bits(count);
        // The sign under offset zero is the coefficient's; where the others differ from it, the bit is one.
        let seen = |word: u64| {
            let relative = (if word & 1 == 1 { word ^ everyone } else { word }) >> 1;
            to_syndrome.apply(bin as u64 | relative << bits)
        };
        let mut doubtful: Vec<usize> = (0..count).collect();
        doubtful.sort_unstable_by(|&a, &b| y[a].abs().total_cmp(&y[b].abs()).then(a.cmp(&b)));
        doubtful.truncate(FLIPS[effort.min(FLIPS.len() - 1)]);
        let flips: Vec<u64> = doubtful.iter().map(|&p| 1 << p).collect();
        let changes: Vec<u64> = flips.iter().map(|f| seen(hard ^ f) ^ seen(hard)).collect();
        let tables = Tables::new(y);
        let mut best = Best::new(length);
        let (mut syndrome, mut flipped) = (seen(hard), 0_u64);
        for step in 0..1_u64 << flips.len() {
            // Gray code: one flip a step.
            if step > 0 {
                let i = step.trailing_zeros() as usize;
                syndrome ^= changes[i];
                flipped ^= flips[i];
            }
            let cost = f64::from(tables.cost_of_word(flipped));
            if cost <= best.worst()
                && let Some(k) = self.code.index(syndrome)
            {
                best.offer(cost, k);
            }
        }
        best.into_items()
    }

    fn most_effort(&self) -> usize {
        FLIPS.len() - 1
    }
}

/// Coordinates of `v` in a basis that spans it, as bits.
fn coordinates<I: Bits>(basis: &[I], v: I) -> u64 {
    let mut system: Vec<(usize, I, u64)> = Vec::new();
    for (j, &b) in basis.iter().enumerate() {
        let (rest, mut label) = reduce(&system, b);
        label ^= 1 << j;
        system.push((gf2::lowest(rest).expect("a basis"), rest, label));
    }
    let (rest, label) = reduce(&system, v);
    assert!(rest.is_zero(), "a vector of the row space");
    label
}

fn reduce<I: Bits>(system: &[(usize, I, u64)], v: I) -> (I, u64) {
    system.iter().fold((v, 0), |(v, label), row| if v.bit(row.0) { (v ^ row.1, label ^ row.2) } else { (v, label) })
}

/// A primitive BCH code of length `2^m − 1 ≥ variables` that corrects `t` errors, and the field behind it.
#[derive(Clone, Debug)]
struct Code {
    variables: usize,
    t: usize,
    m: usize,
    /// Powers of the primitive element, twice around.
    exp: Vec<u16>,
    log: Vec<u16>,
}

/// Primitive polynomials of degree 3 to 11.
const PRIMITIVE: [u16; 9] = [0b1011, 0x13, 0x25, 0x43, 0x89, 0x11d, 0x211, 0x409, 0x805];
const MAX_T: usize = 16;

impl Code {
    fn new(variables: usize, t: usize) -> Option<Self> {
        let m = (3..12).find(|m| (1 << m) > variables)?;
        if t == 0 || t > MAX_T || t * m > 64 {
            return None;
        }
        let order = (1_usize << m) - 1;
        let (mut exp, mut log) = (vec![0; 2 * order], vec![0; order + 1]);
        let mut a = 1_u16;
        for i in 0..order {
            exp[i] = a;
            exp[i + order] = a;
            log[a as usize] = i as u16;
            a <<= 1;
            if a >> m & 1 == 1 {
                a ^= PRIMITIVE[m - 3];
            }
        }
        Some(Self { variables, t, m, exp, log })
    }

    fn order(&self) -> usize {
        (1 << self.m) - 1
    }

    #[inline]
    fn times(&self, a: u16, b: u16) -> u16 {
        if a == 0 || b == 0 { 0 } else { self.exp[(self.log[a as usize] + self.log[b as usize]) as usize] }
    }

    /// Row `i·m + r`: bit `r` of `α^{(2i+1)v}` for variable `v`.
    fn parity_rows<I: Bits>(&self) -> Vec<I> {
        (0..self.t * self.m)
            .map(|row| {
                let (i, r) = (row / self.m, row % self.m);
                let power = |v: usize| self.exp[(2 * i + 1) * v % self.order()];
                I::from_positions((0..self.variables).filter(|&v| power(v) >> r & 1 == 1))
            })
            .collect()
    }

    /// A basis of the row space, and the map from coordinates in it to all parity bits.
    fn basis<I: Bits>(&self) -> (Vec<I>, Map<u64>) {
        let rows = self.parity_rows::<I>();
        let basis: Vec<I> = gf2::independent(&rows).into_iter().map(|i| rows[i]).collect();
        let mut columns = vec![0_u64; basis.len()];
        for (i, &row) in rows.iter().enumerate() {
            coordinates(&basis, row).for_each_one(|j| columns[j] |= 1 << i);
        }
        (basis, Map::new(columns))
    }

    /// The index of at most `t` variables with this syndrome, if there is one (Berlekamp and Massey, then Chien).
    fn index<I: Bits>(&self, syndrome: u64) -> Option<I> {
        let mut s = [0_u16; 2 * MAX_T + 1];
        for i in 0..self.t {
            s[2 * i + 1] = (syndrome >> (i * self.m) & low_bits(self.m)) as u16;
        }
        for i in 1..=self.t {
            s[2 * i] = self.times(s[i], s[i]);
        }
        let mut locator = [0_u16; 2 * MAX_T + 2];
        let mut before = [0_u16; 2 * MAX_T + 2];
        (locator[0], before[0]) = (1, 1);
        let (mut degree, mut gap, mut last) = (0_usize, 1_usize, 1_u16);
        for r in 0..2 * self.t {
            let discrepancy = (0..=degree).fold(0, |d, i| d ^ self.times(locator[i], s[r + 1 - i]));
            // In characteristic two every second discrepancy is zero.
            if discrepancy == 0 {
                gap += 1;
                continue;
            }
            let inverse = self.exp[self.order() - self.log[last as usize] as usize];
            let factor = self.times(discrepancy, inverse);
            let kept = locator;
            for i in 0..locator.len() - gap {
                locator[i + gap] ^= self.times(factor, before[i]);
            }
            if 2 * degree <= r {
                degree = r + 1 - degree;
                if degree > self.t {
                    return None;
                }
                (before, last, gap) = (kept, discrepancy, 1);
            } else {
                gap += 1;
            }
        }
        // α^v is an error's place when the locator vanishes at α^−v.
        let mut k = I::zero();
        let mut found = 0;
        let mut terms = [0_u16; MAX_T + 1];
        let logs: Vec<Option<usize>> =
            (1..=degree).map(|i| (locator[i] != 0).then(|| self.log[locator[i] as usize] as usize)).collect();
        let order = self.order();
        terms.iter_mut().zip(&logs).for_each(|(t, l)| *t = l.unwrap_or(0) as u16);
        for v in 0..self.variables {
            let mut sum = 1_u16;
            for (i, log) in logs.iter().enumerate() {
                if log.is_some() {
                    sum ^= self.exp[terms[i] as usize];
                    // Next v: the term of degree i + 1 turns by −(i + 1).
                    let turned = terms[i] as usize + order - (i + 1) % order;
                    terms[i] = (if turned >= order { turned - order } else { turned }) as u16;
                }
            }
            if sum == 0 {
                k |= I::unit(v);
                found += 1;
            }
        }
        (found == degree).then_some(k)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::bits::Wide;
    use samplewise_linalg::random::{Streams, below};

    fn syndromes_invert<I: Bits>(variables: usize, t: usize) {
        let code = Code::new(variables, t).unwrap();
        let rows = code.parity_rows::<I>();
        let mut rng = Streams::new(variables as u64).stream(0);
        for round in 0..300 {
            let k = I::from_positions((0..round % (t + 1)).map(|_| below(&mut rng, variables)));
            let syndrome = rows.iter().enumerate().fold(0_u64, |s, (i, row)| s | u64::from(row.parity(k)) << i);
            assert_eq!(code.index(syndrome), Some(k));
        }
    }

    #[test]
    fn the_index_follows_from_its_syndrome() {
        syndromes_invert::<u64>(7, 2);
        syndromes_invert::<u64>(40, 5);
        syndromes_invert::<u64>(63, 4);
        syndromes_invert::<Wide<16>>(1000, 5);
    }

    /// The rank of 40 variables and degree 5 is 27, not 30.
    #[test]
    fn the_rank_is_computed() {
        assert_eq!(bch_rank::<u64>(40, 5), Some(27));
        assert_eq!(bch_rank::<u64>(40, 4), Some(24));
        assert_eq!(bch_rank::<u64>(40, 11), None);
    }

    /// A bin of one coefficient lists it, also when its two weakest signs are wrong.
    #[test]
    fn bins_of_one_coefficient_are_read() {
        let mut rng = Streams::new(3).stream(0);
        let groups = [bch_group::<u64, _>(40, 5, 6, &mut rng), bch_group(40, 5, 5, &mut rng)];
        let lists = Bch::new(&groups, 40, 5);
        for round in 0..100 {
            let k = u64::from_positions((0..=5).take(round % 6).map(|_| below(&mut rng, 40)));
            for (c, g) in groups.iter().enumerate() {
                let (bin, u) = g.locate(k);
                let value = if round % 2 == 0 { 1.5 } else { -1.5 };
                let mut y: Vec<f64> = (0..g.offsets.len()).map(|p| value * g.sign(p, u)).collect();
                for _ in 0..2 {
                    let p = below(&mut rng, y.len());
                    y[p] *= -0.1;
                }
                let listed: Vec<u64> = lists.list(c, bin, &y, 0, 4);
                // Another index may fit the wrong signs better, which one bin cannot know.
                assert!(listed.contains(&k), "{round} {c}");
            }
        }
    }
}

//! Convolutions modulo 998,244,353 = 119·2²³ + 1, a word to a residue: what the packed ones are compared with, the last
//! step of the ladder of moduli, and the way out when luck fails.
use super::Operations;
use crate::engine::modular::power;

/// Larger than any count: patterns have at most 2^28 symbols.
pub(crate) const P: u64 = 998_244_353;

/// `#{(x, y) : x + y = z} mod p` for `z < 2·universe`; `x` and `y` are below `universe`, at most 2^22.
pub(crate) fn convolve(x: &[u32], y: &[u32], universe: usize, operations: &mut Operations) -> Vec<u32> {
    let len = (2 * universe).next_power_of_two();
    let mut spectrum = |set: &[u32]| {
        let mut data = vec![0_u32; len];
        set.iter().for_each(|&z| data[z as usize] += 1);
        operations.words += set.len() as u64;
        transform(&mut data, false, operations);
        data
    };
    let (mut product, other) = (spectrum(x), spectrum(y));
    let scale = power(len as u64, P - 2, P);
    for (a, b) in product.iter_mut().zip(other) {
        *a = (u64::from(*a) * u64::from(b) % P * scale % P) as u32;
    }
    transform(&mut product, true, operations);
    operations.words += 2 * len as u64;
    product.truncate(2 * universe);
    product
}

fn transform(data: &mut [u32], inverse: bool, operations: &mut Operations) {
    let log = data.len().trailing_zeros();
    let omega = power(3, (P - 1) >> log, P);
    let omega = if inverse { power(omega, P - 2, P) } else { omega };
    let mut roots = vec![0_u32; data.len() / 2];
    for level in 0..log {
        let half = if inverse { 1 << level } else { data.len() >> (level + 1) };
        let step = power(omega, (data.len() / (2 * half)) as u64, P);
        let mut root = 1;
        for r in &mut roots[..half] {
            *r = root as u32;
            root = root * step % P;
        }
        for pair in data.chunks_exact_mut(2 * half) {
            let (a, b) = pair.split_at_mut(half);
            for ((a, b), r) in a.iter_mut().zip(b).zip(&roots) {
                let (x, y) = (u64::from(*a), u64::from(*b));
                if inverse {
                    let y = y * u64::from(*r) % P;
                    (*a, *b) = (((x + y) % P) as u32, ((x + P - y) % P) as u32);
                } else {
                    (*a, *b) = (((x + y) % P) as u32, ((x + P - y) * u64::from(*r) % P) as u32);
                }
            }
        }
    }
    operations.words += (data.len() / 2) as u64 * u64::from(log);
}

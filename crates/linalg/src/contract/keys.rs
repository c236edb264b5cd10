//! Keys of rows that have no number: 64 bits from what identifies a row, the same on every engine, machine and version.
//!
//! The functions are frozen: summaries that are stored were made with them.
use twox_hash::XxHash3_64;

use super::random::Streams;

/// The key of a whole number: the number itself.
///
/// ```
/// assert_eq!(samplewise_linalg::keys::of_i64(-1), u64::MAX);
/// ```
pub fn of_i64(value: i64) -> u64 {
    value as u64
}

/// The key of a text: XXH3-64 of its UTF-8, without a seed.
///
/// ```
/// assert_eq!(samplewise_linalg::keys::of_text(""), 0x2d06_8005_38d3_94c2);
/// ```
pub fn of_text(value: &str) -> u64 {
    XxHash3_64::oneshot(value.as_bytes())
}

/// The key of a number: its bits, of `−0` those of `0`. NaN is no key: `None`.
///
/// ```
/// use samplewise_linalg::keys::of_f64;
/// assert_eq!(of_f64(-0.0), of_f64(0.0));
/// assert_eq!(of_f64(f64::NAN), None);
/// ```
pub fn of_f64(value: f64) -> Option<u64> {
    if value.is_nan() { None } else { Some((value + 0.0).to_bits()) }
}

/// The key of several: `mix(mix(mix(0, k₁), k₂), …)` with the finaliser of SplitMix64. Of one key it is not that key.
///
/// Row LA-22 of `paper-refs.md`.
///
/// ```
/// use samplewise_linalg::keys::of_parts;
/// assert_ne!(of_parts(&[1, 2]), of_parts(&[2, 1]));
/// ```
pub fn of_parts(parts: &[u64]) -> u64 {
    parts.iter().fold(0, |key, &part| Streams::new(key).bits(part))
}

/// Sum of the hashes of keys, modulo `2⁶⁴`, in a family of its own: the same for the same keys in any order, so that passes over
/// a table can see whether they saw the same rows.
///
/// Row LA-22 of `paper-refs.md`.
///
/// ```
/// use samplewise_linalg::keys::checksum;
/// assert_eq!(checksum(&[1, 2, 3]), checksum(&[3]).wrapping_add(checksum(&[2, 1])));
/// assert_ne!(checksum(&[1, 2]), checksum(&[1, 1, 2]));
/// ```
pub fn checksum(keys: &[u64]) -> u64 {
    const FAMILY: u64 = 0x5377_5061_7373;
    let hash = Streams::new(FAMILY);
    keys.iter().fold(0, |sum, &key| sum.wrapping_add(hash.bits(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// LA-22: golden values, which may never change.
    #[test]
    fn keys_are_frozen() {
        assert_eq!(of_parts(&[]), 0);
        assert_eq!(of_parts(&[0]), 0xe220_a839_7b1d_cdaf);
        assert_eq!(of_f64(1.5), Some(0x3ff8_0000_0000_0000));
        assert_eq!(of_i64(i64::MIN), 1 << 63);
        assert_eq!(format!("{:016x}", checksum(&[0, 1, u64::MAX])), CHECKSUM);
        assert_eq!([of_text("a"), of_text("Ärger"), of_parts(&[1, 2, 3])].map(|k| format!("{k:016x}")), GOLDEN);
    }

    const CHECKSUM: &str = "b5e582bae658699a";
    const GOLDEN: [&str; 3] = ["e6c632b61e964e1f", "10ac4cef44eb9f34", "27d1dade99ddf6a4"];
}

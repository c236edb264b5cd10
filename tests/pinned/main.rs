//! One small answer of every core, solver and engine, by the bits of its numbers: what changes them is seen.
//!
//! Products and sums round differently with other vector instructions, so that there is a list for each set of them;
//! on a processor without a list only the calls themselves are tested. `SAMPLEWISE_PIN=write cargo test --test pinned`
//! writes the list of this processor anew.
mod completion;
mod hamming;
mod lasso;
mod linalg;
mod mtrl;
mod sensitivity;
mod wht;

use std::fmt::Write as _;
use std::hash::Hasher;

use samplewise::linalg::Matrix;
use samplewise::linalg::random::{StreamRng, Streams, normal};

/// Names of answers and digests of their bits.
#[derive(Default)]
struct Pins {
    lines: Vec<(String, u64)>,
}

/// FNV-1a of the bits.
struct Digest(u64);

impl Default for Digest {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Digest {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&b| self.0 = (self.0 ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// What has bits to digest.
trait Bits {
    fn add(&self, digest: &mut Digest);
}

impl Bits for f64 {
    fn add(&self, digest: &mut Digest) {
        // One zero, one NaN.
        let value = if self.is_nan() { f64::NAN } else { self + 0.0 };
        digest.write_u64(value.to_bits());
    }
}

macro_rules! integers {
    ($($t:ty => $write:ident),*) => { $(impl Bits for $t {
        fn add(&self, digest: &mut Digest) {
            digest.$write(*self);
        }
    })* };
}
integers!(usize => write_usize, u64 => write_u64, u32 => write_u32, i64 => write_i64);

impl Bits for bool {
    fn add(&self, digest: &mut Digest) {
        digest.write_u8(u8::from(*self));
    }
}

impl Bits for str {
    fn add(&self, digest: &mut Digest) {
        digest.write(self.as_bytes());
    }
}

impl Bits for Matrix {
    fn add(&self, digest: &mut Digest) {
        self.as_slice().add(digest);
    }
}

impl<T: Bits> Bits for [T] {
    fn add(&self, digest: &mut Digest) {
        digest.write_usize(self.len());
        self.iter().for_each(|v| v.add(digest));
    }
}

impl<T: Bits> Bits for Vec<T> {
    fn add(&self, digest: &mut Digest) {
        self.as_slice().add(digest);
    }
}

impl<T: Bits> Bits for Option<T> {
    fn add(&self, digest: &mut Digest) {
        digest.write_u8(u8::from(self.is_some()));
        self.iter().for_each(|v| v.add(digest));
    }
}

impl<T: Bits + ?Sized> Bits for &T {
    fn add(&self, digest: &mut Digest) {
        (**self).add(digest);
    }
}

impl<A: Bits, B: Bits> Bits for (A, B) {
    fn add(&self, digest: &mut Digest) {
        self.0.add(digest);
        self.1.add(digest);
    }
}

impl Pins {
    fn pin(&mut self, name: impl Into<String>, parts: &[&dyn Bits]) {
        let mut digest = Digest::default();
        parts.iter().for_each(|p| p.add(&mut digest));
        self.lines.push((name.into(), digest.finish()));
    }
}

fn stream(seed: u64) -> StreamRng {
    Streams::new(seed).stream(77)
}

fn gaussian(rows: usize, columns: usize, seed: u64) -> Matrix {
    let mut rng = stream(seed);
    Matrix::from_fn(rows, columns, |_, _| normal(&mut rng))
}

/// The list for the vector instructions that are used here.
fn list() -> Option<&'static str> {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq") {
            return Some("avx512");
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return Some("avx2");
        }
    }
    None
}

#[test]
fn answers_keep_their_bits() {
    let mut pins = Pins::default();
    linalg::pin(&mut pins);
    completion::pin(&mut pins);
    wht::pin(&mut pins);
    hamming::pin(&mut pins);
    sensitivity::pin(&mut pins);
    lasso::pin(&mut pins);
    mtrl::pin(&mut pins);
    let Some(name) = list() else { return };
    let path = format!("{}/tests/pinned/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    let found = pins.lines.iter().fold(String::new(), |mut all, (name, digest)| {
        let _ = writeln!(all, "{digest:016x} {name}");
        all
    });
    if std::env::var("SAMPLEWISE_PIN").is_ok_and(|v| v == "write") {
        std::fs::write(&path, &found).expect("the list can be written");
        return;
    }
    let known = std::fs::read_to_string(&path).expect("the list is there");
    let differ: Vec<&str> = found.lines().filter(|line| !known.lines().any(|k| k == *line)).collect();
    assert!(differ.is_empty() && known.lines().count() == found.lines().count(), "not as in {path}: {differ:#?}");
}

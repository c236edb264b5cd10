//! The pattern as letters, and which text codes each letter matches: what every engine works on.

/// A text symbol as engines see it: one byte where possible, two or four where there are more kinds.
pub trait Code: Copy + Eq + Send + Sync + std::fmt::Debug + 'static {
    /// The code as a number.
    fn index(self) -> usize;
    /// The number as a code.
    fn of(number: u32) -> Self;
    /// True when the codes share a bit.
    fn shares(self, other: Self) -> bool;
    /// Bit `i` is set where `codes[i]` matches, by a rule of the kernel.
    #[doc(hidden)]
    fn match_bits<S: pulp::Simd, const RULE: u8>(simd: S, own: [Self; 2], codes: &[Self; 64]) -> u64;
}

impl Code for u8 {
    #[inline(always)]
    fn index(self) -> usize {
        self as usize
    }
    #[inline(always)]
    fn of(number: u32) -> Self {
        number as u8
    }
    #[inline(always)]
    fn shares(self, other: Self) -> bool {
        self & other != 0
    }
    #[inline(always)]
    fn match_bits<S: pulp::Simd, const RULE: u8>(simd: S, own: [Self; 2], codes: &[Self; 64]) -> u64 {
        crate::kernel::match_bytes::<S, RULE>(simd, own, codes)
    }
}

impl Code for u16 {
    #[inline(always)]
    fn index(self) -> usize {
        self as usize
    }
    #[inline(always)]
    fn of(number: u32) -> Self {
        number as u16
    }
    #[inline(always)]
    fn shares(self, other: Self) -> bool {
        self & other != 0
    }
    #[inline(always)]
    fn match_bits<S: pulp::Simd, const RULE: u8>(simd: S, own: [Self; 2], codes: &[Self; 64]) -> u64 {
        crate::kernel::match_pairs::<S, RULE>(simd, own, codes)
    }
}

impl Code for u32 {
    #[inline(always)]
    fn index(self) -> usize {
        self as usize
    }
    #[inline(always)]
    fn of(number: u32) -> Self {
        number
    }
    #[inline(always)]
    fn shares(self, other: Self) -> bool {
        self & other != 0
    }
    #[inline(always)]
    fn match_bits<S: pulp::Simd, const RULE: u8>(simd: S, own: [Self; 2], codes: &[Self; 64]) -> u64 {
        crate::kernel::match_quads::<S, RULE>(simd, own, codes)
    }
}

/// When a letter matches a text code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// When they are equal, or the text code is the wildcard.
    Equal {
        /// The text code that matches every letter.
        wildcard: Option<u32>,
    },
    /// When they share a bit: both are sets.
    Share,
}

/// The letters of a pattern.
#[derive(Clone, Debug)]
pub struct Classes {
    /// Letter of each pattern position, numbered in order of first appearance; `None` is not counted.
    pub pattern: Vec<Option<u32>>,
    /// Code of each letter.
    pub codes: Vec<u32>,
    /// When letters match.
    pub rule: Rule,
    /// Number of text codes: all are below it.
    pub code_count: usize,
}

impl Classes {
    /// Number of letters.
    pub fn len(&self) -> usize {
        self.codes.len()
    }

    /// True when no position is counted.
    pub fn is_empty(&self) -> bool {
        self.codes.is_empty()
    }

    /// Positions of the pattern that are counted.
    pub fn counted(&self) -> usize {
        self.pattern.iter().flatten().count()
    }

    /// Occurrences of each letter in the pattern.
    pub fn occurrences(&self) -> Vec<usize> {
        let mut out = vec![0; self.len()];
        self.pattern.iter().flatten().for_each(|&c| out[c as usize] += 1);
        out
    }

    /// True when a letter matches a text code.
    #[inline]
    pub fn matches(&self, letter: u32, code: usize) -> bool {
        let own = self.codes[letter as usize] as usize;
        match self.rule {
            Rule::Equal { wildcard } => own == code || wildcard.is_some_and(|w| w as usize == code),
            Rule::Share => own & code != 0,
        }
    }

    /// `out[i] = 1` where a letter matches `text[i]`, else 0. Meant to be inlined into a kernel.
    #[inline(always)]
    pub fn mark<C: Code>(&self, letter: usize, text: &[C], out: &mut [u8]) {
        let own = C::of(self.codes[letter]);
        match self.rule {
            Rule::Equal { wildcard: None } => out.iter_mut().zip(text).for_each(|(o, &t)| *o = u8::from(t == own)),
            Rule::Equal { wildcard: Some(w) } => {
                let w = C::of(w);
                out.iter_mut().zip(text).for_each(|(o, &t)| *o = u8::from(t == own) | u8::from(t == w));
            }
            Rule::Share => out.iter_mut().zip(text).for_each(|(o, &t)| *o = u8::from(t.shares(own))),
        }
    }

    /// [`Classes::mark`] in floats.
    #[inline(always)]
    pub(crate) fn mark_floats<C: Code, T: samplewise_linalg::fft::FftReal>(
        &self,
        letter: usize,
        text: &[C],
        out: &mut [T],
    ) {
        let own = C::of(self.codes[letter]);
        let one = |hit: bool| if hit { T::one() } else { T::zero() };
        let all = out.iter_mut().zip(text);
        match self.rule {
            Rule::Equal { wildcard: None } => all.for_each(|(o, &t)| *o = one(t == own)),
            Rule::Equal { wildcard: Some(w) } => {
                let w = C::of(w);
                all.for_each(|(o, &t)| *o = one(t == own || t == w));
            }
            Rule::Share => all.for_each(|(o, &t)| *o = one(t.shares(own))),
        }
    }

    /// The same pattern with only the letters that `keep` holds; the other positions are not counted.
    #[must_use]
    pub fn restrict(&self, keep: &[bool]) -> Self {
        let mut number = vec![None; self.len()];
        let mut codes = Vec::new();
        for (c, &kept) in keep.iter().enumerate() {
            if kept {
                number[c] = Some(codes.len() as u32);
                codes.push(self.codes[c]);
            }
        }
        let pattern = self.pattern.iter().map(|c| c.and_then(|c| number[c as usize])).collect();
        Self { pattern, codes, ..*self }
    }
}

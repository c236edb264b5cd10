//! Asks for memory before it is needed.
#![allow(unsafe_code)]

/// Brings the lines of `row` towards the first-level cache; does nothing where the instruction does not exist.
///
/// `cargo bench --bench linalg -- prefetch` prints the gain on rows gathered at random from memory.
#[inline(always)]
pub(crate) fn prefetch<T>(row: &[T]) {
    #[cfg(target_arch = "x86_64")]
    for line in row.chunks((64 / size_of::<T>()).max(1)) {
        // SAFETY: a prefetch has no effect on the program, and the address is that of a live reference. SSE is part of
        // every x86-64.
        unsafe { std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = row;
}

//! Estimates the heap memory of an allocation.

/// Returns the heap memory that an allocation of `len` bytes uses with glibc on a 64-bit system: a header of 8 bytes,
/// rounded up to 16, at least 32. Other allocators differ by a few bytes.
pub(crate) const fn heap_size(len: usize) -> usize {
    if len == 0 {
        return 0;
    }
    let rounded = len.saturating_add(8).div_ceil(16).saturating_mul(16);
    if rounded < 32 { 32 } else { rounded }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allocation_has_a_header_and_is_rounded_up() {
        for (len, expected) in [(0, 0), (1, 32), (24, 32), (25, 48), (40, 48), (1_000, 1_008), (1_001, 1_024)]
        {
            assert_eq!(heap_size(len), expected, "{len}");
        }
        assert!(heap_size(usize::MAX) >= usize::MAX / 16 * 16);
    }
}

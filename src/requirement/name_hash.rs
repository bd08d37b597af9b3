//! A fast hash of names from the configuration.
//!
//! A client cannot cause collisions, because it does not choose the names that are stored.

use std::hash::Hasher;

/// The hasher of maps whose keys are texts.
#[derive(Debug, Default)]
pub(super) struct NameHasher(u64);

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = hash::<0>(self.0, bytes);
    }

    /// Ignores the byte that separates a text from what follows.
    fn write_u8(&mut self, _: u8) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Hashes a name. Names that differ only by the case of ASCII letters have the same hash.
pub(super) fn hash_ignoring_case(name: &[u8]) -> u64 {
    // The bit by which upper and lower case differ, in each byte.
    hash::<0x2020_2020_2020_2020>(0, name)
}

/// Adds a name to a hash. Sets the bits of `MASK` in each word of eight bytes.
fn hash<const MASK: u64>(mut hash: u64, name: &[u8]) -> u64 {
    let mut add = |word: u64| {
        // An odd number with about as many ones as zeros: the golden ratio in 64 bits.
        const FACTOR: u128 = 0x9e37_79b9_7f4a_7c15;
        let product = u128::from(hash ^ (word | MASK)) * FACTOR;
        hash = (product ^ (product >> 64)) as u64;
    };
    // To read some bytes twice is faster than to copy those that are left.
    if let Some(last) = name.last_chunk() {
        for word in name.as_chunks().0 {
            add(u64::from_le_bytes(*word));
        }
        add(u64::from_le_bytes(*last));
    } else if let (Some(first), Some(last)) = (name.first_chunk(), name.last_chunk()) {
        add(u64::from(u32::from_le_bytes(*first)) << 32 | u64::from(u32::from_le_bytes(*last)));
    } else {
        add(name.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
    }
    hash
}

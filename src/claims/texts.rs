//! Several strings in two allocations.

use std::fmt;

use crate::heap_size::heap_size;

/// A list of strings in one piece of memory: 300 short `aud` entries take 2 allocations, not 301.
#[derive(Clone, Default)]
pub(super) struct Texts {
    /// The strings, one after the other.
    joined: Box<str>,
    /// Where each ends in `joined`.
    ends: Box<[usize]>,
}

impl Texts {
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        let mut start = 0;
        self.ends.iter().filter_map(move |&end| self.joined.get(std::mem::replace(&mut start, end)..end))
    }

    /// Returns the bytes of heap they take.
    pub(super) fn heap_size(&self) -> usize {
        heap_size(self.joined.len()) + heap_size(size_of_val(&*self.ends))
    }
}

impl<T: AsRef<str>> FromIterator<T> for Texts {
    fn from_iter<I: IntoIterator<Item = T>>(texts: I) -> Self {
        let mut joined = String::new();
        let mut ends = Vec::new();
        for text in texts {
            joined.push_str(text.as_ref());
            ends.push(joined.len());
        }
        Self { joined: joined.into(), ends: ends.into() }
    }
}

impl fmt::Debug for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_come_back_as_they_were_and_in_order() {
        for strings in [&[][..], &[""], &["a"], &["", "é", "", "a\0b", "\u{1f600}", ""]] {
            let texts: Texts = strings.iter().collect();

            assert!(texts.iter().eq(strings.iter().copied()), "{texts:?}");
        }
    }

    #[test]
    fn debug_lists_them() {
        assert_eq!(format!("{:?}", ["a", "b"].iter().collect::<Texts>()), r#"["a", "b"]"#);
    }
}

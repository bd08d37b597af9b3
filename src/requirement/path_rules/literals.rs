//! Finds a literal text of a pattern: [`Literals`].

use super::super::name_hash::hash_ignoring_case;

/// Values by text. Ignores the case of ASCII letters.
#[derive(Debug)]
pub(super) struct Literals<T> {
    list: Vec<Literal<T>>,
    /// A hash table of indexes of `list`, if there are many. Two thirds or more are `None`. An index is at the position of its hash, or
    /// at the next one that was free.
    table: Vec<Option<usize>>,
}

#[derive(Debug)]
struct Literal<T> {
    text: Box<[u8]>,
    /// Whether patterns write the text in different case. Then `text` is one of them.
    has_variants: bool,
    value: T,
}

impl<T: Default> Literals<T> {
    /// Returns the value of a text. Adds it if there is none.
    pub(super) fn insert(&mut self, text: &str) -> &mut T {
        let text = text.as_bytes();
        let known = self.list.iter().position(|known| known.text.eq_ignore_ascii_case(text));
        let index = known.unwrap_or_else(|| {
            self.list.push(Literal { text: text.into(), has_variants: false, value: T::default() });
            self.fill_table();
            self.list.len() - 1
        });
        let literal = &mut self.list[index];
        literal.has_variants |= *literal.text != *text;
        &mut literal.value
    }

    fn fill_table(&mut self) {
        if self.list.len() <= Self::FEW {
            return;
        }
        self.table = vec![None; (self.list.len() * 3).next_power_of_two()];
        for (index, literal) in self.list.iter().enumerate() {
            let free = self.positions(&literal.text).find(|position| self.table[*position].is_none());
            self.table[free.expect("the table is larger than the list")] = Some(index);
        }
    }
}

impl<T> Literals<T> {
    /// With this number or fewer, comparing all of them is faster than a hash.
    const FEW: usize = 6;

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Returns the value of a text, and whether the text certainly has the same case.
    pub(super) fn find(&self, text: &[u8]) -> Option<(&T, bool)> {
        if self.list.len() <= Self::FEW {
            return self.list.iter().find_map(|literal| literal.compare(text));
        }
        for position in self.positions(text) {
            let literal = self.list.get((*self.table.get(position)?)?)?;
            if let Some(found) = literal.compare(text) {
                return Some(found);
            }
        }
        None
    }

    /// Returns where in the table a text can be, in this order.
    fn positions(&self, text: &[u8]) -> impl Iterator<Item = usize> + use<T> {
        let last = self.table.len() - 1;
        let first = hash_ignoring_case(text) as usize;
        (0..=last).map(move |offset| first.wrapping_add(offset) & last)
    }
}

impl<T> Default for Literals<T> {
    fn default() -> Self {
        Self { list: Vec::new(), table: Vec::new() }
    }
}

impl<T> Literal<T> {
    fn compare(&self, text: &[u8]) -> Option<(&T, bool)> {
        // Most texts have the case of the pattern.
        if *self.text == *text {
            return Some((&self.value, !self.has_variants));
        }
        self.text.eq_ignore_ascii_case(text).then_some((&self.value, false))
    }
}

/// Returns the length of the first segment of a path. Looks at 8 bytes at a time.
pub(super) fn segment_len(path: &[u8]) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let (words, rest) = path.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        // Slashes become zero. Then the lowest bit that is set below is that of the first zero.
        let bytes = u64::from_le_bytes(*word) ^ (ONES * u64::from(b'/'));
        let zeros = bytes.wrapping_sub(ONES) & !bytes & (ONES << 7);
        if zeros != 0 {
            return index * 8 + (zeros.trailing_zeros() / 8) as usize;
        }
    }
    let end = rest.iter().position(|byte| *byte == b'/');
    end.map_or(path.len(), |end| words.len() * 8 + end)
}

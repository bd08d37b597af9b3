//! An array with few members: [`Few`].

use std::{fmt, marker::PhantomData};

use serde::de::{Deserialize, Deserializer, Error as _, SeqAccess, Visitor};

/// The members of an array. Reading fails at the first member after `MAX`, so that a long array does not occupy memory.
pub(super) struct Few<T, const MAX: usize>(pub(super) Vec<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Few<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(InOrder(PhantomData))
    }
}

struct InOrder<T, const MAX: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for InOrder<T, MAX> {
    type Value = Few<T, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array of at most {MAX} members")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = sequence.next_element()? {
            if members.len() == MAX {
                return Err(A::Error::invalid_length(MAX + 1, &self));
            }
            members.push(member);
        }
        Ok(Few(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a66_array_with_too_many_members_is_refused_before_its_end() {
        let read = |text| serde_json::from_str::<Few<u8, 2>>(text).map(|Few(members)| members);

        assert!(read("[]").unwrap().is_empty());
        assert_eq!(read("[1,2]").unwrap(), [1, 2]);
        assert!(read("[1,2,3]").is_err());
        assert!(read("[1,2,3,not JSON").unwrap_err().is_data());
        assert!(read("{}").is_err());
    }
}

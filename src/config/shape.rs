//! Describes what a document may contain: [`Shape`].
//!
//! The reader, the mapping of environment variables and the JSON Schema all follow the same description.

/// The kind of a value.
#[derive(Debug)]
pub(super) enum Shape {
    Text,
    /// The path of a file.
    File,
    Flag,
    Duration,
    Size,
    Scope,
    /// A signature algorithm.
    Algorithm,
    Word(&'static [&'static str]),
    /// Any value.
    Any,
    List(&'static Shape),
    /// One value, or a list of them.
    OneOrMany(&'static Shape),
    /// Names that the user chooses, each with a value.
    Map(&'static Shape),
    Table(&'static TableShape),
    /// A list of scopes that are all required, or a table.
    Requirement(&'static TableShape),
}

/// The keys of a table.
#[derive(Debug)]
pub(super) struct TableShape {
    pub(super) doc: &'static str,
    pub(super) keys: &'static [Key],
}

#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) required: bool,
    pub(super) doc: &'static str,
}

impl Key {
    pub(super) const fn new(name: &'static str, shape: Shape, doc: &'static str) -> Self {
        Self { name, shape, required: false, doc }
    }

    pub(super) const fn required(name: &'static str, shape: Shape, doc: &'static str) -> Self {
        Self { name, shape, required: true, doc }
    }
}

impl TableShape {
    pub(super) fn find(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().map(|key| key.name)
    }
}

impl Shape {
    /// Returns what was expected, for problems.
    pub(super) fn expected(&self) -> String {
        match self {
            Self::Text => "expected text".to_owned(),
            Self::File => "expected the path of a file".to_owned(),
            Self::Flag => "expected true or false".to_owned(),
            Self::Duration => format!("expected {}", crate::units::DURATION),
            Self::Size => format!("expected {}", crate::units::SIZE),
            Self::Scope => {
                "expected one or more of the characters %x21 / %x23-5B / %x5D-7E (RFC 6749 section 3.3)"
                    .to_owned()
            }
            Self::Algorithm => {
                "expected a signature algorithm such as RS256 (RFC 7518 section 3.1)".to_owned()
            }
            Self::Word(words) => {
                let words: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
                format!("expected {}", words.join(" or "))
            }
            Self::Any => "expected a value".to_owned(),
            Self::List(_) => "expected a list".to_owned(),
            Self::OneOrMany(_) => "expected text or a list".to_owned(),
            Self::Map(_) | Self::Table(_) => "expected a table".to_owned(),
            Self::Requirement(_) => {
                "expected a list of scopes, or a table with one of scopes, any_of and access".to_owned()
            }
        }
    }
}

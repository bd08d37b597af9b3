//! A document with settings, from any serde format: [`Document`].

use std::{fmt, path::Path, sync::Arc};

use serde::{Deserialize, Deserializer, de::DeserializeOwned};

use super::{
    Environment,
    node::{Node, Origin, Plain, Positioned, Value},
    report::Report,
};
use crate::{ConfigError, config_error::Problem};

/// A document with settings, as it was read. It is not checked yet.
///
/// It implements `Deserialize`, so it is read from any format of serde that describes itself: TOML, YAML, JSON and others.
///
/// ```
/// use tower_bearer::config::Document;
///
/// let toml: Document = toml::from_str("realm = 'orders'")?;
/// let yaml: Document = serde_norway::from_str("realm: orders")?;
/// let json: Document = serde_json::from_str(r#"{"realm": "orders"}"#)?;
/// # let _ = (toml, yaml, json);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// Problems name the document and the path of the setting. With [`with_positions`](Self::with_positions), they also have the line
/// and the column.
///
/// `Debug` shows no values, because someone may have put a secret into the document.
#[derive(Clone)]
pub struct Document {
    pub(super) root: Node,
    /// The keys that were taken together with their environment variables.
    pub(super) taken: Vec<String>,
}

impl Document {
    /// Creates a document without settings, for programs that are configured by environment variables only.
    pub fn empty() -> Self {
        Self::of(Node::empty_table(Origin::Unknown))
    }

    /// Reads a document from a format that passes positions in the way of the crate `serde_spanned`, such as `toml`.
    ///
    /// `text` is the text that the deserializer reads.
    ///
    /// ```
    /// use tower_bearer::config::Document;
    ///
    /// let text = "realm = 'orders'\nclock_scew = '30s'";
    /// let document = Document::with_positions(text, toml::Deserializer::parse(text)?)?;
    /// # let _ = document;
    /// # Ok::<_, toml::de::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the text is not a document of this format.
    pub fn with_positions<'de, D: Deserializer<'de>>(text: &str, deserializer: D) -> Result<Self, D::Error> {
        let Positioned(value) = Positioned::deserialize(deserializer)?;
        let mut root = Node::new(value, Origin::Unknown);
        root.set_origins(&|origin| match origin {
            Origin::Offset(offset) => {
                Origin::Document { name: "document".into(), position: Some(position(text, *offset)) }
            }
            other => other.clone(),
        });
        Ok(Self::of(root))
    }

    fn of(root: Node) -> Self {
        Self { root, taken: Vec::new() }
    }

    /// Sets the name of the document, for problems. Default: `document`.
    pub fn named(mut self, name: &str) -> Self {
        let name: Arc<str> = name.into();
        self.root.set_origins(&|origin| match origin {
            Origin::Document { position, .. } => {
                Origin::Document { name: Arc::clone(&name), position: *position }
            }
            Origin::Variable(_) => origin.clone(),
            Origin::Unknown | Origin::Offset(_) => {
                Origin::Document { name: Arc::clone(&name), position: None }
            }
        });
        self
    }

    pub(super) fn named_after(self, path: &Path) -> Self {
        self.named(&path.display().to_string())
    }

    /// Removes the value of a key and returns it as your own type.
    ///
    /// Use it to read your own settings from the same document:
    ///
    /// ```
    /// use serde::Deserialize;
    /// use tower_bearer::config::Document;
    ///
    /// #[derive(Deserialize)]
    /// struct Backend {
    ///     url: String,
    /// }
    ///
    /// let mut document: Document = toml::from_str("realm = 'orders'\n[backend]\nurl = 'http://127.0.0.1:8081'")?;
    /// let backend: Backend = document.take("backend")?;
    /// assert_eq!(backend.url, "http://127.0.0.1:8081");
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// Environment variables for this key are not known to [`ConfigSource::environment`](super::ConfigSource::environment), so
    /// they are a problem there. To have them override the document, use [`take_with`](Self::take_with).
    ///
    /// # Errors
    /// If the value does not fit the type. If there is none, the type is read from `null`, so an `Option` is `None`. The error may
    /// show the value that was found, so keep secrets in files and only their names in the document.
    pub fn take<T: DeserializeOwned>(&mut self, key: &str) -> Result<T, ConfigError> {
        let node = self.remove(key);
        self.read(key, node, &[])
    }

    /// Like [`take`](Self::take), and environment variables override the values.
    ///
    /// With the prefix `TOWER_BEARER_`, the variable `TOWER_BEARER_BACKEND_URL` sets `url` of `[backend]`. The types of your
    /// settings are not known here, so these rules apply:
    ///
    /// * Keys of the document decide how a name is split. What is left is one key: without a table `tls` in the document,
    ///   `TOWER_BEARER_BACKEND_TLS_CERT` sets `tls_cert`.
    /// * A value is text if the document has text there. Otherwise it is read as JSON, such as `true`, `30` or `["a", "b"]`, and
    ///   as text if it is not JSON. Write `"30"` with the quotes for text.
    ///
    /// A variable that is the name of another setting, such as `TOWER_BEARER_ERROR_URI`, does not belong to a key `error`. Your
    /// type must refuse unknown keys (`deny_unknown_fields`) to notice a misspelled variable.
    ///
    /// ```
    /// use serde::Deserialize;
    /// use tower_bearer::config::{Document, Environment};
    ///
    /// #[derive(Deserialize)]
    /// #[serde(deny_unknown_fields)]
    /// struct Backend {
    ///     url: String,
    ///     deadline_seconds: u64,
    /// }
    ///
    /// let mut document: Document = toml::from_str("[backend]\nurl = 'http://127.0.0.1:8081'")?;
    /// let environment = Environment::from_variables("ORDERS_", [("ORDERS_BACKEND_DEADLINE_SECONDS", "30")]);
    /// let backend: Backend = document.take_with("backend", &environment)?;
    /// assert_eq!(backend.url, "http://127.0.0.1:8081");
    /// assert_eq!(backend.deadline_seconds, 30);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As for `take`, and if a variable is not UTF-8 or has an index that a list does not have.
    pub fn take_with<T: DeserializeOwned>(
        &mut self,
        key: &str,
        environment: &Environment,
    ) -> Result<T, ConfigError> {
        self.taken.push(key.to_owned());
        let mut node = self.remove(key);
        let mut report = Report::default();
        let variables = environment.apply_to_section(key, &mut node, &mut report);
        if report.is_empty() { self.read(key, node, &variables) } else { Err(report.into_error()) }
    }

    fn remove(&mut self, key: &str) -> Option<Node> {
        match &mut self.root.value {
            Value::Table(table) => table.remove(key),
            _ => None,
        }
    }

    fn read<T: DeserializeOwned>(
        &self,
        key: &str,
        node: Option<Node>,
        variables: &[Origin],
    ) -> Result<T, ConfigError> {
        let place = node.as_ref().map_or(&self.root.origin, |node| &node.origin);
        let more = variables.iter().filter(|variable| *variable != place);
        let origin = more.fold(place.to_string(), |text, variable| format!("{text}, {variable}"));
        let value = node.map_or(serde_json::Value::Null, |node| node.to_json());
        serde_json::from_value(value).map_err(|error| {
            let problem = Problem::without_value("", error.to_string());
            problem.at(key.to_owned(), Some(origin)).into()
        })
    }
}

/// Reads a document without positions.
impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Plain::deserialize(deserializer).map(|Plain(root)| Self::of(root))
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document").field("origin", &self.root.origin).finish_non_exhaustive()
    }
}

/// Returns line and column, from 1. The column counts characters.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
    (line, column)
}

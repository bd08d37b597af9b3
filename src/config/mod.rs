//! Settings from a document and from environment variables: [`ConfigSource`] (feature `config`).
//!
//! Every setting of the builders has a key in the document, with the same name. The [guide](crate::guides::configuration) explains
//! all of it, and lists the combinations of settings that are refused. `docs/config.schema.json` is the [schema](json_schema).
//!
//! ```
//! use tower_bearer::config::{ConfigSource, Document, Environment};
//!
//! let text = r#"
//!     audience = "https://orders.example.com"
//!     verdict_cache_bytes = "64MiB"
//!
//!     [[issuers]]
//!     issuer = "https://as.example.com"
//!     clock_skew = "10s"
//!
//!     [metadata]
//!     resource = "https://orders.example.com"
//!
//!     [[paths.rule]]
//!     methods = ["GET"]
//!     path = "/orders/{id}"
//!     scopes = ["orders:read"]
//! "#;
//! let document = Document::with_positions(text, toml::Deserializer::parse(text)?)?;
//! let resource_server =
//!     ConfigSource::document(document).environment(Environment::from_process()).load()?;
//! let layer = resource_server.require_policy()?; // the rules of the document
//! # let _ = layer;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # How a document is read
//! 1. Any serde format is read into a tree that records where each value came from.
//! 2. Environment variables are put into the tree.
//! 3. The tree is compared with the description of all keys, which is also the source of the schema: unknown keys, wrong types,
//!    durations and sizes without a unit.
//! 4. Combinations of settings are checked.
//! 5. The builders are called, and check the values as they do for settings in code.
//!
//! No step stops at the first problem. The [`ConfigError`](crate::ConfigError) has the problems of all steps.

mod check;
mod dangers;
mod document;
mod environment;
mod files;
mod keys;
mod node;
mod read;
mod report;
mod schema;
mod shape;
mod source;
mod watch;

pub use self::{
    document::Document,
    environment::Environment,
    schema::json_schema,
    source::ConfigSource,
    watch::{ConfigWatch, Reloaded},
};

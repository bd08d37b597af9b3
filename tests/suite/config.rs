//! Proves what settings from documents and environment variables do.

mod combinations;
mod documents;
mod environment;
mod keys;
mod mistakes;
mod reloading;
mod secrets;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use tower_bearer::{
    ConfigError, ResourceServer,
    config::{ConfigSource, Document, Environment},
};

/// A folder that is removed when the test ends.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tower-bearer-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn parse_toml(text: &str) -> Result<Document, toml::de::Error> {
    Document::with_positions(text, toml::Deserializer::parse(text)?)
}

fn toml_source(path: impl AsRef<Path>) -> ConfigSource {
    ConfigSource::file(path.as_ref(), parse_toml)
}

fn load(toml: &str) -> Result<ResourceServer, ConfigError> {
    ConfigSource::document(parse_toml(toml).unwrap().named("auth.toml")).load()
}

fn load_with(toml: &str, variables: &[(&str, &str)]) -> Result<ResourceServer, ConfigError> {
    let environment = Environment::from_variables("TOWER_BEARER_", variables.iter().copied());
    ConfigSource::document(parse_toml(toml).unwrap().named("auth.toml")).environment(environment).load()
}

fn problems(result: Result<ResourceServer, ConfigError>) -> Vec<String> {
    result.unwrap_err().problems().collect()
}

/// Settings without problems.
const GOOD: &str = "
audience = 'https://orders.example.com'
[[issuers]]
issuer = 'https://as.example.com'
";

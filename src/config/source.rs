//! Where settings come from: [`ConfigSource`].

use std::{
    error::Error,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use super::{
    Document, Environment,
    check::check,
    dangers::check_combinations,
    files::Files,
    keys::DOCUMENT,
    node::Origin,
    read::{self, Customize, Reader},
    report::Report,
    shape::Shape,
    watch::ConfigWatch,
};
use crate::{ConfigError, ResourceServer, ResourceServerBuilder};

/// How often a document and the files that it names are read again, unless another time is set.
const DEFAULT_POLL_INTERVAL: Duration = Duration::from_secs(5);

/// Where the settings of a resource server come from: a document, environment variables, or both.
///
/// [`load`](Self::load) builds a resource server once. [`watch`](Self::watch) also applies changes while it serves. See the
/// [module documentation](super) for an example.
#[derive(Clone)]
#[must_use]
pub struct ConfigSource {
    document: Origins,
    environment: Environment,
    customize: Arc<Customize>,
    pub(super) poll_interval: Duration,
}

type BoxError = Box<dyn Error + Send + Sync>;
type Parse = dyn Fn(&str) -> Result<Document, BoxError> + Send + Sync;

#[derive(Clone)]
enum Origins {
    File(Arc<Path>, Arc<Parse>),
    Given(Document),
}

/// The result of reading everything once.
pub(super) struct Loaded {
    pub(super) outcome: Result<Effective, ConfigError>,
    /// What was read, also if there are problems.
    pub(super) files: Files,
}

pub(super) struct Effective {
    pub(super) resource_server: ResourceServer,
    /// The settings of document and environment together. It contains no secrets: those are in files.
    pub(super) settings: serde_json::Value,
}

impl ConfigSource {
    /// Reads a document from a file. `parse` reads its text in the format of your choice.
    ///
    /// Relative paths in the document begin in the folder of the document. Maximum size: 4 MiB.
    ///
    /// ```no_run
    /// use tower_bearer::config::{ConfigSource, Document};
    ///
    /// // With line and column in problems:
    /// let toml = ConfigSource::file("auth.toml", |text| {
    ///     Document::with_positions(text, toml::Deserializer::parse(text)?)
    /// });
    /// let yaml = ConfigSource::file("auth.yaml", |text| serde_norway::from_str(text));
    /// # let _ = (toml, yaml);
    /// ```
    pub fn file<E: Into<BoxError>>(
        path: impl Into<PathBuf>,
        parse: impl Fn(&str) -> Result<Document, E> + Send + Sync + 'static,
    ) -> Self {
        let parse = move |text: &str| parse(text).map_err(Into::into);
        Self::new(Origins::File(path.into().into(), Arc::new(parse)))
    }

    /// Takes a document that was read already. Relative paths in it begin in the current folder of the process.
    pub fn document(document: Document) -> Self {
        Self::new(Origins::Given(document))
    }

    fn new(document: Origins) -> Self {
        Self {
            document,
            environment: Environment::none(),
            customize: Arc::new(|builder| builder),
            poll_interval: DEFAULT_POLL_INTERVAL,
        }
    }

    /// Sets the environment variables, which override the document. Default: none.
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = environment;
        self
    }

    /// Changes the builder after all settings were applied. Default: no changes.
    ///
    /// For what no document can express: a clock, the body of refusals, or rules that are functions. It is also called when a
    /// changed document is loaded.
    ///
    /// ```
    /// use tower_bearer::{Scope, config::{ConfigSource, Document}};
    ///
    /// let source = ConfigSource::document(Document::empty())
    ///     .customize(|builder| builder.baseline_scopes([Scope::from_static("orders:read")]));
    /// # let _ = source;
    /// ```
    pub fn customize(
        mut self,
        change: impl Fn(ResourceServerBuilder) -> ResourceServerBuilder + Send + Sync + 'static,
    ) -> Self {
        self.customize = Arc::new(change);
        self
    }

    /// Sets how often [`watch`](Self::watch) reads the files again. Default: 5 seconds. Range: 10 milliseconds to 1 day.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval;
        self
    }

    /// Reads everything and builds a resource server.
    ///
    /// Blocks while files are read. Nothing is fetched over the network.
    ///
    /// # Errors
    /// If the document cannot be read, or a setting is invalid. The error lists all problems, each with the path of the setting,
    /// its value, what is expected, and where the value came from. Values of secrets are not shown.
    pub fn load(&self) -> Result<ResourceServer, ConfigError> {
        self.load_all().outcome.map(|effective| effective.resource_server)
    }

    /// Builds a resource server, and applies changes of the document and of the files that it names while it serves.
    ///
    /// # Errors
    /// As for [`load`](Self::load), and if the poll interval is out of range.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn watch(self) -> Result<ConfigWatch, ConfigError> {
        ConfigWatch::start(self)
    }

    pub(super) fn load_all(&self) -> Loaded {
        let mut report = Report::default();
        let path = match &self.document {
            Origins::File(path, _) => Some(&**path),
            Origins::Given(_) => None,
        };
        let mut files = Files::beside(path);
        let outcome = match self.read_document(&mut files, &mut report) {
            Some(document) => self.build(document, &mut files, report),
            None => Err(report.into_error()),
        };
        Loaded { outcome, files }
    }

    fn read_document(&self, files: &mut Files, report: &mut Report) -> Option<Document> {
        let (path, parse) = match &self.document {
            Origins::Given(document) => return Some(document.clone()),
            Origins::File(path, parse) => (path, parse),
        };
        let origin = Origin::Document { name: path.display().to_string().into(), position: None };
        let text =
            files.document(path).map_err(|expected| report.elsewhere("document", expected, &origin)).ok()?;
        match parse(&text) {
            Ok(document) => Some(document.named_after(path)),
            Err(error) => {
                let expected = format!(
                    "expected a document that can be parsed ({})",
                    without_excerpt(&error.to_string())
                );
                report.elsewhere("document", expected, &origin);
                None
            }
        }
    }

    fn build(
        &self,
        document: Document,
        files: &mut Files,
        mut report: Report,
    ) -> Result<Effective, ConfigError> {
        const SHAPE: &Shape = &Shape::Table(&DOCUMENT);
        let Document { mut root, taken } = document;
        self.environment.apply(&mut root, &taken, &mut report);
        check(&mut root, SHAPE, "", &mut report);
        let reader = Reader::root(&root, SHAPE);
        check_combinations(&reader, &mut report);
        let built = read::resource_server(&reader, &*self.customize, files, &mut report);
        match built.filter(|_| report.is_empty()) {
            Some(resource_server) => Ok(Effective { resource_server, settings: root.to_json() }),
            None => Err(report.into_error()),
        }
    }
}

impl fmt::Debug for ConfigSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = match &self.document {
            Origins::File(path, _) => Some(path),
            Origins::Given(_) => None,
        };
        f.debug_struct("ConfigSource")
            .field("file", &path)
            .field("environment", &self.environment)
            .field("poll_interval", &self.poll_interval)
            .finish_non_exhaustive()
    }
}

/// Removes the lines that quote the document, because someone may have put a secret into it.
fn without_excerpt(error: &str) -> String {
    let is_excerpt = |line: &&str| {
        line.trim_start()
            .trim_start_matches(|character: char| character.is_ascii_digit())
            .trim_start()
            .starts_with('|')
    };
    error.lines().filter(|line| !is_excerpt(line)).collect::<Vec<_>>().join(" ").trim().to_owned()
}

//! The files that a document names: [`Files`].

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    io::Read as _,
    path::{Path, PathBuf},
};

use aws_lc_rs::digest;

use super::{node::Origin, read::Reader, report::Report};

/// Maximum size of a document, a secret, a key file or a file with certificates, in bytes. The platform's own certificates
/// are about 200 KiB.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// Reads files and remembers what was in them, to notice a change.
#[derive(Clone, Debug, Default)]
pub(super) struct Files {
    /// The folder of the document. Relative paths in the document begin there.
    folder: PathBuf,
    /// The files that the document names.
    pub(super) named: Fingerprints,
    /// The document itself.
    pub(super) document: Fingerprints,
}

/// Hashes of the contents of files.
pub(super) type Fingerprints = BTreeMap<PathBuf, Fingerprint>;

/// The hash of the content of a file, or the reason why it could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fingerprint {
    Content(Vec<u8>),
    Unreadable(io::ErrorKind),
}

/// The secret in a file. `Debug` does not show it.
pub(super) struct Secret(String);

impl Files {
    pub(super) fn beside(document: Option<&Path>) -> Self {
        let folder = document.and_then(Path::parent).map(Path::to_owned).unwrap_or_default();
        Self { folder, ..Self::default() }
    }

    /// Reads the document itself.
    pub(super) fn document(&mut self, path: &Path) -> Result<String, String> {
        read_text(path.to_owned(), &mut self.document)
    }

    /// Reads the file that a setting names. Returns `None` after a problem was reported.
    pub(super) fn text(&mut self, file: &Reader<'_>, report: &mut Report) -> Option<String> {
        let name = Path::new(file.text()?);
        // A path in an environment variable begins in the current folder of the process.
        let path = match file.origin() {
            Some(Origin::Variable(_)) => name.to_owned(),
            _ => self.folder.join(name),
        };
        // The name is not shown: it may be a secret that was put in the wrong place.
        read_text(path, &mut self.named).map_err(|expected| report.without_value(file.path(), expected)).ok()
    }

    /// Reads a secret. One line break at the end is removed.
    pub(super) fn secret(&mut self, file: &Reader<'_>, report: &mut Report) -> Option<Secret> {
        let mut text = self.text(file, report)?;
        if text.ends_with('\n') {
            text.pop();
            if text.ends_with('\r') {
                text.pop();
            }
        }
        if text.is_empty() {
            report.without_value(file.path(), "expected a file that is not empty");
            return None;
        }
        Some(Secret(text))
    }
}

impl Fingerprint {
    /// Returns the fingerprint of a file as it is now.
    pub(super) fn now(path: &Path) -> Self {
        Self::of(&read(path))
    }

    fn of(content: &io::Result<Vec<u8>>) -> Self {
        match content {
            Ok(content) => Self::Content(digest::digest(&digest::SHA256, content).as_ref().to_vec()),
            Err(error) => Self::Unreadable(error.kind()),
        }
    }
}

impl Secret {
    pub(super) fn expose(self) -> String {
        self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

fn read_text(path: PathBuf, seen: &mut Fingerprints) -> Result<String, String> {
    let content = read(&path);
    seen.insert(path, Fingerprint::of(&content));
    let content = content.map_err(|error| format!("expected a file that can be read ({error})"))?;
    String::from_utf8(content).map_err(|_| "expected a file in UTF-8".to_owned())
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    // Reading a named pipe could wait forever.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    fs::File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut content)?;
    if content.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 4 MiB"));
    }
    Ok(content)
}

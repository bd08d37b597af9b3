//! A PostgreSQL server of the test's own: [`Cluster`].

use std::{
    env,
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use sqlx::{AnyConnection, Connection as _};

use super::soon;

/// A server in a directory of its own, which is deleted at the end. It has no TCP port, only a socket in that directory.
pub(crate) struct Cluster {
    programs: PathBuf,
    directory: PathBuf,
    server: Option<Child>,
}

impl Cluster {
    /// Creates and starts a server. Without PostgreSQL, prints that the test is skipped and returns `None`.
    ///
    /// # Panics
    /// Without PostgreSQL if the environment variable `CI` is set: CI must never skip a test.
    pub(crate) async fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            let test = std::thread::current().name().unwrap_or_default().to_owned();
            assert!(
                env::var_os("CI").is_none(),
                "PostgreSQL is not installed: run apt-get install postgresql first. {test} is not skipped because CI is set"
            );
            // Not eprintln: the test runner hides its output when a test passes.
            let line = format!(
                "SKIPPED {test}: PostgreSQL is not installed. To install it, run apt-get install postgresql.\n"
            );
            io::stderr().write_all(line.as_bytes()).unwrap();
            return None;
        };
        let mut cluster = Self { programs, directory: new_directory(), server: None };
        let initdb = cluster
            .command("initdb")
            .args(["--username=postgres", "--auth=trust", "--no-sync", "--no-locale", "--encoding=UTF8"])
            .output()
            .unwrap();
        assert!(initdb.status.success(), "{}", String::from_utf8_lossy(&initdb.stderr));
        cluster.restart().await;
        Some(cluster)
    }

    /// Starts the server, and waits until it accepts connections.
    pub(crate) async fn restart(&mut self) {
        sqlx::any::install_default_drivers();
        let url = self.url();
        soon(async {
            loop {
                // A new server does not start while a process of a killed one is still there.
                if self.server.as_mut().is_none_or(|server| server.try_wait().unwrap().is_some()) {
                    self.server = Some(self.spawn());
                }
                match AnyConnection::connect(&url).await {
                    Ok(connection) => return connection.close().await.unwrap(),
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        })
        .await;
    }

    fn spawn(&self) -> Child {
        let mut server = self.command("postgres");
        server.arg("-k").arg(&self.directory);
        // As fast as possible: no data must survive a crash of the machine.
        for setting in ["listen_addresses=", "fsync=off", "full_page_writes=off", "max_connections=40"] {
            server.args(["-c", setting]);
        }
        server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Kills the server, as a crash does.
    pub(crate) fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().unwrap();
            server.wait().unwrap();
        }
    }

    /// Returns the URL of the database.
    pub(crate) fn url(&self) -> String {
        let mut path = String::new();
        for byte in self.directory.to_str().unwrap().bytes() {
            write!(path, "%{byte:02X}").unwrap();
        }
        format!("postgres://postgres@{path}/postgres")
    }

    /// Opens another connection.
    pub(crate) async fn connect(&self) -> AnyConnection {
        soon(AnyConnection::connect(&self.url())).await.unwrap()
    }

    /// Returns the command of a server program, as another user if this one is root: PostgreSQL refuses to run as root.
    fn command(&self, program: &str) -> Command {
        let program = self.programs.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.env("PGDATA", self.directory.join("data")).env_remove("CI").current_dir("/");
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.kill();
        // A process of the server may still write. What is left is in the directory for temporary files.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Sends a signal to a process.
pub(crate) fn signal(name: &str, process: i64) {
    let status = Command::new("kill").args([format!("-{name}"), process.to_string()]).status().unwrap();
    assert!(status.success());
}

/// Returns the directory of the server programs: of the newest version in Debian's place, or the one of `postgres` in `PATH`.
fn programs() -> Option<PathBuf> {
    let debian =
        fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path());
    let version = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = debian.filter(|path| version(path).is_some()).max_by_key(version);
    let in_path =
        env::var_os("PATH").into_iter().flat_map(|path| env::split_paths(&path).collect::<Vec<_>>());
    newest
        .map(|path| path.join("bin"))
        .into_iter()
        .chain(in_path)
        .find(|path| ["initdb", "postgres"].iter().all(|program| path.join(program).is_file()))
}

/// Creates a directory that the server may write to. Its name is short, because the path of a socket has at most 107 bytes.
fn new_directory() -> PathBuf {
    let mut name = [0; 8];
    aws_lc_rs::rand::fill(&mut name).unwrap();
    let directory = Path::new("/tmp").join(format!("tb-pg-{:016x}", u64::from_ne_bytes(name)));
    fs::create_dir(&directory).unwrap();
    if is_root() {
        let status = Command::new("chown").arg("postgres").arg(&directory).status().unwrap();
        assert!(status.success());
    }
    directory
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

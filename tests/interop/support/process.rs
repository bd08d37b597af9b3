//! Programs that the tests start.

use std::{net::SocketAddr, path::Path, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    net::TcpStream,
    process::{Child, ChildStdin, ChildStdout, Command},
};

use super::{Tools, soon};

/// Starts a server that was told to listen on this address, and waits until it does. It ends when the child is dropped.
pub(crate) async fn serve_with(command: &mut Command, address: SocketAddr) -> Child {
    let mut child =
        command.stdin(Stdio::null()).kill_on_drop(true).spawn().expect("the program is installed");
    soon(async {
        // The open port is the only sign that the server is ready.
        while TcpStream::connect(address).await.is_err() {
            let ended = child.try_wait().expect("the child can be observed");
            assert!(ended.is_none(), "the server ended early; its error is above");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    child
}

/// A running script. It ends when this is dropped, or when the test process ends and closes its input.
#[derive(Debug)]
pub(crate) struct Script {
    _child: Child,
    stdin: ChildStdin,
    stdout: Lines<BufReader<ChildStdout>>,
}

impl Script {
    /// Starts a script in `servers/`, with Node.js or Python according to its name.
    pub(crate) fn start(tools: &Tools, name: &str, arguments: &[&str]) -> Self {
        let interpreter = if name.ends_with(".py") { tools.python() } else { tools.node() };
        let mut child = Command::new(interpreter)
            .arg(tools.path(name))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("setup installed the interpreter");
        let stdin = child.stdin.take().expect("stdin is piped");
        let stdout = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        Self { _child: child, stdin, stdout }
    }

    /// Returns the next line that the script prints.
    pub(crate) async fn line(&mut self) -> String {
        let line = soon(self.stdout.next_line()).await.expect("the output is UTF-8");
        line.expect("the script ended early; its error is above")
    }

    /// Waits until the script ends, and ignores what it prints.
    pub(crate) async fn finish(mut self) {
        while soon(self.stdout.next_line()).await.expect("the output is UTF-8").is_some() {}
    }

    /// Sends a line.
    pub(crate) async fn send(&mut self, line: &str) {
        self.stdin.write_all(format!("{line}\n").as_bytes()).await.expect("the script reads");
        self.stdin.flush().await.expect("the script reads");
    }

    /// Sends a command and waits until the script repeats it.
    pub(crate) async fn command(&mut self, command: &str) {
        self.send(command).await;
        assert_eq!(self.line().await, command);
    }
}

/// Runs a program to its end. Returns whether it succeeded, and what it printed.
pub(crate) async fn run(program: &Path, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = soon(command.output()).await.expect("setup installed the program");
    let printed = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&printed).into_owned())
}

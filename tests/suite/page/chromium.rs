//! Drives a real Chromium through ChromeDriver: the few commands of WebDriver that the tests need.
//!
//! <https://www.w3.org/TR/webdriver2/>

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

/// A browser with an empty profile. It ends when dropped.
pub(super) struct Chromium {
    http: reqwest::Client,
    /// The URL of the session.
    session: String,
    port: u16,
    driver: Child,
    profile: PathBuf,
}

impl Chromium {
    /// Starts a browser, or prints that the test is skipped if there is none.
    ///
    /// # Panics
    /// If there is none and the environment variable `CI` is set: CI must never skip a test.
    pub(super) async fn start(test: &str) -> Option<Self> {
        let installed = [CHROMIUM, DRIVER].iter().all(|path| Path::new(path).exists());
        if !installed {
            assert!(
                std::env::var_os("CI").is_none(),
                "{CHROMIUM} or {DRIVER} is missing, and {test} is not skipped because CI is set"
            );
            // Not eprintln: the test runner hides its output when a test passes.
            let line =
                format!("SKIPPED {test}: {CHROMIUM} or {DRIVER} is missing. Install chromium-driver.\n");
            std::io::stderr().write_all(line.as_bytes()).expect("stderr is open");
            return None;
        }
        let profile = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{}", std::process::id()));
        fs::create_dir_all(&profile).unwrap();
        let mut driver = Command::new(DRIVER)
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let port = read_port(&mut driver);
        // A proxy from the environment cannot reach loopback addresses of this machine.
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut browser = Self { http, session: String::new(), port, driver, profile };

        let user_data = format!("--user-data-dir={}", browser.profile.display());
        let arguments: Vec<_> = ARGUMENTS.iter().copied().chain([&*user_data]).collect();
        let capabilities = json!({
            "goog:chromeOptions": { "binary": CHROMIUM, "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let sessions = format!("http://127.0.0.1:{port}/session");
        let body = json!({ "capabilities": { "alwaysMatch": capabilities } });
        let session = browser.send(&sessions, &body).await;
        browser.session = format!("{sessions}/{}", session["sessionId"].as_str().unwrap());
        Some(browser)
    }

    /// Opens a URL, and waits until it is loaded.
    pub(super) async fn open(&self, url: &str) {
        self.command("url", json!({ "url": url })).await;
    }

    /// Runs the body of a function, and returns its value.
    pub(super) async fn run(&self, script: &str) -> Value {
        self.command("execute/sync", json!({ "script": script, "args": [] })).await
    }

    /// Waits until an expression is true.
    pub(super) async fn wait_for(&self, expression: &str) {
        let start = Instant::now();
        // The browser may be between two pages, so the condition is checked repeatedly.
        while self.run(&format!("return Boolean({expression})")).await != true {
            if start.elapsed() > TIMEOUT {
                let text = self.run("return document.body.innerText").await;
                panic!("timed out waiting for {expression}; the page shows: {}", text.as_str().unwrap_or(""));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Clicks an element as a user would: it has to be visible, and nothing may cover it.
    pub(super) async fn click(&self, selector: &str) {
        let path = format!("element/{}/click", self.find(selector).await);
        self.command(&path, json!({})).await;
    }

    /// Types a text into a field.
    pub(super) async fn type_into(&self, selector: &str, text: &str) {
        let path = format!("element/{}/value", self.find(selector).await);
        self.command(&path, json!({ "text": text })).await;
    }

    async fn find(&self, selector: &str) -> String {
        self.wait_for(&format!("document.querySelector({})", json!(selector))).await;
        let found = self.command("element", json!({ "using": "css selector", "value": selector })).await;
        let reference = found.as_object().and_then(|members| members.values().next()).and_then(Value::as_str);
        reference.unwrap().to_owned()
    }

    /// Returns the entries of the console since the last call.
    pub(super) async fn console(&self) -> Vec<Value> {
        let entries = self.command("se/log", json!({ "type": "browser" })).await;
        entries.as_array().unwrap().clone()
    }

    /// Sends a command of the Chrome DevTools Protocol.
    pub(super) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.command("goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await
    }

    /// Sets the size of the viewport in CSS pixels.
    pub(super) async fn resize(&self, width: u32, height: u32) {
        let metrics =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1.5, "mobile": width < 600 });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    pub(super) async fn set_color_scheme(&self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// Writes a picture of the viewport.
    pub(super) async fn take_picture(&self, path: &Path) {
        let picture = self.devtools("Page.captureScreenshot", json!({ "format": "png" })).await;
        let bytes = BASE64_STANDARD.decode(picture["data"].as_str().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    async fn command(&self, path: &str, body: Value) -> Value {
        self.send(&format!("{}/{path}", self.session), &body).await
    }

    async fn send(&self, url: &str, body: &Value) -> Value {
        let response = self.http.post(url).json(body).send().await.unwrap();
        let status = response.status();
        let answer: Value = response.json().await.unwrap();
        assert!(status.is_success(), "{url} {body}: {answer}");
        answer["value"].clone()
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // Killing the driver would leave the browser running.
        if let Ok(mut connection) = TcpStream::connect(("127.0.0.1", self.port)) {
            let request = "GET /shutdown HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
            let _ = connection.write_all(request.as_bytes());
            let _ = connection.read_to_end(&mut Vec::new());
        }
        let _ = self.driver.wait();
        let _ = fs::remove_dir_all(&self.profile);
    }
}

/// The driver chooses a free port and prints it.
fn read_port(driver: &mut Child) -> u16 {
    let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
    let port = lines.find_map(|line| {
        let line = line.unwrap();
        line.strip_prefix("ChromeDriver was started successfully on port ")?
            .trim_end_matches('.')
            .parse()
            .ok()
    });
    port.expect("the driver prints its port")
}

const CHROMIUM: &str = "/usr/bin/chromium";
const DRIVER: &str = "/usr/bin/chromedriver";

const ARGUMENTS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--disable-dev-shm-usage", // small in containers
];

/// How long a test waits for the page before it fails.
const TIMEOUT: Duration = Duration::from_secs(30);

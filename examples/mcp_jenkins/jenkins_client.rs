//! A client for the remote access API of Jenkins: [`JenkinsClient`].
//!
//! It authenticates as one user of Jenkins. It never sees the tokens of the MCP server's callers.

use std::{collections::BTreeMap, fmt, time::Duration};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{COOKIE, LOCATION, SET_COOKIE},
};
use reqwest::{Response, redirect};
use serde::{Deserialize, de::DeserializeOwned};
use thiserror::Error;
use tokio::sync::Mutex;
use url::Url;

/// The URL of Jenkins, and the credentials for it.
pub(crate) struct JenkinsClient {
    http: reqwest::Client,
    url: Url,
    user: String,
    api_token: String,
    /// The crumb and the cookie of its session, once a request needed them.
    crumb: Mutex<Option<Crumb>>,
}

/// A header that proves that a `POST` does not come from another site. It is valid only in one session.
#[derive(Clone)]
struct Crumb {
    field: HeaderName,
    value: HeaderValue,
    session: Option<HeaderValue>,
}

/// Why a request to Jenkins failed.
#[derive(Debug, Error)]
pub(crate) enum JenkinsError {
    #[error("{0}")]
    InvalidName(&'static str),
    #[error("Jenkins has no such job, build or queue item")]
    NotFound,
    #[error("Jenkins answered {0}")]
    Status(StatusCode),
    #[error("Jenkins sent an answer that could not be read")]
    Malformed,
    #[error("Jenkins could not be reached")]
    Unreachable(#[from] reqwest::Error),
}

/// A job or folder in a list.
#[derive(Debug, Deserialize)]
pub(crate) struct Job {
    pub(crate) name: String,
    /// The state of the last build. Folders have none.
    pub(crate) color: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Build {
    pub(crate) number: u64,
    pub(crate) building: bool,
    /// `None` while the build is running.
    pub(crate) result: Option<String>,
    pub(crate) duration: u64,
    #[serde(default)]
    actions: Vec<Option<Action>>,
}

#[derive(Debug, Deserialize)]
struct Action {
    #[serde(default)]
    parameters: Vec<Parameter>,
}

#[derive(Debug, Deserialize)]
struct Parameter {
    name: String,
    /// Missing for passwords.
    #[serde(default)]
    value: serde_json::Value,
}

/// A part of a log.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) text: String,
    /// Where the next part starts, in bytes.
    pub(crate) next_offset: u64,
    /// Whether there is more now, or may be later.
    pub(crate) more: bool,
}

impl Build {
    pub(crate) fn parameters(self) -> BTreeMap<String, String> {
        let parameters = self.actions.into_iter().flatten().flat_map(|action| action.parameters);
        let text = |value| match value {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        parameters.map(|parameter| (parameter.name, text(parameter.value))).collect()
    }
}

impl JenkinsClient {
    /// `url` is the root of Jenkins, with or without a slash at the end.
    pub(crate) fn new(url: &str, user: &str, api_token: &str) -> Result<Self, Box<dyn std::error::Error>> {
        let url = Url::parse(&format!("{}/", url.trim_end_matches('/')))?;
        if url.cannot_be_a_base() || !url.username().is_empty() || url.password().is_some() {
            return Err("the URL of Jenkins must be an http or https URL without a user".into());
        }
        // Aborting a build redirects to its page, which is not needed. Following redirects could also send the API token
        // to another host.
        let http = reqwest::Client::builder().redirect(redirect::Policy::none()).timeout(TIMEOUT).build()?;
        let (user, api_token) = (user.to_owned(), api_token.to_owned());
        Ok(Self { http, url, user, api_token, crumb: Mutex::new(None) })
    }

    /// Returns the jobs and folders in a folder. `None` is the root.
    pub(crate) async fn jobs(&self, folder: Option<&str>) -> Result<Vec<Job>, JenkinsError> {
        #[derive(Deserialize)]
        struct Folder {
            #[serde(default)]
            jobs: Vec<Job>,
        }
        let mut url = match folder {
            Some(folder) => self.at(&job_path(folder)?),
            None => self.url.clone(),
        };
        append(&mut url, &["api", "json"]);
        url.query_pairs_mut().append_pair("tree", "jobs[name,color]");
        Ok(self.get_json::<Folder>(url).await?.jobs)
    }

    /// Returns a build. `None` is the last one.
    pub(crate) async fn build(&self, job: &str, number: Option<u64>) -> Result<Build, JenkinsError> {
        let mut url = self.build_url(job, number)?;
        append(&mut url, &["api", "json"]);
        let tree = "number,building,result,duration,actions[parameters[name,value]]";
        url.query_pairs_mut().append_pair("tree", tree);
        self.get_json(url).await
    }

    /// Returns a part of the log of a build that starts at `offset` and has at most `limit` bytes.
    pub(crate) async fn log(
        &self,
        job: &str,
        number: u64,
        offset: u64,
        limit: usize,
    ) -> Result<Log, JenkinsError> {
        let mut url = self.build_url(job, Some(number))?;
        append(&mut url, &["logText", "progressiveText"]);
        url.query_pairs_mut().append_pair("start", &offset.to_string());
        let response = succeed(self.send(Method::GET, url, None).await?)?;
        let size = header(response.headers(), "x-text-size").and_then(|size| size.parse().ok());
        let growing = header(response.headers(), "x-more-data") == Some("true");

        // A log may be larger than memory, so the rest is not read.
        let (mut bytes, complete) = read_up_to(response, limit).await?;
        if let Err(error) = std::str::from_utf8(&bytes)
            && error.error_len().is_none()
        {
            // The limit splits a character.
            bytes.truncate(error.valid_up_to());
        }
        let end = offset.saturating_add(bytes.len() as u64);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        // Jenkins removes hidden annotations from the text but counts their bytes, so its own offset is used where possible.
        let next_offset = if complete { size.unwrap_or(end) } else { end };
        Ok(Log { text, next_offset, more: growing || !complete })
    }

    /// Adds a build to the queue and returns the ID of its queue item.
    pub(crate) async fn trigger(
        &self,
        job: &str,
        parameters: &BTreeMap<String, String>,
    ) -> Result<u64, JenkinsError> {
        let mut url = self.at(&job_path(job)?);
        // Jenkins refuses `build` with parameters, and `buildWithParameters` without.
        append(&mut url, &[if parameters.is_empty() { "build" } else { "buildWithParameters" }]);
        let response = self.post(url, parameters).await?;
        if response.status() != StatusCode::CREATED {
            return Err(failure(response.status()));
        }
        let location = header(response.headers(), LOCATION.as_str()).ok_or(JenkinsError::Malformed)?;
        let id = location.trim_end_matches('/').rsplit('/').next().and_then(|id| id.parse().ok());
        id.ok_or(JenkinsError::Malformed)
    }

    /// Returns the number of the build that a queue item became, or `None` while it waits.
    pub(crate) async fn started_build(&self, queue_item: u64) -> Result<Option<u64>, JenkinsError> {
        #[derive(Deserialize)]
        struct Item {
            executable: Option<Executable>,
        }
        #[derive(Deserialize)]
        struct Executable {
            number: u64,
        }
        let mut url = self.url.clone();
        append(&mut url, &["queue", "item", &queue_item.to_string(), "api", "json"]);
        url.query_pairs_mut().append_pair("tree", "executable[number]");
        Ok(self.get_json::<Item>(url).await?.executable.map(|build| build.number))
    }

    /// Aborts a build. A build that has ended does not change.
    pub(crate) async fn abort(&self, job: &str, number: u64) -> Result<(), JenkinsError> {
        let mut url = self.build_url(job, Some(number))?;
        append(&mut url, &["stop"]);
        let response = self.post(url, &BTreeMap::new()).await?;
        // Jenkins redirects to the page of the build.
        if response.status().is_success() || response.status().is_redirection() {
            return Ok(());
        }
        Err(failure(response.status()))
    }

    /// Sends a form with a crumb. If Jenkins refuses the crumb, gets a new one and tries once more.
    async fn post(&self, url: Url, form: &BTreeMap<String, String>) -> Result<Response, JenkinsError> {
        let crumb = self.crumb(Renewal::IfMissing).await?;
        let response = self.send(Method::POST, url.clone(), Some((&crumb, form))).await?;
        // A crumb ends with its session, for example when Jenkins restarts.
        if response.status() != StatusCode::FORBIDDEN {
            return Ok(response);
        }
        let crumb = self.crumb(Renewal::Always).await?;
        self.send(Method::POST, url, Some((&crumb, form))).await
    }

    /// Returns the crumb. It is `None` if Jenkins needs none.
    async fn crumb(&self, renewal: Renewal) -> Result<Option<Crumb>, JenkinsError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Document {
            crumb: String,
            crumb_request_field: String,
        }
        let mut current = self.crumb.lock().await;
        if let (Renewal::IfMissing, Some(crumb)) = (renewal, &*current) {
            return Ok(Some(crumb.clone()));
        }
        let mut url = self.url.clone();
        append(&mut url, &["crumbIssuer", "api", "json"]);
        let response = match succeed(self.send(Method::GET, url, None).await?) {
            // Crumbs are switched off.
            Err(JenkinsError::NotFound) => return Ok(None),
            other => other?,
        };
        let cookies = response.headers().get_all(SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
        let pairs: Vec<_> = cookies.filter_map(|cookie| cookie.split(';').next()).collect();
        let session = if pairs.is_empty() { None } else { HeaderValue::from_str(&pairs.join("; ")).ok() };
        let document: Document = read_json(response).await?;
        let field =
            HeaderName::try_from(document.crumb_request_field).map_err(|_| JenkinsError::Malformed)?;
        let mut value = HeaderValue::try_from(document.crumb).map_err(|_| JenkinsError::Malformed)?;
        value.set_sensitive(true);
        let crumb = Crumb { field, value, session };
        *current = Some(crumb.clone());
        Ok(Some(crumb))
    }

    async fn get_json<T: DeserializeOwned>(&self, url: Url) -> Result<T, JenkinsError> {
        read_json(succeed(self.send(Method::GET, url, None).await?)?).await
    }

    async fn send(
        &self,
        method: Method,
        url: Url,
        submission: Option<(&Option<Crumb>, &BTreeMap<String, String>)>,
    ) -> Result<Response, JenkinsError> {
        let mut request = self.http.request(method, url).basic_auth(&self.user, Some(&self.api_token));
        if let Some((crumb, form)) = submission {
            request = request.form(form);
            if let Some(crumb) = crumb {
                request = request.header(&crumb.field, &crumb.value);
                if let Some(session) = &crumb.session {
                    request = request.header(COOKIE, session);
                }
            }
        }
        Ok(request.send().await?)
    }

    fn build_url(&self, job: &str, number: Option<u64>) -> Result<Url, JenkinsError> {
        let mut url = self.at(&job_path(job)?);
        append(&mut url, &[&number.map_or_else(|| "lastBuild".to_owned(), |number| number.to_string())]);
        Ok(url)
    }

    fn at(&self, segments: &[&str]) -> Url {
        let mut url = self.url.clone();
        append(&mut url, segments);
        url
    }
}

impl fmt::Debug for JenkinsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JenkinsClient").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy)]
enum Renewal {
    IfMissing,
    Always,
}

/// Returns the path segments of a job, `A/B` in folders. The caller of a tool chose the name, so it must not reach other paths.
fn job_path(name: &str) -> Result<Vec<&str>, JenkinsError> {
    let mut segments = Vec::new();
    for part in name.split('/') {
        if part.is_empty() || part == "." || part == ".." || part.contains(['\\', '\0', '?', '#', '%']) {
            return Err(JenkinsError::InvalidName(
                "the name of a job is FOLDER/JOB, without empty parts or dots",
            ));
        }
        segments.extend(["job", part]);
    }
    Ok(segments)
}

/// Appends path segments, percent-encoded.
fn append(url: &mut Url, segments: &[&str]) {
    let mut path = url.path_segments_mut().expect("new() refuses URLs without a path");
    path.pop_if_empty().extend(segments);
}

fn succeed(response: Response) -> Result<Response, JenkinsError> {
    if response.status().is_success() { Ok(response) } else { Err(failure(response.status())) }
}

fn failure(status: StatusCode) -> JenkinsError {
    if status == StatusCode::NOT_FOUND { JenkinsError::NotFound } else { JenkinsError::Status(status) }
}

async fn read_json<T: DeserializeOwned>(response: Response) -> Result<T, JenkinsError> {
    match read_up_to(response, MAX_DOCUMENT_LEN).await? {
        (bytes, true) => serde_json::from_slice(&bytes).map_err(|_| JenkinsError::Malformed),
        (_, false) => Err(JenkinsError::Malformed),
    }
}

/// Reads at most `limit` bytes of a body. Returns whether that was all.
async fn read_up_to(mut response: Response, limit: usize) -> Result<(Vec<u8>, bool), JenkinsError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = limit - bytes.len();
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            return Ok((bytes, false));
        }
    }
    Ok((bytes, true))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Maximum time of one request to Jenkins, with its body.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum size of a JSON document, in bytes. The list of a thousand jobs has about 100 KiB.
const MAX_DOCUMENT_LEN: usize = 4 << 20;

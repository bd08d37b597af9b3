//! Paths, methods and responses.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Query, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{Html, IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{
    ReceivedRequest, Shared,
    access::{CRUMB_FIELD, Denial, authenticate},
    documents::Documents,
    lock,
    server::{Item, NotQueued},
    tree::{Tree, at_depth},
};

pub(super) fn router(shared: Arc<Shared>) -> Router {
    // The paths of jobs in folders have any number of segments, so the handler reads the path itself.
    Router::new()
        .fallback(answer)
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), record))
        .with_state(shared)
}

/// Records each request, and adds the headers that Jenkins sends with each response.
async fn record(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    lock(&shared.received).push(ReceivedRequest {
        method: request.method().clone(),
        target: request.uri().to_string(),
        headers: request.headers().clone(),
    });
    let mut response = next.run(request).await;
    response.headers_mut().insert("x-jenkins", HeaderValue::from_static(VERSION));
    response.headers_mut().insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let user = match authenticate(&headers) {
        Ok(user) => user,
        Err(denial) => return denial.into_response(),
    };
    if let Err(denial) = lock(&shared.sessions).check_crumb(&method, &headers, user) {
        return denial.into_response();
    }
    let path = uri.path().trim_matches('/').to_owned();
    let segments: Vec<_> = if path.is_empty() { Vec::new() } else { path.split('/').collect() };
    let root = root_url(&headers);
    if method == Method::POST {
        return change(
            &shared,
            &segments,
            &root,
            &Submission { uri: &uri, headers: &headers, body: &body, user },
        );
    }
    lock(&shared.server).advance();
    match &segments[..] {
        ["crumbIssuer", "api", "json"] => issue_crumb(&shared, &headers, user),
        _ => read(&shared, &segments, &root, &uri, user),
    }
}

fn issue_crumb(shared: &Shared, headers: &HeaderMap, user: &str) -> Response {
    let (crumb, cookie) = lock(&shared.sessions).issue_crumb(headers, user);
    let class = "hudson.security.csrf.DefaultCrumbIssuer";
    let document = json!({ "_class": class, "crumb": crumb, "crumbRequestField": CRUMB_FIELD });
    let mut response = Json(document).into_response();
    if let Some(cookie) = cookie.and_then(|cookie| HeaderValue::try_from(cookie).ok()) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// Answers a `GET`.
fn read(shared: &Shared, segments: &[&str], root: &str, uri: &Uri, user: &str) -> Response {
    let server = lock(&shared.server);
    let documents = Documents { server: &server, root };
    let (item, rest) = split_item(segments);
    match (item.as_str(), rest) {
        ("", []) => Html("<title>Dashboard [Jenkins]</title>").into_response(),
        ("", ["api", "json"]) => select(&documents.controller(), uri),
        ("", ["me", "api", "json"]) => select(&documents.user(user), uri),
        ("", ["queue", "api", "json"]) => select(&documents.queue(), uri),
        ("", ["queue", "item", id, "api", "json"]) => {
            let item = server.queue.iter().find(|item| item.id.to_string() == *id);
            item.map_or_else(not_found, |item| select(&documents.queue_item(item), uri))
        }
        ("", _) => not_found(),
        (name, ["api", "json"]) => {
            documents.item(name).map_or_else(not_found, |document| select(&document, uri))
        }
        (name, []) if server.items.contains_key(name) => {
            Html(format!("<title>{name} [Jenkins]</title>")).into_response()
        }
        (name, [number, rest @ ..]) => {
            let job = server.job(name);
            let number = match (*number, job) {
                ("lastBuild", Some(job)) => Some(job.builds.len()),
                (number, _) => number.parse().ok(),
            };
            let build = number.and_then(|number| job?.build(number));
            let Some(build) = build else { return not_found() };
            match rest {
                [] => Html(format!("<title>{name} #{} [Jenkins]</title>", build.number)).into_response(),
                ["api", "json"] => select(&documents.build(name, build), uri),
                ["consoleText"] => text(build.log.clone()),
                ["logText", "progressiveText"] => log_from(&build.log, build.result.is_none(), uri),
                _ => not_found(),
            }
        }
        _ => not_found(),
    }
}

/// What a `POST` contains.
struct Submission<'a> {
    uri: &'a Uri,
    headers: &'a HeaderMap,
    body: &'a [u8],
    user: &'a str,
}

/// Answers a `POST`.
fn change(shared: &Shared, segments: &[&str], root: &str, submission: &Submission<'_>) -> Response {
    let mut server = lock(&shared.server);
    let (name, rest) = split_item(segments);
    let queued = match rest {
        ["build"] => server.enqueue(&name, None, submission.user),
        ["buildWithParameters"] => server.enqueue(&name, Some(&submission.parameters()), submission.user),
        [number, "stop"] => {
            let Some(number) =
                number.parse().ok().filter(|number| server.stop(&name, *number, submission.user))
            else {
                return not_found();
            };
            let url = Documents { server: &server, root }.build_url(&name, number);
            return (StatusCode::FOUND, [(header::LOCATION, url)]).into_response();
        }
        _ => return not_found(),
    };
    match queued {
        Ok(id) => {
            let location = format!("{root}queue/item/{id}/");
            (StatusCode::CREATED, [(header::LOCATION, location)]).into_response()
        }
        Err(NotQueued::NoJob) => not_found(),
        Err(NotQueued::HasParameters) => (StatusCode::BAD_REQUEST, "Nothing is submitted").into_response(),
        Err(NotQueued::HasNoParameters) => {
            let what = server.items.get(&name).map_or("nothing", |item| match item {
                Item::Folder => "folder",
                Item::Job(_) => "job",
            });
            (StatusCode::BAD_REQUEST, format!("{what} {name} is not parameterized")).into_response()
        }
    }
}

impl Submission<'_> {
    /// Returns the parameters of the query and of the form.
    fn parameters(&self) -> Vec<(String, String)> {
        let query = self.uri.query().unwrap_or_default();
        let mut parameters: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let is_form = self
            .headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
        if is_form {
            parameters.extend(url::form_urlencoded::parse(self.body).into_owned());
        }
        parameters
    }
}

/// Splits `job/A/job/B/rest` into `A/B` and `rest`.
fn split_item<'a, 'b>(mut segments: &'a [&'b str]) -> (String, &'a [&'b str]) {
    let mut names = Vec::new();
    while let ["job", name, rest @ ..] = segments {
        names.push(percent_decode(name));
        segments = rest;
    }
    (names.join("/"), segments)
}

fn percent_decode(text: &str) -> String {
    // A plus sign is a space in a form, but not in a path.
    let text = text.replace('+', "%2B");
    let pairs = url::form_urlencoded::parse(text.as_bytes()).next();
    pairs.map_or_else(String::new, |(name, _)| name.into_owned())
}

/// Applies the parameters `tree` and `depth`.
fn select(document: &Value, uri: &Uri) -> Response {
    let query = query(uri);
    let Some(tree) = query.get("tree") else {
        let depth = query.get("depth").and_then(|depth| depth.parse().ok()).unwrap_or(0);
        return Json(at_depth(document, depth)).into_response();
    };
    match Tree::parse(tree) {
        Some(tree) => Json(tree.select(document)).into_response(),
        None => (StatusCode::BAD_REQUEST, "malformed tree").into_response(),
    }
}

/// The log from an offset in bytes, with the offset of the next call in `X-Text-Size`.
fn log_from(log: &str, more: bool, uri: &Uri) -> Response {
    let start = query(uri).get("start").and_then(|start| start.parse().ok()).unwrap_or(0);
    // As in Jenkins: an offset after the end means that the log was replaced.
    let rest = log.get(start..).unwrap_or(log).to_owned();
    let mut response = text(rest);
    response.headers_mut().insert("x-text-size", HeaderValue::from(log.len()));
    if more {
        response.headers_mut().insert("x-more-data", HeaderValue::from_static("true"));
    }
    response
}

fn query(uri: &Uri) -> HashMap<String, String> {
    Query::try_from_uri(uri).map_or_else(|_| HashMap::new(), |Query(query)| query)
}

/// The URL at which the client reaches Jenkins. A proxy sends it in `X-Forwarded-Host` and `X-Forwarded-Proto`.
fn root_url(headers: &HeaderMap) -> String {
    let field = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let scheme = field("x-forwarded-proto").unwrap_or("http");
    let host = field("x-forwarded-host").or_else(|| field("host")).unwrap_or("localhost");
    format!("{scheme}://{host}/")
}

fn text(body: String) -> Response {
    ([(header::CONTENT_TYPE, "text/plain;charset=utf-8")], body).into_response()
}

fn not_found() -> Response {
    (StatusCode::NOT_FOUND, Html("<title>Not Found</title>")).into_response()
}

impl IntoResponse for Denial {
    fn into_response(self) -> Response {
        match self {
            Self::WrongCredentials => {
                let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"Jenkins\"")];
                (StatusCode::UNAUTHORIZED, challenge, Html("<title>Error 401 Unauthorized</title>"))
                    .into_response()
            }
            Self::Anonymous => (
                StatusCode::FORBIDDEN,
                [("x-you-are-authenticated-as", "anonymous")],
                Html("Authentication required"),
            )
                .into_response(),
            Self::NoValidCrumb => {
                (StatusCode::FORBIDDEN, Html("No valid crumb was included in the request")).into_response()
            }
        }
    }
}

/// The version that the imitation reports.
const VERSION: &str = "2.516.3";

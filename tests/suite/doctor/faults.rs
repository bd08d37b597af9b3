//! One row for each fault, and the findings that it must cause.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};

use super::{
    codes, examine_site,
    example::{arguments::Settings, examination::examine, rules},
    settings,
    site::{Fault, PATH, Received, Reply, Site},
};

/// A fault, where it is, the settings, and the codes of all findings.
type Row = (&'static str, &'static str, fn(&mut Settings), Fault, &'static [&'static str]);

fn usual(_: &mut Settings) {}

fn with_origin(settings: &mut Settings) {
    settings.origin = Some("https://app.example.com".to_owned());
}

fn impatient(settings: &mut Settings) {
    settings.slow_after = Duration::ZERO;
}

fn in_a_hurry(settings: &mut Settings) {
    settings.timeout = Duration::from_millis(1_500);
}

/// Changes the response to a request without a token.
fn refusal(request: &Received, reply: Reply, change: impl FnOnce(Reply) -> Reply) -> Reply {
    let applies = request.is_resource() && !request.has_token() && !request.is_preflight();
    if applies { change(reply) } else { reply }
}

/// Changes all responses to requests with a token.
fn with_token(request: &Received, reply: Reply, change: impl FnOnce(Reply) -> Reply) -> Reply {
    if request.is_resource() && request.has_token() { change(reply) } else { reply }
}

/// Changes the response to one kind of token.
fn with_value(request: &Received, value: &[u8], reply: Reply, change: impl FnOnce(Reply) -> Reply) -> Reply {
    match request.header("authorization") {
        Some(found) if found.starts_with(value) && request.is_resource() => change(reply),
        _ => reply,
    }
}

fn metadata(request: &Received, reply: Reply, change: impl FnOnce(Reply) -> Reply) -> Reply {
    if request.is_metadata() { change(reply) } else { reply }
}

fn edit_metadata(request: &Received, reply: Reply, change: impl FnOnce(&mut Value)) -> Reply {
    metadata(request, reply, |reply| reply.edit(change))
}

fn edit_issuer(request: &Received, reply: Reply, change: impl FnOnce(&mut Value)) -> Reply {
    if request.is_issuer_metadata() { reply.edit(change) } else { reply }
}

fn remove(value: &mut Value, name: &str) {
    value.as_object_mut().unwrap().remove(name).unwrap();
}

fn keys(request: &Received, reply: Reply, keys: impl FnOnce() -> Value) -> Reply {
    if request.is_keys() { Reply::json(&keys()) } else { reply }
}

fn challenge(request: &Received, reply: Reply, value: impl Into<Vec<u8>>) -> Reply {
    refusal(request, reply, |reply| reply.set("www-authenticate", value))
}

fn date(seconds: i64) -> String {
    let now = std::time::SystemTime::now();
    let offset = Duration::from_secs(seconds.unsigned_abs());
    httpdate::fmt_http_date(if seconds < 0 { now - offset } else { now + offset })
}

/// Leaves every response as it is.
fn none(_: &Site, _: &Received, reply: Reply) -> Reply {
    reply
}

const ROWS: &[Row] = &[
    ("nothing", PATH, usual, none, &[]),
    ("nothing, MCP", "/mcp", usual, none, &[]),
    ("nothing, with an origin", PATH, with_origin, none, &[]),
    // Connection
    ("closed", PATH, usual, |_, _, _| Reply::raw(""), &["no-response", "metadata-unreachable"]),
    (
        "no response",
        PATH,
        in_a_hurry,
        |_, request, reply| Reply { hangs: request.is_resource(), ..reply },
        &["no-response"],
    ),
    (
        "no response to tokens",
        PATH,
        in_a_hurry,
        |_, request, reply| Reply { hangs: request.has_token() || !request.is_resource(), ..reply },
        &["no-response", "not-everything-checked", "metadata-unreachable"],
    ),
    ("slow", PATH, impatient, none, &["slow", "slow-keys"]),
    (
        "clock of the resource server",
        PATH,
        usual,
        |_, request, reply| if request.path.contains("/as") { reply } else { reply.set("date", date(-300)) },
        &["clocks-differ"],
    ),
    ("our clock", PATH, usual, |_, _, reply| reply.set("date", date(300)), &["clock-unlike-ours"]),
    ("date that is none", PATH, usual, |_, _, reply| reply.set("date", "yesterday"), &[]),
    (
        "busy",
        PATH,
        usual,
        |_, request, reply| refusal(request, reply, |reply| reply.status(429)),
        &["overloaded"],
    ),
    (
        "no answer without keys",
        PATH,
        usual,
        |_, request, reply| refusal(request, reply, |reply| reply.status(503)),
        &["overloaded"],
    ),
    // The status without a token
    ("open", PATH, usual, |_, request, reply| refusal(request, reply, |reply| reply.status(200)), &["open"]),
    (
        "open for HEAD",
        PATH,
        usual,
        |_, request, reply| if request.method == "HEAD" { reply.status(200) } else { reply },
        &["open-with-head"],
    ),
    (
        "login page",
        PATH,
        usual,
        |_, request, reply| {
            refusal(request, reply, |reply| reply.status(302).with("location", "https://login.example/"))
        },
        &["redirected"],
    ),
    (
        "redirect without target",
        PATH,
        usual,
        |_, request, reply| refusal(request, reply, |reply| reply.status(302)),
        &["redirected"],
    ),
    (
        "forbidden",
        PATH,
        usual,
        |_, request, reply| refusal(request, reply, |reply| reply.status(403)),
        &["forbidden-without-token"],
    ),
    (
        "not found",
        PATH,
        usual,
        |_, request, reply| refusal(request, reply, |reply| reply.status(404)),
        &["not-found"],
    ),
    (
        "method",
        PATH,
        usual,
        |_, request, reply| refusal(request, reply, |reply| reply.status(405)),
        &["method-not-allowed"],
    ),
    (
        "bad request",
        PATH,
        usual,
        |_, request, reply| refusal(request, reply, |reply| reply.status(400)),
        &["bad-request-without-token"],
    ),
    (
        "crash",
        PATH,
        usual,
        |_, request, reply| refusal(request, reply, |reply| reply.status(500)),
        &["server-error-without-token"],
    ),
    (
        "proxy authentication",
        PATH,
        usual,
        |_, request, reply| refusal(request, reply, |reply| reply.status(407)),
        &["other-status-without-token"],
    ),
    (
        "cache",
        PATH,
        usual,
        |_, request, reply| {
            refusal(request, reply, |reply| reply.set("cache-control", "public, max-age=600"))
        },
        &["cacheable"],
    ),
    ("no cache control", PATH, usual, |_, _, reply| reply.without("cache-control"), &["no-cache-control"]),
    (
        "initialize is open",
        "/mcp",
        usual,
        |_, request, reply| match request.body.windows(12).any(|part| part == b"\"initialize\"") {
            true => Reply::new(200),
            false => reply,
        },
        &["connecting-open"],
    ),
    (
        "MCP is open",
        "/mcp",
        usual,
        |_, request, reply| refusal(request, reply, |_| Reply::new(200)),
        &["open"],
    ),
    (
        "stream of MCP is open",
        "/mcp",
        usual,
        |_, request, reply| match request.method == "GET" && request.is_resource() {
            true => Reply::new(200).with("content-type", "text/event-stream"),
            false => reply,
        },
        &["event-stream-open"],
    ),
    // The challenge
    (
        "no challenge",
        PATH,
        usual,
        |_, request, reply| refusal(request, reply, |reply| reply.without("www-authenticate")),
        &["no-challenge"],
    ),
    (
        "basic",
        PATH,
        usual,
        |_, request, reply| challenge(request, reply, "Basic realm=\"api\""),
        &["no-bearer"],
    ),
    (
        "empty challenge",
        PATH,
        usual,
        |_, request, reply| challenge(request, reply, ""),
        &["no-bearer", "challenge-malformed"],
    ),
    (
        "URL without quotes",
        PATH,
        usual,
        |site, request, reply| {
            let url = format!("{}/.well-known/oauth-protected-resource/orders", site.base);
            challenge(request, reply, format!("Bearer resource_metadata={url}, scope=orders"))
        },
        &["challenge-malformed", "scope-not-supported", "scope-unknown-to-issuer"],
    ),
    (
        "no closing quote",
        PATH,
        usual,
        |site, request, reply| {
            let url = format!("{}/.well-known/oauth-protected-resource/orders", site.base);
            challenge(request, reply, format!("Bearer resource_metadata=\"{url}\", scope=\"orders:read"))
        },
        &["challenge-malformed"],
    ),
    (
        "not UTF-8",
        PATH,
        usual,
        |site, request, reply| {
            let url = format!("{}/.well-known/oauth-protected-resource/orders", site.base);
            let mut value =
                format!("Bearer resource_metadata=\"{url}\", scope=\"orders:read\", realm=\"").into_bytes();
            value.extend_from_slice(b"\xff\xfe\"");
            challenge(request, reply, value)
        },
        &["challenge-malformed"],
    ),
    (
        "parameter twice",
        PATH,
        usual,
        |_, _, reply| match reply.headers.iter().find(|(name, _)| name == "www-authenticate") {
            Some((_, value)) => {
                let value = [&**value, b", scope=\"orders:read\""].concat();
                reply.set("www-authenticate", value)
            }
            None => reply,
        },
        &["duplicate-parameter"],
    ),
    (
        "two Bearer challenges",
        PATH,
        usual,
        |_, request, reply| {
            refusal(request, reply, |reply| reply.with("www-authenticate", "Bearer realm=\"other\""))
        },
        &["several-bearer-challenges"],
    ),
    (
        "two schemes in one field",
        PATH,
        usual,
        |site, request, reply| {
            let url = format!("{}/.well-known/oauth-protected-resource/orders", site.base);
            let value =
                format!("Basic realm=\"api\", Bearer resource_metadata=\"{url}\", scope=\"orders:read\"");
            challenge(request, reply, value)
        },
        &["several-schemes"],
    ),
    (
        "error without a token",
        PATH,
        usual,
        |site, request, reply| {
            let url = format!("{}/.well-known/oauth-protected-resource/orders", site.base);
            let value =
                format!("Bearer error=\"invalid_token\", resource_metadata=\"{url}\", scope=\"orders:read\"");
            challenge(request, reply, value)
        },
        &["error-without-credentials"],
    ),
    (
        "no resource_metadata",
        PATH,
        usual,
        |_, request, reply| challenge(request, reply, "Bearer scope=\"orders:read\""),
        &["no-resource-metadata"],
    ),
    (
        "no scope",
        PATH,
        usual,
        |site, request, reply| {
            let url = format!("{}/.well-known/oauth-protected-resource/orders", site.base);
            challenge(request, reply, format!("Bearer resource_metadata=\"{url}\""))
        },
        &["no-scope"],
    ),
    (
        "no scopes anywhere",
        PATH,
        usual,
        |site, request, reply| {
            let url = format!("{}/.well-known/oauth-protected-resource/orders", site.base);
            let reply = challenge(request, reply, format!("Bearer resource_metadata=\"{url}\""));
            edit_metadata(request, reply, |document| remove(document, "scopes_supported"))
        },
        &["no-scope-known", "scopes-supported-missing"],
    ),
    (
        "scopes with a comma",
        PATH,
        usual,
        |site, request, reply| {
            let url = format!("{}/.well-known/oauth-protected-resource/orders", site.base);
            challenge(
                request,
                reply,
                format!("Bearer resource_metadata=\"{url}\", scope=\"orders:read,orders:write\""),
            )
        },
        &["scope-malformed", "scope-not-supported", "scope-unknown-to-issuer"],
    ),
    (
        "offline_access in the challenge",
        PATH,
        usual,
        |site, request, reply| {
            let url = format!("{}/.well-known/oauth-protected-resource/orders", site.base);
            challenge(
                request,
                reply,
                format!("Bearer resource_metadata=\"{url}\", scope=\"orders:read offline_access\""),
            )
        },
        &["offline-access", "scope-unknown-to-issuer"],
    ),
    // Made-up tokens
    (
        "any token is accepted",
        PATH,
        usual,
        |_, request, reply| with_token(request, reply, |reply| reply.status(200)),
        &[
            "token-accepted",
            "forged-token-accepted",
            "empty-credentials-accepted",
            "other-scheme-accepted",
            "several-authorization-headers-accepted",
        ],
    ),
    (
        "JWT without a signature is accepted",
        PATH,
        usual,
        |_, request, reply| with_value(request, b"Bearer eyJ", reply, |reply| reply.status(200)),
        &["forged-token-accepted"],
    ),
    (
        "crash with a token",
        PATH,
        usual,
        |_, request, reply| with_value(request, b"Bearer made-up-", reply, |reply| reply.status(500)),
        &["token-causes-server-error", "scheme-case", "credentials-cause-server-error"],
    ),
    (
        "403 for a token",
        PATH,
        usual,
        |_, request, reply| with_value(request, b"Bearer eyJ", reply, |reply| reply.status(403)),
        &["token-forbidden"],
    ),
    (
        "400 for a token",
        PATH,
        usual,
        |_, request, reply| with_value(request, b"Bearer eyJ", reply, |reply| reply.status(400)),
        &["token-other-status"],
    ),
    (
        "keys unavailable",
        PATH,
        usual,
        |_, request, reply| with_value(request, b"Bearer eyJ", reply, |reply| reply.status(503)),
        &["token-cannot-be-checked"],
    ),
    (
        "no error for a token",
        PATH,
        usual,
        |_, request, reply| {
            with_value(request, b"Bearer eyJ", reply, |reply| {
                reply.set("www-authenticate", "Bearer realm=\"api\"")
            })
        },
        &["no-invalid-token"],
    ),
    (
        "another error for a token",
        PATH,
        usual,
        |_, request, reply| {
            with_value(request, b"Bearer eyJ", reply, |reply| {
                reply.set("www-authenticate", "Bearer error=\"expired\"")
            })
        },
        &["no-invalid-token"],
    ),
    (
        "no challenge for a token",
        PATH,
        usual,
        |_, request, reply| {
            with_value(request, b"Bearer eyJ", reply, |reply| reply.without("www-authenticate"))
        },
        &["token-without-challenge"],
    ),
    (
        "token in the body",
        PATH,
        usual,
        |_, request, reply| {
            let value = request.header("authorization").unwrap_or_default().to_vec();
            with_value(request, b"Bearer made-up-token", reply, |reply| reply.body(value))
        },
        &["token-echoed"],
    ),
    (
        "empty token is accepted",
        PATH,
        usual,
        |_, request, reply| match request.header("authorization") {
            Some(b"Bearer") => reply.status(200),
            _ => reply,
        },
        &["empty-credentials-accepted"],
    ),
    (
        "connection closed for bytes that are not UTF-8",
        PATH,
        usual,
        |_, request, reply| with_value(request, b"Bearer \xff", reply, |_| Reply::raw("")),
        &["credentials-cause-server-error"],
    ),
    (
        "basic is accepted",
        PATH,
        usual,
        |_, request, reply| with_value(request, b"Basic", reply, |reply| reply.status(200)),
        &["other-scheme-accepted"],
    ),
    (
        "lower case",
        PATH,
        usual,
        |_, request, reply| {
            with_value(request, b"bearer", reply, |reply| {
                reply.set("www-authenticate", "Bearer realm=\"api\"")
            })
        },
        &["scheme-case"],
    ),
    (
        "token in the query is read",
        PATH,
        usual,
        |_, request, reply| match request.query.contains("access_token=") {
            true => reply.set("www-authenticate", "Bearer error=\"invalid_token\""),
            false => reply,
        },
        &["token-in-query"],
    ),
    (
        "token in the query is accepted",
        PATH,
        usual,
        |_, request, reply| if request.query.contains("access_token=") { reply.status(200) } else { reply },
        &["token-in-query"],
    ),
    (
        "first of two headers is read",
        PATH,
        usual,
        |_, request, reply| {
            with_value(request, b"Bearer made-up-token-of", reply, |reply| {
                reply.status(401).set("www-authenticate", "Bearer error=\"invalid_token\"")
            })
        },
        &["several-authorization-headers"],
    ),
    // Browsers
    (
        "no CORS",
        PATH,
        usual,
        |_, request, reply| match request.is_resource() {
            true if request.is_preflight() => reply.status(405).without("access-control-allow-origin"),
            true => reply.without("access-control-allow-origin"),
            false => reply,
        },
        &["no-cors"],
    ),
    (
        "no CORS, but a script must read it",
        PATH,
        with_origin,
        |_, request, reply| match request.is_resource() {
            true => reply.without("access-control-allow-origin"),
            false => reply,
        },
        &["wrong-origin", "preflight-without-origin"],
    ),
    (
        "challenge hidden from scripts",
        PATH,
        usual,
        |_, _, reply| reply.without("access-control-expose-headers"),
        &["challenge-hidden"],
    ),
    (
        "preflight needs a token",
        PATH,
        usual,
        |_, request, reply| if request.is_preflight() { reply.status(401) } else { reply },
        &["preflight-refused"],
    ),
    (
        "headers are allowed by a wildcard",
        PATH,
        usual,
        |_, request, reply| {
            if request.is_preflight() { reply.set("access-control-allow-headers", "*") } else { reply }
        },
        &["authorization-not-allowed"],
    ),
    (
        "two CORS layers",
        PATH,
        usual,
        |_, request, reply| match request.is_resource()
            && !request.is_preflight()
            && request.header("origin").is_some()
        {
            true => reply.with("access-control-allow-origin", "*"),
            false => reply,
        },
        &["wrong-origin"],
    ),
    (
        "cookies of any origin",
        PATH,
        usual,
        |_, request, reply| match request.is_resource() {
            true => reply.with("access-control-allow-credentials", "true"),
            false => reply,
        },
        &["credentials-with-any-origin"],
    ),
    (
        "metadata without CORS",
        PATH,
        usual,
        |_, request, reply| metadata(request, reply, |reply| reply.without("access-control-allow-origin")),
        &["metadata-without-cors"],
    ),
    // Metadata
    (
        "no metadata",
        PATH,
        usual,
        |_, request, reply| {
            let reply = metadata(request, reply, |_| Reply::new(404));
            challenge_without_metadata(request, reply)
        },
        &["no-resource-metadata", "metadata-missing"],
    ),
    (
        "metadata named but missing",
        PATH,
        usual,
        |_, request, reply| metadata(request, reply, |_| Reply::new(404)),
        &["metadata-status"],
    ),
    (
        "metadata only at the root",
        PATH,
        usual,
        |site, request, reply| {
            let reply = metadata(request, reply, |_| Reply::new(404));
            let reply = challenge_without_metadata(request, reply);
            at(request, "/.well-known/oauth-protected-resource", reply, || Reply::json(&site.metadata(PATH)))
        },
        &["no-resource-metadata", "metadata-only-at-root"],
    ),
    (
        "metadata of the whole API",
        PATH,
        usual,
        |site, request, reply| {
            let reply = metadata(request, reply, |_| Reply::new(404));
            let reply = challenge_without_metadata(request, reply);
            at(request, "/.well-known/oauth-protected-resource", reply, || Reply::json(&site.metadata("")))
        },
        &["no-resource-metadata", "resource-is-parent"],
    ),
    (
        "metadata after the path",
        PATH,
        usual,
        |site, request, reply| {
            let reply = metadata(request, reply, |_| Reply::new(404));
            let reply = challenge_without_metadata(request, reply);
            at(request, "/orders/.well-known/oauth-protected-resource", reply, || {
                Reply::json(&site.metadata(PATH))
            })
        },
        &["no-resource-metadata", "metadata-appended"],
    ),
    (
        "metadata elsewhere on the host",
        PATH,
        usual,
        |site, request, reply| {
            let reply = metadata(request, reply, |_| Reply::new(404));
            let url = format!("{}/metadata", site.base);
            let value = format!("Bearer resource_metadata=\"{url}\", scope=\"orders:read\"");
            let reply = challenge(request, reply, value);
            at(request, "/metadata", reply, || Reply::json(&site.metadata(PATH)))
        },
        &["metadata-not-at-well-known"],
    ),
    (
        "another document at the well-known URL",
        PATH,
        usual,
        |site, request, reply| {
            let reply =
                edit_metadata(request, reply, |document| document["resource"] = "https://old.example".into());
            let url = format!("{}/metadata", site.base);
            let value = format!("Bearer resource_metadata=\"{url}\", scope=\"orders:read\"");
            let reply = challenge(request, reply, value);
            at(request, "/metadata", reply, || Reply::json(&site.metadata(PATH)))
        },
        &["metadata-differs"],
    ),
    (
        "metadata URL without a host",
        PATH,
        usual,
        |_, request, reply| {
            challenge(
                request,
                reply,
                "Bearer resource_metadata=\"/.well-known/oauth-protected-resource\", scope=\"orders:read\"",
            )
        },
        &["metadata-url-invalid"],
    ),
    (
        "metadata URL of the internal host",
        PATH,
        usual,
        |site, request, reply| {
            let url = format!("http://0.0.0.0:{}/.well-known/oauth-protected-resource/orders", site.port);
            challenge(request, reply, format!("Bearer resource_metadata=\"{url}\", scope=\"orders:read\""))
        },
        &["metadata-url-http", "metadata-url-elsewhere"],
    ),
    (
        "metadata URL of the authorization server",
        PATH,
        usual,
        |site, request, reply| {
            let url = format!("{}/.well-known/oauth-authorization-server/as", site.base);
            challenge(request, reply, format!("Bearer resource_metadata=\"{url}\", scope=\"orders:read\""))
        },
        &["metadata-url-of-authorization-server", "metadata-of-authorization-server"],
    ),
    (
        "metadata closed",
        PATH,
        usual,
        |_, request, reply| metadata(request, reply, |_| Reply::raw("")),
        &["metadata-unreachable"],
    ),
    (
        "metadata needs a token",
        PATH,
        usual,
        |_, request, reply| metadata(request, reply, |reply| reply.status(401)),
        &["metadata-behind-token"],
    ),
    (
        "metadata redirects",
        PATH,
        usual,
        |_, request, reply| {
            metadata(request, reply, |reply| reply.status(301).with("location", "/elsewhere"))
        },
        &["metadata-redirected"],
    ),
    (
        "metadata is HTML",
        PATH,
        usual,
        |_, request, reply| {
            metadata(request, reply, |reply| reply.body("<!doctype html>").set("content-type", "text/html"))
        },
        &["metadata-not-json"],
    ),
    (
        "metadata is an array",
        PATH,
        usual,
        |_, request, reply| metadata(request, reply, |reply| reply.body("[]")),
        &["metadata-not-json"],
    ),
    (
        "metadata as text",
        PATH,
        usual,
        |_, request, reply| metadata(request, reply, |reply| reply.set("content-type", "text/plain")),
        &["metadata-content-type"],
    ),
    (
        "member twice",
        PATH,
        usual,
        |_, request, reply| {
            metadata(request, reply, |reply| {
                let text = String::from_utf8(reply.body.clone()).unwrap();
                reply.body(text.replacen('{', "{\"resource\": \"https://other.example\",", 1))
            })
        },
        &["metadata-repeated-member"],
    ),
    (
        "no resource",
        PATH,
        usual,
        |_, request, reply| edit_metadata(request, reply, |document| remove(document, "resource")),
        &["no-resource"],
    ),
    (
        "resource is a list",
        PATH,
        usual,
        |_, request, reply| {
            edit_metadata(request, reply, |document| document["resource"] = json!(["https://h"]))
        },
        &["metadata-member-type"],
    ),
    (
        "scopes as text",
        PATH,
        usual,
        |_, request, reply| {
            edit_metadata(request, reply, |document| document["scopes_supported"] = "orders:read".into())
        },
        &["metadata-member-type"],
    ),
    (
        "resource with a slash",
        PATH,
        usual,
        |site, request, reply| resource(request, reply, format!("{}/orders/", site.base)),
        &["resource-mismatch"],
    ),
    (
        "resource in another case",
        PATH,
        usual,
        |site, request, reply| resource(request, reply, format!("{}/Orders", site.base)),
        &["resource-mismatch"],
    ),
    (
        "host in upper case",
        PATH,
        usual,
        |site, request, reply| resource(request, reply, site.base.replace("http", "HTTP") + PATH),
        &["resource-mismatch"],
    ),
    (
        "another port",
        PATH,
        usual,
        |_, request, reply| resource(request, reply, "http://127.0.0.1:1/orders".to_owned()),
        &["resource-mismatch"],
    ),
    (
        "internal host",
        PATH,
        usual,
        |site, request, reply| resource(request, reply, format!("http://backend:{}/orders", site.port)),
        &["resource-mismatch"],
    ),
    (
        "another path",
        PATH,
        usual,
        |site, request, reply| resource(request, reply, format!("{}/api", site.base)),
        &["resource-mismatch"],
    ),
    (
        "fragment",
        PATH,
        usual,
        |site, request, reply| resource(request, reply, format!("{}/orders#a", site.base)),
        &["resource-mismatch"],
    ),
    (
        "resource is no URL",
        PATH,
        usual,
        |_, request, reply| resource(request, reply, "orders".to_owned()),
        &["resource-mismatch"],
    ),
    (
        "no authorization servers",
        PATH,
        usual,
        |_, request, reply| {
            edit_metadata(request, reply, |document| remove(document, "authorization_servers"))
        },
        &["no-authorization-servers"],
    ),
    (
        "empty list of issuers",
        PATH,
        usual,
        |_, request, reply| issuers(request, reply, json!([])),
        &["authorization-servers-empty"],
    ),
    (
        "issuer without the array",
        PATH,
        usual,
        |site, request, reply| issuers(request, reply, site.issuer().into()),
        &["metadata-member-type"],
    ),
    (
        "issuer is no URL",
        PATH,
        usual,
        |_, request, reply| issuers(request, reply, json!(["as"])),
        &["issuer-invalid"],
    ),
    (
        "issuer with a query",
        PATH,
        usual,
        |site, request, reply| issuers(request, reply, json!([site.issuer() + "?a=b"])),
        &["issuer-invalid", "issuer-mismatch"],
    ),
    (
        "http issuer",
        PATH,
        usual,
        |site, request, reply| issuers(request, reply, json!([format!("http://0.0.0.0:{}/as", site.port)])),
        &["issuer-http", "issuer-mismatch", "endpoint-http"],
    ),
    (
        "issuer is the URL of its metadata",
        PATH,
        usual,
        |site, request, reply| {
            issuers(
                request,
                reply,
                json!([format!("{}/.well-known/oauth-authorization-server/as", site.base)]),
            )
        },
        &["issuer-is-metadata-url"],
    ),
    (
        "offline_access is supported",
        PATH,
        usual,
        |_, request, reply| {
            edit_metadata(request, reply, |document| {
                document["scopes_supported"] = json!(["orders:read", "offline_access"]);
            })
        },
        &["offline-access"],
    ),
    (
        "tokens in the query are advertised",
        PATH,
        usual,
        |_, request, reply| {
            edit_metadata(request, reply, |document| {
                document["bearer_methods_supported"] = json!(["header", "query"]);
            })
        },
        &["bearer-methods"],
    ),
    (
        "http documentation",
        PATH,
        usual,
        |_, request, reply| {
            edit_metadata(request, reply, |document| {
                document["resource_documentation"] = "http://docs.example".into();
            })
        },
        &["resource-url-http"],
    ),
    // The authorization server
    (
        "issuer unreachable",
        PATH,
        usual,
        |_, request, reply| issuers(request, reply, json!(["http://127.0.0.1:1"])),
        &["issuer-unreachable"],
    ),
    (
        "no metadata of the issuer",
        PATH,
        usual,
        |_, request, reply| if request.is_issuer_metadata() { Reply::new(404) } else { reply },
        &["issuer-metadata-missing"],
    ),
    (
        "metadata of the issuer at the last URL",
        PATH,
        usual,
        |site, request, reply| {
            let reply = if request.is_issuer_metadata() { Reply::new(404) } else { reply };
            at(request, "/as/.well-known/openid-configuration", reply, || {
                Reply::json(&site.issuer_metadata())
            })
        },
        &[],
    ),
    (
        "metadata of the issuer at the second URL",
        PATH,
        usual,
        |site, request, reply| {
            let reply = if request.is_issuer_metadata() { Reply::new(404) } else { reply };
            at(request, "/.well-known/openid-configuration/as", reply, || {
                Reply::json(&site.issuer_metadata())
            })
        },
        &[],
    ),
    (
        "metadata of the issuer redirects",
        PATH,
        usual,
        |_, request, reply| {
            if request.is_issuer_metadata() { Reply::new(302).with("location", "/") } else { reply }
        },
        &["issuer-metadata-redirected", "issuer-metadata-missing"],
    ),
    (
        "metadata of the issuer is HTML",
        PATH,
        usual,
        |_, request, reply| if request.is_issuer_metadata() { reply.body("<html>") } else { reply },
        &["issuer-metadata-not-json", "issuer-metadata-missing"],
    ),
    (
        "metadata of the issuer as text",
        PATH,
        usual,
        |_, request, reply| {
            if request.is_issuer_metadata() { reply.set("content-type", "text/plain") } else { reply }
        },
        &["issuer-metadata-content-type"],
    ),
    (
        "member of the issuer twice",
        PATH,
        usual,
        |_, request, reply| match request.is_issuer_metadata() {
            true => {
                let text = String::from_utf8(reply.body.clone()).unwrap();
                reply.body(text.replacen('{', "{\"issuer\": \"https://other.example\",", 1))
            }
            false => reply,
        },
        &["issuer-metadata-repeated-member"],
    ),
    (
        "another issuer",
        PATH,
        usual,
        |site, request, reply| {
            edit_issuer(request, reply, |document| document["issuer"] = format!("{}/as/", site.base).into())
        },
        &["issuer-mismatch"],
    ),
    (
        "slash after the host of the issuer",
        PATH,
        usual,
        |site, request, reply| {
            let reply = issuers(request, reply, json!([site.base]));
            at(request, "/.well-known/oauth-authorization-server", reply, || {
                let mut document = site.issuer_metadata();
                document["issuer"] = format!("{}/", site.base).into();
                Reply::json(&document)
            })
        },
        &["issuer-mismatch"],
    ),
    (
        "no issuer",
        PATH,
        usual,
        |_, request, reply| edit_issuer(request, reply, |document| remove(document, "issuer")),
        &["issuer-mismatch"],
    ),
    (
        "no token endpoint",
        PATH,
        usual,
        |_, request, reply| edit_issuer(request, reply, |document| remove(document, "token_endpoint")),
        &["no-token-endpoint"],
    ),
    (
        "no authorization endpoint",
        PATH,
        usual,
        |_, request, reply| {
            edit_issuer(request, reply, |document| remove(document, "authorization_endpoint"))
        },
        &["no-authorization-endpoint"],
    ),
    (
        "no keys named",
        PATH,
        usual,
        |_, request, reply| edit_issuer(request, reply, |document| remove(document, "jwks_uri")),
        &["no-jwks-uri"],
    ),
    (
        "http endpoint",
        PATH,
        usual,
        |_, request, reply| {
            edit_issuer(request, reply, |document| {
                document["token_endpoint"] = "http://as.example/token".into();
            })
        },
        &["endpoint-http"],
    ),
    (
        "endpoint without a host",
        PATH,
        usual,
        |_, request, reply| {
            edit_issuer(request, reply, |document| document["token_endpoint"] = "/token".into())
        },
        &["endpoint-invalid"],
    ),
    (
        "no PKCE",
        PATH,
        usual,
        |_, request, reply| {
            edit_issuer(request, reply, |document| remove(document, "code_challenge_methods_supported"))
        },
        &["no-s256"],
    ),
    (
        "plain PKCE only",
        PATH,
        usual,
        |_, request, reply| {
            edit_issuer(request, reply, |document| {
                document["code_challenge_methods_supported"] = json!(["plain"]);
            })
        },
        &["no-s256"],
    ),
    (
        "no response types",
        PATH,
        usual,
        |_, request, reply| {
            edit_issuer(request, reply, |document| remove(document, "response_types_supported"))
        },
        &["no-response-types"],
    ),
    // Keys
    (
        "keys closed",
        PATH,
        usual,
        |_, request, reply| if request.is_keys() { Reply::raw("") } else { reply },
        &["keys-unreachable"],
    ),
    (
        "keys redirect",
        PATH,
        usual,
        |_, request, reply| if request.is_keys() { reply.status(302) } else { reply },
        &["keys-redirected"],
    ),
    (
        "keys not found",
        PATH,
        usual,
        |_, request, reply| if request.is_keys() { reply.status(404) } else { reply },
        &["keys-status"],
    ),
    (
        "keys are HTML",
        PATH,
        usual,
        |_, request, reply| if request.is_keys() { reply.body("<html>") } else { reply },
        &["keys-not-json"],
    ),
    (
        "keys are an object",
        PATH,
        usual,
        |_, request, reply| keys(request, reply, || json!({"keys": {}})),
        &["keys-not-json"],
    ),
    (
        "one key instead of a set",
        PATH,
        usual,
        |site, request, reply| keys(request, reply, || site.jwk()),
        &["keys-not-json"],
    ),
    ("no keys", PATH, usual, |_, request, reply| keys(request, reply, || json!({"keys": []})), &["no-keys"]),
    (
        "unknown type of key",
        PATH,
        usual,
        |_, request, reply| keys(request, reply, || json!({"keys": [{"kty": "OTHER", "kid": "1"}, 7, null]})),
        &["no-usable-key", "no-kid"],
    ),
    (
        "a key that is not usable",
        PATH,
        usual,
        |site, request, reply| {
            keys(request, reply, || json!({"keys": [site.jwk(), {"kty": "OTHER", "kid": "2"}]}))
        },
        &["key-unusable"],
    ),
    (
        "key for encryption",
        PATH,
        usual,
        |site, request, reply| {
            keys(request, reply, || json!({"keys": [site.jwk(), {"kty": "RSA", "use": "enc", "kid": "2"}]}))
        },
        &[],
    ),
    (
        "private key",
        PATH,
        usual,
        |site, request, reply| {
            keys(request, reply, || {
                let mut private = site.jwk();
                private["d"] = "AAAA".into();
                private["kid"] = "2".into();
                json!({"keys": [site.jwk(), private]})
            })
        },
        &["private-key-published", "key-unusable"],
    ),
    (
        "kid twice",
        PATH,
        usual,
        |site, request, reply| keys(request, reply, || json!({"keys": [site.jwk(), site.jwk()]})),
        &["duplicate-kid"],
    ),
    (
        "no kid",
        PATH,
        usual,
        |site, request, reply| {
            keys(request, reply, || {
                let mut key = site.jwk();
                remove(&mut key, "kid");
                json!({"keys": [site.jwk(), key]})
            })
        },
        &["no-kid"],
    ),
];

fn challenge_without_metadata(request: &Received, reply: Reply) -> Reply {
    challenge(request, reply, "Bearer scope=\"orders:read\"")
}

/// Answers at one path.
fn at(request: &Received, path: &str, reply: Reply, answer: impl FnOnce() -> Reply) -> Reply {
    if request.path == path { answer() } else { reply }
}

fn resource(request: &Received, reply: Reply, resource: String) -> Reply {
    edit_metadata(request, reply, |document| document["resource"] = resource.into())
}

fn issuers(request: &Received, reply: Reply, issuers: Value) -> Reply {
    edit_metadata(request, reply, |document| document["authorization_servers"] = issuers)
}

/// Rules that need a server which is not on this machine, or a method that the command line does not accept. Their checks are
/// tested as functions.
const TESTED_AS_FUNCTIONS: [&str; 5] =
    ["plain-http", "resource-not-https", "tls-failed", "unreachable", "method-not-allowed-by-cors"];

#[tokio::test]
async fn each_fault_is_found_and_nothing_else() {
    let mut wrong = Vec::new();
    for (name, path, change, fault, expected) in ROWS {
        let report = examine_site(*fault, path, *change).await;
        let expected: BTreeSet<_> = expected.iter().copied().collect();
        if codes(&report) != expected {
            wrong.push(format!("{name}: expected {expected:?}, found {}", report.to_text()));
        }
    }

    assert!(wrong.is_empty(), "{}", wrong.join("\n----\n"));
}

#[test]
fn each_rule_has_a_fault() {
    let found: BTreeSet<_> = ROWS.iter().flat_map(|row| row.4).copied().chain(TESTED_AS_FUNCTIONS).collect();
    let all: BTreeSet<_> = rules::ALL.iter().map(|rule| rule.code).collect();

    assert_eq!(found, all);
    assert_eq!(all.len(), rules::ALL.len(), "two rules have the same code");
}

#[tokio::test]
async fn server_without_tls_or_without_a_server_is_found() {
    let site = Site::start(none).await;
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();

    let no_tls = examine(settings(&format!("https://127.0.0.1:{}/orders", site.port))).await.unwrap();
    let no_server = examine(settings(&format!("http://{closed}/orders"))).await.unwrap();

    assert_eq!(codes(&no_tls), ["tls-failed"].into());
    assert_eq!(codes(&no_server), ["unreachable"].into());
    assert_eq!((no_tls.exit_code(), no_server.exit_code()), (2, 2));
}

#[tokio::test]
async fn mcp_makes_some_warnings_errors() {
    let no_s256: Fault = |_, request, reply| {
        edit_issuer(request, reply, |document| remove(document, "code_challenge_methods_supported"))
    };

    let api = examine_site(no_s256, PATH, usual).await;
    let mcp = examine_site(no_s256, "/mcp", usual).await;

    assert_eq!((api.exit_code(), mcp.exit_code()), (1, 2));
}

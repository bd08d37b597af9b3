//! What all HTML pages share: layout, response headers, escaping.

use std::{borrow::Cow, sync::LazyLock};

use aws_lc_rs::digest;
use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::oauth_error::OAuthError;

/// Returns a page. `body` is HTML: everything in it that a peer sent must have been through [`escape`].
pub(super) fn page(status: StatusCode, title: &str, body: &str) -> Response {
    let title = escape(title);
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n\
         <body>\n<main>\n<h1>{title}</h1>\n{body}</main>\n</body>\n</html>\n"
    );
    (status, headers(), Html(html)).into_response()
}

/// Returns a page for errors that must not be sent to a client (RFC 6749 section 4.1.2.1).
pub(super) fn failure(status: StatusCode, error: &OAuthError) -> Response {
    let body = format!(
        "<p>The app sent a request that cannot be answered: <strong>{}</strong>.</p>\n<p class=\"note\">{}</p>\n",
        escape(&error.description),
        error.code.as_str(),
    );
    page(status, "Something went wrong", &body)
}

fn headers() -> [(HeaderName, HeaderValue); 4] {
    let value = HeaderValue::from_static;
    [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY.clone()),
        // For browsers without `frame-ancestors` (RFC 9700 section 4.16).
        (header::X_FRAME_OPTIONS, value("DENY")),
        // Not `no-referrer`: with it, browsers send `Origin: null` with our own forms.
        (header::REFERRER_POLICY, value("same-origin")),
        (header::X_CONTENT_TYPE_OPTIONS, value("nosniff")),
    ]
}

// No scripts, no other resources, no frames around the page. `form-action` is missing, because Chromium applies it to the
// redirect after the form too, and that leads to the client.
static CONTENT_SECURITY_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = BASE64_STANDARD.encode(digest::digest(&digest::SHA256, STYLE.as_bytes()));
    let policy =
        format!("default-src 'none'; style-src 'sha256-{hash}'; frame-ancestors 'none'; base-uri 'none'");
    HeaderValue::try_from(policy).expect("visible ASCII")
});

/// Escapes a text for HTML, both between tags and in a quoted attribute.
pub(super) fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    Cow::Owned(escaped)
}

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8886;--accent:#1a66d6}\
*{box-sizing:border-box}\
body{margin:0;padding:1rem;font:1rem/1.5 system-ui,sans-serif}\
main{max-width:26rem;margin:5vh auto;padding:1.25rem;border:1px solid var(--line);border-radius:.75rem}\
h1{margin:0 0 1rem;font-size:1.35rem;line-height:1.3;overflow-wrap:anywhere}\
dl{margin:0 0 1rem}dt{font-size:.85rem;opacity:.75}dd{margin:0 0 .6rem;overflow-wrap:anywhere}\
fieldset{margin:0 0 1rem;padding:.5rem .75rem;border:1px solid var(--line);border-radius:.5rem}\
label{display:block;padding:.35rem 0;overflow-wrap:anywhere}\
input{font:inherit}input[type=checkbox]{width:1.2rem;height:1.2rem;margin:0 .5rem 0 0;vertical-align:-.2rem}\
input[type=text],input[type=password]{width:100%;padding:.6rem;border:1px solid var(--line);border-radius:.5rem}\
button{width:100%;margin:.4rem 0 0;padding:.75rem;font:inherit;border:1px solid var(--line);border-radius:.5rem;cursor:pointer}\
button.main{background:var(--accent);border-color:var(--accent);color:#fff}\
.note{font-size:.85rem;opacity:.75}.error{color:#c22}";

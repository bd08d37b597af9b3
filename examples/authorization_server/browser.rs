//! A simulated user with a browser, for examples and tests. It fills in the forms and sends the same HTTP requests as a browser.

use std::sync::{Mutex, PoisonError};

use reqwest::{Response, StatusCode, header, redirect};
use url::Url;

use super::{
    authentication::{ONE_TIME_CODE, PASSWORD},
    state::USER,
};

/// A browser in which [`USER`] signs in when asked, and stays signed in.
#[derive(Debug)]
pub struct Browser {
    http: reqwest::Client,
    /// The cookie of the session. One is enough, because each test or example has its own browser.
    cookie: Mutex<Option<String>>,
}

/// What the user answers on the consent page.
#[derive(Debug, Clone, Copy)]
pub enum Decision<'a> {
    Approve,
    /// Unticks all other scopes.
    ApproveOnly(&'a [&'a str]),
    Deny,
}

/// A page, as a browser shows it.
#[derive(Debug)]
pub struct Page {
    pub url: Url,
    pub html: String,
}

impl Browser {
    pub fn new() -> reqwest::Result<Self> {
        let http = reqwest::Client::builder().redirect(redirect::Policy::none());
        // A proxy from the environment cannot reach loopback addresses of this machine. The server has no TLS, and loading
        // certificates takes time.
        let http = http.no_proxy().tls_certs_only([]).build()?;
        Ok(Self { http, cookie: Mutex::default() })
    }

    /// Opens the URL of an authorization request, signs in if asked, and decides.
    ///
    /// Returns the first response that is not a form: usually the redirect to the client, which is not followed.
    pub async fn authorize(&self, url: &str, decision: Decision<'_>) -> reqwest::Result<Response> {
        let mut response = self.open(url).await?;
        // A login page and a consent page.
        for _ in 0..2 {
            if response.status() != StatusCode::OK {
                break;
            }
            let page = Page { url: response.url().clone(), html: response.text().await? };
            response = self.submit(&page, &page.fill_in(decision)).await?;
        }
        Ok(response)
    }

    pub async fn open(&self, url: &str) -> reqwest::Result<Response> {
        self.send(self.http.get(url)).await
    }

    /// Sends the form of a page with these fields.
    pub async fn submit(&self, page: &Page, fields: &[(String, String)]) -> reqwest::Result<Response> {
        let action = page.form_action().unwrap_or_default();
        let origin = page.url.origin().ascii_serialization();
        let request = self.http.post(format!("{origin}{action}")).header(header::ORIGIN, origin);
        self.send(request.form(fields)).await
    }

    async fn send(&self, mut request: reqwest::RequestBuilder) -> reqwest::Result<Response> {
        let cookie = self.cookie.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(cookie) = cookie {
            request = request.header(header::COOKIE, cookie);
        }
        let response = request.send().await?;
        let set = response.headers().get(header::SET_COOKIE).and_then(|value| value.to_str().ok());
        if let Some(pair) = set.and_then(|value| value.split(';').next()) {
            *self.cookie.lock().unwrap_or_else(PoisonError::into_inner) = Some(pair.to_owned());
        }
        Ok(response)
    }
}

impl Page {
    /// Returns the fields of the form as the user would send them.
    pub fn fill_in(&self, decision: Decision<'_>) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        for input in self.html.split("<input ").skip(1).filter_map(|rest| rest.split('>').next()) {
            let name = attribute(input, "name").unwrap_or_default();
            let value = match name.as_str() {
                "username" => USER.to_owned(),
                "password" => PASSWORD.to_owned(),
                "code" => ONE_TIME_CODE.to_owned(),
                _ => attribute(input, "value").unwrap_or_default(),
            };
            let unticked =
                matches!(decision, Decision::ApproveOnly(scopes) if !scopes.contains(&value.as_str()));
            if name != "scope" || !unticked {
                fields.push((name, value));
            }
        }
        if self.html.contains("name=\"decision\"") {
            let value = if matches!(decision, Decision::Deny) { "deny" } else { "approve" };
            fields.push(("decision".to_owned(), value.to_owned()));
        }
        fields
    }

    fn form_action(&self) -> Option<String> {
        attribute(self.html.split("<form ").nth(1)?.split('>').next()?, "action")
    }
}

/// Returns an attribute of a tag of our pages, which always have double quotes.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let value = tag.split_once(&format!("{name}=\""))?.1.split('"').next()?;
    let unescaped = value.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    Some(unescaped.replace("&#39;", "'").replace("&amp;", "&"))
}

//! A browser for tests: follows redirects, keeps cookies, fills in forms.

use std::collections::BTreeMap;

use http::{HeaderMap, header};
use url::Url;

use super::{http_client, soon};

/// A browser that knows what its user would type and which buttons the user would press.
#[derive(Debug)]
pub(crate) struct Browser {
    client: reqwest::Client,
    cookies: BTreeMap<String, String>,
    answers: Vec<(&'static str, &'static str)>,
}

/// Maximum number of pages and redirects between a client and its redirect URI.
const MAX_STEPS: usize = 20;

impl Browser {
    /// Creates a browser without cookies. `answers` are the values for the fields of forms, by name.
    pub(crate) fn new(answers: &[(&'static str, &'static str)]) -> Self {
        Self { client: http_client(), cookies: BTreeMap::new(), answers: answers.to_vec() }
    }

    /// Opens a page and submits every form, until the server redirects to `redirect_uri`. Returns that URL with its query.
    pub(crate) async fn open(&mut self, url: &str, redirect_uri: &str) -> Url {
        let mut here = Url::parse(url).unwrap();
        let mut request = self.client.get(here.clone());
        for _ in 0..MAX_STEPS {
            let cookies: Vec<_> =
                self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let response = soon(request.header(header::COOKIE, cookies.join("; ")).send())
                .await
                .expect("the server answers");
            self.keep_cookies(response.headers());
            if let Some(location) = response.headers().get(header::LOCATION) {
                here = here.join(location.to_str().unwrap()).unwrap();
                if here.as_str().starts_with(redirect_uri) {
                    return here;
                }
                request = self.client.get(here.clone());
                continue;
            }
            let status = response.status();
            let page = soon(response.text()).await.unwrap();
            let Some(form) = Form::find(&page) else { panic!("no form at {here}: {status} {page}") };
            here = here.join(&form.action).unwrap();
            request = self.client.post(here.clone()).form(&form.fields(&self.answers));
        }
        panic!("still at {here} after {MAX_STEPS} steps");
    }

    fn keep_cookies(&mut self, headers: &HeaderMap) {
        for cookie in headers.get_all(header::SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

/// The first form of a page.
#[derive(Debug)]
struct Form<'a> {
    action: String,
    /// Its `input` and `button` tags, without the angle brackets.
    controls: Vec<&'a str>,
}

impl<'a> Form<'a> {
    fn find(page: &'a str) -> Option<Self> {
        let form = &page[page.find("<form")?..];
        let form = &form[..form.find("</form>").unwrap_or(form.len())];
        let mut tags = form.split('<').skip(1).filter_map(|tag| tag.split_once('>')).map(|(tag, _)| tag);
        let action = attribute(tags.next()?, "action").unwrap_or_default();
        let controls = tags.filter(|tag| tag.starts_with("input") || tag.starts_with("button")).collect();
        Some(Self { action, controls })
    }

    /// Returns the fields with the user's answers. A button counts only if it has the value that the user would choose.
    fn fields(&self, answers: &[(&'static str, &'static str)]) -> BTreeMap<String, String> {
        let mut fields = BTreeMap::new();
        for control in &self.controls {
            let Some(name) = attribute(control, "name") else { continue };
            let value = attribute(control, "value").unwrap_or_default();
            let answer = answers.iter().find(|(field, _)| *field == name).map(|(_, answer)| *answer);
            let is_button =
                control.starts_with("button") || attribute(control, "type").as_deref() == Some("submit");
            if is_button {
                if answer == Some(value.as_str()) {
                    fields.insert(name, value);
                }
            } else {
                fields.insert(name, answer.map_or(value, str::to_owned));
            }
        }
        fields
    }
}

/// Returns the value of an attribute of a tag.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let start = tag.find(&format!(" {name}=\""))? + name.len() + 3;
    let value = &tag[start..];
    let value = &value[..value.find('"')?];
    Some(value.replace("&quot;", "\"").replace("&#x27;", "'").replace("&#39;", "'").replace("&amp;", "&"))
}

/// Returns a parameter of a query.
pub(crate) fn parameter(url: &Url, name: &str) -> String {
    let found = url.query_pairs().find(|(key, _)| key == name);
    found.unwrap_or_else(|| panic!("no {name} in {url}")).1.into_owned()
}

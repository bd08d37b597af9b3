//! Claims of the token, as headers for the backend: [`ClaimHeaders`].

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue, header::InvalidHeaderName};
use serde_json::Value;
use thiserror::Error;
use tower_bearer::ValidatedToken;

/// Which claims the backend gets, and in which headers.
#[derive(Clone, Debug)]
pub(crate) struct ClaimHeaders(Vec<(HeaderName, String)>);

/// A claim that cannot be sent as a header. The request is refused, because without the header, the backend could treat it as
/// anonymous.
#[derive(Debug, Error)]
#[error("the claim {0:?} cannot be sent as a header")]
pub(crate) struct UnsendableClaim(String);

impl ClaimHeaders {
    /// `settings` is header name to claim name.
    pub(crate) fn new(settings: &BTreeMap<String, String>) -> Result<Self, InvalidHeaderName> {
        let headers =
            settings.iter().map(|(header, claim)| Ok((HeaderName::try_from(header)?, claim.clone())));
        headers.collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &HeaderName> {
        self.0.iter().map(|(name, _)| name)
    }

    /// Returns the headers for a token. A claim that the token does not have is left out.
    pub(crate) fn of(&self, token: &ValidatedToken) -> Result<HeaderMap, UnsendableClaim> {
        let mut headers = HeaderMap::new();
        for (name, claim) in &self.0 {
            let value = token.claim::<Value>(claim).map_err(|_| UnsendableClaim(claim.clone()))?;
            let Some(value) = value.filter(|value| !value.is_null()) else { continue };
            let text = text(&value).ok_or_else(|| UnsendableClaim(claim.clone()))?;
            let value = HeaderValue::try_from(text).map_err(|_| UnsendableClaim(claim.clone()))?;
            headers.insert(name, value);
        }
        Ok(headers)
    }
}

/// Writes a claim as printable ASCII. A list is separated by commas.
fn text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(items) => {
            let items: Vec<_> = items
                .iter()
                .map(|item| item.as_str().filter(|item| !item.contains(',')))
                .collect::<Option<_>>()?;
            items.join(",")
        }
        Value::Null | Value::Object(_) => return None,
    };
    // Leading and trailing spaces would be lost, and servers disagree on bytes outside ASCII.
    let is_printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    (is_printable && !text.is_empty() && text.trim() == text).then_some(text)
}

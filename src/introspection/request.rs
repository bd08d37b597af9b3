//! Builds the introspection request (RFC 7662 section 2.1).

use bytes::Bytes;
use http::{
    Method, Request,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT},
};
use url::{Url, form_urlencoded};

use super::ResourceServerCredential;
use crate::{AccessToken, http_client::fetch::USER_AGENT_VALUE};

/// Builds the request. The token is only in the body. The credential is in the header or in the body, never in both.
pub(super) fn introspection_request(
    endpoint: &Url,
    token: &AccessToken,
    credential: &ResourceServerCredential,
    token_type_hint: bool,
) -> Result<Request<Bytes>, http::Error> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("token", token.expose());
    if token_type_hint {
        form.append_pair("token_type_hint", "access_token");
    }
    credential.add_to(&mut form);
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(endpoint.as_str())
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(USER_AGENT, USER_AGENT_VALUE)
        .body(Bytes::from(form.finish()))?;
    if let Some(value) = credential.header()? {
        request.headers_mut().insert(AUTHORIZATION, value);
    }
    Ok(request)
}

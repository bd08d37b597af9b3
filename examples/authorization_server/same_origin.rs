//! Refuses forms that another site made the browser send.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{StatusCode, header, request::Parts},
    response::Response,
};

use super::{oauth_error::OAuthError, pages, state::ServerState};

/// An extractor that proves that a form comes from one of our pages, or not from a browser.
///
/// Browsers send `Origin` with each `POST`, and a page cannot change it. `SameSite` cookies are not enough: all ports of
/// `127.0.0.1` are the same site.
pub(super) struct SameOrigin;

impl FromRequestParts<Arc<ServerState>> for SameOrigin {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<ServerState>) -> Result<Self, Response> {
        match parts.headers.get(header::ORIGIN) {
            Some(origin) if origin.as_bytes() != state.issuer.as_bytes() => {
                let error = OAuthError::invalid_request("the form was sent by another site");
                Err(pages::failure(StatusCode::FORBIDDEN, &error))
            }
            Some(_) | None => Ok(Self),
        }
    }
}

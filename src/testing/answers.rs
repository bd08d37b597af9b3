//! The responses of the authorization server: metadata, keys and introspection, or those scripted by a test.

use std::collections::HashMap;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header::CONTENT_TYPE};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::{TestAuthorizationServer, authorization_server::RESOURCE_SERVER};
use crate::{Clock, HttpError, UnixTime};

impl TestAuthorizationServer {
    /// Answers a request from a validator or from a socket.
    pub(super) async fn answer_request(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        self.state().log.push(request.clone());
        let url = request.uri().to_string();
        let mut held = self.held();
        // The sender lives as long as `self`.
        let _ = held.wait_for(|held| !held.contains(&url)).await;
        let answer = if self.state().is_down {
            Err(HttpError::new("connection refused"))
        } else {
            Ok(self.respond(&request))
        };
        self.state().answered += 1;
        answer
    }

    fn respond(&self, request: &Request<Bytes>) -> Response<Bytes> {
        let url = request.uri().to_string();
        let scripted = self.state().answers.get(&url).cloned();
        if let Some(scripted) = scripted {
            return scripted(request);
        }
        if url == self.metadata_url() {
            json_response(&json!({
                "issuer": self.issuer(),
                "jwks_uri": self.jwks_uri(),
                "introspection_endpoint": self.introspection_endpoint(),
            }))
        } else if url == self.jwks_uri() {
            json_response(&self.jwks())
        } else if url == self.introspection_endpoint() {
            self.introspect(request)
        } else {
            status_response(StatusCode::NOT_FOUND)
        }
    }

    /// RFC 7662: requires authentication, and answers `active: false` for every token that is unknown, expired or
    /// revoked.
    fn introspect(&self, request: &Request<Bytes>) -> Response<Bytes> {
        if request.method() != Method::POST {
            return status_response(StatusCode::METHOD_NOT_ALLOWED);
        }
        let form: HashMap<_, _> = form_urlencoded::parse(request.body()).into_owned().collect();
        if !is_authenticated(request, &form) {
            return status_response(StatusCode::UNAUTHORIZED);
        }
        let claims = form.get("token").and_then(|token| self.state().opaque.get(token).cloned());
        let now = self.clock().now();
        let is_live = |claims: &Map<String, Value>| {
            claims.get("exp").and_then(Value::as_u64).is_none_or(|exp| now < UnixTime::from_secs(exp))
        };
        match claims.filter(is_live) {
            Some(mut claims) => {
                claims.insert("active".to_owned(), true.into());
                json_response(&Value::Object(claims))
            }
            None => json_response(&json!({"active": false})),
        }
    }
}

fn is_authenticated(request: &Request<Bytes>, form: &HashMap<String, String>) -> bool {
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    let (id, secret) = RESOURCE_SERVER;
    let header = request.headers().get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let basic = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    let is_basic = header == Some(&basic);
    let is_bearer = header == Some(&format!("Bearer {secret}"));
    let is_post = form.values().any(|value| value == id) && form.values().any(|value| value == secret);
    is_basic || is_bearer || is_post
}

fn json_response(body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}

fn status_response(status: StatusCode) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response
}

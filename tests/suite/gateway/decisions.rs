//! The decisions for other proxies.

use std::collections::HashMap;

use http::{HeaderMap, Request, Response, StatusCode, header::AUTHORIZATION};
use tower::ServiceExt as _;

use super::{
    example::{
        claim_headers::ClaimHeaders,
        decision::{DecisionBody, DecisionService, DescribedBy},
        decisions,
        ext_authz::{
            AttributeContext, AttributeRequest, CHECK, CheckRequest, CheckResponse, ExtAuthz, Header,
            HeaderMap as EnvoyHeaders, HttpRequest,
        },
    },
    *,
};

#[tokio::test]
async fn admitted_request_is_204_with_the_claims() {
    let kit = Decisions::start().await;

    let response = kit.ask(&kit.admitted()).await;

    assert_eq!(response.status(), StatusCode::NO_CONTENT);
    assert_eq!(response.headers()["x-forwarded-user"], "alice");
    assert_eq!(response.headers()["cache-control"], "no-store");
}

#[tokio::test]
async fn a55_refusal_keeps_its_status_and_challenge() {
    let kit = Decisions::start().await;
    let expired = Minting { age: Duration::from_secs(7_200), ..kit.valid() };
    let expired = format!("Bearer {}", kit.authority.mint(expired));
    let elsewhere = Minting { resource: "https://elsewhere.example", ..kit.valid() };
    let elsewhere = format!("Bearer {}", kit.authority.mint(elsewhere));
    let valid = &kit.authorization;
    for (authorizations, status, part) in [
        (vec![], 401, "scope=\"mcp:read\", resource_metadata="),
        (vec![&*expired], 401, "error=\"invalid_token\""),
        (vec![&*elsewhere], 401, "error=\"invalid_token\""),
        (vec!["Bearer forged"], 401, "error=\"invalid_token\""),
        (vec!["Basic YTpi"], 401, "scope=\"mcp:read\", resource_metadata="),
        (vec!["Bearer "], 400, "error=\"invalid_request\""),
        (vec![&**valid, &**valid], 400, "error=\"invalid_request\""),
    ] {
        for (method, more) in [
            ("GET", vec![]),
            ("HEAD", vec![]),
            ("GET", vec![("content-type", "application/grpc")]),
            ("GET", vec![("content-type", "application/grpc-web-text+proto"), ("te", "trailers")]),
            ("HEAD", vec![("origin", "https://app.example"), ("access-control-request-method", "GET")]),
            ("GET", vec![("connection", "authorization"), ("x-forwarded-user", "admin")]),
        ] {
            let mut headers = described(method, "/api/json");
            for authorization in &authorizations {
                headers.append(AUTHORIZATION, authorization.parse().unwrap());
            }
            for (name, value) in &more {
                headers.append(*name, value.parse().unwrap());
            }

            // The proxy's own method and the original one may both be anything.
            for method in ["GET", "POST", "OPTIONS", method] {
                let response = kit.ask_with(method, &headers).await;

                assert_eq!(response.status(), status, "{authorizations:?} {method} {more:?}");
                let challenge = response.headers()["www-authenticate"].to_str().unwrap();
                assert!(challenge.contains(part), "{challenge}");
                assert!(!response.headers().contains_key("x-forwarded-user"));
            }
        }
    }
}

#[tokio::test]
async fn method_and_path_decide_what_is_required() {
    let kit = Decisions::start().await;
    let writer = Minting { scope: "mcp:write", ..kit.valid() };
    let writer = format!("Bearer {}", kit.authority.mint(writer));
    let reader = kit.authorization.clone();
    for (authorization, method, uri, status) in [
        (&reader, "GET", "/api/json", 204),
        (&reader, "HEAD", "/api/json", 204),
        (&reader, "POST", "/api/json", 403),
        (&reader, "OPTIONS", "/api/json", 403),
        (&reader, "POST", "/job/app/build", 403),
        (&writer, "POST", "/job/app/build?x=1", 204),
        (&writer, "GET", "/job/app/build", 403),
        (&writer, "POST", "/script", 403),
        (&writer, "GET", "/job/app/config.xml/x", 403),
        (&writer, "GET", "/job/app%2Fbuild", 400),
        (&writer, "GET", "/job/app/../../script", 400),
        (&writer, "GET", "//elsewhere", 400),
        (&writer, "GET", "/api/json;x", 400),
    ] {
        let mut headers = described(method, uri);
        headers.insert(AUTHORIZATION, authorization.parse().unwrap());

        assert_eq!(kit.ask(&headers).await.status(), status, "{method} {uri}");
    }
}

#[tokio::test]
async fn outage_is_503() {
    let kit = Decisions::start().await;
    kit.authority.stop().await;

    let response = kit.ask(&kit.admitted()).await;

    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a65_request_that_is_not_described_as_configured_is_403() {
    let kit = Decisions::start().await;
    let without = |name: &str| {
        let mut headers = kit.admitted();
        headers.remove(name);
        headers
    };
    let with = |name: &'static str, value: &'static str| {
        let mut headers = kit.admitted();
        headers.append(name, value.parse().unwrap());
        headers
    };
    let replaced = |name: &'static str, value: &'static str| {
        let mut headers = kit.admitted();
        headers.insert(name, value.parse().unwrap());
        headers
    };
    for headers in [
        without("x-original-method"),
        without("x-original-uri"),
        with("x-original-method", "GET"),
        with("x-original-uri", "/public"),
        replaced("x-original-method", ""),
        replaced("x-original-method", "GET, POST"),
        replaced("x-original-uri", ""),
        replaced("x-original-uri", "public"),
        replaced("x-original-uri", "*"),
        replaced("x-original-uri", "https://gateway/public"),
        replaced("x-original-uri", "/a b"),
        // nginx sends and forwards a fragment as the client wrote it, and a backend may read it as a part of the path.
        replaced("x-original-uri", "/#/../script"),
        replaced("x-original-uri", "/?a#/../script"),
    ] {
        let response = kit.ask(&headers).await;

        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{headers:?}");
    }
}

#[tokio::test]
async fn only_the_configured_headers_describe_the_request() {
    let kit = Decisions::start().await;
    let mut headers = kit.admitted();
    headers.remove("x-original-method");
    headers.remove("x-original-uri");
    headers.insert("x-forwarded-method", "GET".parse().unwrap());
    headers.insert("x-forwarded-uri", "/".parse().unwrap());

    assert_eq!(kit.ask(&headers).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(
        kit.described_by(described_by("x-forwarded")).ask(&headers).await.status(),
        StatusCode::NO_CONTENT
    );
}

#[tokio::test]
async fn copies_of_claim_headers_are_not_repeated() {
    let kit = Decisions::start().await;
    let mut headers = kit.admitted();
    headers.insert("x-forwarded-user", "admin".parse().unwrap());
    headers.insert("x-forwarded-tenant", "theirs".parse().unwrap());

    let response = kit.ask(&headers).await;

    let values: Vec<_> = response.headers().get_all("x-forwarded-user").iter().collect();
    assert_eq!(values, ["alice"]);
    assert!(!response.headers().contains_key("x-forwarded-tenant"));
}

#[tokio::test]
async fn claim_that_cannot_be_a_header_is_403() {
    let kit = Decisions::start().await;
    let token = Minting { subject: "alice\r\nx-admin: 1", ..kit.valid() };
    let mut headers = kit.admitted();
    headers.insert(AUTHORIZATION, format!("Bearer {}", kit.authority.mint(token)).parse().unwrap());

    assert_eq!(kit.ask(&headers).await.status(), StatusCode::FORBIDDEN);
}

/// The decisions for Envoy.
mod envoy {
    use super::*;

    #[tokio::test]
    async fn admitted_request_gets_the_claims_and_loses_its_credential() {
        let kit = Decisions::start().await;

        let response = kit.check(kit.envoy(&[("x-forwarded-user", "admin")])).await;

        assert_eq!(response.status.unwrap().code, 0);
        assert!(response.denied_response.is_none());
        let ok = response.ok_response.unwrap();
        let set: Vec<_> =
            ok.headers.iter().map(|option| (option.header.clone().unwrap(), option.append)).collect();
        assert_eq!(set.len(), 1, "{set:?}");
        assert_eq!((&*set[0].0.key, &*set[0].0.value, set[0].1), ("x-forwarded-user", "alice", Some(false)));
        // The token has no such claim, so the client's copy of the header is removed.
        assert_eq!(ok.headers_to_remove, ["x-forwarded-tenant", "authorization"]);
    }

    #[tokio::test]
    async fn a55_refusal_is_denied_with_its_status_and_challenge() {
        let kit = Decisions::start().await;
        let valid = &kit.authorization;
        let joined = format!("{valid},{valid}");
        for (authorization, status, code) in
            [("Bearer forged", 401, 16), ("Basic YTpi", 401, 16), ("", 401, 16), (&*joined, 400, 7)]
        {
            for more in [("content-type", "application/grpc"), ("x-original-method", "GET")] {
                let response = kit.check(kit.envoy(&[more, ("authorization", authorization)])).await;

                let denied = response.denied_response.unwrap();
                assert_eq!(response.status.unwrap().code, code, "{authorization:?}");
                assert_eq!(denied.status.unwrap().code, status, "{authorization:?}");
                assert!(response.ok_response.is_none());
                let mut headers = denied.headers.iter().map(|option| option.header.clone().unwrap());
                assert!(headers.any(|header| header.key == "www-authenticate" && header.value.starts_with("Bearer ")));
            }
        }
    }

    #[tokio::test]
    async fn raw_headers_are_read() {
        let kit = Decisions::start().await;
        let header = |value: &str| Header {
            key: "authorization".to_owned(),
            value: String::new(),
            raw_value: value.as_bytes().to_vec(),
        };
        let valid = header(&kit.authorization);
        for (headers, code) in [
            (vec![valid.clone()], 0),
            (vec![], 16),
            (vec![valid.clone(), valid.clone()], 7),
            (vec![valid, header("Basic YTpi")], 7),
        ] {
            let mut request = kit.envoy(&[]);
            let http = request.attributes.as_mut().unwrap().request.as_mut().unwrap().http.as_mut().unwrap();
            http.headers.clear();
            http.header_map = Some(EnvoyHeaders { headers: headers.clone() });

            assert_eq!(kit.check(request).await.status.unwrap().code, code, "{}", headers.len());
        }
    }

    #[tokio::test]
    async fn a65_request_that_is_not_described_is_denied() {
        let kit = Decisions::start().await;
        let mut without_http = kit.envoy(&[]);
        without_http.attributes.as_mut().unwrap().request.as_mut().unwrap().http = None;
        let mut without_path = kit.envoy(&[]);
        without_path
            .attributes
            .as_mut()
            .unwrap()
            .request
            .as_mut()
            .unwrap()
            .http
            .as_mut()
            .unwrap()
            .path
            .clear();
        let mut with_fragment = kit.envoy(&[]);
        with_fragment
            .attributes
            .as_mut()
            .unwrap()
            .request
            .as_mut()
            .unwrap()
            .http
            .as_mut()
            .unwrap()
            .path
            .push_str("#/../script");
        for request in [CheckRequest { attributes: None }, without_http, without_path, with_fragment] {
            let response = kit.check(request).await;

            assert_eq!(response.status.unwrap().code, 7);
            assert_eq!(response.denied_response.unwrap().status.unwrap().code, 403);
        }
    }

    /// The same over a socket, with tonic's client.
    #[tokio::test]
    async fn grpc_client_gets_decisions() {
        let kit = Decisions::start().await;
        let listener = bind().await;
        let address = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(serve(listener, decisions(kit.service.clone())));
        let channel = tonic::transport::Endpoint::try_from(address).unwrap().connect().await.unwrap();
        let mut client = tonic::client::Grpc::new(channel);

        for (headers, code) in [(vec![], 0), (vec![("authorization", "Bearer forged")], 16)] {
            let request = tonic::Request::new(kit.envoy(&headers));
            client.ready().await.unwrap();
            let codec = tonic_prost::ProstCodec::<CheckRequest, CheckResponse>::default();
            let path = http::uri::PathAndQuery::from_static(CHECK);
            let response = soon(client.unary(request, path, codec)).await.unwrap().into_inner();

            assert_eq!(response.status.unwrap().code, code);
        }
    }
}

/// A decision service for tokens of an authorization server.
struct Decisions {
    authority: AuthorizationServer,
    service: DecisionService,
    authorization: String,
}

const RESOURCE: &str = "http://127.0.0.1:8080";

impl Decisions {
    async fn start() -> Self {
        let authority = AuthorizationServer::start().await.unwrap();
        let service = service(&authority, described_by("x-original"));
        let token = Minting { resource: RESOURCE, scope: "mcp:read", ..Minting::default() };
        let authorization = format!("Bearer {}", authority.mint(token));
        Self { authority, service, authorization }
    }

    fn described_by(mut self, described_by: DescribedBy) -> Self {
        self.service = service(&self.authority, described_by);
        self
    }

    fn valid(&self) -> Minting<'_> {
        Minting { resource: RESOURCE, scope: "mcp:read", ..Minting::default() }
    }

    /// The headers of a request that is admitted.
    fn admitted(&self) -> HeaderMap {
        let mut headers = described("GET", "/job/app/api/json?depth=1");
        headers.insert(AUTHORIZATION, self.authorization.parse().unwrap());
        headers
    }

    async fn ask(&self, headers: &HeaderMap) -> Response<DecisionBody> {
        self.ask_with("GET", headers).await
    }

    async fn ask_with(&self, method: &str, headers: &HeaderMap) -> Response<DecisionBody> {
        let mut request = Request::builder().method(method).uri("/auth").body(()).unwrap();
        request.headers_mut().clone_from(headers);
        self.service.clone().oneshot(request).await.unwrap()
    }

    /// What Envoy sends about a request that is admitted, with more headers.
    fn envoy(&self, more: &[(&str, &str)]) -> CheckRequest {
        let mut headers = HashMap::from([("authorization".to_owned(), self.authorization.clone())]);
        headers.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let http = HttpRequest {
            method: "GET".to_owned(),
            headers,
            path: "/job/app/api/json?depth=1".to_owned(),
            header_map: None,
        };
        let request = AttributeRequest { http: Some(http) };
        CheckRequest { attributes: Some(AttributeContext { request: Some(request) }) }
    }

    async fn check(&self, request: CheckRequest) -> CheckResponse {
        ExtAuthz::new(self.service.clone()).check(request).await
    }
}

/// The headers that nginx is configured to send, or those of Traefik and Caddy.
fn described_by(prefix: &str) -> DescribedBy {
    let header = |name| format!("{prefix}-{name}").parse().unwrap();
    DescribedBy { method: header("method"), uri: header("uri") }
}

fn service(authority: &AuthorizationServer, described_by: DescribedBy) -> DecisionService {
    let claims = [
        ("X-Forwarded-User".to_owned(), "sub".to_owned()),
        ("X-Forwarded-Tenant".to_owned(), "tenant".to_owned()),
    ];
    let claim_headers = ClaimHeaders::new(&claims.into()).unwrap();
    let configuration = Configuration::embedded(authority.issuer(), RESOURCE, RESOURCE).unwrap();
    let layer = configuration.source.load().unwrap().require_policy().unwrap();
    DecisionService::new(&layer, described_by, claim_headers)
}

fn described(method: &str, uri: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("x-original-method", method.parse().unwrap());
    headers.insert("x-original-uri", uri.parse().unwrap());
    headers
}

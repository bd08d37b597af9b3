//! Proves that credentials in request trailers do not reach a handler, although tonic merges trailers into metadata.

use std::{convert::Infallible, future::ready};

use http::{HeaderName, HeaderValue};
use tower::{Layer as _, Service as _, ServiceBuilder, ServiceExt as _};

use super::*;

const NAMES: [&str; 3] = ["authorization", "dpop", "proxy-authorization"];

/// Shows what tonic does with trailers, so that the other tests in this file cannot pass without our layer.
#[tokio::test]
async fn trailers_replace_metadata_without_a_grpc_layer() {
    let (bare, bare_probe) = start_with_probe(|_, probe| Routes::new(JobsServer::new(probe))).await;
    let (kit, probe) = start_with_probe(|kit, probe| {
        Routes::new(kit.resource_server().require_scopes(READ).named_layer(JobsServer::new(probe)))
    })
    .await;

    call(&bare, HeaderMap::new()).await;
    call(&kit, bearer(&kit.mint(kit.reading()))).await;

    for probe in [bare_probe, probe] {
        let metadata = &probe.0.lock().unwrap()[0].metadata;
        for name in NAMES {
            let values: Vec<_> = metadata.get_all(name).iter().collect();
            assert_eq!(values, ["Bearer from-the-trailers"], "{name}");
        }
        assert_eq!(metadata["x-other"], "kept");
    }
}

#[tokio::test]
async fn a57_rgrpc_12_trailers_do_not_restore_removed_credentials() {
    let (kit, probe) = start_with_probe(|kit, probe| {
        Routes::new(kit.resource_server().require_scopes(READ).grpc().named_layer(JobsServer::new(probe)))
    })
    .await;
    let token = kit.mint(kit.reading());

    call(&kit, bearer(&token)).await; // validated
    call(&kit, bearer(&token)).await; // cached

    let seen = probe.0.lock().unwrap();
    assert_eq!(seen.len(), 2);
    for call in &*seen {
        assert_no_credentials(&call.metadata);
        assert_eq!(call.subject.as_deref(), Some("alice"));
    }
}

#[tokio::test]
async fn a57_rgrpc_12_trailers_do_not_replace_the_forwarded_token() {
    let (kit, probe) = start_with_probe(|kit, probe| {
        let validator = JwtValidator::builder(kit.issuer(), &*kit.resource).build().unwrap();
        let resource_server =
            ResourceServer::builder(validator).dangerously_forward_credential().build().unwrap();
        Routes::new(resource_server.require_scopes(READ).grpc().named_layer(JobsServer::new(probe)))
    })
    .await;
    let headers = bearer(&kit.mint(kit.reading()));

    call(&kit, headers.clone()).await;

    let metadata = &probe.0.lock().unwrap()[0].metadata;
    let forwarded: Vec<_> = metadata.get_all("authorization").iter().collect();
    assert_eq!(forwarded, [&headers["authorization"]]);
    assert_eq!(metadata["x-other"], "kept");
}

#[tokio::test]
async fn a57_trailers_do_not_add_credentials_to_an_anonymous_call() {
    let (kit, probe) = start_with_probe(|kit, probe| {
        Routes::new(kit.resource_server().allow_anonymous().grpc().named_layer(JobsServer::new(probe)))
    })
    .await;

    call(&kit, HeaderMap::new()).await;

    let seen = probe.0.lock().unwrap();
    assert_no_credentials(&seen[0].metadata);
    assert_eq!(seen[0].subject, None);
}

#[tokio::test]
async fn a57_trailers_do_not_restore_credentials_inside_nested_layers() {
    let prepared = Kit::prepare().await;
    let probe = Probe::default();
    let resource_server = prepared.resource_server();
    let jobs = JobsServer::new(probe.clone());
    let routes = Routes::new(resource_server.require_scopes(READ).grpc().named_layer(jobs));
    let layer = resource_server.require_token().grpc();
    let kit = prepared
        .run(|incoming| Server::builder().layer(layer).add_routes(routes).serve_with_incoming(incoming))
        .await;

    call(&kit, bearer(&kit.mint(kit.reading()))).await;

    assert_no_credentials(&probe.0.lock().unwrap()[0].metadata);
}

#[tokio::test]
async fn a57_trailers_do_not_restore_credentials_in_an_axum_router() {
    let (prepared, probe) = (Kit::prepare().await, Probe::default());
    let layer = prepared.resource_server().require_scopes(READ).grpc();
    let router = Routes::new(JobsServer::new(probe.clone())).into_axum_router().layer(layer);

    router.oneshot(request(&prepared).map(axum::body::Body::new)).await.unwrap();

    assert_no_credentials(&probe.0.lock().unwrap()[0].metadata);
}

#[tokio::test]
async fn a57_trailers_do_not_restore_credentials_with_a_custom_body_type() {
    let (prepared, probe) = (Kit::prepare().await, Probe::default());
    let layer = prepared.resource_server().require_scopes(READ).grpc();
    let service = layer.layer(Routes::new(JobsServer::new(probe.clone())).prepare());

    service.oneshot(request(&prepared)).await.unwrap();

    assert_no_credentials(&probe.0.lock().unwrap()[0].metadata);
}

#[tokio::test]
async fn body_can_be_converted_for_a_service_with_a_fixed_body_type() {
    let (prepared, probe) = (Kit::prepare().await, Probe::default());
    let mut jobs = JobsServer::new(probe.clone());
    let service = ServiceBuilder::new()
        .layer(prepared.resource_server().require_scopes(READ).grpc())
        .map_request(|request: http::Request<_>| request.map(tonic::body::Body::new))
        .service_fn(move |request: http::Request<tonic::body::Body>| jobs.call(request));

    service.oneshot(request(&prepared)).await.unwrap();

    assert_no_credentials(&probe.0.lock().unwrap()[0].metadata);
}

/// Starts a server whose handler records each call.
async fn start_with_probe(routes: impl FnOnce(&Prepared, Probe) -> Routes) -> (Kit, Probe) {
    let probe = Probe::default();
    let kit = Kit::serving(|prepared| routes(prepared, probe.clone())).await;
    (kit, probe)
}

fn assert_no_credentials(metadata: &HeaderMap) {
    for name in NAMES {
        assert!(!metadata.contains_key(name), "{name}: {metadata:?}");
    }
    assert_eq!(metadata["x-other"], "kept");
}

/// Calls `List` without tonic's client, and with credentials in the trailers.
async fn call(kit: &Kit, headers: HeaderMap) {
    let stream = TcpStream::connect(kit.address).await.unwrap();
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);

    let response = sender.send_request(list(&kit.resource, headers)).await.unwrap();

    let body = response.into_body().collect().await.unwrap();
    assert_eq!(body.trailers().expect("a status in the trailers")["grpc-status"], "0");
}

/// Returns a call with a valid token and with credentials in the trailers.
fn request(
    prepared: &Prepared,
) -> http::Request<impl http_body::Body<Data = Bytes, Error = Infallible> + Send + use<>> {
    let resource = &prepared.resource;
    let token = prepared.authority.mint(Minting { resource, scope: "mcp:read", ..Minting::default() });
    list(resource, bearer(&token))
}

fn list(
    resource: &str,
    headers: HeaderMap,
) -> http::Request<impl http_body::Body<Data = Bytes, Error = Infallible> + Send + Unpin + use<>> {
    let trailers = HeaderMap::from_iter(
        NAMES
            .map(|name| (HeaderName::from_static(name), HeaderValue::from_static("Bearer from-the-trailers")))
            .into_iter()
            .chain([(HeaderName::from_static("x-other"), HeaderValue::from_static("kept"))]),
    );
    let message = Full::new(Bytes::from_static(EMPTY_MESSAGE));
    let mut request = http::Request::post(format!("{resource}/jenkins.v1.Jobs/List"))
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers")
        .body(message.with_trailers(ready(Some(Ok(trailers)))))
        .unwrap();
    request.headers_mut().extend(headers);
    request
}

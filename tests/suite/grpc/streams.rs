//! Proves over sockets, with the clock of the system, that tonic's client sees the end of a stream whose token expires.

use std::convert::Infallible;

use axum::body::Body as AxumBody;
use http::uri::PathAndQuery;
use tonic::codegen::tokio_stream::{self, StreamExt as _};
use tonic_prost::ProstCodec;
use tower::{Layer as _, service_fn};
use tower_bearer::GrpcRequestBody;

use super::*;
use crate::support::soon;

#[tokio::test]
async fn a51_rgrpc_06_client_of_an_idle_stream_gets_16_when_the_token_expires() {
    let kit = Kit::serving(|kit| {
        let validator =
            JwtValidator::builder(kit.issuer(), &*kit.resource).clock_skew(Duration::ZERO).build();
        let layer = ResourceServer::builder(validator).build().unwrap().require_scopes(READ).grpc();
        let service = service_fn(|request: http::Request<GrpcRequestBody<AxumBody>>| async move {
            if request.uri().path().ends_with("Upload") {
                request.into_body().collect().await.unwrap();
            }
            let first = tokio_stream::once(Ok::<_, Infallible>(Bytes::from_static(EMPTY_MESSAGE)));
            let body = AxumBody::from_stream(first.chain(tokio_stream::pending()));
            let response = http::Response::builder().header("content-type", "application/grpc");
            Ok::<_, Infallible>(response.body(body).unwrap())
        });
        Routes::from(Router::new().route_service("/jenkins.v1.Watch/{method}", layer.layer(service)))
    })
    .await;
    let channel = Endpoint::from_shared(kit.resource.clone()).unwrap().connect().await.unwrap();
    let mut grpc = tonic::client::Grpc::new(channel);
    let codec = ProstCodec::<ListRequest, JobList>::default;
    let token = kit.mint(Minting { lifetime: Duration::from_secs(2), ..kit.reading() });

    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static("/jenkins.v1.Watch/Idle");
    let answer = grpc.server_streaming(with_token(ListRequest {}, &token), path, codec()).await;
    let mut messages = answer.unwrap().into_inner();
    let first = soon(messages.message()).await.unwrap();
    let server_stream = soon(messages.message()).await.unwrap_err();

    let token = kit.mint(Minting { lifetime: Duration::from_secs(2), ..kit.reading() });
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static("/jenkins.v1.Watch/Upload");
    let upload = with_token(tokio_stream::pending::<ListRequest>(), &token);
    let client_stream = soon(grpc.client_streaming(upload, path, codec())).await.unwrap_err();

    assert_eq!(first, Some(JobList::default()));
    for status in [server_stream, client_stream] {
        assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
        assert!(challenge_of(&status).contains("error=\"invalid_token\""), "{status:?}");
    }
}

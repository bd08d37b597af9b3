//! Proves that gRPC statuses have a `google.rpc.ErrorInfo`, read by tonic's client and decoded by `tonic-types`.

use std::collections::HashMap;

use tonic_types::{ErrorInfo, StatusExt as _};
use tower_bearer::{Authorizer, RequestHead, ValidationError};

use super::*;

fn info_of(status: &Status) -> ErrorInfo {
    let details = status.check_error_details_vec().expect("details that can be decoded");
    assert_eq!(details.len(), 1);
    status.get_details_error_info().expect("an ErrorInfo")
}

fn metadata<const N: usize>(pairs: [(&str, &str); N]) -> HashMap<String, String> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

#[tokio::test]
async fn rgrpc_04_layer_refusals_have_reason_domain_and_scopes() {
    let kit = Kit::start().await;
    let reading = kit.mint(kit.reading());
    let opaque = kit.mint(kit.opaque());

    let missing = kit.client.list(Request::new(ListRequest {})).await.unwrap_err();
    let expired = kit.client.list(with_token(ListRequest {}, &kit.expired())).await.unwrap_err();
    let malformed = kit.client.list(with_token(ListRequest {}, "two words")).await.unwrap_err();
    let underscoped = kit.client.start(with_token(app(), &reading)).await.unwrap_err();
    kit.authority.stop().await;
    let unavailable = kit.client.list(with_token(ListRequest {}, &opaque)).await.unwrap_err();

    for (status, code, reason, expected) in [
        (missing, Code::Unauthenticated, "TOKEN_REQUIRED", metadata([("scope", "mcp:read")])),
        (expired, Code::Unauthenticated, "INVALID_TOKEN", metadata([("scope", "mcp:read")])),
        (malformed, Code::Unauthenticated, "INVALID_REQUEST", metadata([("scope", "mcp:read")])),
        (underscoped, Code::PermissionDenied, "INSUFFICIENT_SCOPE", metadata([("scope", "mcp:write")])),
        (unavailable, Code::Unavailable, "UNAVAILABLE", metadata([])),
    ] {
        let info = info_of(&status);

        assert_eq!((status.code(), &*info.reason, &*info.domain), (code, reason, "jenkins"));
        assert_eq!(info.metadata, expected, "{reason}");
    }
}

#[tokio::test]
async fn rgrpc_04_refusals_of_handlers_have_the_same_details() {
    let kit = Kit::serving(|kit| {
        let jobs = JobsServer::new(RequiresWrite);
        Routes::new(kit.resource_server().require_scopes(READ).grpc().named_layer(jobs))
    })
    .await;

    let status = kit.client.list(with_token(ListRequest {}, &kit.mint(kit.reading()))).await.unwrap_err();

    let info = info_of(&status);
    assert_eq!(info.reason, "INSUFFICIENT_SCOPE");
    assert_eq!(info.domain, "jenkins");
    assert_eq!(info.metadata, metadata([("scope", "mcp:read mcp:write")]));
}

#[tokio::test]
async fn rgrpc_04_details_name_the_resource_the_metadata_and_the_step_up() {
    let kit = Kit::serving(|kit| {
        let validator = JwtValidator::builder(kit.issuer(), &*kit.resource).build().unwrap();
        let metadata = ProtectedResourceMetadata::new(&kit.resource).allow_http_on_loopback();
        let server = ResourceServer::builder(validator).resource_metadata(metadata).build().unwrap();
        let requirement =
            Requirement::scopes(READ).acr_values(["gold", "silver"]).max_age(Duration::from_secs(300));
        Routes::new(server.require_by(requirement).grpc().named_layer(JobsServer::new(Jenkins)))
    })
    .await;

    let status = kit.client.list(with_token(ListRequest {}, &kit.mint(kit.reading()))).await.unwrap_err();

    let info = info_of(&status);
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(info.reason, "INSUFFICIENT_USER_AUTHENTICATION");
    assert_eq!(info.domain, kit.resource);
    let url = format!("{}/.well-known/oauth-protected-resource", kit.resource);
    let expected = [
        ("scope", "mcp:read"),
        ("acr_values", "gold silver"),
        ("max_age", "300"),
        ("resource_metadata", &*url),
    ];
    assert_eq!(info.metadata, metadata(expected));
}

#[tokio::test]
async fn rgrpc_10_details_leave_out_a_scope_list_that_is_too_long() {
    let kit = Kit::serving(|kit| {
        let scopes = (0..150).map(|index| Scope::new(&format!("scope-of-some-length:{index}")).unwrap());
        let all = ScopeRequirement::all_of(scopes).unwrap();
        Routes::new(kit.resource_server().require_scopes(all).grpc().named_layer(JobsServer::new(Jenkins)))
    })
    .await;

    let status = kit.client.list(Request::new(ListRequest {})).await.unwrap_err();
    let response = kit.call_raw("application/grpc", HeaderMap::new()).await;

    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(challenge_of(&status).contains("scope-of-some-length:149"));
    assert_eq!(info_of(&status).reason, "TOKEN_REQUIRED");
    assert_eq!(info_of(&status).metadata, metadata([]));
    let headers = response.headers();
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
    assert!(size < 8 * 1024, "{size}");
}

#[tokio::test]
async fn rgrpc_05_one_service_with_several_methods() {
    let kit = Kit::prepare().await;
    let methods = GrpcMethods::builder()
        .method("/jenkins.v1.Jobs/List", READ)
        .service("jenkins.v1.Builds", WRITE)
        .build()
        .unwrap();
    let routes = Routes::new(JobsServer::new(Jenkins)).add_service(BuildsServer::new(Jenkins));
    let layer = kit.resource_server().require_grpc(methods);
    let kit = kit
        .run(|incoming| Server::builder().layer(layer).add_routes(routes).serve_with_incoming(incoming))
        .await;
    let reading = kit.mint(kit.reading());

    let list = kit.client.list(with_token(ListRequest {}, &reading)).await;
    let without = kit.client.start(Request::new(app())).await.unwrap_err();
    let underscoped = kit.client.start(with_token(app(), &reading)).await.unwrap_err();

    assert!(list.is_ok(), "{list:?}");
    assert_eq!(challenge_of(&without), r#"Bearer realm="jenkins", scope="mcp:write""#);
    assert_eq!(info_of(&underscoped).metadata, metadata([("scope", "mcp:write")]));
}

#[tokio::test]
async fn rgrpc_05_layer_of_require_grpc_advertises_scopes_and_calls_its_authorizer() {
    struct Nobody;

    impl Authorizer for Nobody {
        async fn authorize(&self, _: &ValidatedToken, _: &RequestHead<'_>) -> Result<(), ValidationError> {
            Err(ValidationError::denied("test"))
        }
    }

    let kit = Kit::serving(|kit| {
        let methods = GrpcMethods::builder().method("/jenkins.v1.Jobs/List", READ).build().unwrap();
        let layer = kit.resource_server().require_grpc(methods).advertise([WRITE]).authorizer(Nobody);
        Routes::new(layer.named_layer(JobsServer::new(Jenkins)))
    })
    .await;

    let without = kit.client.list(Request::new(ListRequest {})).await.unwrap_err();
    let denied = kit.client.list(with_token(ListRequest {}, &kit.mint(kit.reading()))).await.unwrap_err();

    assert_eq!(without.code(), Code::Unauthenticated);
    assert_eq!(challenge_of(&without), r#"Bearer realm="jenkins", scope="mcp:read mcp:write""#);
    assert_eq!((denied.code(), &*info_of(&denied).reason), (Code::PermissionDenied, "FORBIDDEN"));
}

//! rmcp's own client.

use std::error::Error;

use rmcp::{
    RoleClient, ServiceExt as _,
    model::CallToolRequestParams,
    service::ClientInitializeError,
    service::{RunningService, ServiceError},
    transport::{
        DynamicTransportError, StreamableHttpClientTransport,
        auth::{AuthClient, AuthorizationRequest, OAuthState},
        streamable_http_client::{
            AuthRequiredError, InsufficientScopeError, StreamableHttpClientTransportConfig,
            StreamableHttpError,
        },
    },
};
use serde_json::{Value, json};
use url::Url;

use super::{assert_walked, requested_scope, server::Server};
use crate::support::{http_client, parameter};

const REDIRECT_URI: &str = "http://127.0.0.1:9/callback"; // nothing is opened there

type Client = RunningService<RoleClient, ()>;

fn config(server: &Server) -> StreamableHttpClientTransportConfig {
    StreamableHttpClientTransportConfig::with_uri(server.resource.as_str())
}

/// Connects without a token, and returns the challenge.
async fn challenge(server: &Server) -> String {
    let transport = StreamableHttpClientTransport::with_client(http_client(), config(server));
    let error = ().serve(transport).await.expect_err("a token is required");
    let ClientInitializeError::TransportError { error, .. } = error else { panic!("{error:?}") };
    match http_error(&error) {
        StreamableHttpError::AuthRequired(AuthRequiredError { www_authenticate_header, .. }) => {
            www_authenticate_header.clone()
        }
        error => panic!("{error:?}"),
    }
}

fn http_error(error: &DynamicTransportError) -> &StreamableHttpError<reqwest::Error> {
    error.error.downcast_ref().expect("the transport uses reqwest")
}

async fn call(client: &Client, name: &'static str, arguments: Value) -> Result<Value, ServiceError> {
    let Value::Object(arguments) = arguments else { unreachable!("arguments are an object") };
    let request = CallToolRequestParams::new(name).with_arguments(arguments);
    Ok(client.call_tool(request).await?.structured_content.unwrap())
}

/// Returns the scopes that a refusal names.
fn missing_scope(error: &ServiceError) -> String {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let http = error.downcast_ref::<DynamicTransportError>().map(http_error);
        if let Some(StreamableHttpError::InsufficientScope(InsufficientScopeError {
            required_scope, ..
        })) = http
        {
            return required_scope.clone().expect("the challenge names a scope");
        }
        cause = error.source();
    }
    panic!("no insufficient_scope: {error:?}");
}

#[tokio::test]
async fn rmcp_walks_from_no_token_to_a_step_up() {
    let server = Server::start(&[]).await;
    let mut oauth = OAuthState::new(&server.resource, Some(http_client())).await.unwrap();

    // By default it asks for all scopes in the metadata, and never needs a step-up.
    let request =
        AuthorizationRequest::new(REDIRECT_URI).with_client_name("walk").with_initial_scope_selection();
    oauth.start_authorization(request.with_challenge(challenge(&server).await)).await.unwrap();
    let url = oauth.get_authorization_url().await.unwrap();
    let first = requested_scope(&url, &server);
    oauth.handle_callback_url(&server.authorize(&url).await).await.unwrap();

    let http = AuthClient::new(http_client(), oauth.into_authorization_manager().unwrap());
    let transport = StreamableHttpClientTransport::with_client(http.clone(), config(&server));
    let client = ().serve(transport).await.unwrap();
    let mut tools: Vec<_> =
        client.list_all_tools().await.unwrap().into_iter().map(|tool| tool.name).collect();
    tools.sort();
    let list_jobs = call(&client, "list_jobs", json!({})).await.unwrap();

    let refused = call(&client, "trigger_build", json!({"job": "app"})).await.unwrap_err();
    let manager = http.auth_manager.lock().await;
    let url = manager.request_scope_upgrade(&missing_scope(&refused)).await.unwrap();
    let second = requested_scope(&url, &server);
    let callback = Url::parse(&server.authorize(&url).await).unwrap();
    let [code, state, issuer] = ["code", "state", "iss"].map(|name| parameter(&callback, name));
    manager.exchange_code_for_token_with_issuer(&code, &state, Some(&issuer)).await.unwrap();
    drop(manager);
    let trigger_build = call(&client, "trigger_build", json!({"job": "app"})).await.unwrap();

    let result = json!({"tools": tools, "list_jobs": list_jobs, "trigger_build": trigger_build});
    assert_walked(&server, &[first, second], &result);
}

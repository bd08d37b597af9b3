//! PyPI's django-oauth-toolkit as authorization server.

use tower_bearer::ResourceServerCredential;

use crate::support::{Api, Browser, Paths, ThirdParty, Tools, text};

async fn start(tools: &Tools) -> ThirdParty {
    let paths = Paths { authorization: "/o/authorize/", token: "/o/token/", revocation: "/o/revoke_token/" };
    ThirdParty::start(tools, "django_oauth_toolkit.py", paths).await
}

fn basic() -> ResourceServerCredential {
    ResourceServerCredential::secret_basic("orders-api", "orders-api-secret")
}

#[tokio::test]
async fn opaque_tokens_are_accepted_for_their_resource_and_scope_and_refused_after_revocation() {
    let Some(tools) = Tools::find() else { return };
    let server = start(&tools).await;
    let api = Api::bind().await;
    let resource = api.resource("orders");
    let other = api.resource("other");
    let api = api.with("orders", server.introspection_validator(basic(), resource.clone())).serve();

    let token = server.token(&[("resource", &resource), ("scope", "orders:read")]).await;
    let another = server.token(&[("resource", &resource), ("scope", "orders:read orders:write")]).await;
    api.read("orders", &token).await.assert_orders_of("a service");
    api.write("orders", &token).await.assert_insufficient_scope("orders:write");
    api.write("orders", &another).await.assert_orders_of("a service");
    api.read("orders", "never-issued").await.assert_invalid_token();

    // A token for another resource, and one for no particular resource, whose introspection response has no `aud`.
    api.read("orders", &server.token(&[("resource", &other)]).await).await.assert_invalid_token();
    api.read("orders", &server.token(&[]).await).await.assert_invalid_token();

    server.revoke(&token).await;

    api.read("orders", &token).await.assert_invalid_token();
    api.read("orders", &another).await.assert_orders_of("a service");
}

#[tokio::test]
async fn introspection_credential_can_be_a_bearer_token_and_a_wrong_one_is_a_server_error() {
    let Some(tools) = Tools::find() else { return };
    let server = start(&tools).await;
    let credential = server.token(&[("scope", "introspection")]).await;
    let wrong = server.token(&[("scope", "orders:read")]).await;
    let api = Api::bind().await;
    let (right, broken) = (api.resource("right"), api.resource("broken"));
    let api = api
        .with(
            "right",
            server.introspection_validator(ResourceServerCredential::bearer(credential), right.clone()),
        )
        .with(
            "broken",
            server.introspection_validator(ResourceServerCredential::bearer(wrong), broken.clone()),
        )
        .serve();

    api.read("right", &server.token(&[("resource", &right)]).await).await.assert_orders_of("a service");

    let answer = api.read("broken", &server.token(&[("resource", &broken)]).await).await;
    assert!(answer.status.is_server_error() && answer.challenge.is_none(), "{answer:?}");
}

#[tokio::test]
async fn code_flow_gives_a_token_that_is_accepted_until_it_is_refreshed() {
    let Some(tools) = Tools::find() else { return };
    let server = start(&tools).await;
    let api = Api::bind().await;
    let resource = api.resource("orders");
    let api = api.with("orders", server.introspection_validator(basic(), resource.clone())).serve();

    let browser = Browser::new(&[("username", "alice"), ("password", "secret"), ("allow", "Authorize")]);
    let tokens = server.sign_in(browser, &resource, &[("scope", "orders:read")]).await;
    let first = text(&tokens, "access_token");
    // This server names the user in `username` only, never in `sub`.
    api.read("orders", &first).await.assert_orders_of("a service");
    api.write("orders", &first).await.assert_insufficient_scope("orders:write");

    let second = text(&server.refresh(&tokens, &resource).await, "access_token");

    // This server revokes the old access token when it is refreshed.
    api.read("orders", &first).await.assert_invalid_token();
    api.read("orders", &second).await.assert_orders_of("a service");
}

//! RFC 6750: bearer tokens, with RFC 9110 sections 5.3 and 11.

use tower_bearer::testing::TestAuthorizationServer;

use crate::support::{App, ISSUER, READ, RESOURCE};

fn app() -> (TestAuthorizationServer, App) {
    let authority = TestAuthorizationServer::new(ISSUER);
    let app = App::new(authority.resource_server(RESOURCE).require(READ));
    (authority, app)
}

#[tokio::test]
async fn r6750_01_a_bearer_token_in_the_authorization_header_passes() {
    let (authority, app) = app();

    let answer = app.present(&authority.token().scope("orders:read").sign()).await;

    answer.assert_pass();
    assert_eq!(app.last_seen().token.unwrap().subject(), Some("alice"));
}

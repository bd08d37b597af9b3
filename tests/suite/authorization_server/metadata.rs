use super::*;

#[tokio::test]
async fn metadata_names_endpoints_and_supported_values() {
    let kit = Kit::start().await;

    let document = kit.get_json("/.well-known/oauth-authorization-server").await;

    let issuer = kit.server.issuer();
    assert_eq!(document["issuer"], issuer);
    for (member, path) in [
        ("authorization_endpoint", "/authorize"),
        ("token_endpoint", "/token"),
        ("registration_endpoint", "/register"),
        ("jwks_uri", "/jwks"),
        ("introspection_endpoint", "/introspect"),
        ("revocation_endpoint", "/revoke"),
    ] {
        assert_eq!(document[member], format!("{issuer}{path}"), "{member}");
    }
    assert_eq!(document["scopes_supported"], json!(["mcp:read", "mcp:write", "orders:read"]));
    assert_eq!(document["response_types_supported"], json!(["code"]));
    assert_eq!(document["grant_types_supported"], json!(["authorization_code", "refresh_token"]));
    assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(document["token_endpoint_auth_methods_supported"], json!(["none"]));
    assert_eq!(document["acr_values_supported"], json!([ACR_PASSWORD, ACR_PASSWORD_AND_CODE]));
    assert_eq!(document["authorization_response_iss_parameter_supported"], true);
    assert_eq!(document["protected_resources"], json!([MCP, ORDERS]));
}

//! Proves that the embedded authorization server of the examples follows its standards, over loopback.

#![allow(clippy::disallowed_methods, reason = "jsonwebtoken verifies the tokens of the embedded server")]

#[path = "../../examples/authorization_server/mod.rs"]
mod example;

use std::{collections::BTreeMap, time::Duration};

use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::JwkSet};
use reqwest::{Response, StatusCode, header, redirect};
use serde_json::{Value, json};
use url::Url;

use example::{AuthorizationServer, Minting, ResourceCredential, TokenFormat, USER};

mod metadata {
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
        assert_eq!(document["authorization_response_iss_parameter_supported"], true);
        assert_eq!(document["protected_resources"], json!([MCP, ORDERS]));
    }
}

mod registration {
    use super::*;

    #[tokio::test]
    async fn every_client_is_registered_as_public() {
        let kit = Kit::start().await;
        for requested in [json!("none"), json!("client_secret_basic"), json!("private_key_jwt"), Value::Null]
        {
            let mut metadata = public_client();
            metadata["token_endpoint_auth_method"] = requested;

            let answer = kit.register(&metadata).await;

            assert_eq!(answer.status, StatusCode::CREATED, "{metadata}");
            assert_eq!(answer.body["token_endpoint_auth_method"], "none", "{metadata}");
            assert!(answer.body.get("client_secret").is_none(), "{metadata}");
            assert_eq!(answer.cache_control, "no-store");
        }
    }

    #[tokio::test]
    async fn registered_metadata_is_returned() {
        let kit = Kit::start().await;

        let answer = kit.register(&json!({ "redirect_uris": [REDIRECT_URI] })).await;

        assert_eq!(answer.body["redirect_uris"], json!([REDIRECT_URI]));
        assert_eq!(answer.body["grant_types"], json!(["authorization_code"]));
        assert_eq!(answer.body["response_types"], json!(["code"]));
    }

    #[tokio::test]
    async fn unusable_metadata_is_refused() {
        let kit = Kit::start().await;
        for (member, value, error) in [
            ("redirect_uris", json!([]), "invalid_redirect_uri"),
            ("redirect_uris", json!(["/callback"]), "invalid_redirect_uri"),
            ("redirect_uris", json!(["https://client.example/#fragment"]), "invalid_redirect_uri"),
            ("redirect_uris", json!(["http://client.example/"]), "invalid_redirect_uri"),
            ("redirect_uris", json!(["javascript:alert(1)"]), "invalid_redirect_uri"),
            ("redirect_uris", json!("https://client.example/"), "invalid_client_metadata"),
            ("grant_types", json!(["password"]), "invalid_client_metadata"),
            ("grant_types", json!(["client_credentials"]), "invalid_client_metadata"),
            ("grant_types", json!(["refresh_token"]), "invalid_client_metadata"),
        ] {
            let mut metadata = public_client();
            metadata[member] = value;

            let answer = kit.register(&metadata).await;

            assert_eq!((answer.status, answer.error()), (StatusCode::BAD_REQUEST, error), "{metadata}");
        }
    }
}

mod authorization_endpoint {
    use super::*;

    #[tokio::test]
    async fn response_has_code_state_and_issuer() {
        let kit = Kit::start().await;
        let client_id = kit.public_client().await;

        let response = kit.authorize(&authorization_request(&client_id)).await;

        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        let (target, query) = redirect_target(&response);
        assert_eq!(target, REDIRECT_URI);
        assert_eq!(query["state"], "a state & more");
        assert_eq!(query["iss"], kit.server.issuer());
        assert!(query["code"].len() >= 43);
    }

    #[tokio::test]
    async fn error_is_redirected_with_state_and_issuer() {
        let kit = Kit::start().await;
        let client_id = kit.public_client().await;
        for (name, value, error) in [
            ("code_challenge", "", "invalid_request"),
            ("code_challenge", "too-short", "invalid_request"),
            ("code_challenge_method", "", "invalid_request"),
            ("code_challenge_method", "plain", "invalid_request"),
            ("response_type", "", "invalid_request"),
            ("response_type", "token", "unsupported_response_type"),
            ("scope", "mcp:read orders:read", "invalid_scope"),
            ("resource", "", "invalid_target"),
            ("resource", "http://127.0.0.1:4000/mcp/", "invalid_target"),
        ] {
            let request = replace(&authorization_request(&client_id), name, value);

            let response = kit.authorize(&request).await;

            let (target, query) = redirect_target(&response);
            assert_eq!(target, REDIRECT_URI, "{name}={value}");
            assert_eq!(query["error"], error, "{name}={value}");
            assert_eq!(query["state"], "a state & more", "{name}={value}");
            assert_eq!(query["iss"], kit.server.issuer(), "{name}={value}");
            assert!(!query.contains_key("code"), "{name}={value}");
        }
    }

    #[tokio::test]
    async fn repeated_parameter_is_refused() {
        let kit = Kit::start().await;
        let client_id = kit.public_client().await;
        let mut request = authorization_request(&client_id);
        request.push(("state", "another state"));

        let response = kit.authorize(&request).await;

        let (_, query) = redirect_target(&response);
        assert_eq!(query["error"], "invalid_request");
        assert!(!query.contains_key("state"));
    }

    #[tokio::test]
    async fn unregistered_redirect_uri_gets_no_redirect() {
        let kit = Kit::start().await;
        let client_id = kit.public_client().await;
        for (name, value) in [
            ("redirect_uri", "https://attacker.example/callback"),
            ("redirect_uri", "http://127.0.0.1:7777/callback/"),
            ("redirect_uri", "http://127.0.0.1:7777/callback?more=1"),
            ("redirect_uri", "http://127.0.0.1:7778/callback"),
            ("redirect_uri", "HTTP://127.0.0.1:7777/callback"),
            ("redirect_uri", ""),
            ("client_id", "nobody"),
            ("client_id", ""),
        ] {
            let request = replace(&authorization_request(&client_id), name, value);

            let response = kit.authorize(&request).await;

            assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{name}={value}");
            assert!(!response.headers().contains_key(header::LOCATION), "{name}={value}");
        }
    }

    #[tokio::test]
    async fn repeated_redirect_uri_gets_no_redirect() {
        let kit = Kit::start().await;
        let client_id = kit.public_client().await;
        let mut request = authorization_request(&client_id);
        request.push(("redirect_uri", REDIRECT_URI));

        let response = kit.authorize(&request).await;

        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    }

    #[tokio::test]
    async fn query_of_the_redirect_uri_is_kept() {
        let kit = Kit::start().await;
        let mut metadata = public_client();
        metadata["redirect_uris"] = json!(["http://127.0.0.1:7777/callback?tenant=a"]);
        let client_id = kit.register(&metadata).await.text("client_id").to_owned();
        let request = replace(
            &authorization_request(&client_id),
            "redirect_uri",
            "http://127.0.0.1:7777/callback?tenant=a",
        );

        let response = kit.authorize(&request).await;

        let (_, query) = redirect_target(&response);
        assert_eq!(query["tenant"], "a");
        assert!(query.contains_key("code"));
    }
}

mod code {
    use super::*;

    #[tokio::test]
    async fn code_with_its_verifier_is_exchanged_for_a_signed_token() {
        let kit = Kit::start().await;
        let client_id = kit.public_client().await;
        let code = kit.code(&client_id).await;

        let answer = kit.post("/token", &redemption(&client_id, &code)).await;

        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.cache_control, "no-store");
        assert_eq!(answer.body["token_type"], "Bearer");
        assert_eq!(answer.body["expires_in"], 3_600);
        assert_eq!(answer.body["scope"], "mcp:read");
        let (token_type, claims) = kit.verify(answer.text("access_token")).await.unwrap();
        assert_eq!(token_type.as_deref(), Some("at+jwt"));
        assert_eq!(claims["iss"], kit.server.issuer());
        assert_eq!(claims["sub"], USER);
        assert_eq!(claims["aud"], MCP);
        assert_eq!(claims["scope"], "mcp:read");
        assert_eq!(claims["client_id"], client_id);
        assert_eq!(claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap(), 3_600);
        assert!(claims["jti"].is_string());
    }

    #[tokio::test]
    async fn request_without_scope_gets_all_scopes_of_the_resource() {
        let kit = Kit::start().await;
        let client_id = kit.public_client().await;
        let request = replace(&authorization_request(&client_id), "scope", "");
        let code = redirect_target(&kit.authorize(&request).await).1["code"].clone();

        let answer = kit.post("/token", &redemption(&client_id, &code)).await;

        assert_eq!(answer.body["scope"], "mcp:read mcp:write");
    }

    #[tokio::test]
    async fn redemption_that_differs_from_the_request_is_refused() {
        let kit = Kit::start().await;
        let client_id = kit.public_client().await;
        let another_client = kit.public_client().await;
        let another_verifier = VERIFIER.replace('d', "e");
        for (name, value, error) in [
            ("code_verifier", another_verifier.as_str(), "invalid_grant"),
            ("code_verifier", "too-short", "invalid_grant"),
            ("code_verifier", "", "invalid_request"),
            ("redirect_uri", "http://127.0.0.1:7777/", "invalid_grant"),
            ("redirect_uri", "", "invalid_request"),
            ("resource", ORDERS, "invalid_target"),
            ("client_id", another_client.as_str(), "invalid_grant"),
            ("code", "guessed", "invalid_grant"),
            ("code", "", "invalid_request"),
        ] {
            let code = kit.code(&client_id).await;
            let form = replace(&redemption(&client_id, &code), name, value);

            let answer = kit.post("/token", &form).await;

            assert_eq!((answer.status, answer.error()), (StatusCode::BAD_REQUEST, error), "{name}={value}");
            assert_eq!(answer.cache_control, "no-store");
        }
    }

    #[tokio::test]
    async fn reused_code_is_refused_and_its_tokens_are_revoked() {
        let kit = Kit::start().await;
        let client_id = kit.public_client().await;
        let code = kit.code(&client_id).await;
        let tokens = kit.post("/token", &redemption(&client_id, &code)).await;
        assert!(kit.is_active(tokens.text("access_token"), &kit.mcp).await);

        let answer = kit.post("/token", &redemption(&client_id, &code)).await;

        assert_eq!((answer.status, answer.error()), (StatusCode::BAD_REQUEST, "invalid_grant"));
        assert!(!kit.is_active(tokens.text("access_token"), &kit.mcp).await);
        let refreshing = kit.refresh(&client_id, tokens.text("refresh_token"), "").await;
        assert_eq!(refreshing.error(), "invalid_grant");
    }

    #[tokio::test]
    async fn wrong_verifier_invalidates_the_code() {
        let kit = Kit::start().await;
        let client_id = kit.public_client().await;
        let code = kit.code(&client_id).await;
        let form = redemption(&client_id, &code);
        kit.post("/token", &replace(&form, "code_verifier", &VERIFIER.replace('d', "e"))).await;

        let answer = kit.post("/token", &form).await;

        assert_eq!(answer.error(), "invalid_grant");
    }

    #[tokio::test]
    async fn code_is_refused_after_a_minute() {
        let kit = Kit::start().await;
        let client_id = kit.public_client().await;
        let code = kit.code(&client_id).await;
        kit.server.advance_clock(Duration::from_secs(60));

        let answer = kit.post("/token", &redemption(&client_id, &code)).await;

        assert_eq!(answer.error(), "invalid_grant");
    }
}

mod refresh_token {
    use super::*;

    #[tokio::test]
    async fn refreshing_returns_new_tokens() {
        let kit = Kit::start().await;
        let client_id = kit.public_client().await;
        let tokens = kit.tokens(&client_id).await;

        let answer = kit.refresh(&client_id, tokens.text("refresh_token"), "").await;

        assert_eq!(answer.status, StatusCode::OK);
        assert_ne!(answer.text("access_token"), tokens.text("access_token"));
        assert_ne!(answer.text("refresh_token"), tokens.text("refresh_token"));
        assert!(kit.is_active(answer.text("access_token"), &kit.mcp).await);
    }

    #[tokio::test]
    async fn reused_refresh_token_revokes_the_whole_grant() {
        let kit = Kit::start().await;
        let client_id = kit.public_client().await;
        let tokens = kit.tokens(&client_id).await;
        let refreshed = kit.refresh(&client_id, tokens.text("refresh_token"), "").await;

        let answer = kit.refresh(&client_id, tokens.text("refresh_token"), "").await;

        assert_eq!((answer.status, answer.error()), (StatusCode::BAD_REQUEST, "invalid_grant"));
        assert!(!kit.is_active(refreshed.text("access_token"), &kit.mcp).await);
        let successor = kit.refresh(&client_id, refreshed.text("refresh_token"), "").await;
        assert_eq!(successor.error(), "invalid_grant");
    }

    #[tokio::test]
    async fn scope_can_be_narrowed_for_one_token() {
        let kit = Kit::start().await;
        let client_id = kit.public_client().await;
        let tokens = kit.tokens_with_scope(&client_id, "mcp:read mcp:write").await;

        let narrowed = kit.refresh(&client_id, tokens.text("refresh_token"), "mcp:read").await;
        let full = kit.refresh(&client_id, narrowed.text("refresh_token"), "").await;

        assert_eq!(narrowed.body["scope"], "mcp:read");
        assert_eq!(full.body["scope"], "mcp:read mcp:write");
    }

    #[tokio::test]
    async fn refresh_with_more_scope_is_refused_and_the_refresh_token_stays_valid() {
        let kit = Kit::start().await;
        let client_id = kit.public_client().await;
        let tokens = kit.tokens(&client_id).await;

        let answer = kit.refresh(&client_id, tokens.text("refresh_token"), "mcp:read mcp:write").await;

        assert_eq!((answer.status, answer.error()), (StatusCode::BAD_REQUEST, "invalid_scope"));
        let retry = kit.refresh(&client_id, tokens.text("refresh_token"), "mcp:read").await;
        assert_eq!(retry.status, StatusCode::OK);
    }

    #[tokio::test]
    async fn refresh_token_of_another_client_is_refused() {
        let kit = Kit::start().await;
        let client_id = kit.public_client().await;
        let another_client = kit.public_client().await;
        let tokens = kit.tokens(&client_id).await;

        let answer = kit.refresh(&another_client, tokens.text("refresh_token"), "").await;

        assert_eq!(answer.error(), "invalid_grant");
    }

    #[tokio::test]
    async fn refresh_token_is_refused_after_a_day() {
        let kit = Kit::start().await;
        let client_id = kit.public_client().await;
        let tokens = kit.tokens(&client_id).await;
        kit.server.advance_clock(Duration::from_secs(24 * 3_600));

        let answer = kit.refresh(&client_id, tokens.text("refresh_token"), "").await;

        assert_eq!(answer.error(), "invalid_grant");
    }

    #[tokio::test]
    async fn client_without_the_refresh_grant_type_gets_no_refresh_token() {
        let kit = Kit::start().await;
        let mut metadata = public_client();
        metadata["grant_types"] = json!(["authorization_code"]);
        let client_id = kit.register(&metadata).await.text("client_id").to_owned();

        let tokens = kit.tokens(&client_id).await;

        assert!(tokens.body.get("refresh_token").is_none());
    }
}

mod token_endpoint {
    use super::*;

    #[tokio::test]
    async fn unknown_client_is_refused() {
        let kit = Kit::start().await;
        let client_id = kit.public_client().await;
        let code = kit.code(&client_id).await;
        for client in ["nobody", ""] {
            let form = replace(&redemption(&client_id, &code), "client_id", client);

            let answer = kit.post("/token", &form).await;

            assert_eq!((answer.status, answer.error()), (StatusCode::UNAUTHORIZED, "invalid_client"));
            assert_eq!(answer.challenge, r#"Basic realm="authorization server""#);
        }
    }

    #[tokio::test]
    async fn unknown_grant_type_is_refused() {
        let kit = Kit::start().await;
        let client_id = kit.public_client().await;
        let code = kit.code(&client_id).await;
        for (grant_type, error) in [
            ("client_credentials", "unsupported_grant_type"),
            ("password", "unsupported_grant_type"),
            ("", "invalid_request"),
        ] {
            let form = replace(&redemption(&client_id, &code), "grant_type", grant_type);

            let answer = kit.post("/token", &form).await;

            assert_eq!((answer.status, answer.error()), (StatusCode::BAD_REQUEST, error), "{grant_type:?}");
        }
    }
}

mod form {
    use super::*;

    #[tokio::test]
    async fn get_is_not_allowed() {
        let kit = Kit::start().await;
        for path in ["/token", "/introspect", "/revoke", "/register"] {
            let response = kit.http.get(kit.url(path)).send().await.unwrap();

            assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
        }
    }

    #[tokio::test]
    async fn body_that_is_not_a_form_is_refused() {
        let kit = Kit::start().await;
        for path in ["/token", "/introspect", "/revoke"] {
            let request = kit.http.post(kit.url(path)).json(&json!({ "token": "a" }));
            let answer = Answer::of(request.send().await.unwrap()).await;

            assert_eq!(
                (answer.status, answer.error()),
                (StatusCode::BAD_REQUEST, "invalid_request"),
                "{path}"
            );
        }
    }

    #[tokio::test]
    async fn repeated_parameter_is_refused() {
        let kit = Kit::start().await;
        let client_id = kit.public_client().await;
        let code = kit.code(&client_id).await;
        let mut form = redemption(&client_id, &code);
        form.push(("grant_type", "authorization_code"));

        let answer = kit.post("/token", &form).await;

        assert_eq!(answer.error(), "invalid_request");
    }

    #[tokio::test]
    async fn body_longer_than_the_limit_is_refused() {
        let kit = Kit::start().await;
        let long = "a".repeat(16 * 1024);

        let answer = kit.post("/token", &[("grant_type", &long)]).await;

        assert_eq!((answer.status, answer.error()), (StatusCode::BAD_REQUEST, "invalid_request"));
    }
}

mod signing_key {
    use super::*;

    #[tokio::test]
    async fn published_key_verifies_tokens_and_has_no_private_member() {
        let kit = Kit::start().await;
        let token = kit.server.mint(Minting { resource: MCP, ..Minting::default() });

        let verdict = kit.verify(&token).await;
        let keys = kit.get_json("/jwks").await;

        assert!(verdict.is_ok(), "{verdict:?}");
        let key = keys["keys"][0].as_object().unwrap();
        assert_eq!(key["use"], "sig");
        assert!(!key.contains_key("d"));
    }
}

mod introspection {
    use super::*;

    #[tokio::test]
    async fn active_token_is_returned_with_its_claims() {
        let kit = Kit::start().await;
        let token = kit.server.mint(Minting { resource: ORDERS, scope: "orders:read", ..Minting::default() });

        let answer = kit.introspect(&token, &kit.orders).await;

        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.cache_control, "no-store");
        assert_eq!(answer.body["active"], true);
        assert_eq!(answer.body["token_type"], "Bearer");
        assert_eq!(answer.body["iss"], kit.server.issuer());
        assert_eq!(answer.body["sub"], USER);
        assert_eq!(answer.body["aud"], ORDERS);
        assert_eq!(answer.body["scope"], "orders:read");
        assert_eq!(answer.body["exp"].as_u64().unwrap() - answer.body["iat"].as_u64().unwrap(), 3_600);
    }

    #[tokio::test]
    async fn introspection_without_a_valid_resource_server_credential_is_refused() {
        let kit = Kit::start().await;
        let client_id = kit.public_client().await;
        let token = kit.server.mint(Minting { resource: ORDERS, ..Minting::default() });
        let (id, secret) = (kit.orders.id.as_str(), kit.orders.secret.expose());
        let request = || kit.http.post(kit.url("/introspect")).form(&[("token", token.as_str())]);
        for (case, request) in [
            ("no credential", request()),
            ("wrong secret", request().basic_auth(id, Some("guess"))),
            ("empty secret", request().basic_auth(id, Some(""))),
            ("secret of another resource server", request().basic_auth(&kit.mcp.id, Some(secret))),
            ("a client", request().basic_auth(&client_id, Some(""))),
            ("another scheme", request().bearer_auth(secret)),
            ("not base64", request().header(header::AUTHORIZATION, "Basic ???")),
        ] {
            let answer = Answer::of(request.send().await.unwrap()).await;

            assert_eq!(
                (answer.status, answer.error()),
                (StatusCode::UNAUTHORIZED, "invalid_client"),
                "{case}"
            );
            assert_eq!(answer.challenge, r#"Basic realm="authorization server""#, "{case}");
        }
    }

    #[tokio::test]
    async fn token_that_is_not_valid_for_the_resource_is_inactive() {
        let kit = Kit::start().await;
        let hour = Duration::from_secs(3_600);
        let mint = |minting| kit.server.mint(minting);
        let revoked = mint(Minting { resource: ORDERS, ..Minting::default() });
        kit.server.revoke(&revoked);
        for (case, token) in [
            ("for another resource", mint(Minting { resource: MCP, ..Minting::default() })),
            ("expired", mint(Minting { resource: ORDERS, lifetime: hour, age: hour, ..Minting::default() })),
            ("revoked", revoked),
            ("unknown", "guessed".to_owned()),
        ] {
            let answer = kit.introspect(&token, &kit.orders).await;

            assert_eq!((answer.status, answer.body), (StatusCode::OK, json!({ "active": false })), "{case}");
        }
    }

    #[tokio::test]
    async fn request_without_token_is_refused() {
        let kit = Kit::start().await;

        let answer = kit.introspect("", &kit.orders).await;

        assert_eq!((answer.status, answer.error()), (StatusCode::BAD_REQUEST, "invalid_request"));
    }

    #[tokio::test]
    async fn credential_is_replaced_when_the_resource_is_added_again() {
        let kit = Kit::start().await;
        let token = kit.server.mint(Minting { resource: ORDERS, ..Minting::default() });

        let credential = kit.server.add_resource(ORDERS, TokenFormat::Opaque, &["orders:read"]);

        assert_eq!(kit.introspect(&token, &kit.orders).await.status, StatusCode::UNAUTHORIZED);
        assert!(kit.is_active(&token, &credential).await);
    }
}

mod revocation {
    use super::*;

    #[tokio::test]
    async fn revoking_an_access_token_does_not_revoke_its_grant() {
        let kit = Kit::start().await;
        let client_id = kit.public_client().await;
        let tokens = kit.tokens(&client_id).await;

        let form = [("client_id", client_id.as_str()), ("token", tokens.text("access_token"))];
        let answer = kit.post("/revoke", &form).await;

        assert_eq!(answer.status, StatusCode::OK);
        assert!(!kit.is_active(tokens.text("access_token"), &kit.mcp).await);
        let refreshed = kit.refresh(&client_id, tokens.text("refresh_token"), "").await;
        assert_eq!(refreshed.status, StatusCode::OK);
    }

    #[tokio::test]
    async fn revoked_refresh_token_revokes_the_whole_grant() {
        let kit = Kit::start().await;
        let client_id = kit.public_client().await;
        let tokens = kit.tokens(&client_id).await;

        let form = [("client_id", client_id.as_str()), ("token", tokens.text("refresh_token"))];
        let answer = kit.post("/revoke", &form).await;

        assert_eq!(answer.status, StatusCode::OK);
        assert!(!kit.is_active(tokens.text("access_token"), &kit.mcp).await);
        let refreshed = kit.refresh(&client_id, tokens.text("refresh_token"), "").await;
        assert_eq!(refreshed.error(), "invalid_grant");
    }

    #[tokio::test]
    async fn token_of_another_client_is_not_revoked() {
        let kit = Kit::start().await;
        let client_id = kit.public_client().await;
        let another_client = kit.public_client().await;
        let tokens = kit.tokens(&client_id).await;
        for token in ["access_token", "refresh_token"] {
            let form = [("client_id", another_client.as_str()), ("token", tokens.text(token))];

            let answer = kit.post("/revoke", &form).await;

            assert_eq!(
                (answer.status, answer.error()),
                (StatusCode::BAD_REQUEST, "invalid_grant"),
                "{token}"
            );
            assert!(kit.is_active(tokens.text("access_token"), &kit.mcp).await, "{token}");
        }
    }

    #[tokio::test]
    async fn revoking_an_unknown_token_succeeds() {
        let kit = Kit::start().await;
        let client_id = kit.public_client().await;

        let answer = kit.post("/revoke", &[("client_id", client_id.as_str()), ("token", "guessed")]).await;

        assert_eq!(answer.status, StatusCode::OK);
    }

    #[tokio::test]
    async fn unknown_client_cannot_revoke() {
        let kit = Kit::start().await;

        let answer = kit.post("/revoke", &[("client_id", "nobody"), ("token", "guessed")]).await;

        assert_eq!((answer.status, answer.error()), (StatusCode::UNAUTHORIZED, "invalid_client"));
    }
}

mod control {
    use super::*;

    #[tokio::test]
    async fn minted_token_has_the_requested_claims() {
        let kit = Kit::start().await;

        let token = kit.server.mint(Minting {
            subject: "bob",
            resource: "https://elsewhere.example",
            scope: "anything",
            claims: BTreeMap::from([("cnf", json!({ "jkt": "a thumbprint" })), ("jti", Value::Null)]),
            ..Minting::default()
        });

        let (_, claims) = kit.verify(&token).await.unwrap();
        assert_eq!(claims["sub"], "bob");
        assert_eq!(claims["aud"], "https://elsewhere.example");
        assert_eq!(claims["scope"], "anything");
        assert_eq!(claims["cnf"]["jkt"], "a thumbprint");
        assert!(claims.get("jti").is_none());
    }

    #[tokio::test]
    async fn stopped_server_is_unreachable_and_keeps_its_state() {
        let kit = Kit::start().await;
        let token = kit.server.mint(Minting { resource: ORDERS, ..Minting::default() });
        // This leaves a connection in the client's pool, which the outage must close as well.
        assert!(kit.is_active(&token, &kit.orders).await);

        kit.server.stop().await;
        let outage = kit.http.get(kit.url("/jwks")).send().await;
        kit.server.start_again().await.unwrap();

        assert!(outage.unwrap_err().is_connect());
        assert!(kit.is_active(&token, &kit.orders).await);
    }

    #[tokio::test]
    async fn running_server_cannot_be_started_again() {
        let kit = Kit::start().await;

        assert!(kit.server.start_again().await.is_err());

        assert!(kit.get_json("/jwks").await.is_object());
    }

    #[tokio::test]
    async fn requests_are_counted_by_endpoint() {
        let kit = Kit::start().await;
        kit.introspect("guessed", &kit.orders).await;
        kit.introspect("guessed", &kit.orders).await;
        kit.get_json("/jwks").await;
        kit.http.get(kit.url("/nowhere")).send().await.unwrap();

        let counts = ["/introspect", "/jwks", "/token", "/nowhere"].map(|path| kit.server.requests(path));

        assert_eq!(counts, [2, 1, 0, 0]);
    }

    #[tokio::test]
    async fn secret_is_not_in_debug() {
        let kit = Kit::start().await;

        let shown = format!("{:?} {:?}", kit.orders, kit.server);

        assert!(shown.contains("[redacted]"));
        assert!(!shown.contains(kit.orders.secret.expose()));
    }
}

/// A resource with JWTs. No server listens on this URL.
const MCP: &str = "http://127.0.0.1:4000/mcp";
/// A resource with opaque tokens. No server listens on this URL.
const ORDERS: &str = "http://127.0.0.1:4000/orders";
/// No server listens on this URL, because redirects are not followed.
const REDIRECT_URI: &str = "http://127.0.0.1:7777/callback";
// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn public_client() -> Value {
    json!({
        "redirect_uris": [REDIRECT_URI],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        "client_name": "a member that the server ignores",
    })
}

fn authorization_request(client_id: &str) -> Vec<(&'static str, &str)> {
    vec![
        ("response_type", "code"),
        ("client_id", client_id),
        ("redirect_uri", REDIRECT_URI),
        ("scope", "mcp:read"),
        ("state", "a state & more"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("resource", MCP),
    ]
}

fn redemption<'a>(client_id: &'a str, code: &'a str) -> Vec<(&'static str, &'a str)> {
    vec![
        ("grant_type", "authorization_code"),
        ("client_id", client_id),
        ("code", code),
        ("code_verifier", VERIFIER),
        ("redirect_uri", REDIRECT_URI),
        ("resource", MCP),
    ]
}

/// Replaces one parameter of a valid request. An empty value removes it.
fn replace<'a>(
    valid: &[(&'static str, &'a str)],
    name: &str,
    value: &'a str,
) -> Vec<(&'static str, &'a str)> {
    assert!(valid.iter().any(|(known, _)| *known == name), "{name} is not a parameter of the valid request");
    let replaced = valid.iter().map(|&(known, old)| (known, if known == name { value } else { old }));
    replaced.filter(|(_, value)| !value.is_empty()).collect()
}

/// Splits the target of a redirect into the URL and its query parameters.
fn redirect_target(response: &Response) -> (String, BTreeMap<String, String>) {
    let location = response.headers()[header::LOCATION].to_str().unwrap();
    let mut target = Url::parse(location).unwrap();
    let query = target.query_pairs().into_owned().collect();
    target.set_query(None);
    (target.into(), query)
}

/// A running server with two resources, and an HTTP client that does not follow redirects.
struct Kit {
    server: AuthorizationServer,
    mcp: ResourceCredential,
    orders: ResourceCredential,
    http: reqwest::Client,
}

impl Kit {
    async fn start() -> Self {
        let server = AuthorizationServer::start().await.unwrap();
        let mcp = server.add_resource(MCP, TokenFormat::Jwt, &["mcp:read", "mcp:write"]);
        let orders = server.add_resource(ORDERS, TokenFormat::Opaque, &["orders:read"]);
        let http = reqwest::Client::builder().no_proxy().redirect(redirect::Policy::none()).build().unwrap();
        Self { server, mcp, orders, http }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server.issuer())
    }

    async fn get_json(&self, path: &str) -> Value {
        self.http.get(self.url(path)).send().await.unwrap().json().await.unwrap()
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        Answer::of(self.http.post(self.url(path)).form(form).send().await.unwrap()).await
    }

    async fn register(&self, metadata: &Value) -> Answer {
        Answer::of(self.http.post(self.url("/register")).json(metadata).send().await.unwrap()).await
    }

    async fn public_client(&self) -> String {
        self.register(&public_client()).await.text("client_id").to_owned()
    }

    async fn authorize(&self, request: &[(&str, &str)]) -> Response {
        self.http.get(self.url("/authorize")).query(request).send().await.unwrap()
    }

    async fn code(&self, client_id: &str) -> String {
        redirect_target(&self.authorize(&authorization_request(client_id)).await).1["code"].clone()
    }

    async fn tokens(&self, client_id: &str) -> Answer {
        self.tokens_with_scope(client_id, "mcp:read").await
    }

    async fn tokens_with_scope(&self, client_id: &str, scope: &str) -> Answer {
        let request = replace(&authorization_request(client_id), "scope", scope);
        let code = redirect_target(&self.authorize(&request).await).1["code"].clone();
        self.post("/token", &redemption(client_id, &code)).await
    }

    async fn refresh(&self, client_id: &str, refresh_token: &str, scope: &str) -> Answer {
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", client_id),
            ("refresh_token", refresh_token),
            ("scope", scope),
        ];
        self.post("/token", &form).await
    }

    async fn introspect(&self, token: &str, credential: &ResourceCredential) -> Answer {
        let request = self.http.post(self.url("/introspect"));
        let request = request.basic_auth(&credential.id, Some(credential.secret.expose()));
        Answer::of(request.form(&[("token", token)]).send().await.unwrap()).await
    }

    async fn is_active(&self, token: &str, credential: &ResourceCredential) -> bool {
        self.introspect(token, credential).await.body["active"].as_bool().unwrap()
    }

    /// Verifies a JWT with the published keys, and returns its type and its claims.
    async fn verify(&self, token: &str) -> Result<(Option<String>, Value), String> {
        let keys: JwkSet = serde_json::from_value(self.get_json("/jwks").await).unwrap();
        let header = jsonwebtoken::decode_header(token).map_err(|error| error.to_string())?;
        let key = keys.find(header.kid.as_deref().unwrap_or_default()).ok_or("key not published")?;
        let key = DecodingKey::from_jwk(key).map_err(|error| error.to_string())?;
        let mut validation = Validation::new(Algorithm::ES256);
        validation.validate_aud = false;
        let verified = jsonwebtoken::decode(token, &key, &validation).map_err(|error| error.to_string())?;
        Ok((header.typ, verified.claims))
    }
}

/// The parts of a response that the tests check.
struct Answer {
    status: StatusCode,
    cache_control: String,
    challenge: String,
    body: Value,
}

impl Answer {
    async fn of(response: Response) -> Self {
        let header = |name| {
            let value =
                response.headers().get(name).map(|value: &header::HeaderValue| value.to_str().unwrap());
            value.unwrap_or_default().to_owned()
        };
        Self {
            status: response.status(),
            cache_control: header(header::CACHE_CONTROL),
            challenge: header(header::WWW_AUTHENTICATE),
            body: serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default(),
        }
    }

    fn text(&self, member: &str) -> &str {
        self.body[member].as_str().unwrap_or_else(|| panic!("no {member} in {}: {}", self.status, self.body))
    }

    fn error(&self) -> &str {
        self.text("error")
    }
}

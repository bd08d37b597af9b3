//! Proves which values of `aud` are accepted for a resource identifier (RFC 8707).

use serde_json::json;
use tower_bearer::{Audience, JwtValidator, ValidationError, testing::TestAuthorizationServer};

use crate::support::{App, ISSUER, RESOURCE, assert_invalid, server_and_app};

/// Returns a server and an app that requires this audience. Tokens of the server have no default audience.
fn app_for(audience: impl Into<Audience>) -> (TestAuthorizationServer, App) {
    let authority = TestAuthorizationServer::new(ISSUER);
    let app = app_of(&authority, audience);
    (authority, app)
}

fn app_of(authority: &TestAuthorizationServer, audience: impl Into<Audience>) -> App {
    let validator = JwtValidator::builder(authority.authorization_server(), audience)
        .clock(authority.clock().clone())
        .build()
        .unwrap();
    App::new(authority.resource_server_with(validator).build().unwrap().require_token())
}

async fn assert_refused(authority: &TestAuthorizationServer, app: &App, audience: &str) {
    let answer = app.present(&authority.token().audience(audience).sign()).await;

    assert_invalid!(answer, ValidationError::AudienceMismatch { found: 1, .. }, "{audience}");
}

#[tokio::test]
async fn r8707_01_token_for_another_resource_is_refused() {
    let (authority, app) = server_and_app().await;

    for other in [
        "https://billing.example.com",
        "https://orders.example.com.evil.example",
        "https://orders.example.co",
        "https://example.com",
        "http://orders.example.com",
        "orders.example.com",
        "https://orders.example.com https://billing.example.com",
        " https://orders.example.com",
        "*",
        "",
    ] {
        assert_refused(&authority, &app, other).await;
    }
    for aud in [json!([]), json!(["https://billing.example.com", "https://example.com"])] {
        let answer = app.present(&authority.token().claim("aud", &aud).sign()).await;
        assert_invalid!(
            answer,
            ValidationError::AudienceMismatch { found, .. } if Some(*found) == aud.as_array().map(Vec::len),
            "{aud}"
        );
    }
    let answer = app.present(&authority.token().without_claim("aud").sign()).await;
    assert_invalid!(answer, ValidationError::AudienceMismatch { found: 0, .. });
}

#[tokio::test]
async fn r8707_02_identifier_without_a_path_matches_with_and_without_slash() {
    for identifier in ["https://h.example", "https://h.example/"] {
        let (authority, app) = app_for(identifier);

        for same in ["https://h.example", "https://h.example/"] {
            app.present(&authority.token().audience(same).sign()).await.assert_pass();
        }
        for other in [
            "https://H.example",
            "HTTPS://h.example",
            "https://h.example//",
            "https://h.example/a",
            "https://h.example:443",
            "https://h.example:443/",
            "https://h.example?",
            "https://h.example/?",
            "https://h.example#",
            "https://h.example/.",
        ] {
            assert_refused(&authority, &app, other).await;
        }
    }
}

#[tokio::test]
async fn r8707_02_trailing_slash_of_a_path_is_significant_unless_both_are_listed() {
    let (authority, app) = app_for("https://h.example/a");
    app.present(&authority.token().audience("https://h.example/a").sign()).await.assert_pass();
    for other in
        ["https://h.example/a/", "https://h.example/A", "https://h.example/", "https://h.example/a/b"]
    {
        assert_refused(&authority, &app, other).await;
    }

    let (authority, app) = app_for("https://h.example/a/");
    app.present(&authority.token().audience("https://h.example/a/").sign()).await.assert_pass();
    for other in ["https://h.example/a", "https://h.example/a//", "https://h.example/"] {
        assert_refused(&authority, &app, other).await;
    }

    let (authority, app) = app_for(["https://h.example/a", "https://h.example/a/"]);
    for listed in ["https://h.example/a", "https://h.example/a/"] {
        app.present(&authority.token().audience(listed).sign()).await.assert_pass();
    }
    assert_refused(&authority, &app, "https://h.example/a//").await;
}

#[test]
fn r8707_03_identifier_with_fragment_or_without_scheme_is_a_config_error() {
    const FRAGMENT: &str = "expected a URI without fragment (RFC 8707 section 2)";
    const ABSOLUTE: &str = "expected an absolute URI (RFC 8707 section 2), or Audience::opaque";
    let authority = TestAuthorizationServer::new(ISSUER);
    let build = |audience: Audience| {
        JwtValidator::builder(authority.authorization_server(), audience).build().map(drop)
    };

    for (identifier, expected) in [
        ("https://h.example/a#b", FRAGMENT),
        ("https://h.example#", FRAGMENT),
        ("orders", ABSOLUTE),
        ("/orders", ABSOLUTE),
        ("", ABSOLUTE),
    ] {
        assert_eq!(
            build(identifier.into()).unwrap_err().to_string(),
            format!("audience {identifier:?}: {expected}")
        );
        assert!(
            build(Audience::from(RESOURCE).or(identifier)).is_err(),
            "next to a valid identifier: {identifier}"
        );
    }
    assert_eq!(
        build(Audience::from_iter(Vec::<String>::new())).unwrap_err().to_string(),
        "audience: expected at least one identifier (RFC 9068 section 4)"
    );
    for identifier in ["https://h.example/a?tenant=b", "urn:example:orders", "api://default"] {
        build(identifier.into()).unwrap();
    }
}

#[tokio::test]
async fn r8707_03_opaque_audience_is_compared_exactly() {
    let (authority, app) = app_for(Audience::opaque("https://h.example#orders"));

    app.present(&authority.token().audience("https://h.example#orders").sign()).await.assert_pass();
    for other in ["https://h.example", "https://h.example#", "https://h.example#Orders"] {
        assert_refused(&authority, &app, other).await;
    }

    // An opaque audience does not match with an added slash.
    let (authority, app) = app_for(Audience::opaque("https://h.example"));
    app.present(&authority.token().audience("https://h.example").sign()).await.assert_pass();
    assert_refused(&authority, &app, "https://h.example/").await;
}

#[tokio::test]
async fn r8707_04_each_of_several_audiences_passes() {
    let (authority, app) = app_for(
        Audience::from(["https://new.example/a", "https://old.example/b"]).or(Audience::opaque("orders")),
    );

    for ours in ["https://new.example/a", "https://old.example/b", "orders"] {
        app.present(&authority.token().audience(ours).sign()).await.assert_pass();
        let among_others = json!(["https://other.example", ours]);
        app.present(&authority.token().claim("aud", among_others).sign()).await.assert_pass();
    }
    for other in ["https://new.example/b", "https://old.example/a", "https://new.example", "Orders", "order"]
    {
        assert_refused(&authority, &app, other).await;
    }
}

#[tokio::test]
async fn r8707_05_token_for_one_path_is_refused_on_another() {
    let authority = TestAuthorizationServer::new(ISSUER);
    let (a, b) = ("https://h.example/a", "https://h.example/b");
    let (at_a, at_b) = (app_of(&authority, a), app_of(&authority, b));
    let (for_a, for_b) = (authority.token().audience(a).sign(), authority.token().audience(b).sign());

    // Repeat with cached tokens: one app's cache must not affect the other.
    for _ in 0..2 {
        at_a.present(&for_a).await.assert_pass();
        at_b.present(&for_b).await.assert_pass();
        for (app, token) in [(&at_a, &for_b), (&at_b, &for_a)] {
            assert_invalid!(app.present(token).await, ValidationError::AudienceMismatch { .. });
        }
    }
}

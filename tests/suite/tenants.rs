//! Proves what a `ResolvingValidator` does for issuers that are known only at run time.

mod changes;
mod fetches;
mod kit;
mod limits;
mod operators;
mod outages;

use tower_bearer::{
    Algorithm, AuthorizationServer, ClaimsSet, Issuer, JwtValidator, RoutingValidator, Tenant,
    TokenValidator, ValidatedToken, ValidationError, testing::SigningKey,
};

use self::kit::{ACME, GLOBEX, Kit};
use crate::support::{App, RESOURCE, assert_reason};

#[tokio::test]
async fn each_token_is_validated_with_the_settings_of_its_tenant() {
    let kit = Kit::new();
    let acme = kit.server(ACME);
    let globex = kit.server(GLOBEX).with_algorithms([Algorithm::EdDSA]);
    kit.table.insert(ACME, kit::jwt(&acme));
    kit.table.insert(GLOBEX, {
        let globex = globex.clone();
        move || {
            let builder = globex.jwt_validator("https://globex.example/orders");
            Tenant::jwt(builder.algorithms([Algorithm::EdDSA])).version(1)
        }
    });

    for (server, audience, accepted) in [
        (&acme, RESOURCE, true),
        (&globex, "https://globex.example/orders", true),
        (&acme, "https://globex.example/orders", false),
        (&globex, RESOURCE, false),
    ] {
        let answer = kit.app.present(&server.token().audience(audience).sign()).await;
        match accepted {
            true => answer.assert_pass(),
            false => {
                answer.assert_invalid_token();
                assert_reason!(answer, ValidationError::AudienceMismatch { .. });
            }
        }
    }
    assert_eq!(kit.table.questions(), [ACME, GLOBEX]);
}

#[tokio::test]
async fn r8725_10_key_of_one_tenant_does_not_verify_tokens_of_another() {
    let kit = Kit::new();
    let (acme, globex) = (kit.tenant(ACME), kit.tenant(GLOBEX));
    globex.publish_keys([SigningKey::generate(acme.keys()[0].kid(), Algorithm::ES256)]);
    kit.app.present(&acme.token().sign()).await.assert_pass();

    let forged = globex.token().audience(RESOURCE).key(&acme.keys()[0]).sign();
    let answer = kit.app.present(&forged).await;

    answer.assert_invalid_token();
    assert_reason!(answer, ValidationError::BadSignature);
}

#[tokio::test]
async fn token_that_a_custom_validator_verified_for_another_issuer_is_refused() {
    struct AnyIssuer;
    impl TokenValidator for AnyIssuer {
        async fn validate(&self, _: &tower_bearer::AccessToken) -> Result<ValidatedToken, ValidationError> {
            Ok(ValidatedToken::from_trusted_claims(ClaimsSet::new().with_issuer(GLOBEX)))
        }

        fn issuers(&self) -> Vec<Issuer> {
            vec![Issuer::new(ACME).unwrap(), Issuer::new(GLOBEX).unwrap()]
        }
    }
    let kit = Kit::new();
    for issuer in [ACME, GLOBEX] {
        kit.table.insert(issuer, || Tenant::custom(AnyIssuer).version(1));
    }

    kit.app.present(&kit.server(GLOBEX).token().audience(RESOURCE).sign()).await.assert_pass();
    let answer = kit.app.present(&kit.server(ACME).token().audience(RESOURCE).sign()).await;

    answer.assert_invalid_token();
    assert_reason!(answer, ValidationError::IssuerMismatch { .. });
}

#[tokio::test]
async fn opaque_token_goes_to_otherwise_and_is_refused_without_it() {
    let kit = Kit::new();
    let opaque = kit.server("https://opaque.example");
    let introspection = opaque.introspection_validator(RESOURCE).build();
    let with_otherwise = kit.app_with(|builder| builder.otherwise(introspection));
    let token = opaque.token().audience(RESOURCE).opaque();

    with_otherwise.present(&token).await.assert_pass();
    let answer = kit.app.present(&token).await;

    answer.assert_invalid_token();
    assert_reason!(answer, ValidationError::UnknownIssuer { found: None, .. });
    assert_eq!(kit.table.questions(), [] as [&str; 0]);
}

#[tokio::test]
async fn static_issuers_and_tenants_are_combined_with_a_router() {
    let kit = Kit::new();
    let acme = kit.tenant(ACME);
    let ours = kit.server("https://ours.example");
    let router = RoutingValidator::new()
        .route(ours.jwt_validator(RESOURCE).build().unwrap())
        .otherwise(kit.validator.clone());
    let app = App::new(ours.resource_server_with(router).build().unwrap().require_token());

    app.present(&ours.token().sign()).await.assert_pass();
    app.present(&acme.token().sign()).await.assert_pass();
    kit.validator.invalidate(ACME);
    kit.table.remove(ACME);
    let token = acme.token().sign();
    app.present(&token).await.assert_invalid_token();

    assert_eq!(kit.table.questions(), [ACME, ACME]);
}

#[tokio::test]
async fn tenant_with_introspection_asks_its_own_authorization_server() {
    let kit = Kit::new();
    let acme = kit.server(ACME);
    kit.table.insert(ACME, {
        let acme = acme.clone();
        move || Tenant::introspection(acme.introspection_validator(RESOURCE)).version(1)
    });
    let token = acme.token().audience(RESOURCE).sign();
    acme.answer(&acme.introspection_endpoint(), |_| {
        let body = format!(r#"{{"active":true,"sub":"alice","aud":"{RESOURCE}"}}"#);
        http::Response::builder().header("content-type", "application/json").body(body.into()).unwrap()
    });

    kit.app.present(&token).await.assert_pass();

    assert_eq!(acme.introspections(), 1);
    kit.app.present(&token).await.assert_pass();
    assert_eq!(acme.introspections(), 1);
    kit.validator.invalidate(ACME);
    kit.app.present(&token).await.assert_pass();
    assert_eq!(acme.introspections(), 2);
}

#[tokio::test]
async fn validator_for_another_issuer_is_a_configuration_error() {
    let kit = Kit::new();
    let acme = kit.server(ACME);
    kit.table.insert(ACME, kit::jwt(&kit.server(GLOBEX)));

    let answer = kit.app.present(&acme.token().audience(RESOURCE).sign()).await;

    answer.assert_internal();
    assert_eq!(
        answer.reason.unwrap().to_string(),
        "token cannot be validated: the resolver was asked for issuer \"https://login.acme.example\" and returned a \
         validator for [\"https://globex.example/login\"]"
    );
}

#[tokio::test]
async fn invalid_settings_of_a_tenant_are_a_configuration_error() {
    let kit = Kit::new();
    let acme = kit.server(ACME);
    for tenant in [
        || Tenant::jwt(JwtValidator::builder(AuthorizationServer::discover(ACME), "not a URI")),
        || Tenant::custom(JwtValidator::builder(AuthorizationServer::discover(ACME), "not a URI").build()),
    ] {
        kit.table.insert(ACME, tenant);

        let answer = kit.app.present(&acme.token().audience(RESOURCE).sign()).await;

        answer.assert_internal();
        assert!(answer.reason.unwrap().to_string().contains("audience \"not a URI\""));
    }
}

#[test]
fn all_settings_out_of_range_are_reported_at_once() {
    use std::time::Duration;

    let error = tower_bearer::ResolvingValidator::builder(kit::Table::default())
        .max_tenants(0)
        .tenant_ttl(Duration::ZERO)
        .max_tenant_age(Duration::from_secs(700_000))
        .unknown_issuer_ttl(Duration::ZERO)
        .resolve_timeout(Duration::from_secs(61))
        .otherwise(
            JwtValidator::builder(AuthorizationServer::discover("http://as.example"), RESOURCE).build(),
        )
        .build()
        .unwrap_err();

    let problems: Vec<_> = error.problems().collect();
    assert_eq!(problems.len(), 6, "{problems:#?}");
    assert_eq!(problems[2], "max_tenant_age \"700000s\": expected from tenant_ttl to 7 days");
}

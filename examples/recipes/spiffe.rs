//! Accepts JWT-SVIDs of SPIFFE: the subject is the SPIFFE ID of a workload.
//!
//! If SPIRE is configured with `jwt_issuer` and its OIDC discovery provider, JWT-SVIDs have an `iss` and the keys are at a
//! `jwks_uri`: then use `AuthorizationServer::discover` and the claim rule below, and nothing else here. This recipe is for
//! JWT-SVIDs without `iss`, with keys from a bundle endpoint (profile `https_web`).

use axum::{Router, routing::get};
use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};
use tower_bearer::{
    AccessTokenRule, Algorithm, Audience, AuthorizationServer, BoxFuture, ClaimRule, ClaimsSet, ConfigError,
    HttpClient, HttpError, JwtValidator, JwtValidatorBuilder, testing::TestAuthorizationServer,
};

use super::{Failure, expect_bearer, orders};

/// Fetches a SPIFFE bundle and returns its keys for JWT-SVIDs as a key set.
///
/// A bundle is a key set whose keys have the use `x509-svid` or `jwt-svid` (SPIFFE Trust Domain and Bundle section 4.2.2). This
/// crate uses only keys whose use is `sig` or absent.
#[derive(Clone, Debug)]
pub(crate) struct BundleClient<C>(pub(crate) C);

impl<C: HttpClient> HttpClient for BundleClient<C> {
    fn send(
        &self,
        request: Request<Bytes>,
        body_limit: usize,
    ) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
        Box::pin(async move {
            let response = self.0.send(request, body_limit).await?;
            if response.status() != 200 {
                return Ok(response);
            }
            let (head, body) = response.into_parts();
            let keys = jwt_svid_keys(&body).ok_or_else(|| HttpError::new("not a SPIFFE bundle"))?;
            Ok(Response::from_parts(head, keys.into()))
        })
    }
}

/// Keeps the keys for JWT-SVIDs, without their use. Keys for X.509-SVIDs must not verify JWTs.
fn jwt_svid_keys(bundle: &[u8]) -> Option<String> {
    let mut bundle: Value = serde_json::from_slice(bundle).ok()?;
    let keys = bundle.get_mut("keys")?.as_array_mut()?;
    keys.retain(|key| key["use"] == "jwt-svid");
    for key in &mut *keys {
        key.as_object_mut()?.remove("use");
    }
    Some(json!({ "keys": keys }).to_string())
}

/// Creates a validator for the JWT-SVIDs of one trust domain.
pub(crate) fn validator(
    trust_domain: &str,
    bundle_endpoint: &str,
    audience: &str,
    client: impl HttpClient,
) -> Result<JwtValidatorBuilder, ConfigError> {
    // The trust domain, as a URL: a JWT-SVID with an `iss` must have this one.
    let server = AuthorizationServer::with_endpoints(format!("https://{trust_domain}"))
        .jwks_uri(bundle_endpoint)
        .http_client(BundleClient(client));
    let prefix = format!("spiffe://{trust_domain}/");
    let in_trust_domain =
        move |claims: &ClaimsSet| claims.subject().is_some_and(|subject| subject.starts_with(&prefix));
    Ok(JwtValidator::builder(server, Audience::opaque(audience))
        // The bundle has the keys of this trust domain only, so the key tells who issued the token.
        .dangerously_allow_missing_issuer()
        // SPIFFE signs no ID tokens with these keys, and audiences are names of services.
        .accept_typ_jwt(AccessTokenRule::audience_is_only_in_access_tokens())
        .algorithms([
            Algorithm::RS256,
            Algorithm::RS384,
            Algorithm::RS512,
            Algorithm::PS256,
            Algorithm::PS384,
            Algorithm::PS512,
            Algorithm::ES256,
            Algorithm::ES384,
            Algorithm::ES512,
        ])
        .claim_rule(ClaimRule::new("subject in the trust domain", in_trust_domain)))
}

pub(crate) async fn demonstrate() -> Result<(), Failure> {
    println!("SPIFFE JWT-SVIDs");
    let spire = TestAuthorizationServer::new("https://example.org");
    let bundle_endpoint = "https://spire.example.org/bundle";
    let keys = spire.clone();
    spire.answer(bundle_endpoint, move |_| {
        let jwt_keys = keys.keys();
        let mut bundle = json!({ "spiffe_sequence": 1, "spiffe_refresh_hint": 300, "keys": [] });
        bundle["keys"] = jwt_keys
            .iter()
            .enumerate()
            .map(|(number, key)| {
                let mut jwk = key.jwk();
                // The second key is for X.509-SVIDs. A real one has a certificate in it too.
                jwk["use"] = json!(if number == 0 { "jwt-svid" } else { "x509-svid" });
                jwk
            })
            .collect();
        Response::new(bundle.to_string().into())
    });
    spire.rotate_keys();
    let (jwt_key, x509_key) = (spire.keys().remove(0), spire.keys().remove(1));

    let validator = validator("example.org", bundle_endpoint, "spiffe://example.org/orders", spire.clone())?;
    let resource_server =
        spire.resource_server_with(validator.clock(spire.clock().clone()).build()?).build()?;
    let app = Router::new().route("/orders", get(orders).route_layer(resource_server.require_token()));

    let svid = |subject: &str| {
        let token = spire.token().key(&jwt_key).subject(subject).audience("spiffe://example.org/orders");
        token.without_claim("iss").without_claim("jti").header("typ", "JWT")
    };
    let checkout = "spiffe://example.org/checkout";
    expect_bearer(&app, "  a JWT-SVID", &svid(checkout).sign(), 200).await?;
    let other = svid("spiffe://example.org.evil.example/checkout").sign();
    expect_bearer(&app, "  one of another trust domain", &other, 401).await?;
    let other = svid(checkout).audience("spiffe://example.org/payments").sign();
    expect_bearer(&app, "  one for another service", &other, 401).await?;
    let other = svid(checkout).key(&x509_key).sign();
    expect_bearer(&app, "  one with a key for X.509-SVIDs", &other, 401).await?;
    let other = svid(checkout).issuer("https://as.example.com").sign();
    expect_bearer(&app, "  one with another issuer", &other, 401).await
}

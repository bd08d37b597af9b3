//! Reads an authorization server and builds its validator.

use super::{
    Reader,
    claims::{access_token_rule, audience, claim_rules},
};
use crate::{
    AuthorizationServer, IntrospectionValidator, JwtValidator, KeySet, ResourceServerCredential,
    config::{files::Files, report::Report},
};

/// The validator of one issuer.
pub(super) enum Validator {
    Jwt(JwtValidator),
    Introspection(IntrospectionValidator),
}

/// Settings that only apply to one kind of validation.
const ONLY_JWT: [&str; 9] = [
    "jwks_uri",
    "keys",
    "algorithms",
    "accept_typ_jwt",
    "max_age",
    "key_refresh_interval",
    "key_cool_down",
    "key_fetch_timeout",
    "dangerously_allow_missing_issuer",
];
const ONLY_INTROSPECTION: [&str; 8] = [
    "introspection_endpoint",
    "credential",
    "cache_ttl",
    "inactive_ttl",
    "timeout",
    "token_type_hint",
    "accept_scope_array",
    "dangerously_allow_missing_audience",
];

/// Builds the validator. Returns `None` after a problem was reported.
pub(super) fn validator(
    issuer: &Reader<'_>,
    root: &Reader<'_>,
    files: &mut Files,
    report: &mut Report,
) -> Option<Validator> {
    if issuer.is_invalid() {
        return None;
    }
    let kind = issuer.get("validation");
    let uses_introspection = kind.text() == Some("introspection");
    if !kind.is_invalid() {
        let (others, kind) = if uses_introspection {
            (&ONLY_JWT[..], "jwt")
        } else {
            (&ONLY_INTROSPECTION[..], "introspection")
        };
        for setting in others.iter().map(|key| issuer.get(key)).filter(Reader::is_set) {
            let expected =
                format!("expected only with validation = {kind:?}, since it has no effect otherwise");
            report.without_value(setting.path(), expected);
        }
    }
    let server = authorization_server(issuer, files, report);
    if uses_introspection {
        introspection(server, issuer, root, files, report).map(Validator::Introspection)
    } else {
        jwt(server, issuer, root, report).map(Validator::Jwt)
    }
}

fn authorization_server(issuer: &Reader<'_>, files: &mut Files, report: &mut Report) -> AuthorizationServer {
    // A missing issuer was reported. With the placeholder, the other settings are checked too.
    let identifier = issuer.get("issuer").text().unwrap_or("https://invalid.example");
    let mut server = match issuer.get("discover").flag_or(true) {
        true => AuthorizationServer::discover(identifier),
        false => AuthorizationServer::with_endpoints(identifier),
    };
    if let Some(url) = issuer.get("jwks_uri").text() {
        server = server.jwks_uri(url);
    }
    if let Some(url) = issuer.get("introspection_endpoint").text() {
        server = server.introspection_endpoint(url);
    }
    if issuer.get("allow_http_on_loopback").flag() {
        server = server.allow_http_on_loopback();
    }
    let keys = issuer.get("keys");
    if keys.is_list() && keys.elements().is_empty() {
        report.without_value(keys.path(), "expected at least one file");
    }
    let sets: Vec<_> = keys.elements().iter().filter_map(|key| key_set(key, files, report)).collect();
    if let Some(keys) = sets.into_iter().reduce(KeySet::and) {
        server = server.keys(keys);
    }
    http_client(server, issuer, files, report)
}

fn key_set(key: &Reader<'_>, files: &mut Files, report: &mut Report) -> Option<KeySet> {
    let (file, algorithm) = (key.get("file"), key.get("algorithm"));
    let text = files.text(&file, report)?;
    let parsed = match (text.trim_start().starts_with("-----BEGIN"), algorithm.text()) {
        (true, Some(name)) => KeySet::from_pem(&text, name.parse().ok()?),
        (true, None) => {
            if !algorithm.is_invalid() {
                report
                    .without_value(algorithm.path(), "expected the algorithm of the PEM key, such as ES256");
            }
            return None;
        }
        (false, Some(_)) => {
            let expected = "expected none for a JWK Set, whose keys name their algorithms";
            report.without_value(algorithm.path(), expected);
            return None;
        }
        (false, None) => KeySet::from_jwks(&text),
    };
    let path = file.path().to_owned();
    parsed.map_err(|error| report.built(error.into_problems(), |_| path.clone())).ok()
}

fn jwt(
    server: AuthorizationServer,
    issuer: &Reader<'_>,
    root: &Reader<'_>,
    report: &mut Report,
) -> Option<JwtValidator> {
    let (audience, audience_path) = audience(issuer, root, report);
    let mut builder = JwtValidator::builder(server, audience);
    if issuer.get("dangerously_allow_missing_issuer").flag() {
        builder = builder.dangerously_allow_missing_issuer();
    }
    let algorithms = issuer.get("algorithms");
    if algorithms.is_list() && !algorithms.elements().iter().any(Reader::is_invalid) {
        builder = builder.algorithms(algorithms.texts().into_iter().filter_map(|name| name.parse().ok()));
    }
    if let Some(rule) = access_token_rule(&issuer.get("accept_typ_jwt"), report) {
        builder = builder.accept_typ_jwt(rule);
    }
    if let Some(age) = issuer.get("max_age").duration() {
        builder = builder.max_age(age);
    }
    if let Some(skew) = issuer.get("clock_skew").duration() {
        builder = builder.clock_skew(skew);
    }
    if let Some(interval) = issuer.get("key_refresh_interval").duration() {
        builder = builder.key_refresh_interval(interval);
    }
    if let Some(cool_down) = issuer.get("key_cool_down").duration() {
        builder = builder.key_cool_down(cool_down);
    }
    if let Some(timeout) = issuer.get("key_fetch_timeout").duration() {
        builder = builder.key_fetch_timeout(timeout);
    }
    if let Some(sources) = scope_sources(issuer) {
        builder = builder.scopes_from(sources);
    }
    for rule in claim_rules(&issuer.get("claim_rules"), report) {
        builder = builder.claim_rule(rule);
    }
    let path_of = |setting: &str| path_of(issuer, &audience_path, setting);
    let built = builder.build();
    // Keys with a problem were reported, and the builder must not ask for others.
    let is_known = |setting: &str| setting == "authorization server" && issuer.get("keys").is_set();
    built
        .map_err(|error| {
            let problems = error.into_problems().into_iter().filter(|problem| !is_known(problem.setting()));
            report.built(problems.collect(), path_of);
        })
        .ok()
}

fn introspection(
    server: AuthorizationServer,
    issuer: &Reader<'_>,
    root: &Reader<'_>,
    files: &mut Files,
    report: &mut Report,
) -> Option<IntrospectionValidator> {
    let (audience, audience_path) = audience(issuer, root, report);
    let credential = credential(&issuer.get("credential"), files, report)
        // The problem was reported. With the placeholder, the other settings are checked too.
        .unwrap_or_else(|| ResourceServerCredential::bearer("invalid"));
    let mut builder = IntrospectionValidator::builder(server, credential, audience);
    if let Some(ttl) = issuer.get("cache_ttl").duration() {
        builder = builder.cache_ttl(ttl);
    }
    if let Some(ttl) = issuer.get("inactive_ttl").duration() {
        builder = builder.inactive_ttl(ttl);
    }
    if let Some(timeout) = issuer.get("timeout").duration() {
        builder = builder.timeout(timeout);
    }
    if let Some(skew) = issuer.get("clock_skew").duration() {
        builder = builder.clock_skew(skew);
    }
    if issuer.get("token_type_hint").flag() {
        builder = builder.token_type_hint();
    }
    if issuer.get("accept_scope_array").flag() {
        builder = builder.accept_scope_array();
    }
    if issuer.get("dangerously_allow_missing_audience").flag() {
        builder = builder.dangerously_allow_missing_audience();
    }
    if let Some(sources) = scope_sources(issuer) {
        builder = builder.scopes_from(sources);
    }
    for rule in claim_rules(&issuer.get("claim_rules"), report) {
        builder = builder.claim_rule(rule);
    }
    let path_of = |setting: &str| path_of(issuer, &audience_path, setting);
    builder.build().map_err(|error| report.built(error.into_problems(), path_of)).ok()
}

fn scope_sources<'a>(issuer: &Reader<'a>) -> Option<Vec<&'a str>> {
    let sources = issuer.get("scopes_from");
    let is_good = sources.is_list() && !sources.elements().iter().any(Reader::is_invalid);
    is_good.then(|| sources.texts())
}

fn credential(
    reader: &Reader<'_>,
    files: &mut Files,
    report: &mut Report,
) -> Option<ResourceServerCredential> {
    if !reader.is_set() {
        let expected = "expected the credential of this resource server (RFC 7662 section 2.1)";
        report.without_value(reader.path(), expected);
        return None;
    }
    let (method, id, secret) = (reader.get("method"), reader.get("id"), reader.get("secret_file"));
    let secret = files.secret(&secret, report);
    let method = method.text()?;
    match method {
        "bearer" if id.is_set() => report.without_value(id.path(), "expected none for a bearer token"),
        "secret_basic" | "secret_post" if !id.is_set() => {
            report.without_value(id.path(), "expected the identifier that belongs to the secret");
        }
        _ => {}
    }
    let secret = secret?.expose();
    match method {
        "bearer" => Some(ResourceServerCredential::bearer(secret)),
        "secret_post" => Some(ResourceServerCredential::secret_post(id.text()?, secret)),
        _ => Some(ResourceServerCredential::secret_basic(id.text()?, secret)),
    }
}

/// Translates the name of a setting in the code into its path.
fn path_of(issuer: &Reader<'_>, audience: &str, setting: &str) -> String {
    let key = match setting {
        "audience" => return audience.to_owned(),
        "authorization server" | "introspection" => return issuer.path().to_owned(),
        "access token rule" => "accept_typ_jwt",
        "claim_rule" => "claim_rules",
        "resource server credential" => "credential.secret_file",
        key => key,
    };
    format!("{}.{key}", issuer.path())
}

#[cfg(feature = "reqwest")]
fn http_client(
    server: AuthorizationServer,
    issuer: &Reader<'_>,
    files: &mut Files,
    report: &mut Report,
) -> AuthorizationServer {
    let reader = issuer.get("http_client");
    if !reader.is_set() || reader.is_invalid() {
        return server;
    }
    match super::http_client::build(&reader, issuer.get("allow_http_on_loopback").flag(), files, report) {
        Some(client) => server.http_client(client),
        None => server,
    }
}

#[cfg(not(feature = "reqwest"))]
fn http_client(
    server: AuthorizationServer,
    issuer: &Reader<'_>,
    _: &mut Files,
    report: &mut Report,
) -> AuthorizationServer {
    let reader = issuer.get("http_client");
    if reader.is_set() {
        report.without_value(reader.path(), "expected a build with the feature reqwest");
    }
    server
}

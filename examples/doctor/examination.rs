//! Which requests are sent, and in which order: [`examine`].

use std::time::{Duration, Instant};

use http::{
    HeaderName, HeaderValue, Method,
    header::{
        ACCEPT, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, CONTENT_TYPE,
        ORIGIN,
    },
};
use serde_json::json;
use url::Url;

use super::{
    arguments::Settings,
    checks::{
        authorization_server,
        browsers::{self, ScriptOrigin},
        challenge::{self, Challenges},
        connection, documents, keys,
        metadata::{self, MetadataFacts, NamedIssuer},
        tokens, without_token,
    },
    document::JsonDocument,
    exchange::{Answer, Client, Failure, Outgoing},
    finding::{Finding, Findings, quoted},
    report::Report,
    rules,
    urls::{self, PROTECTED_RESOURCE},
};

/// The origin of scripts, if the user names none. A reserved name (RFC 2606 section 3).
const MADE_UP_ORIGIN: &str = "https://doctor.example";

/// A token that no server has issued.
const MADE_UP_TOKEN: &str = "made-up-token-of-the-tower-bearer-doctor";

/// Maximum number of authorization servers that are examined. Most resources have one.
const MAX_ISSUERS: usize = 5;

/// Examines a resource server.
///
/// # Errors
/// If nothing can be examined, because the settings cannot be used.
pub(crate) async fn examine(settings: Settings) -> Result<Report, String> {
    let started = Instant::now();
    let client = Client::new(&settings)?;
    let origin = ScriptOrigin {
        origin: settings.origin.clone().unwrap_or_else(|| MADE_UP_ORIGIN.to_owned()),
        is_required: settings.origin.is_some(),
    };
    let target = settings.target.to_string();
    let mut examination = Examination {
        settings,
        client,
        origin,
        findings: Findings::default(),
        clocks: Clocks::default(),
        slow: Vec::new(),
    };
    examination.run().await;
    examination.findings.extend(connection::check_speed(&examination.slow));
    let Examination { client, findings, .. } = examination;
    Ok(Report {
        target,
        findings: findings.sorted(),
        requests: client.into_log(),
        elapsed: started.elapsed(),
    })
}

struct Examination {
    settings: Settings,
    client: Client,
    origin: ScriptOrigin,
    findings: Findings,
    clocks: Clocks,
    /// Responses that took too long.
    slow: Vec<String>,
}

/// How far the clocks are ahead of that of this machine, in seconds.
#[derive(Default)]
struct Clocks {
    resource: Option<i64>,
    authorization: Option<i64>,
}

/// The request that is repeated with different credentials, and the response without any.
struct Probe {
    request: Outgoing,
    answer: Answer,
}

impl Examination {
    async fn run(&mut self) {
        self.findings.extend(connection::check_scheme(&self.settings.target));
        let probe = match self.probe().await {
            Ok(probe) => Some(probe),
            Err(failure) => {
                self.findings.add(connection::check_failure(&failure));
                if failure.is_of_server() {
                    return;
                }
                None
            }
        };
        let challenges =
            probe.as_ref().map(|probe| self.check_without_token(&probe.answer)).unwrap_or_default();
        if let Some(probe) = &probe {
            self.check_other_methods(probe).await;
            self.check_tokens(probe).await;
            self.check_browsers(probe).await;
        }
        let facts = self.check_metadata(&challenges).await;
        if let (Some(bearer), Some(probe)) = (&challenges.bearer, &probe)
            && probe.answer.status == 401
        {
            let scopes = &facts.scopes;
            self.findings.extend(challenge::check_scope_is_named(bearer, self.settings.is_mcp, scopes));
        }
        let scope =
            challenges.bearer.as_ref().and_then(|bearer| bearer.parameter("scope")).unwrap_or_default();
        let scopes: Vec<_> = scope.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned).collect();
        for issuer in facts.issuers.iter().take(MAX_ISSUERS) {
            self.check_authorization_server(issuer, &scopes).await;
        }
        self.findings.extend(connection::check_clocks(self.clocks.resource, self.clocks.authorization));
    }

    /// Sends a request. A request for which there is no time left is a finding.
    async fn send(&mut self, request: Outgoing) -> Result<Answer, Failure> {
        let purpose = request.purpose;
        let outcome = self.client.send(request).await;
        if let Ok(answer) = &outcome
            && answer.elapsed > self.settings.slow_after
        {
            self.slow.push(format!("{:.1} s for: {purpose}", answer.elapsed.as_secs_f64()));
        }
        if let Err(Failure::OutOfTime) = outcome {
            let found = "no time left for some requests, which were not sent";
            self.findings.add(Finding::new(&rules::NOT_EVERYTHING_CHECKED, found));
        }
        outcome
    }

    /// Sends a request without a token.
    ///
    /// For an MCP server, it is one that connects. If that is open, it is a call of a tool that does not exist.
    async fn probe(&mut self) -> Result<Probe, Failure> {
        let target = self.settings.target.clone();
        let method = self.settings.method.clone();
        if !self.settings.is_mcp || method.as_ref().is_some_and(|method| *method != Method::POST) {
            let mut request = Outgoing::get("request without a token", target)
                .header(ACCEPT, HeaderValue::from_static("application/json, */*;q=0.5"));
            request.method = method.unwrap_or(Method::GET);
            if request.method == Method::POST {
                request.body = Some("{}".to_owned());
                request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            }
            let answer = self.send(request.clone()).await?;
            return Ok(Probe { request, answer });
        }
        let connecting = mcp_message(
            target.clone(),
            "MCP initialize without a token",
            "initialize",
            &json!({
                "protocolVersion": "2025-06-18",
                "capabilities": {},
                "clientInfo": {"name": "tower-bearer-doctor", "version": env!("CARGO_PKG_VERSION")},
            }),
        );
        let answer = self.send(connecting.clone()).await?;
        if !answer.status.is_success() {
            return Ok(Probe { request: connecting, answer });
        }
        let params = json!({"name": "tool-that-does-not-exist", "arguments": {}});
        let calling = mcp_message(target, "MCP tools/call without a token", "tools/call", &params);
        match self.send(calling.clone()).await {
            Ok(refusal) if refusal.status == 401 => {
                let found = format!("status {} for initialize, 401 for tools/call", answer.status.as_u16());
                self.findings.add(Finding::new(&rules::CONNECTING_OPEN, found));
                Ok(Probe { request: calling, answer: refusal })
            }
            _ => Ok(Probe { request: connecting, answer }),
        }
    }

    fn check_without_token(&mut self, answer: &Answer) -> Challenges {
        self.clocks.resource = connection::clock_offset(answer);
        self.findings.extend(without_token::check_status(answer, &self.settings.target));
        let challenges = challenge::read(answer);
        if answer.status == 401 {
            self.findings.extend(challenge::check_without_token(&challenges));
            self.findings.extend(without_token::check_cache(answer));
        } else {
            self.findings.extend(challenges.findings.clone());
        }
        challenges
    }

    /// Checks the other methods that change nothing.
    async fn check_other_methods(&mut self, probe: &Probe) {
        let mut other = Outgoing::get("GET without a token", self.settings.target.clone());
        if probe.request.method == Method::GET {
            if probe.answer.status != 401 {
                return;
            }
            other.method = Method::HEAD;
            let other = other.purpose("HEAD without a token");
            if let Ok(answer) = self.send(other).await {
                self.findings.extend(without_token::check_head(&answer));
            }
        } else if self.settings.is_mcp {
            let other = other.header(ACCEPT, HeaderValue::from_static("text/event-stream"));
            if let Ok(answer) = self.send(other).await {
                self.findings.extend(without_token::check_event_stream(&answer));
            }
        }
    }

    async fn check_tokens(&mut self, probe: &Probe) {
        // Whatever an open or missing resource answers says nothing about tokens.
        if probe.answer.status.is_success()
            || matches!(probe.answer.status.as_u16(), 404 | 405 | 410 | 429 | 501)
        {
            return;
        }
        let bearer = |token: &str| format!("Bearer {token}").into_bytes();
        let usual = self.send_with(probe, "made-up token", &[bearer(MADE_UP_TOKEN)]).await;
        if let Some(answer) = &usual {
            self.findings.extend(tokens::check_made_up(answer, MADE_UP_TOKEN, false));
            self.findings.extend(without_token::check_cache(answer));
        }
        let forged = forged_token(&self.settings.target);
        if let Some(answer) = self.send_with(probe, "JWT without a signature", &[bearer(&forged)]).await {
            self.findings.extend(tokens::check_made_up(&answer, &forged, true));
        }
        let lower = format!("bearer {MADE_UP_TOKEN}").into_bytes();
        if let (Some(usual), Some(lower)) =
            (&usual, self.send_with(probe, "scheme in lower case", &[lower]).await)
        {
            self.findings.extend(tokens::check_scheme_case(usual, &lower));
        }
        for (kind, value) in [
            ("a scheme without a token", b"Bearer".to_vec()),
            ("a token that is not UTF-8", b"Bearer \xff\xfe".to_vec()),
            ("a token with a space", b"Bearer made up".to_vec()),
            ("an empty Authorization header", Vec::new()),
        ] {
            match self.try_with(probe, kind, &[value]).await {
                Ok(answer) => self.findings.extend(tokens::check_malformed(&answer, kind)),
                Err(Failure::Broken(text)) => {
                    let found = format!("connection closed for {kind}: {text}");
                    self.findings.add(Finding::new(&rules::CREDENTIALS_CAUSE_SERVER_ERROR, found));
                }
                Err(_) => {}
            }
        }
        // "made-up:made-up"
        let basic = b"Basic bWFkZS11cDptYWRlLXVw".to_vec();
        if let Some(answer) = self.send_with(probe, "another scheme", &[basic]).await {
            self.findings.extend(tokens::check_other_scheme(&answer));
        }
        let two = [bearer(MADE_UP_TOKEN), bearer("another-made-up-token")];
        if let Some(answer) = self.send_with(probe, "two Authorization headers", &two).await {
            self.findings.extend(tokens::check_two_headers(&answer));
        }
        let mut in_query = probe.request.clone().purpose("made-up token in the query");
        in_query.url.query_pairs_mut().append_pair("access_token", MADE_UP_TOKEN);
        if let Ok(answer) = self.send(in_query).await {
            self.findings.extend(tokens::check_query(&answer, &probe.answer));
        }
    }

    /// Repeats the request with these values of `Authorization`. A missing response is a finding.
    async fn send_with(
        &mut self,
        probe: &Probe,
        purpose: &'static str,
        values: &[Vec<u8>],
    ) -> Option<Answer> {
        match self.try_with(probe, purpose, values).await {
            Ok(answer) => Some(answer),
            Err(Failure::OutOfTime) => None,
            Err(failure) => {
                let finding = connection::check_failure(&failure);
                let found = format!("{purpose}: {failure}");
                self.findings.add(Finding { found, ..finding });
                None
            }
        }
    }

    async fn try_with(
        &mut self,
        probe: &Probe,
        purpose: &'static str,
        values: &[Vec<u8>],
    ) -> Result<Answer, Failure> {
        let mut request = probe.request.clone().purpose(purpose);
        for value in values {
            let value = HeaderValue::from_bytes(value).expect("no made-up value has control characters");
            request = request.header(AUTHORIZATION, value);
        }
        self.send(request).await
    }

    async fn check_browsers(&mut self, probe: &Probe) {
        if probe.answer.status != 401 && !self.origin.is_required {
            return;
        }
        let Ok(origin) = HeaderValue::from_str(&self.origin.origin) else { return };
        let request = probe.request.clone().purpose("request of a script").header(ORIGIN, origin.clone());
        let method = request.method.clone();
        let preflight = Outgoing {
            purpose: "preflight request of a script",
            method: Method::OPTIONS,
            url: request.url.clone(),
            headers: vec![
                (ORIGIN, origin),
                (
                    ACCESS_CONTROL_REQUEST_METHOD,
                    HeaderValue::from_str(method.as_str()).expect("a method is ASCII"),
                ),
                (ACCESS_CONTROL_REQUEST_HEADERS, HeaderValue::from_static("authorization,content-type")),
            ],
            body: None,
        };
        let preflight = self.send(preflight).await.ok();
        if let Ok(refusal) = self.send(request).await {
            self.findings.extend(browsers::check(&refusal, preflight.as_ref(), &self.origin, &method));
        }
    }

    /// Finds and checks the metadata: first at the URL in the challenge, then at the well-known URLs.
    async fn check_metadata(&mut self, challenges: &Challenges) -> MetadataFacts {
        let target = self.settings.target.clone();
        let scope =
            challenges.bearer.as_ref().and_then(|bearer| bearer.parameter("scope")).map(str::to_owned);
        let named = challenges.bearer.as_ref().and_then(|bearer| bearer.parameter("resource_metadata"));
        let named = named.and_then(|value| {
            let (url, findings) = metadata::check_url(value, &target);
            self.findings.extend(findings);
            url
        });
        let (mut facts, mut first) = (None, JsonDocument::default());
        if let Some(url) = &named {
            match self.document("metadata named by the challenge", url).await {
                Ok((answer, document)) => {
                    facts = Some(self.check_document(&document, &answer, url, scope.as_deref()));
                    first = document;
                    if self.findings.has(&rules::METADATA_OF_AUTHORIZATION_SERVER) {
                        facts = None;
                    }
                }
                Err(finding) => self.findings.add(finding),
            }
        }
        let resource = facts.as_ref().and_then(|facts| facts.resource.clone());
        let well_known = metadata::well_known(&target, resource.as_deref());
        if named.as_ref() == Some(&well_known) {
            return facts.unwrap_or_default();
        }
        match self.document("metadata at the well-known URL", &well_known).await {
            Ok((answer, document)) if facts.is_none() => {
                return self.check_document(&document, &answer, &well_known, scope.as_deref());
            }
            Ok((_, document)) => {
                let finding = metadata::check_same(&first, &document);
                self.findings.extend(finding.map(|finding| finding.at(&well_known)));
            }
            Err(finding) if facts.is_some() => {
                let found = finding.found.clone();
                self.findings.add(Finding::new(&rules::METADATA_NOT_AT_WELL_KNOWN, found).at(&well_known));
            }
            Err(finding) => {
                let is_missing = finding.rule.code == rules::METADATA_STATUS.code;
                if !is_missing {
                    self.findings.add(finding);
                }
                return self.search_metadata(&target, &well_known, is_missing, scope.as_deref()).await;
            }
        }
        facts.unwrap_or_default()
    }

    /// Looks for the metadata at the places where it is often put by mistake.
    async fn search_metadata(
        &mut self,
        target: &Url,
        well_known: &Url,
        is_missing: bool,
        scope: Option<&str>,
    ) -> MetadataFacts {
        let root = urls::with_path(target, PROTECTED_RESOURCE);
        let appended = urls::appended(target, PROTECTED_RESOURCE);
        for (url, rule) in [(root, &rules::METADATA_ONLY_AT_ROOT), (appended, &rules::METADATA_APPENDED)] {
            if url == *well_known {
                continue;
            }
            let Ok((answer, document)) = self.document("metadata at another URL", &url).await else {
                continue;
            };
            // A fallback may answer every path with JSON.
            if document.get("resource").is_none() && document.get("authorization_servers").is_none() {
                continue;
            }
            let is_of_parent = document
                .text("resource")
                .is_some_and(|resource| urls::compare(resource, target) == urls::Relation::Parent);
            if rule.code != rules::METADATA_ONLY_AT_ROOT.code || !is_of_parent {
                let expected = format!("the metadata at {}", quoted(well_known.as_str()));
                self.findings.add(
                    Finding::new(rule, format!("metadata at {}", quoted(url.as_str()))).expected(expected),
                );
            }
            return self.check_document(&document, &answer, &url, scope);
        }
        if is_missing && !self.findings.has(&rules::METADATA_STATUS) {
            let found = format!("none at {}", quoted(well_known.as_str()));
            self.findings.add(Finding::new(&rules::METADATA_MISSING, found));
        }
        MetadataFacts::default()
    }

    /// Fetches a document of the resource.
    async fn document(
        &mut self,
        purpose: &'static str,
        url: &Url,
    ) -> Result<(Answer, JsonDocument), Finding> {
        let outcome = self.fetch(purpose, url).await;
        let (document, findings) = documents::read(&outcome, url, &metadata::RULES)?;
        self.findings.extend(findings);
        outcome.map(|answer| (answer, document)).map_err(|failure| connection::check_failure(&failure))
    }

    fn check_document(
        &mut self,
        document: &JsonDocument,
        answer: &Answer,
        url: &Url,
        scope: Option<&str>,
    ) -> MetadataFacts {
        let (facts, findings) = metadata::check(document, &self.settings.target, self.settings.is_mcp, scope);
        self.findings.extend(findings.into_iter().map(|finding| finding.at(url)));
        self.findings.extend(browsers::check_metadata(answer, &self.origin).map(|finding| finding.at(url)));
        facts
    }

    /// Fetches a document without a token, as a script does.
    async fn fetch(&mut self, purpose: &'static str, url: &Url) -> Result<Answer, Failure> {
        let mut request =
            Outgoing::get(purpose, url.clone()).header(ACCEPT, HeaderValue::from_static("application/json"));
        if let Ok(origin) = HeaderValue::from_str(&self.origin.origin) {
            request = request.header(ORIGIN, origin);
        }
        let outcome = self.send(request).await;
        if let (Ok(answer), None) = (&outcome, self.clocks.resource) {
            let is_of_resource = url.host_str() == self.settings.target.host_str();
            self.clocks.resource = connection::clock_offset(answer).filter(|_| is_of_resource);
        }
        outcome
    }

    /// Finds the metadata of an authorization server as clients do: they take the first document.
    async fn check_authorization_server(&mut self, issuer: &NamedIssuer, scopes: &[String]) {
        let mut misses: Vec<Finding> = Vec::new();
        for url in urls::of_authorization_server(&issuer.url) {
            let outcome = self.fetch("metadata of the authorization server", &url).await;
            if let Ok(answer) = &outcome {
                self.clocks.authorization = connection::clock_offset(answer).or(self.clocks.authorization);
            }
            if let Err(failure) = &outcome {
                self.findings.add(Finding::new(&rules::ISSUER_UNREACHABLE, failure).at(&url));
                if failure.is_of_server() || matches!(failure, Failure::Timeout(_)) {
                    return;
                }
                continue;
            }
            match documents::read(&outcome, &url, &authorization_server::RULES) {
                Ok((document, findings)) => {
                    self.findings.extend(findings);
                    let found = authorization_server::check(&document, issuer, self.settings.is_mcp, scopes);
                    self.findings.extend(found.into_iter().map(|finding| finding.at(&url)));
                    if let Some(jwks_uri) = document.text("jwks_uri").and_then(|uri| Url::parse(uri).ok()) {
                        self.check_keys(&jwks_uri).await;
                    }
                    return;
                }
                // Not found at this URL: clients look at the next one.
                Err(finding) if finding.rule.code == rules::ISSUER_METADATA_MISSING.code => {
                    misses.push(finding);
                }
                Err(finding) => {
                    self.findings.add(finding.clone());
                    misses.push(finding);
                }
            }
        }
        let places: Vec<_> = misses
            .iter()
            .map(|miss| format!("{} at {}", miss.found, miss.url.as_deref().unwrap_or_default()))
            .collect();
        if !places.is_empty() {
            let found = format!("issuer {}: {}", quoted(&issuer.text), places.join("; "));
            self.findings.add(Finding::new(&rules::ISSUER_METADATA_MISSING, found));
        }
    }

    async fn check_keys(&mut self, url: &Url) {
        if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some()
        {
            return;
        }
        let outcome = self.fetch("keys of the authorization server", url).await;
        if documents::is_slow(&outcome, self.settings.slow_after) {
            self.findings.add(Finding::new(&rules::SLOW_KEYS, "a slow response").at(url));
        }
        match documents::read(&outcome, url, &keys::RULES) {
            Ok((document, _)) => {
                self.findings.extend(keys::check(&document).into_iter().map(|finding| finding.at(url)));
            }
            Err(finding) => self.findings.add(finding),
        }
    }
}

/// Returns a message to an MCP server that changes nothing.
fn mcp_message(
    url: Url,
    purpose: &'static str,
    method: &'static str,
    params: &serde_json::Value,
) -> Outgoing {
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let mut request = Outgoing::get(purpose, url)
        .header(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"))
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .header(HeaderName::from_static("mcp-protocol-version"), HeaderValue::from_static("2025-06-18"));
    request.method = Method::POST;
    request.body = Some(message.to_string());
    request
}

/// Returns a JWT with the algorithm `none` (RFC 7519 section 6) for the target. Nobody has issued it.
fn forged_token(target: &Url) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    let encode = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_secs();
    let header = encode(json!({"alg": "none", "typ": "at+jwt"}));
    let claims = json!({
        "iss": "https://doctor.example",
        "aud": target.as_str(),
        "sub": "doctor",
        "iat": now,
        "exp": now.saturating_add(300),
    });
    format!("{header}.{}.", encode(claims))
}

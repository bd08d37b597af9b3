//! All findings: what is expected, by which standard, and how to fix it.
//!
//! The codes are stable. `docs/guides/doctor.md` lists them.

use super::finding::{Group, Severity};

/// One kind of finding.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) code: &'static str,
    pub(crate) group: Group,
    /// The usual severity.
    pub(crate) severity: Severity,
    pub(crate) expected: &'static str,
    /// The standard that says so, or `good practice` with a reason.
    pub(crate) source: &'static str,
    pub(crate) fix: &'static str,
}

macro_rules! rules {
    ($($name:ident: $group:ident, $severity:ident, $code:literal, $expected:literal, $source:literal, $fix:literal;)*) => {
        $(pub(crate) static $name: Rule = Rule {
            code: $code,
            group: Group::$group,
            severity: Severity::$severity,
            expected: $expected,
            source: $source,
            fix: $fix,
        };)*

        /// All rules, in the order of the report.
        pub(crate) static ALL: &[&Rule] = &[$(&$name),*];
    };
}

/// Writes all rules as tables in Markdown, one for each group.
pub(crate) fn table() -> String {
    let mut text = String::new();
    let mut group = None;
    for rule in ALL {
        if group != Some(rule.group) {
            let separator = if group.is_some() {
                "
"
            } else {
                ""
            };
            text.extend([
                separator,
                "### ",
                rule.group.title(),
                "

",
            ]);
            text.push_str(
                "| code | severity | expected | source |
|---|---|---|---|
",
            );
            group = Some(rule.group);
        }
        let Rule { code, severity, expected, source, .. } = rule;
        text.push_str(&format!(
            "| `{code}` | {} | {expected} | {source} |
",
            severity.as_str()
        ));
    }
    text
}

rules! {
    UNREACHABLE:
        Connection, Error, "unreachable",
        "a connection",
        "RFC 9110 section 4.2",
        "Check the host name, the port, the firewall and whether the server runs.";
    TLS_FAILED:
        Connection, Error, "tls-failed",
        "TLS with a valid certificate for this host",
        "RFC 6750 section 5.2",
        "Serve a certificate for this host name with all intermediate certificates. For a private certificate authority, pass its certificate with --ca.";
    NO_RESPONSE:
        Connection, Error, "no-response",
        "an HTTP response in time",
        "RFC 9110 section 3.4",
        "Check whether the port speaks HTTP, and whether a proxy or the handler closes connections or hangs. A refusal needs neither the body of the request nor the handler.";
    PLAIN_HTTP:
        Connection, Error, "plain-http",
        "an https URL, because tokens in plain text can be read and replayed",
        "RFC 6750 section 5.3",
        "Serve the resource over TLS only.";
    OVERLOADED:
        Connection, Warning, "overloaded",
        "a response that is not 429 or 503",
        "RFC 9110 section 15.6.4",
        "Run the doctor again later. If the response to a request without a token is always 503, the server does not respond with 401 while it cannot validate tokens: refuse requests without a token first. tower-bearer does this.";
    SLOW:
        Connection, Warning, "slow",
        "each response within 2 seconds",
        "good practice: a refusal needs no other service",
        "Do not call the authorization server for requests without a token. Keep keys in memory; tower-bearer does.";
    CLOCKS_DIFFER:
        Connection, Warning, "clocks-differ",
        "clocks of the resource server and the authorization server that differ by at most 30 seconds",
        "RFC 7519 section 4.1.4",
        "Synchronize the clocks (NTP). Otherwise new tokens are refused, or expired ones accepted. tower-bearer tolerates 30 seconds (clock_skew).";
    CLOCK_UNLIKE_OURS:
        Connection, Note, "clock-unlike-ours",
        "a Date header within 30 seconds of the clock of this machine",
        "RFC 9110 section 6.6.1",
        "Synchronize the clock of this machine, or the clock of the server.";
    NOT_EVERYTHING_CHECKED:
        Connection, Warning, "not-everything-checked",
        "enough time for all requests",
        "good practice: the examination is bounded",
        "Run the doctor again with a longer --timeout, or fix the slow responses first.";
    OPEN:
        WithoutToken, Error, "open",
        "401, because the request has no token",
        "RFC 6750 section 3",
        "Protect the route. With axum, a layer covers only the routes added before it: get(a).route_layer(resource_server.require_scopes(READ)). If the URL is meant to be public, run the doctor with one that is not.";
    OPEN_WITH_HEAD:
        WithoutToken, Error, "open-with-head",
        "401 for HEAD as for GET",
        "RFC 9110 section 9.3.2",
        "Protect all methods of the route. With axum, use route_layer after all methods were added.";
    REDIRECTED:
        WithoutToken, Error, "redirected",
        "401 instead of a redirect, because API clients do not follow redirects to log in",
        "RFC 6750 section 3",
        "Exempt the API from the login page of the proxy or framework. If the target differs only by scheme, host or slash, use that URL.";
    FORBIDDEN_WITHOUT_TOKEN:
        WithoutToken, Error, "forbidden-without-token",
        "401 with a challenge; 403 tells clients that a token would not help",
        "RFC 9110 section 15.5.2",
        "Respond with 401 if there are no credentials, and 403 only if a valid token has too few scopes. Check whether a proxy or firewall responds instead of the API.";
    NOT_FOUND:
        WithoutToken, Error, "not-found",
        "401 for an existing resource",
        "RFC 9110 section 15.5.5",
        "Check the path. If the resource exists, require the token before looking it up.";
    METHOD_NOT_ALLOWED:
        WithoutToken, Error, "method-not-allowed",
        "401",
        "RFC 6750 section 3",
        "Run the doctor with a method that the resource has: --method POST, or --mcp for an MCP server.";
    BAD_REQUEST_WITHOUT_TOKEN:
        WithoutToken, Error, "bad-request-without-token",
        "401; the token is checked before the rest of the request",
        "RFC 6750 section 3.1",
        "Add the layer outside of everything that checks the request. 400 is for a malformed Authorization header.";
    SERVER_ERROR_WITHOUT_TOKEN:
        WithoutToken, Error, "server-error-without-token",
        "401; a request without a token is not a fault of the server",
        "RFC 6750 section 3",
        "Read the log of the server. Often the code reads the Authorization header without checking that there is one.";
    OTHER_STATUS_WITHOUT_TOKEN:
        WithoutToken, Error, "other-status-without-token",
        "401",
        "RFC 6750 section 3",
        "Respond with 401 with a challenge if there is no token.";
    CACHEABLE:
        WithoutToken, Warning, "cacheable",
        "Cache-Control: no-store",
        "RFC 9111 section 5.2.2.5",
        "Send Cache-Control: no-store with refusals, as tower-bearer does. Otherwise a cache can answer requests with a token with an old refusal.";
    NO_CACHE_CONTROL:
        WithoutToken, Note, "no-cache-control",
        "Cache-Control: no-store",
        "RFC 9111 section 5.2.2.5",
        "Send Cache-Control: no-store with refusals, as tower-bearer does. Caches may not store a 401 without it, but some do.";
    CONNECTING_OPEN:
        WithoutToken, Note, "connecting-open",
        "401 for every request, unless connecting is meant to be public",
        "MCP, section \"Access Token Usage\"",
        "No change is needed if you set McpOperations::builder().connecting(Requirement::public()). Otherwise require a token for it.";
    EVENT_STREAM_OPEN:
        WithoutToken, Error, "event-stream-open",
        "401 for GET, which opens the stream of events of an MCP server",
        "MCP, section \"Access Token Usage\"",
        "Protect all methods of the MCP endpoint, not only POST. With tower-bearer, put require_mcp around the whole service.";
    NO_CHALLENGE:
        Challenge, Error, "no-challenge",
        "a WWW-Authenticate header with the scheme Bearer",
        "RFC 9110 section 15.5.2",
        "Send a challenge with every 401. A layer of tower-bearer does; check whether a proxy or an error handler replaces the response or removes the header.";
    NO_BEARER:
        Challenge, Error, "no-bearer",
        "a challenge with the scheme Bearer",
        "RFC 6750 section 3",
        "Add a Bearer challenge. If a proxy answers for the API, let it forward requests without a token.";
    CHALLENGE_MALFORMED:
        Challenge, Error, "challenge-malformed",
        "scheme, space, then name=\"value\" separated by commas, in visible ASCII",
        "RFC 9110 section 11.6.1",
        "Put values in double quotes and commas between them. ResourceServer::challenge() creates a challenge for your own handlers.";
    DUPLICATE_PARAMETER:
        Challenge, Error, "duplicate-parameter",
        "each parameter once in a challenge",
        "RFC 9110 section 11.2",
        "Remove the repeated parameter. Look for two layers that both write the challenge.";
    SEVERAL_BEARER_CHALLENGES:
        Challenge, Warning, "several-bearer-challenges",
        "one Bearer challenge",
        "RFC 6750 section 3",
        "Let only one layer send the challenge. Clients read the first or the last one.";
    SEVERAL_SCHEMES:
        Challenge, Note, "several-schemes",
        "one challenge per header field, because many clients cannot read a list",
        "RFC 9110 section 11.6.1",
        "Send each challenge in its own header field, Bearer first.";
    ERROR_WITHOUT_CREDENTIALS:
        Challenge, Warning, "error-without-credentials",
        "a challenge without error, because the request has no credentials",
        "RFC 6750 section 3.1",
        "Add error=\"invalid_token\" only if there was a token. Otherwise clients discard their session.";
    NO_RESOURCE_METADATA:
        Challenge, Warning, "no-resource-metadata",
        "the parameter resource_metadata with the URL of the metadata",
        "RFC 9728 section 5.1",
        "Configure metadata: ResourceServer::builder(validator).resource_metadata(ProtectedResourceMetadata::new(\"https://…\")).";
    NO_SCOPE:
        Challenge, Warning, "no-scope",
        "the parameter scope with the scopes that the request needs, so that clients request them",
        "RFC 6750 section 3",
        "Put the layer with the scopes outermost: require_scopes on the route. With require_token, set baseline_scopes.";
    NO_SCOPE_KNOWN:
        Challenge, Note, "no-scope-known",
        "the parameter scope, if the resource has scopes",
        "RFC 6750 section 3",
        "No change is needed if the API has no scopes. Otherwise use require_scopes on the route.";
    SCOPE_MALFORMED:
        Challenge, Error, "scope-malformed",
        "scopes of the characters %x21 / %x23-5B / %x5D-7E, separated by single spaces",
        "RFC 6749 section 3.3",
        "Correct the scopes. A Scope of tower-bearer cannot hold other characters.";
    OFFLINE_ACCESS:
        Challenge, Warning, "offline-access",
        "no offline_access; it asks for a refresh token and is not a scope of the resource",
        "OpenID Connect Core section 11; MCP, section \"Scope Selection Strategy\"",
        "Remove it from the required, baseline and supported scopes.";
    TOKEN_ACCEPTED:
        Tokens, Error, "token-accepted",
        "401 with error=\"invalid_token\"",
        "RFC 6750 section 3.1",
        "Validate the token: signature, issuer, audience and times. Check that the layer covers this route and that tokens are not only decoded.";
    FORGED_TOKEN_ACCEPTED:
        Tokens, Error, "forged-token-accepted",
        "401 with error=\"invalid_token\"",
        "RFC 8725 section 3.1",
        "Never accept the algorithm none, and never take the algorithm from the token. JwtValidator accepts only the algorithms of the keys.";
    TOKEN_CAUSES_SERVER_ERROR:
        Tokens, Error, "token-causes-server-error",
        "401 with error=\"invalid_token\"",
        "RFC 6750 section 3.1",
        "Read the log of the server. Anyone can send a token, so nothing in it may cause a server error.";
    TOKEN_FORBIDDEN:
        Tokens, Error, "token-forbidden",
        "401 with error=\"invalid_token\"; after a 403, clients do not get a new token",
        "RFC 6750 section 3.1",
        "Respond with 401 if the token is invalid, and 403 only if it is valid with too few scopes.";
    TOKEN_OTHER_STATUS:
        Tokens, Error, "token-other-status",
        "401 with error=\"invalid_token\"",
        "RFC 6750 section 3.1",
        "Respond with 401 if the token is invalid.";
    TOKEN_CANNOT_BE_CHECKED:
        Tokens, Warning, "token-cannot-be-checked",
        "401 with error=\"invalid_token\"",
        "RFC 6750 section 3.1",
        "The server cannot validate tokens now. Check whether it reaches the authorization server, and whether its keys or its introspection credential are configured.";
    NO_INVALID_TOKEN:
        Tokens, Warning, "no-invalid-token",
        "error=\"invalid_token\" in the challenge, so that clients get a new token",
        "RFC 6750 section 3.1",
        "Add error=\"invalid_token\" if the token is invalid.";
    TOKEN_WITHOUT_CHALLENGE:
        Tokens, Error, "token-without-challenge",
        "a Bearer challenge with error=\"invalid_token\"",
        "RFC 6750 section 3",
        "Send a challenge with every 401.";
    TOKEN_ECHOED:
        Tokens, Warning, "token-echoed",
        "a response that does not repeat the token",
        "RFC 6750 section 5.2",
        "Remove the token from error messages. They end up in logs.";
    EMPTY_CREDENTIALS_ACCEPTED:
        Tokens, Error, "empty-credentials-accepted",
        "400 or 401 for a malformed Authorization header",
        "RFC 6750 section 3.1",
        "Refuse an Authorization header without exactly one token.";
    CREDENTIALS_CAUSE_SERVER_ERROR:
        Tokens, Error, "credentials-cause-server-error",
        "400 or 401 for a malformed Authorization header",
        "RFC 6750 section 3.1",
        "Read the header as bytes: it may be empty, or not UTF-8. tower-bearer responds with 400.";
    OTHER_SCHEME_ACCEPTED:
        Tokens, Error, "other-scheme-accepted",
        "401 for made-up credentials of another scheme",
        "RFC 9110 section 11.6.1",
        "Refuse requests without a Bearer token.";
    SCHEME_CASE:
        Tokens, Warning, "scheme-case",
        "the same response for \"bearer\" as for \"Bearer\"",
        "RFC 9110 section 11.1",
        "Ignore case when you compare the scheme.";
    TOKEN_IN_QUERY:
        Tokens, Error, "token-in-query",
        "a token in the query is ignored, because URLs are logged and shared",
        "RFC 9700 section 4.3.2",
        "Read tokens from the Authorization header only.";
    SEVERAL_AUTHORIZATION_HEADERS:
        Tokens, Warning, "several-authorization-headers",
        "400 for two Authorization headers, because proxies and servers may read different ones",
        "RFC 6750 section 3.1",
        "Refuse a request with more than one Authorization header. tower-bearer responds with 400.";
    SEVERAL_AUTHORIZATION_HEADERS_ACCEPTED:
        Tokens, Error, "several-authorization-headers-accepted",
        "400 for two Authorization headers",
        "RFC 6750 section 3.1",
        "Refuse a request with more than one Authorization header. tower-bearer responds with 400.";
    NO_CORS:
        Browsers, Note, "no-cors",
        "Access-Control-Allow-Origin, if scripts in browsers use the API",
        "Fetch, section \"CORS protocol\"",
        "No change is needed if no scripts in browsers use the API. Otherwise add a CORS layer, such as tower_http::cors::CorsLayer, outside of the token layer.";
    CHALLENGE_HIDDEN:
        Browsers, Warning, "challenge-hidden",
        "Access-Control-Expose-Headers with WWW-Authenticate; scripts cannot read the challenge without it",
        "Fetch, section \"CORS protocol\"",
        "Add WWW-Authenticate to the exposed headers. tower-bearer does so for requests with Origin; check whether another CORS layer replaces the header.";
    PREFLIGHT_REFUSED:
        Browsers, Error, "preflight-refused",
        "a 2xx response to the preflight request, which never has a token",
        "Fetch, section \"CORS-preflight fetch\"",
        "Put the CORS layer outside of the token layer, so that it responds to OPTIONS itself. If it must be inside: dangerously_pass_cors_preflight().";
    PREFLIGHT_WITHOUT_ORIGIN:
        Browsers, Error, "preflight-without-origin",
        "Access-Control-Allow-Origin in the response to the preflight request",
        "Fetch, section \"CORS-preflight fetch\"",
        "Allow the origin in the CORS layer.";
    AUTHORIZATION_NOT_ALLOWED:
        Browsers, Error, "authorization-not-allowed",
        "Access-Control-Allow-Headers with authorization; \"*\" does not include it",
        "Fetch, section \"CORS protocol\"",
        "Add authorization to the allowed headers of the CORS layer by name.";
    METHOD_NOT_ALLOWED_BY_CORS:
        Browsers, Warning, "method-not-allowed-by-cors",
        "Access-Control-Allow-Methods with the method of the request",
        "Fetch, section \"CORS protocol\"",
        "Add the method to the CORS layer.";
    WRONG_ORIGIN:
        Browsers, Error, "wrong-origin",
        "Access-Control-Allow-Origin once, with the origin of the request or \"*\"",
        "Fetch, section \"CORS check\"",
        "Add the origin to the CORS layer, and let only one layer or proxy send the header.";
    CREDENTIALS_WITH_ANY_ORIGIN:
        Browsers, Warning, "credentials-with-any-origin",
        "no Access-Control-Allow-Credentials for every origin; tokens need none",
        "Fetch, section \"CORS protocol and credentials\"",
        "Remove Access-Control-Allow-Credentials, or list the origins.";
    METADATA_WITHOUT_CORS:
        Browsers, Warning, "metadata-without-cors",
        "Access-Control-Allow-Origin: * on the metadata, which is public",
        "Fetch, section \"CORS protocol\"",
        "Serve the metadata outside of other CORS rules. The metadata service of tower-bearer sends the header.";
    METADATA_MISSING:
        Metadata, Error, "metadata-missing",
        "the metadata at the well-known URL, or at a URL in the challenge",
        "RFC 9728 section 3",
        "Serve it: Router::merge(resource_server.metadata_router()?), and let the proxy forward /.well-known/oauth-protected-resource.";
    METADATA_NOT_AT_WELL_KNOWN:
        Metadata, Warning, "metadata-not-at-well-known",
        "the metadata also at the well-known URL of the resource",
        "RFC 9728 section 3",
        "Serve it at ResourceServer::metadata_paths(), and let the proxy forward /.well-known/. Clients that cannot read the challenge use this URL.";
    METADATA_DIFFERS:
        Metadata, Warning, "metadata-differs",
        "the same metadata at the well-known URL and at the URL in the challenge",
        "RFC 9728 section 3.3",
        "Serve one document at both URLs, for example at all ResourceServer::metadata_paths(). Look for an old deployment or a second layer.";
    METADATA_ONLY_AT_ROOT:
        Metadata, Error, "metadata-only-at-root",
        "the metadata at the URL with the path of the resource inserted",
        "RFC 9728 section 3.1",
        "Serve it at the path-inserted URL. For clients that only look at the root, ProtectedResourceMetadata::also_at_root() adds that one.";
    METADATA_APPENDED:
        Metadata, Error, "metadata-appended",
        "the well-known part between host and path, not after the path",
        "RFC 9728 section 3.1",
        "Insert /.well-known/oauth-protected-resource before the path. With axum, merge metadata_router() into the outermost router and do not nest it.";
    METADATA_URL_INVALID:
        Metadata, Error, "metadata-url-invalid",
        "an absolute https URL without a fragment in resource_metadata",
        "RFC 9728 section 5.1",
        "Write the full URL of the metadata.";
    METADATA_URL_HTTP:
        Metadata, Error, "metadata-url-http",
        "an https URL in resource_metadata",
        "RFC 9728 section 5.1",
        "Configure the public https URL of the resource: ProtectedResourceMetadata::new(\"https://…\"). Do not derive it from the request behind a proxy.";
    METADATA_URL_ELSEWHERE:
        Metadata, Warning, "metadata-url-elsewhere",
        "a URL on the host of the resource in resource_metadata",
        "RFC 9728 section 3.3",
        "Serve the metadata on the same host. Clients may refuse metadata from another host.";
    METADATA_URL_OF_AUTHORIZATION_SERVER:
        Metadata, Error, "metadata-url-of-authorization-server",
        "the URL of the metadata of the resource, not of the authorization server",
        "RFC 9728 section 5.1",
        "Point resource_metadata to /.well-known/oauth-protected-resource. That document contains the authorization server.";
    METADATA_OF_AUTHORIZATION_SERVER:
        Metadata, Error, "metadata-of-authorization-server",
        "metadata with resource and authorization_servers, not that of an authorization server",
        "RFC 9728 section 2",
        "Serve the metadata of the resource at this URL. Its authorization_servers names the issuer.";
    METADATA_UNREACHABLE:
        Metadata, Error, "metadata-unreachable",
        "a response",
        "RFC 9728 section 3.1",
        "Check the host in resource_metadata, and whether the proxy forwards the path.";
    METADATA_BEHIND_TOKEN:
        Metadata, Error, "metadata-behind-token",
        "200 without a token; clients read the metadata to get one",
        "RFC 9728 section 3.1",
        "Serve the metadata outside of the layer: Router::merge(metadata_router()?) after Router::layer, and exempt /.well-known/ in the proxy.";
    METADATA_REDIRECTED:
        Metadata, Error, "metadata-redirected",
        "200; many clients do not follow redirects of metadata",
        "RFC 9728 section 3.2",
        "Serve the document at the URL itself.";
    METADATA_STATUS:
        Metadata, Error, "metadata-status",
        "200",
        "RFC 9728 section 3.2",
        "Serve the document with 200.";
    METADATA_CONTENT_TYPE:
        Metadata, Error, "metadata-content-type",
        "Content-Type: application/json",
        "RFC 9728 section 3.2",
        "Set the content type.";
    METADATA_NOT_JSON:
        Metadata, Error, "metadata-not-json",
        "one JSON object",
        "RFC 9728 section 3.2",
        "Serve JSON. HTML often comes from the fallback of a single-page application: exempt /.well-known/ from it.";
    METADATA_REPEATED_MEMBER:
        Metadata, Warning, "metadata-repeated-member",
        "each member once",
        "RFC 8259 section 4",
        "Remove the repeated member. Parsers read different values.";
    METADATA_MEMBER_TYPE:
        Metadata, Error, "metadata-member-type",
        "the type that the standard gives the member",
        "RFC 9728 section 2",
        "Correct the member. A list is an array of strings, even with one element.";
    NO_RESOURCE:
        Metadata, Error, "no-resource",
        "the member resource",
        "RFC 9728 section 2",
        "Add resource with the URL that clients use.";
    RESOURCE_MISMATCH:
        Metadata, Error, "resource-mismatch",
        "exactly the URL that clients use; they compare it as text and stop if it differs",
        "RFC 9728 section 3.3",
        "Configure the public URL: ProtectedResourceMetadata::new(url), and use the same URL as the audience of the validator.";
    RESOURCE_IS_PARENT:
        Metadata, Note, "resource-is-parent",
        "the URL itself, or one above it",
        "RFC 9728 section 3.3",
        "No change is needed if the resource is the whole API: then run the doctor with its URL too. Clients that compare exactly refuse the metadata for this URL.";
    RESOURCE_NOT_HTTPS:
        Metadata, Error, "resource-not-https",
        "an https URL",
        "RFC 9728 section 1.2",
        "Configure the public https URL of the resource.";
    NO_AUTHORIZATION_SERVERS:
        Metadata, Warning, "no-authorization-servers",
        "authorization_servers with at least one issuer",
        "RFC 9728 section 2",
        "Name the issuer. tower-bearer takes it from the validator. MCP requires it.";
    AUTHORIZATION_SERVERS_EMPTY:
        Metadata, Error, "authorization-servers-empty",
        "at least one issuer, or no member",
        "RFC 9728 section 3.2",
        "Name the issuer, or leave the member out.";
    ISSUER_INVALID:
        Metadata, Error, "issuer-invalid",
        "an issuer identifier: an https URL without query and fragment",
        "RFC 8414 section 2",
        "Use the issuer as the authorization server publishes it.";
    ISSUER_HTTP:
        Metadata, Error, "issuer-http",
        "an https issuer",
        "RFC 8414 section 2",
        "Serve the authorization server over TLS, and name it with https.";
    ISSUER_IS_METADATA_URL:
        Metadata, Error, "issuer-is-metadata-url",
        "the issuer identifier, not the URL of its metadata",
        "RFC 9728 section 2",
        "Remove the well-known part from the URL in authorization_servers.";
    SCOPES_SUPPORTED_MISSING:
        Metadata, Note, "scopes-supported-missing",
        "scopes_supported",
        "RFC 9728 section 2",
        "Publish the scopes. tower-bearer publishes those of all layers, unless scopes_supported(…) is set.";
    SCOPE_NOT_SUPPORTED:
        Metadata, Note, "scope-not-supported",
        "each scope of the challenge also in scopes_supported",
        "RFC 9728 section 2",
        "Add the scope to scopes_supported, or leave it to tower-bearer.";
    BEARER_METHODS:
        Metadata, Warning, "bearer-methods",
        "bearer_methods_supported with \"header\" only",
        "RFC 9700 section 4.3.2",
        "Accept and advertise tokens in the Authorization header only: [\"header\"].";
    RESOURCE_URL_HTTP:
        Metadata, Warning, "resource-url-http",
        "https URLs",
        "RFC 9728 section 2",
        "Use https for jwks_uri and the pages named in the metadata.";
    ISSUER_UNREACHABLE:
        AuthorizationServer, Error, "issuer-unreachable",
        "a response of the authorization server",
        "RFC 8414 section 3",
        "Check the issuer in authorization_servers, and that clients outside of your network reach it.";
    ISSUER_METADATA_MISSING:
        AuthorizationServer, Error, "issuer-metadata-missing",
        "metadata at one of the well-known URLs of the issuer",
        "RFC 8414 section 3.1",
        "Check the issuer in authorization_servers: its path and a trailing slash make a difference. Or publish metadata at this URL.";
    ISSUER_METADATA_REDIRECTED:
        AuthorizationServer, Warning, "issuer-metadata-redirected",
        "200 instead of a redirect, which many clients do not follow",
        "RFC 8414 section 3.2",
        "Name the issuer of the target, or serve the document at the URL itself.";
    ISSUER_METADATA_CONTENT_TYPE:
        AuthorizationServer, Warning, "issuer-metadata-content-type",
        "Content-Type: application/json",
        "RFC 8414 section 3.2",
        "Set the content type.";
    ISSUER_METADATA_NOT_JSON:
        AuthorizationServer, Error, "issuer-metadata-not-json",
        "one JSON object",
        "RFC 8414 section 3.2",
        "Serve JSON, or 404 if there is no document at this URL: clients stop at the first response with 200.";
    ISSUER_METADATA_REPEATED_MEMBER:
        AuthorizationServer, Warning, "issuer-metadata-repeated-member",
        "each member once",
        "RFC 8259 section 4",
        "Remove the repeated member. Parsers read different values.";
    ISSUER_MISMATCH:
        AuthorizationServer, Error, "issuer-mismatch",
        "exactly the issuer that authorization_servers names",
        "RFC 8414 section 3.3",
        "Use the same text in both places, including a trailing slash. tower-bearer compares exactly, also with iss in tokens.";
    NO_TOKEN_ENDPOINT:
        AuthorizationServer, Error, "no-token-endpoint",
        "token_endpoint",
        "RFC 8414 section 2",
        "Publish the endpoint.";
    NO_AUTHORIZATION_ENDPOINT:
        AuthorizationServer, Warning, "no-authorization-endpoint",
        "authorization_endpoint, so that users can log in",
        "RFC 8414 section 2",
        "Publish the endpoint, unless only services use the API.";
    NO_JWKS_URI:
        AuthorizationServer, Warning, "no-jwks-uri",
        "jwks_uri, with the keys that verify tokens",
        "RFC 8414 section 2",
        "Publish the keys, or configure them: AuthorizationServer::with_endpoints(issuer).jwks_uri(…). Opaque tokens need introspection instead.";
    ENDPOINT_HTTP:
        AuthorizationServer, Error, "endpoint-http",
        "https endpoints",
        "RFC 8414 section 2",
        "Serve all endpoints over TLS. Behind a proxy, configure the public URL of the authorization server.";
    ENDPOINT_INVALID:
        AuthorizationServer, Error, "endpoint-invalid",
        "an absolute URL",
        "RFC 8414 section 2",
        "Correct the endpoint.";
    NO_S256:
        AuthorizationServer, Warning, "no-s256",
        "code_challenge_methods_supported with \"S256\"",
        "RFC 7636 section 4.2",
        "Enable PKCE with S256 and publish it. MCP clients must refuse to continue without it.";
    NO_RESPONSE_TYPES:
        AuthorizationServer, Note, "no-response-types",
        "response_types_supported",
        "RFC 8414 section 2",
        "Publish it. Strict clients refuse metadata without it.";
    SCOPE_UNKNOWN_TO_ISSUER:
        AuthorizationServer, Note, "scope-unknown-to-issuer",
        "the scopes of the challenge also in scopes_supported of the authorization server",
        "RFC 8414 section 2",
        "Register the scope at the authorization server, or correct its name.";
    KEYS_UNREACHABLE:
        Keys, Error, "keys-unreachable",
        "a response",
        "RFC 8414 section 2",
        "Check jwks_uri and that the resource server reaches it.";
    KEYS_REDIRECTED:
        Keys, Error, "keys-redirected",
        "200; tower-bearer does not follow redirects to keys",
        "RFC 8414 section 2",
        "Publish the target as jwks_uri.";
    KEYS_STATUS:
        Keys, Error, "keys-status",
        "200",
        "RFC 7517 section 5",
        "Serve the key set with 200 and without authentication.";
    KEYS_NOT_JSON:
        Keys, Error, "keys-not-json",
        "a JWK Set: an object with an array named keys",
        "RFC 7517 section 5",
        "Serve the key set as JSON at jwks_uri.";
    NO_KEYS:
        Keys, Error, "no-keys",
        "at least one key",
        "RFC 7517 section 5",
        "Publish the public keys that verify tokens.";
    NO_USABLE_KEY:
        Keys, Error, "no-usable-key",
        "at least one public key that can verify signatures: RSA from 2048 bits, P-256, P-384, P-521 or Ed25519",
        "RFC 8725 section 3.2",
        "Publish a public key of such a type.";
    PRIVATE_KEY_PUBLISHED:
        Keys, Error, "private-key-published",
        "public keys only",
        "RFC 7517 section 9.2",
        "Treat the key as stolen: replace it now, and refuse all tokens signed with it. Publish only the public members.";
    DUPLICATE_KID:
        Keys, Warning, "duplicate-kid",
        "a different kid for each key",
        "RFC 7517 section 4.5",
        "Give each key its own kid. Otherwise a verifier may try the wrong key.";
    NO_KID:
        Keys, Warning, "no-kid",
        "a kid for each key, so that verifiers find it after a rotation",
        "RFC 7517 section 4.5",
        "Add kid to the keys, and to the header of tokens.";
    KEY_UNUSABLE:
        Keys, Note, "key-unusable",
        "a key that can verify signatures",
        "RFC 7517 section 5",
        "No change is needed if tokens are signed with another key. Verifiers skip it.";
    SLOW_KEYS:
        Keys, Warning, "slow-keys",
        "a response within 2 seconds",
        "good practice: the first request with a new key waits for it",
        "Serve the keys from memory.";
}

//! All keys of a document: [`DOCUMENT`].

use super::shape::{Key, Shape, TableShape};

/// The root of a document: the settings of a resource server.
pub(super) static DOCUMENT: TableShape = TableShape {
    doc: "The settings of a resource server.",
    keys: &[
        Key::new(
            "audience",
            Shape::OneOrMany(&Shape::Text),
            "URIs of this resource server. A token must have one of its identifiers in `aud` (RFC 9068 section 4). Applies to \
             issuers without an audience of their own.",
        ),
        Key::new(
            "opaque_audience",
            Shape::OneOrMany(&Shape::Text),
            "Identifiers of this resource server that are not URIs, such as an application id of Entra ID.",
        ),
        Key::required(
            "issuers",
            Shape::List(&Shape::Table(&ISSUER)),
            "The authorization servers whose tokens are accepted. With several, the `iss` of a token selects one.",
        ),
        Key::new("metadata", Shape::Table(&METADATA), "The metadata to publish (RFC 9728). Default: none."),
        Key::new(
            "realm",
            Shape::Text,
            "The `realm` of challenges (RFC 9110 section 11.5). Default: none, or `api` if a challenge would have no other \
             parameter.",
        ),
        Key::new(
            "error_uri",
            Shape::Text,
            "The `error_uri` of challenges with an error (RFC 6750 section 3). Default: none.",
        ),
        Key::new(
            "scope_hierarchy",
            Shape::Map(&Shape::List(&Shape::Scope)),
            "Scopes that imply others: each scope with the scopes that it implies. Default: no scope implies another.",
        ),
        Key::new(
            "baseline_scopes",
            Shape::List(&Shape::Scope),
            "Scopes that are named in challenges but not required. Default: none.",
        ),
        Key::new(
            "claim_rules",
            Shape::List(&Shape::Table(&CLAIM_RULE)),
            "Rules for the claims of every token, checked on every request. Default: none.",
        ),
        Key::new(
            "verdict_cache_bytes",
            Shape::Size,
            "The maximum memory of the verdict cache. Default: \"32MiB\". \"0B\" disables the cache.",
        ),
        Key::new(
            "pseudonym_key_file",
            Shape::File,
            "A file with the key of pseudonyms in access logs, of at least 32 bytes. Default: no pseudonyms.",
        ),
        Key::new(
            "grpc_invalid_argument",
            Shape::Flag,
            "Answers malformed gRPC requests with 3 `INVALID_ARGUMENT` instead of 16 `UNAUTHENTICATED`. Default: false.",
        ),
        Key::new(
            "dangerously_forward_credential",
            Shape::Flag,
            "Passes the `Authorization` header to the inner service. Default: false; it is removed.",
        ),
        Key::new(
            "dangerously_pass_cors_preflight",
            Shape::Flag,
            "Passes CORS preflight requests without a token to an inner CORS layer. Default: false.",
        ),
        Key::new(
            "dangerously_let_streams_outlive_tokens",
            Shape::Flag,
            "Lets streams continue after the token of their request has expired. Default: false.",
        ),
        Key::new(
            "paths",
            Shape::Table(&PATHS),
            "What each method and path requires. Default: no path rules.",
        ),
        Key::new("grpc", Shape::Table(&GRPC), "What each gRPC method requires. Default: no rules for gRPC."),
        Key::new(
            "mcp",
            Shape::Table(&MCP),
            "What each operation of an MCP server requires. Default: no rules for MCP.",
        ),
    ],
};

static METADATA: TableShape = TableShape {
    doc: "The metadata of the protected resource (RFC 9728 section 2).",
    keys: &[
        Key::required("resource", Shape::Text, "The https URL that clients use (RFC 9728 section 1.2)."),
        Key::new(
            "scopes_supported",
            Shape::List(&Shape::Scope),
            "The published scopes. Default: the baseline scopes and those of the layers.",
        ),
        Key::new("resource_name", Shape::Text, "The name shown to users. Default: none."),
        Key::new(
            "resource_name_in",
            Shape::Map(&Shape::Text),
            "The name in other languages, by BCP 47 tag such as `de` (RFC 9728 section 2.1). Default: none.",
        ),
        Key::new(
            "resource_documentation",
            Shape::Text,
            "The https URL of a page for developers. Default: none.",
        ),
        Key::new(
            "resource_policy_uri",
            Shape::Text,
            "The https URL of the policy on data use. Default: none.",
        ),
        Key::new("resource_tos_uri", Shape::Text, "The https URL of the terms of service. Default: none."),
        Key::new("members", Shape::Map(&Shape::Any), "Other members of the document. Default: none."),
        Key::new(
            "signed_metadata",
            Shape::Text,
            "The metadata as a signed JWT (RFC 9728 section 2.2). Default: none.",
        ),
        Key::new(
            "also_at_root",
            Shape::Flag,
            "Also serves the document at `/.well-known/oauth-protected-resource`. Default: false.",
        ),
        Key::new(
            "allow_http_on_loopback",
            Shape::Flag,
            "Accepts http URLs on this machine, for development. Default: false.",
        ),
    ],
};

static ISSUER: TableShape = TableShape {
    doc: "An authorization server whose tokens are accepted.",
    keys: &[
        Key::required("issuer", Shape::Text, "The issuer identifier: an https URL (RFC 8414 section 2)."),
        Key::new(
            "validation",
            Shape::Word(&["jwt", "introspection"]),
            "How tokens are validated. Default: \"jwt\", locally. \"introspection\" sends them to the authorization server.",
        ),
        Key::new(
            "otherwise",
            Shape::Flag,
            "Validates opaque tokens and JWTs of issuers that are not listed, by introspection, or JWTs without `iss`. Default: \
             false; they are refused.",
        ),
        Key::new(
            "discover",
            Shape::Flag,
            "Finds endpoints that are not set in the metadata of the authorization server. Default: true.",
        ),
        Key::new("jwks_uri", Shape::Text, "The URL of the key set. Default: from the metadata."),
        Key::new(
            "introspection_endpoint",
            Shape::Text,
            "The URL of the introspection endpoint. Default: from the metadata.",
        ),
        Key::new(
            "keys",
            Shape::List(&Shape::Table(&KEY_FILE)),
            "Files with fixed keys. Default: keys are fetched.",
        ),
        Key::new(
            "allow_http_on_loopback",
            Shape::Flag,
            "Accepts http URLs on this machine, for development. Default: false.",
        ),
        Key::new("http_client", Shape::Table(&HTTP_CLIENT), "How the authorization server is reached."),
        Key::new("audience", Shape::OneOrMany(&Shape::Text), "URIs of this resource server at this issuer."),
        Key::new(
            "opaque_audience",
            Shape::OneOrMany(&Shape::Text),
            "Identifiers of this resource server at this issuer that are not URIs.",
        ),
        Key::new(
            "clock_skew",
            Shape::Duration,
            "The tolerated difference between the clocks. Default: \"30s\". Range: \"0s\" to \"5m\".",
        ),
        Key::new(
            "scopes_from",
            Shape::List(&Shape::Text),
            "The claims that scopes are read from: names, or JSON pointers (RFC 6901). Default: `scope`, or `scp` if there is no \
             `scope`.",
        ),
        Key::new(
            "claim_rules",
            Shape::List(&Shape::Table(&CLAIM_RULE)),
            "Rules for the claims of tokens of this issuer, checked when a token is validated. Default: none.",
        ),
        // Validation of JWTs
        Key::new(
            "algorithms",
            Shape::List(&Shape::Algorithm),
            "jwt: the accepted signature algorithms. Default: all asymmetric ones.",
        ),
        Key::new(
            "accept_typ_jwt",
            Shape::Table(&ACCESS_TOKEN_RULE),
            "jwt: also accepts tokens whose `typ` is `JWT` or absent, if they meet this rule (RFC 8725 section 3.12). Default: only \
             `at+jwt`.",
        ),
        Key::new(
            "max_age",
            Shape::Duration,
            "jwt: refuses tokens issued longer ago, even if `exp` allows them. Default: no maximum.",
        ),
        Key::new(
            "key_refresh_interval",
            Shape::Duration,
            "jwt: the age at which keys are fetched again. Default: \"5m\". Range: \"1m\" to \"24h\".",
        ),
        Key::new(
            "key_cool_down",
            Shape::Duration,
            "jwt: limits how often unknown keys trigger a fetch. Default: \"10s\". Range: \"1s\" to \"10m\".",
        ),
        Key::new(
            "key_fetch_timeout",
            Shape::Duration,
            "jwt: the maximum time for one fetch. Default: \"5s\". Range: \"100ms\" to \"1m\".",
        ),
        Key::new(
            "dangerously_allow_missing_issuer",
            Shape::Flag,
            "jwt: accepts tokens without `iss`. Default: false (RFC 9068 section 4).",
        ),
        // Introspection
        Key::new(
            "credential",
            Shape::Table(&CREDENTIAL),
            "introspection: the credential of this resource server at the introspection endpoint. Required.",
        ),
        Key::new(
            "cache_ttl",
            Shape::Duration,
            "introspection: how long a positive result is reused. Default: \"60s\". Range: \"0s\" to \"1h\".",
        ),
        Key::new(
            "inactive_ttl",
            Shape::Duration,
            "introspection: how long the result that a token is not active is reused. Default: \"5s\". Range: \"0s\" to \"1m\".",
        ),
        Key::new(
            "timeout",
            Shape::Duration,
            "introspection: the maximum time for a call. Default: \"3s\". Range: \"100ms\" to \"1m\".",
        ),
        Key::new(
            "token_type_hint",
            Shape::Flag,
            "introspection: sends `token_type_hint=access_token`. Default: false.",
        ),
        Key::new(
            "accept_scope_array",
            Shape::Flag,
            "introspection: accepts a `scope` that is an array. Default: false; such a token has no scopes.",
        ),
        Key::new(
            "dangerously_allow_missing_audience",
            Shape::Flag,
            "introspection: accepts responses without `aud`. Default: false (RFC 9700 section 2.3).",
        ),
    ],
};

static KEY_FILE: TableShape = TableShape {
    doc: "A file with public keys.",
    keys: &[
        Key::required("file", Shape::File, "A JWK Set, or a PEM public key."),
        Key::new(
            "algorithm",
            Shape::Algorithm,
            "The algorithm of a PEM key. Required for PEM, refused for a JWK Set.",
        ),
    ],
};

static HTTP_CLIENT: TableShape = TableShape {
    doc: "How an authorization server is reached.",
    keys: &[
        Key::new(
            "ca_file",
            Shape::File,
            "PEM certificates of private authorities, trusted in addition to those of the platform. Default: none.",
        ),
        Key::new(
            "proxy",
            Shape::Text,
            "The URL of a proxy, without user name and password. Default: from the environment (`HTTPS_PROXY`, `NO_PROXY`).",
        ),
        Key::new("proxy_user", Shape::Text, "The user name at the proxy. Default: none."),
        Key::new("proxy_password_file", Shape::File, "A file with the password at the proxy. Default: none."),
        Key::new("no_proxy", Shape::Flag, "Uses no proxy, even if the environment has one. Default: false."),
        Key::new(
            "public_addresses_only",
            Shape::Flag,
            "Connects only to addresses of the public internet, and uses no proxy. Default: false.",
        ),
        Key::new(
            "allowed_addresses",
            Shape::List(&Shape::Text),
            "Addresses and ranges that are allowed besides public ones, such as `10.20.0.0/16`. Default: none.",
        ),
    ],
};

static CREDENTIAL: TableShape = TableShape {
    doc: "The credential of this resource server at the introspection endpoint (RFC 7662 section 2.1).",
    keys: &[
        Key::required(
            "method",
            Shape::Word(&["secret_basic", "secret_post", "bearer"]),
            "How the credential is sent: in a Basic header, in the body, or as a bearer token.",
        ),
        Key::new("id", Shape::Text, "The identifier of this resource server. Required for a secret."),
        Key::required("secret_file", Shape::File, "A file with the secret or the bearer token."),
    ],
};

static CLAIM_RULE: TableShape = TableShape {
    doc: "A rule for a claim, with exactly one of `equals`, `one_of` and `present`.",
    keys: &[
        Key::required("claim", Shape::Text, "The name of the claim."),
        Key::new("equals", Shape::Text, "The claim must be this text."),
        Key::new("one_of", Shape::List(&Shape::Text), "The claim must be one of these texts."),
        Key::new("present", Shape::Flag, "The claim must be present, with any value but `null`."),
        Key::new(
            "forbidden",
            Shape::Flag,
            "Refuses with 403 instead of 401 `invalid_token`. Default: false.",
        ),
    ],
};

static ACCESS_TOKEN_RULE: TableShape = TableShape {
    doc: "What distinguishes access tokens from ID tokens: exactly one of these keys.",
    keys: &[
        Key::new(
            "has_one_of",
            Shape::OneOrMany(&Shape::Text),
            "Claims that only access tokens have. One of them must be present.",
        ),
        Key::new("claim_is", Shape::Table(&CLAIM_IS), "A claim that has this value only in access tokens."),
        Key::new(
            "audience_is_only_in_access_tokens",
            Shape::Flag,
            "No application is registered under the audience. This is not checked.",
        ),
    ],
};

static CLAIM_IS: TableShape = TableShape {
    doc: "A claim with a value.",
    keys: &[
        Key::required("claim", Shape::Text, "The name of the claim, such as `token_use`."),
        Key::required("value", Shape::Text, "Its value, such as `access`."),
    ],
};

/// The keys of what an operation requires.
macro_rules! requirement_keys {
    ($($first:expr),*) => {
        &[
            $($first,)*
            Key::new("scopes", Shape::List(&Shape::Scope), "All of these scopes are required."),
            Key::new(
                "any_of",
                Shape::List(&Shape::List(&Shape::Scope)),
                "All scopes of at least one of these lists are required.",
            ),
            Key::new(
                "access",
                Shape::Word(&["public", "token", "deny"]),
                "\"public\" requires nothing, \"token\" any valid token; \"deny\" refuses all requests.",
            ),
            Key::new(
                "acr_values",
                Shape::List(&Shape::Text),
                "How the user must have authenticated: one of these values of `acr` (RFC 9470).",
            ),
            Key::new(
                "max_age",
                Shape::Duration,
                "How long ago the user may have authenticated, in whole seconds (RFC 9470).",
            ),
        ]
    };
}

pub(super) static REQUIREMENT: TableShape = TableShape {
    doc: "What an operation requires, with exactly one of `scopes`, `any_of` and `access`.",
    keys: requirement_keys!(),
};

static PATH_RULE: TableShape = TableShape {
    doc: "A rule for a path, with exactly one of `scopes`, `any_of` and `access`.",
    keys: requirement_keys!(
        Key::required("path", Shape::Text, "A path such as `/job/{name}/build` or `/static/{*file}`."),
        Key::new(
            "methods",
            Shape::List(&Shape::Text),
            "The methods. Default: all without a rule of their own."
        )
    ),
};

const REQUIRES: Shape = Shape::Requirement(&REQUIREMENT);

static PATHS: TableShape = TableShape {
    doc: "Rules by method and path.",
    keys: &[
        Key::new(
            "rule",
            Shape::List(&Shape::Table(&PATH_RULE)),
            "The rules. Other requests: see `otherwise`.",
        ),
        Key::new(
            "otherwise",
            REQUIRES,
            "What paths without a rule require. Default: they are refused with 403.",
        ),
        Key::new(
            "allow_non_ascii",
            Shape::Flag,
            "Accepts letters and digits outside of ASCII in paths. Default: false.",
        ),
        Key::new(
            "extension_methods",
            Shape::List(&Shape::Text),
            "Methods that rules may name although they are not registered with IANA, such as `PURGE`. Default: none.",
        ),
        Key::new(
            "dangerously_public_otherwise",
            Shape::Flag,
            "Opens every path without a rule to requests without a token, instead of `otherwise`. Default: false.",
        ),
    ],
};

static GRPC: TableShape = TableShape {
    doc: "Rules by gRPC method.",
    keys: &[
        Key::new("methods", Shape::Map(&REQUIRES), "Methods such as `/orders.v1.Orders/List`."),
        Key::new(
            "services",
            Shape::Map(&REQUIRES),
            "Services such as `orders.v1.Orders`: their methods that are not listed.",
        ),
        Key::new("health", REQUIRES, "Health checks. Default: refused."),
        Key::new("reflection", REQUIRES, "Reflection. Default: refused."),
        Key::new("otherwise", REQUIRES, "Methods that are not listed. Default: refused."),
        Key::new(
            "dangerously_public_otherwise",
            Shape::Flag,
            "Opens every method that is not listed to calls without a token, instead of `otherwise`. Default: false.",
        ),
    ],
};

static MCP: TableShape = TableShape {
    doc: "Rules by operation of an MCP server.",
    keys: &[
        Key::new("connecting", REQUIRES, "Connecting and listing. Default: a valid token."),
        Key::new("tools", Shape::Map(&REQUIRES), "Tools by name."),
        Key::new("prompts", Shape::Map(&REQUIRES), "Prompts by name."),
        Key::new("resources", Shape::Map(&REQUIRES), "Resources by URI."),
        Key::new(
            "resource_templates",
            Shape::Map(&REQUIRES),
            "Resources by template such as `jobs://{job}/log`.",
        ),
        Key::new("methods", Shape::Map(&REQUIRES), "Methods such as `tools/list`."),
        Key::new(
            "extension_methods",
            Shape::Map(&REQUIRES),
            "Methods that are in no revision of MCP and no known extension.",
        ),
        Key::new(
            "otherwise",
            REQUIRES,
            "Operations that are not listed. Default: refused with 403. Not public.",
        ),
        Key::new(
            "allowed_origins",
            Shape::List(&Shape::Text),
            "The origins whose scripts may send requests. Default: all.",
        ),
        Key::new(
            "max_body_bytes",
            Shape::Size,
            "How much of a body is read. Default: \"1MiB\". Range: \"1B\" to \"64MiB\".",
        ),
        Key::new("body_deadline", Shape::Duration, "How long to wait for a body. Default: \"10s\"."),
    ],
};

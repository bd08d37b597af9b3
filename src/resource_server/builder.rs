//! The settings of a resource server, with their defaults.

use std::{fmt, sync::Arc};

use super::{ResourceServer, Settings};
use crate::{
    Clock, ConfigError, ProtectedResourceMetadata, Refusal, RejectionBody, RequestRule, Scope,
    ScopeHierarchy, SystemClock,
    config_error::Problem,
    protected_resource_metadata::Publication,
    refusal::{ChallengeSettings, RefusalSettings, WriteBody, is_error_uri, is_quotable, json_body},
    scope::OFFLINE_ACCESS,
    token::ServerId,
    validator::{CachedValidator, ErasedValidator},
};

/// Memory for verdicts, in bytes: tens of thousands of tokens.
const DEFAULT_CACHE_BYTES: u64 = 32 * 1024 * 1024;

/// Builds a [`ResourceServer`].
#[must_use]
pub struct ResourceServerBuilder {
    validator: Arc<dyn ErasedValidator>,
    metadata: Option<ProtectedResourceMetadata>,
    realm: Option<Box<str>>,
    error_uri: Option<Box<str>>,
    hierarchy: ScopeHierarchy,
    baseline: Vec<Scope>,
    claim_rules: Vec<RequestRule>,
    cache_bytes: u64,
    clock: Arc<dyn Clock>,
    forward_credential: bool,
    pass_cors_preflight: bool,
    grpc_invalid_argument: bool,
    write_body: Box<WriteBody>,
}

impl ResourceServerBuilder {
    pub(super) fn new(validator: Arc<dyn ErasedValidator>) -> Self {
        Self {
            validator,
            metadata: None,
            realm: None,
            error_uri: None,
            hierarchy: ScopeHierarchy::default(),
            baseline: Vec::new(),
            claim_rules: Vec::new(),
            cache_bytes: DEFAULT_CACHE_BYTES,
            clock: Arc::new(SystemClock),
            forward_credential: false,
            pass_cors_preflight: false,
            grpc_invalid_argument: false,
            write_body: Box::new(json_body),
        }
    }

    /// Publishes metadata (RFC 9728) and names its address in every challenge, so that callers find out where to get a
    /// token. The list of authorization servers comes from the validator. Default: none.
    ///
    /// The document still has to be served: mount [`ResourceServer::metadata_service`] at
    /// [`ResourceServer::metadata_paths`], or merge `ResourceServer::metadata_router` into an axum router.
    pub fn resource_metadata(mut self, metadata: ProtectedResourceMetadata) -> Self {
        self.metadata = Some(metadata);
        self
    }

    /// Sets the `realm` of challenges (RFC 9110 section 11.5). Default: none, or `api` where a challenge would say
    /// nothing else.
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = Some(realm.into().into());
        self
    }

    /// Sets the `error_uri` of challenges that have an error: a page for people (RFC 6750 section 3). Default: none.
    pub fn error_uri(mut self, uri: impl Into<String>) -> Self {
        self.error_uri = Some(uri.into().into());
        self
    }

    /// Declares which scope contains which. Default: none contains another.
    pub fn scope_hierarchy(mut self, hierarchy: ScopeHierarchy) -> Self {
        self.hierarchy = hierarchy;
        self
    }

    /// Names scopes in the challenges of [`ResourceServer::require_token`] and [`ResourceServer::allow_anonymous`], which
    /// clients then request. They are not required: [`ResourceServer::require_scopes`] names and requires. Default: none.
    pub fn baseline_scopes(mut self, scopes: impl IntoIterator<Item = Scope>) -> Self {
        self.baseline = scopes.into_iter().collect();
        self
    }

    /// Adds a rule for the claims of tokens that depends on the request or the time: a [`RequestRule`]. Default: none. All
    /// rules must be met.
    ///
    /// The layers check rules on every request with a token, in the order in which they were added, before the scopes. Each
    /// layer that a request passes checks them. A rule about the token alone is cheaper at the validator, which checks it once:
    /// see `claim_rule` of its builder. With a validator of your own, give a [`ClaimRule`](crate::ClaimRule) to this method.
    ///
    /// ```
    /// # use tower_bearer::{ClaimsSet, RequestHead, RequestRule, ResourceServer, TokenValidator};
    /// # fn with(validator: impl TokenValidator) -> Result<(), tower_bearer::ConfigError> {
    /// use http::Method;
    ///
    /// let resource_server = ResourceServer::builder(validator)
    ///     .claim_rule(RequestRule::new("auditors only read", |claims: &ClaimsSet, request: &RequestHead<'_>| {
    ///         request.method() == Method::GET || claims.claim::<String>("role").ok().flatten().as_deref() != Some("auditor")
    ///     }))
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn claim_rule(mut self, rule: impl Into<RequestRule>) -> Self {
        self.claim_rules.push(rule.into());
        self
    }

    /// Sets how much memory the verdicts on good tokens may take, in bytes. Zero switches the cache off, so that every
    /// request has its token validated. Default: 32 MiB, enough for about 30,000 tokens with a dozen claims.
    ///
    /// The bound holds within 10 % on a 64-bit system, whatever the tokens look like: an entry counts with all that it
    /// takes, and room is made before it enters. A request that goes on with a verdict keeps it in memory until it is
    /// done, even if the cache has evicted it. A verdict of more than 200 KiB, or of three quarters of a smaller
    /// cache, is not kept.
    ///
    /// When the cache is full, tokens that were used once are evicted first. A new token is kept at once. If it is not
    /// used again before about a tenth of the cache has been filled with other new tokens, it is evicted, and its next use
    /// costs a second validation (with introspection, a call). Tokens in use survive any number of good tokens that are
    /// used once, and tokens that are refused evict nothing. Memory of expired verdicts is reused, and released within
    /// minutes if new tokens arrive.
    pub fn verdict_cache_bytes(mut self, bytes: u64) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// Sets the clock of the cache and of the last check of `exp`. Default: [`SystemClock`].
    ///
    /// Validators have a clock of their own; give them the same.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Leaves the `Authorization` header in the request for the inner service, marked as sensitive. Default: it is
    /// removed.
    ///
    /// # Security
    /// A token that is passed on can be used by every service that receives it, for as long as it is valid. Send an
    /// upstream service a token of its own instead, for example by token exchange (RFC 8693).
    ///
    /// Around a gRPC service, use the layer that [`grpc`](crate::ValidateTokenLayer::grpc) returns. With any other, a client
    /// can replace the forwarded token after it was validated: tonic merges the trailers of a request into the metadata.
    pub fn dangerously_forward_credential(mut self) -> Self {
        self.forward_credential = true;
        self
    }

    /// Lets CORS preflight requests pass without a token, to an inner CORS layer. Default: they are refused like any
    /// request without a token.
    ///
    /// A preflight request is `OPTIONS` with `Origin` and `Access-Control-Request-Method`, and without `Authorization`,
    /// `Content-Type`, `Transfer-Encoding` and any `Content-Length` but 0 (Fetch standard, section "CORS-preflight
    /// fetch"). `OPTIONS` requests that differ need a token. You do not need this setting if the CORS layer is outside
    /// of this one: then it answers preflight requests before they get here.
    ///
    /// # Security
    /// Anyone can send such a request, so it bypasses authentication for every service that ignores the method:
    /// tonic, `any()` in axum, a method override. Put a CORS layer directly inside, which answers it.
    ///
    /// Only the head of the request is checked. In HTTP/2 and HTTP/3 a body can follow without a `Content-Length`, and
    /// the inner service can read it.
    pub fn dangerously_pass_cors_preflight(mut self) -> Self {
        self.pass_cors_preflight = true;
        self
    }

    /// Answers malformed gRPC requests with 3 `INVALID_ARGUMENT`. Default: 16 `UNAUTHENTICATED`, because many
    /// applications use a 3 themselves.
    pub fn grpc_invalid_argument(mut self) -> Self {
        self.grpc_invalid_argument = true;
        self
    }

    /// Writes the body of HTTP refusals. Status and challenge stay as they are; gRPC refusals have no body. Default:
    /// JSON, such as `{"status":401,"title":"Unauthorized"}`.
    ///
    /// The function gets the [`Refusal`]: answer, scopes, and method and URI of the request. Its
    /// [`error`](Refusal::error) is for operators: do not send its text to the caller.
    ///
    /// ```
    /// # struct Nobody;
    /// # impl tower_bearer::TokenValidator for Nobody {
    /// #     async fn validate(
    /// #         &self,
    /// #         _: &tower_bearer::AccessToken,
    /// #     ) -> Result<tower_bearer::ValidatedToken, tower_bearer::ValidationError> {
    /// #         Err(tower_bearer::ValidationError::Inactive)
    /// #     }
    /// # }
    /// # let validator = Nobody;
    /// use http::HeaderValue;
    /// use tower_bearer::{RejectionBody, ResourceServer};
    ///
    /// // Problem details of RFC 9457.
    /// let resource_server = ResourceServer::builder(validator)
    ///     .rejection_body(|refusal| {
    ///         let rejection = refusal.rejection();
    ///         let problem = serde_json::json!({
    ///             "status": rejection.status().as_u16(),
    ///             "title": rejection.description(),
    ///             "instance": refusal.uri().map(http::Uri::path),
    ///             "required_scopes": refusal.scopes().iter().map(|scope| scope.as_str()).collect::<Vec<_>>(),
    ///         });
    ///         RejectionBody::new(HeaderValue::from_static("application/problem+json"), problem.to_string())
    ///     })
    ///     .build()?;
    /// # Ok::<_, tower_bearer::ConfigError>(())
    /// ```
    pub fn rejection_body(
        mut self,
        write: impl Fn(&Refusal) -> RejectionBody + Send + Sync + 'static,
    ) -> Self {
        self.write_body = Box::new(write);
        self
    }

    /// Builds the resource server.
    ///
    /// # Errors
    /// Lists all settings that cannot work: a realm or `error_uri` that no header can hold, `offline_access` among the
    /// scopes (it is for the authorization server, not for a resource), a route of a [`RoutingValidator`] that no token can
    /// take.
    ///
    /// [`RoutingValidator`]: crate::RoutingValidator
    pub fn build(self) -> Result<ResourceServer, ConfigError> {
        let mut problems = self.validator.problems().to_vec();
        if let Some(realm) = self.realm.as_deref().filter(|realm| !is_quotable(realm)) {
            problems.push(Problem::new(
                "realm",
                realm,
                "expected visible ASCII and spaces (RFC 9110 section 11.5)",
            ));
        }
        if let Some(uri) = self.error_uri.as_deref().filter(|uri| !is_error_uri(uri)) {
            let expected = "expected a URI of the characters %x21 / %x23-5B / %x5D-7E (RFC 6750 section 3)";
            problems.push(Problem::new("error_uri", uri, expected));
        }
        problems.extend(self.claim_rules.iter().filter_map(RequestRule::problem));
        if self.baseline.iter().any(|scope| scope.as_str() == OFFLINE_ACCESS) {
            let expected = "expected scopes of this resource; whether a client gets a refresh token is between it and \
                            the authorization server";
            problems.push(Problem::new("baseline_scopes", OFFLINE_ACCESS, expected));
        }
        let publication = self.metadata.map(|metadata| {
            Publication::new(metadata, &self.validator.issuers(), &self.baseline)
                .map_err(|found| problems.extend(found))
        });
        let publication = publication.and_then(Result::ok);
        let validator = CachedValidator::new(self.validator, self.cache_bytes, Arc::clone(&self.clock));
        let validator = validator
            .map_err(|_| {
                let expected = "expected random bytes from the operating system";
                problems.push(Problem::without_value("verdict_cache_bytes", expected));
            })
            .ok();
        let Some(validator) = validator.filter(|_| problems.is_empty()) else {
            return Err(ConfigError::of(problems));
        };
        let challenge = ChallengeSettings {
            realm: self.realm,
            resource_metadata: publication.as_ref().map(|publication| publication.url().into()),
            error_uri: self.error_uri,
        };
        let refusals = RefusalSettings {
            challenge,
            write_body: self.write_body,
            grpc_invalid_argument: self.grpc_invalid_argument,
        };
        Ok(ResourceServer(Arc::new(Settings {
            id: ServerId::new(),
            validator: Arc::new(validator),
            clock: self.clock,
            refusals: Arc::new(refusals),
            publication,
            hierarchy: Arc::new(self.hierarchy),
            baseline: self.baseline.into_iter().collect(),
            claim_rules: self.claim_rules.into(),
            forward_credential: self.forward_credential,
            pass_cors_preflight: self.pass_cors_preflight,
        })))
    }
}

impl fmt::Debug for ResourceServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResourceServerBuilder")
            .field("issuers", &self.validator.issuers())
            .field("metadata", &self.metadata)
            .field("hierarchy", &self.hierarchy)
            .field("claim_rules", &self.claim_rules)
            .finish_non_exhaustive()
    }
}

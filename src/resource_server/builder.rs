//! The settings of a resource server and their defaults: [`ResourceServerBuilder`].

use std::{fmt, sync::Arc};

use super::{ResourceServer, Settings, Shared};
use crate::{
    Clock, ConfigError, Observer, ProtectedResourceMetadata, Refusal, RejectionBody, RequestRule,
    RequirementPolicy, Scope, ScopeHierarchy, SystemClock,
    config_error::Problem,
    observer::Observation,
    protected_resource_metadata::Publication,
    refusal::{ChallengeSettings, RefusalSettings, WriteBody, is_error_uri, is_quotable, json_body},
    scope::OFFLINE_ACCESS,
    token::{GuardSettings, PseudonymKey},
    validator::{CachedValidator, ErasedValidator},
};

/// Memory for cached verdicts, in bytes. Enough for tens of thousands of tokens.
const DEFAULT_CACHE_BYTES: u64 = 32 * 1024 * 1024;

/// Builds a [`ResourceServer`].
#[must_use]
pub struct ResourceServerBuilder {
    validator: Arc<dyn ErasedValidator>,
    metadata: Option<ProtectedResourceMetadata>,
    realm: Option<Box<str>>,
    error_uri: Option<Box<str>>,
    policy: Option<Arc<dyn RequirementPolicy>>,
    #[cfg(feature = "mcp")]
    mcp_policy: Option<crate::mcp::McpOperations>,
    hierarchy: ScopeHierarchy,
    baseline: Vec<Scope>,
    claim_rules: Vec<RequestRule>,
    cache_bytes: u64,
    clock: Arc<dyn Clock>,
    forward_credential: bool,
    pass_cors_preflight: bool,
    streams_outlive_tokens: bool,
    grpc_invalid_argument: bool,
    write_body: Box<WriteBody>,
    observation: Observation,
    pseudonym_key: Option<Box<[u8]>>,
}

impl ResourceServerBuilder {
    pub(super) fn new(validator: Arc<dyn ErasedValidator>) -> Self {
        Self {
            validator,
            metadata: None,
            realm: None,
            error_uri: None,
            policy: None,
            #[cfg(feature = "mcp")]
            mcp_policy: None,
            hierarchy: ScopeHierarchy::default(),
            baseline: Vec::new(),
            claim_rules: Vec::new(),
            cache_bytes: DEFAULT_CACHE_BYTES,
            clock: Arc::new(SystemClock),
            forward_credential: false,
            pass_cors_preflight: false,
            streams_outlive_tokens: false,
            grpc_invalid_argument: false,
            write_body: Box::new(json_body),
            observation: Observation::default(),
            pseudonym_key: None,
        }
    }

    /// Sets the metadata to publish (RFC 9728). Default: none.
    ///
    /// Every challenge then contains the URL of the metadata, so that clients find out where to get a token. The list
    /// of authorization servers comes from the validator.
    ///
    /// The metadata must also be served: mount [`ResourceServer::metadata_service`] at
    /// [`ResourceServer::metadata_paths`], or merge `ResourceServer::metadata_router` into an axum router.
    pub fn resource_metadata(mut self, metadata: ProtectedResourceMetadata) -> Self {
        self.metadata = Some(metadata);
        self
    }

    /// Sets the `realm` of challenges (RFC 9110 section 11.5).
    ///
    /// Default: none, or `api` if a challenge would have no other parameter. Range: visible ASCII and spaces.
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = Some(realm.into().into());
        self
    }

    /// Sets the `error_uri` of challenges with an error (RFC 6750 section 3). Default: none.
    ///
    /// It is the URI of a page that explains errors to people.
    pub fn error_uri(mut self, uri: impl Into<String>) -> Self {
        self.error_uri = Some(uri.into().into());
        self
    }

    /// Sets the policy for the layers of [`ResourceServer::require_policy`]; `McpOperations` also for those of
    /// `ResourceServer::require_mcp_policy` (feature `mcp`). Default: none.
    ///
    /// [`ResourceServer::reconfigure`] replaces it like all other settings. A layer of [`ResourceServer::require_by`] has its
    /// own policy, which never changes.
    ///
    /// The metadata lists [its scopes](RequirementPolicy::scopes) in `scopes_supported`, unless that was configured.
    pub fn policy(mut self, policy: impl RequirementPolicy) -> Self {
        #[cfg(feature = "mcp")]
        {
            self.mcp_policy = (&policy as &dyn std::any::Any).downcast_ref().cloned();
        }
        self.policy = Some(Arc::new(policy));
        self
    }

    /// Sets which scopes imply others. Default: no scope implies another.
    pub fn scope_hierarchy(mut self, hierarchy: ScopeHierarchy) -> Self {
        self.hierarchy = hierarchy;
        self
    }

    /// Sets scopes that are named but not required. Default: none.
    ///
    /// They are in the challenges of [`ResourceServer::require_token`] and [`ResourceServer::allow_anonymous`], so that
    /// clients request them. [`ResourceServer::require_scopes`] both names and requires scopes.
    pub fn baseline_scopes(mut self, scopes: impl IntoIterator<Item = Scope>) -> Self {
        self.baseline = scopes.into_iter().collect();
        self
    }

    /// Adds a [`RequestRule`]: a rule for claims that depends on the request or the time.
    ///
    /// Default: no rules. All rules must be met.
    ///
    /// Every layer that a request passes checks the rules for each request with a token, in the order in which they
    /// were added, before the scopes. A rule about the token alone is cheaper at the validator, which checks it once:
    /// see `claim_rule` of its builder. With a custom validator, pass a [`ClaimRule`](crate::ClaimRule) to this method.
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

    /// Sets the maximum memory of the verdict cache, in bytes. Default: 32 MiB.
    ///
    /// 32 MiB is enough for about 30,000 tokens with a dozen claims. Zero disables the cache, so that the token of
    /// every request is validated.
    ///
    /// The limit is accurate within 10 % on a 64-bit system, for all kinds of tokens. A request keeps its verdict in
    /// memory until it completes, even if the cache has evicted the verdict. A verdict of more than 200 KiB, or of more
    /// than three quarters of a smaller cache, is not cached.
    ///
    /// If the cache is full, tokens that were used once are evicted first. A new token is cached immediately. If it is
    /// not used again before about a tenth of the cache is filled with other new tokens, it is evicted, and its next
    /// use costs a second validation (with introspection, a call). Tokens in use stay cached, no matter how many valid
    /// tokens are used once. Refused tokens evict nothing. Memory of expired verdicts is reused, and released within
    /// minutes if new tokens arrive.
    pub fn verdict_cache_bytes(mut self, bytes: u64) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// Sets the clock used for the cache and the final check of `exp`. Default: [`SystemClock`].
    ///
    /// Validators have their own clock. Set the same clock for them.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Passes the `Authorization` header to the inner service. Default: it is removed.
    ///
    /// The header value is marked as sensitive.
    ///
    /// # Security
    /// Every service that receives the token can use it while it is valid. Send an upstream service its own token
    /// instead, for example by token exchange (RFC 8693).
    ///
    /// For a gRPC service, use the layer that [`grpc`](crate::ValidateTokenLayer::grpc) returns. Without it, a client
    /// can replace the forwarded token after validation, because tonic merges request trailers into the metadata.
    pub fn dangerously_forward_credential(mut self) -> Self {
        self.forward_credential = true;
        self
    }

    /// Passes CORS preflight requests without a token to an inner CORS layer.
    ///
    /// Default: they are refused like any request without a token.
    ///
    /// A preflight request is `OPTIONS` with `Origin` and `Access-Control-Request-Method`, and without `Authorization`,
    /// `Content-Type`, `Transfer-Encoding` and any `Content-Length` but 0 (Fetch standard, section "CORS-preflight
    /// fetch"). Other `OPTIONS` requests need a token. You do not need this setting if the CORS layer is outside this
    /// one, because it then answers preflight requests first.
    ///
    /// # Security
    /// Anyone can send such a request, so this setting bypasses authentication for every service that ignores the
    /// method: tonic, `any()` in axum, a method override. Add a CORS layer directly inside this one to answer such
    /// requests.
    ///
    /// Only the head of the request is checked. In HTTP/2 and HTTP/3 a body can follow without a `Content-Length`, and
    /// the inner service can read it.
    pub fn dangerously_pass_cors_preflight(mut self) -> Self {
        self.pass_cors_preflight = true;
        self
    }

    /// Lets streams continue after the token of their request has expired.
    ///
    /// Default: a stream ends at `exp` plus the clock skew of the validator. A stream is a response of the type
    /// `text/event-stream` (SSE, MCP) or `application/grpc`, and on a layer for [gRPC](crate::ValidateTokenLayer::grpc) every
    /// request whose body is still being sent. An SSE response just ends, so that the client reconnects with a new token. A
    /// gRPC call ends with the status 16 `UNAUTHENTICATED` on a layer for gRPC, and without a status on other layers. Other
    /// responses, such as downloads, are never cut. The layer cannot end an upgraded connection (WebSocket): its handler must
    /// check [`expires_at`](crate::ClaimsSet::expires_at). The streams of tokens without `exp` do not end early.
    ///
    /// When a gRPC call ends in this way, a task of the handler that still reads the request body gets the error
    /// [`TokenExpired`](crate::TokenExpired).
    ///
    /// # Security
    /// With this setting, a client receives data for as long as it keeps the connection open, even after its access was withdrawn.
    pub fn dangerously_let_streams_outlive_tokens(mut self) -> Self {
        self.streams_outlive_tokens = true;
        self
    }

    /// Answers malformed gRPC requests with 3 `INVALID_ARGUMENT`.
    ///
    /// Default: 16 `UNAUTHENTICATED`, because many applications use 3 for their own errors.
    pub fn grpc_invalid_argument(mut self) -> Self {
        self.grpc_invalid_argument = true;
        self
    }

    /// Sets the function that writes the body of HTTP refusals.
    ///
    /// Default: JSON, such as `{"status":401,"title":"Unauthorized"}`. If the challenge has an error, the body has the same `error` and
    /// `error_description`. A 400 or 403 without a challenge has a `detail` instead. Status and challenge do not change. gRPC
    /// refusals have no body.
    ///
    /// The function receives the [`Refusal`], with the rejection, the scopes, and the method and URI of the request.
    /// Its [`error`](Refusal::error) is for operators: do not send its text to the client.
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

    /// Sets the [`Observer`], which receives events about requests, validations, fetches and introspection calls. Default:
    /// none, without overhead.
    ///
    /// Validators that return their [dependencies](crate::TokenValidator::dependencies) report to it too. Several resource
    /// servers can have clones of the same `Arc`: events of a validator that they share are then reported once. A second call
    /// replaces the first observer.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observation = Observation::by(observer);
        self
    }

    /// Sets the key of pseudonyms: keyed hashes of the subject, for access logs. Default: none; then logs contain nothing
    /// about the subject.
    ///
    /// [`ValidatedToken::pseudonym`](crate::ValidatedToken::pseudonym) returns the pseudonym of a token. If the current `tracing`
    /// span has a field named `enduser.pseudo.id`, each layer that admits a token records it there.
    ///
    /// A pseudonym is the same for all tokens of a subject at one issuer, and for no other subject. It is HMAC-SHA-256 over
    /// issuer and subject, cut to 128 bits, in base64url. It changes with the key.
    ///
    /// The key must have at least 32 bytes. Use random bytes, the same in all instances of the service, and use them for
    /// nothing else.
    ///
    /// # Security
    /// Pseudonyms are personal data: they show which requests belong together, and anyone with the key can find the requests
    /// of a known subject. Do not store the key with the logs. Replace it to make old pseudonyms unlinkable to new ones.
    pub fn pseudonym_key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.pseudonym_key = Some(key.into().into());
        self
    }

    /// Builds the resource server.
    ///
    /// # Errors
    /// If a setting is invalid. The error lists all problems: a realm or `error_uri` with characters that are not
    /// allowed, `offline_access` as a scope (it is for the authorization server, not for a resource), invalid metadata,
    /// a route of a [`RoutingValidator`] that can never be
    /// chosen, or a short [`pseudonym_key`](Self::pseudonym_key).
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
            let expected = "expected scopes of this resource; offline_access is for the authorization server";
            problems.push(Problem::new("baseline_scopes", OFFLINE_ACCESS, expected));
        }
        let issuers = self.validator.issuers();
        let publication = self.metadata.map(|metadata| {
            let of_policy = self.policy.iter().flat_map(|policy| policy.scopes());
            let scopes = self.baseline.iter().cloned().chain(of_policy).collect();
            Publication::new(metadata, &issuers, scopes).map_err(|found| problems.extend(found))
        });
        let publication = publication.and_then(Result::ok);
        let validator = CachedValidator::new(self.validator, self.cache_bytes, Arc::clone(&self.clock));
        let pseudonyms = self.pseudonym_key.as_deref().and_then(PseudonymKey::new);
        if self.pseudonym_key.is_some() && pseudonyms.is_none() {
            let expected = "expected at least 32 bytes (RFC 2104 section 3)";
            problems.push(Problem::without_value("pseudonym_key", expected));
        }
        let validator = validator
            .map_err(|_| {
                let expected = "expected random bytes from the operating system";
                problems.push(Problem::without_value("verdict_cache_bytes", expected));
            })
            .ok();
        let Some(validator) = validator.filter(|_| problems.is_empty()) else {
            return Err(ConfigError::of(problems));
        };
        // The issuers of tenants cannot be listed, which is documented, so there is no warning.
        let names_none = issuers.is_empty() && !validator.has_tenants();
        if let Some(publication) = publication.as_ref().filter(|_| names_none) {
            // RFC 9728 section 2: `authorization_servers` is optional, but MCP clients need it.
            tracing::warn!(
                url = &*publication.url(),
                "metadata without authorization_servers, since the validator names no issuers: clients cannot find out \
                 where to get a token (see TokenValidator::issuers)"
            );
        }
        let challenge = ChallengeSettings {
            realm: self.realm,
            resource: publication.as_ref().map(Publication::resource),
            resource_metadata: publication.as_ref().map(Publication::url),
            error_uri: self.error_uri,
        };
        let refusals = RefusalSettings {
            challenge,
            write_body: self.write_body,
            grpc_invalid_argument: self.grpc_invalid_argument,
            observation: self.observation.clone(),
        };
        let guard = GuardSettings {
            hierarchy: self.hierarchy,
            refusals: Arc::new(refusals),
            clock: self.clock,
            baseline: self.baseline.into(),
            claim_rules: self.claim_rules.into(),
            forward_credential: self.forward_credential,
            pass_cors_preflight: self.pass_cors_preflight,
            streams_outlive_tokens: self.streams_outlive_tokens,
            pseudonyms,
        };
        let settings = Settings {
            validator: Arc::new(validator.observed_by(self.observation)),
            guard: Arc::new(guard),
            policy: self.policy,
            #[cfg(feature = "mcp")]
            mcp_policy: self.mcp_policy,
        };
        Ok(ResourceServer(Arc::new(Shared::new(settings, publication))))
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

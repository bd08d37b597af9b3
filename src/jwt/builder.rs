//! The settings of a JWT validator, with their defaults: [`JwtValidatorBuilder`].

use std::{sync::Arc, time::Duration};

use super::{
    AccessTokenRule, ClaimsPolicy, HeaderPolicy, JwtValidator, KeyRefresh, KeySource, RemoteKeys,
    remote_keys::warn_about_unpinned_keys,
};
use crate::{
    Algorithm, Audience, AuthorizationServer, ClaimRule, Clock, ConfigError, HttpClient, SystemClock,
    claims::{ClaimRules, MissingClaim, ScopeArray, ScopeSources},
    clock::{DEFAULT_CLOCK_SKEW, MAX_CLOCK_SKEW},
    config_error::Problem,
};

/// Builds a [`JwtValidator`].
#[derive(Debug)]
#[must_use]
pub struct JwtValidatorBuilder {
    authorization_server: AuthorizationServer,
    audience: Audience,
    algorithms: Box<[Algorithm]>,
    rule: Option<AccessTokenRule>,
    clock_skew: Duration,
    max_age: Option<Duration>,
    missing_issuer: MissingClaim,
    scope_sources: ScopeSources,
    claim_rules: Vec<ClaimRule>,
    refresh: KeyRefresh,
    clock: Arc<dyn Clock>,
}

impl JwtValidatorBuilder {
    pub(super) fn new(authorization_server: AuthorizationServer, audience: Audience) -> Self {
        Self {
            authorization_server,
            audience,
            algorithms: Algorithm::ALL.into(),
            rule: None,
            clock_skew: DEFAULT_CLOCK_SKEW,
            max_age: None,
            missing_issuer: MissingClaim::Refuse,
            scope_sources: ScopeSources::Standard(ScopeArray::Refuse),
            claim_rules: Vec::new(),
            refresh: KeyRefresh::default(),
            clock: Arc::new(SystemClock),
        }
    }

    /// Sets the accepted signature algorithms. Default: [all](Algorithm::ALL). At least one is required.
    ///
    /// If the server's keys do not declare an `alg`, set the algorithm in use, so that each key is used with one
    /// algorithm (RFC 8725 section 3.1). A warning in the log names such keys.
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = algorithms.into_iter().collect();
        self
    }

    /// Also accepts tokens whose `typ` is `JWT` or absent, if they meet `rule`.
    ///
    /// Default: only `at+jwt` is accepted (RFC 9068 section 4).
    ///
    /// Use this for servers that do not follow RFC 9068, which includes most large providers. `sub`, `iat` and `jti`
    /// become optional (RFC 9068 section 2.2 requires them). Issuer, audience and `exp` are always required.
    ///
    /// # Security
    /// ID tokens often have the same `typ`, issuer and keys. The rule must exclude them: see [`AccessTokenRule`].
    pub fn accept_typ_jwt(mut self, rule: AccessTokenRule) -> Self {
        self.rule = Some(rule);
        self
    }

    /// Sets the tolerated difference between this clock and the authorization server's.
    ///
    /// Default: 30 seconds. Range: zero to 5 minutes.
    ///
    /// Applied to `exp`, `nbf`, `iat` and [`max_age`](Self::max_age) (RFC 7519 section 4.1.4: "usually no more than a few
    /// minutes").
    pub fn clock_skew(mut self, clock_skew: Duration) -> Self {
        self.clock_skew = clock_skew;
        self
    }

    /// Refuses tokens issued longer ago than `max_age`, even if `exp` allows them.
    ///
    /// Tokens without `iat` are then refused too. Default: no maximum age. Range: more than zero.
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age);
        self
    }

    /// Accepts tokens without `iss`, such as SPIFFE JWT-SVIDs. Default: they are refused (RFC 9068 section 4).
    ///
    /// A token with another `iss` is refused even then. [`RoutingValidator`](crate::RoutingValidator) gives tokens without `iss`
    /// to the validator set with `otherwise`.
    ///
    /// # Security
    /// Only the key then tells who issued the token. Use this only if the keys sign tokens of one issuer, and add a
    /// [`claim_rule`](Self::claim_rule) for a claim that names it, such as the trust domain in `sub`.
    pub fn dangerously_allow_missing_issuer(mut self) -> Self {
        self.missing_issuer = MissingClaim::Accept;
        self
    }

    /// Sets the claims that scopes are read from, so that roles or permissions can be required like scopes. Default: `scope`,
    /// or `scp` if there is no `scope`.
    ///
    /// Each source is the name of a claim or, if it begins with `/`, a JSON pointer (RFC 6901) through objects, such as
    /// `/realm_access/roles`. The token has the scopes of **all** sources together:
    ///
    /// * a string is split at spaces, as `scope` is;
    /// * of an array of strings, each element is one scope. An element that is not a scope by RFC 6749 section 3.3, such as one
    ///   with a space, grants nothing;
    /// * a source that is absent or `null` grants nothing;
    /// * a source of any other type, or a pointer through something other than objects, refuses the token.
    ///
    /// `scope` and `scp` are read only if they are named. A scope grants the same whichever source it is from, so combine
    /// sources only if no word means different things in them. Challenges name a required role as a scope, which the
    /// authorization server may not know under that name.
    ///
    /// | provider | setting |
    /// |---|---|
    /// | Entra ID | `scopes_from(["scp", "roles"])` |
    /// | Keycloak, realm roles | `scopes_from(["scope", "/realm_access/roles"])` |
    /// | Auth0, permissions of RBAC | `scopes_from(["scope", "permissions"])` |
    ///
    /// [`build`](Self::build) refuses an empty list, an empty name, a pointer with a wrong `~`, and a name that identifies a
    /// client.
    pub fn scopes_from<S: Into<String>>(mut self, sources: impl IntoIterator<Item = S>) -> Self {
        self.scope_sources = ScopeSources::named(sources);
        self
    }

    /// Adds a rule for the claims, such as `ClaimRule::equals("tenant", "acme")`. Default: none. All rules must be met.
    ///
    /// Rules are checked last, in the order in which they were added, when a token is validated; not again while its verdict is
    /// in the cache. For rules that depend on the request or the time see
    /// [`ResourceServerBuilder::claim_rule`](crate::ResourceServerBuilder::claim_rule).
    pub fn claim_rule(mut self, rule: ClaimRule) -> Self {
        self.claim_rules.push(rule);
        self
    }

    /// Sets the age at which the keys are fetched again. Default: 5 minutes. Range: 1 minute to 24 hours.
    ///
    /// The refresh runs in the background while requests use the current keys. If it fails, the current keys stay in
    /// use, and it is retried after 1, 2, 4 seconds and so on, up to 60 seconds. A token that the current keys cannot
    /// verify triggers an earlier fetch: see [`key_cool_down`](Self::key_cool_down).
    pub fn key_refresh_interval(mut self, interval: Duration) -> Self {
        self.refresh.interval = interval;
        self
    }

    /// Limits how often tokens that the current keys cannot verify trigger a fetch.
    ///
    /// Default: 10 seconds. Range: 1 second to 10 minutes.
    ///
    /// A token may name a new key, or its signature may not match because the key was replaced under the same `kid`.
    /// The request then fetches the keys before it is answered, so a token signed with a new key is accepted at once.
    /// Anyone can send tokens with invented key names and signatures, so these fetches are limited: a burst of 3, then
    /// one per cool-down. One that fails is also retried in the background, with the pauses of
    /// [`key_refresh_interval`](Self::key_refresh_interval).
    ///
    /// During a flood of such tokens, a token signed with a new key may be refused with 401 until the next fetch, for
    /// at most one cool-down. If a fetch does not return the key of an unknown `kid`, that `kid` triggers no other
    /// fetch for 30 seconds. A token that arrives before its key is published is therefore refused for at most 30
    /// seconds, or until another fetch returns the key. If a signature with a known `kid` is still bad after a fetch,
    /// that `kid` triggers no other fetch for one cool-down, at most 30 seconds.
    ///
    /// While fetches fail, a token with an unknown key is answered with 503, because the key may exist. A bad signature
    /// with a known key is answered with 401 while the keys are younger than
    /// [`key_refresh_interval`](Self::key_refresh_interval), and with 503 after that.
    pub fn key_cool_down(mut self, cool_down: Duration) -> Self {
        self.refresh.cool_down = cool_down;
        self
    }

    /// Sets the maximum time for one fetch, including metadata and keys.
    ///
    /// Default: 5 seconds. Range: 100 milliseconds to 1 minute.
    ///
    /// Requests that arrive before the first keys wait up to this long and are then answered with 503. If the runtime
    /// that runs the fetch has stopped, other requests wait twice as long and then start their own fetch.
    pub fn key_fetch_timeout(mut self, timeout: Duration) -> Self {
        self.refresh.timeout = timeout;
        self
    }

    /// Sets the clock used for token times and key ages. Default: [`SystemClock`].
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Sets the HTTP client if the authorization server has none.
    pub(crate) fn default_http_client(mut self, client: Option<&Arc<dyn HttpClient>>) -> Self {
        self.authorization_server = self.authorization_server.default_http_client(client);
        self
    }

    /// Builds the validator. Nothing is fetched until the first token arrives.
    ///
    /// Not checked: whether the authorization server can be reached.
    ///
    /// # Errors
    /// If a setting is invalid. The error lists all problems: invalid settings of the authorization server, an audience
    /// that is not a URI, no algorithm, a duration out of range, a rule that no token can meet, no source of keys, or
    /// no HTTP client.
    pub fn build(self) -> Result<JwtValidator, ConfigError> {
        let mut problems = self.audience.problems();
        if self.algorithms.is_empty() {
            problems.push(Problem::without_value("algorithms", "expected at least one"));
        }
        if self.clock_skew > MAX_CLOCK_SKEW {
            let expected = "expected at most 5 minutes (RFC 7519 section 4.1.4)";
            problems.push(Problem::new("clock_skew", format!("{:?}", self.clock_skew), expected));
        }
        if self.max_age.is_some_and(|max_age| max_age.is_zero()) {
            problems.push(Problem::new("max_age", "0s", "expected more than zero"));
        }
        problems.extend(self.rule.as_ref().and_then(AccessTokenRule::problem));
        problems.extend(self.refresh_problems());
        problems.extend(self.scope_sources.problems());
        problems.extend(self.claim_rules.iter().filter_map(ClaimRule::problem));
        let Some(server) = self.authorization_server.check(&mut problems) else {
            return Err(ConfigError::of(problems));
        };
        if server.keys.is_none() && !server.discovered && server.jwks_uri.is_none() {
            let expected = "expected keys, a jwks_uri or discovery, to verify signatures";
            problems.push(Problem::without_value("authorization server", expected));
        }
        let issuer = server.issuer.clone();
        let keys = match server.keys.clone() {
            Some(keys) => {
                warn_about_unpinned_keys(&issuer, &keys, &self.algorithms, None);
                Some(KeySource::Given(Arc::new(keys)))
            }
            None => server.client().map_err(|problem| problems.push(problem)).ok().map(|client| {
                let clock = Arc::clone(&self.clock);
                KeySource::Remote(RemoteKeys::new(
                    server,
                    client,
                    clock,
                    self.refresh,
                    self.algorithms.clone(),
                ))
            }),
        };
        let Some(keys) = keys.filter(|_| problems.is_empty()) else {
            return Err(ConfigError::of(problems));
        };
        let rules = ClaimRules {
            issuer: issuer.as_str().into(),
            missing_issuer: self.missing_issuer,
            audience: self.audience.spellings(),
            missing_audience: MissingClaim::Refuse,
            missing_expiry: MissingClaim::Refuse,
            clock_skew: self.clock_skew,
        };
        let policy = ClaimsPolicy {
            rules,
            scope_sources: self.scope_sources,
            claim_rules: self.claim_rules,
            max_age: self.max_age,
            rule: self.rule.clone(),
        };
        Ok(JwtValidator {
            issuer,
            keys,
            header_policy: HeaderPolicy { algorithms: self.algorithms, accept_typ_jwt: self.rule.is_some() },
            claims_policy: Arc::new(policy),
            clock: self.clock,
        })
    }

    fn refresh_problems(&self) -> Vec<Problem> {
        let seconds = Duration::from_secs;
        let settings = [
            (
                "key_refresh_interval",
                self.refresh.interval,
                seconds(60)..=seconds(24 * 60 * 60),
                "expected from 1 minute to 24 hours",
            ),
            (
                "key_cool_down",
                self.refresh.cool_down,
                seconds(1)..=seconds(10 * 60),
                "expected from 1 second to 10 minutes",
            ),
            (
                "key_fetch_timeout",
                self.refresh.timeout,
                Duration::from_millis(100)..=seconds(60),
                "expected from 100 milliseconds to 1 minute",
            ),
        ];
        settings
            .into_iter()
            .filter(|(_, span, range, _)| !range.contains(span))
            .map(|(setting, span, _, expected)| Problem::new(setting, format!("{span:?}"), expected))
            .collect()
    }
}

//! Rules for the claims of a token and the request that carries it: [`RequestRule`].

use std::{fmt, sync::Arc};

use http::{Extensions, HeaderMap, Method, Request, Uri};

use super::{ClaimRule, ClaimsSet};
use crate::{Rejection, UnixTime, ValidationError, config_error::Problem};

/// A rule for the claims of a token that depends on the request or the time.
///
/// Give it to [`ResourceServerBuilder::claim_rule`](crate::ResourceServerBuilder::claim_rule). It is checked on every
/// request with a token, also if the verdict on the token comes from the cache.
///
/// A request that does not meet the rule is refused with 403 without a challenge, since the token may be good for other
/// requests, or with 401 after [`invalid_token`](Self::invalid_token). Logs and [`ValidationError::ClaimRule`] name the rule,
/// never what the token has. Callers do not see the name.
///
/// ```
/// use tower_bearer::{ClaimsSet, RequestHead, RequestRule};
///
/// let own_tenant = RequestRule::new("tenant of the path", |claims: &ClaimsSet, request: &RequestHead<'_>| {
///     let tenant = request.uri().path().split('/').nth(1);
///     matches!(claims.claim::<String>("tenant"), Ok(own @ Some(_)) if own.as_deref() == tenant)
/// });
/// # let _ = own_tenant;
/// ```
#[derive(Clone)]
pub struct RequestRule(Kind);

#[derive(Clone)]
enum Kind {
    Claims(ClaimRule),
    Request { name: Arc<str>, rejection: Rejection, condition: Arc<Condition> },
}

type Condition = dyn Fn(&ClaimsSet, &RequestHead<'_>) -> bool + Send + Sync;

/// A request without its body, and the time of the check, for a [`RequestRule`].
#[derive(Clone, Copy)]
pub struct RequestHead<'a> {
    method: &'a Method,
    uri: &'a Uri,
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
    now: UnixTime,
}

impl RequestRule {
    /// Requires a function to return `true`. The name is for logs and [`ValidationError::ClaimRule`].
    ///
    /// The function must not block: it runs while the request waits. A panic is not caught.
    pub fn new(
        name: impl Into<String>,
        condition: impl Fn(&ClaimsSet, &RequestHead<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        let condition = Arc::new(condition);
        Self(Kind::Request { name: name.into().into(), rejection: Rejection::Forbidden, condition })
    }

    /// Refuses with 401 `invalid_token`, so that the client gets a new token. Default: 403.
    #[must_use]
    pub fn invalid_token(self) -> Self {
        Self(match self.0 {
            Kind::Claims(rule) => Kind::Claims(rule.refusing_with(Rejection::InvalidToken)),
            Kind::Request { name, condition, .. } => {
                Kind::Request { name, rejection: Rejection::InvalidToken, condition }
            }
        })
    }

    /// Returns the problem of a rule that no request can meet.
    pub(crate) fn problem(&self) -> Option<Problem> {
        match &self.0 {
            Kind::Claims(rule) => rule.problem(),
            Kind::Request { .. } => None,
        }
    }

    pub(crate) fn check(&self, claims: &ClaimsSet, request: &RequestHead<'_>) -> Result<(), ValidationError> {
        match &self.0 {
            Kind::Claims(rule) => rule.check(claims),
            Kind::Request { condition, .. } if condition(claims, request) => Ok(()),
            Kind::Request { name, rejection, .. } => {
                Err(ValidationError::ClaimRule { rule: Arc::clone(name), rejection: *rejection })
            }
        }
    }
}

/// A rule for the claims alone, checked on every request, for example in front of a validator of your own. It refuses as the
/// [`ClaimRule`] does.
impl From<ClaimRule> for RequestRule {
    fn from(rule: ClaimRule) -> Self {
        Self(Kind::Claims(rule))
    }
}

impl fmt::Debug for RequestRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Claims(rule) => rule.fmt(f),
            Kind::Request { name, rejection, .. } => {
                f.debug_struct("RequestRule").field("name", name).field("rejection", rejection).finish()
            }
        }
    }
}

impl<'a> RequestHead<'a> {
    pub(crate) fn new<B>(request: &'a Request<B>, now: UnixTime) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            extensions: request.extensions(),
            now,
        }
    }

    /// Returns the method.
    pub fn method(&self) -> &'a Method {
        self.method
    }

    /// Returns the URI, as the layer sees it. A router may have removed the beginning of the path. `Router::nest` of axum
    /// keeps the whole URI in the [`extensions`](Self::extensions), as `axum::extract::OriginalUri`.
    pub fn uri(&self) -> &'a Uri {
        self.uri
    }

    /// Returns the header fields. `Authorization` may still be there, with the token.
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// Returns what outer layers added to the request.
    pub fn extensions(&self) -> &'a Extensions {
        self.extensions
    }

    /// Returns the time by the clock of the resource server.
    pub fn now(&self) -> UnixTime {
        self.now
    }
}

/// Shows neither headers nor extensions, which may have the token, nor the query of the URI.
impl fmt::Debug for RequestHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead")
            .field("method", &self.method)
            .field("path", &self.uri.path())
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

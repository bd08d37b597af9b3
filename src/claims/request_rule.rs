//! Rules for the claims of a token and the request that carries it: [`RequestRule`].

use std::{fmt, sync::Arc};

use super::{ClaimRule, ClaimsSet};
use crate::{Rejection, RequestHead, ValidationError, config_error::Problem};

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

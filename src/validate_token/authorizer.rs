//! Decides about requests by more than scopes: [`Authorizer`].

use std::sync::Arc;

use http::request::Parts;

use crate::{
    BoxFuture, Clock, RequestHead, ValidatedToken, ValidationError,
    catch_panic::{Panicked, catch_panic},
};

/// Decides whether a valid token may do what a request asks for.
///
/// Give it to [`ValidateTokenLayer::authorizer`](super::ValidateTokenLayer::authorizer). It is asked after the scopes have
/// been checked, for every request with a token, also if the verdict on the token was cached.
///
/// ```
/// use http::Method;
/// use tower_bearer::{Authorizer, RequestHead, ValidatedToken, ValidationError};
///
/// struct Owners;
///
/// impl Authorizer for Owners {
///     async fn authorize(&self, token: &ValidatedToken, request: &RequestHead<'_>) -> Result<(), ValidationError> {
///         let owner = request.uri().path().split('/').nth(1);
///         match request.method() == Method::GET || owner == token.subject() {
///             true => Ok(()),
///             false => Err(ValidationError::denied("not the owner")),
///         }
///     }
/// }
/// ```
///
/// # Errors
/// [`ValidationError::denied`] refuses the request with 403, [`unavailable`](ValidationError::unavailable) with 503 (the
/// decision cannot be made now) and [`internal`](ValidationError::internal) with 500, as does a panic. Other errors are answered
/// as if the layer had found them.
///
/// # Caching
/// The layer caches no decision. If yours come from another service, you may cache one for as long as that service allows
/// (`Cache-Control: max-age`), in a bounded cache whose key has everything that the decision depends on: issuer, subject, method
/// and resource, and each claim that you send. Do not cache failures. The validity of the token need not be part of the key,
/// because the layer checks it on every request. `examples/authzen.rs` does this.
///
/// # Security
/// The request waits for the decision, so give it a deadline. It holds no permit of the inner service meanwhile. A client that
/// leaves cancels the decision.
pub trait Authorizer: Send + Sync + 'static {
    /// Decides about one request. Its head has no `Authorization` header, unless the resource server forwards it.
    fn authorize(
        &self,
        token: &ValidatedToken,
        request: &RequestHead<'_>,
    ) -> impl Future<Output = Result<(), ValidationError>> + Send;
}

/// An object-safe [`Authorizer`]. It takes the head of the request, so that the future borrows nothing, and returns it if the
/// request is allowed.
pub(crate) trait ErasedAuthorizer: Send + Sync {
    fn authorize(
        self: Arc<Self>,
        token: ValidatedToken,
        head: Parts,
        clock: Arc<dyn Clock>,
    ) -> BoxFuture<'static, Result<Parts, ValidationError>>;
}

/// Erases the type of an authorizer.
pub(super) fn erase(authorizer: impl Authorizer) -> Arc<dyn ErasedAuthorizer> {
    Arc::new(Erased(authorizer))
}

struct Erased<A>(A);

impl<A: Authorizer> ErasedAuthorizer for Erased<A> {
    fn authorize(
        self: Arc<Self>,
        token: ValidatedToken,
        head: Parts,
        clock: Arc<dyn Clock>,
    ) -> BoxFuture<'static, Result<Parts, ValidationError>> {
        let decision = async move {
            self.0.authorize(&token, &RequestHead::of_parts(&head, &*clock)).await?;
            Ok(head)
        };
        Box::pin(async {
            let panicked = |Panicked| Err(ValidationError::internal("the authorizer panicked"));
            catch_panic(decision).await.unwrap_or_else(panicked)
        })
    }
}

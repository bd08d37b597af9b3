//! Decisions that scopes cannot express: [`Authorizer`].

use std::sync::Arc;

use http::request::Parts;

use crate::{
    BoxFuture, Clock, RequestHead, ValidatedToken, ValidationError,
    catch_panic::{Panicked, catch_panic},
};

/// Decides whether a request with a valid token is allowed.
///
/// Give it to [`ValidateTokenLayer::authorizer`](super::ValidateTokenLayer::authorizer). It is called after all other checks, for
/// every request with a token, even if the verdict on the token was cached.
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
///         match request.method() == Method::GET || owner.is_some() && owner == token.subject() {
///             true => Ok(()),
///             false => Err(ValidationError::denied("not the owner")),
///         }
///     }
/// }
/// ```
///
/// # Errors
/// [`ValidationError::denied`] refuses the request with 403, [`unavailable`](ValidationError::unavailable) with 503 (the
/// decision cannot be made now) and [`internal`](ValidationError::internal) with 500, as does a panic. Other errors have the
/// same responses as those of the layer.
///
/// # Caching
/// The layer does not cache decisions. If another service makes them, you may cache them for as long as it allows
/// (`Cache-Control: max-age`). Use a bounded cache whose key has everything that the decision depends on: issuer, subject, method,
/// resource, and each claim that you send. Do not cache failures. The validity of the token need not be part of the key, because
/// the layer checks it on every request. `examples/authzen.rs` has such a cache.
///
/// # Security
/// The request waits for the decision, and the layer sets no deadline for it, so set one. While it waits, it holds no permit of the
/// inner service. If the client disconnects, the future is dropped.
pub trait Authorizer: Send + Sync + 'static {
    /// Returns `Ok` to allow the request.
    ///
    /// Its head has no `Authorization` header, unless the resource server forwards it.
    fn authorize(
        &self,
        token: &ValidatedToken,
        request: &RequestHead<'_>,
    ) -> impl Future<Output = Result<(), ValidationError>> + Send;
}

/// An object-safe [`Authorizer`]. It takes the head of the request, so that the future borrows nothing. It returns the head if
/// the request is allowed.
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

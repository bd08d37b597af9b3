//! The claims of the validated token as a type of the program: [`Claims`].

use serde::de::DeserializeOwned;

use crate::{Refusal, ValidatedToken, ValidationError};

/// Extracts the claims of the validated token as a type that implements `Deserialize`.
///
/// If the claims are not a `T`, the response is 403, because the token is valid and a new one would have the same
/// claims. The reason is [`ValidationError::ClaimsDoNotFit`], which names the claim. The other responses are those of
/// the extractor [`ValidatedToken`].
///
/// It is an extractor for axum handlers (feature `axum`) and for tools and prompts of rmcp (feature `rmcp`).
// The bound is here so that the compiler reports a missing `Deserialize`, not only that the function is not a handler.
#[derive(Clone, Copy, Debug)]
pub struct Claims<T: DeserializeOwned>(pub T);

impl<T: DeserializeOwned> Claims<T> {
    pub(super) fn of(token: &ValidatedToken) -> Result<Self, Refusal> {
        token.deserialize().map(Self).map_err(|error| token.refuse(ValidationError::ClaimsDoNotFit(error)))
    }
}

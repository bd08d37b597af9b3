//! The payload of a JWS before and after signature verification: [`UnverifiedPayload`] and [`SignedPayload`].

use std::{borrow::Cow, sync::Arc};

use super::compact::CompactJws;
use crate::{
    Algorithm, KeySet, ValidationError,
    strict_json::{self, Members},
    token::{KeyValidity, RefreshHook},
};

/// A payload whose signature was not verified. Its issuer may be a reason to refuse the token; nothing else may be
/// used.
pub(super) struct UnverifiedPayload<'a> {
    jws: &'a CompactJws<'a>,
    /// The members, if they were parsed to read the issuer, so that they are not parsed twice.
    members: Option<Members<'a>>,
}

/// A payload whose signature was verified.
pub(super) struct SignedPayload<'a> {
    members: Members<'a>,
    /// Whether the key that verified it is still in use.
    validity: KeyValidity,
}

impl<'a> UnverifiedPayload<'a> {
    pub(super) fn of(jws: &'a CompactJws<'a>) -> Self {
        Self { jws, members: None }
    }

    pub(super) fn kid(&self) -> Option<&'a str> {
        self.jws.kid()
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        self.jws.algorithm()
    }

    /// Returns `iss`, or `None` if it is absent or the payload is not an acceptable JSON object.
    pub(super) fn issuer(&mut self) -> Option<Cow<'a, str>> {
        let members = match self.members.take() {
            Some(members) => members,
            None => self.jws.claims().ok()?,
        };
        let issuer = members.find("iss").and_then(strict_json::string);
        self.members = Some(members);
        issuer
    }

    /// Verifies the signature, then parses the payload (RFC 7515 section 5.2). If the key is unknown or the signature
    /// is bad, it can be called again with other keys.
    pub(super) fn verify(&mut self, keys: &KeySet) -> Result<SignedPayload<'a>, ValidationError> {
        let validity = self.jws.verify(keys)?;
        let members = match self.members.take() {
            Some(members) => members,
            None => self.jws.claims()?,
        };
        Ok(SignedPayload { members, validity })
    }
}

impl<'a> SignedPayload<'a> {
    pub(super) fn members(&self) -> &Members<'a> {
        &self.members
    }

    /// Sets the hook that refreshes the keys when the verdict is reused from the cache.
    pub(super) fn refreshed_by(self, hook: Arc<dyn RefreshHook>) -> Self {
        Self { validity: self.validity.refreshed_by(hook), ..self }
    }

    pub(super) fn validity(&self) -> KeyValidity {
        self.validity.clone()
    }
}

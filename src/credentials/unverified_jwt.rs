//! Parses a JWT before anything is verified: [`UnverifiedJwt`].

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::MAX_PAYLOAD_LEN;
use crate::strict_json::{self, OwnedMembers};

/// The unverified header and payload of a JWT. Only used to choose a validator, which then does not need to decode and
/// parse the token again.
pub(crate) struct UnverifiedJwt {
    pub(crate) header: OwnedMembers,
    pub(crate) payload: OwnedMembers,
}

impl UnverifiedJwt {
    /// Parses a token of three parts. The first two must be JSON objects in base64url, and the first must have `alg`.
    /// Returns `None` otherwise.
    pub(super) fn parse(token: &str) -> Option<Self> {
        let mut parts = token.split('.');
        let (header, payload, _signature) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || payload.len() > MAX_PAYLOAD_LEN.div_ceil(3) * 4 {
            return None;
        }
        let header = OwnedMembers::parse(URL_SAFE_NO_PAD.decode(header).ok()?)?;
        header.find("alg")?;
        let payload = OwnedMembers::parse(URL_SAFE_NO_PAD.decode(payload).ok()?)?;
        Some(Self { header, payload })
    }

    /// Returns `iss`, for comparisons and logs. `None` if it is absent or not a string.
    pub(crate) fn issuer(&self) -> Option<Cow<'_, str>> {
        strict_json::string(self.payload.find("iss")?)
    }
}

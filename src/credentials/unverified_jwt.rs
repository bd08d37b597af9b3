//! What a token says about itself before anything is verified: [`UnverifiedJwt`].

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::MAX_PAYLOAD_LEN;
use crate::strict_json::{self, OwnedMembers};

/// The header and payload of a token that has the form of a JWT. Nothing is verified, so nothing in it counts; it serves to
/// choose a validator, and saves the chosen one from decoding and parsing again.
pub(crate) struct UnverifiedJwt {
    pub(crate) header: OwnedMembers,
    pub(crate) payload: OwnedMembers,
}

impl UnverifiedJwt {
    /// Parses a token of three parts, the first two JSON objects in base64url, the first with `alg`. Any other is `None`.
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

    /// Returns `iss`, to compare it and to show it in logs. `None` if there is none, or if it is not a string.
    pub(crate) fn issuer(&self) -> Option<Cow<'_, str>> {
        strict_json::string(self.payload.find("iss")?)
    }
}

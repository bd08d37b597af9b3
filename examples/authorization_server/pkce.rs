//! Is whoever redeems a code the one who asked for it? (RFC 7636)

use aws_lc_rs::constant_time;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

use super::{oauth_error::OAuthError, parameters::Parameters, secret::sha256};

/// The SHA-256 of a verifier that only the client knows.
pub(super) struct CodeChallenge(Vec<u8>);

impl CodeChallenge {
    /// Reads the challenge of an authorization request, which must have one (RFC 9700 section 2.1.1).
    pub(super) fn requested(parameters: &Parameters) -> Result<Self, OAuthError> {
        let challenge = parameters.required("code_challenge")?;
        // RFC 7636 section 4.3: left out, the method is "plain", which hides nothing from who reads the
        // request.
        if parameters.optional("code_challenge_method")? != Some("S256") {
            return Err(OAuthError::invalid_request("code_challenge_method must be S256"));
        }
        let digest = BASE64_URL_SAFE_NO_PAD.decode(challenge).ok().filter(|digest| digest.len() == 32);
        digest
            .map(Self)
            .ok_or_else(|| OAuthError::invalid_request("code_challenge is no SHA-256 in base64url"))
    }

    // RFC 7636 section 4.6.
    pub(super) fn check(&self, code_verifier: &str) -> Result<(), OAuthError> {
        check_grammar(code_verifier)?;
        constant_time::verify_slices_are_equal(&self.0, &sha256(code_verifier.as_bytes()))
            .map_err(|_| OAuthError::invalid_grant("code_verifier does not match"))
    }
}

// RFC 7636 section 4.1: 43 to 128 unreserved characters.
fn check_grammar(code_verifier: &str) -> Result<(), OAuthError> {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    if (43..=128).contains(&code_verifier.len()) && code_verifier.bytes().all(unreserved) {
        return Ok(());
    }
    Err(OAuthError::invalid_grant("code_verifier is malformed"))
}

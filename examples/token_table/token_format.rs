//! The format of the tokens: `ordt_`, 43 random characters and a checksum of 6 characters.
//!
//! | part | contents |
//! |---|---|
//! | prefix | `ordt_`. Choose your own: short, and found nowhere else. It shows which service a leaked token belongs to |
//! | secret | 43 characters of `0-9A-Za-z`, each random: 62^43 is more than 2^256 |
//! | checksum | CRC-32 (ISO-HDLC, as in zip) of prefix and secret, in base 62 with 6 characters |
//!
//! All characters are allowed in a bearer token (RFC 6750 section 2.1), and a double click selects the whole token.
//!
//! Secret scanners find tokens with [`PATTERN`]. The checksum separates tokens from other text that matches. It does not
//! prevent forgery, but a forged token is not in the table.

use aws_lc_rs::{error::Unspecified, rand};
use tower_bearer::AccessToken;

/// A regular expression that finds these tokens in any text.
pub(crate) const PATTERN: &str = r"\bordt_[0-9A-Za-z]{49}\b";

const PREFIX: &str = "ordt_";

/// Number of random characters. 43 is the smallest number with 62^n > 2^256.
const SECRET_LEN: usize = 43;

/// Number of characters of the checksum: 62^6 > 2^32.
const CHECKSUM_LEN: usize = 6;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Creates a token from the random numbers of the operating system.
pub(crate) fn generate() -> Result<AccessToken, Unspecified> {
    let mut token = String::with_capacity(PREFIX.len() + SECRET_LEN + CHECKSUM_LEN);
    token.push_str(PREFIX);
    while token.len() < PREFIX.len() + SECRET_LEN {
        let mut bytes = [0; SECRET_LEN];
        rand::fill(&mut bytes)?;
        // A remainder would make some characters more likely, so values from 62 to 63 are drawn again.
        let digits = bytes.iter().filter_map(|byte| DIGITS.get(usize::from(byte & 63)));
        let missing = PREFIX.len() + SECRET_LEN - token.len();
        token.extend(digits.map(|digit| char::from(*digit)).take(missing));
    }
    let checksum = checksum(token.as_bytes());
    token.extend(checksum.map(char::from));
    Ok(AccessToken::new(token))
}

/// Returns whether a string has the format and a correct checksum. Needs no database.
pub(crate) fn is_well_formed(token: &str) -> bool {
    let Some((body, found)) = token.as_bytes().split_last_chunk::<CHECKSUM_LEN>() else {
        return false;
    };
    let Some(secret) = body.strip_prefix(PREFIX.as_bytes()) else {
        return false;
    };
    secret.len() == SECRET_LEN && secret.iter().all(u8::is_ascii_alphanumeric) && *found == checksum(body)
}

/// Returns the CRC-32 in base 62, the most significant digit first.
fn checksum(body: &[u8]) -> [u8; CHECKSUM_LEN] {
    let mut rest = crc32(body);
    let mut digits = [b'0'; CHECKSUM_LEN];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[rest as usize % DIGITS.len()];
        rest /= DIGITS.len() as u32;
    }
    digits
}

fn crc32(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0xEDB8_8320;
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (POLYNOMIAL & (crc & 1).wrapping_neg()))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn crc_has_the_check_value_of_the_catalogue() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn token_of_the_guide_is_well_formed() {
        assert!(is_well_formed("ordt_00000000000000000000000000000000000000000003t7vIs"));
    }

    #[test]
    fn generated_tokens_are_well_formed_and_differ() {
        let tokens: HashSet<String> = (0..1_000).map(|_| generate().unwrap().expose().to_owned()).collect();

        assert_eq!(tokens.len(), 1_000);
        assert!(tokens.iter().all(|token| is_well_formed(token) && token.len() == 54), "{tokens:?}");
    }

    #[test]
    fn each_character_is_used_in_the_secret() {
        let used: HashSet<u8> = (0..100)
            .flat_map(|_| generate().unwrap().expose().as_bytes()[PREFIX.len()..][..SECRET_LEN].to_vec())
            .collect();

        assert_eq!(used.len(), DIGITS.len());
    }

    #[test]
    fn a_token_with_one_other_character_is_not_well_formed() {
        let token = generate().unwrap().expose().to_owned();

        for (at, _) in token.char_indices() {
            let mut other = token.clone().into_bytes();
            other[at] = if other[at] == b'a' { b'b' } else { b'a' };
            assert!(!is_well_formed(&String::from_utf8(other).unwrap()), "{at}");
        }
    }

    #[test]
    fn a_token_of_another_length_is_not_well_formed() {
        let token = generate().unwrap().expose().to_owned();

        for junk in ["", "ordt_", "x", &token[1..], &token[..53], &format!("{token}0"), &format!(" {token}")]
        {
            assert!(!is_well_formed(junk), "{junk:?}");
        }
    }
}

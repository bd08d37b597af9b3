//! Judges a response of the introspection endpoint by its status and content type.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, header::RETRY_AFTER};
use url::Url;

use super::failure::CallFailure;
use crate::{http_client::fetch::is_json, refusal::DEFAULT_RETRY_AFTER};

/// Maximum `Retry-After` of the authorization server that is passed on.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// Accepts 200 with JSON (RFC 7662 section 2.2). Every other response is a failure of the server, of us, or makes no sense.
pub(super) fn check_status(endpoint: &Url, response: &Response<Bytes>) -> Result<(), CallFailure> {
    match response.status().as_u16() {
        200 if is_json(response) => Ok(()),
        200 => Err(CallFailure::malformed("content type is not application/json")),
        status @ (429 | 500..=599) => Err(CallFailure::Unavailable {
            reason: format!("POST {endpoint}: status {status}"),
            retry_after: retry_after(response).unwrap_or(DEFAULT_RETRY_AFTER).min(MAX_RETRY_AFTER),
        }),
        // RFC 7662 section 2.3: 401 for a wrong credential. The others say that it is not accepted, or not here.
        status @ (401 | 403 | 404 | 405) => Err(CallFailure::Refused { status }),
        // Following a redirect would send our credential and the token to an address that nobody configured.
        300..=399 => Err(CallFailure::malformed("a redirect, which is not followed")),
        // RFC 7662 section 2.2: a token that is not understood is not active. Some servers answer 400 to a wrong credential.
        400 => {
            Err(CallFailure::malformed("status 400, which may be about this resource server's credential"))
        }
        status => Err(CallFailure::malformed(format!("status {status}, which RFC 7662 does not define"))),
    }
}

/// Reads `Retry-After` in seconds. A date is ignored.
fn retry_after(response: &Response<Bytes>) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use http::header::CONTENT_TYPE;

    use super::*;

    fn check(status: u16, headers: &[(&str, &str)]) -> Result<(), CallFailure> {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let endpoint = Url::parse("https://as.example.com/introspect").unwrap();
        check_status(&endpoint, &response.body(Bytes::new()).unwrap())
    }

    #[test]
    fn only_200_with_json_is_accepted() {
        let json = [(CONTENT_TYPE.as_str(), "application/json")];

        for status in (100..600).filter(|status| *status != 200) {
            assert!(check(status, &json).is_err(), "{status}");
        }
        assert!(check(200, &[]).is_err());
        assert_eq!(check(200, &json), Ok(()));
    }

    #[test]
    fn each_status_is_the_failure_of_one_side() {
        for status in [500, 502, 503, 504, 599, 429] {
            assert!(matches!(check(status, &[]), Err(CallFailure::Unavailable { .. })), "{status}");
        }
        for status in [401, 403, 404, 405] {
            assert_eq!(check(status, &[]), Err(CallFailure::Refused { status }));
        }
        for status in [201, 204, 301, 307, 400, 402, 406, 410, 418] {
            assert!(matches!(check(status, &[]), Err(CallFailure::Malformed { .. })), "{status}");
        }
    }

    #[test]
    fn retry_after_is_passed_on_up_to_a_minute() {
        for (value, seconds) in [("7", 7), ("60", 60), ("61", 60), ("86400", 60), ("-1", 2), ("soon", 2)] {
            let Err(CallFailure::Unavailable { retry_after, .. }) = check(503, &[("retry-after", value)])
            else {
                panic!("{value}");
            };
            assert_eq!(retry_after, Duration::from_secs(seconds), "{value}");
        }
    }
}

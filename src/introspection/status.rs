//! Checks the status and content type of an introspection response.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, header::RETRY_AFTER};
use url::Url;

use super::failure::CallFailure;
use crate::{http_client::fetch::is_json, refusal::DEFAULT_RETRY_AFTER};

/// Maximum `Retry-After` that is passed on from the authorization server.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// Accepts 200 with JSON (RFC 7662 section 2.2). Every other response is a failure.
pub(super) fn check_status(endpoint: &Url, response: &Response<Bytes>) -> Result<(), CallFailure> {
    match response.status().as_u16() {
        200 if is_json(response) => Ok(()),
        200 => Err(CallFailure::malformed("content type is not application/json")),
        status @ (429 | 500..=599) => Err(CallFailure::Unavailable {
            reason: format!("POST {endpoint}: status {status}"),
            retry_after: retry_after(response).unwrap_or(DEFAULT_RETRY_AFTER).min(MAX_RETRY_AFTER),
        }),
        // RFC 7662 section 2.3: 401 means that the credential is wrong. 403 refuses it, and 404 and 405 mean that there
        // is no endpoint at this URL.
        status @ (401 | 403 | 404 | 405) => Err(CallFailure::Refused { status }),
        // Following a redirect would send the credential and the token to a URL that was not configured.
        300..=399 => Err(CallFailure::malformed("redirects are not followed")),
        // RFC 7662 section 2.2: an unknown token is answered with `active: false`, not 400. Some servers answer 400 to
        // a wrong credential.
        400 => {
            Err(CallFailure::malformed("status 400, possibly because of this resource server's credential"))
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
    fn each_status_is_the_failure_of_the_server_or_of_our_request() {
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

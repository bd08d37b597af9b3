//! The differences between our verdicts and theirs, with the reason for each.

/// Names of tokens, libraries, and the reason.
pub(super) type Difference = (&'static [&'static str], &'static [&'static str], &'static str);

/// Tokens that we refuse and they accept.
pub(super) const STRICTER: &[Difference] = &[
    (
        &[
            "aud = [\"https://orders.example.com\",1]",
            "aud = [\"https://orders.example.com\",null]",
            "aud = [1,\"https://orders.example.com\"]",
        ],
        &["jose", "oauth4webapi"],
        "RFC 7519 section 4.1.3: aud is a string or an array of strings",
    ),
    (
        &[
            "cnf = \"a\"",
            "cnf = []",
            "cnf = null",
            "cnf = {\"jkt\":\"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I\"}",
            "cnf = {\"kid\":\"a\"}",
            "cnf = {\"x5t#S256\":\"bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2\"}",
            "payload: member twice in cnf",
        ],
        &["jose"],
        "jose ignores cnf, but a bearer request does not prove possession of a key",
    ),
    (&["cnf = {}"], &["jose", "oauth4webapi"], "a token with cnf is refused, even if cnf contains no key"),
    (
        &[
            "exp: 18446744073709551616",
            "exp: 1e308",
            "exp: 9007199254740993",
            "exp: 9223372036854775808",
            "exp: 99999999999999999999999999999999",
            "iat: 18446744073709551616",
            "iat: 1e308",
            "iat: 9007199254740993",
            "iat: 9223372036854775808",
            "iat: 99999999999999999999999999999999",
        ],
        &["jose", "oauth4webapi"],
        "times after the year 9999 are not accepted",
    ),
    (
        &[
            "exp: 1e400",
            "iat: 1e400",
            "iat: -1e400",
            "nbf: -1e400",
            "header: number too large for a float",
            "payload: number too large for a float",
        ],
        &["jose", "oauth4webapi"],
        "the number does not fit into a float; JavaScript reads Infinity",
    ),
    (
        &[
            "header: alg twice",
            "header: alg twice, one escaped",
            "header: kid twice",
            "header: typ twice",
            "header: unknown member twice",
            "payload: exp twice",
            "payload: exp twice, one escaped",
            "payload: iss twice",
            "payload: unknown member twice",
        ],
        &["jose", "oauth4webapi"],
        "RFC 7515 section 4 and RFC 7519 section 4 allow either: parsers disagree about which of the two members counts",
    ),
    (
        &["header: byte order mark", "payload: byte order mark"],
        &["jose", "oauth4webapi"],
        "RFC 8259 section 8.1: no byte order mark; both decode UTF-8 in a way that skips it",
    ),
    (
        &["header: lone surrogate", "payload: lone surrogate"],
        &["jose", "oauth4webapi"],
        "half of a surrogate pair is not a character (RFC 8259 section 8.2)",
    ),
    (
        &["header: invalid UTF-8", "payload: invalid UTF-8", "payload: overlong UTF-8"],
        &["oauth4webapi"],
        "oauth4webapi replaces invalid UTF-8 with U+FFFD",
    ),
    (
        &["payload: nested 20 deep", "payload: nested 200 deep", "payload: nested 4000 deep"],
        &["jose", "oauth4webapi"],
        "our limit on the depth",
    ),
    (
        &["header with 8000 more bytes", "payload: 64 KiB"],
        &["jose", "oauth4webapi"],
        "our limits on the length",
    ),
    (
        &["header b64 = false", "header b64 = true"],
        &["jose", "oauth4webapi"],
        "RFC 7797 section 7: b64 is not for JWTs, and must be in crit",
    ),
    (
        &["header cty = \"JWT\""],
        &["jose", "oauth4webapi"],
        "RFC 7519 section 5.2: cty JWT announces a nested JWT, which an access token is not",
    ),
    (
        &[
            "iat +31 s from now",
            "iat +3600 s from now",
            "iat: 1.0e10",
            "iat: 10000000000.0",
            "iat: 1E10",
            "iat: 1e10",
        ],
        &["jose", "oauth4webapi"],
        "a token issued in the future means that a clock is wrong or the token is forged",
    ),
    (
        &[
            "jti = 1",
            "jti = [\"a\"]",
            "jti = null",
            "jti = true",
            "jti = {}",
            "sub = 1",
            "sub = [\"a\"]",
            "sub = null",
            "sub = true",
            "sub = {}",
        ],
        &["jose"],
        "jose checks that jti and sub are present; RFC 7519 sections 4.1.2 and 4.1.7 say that they are strings",
    ),
    (
        &["scope = 1", "scope = [\"orders:read\"]", "scope = null"],
        &["jose", "oauth4webapi"],
        "both ignore scope; RFC 8693 section 4.2: a string",
    ),
    (
        &["line feed at the end"],
        &["jose", "oauth4webapi"],
        "not possible in a header; a JavaScript Request strips it, and jose's base64 decoder ignores it",
    ),
    (
        &["signed with a line feed", "signed with a line feed in the header"],
        &["jose"],
        "jose's base64 decoder ignores white space; not possible in a header",
    ),
    (&["signature with two =="], &["jose", "oauth4webapi"], "RFC 7515 section 2: no padding"),
    (
        &["signature with unused bits set"],
        &["jose", "oauth4webapi"],
        "another spelling of the same token; RFC 4648 section 3.5 allows refusing it",
    ),
    (
        &["signed with another encoding of the header"],
        &["jose", "oauth4webapi"],
        "RFC 7515 section 2: no padding",
    ),
    (
        &["signed with the standard alphabet"],
        &["oauth4webapi"],
        "RFC 7515 section 2: the alphabet of base64url",
    ),
];

/// Tokens that we accept and they refuse. The issuer signed each of them for this resource.
pub(super) const LAXER: &[Difference] = &[
    (
        &["alg Ed25519 with a key for EdDSA"],
        &["jose", "oauth4webapi"],
        "RFC 9864 section 2.2: Ed25519 is the new name for EdDSA with this key",
    ),
    (
        &["aud = \"https://orders.example.com/\""],
        &["jose", "oauth4webapi"],
        "RFC 3986 section 6.2.3: an empty path is equal to /; several servers add it",
    ),
    (
        &[
            "client_id = 1",
            "client_id = [\"a\"]",
            "client_id = null",
            "client_id = true",
            "client_id = {}",
            "without client_id",
        ],
        &["oauth4webapi"],
        "this crate never reads what identifies a client (RFC 9068 section 2.2 requires the claim, section 4 does not check it): R9068-08",
    ),
    (
        &["space in front"],
        &["jose"],
        "RFC 9110 section 11.6.2: several spaces may follow the scheme; jose gets the token with the space, without the scheme",
    ),
];

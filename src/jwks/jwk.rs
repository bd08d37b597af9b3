//! Reads one JWK strictly (RFC 7517 section 4): [`PublicJwk`].
//!
//! `jsonwebtoken` models the key. Before it parses the key, this module refuses duplicate members, private members and
//! members of the wrong type, and passes on only the members that this crate uses: see [`MODELLED`]. The checks below
//! then apply this crate's own rules. No function of `jsonwebtoken` that needs a cryptographic backend is called: these
//! functions panic if a user's dependencies enable no backend or two.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::jwk::{
    AlgorithmParameters, CommonParameters, EllipticCurve, EllipticCurveKeyParameters, Jwk, KeyOperations,
    OctetKeyPairParameters, PublicKeyUse,
};

use super::{
    Algorithm,
    material::{Material, Unusable},
};
use crate::strict_json::{self, Members};

/// A JWK that can verify signatures.
pub(super) struct PublicJwk {
    pub(super) kid: Option<Box<str>>,
    /// The algorithm that the key declares.
    pub(super) algorithm: Option<Algorithm>,
    pub(super) material: Material,
}

/// The members that are passed to `jsonwebtoken`.
///
/// `alg` is not passed, because `jsonwebtoken` does not support `ES512` and `Ed25519` and treats them like unknown
/// names. `x5c`, `x5t` and `x5u` are not passed, because this crate does not use them and `jsonwebtoken` would refuse
/// the key if one were malformed.
const MODELLED: [&str; 9] = ["kty", "use", "key_ops", "kid", "crv", "x", "y", "n", "e"];

/// Members of private and symmetric keys (RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

impl PublicJwk {
    pub(super) fn read(members: &Members<'_>) -> Result<Self, Unusable> {
        check_public(members)?;
        let Jwk { common, algorithm } = model(members)?;
        check_use(&common)?;
        let material = match algorithm {
            AlgorithmParameters::RSA(rsa) => {
                Material::Rsa { modulus: number(&rsa.n)?, exponent: number(&rsa.e)? }
            }
            AlgorithmParameters::EllipticCurve(ec) => point(&ec)?,
            AlgorithmParameters::OctetKeyPair(pair) => ed25519(&pair)?,
            _ => return Err(incomplete(members)),
        };
        Ok(Self { kid: common.key_id.map(Into::into), algorithm: declared_algorithm(members)?, material })
    }
}

// A published private key is compromised, and a symmetric key must never be published.
fn check_public(members: &Members<'_>) -> Result<(), Unusable> {
    if PRIVATE.iter().any(|name| members.find(name).is_some()) {
        return Err(Unusable("contains a private or symmetric key"));
    }
    Ok(())
}

/// Parses the key with `jsonwebtoken`.
fn model(members: &Members<'_>) -> Result<Jwk, Unusable> {
    let mut json = String::from("{");
    for name in MODELLED {
        let Some(value) = members.find(name) else {
            continue;
        };
        // `jsonwebtoken` also accepts null as an absent member, and `{"EC": null}` as `"EC"`.
        let is_of_its_type =
            if name == "key_ops" { value.starts_with('[') } else { strict_json::string(value).is_some() };
        if !is_of_its_type {
            return Err(Unusable("a member has the wrong type"));
        }
        let separator = if json.len() > 1 { "," } else { "" };
        json.extend([separator, "\"", name, "\":", value]);
    }
    json.push('}');
    serde_json::from_str(&json).map_err(|_| Unusable("key_ops is not an array of strings"))
}

// RFC 7517 sections 4.2 and 4.3: the key must be for signatures, and both members must agree.
fn check_use(common: &CommonParameters) -> Result<(), Unusable> {
    let used = common.public_key_use.as_ref();
    if used.is_some_and(|used| *used != PublicKeyUse::Signature) {
        return Err(NOT_FOR_SIGNATURES);
    }
    let Some(operations) = &common.key_operations else {
        return Ok(());
    };
    if !operations.contains(&KeyOperations::Verify) {
        return Err(Unusable("key_ops does not contain verify"));
    }
    let is_for_signatures = |operation| matches!(operation, &KeyOperations::Sign | &KeyOperations::Verify);
    if used.is_some() && !operations.iter().all(is_for_signatures) {
        return Err(Unusable("key_ops contradicts use"));
    }
    Ok(())
}

/// A key for another purpose. Servers publish encryption keys in the same set.
pub(super) const NOT_FOR_SIGNATURES: Unusable = Unusable("use is not sig");

fn point(ec: &EllipticCurveKeyParameters) -> Result<Material, Unusable> {
    let (algorithm, coordinate_len) = match ec.curve {
        EllipticCurve::P256 => (Algorithm::ES256, 32),
        EllipticCurve::P384 => (Algorithm::ES384, 48),
        EllipticCurve::P521 => (Algorithm::ES512, 66),
        // `jsonwebtoken` uses one enum for the curves of EC and OKP keys.
        _ => return Err(UNKNOWN_CURVE),
    };
    let (x, y) = (number(&ec.x)?, number(&ec.y)?);
    // RFC 7518 section 6.2.1.2: a coordinate must have the full length of the curve.
    if x.len() != coordinate_len || y.len() != coordinate_len {
        return Err(Unusable("a coordinate does not have the full length of the curve"));
    }
    Ok(Material::Ec(algorithm, [&[UNCOMPRESSED], x.as_slice(), y.as_slice()].concat()))
}

const UNKNOWN_CURVE: Unusable = Unusable("crv is not P-256, P-384 or P-521");

/// The first byte of an uncompressed point (SEC 1 section 2.3.3).
const UNCOMPRESSED: u8 = 4;

fn ed25519(pair: &OctetKeyPairParameters) -> Result<Material, Unusable> {
    match pair.curve {
        EllipticCurve::Ed25519 => Ok(Material::Ed25519(number(&pair.x)?)),
        _ => Err(NOT_ED25519),
    }
}

const NOT_ED25519: Unusable = Unusable("crv is not Ed25519");

fn number(text: &str) -> Result<Vec<u8>, Unusable> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Unusable("a number is not base64url"))
}

/// Returns the reason why `jsonwebtoken` cannot determine the key type.
fn incomplete(members: &Members<'_>) -> Unusable {
    let text = |name| members.find(name).and_then(strict_json::string);
    match (text("kty").as_deref(), text("crv").as_deref()) {
        (Some("RSA"), _)
        | (Some("EC"), Some("P-256" | "P-384" | "P-521"))
        | (Some("OKP"), Some("Ed25519")) => Unusable("a coordinate, modulus or exponent is missing"),
        (Some("EC"), _) => UNKNOWN_CURVE,
        (Some("OKP"), _) => NOT_ED25519,
        (None, _) => Unusable("missing kty"),
        _ => Unusable("kty is not RSA, EC or OKP"),
    }
}

/// Reads `alg`, which is optional.
fn declared_algorithm(members: &Members<'_>) -> Result<Option<Algorithm>, Unusable> {
    let Some(value) = members.find("alg") else {
        return Ok(None);
    };
    let name = strict_json::string(value).ok_or(Unusable("alg is not a string"))?;
    name.parse().map(Some).map_err(|_| Unusable("alg is not a supported signature algorithm"))
}

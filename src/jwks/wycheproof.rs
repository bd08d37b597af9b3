//! Runs the signature vectors of Project Wycheproof against [`KeySet::verify`]. They sign arbitrary bytes, so they
//! cannot be tested as tokens.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use wycheproof::{
    EdwardsCurve, EllipticCurve, HashFunction, Mgf, TestResult, ecdsa, eddsa, rsa_pkcs1_verify,
    rsa_pss_verify,
};

use super::{Algorithm, KeySet};
use crate::ValidationError;

/// Number of vectors that were checked.
#[derive(Debug, Default, PartialEq, Eq)]
struct Ran {
    valid: usize,
    invalid: usize,
}

/// A key, configured as JWK and as PEM.
struct Key {
    algorithm: Algorithm,
    from_jwk: KeySet,
    from_pem: KeySet,
}

impl Key {
    fn new(algorithm: Algorithm, mut jwk: Value, pem: &str) -> Self {
        jwk["alg"] = algorithm.as_str().into();
        Self {
            algorithm,
            from_jwk: KeySet::from_jwk(&jwk.to_string()).unwrap(),
            from_pem: KeySet::from_pem(pem, algorithm).unwrap(),
        }
    }

    fn accepts(&self, message: &[u8], signature: &[u8]) -> bool {
        let [by_jwk, by_pem] = [&self.from_jwk, &self.from_pem].map(|keys| {
            match keys.verify(None, self.algorithm, message, signature) {
                Ok(_) => true,
                Err(ValidationError::BadSignature) => false,
                Err(other) => panic!("{other}"),
            }
        });
        assert_eq!(by_jwk, by_pem, "JWK and PEM disagree");
        by_jwk
    }

    /// Checks one vector. Vectors marked as acceptable may be accepted or refused.
    fn check(&self, ran: &mut Ran, result: TestResult, message: &[u8], signature: &[u8], case: &str) {
        let accepts = self.accepts(message, signature);
        match result {
            TestResult::Valid => {
                assert!(accepts, "valid but refused: {} {case}", self.algorithm);
                ran.valid += 1;
            }
            TestResult::Invalid => {
                assert!(!accepts, "invalid but accepted: {} {case}", self.algorithm);
                ran.invalid += 1;
            }
            TestResult::Acceptable => {}
        }
    }
}

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn ecdsa_jwk(curve: &str, point: &[u8]) -> Value {
    let (x, y) = point[1..].split_at(point.len() / 2);
    json!({"kty": "EC", "crv": curve, "x": base64url(x), "y": base64url(y)})
}

fn rsa_jwk(modulus: &[u8], exponent: &[u8]) -> Value {
    json!({"kty": "RSA", "n": base64url(modulus), "e": base64url(exponent)})
}

#[test]
fn ecdsa_signatures_of_fixed_length() {
    for (name, curve, hash, crv, algorithm) in [
        (
            ecdsa::TestName::EcdsaSecp256r1Sha256P1363,
            EllipticCurve::Secp256r1,
            HashFunction::Sha2_256,
            "P-256",
            Algorithm::ES256,
        ),
        (
            ecdsa::TestName::EcdsaSecp384r1Sha384P1363,
            EllipticCurve::Secp384r1,
            HashFunction::Sha2_384,
            "P-384",
            Algorithm::ES384,
        ),
        (
            ecdsa::TestName::EcdsaSecp521r1Sha512P1363,
            EllipticCurve::Secp521r1,
            HashFunction::Sha2_512,
            "P-521",
            Algorithm::ES512,
        ),
    ] {
        let mut ran = Ran::default();
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            assert_eq!((group.key.curve, group.hash), (curve, hash));
            let key = Key::new(algorithm, ecdsa_jwk(crv, &group.key.key), &group.pem);
            for test in &group.tests {
                let case = format!("{}: {}", test.tc_id, test.comment);
                key.check(&mut ran, test.result, &test.msg, &test.sig, &case);
            }
        }
        assert!(ran.valid > 100 && ran.invalid > 50, "{algorithm}: {ran:?}");
    }
}

#[test]
fn ecdsa_signatures_in_der_are_refused() {
    for (name, crv, algorithm) in [
        (ecdsa::TestName::EcdsaSecp256r1Sha256, "P-256", Algorithm::ES256),
        (ecdsa::TestName::EcdsaSecp384r1Sha384, "P-384", Algorithm::ES384),
        (ecdsa::TestName::EcdsaSecp521r1Sha512, "P-521", Algorithm::ES512),
    ] {
        let mut refused = 0;
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            let key = Key::new(algorithm, ecdsa_jwk(crv, &group.key.key), &group.pem);
            for test in &group.tests {
                assert!(!key.accepts(&test.msg, &test.sig), "{algorithm} {}: {}", test.tc_id, test.comment);
                refused += 1;
            }
        }
        assert!(refused > 300, "{algorithm}: {refused}");
    }
}

#[test]
fn eddsa_signatures() {
    let mut ran = Ran::default();
    for group in eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap().test_groups {
        assert_eq!(group.key.curve, EdwardsCurve::Ed25519);
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": base64url(&*group.key.pk)});
        let key = Key::new(Algorithm::EdDSA, jwk, &group.pem);
        for test in &group.tests {
            let case = format!("{}: {}", test.tc_id, test.comment);
            key.check(&mut ran, test.result, &test.msg, &test.sig, &case);
        }
    }
    assert!(ran.valid > 50 && ran.invalid > 50, "{ran:?}");
}

#[test]
fn rsa_pkcs1_signatures() {
    use rsa_pkcs1_verify::TestName;

    let mut ran = Ran::default();
    for (name, hash, algorithm) in [
        (TestName::Rsa2048Sha256, HashFunction::Sha2_256, Algorithm::RS256),
        (TestName::Rsa2048Sha384, HashFunction::Sha2_384, Algorithm::RS384),
        (TestName::Rsa2048Sha512, HashFunction::Sha2_512, Algorithm::RS512),
        (TestName::Rsa3072Sha256, HashFunction::Sha2_256, Algorithm::RS256),
        (TestName::Rsa3072Sha384, HashFunction::Sha2_384, Algorithm::RS384),
        (TestName::Rsa3072Sha512, HashFunction::Sha2_512, Algorithm::RS512),
        (TestName::Rsa4096Sha256, HashFunction::Sha2_256, Algorithm::RS256),
        (TestName::Rsa4096Sha384, HashFunction::Sha2_384, Algorithm::RS384),
        (TestName::Rsa4096Sha512, HashFunction::Sha2_512, Algorithm::RS512),
        (TestName::Rsa8192Sha256, HashFunction::Sha2_256, Algorithm::RS256),
        (TestName::Rsa8192Sha384, HashFunction::Sha2_384, Algorithm::RS384),
        (TestName::Rsa8192Sha512, HashFunction::Sha2_512, Algorithm::RS512),
    ] {
        for group in rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
            assert_eq!(group.hash, hash);
            let key = Key::new(algorithm, rsa_jwk(&group.key.n, &group.key.e), &group.pem);
            for test in &group.tests {
                let case = format!("{name:?} {}: {}", test.tc_id, test.comment);
                key.check(&mut ran, test.result, &test.msg, &test.sig, &case);
            }
        }
    }
    assert!(ran.valid > 80 && ran.invalid > 2_000, "{ran:?}");
}

/// Returns the algorithm with exactly these parameters, if there is one.
fn pss_algorithm(group: &rsa_pss_verify::TestGroup) -> Option<Algorithm> {
    let (algorithm, hash_len) = match group.hash {
        HashFunction::Sha2_256 => (Algorithm::PS256, 32),
        HashFunction::Sha2_384 => (Algorithm::PS384, 48),
        HashFunction::Sha2_512 => (Algorithm::PS512, 64),
        _ => return None,
    };
    let is_mgf1_of_the_same = group.mgf == Mgf::Mgf1 && group.mgf_hash == Some(group.hash);
    (is_mgf1_of_the_same && group.salt_size == hash_len && group.key_size >= 2048).then_some(algorithm)
}

fn pss_groups() -> impl Iterator<Item = (rsa_pss_verify::TestName, rsa_pss_verify::TestGroup)> {
    rsa_pss_verify::TestName::all().into_iter().flat_map(|name| {
        let set = rsa_pss_verify::TestSet::load(name).unwrap();
        set.test_groups.into_iter().map(move |group| (name, group))
    })
}

#[test]
fn rsa_pss_signatures_with_salt_and_mask_of_the_same_hash() {
    let mut ran = Ran::default();
    for (name, group) in pss_groups() {
        let Some(algorithm) = pss_algorithm(&group) else { continue };
        // A key that contains its own parameters has another identifier, which is not accepted as an RSA key in PEM.
        let jwk = rsa_jwk(&group.key.n, &group.key.e);
        let keys = KeySet::from_jwk(&jwk.to_string()).unwrap();
        let key = match KeySet::from_pem(&group.pem, algorithm) {
            Ok(_) => Key::new(algorithm, jwk, &group.pem),
            Err(_) => Key { algorithm, from_jwk: keys.clone(), from_pem: keys },
        };
        for test in &group.tests {
            let case = format!("{name:?} {}: {}", test.tc_id, test.comment);
            key.check(&mut ran, test.result, &test.msg, &test.sig, &case);
        }
    }
    assert!(ran.valid > 200 && ran.invalid > 200, "{ran:?}");
}

#[test]
fn r7518_05_pss_signature_with_another_salt_length_or_mask_is_refused() {
    let (mut other_salts, mut other_masks) = (0, 0);
    for (name, group) in pss_groups() {
        if pss_algorithm(&group).is_some() || group.key_size < 2048 {
            continue;
        }
        let keys = KeySet::from_jwk(&rsa_jwk(&group.key.n, &group.key.e).to_string()).unwrap();
        for test in group.tests.iter().filter(|test| test.result != TestResult::Invalid) {
            for algorithm in [Algorithm::PS256, Algorithm::PS384, Algorithm::PS512] {
                let verdict = keys.verify(None, algorithm, &test.msg, &test.sig);
                assert!(
                    matches!(verdict, Err(ValidationError::BadSignature)),
                    "{algorithm} accepts {name:?} {}: {}",
                    test.tc_id,
                    test.comment
                );
            }
            let hash_is_ours = matches!(
                group.hash,
                HashFunction::Sha2_256 | HashFunction::Sha2_384 | HashFunction::Sha2_512
            );
            match group.mgf_hash == Some(group.hash) {
                true if hash_is_ours => other_salts += 1,
                true => {}
                false => other_masks += 1,
            }
        }
    }
    assert!(other_salts > 50 && other_masks > 50, "{other_salts} {other_masks}");
}

#[test]
fn largest_and_smallest_signature_values_are_refused() {
    let mut checked = 0;
    for group in
        rsa_pkcs1_verify::TestSet::load(rsa_pkcs1_verify::TestName::Rsa2048Sha256).unwrap().test_groups
    {
        let key = Key::new(Algorithm::RS256, rsa_jwk(&group.key.n, &group.key.e), &group.pem);
        let modulus: &[u8] = &group.key.n;
        for signature in [vec![], vec![0; 256], vec![0xff; 256], vec![1], modulus.to_vec(), vec![0; 1 << 20]]
        {
            assert!(!key.accepts(b"", &signature));
            checked += 1;
        }
    }
    assert!(checked > 0);
}

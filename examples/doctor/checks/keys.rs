//! The keys of the authorization server (RFC 7517).

use std::collections::BTreeMap;

use serde_json::Value;
use tower_bearer::KeySet;

use super::{
    super::{
        document::JsonDocument,
        finding::{Finding, quoted, shown},
        rules,
    },
    documents::DocumentRules,
};

/// `application/jwk-set+json` is as good as `application/json`, and most clients ignore the content type.
pub(crate) const RULES: DocumentRules = DocumentRules {
    unreachable: &rules::KEYS_UNREACHABLE,
    refused: &rules::KEYS_STATUS,
    redirected: &rules::KEYS_REDIRECTED,
    status: &rules::KEYS_STATUS,
    not_json: &rules::KEYS_NOT_JSON,
    content_type: None,
    repeated: None,
};

/// Members of private keys (RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

pub(crate) fn check(document: &JsonDocument) -> Vec<Finding> {
    let keys = match document.get("keys") {
        Some(Value::Array(keys)) => keys,
        Some(other) => {
            let found = format!("keys: {}", shown(other));
            return vec![Finding::new(&rules::KEYS_NOT_JSON, found)];
        }
        None => return vec![Finding::new(&rules::KEYS_NOT_JSON, "a JSON object without the member keys")],
    };
    if keys.is_empty() {
        return vec![Finding::new(&rules::NO_KEYS, "an empty array of keys")];
    }
    let mut findings = Vec::new();
    let mut unusable = Vec::new();
    let mut for_signatures = 0_usize;
    for (index, key) in keys.iter().enumerate() {
        let name = name(index, key);
        if let Some(member) = PRIVATE.iter().find(|member| key.get(**member).is_some()) {
            let found = format!("{name} has the private member {member:?}");
            findings.push(Finding::new(&rules::PRIVATE_KEY_PUBLISHED, found));
            unusable.push(format!("{name}: private or symmetric"));
            continue;
        }
        // Keys for encryption are usual, and not a fault.
        let is_for_encryption = key.get("use").and_then(Value::as_str) == Some("enc");
        match KeySet::from_jwk(&key.to_string()) {
            Ok(_) => for_signatures += 1,
            Err(_) if is_for_encryption => {}
            Err(error) => unusable.push(format!("{name}: {error}")),
        }
    }
    if for_signatures == 0 {
        let found = match unusable.is_empty() {
            true => "keys for encryption only".to_owned(),
            false => unusable.join("; "),
        };
        findings.push(Finding::new(&rules::NO_USABLE_KEY, found));
    } else {
        findings.extend(unusable.into_iter().map(|found| Finding::new(&rules::KEY_UNUSABLE, found)));
    }
    findings.extend(check_kids(keys));
    findings
}

fn check_kids(keys: &[Value]) -> Vec<Finding> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut without = 0_usize;
    for key in keys {
        match key.get("kid").and_then(Value::as_str) {
            Some(kid) => *counts.entry(kid).or_default() += 1,
            None => without += 1,
        }
    }
    let repeated = counts.into_iter().filter(|(_, count)| *count > 1);
    let mut findings: Vec<_> = repeated
        .map(|(kid, count)| {
            Finding::new(&rules::DUPLICATE_KID, format!("{count} keys with kid {}", quoted(kid)))
        })
        .collect();
    if without > 0 && keys.len() > 1 {
        findings.push(Finding::new(&rules::NO_KID, format!("{without} of {} keys without kid", keys.len())));
    }
    findings
}

/// Names a key by its position, type and `kid`.
fn name(index: usize, key: &Value) -> String {
    let text = |member: &str| key.get(member).and_then(Value::as_str).unwrap_or("(none)");
    format!("key {} (kty {}, kid {})", index + 1, quoted(text("kty")), quoted(text("kid")))
}

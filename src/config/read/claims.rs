//! Reads audiences and rules for claims.

use super::Reader;
use crate::{AccessTokenRule, Audience, ClaimRule, config::report::Report};

/// Returns the audience of an issuer, and the path of the setting that it comes from.
pub(super) fn audience(issuer: &Reader<'_>, root: &Reader<'_>, report: &mut Report) -> (Audience, String) {
    for reader in [issuer, root] {
        let (uris, opaque) = (reader.get("audience"), reader.get("opaque_audience"));
        if !uris.is_set() && !opaque.is_set() {
            continue;
        }
        let setting = if uris.is_set() { &uris } else { &opaque };
        let has_problem =
            |list: &Reader<'_>| list.is_invalid() || list.elements().iter().any(Reader::is_invalid);
        if [&uris, &opaque].into_iter().any(has_problem) {
            return (placeholder(), setting.path().to_owned());
        }
        let opaque: Audience = opaque.texts().into_iter().map(Audience::opaque).collect();
        return (Audience::from(uris.texts()).or(opaque), setting.path().to_owned());
    }
    let setting = issuer.get("audience");
    report.without_value(
        setting.path(),
        "expected an audience here or at the top of the document, since tokens for other services would be accepted (RFC \
         9068 section 4)",
    );
    (placeholder(), setting.path().to_owned())
}

/// Replaces a value with a problem, so that other settings can be checked.
fn placeholder() -> Audience {
    Audience::from("urn:example:invalid")
}

pub(super) fn claim_rules(list: &Reader<'_>, report: &mut Report) -> Vec<ClaimRule> {
    list.elements().iter().filter_map(|rule| claim_rule(rule, report)).collect()
}

fn claim_rule(reader: &Reader<'_>, report: &mut Report) -> Option<ClaimRule> {
    if reader.is_invalid() {
        return None;
    }
    let [equals, one_of, present] = ["equals", "one_of", "present"].map(|key| reader.get(key));
    let claim = reader.get("claim").text();
    let rule = match (equals.is_set(), one_of.is_set(), present.is_set()) {
        (true, false, false) => ClaimRule::equals(claim?, equals.text()?),
        (false, true, false) => {
            let values = one_of.elements();
            if values.iter().any(Reader::is_invalid) || one_of.is_invalid() {
                return None;
            }
            ClaimRule::one_of(claim?, one_of.texts())
        }
        (false, false, true) if present.flag_or(true) => ClaimRule::present(claim?),
        (false, false, true) => {
            report.value(present.path(), "false", "expected true, or another rule");
            return None;
        }
        _ => {
            report.without_value(reader.path(), "expected exactly one of equals, one_of and present");
            return None;
        }
    };
    Some(if reader.get("forbidden").flag() { rule.forbidden() } else { rule })
}

/// Reads what distinguishes access tokens from ID tokens (RFC 8725 section 3.12).
pub(super) fn access_token_rule(reader: &Reader<'_>, report: &mut Report) -> Option<AccessTokenRule> {
    if !reader.is_set() || reader.is_invalid() {
        return None;
    }
    let [has_one_of, claim_is, by_audience] =
        ["has_one_of", "claim_is", "audience_is_only_in_access_tokens"].map(|key| reader.get(key));
    match (has_one_of.is_set(), claim_is.is_set(), by_audience.is_set()) {
        (true, false, false) => {
            let names = has_one_of.elements();
            let has_problem = has_one_of.is_invalid() || names.iter().any(Reader::is_invalid);
            (!has_problem).then(|| AccessTokenRule::has_any_claim_in(has_one_of.texts()))
        }
        (false, true, false) => {
            Some(AccessTokenRule::claim_is(claim_is.get("claim").text()?, claim_is.get("value").text()?))
        }
        (false, false, true) if by_audience.flag_or(true) => {
            Some(AccessTokenRule::audience_is_only_in_access_tokens())
        }
        (false, false, true) => {
            report.value(by_audience.path(), "false", "expected true, or another rule");
            None
        }
        _ => {
            let expected = "expected exactly one of has_one_of, claim_is and audience_is_only_in_access_tokens, to exclude ID \
                            tokens (RFC 8725 section 3.12)";
            report.without_value(reader.path(), expected);
            None
        }
    }
}

//! Which claims the scopes of a token are read from: [`ScopeSources`].

use super::client_identity::is_client_identifier;
use crate::{
    ClaimError, Scopes,
    config_error::Problem,
    strict_json::{self, Members},
};

/// Where the scopes of a token are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ScopeSources {
    /// `scope`, or `scp` if there is no `scope`.
    Standard(ScopeArray),
    /// All of these together.
    Named(Box<[ScopeSource]>),
}

/// What a `scope` means that is an array of strings. In the standards it is a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScopeArray {
    /// The token is refused.
    Refuse,
    /// The token has no scopes.
    Ignore,
    /// Each element is a scope.
    Accept,
}

/// A claim, or the end of a path through objects that begins at a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ScopeSource {
    /// As it was configured, for messages.
    text: Box<str>,
    /// The names to follow: one for a claim at the top.
    path: Box<[Box<str>]>,
}

impl ScopeSources {
    pub(crate) fn named<S: Into<String>>(sources: impl IntoIterator<Item = S>) -> Self {
        Self::Named(sources.into_iter().map(|source| ScopeSource::new(&source.into())).collect())
    }

    /// Returns the problems of sources that cannot work.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let Self::Named(sources) = self else {
            return Vec::new();
        };
        if sources.is_empty() {
            return vec![Problem::without_value(
                "scopes_from",
                "expected at least one claim name or JSON pointer",
            )];
        }
        let problem = |source: &ScopeSource, expected| Problem::new("scopes_from", &*source.text, expected);
        sources.iter().filter_map(|source| Some(problem(source, source.problem()?))).collect()
    }

    /// Reads the scopes from a token's claims.
    pub(super) fn scopes(&self, members: &Members<'_>) -> Result<Scopes, ClaimError> {
        let sources = match self {
            Self::Standard(array) => return standard_scopes(*array, members),
            Self::Named(sources) => sources,
        };
        let mut words = Vec::new();
        for source in sources {
            let [claim, path @ ..] = &*source.path else {
                continue;
            };
            if let Some(value) = members.find(claim) {
                source.push_words(path, value, &mut words)?;
            }
        }
        Ok(Scopes::from_elements(words.iter().map(|word| &**word)))
    }
}

fn standard_scopes(array: ScopeArray, members: &Members<'_>) -> Result<Scopes, ClaimError> {
    // Both must have an acceptable type, also if only one of them counts.
    let scope = members.find("scope").map(|value| scope(value, array)).transpose()?;
    let scp = members.find("scp").map(scp_scopes).transpose()?;
    Ok(scope.or(scp).unwrap_or_default())
}

// RFC 9068 section 2.2.3 and RFC 7662 section 2.2: "scope" is a string.
fn scope(value: &str, array: ScopeArray) -> Result<Scopes, ClaimError> {
    if let Some(words) = strict_json::string(value) {
        return Ok(Scopes::new(&words));
    }
    let not_a_string = || ClaimError::wrong_type("scope", "a string (RFC 9068 section 2.2.3)");
    match array {
        ScopeArray::Refuse => Err(not_a_string()),
        ScopeArray::Ignore => Ok(Scopes::default()),
        ScopeArray::Accept => {
            let elements = strict_json::one_or_many(value).ok_or_else(not_a_string)?;
            Ok(Scopes::from_elements(elements.iter().map(|element| &**element)))
        }
    }
}

/// `scp` is a string at Entra ID and an array at Okta and Ory.
fn scp_scopes(value: &str) -> Result<Scopes, ClaimError> {
    if let Some(words) = strict_json::string(value) {
        return Ok(Scopes::new(&words));
    }
    let elements = strict_json::one_or_many(value)
        .ok_or_else(|| ClaimError::wrong_type("scp", "a string or an array of strings"))?;
    Ok(Scopes::from_elements(elements.iter().map(|element| &**element)))
}

impl ScopeSource {
    // RFC 6901 sections 3 and 4.
    fn new(text: &str) -> Self {
        let path = match text.strip_prefix('/') {
            Some(pointer) => {
                pointer.split('/').map(|name| name.replace("~1", "/").replace("~0", "~").into()).collect()
            }
            None => Box::new([text.into()]) as Box<[Box<str>]>,
        };
        Self { text: text.into(), path }
    }

    fn problem(&self) -> Option<&'static str> {
        if self.path.iter().any(|name| name.is_empty()) {
            return Some("expected a claim name or a JSON pointer without empty names");
        }
        if self.text.starts_with('/')
            && self.text.split('~').skip(1).any(|after| !after.starts_with(['0', '1']))
        {
            return Some("expected ~0 or ~1 for each ~ of a JSON pointer (RFC 6901 section 3)");
        }
        // Claims that identify the client are dropped at the top and from actors. Other claims are kept whole: the roles of
        // Keycloak are in members named after an application.
        let may_be_dropped = match &*self.path {
            [first, ..] if matches!(&**first, "act" | "may_act") => &*self.path,
            path => &path[..path.len().min(1)],
        };
        if may_be_dropped.iter().any(|name| is_client_identifier(name)) {
            return Some("expected a claim that does not identify the client: those are dropped");
        }
        None
    }

    /// Follows the rest of the path into a value and collects the words at its end. An absent part and `null` add none.
    fn push_words(&self, path: &[Box<str>], value: &str, words: &mut Vec<String>) -> Result<(), ClaimError> {
        if value == "null" {
            return Ok(());
        }
        if let [name, rest @ ..] = path {
            let wrong_type = |_| ClaimError::wrong_type(&self.text, "objects on the way");
            let members = Members::parse(value.as_bytes()).map_err(wrong_type)?;
            return members.find(name).map_or(Ok(()), |value| self.push_words(rest, value, words));
        }
        if let Some(text) = strict_json::string(value) {
            words.extend(text.split(' ').map(str::to_owned));
            return Ok(());
        }
        let elements = strict_json::one_or_many(value)
            .ok_or_else(|| ClaimError::wrong_type(&self.text, "a string or an array of strings"))?;
        words.extend(elements.into_iter().map(std::borrow::Cow::into_owned));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(sources: &[&str], json: &str) -> Result<String, String> {
        let members = Members::parse(json.as_bytes()).unwrap();
        let found = ScopeSources::named(sources.iter().copied()).scopes(&members);
        found.map(|scopes| scopes.to_string()).map_err(|error| error.to_string())
    }

    #[test]
    fn strings_are_split_and_arrays_are_taken_by_element() {
        let json = r#"{"scp":"a  b","roles":["c","d e","","é","f"],"n":null,"deep":{"x":{"y":["g"]}},"p/q":{"~":"h"}}"#;

        for (sources, expected) in [
            (&["scp"][..], "a b"),
            (&["roles"], "c f"),
            (&["roles", "scp"], "c f a b"),
            (&["scp", "absent", "n", "/n/x", "/absent/x", "/deep/absent", "/deep/x/y"], "a b g"),
            (&["/p~1q/~0"], "h"),
            (&["/scp"], "a b"),
            (&["absent"], ""),
        ] {
            assert_eq!(scopes(sources, json).unwrap(), expected, "{sources:?}");
        }
    }

    #[test]
    fn scopes_of_the_wrong_type_are_an_error() {
        for (sources, json) in [
            (["roles"], r#"{"roles":1}"#),
            (["roles"], r#"{"roles":{"a":true}}"#),
            (["roles"], r#"{"roles":["a",1]}"#),
            (["roles"], r#"{"roles":["a",["b"]]}"#),
            (["/a/b"], r#"{"a":{"b":false}}"#),
        ] {
            let error = scopes(&sources, json).unwrap_err();
            assert!(error.ends_with("expected a string or an array of strings"), "{error}");
        }
        for json in [r#"{"a":"b"}"#, r#"{"a":["b"]}"#, r#"{"a":{"b":"c","b":"d"}}"#] {
            let error = scopes(&["/a/b"], json).unwrap_err();
            assert!(error.ends_with("expected objects on the way"), "{error}");
        }
    }

    #[test]
    fn sources_that_cannot_work_are_problems() {
        for source in [
            "",
            "/",
            "/a/",
            "/a//b",
            "/a/~",
            "/a/~2b",
            "azp",
            "client_roles",
            "/act/cid",
            "/may_act/act/azp",
            "/client_id/x",
        ] {
            assert_eq!(ScopeSources::named([source]).problems().len(), 1, "{source:?}");
        }
        assert_eq!(ScopeSources::named(Vec::<String>::new()).problems().len(), 1);
        for source in [
            "scp",
            "/a/~0~1",
            "https://acme.example/roles",
            "a~b",
            "/realm_access/roles",
            "/resource_access/client_api/roles",
        ] {
            assert!(ScopeSources::named([source]).problems().is_empty(), "{source:?}");
        }
    }
}

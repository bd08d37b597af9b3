//! Reads the operation of an MCP message: [`Peeked`].

use std::borrow::Cow;

use http::HeaderMap;
use serde_json::{error::Category, value::RawValue};

use super::{
    HeaderMismatch,
    few::Few,
    headers::{self, HeaderFacts},
};
use crate::strict_json::{Members, string};

/// Maximum number of members of a batch. Combining their requirements takes time.
const MAX_BATCH: usize = 32;

/// Maximum length of an `id` that is repeated in an error, in bytes.
const MAX_ID_LEN: usize = 256;

/// The operations in the body of a request. Added to the request's extensions.
#[derive(Clone, Debug)]
pub(crate) enum Peeked {
    Operations(Vec<Operation>),
    /// The operation cannot be determined.
    Unknown,
}

#[derive(Clone, Debug)]
pub(crate) enum Operation {
    /// A request or notification.
    Message { method: Box<str>, target: Target<Box<str>> },
    /// The response to a request of the server.
    Response,
}

/// What a method is applied to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target<T> {
    None,
    Name(T),
    Uri(T),
    Uris(Vec<T>),
}

impl<'a> Target<&'a str> {
    /// Returns the target that `Mcp-Name` names for a method. Servers must compare it with the body for these methods only
    /// (MCP 2026-07-28, Streamable HTTP, section "Request Metadata").
    pub(super) fn of_name(method: &str, name: &'a str) -> Self {
        match method {
            "tools/call" | "prompts/get" => Self::Name(name),
            "resources/read" => Self::Uri(name),
            _ => Self::None,
        }
    }
}

/// Headers that contradict the body, and the `id` of the request.
#[derive(Debug)]
pub(crate) struct Mismatch {
    pub(crate) reason: HeaderMismatch,
    pub(crate) id: Option<Box<RawValue>>,
}

impl From<HeaderMismatch> for Mismatch {
    fn from(reason: HeaderMismatch) -> Self {
        Self { reason, id: None }
    }
}

impl Peeked {
    /// Reads a whole body, and compares the headers with it.
    ///
    /// # Errors
    /// If the headers must match the body and do not, if the protocol version appears twice, or if servers may read the body
    /// differently.
    pub(crate) fn read(headers: &HeaderMap, body: &[u8]) -> Result<Self, Mismatch> {
        let version = headers::version(headers).map_err(|_| HeaderMismatch::Malformed)?;
        let is_bound = version.is_some_and(headers::is_bound_version);
        let facts = match headers::read(headers) {
            Ok(facts) => facts,
            Err(_) if is_bound => return Err(HeaderMismatch::Malformed.into()),
            // Older revisions do not define these headers.
            Err(_) => return Ok(Self::Unknown),
        };
        if body.trim_ascii_start().starts_with(b"[") {
            return if is_bound {
                Err(HeaderMismatch::NotOneMessage.into())
            } else {
                batch(&facts, version, body)
            };
        }
        let Some(message) = Message::parse(body)? else { return Ok(Self::Unknown) };
        let read = message.check(&facts, version);
        let id = || message.id.map(str::to_owned).and_then(|id| RawValue::from_string(id).ok());
        let found = read.map_err(|reason| Mismatch { reason, id: id() })?;
        Ok(found.map_or(Self::Unknown, |operation| Self::Operations(vec![operation])))
    }
}

/// Reads a batch (MCP 2025-03-26).
fn batch(facts: &HeaderFacts<'_>, version: Option<&str>, body: &[u8]) -> Result<Peeked, Mismatch> {
    let Ok(Few(members)) = serde_json::from_slice::<Few<&RawValue, MAX_BATCH>>(body) else {
        return Ok(Peeked::Unknown);
    };
    if members.is_empty() {
        return Ok(Peeked::Unknown);
    }
    let mut operations = Vec::with_capacity(members.len());
    for member in members {
        let Some(message) = Message::parse(member.get().as_bytes())? else { return Ok(Peeked::Unknown) };
        match message.check(facts, version)? {
            Some(operation) => operations.push(operation),
            None => return Ok(Peeked::Unknown),
        }
    }
    Ok(Peeked::Operations(operations))
}

/// The parts of a JSON-RPC message that determine its operation.
struct Message<'a> {
    /// `None` for a response.
    method: Option<Cow<'a, str>>,
    /// The JSON text of a string or number.
    id: Option<&'a str>,
    is_notification: bool,
    target: Target<Box<str>>,
    /// The protocol version in the body.
    version: Option<Cow<'a, str>>,
}

impl<'a> Message<'a> {
    /// Returns `None` if the text is not JSON, or not a JSON-RPC message.
    ///
    /// # Errors
    /// If the text is JSON that parsers may read differently.
    fn parse(text: &'a [u8]) -> Result<Option<Self>, HeaderMismatch> {
        let Some(members) = object(text)? else { return Ok(None) };
        refuse_other_case(&members, &["method", "params", "id", "result", "error"])?;
        let id = members.find("id").filter(|id| is_id(id));
        let is_notification = members.find("id").is_none();
        let Some(method) = members.find("method") else {
            let is_response = members.find("result").is_some() || members.find("error").is_some();
            let response =
                Self { method: None, id: None, is_notification: false, target: Target::None, version: None };
            return Ok(is_response.then_some(response));
        };
        let Some(method) = string(method) else { return Ok(None) };
        let params = match members.find("params") {
            Some(params) if params.starts_with('{') => object(params.as_bytes())?,
            _ => None,
        };
        let version = match params.as_ref().and_then(|params| params.find("_meta")) {
            Some(meta) if meta.starts_with('{') => object(meta.as_bytes())?
                .and_then(|meta| meta.find("io.modelcontextprotocol/protocolVersion"))
                .and_then(string),
            _ => None,
        };
        let target = match &params {
            Some(params) => target(&method, params)?,
            None => Target::None,
        };
        Ok(Some(Self { method: Some(method), id, is_notification, target, version }))
    }

    /// Compares the headers with the message. Returns `None` if the operation cannot be determined.
    fn check(
        &self,
        facts: &HeaderFacts<'_>,
        version: Option<&str>,
    ) -> Result<Option<Operation>, HeaderMismatch> {
        if let Some(own) = self.version.as_deref()
            && version != Some(own)
            && (facts.is_bound || headers::is_bound_version(own))
        {
            return Err(HeaderMismatch::Version);
        }
        let Some(method) = self.method.as_deref() else {
            return match facts.method {
                None => Ok(Some(Operation::Response)),
                Some(_) if facts.is_bound => Err(HeaderMismatch::Method),
                Some(_) => Ok(None),
            };
        };
        let name = match &self.target {
            Target::Name(name) | Target::Uri(name) => Some(&**name),
            Target::None | Target::Uris(_) => None,
        };
        if facts.is_bound {
            // `initialize` belongs to older revisions, whose clients do not send these headers.
            let may_be_absent = self.is_notification || method == "initialize";
            if facts.method != Some(method) && !(may_be_absent && facts.method.is_none()) {
                return Err(HeaderMismatch::Method);
            }
            let needs_name = matches!(method, "tools/call" | "prompts/get" | "resources/read");
            let is_named = needs_name || matches!(method, "resources/subscribe" | "resources/unsubscribe");
            let is_absent = facts.name.is_none() && (!needs_name || self.is_notification);
            if is_named && !is_absent && facts.name.as_deref() != name {
                return Err(HeaderMismatch::Name);
            }
        } else if facts.method.is_some_and(|header| header != method)
            || facts.name.as_deref().is_some_and(|header| Some(header) != name)
        {
            return Ok(None);
        }
        Ok(Some(Operation::Message { method: method.into(), target: self.target.clone() }))
    }
}

fn target(method: &str, params: &Members<'_>) -> Result<Target<Box<str>>, HeaderMismatch> {
    let text = |members: &Members<'_>, name: &str| members.find(name).and_then(string).map(Box::<str>::from);
    Ok(match method {
        "tools/call" | "prompts/get" => {
            refuse_other_case(params, &["name"])?;
            text(params, "name").map_or(Target::None, Target::Name)
        }
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => {
            refuse_other_case(params, &["uri"])?;
            text(params, "uri").map_or(Target::None, Target::Uri)
        }
        "completion/complete" => {
            refuse_other_case(params, &["ref"])?;
            let Some(reference) = params.find("ref").filter(|text| text.starts_with('{')) else {
                return Ok(Target::None);
            };
            let Some(reference) = object(reference.as_bytes())? else { return Ok(Target::None) };
            refuse_other_case(&reference, &["type", "name", "uri"])?;
            match text(&reference, "type").as_deref() {
                Some("ref/prompt") => text(&reference, "name").map_or(Target::None, Target::Name),
                Some("ref/resource") => text(&reference, "uri").map_or(Target::None, Target::Uri),
                _ => Target::None,
            }
        }
        "subscriptions/listen" => {
            refuse_other_case(params, &["notifications"])?;
            let filter = match params.find("notifications") {
                None => return Ok(Target::Uris(Vec::new())),
                Some(filter) if filter.starts_with('{') => object(filter.as_bytes())?,
                // rmcp also accepts an array, with the members in a fixed order.
                Some(_) => None,
            };
            let Some(filter) = filter else { return Ok(Target::None) };
            refuse_other_case(&filter, &["resourceSubscriptions"])?;
            match filter.find("resourceSubscriptions") {
                None | Some("null") => Target::Uris(Vec::new()),
                Some(uris) => serde_json::from_str::<Few<Box<str>, MAX_BATCH>>(uris)
                    .map_or(Target::None, |Few(uris)| Target::Uris(uris)),
            }
        }
        _ => Target::None,
    })
}

/// Parses an object. `None` if the text is not JSON.
fn object(text: &[u8]) -> Result<Option<Members<'_>>, HeaderMismatch> {
    match Members::parse_message(text) {
        Ok(members) => Ok(Some(members)),
        Err(error) => match error.classify() {
            Category::Data => Err(HeaderMismatch::NotOneMessage),
            Category::Syntax | Category::Eof | Category::Io => Ok(None),
        },
    }
}

/// Refuses an object with a member whose name differs only by case from one of `names`. Some servers ignore case and would read
/// `Name` as `name`.
fn refuse_other_case(members: &Members<'_>, names: &[&str]) -> Result<(), HeaderMismatch> {
    let differs = |found: &str, name: &&str| found != *name && is_equal_ignoring_case(found, name);
    match members.iter().any(|member| names.iter().any(|name| differs(&member.name, name))) {
        true => Err(HeaderMismatch::NotOneMessage),
        false => Ok(()),
    }
}

/// Compares by the case rules of Unicode, since some servers also read U+017F as an `s`.
fn is_equal_ignoring_case(one: &str, other: &str) -> bool {
    let is_same = |one: char, other: char| {
        one == other
            || one.to_lowercase().next() == other.to_lowercase().next()
            || one.to_uppercase().next() == other.to_uppercase().next()
    };
    let (mut ones, mut others) = (one.chars(), other.chars());
    loop {
        match (ones.next(), others.next()) {
            (None, None) => return true,
            (Some(one), Some(other)) if is_same(one, other) => {}
            _ => return false,
        }
    }
}

/// Returns whether JSON text is a string or a number, and short enough to be repeated.
fn is_id(text: &str) -> bool {
    text.len() <= MAX_ID_LEN && text.starts_with(|first: char| matches!(first, '"' | '-' | '0'..='9'))
}

//! The command line: [`parse`].

use std::{path::PathBuf, time::Duration};

use http::Method;
use url::{Origin, Url};

pub(crate) const USAGE: &str = "\
usage: doctor [options] URL

Examines the resource server at URL, such as https://api.example.com/mcp, as a client without a token sees it.

options:
  --json            print the report as JSON
  --mcp             the server is an MCP server (default: if a segment of the path is \"mcp\")
  --method METHOD   send requests with this method (default: GET; POST with --mcp)
  --origin ORIGIN   scripts of this origin must be able to use the server, such as https://app.example.com
  --timeout TIME    wait this long for each response, such as 500ms, 10s or 1m (default: 10s)
  --ca FILE         also trust the certificates in this PEM file
  --codes           print the codes of all findings, as tables in Markdown
  --help            print this text

exit code: 0 no findings or only notes, 1 warnings, 2 errors, 3 not run";

/// Default of `--timeout`.
pub(crate) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// Range of `--timeout`. A shorter one would report healthy servers as unreachable.
const TIMEOUTS: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(300);

/// What to examine, and how.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) target: Url,
    pub(crate) is_mcp: bool,
    /// `None`: the usual method.
    pub(crate) method: Option<Method>,
    /// The origin whose scripts must be able to use the server.
    pub(crate) origin: Option<String>,
    pub(crate) timeout: Duration,
    /// A slower response is reported.
    pub(crate) slow_after: Duration,
    pub(crate) ca: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
}

#[derive(Debug)]
pub(crate) enum Command {
    Examine(Box<Settings>, Format),
    Help,
    Codes,
}

impl Settings {
    /// Returns the default settings for a target.
    ///
    /// # Errors
    /// If the target is not an `http` or `https` URL, or has a user name, a password or a fragment.
    pub(crate) fn new(target: &str) -> Result<Self, String> {
        let url = Url::parse(target).map_err(|error| {
            format!("URL {target:?}: {error}, expected one such as https://api.example.com/mcp")
        })?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("URL {target:?}: scheme {:?}, expected https", url.scheme()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                "URL with a user name or password, expected none: credentials are never sent".to_owned()
            );
        }
        if url.fragment().is_some() {
            return Err(format!("URL {target:?}: expected no fragment (RFC 9728 section 1.2)"));
        }
        let is_mcp = url.path().split('/').any(|segment| segment.eq_ignore_ascii_case("mcp"));
        Ok(Self {
            target: url,
            is_mcp,
            method: None,
            origin: None,
            timeout: DEFAULT_TIMEOUT,
            slow_after: Duration::from_secs(2),
            ca: None,
        })
    }
}

/// Parses the arguments.
///
/// # Errors
/// If an argument is unknown or invalid, as one line of text.
pub(crate) fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Command, String> {
    let mut arguments = arguments.into_iter();
    let (mut target, mut format, mut is_mcp) = (None, Format::Text, false);
    let (mut method, mut origin, mut timeout, mut ca) = (None, None, DEFAULT_TIMEOUT, None);
    while let Some(argument) = arguments.next() {
        let (name, inline) = match argument.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name.to_owned(), Some(value.to_owned())),
            _ => (argument, None),
        };
        if inline.is_some() && matches!(&*name, "--json" | "--mcp" | "--help" | "--codes") {
            return Err(format!("{name}: expected no value"));
        }
        let mut value =
            || inline.clone().or_else(|| arguments.next()).ok_or(format!("{name}: expected a value"));
        match &*name {
            "--help" | "-h" => return Ok(Command::Help),
            "--codes" => return Ok(Command::Codes),
            "--json" => format = Format::Json,
            "--mcp" => is_mcp = true,
            "--method" => method = Some(parse_method(&value()?)?),
            "--origin" => origin = Some(parse_origin(&value()?)?),
            "--timeout" => timeout = parse_timeout(&value()?)?,
            "--ca" => ca = Some(PathBuf::from(value()?)),
            option if option.starts_with('-') => return Err(format!("unknown option {option:?}")),
            _ if target.is_some() => return Err(format!("{name:?}: expected only one URL")),
            _ => target = Some(name),
        }
    }
    let mut settings = Settings::new(&target.ok_or("no URL")?)?;
    settings.is_mcp |= is_mcp;
    let settings = Settings { method, origin, timeout, ca, ..settings };
    Ok(Command::Examine(Box::new(settings), format))
}

fn parse_method(text: &str) -> Result<Method, String> {
    // Other methods could change something if the server is not protected.
    match text {
        "GET" => Ok(Method::GET),
        "HEAD" => Ok(Method::HEAD),
        "POST" => Ok(Method::POST),
        _ => Err(format!("--method: {text:?}, expected GET, HEAD or POST")),
    }
}

fn parse_origin(text: &str) -> Result<String, String> {
    let invalid = || format!("--origin: {text:?}, expected one such as https://app.example.com");
    let url = Url::parse(text).map_err(|_| invalid())?;
    match url.origin() {
        Origin::Tuple(..) if matches!(url.path(), "/" | "") && url.query().is_none() => {
            Ok(url.origin().ascii_serialization())
        }
        _ => Err(invalid()),
    }
}

fn parse_timeout(text: &str) -> Result<Duration, String> {
    let invalid = || format!("--timeout: {text:?}, expected a time from 100ms to 5m, such as 10s");
    let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| invalid())?;
    let time = match unit {
        "ms" => Duration::from_millis(number),
        "s" | "" => Duration::from_secs(number),
        "m" => Duration::from_secs(number.saturating_mul(60)),
        _ => return Err(invalid()),
    };
    if TIMEOUTS.contains(&time) { Ok(time) } else { Err(invalid()) }
}

//! A request without its body: [`RequestHead`].

use std::fmt;

#[cfg(feature = "axum")]
use axum::extract::OriginalUri;
use http::{Extensions, HeaderMap, Method, Request, Uri, request::Parts};

use crate::{Clock, SystemClock, UnixTime};

/// A request without its body, for policies and rules.
#[derive(Clone, Copy)]
pub struct RequestHead<'a> {
    method: &'a Method,
    uri: &'a Uri,
    headers: &'a HeaderMap,
    extensions: &'a Extensions,
    clock: &'a dyn Clock,
}

impl<'a> RequestHead<'a> {
    pub(crate) fn new<B>(request: &'a Request<B>, clock: &'a dyn Clock) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            extensions: request.extensions(),
            clock,
        }
    }

    pub(crate) fn of_parts(parts: &'a Parts, clock: &'a dyn Clock) -> Self {
        Self {
            method: &parts.method,
            uri: &parts.uri,
            headers: &parts.headers,
            extensions: &parts.extensions,
            clock,
        }
    }

    /// Returns the method.
    pub fn method(&self) -> &'a Method {
        self.method
    }

    /// Returns the URI that the layer received.
    ///
    /// An outer router may have removed the beginning of the path. `Router::nest` of axum adds the whole URI to the
    /// [`extensions`](Self::extensions), as `axum::extract::OriginalUri`.
    pub fn uri(&self) -> &'a Uri {
        self.uri
    }

    /// Returns the header fields. They may still include `Authorization` with the token.
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// Returns what outer layers added to the request.
    pub fn extensions(&self) -> &'a Extensions {
        self.extensions
    }

    /// Returns the current time by the clock of the resource server.
    pub fn now(&self) -> UnixTime {
        self.clock.now()
    }
}

/// Borrows the head of a request, with the system clock. For tests of policies and rules.
///
/// ```
/// use http::Request;
/// use tower_bearer::{PathRules, RequestHead, Requirement, RequirementPolicy as _, Scope};
///
/// const READ: Scope = Scope::from_static("orders:read");
///
/// let rules = PathRules::builder().any_method("/orders", READ).build()?;
/// let request = Request::get("/orders").body(())?;
/// assert_eq!(rules.requirement(&RequestHead::from(&request)), Requirement::scopes(READ));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
impl<'a, B> From<&'a Request<B>> for RequestHead<'a> {
    fn from(request: &'a Request<B>) -> Self {
        Self::new(request, &SystemClock)
    }
}

/// Shows only the method and the path, because headers, extensions and the query may have the token.
impl fmt::Debug for RequestHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead")
            .field("method", &self.method)
            .field("path", &self.uri.path())
            .finish_non_exhaustive()
    }
}

/// Returns the URI before a router changed it. axum's `Router::nest` removes its prefix, but also stores the original URI.
#[cfg(feature = "axum")]
pub(crate) fn original_uri<'a>(uri: &'a Uri, extensions: &'a Extensions) -> &'a Uri {
    extensions.get::<OriginalUri>().map_or(uri, |OriginalUri(original)| original)
}

#[cfg(not(feature = "axum"))]
pub(crate) fn original_uri<'a>(uri: &'a Uri, _: &'a Extensions) -> &'a Uri {
    uri
}

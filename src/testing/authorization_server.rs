//! An in-memory authorization server: [`TestAuthorizationServer`]. It is also the HTTP client that connects to it.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use url::Url;

use super::{ManualClock, SigningKey, TokenBuilder};
use crate::{
    Algorithm, Audience, AuthorizationServer, BoxFuture, HttpClient, HttpError, IntrospectionValidator,
    IntrospectionValidatorBuilder, JwtValidator, JwtValidatorBuilder, ProtectedResourceMetadata,
    ResourceServer, ResourceServerBuilder, ResourceServerCredential, TokenValidator,
};

/// An authorization server for tests, without a socket.
///
/// It serves metadata, keys and introspection, and issues tokens. Clones share their state.
///
/// A test can [script](Self::answer) its responses, [hold](Self::hold) them back, or take the server
/// [down](Self::go_down). It records every request.
#[derive(Clone)]
pub struct TestAuthorizationServer(Arc<Server>);

struct Server {
    issuer: String,
    clock: ManualClock,
    issued: AtomicUsize,
    state: Mutex<State>,
    held: watch::Sender<Vec<String>>,
}

#[derive(Default)]
pub(super) struct State {
    audience: Option<String>,
    keys: Vec<SigningKey>,
    generated: usize,
    pub(super) opaque: HashMap<String, Map<String, Value>>,
    pub(super) is_down: bool,
    pub(super) answers: HashMap<String, Arc<Answer>>,
    pub(super) log: Vec<Request<Bytes>>,
    pub(super) answered: usize,
    expected_key_fetches: Option<usize>,
}

pub(super) type Answer = dyn Fn(&Request<Bytes>) -> Response<Bytes> + Send + Sync;

/// The credential that every resource server uses at the introspection endpoint.
pub(super) const RESOURCE_SERVER: (&str, &str) = ("resource-server", "resource-server-secret");

impl TestAuthorizationServer {
    /// Creates a server with one `ES256` key.
    ///
    /// # Panics
    /// If [`Issuer::new_on_loopback`](crate::Issuer::new_on_loopback) refuses the issuer.
    pub fn new(issuer: &str) -> Self {
        crate::Issuer::new_on_loopback(issuer).expect("an issuer");
        let server = Self(Arc::new(Server {
            issuer: issuer.to_owned(),
            clock: ManualClock::default(),
            issued: AtomicUsize::new(0),
            state: Mutex::default(),
            held: watch::Sender::new(Vec::new()),
        }));
        server.rotate_keys();
        server
    }

    /// Replaces the keys with one key for each of these algorithms.
    ///
    /// The first key signs tokens by default. Default: one `ES256` key.
    #[must_use]
    pub fn with_algorithms(self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        let keys: Vec<_> = algorithms.into_iter().map(|algorithm| self.generate(algorithm)).collect();
        self.publish_keys(keys);
        self
    }

    /// Sets the clock. Default: a clock that starts in January 2027.
    ///
    /// # Panics
    /// If the server was cloned before, for example by creating a validator.
    #[must_use]
    pub fn with_clock(mut self, clock: ManualClock) -> Self {
        let server = Arc::get_mut(&mut self.0).expect("call with_clock() before the server is cloned");
        server.clock = clock;
        self
    }

    /// Asserts how often the keys are fetched.
    ///
    /// Default: not checked.
    ///
    /// # Panics
    /// If the number of key fetches differs when the last clone of the server is dropped.
    #[must_use]
    pub fn expect_key_fetches(self, expected: usize) -> Self {
        self.state().expected_key_fetches = Some(expected);
        self
    }

    /// Returns the issuer identifier.
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// Returns the clock of the server and of every validator created from it.
    pub fn clock(&self) -> &ManualClock {
        &self.0.clock
    }

    /// Returns settings for a validator that discovers this server.
    pub fn authorization_server(&self) -> AuthorizationServer {
        AuthorizationServer::discover(self.issuer()).allow_http_on_loopback().http_client(self.clone())
    }

    /// Returns a builder for a validator of this server's JWTs.
    pub fn jwt_validator(&self, audience: impl Into<Audience>) -> JwtValidatorBuilder {
        let audience = audience.into();
        self.set_default_audience(&audience);
        JwtValidator::builder(self.authorization_server(), audience).clock(self.clock().clone())
    }

    /// Returns a builder for a validator that uses introspection at this server.
    pub fn introspection_validator(&self, audience: impl Into<Audience>) -> IntrospectionValidatorBuilder {
        let audience = audience.into();
        self.set_default_audience(&audience);
        let (id, secret) = RESOURCE_SERVER;
        let credential = ResourceServerCredential::secret_basic(id, secret);
        IntrospectionValidator::builder(self.authorization_server(), credential, audience)
            .clock(self.clock().clone())
    }

    /// Returns a builder for a resource server that uses this server's clock.
    pub fn resource_server_with(&self, validator: impl TokenValidator) -> ResourceServerBuilder {
        ResourceServer::builder(validator).clock(self.clock().clone())
    }

    /// Creates a resource server that accepts this server's JWTs and publishes metadata.
    ///
    /// # Panics
    /// If the audience is neither an `https` URL nor an `http` URL on this machine.
    pub fn resource_server(&self, audience: &str) -> ResourceServer {
        let validator = self.jwt_validator(audience).build().expect("an audience");
        let metadata = ProtectedResourceMetadata::new(audience).allow_http_on_loopback();
        self.resource_server_with(validator)
            .resource_metadata(metadata)
            .build()
            .expect("nothing else is configured")
    }

    /// Returns a builder for a valid token, which is signed with the first key.
    pub fn token(&self) -> TokenBuilder {
        let key = self.state().keys.first().cloned().expect("a server has a key");
        TokenBuilder::new(self.clone(), &key)
    }

    /// Adds a new key for the same algorithm, which signs from now on. The other keys stay published.
    pub fn rotate_keys(&self) {
        let algorithm = self.state().keys.first().map_or(Algorithm::ES256, SigningKey::algorithm);
        let key = self.generate(algorithm);
        self.state().keys.insert(0, key);
    }

    /// Replaces the published keys. The first one signs.
    ///
    /// To withdraw the old key after [`rotate_keys`](Self::rotate_keys), publish only `keys().remove(0)`. Validators see it
    /// with their next fetch.
    pub fn publish_keys(&self, keys: impl IntoIterator<Item = SigningKey>) {
        self.state().keys = keys.into_iter().collect();
    }

    /// Returns the published keys, the newest first.
    pub fn keys(&self) -> Vec<SigningKey> {
        self.state().keys.clone()
    }

    /// Returns the published key set (RFC 7517 section 5).
    pub fn jwks(&self) -> Value {
        json!({"keys": self.state().keys.iter().map(SigningKey::jwk).collect::<Vec<_>>()})
    }

    /// Makes an opaque token inactive.
    pub fn revoke(&self, token: &str) {
        self.state().opaque.remove(token);
    }

    /// Refuses every connection until [`come_back`](Self::come_back).
    pub fn go_down(&self) {
        self.state().is_down = true;
    }

    /// Accepts connections again.
    ///
    /// A validator that is backing off tries again after its pause: [advance](ManualClock::advance) the clock.
    pub fn come_back(&self) {
        self.state().is_down = false;
    }

    /// Waits until background work has completed, such as a refresh of keys.
    ///
    /// Does not wait for responses that are [held](Self::hold) back.
    ///
    /// # Panics
    /// If background requests do not stop.
    pub async fn settle(&self) {
        const QUIET_TURNS: usize = 64;
        const MAX_TURNS: usize = 1_000_000;
        let (mut quiet, mut seen) = (0, self.activity());
        for _ in 0..MAX_TURNS {
            tokio::task::yield_now().await;
            let now = self.activity();
            quiet = if now == seen { quiet + 1 } else { 0 };
            seen = now;
            if quiet == QUIET_TURNS {
                return;
            }
        }
        panic!("background requests do not end: {} so far", seen.0);
    }

    /// Returns the number of requests received and answered.
    fn activity(&self) -> (usize, usize) {
        let state = self.state();
        (state.log.len(), state.answered)
    }

    /// Holds back responses at this URL until [`release`](Self::release).
    pub fn hold(&self, url: &str) {
        self.0.held.send_modify(|held| held.push(url.to_owned()));
    }

    /// Sends the responses that were held back at this URL.
    pub fn release(&self, url: &str) {
        self.0.held.send_modify(|held| held.retain(|other| other != url));
    }

    /// Sets the response at a URL, which may be on another host.
    pub fn answer(
        &self,
        url: &str,
        answer: impl Fn(&Request<Bytes>) -> Response<Bytes> + Send + Sync + 'static,
    ) {
        self.state().answers.insert(url.to_owned(), Arc::new(answer));
    }

    /// Removes the scripted response at a URL.
    pub fn answer_as_usual(&self, url: &str) {
        self.state().answers.remove(url);
    }

    /// Returns the URL of the metadata (RFC 8414 section 3.1).
    pub fn metadata_url(&self) -> String {
        let mut url = Url::parse(self.issuer()).expect("checked in new()");
        url.set_path(&format!("/.well-known/oauth-authorization-server{}", url.path().trim_end_matches('/')));
        url.into()
    }

    /// Returns the URL of the key set.
    pub fn jwks_uri(&self) -> String {
        self.endpoint("jwks")
    }

    /// Returns the URL of the introspection endpoint.
    pub fn introspection_endpoint(&self) -> String {
        self.endpoint("introspect")
    }

    /// Returns the number of key fetches.
    pub fn key_fetches(&self) -> usize {
        self.requests_to(&self.jwks_uri()).len()
    }

    /// Returns the number of introspection requests.
    pub fn introspections(&self) -> usize {
        self.requests_to(&self.introspection_endpoint()).len()
    }

    /// Returns the requests to a URL, in order.
    pub fn requests_to(&self, url: &str) -> Vec<Request<Bytes>> {
        self.state().log.iter().filter(|request| *request.uri() == *url).cloned().collect()
    }

    /// Returns all requests, in order.
    pub fn requests(&self) -> Vec<Request<Bytes>> {
        self.state().log.clone()
    }

    /// Returns a receiver for the URLs whose responses are held back.
    pub(super) fn held(&self) -> watch::Receiver<Vec<String>> {
        self.0.held.subscribe()
    }

    fn endpoint(&self, name: &str) -> String {
        format!("{}/{name}", self.issuer().trim_end_matches('/'))
    }

    fn generate(&self, algorithm: Algorithm) -> SigningKey {
        let number = {
            let mut state = self.state();
            state.generated += 1;
            state.generated
        };
        SigningKey::generate(&format!("key-{number}"), algorithm)
    }

    fn set_default_audience(&self, audience: &Audience) {
        if let Some(first) = audience.spellings().into_iter().next() {
            self.state().audience.get_or_insert_with(|| first.into());
        }
    }

    pub(super) fn audience(&self) -> Option<String> {
        self.state().audience.clone()
    }

    pub(super) fn next_token_id(&self) -> String {
        format!("token-{}", self.0.issued.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn key_for(&self, algorithm: Algorithm) -> SigningKey {
        let found = self.state().keys.iter().find(|key| key.algorithm() == algorithm).cloned();
        found.unwrap_or_else(|| panic!("the server has no key for {algorithm}; give it one: with_algorithms"))
    }

    pub(super) fn issue_opaque(&self, claims: Map<String, Value>) -> String {
        let token = format!("opaque-{}", self.next_token_id());
        self.state().opaque.insert(token.clone(), claims);
        token
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state()
    }
}

impl Server {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpClient for TestAuthorizationServer {
    fn send(&self, request: Request<Bytes>, _: usize) -> BoxFuture<'_, Result<Response<Bytes>, HttpError>> {
        Box::pin(self.answer_request(request))
    }
}

impl fmt::Debug for TestAuthorizationServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestAuthorizationServer").field("issuer", &self.0.issuer).finish_non_exhaustive()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let jwks_uri = format!("{}/jwks", self.issuer.trim_end_matches('/'));
        let state = self.state();
        if let Some(expected) = state.expected_key_fetches {
            let fetches = state.log.iter().filter(|request| *request.uri() == *jwks_uri).count();
            assert_eq!(fetches, expected, "key fetches at {jwks_uri}");
        }
    }
}

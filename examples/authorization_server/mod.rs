//! An OAuth 2.0 authorization server in memory, for examples and tests.
//!
//! The library of this repository is for resource servers: it validates access tokens and knows nothing about
//! clients. This server issues those tokens on a loopback address, so that examples run without an account
//! anywhere, and tests use real sockets. **It is the only code in this repository that knows about clients.**
//!
//! It is not fit for production: it speaks plain HTTP, shows the password of its only user, lets everyone register,
//! keeps everything in memory without limit, and mints any token for the tests. It enforces what OAuth requires, and each
//! check names its section.
//!
//! | file | contents | document |
//! |---|---|---|
//! | `endpoints` | routes, metadata, key set | RFC 8414, RFC 7517 |
//! | `registration` | clients | RFC 7591 |
//! | `client_id_document`, `client_id_fetch`, `client_id_cache` | clients whose identifier is a URL | CIMD |
//! | `redirect_uri` | which redirect URIs are accepted | RFC 6749 section 3.1.2, RFC 8252 section 7.3 |
//! | `authorization_endpoint` | authorization requests, PKCE | RFC 6749 section 4.1, RFC 7636, RFC 9207 |
//! | `authentication`, `login` | sign-in, and what clients may require of it | RFC 9470 |
//! | `consent` | the user's decision | RFC 6749 section 4.1.1 |
//! | `pages`, `same_origin` | HTML, and protection against other sites | RFC 9700 section 4.16 |
//! | `token_endpoint` | tokens for a code or a refresh token | RFC 6749 sections 4.1.3 and 6 |
//! | `resources` | resources and their scopes | RFC 8707 |
//! | `access_token` | claims and signature of a token | RFC 9068 |
//! | `issued_tokens` | introspection and revocation | RFC 7662, RFC 7009 |
//! | `state` | what the server stores | RFC 9700 |
//! | `browser` | a user with a browser, for examples and tests | |
//! | `minting` | tokens for examples and tests, without a client | |
//!
//! CIMD is draft-ietf-oauth-client-id-metadata-document-01.
//!
//! Examples and tests include it by its path:
//!
//! ```ignore
//! #[path = "../authorization_server/mod.rs"]
//! mod authorization_server;
//!
//! let server = AuthorizationServer::start().await?;
//! let credential = server.add_resource("http://127.0.0.1:4000/mcp", TokenFormat::Jwt, &["mcp:read"]);
//! println!("tokens come from {}", server.issuer());
//! ```
#![allow(dead_code, unused_imports, reason = "each example uses a different part")]
#![allow(unreachable_pub, reason = "`pub` marks what users of this module need")]
#![allow(clippy::disallowed_methods, reason = "jsonwebtoken signs here, and the library verifies")]

mod access_token;
mod authentication;
mod authorization_endpoint;
mod browser;
mod client_id_cache;
mod client_id_document;
mod client_id_fetch;
mod consent;
pub mod endpoints;
mod issued_tokens;
mod listener;
mod login;
mod minting;
mod oauth_error;
mod pages;
mod parameters;
mod redirect_uri;
mod registration;
mod resources;
mod same_origin;
mod state;
mod token_endpoint;

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::net::TcpListener;

pub use self::{
    authentication::{ACR_PASSWORD, ACR_PASSWORD_AND_CODE, ONE_TIME_CODE, PASSWORD},
    browser::{Browser, Decision, Page},
    client_id_fetch::is_special_use,
    minting::Minting,
    resources::{ResourceCredential, Secret, TokenFormat},
    state::USER,
};
use self::{listener::Listener, resources::ScopeSet, state::ServerState};

/// A running authorization server. It stops when dropped.
pub struct AuthorizationServer {
    state: Arc<ServerState>,
    address: SocketAddr,
    /// `None` while the server is stopped.
    listener: Mutex<Option<Listener>>,
}

impl AuthorizationServer {
    /// Starts a server on `127.0.0.1`, on a port that the operating system chooses.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(ServerState::new(format!("http://{address}")));
        let listener = Listener::start(listener, endpoints::router(Arc::clone(&state)));
        Ok(Self { state, address, listener: Mutex::new(Some(listener)) })
    }

    /// Returns the issuer identifier, `http://127.0.0.1:PORT`.
    pub fn issuer(&self) -> &str {
        &self.state.issuer
    }

    /// Adds a resource that clients can request tokens for, and returns its credential for introspection.
    ///
    /// Adding it again replaces its credential; its tokens stay valid.
    pub fn add_resource(&self, resource: &str, format: TokenFormat, scopes: &[&str]) -> ResourceCredential {
        let scopes = ScopeSet::from_names(scopes.iter().copied());
        self.state.resources.add(resource, format, scopes)
    }

    /// Issues an access token with any subject, resource, scope and age, without a client.
    pub fn mint(&self, minting: Minting<'_>) -> String {
        self.state.mint(minting)
    }

    /// Revokes an access token, without a client. Only introspection notices it; a JWT stays valid.
    pub fn revoke(&self, access_token: &str) {
        if let Some(issued) = self.state.access_tokens.find(access_token) {
            issued.revoke();
        }
    }

    /// Accepts client identifiers that are URLs on loopback, including `http` URLs. By default, they are refused.
    ///
    /// A client identifier that is a URL makes this server send a request to that URL. Addresses of private networks are always
    /// refused.
    pub fn allow_client_ids_on_loopback(&self) {
        self.state.clients.documents.fetcher.allow_loopback();
    }

    /// Refuses a client from now on, and revokes everything that users granted to it.
    ///
    /// Its refresh tokens and codes stop working, and introspection reports its access tokens as inactive. A JWT that is
    /// validated locally stays valid until it expires.
    pub fn block_client(&self, client_id: &str) {
        self.state.clients.block(client_id);
        self.state.revoke_grants_of(client_id);
    }

    /// Accepts a blocked client again. What was revoked stays revoked.
    pub fn unblock_client(&self, client_id: &str) {
        self.state.clients.unblock(client_id);
    }

    /// Removes a client, and revokes everything that users granted to it. A client whose identifier is a URL may return; its
    /// document is then fetched again.
    pub fn drop_client(&self, client_id: &str) {
        self.state.clients.forget(client_id);
        self.state.revoke_grants_of(client_id);
    }

    /// Returns the number of requests to an endpoint, for example `"/introspect"`.
    pub fn requests(&self, path: &str) -> usize {
        self.state.requests.of(path)
    }

    /// Moves the clock of the server forward by whole seconds, so that codes and tokens expire.
    ///
    /// Tokens issued after that have an `iat` in the future for everyone else. To get an expired JWT, mint one.
    pub fn advance_clock(&self, by: Duration) {
        self.state.advance_clock(by);
    }

    /// Closes the port and all connections, and keeps the state. Does nothing if the server is stopped.
    pub async fn stop(&self) {
        // A separate statement, so that the lock is not held across the await.
        let running = self.listener.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(listener) = running {
            listener.stop().await;
        }
    }

    /// Listens again on the same address.
    ///
    /// # Errors
    ///
    /// If the server is running, or another process now uses the port.
    pub async fn start_again(&self) -> io::Result<()> {
        let listener = TcpListener::bind(self.address).await?;
        let listener = Listener::start(listener, endpoints::router(Arc::clone(&self.state)));
        *self.listener.lock().unwrap_or_else(PoisonError::into_inner) = Some(listener);
        Ok(())
    }
}

impl fmt::Debug for AuthorizationServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationServer").field("issuer", &self.state.issuer).finish_non_exhaustive()
    }
}

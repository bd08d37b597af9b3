//! An OAuth 2.0 authorization server in memory: the other half of OAuth, for examples and tests only.
//!
//! The library of this repository stands on the side of the resource server: it checks access tokens and
//! never touches clients. But somebody must issue the tokens. This server does, on a loopback address, so
//! that examples run without an account anywhere and tests cross real sockets. **It is the only code in this
//! repository that knows clients.**
//!
//! It is written to be read: each demand of OAuth stands beside its section. What makes a server fit for the
//! world is missing: it speaks plain HTTP, signs in the same user without asking, lets everyone register,
//! remembers nothing after its end, and has a back door.
//!
//! | file | question | document |
//! |---|---|---|
//! | `metadata` | where is everything? | RFC 8414 |
//! | `registration`, `clients` | who may ask for tokens? | RFC 7591 |
//! | `credentials` | who is asking now? | RFC 6749 section 2.3 |
//! | `authorization_endpoint`, `pkce` | does the user agree? | RFC 6749 section 4.1, RFC 7636, RFC 9207 |
//! | `token_endpoint` | which token for which grant? | RFC 6749 sections 4 to 6 |
//! | `resources`, `scope` | for which resource, to do what? | RFC 8707 |
//! | `grant`, `single_use` | what was agreed to, and was it used before? | RFC 9700 |
//! | `access_token`, `signing_keys` | what does a token look like? | RFC 9068, RFC 7517 |
//! | `introspection` | is a token still good? | RFC 7662 |
//! | `revocation` | how is it taken back? | RFC 7009 |
//! | `minting` | how does a demonstration get any token it likes? | none |
//!
//! An example includes it by its path, and so does a test:
//!
//! ```ignore
//! #[path = "../authorization_server/mod.rs"]
//! mod authorization_server;
//!
//! let server = AuthorizationServer::start().await?;
//! let credential = server.add_resource("http://127.0.0.1:4000/mcp", TokenFormat::Jwt, &["mcp:read"]);
//! println!("tokens come from {}", server.issuer());
//! ```
#![allow(dead_code, unused_imports, reason = "every user uses another part")]
#![allow(unreachable_pub, reason = "`pub` marks what users of this module need")]
#![allow(clippy::disallowed_methods, reason = "jsonwebtoken is the other side")]

mod access_token;
mod authorization_endpoint;
mod bounded;
mod clients;
mod credentials;
pub mod endpoints;
mod grant;
mod introspection;
mod listener;
mod metadata;
mod minting;
mod oauth_error;
mod parameters;
mod pkce;
mod registration;
mod resources;
mod revocation;
mod scope;
mod secret;
mod signing_keys;
mod single_use;
mod state;
mod token_endpoint;

use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::net::TcpListener;

use self::{listener::Listener, scope::ScopeSet, signing_keys::SigningKeys, state::ServerState};
pub use self::{
    minting::Minting,
    resources::{ResourceCredential, TokenFormat},
    secret::Secret,
    signing_keys::SigningAlgorithm,
    state::DEMONSTRATION_USER,
};

/// A running authorization server; it ends when dropped.
pub struct AuthorizationServer {
    state: Arc<ServerState>,
    address: SocketAddr,
    /// `None` while the server is stopped.
    listener: Mutex<Option<Listener>>,
}

impl AuthorizationServer {
    /// Starts a server on `127.0.0.1`, at a port that the operating system picks, signing with RS256.
    pub async fn start() -> io::Result<Self> {
        Self::start_signing_with(SigningAlgorithm::default()).await
    }

    /// Starts a server whose keys are for this algorithm.
    pub async fn start_signing_with(algorithm: SigningAlgorithm) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let keys = SigningKeys::generate(algorithm);
        let state = Arc::new(ServerState::new(format!("http://{address}"), keys));
        let listener = Listener::start(listener, endpoints::router(Arc::clone(&state)));
        Ok(Self { state, address, listener: Mutex::new(Some(listener)) })
    }

    /// Returns the issuer identifier, `http://127.0.0.1:PORT`.
    pub fn issuer(&self) -> &str {
        &self.state.issuer
    }

    /// Adds a resource that tokens can be asked for, and returns its credential for introspection.
    ///
    /// A resource that is added again is replaced: its former credential is void, its tokens live on.
    pub fn add_resource(&self, resource: &str, format: TokenFormat, scopes: &[&str]) -> ResourceCredential {
        let scopes = ScopeSet::from_names(scopes.iter().copied());
        self.state.resources.add(resource, format, scopes)
    }

    /// Signs with a new key from now on; the previous one stays published, older ones do not.
    pub fn rotate_keys(&self) {
        self.state.keys.rotate(1);
    }

    /// Signs with a new key from now on, and publishes no other: all JWTs issued before lose their key.
    pub fn rotate_keys_and_forget(&self) {
        self.state.keys.rotate(0);
    }

    /// Makes an access token with any subject, resource, scope and age, without a client.
    pub fn mint(&self, minting: Minting<'_>) -> String {
        self.state.mint(minting).expose().to_owned()
    }

    /// Revokes an access token, without a client. Introspection tells; a JWT does not know.
    pub fn revoke(&self, access_token: &str) {
        if let Some(issued) = self.state.access_tokens.find(access_token) {
            issued.revoke();
        }
    }

    /// Returns how often an endpoint was asked, for example `"/introspect"`.
    pub fn requests(&self, path: &str) -> usize {
        self.state.requests.of(path)
    }

    /// Sets the clock of the server forward by whole seconds, to let codes and tokens grow old.
    ///
    /// Tokens issued afterwards come from the future for everyone else; to show an expired JWT, mint one.
    pub fn advance_clock(&self, by: Duration) {
        self.state.advance_clock(by);
    }

    /// Closes the port and cuts all connections; what the server knows is kept. Stopping twice does nothing.
    pub async fn stop(&self) {
        // Taken in a statement of its own, so that the lock is not held across the await.
        let running = self.listener.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(listener) = running {
            listener.stop().await;
        }
    }

    /// Listens again at the same address.
    ///
    /// # Errors
    ///
    /// If the server is running, or another process has taken the port in the meantime.
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

//! The gateway of `examples/gateway` with third-party software: proxies that ask it for decisions, and clients that use it.

#[path = "../../../examples/gateway/main.rs"]
#[allow(dead_code, unused_imports, reason = "`main` is used only by the example")]
mod example;

mod clients;
mod proxies;

use tokio::net::TcpListener;

use self::example::{
    app,
    authorization_server::{AuthorizationServer, Minting, TokenFormat},
    claim_headers::ClaimHeaders,
    decision::{DecisionService, DescribedBy},
    decisions,
    jenkins_imitation::JenkinsImitation,
    listener::serve,
    settings::Configuration,
};

async fn bind() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

//! A service that issues its own opaque tokens, keeps their hashes in SQLite or PostgreSQL, and accepts them.
//!
//! ```sh
//! cargo run --features axum --example token_table                       # shows each step, and exits with 1 if one fails
//! cargo run --features axum --example token_table -- --serve            # serves until Ctrl-C, on port 3000 or --port N
//! cargo run --features axum --example token_table -- --operator-token   # prints a token for the endpoints in `endpoints`
//! ```
//!
//! The database is the one in `DATABASE_URL`, such as `postgres://user:password@host/database` or
//! `sqlite:///var/lib/orders/tokens.sqlite?mode=rwc`. Without it, `--serve` uses the file `token_table.sqlite`, and the steps a new
//! file. docs/guides/own_tokens.md explains the design.
//!
//! | file | contents |
//! |---|---|
//! | `token_format` | what a token looks like, and how secret scanners find it |
//! | `database`, `schema/` | the table and its queries |
//! | `table` | the validator |
//! | `recent`, `notifications` | reuse verdicts as long as notifications of revocations arrive |
//! | `endpoints` | the API, and the endpoints that issue and revoke tokens |
//! | `walk` | the steps |
#![allow(clippy::print_stdout, reason = "an example prints")]

pub(crate) mod database;
pub(crate) mod endpoints;
pub(crate) mod notifications;
pub(crate) mod recent;
pub(crate) mod table;
pub(crate) mod token_format;
pub(crate) mod walk;

use std::{env, error::Error, io, net::Ipv4Addr, sync::Arc};

use tokio::net::TcpListener;

use self::table::TokenTable;

type Failure = Box<dyn Error + Send + Sync>;

const USAGE: &str = "usage: token_table [--serve [--port N] | --operator-token]";

#[tokio::main]
async fn main() -> Result<(), Failure> {
    tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_writer(io::stderr).init();
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => walk::run(env::var("DATABASE_URL").ok()).await,
        ["--operator-token"] => print_operator_token().await,
        ["--serve"] => serve(3000).await,
        ["--serve", "--port", port] => serve(port.parse().map_err(|_| USAGE)?).await,
        _ => Err(USAGE.into()),
    }
}

async fn serve(port: u16) -> Result<(), Failure> {
    let table = Arc::new(TokenTable::open(&database_url()).await?);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    println!("Serving http://{}. To issue a token:", listener.local_addr()?);
    println!(
        "
  OPERATOR=$(cargo run -q --features axum --example token_table -- --operator-token)
  curl -H \"Authorization: Bearer $OPERATOR\" --json '{{\"subject\": \"alice\", \"scope\": \"orders:read\"}}' http://{}/tokens
",
        listener.local_addr()?
    );
    Ok(axum::serve(listener, endpoints::app(table)?).with_graceful_shutdown(interrupted()).await?)
}

/// Prints a token for operators, who have access to the database.
async fn print_operator_token() -> Result<(), Failure> {
    let table = TokenTable::open(&database_url()).await?;
    println!("{}", operator_token(&table).await?);
    Ok(())
}

/// Issues a token that can issue and revoke others. No endpoint does this.
pub(crate) async fn operator_token(table: &TokenTable) -> Result<String, Failure> {
    let scope = format!("{} {}", endpoints::ISSUE, endpoints::REVOKE);
    Ok(table.issue("operator", &scope).await?.token.expose().to_owned())
}

fn database_url() -> String {
    env::var("DATABASE_URL").unwrap_or_else(|_| "sqlite://token_table.sqlite?mode=rwc".to_owned())
}

async fn interrupted() {
    // Without a signal handler, Ctrl-C ends the process at once.
    let _ = tokio::signal::ctrl_c().await;
}

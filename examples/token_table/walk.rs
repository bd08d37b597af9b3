//! Shows what the service does, step by step, over HTTP on this machine.

use std::{
    env, fs,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::http::{StatusCode, header};
use reqwest::Response;
use serde_json::{Value, json};
use sqlx::{AnyConnection, Connection as _, Executor as _};
use tokio::net::TcpListener;
use tower_bearer::AccessToken;

use super::{
    Failure,
    database::{self, Kind},
    endpoints, operator_token,
    table::TokenTable,
    token_format,
};

/// The running service, and a client for it.
pub(crate) struct Service {
    pub(crate) table: Arc<TokenTable>,
    pub(crate) operator: String,
    client: reqwest::Client,
    url: String,
}

impl Service {
    /// Starts the service with a database on a free port.
    pub(crate) async fn start(database_url: &str) -> Result<Self, Failure> {
        let table = Arc::new(TokenTable::open(database_url).await?);
        let operator = operator_token(&table).await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        tokio::spawn(axum::serve(listener, endpoints::app(Arc::clone(&table))?).into_future());
        Ok(Self { table, operator, client: reqwest::Client::builder().no_proxy().build()?, url })
    }

    /// Issues a token for the orders of a subject, as an operator does.
    pub(crate) async fn issue(&self, subject: &str) -> Result<String, Failure> {
        let body = json!({ "subject": subject, "scope": "orders:read" });
        let response = self.post("/tokens", &self.operator, &body).await?;
        let body: Value = response.error_for_status()?.json().await?;
        Ok(body["access_token"].as_str().ok_or("no token")?.to_owned())
    }

    /// Revokes what `body` names, as an operator does. Returns how many tokens were revoked.
    pub(crate) async fn revoke(&self, body: &Value) -> Result<u64, Failure> {
        let response = self.post("/tokens/revoke", &self.operator, body).await?;
        let body: Value = response.error_for_status()?.json().await?;
        Ok(body["revoked"].as_u64().ok_or("no number")?)
    }

    pub(crate) async fn post(&self, path: &str, token: &str, body: &Value) -> Result<Response, Failure> {
        let request = self.client.post(format!("{}{path}", self.url)).bearer_auth(token).json(body);
        Ok(request.send().await?)
    }

    /// Calls the API.
    pub(crate) async fn orders(&self, token: &str) -> Result<Response, Failure> {
        Ok(self.client.get(format!("{}/orders", self.url)).bearer_auth(token).send().await?)
    }
}

/// Runs the steps with the database at this URL, or with a new SQLite file.
pub(crate) async fn run(database_url: Option<String>) -> Result<(), Failure> {
    let file = TemporaryFile::new();
    let database_url = database_url.unwrap_or_else(|| file.url());
    let service = Service::start(&database_url).await?;
    let mut other = AnyConnection::connect(&database_url).await?;
    let kind = database::kind(&other);
    println!("Database: {}", if kind == Kind::Sqlite { "SQLite, a new file" } else { "PostgreSQL" });

    let token = service.issue("alice").await?;
    println!("\nAn operator issues a token for alice: {}… ({} characters)", &token[..12], token.len());
    println!("Secret scanners find it with {}", token_format::PATTERN);
    show(&service, "alice uses it", &token, StatusCode::OK).await?;

    let mistyped = format!("{}{}", &token[..token.len() - 1], if token.ends_with('0') { '1' } else { '0' });
    let before = service.table.look_ups();
    show(&service, "a token with a wrong checksum", &mistyped, StatusCode::UNAUTHORIZED).await?;
    expect(service.table.look_ups() == before, "the database was not queried")?;

    let revoked = service.revoke(&json!({ "token": token })).await?;
    println!("\nThe operator revokes the token ({revoked} revoked).");
    show(&service, "the next request with it", &token, StatusCode::UNAUTHORIZED).await?;

    let token = service.issue("bob").await?;
    println!();
    show(&service, "bob uses his own token", &token, StatusCode::OK).await?;
    println!("Another connection revokes all tokens of bob with SQL.");
    let revoked = Instant::now();
    other.execute("UPDATE tokens SET revoked = TRUE WHERE subject = 'bob'").await?;
    while service.orders(&token).await?.status() != StatusCode::UNAUTHORIZED {
        expect(revoked.elapsed() < Duration::from_secs(5), "the token is refused within 5 s")?;
    }
    println!("bob's token is refused after {:?}", revoked.elapsed());

    let token = service.issue("carol").await?;
    println!("\nAnother connection locks the table, so queries time out.");
    other.execute(if kind == Kind::Sqlite { "BEGIN EXCLUSIVE" } else { "BEGIN; LOCK TABLE tokens" }).await?;
    let response = show(&service, "carol uses a token", &token, StatusCode::SERVICE_UNAVAILABLE).await?;
    expect(response.headers().contains_key(header::RETRY_AFTER), "the response has a Retry-After header")?;
    other.execute("ROLLBACK").await?;
    println!("The lock is released.");
    show(&service, "carol uses the same token", &token, StatusCode::OK).await?;

    let expired = token_format::generate().map_err(|_| "no random numbers")?;
    insert_expired(&mut other, &expired).await?;
    println!("\nA token expired a minute ago.");
    show(&service, "a request with it", expired.expose(), StatusCode::UNAUTHORIZED).await?;
    service.issue("dave").await?;
    expect(
        count(&mut other, &expired).await? == 0,
        "the database deleted its row when the next token was issued",
    )?;

    other
        .execute("DELETE FROM tokens WHERE subject IN ('alice', 'bob', 'carol', 'dave', 'operator')")
        .await?;
    Ok(())
}

/// Calls the API, prints the status and compares it.
async fn show(service: &Service, what: &str, token: &str, expected: StatusCode) -> Result<Response, Failure> {
    let response = service.orders(token).await?;
    println!("{what}: {}", response.status());
    if response.status() != expected {
        return Err(format!("{what}: expected {expected}").into());
    }
    Ok(response)
}

fn expect(is_so: bool, what: &str) -> Result<(), Failure> {
    if is_so {
        println!("{what}");
        return Ok(());
    }
    Err(format!("not so: {what}").into())
}

/// Inserts a token that expired a minute ago. The trigger deletes other expired rows, and on SQLite this one too, unless it is
/// inserted first and changed then.
pub(crate) async fn insert_expired(connection: &mut AnyConnection, token: &AccessToken) -> sqlx::Result<()> {
    let hash = token.sha256();
    let insert = "INSERT INTO tokens (hash, subject, scope) VALUES ($1, 'erin', 'orders:read')";
    sqlx::query(insert).bind(&hash[..]).execute(&mut *connection).await?;
    let expire = "UPDATE tokens SET expires_at = expires_at - 3660 WHERE hash = $1";
    sqlx::query(expire).bind(&hash[..]).execute(connection).await.map(drop)
}

/// Returns how many rows the table has for a token.
pub(crate) async fn count(connection: &mut AnyConnection, token: &AccessToken) -> sqlx::Result<i64> {
    let query = "SELECT count(*) FROM tokens WHERE hash = $1";
    sqlx::query_scalar(query).bind(&token.sha256()[..]).fetch_one(connection).await
}

/// The path of a file that is deleted at the end.
pub(crate) struct TemporaryFile(PathBuf);

impl TemporaryFile {
    pub(crate) fn new() -> Self {
        let number = token_format::generate().map(|token| token.expose()[5..20].to_owned());
        Self(env::temp_dir().join(format!("token_table-{}.sqlite", number.unwrap_or_default())))
    }

    pub(crate) fn url(&self) -> String {
        format!("sqlite://{}?mode=rwc", self.0.display())
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        // It may not exist.
        let _ = fs::remove_file(&self.0);
    }
}

//! What is the same for both databases.

use http::{StatusCode, header};
use serde_json::{Value, json};
use sqlx::{AnyConnection, Connection as _, Executor as _, Row as _};
use tower_bearer::AccessToken;

use super::{
    Service, TemporaryFile,
    cluster::Cluster,
    example::{token_format, walk},
};

/// Runs a test with SQLite, and with PostgreSQL if it is installed.
async fn with_each_database(test: impl AsyncFn(&str)) {
    test(&TemporaryFile::new().url()).await;
    if let Some(cluster) = Cluster::start().await {
        test(&cluster.url()).await;
    }
}

#[tokio::test]
async fn token_table_example_succeeds() {
    with_each_database(async |url| walk::run(Some(url.to_owned())).await.unwrap()).await;
}

#[tokio::test]
async fn an_issued_token_is_accepted_for_one_hour_and_for_its_scope() {
    with_each_database(async |url| {
        let service = Service::start(url).await.unwrap();
        let operator = &service.operator;

        let request = json!({ "subject": "alice", "scope": "orders:read" });
        let response = service.post("/tokens", operator, &request).await.unwrap();

        assert_eq!(response.status(), StatusCode::CREATED);
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        let body: Value = response.json().await.unwrap();
        assert_eq!((&body["token_type"], &body["scope"]), (&json!("Bearer"), &json!("orders:read")));
        let expires_in = body["expires_in"].as_u64().unwrap();
        assert!((3_590..=3_600).contains(&expires_in), "{expires_in}");
        let token = body["access_token"].as_str().unwrap();
        let orders = service.orders(token).await.unwrap();
        assert_eq!(orders.status(), StatusCode::OK);
        assert_eq!(orders.text().await.unwrap(), "orders of alice");
        let refused = service.post("/tokens", token, &request).await.unwrap();
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        let refused = service.post("/tokens/revoke", token, &json!({ "subject": "alice" })).await.unwrap();
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    })
    .await;
}

#[tokio::test]
async fn no_endpoint_issues_a_token_for_operators() {
    let file = TemporaryFile::new();
    let service = Service::start(&file.url()).await.unwrap();
    let operator = &service.operator;

    for scope in ["tokens:issue", "orders:read tokens:revoke", "orders:read  orders:write", "", "unknown"] {
        let request = json!({ "subject": "mallory", "scope": scope });
        let response = service.post("/tokens", operator, &request).await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{scope:?}");
    }
}

#[tokio::test]
async fn a_revoked_token_is_refused_at_once_by_the_instance_that_revoked_it() {
    with_each_database(async |url| {
        let service = Service::start(url).await.unwrap();
        for by_subject in [false, true] {
            let (revoked, kept) =
                (service.issue("alice").await.unwrap(), service.issue("bob").await.unwrap());
            for token in [&revoked, &kept] {
                assert_eq!(service.orders(token).await.unwrap().status(), StatusCode::OK);
            }

            let request =
                if by_subject { json!({ "subject": "alice" }) } else { json!({ "token": revoked }) };
            assert_eq!(service.revoke(&request).await.unwrap(), 1);

            let response = service.orders(&revoked).await.unwrap();
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
            let challenge = response.headers()[header::WWW_AUTHENTICATE].to_str().unwrap();
            assert!(challenge.contains(r#"error="invalid_token""#), "{challenge}");
            assert_eq!(service.orders(&kept).await.unwrap().status(), StatusCode::OK);
            assert_eq!(service.revoke(&request).await.unwrap(), 0, "it was revoked before");
        }
    })
    .await;
}

#[tokio::test]
async fn an_expired_token_is_refused_and_its_row_is_deleted_when_a_token_is_issued() {
    with_each_database(async |url| {
        let service = Service::start(url).await.unwrap();
        let mut connection = AnyConnection::connect(url).await.unwrap();
        let expired = token_format::generate().unwrap();
        let valid = AccessToken::new(service.issue("alice").await.unwrap());
        walk::insert_expired(&mut connection, &expired).await.unwrap();

        let response = service.orders(expired.expose()).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(walk::count(&mut connection, &expired).await.unwrap(), 1);
        service.issue("bob").await.unwrap();

        assert_eq!(walk::count(&mut connection, &expired).await.unwrap(), 0);
        assert_eq!(walk::count(&mut connection, &valid).await.unwrap(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_junk_token_is_refused_without_a_look_up() {
    let file = TemporaryFile::new();
    let service = Service::start(&file.url()).await.unwrap();
    let token = service.issue("alice").await.unwrap();
    let before = service.table.look_ups();

    let other_checksum = format!("{}{}", &token[..53], if token.ends_with('0') { '1' } else { '0' });
    for junk in [&*other_checksum, "junk", "ordt_", "eyJhbGciOiJub25lIn0.e30."] {
        assert_eq!(service.orders(junk).await.unwrap().status(), StatusCode::UNAUTHORIZED, "{junk}");
    }
    assert_eq!(service.table.look_ups(), before);

    let unknown = token_format::generate().unwrap();
    assert_eq!(service.orders(unknown.expose()).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert_eq!(service.table.look_ups(), before + 1);
}

#[tokio::test]
async fn the_table_has_hashes_and_no_tokens() {
    with_each_database(async |url| {
        let service = Service::start(url).await.unwrap();
        let token = service.issue("alice").await.unwrap();
        let mut connection = AnyConnection::connect(url).await.unwrap();

        let row = "SELECT hash, subject, scope FROM tokens WHERE subject = 'alice'";
        let row = connection.fetch_one(row).await.unwrap();

        assert_eq!(row.get::<&[u8], _>("hash"), AccessToken::new(token.as_str()).sha256());
        assert_eq!((row.get::<&str, _>("subject"), row.get::<&str, _>("scope")), ("alice", "orders:read"));
        if let Some(file) = url.strip_prefix("sqlite://") {
            let bytes = std::fs::read(file.split('?').next().unwrap()).unwrap();
            let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
            assert!(holds("alice") && !holds(&token[5..]));
        }
    })
    .await;
}

#[tokio::test]
async fn what_another_process_changes_in_sqlite_is_seen_by_the_next_request() {
    let file = TemporaryFile::new();
    let service = Service::start(&file.url()).await.unwrap();
    let token = service.issue("alice").await.unwrap();
    assert_eq!(service.orders(&token).await.unwrap().status(), StatusCode::OK);

    let mut connection = AnyConnection::connect(&file.url()).await.unwrap();
    connection.execute("UPDATE tokens SET revoked = TRUE WHERE subject = 'alice'").await.unwrap();

    assert_eq!(service.orders(&token).await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

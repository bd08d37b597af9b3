//! Revocations that arrive as notifications, and outages.

use std::sync::Arc;

use http::{StatusCode, header};
use sqlx::{Executor as _, Row as _};
use tokio::task::JoinSet;

use super::{
    Service,
    cluster::{Cluster, signal},
    example::token_format,
    soon, use_until, use_until_reused,
};

const LISTENER: &str = "SELECT pid::BIGINT AS pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%'";

#[tokio::test]
async fn a_change_on_another_connection_ends_reuse_of_the_verdict() {
    let Some(cluster) = Cluster::start().await else { return };
    let service = Service::start(&cluster.url()).await.unwrap();
    let mut other = cluster.connect().await;

    for change in [
        "UPDATE tokens SET revoked = TRUE WHERE subject = 'alice'",
        "DELETE FROM tokens WHERE subject = 'alice'",
        "TRUNCATE tokens",
    ] {
        let token = service.issue("alice").await.unwrap();
        use_until_reused(&service, &token).await;

        other.execute(change).await.unwrap();

        use_until(&service, &token, StatusCode::UNAUTHORIZED, StatusCode::OK).await;
        for _ in 0..10 {
            assert_eq!(service.orders(&token).await.unwrap().status(), StatusCode::UNAUTHORIZED, "{change}");
        }
    }
}

#[tokio::test]
async fn a_revocation_by_one_instance_is_seen_by_the_others() {
    let Some(cluster) = Cluster::start().await else { return };
    let one = Service::start(&cluster.url()).await.unwrap();
    let other = Service::start(&cluster.url()).await.unwrap();
    let token = one.issue("alice").await.unwrap();
    use_until_reused(&one, &token).await;

    assert_eq!(other.revoke(&serde_json::json!({ "token": token })).await.unwrap(), 1);

    assert_eq!(other.orders(&token).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    use_until(&one, &token, StatusCode::UNAUTHORIZED, StatusCode::OK).await;
}

#[tokio::test]
async fn instances_that_start_and_issue_tokens_at_the_same_time_do_not_disturb_each_other() {
    let Some(cluster) = Cluster::start().await else { return };
    let url = cluster.url();
    let (one, other) = tokio::join!(Service::start(&url), Service::start(&url));
    let (one, other) = (Arc::new(one.unwrap()), Arc::new(other.unwrap()));
    let mut connection = cluster.connect().await;
    let expired = "INSERT INTO tokens (hash, subject, scope)
                   SELECT sha256(n::TEXT::BYTEA), 'erin', '' FROM generate_series(1, 500) AS n";
    connection.execute(expired).await.unwrap();
    connection.execute("UPDATE tokens SET expires_at = 1 WHERE subject = 'erin'").await.unwrap();

    let mut issuing = JoinSet::new();
    for number in 0..20 {
        let service = if number % 2 == 0 { Arc::clone(&one) } else { Arc::clone(&other) };
        issuing.spawn(async move { service.issue("alice").await.unwrap() });
    }
    for token in soon(issuing.join_all()).await {
        assert_eq!(one.orders(&token).await.unwrap().status(), StatusCode::OK);
    }

    let count = "SELECT count(*) AS count FROM tokens WHERE subject = 'erin'";
    assert_eq!(connection.fetch_one(count).await.unwrap().get::<i64, _>("count"), 0);
}

#[tokio::test]
async fn a_database_that_is_down_is_503_and_200_again_when_it_is_back() {
    let Some(mut cluster) = Cluster::start().await else { return };
    let service = Service::start(&cluster.url()).await.unwrap();
    let (kept, revoked) = (service.issue("alice").await.unwrap(), service.issue("bob").await.unwrap());
    use_until_reused(&service, &kept).await;
    use_until_reused(&service, &revoked).await;

    cluster.kill();

    for token in [&kept, &revoked, &token_format::generate().unwrap().expose().to_owned()] {
        use_until(&service, token, StatusCode::SERVICE_UNAVAILABLE, StatusCode::OK).await;
        let response = service.orders(token).await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        let retry_after = response.headers()[header::RETRY_AFTER].to_str().unwrap();
        assert!((1..=10).contains(&retry_after.parse::<u32>().unwrap()), "{retry_after}");
        assert!(!response.headers().contains_key(header::WWW_AUTHENTICATE));
    }
    assert_eq!(service.orders("junk").await.unwrap().status(), StatusCode::UNAUTHORIZED);

    cluster.restart().await;
    let revocation = "UPDATE tokens SET revoked = TRUE WHERE subject = 'bob'";
    cluster.connect().await.execute(revocation).await.unwrap();

    use_until(&service, &kept, StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE).await;
    use_until_reused(&service, &kept).await;
    assert_eq!(service.orders(&revoked).await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_revocation_while_the_listening_connection_is_lost_is_not_missed() {
    let Some(cluster) = Cluster::start().await else { return };
    let service = Service::start(&cluster.url()).await.unwrap();
    let (kept, revoked) = (service.issue("alice").await.unwrap(), service.issue("bob").await.unwrap());
    let mut other = cluster.connect().await;
    use_until_reused(&service, &kept).await;
    use_until_reused(&service, &revoked).await;

    // In one transaction, so that the notification is sent when nobody listens any more.
    let terminate =
        format!("SELECT pg_terminate_backend(pid::INT, 5000) AS done FROM ({LISTENER}) AS listener");
    let mut transaction = sqlx::Connection::begin(&mut other).await.unwrap();
    let terminated = transaction.fetch_all(&*terminate).await.unwrap();
    assert_eq!(terminated.iter().map(|row| row.get::<bool, _>("done")).collect::<Vec<_>>(), [true]);
    transaction.execute("UPDATE tokens SET revoked = TRUE WHERE subject = 'bob'").await.unwrap();
    transaction.commit().await.unwrap();

    use_until(&service, &revoked, StatusCode::UNAUTHORIZED, StatusCode::OK).await;
    use_until_reused(&service, &kept).await; // it listens again
    assert_eq!(service.orders(&revoked).await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_revocation_while_the_listening_connection_is_silent_is_seen_when_the_lease_ends() {
    let Some(cluster) = Cluster::start().await else { return };
    let service = Service::start(&cluster.url()).await.unwrap();
    let token = service.issue("alice").await.unwrap();
    let mut other = cluster.connect().await;
    use_until_reused(&service, &token).await;
    let listener: i64 = other.fetch_one(LISTENER).await.unwrap().get("pid");

    // The connection stays open, and nothing is sent over it.
    let stopped = Stopped::new(listener);
    other.execute("UPDATE tokens SET revoked = TRUE WHERE subject = 'alice'").await.unwrap();

    use_until(&service, &token, StatusCode::UNAUTHORIZED, StatusCode::OK).await;
    let other_token = service.issue("bob").await.unwrap();
    use_until_reused(&service, &other_token).await; // over a new connection
    assert_eq!(service.orders(&token).await.unwrap().status(), StatusCode::UNAUTHORIZED);
    drop(stopped);
}

/// A stopped process, which continues at the end, so that it can exit.
struct Stopped(i64);

impl Stopped {
    fn new(process: i64) -> Self {
        signal("STOP", process);
        Self(process)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        signal("CONT", self.0);
    }
}

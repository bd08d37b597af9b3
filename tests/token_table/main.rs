//! Proves what `examples/token_table` does, with SQLite and with a PostgreSQL server that each test starts.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

#[path = "../../examples/token_table/main.rs"]
#[allow(dead_code, reason = "`main` is used only by the example")]
mod example;

mod cluster;
mod postgres;
mod service;

#[path = "../suite/support/wait.rs"]
#[allow(dead_code, reason = "the suite uses more of it")]
mod wait;

use http::StatusCode;

use self::{
    example::walk::{Service, TemporaryFile},
    wait::soon,
};

/// Uses a token until it gets this status. Fails the test if it gets one that is in neither list.
async fn use_until(service: &Service, token: &str, expected: StatusCode, meanwhile: StatusCode) {
    soon(async {
        loop {
            let found = service.orders(token).await.unwrap().status();
            if found == expected {
                return;
            }
            assert_eq!(found, meanwhile);
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Uses a token until its verdict is reused.
async fn use_until_reused(service: &Service, token: &str) {
    soon(async {
        loop {
            let before = service.table.look_ups();
            assert_eq!(service.orders(token).await.unwrap().status(), StatusCode::OK);
            if service.table.look_ups() == before {
                return;
            }
        }
    })
    .await;
}

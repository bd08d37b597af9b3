//! A document that changes while requests are served. Time is paused, so the watcher's pauses take no time.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::StatusCode;
use tower_bearer::{
    config::{ConfigWatch, Reloaded},
    testing::{ManualClock, TestAuthorizationServer},
};
use tracing::Level;

use super::{Folder, problems, toml_source};
use crate::support::{App, ISSUER, Log, RESOURCE};

/// A watched document with fixed keys, and a token without the claim `tenant`.
struct Kit {
    folder: Folder,
    watch: ConfigWatch,
    app: App,
    token: String,
}

impl Kit {
    fn start() -> Self {
        Self::start_with(|folder, text| {
            folder.write("auth.toml", text);
        })
    }

    fn start_with(write: impl Fn(&Folder, &str)) -> Self {
        let authority = TestAuthorizationServer::new(ISSUER).with_clock(ManualClock::starting_now());
        let folder = Folder::new();
        folder.write("jwks.json", &authority.jwks().to_string());
        write(&folder, &document(&folder, ""));
        let watch = toml_source(folder.path("auth.toml")).watch().unwrap();
        let app = App::new(watch.resource_server().require_token());
        let token = authority.token().audience(RESOURCE).sign();
        Self { folder, watch, app, token }
    }

    fn write(&self, more: &str) {
        self.folder.write("auth.toml", &document(&self.folder, more));
    }

    async fn assert_status(&self, expected: StatusCode) {
        assert_eq!(self.app.present(&self.token).await.status, expected);
    }
}

fn document(folder: &Folder, more: &str) -> String {
    let keys = folder.path("jwks.json").display().to_string();
    format!(
        "audience = '{RESOURCE}'\n[[issuers]]\nissuer = '{ISSUER}'\nkeys = [{{ file = '{keys}' }}]\n{more}\n\
         [metadata]\nresource = '{RESOURCE}'\n"
    )
}

/// Refuses the token of the kit.
const STRICT: &str = "claim_rules = [{ claim = 'tenant', equals = 'acme' }]";

/// Waits for two reads, since a change takes effect at the second one that finds it.
async fn next_poll() {
    tokio::time::sleep(Duration::from_secs(11)).await;
}

#[tokio::test(start_paused = true)]
async fn changed_document_takes_effect_without_a_restart() {
    let kit = Kit::start();
    kit.assert_status(StatusCode::OK).await;

    kit.write(STRICT);
    next_poll().await;
    kit.assert_status(StatusCode::UNAUTHORIZED).await;

    kit.write("");
    next_poll().await;
    kit.assert_status(StatusCode::OK).await;
}

#[tokio::test(start_paused = true)]
async fn broken_document_changes_nothing_and_all_its_problems_are_logged_once() {
    let kit = Kit::start();
    let (log, _guard) = Log::record_from(Level::ERROR);

    kit.write(&format!("{STRICT}\nclock_skew = '1h'\nmax_agee = '1h'"));
    next_poll().await;
    next_poll().await;

    kit.assert_status(StatusCode::OK).await;
    let text = log.text();
    assert_eq!(text.matches("configuration has changed and is invalid").count(), 1, "{text}");
    assert!(text.contains("issuers[0].clock_skew"), "{text}");
    assert!(text.contains("issuers[0].max_agee: unknown key"), "{text}");

    kit.write(STRICT);
    next_poll().await;
    kit.assert_status(StatusCode::UNAUTHORIZED).await;
}

#[tokio::test(start_paused = true)]
async fn half_written_document_is_not_used() {
    let kit = Kit::start_with(|folder, text| {
        folder.write("auth.toml", &text.replace("[metadata]", &format!("{STRICT}\n[metadata]")));
    });
    kit.assert_status(StatusCode::UNAUTHORIZED).await;
    let text = fs::read_to_string(kit.folder.path("auth.toml")).unwrap();
    // An editor writes the document in place. What it has written so far is valid, but less strict.
    let half = text.replace(STRICT, "");

    kit.folder.write("auth.toml", &half);
    tokio::time::sleep(Duration::from_secs(6)).await;
    kit.assert_status(StatusCode::UNAUTHORIZED).await;
    kit.folder.write("auth.toml", &text);
    next_poll().await;
    kit.assert_status(StatusCode::UNAUTHORIZED).await;

    kit.folder.write("auth.toml", &half);
    next_poll().await;
    kit.assert_status(StatusCode::OK).await;
}

#[tokio::test(start_paused = true)]
async fn deleted_document_changes_nothing() {
    let kit = Kit::start();

    fs::remove_file(kit.folder.path("auth.toml")).unwrap();
    next_poll().await;

    kit.assert_status(StatusCode::OK).await;
}

#[tokio::test(start_paused = true)]
async fn changed_key_file_takes_effect() {
    let kit = Kit::start();
    kit.assert_status(StatusCode::OK).await;

    let other = TestAuthorizationServer::new(ISSUER);
    kit.folder.write("jwks.json", &other.jwks().to_string());
    next_poll().await;

    kit.assert_status(StatusCode::UNAUTHORIZED).await;
}

#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn replaced_symbolic_link_takes_effect() {
    use std::os::unix::fs::symlink;
    // As Kubernetes does: auth.toml -> ..data/auth.toml, and ..data -> a folder of one version.
    let kit = Kit::start_with(|folder, text| {
        fs::create_dir(folder.path("v1")).unwrap();
        fs::create_dir(folder.path("v2")).unwrap();
        folder.write("v1/auth.toml", text);
        symlink("v1", folder.path("..data")).unwrap();
        symlink("..data/auth.toml", folder.path("auth.toml")).unwrap();
    });
    kit.folder.write("v2/auth.toml", &document(&kit.folder, STRICT));

    symlink("v2", kit.folder.path("..tmp")).unwrap();
    fs::rename(kit.folder.path("..tmp"), kit.folder.path("..data")).unwrap();
    next_poll().await;

    kit.assert_status(StatusCode::UNAUTHORIZED).await;
}

#[tokio::test(start_paused = true)]
async fn watching_ends_when_the_watch_is_dropped() {
    let Kit { folder, watch, app, token } = Kit::start();
    let text = document(&folder, STRICT);

    drop(watch);
    folder.write("auth.toml", &text);
    next_poll().await;

    assert_eq!(app.present(&token).await.status, StatusCode::OK);
}

#[tokio::test]
async fn reload_tells_what_it_did() {
    let kit = Kit::start();

    assert_eq!(kit.watch.reload().await, Ok(Reloaded::Unchanged));
    kit.write("# a comment");
    assert_eq!(kit.watch.reload().await, Ok(Reloaded::Unchanged));
    kit.write(STRICT);
    assert_eq!(kit.watch.reload().await, Ok(Reloaded::Changed));
    kit.assert_status(StatusCode::UNAUTHORIZED).await;
    kit.write("clock_skew = '1h'");
    let error = kit.watch.reload().await.unwrap_err();
    assert!(error.to_string().starts_with("issuers[0].clock_skew \"3600s\""), "{error}");
    kit.assert_status(StatusCode::UNAUTHORIZED).await;
}

#[tokio::test]
async fn what_cannot_change_while_serving_is_refused() {
    let kit = Kit::start();
    let good = document(&kit.folder, "");
    for (text, expected) in [
        (
            good.replace(&format!("resource = '{RESOURCE}'"), &format!("resource = '{RESOURCE}/v2'")),
            "metadata",
        ),
        (good.split("[metadata]").next().unwrap().to_owned(), "metadata"),
        (
            format!("{good}[paths]\notherwise = ['a']\n"),
            "paths: expected none, because there was none at the start",
        ),
    ] {
        kit.folder.write("auth.toml", &text);

        let error = kit.watch.reload().await.unwrap_err().to_string();

        assert!(error.contains(expected), "{error}");
        kit.assert_status(StatusCode::OK).await;
    }
}

#[tokio::test]
async fn rules_for_paths_are_replaced() {
    let authority = TestAuthorizationServer::new(ISSUER).with_clock(ManualClock::starting_now());
    let folder = Folder::new();
    folder.write("jwks.json", &authority.jwks().to_string());
    let text = |scope: &str| format!("{}[paths]\notherwise = ['{scope}']\n", document(&folder, ""));
    let path = folder.write("auth.toml", &text("orders:read"));
    let watch = toml_source(&path).watch().unwrap();
    let app = App::new(watch.resource_server().require_policy().unwrap());
    let token = authority.token().audience(RESOURCE).scope("orders:read").sign();
    assert_eq!(app.present(&token).await.status, StatusCode::OK);

    folder.write("auth.toml", &text("orders:write"));
    watch.reload().await.unwrap();

    assert_eq!(app.present(&token).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_admitted_under_old_settings_after_the_swap() {
    let kit = Kit::start();
    kit.assert_status(StatusCode::OK).await;
    for round in 0..20 {
        let is_strict = round % 2 == 0;
        let [swapped, done] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        let clients: Vec<_> = (0..4)
            .map(|_| {
                let (app, token) = (kit.app.clone(), kit.token.clone());
                let (swapped, done) = (Arc::clone(&swapped), Arc::clone(&done));
                tokio::spawn(async move {
                    while !done.load(Ordering::SeqCst) {
                        let is_after = swapped.load(Ordering::SeqCst);
                        let status = app.present(&token).await.status;
                        let expected = if is_strict { StatusCode::UNAUTHORIZED } else { StatusCode::OK };
                        assert!(!is_after || status == expected, "{status} after the swap");
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();

        kit.write(if is_strict { STRICT } else { "" });
        assert_eq!(kit.watch.reload().await, Ok(Reloaded::Changed));
        swapped.store(true, Ordering::SeqCst);
        kit.assert_status(if is_strict { StatusCode::UNAUTHORIZED } else { StatusCode::OK }).await;

        done.store(true, Ordering::SeqCst);
        for client in clients {
            client.await.unwrap();
        }
    }
}

#[tokio::test]
async fn poll_interval_out_of_range_is_a_problem() {
    let folder = Folder::new();
    folder.write("jwks.json", "{}");
    let path = folder.write("auth.toml", "");

    for interval in [Duration::ZERO, Duration::from_secs(24 * 60 * 60 + 1)] {
        let error = toml_source(&path).poll_interval(interval).watch().unwrap_err();

        let found: Vec<_> = error.problems().collect();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[1].starts_with("poll_interval"), "{found:?}");
    }
    assert_eq!(problems(toml_source(&path).load()).len(), 1);
}

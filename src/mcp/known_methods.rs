//! The MCP methods that clients send.

use crate::similar::most_similar;

/// Returns what is expected instead of a method that no client sends. Methods with a vendor prefix, such as `com.example/reindex`,
/// are accepted.
pub(super) fn expected_instead_of(method: &str) -> Option<String> {
    let is_vendor =
        method.split_once('/').is_some_and(|(prefix, name)| prefix.contains('.') && !name.is_empty());
    if is_vendor || KNOWN.contains(&method) {
        return None;
    }
    let hint =
        most_similar(method, &KNOWN).map(|similar| format!(" such as {similar:?}")).unwrap_or_default();
    Some(format!(
        "expected a method that MCP clients send{hint}; for a method of an extension, use extension_method"
    ))
}

/// The requests and notifications of clients in all revisions from 2024-11-05 to 2026-07-28, and in the official extensions.
const KNOWN: [&str; 29] = [
    "initialize",
    "ping",
    "server/discover",
    "subscriptions/listen",
    "tools/list",
    "tools/call",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "resources/subscribe",
    "resources/unsubscribe",
    "resources/directory/read",
    "prompts/list",
    "prompts/get",
    "completion/complete",
    "logging/setLevel",
    "tasks/list",
    "tasks/get",
    "tasks/result",
    "tasks/update",
    "tasks/cancel",
    "skills/list",
    "skills/get",
    "notifications/initialized",
    "notifications/cancelled",
    "notifications/progress",
    "notifications/roots/list_changed",
    "notifications/tasks",
    "notifications/tasks/status",
];

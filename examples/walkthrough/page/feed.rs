//! What happens inside the APIs, as a stream for the page (server-sent events).

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes, HttpBody},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use http_body::Frame;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::mpsc;

use super::super::recorder::{HandlerView, Outcome, RecordedRequest};

/// Sends events to all pages that are open. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Feed(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    last_id: u64,
    pages: Vec<mpsc::UnboundedSender<Bytes>>,
}

/// Something that the page cannot see itself. `api` is the name of an API.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event<'a> {
    /// An API sends a request to the authorization server.
    Request { id: u64, api: &'a str, method: &'a str, path: &'a str },
    /// The API got the response. If it got none, `error` says why.
    Response {
        id: u64,
        api: &'a str,
        micros: u128,
        status: Option<u16>,
        error: Option<String>,
        /// The answer to an introspection request.
        introspection: Option<Value>,
    },
    /// The layer of an API admitted or refused a request.
    Call {
        id: u64,
        api: &'a str,
        micros: u128,
        /// What the handler got. `None` if it was not called.
        handler: Option<&'a HandlerView>,
        /// Why the request was refused.
        refusal: Option<String>,
    },
    /// The authorization server was stopped or started.
    Server { running: bool },
}

impl<'a> Event<'a> {
    pub fn call(id: u64, api: &'a str, record: &'a RecordedRequest) -> Self {
        let (handler, refusal) = match &record.outcome {
            Outcome::Admitted(view) => (Some(view), None),
            Outcome::Refused(reason) => (None, Some(reason.error().to_string())),
        };
        Self::Call { id, api, micros: record.layer_took.as_micros(), handler, refusal }
    }
}

impl Feed {
    /// Returns a number that no other request has.
    pub fn next_id(&self) -> u64 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.last_id += 1;
        state.last_id
    }

    /// Sends an event to all pages, and removes those that were closed.
    pub fn send(&self, event: &Event<'_>) {
        let message = message(event);
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.pages.retain(|page| page.send(message.clone()).is_ok());
    }

    /// Answers a page that subscribes. `first` is the first event that it gets.
    pub fn subscribe(&self, first: &Event<'_>) -> Response {
        let (sender, receiver) = mpsc::unbounded_channel();
        // Cannot fail: the receiver exists.
        let _ = sender.send(message(first));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pages.push(sender);
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        (headers, Body::new(EventStream(receiver))).into_response()
    }
}

fn message(event: &Event<'_>) -> Bytes {
    let json = serde_json::to_string(event).expect("events have string keys");
    format!("data: {json}\n\n").into()
}

/// A body that ends only when the page closes the connection.
struct EventStream(mpsc::UnboundedReceiver<Bytes>);

impl HttpBody for EventStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|message| message.map(|message| Ok(Frame::data(message))))
    }
}

//! An HTTP client for an API that shows the page its requests to the authorization server.

use std::time::Instant;

use bytes::Bytes;
use serde_json::Value;
use tower_bearer::{BoxFuture, HttpClient, HttpError, ReqwestClient};

use super::{
    super::authorization_server::endpoints,
    feed::{Event, Feed},
};

/// The HTTP client of one API.
#[derive(Debug)]
pub struct ObservedClient {
    api: &'static str,
    feed: Feed,
    client: ReqwestClient,
}

impl ObservedClient {
    pub fn new(api: &'static str, feed: Feed) -> Result<Self, HttpError> {
        // A proxy from the environment cannot reach loopback addresses of this machine.
        let client = ReqwestClient::from_builder(reqwest::Client::builder().no_proxy())?;
        Ok(Self { api, feed, client })
    }
}

impl HttpClient for ObservedClient {
    fn send(
        &self,
        request: http::Request<Bytes>,
        body_limit: usize,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, HttpError>> {
        Box::pin(async move {
            let (id, api) = (self.feed.next_id(), self.api);
            let path = request.uri().path().to_owned();
            self.feed.send(&Event::Request { id, api, method: request.method().as_str(), path: &path });

            let start = Instant::now();
            let result = self.client.send(request, body_limit).await;
            let micros = start.elapsed().as_micros();
            let (status, error) = match &result {
                Ok(response) => (Some(response.status().as_u16()), None),
                Err(error) => (None, Some(error.to_string())),
            };
            // The page shows the claims in this response. All other responses are public documents.
            let body =
                result.as_ref().ok().filter(|_| path == endpoints::INTROSPECT).map(http::Response::body);
            let introspection = body.and_then(|body| serde_json::from_slice::<Value>(body).ok());
            self.feed.send(&Event::Response { id, api, micros, status, error, introspection });
            result
        })
    }
}

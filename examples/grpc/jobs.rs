//! Messages, servers and clients of the package `jenkins.v1`.
//!
//! In a real project, `tonic-prost-build` generates this file from the lines below. It is written by hand here, so that the
//! example does not need `protoc`. Nothing in it is about tokens.
//!
//! ```proto
//! package jenkins.v1;
//!
//! service Jobs {
//!   rpc List(ListRequest) returns (JobList);
//!   rpc Delete(DeleteRequest) returns (JobList);
//! }
//! service Builds {
//!   rpc Start(StartRequest) returns (Build);
//! }
//! message ListRequest {}
//! message DeleteRequest { string job = 1; }
//! message JobList { repeated string jobs = 1; string listed_for = 2; }
//! message StartRequest { string job = 1; }
//! message Build { string job = 1; uint32 number = 2; string started_by = 3; }
//! ```

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::uri::PathAndQuery;
use prost::Message;
use tonic::{Request, Response, Status, body::Body, server::NamedService, transport::Channel};
use tonic_prost::ProstCodec;
use tower::{BoxError, Service, service_fn};

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ListRequest {}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct DeleteRequest {
    #[prost(string, tag = "1")]
    pub(crate) job: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct JobList {
    #[prost(string, repeated, tag = "1")]
    pub(crate) jobs: Vec<String>,
    #[prost(string, tag = "2")]
    pub(crate) listed_for: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct StartRequest {
    #[prost(string, tag = "1")]
    pub(crate) job: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Build {
    #[prost(string, tag = "1")]
    pub(crate) job: String,
    #[prost(uint32, tag = "2")]
    pub(crate) number: u32,
    #[prost(string, tag = "3")]
    pub(crate) started_by: String,
}

/// The methods of the service `Jobs`.
pub(crate) trait Jobs: Send + Sync + 'static {
    fn list(
        &self,
        request: Request<ListRequest>,
    ) -> impl Future<Output = Result<Response<JobList>, Status>> + Send;

    fn delete(
        &self,
        request: Request<DeleteRequest>,
    ) -> impl Future<Output = Result<Response<JobList>, Status>> + Send;
}

/// The methods of the service `Builds`.
pub(crate) trait Builds: Send + Sync + 'static {
    fn start(
        &self,
        request: Request<StartRequest>,
    ) -> impl Future<Output = Result<Response<Build>, Status>> + Send;
}

const LIST: &str = "/jenkins.v1.Jobs/List";
const DELETE: &str = "/jenkins.v1.Jobs/Delete";
const START: &str = "/jenkins.v1.Builds/Start";

/// Serves an implementation of [`Jobs`].
pub(crate) struct JobsServer<T>(Arc<T>);

impl<T: Jobs> NamedService for JobsServer<T> {
    const NAME: &'static str = "jenkins.v1.Jobs";
}

impl<T, B> Service<http::Request<B>> for JobsServer<T>
where
    T: Jobs,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError> + Send> + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Answer {
        let jobs = Arc::clone(&self.0);
        Box::pin(async move {
            let list = |request| {
                let jobs = Arc::clone(&jobs);
                async move { jobs.list(request).await }
            };
            let delete = |request| {
                let jobs = Arc::clone(&jobs);
                async move { jobs.delete(request).await }
            };
            Ok(match request.uri().path() {
                LIST => {
                    tonic::server::Grpc::new(ProstCodec::default()).unary(service_fn(list), request).await
                }
                DELETE => {
                    tonic::server::Grpc::new(ProstCodec::default()).unary(service_fn(delete), request).await
                }
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

/// Serves an implementation of [`Builds`].
pub(crate) struct BuildsServer<T>(Arc<T>);

impl<T: Builds> NamedService for BuildsServer<T> {
    const NAME: &'static str = "jenkins.v1.Builds";
}

impl<T, B> Service<http::Request<B>> for BuildsServer<T>
where
    T: Builds,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError> + Send> + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Answer {
        let builds = Arc::clone(&self.0);
        Box::pin(async move {
            let start = |request| {
                let builds = Arc::clone(&builds);
                async move { builds.start(request).await }
            };
            Ok(match request.uri().path() {
                START => {
                    tonic::server::Grpc::new(ProstCodec::default()).unary(service_fn(start), request).await
                }
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

impl<T> JobsServer<T> {
    pub(crate) fn new(jobs: T) -> Self {
        Self(Arc::new(jobs))
    }
}

impl<T> BuildsServer<T> {
    pub(crate) fn new(builds: T) -> Self {
        Self(Arc::new(builds))
    }
}

// Not derived, because that would require `T: Clone`.
impl<T> Clone for JobsServer<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Clone for BuildsServer<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Calls both services.
#[derive(Clone)]
pub(crate) struct JenkinsClient(Channel);

impl JenkinsClient {
    pub(crate) fn new(channel: Channel) -> Self {
        Self(channel)
    }

    pub(crate) async fn list(&self, request: Request<ListRequest>) -> Result<Response<JobList>, Status> {
        self.unary(LIST, request).await
    }

    pub(crate) async fn delete(&self, request: Request<DeleteRequest>) -> Result<Response<JobList>, Status> {
        self.unary(DELETE, request).await
    }

    pub(crate) async fn start(&self, request: Request<StartRequest>) -> Result<Response<Build>, Status> {
        self.unary(START, request).await
    }

    async fn unary<Q, A>(&self, path: &'static str, request: Request<Q>) -> Result<Response<A>, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let mut grpc = tonic::client::Grpc::new(self.0.clone());
        grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        grpc.unary(request, PathAndQuery::from_static(path), ProstCodec::default()).await
    }
}

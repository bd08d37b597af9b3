//! The gRPC service `interop.v1.Echo` of `servers/echo.proto`, written by hand so that the tests need no `protoc`.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use prost::Message;
use tonic::{
    Request, Response, Status, Streaming,
    codegen::tokio_stream::{self, Stream, StreamExt as _},
    server::NamedService,
};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};
use tower_bearer::ValidatedToken;

#[derive(Clone, PartialEq, Message)]
pub(super) struct Words {
    #[prost(string, tag = "1")]
    pub(super) text: String,
}

/// Answers each message with the subject of the token and the message.
#[derive(Clone, Debug)]
pub(super) struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "interop.v1.Echo";
}

type Answers = Pin<Box<dyn Stream<Item = Result<Words, Status>> + Send>>;
type Answer = Pin<Box<dyn Future<Output = Result<http::Response<tonic::body::Body>, Infallible>> + Send>>;

impl<B> Service<http::Request<B>> for Echo
where
    B: http_body::Body<Data = bytes::Bytes, Error: Into<tower::BoxError> + Send> + Send + 'static,
{
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Answer {
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(ProstCodec::<Words, Words>::default());
            Ok(match request.uri().path() {
                "/interop.v1.Echo/Unary" => grpc.unary(service_fn(unary), request).await,
                "/interop.v1.Echo/Server" => grpc.server_streaming(service_fn(server), request).await,
                "/interop.v1.Echo/Client" => grpc.client_streaming(service_fn(client), request).await,
                "/interop.v1.Echo/Bidi" => grpc.streaming(service_fn(bidi), request).await,
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

async fn unary(request: Request<Words>) -> Result<Response<Words>, Status> {
    let subject = subject(&request)?;
    Ok(Response::new(answer(&subject, &request.into_inner())))
}

async fn server(request: Request<Words>) -> Result<Response<Answers>, Status> {
    let subject = subject(&request)?;
    let words: Vec<_> = request.into_inner().text.split(' ').map(str::to_owned).collect();
    let answers = words.into_iter().map(move |text| Ok(answer(&subject, &Words { text })));
    Ok(Response::new(Box::pin(tokio_stream::iter(answers))))
}

async fn client(request: Request<Streaming<Words>>) -> Result<Response<Words>, Status> {
    let subject = subject(&request)?;
    let mut words = request.into_inner();
    let mut texts = Vec::new();
    while let Some(word) = words.message().await? {
        texts.push(word.text);
    }
    Ok(Response::new(answer(&subject, &Words { text: texts.join(" ") })))
}

async fn bidi(request: Request<Streaming<Words>>) -> Result<Response<Answers>, Status> {
    let subject = subject(&request)?;
    let answers = request.into_inner().map(move |words| Ok(answer(&subject, &words?)));
    Ok(Response::new(Box::pin(answers)))
}

fn subject<T>(request: &Request<T>) -> Result<String, Status> {
    let token = ValidatedToken::from_extensions(request.extensions())?;
    Ok(token.subject().unwrap_or("a service").to_owned())
}

fn answer(subject: &str, words: &Words) -> Words {
    Words { text: format!("{subject}: {}", words.text) }
}

//! The upstream behind the router: fixed answers, in the form that `VictoriaMetrics` gives them.

use std::{convert::Infallible, net::SocketAddr};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::{
    error::CountError,
    pace::Pace,
    scenario::{EXPORT, IMPORT, LARGE, SMALL},
};

/// What answers are taken from.
static DATA: [u8; LARGE] = [b'x'; LARGE];

/// Answers until it is dropped.
#[derive(Debug)]
pub(crate) struct Upstream {
    address: SocketAddr,
    pace: Pace,
    accepting: JoinHandle<()>,
}

impl Upstream {
    pub(crate) async fn start() -> Result<Self, CountError> {
        let doing = |error| CountError::io("listen as the upstream", error);
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(doing)?;
        let pace = Pace::new();
        Ok(Self {
            address: listener.local_addr().map_err(doing)?,
            accepting: tokio::spawn(accept(listener, pace.clone())),
            pace,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How the client asks for more of a long answer.
    pub(crate) fn pace(&self) -> &Pace {
        &self.pace
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, pace: Pace) {
    loop {
        // Failing is up to the router, who sees no answer; going on is up to us.
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, pace.clone()));
        } else {
            tokio::task::yield_now().await;
        }
    }
}

async fn serve(stream: TcpStream, pace: Pace) {
    let nodelay = stream.set_nodelay(true);
    if nodelay.is_ok() {
        let service = service_fn(|request| answer(request, pace.clone()));
        // Whoever closes is right: the router is stopped under us.
        let _ = http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .await;
    }
}

async fn answer(
    request: Request<Incoming>,
    pace: Pace,
) -> Result<Response<UnsyncBoxBody<Bytes, Infallible>>, Infallible> {
    let (head, body) = request.into_parts();
    // A body that breaks off is the router's failure, and told to the client by the router.
    let _ = body.collect().await;
    let (status, body) = match head.uri.path() {
        IMPORT => (StatusCode::NO_CONTENT, Full::default().boxed_unsync()),
        EXPORT => {
            let pieces = pace.pieces(Bytes::from_static(&DATA));
            (StatusCode::OK, StreamBody::new(pieces).boxed_unsync())
        }
        _ => {
            let body = Full::new(Bytes::from_static(&DATA[..SMALL]));
            (StatusCode::OK, body.boxed_unsync())
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if head.uri.path() == EXPORT {
        headers.insert(header::CONTENT_LENGTH, LARGE.into());
    }
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    headers.insert("x-server-hostname", HeaderValue::from_static("upstream"));
    Ok(response)
}

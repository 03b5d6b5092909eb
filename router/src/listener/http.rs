//! HTTP on one client connection: which version it is, and how long anything is held for it.
//!
//! A connection is served by a protocol while there are requests, and rests in between: then there
//! is its socket, its TLS session if it has one, and nobody but the reader who waits for the next
//! byte.

use std::{convert::Infallible, future::Future, pin::Pin, rc::Rc, time::Duration};

use http::{Request, Response};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::{HttpService, Service, service_fn},
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{io::AsyncWriteExt as _, time::timeout};

use super::{
    Fault, Reception,
    watched::{HangUp, Protocol, Watched},
};
use crate::{
    config::ListenerLimits,
    connection::{Connection, Driven},
    proxy::{self, relay::ResponseBody, upstream::OnThisWorker},
};

/// How long a connection that rests may take to say good-bye, as TLS does.
const GOOD_BYE: Duration = Duration::from_secs(1);

/// Serves a connection until either side ends it. Where nothing has been agreed on before, the
/// client's first bytes tell what it speaks.
pub(super) async fn serve<S: HangUp + 'static>(
    stream: S,
    agreed: Option<Protocol>,
    connection: &Rc<Connection>,
    reception: &Rc<Reception>,
) -> Result<(), Fault> {
    let mut stream = Watched::new(stream, connection.clone());
    if agreed == Some(Protocol::Http2) {
        return serve_http2(stream, connection, reception).await;
    }
    loop {
        match rest(&mut stream, connection, reception).await? {
            Some(Protocol::Http1) => match serve_http1(stream, connection, reception).await? {
                Some(idle) => stream = idle,
                None => return Ok(()),
            },
            Some(Protocol::Http2) => return serve_http2(stream, connection, reception).await,
            None => return Box::pin(leave(stream)).await,
        }
    }
}

/// Ends a connection in order. Boxed where it is awaited: those that rest would hold the room for it.
async fn leave<S: HangUp>(mut stream: Watched<S>) -> Result<(), Fault> {
    let shut = timeout(GOOD_BYE, stream.shutdown()).await;
    Ok(shut.unwrap_or(Ok(()))?)
}

/// Waits for the client to say something; `None` if it left, or shall leave.
async fn rest<S: HangUp>(
    stream: &mut Watched<S>,
    connection: &Connection,
    reception: &Reception,
) -> Result<Option<Protocol>, Fault> {
    let _resting = reception.context.counts().rests();
    let beginning = connection.rest(|cx| stream.poll_beginning(cx)).await;
    Ok(beginning.transpose()?.flatten())
}

/// Serves requests until the connection ends, or has been idle for a while: then it is answered.
async fn serve_http1<S: HangUp + 'static>(
    stream: Watched<S>,
    connection: &Rc<Connection>,
    reception: &Rc<Reception>,
) -> Result<Option<Watched<S>>, Fault> {
    let protocol = http1(connection.limits());
    let io = TokioIo::new(stream);
    let mut protocol = Box::new(protocol.serve_connection(io, service(connection, reception)));
    match connection.drive(Pin::new(&mut *protocol)).await {
        Driven::Ended(outcome) => Ok(outcome.map(|()| None)?),
        Driven::CutOff => Ok(None),
        Driven::Idle => match dismantle(*protocol) {
            (stream, true) => Ok(Some(stream)),
            (stream, false) => Box::pin(leave(stream)).await.map(|()| None),
        },
    }
}

async fn serve_http2<S: HangUp + 'static>(
    stream: Watched<S>,
    connection: &Rc<Connection>,
    reception: &Rc<Reception>,
) -> Result<(), Fault> {
    connection.speaks_http2();
    let protocol = http2(connection.limits());
    let io = TokioIo::new(stream);
    let mut protocol = Box::pin(protocol.serve_connection(io, service(connection, reception)));
    match connection.drive(protocol.as_mut()).await {
        Driven::Ended(outcome) => Ok(outcome?),
        Driven::CutOff | Driven::Idle => Ok(()),
    }
}

/// Answers a connection's requests.
fn service(
    connection: &Rc<Connection>,
    reception: &Rc<Reception>,
) -> impl Service<
    Request<Incoming>,
    Response = Response<ResponseBody>,
    Error = Infallible,
    Future = impl Future<Output = Result<Response<ResponseBody>, Infallible>> + use<>,
> + use<> {
    let (connection, reception) = (connection.clone(), reception.clone());
    service_fn(move |request| {
        let (connection, reception) = (connection.clone(), reception.clone());
        async move { Ok(proxy::handle(&reception.context, &connection, request).await) }
    })
}

/// Takes the stream out of a protocol that has nothing to do, whose buffers go. Whether nothing was
/// left in them.
///
/// Empty lines between requests mean nothing. All else is the end of a body that its backend, which
/// has answered, does not take: it is never read as a request.
fn dismantle<S, H>(protocol: http1::Connection<TokioIo<Watched<S>>, H>) -> (Watched<S>, bool)
where
    S: HangUp,
    H: HttpService<Incoming, ResBody = ResponseBody, Error = Infallible>,
{
    let parts = protocol.into_parts();
    let mut left = parts.read_buf.iter();
    let is_clean = left.all(|byte| matches!(byte, b'\r' | b'\n'));
    (parts.io.into_inner(), is_clean)
}

/// HTTP/1.1, every knob named.
fn http1(limits: &ListenerLimits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .half_close(false)
        .keep_alive(true)
        // Deadlines for heads and idle connections are the worker's, on its tick: a timer per
        // request would cost more than all of identify, classify and pick.
        .header_read_timeout(None)
        .max_buf_size(limits.max_head_bytes)
        .max_headers(limits.max_headers)
        .pipeline_flush(false);
    builder
}

/// HTTP/2, every knob named.
fn http2(limits: &ListenerLimits) -> http2::Builder<OnThisWorker> {
    let mut builder = http2::Builder::new(OnThisWorker);
    builder
        .timer(TokioTimer::new())
        // One tenant's uploads that stall must not stop all others on a shared connection.
        .initial_stream_window_size(64 << 10)
        .initial_connection_window_size(4 << 20)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20))
        .max_concurrent_streams(250)
        .max_header_list_size(u32::try_from(limits.max_head_bytes).unwrap_or(u32::MAX))
        .max_send_buf_size(256 << 10);
    builder
}

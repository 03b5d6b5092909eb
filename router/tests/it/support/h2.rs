//! HTTP/2, frame by frame: a client that tells how a stream ended, and a backend with trailers.

use std::sync::Arc;

use bytes::Bytes;
use h2::{Reason, RecvStream, client, server};
use http::{HeaderMap, Request, Response, request::Parts};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
};

use super::{mirador::Mirador, within};

/// A client's connection.
pub(crate) struct H2Client {
    requests: client::SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

/// A whole message but for its start.
#[derive(Debug, Default)]
pub(crate) struct H2Body {
    pub(crate) data: Vec<u8>,
    pub(crate) trailers: Option<HeaderMap>,
    /// The reset that broke it off.
    pub(crate) reset: Option<Reason>,
}

impl H2Client {
    /// Connects without TLS, knowing that the router speaks HTTP/2.
    pub(crate) async fn connect(mirador: &Mirador) -> Self {
        let io = within("a connection", TcpStream::connect(mirador.address())).await;
        Self::over(io.expect("a listening router")).await
    }

    /// Speaks over a connection that stands already.
    pub(crate) async fn over(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (requests, connection) = within("a handshake", client::handshake(io))
            .await
            .expect("a peer that speaks HTTP/2");
        Self {
            requests,
            connection: tokio::spawn(connection),
        }
    }

    /// Sends a request whose body comes in these pieces, and waits for the head of its reply.
    pub(crate) async fn start(
        &self,
        request: Request<()>,
        body: &[&'static str],
    ) -> Result<Response<RecvStream>, h2::Error> {
        let mut requests = within("room for a request", self.requests.clone().ready()).await?;
        let (reply, mut sending) = requests.send_request(request, body.is_empty())?;
        for (index, piece) in body.iter().enumerate() {
            sending.send_data(
                Bytes::from_static(piece.as_bytes()),
                index + 1 == body.len(),
            )?;
        }
        within("the head of a reply", reply).await
    }

    /// Sends a request and waits for its whole reply.
    pub(crate) async fn send(
        &self,
        request: Request<()>,
        body: &[&'static str],
    ) -> (Response<()>, H2Body) {
        let reply = self.start(request, body).await.expect("a reply");
        let (head, stream) = reply.into_parts();
        (Response::from_parts(head, ()), read(stream).await)
    }

    /// Waits until the router has ended the connection, and tells whether it did so in order.
    pub(crate) async fn ended(self) -> Result<(), h2::Error> {
        // The connection lasts as long as somebody might send.
        drop(self.requests);
        within("the end of the connection", self.connection)
            .await
            .expect("no panic")
    }
}

/// Reads a body to its end, whatever that is.
pub(crate) async fn read(mut stream: RecvStream) -> H2Body {
    let mut body = H2Body::default();
    while let Some(data) = within("data", stream.data()).await {
        match data {
            Ok(data) => {
                let _ = stream.flow_control().release_capacity(data.len());
                body.data.extend(data);
            }
            Err(error) => {
                body.reset = Some(error.reason().expect("a reset, not a lost connection"));
                return body;
            }
        }
    }
    body.trailers = within("trailers", stream.trailers())
        .await
        .expect("no reset");
    body
}

/// What a backend's script answers with.
#[derive(Debug, Clone, Default)]
pub(crate) struct H2Reply {
    pub(crate) data: &'static str,
    pub(crate) trailers: HeaderMap,
}

/// An HTTP/2 backend in clear, which answers every request with 200 and remembers it.
#[derive(Debug)]
pub(crate) struct H2Upstream {
    url: String,
    asked: Arc<Mutex<Vec<(Parts, H2Body)>>>,
    _serving: JoinSet<()>,
}

impl H2Upstream {
    /// Starts one.
    pub(crate) async fn start(reply: H2Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let mut serving = JoinSet::new();
        serving.spawn(accept(listener, reply, Arc::clone(&asked)));
        Self {
            url,
            asked,
            _serving: serving,
        }
    }

    /// Its URL.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Takes what it was asked so far.
    pub(crate) fn take_asked(&self) -> Vec<(Parts, H2Body)> {
        std::mem::take(&mut self.asked.lock())
    }
}

async fn accept(listener: TcpListener, reply: H2Reply, asked: Arc<Mutex<Vec<(Parts, H2Body)>>>) {
    let mut open = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        open.spawn(serve(stream, reply.clone(), Arc::clone(&asked)));
    }
}

async fn serve(stream: TcpStream, reply: H2Reply, asked: Arc<Mutex<Vec<(Parts, H2Body)>>>) {
    // Whoever speaks something else is let go.
    let Ok(mut connection) = server::handshake(stream).await else {
        return;
    };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let (reply, asked) = (reply.clone(), Arc::clone(&asked));
        tokio::spawn(async move {
            let (head, stream) = request.into_parts();
            let body = read(stream).await;
            asked.lock().push((head, body));
            let head = Response::builder()
                .header("content-type", "application/grpc")
                .body(())
                .expect("a head");
            let mut sending = respond.send_response(head, false)?;
            sending.send_data(Bytes::from_static(reply.data.as_bytes()), false)?;
            sending.send_trailers(reply.trailers)
        });
    }
}

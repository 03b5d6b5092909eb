//! A client that sends exactly the bytes it is given, and tells exactly what came back.

use std::net::{IpAddr, SocketAddr};

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

use super::{
    wire::{Body, End, Head, Wire},
    within,
};

/// A connection to the router.
#[derive(Debug)]
pub(crate) struct RawClient<S = TcpStream> {
    wire: Wire<S>,
}

/// One whole reply, or what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RawReply {
    pub(crate) head: Head,
    pub(crate) body: Body,
}

impl RawReply {
    /// The reply's status.
    pub(crate) fn status(&self) -> u16 {
        self.head.status()
    }
}

impl RawClient {
    /// Connects.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let io = within("a connection", TcpStream::connect(address)).await;
        Self::over(io.expect("a listening router"))
    }

    /// Connects from an address of this machine's own choosing, such as 127.0.0.2.
    pub(crate) async fn connect_from(from: IpAddr, address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind((from, 0).into()).expect("an address");
        let io = within("a connection", socket.connect(address)).await;
        Self::over(io.expect("a listening router"))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> RawClient<S> {
    /// Speaks over a connection that stands already, such as a TLS session.
    pub(crate) fn over(io: S) -> Self {
        Self {
            wire: Wire::new(io),
        }
    }

    /// Sends these bytes. A peer that has already closed is no fault here: the reply tells.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = async {
            self.wire.io.write_all(bytes.as_ref()).await?;
            self.wire.io.flush().await
        };
        let _ = within("the peer to take bytes", sent).await;
    }

    /// Reads a head, or how the connection ended instead.
    pub(crate) async fn head(&mut self) -> Result<Head, End> {
        within("the head of a reply", self.wire.head()).await
    }

    /// Reads the body of a reply with this head.
    pub(crate) async fn body(&mut self, head: &Head) -> Body {
        within("the body of a reply", self.wire.reply_body(head)).await
    }

    /// Reads a whole reply, or how the connection ended instead.
    pub(crate) async fn reply(&mut self) -> Result<RawReply, End> {
        let head = self.head().await?;
        let body = self.body(&head).await;
        Ok(RawReply { head, body })
    }

    /// Reads until the connection ends, and tells how it did.
    pub(crate) async fn rest(&mut self) -> Body {
        within("the end of the connection", self.wire.rest()).await
    }

    /// The socket itself, to shut it down or let it be.
    pub(crate) fn into_io(self) -> S {
        self.wire.io
    }
}

/// Sends `bytes` on a connection of their own, and reads one reply.
pub(crate) async fn ask(address: SocketAddr, bytes: impl AsRef<[u8]>) -> Result<RawReply, End> {
    let mut client = RawClient::connect(address).await;
    client.send(bytes).await;
    client.reply().await
}

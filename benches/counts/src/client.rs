//! The client before the router: one connection, one request at a time.

mod gather;

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use self::gather::Gather;
use crate::{
    error::CountError,
    pace::{PIECE, Pace},
    scenario::{Protocol, Scenario},
};

/// A connection to the router.
#[derive(Debug)]
pub(crate) struct Client {
    scenario: Scenario,
    pace: Pace,
    sender: Sender,
}

#[derive(Debug)]
enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Client {
    pub(crate) async fn connect(
        router: SocketAddr,
        scenario: Scenario,
        pace: Pace,
    ) -> Result<Self, CountError> {
        let connected = TcpStream::connect(router).await;
        let stream = connected.and_then(|stream| stream.set_nodelay(true).map(|()| stream));
        let stream = stream.map_err(|error| CountError::io("connect to the router", error))?;
        let sender = Sender::over(stream, scenario.protocol).await;
        let sender = sender.map_err(|source| CountError::Unanswered {
            scenario: scenario.to_string(),
            number: 0,
            source,
        })?;
        Ok(Self {
            scenario,
            pace,
            sender,
        })
    }

    /// Sends a request of each tenant, each after the whole answer to the one before.
    pub(crate) async fn ask(
        &mut self,
        tenants: impl Iterator<Item = String>,
    ) -> Result<(), CountError> {
        for (number, tenant) in (1..).zip(tenants) {
            let request = self.scenario.request(&tenant);
            let answered = self.exchange(request).await;
            let (status, bytes) = answered.map_err(|source| CountError::Unanswered {
                scenario: self.scenario.to_string(),
                number,
                source,
            })?;
            if (status, bytes) != self.scenario.answer() {
                return Err(CountError::Answered {
                    scenario: self.scenario.to_string(),
                    number,
                    status,
                    bytes,
                });
            }
        }
        Ok(())
    }

    /// Status and length of the answer.
    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<(u16, usize)> {
        let (_, length) = self.scenario.answer();
        let paced = length > PIECE;
        if paced {
            self.pace.next();
        }
        let response = self.sender.send(request).await?;
        let status = response.status().as_u16();
        let mut body = response.into_body();
        let (mut bytes, mut wanted) = (0, PIECE);
        while let Some(frame) = body.frame().await {
            bytes += frame?.data_ref().map_or(0, Bytes::len);
            if paced && bytes >= wanted && bytes < length {
                wanted += PIECE;
                self.pace.next();
            }
        }
        Ok((status, bytes))
    }
}

impl Sender {
    async fn over(stream: TcpStream, protocol: Protocol) -> hyper::Result<Self> {
        let io = TokioIo::new(Gather::over(stream));
        // How a connection ended is told by the request that was on it.
        match protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(io).await?;
                tokio::spawn(connection);
                Ok(Self::Http1(sender))
            }
            Protocol::Http2 => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
                tokio::spawn(connection);
                Ok(Self::Http2(sender))
            }
        }
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        match self {
            Self::Http1(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
            Self::Http2(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }
}

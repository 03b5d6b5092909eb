//! Loopback ports that stay ours, so that a server can be killed and started again on its own.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use socket2::{Domain, Socket, Type};

use super::DemoError;

/// A loopback port held by a socket that is bound and never listens.
///
/// The kernel gives it to nobody who asks for any free port. A server that allows address or port
/// reuse, as ours and Go's do, binds it all the same. While none does, connections are refused.
#[derive(Debug)]
pub(super) struct Port {
    address: SocketAddr,
    _held: Socket,
}

impl Port {
    /// Takes any free port.
    pub(super) fn take() -> Result<Self, DemoError> {
        Self::hold(0)
    }

    /// Takes the port `wished` if nobody listens there, and any free one otherwise.
    pub(super) fn take_or_any(wished: u16) -> Result<Self, DemoError> {
        // Unlike the socket that holds it, this one shares with nobody, so it finds out.
        let is_free = TcpListener::bind((Ipv4Addr::LOCALHOST, wished)).is_ok();
        match is_free.then(|| Self::hold(wished)) {
            Some(Ok(port)) => Ok(port),
            Some(Err(_)) | None => Self::take(),
        }
    }

    fn hold(number: u16) -> Result<Self, DemoError> {
        let held = bind(number).and_then(|held| {
            let address = held.local_addr()?;
            let not_ip = || std::io::Error::other("the kernel bound it to no IP address");
            Ok(Self {
                address: address.as_socket().ok_or_else(not_ip)?,
                _held: held,
            })
        });
        held.map_err(|error| DemoError::io("take a loopback port", error))
    }

    /// `127.0.0.1:port`.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:port`.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn bind(number: u16) -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, number)).into())?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_somebody_listens_on_is_left_alone() {
        let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
        let wished = other.local_addr().expect("its address").port();
        let port = Port::take_or_any(wished).expect("another port");
        assert_ne!(port.address().port(), wished);
    }

    #[test]
    fn a_port_that_is_free_is_taken_as_wished() {
        let free = Port::take().expect("a port").address().port();
        let port = Port::take_or_any(free).expect("the port");
        assert_eq!(port.address().port(), free);
    }

    #[test]
    fn a_server_can_come_and_go_on_a_held_port() {
        let port = Port::take().expect("a port");
        for _ in 0..2 {
            let server = TcpListener::bind(port.address()).expect("bound beside the held socket");
            drop(server);
            std::net::TcpStream::connect(port.address()).expect_err("nobody listens any more");
        }
    }
}

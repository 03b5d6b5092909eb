//! Ports that stay ours: taken from the kernel, and kept while a server uses them.

use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Socket, Type};

/// A loopback port held by a socket that is bound and never listens. The kernel gives it to nobody
/// else; a server that allows address or port reuse, as ours and Go's do, binds it all the same.
/// While no server does, connections to it are refused.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    _held: Socket,
}

impl Port {
    /// Takes a free one.
    pub(crate) fn take() -> Self {
        let held = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        held.set_reuse_address(true).expect("address reuse");
        held.set_reuse_port(true).expect("port reuse");
        held.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
            .expect("a free port");
        let address = held
            .local_addr()
            .expect("its address")
            .as_socket()
            .expect("an IP address");
        Self {
            number: address.port(),
            _held: held,
        }
    }

    /// Where it is.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.number))
    }

    /// `http://127.0.0.1:port`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address())
    }
}

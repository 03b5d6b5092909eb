//! Ports that stay ours: taken from the kernel, and kept while a server uses them.

use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Socket, Type};

/// A loopback port held by a socket that is bound and never listens. The kernel gives it to nobody
/// else; a server that allows address or port reuse, as ours and Go's do, binds it all the same.
/// While no server does, connections to it are refused.
#[derive(Debug)]
pub(crate) struct Port {
    address: SocketAddr,
    _held: Socket,
}

impl Port {
    /// Takes a free one.
    pub(crate) fn take() -> Self {
        Self::hold((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port")
    }

    /// Takes one number on 127.0.0.1, 127.0.0.2 and so on, as many as asked for.
    pub(crate) fn take_beside<const N: usize>() -> [Self; N] {
        loop {
            let first = Self::take();
            let number = first.address.port();
            let beside = (2..).take(N - 1).map(|last| {
                let address = Ipv4Addr::new(127, 0, 0, last);
                Self::hold((address, number).into())
            });
            let beside: Result<Vec<_>, _> = beside.collect();
            // Another process may have the number on one of the others.
            let Ok(beside) = beside else { continue };
            let all: Vec<Self> = std::iter::once(first).chain(beside).collect();
            return all.try_into().expect("as many as asked for");
        }
    }

    fn hold(address: SocketAddr) -> std::io::Result<Self> {
        let held = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        held.set_reuse_address(true).expect("address reuse");
        held.set_reuse_port(true).expect("port reuse");
        held.bind(&address.into())?;
        let address = held
            .local_addr()
            .expect("its address")
            .as_socket()
            .expect("an IP address");
        Ok(Self {
            address,
            _held: held,
        })
    }

    /// Where it is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:port`, or where else it is.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address())
    }
}

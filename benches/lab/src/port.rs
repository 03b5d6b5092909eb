//! Loopback ports for servers that must be told theirs.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
};

use socket2::{Domain, Socket, Type};

use crate::error::BenchError;

/// A loopback port held by a socket that is bound and never listens, so that the kernel gives it to
/// nobody else, neither to a listener nor to the many outgoing connections. Servers that allow
/// reuse, as all do that are measured, bind it all the same.
#[derive(Debug)]
pub(crate) struct Port {
    address: SocketAddr,
    _held: Socket,
}

impl Port {
    pub(crate) fn take() -> Result<Self, BenchError> {
        hold().map_err(|error| BenchError::io("take a loopback port", error))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

fn hold() -> io::Result<Port> {
    let held = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    held.set_reuse_address(true)?;
    held.set_reuse_port(true)?;
    held.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    let address = held.local_addr()?.as_socket();
    let address = address.ok_or_else(|| io::Error::other("the kernel gave no IP address"))?;
    Ok(Port {
        address,
        _held: held,
    })
}

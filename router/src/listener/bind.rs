//! Binding: one socket per worker on each address.

use std::{io, net::SocketAddr, sync::Arc};

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error;

use super::{Address, Listener};

/// Connections the kernel queues per socket while a worker is busy.
const BACKLOG: i32 = 4096;

/// Why an address can't be listened on.
#[derive(Debug, Error)]
#[error("can't listen on {address}: {source}")]
pub struct BindError {
    address: SocketAddr,
    #[source]
    source: io::Error,
}

/// Binds an address once for each of `workers`.
///
/// # Errors
/// Somebody else listens there, or the address is not this machine's.
pub fn bind(address: &Arc<Address>, workers: usize) -> Result<Vec<Listener>, BindError> {
    let at = address.address;
    bind_all(at, workers)
        .map(|sockets| {
            let listener = |socket| Listener {
                address: address.clone(),
                socket,
            };
            sockets.into_iter().map(listener).collect()
        })
        .map_err(|source| BindError {
            address: at,
            source,
        })
}

fn bind_all(address: SocketAddr, workers: usize) -> io::Result<Vec<std::net::TcpListener>> {
    // With SO_REUSEPORT a second Mirador on the same address would silently take half of the
    // connections. A first socket without it finds out whether we are alone.
    drop(socket(address, false)?);
    let first = socket(address, true)?;
    // Port 0 is decided by the first socket; the others join it.
    let address = first.local_addr()?;
    let mut sockets = vec![first];
    for _ in 1..workers {
        sockets.push(socket(address, true)?);
    }
    Ok(sockets)
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_worker_gets_a_socket_on_the_same_port_and_nobody_else_does() {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let sockets = bind_all(anywhere, 3).expect("three sockets");
        let ports: Vec<u16> = sockets
            .iter()
            .map(|s| s.local_addr().expect("an address").port())
            .collect();
        assert_eq!(ports, [ports[0]; 3]);
        let taken = SocketAddr::from(([127, 0, 0, 1], ports[0]));
        let error = bind_all(taken, 1).expect_err("the port is taken");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}

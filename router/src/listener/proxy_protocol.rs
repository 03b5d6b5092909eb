//! What a proxy says before anything else of the client it speaks for: the PROXY protocol, versions
//! 1 and 2, as HAProxy describes it.
//!
//! Nothing beyond the header is read. What is garbled or too long ends the connection: nobody
//! guesses where it ends, and a request never begins in the middle of one.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str,
};

use thiserror::Error;
use tokio::{io::AsyncReadExt as _, net::TcpStream};

/// Every header of version 2 begins so, and nothing else does.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Every header of version 1 begins so.
const PREFIX: &[u8; 6] = b"PROXY ";
/// Bytes of a line of version 1 at most, its end included.
const LINE: usize = 107;
/// Bytes after the fixed part of version 2 at most: addresses, and what else a proxy tells. The
/// protocol has room for 64 KiB; a client certificate is the longest that is told in practice.
const BLOCK: usize = 4096;

/// For whom a proxy speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spoken {
    /// For itself, as when it checks our health.
    ForItself,
    /// For the client at this address.
    For(IpAddr),
    /// For a client it can't tell the address of.
    ForSomebody,
}

/// Why a connection does not begin as it has to.
#[derive(Debug, Error)]
pub(super) enum ProxyFault {
    #[error("{0} is none of trusted_proxies, and its word is not taken")]
    Untrusted(IpAddr),
    #[error("the PROXY header took too long")]
    Slow,
    #[error("the connection does not begin with a PROXY header")]
    Missing,
    #[error("the PROXY header is garbled")]
    Garbled,
    #[error("the PROXY header is longer than is read")]
    TooLong,
    #[error("the connection ended before its PROXY header: {0}")]
    Io(#[from] io::Error),
}

impl ProxyFault {
    /// The label in metrics.
    pub(super) fn cause(&self) -> &'static str {
        match self {
            Self::Untrusted(_) => "proxy_not_trusted",
            Self::Slow => "proxy_header_slow",
            Self::Missing => "proxy_header_missing",
            Self::Garbled | Self::TooLong => "proxy_header_garbled",
            Self::Io(_) => "proxy_header_broken",
        }
    }
}

/// Reads the header off a connection that has just begun.
pub(super) async fn read(stream: &mut TcpStream) -> Result<Spoken, ProxyFault> {
    // Shorter than the shortest header of either version.
    let mut start = [0; SIGNATURE.len()];
    // One read at a time, so that what is no header is refused before all of it has come.
    let mut filled = 0;
    while filled < start.len() {
        let came = stream.read(&mut start[filled..]).await?;
        if came == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        filled += came;
        let so_far = &start[..filled];
        let prefix = &PREFIX[..PREFIX.len().min(filled)];
        if !SIGNATURE.starts_with(so_far) && !so_far.starts_with(prefix) {
            return Err(ProxyFault::Missing);
        }
    }
    if start == *SIGNATURE {
        version_2(stream).await
    } else {
        version_1(stream, &start).await
    }
}

async fn version_1(stream: &mut TcpStream, start: &[u8]) -> Result<Spoken, ProxyFault> {
    let mut line = [0; LINE];
    line[..start.len()].copy_from_slice(start);
    let mut length = start.len();
    loop {
        // Looked at before it is taken: what follows the line is the client's.
        let there = stream.peek(&mut line[length..]).await?;
        if there == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let ahead = &line[length..length + there];
        let end = ahead.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(there, |end| end + 1);
        stream.read_exact(&mut line[length..length + taken]).await?;
        length += taken;
        if end.is_some() {
            return parse_line(&line[..length]).ok_or(ProxyFault::Garbled);
        }
        if length == LINE {
            return Err(ProxyFault::TooLong);
        }
    }
}

/// `PROXY TCP4 192.0.2.1 198.51.100.1 51234 443`, and its end.
fn parse_line(line: &[u8]) -> Option<Spoken> {
    let line = str::from_utf8(line.strip_suffix(b"\r\n")?).ok()?;
    let mut words = line.strip_prefix("PROXY ")?.split(' ');
    let family = words.next()?;
    if family == "UNKNOWN" {
        // Whatever else it says is not to be read.
        return Some(Spoken::ForSomebody);
    }
    let [client, server, client_port, server_port] = [(); 4].map(|()| words.next());
    let client: IpAddr = match family {
        "TCP4" => {
            let _: Ipv4Addr = server?.parse().ok()?;
            client?.parse::<Ipv4Addr>().ok()?.into()
        }
        "TCP6" => {
            let _: Ipv6Addr = server?.parse().ok()?;
            client?.parse::<Ipv6Addr>().ok()?.into()
        }
        _ => return None,
    };
    let are_ports = [client_port?, server_port?]
        .iter()
        .all(|port| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok());
    (are_ports && words.next().is_none()).then_some(Spoken::For(client))
}

async fn version_2(stream: &mut TcpStream) -> Result<Spoken, ProxyFault> {
    let mut fixed = [0; 4];
    stream.read_exact(&mut fixed).await?;
    let [version_and_command, family, high, low] = fixed;
    let length = usize::from(u16::from_be_bytes([high, low]));
    if version_and_command >> 4 != 2 {
        return Err(ProxyFault::Garbled);
    }
    if length > BLOCK {
        return Err(ProxyFault::TooLong);
    }
    let mut block = vec![0; length];
    stream.read_exact(&mut block).await?;
    parse_block(version_and_command & 0xf, family, &block).ok_or(ProxyFault::Garbled)
}

fn parse_block(command: u8, family: u8, block: &[u8]) -> Option<Spoken> {
    const LOCAL: u8 = 0;
    const PROXY: u8 = 1;
    match (command, family) {
        (LOCAL, _) => Some(Spoken::ForItself),
        // TCP over IPv4, and over IPv6: the client's address, the server's, and two ports.
        (PROXY, 0x11) if block.len() >= 12 => {
            let client = block.first_chunk::<4>()?;
            Some(Spoken::For(Ipv4Addr::from(*client).into()))
        }
        (PROXY, 0x21) if block.len() >= 36 => {
            let client = block.first_chunk::<16>()?;
            Some(Spoken::For(Ipv6Addr::from(*client).into()))
        }
        // Unspecified, UDP, or a Unix socket.
        (PROXY, 0x00 | 0x12 | 0x22 | 0x31 | 0x32) => Some(Spoken::ForSomebody),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::{
        io::AsyncWriteExt as _,
        net::{TcpListener, TcpStream},
    };

    use super::*;

    fn client(address: &str) -> Spoken {
        Spoken::For(address.parse().expect("an address"))
    }

    /// What is heard of these bytes, and what is left for the request.
    async fn hear(bytes: &[u8], piecemeal: bool) -> (Result<Spoken, ProxyFault>, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let mut proxy = TcpStream::connect(address).await.expect("a connection");
        proxy.set_nodelay(true).expect("a socket option");
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let send = async {
            for piece in bytes.chunks(if piecemeal { 1 } else { 65_536 }) {
                if proxy.write_all(piece).await.is_err() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            let _ = proxy.shutdown().await;
        };
        let listen = async {
            let heard = read(&mut stream).await;
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            (heard, rest)
        };
        tokio::join!(send, listen).1
    }

    fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
        let length = u16::try_from(block.len()).expect("a short block");
        let fixed = [0x20 | command, family];
        [&SIGNATURE[..], &fixed, &length.to_be_bytes(), block].concat()
    }

    fn v4_block(more: &[u8]) -> Vec<u8> {
        [&[192, 0, 2, 1, 198, 51, 100, 1, 0xc8, 0x22, 1, 0xbb], more].concat()
    }

    #[tokio::test]
    async fn a_header_of_either_version_is_taken_off_and_nothing_of_what_follows() {
        let v6: Ipv6Addr = "2001:db8::1".parse().expect("an address");
        let v6_block = [&v6.octets()[..], &[0; 20]].concat();
        for (header, expected) in [
            (
                b"PROXY TCP4 192.0.2.1 198.51.100.1 51234 443\r\n".to_vec(),
                client("192.0.2.1"),
            ),
            (
                b"PROXY TCP6 2001:db8::1 2001:db8::2 51234 443\r\n".to_vec(),
                client("2001:db8::1"),
            ),
            (b"PROXY UNKNOWN\r\n".to_vec(), Spoken::ForSomebody),
            (
                b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(),
                Spoken::ForSomebody,
            ),
            (v2(1, 0x11, &v4_block(b"")), client("192.0.2.1")),
            (v2(1, 0x11, &v4_block(&[4; 4000])), client("192.0.2.1")),
            (v2(1, 0x21, &v6_block), client("2001:db8::1")),
            (v2(0, 0x00, b""), Spoken::ForItself),
            (v2(0, 0x11, &v4_block(b"")), Spoken::ForItself),
            (v2(1, 0x00, b""), Spoken::ForSomebody),
            (v2(1, 0x31, &[0; 216]), Spoken::ForSomebody),
        ] {
            for piecemeal in [false, true] {
                let bytes = [&header[..], b"GET / HTTP/1.1\r\n\r\n"].concat();
                let (heard, rest) = hear(&bytes, piecemeal).await;
                let told = String::from_utf8_lossy(&header);
                assert_eq!(heard.expect("a header"), expected, "{told:?}");
                assert_eq!(rest, b"GET / HTTP/1.1\r\n\r\n", "{told:?}");
            }
        }
    }

    #[tokio::test]
    async fn what_is_no_header_ends_the_connection() {
        let long = format!("PROXY UNKNOWN {}\r\n", "a".repeat(100));
        for (bytes, cause) in [
            (&b"GET / HTTP/1.1\r\n\r\n"[..], "proxy_header_missing"),
            (b"PRI * HTTP/2.0\r\n\r\n", "proxy_header_missing"),
            (
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00",
                "proxy_header_missing",
            ),
            (b"PROXY\r\n", "proxy_header_missing"),
            (
                b"proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
                "proxy_header_missing",
            ),
            (b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n", "proxy_header_garbled"),
            (b"PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n", "proxy_header_garbled"),
            (
                b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n",
                "proxy_header_garbled",
            ),
            (
                b"PROXY TCP4 1.1.1.1 2.2.2.2 1 70000\r\n",
                "proxy_header_garbled",
            ),
            (
                b"PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n",
                "proxy_header_garbled",
            ),
            (
                b"PROXY TCP4 1.1.1.1  2.2.2.2 1 2\r\n",
                "proxy_header_garbled",
            ),
            (b"PROXY TCP4 ::1 ::1 1 2\r\n", "proxy_header_garbled"),
            (b"PROXY TCP6 1.1.1.1 ::1 1 2\r\n", "proxy_header_garbled"),
            (
                b"PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n",
                "proxy_header_garbled",
            ),
            (b"PROXY UNKNOWN\n\r\n", "proxy_header_garbled"),
            (long.as_bytes(), "proxy_header_garbled"),
            (b"PROXY TCP4 1.1.1.1", "proxy_header_broken"),
            (b"", "proxy_header_broken"),
            (&v2(2, 0x11, &v4_block(b"")), "proxy_header_garbled"),
            (&v2(1, 0x11, &[1; 11]), "proxy_header_garbled"),
            (&v2(1, 0x21, &[1; 35]), "proxy_header_garbled"),
            (&v2(1, 0x99, &[1; 36]), "proxy_header_garbled"),
            (&v2(1, 0x11, &[1; 4097]), "proxy_header_garbled"),
            (&v2(1, 0x11, &[1; 12])[..20], "proxy_header_broken"),
            (b"\r\n\r\n\0\r\nQUIT\n\x11\x11\0\0", "proxy_header_garbled"),
        ] {
            let (heard, _) = hear(bytes, false).await;
            let told = String::from_utf8_lossy(bytes);
            let fault = heard.expect_err(&told);
            assert_eq!(fault.cause(), cause, "{told:?}: {fault}");
        }
    }

    proptest! {
        #[test]
        fn a_line_is_what_it_is_written_as(client in any::<IpAddr>(), ports in any::<[u16; 2]>()) {
            let family = if client.is_ipv4() { "TCP4" } else { "TCP6" };
            let [from, to] = ports;
            let line = format!("PROXY {family} {client} {client} {from} {to}\r\n");
            prop_assert!(line.len() <= LINE);
            prop_assert_eq!(parse_line(line.as_bytes()), Some(Spoken::For(client)));
        }

        #[test]
        fn no_bytes_make_a_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse_line(&bytes);
            let _ = parse_block(1, 0x11, &bytes);
            let _ = parse_block(1, 0x21, &bytes);
        }
    }
}

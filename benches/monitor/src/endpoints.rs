//! The endpoints: one process that listens everywhere on one port, does as it is told on standard
//! input, and how the measuring process starts it and tells it.

use std::{
    fmt::Write as _,
    net::{Ipv4Addr, SocketAddr},
    process::{Command as Program, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use anyhow::{Context as _, ensure};
use socket2::{Domain, Socket, Type};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, stdin},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
};

/// A process that is all endpoints; ends when dropped.
pub(crate) struct Endpoints {
    child: Child,
    port: u16,
}

impl Endpoints {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("endpoints")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = child.stdout.take().context("no output")?;
        let first = BufReader::new(output).lines().next_line().await?;
        let port = first.context("the endpoints have ended")?.parse()?;
        Ok(Self { child, port })
    }

    /// The `number`th of them.
    pub(crate) fn address(&self, number: u32) -> SocketAddr {
        let ip = Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + number);
        SocketAddr::new(ip.into(), self.port)
    }

    /// `kill -9`.
    pub(crate) async fn kill(&mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Stops all of them in their tracks: the kernel accepts connections, and nobody answers.
    pub(crate) fn hang(&self) -> anyhow::Result<()> {
        let pid = self.child.id().context("it has ended")?.to_string();
        let sent = Program::new("kill").args(["-STOP", &pid]).status()?;
        ensure!(sent.success(), "kill -STOP {pid}: {sent}");
        Ok(())
    }

    /// Has them answer 503, or nothing at all: not even connections are accepted or refused.
    pub(crate) async fn tell(&mut self, command: &str) -> anyhow::Result<()> {
        let input = self.child.stdin.as_mut().context("no input")?;
        input.write_all(format!("{command}\n").as_bytes()).await?;
        Ok(input.flush().await?)
    }
}

/// Serves until told otherwise.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    let port = listener.local_addr()?.port();
    crate::tell(&port.to_string())?;
    let ill = Arc::new(AtomicBool::new(false));
    let accepting = tokio::spawn(accept(listener, Arc::clone(&ill)));
    let mut commands = BufReader::new(stdin()).lines();
    let mut full = None;
    while let Some(command) = commands.next_line().await? {
        match command.as_str() {
            "503" => ill.store(true, Relaxed),
            "blackhole" => {
                accepting.abort();
                // A full queue of connections that nobody accepts: the kernel drops what comes.
                while !accepting.is_finished() {
                    tokio::task::yield_now().await;
                }
                full = Some(fill(port).await?);
            }
            other => anyhow::bail!("no such command: {other}"),
        }
    }
    drop(full);
    Ok(())
}

async fn fill(port: u16) -> anyhow::Result<(Socket, Vec<TcpStream>)> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())?;
    socket.listen(0)?;
    let mut held = Vec::new();
    loop {
        let connecting = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
        let limit = std::time::Duration::from_millis(100);
        match tokio::time::timeout(limit, connecting).await {
            Ok(stream) => held.push(stream?),
            Err(_dropped) => return Ok((socket, held)),
        }
    }
}

async fn accept(listener: TcpListener, ill: Arc<AtomicBool>) -> anyhow::Result<()> {
    let page: Arc<[u8]> = page().into();
    loop {
        let (stream, _) = listener.accept().await?;
        let (ill, page) = (Arc::clone(&ill), Arc::clone(&page));
        // A client that leaves is no concern of the server's.
        tokio::spawn(async move { answer(stream, &ill, &page).await });
    }
}

async fn answer(mut stream: TcpStream, ill: &AtomicBool, page: &[u8]) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    if ill.load(Relaxed) {
        stream
            .write_all(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n")
            .await?;
    } else if head.starts_with(b"GET /metrics ") {
        stream.write_all(page).await?;
    } else {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nOK")
            .await?;
    }
    stream.read_u8().await.map(drop)
}

/// As long as the page of a `VictoriaMetrics` that has just been started: 48 KiB.
fn page() -> Vec<u8> {
    let mut lines = String::from(
        "vm_app_version{version=\"victoria-metrics-20260101-v1.150.0\"} 1\n\
         vm_free_disk_space_bytes{path=\"/data\"} 54865723392\n\
         vm_data_size_bytes{type=\"storage/big\"} 1048576\n\
         vm_storage_is_read_only{path=\"/data\"} 0\n",
    );
    for number in 0..680 {
        // A String takes whatever is written to it.
        let _ = writeln!(
            lines,
            "vm_http_requests_total{{path=\"/api/v1/some/path/of/the/api\", protocol=\"x{number:03}\"}} 0"
        );
    }
    let length = lines.len();
    format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{lines}").into_bytes()
}

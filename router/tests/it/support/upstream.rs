//! A backend that does what a script says, down to the byte, and remembers all it was asked.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use parking_lot::Mutex;
use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinSet,
    time::sleep,
};

use super::{
    eventually,
    port::Port,
    wire::{Body, End, Head, Wire},
};

/// One thing a scripted backend does.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Sends these bytes.
    Send(Bytes),
    /// Sends these bytes one by one, with this pause between two.
    Drip(Bytes, Duration),
    /// Reads the request's body to its end.
    ReadBody,
    /// Waits until the test notifies.
    Await(Arc<Notify>),
    /// Says nothing more until the peer leaves.
    Hang,
    /// Closes the connection in order.
    Fin,
    /// Closes its own half of the connection, and waits until the peer closes the other one.
    HalfFin,
    /// Resets the connection.
    Reset,
}

/// One request a scripted backend has been asked, `/health` excepted.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Which connection it came on, counted from 0.
    pub(crate) connection: usize,
    /// How many requests came before it on all connections.
    pub(crate) nth: usize,
    /// Its head.
    pub(crate) head: Head,
    /// Its body, once the script has read it.
    pub(crate) body: Option<Body>,
}

impl Asked {
    /// The request target.
    pub(crate) fn target(&self) -> &str {
        self.head.word(1)
    }
}

type Script = dyn Fn(&Asked) -> Vec<Step> + Send + Sync;

/// The backend. Stops, with all its connections, when dropped.
#[derive(Debug)]
pub(crate) struct Upstream {
    port: Port,
    seen: Arc<Seen>,
    serving: Option<JoinSet<()>>,
}

/// What the connections' tasks and the test share.
#[derive(Debug)]
struct Seen {
    asked: Mutex<Vec<Asked>>,
    connections: AtomicUsize,
    probes: AtomicUsize,
    /// What `/health` is answered with; 0 for nothing at all.
    health: AtomicU16,
    /// Exchanges that the peer broke off while the script still had something to do.
    abandoned: AtomicUsize,
}

impl Upstream {
    /// Starts a backend that answers each request by doing what `script` says.
    pub(crate) fn start(script: impl Fn(&Asked) -> Vec<Step> + Send + Sync + 'static) -> Self {
        Self::start_on(Port::take(), script)
    }

    /// Starts one on a port that was taken for it.
    pub(crate) fn start_on(
        port: Port,
        script: impl Fn(&Asked) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        let seen = Arc::new(Seen {
            asked: Mutex::default(),
            connections: AtomicUsize::new(0),
            probes: AtomicUsize::new(0),
            health: AtomicU16::new(200),
            abandoned: AtomicUsize::new(0),
        });
        let mut upstream = Self {
            port,
            seen,
            serving: None,
        };
        upstream.listen(script);
        upstream
    }

    /// A backend that answers everything with 200 and this text.
    pub(crate) fn saying(text: &'static str) -> Self {
        Self::start(move |_| ok(text))
    }

    /// Starts it again on its old port, with a script that may be another.
    pub(crate) fn listen(&mut self, script: impl Fn(&Asked) -> Vec<Step> + Send + Sync + 'static) {
        let listener = bind(&self.port);
        let (script, seen) = (Arc::new(script) as Arc<Script>, Arc::clone(&self.seen));
        let mut serving = JoinSet::new();
        serving.spawn(accept(listener, script, seen));
        self.serving = Some(serving);
    }

    /// Closes the listener and all connections: connecting is refused from now on.
    pub(crate) async fn stop(&mut self) {
        if let Some(mut serving) = self.serving.take() {
            serving.shutdown().await;
        }
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        self.port.url()
    }

    /// `host:port`.
    pub(crate) fn authority(&self) -> String {
        self.port.address().to_string()
    }

    /// Sets what `/health` is answered with; 0 for nothing at all.
    pub(crate) fn set_health(&self, status: u16) {
        self.seen.health.store(status, Ordering::SeqCst);
    }

    /// All requests so far, in order.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.seen.asked.lock().clone()
    }

    /// The only request so far.
    pub(crate) fn only(&self) -> Asked {
        let asked = self.asked();
        assert_eq!(asked.len(), 1, "expected one request, not {asked:?}");
        asked.into_iter().next().expect("one request")
    }

    /// Connections accepted so far, those of probes included.
    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// Waits until so many requests have come in.
    pub(crate) async fn until_asked(&self, count: usize) {
        let what = format!("{count} requests to reach the backend");
        eventually(&what, async || (self.asked().len() >= count).then_some(())).await;
    }

    /// Waits until so many more probes have been answered.
    pub(crate) async fn until_probed(&self, count: usize) {
        let enough = self.seen.probes.load(Ordering::SeqCst) + count;
        let probes = || self.seen.probes.load(Ordering::SeqCst);
        eventually("health probes", async || (probes() >= enough).then_some(())).await;
    }

    /// Waits until the peer has broken off so many exchanges.
    pub(crate) async fn until_abandoned(&self, count: usize) {
        let abandoned = || self.seen.abandoned.load(Ordering::SeqCst);
        eventually("a cancelled exchange", async || {
            (abandoned() >= count).then_some(())
        })
        .await;
    }
}

/// Reads the body and sends a whole reply.
pub(crate) fn reply(status: u16, headers: &str, body: &str) -> Vec<Step> {
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    vec![Step::ReadBody, send(head + body)]
}

/// Reads the body and answers 200 with this text.
pub(crate) fn ok(body: &str) -> Vec<Step> {
    reply(200, "Content-Type: text/plain\r\n", body)
}

/// Sends these bytes.
pub(crate) fn send(bytes: impl Into<Vec<u8>>) -> Step {
    Step::Send(Bytes::from(bytes.into()))
}

fn bind(port: &Port) -> TcpListener {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("address reuse");
    socket.set_reuseport(true).expect("port reuse");
    socket.bind(port.address()).expect("the port held for it");
    socket.listen(1024).expect("a listener")
}

async fn accept(listener: TcpListener, script: Arc<Script>, seen: Arc<Seen>) {
    let mut open = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let connection = seen.connections.fetch_add(1, Ordering::SeqCst);
        open.spawn(serve(
            stream,
            connection,
            Arc::clone(&script),
            Arc::clone(&seen),
        ));
        while open.try_join_next().is_some() {}
    }
}

/// Serves one connection until it ends or a step ends it.
async fn serve(stream: TcpStream, connection: usize, script: Arc<Script>, seen: Arc<Seen>) {
    let mut wire = Wire::new(stream);
    while let Ok(head) = wire.head().await {
        let steps = if head.word(1) == "/health" {
            seen.probes.fetch_add(1, Ordering::SeqCst);
            match seen.health.load(Ordering::SeqCst) {
                0 => vec![Step::Hang],
                status => reply(status, "", "health"),
            }
        } else {
            let asked = remember(&seen, connection, &head);
            script(&asked)
        };
        let probe = head.word(1) == "/health";
        match perform(&mut wire, &head, steps, &seen, connection).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(_) if probe => return,
            Err(_) => {
                seen.abandoned.fetch_add(1, Ordering::SeqCst);
                return;
            }
        }
    }
}

fn remember(seen: &Seen, connection: usize, head: &Head) -> Asked {
    let mut all = seen.asked.lock();
    let asked = Asked {
        connection,
        nth: all.len(),
        head: head.clone(),
        body: None,
    };
    all.push(asked.clone());
    asked
}

/// Does the steps. Tells whether the connection goes on, or that the peer broke it off.
async fn perform(
    wire: &mut Wire<TcpStream>,
    head: &Head,
    steps: Vec<Step>,
    seen: &Seen,
    connection: usize,
) -> Result<bool, End> {
    for step in steps {
        match step {
            Step::Send(bytes) => write(wire, &bytes).await?,
            Step::Drip(bytes, pause) => {
                for byte in bytes.chunks(1) {
                    write(wire, byte).await?;
                    sleep(pause).await;
                }
            }
            Step::ReadBody => {
                let body = wire.request_body(head).await;
                let end = body.end;
                keep_body(seen, connection, body);
                if end != End::Complete {
                    return Err(end);
                }
            }
            Step::Await(notify) => notify.notified().await,
            Step::Hang => return Err(until_gone(wire).await),
            Step::Fin => return Ok(false),
            Step::HalfFin => {
                // Fails only if the peer has gone already.
                let _ = wire.io.shutdown().await;
                return Err(until_gone(wire).await);
            }
            Step::Reset => {
                let socket = SockRef::from(&wire.io);
                socket
                    .set_linger(Some(Duration::ZERO))
                    .expect("a linger time");
                return Ok(false);
            }
        }
    }
    Ok(true)
}

async fn write(wire: &mut Wire<TcpStream>, bytes: &[u8]) -> Result<(), End> {
    wire.io.write_all(bytes).await.map_err(|_| End::Reset)
}

async fn until_gone(wire: &mut Wire<TcpStream>) -> End {
    let mut nothing = [0; 1024];
    loop {
        match wire.io.read(&mut nothing).await {
            Ok(0) => return End::Fin,
            Ok(_) => {}
            Err(_) => return End::Reset,
        }
    }
}

fn keep_body(seen: &Seen, connection: usize, body: Body) {
    let mut all = seen.asked.lock();
    if let Some(asked) = all
        .iter_mut()
        .rev()
        .find(|asked| asked.connection == connection)
    {
        asked.body = Some(body);
    }
}

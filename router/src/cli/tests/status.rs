//! `mirador status`, and endpoints and tenants taken out of use, against a real admin API.

use std::{
    io::{self, Write},
    sync::Arc,
    time::Duration,
};

use health::Failure as Met;
use parking_lot::Mutex;
use tenant_store::{cache::Known, model::Signal};
use tokio::time::{Instant, sleep};

use super::{Ran, parse, tenants::Desk};
use crate::cli::{Command, output::Terminal, status::Status};

const ACME: &str = "id: acme\ntier: pro\ndeployments: {metrics: {health_check: {enabled: false}, \
                    endpoints: ['http://127.0.0.1:10101', 'http://127.0.0.1:10102']}}\n";

fn command(desk: &Desk, line: &str) -> Status {
    let (server, token) = (desk.admin.url(), desk.token_file());
    let line = format!("status {line} --server {server} --token-file {token}");
    let Command::Status(command) = parse(&line).expect("a command line").command else {
        panic!("{line} is no status command");
    };
    command
}

async fn status(desk: &Desk, line: &str) -> Ran {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut terminal = Terminal::new(&mut out, &mut err);
    let done = command(desk, line).run(&mut terminal).await;
    Ran::new(done, out, err)
}

/// Applies acme; both its endpoints answered something.
async fn acme(desk: &Desk) {
    let file = desk.write("acme.yaml", ACME);
    let applied = desk.tenant(&format!("apply -f {file}")).await;
    assert_eq!(applied.out, "tenant acme created\n", "{}", applied.err);
    for position in 0..2 {
        meet(desk, position, None);
    }
}

/// What a live request met at an endpoint of acme's: an answer, or a failure.
fn meet(desk: &Desk, position: usize, failure: Option<Met>) {
    let Known::Tenant(entry) = desk.admin.control.tenants().known("acme") else {
        panic!("acme is not known");
    };
    let deployment = entry.route().deployment(Signal::Metrics).expect("metrics");
    let health = deployment.endpoints()[position].health();
    match failure {
        Some(failure) => health.report_failure(failure),
        None => health.report_success(),
    }
}

#[tokio::test]
async fn status_tells_of_all_and_of_one() {
    let desk = Desk::open().await;
    assert_eq!(status(&desk, "").await.out, "no tenants\n");
    acme(&desk).await;
    meet(&desk, 0, Some(Met::Connect));
    let all = status(&desk, "").await;
    let mut lines = all.out.lines();
    assert_eq!(lines.next(), Some("tenants: 1 degraded"), "{}", all.err);
    let row = lines.nth(1).expect("a row");
    assert!(
        row.starts_with("acme    pro   degraded   50     1/2 "),
        "{row}"
    );
    assert!(
        row.ends_with("reads and writes served by 127.0.0.1:10102"),
        "{row}"
    );
    let none = status(&desk, "--condition unhealthy,unknown --tier pro").await;
    assert_eq!(none.out.lines().count(), 2, "{}", none.out);
    let one = status(&desk, "acme").await;
    let first = one.out.lines().next().expect("a line");
    assert!(
        first.starts_with("acme is degraded: metrics degraded: "),
        "{first}"
    );
    for (endpoint, condition, serves) in [
        ("127.0.0.1:10101", "unhealthy", "no"),
        ("127.0.0.1:10102", "healthy", "yes"),
    ] {
        let mut rows = one.out.lines().skip(1);
        let row = rows.find(|row| row.contains(endpoint)).expect("a row");
        let cells: Vec<_> = row.split_whitespace().collect();
        assert_eq!(&cells[5..7], [condition, serves], "{row}");
    }
    assert_eq!(status(&desk, "globex").await.code, 1);
    assert!(parse("status acme --tier pro").is_err());
    assert!(parse("status --condition ill").is_err());
}

/// What is written, for somebody who looks while it is.
#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<u8>>>);

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Screen {
    async fn until(&self, what: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let text = String::from_utf8_lossy(&self.0.lock()).into_owned();
            if text.contains(what) {
                return;
            }
            assert!(Instant::now() < deadline, "waited for {what:?}: {text}");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn watching_shows_what_changes() {
    let desk = Desk::open().await;
    acme(&desk).await;
    let screen = Screen::default();
    let (mut out, mut err) = (screen.clone(), Vec::new());
    let mut terminal = Terminal::new(&mut out, &mut err);
    let seen = async {
        screen.until("tenants: 1 healthy").await;
        meet(&desk, 0, Some(Met::Connect));
        screen
            .until(" acme failover: metrics served by 127.0.0.1:10102")
            .await;
        screen.until(" acme tenant: metrics degraded: ").await;
    };
    tokio::select! {
        ended = command(&desk, "--watch").run(&mut terminal) => panic!("it ended: {ended:?}"),
        () = seen => {}
    }
}

#[tokio::test]
async fn endpoints_and_tenants_are_taken_out_of_use() {
    let desk = Desk::open().await;
    acme(&desk).await;
    let drain = "drain acme metrics 127.0.0.1:10101";
    let foretold = desk.tenant(&format!("{drain} --dry-run")).await;
    assert_eq!(
        foretold.out, "tenant acme updated (dry run)\n",
        "{}",
        foretold.err
    );
    assert_eq!(desk.tenant(drain).await.out, "tenant acme updated\n");
    assert_eq!(desk.tenant(drain).await.out, "tenant acme unchanged\n");
    let last = desk.tenant("drain acme metrics 127.0.0.1:10102").await;
    assert_eq!(last.code, 1);
    assert!(last.err.contains("force"), "{}", last.err);
    let forced = desk
        .tenant("drain acme metrics 127.0.0.1:10102 --force")
        .await;
    assert_eq!(forced.out, "tenant acme updated\n");
    let undrain = "undrain acme metrics http://127.0.0.1:10101";
    assert_eq!(desk.tenant(undrain).await.out, "tenant acme updated\n");
    assert_eq!(desk.tenant("drain acme metrics nowhere:1").await.code, 2);

    let begin = "maintenance acme --reason disks --for 2h";
    assert_eq!(desk.tenant(begin).await.out, "tenant acme updated\n");
    let one = status(&desk, "acme").await;
    assert!(
        one.out
            .starts_with("acme is maintenance: in maintenance until "),
        "{}",
        one.out
    );
    assert_eq!(
        desk.tenant("maintenance acme --end").await.out,
        "tenant acme updated\n"
    );
    assert_eq!(
        desk.tenant("maintenance acme --end").await.out,
        "tenant acme unchanged\n"
    );
    assert!(parse("tenant maintenance acme").is_err());
    assert!(parse("tenant maintenance acme --reason a --end").is_err());
}

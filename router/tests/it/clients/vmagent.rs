//! `vmagent` scrapes and sends what it found by remote write.

use std::{fs, process::Command};

use jiff::Timestamp;
use tempfile::TempDir;

use super::{Metrics, export, samples};
use crate::support::{
    acme::acme,
    eventually,
    mirador::{Mirador, http_client},
    port::Port,
    process::Process,
    tenant::Tenant,
    tools::tool,
    upstream::{Step, Upstream, ok, send},
    victoria::Victoria,
};

/// What it says when the handshake for its own protocol fails.
const NO_HANDSHAKE: &str = "doesn't support VictoriaMetrics remote write protocol";

/// A running agent.
struct Agent {
    process: Process,
    port: Port,
    _folder: TempDir,
}

#[tokio::test]
async fn what_it_scrapes_arrives_at_its_own_tenant() {
    let world = Metrics::start().await;
    let target = scraped();
    let agent = Agent::start(&world.mirador, "acme", &target.authority());
    let seen = eventually("samples at acme's", async || {
        let samples = export(&world.acme, "nth_scrape").await;
        (samples.len() > 2).then_some(samples)
    })
    .await;
    let routed = world
        .mirador
        .text("acme", "/api/v1/export?match[]=nth_scrape");
    assert!(samples(&routed.await).len() >= seen.len());
    let routed = world
        .mirador
        .text("globex", "/api/v1/export?match[]=nth_scrape");
    assert_eq!(routed.await, "");
    assert_eq!(export(&world.globex, "nth_scrape").await, []);
    assert!(!agent.process.log().contains(NO_HANDSHAKE));
    agent.assert_nothing_dropped().await;
}

#[tokio::test]
async fn the_handshake_for_its_own_protocol_passes_through() {
    let backend = Upstream::start(|asked| {
        if asked.target().contains('?') {
            return ok("1");
        }
        let stored = "HTTP/1.1 204 No Content\r\n\r\n";
        vec![Step::ReadBody, send(stored)]
    });
    let mirador = acme(&backend, serde_json::json!({})).await;
    let target = scraped();
    let agent = Agent::start(&mirador, "acme", &target.authority());
    let asked = eventually("a write", async || {
        let asked = backend.asked();
        (asked.len() > 1).then_some(asked)
    })
    .await;
    assert_eq!(
        asked[0].head.start_line(),
        "POST /api/v1/write?get_vm_proto_version=1 HTTP/1.1"
    );
    let write = &asked[1].head;
    assert_eq!(write.start_line(), "POST /api/v1/write HTTP/1.1");
    assert_eq!(write.get("content-encoding"), Some("zstd"));
    assert_eq!(
        write.get("x-victoriametrics-remote-write-version"),
        Some("1")
    );
    assert!(!agent.process.log().contains(NO_HANDSHAKE));
}

#[tokio::test]
async fn what_it_scraped_before_its_tenant_was_there_is_not_lost() {
    let (mirador, backend) = tokio::join!(Mirador::start(), Victoria::metrics());
    let target = scraped();
    let agent = Agent::start(&mirador, "acme", &target.authority());
    eventually("some scrapes, none of which was taken", async || {
        let answers = agent.count("vmagent_remotewrite_requests_total").await;
        (answers > Some(0) && target.asked().len() > 2).then_some(())
    })
    .await;
    agent.assert_nothing_dropped().await;
    let (early, applied) = (target.asked().len(), Timestamp::now().as_millisecond());
    mirador
        .apply(&Tenant::new("acme").metrics(&[backend.url()]))
        .await;
    // The router has asked for some seconds of patience, which the agent grants.
    let arrived = eventually("every scrape, early and late", async || {
        let samples = export(&backend, "nth_scrape").await;
        let has = |nth: f64| {
            samples
                .iter()
                .any(|(_, found)| found.total_cmp(&nth).is_eq())
        };
        let all = (0u32..).take(early + 1).all(|nth| has(nth.into()));
        all.then_some(samples)
    })
    .await;
    let first = arrived.iter().map(|&(time, _)| time).min();
    assert!(first < Some(applied), "{arrived:?}, applied at {applied}");
    agent.assert_nothing_dropped().await;
}

impl Agent {
    /// Starts one that scrapes `target` and sends as `tenant`.
    fn start(mirador: &Mirador, tenant: &str, target: &str) -> Self {
        let (port, folder) = (Port::take(), tempfile::tempdir().expect("a folder"));
        let scrapes = folder.path().join("scrape.yaml");
        let config = format!(
            "global: {{scrape_interval: 1s}}\n\
             scrape_configs: [{{job_name: target, static_configs: [{{targets: [\"{target}\"]}}]}}]\n"
        );
        fs::write(&scrapes, config).expect("a configuration file");
        let mut command = Command::new(tool(&["vmagent", "vmagent-prod"]));
        command
            .arg(format!("-httpListenAddr={}", port.address()))
            .arg(format!("-promscrape.config={}", scrapes.display()))
            .arg(format!("-remoteWrite.url={}", mirador.url("/api/v1/write")))
            .arg(format!("-remoteWrite.headers=X-Tenant-ID:{tenant}"))
            .arg(format!(
                "-remoteWrite.tmpDataPath={}",
                folder.path().join("queue").display()
            ))
            .args([
                "-remoteWrite.queues=1",
                "-remoteWrite.flushInterval=100ms",
                "-remoteWrite.retryMinInterval=100ms",
                "-remoteWrite.retryMaxTime=1s",
                "-memory.allowedBytes=32MB",
            ]);
        let process = Process::spawn("vmagent", &mut command, folder.path());
        Self {
            process,
            port,
            _folder: folder,
        }
    }

    /// The sum of a counter of its own, once it tells.
    async fn count(&self, name: &str) -> Option<u64> {
        let page = self.port.url() + "/metrics";
        let page = http_client().get(page).send().await.ok()?;
        let page = page.text().await.expect("a whole page");
        page.lines()
            .filter(|line| line.split(['{', ' ']).next() == Some(name))
            .map(|line| line.rsplit_once(' ').expect("a value").1)
            .map(|value| value.parse::<u64>().expect("a whole number"))
            .reduce(|sum, value| sum + value)
    }

    /// It still has, or has sent, all it ever scraped.
    async fn assert_nothing_dropped(&self) {
        let dropped = self.count("vmagent_remotewrite_packets_dropped_total");
        assert_eq!(dropped.await, Some(0));
    }
}

/// A target that counts how often it was scraped before.
fn scraped() -> Upstream {
    Upstream::start(|asked| ok(&format!("nth_scrape {}\n", asked.nth)))
}

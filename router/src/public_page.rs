//! The page of all tenants on the public listener, where it is switched on: who is how, and nothing
//! of where their data is or what is wrong with it.
//!
//! Workers serve what was written last. It is written beside them, on demand and at most once in a
//! while, so that nobody who asks often makes it dear.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, timeout},
};

use crate::{
    gzip,
    pages::{
        layout::{Frame, Freshness, Viewer},
        overview::{self, Asked, Audience},
    },
    standing::Standing,
};

/// Where it is.
pub const PATH: &str = "/health/tenants";

/// For how long a page that was written is served.
const FRESH: Duration = Duration::from_secs(5);

/// How long whoever asks waits for one to be written.
const PATIENCE: Duration = Duration::from_secs(5);

/// The page, and who waits for it.
#[derive(Debug, Default)]
pub struct PublicPage {
    wanted: Notify,
    latest: watch::Sender<Option<Written>>,
}

#[derive(Debug, Clone)]
struct Written {
    at: Instant,
    page: Page,
}

/// The page as it is sent.
#[derive(Debug, Clone)]
pub struct Page {
    /// As it is.
    pub html: Bytes,
    /// In fewer bytes, for those who can read that.
    pub gzip: Option<Bytes>,
}

impl PublicPage {
    /// The page, a few seconds old at most; `None` if nobody writes it.
    pub async fn get(&self) -> Option<Page> {
        let mut latest = self.latest.subscribe();
        if !is_fresh(latest.borrow().as_ref()) {
            self.wanted.notify_one();
        }
        let waiting = latest.wait_for(|written| is_fresh(written.as_ref()));
        let written = timeout(PATIENCE, waiting).await.ok()?.ok()?;
        written.as_ref().map(|written| written.page.clone())
    }

    /// Writes the page whenever somebody waits for it, for as long as it is let.
    pub async fn follow(self: Arc<Self>, standing: Arc<Standing>) {
        loop {
            self.wanted.notified().await;
            // Wanted again meanwhile, and written already.
            if is_fresh(self.latest.borrow().as_ref()) {
                continue;
            }
            let html: Bytes = write(&standing).into();
            let gzip = gzip::smaller(&html);
            let page = Page { html, gzip };
            let at = Instant::now();
            self.latest.send_replace(Some(Written { at, page }));
            sleep(FRESH / 2).await;
        }
    }
}

fn is_fresh(written: Option<&Written>) -> bool {
    written.is_some_and(|written| written.at.elapsed() < FRESH)
}

fn write(standing: &Standing) -> String {
    let asked = Asked::default();
    // Nothing is asked for that could be wrong.
    let filter = asked.filter().unwrap_or_default();
    let overview = standing.overview(&filter);
    let page = overview::Page {
        path: PATH,
        audience: Audience::Anybody,
        asked: &asked,
        tiers: &[],
        overview: &overview,
    };
    let title = overview::title(&overview.counts);
    let frame = Frame {
        title: &title,
        place: None,
        viewer: Viewer::Anybody,
        freshness: Freshness {
            stream: None,
            every: 10,
        },
        charts: false,
    };
    frame.around(&page.main()).into_string()
}

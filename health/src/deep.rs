//! Deep checks: what an endpoint is, whether it answers a query and takes data, how its disk and
//! its clock are. Three small requests, seldom; knows no schedule.
//!
//! A fault that live requests or probes would notice as well (no connection, no answer) is left to
//! them: a deep check that meets with it finds nothing out.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp, fmt::rfc2822};
use reqwest::{
    Method, Response, StatusCode,
    header::{DATE, HeaderValue},
};
use serde::Serialize;
use tokio::time;

use crate::{
    finding::{Finding, Findings},
    found::Found,
    probe,
    product::{MetricsPage, Product},
    target::Target,
};

/// What a deep check asks and expects. Paths are those on the endpoint's port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DeepCheck {
    /// Time between two looks. Kept within 1 s to 1 day.
    pub interval: Duration,
    /// What it should be; a `vmauth` in front of it, or one that doesn't tell, is taken for it.
    pub product: Product,
    /// The oldest version it may have, such as `v1.150`.
    pub min_version: Option<Box<str>>,
    /// A `GET` of a trivial query.
    pub query: Box<str>,
    /// How data is sent to it, without any: nothing is written.
    pub ingestion: (Method, Box<str>),
    /// Less free disk space than so many percent is a finding; 0 for none.
    pub min_free_disk_percent: u8,
    /// A clock that is off by more is a finding.
    pub max_clock_skew: Duration,
}

impl DeepCheck {
    /// Whether the other finds the same in the same answers; paths are each one's own.
    pub(crate) fn expects_as(&self, other: &Self) -> bool {
        let expected = |check: &Self| {
            (
                check.product,
                check.min_free_disk_percent,
                check.max_clock_skew,
            )
        };
        expected(self) == expected(other) && self.min_version == other.min_version
    }

    pub(crate) fn interval(&self) -> Duration {
        self.interval.clamp(INTERVAL_MIN, INTERVAL_MAX)
    }
}

/// What the last deep check of an endpoint came to.
#[derive(Clone, Debug)]
pub(crate) struct DeepReport {
    pub(crate) at: Timestamp,
    pub(crate) product: Product,
    pub(crate) version: Option<Arc<str>>,
    pub(crate) found: Vec<Found>,
}

/// The same for the admin API.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Clone, Debug, Serialize)]
pub struct DeepSnapshot {
    /// When it finished.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    /// What the endpoint is.
    pub product: Product,
    /// Its version, if it tells.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub version: Option<Arc<str>>,
    /// What is wrong; the endpoint is used all the same.
    pub found: Vec<Found>,
}

impl DeepReport {
    pub(crate) fn findings(&self) -> Findings {
        self.found.iter().map(|found| found.finding).collect()
    }

    pub(crate) fn snapshot(&self) -> DeepSnapshot {
        DeepSnapshot {
            at: self.at,
            product: self.product,
            version: self.version.clone(),
            found: self.found.clone(),
        }
    }

    /// What has been found before keeps its beginning.
    pub(crate) fn following(mut self, before: Option<&Self>) -> Self {
        for found in &mut self.found {
            let same = before
                .into_iter()
                .flat_map(|before| &before.found)
                .find(|earlier| earlier.finding == found.finding);
            if let Some(earlier) = same {
                found.since = earlier.since;
            }
        }
        self
    }

    /// As much of it as holds for everybody on the same port; the rest is `before`'s.
    pub(crate) fn for_neighbour(&self, before: Option<&Self>) -> Self {
        let own = |found: &&Found| is_own(found.finding);
        let shared = self.found.iter().filter(|found| !is_own(found.finding));
        let before = before.into_iter().flat_map(|before| &before.found);
        Self {
            found: shared.chain(before.filter(own)).cloned().collect(),
            ..self.clone()
        }
    }
}

/// Whether it may be a matter of path or credentials, and so of one tenant.
fn is_own(finding: Finding) -> bool {
    matches!(finding, Finding::IngestionStalled | Finding::QueryFails)
}

/// Looks at `target` once. Tells nothing if it can't be reached.
pub(crate) async fn look(target: &Target, check: &DeepCheck) -> Option<DeepReport> {
    let mut findings = Faults(Vec::new());
    let asked = Timestamp::now();
    let mut answer = ask(target, Method::GET, "/metrics").await.ok()?;
    findings.clock(&answer, asked, check.max_clock_skew);
    let page = if answer.status() == StatusCode::OK {
        read(&mut answer).await?
    } else {
        String::new()
    };
    let page = MetricsPage::parse(&page);
    findings.product(&page, check);
    findings.disk(&page, check.min_free_disk_percent);
    if !["vminsert", "vlinsert", "vtinsert"]
        .iter()
        .any(|name| page.is_component(name))
    {
        findings.query(ask(target, Method::GET, &check.query).await);
    }
    if !["vmselect", "vlselect", "vtselect"]
        .iter()
        .any(|name| page.is_component(name))
    {
        let (method, path) = &check.ingestion;
        findings.ingestion(ask(target, method.clone(), path).await);
    }
    Some(DeepReport {
        at: Timestamp::now(),
        product: page.product,
        version: page.version.map(Into::into),
        found: findings.0,
    })
}

struct Faults(Vec<Found>);

impl Faults {
    fn add(&mut self, finding: Finding, detail: String) {
        let since = Timestamp::now();
        self.0.push(Found {
            finding,
            detail,
            since,
        });
    }

    fn product(&mut self, page: &MetricsPage, check: &DeepCheck) {
        let found = page.product;
        if ![check.product, Product::Vmauth, Product::Unknown].contains(&found) {
            let expected = check.product;
            self.add(
                Finding::WrongProduct,
                format!("it is {found}, expected {expected}"),
            );
            return;
        }
        let (Some(version), Some(oldest)) = (&page.version, &check.min_version) else {
            return;
        };
        let (Some(numbers), Some(least)) = (numbers(version), numbers(oldest)) else {
            return;
        };
        if found == check.product && numbers < least {
            self.add(
                Finding::OldVersion,
                format!("it is {version}, expected {oldest} or newer"),
            );
        }
    }

    fn disk(&mut self, page: &MetricsPage, min_percent: u8) {
        if page.read_only {
            self.add(
                Finding::ReadOnly,
                "its storage is read-only, it takes no data".into(),
            );
        }
        let (Some(free), Some(percent)) = (page.disk_free, page.disk_free_percent()) else {
            return;
        };
        if percent < f64::from(min_percent) {
            let free = free / GIB;
            self.add(
                Finding::DiskLow,
                format!(
                    "{percent:.1} % ({free:.2} GiB) of its disk are free, expected {min_percent} %"
                ),
            );
        }
    }

    /// The header counts in whole seconds, cut off.
    fn clock(&mut self, answer: &Response, asked: Timestamp, max: Duration) {
        let date = answer.headers().get(DATE).map(HeaderValue::to_str);
        let Some(Ok(Ok(date))) = date.map(|date| date.map(rfc2822::parse)) else {
            return;
        };
        let (date, answered) = (date.timestamp(), Timestamp::now());
        let second = SignedDuration::from_secs(1);
        let ahead = date.duration_since(answered);
        let behind = asked.duration_since(date) - second;
        let max = SignedDuration::try_from(max).unwrap_or(SignedDuration::MAX);
        let (skew, way) = if ahead >= behind {
            (ahead, "ahead of")
        } else {
            (behind, "behind")
        };
        if skew > max {
            let seconds = skew.as_secs();
            self.add(
                Finding::ClockSkew,
                format!("its clock is {seconds} s {way} the router's"),
            );
        }
    }

    fn query(&mut self, answer: Result<Response, Unanswered>) {
        let detail = match answer {
            // Too busy isn't unable.
            Ok(answer) if answer.status() == StatusCode::TOO_MANY_REQUESTS => return,
            Ok(answer) if answer.status().is_success() => return,
            Ok(answer) => format!("a trivial query was answered {}", answer.status()),
            Err(Unanswered::Late) => format!("no answer to a trivial query within {TIMEOUT:?}"),
            Err(Unanswered::Broken) => "a trivial query was broken off".into(),
        };
        self.add(Finding::QueryFails, detail);
    }

    fn ingestion(&mut self, answer: Result<Response, Unanswered>) {
        let detail = match answer {
            // Other statuses mean that there is no such path, or that it wants some data.
            Ok(answer) => match answer.status() {
                status if status.is_server_error() => {
                    format!("an empty write was answered {status}")
                }
                status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                    format!("an empty write was answered {status}")
                }
                _ => return,
            },
            Err(Unanswered::Late) => format!("no answer to an empty write within {TIMEOUT:?}"),
            Err(Unanswered::Broken) => "an empty write was broken off".into(),
        };
        self.add(Finding::IngestionStalled, detail);
    }
}

/// The numbers of a version that stands somewhere in `text`: `v1.150.2` in
/// `victoria-metrics-20260101-v1.150.2-0-gabc`.
fn numbers(text: &str) -> Option<Vec<u64>> {
    let mut parts = text.split('-').filter_map(|part| {
        let numbers = part.strip_prefix('v').unwrap_or(part).split('.');
        numbers.map(|number| number.parse().ok()).collect()
    });
    // A date is one number, a version has several.
    parts.find(|numbers: &Vec<u64>| numbers.len() > 1)
}

/// Why there is no answer.
enum Unanswered {
    Late,
    Broken,
}

async fn ask(target: &Target, method: Method, path: &str) -> Result<Response, Unanswered> {
    let mut url = target.url.to_url();
    let (path, query) = match path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path, None),
    };
    url.set_path(path);
    url.set_query(query);
    let mut request = target.request(method, url);
    probe::authorize(&mut request, target);
    let sent = time::timeout(TIMEOUT, target.client.execute(request)).await;
    match sent {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) if !error.is_timeout() => Err(Unanswered::Broken),
        Ok(Err(_)) | Err(_) => Err(Unanswered::Late),
    }
}

/// A body up to its limit; what is longer is cut off.
async fn read(answer: &mut Response) -> Option<String> {
    let whole = async {
        let mut body = Vec::new();
        while body.len() < PAGE_LIMIT {
            match answer.chunk().await {
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(_) => return None,
            }
        }
        Some(String::from_utf8_lossy(&body).into_owned())
    };
    time::timeout(TIMEOUT, whole).await.ok()?
}

/// For each of the requests: what answers a trivial query later is of no use to anybody.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Pages of busy backends have some 100 KiB.
const PAGE_LIMIT: usize = 2 << 20;
const INTERVAL_MIN: Duration = Duration::from_secs(1);
const INTERVAL_MAX: Duration = Duration::from_hours(24);
const GIB: f64 = 1_073_741_824.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        let found = numbers("victoria-metrics-20260101-120000-tags-v1.150.2-0-gabc");
        assert_eq!(found, Some(vec![1, 150, 2]));
        for older in ["v1.15", "v1.150", "v1.150.2", "v1.149.9"] {
            assert!(found >= numbers(older), "{older}");
        }
        for newer in ["v1.151", "v1.150.10", "v2.0"] {
            assert!(found < numbers(newer), "{newer}");
        }
        assert_eq!(numbers("victoria-logs-1.112.0"), Some(vec![1, 112, 0]));
        assert_eq!(numbers("victoria-logs-heads-main"), None);
    }
}

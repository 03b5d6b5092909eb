//! Who changed what, newest first.

use std::sync::Arc;

use axum::{extract::State, http::HeaderMap, response::Response};
use jiff::Timestamp;
use serde::{
    Deserialize, Serialize,
    de::{self, IntoDeserializer},
};
use tenant_store::{
    model::TenantId,
    repository::{AuditEvent, Outcome},
};
use utoipa::ToSchema;

use super::{
    error::ApiError,
    parameters::{IfNoneMatch, PageLimit},
    query::Arguments,
    read,
    schema::Moment,
};
use crate::control::Control;

/// The last place in the sequence of events that can be named.
const MOST: u64 = i64::MAX.unsigned_abs();

/// One page of audit events.
#[derive(Serialize, ToSchema)]
pub(super) struct AuditPage {
    /// Newest first.
    events: Vec<AuditEvent>,
    /// What to send as `before` for the page after this one; `null` on the last.
    next: Option<u64>,
}

/// Events read for one page of an answer at most: what is left comes with the next.
const SCANNED: usize = 10_000;

/// Events read at a time where not all of them are meant.
const AT_A_TIME: u16 = 1000;

/// Which events are meant.
#[derive(Debug, Default)]
struct Filter {
    tenant: Option<TenantId>,
    author: Option<String>,
    request_id: Option<String>,
    outcome: Option<Outcome>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

/// Read the audit
///
/// Every change, newest first: who, what, from where, and the revisions before and after. A page
/// may be shorter than its limit, and not the last: `next` tells.
#[utoipa::path(
    get,
    path = "/api/v1/audit",
    tag = "audit",
    operation_id = "listAudit",
    params(
        ("tenant" = Option<TenantId>, Query, nullable = false, description = "Only changes of this tenant."),
        ("author" = inline(Option<String>), Query, nullable = false, description = "Only changes by this operator."),
        ("outcome" = inline(Option<Outcome>), Query, nullable = false, description = "Only changes of this kind."),
        ("request_id" = inline(Option<String>), Query, nullable = false, description = "Only changes that this request made."),
        ("since" = inline(Option<Moment>), Query, nullable = false, description = "Only changes at or after this time."),
        ("until" = inline(Option<Moment>), Query, nullable = false, description = "Only changes before this time."),
        ("before" = inline(Option<u64>), Query, nullable = false, minimum = 0, maximum = 9_223_372_036_854_775_807_u64, description = "Only events before this one: the `next` of the page before."),
        PageLimit,
        IfNoneMatch,
    ),
    responses(
        (status = 200, description = "A page of events.", body = AuditPage, headers(("ETag" = String, description = "Made of the page."))),
        (status = 304, description = "As it was when that `ETag` was answered."),
    ),
)]
pub(super) async fn list(
    State(control): State<Arc<Control>>,
    headers: HeaderMap,
    mut arguments: Arguments,
) -> Result<Response, ApiError> {
    let filter = Filter {
        tenant: arguments.take("tenant"),
        author: arguments.take("author"),
        request_id: arguments.take("request_id"),
        outcome: arguments.take_with("outcome", read_outcome),
        since: arguments.take_with("since", read_time),
        until: arguments.take_with("until", read_time),
    };
    let before = arguments.take_with("before", |text| {
        let sequence = text.parse().ok().filter(|sequence| *sequence <= MOST);
        sequence.ok_or_else(|| format!("expected a number from 0 to {MOST}"))
    });
    let limit = arguments.take_limit();
    arguments.finish()?;
    read::json(&headers, &filter.page(&control, before, limit).await?)
}

impl Filter {
    async fn page(
        &self,
        control: &Control,
        mut before: Option<u64>,
        limit: u16,
    ) -> Result<AuditPage, ApiError> {
        let at_a_time = if self.means_all() { limit } else { AT_A_TIME };
        let (mut events, mut scanned) = (Vec::new(), 0);
        loop {
            let page = control.repository().audit(before, at_a_time).await?;
            let full = page.len() == usize::from(at_a_time);
            for event in page {
                scanned += 1;
                before = Some(event.sequence);
                if self.since.is_some_and(|since| event.at < since) {
                    return Ok(AuditPage { events, next: None });
                }
                if !self.means(&event) {
                    continue;
                }
                events.push(event);
                if events.len() == usize::from(limit) {
                    return Ok(AuditPage {
                        events,
                        next: before,
                    });
                }
            }
            if !full || scanned >= SCANNED {
                let next = before.filter(|_| full);
                return Ok(AuditPage { events, next });
            }
        }
    }

    fn means_all(&self) -> bool {
        let Self {
            tenant,
            author,
            request_id,
            outcome,
            since: _,
            until,
        } = self;
        tenant.is_none()
            && author.is_none()
            && request_id.is_none()
            && outcome.is_none()
            && until.is_none()
    }

    fn means(&self, event: &AuditEvent) -> bool {
        fn fits<T: PartialEq>(wanted: Option<&T>, found: &T) -> bool {
            wanted.is_none_or(|wanted| wanted == found)
        }
        fits(self.tenant.as_ref(), &event.tenant)
            && fits(self.author.as_ref(), &event.author)
            && fits(self.request_id.as_ref(), &event.request_id)
            && fits(self.outcome.as_ref(), &event.outcome)
            && self.until.is_none_or(|until| event.at < until)
    }
}

fn read_outcome(text: &str) -> Result<Outcome, String> {
    Outcome::deserialize(text.into_deserializer())
        .map_err(|error: de::value::Error| error.to_string())
}

fn read_time(text: &str) -> Result<Timestamp, String> {
    text.parse()
        .map_err(|_| "expected a time such as 2026-11-22T05:00:00Z".into())
}

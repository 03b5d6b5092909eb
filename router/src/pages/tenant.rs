//! One tenant: how it is, why, since when, and what happened to it.

mod charts;
mod service;

use maud::{Markup, html};
use tenant_store::{
    history::HistoryEntry,
    model::{Signal, Status},
    repository::AuditEvent,
};

use super::marks;
use crate::{
    history::Availability,
    standing::{Condition, DeploymentHealth, EndpointView, TenantHealth},
    trends::Trend,
};

/// All that is told of a tenant.
pub(crate) struct Page<'a> {
    pub(crate) health: &'a TenantHealth,
    /// Its traffic, by signal; `None` where there was none of late.
    pub(crate) trends: &'a [(Signal, Option<Trend>)],
    /// How well it was served; or why that can't be told.
    pub(crate) service: Result<&'a Availability, &'a str>,
    /// What happened to its health, the newest first; or why that can't be told.
    pub(crate) story: Result<&'a [HistoryEntry], &'a str>,
    /// Who changed it, the newest first; or why that can't be told.
    pub(crate) audit: Result<&'a [AuditEvent], &'a str>,
}

/// What the window's title says.
pub(crate) fn title(health: &TenantHealth) -> String {
    format!("{} is {}", health.tenant, health.condition)
}

impl Page<'_> {
    pub(crate) fn main(&self) -> Markup {
        html! {
            nav.crumbs aria-label="Where this is" { a href="/health/tenants" { "Tenants" } " / " (self.health.tenant) }
            (self.verdict())
            (self.facts())
            div #deployments data-live="frame" data-shape=(self.shape()) { (self.deployments()) }
            (service::card(self.service, self.health.deployments.keys().copied()))
            div.pair {
                (self.story())
                (self.changes())
            }
        }
    }

    /// Which parts there are.
    fn shape(&self) -> String {
        let signals = self.health.deployments.keys();
        signals
            .map(|signal| signal.as_str())
            .collect::<Vec<_>>()
            .join(" ")
    }

    fn deployments(&self) -> Markup {
        html! {
            @for (signal, deployment) in &self.health.deployments {
                @let trend = self.trends.iter().find(|(of, _)| of == signal);
                div.panel.card {
                    (card(*signal, deployment))
                    (charts::card(*signal, trend.and_then(|(_, trend)| trend.as_ref())))
                }
            }
            @if self.health.deployments.is_empty() {
                p.panel.empty { "It has no deployments: there is nothing to be ill." }
            }
        }
    }

    fn verdict(&self) -> Markup {
        let health = self.health;
        html! {
            div #verdict data-live {
                div.head {
                    h1 { (health.tenant) }
                    @if let Some(name) = &health.display_name { span.muted { (name) } }
                }
                div.panel.verdict.(health.condition) {
                    (marks::condition(health.condition.as_str()))
                    p { (health.sentence) }
                    @if let Some(since) = health.since { span.muted { "changed " (marks::ago(since)) } }
                }
                @if matches!(health.condition, Condition::Suspended | Condition::Provisioning) {
                    div.panel.verdict.(health.condition) {
                        p {
                            "Its endpoints are probed and shown as they are, but nobody is told of them. \
                             How they are then is told when it is activated."
                        }
                    }
                } @else if let Some(maintenance) = &health.maintenance {
                    div.panel.verdict.maintenance {
                        span.is.maintenance { "Maintenance" }
                        p {
                            (maintenance.reason)
                            @if let Some(until) = maintenance.until { ", until " (marks::clock(until)) }
                            ". Its alerts are silent; requests flow on."
                        }
                    }
                }
            }
        }
    }

    fn facts(&self) -> Markup {
        let health = self.health;
        let endpoints: usize = health
            .deployments
            .values()
            .map(|one| one.endpoints.len())
            .sum();
        html! {
            dl #facts.facts data-live {
                div { dt { "Score" } dd { (score(health.score)) } }
                div { dt { "Tier" } dd { (health.tier) } }
                div {
                    dt { "Status" }
                    dd { @if health.status == Status::Active { "active" } @else { span.tag { (health.status.as_str()) } } }
                }
                div { dt { "Revision" } dd { (health.revision) } }
                div { dt { "Endpoints" } dd { (endpoints) } }
                div { dt { "As JSON" } dd { a href={ "/api/v1/tenants/" (health.tenant) "/health" } { "health" } } }
            }
        }
    }

    fn story(&self) -> Markup {
        html! {
            section #story.panel.card data-live aria-labelledby="story-title" {
                header {
                    h2 #story-title { "What happened" }
                    p { "To its health, as the routers saw it." }
                    a.aside href={ "/api/v1/tenants/" (self.health.tenant) "/health/history" } { "All of it, as JSON" }
                }
                @match self.story {
                    Err(why) => p.empty { (why) },
                    Ok([]) => p.empty { "Nothing yet." },
                    Ok(entries) => ol.story {
                        @for entry in entries { (happened(entry)) }
                    },
                }
            }
        }
    }

    fn changes(&self) -> Markup {
        html! {
            section #changes.panel.card data-live aria-labelledby="changes-title" {
                header { h2 #changes-title { "Who changed it" } p { "From the audit." } }
                @match self.audit {
                    Err(why) => p.empty { (why) },
                    Ok([]) => p.empty { "Nobody yet." },
                    Ok(events) => ol.story {
                        @for event in events { (changed(event)) }
                    },
                }
            }
        }
    }
}

fn score(score: Option<u8>) -> String {
    score.map_or_else(|| "–".into(), |score| format!("{score} of 100"))
}

fn card(signal: Signal, deployment: &DeploymentHealth) -> Markup {
    let id = format!("deployment-{signal}");
    html! {
        section.deployment id=(id) data-live aria-labelledby={ (id) "-title" } {
            header {
                h2 id={ (id) "-title" } { (signal) }
                (marks::condition(deployment.condition.as_str()))
                p { (deployment.sentence) }
                span.aside {
                    "score " (score(deployment.score))
                    @if let Some(failover) = &deployment.last_failover {
                        " · last failover " (marks::ago(failover.at)) " from " (failover.from.replace(',', ", "))
                        " to " (failover.to.replace(',', ", ")) ", cause: " (failover.cause.as_str().replace('_', " "))
                    }
                }
            }
            @if let Some(fault) = &deployment.fault {
                p.problem { (fault) }
            }
            @for name in &deployment.names {
                @if let Some(sentence) = &name.sentence { p.problem { (sentence) } }
            }
            div.scroll tabindex="0" role="region" aria-label={ "Endpoints of " (signal) } {
                table {
                    caption.sr { "Endpoints of " (signal) }
                    thead {
                        tr {
                            th scope="col" { "Condition" }
                            th scope="col" { "Endpoint" }
                            th scope="col" { "Why" }
                            th scope="col" { "Changed" }
                            th scope="col" { "Last probe" }
                            th.number scope="col" { "Failed in a row" }
                            th.number scope="col" { "Ejections" }
                            th scope="col" { "Zone" }
                            th.number scope="col" { "Priority" }
                        }
                    }
                    tbody {
                        @for endpoint in &deployment.endpoints {
                            (row(endpoint, &deployment.served_by))
                        }
                    }
                }
            }
        }
    }
}

fn row(endpoint: &EndpointView, served_by: &[String]) -> Markup {
    let EndpointView { health, .. } = endpoint;
    let serves = served_by.iter().any(|name| **name == *health.endpoint);
    html! {
        tr class=(endpoint.condition) {
            td { (marks::condition(endpoint.condition.as_str())) }
            th scope="row" {
                span.code { (health.endpoint) }
                @if serves { " " span.tag { "serving" } }
                @if let Some(from) = &endpoint.from {
                    br; span.muted { "of " (from) }
                } @else if let Some(address) = endpoint.address {
                    br; span.muted { "at " (address) }
                }
            }
            td.why {
                @match &endpoint.sentence { Some(sentence) => (sentence), None => "–" }
                @if let Some(left) = health.back_off_remaining_ms {
                    @if endpoint.sentence.is_some() { "," }
                    " " span.nowrap { "back in " (left.div_ceil(1_000)) " s" }
                }
                @if !endpoint.findings.is_empty() {
                    span.tags { @for finding in &endpoint.findings { span.tag { (finding) } } }
                }
            }
            td.nowrap { (marks::ago(health.since)) }
            td { (probe(endpoint)) }
            td.number {
                (health.consecutive_probe_failures.max(health.consecutive_request_failures))
            }
            td.number { (health.ejections) }
            td { @match &endpoint.zone { Some(zone) => (zone), None => "–" } }
            td.number { (endpoint.priority) }
        }
    }
}

fn probe(endpoint: &EndpointView) -> Markup {
    html! {
        @match &endpoint.health.last_probe {
            _ if !endpoint.health.probing => span.muted { "not probed" },
            None => span.muted { "none yet" },
            Some(probe) => {
                @if let Some(error) = &probe.error {
                    span.why title=(error) { "failed" }
                } @else {
                    "ok, " (format!("{:.1}", probe.latency_ms)) " ms"
                }
                " " span.muted.nowrap { (marks::ago(probe.at)) }
            },
        }
    }
}

fn happened(event: &HistoryEntry) -> Markup {
    html! {
        li {
            (marks::ago(event.at))
            span.tag { (event.kind) }
            @if is_of_conditions(&event.kind) {
                span.nowrap { (event.from) " → " (marks::condition(&event.to)) }
            }
            p { (event.sentence) }
        }
    }
}

/// Whether a change is one of conditions: others are told in words.
fn is_of_conditions(kind: &str) -> bool {
    !matches!(kind, "failover" | "findings")
}

fn changed(event: &AuditEvent) -> Markup {
    let fields: Vec<&str> = event
        .changes
        .as_object()
        .map(|changes| changes.keys().map(String::as_str).collect())
        .unwrap_or_default();
    html! {
        li {
            (marks::ago(event.at))
            p {
                b { (event.author) } " " (event.outcome.as_str()) " it"
                @if event.before.is_some() && !fields.is_empty() { ": " (fields.join(", ")) }
                span.muted { " (revision " (event.after) ")" }
            }
        }
    }
}

//! All tenants, the worst first.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use maud::{Markup, html};
use tenant_store::model::{Signal, Tier};
use url::form_urlencoded;

use super::marks;
use crate::standing::{Condition, Counts, Filter, Order, Overview, TenantSummary};

/// Rows on a page, unless something else is asked for.
pub(crate) const ROWS: usize = 200;

/// How many rows may be asked for.
pub(crate) const ROW_CHOICES: [usize; 3] = [100, ROWS, 1_000];

/// How a query says [`Order::Id`].
pub(crate) const BY_ID: &str = "id";

/// In the order people care about them.
const CONDITIONS: [Condition; 7] = [
    Condition::Unhealthy,
    Condition::Degraded,
    Condition::Maintenance,
    Condition::Provisioning,
    Condition::Unknown,
    Condition::Healthy,
    Condition::Suspended,
];

/// What somebody asked to see.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    pub(crate) conditions: Vec<Condition>,
    pub(crate) tier: Option<Tier>,
    pub(crate) signal: Option<Signal>,
    pub(crate) search: Option<String>,
    pub(crate) order: Order,
    pub(crate) rows: Option<usize>,
    pub(crate) cursor: Option<String>,
}

/// Whom a page is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Operators, who may see all of it.
    Operators,
    /// Anybody: who is how, but not where their data is or what is wrong with it.
    Anybody,
}

/// The list, and all that narrows it down.
pub(crate) struct Page<'a> {
    pub(crate) path: &'a str,
    pub(crate) audience: Audience,
    pub(crate) asked: &'a Asked,
    pub(crate) tiers: &'a [Tier],
    pub(crate) overview: &'a Overview,
}

impl Asked {
    /// As what knows the tenants is asked for it.
    ///
    /// # Errors
    /// The cursor is none.
    pub(crate) fn filter(&self) -> Result<Filter, String> {
        Ok(Filter {
            conditions: self.conditions.clone(),
            tiers: self.tier.iter().cloned().collect(),
            signal: self.signal,
            search: self.search.clone(),
            order: self.order,
            limit: self.rows.unwrap_or(ROWS),
            after: self.cursor.as_deref().map(str::parse).transpose()?,
        })
    }

    /// As the query of a link.
    fn query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if let Some(search) = &self.search {
            query.append_pair("q", search);
        }
        if !self.conditions.is_empty() {
            query.append_pair("condition", &self.condition_list());
        }
        if let Some(tier) = &self.tier {
            query.append_pair("tier", tier.as_str());
        }
        if let Some(signal) = self.signal {
            query.append_pair("signal", signal.as_str());
        }
        if self.order == Order::Id {
            query.append_pair("sort", BY_ID);
        }
        if let Some(rows) = self.rows {
            query.append_pair("limit", &rows.to_string());
        }
        if let Some(cursor) = &self.cursor {
            query.append_pair("cursor", cursor);
        }
        let query = query.finish();
        if query.is_empty() {
            query
        } else {
            format!("?{query}")
        }
    }

    fn condition_list(&self) -> String {
        let names: Vec<_> = self.conditions.iter().map(|one| one.as_str()).collect();
        names.join(",")
    }

    /// The same from the first page on.
    fn at_start(&self) -> Self {
        Self {
            cursor: None,
            ..self.clone()
        }
    }

    /// With a condition asked for that was not, or the other way round.
    fn toggled(&self, condition: Condition) -> Self {
        let mut asked = self.at_start();
        if asked.conditions.contains(&condition) {
            asked.conditions.retain(|one| *one != condition);
        } else {
            asked.conditions.push(condition);
        }
        asked
    }

    fn is_narrowed(&self) -> bool {
        !self.conditions.is_empty()
            || self.tier.is_some()
            || self.signal.is_some()
            || self.search.is_some()
    }
}

/// What the window's title says: whether to look.
pub(crate) fn title(counts: &Counts) -> String {
    match (counts.unhealthy, counts.degraded) {
        (0, 0) => "Tenants".into(),
        (0, degraded) => format!("({degraded} degraded) Tenants"),
        (unhealthy, _) => format!("({unhealthy} unhealthy) Tenants"),
    }
}

impl Page<'_> {
    pub(crate) fn main(&self) -> Markup {
        html! {
            div.head { h1 { "Tenants" } }
            (self.counts())
            @if self.audience == Audience::Operators { (self.filters()) }
            (self.list())
        }
    }

    fn link(&self, asked: &Asked) -> String {
        format!("{}{}", self.path, asked.query())
    }

    fn counts(&self) -> Markup {
        let counts = &self.overview.counts;
        html! {
            section #counts data-live aria-label="Tenants by condition" {
                div.counts {
                    @for condition in CONDITIONS {
                        @let number = of(counts, condition);
                        @let current = self.asked.conditions.contains(&condition).then_some("true");
                        @let look = if number == 0 { "none" } else { "some" };
                        @let told = html! {
                            i.mark aria-hidden="true" {}
                            b { (marks::count(number as u64)) }
                            (condition)
                        };
                        @if self.audience == Audience::Operators {
                            a.(condition).(look) aria-current=[current]
                                href=(self.link(&self.asked.toggled(condition))) { (told) }
                        } @else {
                            span.(condition).(look) { (told) }
                        }
                    }
                }
                (share(counts))
            }
        }
    }

    fn filters(&self) -> Markup {
        let asked = self.asked;
        html! {
            form.filters method="get" action=(self.path) role="search" aria-label="Tenants" {
                label {
                    "Search"
                    input type="search" name="q" value=[asked.search.as_deref()] placeholder="Name or id"
                        autocomplete="off" spellcheck="false" maxlength="128";
                }
                label {
                    "Tier"
                    select name="tier" {
                        option value="" { "All" }
                        @for tier in self.tiers {
                            option value=(tier) selected[asked.tier.as_ref() == Some(tier)] { (tier) }
                        }
                    }
                }
                label {
                    "Signal"
                    select name="signal" {
                        option value="" { "All" }
                        @for signal in Signal::ALL {
                            option value=(signal) selected[asked.signal == Some(signal)] { (signal) }
                        }
                    }
                }
                label {
                    "Order"
                    select name="sort" {
                        option value="" { "Worst first" }
                        option value=(BY_ID) selected[asked.order == Order::Id] { "By id" }
                    }
                }
                label {
                    "Rows"
                    select name="limit" {
                        @for rows in ROW_CHOICES {
                            @let value = if rows == ROWS { String::new() } else { rows.to_string() };
                            option value=(value) selected[asked.rows.unwrap_or(ROWS) == rows] { (rows) }
                        }
                    }
                }
                span #narrowed data-live {
                    @if !asked.conditions.is_empty() {
                        input type="hidden" name="condition" value=(asked.condition_list());
                    }
                    @if asked.is_narrowed() {
                        a.clear href=(self.path) { "Show all" }
                    }
                }
                button type="submit" { "Show" }
            }
        }
    }

    fn list(&self) -> Markup {
        let tenants = &self.overview.tenants;
        let shape = if tenants.is_empty() { "empty" } else { "rows" };
        html! {
            div #list data-live data-shape=(shape) {
                @if tenants.is_empty() {
                    p.panel.empty { (self.nothing()) }
                } @else {
                    div.panel.scroll tabindex="0" role="region" aria-label="Tenants" { (self.table()) }
                    (self.pager())
                }
            }
        }
    }

    fn nothing(&self) -> &'static str {
        if self.asked.is_narrowed() {
            "No tenant is like that."
        } else {
            "There are no tenants yet."
        }
    }

    fn table(&self) -> Markup {
        let for_operators = self.audience == Audience::Operators;
        html! {
            table.tenants {
                caption.sr {
                    "Tenants, "
                    @match self.asked.order { Order::Worst => "the worst first", Order::Id => "by id" }
                }
                thead {
                    tr {
                        th.c-condition scope="col" { "Condition" }
                        th.c-tenant scope="col" { "Tenant" }
                        th.c-tier scope="col" { "Tier" }
                        @for signal in Signal::ALL { th.c-signal scope="col" { (signal) } }
                        th.c-endpoints.number scope="col" { "Endpoints" }
                        @if for_operators { th scope="col" { "What is the matter" } }
                        th.c-since scope="col" { "Changed" }
                    }
                }
                tbody data-rows {
                    @for tenant in &self.overview.tenants { (row(tenant, for_operators)) }
                }
            }
        }
    }

    fn pager(&self) -> Markup {
        let tenants = self.overview.tenants.len();
        let all = if self.asked.conditions.is_empty() {
            self.overview.counts.total()
        } else {
            let conditions = self.asked.conditions.iter();
            conditions.map(|one| of(&self.overview.counts, *one)).sum()
        };
        html! {
            nav.pager data-part="pager" aria-label="Pages of tenants" {
                span {
                    (marks::count(tenants as u64)) " of " (marks::counted(all as u64, "tenant", "tenants"))
                }
                @if self.asked.cursor.is_some() {
                    a href=(self.link(&self.asked.at_start())) { "First page" }
                }
                @if let (Some(next), Audience::Operators) = (&self.overview.next, self.audience) {
                    @let asked = Asked { cursor: Some(next.clone()), ..self.asked.clone() };
                    a href=(self.link(&asked)) rel="next" { "Next page" }
                }
            }
        }
    }
}

/// A row, with a mark by which the script knows whether it says what it did.
fn row(tenant: &TenantSummary, for_operators: bool) -> Markup {
    let cells = cells(tenant, for_operators);
    let mut says = DefaultHasher::new();
    cells.0.hash(&mut says);
    let says = format!("{:x}", says.finish());
    html! {
        tr.quiet.(tenant.condition) data-key=(tenant.tenant) data-says=(says) { (cells) }
    }
}

fn cells(tenant: &TenantSummary, for_operators: bool) -> Markup {
    let endpoints = tenant.endpoints;
    let is_calm = matches!(
        tenant.condition,
        Condition::Healthy | Condition::Unknown | Condition::Suspended | Condition::Provisioning
    );
    html! {
        td { (marks::condition(tenant.condition.as_str())) }
        th scope="row" {
            @if for_operators {
                a href={ "/health/tenants/" (tenant.tenant) } { (tenant.tenant) }
            } @else {
                (tenant.tenant)
            }
            @if let Some(name) = &tenant.display_name { small { (name) } }
        }
        td { (tenant.tier) }
        @for signal in Signal::ALL {
            td {
                @match tenant.signals.get(&signal) {
                    Some(one) => (marks::condition(one.condition.as_str())),
                    None => span.muted { "–" },
                }
            }
        }
        td.number { (endpoints.healthy) "/" (endpoints.total) }
        @if for_operators {
            td.muted[is_calm].matter[!is_calm] title=(tenant.sentence) { span { (tenant.sentence) } }
        }
        td {
            @match tenant.since {
                Some(since) => (marks::ago(since)),
                None => span.muted { "–" },
            }
        }
    }
}

fn of(counts: &Counts, condition: Condition) -> usize {
    match condition {
        Condition::Healthy => counts.healthy,
        Condition::Degraded => counts.degraded,
        Condition::Unhealthy => counts.unhealthy,
        Condition::Unknown => counts.unknown,
        Condition::Maintenance => counts.maintenance,
        Condition::Provisioning => counts.provisioning,
        Condition::Suspended => counts.suspended,
    }
}

/// A bar of all of them. One that is there is never too thin to be seen.
fn share(counts: &Counts) -> Markup {
    const WIDTH: usize = 1_000;
    const THINNEST: usize = 6;
    let total = counts.total().max(1);
    let widths = CONDITIONS.map(|condition| match of(counts, condition) {
        0 => 0,
        number => (number * WIDTH / total).max(THINNEST),
    });
    let all: usize = widths.iter().sum::<usize>().max(WIDTH);
    let starts = widths.iter().scan(0, |from, width| {
        let start = *from;
        *from += width;
        Some(start)
    });
    html! {
        svg.share viewBox={ "0 0 " (all) " 6" } preserveAspectRatio="none" aria-hidden="true" {
            @for ((condition, width), from) in CONDITIONS.into_iter().zip(widths).zip(starts) {
                rect class=(condition) x=(from) width=(width) height="6" {}
            }
        }
    }
}

//! This router: what it is, what it knows, what it is told to do.

use jiff::Timestamp;
use maud::{Markup, html};

use super::marks;

/// All that is told of the router, in parts.
pub(crate) struct Page {
    /// Whether clients should be sent here, and if not, why.
    pub(crate) not_ready: Option<&'static str>,
    pub(crate) started: Timestamp,
    pub(crate) parts: Vec<Part>,
}

/// Facts that belong together.
pub(crate) struct Part {
    /// What it is known by on the page.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) facts: Vec<(&'static str, Fact)>,
}

/// One of them.
pub(crate) enum Fact {
    Text(String),
    Code(String),
    Count(u64),
    Moment(Timestamp),
    /// Good or bad, and the word for it.
    Verdict(bool, String),
    Several(Vec<String>),
}

impl Page {
    pub(crate) fn main(&self) -> Markup {
        let condition = if self.not_ready.is_some() {
            "degraded"
        } else {
            "healthy"
        };
        html! {
            div.head { h1 { "Router" } }
            div #verdict.panel.verdict.(condition) data-live {
                @match self.not_ready {
                    None => {
                        span.is.healthy { i.mark aria-hidden="true" {} "ready" }
                        p { "Clients are served." }
                    },
                    Some(why) => {
                        span.is.degraded { i.mark aria-hidden="true" {} "not ready" }
                        p { "Clients should go elsewhere: " (why) "." }
                    },
                }
                span.muted { "started " (marks::ago(self.started)) }
            }
            div.flow {
                @for part in &self.parts { (part.card()) }
            }
        }
    }
}

impl Part {
    fn card(&self) -> Markup {
        html! {
            section.panel.card id=(self.name) data-live aria-labelledby={ (self.name) "-title" } {
                header { h2 id={ (self.name) "-title" } { (self.title) } }
                dl.list {
                    @for (name, fact) in &self.facts {
                        dt { (name) }
                        dd { (fact.told()) }
                    }
                }
            }
        }
    }
}

impl Fact {
    fn told(&self) -> Markup {
        html! {
            @match self {
                Self::Text(text) => (text),
                Self::Code(text) => code { (text) },
                Self::Count(number) => (marks::count(*number)),
                Self::Moment(at) => (marks::ago(*at)),
                Self::Verdict(true, text) => span.is.healthy { i.mark aria-hidden="true" {} (text) },
                Self::Verdict(false, text) => span.is.unhealthy { i.mark aria-hidden="true" {} (text) },
                Self::Several(lines) => {
                    @for line in lines { div { (line) } }
                },
            }
        }
    }
}

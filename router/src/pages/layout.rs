//! What all pages have around them.

use jiff::Timestamp;
use maud::{DOCTYPE, Markup, html};

use super::{assets, marks};

/// Which of the pages in the bar at the top somebody is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Tenants,
    Router,
}

/// Who is looking.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Viewer<'a> {
    /// Somebody who has shown who they are.
    Operator {
        name: &'a str,
        role: &'a str,
        /// Whether there is a session to end.
        by_session: bool,
    },
    /// Anybody, on the public listener: there is one page.
    Anybody,
}

/// How a page stays current.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Freshness<'a> {
    /// The stream of events to follow.
    pub(crate) stream: Option<&'a str>,
    /// Looks once in so many seconds, events or not.
    pub(crate) every: u32,
}

/// A page that somebody looks at for a while.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'a> {
    pub(crate) title: &'a str,
    pub(crate) place: Option<Place>,
    pub(crate) viewer: Viewer<'a>,
    pub(crate) freshness: Freshness<'a>,
    /// Whether there is something drawn.
    pub(crate) charts: bool,
}

impl Frame<'_> {
    /// The whole page.
    pub(crate) fn around(&self, main: &Markup) -> Markup {
        let Freshness { stream, every } = self.freshness;
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    (head(self.title))
                    @if self.charts {
                        link rel="stylesheet" href=(assets::path("uplot.css"));
                        script src=(assets::path("uplot.js")) defer {}
                    }
                    noscript { meta http-equiv="refresh" content=(every.max(10)); }
                }
                body data-live=[stream] data-every=(every) {
                    a.skip href="#main" { "Skip to content" }
                    (self.bar())
                    main #main tabindex="-1" { (main) }
                    p #news.sr role="status" aria-live="polite" {}
                    footer {
                        span { "Mirador " (env!("CARGO_PKG_VERSION")) }
                        span #as-of data-live { "As of " (marks::clock(Timestamp::now())) }
                        @if matches!(self.viewer, Viewer::Operator { .. }) {
                            a href="/api/v1/docs" { "API" }
                        }
                        button #help.plain type="button" hidden { "Keys: ?" }
                    }
                    (keys())
                }
            }
        }
    }

    fn bar(&self) -> Markup {
        html! {
            header.top {
                a.brand href="/health/tenants" {
                    img src=(assets::path("favicon.svg")) alt="" width="22" height="22";
                    "Mirador"
                }
                @if let Viewer::Operator { .. } = self.viewer {
                    nav aria-label="Pages" {
                        (self.entry(Place::Tenants, "/health/tenants", "tenants", "Tenants"))
                        (self.entry(Place::Router, "/health/router", "router", "Router"))
                    }
                }
                div.who {
                    span #link.link role="status" { "As loaded" }
                    button #theme.plain type="button" hidden {}
                    @if let Viewer::Operator { name, role, by_session } = self.viewer {
                        span { (name) " " span.muted { (role) } }
                        @if by_session {
                            form method="post" action="/health/logout" {
                                button.plain type="submit" { "Log out" }
                            }
                        }
                    }
                }
            }
        }
    }

    fn entry(&self, place: Place, path: &str, name: &str, title: &str) -> Markup {
        let current = (self.place == Some(place)).then_some("page");
        html! { a href=(path) data-place=(name) aria-current=[current] { (title) } }
    }
}

/// A page with one thing on it, without a bar.
pub(crate) fn narrow(title: &str, main: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head { (head(title)) }
            body {
                main.narrow { (main) }
            }
        }
    }
}

fn head(title: &str) -> Markup {
    html! {
        meta charset="utf-8";
        meta name="viewport" content="width=device-width, initial-scale=1";
        meta name="color-scheme" content="light dark";
        title { (title) " – Mirador" }
        link rel="icon" type="image/svg+xml" href=(assets::path("favicon.svg"));
        link rel="stylesheet" href=(assets::path("mirador.css"));
        // At once, so that the chosen colours are there before anything is painted.
        script src=(assets::path("mirador.js")) {}
    }
}

fn keys() -> Markup {
    let keys = [
        ("/", "search"),
        ("j, k", "next, previous tenant"),
        ("Enter", "open it"),
        ("t", "tenants"),
        ("r", "router"),
        ("Esc", "close"),
    ];
    html! {
        dialog #keys aria-labelledby="keys-title" {
            h2 #keys-title { "Keys" }
            dl {
                @for (key, what) in keys {
                    dt { kbd { (key) } }
                    dd { (what) }
                }
            }
            form method="dialog" { button type="submit" autofocus { "Close" } }
        }
    }
}

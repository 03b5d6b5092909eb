//! The page to log in on, and what is shown instead of a page.

use maud::{Markup, html};

use super::{assets, layout::narrow};

/// The form to log in by. `then` is where to go from there.
pub(crate) fn login(then: &str, refusal: Option<&str>) -> Markup {
    let main = html! {
        form.panel method="post" action="/health/login" {
            div.brand { img src=(assets::path("favicon.svg")) alt="" width="22" height="22"; "Mirador" }
            h1 { "Log in" }
            @if let Some(refusal) = refusal {
                p.problem role="alert" { (refusal) }
            }
            input type="hidden" name="then" value=(then);
            label {
                "Operator token"
                input type="password" name="token" required autofocus autocomplete="current-password" spellcheck="false";
            }
            button.main type="submit" { "Log in" }
            p.muted {
                "Your own token, the admin token, or one signed by your identity provider. \
                 The session lasts 12 hours."
            }
        }
    };
    narrow("Log in", &main)
}

/// Why there is no page.
pub(crate) fn problem(title: &str, detail: &str, request_id: &str) -> Markup {
    let main = html! {
        div.panel {
            h1 { (capital(title)) }
            p.problem { (detail) }
            p { a href="/health/tenants" { "All tenants" } }
            p.muted { "Request " code { (request_id) } }
        }
    };
    narrow(title, &main)
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(chars).collect()
}

//! The page of all tenants.

use std::sync::Arc;

use axum::{Extension, extract::State, http::HeaderMap, response::Html};
use tenant_store::model::{Signal, Tier};
use tokio::task::spawn_blocking;

use super::{START, viewer};
use crate::{
    admin::{auth::Caller, error::ApiError, query::Arguments},
    control::Control,
    pages::{
        layout::{Frame, Freshness, Place},
        overview::{self, Asked, Audience, BY_ID, Page, ROW_CHOICES},
    },
    standing::{Condition, Filter, Order},
};

/// Looked at again after so many seconds, events or not.
const EVERY: u32 = 30;

/// All tenants, the worst first.
pub(super) async fn page(
    State(control): State<Arc<Control>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    mut arguments: Arguments,
) -> Result<Html<String>, ApiError> {
    let asked = asked(&mut arguments);
    arguments.finish()?;
    let filter = asked
        .filter()
        .map_err(|message| ApiError::fault("cursor", asked.cursor.clone(), message))?;
    // A look at all tenants; probes and other requests are not to wait for it.
    let written = spawn_blocking(move || write(&control, &caller, &headers, &asked, &filter)).await;
    let written = written.map_err(|_| ApiError::Broken("a look at all tenants ended early"))?;
    Ok(Html(written))
}

fn write(
    control: &Control,
    caller: &Caller,
    headers: &HeaderMap,
    asked: &Asked,
    filter: &Filter,
) -> String {
    let overview = control.standing().overview(filter);
    let tiers = control.tiers().names();
    let page = Page {
        path: START,
        audience: Audience::Operators,
        asked,
        tiers: &tiers,
        overview: &overview,
    };
    let title = overview::title(&overview.counts);
    let frame = Frame {
        title: &title,
        place: Some(Place::Tenants),
        viewer: viewer(caller, headers),
        freshness: Freshness {
            stream: Some("/api/v1/events"),
            every: EVERY,
        },
        charts: false,
    };
    frame.around(&page.main()).into_string()
}

/// What a query asks for. A form sends what is not chosen as well, as nothing.
fn asked(arguments: &mut Arguments) -> Asked {
    Asked {
        conditions: arguments
            .take_with("condition", conditions)
            .unwrap_or_default(),
        tier: arguments.take_with("tier", chosen::<Tier>).flatten(),
        signal: arguments.take_with("signal", chosen::<Signal>).flatten(),
        search: arguments.take_with("q", search).flatten(),
        order: arguments.take_with("sort", order).unwrap_or_default(),
        rows: arguments.take_with("limit", rows).flatten(),
        cursor: arguments.take::<String>("cursor").filter(|c| !c.is_empty()),
    }
}

fn chosen<T: std::str::FromStr<Err: ToString>>(text: &str) -> Result<Option<T>, String> {
    match text {
        "" => Ok(None),
        text => text
            .parse()
            .map(Some)
            .map_err(|error: T::Err| error.to_string()),
    }
}

fn conditions(text: &str) -> Result<Vec<Condition>, String> {
    let words = text.split(',').filter(|word| !word.is_empty());
    words.map(str::parse).collect()
}

fn search(text: &str) -> Result<Option<String>, String> {
    let text = text.trim();
    if text.len() > 128 {
        return Err("expected at most 128 bytes".into());
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

fn order(text: &str) -> Result<Order, String> {
    match text {
        "" | "worst" => Ok(Order::Worst),
        BY_ID => Ok(Order::Id),
        _ => Err("expected worst or id".into()),
    }
}

fn rows(text: &str) -> Result<Option<usize>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let most = ROW_CHOICES[ROW_CHOICES.len() - 1];
    let rows = text.parse().ok().filter(|rows| (1..=most).contains(rows));
    rows.map(Some)
        .ok_or_else(|| format!("expected a number from 1 to {most}"))
}

//! Health as long as somebody looks: events say when there is something new.

use std::{collections::VecDeque, time::Duration};

use reqwest::Response;
use serde_json::Value;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Status, show};
use crate::cli::{
    Failure,
    client::{AdminClient, AdminError},
    output::{Terminal, cell},
};

/// Changes shown below the present state.
const RECENT: usize = 10;

/// A screen is drawn anew after this time in any case: scores and times change without an event.
const REDRAWN: Duration = Duration::from_secs(5);

/// A connection that broke is opened again after this time.
const PAUSE: Duration = Duration::from_secs(1);

/// Clears the screen and goes to its top.
const CLEAR: &str = "\x1b[2J\x1b[H";

/// Shows the present state and what changes, until the process is ended or the router refuses.
/// `live`: on a screen that can be drawn anew; otherwise line by line.
pub(super) async fn watch(
    client: &AdminClient,
    status: &Status,
    live: bool,
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    let mut events = Events::open(client, status).await?;
    let mut recent = VecDeque::new();
    // After the events are followed, so that nothing falls between.
    if !live {
        status.show(&status.read(client).await?, terminal)?;
    }
    loop {
        if live {
            let health = status.read(client).await?;
            draw(status, &health, &recent, terminal)?;
        }
        let until = Instant::now() + REDRAWN;
        tokio::select! {
            told = events.next(client, status) => {
                let told = told?;
                if !live {
                    terminal.say(&told)?;
                }
                recent.push_back(told);
                if recent.len() > RECENT {
                    recent.pop_front();
                }
            }
            () = sleep_until(until), if live => {}
        }
    }
}

fn draw(
    status: &Status,
    health: &Value,
    recent: &VecDeque<String>,
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    terminal.say(&format_args!("{CLEAR}{:.0}", jiff::Timestamp::now()))?;
    status.show(health, terminal)?;
    if !recent.is_empty() {
        terminal.say(&"\nlast changes:")?;
    }
    recent.iter().try_for_each(|line| terminal.say(line))
}

/// A connection that events come on, and the next one if it breaks.
struct Events {
    response: Option<Response>,
    read: Lines,
    last: Option<String>,
}

impl Events {
    async fn open(client: &AdminClient, status: &Status) -> Result<Self, AdminError> {
        Ok(Self {
            response: Some(client.events(&query(status), None).await?),
            read: Lines::default(),
            last: None,
        })
    }

    /// The next event as a line. Cancel-safe: what was read stays.
    async fn next(&mut self, client: &AdminClient, status: &Status) -> Result<String, AdminError> {
        loop {
            if let Some(event) = self.read.event() {
                self.last = event.id.or(self.last.take());
                if event.name == "gap" {
                    return Ok("some changes were missed".into());
                }
                let told = serde_json::from_str(&event.data).unwrap_or_default();
                return Ok(line(&told));
            }
            let Some(response) = &mut self.response else {
                sleep(PAUSE).await;
                let opened = client.events(&query(status), self.last.as_deref()).await;
                match opened {
                    Ok(response) => self.response = Some(response),
                    Err(error @ AdminError::Refused { .. }) => return Err(error),
                    Err(_) => {} // it may come back
                }
                continue;
            };
            if let Ok(Some(chunk)) = response.chunk().await {
                self.read.push(&chunk);
            } else {
                self.response = None;
                self.read = Lines::default();
            }
        }
    }
}

fn query(status: &Status) -> Vec<(&'static str, String)> {
    let tenant = status.tenant.as_ref();
    let tenant = tenant.map(|tenant| ("tenant", tenant.to_string()));
    tenant.into_iter().collect()
}

fn line(event: &Value) -> String {
    format!(
        "{} {} {}: {}",
        show::moment(&event["at"]),
        cell(&event["tenant"]),
        cell(&event["kind"]),
        cell(&event["sentence"]),
    )
}

/// One server-sent event.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sent {
    id: Option<String>,
    name: String,
    data: String,
}

/// Reads server-sent events out of what comes, however it is cut.
#[derive(Debug, Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// The next whole event. Comments are none.
    fn event(&mut self) -> Option<Sent> {
        loop {
            let end = self.0.windows(2).position(|two| two == b"\n\n")?;
            let block: Vec<u8> = self.0.drain(..end + 2).collect();
            let mut event = Sent::default();
            for line in String::from_utf8_lossy(&block).lines() {
                match line.split_once(':') {
                    Some(("id", id)) => event.id = Some(id.trim_start().to_owned()),
                    Some(("event", name)) => name.trim_start().clone_into(&mut event.name),
                    Some(("data", data)) => event.data.push_str(data.trim_start()),
                    _ => {}
                }
            }
            if !event.data.is_empty() {
                return Some(event);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Wherever the network cuts them.
    #[test]
    fn events_are_read_however_they_are_cut() {
        let text = ": hello\n\nid: 7\nevent: tenant\ndata: {\"a\":1}\n\nevent: gap\ndata: {}\n\n";
        for cut in 1..text.len() {
            let mut lines = Lines::default();
            let mut events = Vec::new();
            for bytes in text.as_bytes().chunks(cut) {
                lines.push(bytes);
                events.extend(std::iter::from_fn(|| lines.event()));
            }
            let sent = |id: Option<&str>, name: &str, data: &str| Sent {
                id: id.map(Into::into),
                name: name.into(),
                data: data.into(),
            };
            assert_eq!(
                events,
                [
                    sent(Some("7"), "tenant", "{\"a\":1}"),
                    sent(None, "gap", "{}"),
                ]
            );
        }
    }
}

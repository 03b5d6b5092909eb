//! The admin API as operators and their programs meet it: over the network, by the command line.

mod audit;
mod command;
mod described;
mod features;
mod operators;
mod updates;
mod validation;

use reqwest::{RequestBuilder, StatusCode, header::HeaderMap};
use serde_json::Value;

use crate::support::mirador::Mirador;

/// An answer, read whole.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    async fn of(request: RequestBuilder) -> Self {
        let reply = request.send().await.expect("an answer of the admin API");
        let (status, headers) = (reply.status(), reply.headers().clone());
        let text = reply.text().await.expect("a whole body");
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Self {
            status,
            headers,
            body,
        }
    }

    /// A header's value; empty if it is not there.
    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().expect("ASCII"))
    }

    /// It is one problem document of this kind.
    fn assert_problem(&self, status: u16, kind: &str) {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.body["type"], format!("/problems/{kind}"));
        assert_eq!(self.body["status"], status);
        assert_eq!(self.body["instance"], self.header("x-request-id"));
    }
}

/// How many changes were written.
async fn changes(mirador: &Mirador) -> usize {
    let page = mirador.admin(reqwest::Method::GET, "/api/v1/audit?limit=1000");
    let page = Answer::of(page).await.body;
    page["events"].as_array().map_or(0, Vec::len)
}

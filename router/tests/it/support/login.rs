//! An issuer of tokens as routers meet it: where it publishes its keys.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};

use super::upstream::{Asked, Step, Upstream, reply};

/// Somebody who publishes keys over HTTP, which may change, and says where by `OpenID` discovery.
pub(crate) fn publisher(keys: &Arc<Mutex<Value>>) -> Upstream {
    Upstream::start(publishing(keys))
}

/// What such a one answers.
pub(crate) fn publishing(
    keys: &Arc<Mutex<Value>>,
) -> impl Fn(&Asked) -> Vec<Step> + Send + Sync + 'static {
    let keys = keys.clone();
    move |asked| {
        let base = format!("http://{}", asked.head.get("host").unwrap_or_default());
        let body = match asked.target() {
            "/keys" => keys.lock().clone(),
            "/.well-known/openid-configuration" => {
                json!({"issuer": base, "jwks_uri": format!("{base}/keys")})
            }
            _ => return reply(404, "", ""),
        };
        reply(200, "Content-Type: application/json\r\n", &body.to_string())
    }
}

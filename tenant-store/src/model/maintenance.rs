//! A time in which a tenant's backends are worked on, and nobody is to be woken over them.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, de};

use super::field::one_line;

/// That a tenant's backends are being worked on. Requests flow on; its health is not announced.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Maintenance {
    /// What is done, for people; 1 to 256 characters on one line.
    #[serde(deserialize_with = "reason")]
    #[cfg_attr(feature = "openapi", schema(schema_with = super::schema::reason))]
    pub reason: String,
    /// When it ends by itself. Without it, when it is taken out of the document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(schema_with = super::schema::moment_or_null, required = false))]
    pub until: Option<Timestamp>,
}

impl Maintenance {
    /// Whether it goes on at `now`.
    pub fn is_on(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

fn reason<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    one_line(deserializer)?.ok_or_else(|| de::Error::custom("expected a reason, not null"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_ends_at_its_time() {
        let read = |value| serde_json::from_value::<Maintenance>(value);
        let bounded = read(json!({"reason": "disks", "until": "2026-11-28T12:00:00Z"})).unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert!(bounded.is_on(at("2026-11-28T11:59:59Z")));
        assert!(!bounded.is_on(at("2026-11-28T12:00:00Z")));
        let open = read(json!({"reason": "disks"})).unwrap();
        assert!(open.is_on(at("2036-01-01T00:00:00Z")));
        for faulty in [
            json!({}),
            json!({"reason": ""}),
            json!({"reason": null}),
            json!({"reason": "two\nlines"}),
            json!({"reason": "x", "until": "tomorrow"}),
            json!({"reason": "x", "til": null}),
        ] {
            assert!(read(faulty.clone()).is_err(), "{faulty}");
        }
    }
}

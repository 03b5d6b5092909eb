//! Log-ins of browsers: a cookie names a session, and the session holds the token that was shown.
//!
//! Every request of a session is believed as one with that token would be: an operator who is taken
//! off the list, a role that changes, a signed token that expires take effect at once. Sessions are
//! this process's own and end with it.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use axum::http::{HeaderMap, HeaderValue, Method, header};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use parking_lot::Mutex;

use crate::{config::TokenHash, credentials::SESSION_COOKIE as COOKIE};

/// How long a session lasts at most: a shift.
const LIFETIME: Duration = Duration::from_hours(12);

/// Sessions at one time; the oldest makes room for one more.
const MOST: usize = 1_000;

/// The sessions there are, by the hash of what their cookies hold.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<[u8; 32], Session>>);

struct Session {
    token: String,
    since: Instant,
}

/// What a browser has to bring along, and nothing else has.
pub(super) struct SessionId(String);

impl SessionId {
    fn new() -> Self {
        let bits: [u8; 32] = rand::random();
        Self(BASE64_URL_SAFE_NO_PAD.encode(bits))
    }

    /// The one in a request's cookies.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let cookies = headers.get_all(header::COOKIE).iter();
        let pairs = cookies
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'));
        let values = pairs.filter_map(|pair| pair.trim().split_once('='));
        let mut ours = values.filter(|(name, _)| *name == COOKIE);
        ours.next().map(|(_, value)| Self(value.to_owned()))
    }

    fn hash(&self) -> [u8; 32] {
        TokenHash::of(&self.0).to_bytes()
    }

    /// The header that has a browser keep it. Links from elsewhere, such as an alert's, bring it
    /// along: by cookie nothing can be changed. `secure` where the listener speaks TLS.
    pub(super) fn to_cookie(&self, secure: bool) -> Option<HeaderValue> {
        let secure = if secure { "; Secure" } else { "" };
        let (id, seconds) = (&self.0, LIFETIME.as_secs());
        let text =
            format!("{COOKIE}={id}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
        HeaderValue::from_str(&text).ok()
    }

    /// The header that has a browser forget it.
    pub(super) const fn forgotten() -> HeaderValue {
        HeaderValue::from_static("mirador_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax")
    }
}

impl Sessions {
    /// Begins a session of whoever showed `token`.
    pub(super) fn begin(&self, token: &str, now: Instant) -> SessionId {
        let id = SessionId::new();
        let mut sessions = self.0.lock();
        sessions.retain(|_, session| session.lasts(now));
        if sessions.len() >= MOST {
            let oldest = sessions.iter().min_by_key(|(_, session)| session.since);
            if let Some(hash) = oldest.map(|(hash, _)| *hash) {
                sessions.remove(&hash);
            }
        }
        let session = Session {
            token: token.to_owned(),
            since: now,
        };
        sessions.insert(id.hash(), session);
        id
    }

    /// The token of a request's session. Only for requests that change nothing: a page elsewhere may
    /// have a browser send others.
    pub(super) fn token(
        &self,
        method: &Method,
        headers: &HeaderMap,
        now: Instant,
    ) -> Option<String> {
        if !method.is_safe() {
            return None;
        }
        let hash = SessionId::of(headers)?.hash();
        let sessions = self.0.lock();
        let session = sessions.get(&hash).filter(|session| session.lasts(now))?;
        Some(session.token.clone())
    }

    /// Ends a request's session.
    pub(super) fn end(&self, headers: &HeaderMap) {
        if let Some(id) = SessionId::of(headers) {
            self.0.lock().remove(&id.hash());
        }
    }
}

impl Session {
    fn lasts(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) < LIFETIME
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(id: &SessionId) -> HeaderMap {
        let cookies = format!("theme=dark; {COOKIE}={}; other=1", id.0);
        let value = HeaderValue::from_str(&cookies).expect("a header");
        HeaderMap::from_iter([(header::COOKIE, value)])
    }

    #[test]
    fn a_session_holds_its_token_until_it_ends() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let (alice, bob) = (sessions.begin("alice", now), sessions.begin("bob", now));
        let token = |id: &SessionId, now| sessions.token(&Method::GET, &with(id), now);
        assert_eq!(token(&alice, now).as_deref(), Some("alice"));
        assert_eq!(token(&bob, now).as_deref(), Some("bob"));
        let nobody = SessionId::new();
        assert_eq!(token(&nobody, now), None);
        assert_eq!(token(&alice, now + LIFETIME), None);
        sessions.end(&with(&alice));
        assert_eq!(token(&alice, now), None);
        assert_eq!(token(&bob, now).as_deref(), Some("bob"));
    }

    #[test]
    fn no_cookie_changes_anything() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let headers = with(&sessions.begin("alice", now));
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            assert_eq!(sessions.token(&method, &headers, now), None, "{method}");
        }
    }

    #[test]
    fn they_are_bounded_and_the_oldest_goes() {
        let (sessions, start) = (Sessions::default(), Instant::now());
        let at = |n: usize| start + Duration::from_millis(n as u64);
        let ids: Vec<_> = (0..=MOST)
            .map(|n| sessions.begin(&n.to_string(), at(n)))
            .collect();
        let token = |n: usize| sessions.token(&Method::GET, &with(&ids[n]), at(MOST));
        assert_eq!(sessions.0.lock().len(), MOST);
        assert_eq!(token(0), None);
        assert_eq!(token(1).as_deref(), Some("1"));
    }

    #[test]
    fn a_cookie_is_for_this_site_and_no_script() {
        let id = SessionId::new();
        let cookie = |secure| {
            let value = id.to_cookie(secure).expect("a header");
            value.to_str().expect("ASCII").to_owned()
        };
        assert!(cookie(false).ends_with("; HttpOnly; SameSite=Lax"));
        assert!(cookie(true).ends_with("; HttpOnly; SameSite=Lax; Secure"));
    }
}

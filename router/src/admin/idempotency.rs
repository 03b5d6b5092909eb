//! `Idempotency-Key`: a POST that is sent again, because its answer was lost, is not carried out
//! again.
//!
//! What was answered is kept in this router's memory, for an hour, and only if it was a success: a
//! refusal has changed nothing, so it may as well be tried anew.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::Response,
};
use parking_lot::Mutex;
use ring::digest::{Context, SHA256};

use super::{auth::Caller, body, error::ApiError};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Says that an answer is one given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Longest key, in bytes.
const KEY_LIMIT: usize = 255;

/// How long an answer is kept.
const KEPT: Duration = Duration::from_hours(1);

/// Keys in use at one time, in flight and answered.
const KEYS: usize = 10_000;

/// Bytes of answers kept at one time; the oldest go first.
const KEPT_BYTES: usize = 32 << 20;

/// Longest answer kept, in bytes.
const ANSWER_LIMIT: usize = 4 << 20;

/// The answers to requests with a key.
#[derive(Debug, Default)]
pub(super) struct Answers {
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    by_key: HashMap<Slot, Entry>,
    /// The keys of what is answered, oldest first.
    answered: VecDeque<(Instant, Slot)>,
    bytes: usize,
}

/// A key, which is one of its operator's own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Slot {
    operator: Arc<str>,
    key: Arc<str>,
}

/// What a request asks, whole.
type Fingerprint = [u8; 32];

#[derive(Debug)]
struct Entry {
    fingerprint: Fingerprint,
    /// `None` while it is worked on.
    answer: Option<Answer>,
}

#[derive(Debug, Clone)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// Answers a POST with a key that was answered before, or has it carried out and keeps the answer.
/// It is carried out to its end even if its caller hangs up.
pub(super) async fn once(
    State(answers): State<Arc<Answers>>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let Some(slot) = slot(&parts)? else {
        return Ok(next.run(Request::from_parts(parts, body)).await);
    };
    let body = to_bytes(body, body::IMPORT_LIMIT)
        .await
        .map_err(|_| ApiError::TooLarge {
            limit: body::IMPORT_LIMIT,
        })?;
    let fingerprint = fingerprint(&parts, &body);
    let claim = match answers.claim(slot, fingerprint, Instant::now())? {
        Claimed::First(claim) => claim,
        Claimed::Answered(answer) => return Ok(answer.replay()),
    };
    let request = Request::from_parts(parts, Body::from(body));
    let work = tokio::spawn(async move {
        let response = next.run(request).await;
        claim.keep(response).await
    });
    work.await.map_err(|_| {
        ApiError::Broken("the work on a request with an Idempotency-Key ended early")
    })?
}

enum Claimed {
    /// Nobody has sent it before; it is in flight as long as the claim lives.
    First(Claim),
    Answered(Answer),
}

struct Claim {
    answers: Arc<Answers>,
    slot: Slot,
}

impl Answers {
    fn claim(
        self: &Arc<Self>,
        slot: Slot,
        fingerprint: Fingerprint,
        now: Instant,
    ) -> Result<Claimed, ApiError> {
        let mut held = self.held.lock();
        held.expire(now);
        match held.by_key.get(&slot) {
            Some(entry) if entry.fingerprint != fingerprint => {
                Err(ApiError::KeyReused(slot.key.to_string()))
            }
            Some(Entry { answer: None, .. }) => Err(ApiError::KeyInFlight(slot.key.to_string())),
            Some(Entry {
                answer: Some(answer),
                ..
            }) => Ok(Claimed::Answered(answer.clone())),
            None => {
                if held.by_key.len() >= KEYS && !held.forget_oldest() {
                    return Err(ApiError::KeysExhausted);
                }
                let entry = Entry {
                    fingerprint,
                    answer: None,
                };
                held.by_key.insert(slot.clone(), entry);
                Ok(Claimed::First(Claim {
                    answers: Arc::clone(self),
                    slot,
                }))
            }
        }
    }
}

impl Held {
    fn expire(&mut self, now: Instant) {
        while let Some((at, _)) = self.answered.front()
            && now.saturating_duration_since(*at) >= KEPT
        {
            self.forget_oldest();
        }
    }

    /// Forgets the oldest answer; false if there is none.
    fn forget_oldest(&mut self) -> bool {
        let Some((_, slot)) = self.answered.pop_front() else {
            return false;
        };
        let entry = self.by_key.remove(&slot);
        if let Some(answer) = entry.and_then(|entry| entry.answer) {
            self.bytes = self.bytes.saturating_sub(answer.body.len());
        }
        true
    }
}

impl Claim {
    async fn keep(self, response: Response) -> Result<Response, ApiError> {
        if !response.status().is_success() {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX)
            .await
            .map_err(|_| ApiError::Broken("an answer could not be written"))?;
        if body.len() <= ANSWER_LIMIT {
            let answer = Answer {
                status: parts.status,
                headers: parts.headers.clone(),
                body: body.clone(),
            };
            self.store(answer, Instant::now());
        }
        Ok(Response::from_parts(parts, Body::from(body)))
    }

    fn store(&self, answer: Answer, now: Instant) {
        let mut held = self.answers.held.lock();
        held.bytes += answer.body.len();
        if let Some(entry) = held.by_key.get_mut(&self.slot) {
            entry.answer = Some(answer);
            held.answered.push_back((now, self.slot.clone()));
        }
        while held.bytes > KEPT_BYTES && held.forget_oldest() {}
    }
}

impl Drop for Claim {
    /// What came to no answer that is kept may be tried again.
    fn drop(&mut self) {
        let mut held = self.answers.held.lock();
        if let Some(Entry { answer: None, .. }) = held.by_key.get(&self.slot) {
            held.by_key.remove(&self.slot);
        }
    }
}

impl Answer {
    fn replay(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        let replayed = HeaderValue::from_static("true");
        response.headers_mut().insert(REPLAYED, replayed);
        response
    }
}

/// The key of a POST, if it has one.
fn slot(parts: &Parts) -> Result<Option<Slot>, ApiError> {
    if parts.method != Method::POST {
        return Ok(None);
    }
    let mut values = parts.headers.get_all(KEY).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let fault = |value, message| ApiError::fault("Idempotency-Key", value, message);
    if values.next().is_some() {
        return Err(fault(None, "stands more than once; send it once"));
    }
    let key = value.to_str().unwrap_or_default();
    if !(1..=KEY_LIMIT).contains(&key.len()) || !key.chars().all(|c| c.is_ascii_graphic()) {
        let message = "expected 1 to 255 visible ASCII characters";
        return Err(fault(None, message));
    }
    let caller = parts.extensions.get::<Caller>();
    let Caller { name, .. } = caller.ok_or(ApiError::Unauthenticated)?;
    Ok(Some(Slot {
        operator: name.clone(),
        key: key.into(),
    }))
}

fn fingerprint(parts: &Parts, body: &Bytes) -> Fingerprint {
    let media_type = parts.headers.get(header::CONTENT_TYPE);
    let mut context = Context::new(&SHA256);
    let head = [
        parts.uri.path().as_bytes(),
        parts.uri.query().unwrap_or_default().as_bytes(),
        media_type.map(HeaderValue::as_bytes).unwrap_or_default(),
    ];
    for part in head {
        context.update(&part.len().to_be_bytes());
        context.update(part);
    }
    context.update(body);
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(context.finish().as_ref());
    fingerprint
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot_of(key: &str) -> Slot {
        Slot {
            operator: "alice".into(),
            key: key.into(),
        }
    }

    fn answer(bytes: usize) -> Answer {
        Answer {
            status: StatusCode::CREATED,
            headers: HeaderMap::new(),
            body: vec![b'x'; bytes].into(),
        }
    }

    fn first(answers: &Arc<Answers>, key: &str, now: Instant) -> Claim {
        match answers.claim(slot_of(key), [0; 32], now) {
            Ok(Claimed::First(claim)) => claim,
            Ok(Claimed::Answered(_)) => panic!("{key} is answered"),
            Err(error) => panic!("{key}: {error}"),
        }
    }

    #[test]
    fn a_key_is_claimed_once_answered_again_and_expires() {
        let (answers, now) = (Arc::new(Answers::default()), Instant::now());
        let claim = first(&answers, "k", now);
        let twice = answers.claim(slot_of("k"), [0; 32], now);
        assert!(matches!(twice, Err(ApiError::KeyInFlight(_))));
        claim.store(answer(1), now);
        drop(claim);
        let again = answers.claim(slot_of("k"), [0; 32], now);
        assert!(matches!(again, Ok(Claimed::Answered(_))));
        let other = answers.claim(slot_of("k"), [1; 32], now);
        assert!(matches!(other, Err(ApiError::KeyReused(_))));
        first(&answers, "k", now + KEPT);
        assert_eq!(answers.held.lock().bytes, 0);
    }

    #[test]
    fn a_claim_that_came_to_nothing_leaves_nothing() {
        let (answers, now) = (Arc::new(Answers::default()), Instant::now());
        drop(first(&answers, "k", now));
        drop(first(&answers, "k", now));
        assert!(answers.held.lock().by_key.is_empty());
    }

    #[test]
    fn keys_and_bytes_are_bounded() {
        let (answers, now) = (Arc::new(Answers::default()), Instant::now());
        for n in 0..20 {
            first(&answers, &format!("large-{n}"), now).store(answer(ANSWER_LIMIT), now);
        }
        assert!(answers.held.lock().bytes <= KEPT_BYTES);
        for n in 0..KEYS + 10 {
            first(&answers, &format!("small-{n}"), now).store(answer(1), now);
        }
        let held = answers.held.lock();
        assert_eq!((held.by_key.len(), held.answered.len()), (KEYS, KEYS));
        assert_eq!(held.bytes, KEYS);
        drop(held);

        let busy = Arc::new(Answers::default());
        let claims: Vec<_> = (0..KEYS)
            .map(|n| first(&busy, &format!("{n}"), now))
            .collect();
        let refused = busy.claim(slot_of("one-more"), [0; 32], now);
        assert!(matches!(refused, Err(ApiError::KeysExhausted)));
        drop(claims);
        first(&busy, "one-more", now);
    }
}

//! Who is let in, for how long, and to do what.

use reqwest::{Method, Response, StatusCode, header};
use serde_json::json;

use crate::support::mirador::{Mirador, TOKEN};

/// The same as sha256sum says of `vera`.
const VERA: &str = "c7f6d322bc205f26de153999e8d923b63b9261ce34bcb0ef1b9c711f843e05d5";

async fn get(mirador: &Mirador, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = mirador.http.get(mirador.admin_url(path));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.expect("an answer")
}

async fn log_in(mirador: &Mirador, token: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = mirador.http.post(mirador.admin_url("/health/login"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let form = format!("token={token}&then=%2Fhealth%2Frouter");
    let request = request.header("Content-Type", "application/x-www-form-urlencoded");
    request.body(form).send().await.expect("an answer")
}

fn location(response: &Response) -> &str {
    let value = response.headers().get(header::LOCATION).expect("a place");
    value.to_str().expect("ASCII")
}

/// The cookie that an answer sets, as it is sent back.
fn cookie(response: &Response) -> String {
    let value = response
        .headers()
        .get(header::SET_COOKIE)
        .expect("a cookie");
    let text = value.to_str().expect("ASCII");
    assert!(
        text.contains("; HttpOnly") && text.contains("; SameSite=Lax"),
        "{text}"
    );
    text.split(';').next().expect("a pair").to_owned()
}

#[tokio::test]
async fn pages_are_for_operators_and_the_cookie_changes_nothing() {
    let mirador = Mirador::start().await;
    // Probes get what they always got; browsers are shown the way.
    let probe = get(&mirador, "/health", &[("Accept", "*/*")]).await;
    assert_eq!(probe.text().await.expect("a body"), "OK\n");
    let browser = get(&mirador, "/health", &[("Accept", "text/html,*/*;q=0.8")]).await;
    assert_eq!(
        (browser.status(), location(&browser)),
        (StatusCode::SEE_OTHER, "/health/tenants")
    );
    let refused = get(&mirador, "/health/tenants?q=a%26b", &[]).await;
    assert_eq!(refused.status(), StatusCode::SEE_OTHER);
    assert_eq!(
        location(&refused),
        "/health/login?then=%2Fhealth%2Ftenants%3Fq%3Da%2526b"
    );

    let wrong = log_in(&mirador, "wrong", &[]).await;
    assert_eq!(wrong.status(), StatusCode::FORBIDDEN);
    assert!(!wrong.headers().contains_key(header::SET_COOKIE));
    let forged = log_in(&mirador, TOKEN, &[("Sec-Fetch-Site", "cross-site")]).await;
    assert_eq!(forged.status(), StatusCode::FORBIDDEN);
    assert!(!forged.headers().contains_key(header::SET_COOKIE));
    let right = log_in(&mirador, TOKEN, &[("Sec-Fetch-Site", "same-origin")]).await;
    assert_eq!(
        (right.status(), location(&right)),
        (StatusCode::SEE_OTHER, "/health/router")
    );
    let cookie = cookie(&right);
    assert!(!cookie.contains(TOKEN));

    let page = get(&mirador, "/health/tenants", &[("Cookie", &cookie)]).await;
    assert_eq!(page.status(), StatusCode::OK);
    let headers = page.headers().clone();
    let policy = headers["content-security-policy"].to_str().expect("ASCII");
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"));
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(headers["cache-control"], "no-store");
    // What pages read is read by it, too; nothing is written.
    let read = get(&mirador, "/api/v1/tenants", &[("Cookie", &cookie)]).await;
    assert_eq!(read.status(), StatusCode::OK);
    let write = mirador.http.put(mirador.admin_url("/api/v1/tenants/acme"));
    let write = write.header("Cookie", &cookie).header("If-None-Match", "*");
    let write = write
        .json(&json!({"id": "acme"}))
        .send()
        .await
        .expect("an answer");
    assert_eq!(write.status(), StatusCode::UNAUTHORIZED);
    // A token does as well.
    let page = mirador.admin(Method::GET, "/health/tenants").send().await;
    assert_eq!(page.expect("an answer").status(), StatusCode::OK);

    let out = mirador.http.post(mirador.admin_url("/health/logout"));
    let out = out
        .header("Cookie", &cookie)
        .send()
        .await
        .expect("an answer");
    assert_eq!(location(&out), "/health/login");
    let page = get(&mirador, "/health/tenants", &[("Cookie", &cookie)]).await;
    assert_eq!(page.status(), StatusCode::SEE_OTHER);
    let log = mirador.process.log();
    assert!(!log.contains(TOKEN) && !log.contains(&cookie));
}

#[tokio::test]
async fn a_session_ends_when_its_operator_is_taken_off_the_list() {
    let operators = json!([{"name": "vera", "role": "viewer", "token_sha256": VERA}]);
    let mut mirador = Mirador::with(json!({"admin": {"operators": operators}})).await;
    let cookie = cookie(&log_in(&mirador, "vera", &[]).await);
    let page = get(&mirador, "/health/tenants", &[("Cookie", &cookie)]).await;
    let text = page.text().await.expect("a body");
    assert!(text.contains("vera") && text.contains("viewer"), "{text}");
    mirador.rewrite_config(json!({"admin": {"operators": []}}));
    let reload = mirador.admin(Method::POST, "/-/reload").send().await;
    assert_eq!(reload.expect("an answer").status(), StatusCode::OK);
    let page = get(&mirador, "/health/tenants", &[("Cookie", &cookie)]).await;
    assert_eq!(page.status(), StatusCode::SEE_OTHER);
}

/// Guessing by the form is as slow as guessing at the API; a page left open is no guess.
#[tokio::test]
async fn guesses_are_counted_and_open_pages_are_not() {
    let mirador = Mirador::with(json!({"admin": {"max_failures_per_minute": 5}})).await;
    for _ in 0..20 {
        let stale = [("Cookie", "mirador_session=of-another-process")];
        let page = get(&mirador, "/health/tenants", &stale).await;
        assert_eq!(page.status(), StatusCode::SEE_OTHER);
    }
    for _ in 0..5 {
        let wrong = log_in(&mirador, "wrong", &[]).await;
        assert_eq!(wrong.status(), StatusCode::FORBIDDEN);
    }
    let right = log_in(&mirador, TOKEN, &[]).await;
    assert_eq!(right.status(), StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn a_tenant_that_is_not_there_is_a_page_that_says_so() {
    let mirador = Mirador::start().await;
    let page = mirador
        .admin(Method::GET, "/health/tenants/nobody")
        .send()
        .await;
    let page = page.expect("an answer");
    assert_eq!(page.status(), StatusCode::NOT_FOUND);
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    let text = page.text().await.expect("a body");
    assert!(text.contains("there is no tenant nobody"), "{text}");
    let page = mirador
        .admin(Method::GET, "/health/tenants?condition=ill&x=%3Cb%3E")
        .send()
        .await;
    let page = page.expect("an answer");
    assert_eq!(page.status(), StatusCode::BAD_REQUEST);
    assert!(!page.text().await.expect("a body").contains("<b>"));
}

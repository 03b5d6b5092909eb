//! Parts of lists: tenants by status, tier and labels, events by what they say.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::admin::testing::{Admin, Answer, tenant};

fn ids(page: &Value) -> Vec<&str> {
    let tenants = page["tenants"].as_array().into_iter().flatten();
    tenants.filter_map(|tenant| tenant["id"].as_str()).collect()
}

#[tokio::test]
async fn tenants_are_listed_by_tier_and_label_page_by_page() {
    let admin = Admin::start().await;
    for n in 0..30 {
        let mut tenant = tenant(&format!("t{n:02}"));
        let (tier, team) = (["free", "pro"][n % 2], ["sre", "dev", "ops"][n % 3]);
        tenant["tier"] = json!(tier);
        tenant["labels"] = json!({ "team": team });
        admin.put(&tenant).await;
    }
    let meant = ["t03", "t09", "t15", "t21", "t27"];
    let query = "tier=pro&label=team%3Dsre";
    let whole = admin.get(&format!("/api/v1/tenants?{query}")).await.body;
    assert_eq!(
        (ids(&whole), &whole["next"]),
        (meant.to_vec(), &Value::Null)
    );
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/v1/tenants?{query}&limit=2{after}");
        let page = admin.get(&path).await.body;
        seen.extend(ids(&page).into_iter().map(str::to_owned));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(seen, meant);
    for (query, count) in [
        ("label=team", 30),
        ("label=other", 0),
        ("label=team%3Dsre,team%3Ddev", 0),
        ("status=suspended&tier=pro", 0),
        ("tier=enterprise", 0),
    ] {
        let page = admin.get(&format!("/api/v1/tenants?{query}")).await.body;
        assert_eq!(ids(&page).len(), count, "{query}");
    }
    for (query, field) in [("tier=No", "tier"), ("label=%3Dx", "label")] {
        let refused = admin.get(&format!("/api/v1/tenants?{query}")).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(refused.body["errors"][0]["field"], field);
    }
}

#[tokio::test]
async fn events_are_listed_by_what_they_say() {
    let admin = Admin::start().await;
    for n in 0..20 {
        let request = admin
            .anonymous(Method::POST, "/api/v1/tenants")
            .bearer_auth(["otto", crate::admin::testing::TOKEN][n % 2])
            .header("X-Request-Id", format!("r-{n}"))
            .json(&tenant(&format!("t{n:02}")));
        assert_eq!(Answer::of(request).await.status, StatusCode::CREATED);
    }
    admin.delete("t04").await;
    let events = async |query: &str| {
        let page = admin.get(&format!("/api/v1/audit?{query}")).await;
        assert_eq!(page.status, StatusCode::OK, "{query}: {}", page.body);
        page.body
    };
    let count = |page: &Value| page["events"].as_array().map_or(0, Vec::len);
    let all = events("").await;
    let middle = all["events"][10]["at"].as_str().expect("a time").to_owned();
    for (query, expected) in [
        ("tenant=t04".to_owned(), 2),
        ("author=otto".to_owned(), 10),
        ("outcome=deleted".to_owned(), 1),
        ("tenant=t04&outcome=created&author=otto".to_owned(), 1),
        ("request_id=r-7".to_owned(), 1),
        ("author=nobody".to_owned(), 0),
        (format!("since={middle}"), 11),
        (format!("until={middle}"), 10),
        (format!("since={middle}&author=otto"), 5),
    ] {
        assert_eq!(count(&events(&query).await), expected, "{query}");
    }
    let (mut seen, mut before) = (0, String::new());
    loop {
        let page = events(&format!("author=otto&limit=3{before}")).await;
        seen += count(&page);
        match page["next"].as_u64() {
            Some(next) => before = format!("&before={next}"),
            None => break,
        }
    }
    assert_eq!(seen, 10);
    for (query, field) in [
        ("outcome=broken", "outcome"),
        ("since=yesterday", "since"),
        ("tenant=No_Tenant", "tenant"),
        ("before=9223372036854775808", "before"),
    ] {
        let refused = admin.get(&format!("/api/v1/audit?{query}")).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(refused.body["errors"][0]["field"], field);
    }
}

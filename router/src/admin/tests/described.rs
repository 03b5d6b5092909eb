//! The description against what is served: neither has what the other lacks.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::admin::{
    self,
    testing::{Admin, Answer},
};

/// What is served, going by the router itself: its paths, and the methods each takes.
async fn served(admin: &Admin) -> BTreeMap<String, BTreeSet<String>> {
    // The only way to ask an axum router for its paths is to have it printed.
    let printed = format!("{:?}", admin::app(admin.control.clone()));
    let paths: BTreeSet<_> = printed
        .split('"')
        // These two are the fallback's.
        .filter(|text| text.starts_with('/') && *text != "/" && !text.contains("__private__"))
        .collect();
    let mut served = BTreeMap::new();
    for path in paths {
        let unknown = Method::from_bytes(b"BREW").expect("a method");
        let answer = Answer::of(admin.request(unknown, &path.replace(['{', '}'], ""))).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        let allowed = answer.header("allow").split(',').map(str::to_lowercase);
        // HEAD comes with GET.
        let methods = allowed.filter(|method| method != "head").collect();
        served.insert(path.to_owned(), methods);
    }
    served
}

pub(super) async fn description(admin: &Admin) -> Value {
    let answer = Answer::of(admin.anonymous(Method::GET, "/api/v1/openapi.json")).await;
    assert_eq!(answer.status, StatusCode::OK);
    answer.body
}

#[tokio::test]
async fn every_route_is_described_and_nothing_else() {
    let admin = Admin::start().await;
    let described: BTreeMap<String, BTreeSet<String>> = description(&admin).await["paths"]
        .as_object()
        .expect("paths")
        .iter()
        .map(|(path, item)| {
            let methods = item.as_object().expect("an item").keys().cloned();
            (path.clone(), methods.collect())
        })
        .collect();
    let mut served = served(&admin).await;
    // Pages are for people, who need no description of them.
    served.retain(|path, _| !path.starts_with("/health/"));
    assert!(served.len() > 15, "{served:?}");
    assert_eq!(served, described);
}

#[tokio::test]
async fn every_reference_leads_somewhere() {
    let admin = Admin::start().await;
    let description = description(&admin).await;
    assert_eq!(description["openapi"], "3.1.0");
    let text = description.to_string();
    let references: BTreeSet<_> = text
        .split("\"$ref\":\"#")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert!(references.len() > 20, "{references:?}");
    for reference in references {
        assert!(description.pointer(reference).is_some(), "{reference}");
    }
}

/// Whoever generates a client finds each operation by a name of its own, and what it is for.
#[tokio::test]
async fn every_operation_has_a_name_a_summary_and_a_problem() {
    let admin = Admin::start().await;
    let description = description(&admin).await;
    let mut names = BTreeSet::new();
    for (path, item) in description["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("an item") {
            let name = operation["operationId"].as_str().unwrap_or_default();
            assert!(names.insert(name), "{method} {path}: {name}");
            assert!(operation["summary"].is_string(), "{method} {path}");
            let refusal = &operation["responses"]["default"]["content"];
            assert!(
                refusal["application/problem+json"].is_object(),
                "{method} {path}"
            );
        }
    }
}

#[tokio::test]
async fn the_page_shows_every_operation_and_asks_nothing_of_anybody() {
    let admin = Admin::start().await;
    let page = Answer::of(admin.anonymous(Method::GET, "/api/v1/docs")).await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none';"), "{policy}");
    let html = page.body.as_str().expect("a page");
    assert!(!html.contains("<script") && !html.contains("src="));
    let links = html.split("href=\"").skip(1);
    for link in links.filter_map(|rest| rest.split('"').next()) {
        assert!(link.starts_with('#') || link == "openapi.json", "{link}");
        if let Some(id) = link.strip_prefix('#') {
            assert!(html.contains(&format!("id=\"{id}\"")), "{id}");
        }
    }
    for (path, _) in description(&admin).await["paths"]
        .as_object()
        .expect("paths")
    {
        assert!(html.contains(&format!("<code>{path}</code>")), "{path}");
    }
}

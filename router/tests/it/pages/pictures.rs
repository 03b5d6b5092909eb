//! Pictures of the pages, kept beside what else a build makes: `target/pages`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::json;

use super::{log_in, until_first};
use crate::support::{
    browser::Browser, mirador::Mirador, port::Port, tenant::Tenant, upstream::Upstream,
};

/// Where they are.
fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../pages");
    fs::create_dir_all(&folder).expect("a folder");
    folder.canonicalize().expect("a folder that is there")
}

#[tokio::test]
async fn pictures_of_all_pages_are_kept() {
    let (upstream, dead) = (Upstream::saying("fine"), Port::take());
    let both = [dead.url(), upstream.url()];
    let mirador = Mirador::start().await;
    let names = ["acme", "aperture", "cyberdyne", "hooli", "stark", "tyrell"];
    for name in names {
        let healthy = Tenant::new(name).everything(&[upstream.url()]);
        mirador.apply(&healthy).await;
    }
    mirador
        .apply(&Tenant::new("globex").everything(&both))
        .await;
    mirador
        .apply(&Tenant::new("initech").logs(&[dead.url()]))
        .await;
    let wayne = Tenant::new("wayne").metrics(&[upstream.url()]);
    let maintenance = json!({"reason": "moving to another region"});
    mirador.apply(&wayne.set("/maintenance", maintenance)).await;
    for _ in 0..50 {
        mirador.text("globex", "/api/v1/query?query=up").await;
    }
    let mut browser = Browser::start().await;
    let way_in = folder().join("login-light.png");
    browser.open(&mirador.admin_url("/health/login")).await;
    browser.shoot(&way_in).await;
    assert_picture(&way_in);
    log_in(&mut browser, &mirador).await;
    until_first(&mut browser, &["initech", "globex", "wayne", "acme"]).await;
    browser
        .open(&mirador.admin_url("/health/tenants/globex"))
        .await;
    let drawn = "document.querySelectorAll('#traffic-metrics canvas').length === 3";
    browser.until("charts", drawn).await;
    for scheme in ["light", "dark"] {
        browser.colours(scheme).await;
        for (name, path) in [
            ("overview", "/health/tenants"),
            ("tenant", "/health/tenants/globex"),
            ("router", "/health/router"),
        ] {
            browser.open(&mirador.admin_url(path)).await;
            let live = "document.querySelector('#link').className === 'link on'";
            browser.until("the page to be live", live).await;
            let picture = folder().join(format!("{name}-{scheme}.png"));
            browser.shoot(&picture).await;
            assert_picture(&picture);
        }
    }
    // As on a telephone.
    browser.size(390, 800).await;
    browser.open(&mirador.admin_url("/health/tenants")).await;
    let picture = folder().join("overview-narrow.png");
    browser.shoot(&picture).await;
    assert_picture(&picture);
    let wider = "document.documentElement.scrollWidth > window.innerWidth";
    assert_eq!(
        browser.evaluate(wider).await,
        false,
        "nothing to scroll sideways"
    );
}

fn assert_picture(path: &Path) {
    let bytes = fs::read(path).expect("a picture");
    assert!(bytes.starts_with(b"\x89PNG"), "{}", path.display());
    assert!(bytes.len() > 5_000, "{} is empty", path.display());
}

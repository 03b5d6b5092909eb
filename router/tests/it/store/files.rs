//! Tenants in a folder of files, delivered as Kubernetes delivers a `ConfigMap`.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{READ, asked};
use crate::support::{eventually, mirador::Mirador, tenant::Tenant, upstream::Upstream};

/// Within this a delivered change takes effect, as the documentation says.
const BOUND: Duration = Duration::from_secs(2);

/// The folder, and what is delivered to it.
struct Delivered {
    folder: TempDir,
    version: u32,
}

impl Delivered {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { folder, version: 0 }
    }

    /// Puts these files in place of all that were there, by swapping one link.
    fn deliver(&mut self, files: &[(&str, String)]) {
        let root = self.folder.path();
        self.version += 1;
        let version = format!("..{}", self.version);
        fs::create_dir(root.join(&version)).expect("a version");
        for (name, text) in files {
            fs::write(root.join(&version).join(name), text).expect("a file");
            let link = root.join(name);
            if fs::symlink_metadata(&link).is_err() {
                symlink(Path::new("..data").join(name), link).expect("a link");
            }
        }
        symlink(&version, root.join("..data_tmp")).expect("a link");
        let before = fs::read_link(root.join("..data")).ok();
        fs::rename(root.join("..data_tmp"), root.join("..data")).expect("a swap");
        if let Some(before) = before {
            fs::remove_dir_all(root.join(before)).expect("the version before, to remove");
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn router(&self) -> Mirador {
        let store = json!({"kind": "files", "path": self.folder.path()});
        Mirador::with(json!({ "store": store })).await
    }
}

/// A tenant's file.
fn file<'n>(name: &'n str, id: &str, status: &str, upstream: &Upstream) -> (&'n str, String) {
    let tenant = Tenant::new(id).metrics(&[upstream.url()]);
    (name, tenant.set("/status", status).document().to_string())
}

/// Waits until a tenant's read gets this status, and answers how long that took.
async fn until_status(mirador: &Mirador, tenant: &str, status: u16) -> Duration {
    let began = Instant::now();
    let what = format!("{tenant} to get {status}");
    let fits = async || (asked(mirador, tenant, READ).await.status() == status).then_some(());
    eventually(&what, fits).await;
    began.elapsed()
}

#[tokio::test]
async fn a_delivery_takes_effect_and_a_faulty_file_takes_nobody_down() {
    let upstream = Upstream::saying("fine");
    let mut delivered = Delivered::new();
    let acme = |status| file("acme.yaml", "acme", status, &upstream);
    let globex = || file("globex.yaml", "globex", "active", &upstream);
    let broken = || ("initech.yaml", "id: initech\nstatsu: active\n".to_owned());
    delivered.deliver(&[acme("active"), globex(), broken()]);
    let mirador = delivered.router().await;
    let faulty = delivered.file("initech.yaml");
    let faulty = [("file", faulty.to_str().expect("a name"))];
    for (tenant, status) in [("acme", 200), ("globex", 200), ("initech", 403)] {
        let reply = asked(&mirador, tenant, READ).await;
        assert_eq!(reply.status(), status, "{tenant}");
    }
    let one = |count: f64| (count - 1.0).abs() < 0.5;
    for (name, labels) in [
        ("mirador_store_faulty_files", &[][..]),
        ("mirador_store_file_fault", &faulty),
    ] {
        mirador.until_metric(name, labels, one).await;
    }
    let log = mirador.process.log();
    assert!(
        log.contains("initech.yaml") && log.contains("did you mean `status`?"),
        "{log}"
    );

    // In its measure, a suspension reaches the router; a known tenant's faulty file changes nothing.
    let broken_globex = ("globex.yaml", "id: globex\nstatus: suspendde\n".to_owned());
    delivered.deliver(&[acme("suspended"), broken_globex, broken()]);
    let took = until_status(&mirador, "acme", 403).await;
    assert!(took < BOUND, "{took:?}");
    assert_eq!(asked(&mirador, "globex", READ).await.status(), 200);
    let two = |count: f64| (count - 2.0_f64).abs() < 0.5;
    mirador
        .until_metric("mirador_store_faulty_files", &[], two)
        .await;

    delivered.deliver(&[
        acme("active"),
        file("initech.yaml", "initech", "active", &upstream),
    ]);
    fs::remove_file(delivered.file("globex.yaml")).expect("a link to remove");
    until_status(&mirador, "initech", 200).await;
    until_status(&mirador, "acme", 200).await;
    until_status(&mirador, "globex", 403).await;
    let none = |count: f64| count < 0.5;
    mirador
        .until_metric("mirador_store_faulty_files", &[], none)
        .await;
}

#[tokio::test]
async fn changes_by_the_api_are_refused_with_where_to_make_them() {
    let upstream = Upstream::saying("fine");
    let mut delivered = Delivered::new();
    delivered.deliver(&[file("acme.yaml", "acme", "active", &upstream)]);
    let mirador = delivered.router().await;
    let path = "/api/v1/tenants/acme";
    let acme = Tenant::new("acme").metrics(&[upstream.url()]);
    let suspended = acme.set("/status", "suspended");
    let put = mirador.admin(Method::PUT, path).json(suspended.document());
    let put = put.header("If-Match", "*").send().await.expect("an answer");
    assert_eq!(put.status(), StatusCode::FORBIDDEN);
    let told: Value = put.json().await.expect("JSON");
    assert_eq!(told["type"], "/problems/read-only", "{told}");
    let folder = delivered.folder.path().to_str().expect("a name");
    assert!(told.to_string().contains(folder), "{told}");
    let delete = mirador.admin(Method::DELETE, path).header("If-Match", "*");
    let delete = delete.send().await.expect("an answer");
    assert_eq!(delete.status(), StatusCode::FORBIDDEN);
    let globex = Tenant::new("globex").metrics(&[upstream.url()]);
    let post = mirador.admin(Method::POST, "/api/v1/tenants");
    let post = post
        .json(globex.document())
        .send()
        .await
        .expect("an answer");
    assert_eq!(post.status(), StatusCode::FORBIDDEN);
    assert_eq!(asked(&mirador, "acme", READ).await.status(), 200);
    assert_eq!(asked(&mirador, "globex", READ).await.status(), 403);
    let read = mirador
        .admin(Method::GET, path)
        .send()
        .await
        .expect("an answer");
    assert_eq!(read.status(), StatusCode::OK);
}

/// The folder is taken away: known tenants are served, and a restart needs it.
#[tokio::test]
async fn a_folder_that_is_away_fails_no_known_tenant() {
    let upstream = Upstream::saying("fine");
    let mut delivered = Delivered::new();
    delivered.deliver(&[file("acme.yaml", "acme", "active", &upstream)]);
    let mirador = delivered.router().await;
    assert_eq!(asked(&mirador, "acme", READ).await.status(), 200);
    let folder = delivered.folder.path();
    let aside = folder.with_extension("aside");
    fs::rename(folder, &aside).expect("a folder to move");
    let told = async || {
        mirador
            .process
            .log()
            .contains("can't be read")
            .then_some(())
    };
    eventually("the log to tell", told).await;
    assert_eq!(asked(&mirador, "acme", READ).await.status(), 200);
    assert_eq!(asked(&mirador, "nobody", READ).await.status(), 403);
    fs::rename(&aside, folder).expect("a folder to move back");
    delivered.deliver(&[file("acme.yaml", "acme", "suspended", &upstream)]);
    until_status(&mirador, "acme", 403).await;
}

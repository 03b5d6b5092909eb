//! The description against the running server, tried by a tester that makes requests of it: all that
//! it allows, and what it does not.

use std::{fs, path::Path, process::Command};

use serde_json::json;

use crate::support::{
    mirador::{Mirador, TOKEN},
    tools::tool,
};

/// What schemathesis is told: its checks, and what no schema can say.
const TOLD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/admin/schemathesis");

#[tokio::test]
async fn the_server_is_as_it_is_described() {
    let admin = json!({
        // It tries credentials that are none, often.
        "max_failures_per_minute": 1_000_000,
        // It knows one token.
        "argocd": {"token_file": "admin.token"},
    });
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("keys.secret");
    fs::write(&secret, "s".repeat(32)).expect("a secret");
    let config = json!({"admin": admin, "keys": {"secret_file": secret}});
    let mirador = Mirador::with(config).await;
    let mut command = Command::new(tool(&["python3"]));
    command
        .args(["-m", "schemathesis.cli"])
        .arg("--config-file")
        .arg(Path::new(TOLD).join("schemathesis.toml"))
        .arg("run")
        .arg(mirador.admin_url("/api/v1/openapi.json"))
        .args(["--header", &format!("Authorization: Bearer {TOKEN}")])
        .args(["--checks", "all", "--max-examples", "20", "--seed", "1"])
        // Its answer has no end.
        .args(["--exclude-operation-id", "followEvents"])
        .args([
            "--continue-on-failure",
            "--no-color",
            "--generation-database",
            "none",
        ])
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("PYTHONPATH", TOLD)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("no_proxy", "127.0.0.1")
        .current_dir(mirador.folder());
    let tested = tokio::task::spawn_blocking(move || command.output());
    let output = tested.await.expect("no panic").expect("it runs");
    let report = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{report}\n{errors}");
    let selected = report
        .lines()
        .find_map(|line| line.trim().strip_prefix("Selected:"))
        .and_then(|line| line.trim().split_once('/'));
    let (selected, all) = selected.expect("how many operations were tried");
    let [selected, all] = [selected, all].map(|count| count.trim().parse::<u32>());
    assert_eq!(selected.map(|count| count + 1), all, "{report}");
}

//! The command line against a running router, as typed.

use std::{
    fs,
    io::Write as _,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::support::{mirador::Mirador, victoria::Victoria};

/// What a command wrote, and how it ended.
#[derive(Debug)]
struct Ran {
    out: String,
    err: String,
    code: i32,
}

/// Runs `mirador` with these words against a router, with `input` on its standard input.
async fn run(mirador: &Mirador, words: &[&str], input: &str) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mirador"));
    command
        .args(words)
        .env("MIRADOR_SERVER", mirador.admin_url(""))
        .env("MIRADOR_TOKEN_FILE", mirador.token_file())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let input = input.to_owned();
    let ran = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().expect("it starts");
        let mut stdin = child.stdin.take().expect("its input");
        // A command that does not read it may have ended already.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        child.wait_with_output().expect("it ends")
    });
    let output = ran.await.expect("no panic");
    Ran {
        out: String::from_utf8(output.stdout).expect("UTF-8"),
        err: String::from_utf8(output.stderr).expect("UTF-8"),
        code: output.status.code().expect("a code"),
    }
}

/// As [`run`], with the words as one line.
async fn go(mirador: &Mirador, line: &str, input: &str) -> Ran {
    let words: Vec<_> = line.split(' ').collect();
    run(mirador, &words, input).await
}

fn acme(backend: &Victoria) -> String {
    format!(
        "id: acme\ndisplay_name: ACME\ndeployments: {{metrics: {{endpoints: ['{}'], \
         health_check: {{interval: 200ms}}}}}}\n",
        backend.url()
    )
}

#[tokio::test]
async fn a_tenant_lives_from_apply_to_delete() {
    let (mirador, backend) = tokio::join!(Mirador::start(), Victoria::metrics());
    let document = acme(&backend);
    let steps = [
        (
            "tenant apply -f - --dry-run",
            document.as_str(),
            "tenant acme created (dry run)\n",
        ),
        (
            "tenant apply -f - --wait",
            &document,
            "tenant acme created\ntenant acme healthy\n",
        ),
        ("tenant apply -f -", &document, "tenant acme unchanged\n"),
        ("tenant suspend acme", "", "tenant acme updated\n"),
        ("tenant suspend acme", "", "tenant acme unchanged\n"),
        (
            "tenant activate acme --wait",
            "",
            "tenant acme updated\ntenant acme healthy\n",
        ),
        (
            "tenant patch acme {\"tier\":\"pro\"}",
            "",
            "tenant acme updated\n",
        ),
        ("tenant invalidate acme", "", "tenant acme accepted\n"),
    ];
    for (line, input, out) in steps {
        let ran = go(&mirador, line, input).await;
        assert_eq!(
            (ran.code, ran.out.as_str()),
            (0, out),
            "{line}: {}",
            ran.err
        );
    }
    let stale = go(&mirador, "tenant delete acme --revision 1", "").await;
    assert_eq!((stale.code, stale.out.as_str()), (1, ""), "{}", stale.err);
    assert!(
        stale.err.contains("at revision 4, not at revision 1"),
        "{}",
        stale.err
    );

    let deleted = go(&mirador, "tenant delete acme", "").await;
    assert_eq!(
        (deleted.code, deleted.out.as_str()),
        (0, "tenant acme deleted\n")
    );
    let audit = go(&mirador, "audit -o json", "").await;
    let events: Value = serde_json::from_str(&audit.out).expect("JSON");
    assert_eq!(events["events"][0]["outcome"], "deleted", "{events}");
    assert_eq!(events["events"].as_array().map(Vec::len), Some(5));
    let by_tenant = go(
        &mirador,
        "audit --tenant acme --outcome deleted --since 1h",
        "",
    )
    .await;
    assert_eq!(by_tenant.out.lines().count(), 2, "{}", by_tenant.out);
    let restored = go(&mirador, "tenant restore acme", "").await;
    assert_eq!(
        (restored.code, restored.out.as_str()),
        (0, "tenant acme restored\n")
    );
    let listed = go(&mirador, "tenant list --tier pro", "").await;
    assert!(listed.out.contains("acme"), "{}", listed.out);
    let two = go(&mirador, "audit --limit 2", "").await;
    assert_eq!(two.out.lines().count(), 3, "{}", two.out);
}

#[tokio::test]
async fn endpoints_are_shown_and_asked() {
    let (mirador, backend) = tokio::join!(Mirador::start(), Victoria::metrics());
    let document = acme(&backend);
    let applied = go(&mirador, "tenant apply -f - --wait", &document).await;
    assert_eq!(applied.code, 0, "{}", applied.err);
    let health = go(&mirador, "tenant health acme", "").await;
    assert!(health.out.contains(" up "), "{}", health.out);
    let validated = go(&mirador, "tenant validate acme -o json", "").await;
    let found: Value = serde_json::from_str(&validated.out).expect("JSON");
    assert_eq!((validated.code, &found["ok"]), (0, &Value::Bool(true)));
    let wrong = document.replace("metrics:", "logs:");
    let validated = go(&mirador, "tenant validate -f -", &wrong).await;
    assert_eq!(validated.code, 1, "{}", validated.out);
    assert!(
        validated.out.contains("expected VictoriaLogs"),
        "{}",
        validated.out
    );
}

#[tokio::test]
async fn tenants_go_from_one_router_to_another() {
    let (here, there) = tokio::join!(Mirador::start(), Mirador::start());
    let documents = "id: acme\ntier: pro\n---\nid: globex\nlabels: {team: sre}\n";
    run(&here, &["tenant", "apply", "-f", "-"], documents).await;
    let exported = run(&here, &["tenant", "export"], "").await;
    assert_eq!(exported.code, 0, "{}", exported.err);
    let import = ["tenant", "import", "-f", "-"];
    let imported = run(&there, &import, &exported.out).await;
    assert_eq!(imported.code, 0, "{}", imported.err);
    assert_eq!(
        imported.out.matches("created").count(),
        2,
        "{}",
        imported.out
    );

    let other = "id: acme\ntier: free\n";
    let refused = run(&there, &import, other).await;
    assert_eq!(refused.code, 1, "{}", refused.out);
    assert!(refused.out.contains("failed"), "{}", refused.out);
    let replace = [&import[..], &["--existing", "replace"]].concat();
    let replaced = run(&there, &replace, other).await;
    assert_eq!(replaced.code, 0, "{}", replaced.err);
    let shown = run(&there, &["tenant", "get", "acme", "-o", "json"], "").await;
    let shown: Value = serde_json::from_str(&shown.out).expect("JSON");
    assert_eq!(
        (&shown["tier"], &shown["revision"]),
        (&"free".into(), &2.into())
    );
    let faulty = run(&there, &import, "id: acme\n---\nid: A\n").await;
    assert_eq!(faulty.code, 2, "{}", faulty.err);
}

#[tokio::test]
async fn tiers_are_defined_and_inherited() {
    let mirador = Mirador::start().await;
    let file = mirador.folder().join("gold.yaml");
    fs::write(&file, "name: gold\nquotas: {storage_bytes: 7}\n").expect("a file");
    let apply = format!("tier apply -f {}", file.display());
    for (line, out) in [
        (
            format!("{apply} --dry-run"),
            "tier gold created (dry run)\n",
        ),
        (apply.clone(), "tier gold created\n"),
        (apply.clone(), "tier gold unchanged\n"),
    ] {
        let ran = go(&mirador, &line, "").await;
        assert_eq!((ran.code, ran.out.as_str()), (0, out), "{}", ran.err);
    }
    let stale = go(&mirador, &format!("{apply} --revision 7"), "").await;
    assert_eq!((stale.code, stale.out.as_str()), (1, ""), "{}", stale.err);
    let unknown = go(&mirador, "tenant apply -f -", "{id: acme, tier: platinum}").await;
    assert_eq!(unknown.code, 2, "{}", unknown.err);
    assert!(unknown.err.contains("platinum"), "{}", unknown.err);
    go(&mirador, "tenant apply -f -", "{id: acme, tier: gold}").await;
    let effective = go(&mirador, "tenant effective acme", "").await;
    let quota = effective
        .out
        .lines()
        .find(|line| line.starts_with("quotas.storage_bytes"));
    let cells: Vec<_> = quota.expect("a line").split_whitespace().collect();
    assert_eq!(cells, ["quotas.storage_bytes", "7", "tier"]);
    let listed = go(&mirador, "tier list", "").await;
    for name in ["enterprise", "free", "gold", "pro"] {
        assert!(listed.out.contains(name), "{}", listed.out);
    }
    let used = go(&mirador, "tier delete gold", "").await;
    assert_eq!(used.code, 1, "{}", used.out);
    go(&mirador, "tenant delete acme --purge", "").await;
    let deleted = go(&mirador, "tier delete gold", "").await;
    assert_eq!(
        (deleted.code, deleted.out.as_str()),
        (0, "tier gold deleted\n")
    );
}

#[tokio::test]
async fn keys_are_made_replaced_and_revoked() {
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("keys.secret");
    fs::write(&secret, "s".repeat(32)).expect("a secret");
    let mirador = Mirador::with(json!({"keys": {"secret_file": secret}})).await;
    go(&mirador, "tenant apply -f -", "id: acme").await;
    let create = "key create acme --name agents --scope logs:read --expires 90d";
    let made = go(&mirador, create, "").await;
    assert_eq!(made.code, 0, "{}", made.err);
    let dry = go(&mirador, &format!("{create} --dry-run"), "").await;
    assert!(dry.code == 0 && !dry.out.contains("mir_"), "{}", dry.out);
    let token = made.out.lines().last().expect("a token");
    let id = token
        .strip_prefix("mir_")
        .expect("a token")
        .split('_')
        .next();
    let id = id.expect("an id");
    let rotate = format!("key rotate acme {id} --overlap 1h -o json");
    let rotated = go(&mirador, &rotate, "").await;
    let new: Value = serde_json::from_str(&rotated.out).expect("JSON");
    assert!(
        new["token"].as_str().is_some_and(|new| new != token),
        "{new}"
    );
    let shown = go(&mirador, &format!("key get acme {id} -o json"), "").await;
    let shown: Value = serde_json::from_str(&shown.out).expect("JSON");
    assert_eq!(shown["replaced_by"], new["id"]);
    let stale = go(&mirador, &format!("key revoke acme {id} --revision 1"), "").await;
    assert_eq!((stale.code, stale.out.as_str()), (1, ""), "{}", stale.err);
    for (how, said) in [
        (" --revision 2 --dry-run", "revoked (dry run)"),
        (" --revision 2", "revoked"),
        ("", "unchanged"),
    ] {
        let revoked = go(&mirador, &format!("key revoke acme {id}{how}"), "").await;
        let expected = format!("key {id} {said}\n");
        assert_eq!(revoked.out, expected, "{}", revoked.err);
    }
    let listed = go(&mirador, "key list acme", "").await;
    assert_eq!(listed.out.lines().count(), 3, "{}", listed.out);
    assert!(listed.out.contains("revoked") && listed.out.contains("usable"));
    assert!(!listed.out.contains(token), "{}", listed.out);
    let faulty = go(&mirador, "key create acme --name a --scope logs:delete", "").await;
    assert_eq!(faulty.code, 2, "{}", faulty.err);
    let new = new["id"].as_str().expect("an id");
    let deleted = go(&mirador, &format!("key delete acme {new}"), "").await;
    assert_eq!(
        deleted.out,
        format!("key {new} deleted\n"),
        "{}",
        deleted.err
    );
    let audit = go(&mirador, "audit --kind key --outcome deleted", "").await;
    assert_eq!(audit.out.lines().count(), 2, "{}", audit.out);
}

#[tokio::test]
async fn shells_are_told_what_there_is() {
    let mirador = Mirador::start().await;
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = run(&mirador, &["completions", shell], "").await;
        assert_eq!(ran.code, 0, "{}", ran.err);
        for word in ["tenant", "suspend", "import", "existing", "audit", "rotate"] {
            assert!(ran.out.contains(word), "{shell}: {word}");
        }
    }
    let bash = run(&mirador, &["completions", "bash"], "").await.out;
    let completed = Command::new("bash")
        .args(["--norc", "-c"])
        .arg(format!(
            "{bash}\nCOMP_WORDS=(mirador tenant su); COMP_CWORD=2; _mirador mirador su tenant; \
             echo \"${{COMPREPLY[@]}}\""
        ))
        .output()
        .expect("bash runs");
    let completed = String::from_utf8_lossy(&completed.stdout).into_owned();
    assert_eq!(completed.trim(), "suspend");
}

//! `mirador tenant` against a real admin API over a real store.

use std::fs;

use tempfile::TempDir;
use tokio::net::TcpListener;

use super::{Ran, parse};
use crate::{
    admin::testing::{Admin, TOKEN},
    cli::{Command, output::Terminal},
};

pub(super) struct Desk {
    pub(super) admin: Admin,
    directory: TempDir,
}

impl Desk {
    pub(super) async fn open() -> Self {
        let admin = Admin::start().await;
        let directory = TempDir::new().expect("a directory");
        fs::write(directory.path().join("admin.token"), format!("{TOKEN}\n")).expect("written");
        Self { admin, directory }
    }

    pub(super) fn write(&self, name: &str, text: &str) -> String {
        let path = self.directory.path().join(name);
        fs::write(&path, text).expect("written");
        path.display().to_string()
    }

    /// Runs `mirador tenant …` with this desk's server and token.
    pub(super) async fn tenant(&self, line: &str) -> Ran {
        self.tenant_of(&self.admin.url(), &self.token_file(), line)
            .await
    }

    /// The file with the admin token.
    pub(super) fn token_file(&self) -> String {
        self.directory
            .path()
            .join("admin.token")
            .display()
            .to_string()
    }

    async fn tenant_of(&self, server: &str, token: &str, line: &str) -> Ran {
        let line = format!("tenant {line} --server {server} --token-file {token}");
        let Command::Tenant(command) = parse(&line).expect("a command line").command else {
            panic!("{line} is no tenant command");
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let done = command.run(&mut Terminal::new(&mut out, &mut err)).await;
        Ran::new(done, out, err)
    }
}

#[tokio::test]
async fn apply_says_what_became_of_each_tenant() {
    let desk = Desk::open().await;
    let acme = desk.write("acme.yaml", "id: acme\ntier: pro\n");
    let apply = format!("apply -f {acme}");
    let dry = desk.tenant(&format!("{apply} --dry-run")).await;
    assert_eq!(
        (dry.code, dry.out.as_str()),
        (0, "tenant acme created (dry run)\n"),
        "{}",
        dry.err
    );
    assert_eq!(desk.tenant(&apply).await.out, "tenant acme created\n");
    assert_eq!(desk.tenant(&apply).await.out, "tenant acme unchanged\n");
    desk.write("acme.yaml", "id: acme\ntier: free\n---\nid: globex\n");
    assert_eq!(
        desk.tenant(&apply).await.out,
        "tenant acme updated\ntenant globex created\n"
    );
}

/// One faulty document among many: nothing is sent.
#[tokio::test]
async fn apply_sends_nothing_if_anything_is_faulty() {
    let desk = Desk::open().await;
    let good = desk.write("a.yaml", "id: acme\n");
    let bad = desk.write("b.yaml", "id: globex\nstatus: asleep\n");
    let ran = desk.tenant(&format!("apply -f {good} -f {bad}")).await;
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert!(ran.err.contains("b.yaml:2: status"), "{}", ran.err);
    assert_eq!(desk.admin.changes().await, 0);
}

#[tokio::test]
async fn what_get_shows_as_yaml_is_taken_by_apply() {
    let desk = Desk::open().await;
    let text = "id: acme\ndisplay_name: 'yes'\nlabels: {team: '0x10', note: 'a: b # c'}\n\
                deployments:\n  metrics:\n    timeout: 1m30s\n    endpoints:\n      \
                - {url: 'http://127.0.0.1:1', zone: a}\n";
    let file = desk.write("acme.yaml", text);
    let first = desk.tenant(&format!("apply -f {file}")).await;
    assert_eq!(first.out, "tenant acme created\n", "{}", first.err);
    let shown = desk.tenant("get acme").await.out;
    assert!(shown.starts_with("# revision 1, "), "{shown}");
    let again = desk.write("again.yaml", &shown);
    let ran = desk.tenant(&format!("apply -f {again}")).await;
    assert_eq!(ran.out, "tenant acme unchanged\n", "{}\n{shown}", ran.err);
    let shown = desk.tenant("get acme -o json").await.out;
    let again = desk.write("again.json", &shown);
    assert_eq!(
        desk.tenant(&format!("apply -f {again}")).await.out,
        "tenant acme unchanged\n"
    );
}

#[tokio::test]
async fn list_shows_a_table_of_all_or_of_one_status() {
    let desk = Desk::open().await;
    let text = "id: acme\ndisplay_name: ACME Corp\n---\nid: globex\nstatus: suspended\n";
    let file = desk.write("all.yaml", text);
    desk.tenant(&format!("apply -f {file}")).await;
    let all = desk.tenant("list").await.out;
    let lines: Vec<_> = all.lines().collect();
    assert_eq!(lines.len(), 3, "{all}");
    assert!(
        lines[0].starts_with("ID ") && lines[1].contains("ACME Corp"),
        "{all}"
    );
    let suspended = desk.tenant("list --status suspended").await.out;
    assert!(
        suspended.contains("globex") && !suspended.contains("acme"),
        "{suspended}"
    );
}

#[tokio::test]
async fn delete_goes_on_after_one_that_is_not_there() {
    let desk = Desk::open().await;
    let file = desk.write("acme.yaml", "id: acme\n");
    desk.tenant(&format!("apply -f {file}")).await;
    let ran = desk.tenant("delete nobody acme").await;
    assert_eq!((ran.code, ran.out.as_str()), (1, "tenant acme deleted\n"));
    assert!(ran.err.contains("there is no tenant nobody"), "{}", ran.err);
}

#[tokio::test]
async fn the_exit_code_tells_whose_fault_it_was() {
    let desk = Desk::open().await;
    let missing = desk.tenant("get nobody").await;
    assert_eq!(missing.code, 1);
    assert!(
        missing.err.contains("there is no tenant nobody"),
        "{}",
        missing.err
    );

    let wrong = desk.write("wrong.token", "wrong");
    let refused = desk.tenant_of(&desk.admin.url(), &wrong, "list").await;
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("operator's token"), "{}", refused.err);

    let unread = desk
        .tenant_of(&desk.admin.url(), "/nowhere/token", "list")
        .await;
    assert_eq!(unread.code, 2);
    assert!(unread.err.contains("/nowhere/token"), "{}", unread.err);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let desk = Desk::open().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let gone = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let token = desk.write("a.token", TOKEN);
    let ran = desk.tenant_of(&gone, &token, "list").await;
    assert_eq!(ran.code, 1);
    assert!(
        ran.err.contains(&gone) && ran.err.contains("--server"),
        "{}",
        ran.err
    );
}

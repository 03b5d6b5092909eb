//! The command line as typed, and what it comes to, against a real admin API.

mod status;
mod tenants;

use std::fs;

use clap::{CommandFactory, error::ErrorKind};
use tempfile::TempDir;

use super::*;

/// What a command wrote, and its exit code.
struct Ran {
    out: String,
    err: String,
    code: u8,
}

/// Parses a command line; the first word, the program's name, is left out.
fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(std::iter::once("mirador").chain(line.split_whitespace()))
}

/// Runs a command that needs no server.
fn run_here(line: &str) -> Ran {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut terminal = Terminal::new(&mut out, &mut err);
    let done = dispatch(parse(line).expect("a command line").command, &mut terminal);
    Ran::new(done, out, err)
}

impl Ran {
    fn new(done: Result<(), Failure>, out: Vec<u8>, err: Vec<u8>) -> Self {
        let mut err = String::from_utf8(err).expect("UTF-8");
        let code = done.map_or_else(
            |failure| {
                err.push_str(&failure.to_string());
                failure.exit_code()
            },
            |()| 0,
        );
        Self {
            out: String::from_utf8(out).expect("UTF-8"),
            err,
            code,
        }
    }
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

/// Lines that begin with the program's name are promises.
#[test]
fn every_example_of_the_help_texts_parses() {
    let mut seen = 0;
    for command in Cli::command()
        .get_subcommands_mut()
        .chain([&mut Cli::command()])
    {
        let help = command.render_long_help().to_string();
        let examples = help
            .lines()
            .map(str::trim)
            .filter(|line| line.starts_with("mirador "));
        for example in examples {
            let line = example.trim_start_matches("mirador ");
            let line = line.split("  ").next().unwrap_or_default();
            let line = line.split('>').next().unwrap_or_default();
            parse(line)
                .map_err(|error| format!("{example}: {error}"))
                .expect("a good example");
            seen += 1;
        }
    }
    assert!(seen >= 15, "only {seen} examples found");
}

#[test]
fn the_version_names_the_revision() {
    let error = parse("--version").expect_err("told, not run");
    assert_eq!(error.kind(), ErrorKind::DisplayVersion);
    let told = error.to_string();
    assert!(
        told.contains(env!("CARGO_PKG_VERSION")) && told.contains(REVISION),
        "{told}"
    );
}

#[test]
fn what_is_missing_or_misspelt_is_the_callers_fault() {
    for line in [
        "",
        "tenant",
        "tenant get",
        "tenant get No_Tenant",
        "tenant apply",
        "check",
        "serv",
        "serve --x",
    ] {
        let error = parse(line).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
    }
}

#[test]
fn check_names_file_line_field_and_value_of_every_fault() {
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("acme.yaml");
    fs::write(
        &file,
        "id: acme\nstatus: asleep\ndeployments:\n  logs: {endpoints: ['ftp://x']}\n",
    )
    .expect("written");
    let ran = run_here(&format!("check {}", file.display()));
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    let at = file.display();
    for told in [
        format!("{at}:2: status:"),
        "asleep".to_owned(),
        format!("{at}:4: deployments.logs.endpoints[0]:"),
        "ftp://x".to_owned(),
        "2 faults found".to_owned(),
    ] {
        assert!(ran.err.contains(&told), "{told}: {}", ran.err);
    }
}

#[test]
fn check_says_what_is_well() {
    let directory = TempDir::new().expect("a directory");
    fs::write(directory.path().join("acme.yaml"), "id: acme\n").expect("written");
    fs::write(directory.path().join("globex.yaml"), "id: globex\n").expect("written");
    let ran = run_here(&format!("check {}", directory.path().display()));
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(
        ran.out.contains("tenant acme") && ran.out.contains("tenant globex"),
        "{}",
        ran.out
    );
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let ran = run_here("check /nowhere/acme.yaml");
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("/nowhere/acme.yaml"), "{}", ran.err);
}

#[test]
fn check_reads_the_configuration_and_the_tenants_it_names() {
    let directory = TempDir::new().expect("a directory");
    let (config, acme) = (
        directory.path().join("mirador.yaml"),
        directory.path().join("acme.yaml"),
    );
    fs::write(&config, "workers: many\ntenants: [acme.yaml]\n").expect("written");
    fs::write(&acme, "id: A\n").expect("written");
    let ran = run_here(&format!("check --config {}", config.display()));
    assert_eq!(ran.code, 2);
    assert!(
        ran.err
            .contains(&format!("{}:1: workers:", config.display())),
        "{}",
        ran.err
    );
    assert!(
        ran.err.contains(&format!("{}:1: id:", acme.display())),
        "{}",
        ran.err
    );

    fs::write(&config, "workers: 2\ntenants: [acme.yaml]\n").expect("written");
    fs::write(&acme, "id: acme\n").expect("written");
    let ran = run_here(&format!("check --config {}", config.display()));
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        ran.out.contains("mirador.yaml") && ran.out.contains("tenant acme"),
        "{}",
        ran.out
    );
    assert!(
        ran.err.starts_with("warning: no admin.token_file"),
        "{}",
        ran.err
    );
}

//! Where and of what a measurement was made.

use std::{fs, process::Command, thread};

use crate::{
    error::BenchError,
    lab::Lab,
    peer::{Kind, mirador, program},
    record::Conditions,
};

/// Load average of the last minute; to be read before anything is started.
pub(crate) fn load() -> String {
    read("/proc/loadavg")
        .and_then(|text| Some(text.split(' ').next()?.to_owned()))
        .unwrap_or_else(unknown)
}

/// Reads all else.
pub(crate) fn describe(lab: &Lab, load: String) -> Result<Conditions, BenchError> {
    let commit = match commit() {
        Some(commit) if has_changes() => format!("{commit} with uncommitted changes"),
        Some(commit) => commit,
        None => unknown(),
    };
    let processors = thread::available_parallelism();
    let version = |kind| Some((kind, program::version(lab, kind)?));
    let compiler = said(Command::new("rustc").arg("--version")).unwrap_or_else(unknown);
    Ok(Conditions {
        commit,
        command: command(),
        processor: field("/proc/cpuinfo", "model name").unwrap_or_else(unknown),
        processors: processors
            .map_err(|error| BenchError::io("count processors", error))?
            .get(),
        memory_gib: memory_gib().map_or_else(unknown, |gib| format!("{gib:.1}")),
        kernel: read("/proc/sys/kernel/osrelease").unwrap_or_else(unknown),
        system: system().unwrap_or_else(unknown),
        built: if mirador::is_given() {
            "unknown: `MIRADOR_BIN` named the program".into()
        } else {
            format!("{compiler}, `make release`")
        },
        versions: VERSIONS.into_iter().filter_map(version).collect(),
        bound: lab.cpus.to_string(),
        load,
    })
}

/// Whose versions are told.
const VERSIONS: [Kind; 5] = [
    Kind::Mirador,
    Kind::Haproxy,
    Kind::Nginx,
    Kind::Envoy,
    Kind::Vmauth,
];

fn unknown() -> String {
    "unknown".into()
}

/// The commit that is checked out, abbreviated; `None` outside a repository.
pub(crate) fn commit() -> Option<String> {
    said(Command::new("git").args(["rev-parse", "--short=12", "HEAD"]))
}

/// What a program prints on standard output, if it succeeds and prints something.
pub(crate) fn said(command: &mut Command) -> Option<String> {
    let output = command
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

/// Whether the source differs from the commit. The documentation may: it is what we write.
fn has_changes() -> bool {
    said(Command::new("git").args(["status", "--porcelain", "--", ".", ":!docs"])).is_some()
}

fn memory_gib() -> Option<f64> {
    let kib: u32 = field("/proc/meminfo", "MemTotal")?
        .strip_suffix(" kB")?
        .parse()
        .ok()?;
    Some(f64::from(kib) / 1024.0 / 1024.0)
}

fn system() -> Option<String> {
    let text = fs::read_to_string("/etc/os-release").ok()?;
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(name.trim_matches('"').to_owned())
}

/// The first `name: value` of a file.
fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        (found.trim() == name).then(|| value.trim().to_owned())
    })
}

fn read(file: &str) -> Option<String> {
    Some(fs::read_to_string(file).ok()?.trim().to_owned())
}

/// How this program was called.
fn command() -> String {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let given = if mirador::is_given() {
        "MIRADOR_BIN=… "
    } else {
        ""
    };
    if arguments.is_empty() {
        format!("`{given}make lab`")
    } else {
        let arguments = arguments.join(" ");
        format!("`{given}cargo run --release --package lab -- {arguments}`")
    }
}

//! Where the peers' programs are, and which versions.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::Kind;
use crate::{
    error::BenchError,
    lab::Lab,
    process::{is_executable, on_path},
};

/// A peer's program as `scripts/tools lab` installs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    Haproxy,
    Nginx,
    Envoy,
    Vmauth,
}

impl Program {
    /// In the directory that `MIRADOR_TOOLS_BIN` names, or on `PATH`.
    pub(crate) fn find(self) -> Result<PathBuf, BenchError> {
        let names = self.names();
        let tools = std::env::var_os("MIRADOR_TOOLS_BIN").map(PathBuf::from);
        let installed = tools.as_deref().map(|tools| tools.join(names[0]));
        installed
            .filter(|file| is_executable(file))
            .or_else(|| names.iter().find_map(|name| on_path(name)))
            .ok_or_else(|| BenchError::MissingTool {
                program: names[0],
                place: tools.map_or_else(
                    || "PATH (MIRADOR_TOOLS_BIN is not set)".into(),
                    |tools| format!("{} (MIRADOR_TOOLS_BIN) and PATH", tools.display()),
                ),
                remedy: "run `scripts/tools lab`, which installs it, or put it on PATH",
            })
    }

    /// By the name of the installed link, then by names it may have elsewhere.
    const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Haproxy => &["haproxy"],
            Self::Nginx => &["nginx"],
            Self::Envoy => &["envoy"],
            Self::Vmauth => &["vmauth", "vmauth-prod"],
        }
    }

    /// What the program or the directory it was installed into tells of its version.
    fn version(self, program: &Path) -> Option<String> {
        let option = match self {
            Self::Haproxy | Self::Nginx => "-v",
            Self::Envoy => "--version",
            Self::Vmauth => "-version",
        };
        let said = Command::new(program).arg(option).output().ok()?;
        // nginx tells it on standard error.
        let said = if said.stdout.is_empty() {
            said.stderr
        } else {
            said.stdout
        };
        let said = String::from_utf8_lossy(&said);
        let told = match self {
            Self::Haproxy => said.split_ascii_whitespace().nth(2),
            Self::Nginx => said.trim().split_once('/').map(|(_, version)| version),
            // version: <commit>/<version>/<state>/<build>/<ssl>
            Self::Envoy => said.rsplit('/').nth(3),
            Self::Vmauth => Some(said.trim()).filter(|said| !said.is_empty()),
        };
        told.map(str::to_owned)
            .or_else(|| version_of_directory(program))
    }
}

/// The version of a kind's program; `None` of what has none or is not installed.
pub(crate) fn version(lab: &Lab, kind: Kind) -> Option<String> {
    let program = match kind {
        Kind::Direct => return None,
        Kind::Mirador => {
            return crate::machine::said(Command::new(&lab.mirador).arg("--version"));
        }
        Kind::TcpForward | Kind::Haproxy => Program::Haproxy,
        Kind::Nginx => Program::Nginx,
        Kind::Envoy => Program::Envoy,
        Kind::Vmauth | Kind::VmauthByHeader => Program::Vmauth,
    };
    program.version(&program.find().ok()?)
}

/// Debian's vmauth says nothing, but it is installed into `victoria-metrics-<version>`.
fn version_of_directory(program: &Path) -> Option<String> {
    let program = program.canonicalize().ok()?;
    let directory = program.parent()?.file_name()?.to_str()?;
    let (_, version) = directory.rsplit_once('-')?;
    Some(version.to_owned())
}

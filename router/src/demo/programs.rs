//! The backends' programs on this machine.

use std::{
    env,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use super::DemoError;

/// Where the programs are.
#[derive(Debug)]
pub(super) struct Programs {
    pub(super) metrics: PathBuf,
    pub(super) logs: PathBuf,
    /// The demo does without traces where there is none.
    pub(super) traces: Option<PathBuf>,
    /// This program itself, for the router and its command line.
    pub(super) mirador: PathBuf,
}

impl Programs {
    /// Looks into `tools` first, then along `PATH`.
    pub(super) fn find(tools: Option<&Path>) -> Result<Self, DemoError> {
        let path = env::var_os("PATH").unwrap_or_default();
        let directories: Vec<_> = tools
            .map(Into::into)
            .into_iter()
            .chain(env::split_paths(&path))
            .collect();
        let mut missing = Vec::new();
        let mut required = |name| {
            find_in(&directories, name).unwrap_or_else(|| {
                missing.push(name);
                PathBuf::new()
            })
        };
        let (metrics, logs) = (required("victoria-metrics"), required("victoria-logs"));
        if !missing.is_empty() {
            let looked = match tools {
                Some(tools) => format!("{} or on PATH", tools.display()),
                None => "any directory on PATH".into(),
            };
            return Err(DemoError::Missing {
                programs: missing,
                looked,
            });
        }
        let mirador =
            env::current_exe().map_err(|error| DemoError::io("find this program's file", error))?;
        Ok(Self {
            metrics,
            logs,
            traces: find_in(&directories, "victoria-traces"),
            mirador,
        })
    }
}

/// The program `name`, or `name-prod`, which is what its makers call their release builds.
fn find_in(directories: &[PathBuf], name: &str) -> Option<PathBuf> {
    directories
        .iter()
        .flat_map(|directory| [directory.join(name), directory.join(format!("{name}-prod"))])
        .find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    file.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn program(folder: &Path, name: &str, mode: u32) {
        let file = folder.join(name);
        fs::write(&file, "").expect("a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("its mode");
    }

    #[test]
    fn both_names_are_found_and_files_that_nobody_may_run_are_passed_over() {
        let (first, second) = (
            tempfile::tempdir().expect("dir"),
            tempfile::tempdir().expect("dir"),
        );
        let directories = [first.path().to_owned(), second.path().to_owned()];
        program(first.path(), "victoria-logs", 0o644);
        program(second.path(), "victoria-logs-prod", 0o755);
        assert_eq!(
            find_in(&directories, "victoria-logs"),
            Some(second.path().join("victoria-logs-prod"))
        );
        assert_eq!(find_in(&directories, "victoria-metrics"), None);
    }

    #[test]
    fn what_is_missing_is_told_all_at_once_with_the_way_out() {
        let error = DemoError::Missing {
            programs: vec!["victoria-metrics", "victoria-logs"],
            looked: "/opt/vm or on PATH".into(),
        };
        assert_eq!(
            error.to_string(),
            "no victoria-metrics, no victoria-logs in /opt/vm or on PATH: `make demo` installs \
             what is missing, or name their directory with --tools"
        );
    }
}

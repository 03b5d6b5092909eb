//! Where real servers and clients are found. One that is missing fails the test.

use std::{
    env,
    path::{Path, PathBuf},
};

/// Finds a program under any of its names: in `MIRADOR_TOOLS_BIN`, else on the `PATH`.
pub(crate) fn tool(names: &[&str]) -> PathBuf {
    let own = env::var_os("MIRADOR_TOOLS_BIN").map(PathBuf::from);
    let path = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = own.into_iter().chain(env::split_paths(&path)).collect();
    names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|candidate| is_program(candidate))
        .unwrap_or_else(|| {
            panic!(
                "none of {names:?} is in MIRADOR_TOOLS_BIN or on the PATH; \
                 run the tests with `make test`, which installs them"
            )
        })
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

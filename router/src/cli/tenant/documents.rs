//! The documents that `apply` is given: all read and found well-formed before any is sent.

use std::{
    env, fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use tenant_store::{
    document::{self, Faults},
    model::Tenant,
};

use crate::cli::{Failure, output::Terminal};

/// Reads the tenants of files and directories, or of standard input. File names in the documents
/// are taken as relative to where the document stands, and sent as absolute ones.
pub(super) fn load(paths: &[PathBuf], terminal: &mut Terminal<'_>) -> Result<Vec<Tenant>, Failure> {
    let tenants = if paths == [Path::new("-")] {
        from_standard_input()?
    } else if paths.iter().any(|path| path == Path::new("-")) {
        let message = "standard input (-) can't be mixed with files; apply them one by one";
        return Err(Failure::Input(message.into()));
    } else {
        let sources = document::tenant_sources(paths);
        sources.map(|sources| sources.into_iter().map(|source| source.tenant).collect())
    };
    match tenants {
        Ok(tenants) if tenants.is_empty() => Err(Failure::Input(
            "there is no *.yaml, *.yml or *.json file to apply".into(),
        )),
        Ok(tenants) => Ok(tenants),
        Err(faults) => Err(terminal.complain_of(&faults)),
    }
}

/// Reads the one tenant of a file.
pub(super) fn one(path: &Path, terminal: &mut Terminal<'_>) -> Result<Tenant, Failure> {
    let mut tenants = load(&[path.to_owned()], terminal)?;
    match (tenants.pop(), tenants.is_empty()) {
        (Some(tenant), true) => Ok(tenant),
        _ => Err(Failure::Input(format!(
            "{} holds more than one tenant; name a file with one",
            path.display()
        ))),
    }
}

/// Reads a file, or standard input, as it is.
pub(super) fn text(path: &Path) -> Result<String, Failure> {
    if path == Path::new("-") {
        let mut text = String::new();
        return io::stdin()
            .read_to_string(&mut text)
            .map(|_| text)
            .map_err(|source| Failure::Unreadable {
                path: "standard input".into(),
                source,
            });
    }
    fs::read_to_string(path).map_err(|source| Failure::Unreadable {
        path: path.into(),
        source,
    })
}

fn from_standard_input() -> Result<Result<Vec<Tenant>, Faults>, Failure> {
    let unreadable = |source| Failure::Unreadable {
        path: "standard input".into(),
        source,
    };
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).map_err(unreadable)?;
    let here = env::current_dir().map_err(unreadable)?;
    Ok(document::tenants_in(&text, Some(&here)))
}

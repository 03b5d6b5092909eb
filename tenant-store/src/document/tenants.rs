//! Tenant documents: files, directories of files, and the bodies of requests.
//!
//! What a field may hold is the model's business. Here stands what only a document can break: two
//! tenants of one id, and file names that lead nowhere from where they stand.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use super::{Document, Fault, Faults, node::Kind, nothing_in, read_text};
use crate::model::{Deployment, SecretSource, Signal, Tenant, TenantId, UpstreamAuth};

/// A tenant, and where it is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantSource {
    /// The tenant. The file names in it are absolute.
    pub tenant: Tenant,
    /// The file it stands in.
    pub file: PathBuf,
    /// The line it begins on, from 1.
    pub line: u32,
}

/// Reads the tenants of a file, or of all `*.yaml`, `*.yml` and `*.json` files of a directory
/// (not of those below it), in the order of the files' names. A file may hold several documents.
///
/// # Errors
/// Every fault of every file; two tenants of one id are one.
pub fn tenants(path: &Path) -> Result<Vec<Tenant>, Faults> {
    let sources = tenant_sources(&[path])?;
    Ok(sources.into_iter().map(|source| source.tenant).collect())
}

/// Reads the tenants of several files and directories, each as [`tenants()`] does, and tells where
/// each stands.
///
/// # Errors
/// Every fault of every file; two tenants of one id are one, whichever files they stand in.
pub fn tenant_sources<P: AsRef<Path>>(paths: &[P]) -> Result<Vec<TenantSource>, Faults> {
    let mut faults = Faults::default();
    let mut sources = Vec::new();
    let mut seen = BTreeSet::new();
    for path in paths {
        let mut files = faults.absorb(files_of(path.as_ref())).unwrap_or_default();
        // A file may be named itself and by its directory.
        files.retain(|file| seen.insert(fs::canonicalize(file).unwrap_or_else(|_| file.clone())));
        for file in files {
            let text = faults.absorb(read_text(&file, &file));
            let read = text.and_then(|text| faults.absorb(read_file(&file, &text)));
            sources.extend(read.unwrap_or_default());
        }
    }
    faults.extend(doubles(&sources));
    faults.into_result(sources)
}

/// Reads the tenants of a text that comes from no file, e.g. from standard input. File names in it
/// are relative to `base`; without one they must be absolute.
///
/// # Errors
/// Every fault of the text; two tenants of one id are one.
pub fn tenants_in(text: &str, base: Option<&Path>) -> Result<Vec<Tenant>, Faults> {
    let sources = read_documents(Document::documents(None, text)?, Path::new(""), base)?;
    let doubles = doubles(&sources).map(|fault| Fault {
        file: None,
        ..fault
    });
    doubles
        .collect::<Faults>()
        .into_result(sources.into_iter().map(|source| source.tenant).collect())
}

/// Reads the one tenant of a request's body. File names in it must be absolute.
///
/// # Errors
/// Every fault of the text.
pub fn tenant(text: &str) -> Result<Tenant, Faults> {
    let source = read_documents(vec![Document::parse(None, text)?], Path::new(""), None)?;
    source
        .into_iter()
        .next()
        .map(|source| source.tenant)
        .ok_or_else(|| nothing_in(None))
}

/// Reads the tenants of a file's text. `file` is how the file is known: faults name it, and file
/// names in it are relative to its directory, wherever the text really came from.
///
/// # Errors
/// Every fault of the text; two tenants of one id are one.
pub fn tenants_of(file: &Path, text: &str) -> Result<Vec<TenantSource>, Faults> {
    let sources = read_file(file, text)?;
    doubles(&sources).collect::<Faults>().into_result(sources)
}

/// What the store notes beside a tenant. Passed over, so that a tenant can be written back as it
/// was read.
const BOOKKEEPING: [&str; 3] = ["revision", "created_at", "updated_at"];

fn files_of(path: &Path) -> Result<Vec<PathBuf>, Faults> {
    let unreadable = |error| Fault::new(Some(path.into()), format!("can't be read: {error}"));
    if !fs::metadata(path).map_err(unreadable)?.is_dir() {
        return Ok(vec![path.into()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        if is_tenant_file(&file) {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn is_tenant_file(file: &Path) -> bool {
    has_tenant_name(file) && file.is_file()
}

/// Whether a file in a directory of tenants is meant to be one, going by its name.
pub(crate) fn has_tenant_name(file: &Path) -> bool {
    let hidden = file
        .file_name()
        .is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    let extension = file.extension().and_then(|extension| extension.to_str());
    !hidden && matches!(extension, Some("yaml" | "yml" | "json"))
}

fn read_file(file: &Path, text: &str) -> Result<Vec<TenantSource>, Faults> {
    let absolute = std::path::absolute(file)
        .map_err(|error| Fault::new(Some(file.into()), format!("can't be located: {error}")))?;
    read_documents(
        Document::documents(Some(file), text)?,
        file,
        absolute.parent(),
    )
}

fn read_documents(
    documents: Vec<Document>,
    file: &Path,
    base: Option<&Path>,
) -> Result<Vec<TenantSource>, Faults> {
    let mut faults = Faults::default();
    let mut sources = Vec::new();
    for mut document in documents {
        let line = document.line();
        document.leave_out(&BOOKKEEPING);
        let tenant = faults.absorb(read_tenant(&document, base));
        sources.extend(tenant.map(|tenant| TenantSource {
            tenant,
            file: file.into(),
            line,
        }));
    }
    faults.into_result(sources)
}

fn read_tenant(document: &Document, base: Option<&Path>) -> Result<Tenant, Faults> {
    let (mut tenant, mut report) = document.decode_partly::<Tenant>();
    for (path, file) in tenant.iter_mut().flat_map(file_names) {
        match base {
            Some(base) => *file = base.join(&*file),
            None if !file.is_absolute() => {
                report.fault(
                    &path,
                    "expected an absolute path: a request stands in no directory",
                );
            }
            None => {}
        }
    }
    report.finish(tenant)
}

/// Every file name in a tenant, with its field.
fn file_names(tenant: &mut Tenant) -> Vec<(String, &mut PathBuf)> {
    let deployments = &mut tenant.deployments;
    let all = [
        (Signal::Metrics, &mut deployments.metrics),
        (Signal::Logs, &mut deployments.logs),
        (Signal::Traces, &mut deployments.traces),
    ];
    all.into_iter()
        .filter_map(|(signal, deployment)| Some((signal, deployment.as_mut()?)))
        .flat_map(|(signal, Deployment { auth, tls, .. })| {
            let secret = auth.as_mut().and_then(|auth| match auth {
                UpstreamAuth::Basic {
                    password: SecretSource::File(file),
                    ..
                } => Some(("auth.basic.password.file", file)),
                UpstreamAuth::Bearer {
                    token: SecretSource::File(file),
                } => Some(("auth.bearer.token.file", file)),
                _ => None,
            });
            let tls = tls.as_mut().map(|tls| {
                [
                    tls.ca_file.as_mut().map(|file| ("tls.ca_file", file)),
                    tls.cert_file.as_mut().map(|file| ("tls.cert_file", file)),
                    tls.key_file.as_mut().map(|file| ("tls.key_file", file)),
                ]
            });
            let named = secret
                .into_iter()
                .chain(tls.into_iter().flatten().flatten());
            named.map(move |(field, file)| (format!("deployments.{signal}.{field}"), file))
        })
        .collect()
}

/// A fault for each tenant that has been before.
fn doubles(sources: &[TenantSource]) -> impl Iterator<Item = Fault> {
    let mut seen: BTreeMap<&TenantId, &TenantSource> = BTreeMap::new();
    sources.iter().filter_map(move |source| {
        let id = &source.tenant.id;
        let first = *seen.entry(id).or_insert(source);
        if std::ptr::eq(first, source) {
            return None;
        }
        let place = if first.file.as_os_str().is_empty() {
            format!("on line {}", first.line)
        } else {
            format!("at {}:{}", first.file.display(), first.line)
        };
        let message = format!("the tenant {id} is described twice, first {place}");
        Some(Fault {
            line: Some(source.line),
            path: "id".into(),
            value: Some(id.to_string()),
            ..Fault::new(Some(source.file.clone()), message)
        })
    })
}

impl Document {
    /// Takes fields out of the document's outermost map, whatever they hold: what a store noted of
    /// something that was read and is written back.
    pub fn leave_out(&mut self, fields: &[&str]) {
        if let Kind::Map(entries) = &mut self.root.kind {
            entries.retain(|entry| !fields.contains(&entry.key.as_str()));
        }
    }
}

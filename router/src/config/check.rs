//! Is what is written well-formed? Reads, and starts nothing.

use std::path::{Path, PathBuf};

use tenant_store::document::{Faults, TenantSource, tenant_sources};

use super::{Config, Overrides, StoreConfig};

/// What was found well-formed.
#[derive(Debug)]
pub struct CheckReport {
    /// The configuration, if one was asked for.
    pub config: Option<Config>,
    /// The tenants: those of the files asked for, and of those the configuration names or keeps them
    /// in.
    pub tenants: Vec<TenantSource>,
    /// What is allowed, but perhaps not meant.
    pub warnings: Vec<String>,
}

/// Validates a configuration, the tenant files it names, and other tenant files and directories.
///
/// # Errors
/// Every fault of every file; two tenants of one id are one, whichever files they stand in.
pub fn check(
    config: Option<&Path>,
    tenant_paths: &[PathBuf],
    overrides: &Overrides,
) -> Result<CheckReport, Faults> {
    let mut faults = Faults::default();
    let config = config.and_then(|path| {
        let (config, found) = Config::read(Some(path), overrides);
        faults.extend(found);
        config
    });
    // Those that can't be read are faults of the configuration already.
    let named = config
        .iter()
        .flat_map(|config| &config.tenants)
        .filter(|path| path.exists());
    let kept = config.iter().filter_map(|config| match &config.store {
        StoreConfig::Files { path, .. } => Some(path),
        StoreConfig::Sqlite { .. }
        | StoreConfig::Postgres { .. }
        | StoreConfig::Weaviate { .. } => None,
    });
    let kept = kept.filter(|path| path.exists());
    let paths: Vec<_> = named.chain(kept).chain(tenant_paths).collect();
    let tenants = faults.absorb(tenant_sources(&paths)).unwrap_or_default();
    let warnings = config.iter().flat_map(warnings).collect();
    faults.into_result(CheckReport {
        config,
        tenants,
        warnings,
    })
}

fn warnings(config: &Config) -> Vec<String> {
    let unguarded = config.admin_listen.is_some() && config.settings.operators.is_empty();
    let warning = "no admin.token_file, admin.token_env or admin.operators: the admin API answers nothing but \
                   metrics and health, tenants can't be changed through it";
    unguarded.then(|| warning.to_owned()).into_iter().collect()
}

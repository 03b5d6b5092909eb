//! Whether a tenant's request is let through, before anything of it is read.

use tenant_store::model::{Feature, Features, Scope, Scopes, Signal, Status};

use super::{
    classify::{Operation, feature_of},
    error::ProxyError,
    route::{DeploymentRoute, TenantRoute},
};

/// Admits a request to a tenant's deployment for a signal.
///
/// # Errors
/// The tenant is not served, the signal is switched off for it, or it has no such deployment, or
/// one that can't be spoken to.
pub fn admit(route: &TenantRoute, signal: Signal) -> Result<&DeploymentRoute, ProxyError> {
    match route.status() {
        Status::Active => {}
        Status::Deleted => return Err(ProxyError::UnknownTenant),
        status @ (Status::Provisioning | Status::Suspended) => {
            return Err(ProxyError::NotServed(status));
        }
    }
    if !route.has(signal) {
        return Err(ProxyError::FeatureOff(signal.into()));
    }
    let deployment = route
        .deployment(signal)
        .ok_or(ProxyError::NoDeployment(signal))?;
    match deployment.fault() {
        None => Ok(deployment),
        Some(_) => Err(ProxyError::Misconfigured(signal)),
    }
}

/// Lets an operation through that its credential has the scope for.
///
/// # Errors
/// The scope that is missing.
pub fn permit(scopes: Scopes, signal: Signal, operation: Operation) -> Result<(), ProxyError> {
    let access = operation.access();
    let needed = Scope { signal, access };
    if scopes.allows(needed) {
        Ok(())
    } else {
        Err(ProxyError::MissingScope(needed))
    }
}

/// Checks an operation against the features that are switched off, of which there are some. What
/// is not known to be reading or writing may be either, and needs both.
///
/// # Errors
/// The first feature it needs that is off.
#[cold]
pub fn check_features(
    off: Features,
    raw_path: &str,
    signal: Signal,
    operation: Operation,
) -> Result<(), ProxyError> {
    let of_operation: &[Feature] = match operation {
        Operation::Read | Operation::Export | Operation::Tail => &[Feature::Reads],
        Operation::Write | Operation::Import => &[Feature::Writes],
        Operation::Unknown => &[Feature::Reads, Feature::Writes],
    };
    let of_path = feature_of(raw_path, signal, operation);
    let needed = of_operation.iter().copied().chain(of_path);
    match { needed }.find(|feature| off.contains(*feature)) {
        None => Ok(()),
        Some(feature) => Err(ProxyError::FeatureOff(feature)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_needs_its_scope_of_its_signal() {
        use Operation::{Export, Import, Read, Tail, Unknown, Write};
        for (words, operation, missing) in [
            ("logs:read", Read, None),
            ("logs:read", Export, None),
            ("logs:read", Tail, None),
            ("logs:read", Write, Some("logs:write")),
            ("logs:read", Import, Some("logs:write")),
            ("logs:read", Unknown, Some("logs:admin")),
            ("logs:write", Write, None),
            ("logs:write", Import, None),
            ("logs:write", Read, Some("logs:read")),
            ("logs:write", Unknown, Some("logs:admin")),
            ("logs:admin", Unknown, None),
            ("logs:admin", Read, Some("logs:read")),
            ("logs:all", Unknown, None),
            ("metrics:all", Read, Some("logs:read")),
            ("traces:all", Write, Some("logs:write")),
        ] {
            let scopes = words.parse().expect("scopes");
            let found = match permit(scopes, Signal::Logs, operation) {
                Ok(()) => None,
                Err(ProxyError::MissingScope(scope)) => Some(scope.to_string()),
                Err(other) => panic!("{other}"),
            };
            assert_eq!(found.as_deref(), missing, "{words} {operation:?}");
        }
    }
}

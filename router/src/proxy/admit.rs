//! Whether a tenant's request is let through, before anything of it is read.

use tenant_store::model::{Access, Scope, Scopes, Signal, Status};

use super::{
    classify::Operation,
    error::ProxyError,
    route::{DeploymentRoute, TenantRoute},
};

/// Admits a request to a tenant's deployment for a signal.
///
/// # Errors
/// The tenant is not served, has no such deployment, or it can't be spoken to.
pub fn admit(route: &TenantRoute, signal: Signal) -> Result<&DeploymentRoute, ProxyError> {
    match route.status() {
        Status::Active => {}
        Status::Deleted => return Err(ProxyError::UnknownTenant),
        status @ (Status::Provisioning | Status::Suspended) => {
            return Err(ProxyError::NotServed(status));
        }
    }
    let deployment = route
        .deployment(signal)
        .ok_or(ProxyError::NoDeployment(signal))?;
    match deployment.fault() {
        None => Ok(deployment),
        Some(_) => Err(ProxyError::Misconfigured(signal)),
    }
}

/// Lets an operation through that its credential has the scopes for. A path that is not known here
/// may do either, and needs both.
///
/// # Errors
/// The scope that is missing.
pub fn permit(scopes: Scopes, signal: Signal, operation: Operation) -> Result<(), ProxyError> {
    let needed: &[Access] = match operation {
        Operation::Read | Operation::Export | Operation::Tail => &[Access::Read],
        Operation::Write | Operation::Import => &[Access::Write],
        Operation::Unknown => &[Access::Read, Access::Write],
    };
    for access in needed {
        let scope = Scope {
            signal,
            access: *access,
        };
        if !scopes.allows(scope) {
            return Err(ProxyError::MissingScope(scope));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_needs_its_scope_of_its_signal_and_the_unknown_both() {
        use Operation::{Export, Import, Read, Tail, Unknown, Write};
        for (words, operation, missing) in [
            ("logs:read", Read, None),
            ("logs:read", Export, None),
            ("logs:read", Tail, None),
            ("logs:read", Write, Some("logs:write")),
            ("logs:read", Import, Some("logs:write")),
            ("logs:read", Unknown, Some("logs:write")),
            ("logs:write", Write, None),
            ("logs:write", Import, None),
            ("logs:write", Read, Some("logs:read")),
            ("logs:write", Unknown, Some("logs:read")),
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

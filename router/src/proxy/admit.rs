//! Whether a tenant's request is let through, before anything of it is read.

use tenant_store::model::{Signal, Status};

use super::{
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

//! What a tenant is. Every value is already a type: a [`Tenant`] that exists is well-formed.
//!
//! The serde forms of these types *are* the tenant file, the admin API's body and the stored
//! record, so a field is spelled the same everywhere.

mod deployment;
mod duration;
mod endpoint;
mod field;
mod identity;
mod scope;
mod tenant;
mod upstream;

pub use deployment::{BalancingPolicy, Deployment, HealthCheck, Hosting};
pub use duration::{DurationError, HumanDuration};
pub use endpoint::{Endpoint, EndpointProtocol, EndpointUrl, EndpointUrlError};
pub use identity::{Email, EmailError, Signal, TenantId, TenantIdError, Tier, TierError};
pub use scope::{Access, Scope, ScopeError, Scopes};
pub use tenant::{Deployments, Quotas, Revision, Status, Tenant, TenantRecord};
pub use upstream::{SecretSource, UpstreamAuth, UpstreamTls};

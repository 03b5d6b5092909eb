//! What a tenant is. Every value is already a type: a [`Tenant`] that exists is well-formed.
//!
//! The serde forms of these types *are* the tenant file, the admin API's body and the stored
//! record, so a field is spelled the same everywhere.

mod deployment;
mod duration;
mod effective;
mod endpoint;
mod feature;
mod field;
mod health_check;
mod identity;
mod key;
mod maintenance;
#[cfg(feature = "openapi")]
pub mod schema;
mod scopes;
mod slo;
mod tenant;
mod tier;
mod upstream;

pub use deployment::{BalancingPolicy, Deployment, Hosting};
pub use duration::{DurationError, HumanDuration};
pub use effective::{Effective, RuleError, ValueSource, effective, rules};
pub use endpoint::{Endpoint, EndpointProtocol, EndpointUrl, EndpointUrlError};
pub use feature::{Feature, Features};
pub use health_check::{DeepCheck, HealthCheck, StatusRange, StatusRangeError};
pub use identity::{
    Email, EmailError, Signal, SignalError, TenantId, TenantIdError, Tier, TierError,
};
pub use key::{
    Access, AllowedTenants, ApiKey, ApiKeyId, ApiKeyIdError, KeyHash, KeyHashError, KeyState,
    Scope, ScopeError,
};
pub use maintenance::Maintenance;
pub use scopes::{Scopes, ScopesError};
pub use slo::{Objective, ObjectiveError, Slo};
pub use tenant::{Deployments, Quotas, Revision, Status, Tenant, TenantRecord};
pub use tier::{HealthSettings, Limits, Retention, TierDefinition};
pub use upstream::{SecretSource, UpstreamAuth, UpstreamTls};

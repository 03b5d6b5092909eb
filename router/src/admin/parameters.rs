//! The parameters that several operations share, as the API's description tells of them. They are
//! read by [`super::query`], [`super::precondition`] and [`super::idempotency`].
#![expect(
    dead_code,
    reason = "these describe; what reads the parameters names every fault of them"
)]

use tenant_store::model::{ApiKeyId, Signal, TenantId, Tier};
use utoipa::{IntoParams, ToSchema};

/// The tenant a path names.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct OfTenant {
    /// The tenant's id.
    id: TenantId,
}

/// The deployment a path names.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct OfDeployment {
    /// The tenant's id.
    id: TenantId,
    /// Which of its deployments.
    signal: Signal,
}

/// The tier a path names.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct OfTier {
    /// The tier's name.
    name: Tier,
}

/// The key a path names, and whose it is.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct OfKey {
    /// The tenant's id.
    id: TenantId,
    /// The key's id.
    key: ApiKeyId,
}

/// The condition of a change.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct IfMatch {
    /// The `ETag` that reading it answered, or `*` for whatever is there. 428 without, 412 if it
    /// does not hold.
    #[param(rename = "If-Match")]
    if_match: String,
}

/// The conditions of a change that may create. One of them is required.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct IfMatchOrNone {
    /// The `ETag` that reading it answered, or `*` for whatever is there. 428 without one of these
    /// two headers, 412 if it does not hold.
    #[param(rename = "If-Match", nullable = false)]
    if_match: Option<String>,
    /// `*`: create it, if it is not there.
    #[param(rename = "If-None-Match", inline, nullable = false)]
    if_none_match: Option<AnyTag>,
}

/// What stands for every `ETag`.
#[derive(ToSchema)]
enum AnyTag {
    #[schema(rename = "*")]
    Any,
}

/// The condition of a read.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct IfNoneMatch {
    /// An `ETag` that was answered before: 304 if it is still so.
    #[param(rename = "If-None-Match", nullable = false)]
    if_none_match: Option<String>,
}

/// Whether a change is made, or only told.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct DryRun {
    /// Answer what the change would come to, and change nothing.
    #[param(required = false, nullable = false, default = false)]
    dry_run: Option<bool>,
}

/// The key of a request that may be sent again.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
pub(super) struct IdempotencyKey {
    /// Any text of the caller's, new for each request. Sent again with the same request, it is
    /// answered what was answered before, with `Idempotency-Replayed: true`; with another, 422.
    #[param(
        rename = "Idempotency-Key",
        nullable = false,
        pattern = "^[!-~]{1,255}$"
    )]
    idempotency_key: Option<String>,
}

/// Which page, and how long.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PageLimit {
    /// Items on a page.
    #[param(
        required = false,
        nullable = false,
        minimum = 1,
        maximum = 1000,
        default = 100
    )]
    limit: Option<u16>,
}

//! Tiers: what tenants are given unless they say otherwise.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde::Serialize;
use tenant_store::{
    model::{Revision, TenantRecord, Tier, TierDefinition, effective, rules},
    repository::{
        BATCH_MAX, Expect, KeptWritten, Kind, ListQuery, Outcome, RecordQuery, Repository,
        RepositoryError, Stored, TenantRepository,
    },
};
use utoipa::ToSchema;

use super::{
    body::TierBody,
    caller::By,
    error::{ApiError, Problem},
    parameters::{DryRun, IfMatch, IfMatchOrNone, IfNoneMatch, OfTenant, OfTier},
    precondition::{Condition, Match, etag},
    query::{Arguments, TenantPath, TierPath},
    read, rehearsal,
    schema::{EffectiveValues, TierRecordSchema},
    tenants::{OUTCOME, living, only_dry_run},
};
use crate::control::Control;

/// A tier, and what is noted of it. Revision 0 is one that is built in and nobody has changed.
#[derive(Debug, Serialize)]
pub(super) struct TierRecord {
    #[serde(flatten)]
    tier: TierDefinition,
    revision: Revision,
    /// Whether it is there without anybody defining it; deleting it makes it what it was.
    built_in: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<Timestamp>,
}

/// All tiers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TierList {
    /// In the order of their names.
    #[schema(value_type = Vec<TierRecordSchema>)]
    tiers: Vec<TierRecord>,
}

/// List tiers
///
/// Those that are built in included.
#[utoipa::path(
    get,
    path = "/api/v1/tiers",
    tag = "tiers",
    operation_id = "listTiers",
    params(IfNoneMatch),
    responses(
        (status = 200, description = "All tiers.", body = TierList, headers(("ETag" = String, description = "Made of the list."))),
        (status = 304, description = "As it was when that `ETag` was answered."),
    ),
)]
pub(super) async fn list(
    State(control): State<Arc<Control>>,
    headers: HeaderMap,
    arguments: Arguments,
) -> Result<Response, ApiError> {
    arguments.finish()?;
    let tiers = all(control.repository()).await?;
    read::json(&headers, &TierList { tiers })
}

/// Read a tier
#[utoipa::path(
    get,
    path = "/api/v1/tiers/{name}",
    tag = "tiers",
    operation_id = "getTier",
    params(OfTier, IfNoneMatch),
    responses(
        (status = 200, description = "The tier.", body = TierRecordSchema, headers(("ETag" = String, description = "Its revision: what `If-Match` takes."))),
        (status = 304, description = "As it was when that `ETag` was answered."),
        (status = 404, description = "There is none.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get(
    State(control): State<Arc<Control>>,
    TierPath(name): TierPath,
    headers: HeaderMap,
    arguments: Arguments,
) -> Result<Response, ApiError> {
    arguments.finish()?;
    let record = find(control.repository(), &name).await?;
    let record = record.ok_or(ApiError::UnknownTier(name))?;
    read::tagged_json(&headers, etag(record.revision), &record)
}

/// Define a tier
///
/// A new one, or another one in place of what it was. Tenants of it inherit what it says at once,
/// but for what they say themselves.
#[utoipa::path(
    put,
    path = "/api/v1/tiers/{name}",
    tag = "tiers",
    operation_id = "putTier",
    params(OfTier, DryRun, IfMatchOrNone),
    request_body(content(
        (TierDefinition = "application/json"),
        (TierDefinition = "application/yaml"),
    ), description = "The whole tier. What reading it answered is taken as it is."),
    responses(
        (status = 200, description = "Replaced, or equal already.", body = TierRecordSchema, headers(("ETag" = String, description = "Its revision."), ("X-Mirador-Outcome" = String, description = "`updated` or `unchanged`."))),
        (status = 201, description = "Defined; one that was built in is an operator's from now on.", body = TierRecordSchema, headers(("ETag" = String, description = "Its revision."), ("X-Mirador-Outcome" = String, description = "`created`."), ("Location" = String, description = "Its path."))),
        (status = 409, description = "A tenant of it would contradict it.", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "The condition does not hold.", body = Problem, content_type = "application/problem+json"),
        (status = 428, description = "There is no condition.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn put(
    State(control): State<Arc<Control>>,
    TierPath(name): TierPath,
    arguments: Arguments,
    condition: Condition,
    By(author): By,
    TierBody(tier): TierBody,
) -> Result<Response, ApiError> {
    if tier.name != name {
        let message = format!("expected {name}, as in the path: a tier's name can't change");
        return Err(ApiError::fault(
            "name",
            Some(tier.name.to_string()),
            message,
        ));
    }
    let dry_run = only_dry_run(arguments)?;
    let repository = control.repository();
    let found = find(repository, &name).await?;
    let expect = expect(&condition, &name, found.as_ref())?;
    refuse_if_contradicted(repository, &tier).await?;
    let written = if dry_run {
        rehearsal::put(repository, &tier, expect).await?
    } else {
        let written = repository.store_as(&tier, expect, &author).await?;
        control.tiers().take_in(&written, control.tenants());
        written
    };
    Ok(answer(written))
}

/// Delete a tier
///
/// Only if no tenant is of it. One that is built in is what it was again.
#[utoipa::path(
    delete,
    path = "/api/v1/tiers/{name}",
    tag = "tiers",
    operation_id = "deleteTier",
    params(OfTier, DryRun, IfMatch),
    responses(
        (status = 200, description = "Deleted.", body = TierRecordSchema, headers(("ETag" = String, description = "Its revision."), ("X-Mirador-Outcome" = String, description = "`deleted`."))),
        (status = 404, description = "There is none.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "A tenant is of it, or it is built in and as it was.", body = Problem, content_type = "application/problem+json"),
        (status = 412, description = "The condition does not hold.", body = Problem, content_type = "application/problem+json"),
        (status = 428, description = "There is no condition.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn delete(
    State(control): State<Arc<Control>>,
    TierPath(name): TierPath,
    arguments: Arguments,
    condition: Match,
    By(author): By,
) -> Result<Response, ApiError> {
    let dry_run = only_dry_run(arguments)?;
    let repository = control.repository();
    let Some(found) = find(repository, &name).await? else {
        return Err(ApiError::UnknownTier(name));
    };
    condition.check_revision(&format!("tier {name}"), found.revision)?;
    if found.revision == Revision(0) {
        return Err(ApiError::InUse(format!(
            "the tier {name} is built in, and as it was: there is nothing to delete"
        )));
    }
    match TierDefinition::built_in(&name) {
        Some(built_in) => refuse_if_contradicted(repository, &built_in).await?,
        None => refuse_if_used(repository, &name).await?,
    }
    let expect = Expect::Revision(found.revision);
    let written = if dry_run {
        rehearsal::remove::<TierDefinition>(repository, name.as_str(), expect).await?
    } else {
        let removed = repository.remove::<TierDefinition>(name.as_str(), expect, &author);
        let written = removed.await?;
        control.tiers().take_in(&written, control.tenants());
        written
    };
    Ok(answer(written))
}

/// Read what holds for a tenant
///
/// Every value, and where it comes from: the tenant, its tier, or neither.
#[utoipa::path(
    get,
    path = "/api/v1/tenants/{id}/effective",
    tag = "tenants",
    operation_id = "getEffective",
    params(OfTenant, IfNoneMatch),
    responses(
        (status = 200, description = "Every value that holds, and its source.", body = EffectiveValues, headers(("ETag" = String, description = "Made of the answer."))),
        (status = 304, description = "As it was when that `ETag` was answered."),
        (status = 404, description = "There is none, or it was deleted.", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Tenant and tier contradict each other, or there is no such tier.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn of_tenant(
    State(control): State<Arc<Control>>,
    TenantPath(id): TenantPath,
    headers: HeaderMap,
    arguments: Arguments,
) -> Result<Response, ApiError> {
    arguments.finish()?;
    let tenant = living(&control, &id).await?.tenant;
    let Some(tier) = control.repository().tier(&tenant.tier).await? else {
        let detail = format!(
            "tenant {id} is of tier {}, and there is no such tier",
            tenant.tier
        );
        return Err(ApiError::InUse(detail));
    };
    match effective(&tenant, &tier) {
        Ok(effective) => read::json(&headers, &effective),
        Err(error) => Err(ApiError::InUse(error.to_string())),
    }
}

async fn refuse_if_used(repository: &Repository, name: &Tier) -> Result<(), ApiError> {
    let query = ListQuery {
        limit: 1,
        tier: Some(name.clone()),
        ..ListQuery::default()
    };
    match repository.list(&query).await?.records.first() {
        None => Ok(()),
        Some(record) => Err(ApiError::InUse(format!(
            "tenant {} is of tier {name}; give it another tier first",
            record.tenant.id
        ))),
    }
}

/// No tenant of the tier breaks the rules between the two if the tier becomes this.
async fn refuse_if_contradicted(
    repository: &Repository,
    tier: &TierDefinition,
) -> Result<(), ApiError> {
    let mut query = ListQuery {
        limit: BATCH_MAX,
        tier: Some(tier.name.clone()),
        ..ListQuery::default()
    };
    loop {
        let page = repository.list(&query).await?;
        for TenantRecord { tenant, .. } in &page.records {
            if let Err(error) = rules(tenant, tier) {
                let detail = format!("tenant {} would contradict its tier: {error}", tenant.id);
                return Err(ApiError::InUse(detail));
            }
        }
        query.after = page.next;
        if query.after.is_none() {
            return Ok(());
        }
    }
}

/// A tier as it is defined, or built in.
async fn find(repository: &Repository, name: &Tier) -> Result<Option<TierRecord>, ApiError> {
    let stored = repository.find::<TierDefinition>(name.as_str()).await?;
    let stored = stored.filter(|stored| !stored.deleted);
    Ok(match stored {
        Some(stored) => Some(TierRecord::of(stored)),
        None => TierDefinition::built_in(name).map(TierRecord::built_in),
    })
}

async fn all(repository: &Repository) -> Result<Vec<TierRecord>, RepositoryError> {
    let built_in = TierDefinition::all_built_in();
    let mut tiers: Vec<_> = built_in.into_iter().map(TierRecord::built_in).collect();
    let mut query = RecordQuery::all(Kind::Tier);
    loop {
        let page = repository.page::<TierDefinition>(query.clone()).await?;
        for stored in page.records {
            tiers.retain(|record| record.tier.name != stored.value.name);
            tiers.push(TierRecord::of(stored));
        }
        query.after = page.next;
        if query.after.is_none() {
            tiers.sort_by(|one, other| one.tier.name.cmp(&other.tier.name));
            return Ok(tiers);
        }
    }
}

/// What the repository is told to expect: what is built in and as it was is there, but not stored.
fn expect(
    condition: &Condition,
    name: &Tier,
    found: Option<&TierRecord>,
) -> Result<Expect, ApiError> {
    match (condition, found) {
        (Condition::Absent, None) => Ok(Expect::Absent),
        (Condition::Absent, Some(found)) => Err(ApiError::PreconditionFailed(format!(
            "there is a tier {name}, at revision {}, and `If-None-Match: *` asks for none",
            found.revision
        ))),
        (Condition::Match(_), None) => Err(ApiError::PreconditionFailed(format!(
            "there is no tier {name}, and If-Match asks for one"
        ))),
        (Condition::Match(condition), Some(found)) => {
            condition.check_revision(&format!("tier {name}"), found.revision)?;
            Ok(match found.revision {
                Revision(0) => Expect::Absent,
                revision => Expect::Revision(revision),
            })
        }
    }
}

fn answer(written: KeptWritten<TierDefinition>) -> Response {
    let outcome = written.outcome;
    let record = TierRecord::of(written.record);
    let status = match outcome {
        Outcome::Created => StatusCode::CREATED,
        _ => StatusCode::OK,
    };
    let outcome = HeaderValue::from_static(outcome.as_str());
    let headers = [(header::ETAG, etag(record.revision)), (OUTCOME, outcome)];
    let place = format!("/api/v1/tiers/{}", record.tier.name);
    let location = (status == StatusCode::CREATED).then_some([(header::LOCATION, place)]);
    (status, headers, location, Json(record)).into_response()
}

impl TierRecord {
    fn of(stored: Stored<TierDefinition>) -> Self {
        Self {
            built_in: TierDefinition::built_in(&stored.value.name).is_some(),
            tier: stored.value,
            revision: stored.revision,
            created_at: Some(stored.created_at),
            updated_at: Some(stored.updated_at),
        }
    }

    fn built_in(tier: TierDefinition) -> Self {
        Self {
            tier,
            revision: Revision(0),
            built_in: true,
            created_at: None,
            updated_at: None,
        }
    }
}

//! Tenants from one installation to another: YAML that applies cleanly elsewhere.
//!
//! A tenant holds no secret, only where one is found, so neither does what is exported.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;
use tenant_store::{
    model::{Revision, Status, Tenant, TenantId, TenantRecord},
    repository::{Author, Expect, ListQuery, Outcome, RepositoryError, TenantRepository},
};
use utoipa::ToSchema;

use super::{
    body::TenantsBody,
    caller::By,
    error::{ApiError, Problem},
    parameters::{DryRun, IdempotencyKey, IfNoneMatch, OfTenant},
    query::{Arguments, TenantPath},
    read,
    schema::Documents,
    tenants,
};
use crate::control::Control;

const YAML: &str = "application/yaml";

/// Tenants read at a time.
const PAGE: u16 = 200;

/// What an import came to.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct ImportReport {
    /// Whether this only tells what would be.
    dry_run: bool,
    /// How many were not there before.
    created: usize,
    /// How many are other than before.
    updated: usize,
    /// How many were just so.
    unchanged: usize,
    /// How many were left as they are, as asked.
    skipped: usize,
    /// How many were refused, or could not be written.
    failed: usize,
    /// Each tenant, in the order of the body.
    tenants: Vec<Imported>,
}

/// What became of one tenant: all of it is written, or nothing.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Imported {
    id: TenantId,
    outcome: ImportOutcome,
    /// The revision it is at now, if it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    revision: Option<Revision>,
    /// Why it was not written.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<String>,
}

/// What became of one tenant of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum ImportOutcome {
    /// There was no such tenant.
    Created,
    /// It was another before.
    Updated,
    /// It was just so.
    Unchanged,
    /// It is there, and was to be left as it is.
    Skipped,
    /// It was refused, or could not be written.
    Failed,
}

/// What is to become of tenants that are there, and other than imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ToSchema)]
#[schema(rename_all = "lowercase")]
enum Existing {
    /// They are reported, and stay.
    #[default]
    Fail,
    /// They stay.
    Skip,
    /// They become what is imported.
    Replace,
}

/// Export a tenant
///
/// As YAML that an import, `mirador tenant apply` and the configuration's `tenants` take.
#[utoipa::path(
    get,
    path = "/api/v1/tenants/{id}/export",
    tag = "transfer",
    operation_id = "exportTenant",
    params(OfTenant, IfNoneMatch),
    responses(
        (status = 200, description = "The tenant's document.", body = Tenant, content_type = "application/yaml", headers(("ETag" = String, description = "Made of the document."))),
        (status = 304, description = "As it was when that `ETag` was answered."),
        (status = 404, description = "There is none, or it was deleted.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn export_one(
    State(control): State<Arc<Control>>,
    TenantPath(id): TenantPath,
    headers: HeaderMap,
    arguments: Arguments,
) -> Result<Response, ApiError> {
    arguments.finish()?;
    let record = tenants::living(&control, &id).await?;
    Ok(read::text(&headers, YAML, document(&record.tenant)?))
}

/// Export all tenants
///
/// As one YAML stream of documents, without tombstones. It is written as it is read, so it has no
/// `ETag`; an answer that breaks off is not whole.
#[utoipa::path(
    get,
    path = "/api/v1/export",
    tag = "transfer",
    operation_id = "exportTenants",
    responses(
        (status = 200, description = "The tenants' documents.", body = Documents, content_type = "application/yaml"),
    ),
)]
pub(super) async fn export_all(
    State(control): State<Arc<Control>>,
    arguments: Arguments,
) -> Result<Response, ApiError> {
    arguments.finish()?;
    // The first page is read before the answer begins: a store that is gone is told as such.
    let first = page(&control, None).await?;
    let rest = stream::try_unfold(first.1, move |next| {
        let control = Arc::clone(&control);
        async move {
            let Some(after) = next else {
                return Ok::<_, ApiError>(None);
            };
            let (text, next) = page(&control, Some(after)).await?;
            Ok(Some((text, next)))
        }
    });
    let first = stream::once(std::future::ready(Ok(first.0)));
    let body = Body::from_stream(futures_util::StreamExt::chain(first, rest));
    let media_type = HeaderValue::from_static(YAML);
    Ok(([(header::CONTENT_TYPE, media_type)], body).into_response())
}

/// Import tenants
///
/// The body is a YAML stream of tenant documents, as an export answers. If any document has a
/// fault, all are refused. Otherwise each tenant is written whole or not at all, and the report
/// tells which; the answer is 200 whatever became of them.
#[utoipa::path(
    post,
    path = "/api/v1/import",
    tag = "transfer",
    operation_id = "importTenants",
    params(
        DryRun,
        ("existing" = inline(Option<Existing>), Query, description = "What is to become of tenants that are there, and other than imported: `fail` (the default) reports them, `skip` leaves them, `replace` replaces them."),
        IdempotencyKey,
    ),
    request_body(content(
        (Tenant = "application/yaml"),
        (Tenant = "application/json"),
    ), description = "Tenant documents with `---` between them; as JSON, one tenant."),
    responses(
        (status = 200, description = "What became of each tenant.", body = ImportReport),
        (status = 409, description = "A request of this key is in flight.", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The key was used for another request.", body = Problem, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn import(
    State(control): State<Arc<Control>>,
    mut arguments: Arguments,
    By(author): By,
    TenantsBody(tenants): TenantsBody,
) -> Result<Response, ApiError> {
    let existing = arguments.take_with("existing", read_existing);
    let dry_run = tenants::only_dry_run(arguments)?;
    let deleted = tenants
        .iter()
        .find(|tenant| tenant.status == Status::Deleted);
    if let Some(tenant) = deleted {
        let message = format!("tenant {} is deleted: an import deletes none", tenant.id);
        return Err(ApiError::fault("status", Some("deleted".into()), message));
    }
    let mut report = ImportReport {
        dry_run,
        ..ImportReport::default()
    };
    for tenant in &tenants {
        let existing = existing.unwrap_or_default();
        let imported = match import_one(&control, tenant, existing, dry_run, &author).await {
            Ok(imported) => imported,
            // Nothing has been written yet, so this is a refusal of all.
            Err(error) if report.tenants.is_empty() => return Err(error),
            Err(error) => Imported {
                id: tenant.id.clone(),
                outcome: ImportOutcome::Failed,
                revision: None,
                error: Some(error.to_string()),
            },
        };
        report.count(imported);
    }
    Ok(axum::Json(report).into_response())
}

impl ImportReport {
    fn count(&mut self, imported: Imported) {
        let count = match imported.outcome {
            ImportOutcome::Created => &mut self.created,
            ImportOutcome::Updated => &mut self.updated,
            ImportOutcome::Unchanged => &mut self.unchanged,
            ImportOutcome::Skipped => &mut self.skipped,
            ImportOutcome::Failed => &mut self.failed,
        };
        *count += 1;
        self.tenants.push(imported);
    }
}

async fn import_one(
    control: &Control,
    tenant: &Tenant,
    existing: Existing,
    dry_run: bool,
    author: &Author,
) -> Result<Imported, ApiError> {
    let found = control.repository().get(&tenant.id).await?;
    let found = found.filter(|record| record.tenant.status != Status::Deleted);
    let left = |record: &TenantRecord, outcome, error| Imported {
        id: tenant.id.clone(),
        outcome,
        revision: Some(record.revision),
        error,
    };
    let expect = match &found {
        Some(record) if record.tenant == *tenant => {
            return Ok(left(record, ImportOutcome::Unchanged, None));
        }
        Some(record) if existing == Existing::Skip => {
            return Ok(left(record, ImportOutcome::Skipped, None));
        }
        Some(record) if existing == Existing::Fail => {
            let error = format!(
                "tenant {} is there and other than this; `existing` says what to do about it",
                tenant.id
            );
            return Ok(left(record, ImportOutcome::Failed, Some(error)));
        }
        Some(record) => Expect::Revision(record.revision),
        None => Expect::Absent,
    };
    let written = match tenants::store(control, dry_run, tenant, expect, author).await {
        // This tenant's own fault: it contradicts its tier, or there is no such tier here.
        Err(ApiError::Malformed(faults) | ApiError::Unprocessable(faults)) => {
            let messages: Vec<_> = faults.into_iter().map(|fault| fault.message).collect();
            return Ok(Imported {
                id: tenant.id.clone(),
                outcome: ImportOutcome::Failed,
                revision: found.map(|record| record.revision),
                error: Some(messages.join("; ")),
            });
        }
        written => written?,
    };
    match written {
        Ok(written) => Ok(left(&written.record, outcome(written.outcome), None)),
        Err(error @ RepositoryError::Conflict { revision, .. }) => Ok(Imported {
            id: tenant.id.clone(),
            outcome: ImportOutcome::Failed,
            revision,
            error: Some(error.to_string()),
        }),
        Err(error) => Err(error.into()),
    }
}

fn outcome(outcome: Outcome) -> ImportOutcome {
    match outcome {
        Outcome::Created => ImportOutcome::Created,
        Outcome::Unchanged => ImportOutcome::Unchanged,
        Outcome::Updated | Outcome::Deleted | Outcome::Restored | Outcome::Purged => {
            ImportOutcome::Updated
        }
    }
}

/// A page of documents, and where the next one begins.
async fn page(
    control: &Control,
    after: Option<TenantId>,
) -> Result<(Bytes, Option<TenantId>), ApiError> {
    let query = ListQuery {
        after,
        limit: PAGE,
        status: None,
        ..ListQuery::default()
    };
    let page = control.repository().list(&query).await?;
    let mut text = String::new();
    for record in &page.records {
        text.push_str("---\n");
        text.push_str(&document(&record.tenant)?);
    }
    Ok((text.into(), page.next))
}

/// A tenant as its file would have it.
fn document(tenant: &Tenant) -> Result<String, ApiError> {
    let mut text = String::new();
    serde_saphyr::to_fmt_writer(&mut text, tenant)
        .map_err(|_| ApiError::Broken("a tenant can't be written as YAML"))?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

fn read_existing(text: &str) -> Result<Existing, String> {
    match text {
        "fail" => Ok(Existing::Fail),
        "skip" => Ok(Existing::Skip),
        "replace" => Ok(Existing::Replace),
        _ => Err("expected fail, skip or replace".into()),
    }
}

//! Tenants as parameters of Argo CD applications: the plugin generator of its `ApplicationSet`s.
//!
//! Argo CD deletes the applications of what is no longer in the list, so a list is whole or it is
//! refused.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Instant,
};

use axum::{
    Json,
    extract::{ConnectInfo, Request, State},
    middleware::Next,
    response::Response,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tenant_store::{
    model::{Signal, Status, Tenant, TenantId, TenantRecord, Tier, TierDefinition},
    repository::{ListQuery, TenantRepository},
};
use utoipa::ToSchema;

use super::{
    auth::{Door, Sent, credential},
    body::JsonBody,
    error::{ApiError, Fault, Problem},
    listener::Peer,
    query::Arguments,
    select::{Selection, read_status},
};
use crate::{config::TokenHash, control::Control};

/// Records read at a time.
const AT_A_TIME: u16 = 1000;

/// What Argo CD asks.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Question {
    /// Which `ApplicationSet` asks; of no consequence.
    #[serde(default)]
    #[expect(dead_code, reason = "it is asked so; the answer is the same to all")]
    application_set_name: Option<String>,
    #[serde(default)]
    #[schema(nullable)]
    input: Input,
}

/// What the `ApplicationSet` says.
#[derive(Debug, Default, Deserialize, ToSchema)]
struct Input {
    #[serde(default)]
    #[schema(nullable)]
    parameters: Wanted,
}

/// Which tenants are wanted; all but deleted ones if nothing is said.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Only tenants of this status.
    #[serde(default)]
    #[schema(value_type = Option<Status>)]
    status: Option<String>,
    /// Only tenants of this tier.
    #[serde(default)]
    #[schema(value_type = Option<Tier>)]
    tier: Option<String>,
    /// Only tenants with these labels.
    #[serde(default)]
    #[schema(nullable)]
    labels: BTreeMap<String, String>,
}

/// What Argo CD makes applications of.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Answer {
    output: Output,
}

/// A set of parameters for each tenant.
#[derive(Debug, Serialize, ToSchema)]
struct Output {
    parameters: Vec<Parameters>,
}

/// One tenant. What is not there is an empty text, so that templates need not ask.
#[derive(Debug, Serialize, ToSchema)]
struct Parameters {
    id: TenantId,
    name: String,
    display_name: String,
    admin_email: String,
    status: &'static str,
    tier: String,
    revision: String,
    labels: BTreeMap<String, String>,
    /// The tenant's switches, and those of its tier that it does not set itself.
    features: BTreeMap<String, bool>,
    /// By signal: `hosting`, `namespace`, and the `endpoints`' URLs.
    #[schema(value_type = HashMap<String, Object>)]
    deployments: Map<String, Value>,
}

/// List tenants for an Argo CD `ApplicationSet`
///
/// The plugin generator's call. Its token is one of its own, `admin.argocd.token_file`. The list is
/// whole, or it is refused: it is never short because the store does not answer.
#[utoipa::path(
    post,
    path = "/api/v1/getparams.execute",
    tag = "argocd",
    operation_id = "getParams",
    request_body(content = Question, content_type = "application/json"),
    responses(
        (status = 200, description = "The parameters of every tenant that is wanted.", body = Answer),
        (status = 403, description = "Not the token of the generator, or none is configured.", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The store does not answer.", body = Problem, content_type = "application/problem+json"),
    ),
    security(("argocd" = [])),
)]
pub(super) async fn parameters(
    State(control): State<Arc<Control>>,
    arguments: Arguments,
    JsonBody(question): JsonBody<Question>,
) -> Result<Json<Answer>, ApiError> {
    arguments.finish()?;
    let selection = question.input.parameters.selection()?;
    let tiers = control.repository().tiers().await?.into_iter();
    let tiers: Tiers = tiers.map(|tier| (tier.name.clone(), tier)).collect();
    let mut parameters = Vec::new();
    let mut after = None;
    loop {
        let query = ListQuery {
            after,
            limit: AT_A_TIME,
            status: selection.status,
            ..ListQuery::default()
        };
        let page = control.repository().list(&query).await?;
        let meant = page
            .records
            .iter()
            .filter(|record| selection.means(&record.tenant));
        parameters.extend(meant.map(|record| Parameters::of(record, &tiers)));
        after = page.next;
        if after.is_none() {
            let output = Output { parameters };
            return Ok(Json(Answer { output }));
        }
    }
}

/// Lets the generator through, by its own token.
pub(super) async fn authenticate(
    State(door): State<Door>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let settings = door.control.settings();
    let Some(token) = &settings.argocd_token else {
        return Err(ApiError::NoGenerator);
    };
    let peer = request.extensions().get::<ConnectInfo<Peer>>();
    let address = peer.map(|ConnectInfo(peer)| peer.address.ip());
    door.admit(address)?;
    let sent = match credential(request.headers()) {
        Sent::Token(sent) => TokenHash::of(sent).is(token),
        Sent::Nothing => {
            door.failed(address, Instant::now());
            return Err(ApiError::Unauthenticated);
        }
        Sent::Unusable => false,
    };
    if !sent {
        door.failed(address, Instant::now());
        return Err(ApiError::NotTheGenerator);
    }
    Ok(next.run(request).await)
}

impl Wanted {
    fn selection(self) -> Result<Selection, ApiError> {
        let mut faults = Vec::new();
        let mut fault = |field: &str, value: String, message: String| {
            let field = format!("input.parameters.{field}");
            faults.push(Fault::new(field, Some(value), message));
        };
        let status = self.status.and_then(|text| match read_status(&text) {
            Ok(status) => Some(status),
            Err(message) => {
                fault("status", text, message);
                None
            }
        });
        let tier = self.tier.and_then(|text| match text.parse() {
            Ok(tier) => Some(tier),
            Err(error) => {
                fault("tier", text, format!("{error}"));
                None
            }
        });
        if !faults.is_empty() {
            return Err(ApiError::Malformed(faults));
        }
        let labels = self.labels.into_iter();
        Ok(Selection {
            status,
            tier,
            labels: labels.map(|(key, value)| (key, Some(value))).collect(),
        })
    }
}

type Tiers = HashMap<Tier, TierDefinition>;

impl Parameters {
    fn of(record: &TenantRecord, tiers: &Tiers) -> Self {
        let tenant: &Tenant = &record.tenant;
        let tier = tiers.get(&tenant.tier);
        let deployments = Signal::ALL.into_iter().filter_map(|signal| {
            let deployment = tenant.deployments[signal].as_ref()?;
            let urls: Vec<_> = deployment
                .endpoints
                .iter()
                .map(|endpoint| endpoint.url.to_string())
                .collect();
            let parameters = json!({
                "hosting": deployment.hosting_in(tier),
                "namespace": deployment.namespace.clone().unwrap_or_default(),
                "endpoints": urls,
            });
            Some((signal.as_str().to_owned(), parameters))
        });
        let email = tenant.admin_email.as_ref();
        let mut features = tier.map(|tier| tier.features.clone()).unwrap_or_default();
        features.extend(tenant.features.clone());
        Self {
            id: tenant.id.clone(),
            name: tenant.name.clone().unwrap_or_default(),
            display_name: tenant.display_name.clone().unwrap_or_default(),
            admin_email: email.map_or_else(String::new, |email| email.as_str().to_owned()),
            status: tenant.status.as_str(),
            tier: tenant.tier.as_str().to_owned(),
            revision: record.revision.to_string(),
            labels: tenant.labels.clone(),
            features,
            deployments: deployments.collect(),
        }
    }
}

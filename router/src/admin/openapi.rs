//! The API's description (`OpenAPI` 3.1), made of the routes themselves: what is not served is not
//! described, and what is served is.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde_json::json;
use std::sync::{Arc, LazyLock};
use utoipa::openapi::{
    ContentBuilder, HeaderBuilder, InfoBuilder, LicenseBuilder, Object, OpenApi, OpenApiBuilder,
    Ref, RefOr, ResponseBuilder, SecurityRequirement,
    extensions::ExtensionsBuilder,
    path::Operation,
    schema::{ObjectBuilder, Type},
    security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    tag::TagBuilder,
};

use super::{
    docs,
    error::{ApiError, PROBLEM_JSON},
    parameters::IfNoneMatch,
    query::Arguments,
    read,
    schema::{self, AnyObject},
};
use crate::config::Role;

/// What is served to those who ask what there is: written for the first of them, as it is half a
/// megabyte and most routers are never asked.
pub(super) type Described = Arc<LazyLock<Description>>;

/// What there is, as a document and as a page.
#[derive(Debug)]
pub(super) struct Description {
    json: String,
    page: docs::Page,
}

impl Description {
    /// Writes what `api` describes.
    pub(super) fn new(api: &OpenApi) -> Self {
        Self {
            // Texts and numbers are JSON whatever they are.
            json: api.to_pretty_json().unwrap_or_default(),
            page: docs::Page::of(&json!(api)),
        }
    }
}

/// A description in which nothing is served yet.
pub(super) fn blank() -> OpenApi {
    let license = LicenseBuilder::new()
        .name("Apache-2.0")
        .identifier(Some("Apache-2.0"))
        .build();
    let info = InfoBuilder::new()
        .title("Mirador admin API")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(license))
        .build();
    let tags = [
        ("tenants", "Who the tenants are, and where their data is."),
        (
            "health",
            "How tenants are, and what happens to them, as the router that is asked sees it.",
        ),
        ("tiers", "What tenants are given unless they say otherwise."),
        ("keys", "API keys: who may come for a tenant, to do what."),
        ("transfer", "Tenants from one installation to another."),
        ("audit", "Who changed what."),
        ("argocd", "Applications of Argo CD, for each tenant."),
        (
            "router",
            "The router itself: metrics, probes, configuration.",
        ),
        ("description", "This description."),
    ];
    let tags = tags.map(|(name, description)| {
        TagBuilder::new()
            .name(name)
            .description(Some(description))
            .build()
    });
    let mut api = OpenApiBuilder::new().info(info).tags(Some(tags)).build();
    let components = api.components.get_or_insert_default();
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "An operator's token, the admin token, or a token of an issuer of operators. A client \
             certificate does as well where the listener speaks TLS.",
        ))
        .build();
    components.add_security_scheme("operator", SecurityScheme::Http(bearer));
    let generator = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("The token of Argo CD's plugin generator."))
        .build();
    components.add_security_scheme("argocd", SecurityScheme::Http(generator));
    for (name, schema) in schema::of_problems() {
        components.schemas.insert(name, schema);
    }
    api
}

const ABOUT: &str = "\
Changes tenants of a running router. Every refusal is one problem document (RFC 9457) that names \
field and value, and has changed nothing. Every read answers an `ETag`; every change of what is \
there needs it as `If-Match`. Every change can be told beforehand by `dry_run=true`. Arguments \
that are not known are refused.";

/// Says of every operation of `api` that it needs `role`, and what refusals look like.
pub(super) fn guard(api: &mut OpenApi, role: Role) {
    for operation in operations(api) {
        let needed = SecurityRequirement::new("operator", [role.as_str()]);
        operation.security = Some(vec![needed]);
        let extension = ExtensionsBuilder::new().add("x-required-role", role.as_str());
        operation
            .extensions
            .get_or_insert_default()
            .merge(extension.build());
        for (status, description) in [
            ("401", "Nobody's credentials, or none."),
            ("403", "The caller's role does not suffice."),
        ] {
            let problem = problem(description);
            operation
                .responses
                .responses
                .entry(status.into())
                .or_insert(problem);
        }
    }
    refuse(api);
}

/// Says of every operation of `api` what refusals look like.
pub(super) fn refuse(api: &mut OpenApi) {
    for operation in operations(api) {
        operation
            .responses
            .responses
            .entry("default".into())
            .or_insert(problem("Refused; nothing has changed."));
    }
}

fn problem(description: &str) -> RefOr<utoipa::openapi::Response> {
    let schema = RefOr::Ref::<utoipa::openapi::Schema>(Ref::from_schema_name("Problem"));
    let text: Object = ObjectBuilder::new().schema_type(Type::String).build();
    let id = HeaderBuilder::new()
        .schema(text)
        .description(Some("The request's id, as in the problem's `instance`."))
        .build();
    ResponseBuilder::new()
        .description(description)
        .content(
            PROBLEM_JSON,
            ContentBuilder::new().schema(Some(schema)).build(),
        )
        .header("X-Request-Id", id)
        .build()
        .into()
}

fn operations(api: &mut OpenApi) -> impl Iterator<Item = &mut Operation> {
    api.paths.paths.values_mut().flat_map(|item| {
        [
            item.get.as_mut(),
            item.put.as_mut(),
            item.post.as_mut(),
            item.delete.as_mut(),
            item.patch.as_mut(),
            item.head.as_mut(),
            item.options.as_mut(),
            item.trace.as_mut(),
        ]
        .into_iter()
        .flatten()
    })
}

/// This description
#[utoipa::path(
    get,
    path = "/api/v1/openapi.json",
    tag = "description",
    operation_id = "getOpenApi",
    params(IfNoneMatch),
    responses(
        (status = 200, description = "An OpenAPI 3.1 document.", body = AnyObject, headers(("ETag" = String, description = "Made of the document."))),
        (status = 304, description = "As it was when that `ETag` was answered."),
    ),
)]
pub(super) async fn document(
    State(description): State<Described>,
    headers: HeaderMap,
    arguments: Arguments,
) -> Result<Response, ApiError> {
    arguments.finish()?;
    let json = description.json.clone();
    Ok(read::text(&headers, "application/json", json))
}

/// This description, to be read
///
/// One page without scripts; it asks nothing of anybody.
#[utoipa::path(
    get,
    path = "/api/v1/docs",
    tag = "description",
    operation_id = "getDocs",
    responses((status = 200, description = "A page.", body = String, content_type = "text/html; charset=utf-8")),
)]
pub(super) async fn page(
    State(description): State<Described>,
    arguments: Arguments,
) -> Result<Response, ApiError> {
    arguments.finish()?;
    let docs::Page { html, policy } = &description.page;
    let policy =
        HeaderValue::from_str(policy).map_err(|_| ApiError::Broken("a policy is no header"))?;
    let headers: [(HeaderName, HeaderValue); 4] = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        ),
        (header::CONTENT_SECURITY_POLICY, policy),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("no-referrer"),
        ),
    ];
    Ok((headers, html.clone()).into_response())
}

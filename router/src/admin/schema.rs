//! Schemas of bodies that no type of its own stands for.

use tenant_store::model::{Tenant, schema};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ObjectBuilder, RefOr, Schema,
        schema::{SchemaType, Type},
    },
};

use super::error::{Fault, Problem};

/// The schemas of what refusals answer, with their names.
pub(super) fn of_problems() -> [(String, RefOr<Schema>); 2] {
    [
        (Problem::name().into_owned(), Problem::schema()),
        (Fault::name().into_owned(), Fault::schema()),
    ]
}

/// A merge patch of a tenant.
pub(super) struct TenantPatch;

impl PartialSchema for TenantPatch {
    fn schema() -> RefOr<Schema> {
        schema::tenant_patch()
    }
}

impl ToSchema for TenantPatch {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        Tenant::schemas(schemas);
    }
}

/// A JSON object of whatever fields.
pub(super) struct AnyObject;

impl PartialSchema for AnyObject {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Object).into()
    }
}

impl ToSchema for AnyObject {}

/// A stream of YAML documents: readers that know one document only see what they like in it.
pub(super) struct Documents;

impl PartialSchema for Documents {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::AnyValue)
            .description(Some("Tenant documents with `---` between them."))
            .into()
    }
}

impl ToSchema for Documents {}

/// Labels that tenants have.
pub(super) struct Selector;

impl PartialSchema for Selector {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^[^=,]+(=[^,]*)?(,[^=,]+(=[^,]*)?)*$"))
            .examples([serde_json::json!("team=sre")])
            .into()
    }
}

impl ToSchema for Selector {}

/// A moment, in UTC.
pub(super) struct Moment;

impl PartialSchema for Moment {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(
                "^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z$",
            ))
            .examples([serde_json::json!("2026-11-22T05:00:00Z")])
            .into()
    }
}

impl ToSchema for Moment {}

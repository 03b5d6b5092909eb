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

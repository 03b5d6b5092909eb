//! Schemas of bodies that no type of its own stands for.

use tenant_store::model::{Revision, Tenant, Tier, TierDefinition, schema};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ObjectBuilder, RefOr, Schema,
        schema::{SchemaType, Type},
    },
};

use super::error::{Fault, Problem};
use crate::standing::Condition;

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

/// One condition, or several.
pub(super) struct Conditions;

impl PartialSchema for Conditions {
    fn schema() -> RefOr<Schema> {
        let one = Condition::ALL.map(Condition::as_str).join("|");
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(format!("^({one})(,({one})){{0,9}}$")))
            .examples([serde_json::json!("degraded,unhealthy")])
            .into()
    }
}

impl ToSchema for Conditions {}

/// One tier, or several.
pub(super) struct TierNames;

impl PartialSchema for TierNames {
    fn schema() -> RefOr<Schema> {
        let one = "[a-z0-9][a-z0-9-]{0,62}";
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(format!("^{one}(,{one}){{0,9}}$")))
            .examples([serde_json::json!("gold,pro")])
            .into()
    }
}

impl ToSchema for TierNames {}

/// A place in the list of tenants by health.
pub(super) struct HealthCursor;

impl PartialSchema for HealthCursor {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(r"^[0-4]\.(100|[0-9]{1,2})\.[a-z0-9][a-z0-9-]{1,62}$"))
            .examples([serde_json::json!("1.50.acme")])
            .into()
    }
}

impl ToSchema for HealthCursor {}

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

/// A tier as it is answered.
pub(super) struct TierRecordSchema;

impl PartialSchema for TierRecordSchema {
    fn schema() -> RefOr<Schema> {
        schema::tier_record()
    }
}

impl ToSchema for TierRecordSchema {
    fn name() -> std::borrow::Cow<'static, str> {
        "TierRecord".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        TierDefinition::schemas(schemas);
        schemas.push((Revision::name().into_owned(), Revision::schema()));
    }
}

/// What holds for a tenant.
pub(super) struct EffectiveValues;

impl PartialSchema for EffectiveValues {
    fn schema() -> RefOr<Schema> {
        let map = |description: &str| {
            ObjectBuilder::new()
                .schema_type(Type::Object)
                .description(Some(description))
        };
        let sources = ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(["tenant", "tier", "default"]));
        map("Every value that holds for a tenant.")
            .property("tier", Tier::schema())
            .property("hosting", map("How deployments are hosted, by signal."))
            .property("quotas", map("What it has bought."))
            .property("limits", map("What its requests may ask for."))
            .property("retention", map("How long its data is kept."))
            .property("features", map("Feature switches by name."))
            .property("health", map("How endpoints are probed, by signal."))
            .property(
                "sources",
                map("Where each value comes from, by its path.")
                    .additional_properties(Some(sources)),
            )
            .required("tier")
            .required("sources")
            .into()
    }
}

impl ToSchema for EffectiveValues {}

/// How long a key that is replaced is accepted.
pub(super) struct Overlap;

impl PartialSchema for Overlap {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^(([1-9]|[12][0-9])d|[1-9][0-9]?[hm])$"))
            .examples([serde_json::json!("24h")])
            .into()
    }
}

impl ToSchema for Overlap {}

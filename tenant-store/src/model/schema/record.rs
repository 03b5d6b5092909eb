//! Whole documents: as the store answers them, and what changes them.

use std::collections::BTreeMap;

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, Object, ObjectBuilder, RefOr, Schema, SchemaFormat, schema::Type},
};

use super::{add, nullable, reference};
use crate::model::{Revision, Status, Tenant, TenantRecord, TierDefinition};

impl PartialSchema for TenantRecord {
    /// The tenant's fields and those of the store, in one map.
    fn schema() -> RefOr<Schema> {
        let time = |description: &str| {
            ObjectBuilder::new()
                .schema_type(Type::String)
                .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
                .description(Some(description))
                .build()
        };
        let mut record = fields_of_tenant();
        record.description = Some("A tenant as the store holds it.".into());
        let added: BTreeMap<&str, RefOr<Schema>> = BTreeMap::from([
            ("status", reference::<Status>()),
            ("revision", reference::<Revision>()),
            ("created_at", time("When it was first written.").into()),
            ("updated_at", time("When it was last written.").into()),
        ]);
        for (name, schema) in added {
            record.properties.insert(name.into(), schema);
            record.required.push(name.into());
        }
        record.into()
    }
}

impl ToSchema for TenantRecord {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        Tenant::schemas(schemas);
        add::<Status>(schemas);
        add::<Revision>(schemas);
    }
}

/// The schema of a tier as it is answered: its fields, and what is noted of it.
pub fn tier_record() -> RefOr<Schema> {
    let mut record = match TierDefinition::schema() {
        RefOr::T(Schema::Object(fields)) => fields,
        // A struct's schema is an object.
        _ => Object::new(),
    };
    let time = |description: &str| {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .description(Some(description))
            .build()
    };
    record.description = Some("A tier, and what is noted of it.".into());
    let built_in = ObjectBuilder::new()
        .schema_type(Type::Boolean)
        .description(Some("Whether it is there without anybody defining it."));
    let added: [(&str, RefOr<Schema>); 4] = [
        ("revision", reference::<Revision>()),
        ("built_in", built_in.into()),
        ("created_at", time("When it was first defined.").into()),
        ("updated_at", time("When it was last defined.").into()),
    ];
    for (name, schema) in added {
        record.properties.insert(name.into(), schema);
    }
    record
        .required
        .extend(["revision".into(), "built_in".into()]);
    record.into()
}

/// The schema of a JSON merge patch of a tenant: any of its fields but the id, or `null`.
pub fn tenant_patch() -> RefOr<Schema> {
    let mut patch = fields_of_tenant();
    patch.description = Some("The fields of a tenant that change; `null` removes one.".into());
    patch.required.clear();
    patch.properties.shift_remove("id");
    for schema in patch.properties.values_mut() {
        *schema = nullable(schema.clone());
    }
    patch.into()
}

fn fields_of_tenant() -> Object {
    match Tenant::schema() {
        RefOr::T(Schema::Object(fields)) => fields,
        // A struct's schema is an object.
        _ => Object::new(),
    }
}

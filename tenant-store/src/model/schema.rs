//! The model's JSON schemas, for whoever describes an API of it.
//!
//! Derived where a type says all there is to say; by hand where its form is a matter of reading
//! and writing it. A schema may be narrower than what is read (durations have more forms), never
//! wider.

mod field;
mod record;
mod upstream;

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ArrayBuilder, KnownFormat, ObjectBuilder, OneOfBuilder, Ref, RefOr, Schema, SchemaFormat,
        schema::{AdditionalProperties, Type},
    },
};

use super::{AllowedTenants, ApiKeyId, Email, EndpointUrl, Revision, Scope, TenantId, Tier};

pub(super) use self::field::{
    deep_interval, dns_label, expected_body, labels, moment_or_null, objective_or_null,
    oldest_version, one_line, perhaps_probe_interval, probe_headers, probe_interval, probe_path,
    reason, start_grace, switches, writable_status,
};
pub use self::record::{tenant_patch, tier_record};

/// A text that looks like this.
fn text(description: &str, pattern: &str, lengths: (usize, usize), example: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .pattern(Some(pattern))
        .min_length(Some(lengths.0))
        .max_length(Some(lengths.1))
        .examples([serde_json::json!(example)])
}

fn reference<T: ToSchema>() -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(T::name()))
}

fn nullable(schema: impl Into<RefOr<Schema>>) -> RefOr<Schema> {
    let null = ObjectBuilder::new().schema_type(Type::Null);
    OneOfBuilder::new().item(null).item(schema).into()
}

/// A map with nothing in it but these fields.
fn closed(description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some(description))
        .additional_properties(Some(AdditionalProperties::<Schema>::FreeForm(false)))
}

fn number(description: &str, least: u64, most: u64) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .description(Some(description))
        .minimum(Some(least))
        .maximum(Some(most))
}

/// Names a schema, and those it refers to.
fn add<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
}

macro_rules! text_schema {
    ($type:ty, $description:expr, $pattern:expr, $lengths:expr, $example:expr) => {
        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                text($description, $pattern, $lengths, $example).into()
            }
        }

        impl ToSchema for $type {}
    };
}

text_schema!(
    TenantId,
    "A tenant's immutable id.",
    "^[a-z0-9][a-z0-9-]{1,62}$",
    (2, 63),
    "acme"
);
text_schema!(
    Tier,
    "A tier's name.",
    "^[a-z0-9][a-z0-9-]{0,62}$",
    (1, 63),
    "gold"
);
text_schema!(
    Email,
    "An address to write to; checked for form only.",
    "^[!-?A-~]{1,100}@[!-?A-~]{1,100}$",
    (3, 254),
    "sre@acme.example"
);
text_schema!(
    EndpointUrl,
    "An `http` or `https` URL with a host, perhaps a port and a path, and nothing else. Each address of the host is an endpoint. `srv+` and the name of a service in the host's place, without a port, stand for the hosts and ports of its SRV records.",
    r#"^https?://([A-Za-z0-9_.:\[\]-]+|srv\+[a-z_][a-z0-9_]{0,19}(\.[a-z_][a-z0-9_]{0,19}){0,5})(/[!-"$->@-~]*)?$"#,
    (8, 2000),
    "http://10.0.0.1:8428"
);
text_schema!(
    ApiKeyId,
    "An API key's id.",
    "^[a-z0-9]{12}$",
    (12, 12),
    "k3v9q2m7x1pa"
);
text_schema!(
    Scope,
    "A signal, and what may be done with it.",
    "^(metrics|logs|traces):(read|write|admin)$",
    (9, 13),
    "logs:read"
);

impl PartialSchema for Revision {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
            .description(Some("How often it has been written: its `ETag`."))
            .minimum(Some(0))
            .into()
    }
}

impl ToSchema for Revision {}

impl PartialSchema for AllowedTenants {
    fn schema() -> RefOr<Schema> {
        let word = ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(["own", "all"]));
        let list = ArrayBuilder::new()
            .items(reference::<TenantId>())
            .min_items(Some(1));
        OneOfBuilder::new()
            .item(word)
            .item(list)
            .description(Some(
                "The tenants a key may be used for: `own`, `all`, or these.",
            ))
            .into()
    }
}

impl ToSchema for AllowedTenants {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        add::<TenantId>(schemas);
    }
}

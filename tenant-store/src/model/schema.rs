//! The model's JSON schemas, for whoever describes an API of it.
//!
//! Derived where a type says all there is to say; by hand where its form is a matter of reading
//! and writing it. A schema may be narrower than what is read (durations have more forms), never
//! wider.

use std::collections::BTreeMap;

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ArrayBuilder, KnownFormat, Object, ObjectBuilder, OneOfBuilder, Ref, RefOr, Schema,
        SchemaFormat,
        schema::{AdditionalProperties, SchemaType, Type},
    },
};

use super::{
    AllowedTenants, ApiKeyId, Email, Endpoint, EndpointProtocol, EndpointUrl, HumanDuration,
    Revision, Scope, SecretSource, Status, StatusRange, Tenant, TenantId, TenantRecord, Tier,
    TierDefinition, UpstreamAuth, UpstreamTls,
};

/// What every duration is written back as: each unit once, from the longest.
const DURATION: &str = "^([1-9][0-9]{0,2}d)?(([1-9]|1[0-9]|2[0-3])h)?(([1-9]|[1-5][0-9])m)?(([1-9]|[1-5][0-9])s)?([1-9][0-9]{0,2}ms)?$";

/// A duration of at least 100 ms, as it is written back.
const PROBE_INTERVAL: &str = "^([1-9][0-9]{0,2}d(([1-9]|1[0-9]|2[0-3])h)?(([1-9]|[1-5][0-9])m)?(([1-9]|[1-5][0-9])s)?([1-9][0-9]{0,2}ms)?|([1-9]|1[0-9]|2[0-3])h(([1-9]|[1-5][0-9])m)?(([1-9]|[1-5][0-9])s)?([1-9][0-9]{0,2}ms)?|([1-9]|[1-5][0-9])m(([1-9]|[1-5][0-9])s)?([1-9][0-9]{0,2}ms)?|([1-9]|[1-5][0-9])s([1-9][0-9]{0,2}ms)?|[1-9][0-9]{2}ms)$";

/// A duration of at least a second, as it is written back.
const WHOLE_SECONDS: &str =
    "^([1-9][0-9]{0,2}d)?(([1-9]|1[0-9]|2[0-3])h)?(([1-9]|[1-5][0-9])m)?([1-9]|[1-5][0-9])s$";

const ONE_LINE: &str = r"^[^\x00-\x1f\x7f-\x9f]*$";

/// A time in UTC, as it is written back.
const MOMENT: &str = r"^20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?Z$";

const FILE: &str = "^/[!-~]{1,200}$";

const VARIABLE: &str = "^[A-Za-z_][A-Za-z0-9_]{0,100}$";

/// A year, in milliseconds.
const YEAR: u64 = 365 * 24 * 3600 * 1000;
/// Likewise a day.
const DAY: u64 = 24 * 60 * 60 * 1000;
/// What is written of a duration of at most a day.
const WITHIN_A_DAY: &str = "^(1d|(([1-9]|1[0-9]|2[0-3])h)?(([1-9]|[1-5][0-9])m)?(([1-9]|[1-5][0-9])s)?([1-9][0-9]{0,2}ms)?)$";

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

impl PartialSchema for HumanDuration {
    fn schema() -> RefOr<Schema> {
        duration(DURATION, 1)
    }
}

impl ToSchema for HumanDuration {}

/// The time between two probes.
pub(super) fn probe_interval() -> RefOr<Schema> {
    duration(PROBE_INTERVAL, 100)
}

/// Perhaps the time between two probes.
pub(super) fn perhaps_probe_interval() -> RefOr<Schema> {
    nullable(probe_interval())
}

/// Perhaps how long an endpoint may take to start.
pub(super) fn start_grace() -> RefOr<Schema> {
    nullable(duration_up_to(WITHIN_A_DAY, 0, DAY))
}

fn duration(pattern: &str, least: u64) -> RefOr<Schema> {
    duration_up_to(pattern, least, YEAR)
}

fn duration_up_to(pattern: &str, least: u64, most: u64) -> RefOr<Schema> {
    let written = text(
        "`30s`, `1m30s`, `250ms`; read in some more forms.",
        pattern,
        (2, 20),
        "30s",
    );
    let milliseconds = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .description(Some("Milliseconds; written back as a text."))
        .minimum(Some(least))
        .maximum(Some(most));
    OneOfBuilder::new().item(written).item(milliseconds).into()
}

/// A status that can be written: tombstones come by deletion.
pub(super) fn writable_status() -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("Whether requests are served."))
        .enum_values(Some(["provisioning", "active", "suspended"]))
        .default(Some("active".into()))
        .into()
}

/// Perhaps a name on one line.
pub(super) fn one_line() -> RefOr<Schema> {
    nullable(text(
        "1 to 256 characters on one line.",
        ONE_LINE,
        (1, 256),
        "ACME Corp",
    ))
}

/// What something is done for.
pub(super) fn reason() -> RefOr<Schema> {
    text(
        "What is done, for people; 1 to 256 characters on one line.",
        ONE_LINE,
        (1, 256),
        "moving to new disks",
    )
    .into()
}

/// Perhaps a time.
pub(super) fn moment_or_null() -> RefOr<Schema> {
    nullable(
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(MOMENT))
            .examples([serde_json::json!("2026-11-22T05:00:00Z")]),
    )
}

/// Perhaps a share of requests.
pub(super) fn objective_or_null() -> RefOr<Schema> {
    nullable(text(
        "The share of requests that are served well, `50%` to `99.9999%`.",
        r"^[5-9][0-9](\.[0-9]{0,3}[1-9])?%$",
        (3, 8),
        "99.9%",
    ))
}

/// Perhaps a DNS label.
pub(super) fn dns_label() -> RefOr<Schema> {
    nullable(text(
        "A DNS label.",
        "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
        (1, 63),
        "tenant-acme",
    ))
}

/// The time between two deep checks: at least a second.
pub(super) fn deep_interval() -> RefOr<Schema> {
    duration(WHOLE_SECONDS, 1000)
}

/// Perhaps what a healthy answer's body contains.
pub(super) fn expected_body() -> RefOr<Schema> {
    nullable(text(
        "What the first 64 KiB of a healthy answer's body contain.",
        "^[ -~]+$",
        (1, 256),
        "OK",
    ))
}

/// Perhaps the oldest version that an endpoint may have.
pub(super) fn oldest_version() -> RefOr<Schema> {
    nullable(text(
        "The oldest version it may have.",
        "^v?[0-9]{1,9}(\\.[0-9]{1,9}){1,2}$",
        (3, 30),
        "v1.150",
    ))
}

/// Headers that probes send; `null` is none.
pub(super) fn probe_headers() -> RefOr<Schema> {
    let name = text(
        "Lower case; neither credentials nor framing nor `host`.",
        "^x-[0-9a-z-]{1,61}$",
        (3, 63),
        "x-probe",
    );
    let value = text("Its value.", "^[!-~]([ -~]{0,254}[!-~])?$", (1, 256), "1");
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Object, Type::Null]))
        .description(Some("Headers sent with each probe."))
        .property_names(Some(name.build()))
        .additional_properties(Some(value))
        .max_properties(Some(16))
        .into()
}

impl PartialSchema for StatusRange {
    fn schema() -> RefOr<Schema> {
        let written = text(
            "`204`, `2xx`, `200-299`.",
            "^[2-5]([0-9]{2}|xx)$",
            (3, 7),
            "2xx",
        );
        let one = number("One status; written back as a text.", 200, 599);
        OneOfBuilder::new().item(written).item(one).into()
    }
}

impl ToSchema for StatusRange {}

/// An absolute path without a fragment, as probes ask for it.
pub(super) fn probe_path() -> RefOr<Schema> {
    text("The path asked.", "^/[!-\"$-~]*$", (1, 2000), "/health").into()
}

/// Labels; `null` is none.
pub(super) fn labels() -> RefOr<Schema> {
    let value = text("At most 63 characters.", ONE_LINE, (0, 63), "sre");
    map("Free-form labels.", value)
}

/// Switches; `null` is none.
pub(super) fn switches() -> RefOr<Schema> {
    map(
        "Feature switches by name.",
        ObjectBuilder::new().schema_type(Type::Boolean),
    )
}

fn map(description: &str, value: ObjectBuilder) -> RefOr<Schema> {
    let key = text("1 to 63 characters.", ONE_LINE, (1, 63), "team").build();
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Object, Type::Null]))
        .description(Some(description))
        .property_names(Some(key))
        .additional_properties(Some(value))
        .into()
}

impl PartialSchema for Endpoint {
    fn schema() -> RefOr<Schema> {
        let long = closed("One address of a deployment.")
            .property("url", reference::<EndpointUrl>())
            .required("url")
            .property(
                "zone",
                ObjectBuilder::new()
                    .schema_type(SchemaType::from_iter([Type::String, Type::Null]))
                    .description(Some("The failure domain it stands in.")),
            )
            .property(
                "priority",
                number("Lower is preferred.", 0, 65_535).default(Some(0.into())),
            )
            .property(
                "weight",
                number("Share under `round_robin`.", 1, 1000).default(Some(1.into())),
            )
            .property("protocol", reference::<EndpointProtocol>())
            .property(
                "drain",
                ObjectBuilder::new()
                    .schema_type(Type::Boolean)
                    .description(Some(
                        "Whether it is taken out of use: requests in flight there finish, no further ones are sent.",
                    ))
                    .default(Some(false.into())),
            );
        OneOfBuilder::new()
            .item(reference::<EndpointUrl>())
            .item(long)
            .description(Some("A URL, or a map that says more."))
            .into()
    }
}

impl ToSchema for Endpoint {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        add::<EndpointUrl>(schemas);
        add::<EndpointProtocol>(schemas);
    }
}

fn number(description: &str, least: u64, most: u64) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .description(Some(description))
        .minimum(Some(least))
        .maximum(Some(most))
}

fn add<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
}

impl PartialSchema for SecretSource {
    fn schema() -> RefOr<Schema> {
        let file = closed("In a file of the router's machine.")
            .property(
                "file",
                text("An absolute path.", FILE, (2, 4096), "/etc/mirador/acme"),
            )
            .required("file");
        let variable = closed("In a variable of the router's environment.")
            .property("env", text("Its name.", VARIABLE, (1, 255), "ACME_TOKEN"))
            .required("env");
        OneOfBuilder::new()
            .item(file)
            .item(variable)
            .description(Some("Where a secret is found; never the secret."))
            .into()
    }
}

impl ToSchema for SecretSource {}

impl PartialSchema for UpstreamAuth {
    fn schema() -> RefOr<Schema> {
        let username = text(
            "The user name.",
            r"^[^:\x00-\x1f\x7f-\x9f]+$",
            (1, 256),
            "mirador",
        );
        let basic = closed("`Authorization: Basic`.")
            .property("username", username)
            .required("username")
            .property("password", reference::<SecretSource>())
            .required("password");
        let bearer = closed("`Authorization: Bearer`.")
            .property("token", reference::<SecretSource>())
            .required("token");
        OneOfBuilder::new()
            .item(closed("").property("basic", basic).required("basic"))
            .item(closed("").property("bearer", bearer).required("bearer"))
            .description(Some("What the router presents to the endpoints."))
            .into()
    }
}

impl ToSchema for UpstreamAuth {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        add::<SecretSource>(schemas);
    }
}

impl PartialSchema for UpstreamTls {
    fn schema() -> RefOr<Schema> {
        let file = |description: &str| text(description, FILE, (2, 4096), "/etc/mirador/ca.pem");
        let name = text(
            "A host name.",
            "^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$",
            (1, 253),
            "vm",
        )
        .build();
        let verified = |description| {
            closed(description)
                .property(
                    "ca_file",
                    nullable(file("PEM file of the authorities to trust.")),
                )
                .property("server_name", nullable(name.clone()))
        };
        let identified = verified("With a client certificate.")
            .property("cert_file", file("PEM file of the certificate chain."))
            .required("cert_file")
            .property("key_file", file("PEM file of its key."))
            .required("key_file");
        OneOfBuilder::new()
            .item(verified("Without a client certificate."))
            .item(identified)
            .description(Some("How HTTPS endpoints are verified."))
            .into()
    }
}

impl ToSchema for UpstreamTls {}

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

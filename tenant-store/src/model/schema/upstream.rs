//! How endpoints are addressed, verified and spoken to.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ObjectBuilder, OneOfBuilder, RefOr, Schema,
        schema::{SchemaType, Type},
    },
};

use super::{add, closed, nullable, number, reference, text};
use crate::model::{
    Endpoint, EndpointProtocol, EndpointUrl, SecretSource, UpstreamAuth, UpstreamTls,
};

const FILE: &str = "^/[!-~]{1,200}$";

const VARIABLE: &str = "^[A-Za-z_][A-Za-z0-9_]{0,100}$";

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

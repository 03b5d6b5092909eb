//! How an error is told to a client: in the format its protocol expects, naming the tenant, the
//! reason and the request, and nothing of anybody else.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::json;

use super::ProxyError;
use crate::proxy::classify::Dialect;

/// What an answer needs to know of the request it answers.
#[derive(Debug, Clone, Copy)]
pub struct Answerable<'a> {
    /// The client's protocol.
    pub dialect: Dialect,
    /// Whether the request brings data that its sender would keep if told to.
    pub ingestion: bool,
    /// The tenant as named by the client, if it named one well.
    pub tenant: Option<&'a str>,
    /// The request's id.
    pub request_id: &'a str,
}

/// `grpc-status` codes, from the gRPC specification.
mod grpc {
    pub(super) const INVALID_ARGUMENT: u8 = 3;
    pub(super) const DEADLINE_EXCEEDED: u8 = 4;
    pub(super) const PERMISSION_DENIED: u8 = 7;
    pub(super) const UNIMPLEMENTED: u8 = 12;
    pub(super) const INTERNAL: u8 = 13;
    pub(super) const UNAVAILABLE: u8 = 14;
    pub(super) const UNAUTHENTICATED: u8 = 16;
}

/// Renders an error as the answer to a request.
pub fn answer(error: &ProxyError, request: &Answerable<'_>) -> Response<Bytes> {
    let status = error.status(request.ingestion);
    let text = text(error, request);
    let (status, content_type, body) = match request.dialect {
        Dialect::Prometheus => (status, "application/json", prometheus(error, status, &text)),
        Dialect::Text => (status, "text/plain; charset=utf-8", format!("{text}\n")),
        Dialect::Jaeger => (status, "application/json", jaeger(status, &text)),
        Dialect::Grpc => (StatusCode::OK, "application/grpc", String::new()),
    };
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Some(wait) = error.retry_after(request.ingestion) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs()));
    }
    if let Some(challenge) = error.challenge() {
        let challenge = HeaderValue::from_static(challenge);
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
    if status == StatusCode::METHOD_NOT_ALLOWED {
        let allowed = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
        headers.insert(header::ALLOW, HeaderValue::from_static(allowed));
    }
    if let Dialect::Grpc = request.dialect {
        headers.insert(
            "grpc-status",
            HeaderValue::from(grpc_status(error, request.ingestion)),
        );
        if let Ok(message) = HeaderValue::from_str(&grpc_message(&text)) {
            headers.insert("grpc-message", message);
        }
    } else if error.closes_connection() {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// `tenant acme: the tenant is suspended (request 4f0c…)`.
fn text(error: &ProxyError, request: &Answerable<'_>) -> String {
    match request.tenant {
        Some(tenant) => format!("tenant {tenant}: {error} (request {})", request.request_id),
        None => format!("{error} (request {})", request.request_id),
    }
}

fn prometheus(error: &ProxyError, status: StatusCode, text: &str) -> String {
    let kind = match status {
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::BAD_GATEWAY => "unavailable",
        StatusCode::GATEWAY_TIMEOUT | StatusCode::REQUEST_TIMEOUT => "timeout",
        StatusCode::UNAUTHORIZED => "unauthorized",
        StatusCode::FORBIDDEN => "forbidden",
        StatusCode::TOO_MANY_REQUESTS => "too_many_requests",
        _ => "bad_data",
    };
    json!({ "status": "error", "errorType": kind, "error": text, "reason": error.reason() })
        .to_string()
}

fn jaeger(status: StatusCode, text: &str) -> String {
    json!({ "data": null, "errors": [{ "code": status.as_u16(), "msg": text }] }).to_string()
}

fn grpc_status(error: &ProxyError, ingestion: bool) -> u16 {
    let code = match error.status(ingestion) {
        StatusCode::BAD_REQUEST => grpc::INVALID_ARGUMENT,
        StatusCode::UNAUTHORIZED => grpc::UNAUTHENTICATED,
        StatusCode::FORBIDDEN => grpc::PERMISSION_DENIED,
        StatusCode::METHOD_NOT_ALLOWED => grpc::UNIMPLEMENTED,
        StatusCode::GATEWAY_TIMEOUT => grpc::DEADLINE_EXCEEDED,
        // What gRPC has for 429 makes OTLP exporters drop their data.
        StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::TOO_MANY_REQUESTS => grpc::UNAVAILABLE,
        _ => grpc::INTERNAL,
    };
    code.into()
}

/// Percent-encodes what `grpc-message` can't carry as it is (gRPC over HTTP/2, "Responses").
fn grpc_message(text: &str) -> String {
    const KEPT: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS.add(b'%');
    percent_encoding::utf8_percent_encode(text, KEPT).to_string()
}

#[cfg(test)]
mod tests {
    use tenant_store::model::{Signal, Status};

    use super::*;

    fn request(dialect: Dialect, ingestion: bool) -> Answerable<'static> {
        Answerable {
            dialect,
            ingestion,
            tenant: Some("acme"),
            request_id: "r-1",
        }
    }

    #[test]
    fn grafana_can_show_the_message() {
        let error = ProxyError::NotServed(Status::Suspended);
        let response = answer(&error, &request(Dialect::Prometheus, false));
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        let body: serde_json::Value = serde_json::from_slice(response.body()).expect("JSON");
        assert_eq!(body["status"], "error");
        assert_eq!(
            body["error"],
            "tenant acme: the tenant is suspended (request r-1)"
        );
    }

    #[test]
    fn jaeger_and_text_clients_get_their_own_form() {
        let error = ProxyError::NoEndpoint(Signal::Traces);
        let jaeger = answer(&error, &request(Dialect::Jaeger, false));
        let body: serde_json::Value = serde_json::from_slice(jaeger.body()).expect("JSON");
        assert_eq!(body["errors"][0]["code"], 503);
        let text = answer(&error, &request(Dialect::Text, false));
        assert!(
            text.body()
                .starts_with(b"tenant acme: no endpoint of the tenant's traces")
        );
        assert_eq!(text.headers()[header::RETRY_AFTER], "1");
    }

    #[test]
    fn grpc_errors_are_an_empty_200_with_a_status() {
        let error = ProxyError::NoEndpoint(Signal::Traces);
        let response = answer(&error, &request(Dialect::Grpc, true));
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["grpc-status"], "14");
        assert!(response.body().is_empty());
    }

    #[test]
    fn senders_of_unknown_or_unready_tenants_keep_their_data_and_readers_learn_nothing() {
        for error in [
            ProxyError::UnknownTenant,
            ProxyError::NotServed(Status::Provisioning),
        ] {
            let response = answer(&error, &request(Dialect::Text, true));
            assert_eq!(
                response.status(),
                StatusCode::SERVICE_UNAVAILABLE,
                "{error}"
            );
            assert!(
                response.headers().contains_key(header::RETRY_AFTER),
                "{error}"
            );
        }
        let read = answer(
            &ProxyError::UnknownTenant,
            &request(Dialect::Prometheus, false),
        );
        assert_eq!(read.status(), StatusCode::FORBIDDEN);
    }
}

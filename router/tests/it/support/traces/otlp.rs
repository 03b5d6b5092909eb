//! Just enough of the protobuf encoding to read spans, and to write telemetry of one item each.

use super::hex;

/// What the double keeps of a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    /// The resource attribute `service.name`.
    pub(crate) service: String,
    /// In hexadecimal, as Jaeger's API shows it.
    pub(crate) trace_id: String,
    pub(crate) id: String,
    pub(crate) name: String,
}

/// A field of a message.
enum Field<'a> {
    Bytes(&'a [u8]),
    Number,
}

/// Reads an `ExportTraceServiceRequest`. `None` if it is none.
pub(crate) fn read_spans(message: &[u8]) -> Option<Vec<Span>> {
    let mut spans = Vec::new();
    for resource_spans in children(message, 1)? {
        let service = children(resource_spans, 1)?
            .first()
            .map_or(Some(String::new()), |resource| service_name(resource))?;
        for scope_spans in children(resource_spans, 2)? {
            for span in children(scope_spans, 2)? {
                spans.push(Span {
                    service: service.clone(),
                    trace_id: hex(children(span, 1)?.first()?),
                    id: hex(children(span, 2)?.first()?),
                    name: text(children(span, 5)?.first()?)?,
                });
            }
        }
    }
    Some(spans)
}

/// The only message of an uncompressed gRPC body.
pub(crate) fn unframe(body: &[u8]) -> Option<&[u8]> {
    let (prefix, message) = body.split_first_chunk::<5>()?;
    let [0, a, b, c, d] = *prefix else {
        return None;
    };
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?;
    (message.len() == length).then_some(message)
}

/// An `ExportTraceServiceRequest` with one span of this service and name. The ids are made of
/// `seed`.
pub(crate) fn write_span(service: &str, name: &str, seed: u8, now_nanos: u64) -> Vec<u8> {
    let span = [
        bytes(1, &[seed; 16]),
        bytes(2, &[seed; 8]),
        bytes(5, name.as_bytes()),
        fixed64(7, now_nanos),
        fixed64(8, now_nanos + 1_000_000),
    ];
    one_item(service, &span.concat())
}

/// An `ExportLogsServiceRequest` with one record.
pub(crate) fn write_log(service: &str, message: &str, now_nanos: u64) -> Vec<u8> {
    let body = bytes(5, &bytes(1, message.as_bytes()));
    one_item(service, &[fixed64(1, now_nanos), body].concat())
}

/// An `ExportMetricsServiceRequest` with one gauge of the value 1.
pub(crate) fn write_gauge(service: &str, name: &str, now_nanos: u64) -> Vec<u8> {
    let point = [fixed64(3, now_nanos), fixed64(4, 1.0_f64.to_bits())].concat();
    let gauge = bytes(5, &bytes(1, &point));
    one_item(service, &[bytes(1, name.as_bytes()), gauge].concat())
}

/// The request around one item is the same for all three signals.
fn one_item(service: &str, item: &[u8]) -> Vec<u8> {
    let value = bytes(1, service.as_bytes());
    let attribute = [bytes(1, b"service.name"), bytes(2, &value)].concat();
    let resource = bytes(1, &bytes(1, &attribute));
    let scope = bytes(2, &bytes(2, item));
    bytes(1, &[resource, scope].concat())
}

/// A field that is a text or a message.
pub(crate) fn bytes(field: u8, content: &[u8]) -> Vec<u8> {
    let length = varint(content.len() as u64);
    [&[(field << 3) | 2], &*length, content].concat()
}

/// A field that is a number below 2^63.
pub(crate) fn number(field: u8, number: i64) -> Vec<u8> {
    let number = varint(u64::try_from(number).expect("a positive number"));
    [&[field << 3], &*number].concat()
}

/// A field that is eight bytes.
pub(crate) fn fixed64(field: u8, number: u64) -> Vec<u8> {
    let mut encoded = vec![(field << 3) | 1];
    encoded.extend(number.to_le_bytes());
    encoded
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut encoded = Vec::new();
    while number >= 0x80 {
        encoded.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    encoded.push(number.to_le_bytes()[0]);
    encoded
}

fn service_name(resource: &[u8]) -> Option<String> {
    for attribute in children(resource, 1)? {
        if children(attribute, 1)?.first() == Some(&&b"service.name"[..]) {
            let value = *children(attribute, 2)?.first()?;
            return text(children(value, 1)?.first()?);
        }
    }
    Some(String::new())
}

fn text(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}

/// All byte fields of this number.
fn children(message: &[u8], wanted: u64) -> Option<Vec<&[u8]>> {
    let mut rest = message;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (number, field) = next_field(&mut rest)?;
        if let (true, Field::Bytes(bytes)) = (number == wanted, field) {
            found.push(bytes);
        }
    }
    Some(found)
}

fn next_field<'a>(rest: &mut &'a [u8]) -> Option<(u64, Field<'a>)> {
    let key = read_varint(rest)?;
    let field = match key & 7 {
        0 => read_varint(rest).map(|_| Field::Number)?,
        1 => rest.split_off(..8).map(|_| Field::Number)?,
        2 => {
            let length = usize::try_from(read_varint(rest)?).ok()?;
            Field::Bytes(rest.split_off(..length)?)
        }
        5 => rest.split_off(..4).map(|_| Field::Number)?,
        _ => return None,
    };
    Some((key >> 3, field))
}

fn read_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = *rest.split_off_first()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

//! The API's description as a page: written once, on the router, of the description itself. No
//! script, no style, no font from anywhere.

use std::fmt::Write as _;

use base64::{Engine, prelude::BASE64_STANDARD};
use ring::digest::{SHA256, digest};
use serde_json::{Map, Value};

/// A page, and what a browser may do with it.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) html: String,
    /// The `Content-Security-Policy`: nothing but the style that is in the page.
    pub(super) policy: String,
}

const STYLE: &str = "\
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}\
h2{margin-top:2.5rem;border-bottom:1px solid #ccc}\
details{border:1px solid #ddd;border-radius:4px;margin:.5rem 0;padding:.4rem .8rem}\
summary{cursor:pointer}summary b{display:inline-block;min-width:4.5rem;font-family:monospace}\
code{font-family:monospace;background:#f4f4f4;padding:0 .2rem}\
table{border-collapse:collapse;margin:.5rem 0}td,th{border:1px solid #ddd;padding:.2rem .6rem;text-align:left;vertical-align:top}\
.role{float:right;color:#666}\
@media(prefers-color-scheme:dark){body{color:#ddd;background:#1b1b1b}code{background:#2a2a2a}td,th,details,h2{border-color:#444}}";

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

impl Page {
    /// Writes the page of an `OpenAPI` document.
    pub(super) fn of(api: &Value) -> Self {
        let hash = BASE64_STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
        let policy = format!(
            "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'"
        );
        let mut html = String::with_capacity(1 << 16);
        let title = text(&api["info"]["title"]);
        let _ = write!(
            html,
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
             <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head>\
             <body><h1>{title} {}</h1><p>{}</p><p><a href=\"openapi.json\">openapi.json</a></p>",
            text(&api["info"]["version"]),
            prose(&api["info"]["description"]),
        );
        for tag in list(&api["tags"]) {
            let name = tag["name"].as_str().unwrap_or_default();
            let _ = write!(
                html,
                "<h2 id=\"{0}\">{0}</h2><p>{1}</p>",
                escape(name),
                prose(&tag["description"])
            );
            operations(&mut html, api, name);
        }
        html.push_str("<h2 id=\"schemas\">schemas</h2>");
        for (name, schema) in fields(&api["components"]["schemas"]) {
            let _ = write!(
                html,
                "<details id=\"schema-{0}\"><summary><code>{0}</code> {1}</summary>",
                escape(name),
                prose(&schema["description"])
            );
            definition(&mut html, schema);
            html.push_str("</details>");
        }
        html.push_str("</body></html>\n");
        Self { html, policy }
    }
}

fn operations(html: &mut String, api: &Value, tag: &str) {
    for (path, item) in fields(&api["paths"]) {
        for method in METHODS {
            let operation = &item[method];
            if list(&operation["tags"]).any(|name| name == tag) {
                one(html, path, method, operation);
            }
        }
    }
}

fn one(html: &mut String, path: &str, method: &str, operation: &Value) {
    let role = match (&operation["x-required-role"], &operation["security"]) {
        (Value::String(role), _) => role,
        (_, Value::Array(_)) => "a token of its own",
        _ => "anybody",
    };
    let _ = write!(
        html,
        "<details id=\"{}\"><summary><b>{}</b> <code>{}</code> {}<span class=\"role\">{role}</span>\
         </summary><p>{}</p>",
        text(&operation["operationId"]),
        method.to_uppercase(),
        escape(path),
        prose(&operation["summary"]),
        prose(&operation["description"]),
    );
    let parameters: Vec<_> = list(&operation["parameters"]).collect();
    if !parameters.is_empty() {
        html.push_str("<table><tr><th>parameter</th><th>in</th><th>type</th><th></th></tr>");
        for parameter in parameters {
            let required = match parameter["required"] {
                Value::Bool(true) => "<b>required</b> ",
                _ => "",
            };
            let _ = write!(
                html,
                "<tr><td><code>{}</code></td><td>{}</td><td>{}</td><td>{required}{}</td></tr>",
                text(&parameter["name"]),
                text(&parameter["in"]),
                kind(&parameter["schema"]),
                prose(&parameter["description"]),
            );
        }
        html.push_str("</table>");
    }
    let body = &operation["requestBody"];
    if body.is_object() {
        let _ = write!(html, "<p>Body: {} ", prose(&body["description"]));
        contents(html, &body["content"]);
        html.push_str("</p>");
    }
    html.push_str("<table><tr><th>status</th><th>body</th><th></th></tr>");
    for (status, response) in fields(&operation["responses"]) {
        let _ = write!(html, "<tr><td>{}</td><td>", escape(status));
        contents(html, &response["content"]);
        let _ = write!(
            html,
            "</td><td>{}</td></tr>",
            prose(&response["description"])
        );
    }
    html.push_str("</table></details>");
}

fn contents(html: &mut String, contents: &Value) {
    for (n, (media_type, content)) in fields(contents).enumerate() {
        let comma = if n == 0 { "" } else { ", " };
        let _ = write!(
            html,
            "{comma}{} <code>{}</code>",
            kind(&content["schema"]),
            escape(media_type)
        );
    }
}

fn definition(html: &mut String, schema: &Value) {
    if fields(&schema["properties"]).next().is_none() {
        let _ = write!(html, "<p>{}</p>", kind(schema));
        return;
    }
    let required: Vec<_> = list(&schema["required"])
        .filter_map(Value::as_str)
        .collect();
    html.push_str("<table><tr><th>field</th><th>type</th><th></th></tr>");
    for (name, field) in fields(&schema["properties"]) {
        let must = if required.contains(&name.as_str()) {
            "<b>required</b> "
        } else {
            ""
        };
        let _ = write!(
            html,
            "<tr><td><code>{}</code></td><td>{}</td><td>{must}{}</td></tr>",
            escape(name),
            kind(field),
            prose(&field["description"]),
        );
    }
    html.push_str("</table>");
}

/// A schema in a few words, with links to those that have a name.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"]
        .as_str()
        .and_then(|path| path.rsplit('/').next())
    {
        return format!("<a href=\"#schema-{0}\">{0}</a>", escape(name));
    }
    for several in ["oneOf", "anyOf", "allOf"] {
        let kinds: Vec<_> = list(&schema[several]).map(kind).collect();
        if !kinds.is_empty() {
            return kinds.join(if several == "allOf" { " and " } else { " or " });
        }
    }
    let values: Vec<_> = list(&schema["enum"])
        .map(|value| format!("<code>{}</code>", escape(&value.to_string())))
        .collect();
    if !values.is_empty() {
        return values.join(", ");
    }
    let named = match &schema["type"] {
        Value::Array(kinds) => {
            let kinds: Vec<_> = kinds.iter().filter_map(Value::as_str).collect();
            kinds.join(" or ")
        }
        kind => kind.as_str().unwrap_or("any").to_owned(),
    };
    let inner = match (&schema["items"], &schema["additionalProperties"]) {
        (items @ Value::Object(_), _) => format!(" of {}", kind(items)),
        (_, values @ Value::Object(_)) => format!(" of {}", kind(values)),
        _ => String::new(),
    };
    let bounds = ["minimum", "maximum", "pattern"].map(|name| match &schema[name] {
        Value::Null => String::new(),
        Value::String(bound) => format!(", {name} <code>{}</code>", escape(bound)),
        bound => format!(", {name} {bound}"),
    });
    format!("{}{inner}{}", escape(&named), bounds.concat())
}

fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A text for people, in which `` `code` `` is marked.
fn prose(value: &Value) -> String {
    let escaped = text(value);
    let mut marked = String::with_capacity(escaped.len());
    for (n, part) in escaped.split('`').enumerate() {
        if n > 0 {
            marked.push_str(if n % 2 == 1 { "<code>" } else { "</code>" });
        }
        marked.push_str(part);
    }
    if escaped.matches('`').count() % 2 == 1 {
        marked.push_str("</code>");
    }
    marked
}

fn text(value: &Value) -> String {
    escape(value.as_str().unwrap_or_default())
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_described_is_shown_and_nothing_of_it_is_markup() {
        let api = json!({
            "info": {"title": "A & B", "version": "1", "description": "see `x` <script>"},
            "tags": [{"name": "t", "description": "those of t"}],
            "paths": {"/a/{id}": {"get": {
                "tags": ["t"], "operationId": "getA", "summary": "Read a",
                "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"$ref": "#/components/schemas/Id"}}],
                "responses": {"200": {"description": "it", "content": {"application/json": {"schema": {"type": "array", "items": {"type": "string"}}}}}},
            }}},
            "components": {"schemas": {"Id": {"type": "string", "pattern": "^<$"}}},
        });
        let Page { html, policy } = Page::of(&api);
        for shown in [
            "<h1>A &amp; B 1</h1>",
            "see <code>x</code> &lt;script&gt;",
            "<b>GET</b> <code>/a/{id}</code> Read a",
            "<a href=\"#schema-Id\">Id</a>",
            "array of string",
            "pattern <code>^&lt;$</code>",
        ] {
            assert!(html.contains(shown), "{shown}: {html}");
        }
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"));
        assert!(
            !html.contains("<script") && !html.contains("http"),
            "{html}"
        );
    }
}

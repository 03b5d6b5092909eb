//! What there is to see, as commands to paste into another terminal.

use std::path::Path;

use deploy::grafana::{self, TenantAccess};
use tenant_store::model::TenantIdError;

use super::{
    DemoError,
    backend::Backend,
    page::Page,
    sandbox::Sandbox,
    world::{TenantWorld, World},
};

/// Writes the guide, and the files that its commands need.
pub(super) fn write(world: &World, sandbox: &Sandbox, page: &mut Page) -> Result<(), DemoError> {
    let promtool = sandbox.write("promtool-acme.yaml", PROMTOOL_CONFIG)?;
    let data_sources = sandbox.write("grafana-datasources.yaml", &data_sources(world)?)?;
    page.line("")?;
    write_places(world, sandbox, page)?;
    write_queries(world, page)?;
    write_clients(world, &promtool, &data_sources, page)?;
    write_failures(world, sandbox, page)?;
    page.line("Ctrl-C ends the demo and removes all of it.")
}

const PROMTOOL_CONFIG: &str = "http_headers:\n  X-Tenant-ID:\n    values: [acme]\n";

fn write_places(world: &World, sandbox: &Sandbox, page: &mut Page) -> Result<(), DemoError> {
    let (public, admin) = (world.router.public.url(), world.router.admin.url());
    page.line(format_args!(
        "router   {public}, admin API and /metrics on {admin}"
    ))?;
    for tenant in world.tenants() {
        page.line(format_args!("{:8} {}", tenant.id, places(tenant)))?;
    }
    page.line(format_args!("files    {}", sandbox.folder().display()))
}

/// `metrics 127.0.0.1:1 and 127.0.0.1:2, logs 127.0.0.1:3`
fn places(tenant: &TenantWorld) -> String {
    let [first, second] = tenant.metrics.each_ref().map(Backend::authority);
    let others = tenant.backends().skip(tenant.metrics.len());
    let others = others.map(|backend| format!(", {} {}", backend.signal(), backend.authority()));
    format!("metrics {first} and {second}{}", others.collect::<String>())
}

fn write_queries(world: &World, page: &mut Page) -> Result<(), DemoError> {
    let url = world.router.public.url();
    section(page, "The same query, and each tenant gets its own metrics")?;
    for tenant in world.tenants() {
        page.line(format_args!(
            "  curl -s {url}/api/v1/query -H 'X-Tenant-ID: {}' \
             --data-urlencode 'query=count by (__name__) ({{__name__!=\"\"}})'",
            tenant.id
        ))?;
    }
    section(page, "The same for logs, and live")?;
    for tenant in world.tenants() {
        page.line(format_args!(
            "  curl -s {url}/select/logsql/query -H 'X-Tenant-ID: {}' -d 'query=*' -d limit=3",
            tenant.id
        ))?;
    }
    page.line(format_args!(
        "  curl -sN {url}/select/logsql/tail -H 'X-Tenant-ID: acme' -d 'query=level:info'"
    ))?;
    if world.acme.traces.is_some() {
        let ingestion = format!("{url}/insert/opentelemetry/v1/traces");
        section(
            page,
            &format!("Traces, once an OTLP exporter sends some to {ingestion}"),
        )?;
        page.line(format_args!(
            "  curl -s {url}/select/jaeger/api/services -H 'X-Tenant-ID: acme'"
        ))?;
    }
    section(
        page,
        "No tenant, no answer; and the health of one tenant's backends",
    )?;
    page.line(format_args!("  curl -si '{url}/api/v1/query?query=1'"))?;
    page.line(format_args!(
        "  curl -si {url}/health -H 'X-Tenant-ID: acme'"
    ))
}

fn write_clients(
    world: &World,
    promtool: &Path,
    data_sources: &Path,
    page: &mut Page,
) -> Result<(), DemoError> {
    let (url, admin) = (world.router.public.url(), world.router.admin.url());
    let (mirador, token) = (
        world.router.program.display(),
        world.router.token_file.display(),
    );
    section(page, "promtool")?;
    page.line(format_args!(
        "  promtool query instant --http.config.file={} {url} 'sum by (service) (rate(shop_requests_total[5m]))'",
        promtool.display()
    ))?;
    section(
        page,
        "Grafana: a data source for each tenant and signal; put the file into provisioning/datasources",
    )?;
    page.line(format_args!("  cat {}", data_sources.display()))?;
    section(page, "The tenants, as their operator sees them")?;
    let access = format!("--server {admin} --token-file {token}");
    page.line(format_args!("  {mirador} tenant list {access}"))?;
    page.line(format_args!("  {mirador} tenant get acme {access}"))
}

fn write_failures(world: &World, sandbox: &Sandbox, page: &mut Page) -> Result<(), DemoError> {
    let (admin, token) = (world.router.admin.url(), world.router.token_file.display());
    let pid = sandbox.pid(world.acme.metrics[0].process());
    section(
        page,
        "Kill the endpoint that acme's metrics come from, ask again, and see what the router thinks of it",
    )?;
    page.line(format_args!("  kill -9 {pid}"))?;
    page.line(format_args!(
        "  {admin}/health in a browser; log in with the token in {token}"
    ))?;
    page.line(format_args!(
        "  curl -s {admin}/api/v1/tenants/acme/health -H \"Authorization: Bearer $(cat {token})\""
    ))?;
    page.line("")
}

fn section(page: &mut Page, title: &str) -> Result<(), DemoError> {
    page.line("")?;
    page.line(format_args!("{title}:"))
}

fn data_sources(world: &World) -> Result<String, DemoError> {
    let access = |tenant: &TenantWorld| {
        let mut signals: Vec<_> = tenant.backends().map(Backend::signal).collect();
        signals.dedup();
        Ok(TenantAccess {
            id: tenant.id.parse()?,
            display_name: tenant.display_name.into(),
            signals,
        })
    };
    let tenants: Result<Vec<_>, TenantIdError> = world.tenants().map(access).collect();
    let tenants = tenants.map_err(|error| DemoError::Unexpected(error.to_string()))?;
    let router = grafana::Router::at(&world.router.public.url());
    Ok(grafana::provisioning(&tenants, &router))
}

//! The demo's world: for each tenant real backends with data in them, and the router before them.
//!
//! The router is told of the tenants as operators tell it: by files, with `mirador tenant apply`.

mod files;
mod load;

use std::{path::PathBuf, time::Duration};

use futures_util::future::try_join_all;
use jiff::Timestamp;
use tenant_store::model::Signal;
use tokio::{process::Command, time::Instant};

use super::{
    DemoError,
    backend::Backend,
    client::Client,
    page::{Count, Page, Took},
    port::Port,
    programs::Programs,
    samples::{Samples, shop, wind_farm},
    sandbox::{ProcessId, Sandbox},
    wait::until,
};

/// Where the router listens if it can: what the documentation says everywhere.
const PUBLIC_PORT: u16 = 8427;
const ADMIN_PORT: u16 = 9427;
/// How long the router may take to be ready after it was started.
const START: Duration = Duration::from_secs(30);

/// All that runs.
#[derive(Debug)]
pub(super) struct World {
    pub(super) acme: TenantWorld,
    pub(super) globex: TenantWorld,
    pub(super) router: Router,
    pub(super) client: Client,
}

/// One tenant's backends.
#[derive(Debug)]
pub(super) struct TenantWorld {
    pub(super) id: &'static str,
    pub(super) display_name: &'static str,
    /// In the order of their priority, with the same data.
    pub(super) metrics: [Backend; 2],
    pub(super) logs: Backend,
    pub(super) traces: Option<Backend>,
    pub(super) samples: Samples,
}

/// The router and its files.
#[derive(Debug)]
pub(super) struct Router {
    pub(super) program: PathBuf,
    pub(super) public: Port,
    pub(super) admin: Port,
    pub(super) token_file: PathBuf,
    pub(super) tenant_files: PathBuf,
    pub(super) process: ProcessId,
}

impl World {
    /// Starts everything, loads the samples, and waits until queries find them.
    pub(super) async fn start(
        programs: Programs,
        sandbox: &mut Sandbox,
        page: &mut Page,
    ) -> Result<Self, DemoError> {
        let begun = Instant::now();
        let world = Self::started(&programs, sandbox).await?;
        let backends = world.backends().count();
        let took = Took(begun.elapsed());
        page.line(format_args!(
            "started  {backends} backends and the router in {took}"
        ))?;

        let begun = Instant::now();
        world.load().await?;
        let samples: u64 = world
            .tenants()
            .map(|tenant| tenant.samples.sample_count())
            .sum();
        let lines = world
            .tenants()
            .map(|tenant| u64::from(tenant.samples.log_count));
        let (samples, lines) = (Count(samples), Count(lines.sum()));
        let took = Took(begun.elapsed());
        page.line(format_args!(
            "loaded   {samples} samples and {lines} log lines in {took}"
        ))?;
        Ok(world)
    }

    /// Both tenants.
    pub(super) fn tenants(&self) -> impl Iterator<Item = &TenantWorld> {
        [&self.acme, &self.globex].into_iter()
    }

    async fn started(programs: &Programs, sandbox: &mut Sandbox) -> Result<Self, DemoError> {
        let now = Timestamp::now();
        let acme = TenantWorld::start("acme", "ACME Corp", shop::samples(now), programs, sandbox)?;
        let globex = TenantWorld::start(
            "globex",
            "Globex",
            wind_farm::samples(now),
            programs,
            sandbox,
        )?;
        let router = Router::start(programs, sandbox, &[&acme, &globex])?;
        let token = std::fs::read_to_string(&router.token_file)
            .map_err(|error| DemoError::io("read the admin token", error))?;
        let token = token.trim_end().to_owned();
        let client = Client::new(router.public.url(), router.admin.url(), token)?;
        let world = Self {
            acme,
            globex,
            router,
            client,
        };
        for backend in world.backends() {
            backend.until_healthy(&world.client, sandbox).await?;
        }
        world.router.until_ready(&world.client, sandbox).await?;
        world.router.apply_tenants().await?;
        Ok(world)
    }

    fn backends(&self) -> impl Iterator<Item = &Backend> {
        self.tenants().flat_map(TenantWorld::backends)
    }

    async fn load(&self) -> Result<(), DemoError> {
        try_join_all(
            self.tenants()
                .map(|tenant| load::load(tenant, &self.client)),
        )
        .await?;
        Ok(())
    }
}

impl TenantWorld {
    fn start(
        id: &'static str,
        display_name: &'static str,
        samples: Samples,
        programs: &Programs,
        sandbox: &mut Sandbox,
    ) -> Result<Self, DemoError> {
        let mut start = |name: &str, signal, program: &PathBuf| {
            Backend::start(&format!("{id}-{name}"), signal, program.clone(), sandbox)
        };
        Ok(Self {
            id,
            display_name,
            metrics: [
                start("metrics-a", Signal::Metrics, &programs.metrics)?,
                start("metrics-b", Signal::Metrics, &programs.metrics)?,
            ],
            logs: start("logs", Signal::Logs, &programs.logs)?,
            traces: match &programs.traces {
                Some(program) => Some(start("traces", Signal::Traces, program)?),
                None => None,
            },
            samples,
        })
    }

    /// All backends of the tenant.
    pub(super) fn backends(&self) -> impl Iterator<Item = &Backend> {
        self.metrics.iter().chain([&self.logs]).chain(&self.traces)
    }
}

impl Router {
    fn start(
        programs: &Programs,
        sandbox: &mut Sandbox,
        tenants: &[&TenantWorld],
    ) -> Result<Self, DemoError> {
        let public = Port::take_or_any(PUBLIC_PORT)?;
        let admin = Port::take_or_any(ADMIN_PORT)?;
        let token_file = sandbox.write("admin.token", &files::random_token())?;
        let text = files::router_config(public.address(), admin.address());
        let config = sandbox.write("mirador.yaml", &text)?;
        for tenant in tenants {
            let name = format!("tenants/{}.yaml", tenant.id);
            sandbox.write(&name, &files::tenant_file(tenant))?;
        }
        let program = programs.mirador.clone();
        let mut command = mirador(&program);
        command.arg("serve").arg("--config").arg(&config);
        let process = sandbox.start("mirador", &mut command)?;
        let tenant_files = sandbox.folder().join("tenants");
        Ok(Self {
            program,
            public,
            admin,
            token_file,
            tenant_files,
            process,
        })
    }

    async fn until_ready(&self, client: &Client, sandbox: &mut Sandbox) -> Result<(), DemoError> {
        until("the router to be ready", START, async || {
            sandbox.expect_running(self.process)?;
            Ok(client.is_ready().await.then_some(()))
        })
        .await
    }

    async fn apply_tenants(&self) -> Result<(), DemoError> {
        let mut command = mirador(&self.program);
        command
            .args(["tenant", "apply", "-f"])
            .arg(&self.tenant_files);
        command
            .args(["--server", &self.admin.url(), "--token-file"])
            .arg(&self.token_file);
        let output = command.kill_on_drop(true).output().await;
        let output = output.map_err(|error| DemoError::io("run mirador tenant apply", error))?;
        if output.status.success() {
            return Ok(());
        }
        Err(DemoError::Command {
            command: "mirador tenant apply".into(),
            status: output.status,
            output: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

/// This program, unimpressed by settings that are meant for others.
fn mirador(program: &PathBuf) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MIRADOR_") {
            command.env_remove(name);
        }
    }
    command
}

//! A generator's process, as the director holds it and as it is played: it prepares, says that it
//! is ready, goes when told, tells what it saw, and keeps its connections until it is let go.

use std::{path::Path, time::Duration};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines, Stdin},
    process::ChildStdout,
    time::timeout,
};

use super::{hold, multiplex, paced, storm, transfer};
use crate::{
    error::BenchError,
    lab::ourselves,
    process::{Process, end_with_parent},
    say,
};

/// Longest that one step may take.
const LIMIT: Duration = Duration::from_mins(5);
const READY: &str = "ready";

/// What a generator does.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Job {
    /// A long body, one way or the other.
    Transfer(transfer::Spec),
    /// Connections for one request each.
    Storm(storm::Spec),
    /// Many connections on which nothing happens.
    Hold(hold::Spec),
    /// Many requests at a time on each of few connections.
    Multiplex(multiplex::Spec),
    /// Requests at a given rate, come what may.
    Paced(paced::Spec),
}

/// A generator that is ready.
#[derive(Debug)]
pub(crate) struct Generator {
    process: Process,
    said: Lines<BufReader<ChildStdout>>,
    whom: String,
}

impl Generator {
    /// Starts a generator and waits until it is ready.
    pub(crate) async fn prepare(
        job: &Job,
        whom: &str,
        cpu: Option<u32>,
        folder: &Path,
    ) -> Result<Self, BenchError> {
        let told = serde_json::to_string(job).map_err(|error| talking(error.into()))?;
        let mut command = ourselves()?;
        command.arg("generate").arg(told);
        let mut process = Process::start_piped("generator", command, cpu, folder)?;
        let said = process.child_mut().stdout.take();
        let said = said.ok_or_else(|| unexpected("no standard output".into()))?;
        let mut generator = Self {
            process,
            said: BufReader::new(said).lines(),
            whom: whom.into(),
        };
        let line = generator.listen().await?;
        if line == READY {
            Ok(generator)
        } else {
            Err(unexpected(line))
        }
    }

    /// Lets it go and waits for what it saw.
    pub(crate) async fn go<Seen: DeserializeOwned>(&mut self) -> Result<Seen, BenchError> {
        self.let_go().await?;
        self.hear().await
    }

    /// Lets it go; what it sees is to be heard later.
    pub(crate) async fn let_go(&mut self) -> Result<(), BenchError> {
        if let Some(stdin) = &mut self.process.child_mut().stdin {
            stdin.write_all(b"go\n").await.map_err(talking)?;
        }
        Ok(())
    }

    /// Waits for what it saw.
    pub(crate) async fn hear<Seen: DeserializeOwned>(&mut self) -> Result<Seen, BenchError> {
        let line = self.listen().await?;
        serde_json::from_str(&line).map_err(|_| unexpected(line))
    }

    /// Closes its connections.
    pub(crate) async fn end(self) -> Result<(), BenchError> {
        self.process.stop().await
    }

    async fn listen(&mut self) -> Result<String, BenchError> {
        match timeout(LIMIT, self.said.next_line()).await {
            Ok(Ok(Some(line))) => Ok(line),
            Ok(Ok(None)) => {
                self.process.expect_end().await?;
                Err(unexpected(String::new()))
            }
            Ok(Err(error)) => Err(BenchError::io("listen to the generator", error)),
            Err(_) => {
                let what = format!("the load on {}", self.whom);
                Err(BenchError::TooLate { what, limit: LIMIT })
            }
        }
    }
}

/// Plays the generator.
pub(crate) async fn run(job: &str) -> Result<(), BenchError> {
    end_with_parent()?;
    let job: Job = serde_json::from_str(job).map_err(|_| BenchError::Unexpected {
        what: "the generator's job",
        text: job.into(),
    })?;
    let mut cues = Cues {
        told: BufReader::new(tokio::io::stdin()).lines(),
    };
    match job {
        Job::Transfer(spec) => transfer::run(&spec, &mut cues).await,
        Job::Storm(spec) => storm::run(&spec, &mut cues).await,
        Job::Hold(spec) => hold::run(&spec, &mut cues).await,
        Job::Multiplex(spec) => multiplex::run(&spec, &mut cues).await,
        Job::Paced(spec) => paced::run(spec, &mut cues).await,
    }
}

/// What the director says to the generator, seen from there.
#[derive(Debug)]
pub(super) struct Cues {
    told: Lines<BufReader<Stdin>>,
}

impl Cues {
    /// Says that all is prepared and waits; false if the director has gone.
    pub(super) async fn go(&mut self) -> Result<bool, BenchError> {
        say(&format!("{READY}\n"))?;
        self.heard().await
    }

    /// Tells what was seen, and waits: the director looks at the proxy before it lets go.
    pub(super) async fn tell(&mut self, seen: &impl Serialize) -> Result<(), BenchError> {
        let line = serde_json::to_string(seen)
            .map_err(|error| BenchError::io("tell the result", error.into()))?;
        say(&format!("{line}\n"))?;
        self.heard().await.map(|_| ())
    }

    async fn heard(&mut self) -> Result<bool, BenchError> {
        let line = self.told.next_line().await;
        let line = line.map_err(|error| BenchError::io("listen to the director", error))?;
        Ok(line.is_some())
    }
}

fn talking(error: std::io::Error) -> BenchError {
    BenchError::io("talk to the generator", error)
}

fn unexpected(text: String) -> BenchError {
    BenchError::Unexpected {
        what: "the generator",
        text,
    }
}

//! A real browser, headless: what a page does there, and what it asks for.

use std::{path::Path, process::Stdio};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

use super::{eventually, tools::tool, within_time};

/// What drives it.
const DRIVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/pages/driver.py");

/// How long one step may take on a busy machine: starting a browser, or looking all over a page.
const STEP: std::time::Duration = std::time::Duration::from_mins(1);

/// One tab of a browser with nothing remembered. Ends with its test.
#[derive(Debug)]
pub(crate) struct Browser {
    _child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Browser {
    /// Starts one.
    pub(crate) async fn start() -> Self {
        Self::start_with(true).await
    }

    /// Starts one that runs no scripts.
    pub(crate) async fn without_scripts() -> Self {
        Self::start_with(false).await
    }

    async fn start_with(scripts: bool) -> Self {
        let mut child = Command::new(tool(&["python3"]))
            .arg(DRIVER)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("a driver");
        let input = child.stdin.take().expect("its input");
        let output = BufReader::new(child.stdout.take().expect("its output")).lines();
        let mut browser = Self {
            _child: child,
            input,
            output,
        };
        let chromium = tool(&["chromium"]);
        let told = json!({"chromium": chromium, "scripts": scripts});
        browser.ask(&told).await;
        browser
    }

    /// Opens a page, and answers where that led.
    pub(crate) async fn open(&mut self, url: &str) -> String {
        let opened = self.ask(&json!(["open", url])).await;
        opened["url"].as_str().expect("a URL").to_owned()
    }

    /// What an expression comes to on the page.
    pub(crate) async fn evaluate(&mut self, script: &str) -> Value {
        self.ask(&json!(["evaluate", script])).await
    }

    /// The text of the first element that fits; empty if there is none.
    pub(crate) async fn text(&mut self, selector: &str) -> String {
        let selector = json!(selector);
        let script = format!("document.querySelector({selector})?.innerText ?? ''");
        let text = self.evaluate(&script).await;
        text.as_str().expect("a text").to_owned()
    }

    /// Waits until an expression is true on the page.
    pub(crate) async fn until(&mut self, what: &str, script: &str) {
        let probe = async || (self.evaluate(script).await == true).then_some(());
        eventually(what, probe).await;
    }

    pub(crate) async fn click(&mut self, selector: &str) {
        self.ask(&json!(["click", selector])).await;
    }

    pub(crate) async fn fill(&mut self, selector: &str, text: &str) {
        self.ask(&json!(["fill", selector, text])).await;
    }

    pub(crate) async fn choose(&mut self, selector: &str, value: &str) {
        self.ask(&json!(["choose", selector, value])).await;
    }

    pub(crate) async fn press(&mut self, key: &str) {
        self.ask(&json!(["press", key])).await;
    }

    /// As the system's setting is: `light` or `dark`.
    pub(crate) async fn colours(&mut self, scheme: &str) {
        self.ask(&json!(["colours", scheme])).await;
    }

    pub(crate) async fn size(&mut self, width: u32, height: u32) {
        self.ask(&json!(["size", width, height])).await;
    }

    /// Takes a picture of what is seen.
    pub(crate) async fn shoot(&mut self, path: &Path) {
        self.ask(&json!(["shoot", path, false])).await;
    }

    /// What keeps people from using the page that can't see it, or not well, or have no mouse.
    pub(crate) async fn barriers(&mut self) -> Vec<Value> {
        let found = self.ask(&json!(["barriers"])).await;
        found.as_array().expect("a list").clone()
    }

    /// What a screen reader tells of a part of the page: roles, names and states, as YAML.
    pub(crate) async fn by_ear(&mut self, selector: &str) -> String {
        let told = self.ask(&json!(["heard_by_ear", selector])).await;
        told.as_str().expect("a text").to_owned()
    }

    /// All that was asked for so far, and all that the browser complained about.
    pub(crate) async fn seen(&mut self) -> (Vec<String>, Vec<String>) {
        let seen = self.ask(&json!(["seen"])).await;
        let texts = |name: &str| {
            let list = seen[name].as_array().expect("a list").iter();
            list.map(|text| text.as_str().expect("a text").to_owned())
                .collect()
        };
        (texts("requests"), texts("complaints"))
    }

    async fn ask(&mut self, what: &Value) -> Value {
        let mut line = what.to_string();
        line.push('\n');
        let exchange = async {
            self.input.write_all(line.as_bytes()).await?;
            self.input.flush().await?;
            self.output.next_line().await
        };
        let answered = within_time(STEP, "the browser", exchange).await;
        let answer = answered.expect("an answer").expect("a browser that runs");
        let mut answer: Value = serde_json::from_str(&answer).expect("JSON");
        assert!(answer.get("error").is_none(), "{what}: {answer}");
        answer["ok"].take()
    }
}

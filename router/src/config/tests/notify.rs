//! Who is told of changes of health.

use super::*;
use crate::config::{NotableCondition, ReceiverKind};

#[test]
fn receivers_are_read_with_their_secrets_and_never_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("written");
        path.display().to_string()
    };
    let (url, token) = (
        file("hook.url", "https://hooks.example/hunter2\n"),
        file("hook.token", "hunter3\n"),
    );
    let config = good(&format!(
        "notify:
  conditions: [unhealthy]
  tiers: [pro]
  labels: {{cluster: eu-1}}
  instance: r1
  page_url: https://mirador.example
  receivers:
    - {{kind: alertmanager, url: 'http://am:9093/prefix', timeout: 3s}}
    - {{kind: webhook, url_file: {url}, token_file: {token}}}
"
    ));
    let notify = &config.settings.notify;
    assert_eq!(notify.conditions, [NotableCondition::Unhealthy]);
    assert_eq!(notify.labels["cluster"], "eu-1");
    assert_eq!(notify.instance, "r1");
    let [manager, hook] = notify.receivers.as_slice() else {
        panic!("{notify:?}");
    };
    assert_eq!(manager.kind, ReceiverKind::Alertmanager);
    assert_eq!(manager.timeout, Duration::from_secs(3));
    assert_eq!(hook.url.expose().as_str(), "https://hooks.example/hunter2");
    assert_eq!(hook.token.as_ref().map(Secret::expose), Some("hunter3"));
    assert_eq!(hook.url.to_string(), "https://hooks.example");
    let shown = format!("{config:?}");
    assert!(!shown.contains("hunter"), "{shown}");

    // Other secrets are other settings, whatever the file says.
    file("hook.token", "hunter4\n");
    let again = config.read_again().expect("a configuration");
    assert!(!config.is_same_text(&again));
}

#[test]
fn without_a_word_nobody_is_told_and_the_host_s_name_is_known() {
    let notify = good("{}").settings.notify.clone();
    assert!(notify.receivers.is_empty());
    assert!(!notify.instance.is_empty());
}

#[test]
fn faulty_receivers_are_told() {
    assert_faults(
        "notify:
  conditions: []
  wait: 2h
  labels: {tenant: x, a-b: y, empty: ''}
  page_url: ftp://x
  receivers:
    - {kind: webhook}
    - {kind: webhook, url: 'http://x', url_env: X}
    - {kind: pager, url: 'http://x'}
    - {kind: alertmanager, url: 'http://x', timeout: 1h, ca_file: no.crt}
    - {kind: alertmanager, url: 'http://x', timeout: 1h, ca_file: no.crt}
",
        &[
            (2, "notify.conditions", "at least one"),
            (3, "notify.wait", "expected 0s to 1h"),
            (4, "notify.labels.a-b", "letter"),
            (4, "notify.labels.empty", "value"),
            (4, "notify.labels.tenant", "already"),
            (5, "notify.page_url", "expected a URL"),
            (7, "notify.receivers[0]", "one of url"),
            (8, "notify.receivers[1]", "exclude each other"),
            (9, "notify.receivers[2].kind", "alertmanager"),
            (10, "notify.receivers[3].ca_file", "no.crt"),
            (10, "notify.receivers[3].timeout", "10ms to 5m"),
            (11, "notify.receivers[4].ca_file", "no.crt"),
            (11, "notify.receivers[4].timeout", "10ms to 5m"),
            (11, "notify.receivers[4]", "twice"),
        ],
    );
    let (_, faults) = read("notify: {receivers: [{kind: webhook, url: 'x://user:pw@h/hunter2'}]}");
    let told = faults.to_string();
    assert!(told.contains("expected a URL"), "{told}");
    assert!(!told.contains("hunter2") && !told.contains("pw"), "{told}");
}

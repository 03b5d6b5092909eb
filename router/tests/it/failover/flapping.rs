//! A backend that comes and goes faster than anybody can follow: clients notice nothing, and
//! requests don't go back and forth with it.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{READ, asked, probed, serving, unprobed};
use crate::support::upstream::{Upstream, ok};

const BASE: Duration = Duration::from_millis(50);
const TOGGLES: usize = 80;
const READS: usize = 10;

#[tokio::test]
async fn routing_does_not_flap_with_a_backend_that_does() {
    let config = json!({
        "zone": "a",
        "upstream": {"hedge": {"enabled": true}},
        "health": {"ejection": {"base": "50ms", "max": "1m"}},
    });
    for (tenant, policy) in [
        (unprobed(&[]), "first_available"),
        (unprobed(&[]), "nearest"),
        (probed(&[]), "nearest"),
    ] {
        let (mut flapping, steady) = (Upstream::saying("flapping"), Upstream::saying("steady"));
        let tenant = tenant
            .set(
                "/deployments/metrics/endpoints",
                json!([
                    {"url": flapping.url(), "zone": "a"},
                    {"url": steady.url(), "zone": "b"},
                ]),
            )
            .set("/deployments/metrics/policy", policy);
        let mirador = serving(&tenant, config.clone()).await;
        let began = Instant::now();
        let mut answers = Vec::new();
        for toggle in 0..TOGGLES {
            if toggle % 2 == 1 {
                flapping.stop().await;
            } else if toggle > 0 {
                flapping.listen(|_| ok("flapping"));
            }
            for _ in 0..READS {
                let answer = asked(&mirador, READ).await;
                assert_eq!(
                    answer.status(),
                    200,
                    "{policy}, toggle {toggle}: {answer:?}"
                );
                answers.push(answer.body.text());
            }
        }
        let changes = answers.windows(2).filter(|two| two[0] != two[1]).count();
        // Each time it is left for twice as long, less a tenth.
        let doublings = (began.elapsed().as_secs_f64() / (0.9 * BASE.as_secs_f64())).log2();
        let most = 2.0 * (doublings.ceil() + 2.0);
        println!("{policy}: {changes} changes in {TOGGLES} toggles, at most {most}");
        assert!(changes > 0, "it was used at first, and then was not");
        #[expect(clippy::cast_precision_loss, reason = "a few")]
        let changes = changes as f64;
        assert!(
            changes <= most,
            "{policy}: {changes} changes, {most} at most"
        );
    }
}

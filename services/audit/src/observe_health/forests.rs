//! Forests' keys, domains and clocks as metrics, as the health report has them. What is not known is
//! not told.

use health::Report;
use opentelemetry::{KeyValue, metrics::AsyncInstrument};
use telemetry::metric;

use crate::standing::Standing;

/// Tells what is known, asked anew each time.
pub(super) fn observe(standing: &Standing) {
    let (keys, hints, clocks) = (standing.clone(), standing.clone(), standing.clone());
    let meter = metric::meter();
    // the meter keeps them alive
    let _keys = meter
        .i64_observable_gauge("writeback.sealing.key.days_left")
        .with_description("Days until a forest's newest sealing key is to be replaced, below zero once it is overdue")
        .with_callback(move |observer| tell_keys(&health::judge(&keys.now()), observer))
        .build();
    let _hints = meter
        .u64_observable_gauge("writeback.controller.policy_hints_missing")
        .with_description(
            "Domain controllers that do not know policy hints, in a forest that requires them",
        )
        .with_callback(move |observer| tell_hints(&health::judge(&hints.now()), observer))
        .build();
    let _clocks = meter
        .f64_observable_gauge("writeback.controller.clock.skew")
        .with_unit("s")
        .with_description("A domain controller's clock less ours")
        .with_callback(move |observer| tell_clocks(&health::judge(&clocks.now()), observer))
        .build();
}

fn tell_keys(report: &Report, observer: &dyn AsyncInstrument<i64>) {
    for forest in &report.forests {
        if let Some(days) = forest.figures.newest_key_days_left() {
            observer.observe(days, &[KeyValue::new("forest", forest.id.clone())]);
        }
    }
}

fn tell_hints(report: &Report, observer: &dyn AsyncInstrument<u64>) {
    for forest in &report.forests {
        for domain in &forest.domains {
            let labels = [
                KeyValue::new("forest", forest.id.clone()),
                KeyValue::new("domain", domain.name.clone()),
            ];
            let missing = u64::try_from(domain.without_policy_hints).unwrap_or(u64::MAX);
            observer.observe(missing, &labels);
        }
    }
}

fn tell_clocks(report: &Report, observer: &dyn AsyncInstrument<f64>) {
    for forest in &report.forests {
        let controllers = forest.domains.iter().flat_map(|domain| &domain.controllers);
        for controller in controllers {
            let Some(skew) = controller.clock_skew_ms() else {
                continue;
            };
            let labels = [
                KeyValue::new("forest", forest.id.clone()),
                KeyValue::new("server.address", controller.host().to_owned()),
            ];
            #[expect(clippy::cast_precision_loss, reason = "2^53 ms are 285 000 years")]
            let seconds = skew as f64 / 1_000.0;
            observer.observe(seconds, &labels);
        }
    }
}

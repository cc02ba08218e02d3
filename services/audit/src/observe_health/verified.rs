//! What the last verification of the ledger found, the same at every replica: it is kept in the database.

use telemetry::metric;

use crate::standing::Standing;

/// Tells what is known, asked anew each time.
pub(super) fn observe(standing: &Standing) {
    let (findings, age) = (standing.clone(), standing.clone());
    let meter = metric::meter();
    // the meter keeps them alive
    let _findings = meter
        .u64_observable_gauge("writeback.ledger.findings")
        .with_description(
            "What the last verification that was kept found wrong: 0 if the ledger is intact, or was never verified",
        )
        .with_callback(move |observer| {
            if let Some(last) = findings.verified() {
                observer.observe(last.findings.saturating_add(last.missed), &[]);
            }
        })
        .build();
    let _age = meter
        .f64_observable_gauge("writeback.ledger.verified.age")
        .with_unit("s")
        .with_description(
            "How long ago the whole ledger was last verified; until it first is, for how long it could have been",
        )
        .with_callback(move |observer| {
            if let Some(last) = age.verified() {
                observer.observe(last.age.as_secs_f64(), &[]);
            }
        })
        .build();
}

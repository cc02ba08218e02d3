//! Whether this replica may be sent work.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use opentelemetry::KeyValue;

/// The gates that must all be open before `/readyz` answers 200. A service asks for its gates
/// before it starts anything; while there is none, it is still starting and not ready.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    gates: Arc<Mutex<Vec<Gate>>>,
}

/// One thing a service cannot work without. Closed until set.
#[derive(Debug, Clone)]
pub struct Gate {
    what: Arc<str>,
    ready: Arc<AtomicBool>,
}

impl Readiness {
    pub fn require(&self, what: &str) -> Gate {
        let gate = Gate {
            what: what.into(),
            ready: Arc::default(),
        };
        self.gates
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(gate.clone());
        gate
    }

    /// Every gate by name; gates of one name are one.
    pub fn gates(&self) -> BTreeMap<String, bool> {
        let mut gates = BTreeMap::new();
        for gate in &*self.gates.lock().unwrap_or_else(PoisonError::into_inner) {
            *gates.entry(gate.what.to_string()).or_insert(true) &= gate.is_set();
        }
        gates
    }

    /// Tells every gate as a metric, for as long as the process lives.
    pub(crate) fn observe(&self) {
        let readiness = self.clone();
        // the meter keeps it alive
        let _gauge = telemetry::metric::meter()
            .u64_observable_gauge("writeback.readiness")
            .with_description("Whether what the service cannot work without is there: 1 or 0")
            .with_callback(move |observer| {
                for (gate, ready) in readiness.gates() {
                    observer.observe(ready.into(), &[KeyValue::new("gate", gate)]);
                }
            })
            .build();
    }

    pub fn is_ready(&self) -> bool {
        let gates = self.gates();
        !gates.is_empty() && gates.values().all(|ready| *ready)
    }
}

impl Gate {
    pub fn set(&self, ready: bool) {
        if self.ready.swap(ready, Ordering::Relaxed) != ready {
            tracing::info!(gate = &*self.what, ready, "readiness changed");
        }
    }

    pub fn is_set(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_only_when_every_gate_is_set() {
        let readiness = Readiness::default();
        assert!(!readiness.is_ready(), "no gate yet: still starting");
        let broker = readiness.require("broker");
        let ledger = readiness.require("ledger");
        broker.set(true);
        assert!(!readiness.is_ready());
        ledger.set(true);
        assert!(readiness.is_ready());
        broker.set(false);
        assert!(!readiness.is_ready());
        assert_eq!(
            readiness.gates(),
            BTreeMap::from([("broker".to_owned(), false), ("ledger".to_owned(), true)])
        );
    }
}

//! How the ledger stands: what has not ended.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use opentelemetry::KeyValue;
use telemetry::metric;

/// What has not ended, by forest, as last counted in the database.
#[derive(Clone, Default)]
pub(crate) struct Pending(Arc<Mutex<BTreeMap<String, PendingNow>>>);

/// Of one forest, or of none while it is not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PendingNow {
    pub(crate) operations: i64,
    pub(crate) oldest_micros: i64,
}

impl Pending {
    pub(crate) fn observe() -> Self {
        let pending = Self::default();
        let (operations, oldest) = (pending.clone(), pending.clone());
        // the meter keeps them alive
        let _operations = metric::meter()
            .u64_observable_gauge("writeback.ledger.pending")
            .with_description("Operations that have not ended, in the whole ledger")
            .with_callback(move |observer| {
                operations.each(|forest, now| {
                    observer.observe(u64::try_from(now.operations).unwrap_or(0), &[forest]);
                });
            })
            .build();
        let _oldest = metric::meter()
            .f64_observable_gauge("writeback.ledger.pending.age")
            .with_unit("s")
            .with_description("How long ago the oldest operation was admitted that has not ended")
            .with_callback(move |observer| {
                oldest.each(|forest, now| {
                    let micros = u64::try_from(now.oldest_micros).unwrap_or(0);
                    observer.observe(Duration::from_micros(micros).as_secs_f64(), &[forest]);
                });
            })
            .build();
        // told from the start, also by a ledger in which nothing is pending
        pending.set(Vec::new());
        pending
    }

    fn each(&self, mut tell: impl FnMut(KeyValue, PendingNow)) {
        let forests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (forest, now) in forests.iter() {
            tell(KeyValue::new("forest", forest.clone()), *now);
        }
    }

    /// A forest that once had something pending and has not now has none: its series goes back to zero.
    pub(crate) fn set(&self, counted: Vec<(String, PendingNow)>) {
        let mut forests = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for now in forests.values_mut() {
            *now = PendingNow::default();
        }
        forests.entry(String::new()).or_default();
        forests.extend(counted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forest_that_has_nothing_pending_any_more_goes_back_to_zero() {
        let pending = Pending::default();
        let two = PendingNow {
            operations: 2,
            oldest_micros: 5,
        };
        pending.set(vec![("corp".to_owned(), two)]);
        pending.set(vec![("emea".to_owned(), two)]);
        let mut told = Vec::new();
        pending.each(|forest, now| told.push((forest.value.to_string(), now.operations)));
        assert_eq!(
            told,
            [
                (String::new(), 0),
                ("corp".to_owned(), 0),
                ("emea".to_owned(), 2)
            ]
        );
    }
}

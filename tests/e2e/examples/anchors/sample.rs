//! How long something took, many times.

use std::{fmt, time::Duration};

pub(crate) struct Sample(Vec<Duration>);

impl Sample {
    pub(crate) fn of(mut took: Vec<Duration>) -> Self {
        took.sort();
        Self(took)
    }

    fn percentile(&self, percent: usize) -> f64 {
        let index = self.0.len().saturating_sub(1) * percent / 100;
        self.0.get(index).map_or(0.0, Duration::as_secs_f64) * 1000.0
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms ({} times)",
            self.percentile(50),
            self.percentile(99),
            self.percentile(100),
            self.0.len()
        )
    }
}

//! The meter, and how seconds are counted.

use opentelemetry::{
    global,
    metrics::{Counter, Histogram, Meter},
};

/// OpenTelemetry's advice for durations of requests, with a finer start and a longer end: a directory
/// answers in milliseconds, an operation may wait for hours.
const SECONDS: [f64; 15] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 300.0,
];

/// The meter every instrument is made with.
pub fn meter() -> Meter {
    global::meter("writeback")
}

/// A histogram of seconds.
pub fn seconds(name: &'static str, description: &'static str) -> Histogram<f64> {
    meter()
        .f64_histogram(name)
        .with_unit("s")
        .with_description(description)
        .with_boundaries(SECONDS.to_vec())
        .build()
}

pub fn counter(name: &'static str, description: &'static str) -> Counter<u64> {
    meter()
        .u64_counter(name)
        .with_description(description)
        .build()
}

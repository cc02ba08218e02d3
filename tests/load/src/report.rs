//! What the numbers say: a table for people, JSON for machines, and whether the targets are met.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path, time::Duration};

use anyhow::Context as _;
use serde::Serialize;

use crate::{
    measure::{Busy, Case, rate},
    processor::Used,
    round::Round,
    services::{Memory, Start},
};

/// What is to be reached.
const LEAST_RATIO: f64 = 0.90;
/// From this concurrency on, with every forest busy.
const RATIO_COUNTS_FROM: usize = 4;
const MOST_ADDED_MS: f64 = 10.0;
const MOST_RESIDENT_KIB: u64 = 40 * 1024;
const LONGEST_START_MS: f64 = 1000.0;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    at: String,
    cores: usize,
    cases: Vec<Line>,
    services: Vec<Service>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    forest: String,
    busy: Busy,
    concurrency: usize,
    ceiling: Side,
    pipeline: Side,
    ratio: f64,
    /// Of each pair of neighbouring rounds.
    ratios: Vec<f64>,
    added_p50_ms: f64,
    met: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Side {
    operations: usize,
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    /// Of each program, for one operation.
    processor_ms: BTreeMap<String, f64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Service {
    name: String,
    resident_kib: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ready_after_ms: Option<f64>,
    met: bool,
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// The latency that this share of the operations did not exceed (nearest rank).
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

impl Side {
    /// `all` is how many operations the processor time was spent on.
    fn of(rounds: &[Round], used: &Used, all: usize) -> anyhow::Result<Self> {
        let mut latencies: Vec<Duration> = rounds
            .iter()
            .flat_map(|round| round.latencies.iter().copied())
            .collect();
        latencies.sort_unstable();
        let counted = rounds.iter().map(|round| round.counted).sum();
        let lasted = rounds.iter().map(|round| round.lasted).sum();
        let all = u32::try_from(all.max(1))?;
        let processor_ms = used
            .times()?
            .into_iter()
            .map(|(program, time)| (program, milliseconds(time / all)))
            .collect();
        Ok(Self {
            operations: latencies.len(),
            per_second: rate(counted, lasted),
            p50_ms: milliseconds(percentile(&latencies, 50)),
            p99_ms: milliseconds(percentile(&latencies, 99)),
            processor_ms,
        })
    }
}

impl Line {
    fn of(case: &Case, all: &[Case]) -> anyhow::Result<Self> {
        let of_same = |rounds: fn(&Case) -> &[Round]| -> usize {
            all.iter()
                .filter(|other| {
                    other.busy == case.busy
                        && other.concurrency == case.concurrency
                        && (case.busy != Busy::Alone || other.forest == case.forest)
                })
                .flat_map(rounds)
                .map(|round| round.latencies.len())
                .sum()
        };
        let ceiling = Side::of(
            &case.ceiling,
            &case.ceiling_used,
            of_same(|case| &case.ceiling),
        )?;
        let pipeline = Side::of(
            &case.pipeline,
            &case.pipeline_used,
            of_same(|case| &case.pipeline),
        )?;
        let ratio = pipeline.per_second / ceiling.per_second;
        let ratios = case
            .ceiling
            .iter()
            .zip(&case.pipeline)
            .map(|(ceiling, pipeline)| {
                rate(pipeline.counted, pipeline.lasted) / rate(ceiling.counted, ceiling.lasted)
            })
            .collect();
        let added_p50_ms = pipeline.p50_ms - ceiling.p50_ms;
        let ratio_counts = case.busy != Busy::Alone && case.concurrency >= RATIO_COUNTS_FROM;
        let added_counts = case.concurrency == 1;
        Ok(Self {
            met: (!ratio_counts || ratio >= LEAST_RATIO)
                && (!added_counts || added_p50_ms <= MOST_ADDED_MS),
            forest: case.forest.clone(),
            busy: case.busy,
            concurrency: case.concurrency,
            ceiling,
            pipeline,
            ratio,
            ratios,
            added_p50_ms,
        })
    }
}

impl Report {
    pub(crate) fn new(cases: &[Case], memory: &[Memory], starts: &[Start]) -> anyhow::Result<Self> {
        let services = memory
            .iter()
            .map(|memory| {
                let ready_after_ms = starts
                    .iter()
                    .find(|start| start.service == memory.service)
                    .map(|start| milliseconds(start.took));
                Service {
                    name: memory.service.clone(),
                    resident_kib: memory.resident_kib,
                    ready_after_ms,
                    met: memory.resident_kib <= MOST_RESIDENT_KIB
                        && ready_after_ms.is_none_or(|after| after <= LONGEST_START_MS),
                }
            })
            .collect();
        Ok(Self {
            at: time::OffsetDateTime::now_utc().to_string(),
            cores: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            cases: cases
                .iter()
                .map(|case| Line::of(case, cases))
                .collect::<anyhow::Result<_>>()?,
            services,
        })
    }

    pub(crate) fn table(&self) -> String {
        let mut text = String::from(
            "\nforest     busy   at a   ceiling  product  ratio   ceiling, ms     product, ms     added\n\
             \x20                 time      op/s     op/s            p50     p99     p50     p99    p50\n",
        );
        for line in &self.cases {
            let _ = writeln!(
                text,
                "{:10} {:6} {:4} {:9.1} {:8.1} {:6.2} {:7.1} {:7.1} {:7.1} {:7.1} {:7.1}{}",
                line.forest,
                line.busy,
                line.concurrency,
                line.ceiling.per_second,
                line.pipeline.per_second,
                line.ratio,
                line.ceiling.p50_ms,
                line.ceiling.p99_ms,
                line.pipeline.p50_ms,
                line.pipeline.p99_ms,
                line.added_p50_ms,
                mark(line.met),
            );
        }
        text.push_str(
            "alone: the other forest is idle; both: they are as busy as each other; apart: both are busy, and the domain\n\
             controllers have half of the processors to themselves, as where they are machines of their own\n",
        );
        for busy in [Busy::Both, Busy::Apart] {
            self.processor(busy, &mut text);
        }
        text.push_str("\nservice          resident, MiB   ready after, ms\n");
        for service in &self.services {
            #[expect(
                clippy::cast_precision_loss,
                reason = "kibibytes of memory are far below 2^52"
            )]
            let resident = service.resident_kib as f64 / 1024.0;
            let ready = service
                .ready_after_ms
                .map_or_else(|| "-".to_owned(), |after| format!("{after:.0}"));
            let _ = writeln!(
                text,
                "{:16} {resident:13.1} {ready:>17}{}",
                service.name,
                mark(service.met)
            );
        }
        let _ = writeln!(
            text,
            "\nto be reached: ratio {LEAST_RATIO:.2} from {RATIO_COUNTS_FROM} at a time with both busy (shared and apart), {MOST_ADDED_MS} ms added at 1, \
             {} MiB, ready after {LONGEST_START_MS} ms; x marks what is not",
            MOST_RESIDENT_KIB / 1024
        );
        text
    }

    /// Where the processor time of one operation goes, where the most is under way at a time.
    fn processor(&self, busy: Busy, text: &mut String) {
        let Some(line) = self.cases.iter().rfind(|line| line.busy == busy) else {
            return;
        };
        let _ = writeln!(
            text,
            "\nprocessor time of one operation, ms ({}, {} at a time)   ceiling  product",
            line.busy, line.concurrency
        );
        let of =
            |side: &Side, program: &String| side.processor_ms.get(program).copied().unwrap_or(0.0);
        for program in line.pipeline.processor_ms.keys() {
            let _ = writeln!(
                text,
                "{program:50} {:12.2} {:8.2}",
                of(&line.ceiling, program),
                of(&line.pipeline, program)
            );
        }
        let _ = writeln!(
            text,
            "{:50} {:12.2} {:8.2}",
            "all",
            line.ceiling.processor_ms.values().sum::<f64>(),
            line.pipeline.processor_ms.values().sum::<f64>()
        );
    }

    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let folder = path.parent().context("a file has a folder")?;
        fs::create_dir_all(folder)?;
        fs::write(path, serde_json::to_string_pretty(self)?)
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

const fn mark(met: bool) -> &'static str {
    if met { "" } else { "  x" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(milliseconds: &[u64]) -> Vec<Duration> {
        milliseconds
            .iter()
            .map(|one| Duration::from_millis(*one))
            .collect()
    }

    fn round(counted: usize, latencies: &[u64]) -> Round {
        Round {
            counted,
            lasted: Duration::from_secs(1),
            latencies: ms(latencies),
            failures: Vec::new(),
        }
    }

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let sorted = ms(&(1..=200).collect::<Vec<_>>());
        assert_eq!(percentile(&sorted, 50), Duration::from_millis(100));
        assert_eq!(percentile(&sorted, 99), Duration::from_millis(198));
        assert_eq!(percentile(&ms(&[7]), 99), Duration::from_millis(7));
        assert_eq!(percentile(&[], 50), Duration::from_millis(0));
    }

    #[test]
    fn a_ratio_is_of_all_rounds_and_is_judged_with_both_busy() {
        let case = |busy, concurrency| Case {
            forest: "corp".to_owned(),
            busy,
            concurrency,
            ceiling: vec![round(100, &[10]), round(300, &[10])],
            pipeline: vec![round(100, &[30]), round(240, &[30])],
            ceiling_used: Used::default(),
            pipeline_used: Used::default(),
        };
        let of = |case: Case| Line::of(&case, std::slice::from_ref(&case)).unwrap();
        let line = of(case(Busy::Both, 4));
        assert!((line.ratio - 0.85).abs() < 1e-9, "{}", line.ratio);
        assert_eq!(line.ratios.len(), 2);
        assert!(!line.met);
        assert!(of(case(Busy::Alone, 4)).met, "alone it has no target");
        assert!(!of(case(Busy::Alone, 1)).met, "20 ms are added");
    }
}

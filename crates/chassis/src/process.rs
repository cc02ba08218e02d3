//! What the kernel tells of this process (OpenTelemetry semantic conventions, process metrics).

use std::{fs, time::Instant};

use nix::unistd::{SysconfVar, sysconf};

/// Registers the instruments; they read when they are asked.
pub(crate) fn observe() {
    let meter = telemetry::metric::meter();
    let began = Instant::now();
    // the meter keeps them alive
    let _memory = meter
        .u64_observable_gauge("process.memory.usage")
        .with_unit("By")
        .with_description("Resident memory")
        .with_callback(|observer| {
            if let Some(bytes) = resident_bytes() {
                observer.observe(bytes, &[]);
            }
        })
        .build();
    let _processor = meter
        .f64_observable_counter("process.cpu.time")
        .with_unit("s")
        .with_description("Processor time used, of the user and the system")
        .with_callback(|observer| {
            if let Some(seconds) = processor_seconds() {
                observer.observe(seconds, &[]);
            }
        })
        .build();
    let _uptime = meter
        .f64_observable_gauge("process.uptime")
        .with_unit("s")
        .with_description("How long the process has been running")
        .with_callback(move |observer| observer.observe(began.elapsed().as_secs_f64(), &[]))
        .build();
}

fn resident_bytes() -> Option<u64> {
    let page = u64::try_from(sysconf(SysconfVar::PAGE_SIZE).ok()??).ok()?;
    let statm = fs::read_to_string("/proc/self/statm").ok()?; // proc_pid_statm(5)
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    pages.checked_mul(page)
}

#[expect(clippy::cast_precision_loss, reason = "clock ticks are far below 2^52")]
fn processor_seconds() -> Option<f64> {
    let ticks_per_second = sysconf(SysconfVar::CLK_TCK).ok()??;
    let stat = fs::read_to_string("/proc/self/stat").ok()?; // proc_pid_stat(5)
    // the name in parentheses may hold anything; utime and stime are the 12th and 13th after it
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut times = fields.split(' ').skip(11);
    let ticks: i64 = times.next()?.parse::<i64>().ok()? + times.next()?.parse::<i64>().ok()?;
    (ticks_per_second > 0).then(|| ticks as f64 / ticks_per_second as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_understood() {
        let memory = resident_bytes().unwrap();
        assert!((1 << 20..1 << 40).contains(&memory), "{memory}");
        let seconds = processor_seconds().unwrap();
        assert!((0.0..1e6).contains(&seconds), "{seconds}");
    }
}

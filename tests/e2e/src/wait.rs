//! Waiting for a condition, never for a time.

use std::future::Future;
use std::time::Duration;

use anyhow::Context;
use tokio::time::{MissedTickBehavior, interval, timeout};

const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// Looks until there is something to see, or fails after `within`.
pub async fn until<T, F, Fut>(what: &str, within: Duration, mut look: F) -> anyhow::Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = anyhow::Result<Option<T>>>,
{
    let looking = async {
        let mut ticks = interval(BETWEEN_LOOKS);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if let Some(seen) = look().await? {
                return Ok(seen);
            }
        }
    };
    timeout(within, looking)
        .await
        .with_context(|| format!("{what}: not within {within:?}"))?
}

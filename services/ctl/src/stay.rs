//! `writebackctl stay`: the image has no shell and no `sleep`, and a container lives as long as its process.

use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Ending;

/// # Errors
/// When signals cannot be listened to.
pub(crate) async fn until_told() -> anyhow::Result<Ending> {
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
    }
    Ok(Ending::Done)
}

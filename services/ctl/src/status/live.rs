//! The live view: looks and draws again, until somebody has seen enough.

use std::{io, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::MissedTickBehavior,
};

use super::{
    Status,
    screen::Screen,
    view::{Paint, lines},
};
use crate::{audit::Replica, failure::Ending};

const HINT: &str = "q or Ctrl-C ends";

pub(super) async fn watch(status: &Status, replicas: &[Replica]) -> anyhow::Result<Ending> {
    // before anything is drawn over: what the operator must mend is said on the plain screen
    let mut look = status.look(replicas).await?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut screen = Screen::enter()?;
    let mut keys = screen.keys();
    let paint = Paint::of(&io::stdout());
    let mut ticks = tokio::time::interval(Duration::from_secs(status.every));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.reset();
    loop {
        screen.draw(&lines(&look, paint), HINT)?;
        let next = async {
            ticks.tick().await;
            status.look(replicas).await
        };
        tokio::select! {
            _ = interrupt.recv() => return Ok(look.ending()),
            _ = terminate.recv() => return Ok(look.ending()),
            () = enough(&mut keys) => return Ok(look.ending()),
            next = next => look = next?,
        }
    }
}

/// Until `q` is pressed. A keyboard that is gone presses nothing.
async fn enough(keys: &mut mpsc::Receiver<u8>) {
    loop {
        match keys.recv().await {
            Some(b'q' | b'Q') => return,
            Some(_) => {}
            None => std::future::pending().await,
        }
    }
}

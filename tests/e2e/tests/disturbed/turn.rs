//! These tests take turns, and say how long each turn took: they are most of what `make test` takes.

use std::{
    io::{self, Write as _},
    thread,
    time::Instant,
};

use tokio::sync::{Mutex, MutexGuard};

/// Taken by every test that disturbs what others rely on.
pub(crate) struct Turns(Mutex<()>);

pub(crate) struct Turn<'a> {
    _alone: MutexGuard<'a, ()>,
    since: Instant,
}

impl Turns {
    pub(crate) const fn new() -> Self {
        Self(Mutex::const_new(()))
    }

    pub(crate) async fn lock(&self) -> Turn<'_> {
        let alone = self.0.lock().await;
        Turn {
            _alone: alone,
            since: Instant::now(),
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let thread = thread::current();
        let test = thread.name().unwrap_or("a test");
        // not printed: the harness keeps to itself what a test that passes prints
        drop(writeln!(
            io::stderr(),
            "{test} took {:.0} s",
            self.since.elapsed().as_secs_f64()
        ));
    }
}

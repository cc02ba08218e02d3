//! What is never logged or traced, whatever the filter asks for.

use tracing::{Level, Metadata};

/// Crates that print all they send at their most detailed level: an AMQP connection begins with the
/// broker's password (AMQP 0-9-1, `connection.start-ok`).
const PRINT_WHAT_THEY_SEND: &[&str] = &["lapin"];

/// Whether an event or span may be shown to anyone.
pub(crate) fn may_be_shown(metadata: &Metadata<'_>) -> bool {
    let of_crate = metadata.target().split("::").next().unwrap_or_default();
    *metadata.level() != Level::TRACE || !PRINT_WHAT_THEY_SEND.contains(&of_crate)
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex},
    };

    use tracing_subscriber::{
        EnvFilter, filter::filter_fn, fmt::MakeWriter, layer::SubscriberExt as _,
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Log {
        type Writer = Self;
        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn the_broker_s_password_is_in_no_log_however_detailed() {
        let log = Log::default();
        let subscriber = tracing_subscriber::registry()
            .with(EnvFilter::new("trace,lapin=trace"))
            .with(filter_fn(may_be_shown))
            .with(tracing_subscriber::fmt::layer().with_writer(log.clone()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::trace!(target: "lapin::io_loop", "a frame with a password");
            tracing::debug!(target: "lapin::channel", "a heartbeat");
            tracing::trace!(target: "lapinary", "a rabbit");
            tracing::trace!("ours");
        });
        let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert!(!text.contains("a frame"), "{text}");
        for shown in ["a heartbeat", "a rabbit", "ours"] {
            assert!(text.contains(shown), "{text}");
        }
    }
}

//! Where commands print. Whoever reads may leave before the end (`writebackctl … | head -1`), and that changes neither what a
//! command does nor how it ends: its exit code tells what it found, not who read of it.

use std::{
    fmt,
    io::{self, ErrorKind, Stderr, StdoutLock, Write},
};

/// Takes everything, also when nobody reads any more.
pub(crate) struct Unread<W>(W);

impl<W: Write> Write for Unread<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.write(bytes) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(bytes.len()),
            written => written,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        is_read(self.0.flush()).map(drop)
    }
}

/// Standard output, for what has an end. What has none, or does nothing but print, asks [`is_read`].
pub(crate) fn out() -> Unread<StdoutLock<'static>> {
    Unread(io::stdout().lock())
}

/// Standard error.
pub(crate) fn err() -> Unread<Stderr> {
    Unread(io::stderr())
}

/// A line on standard error. `eprintln!` would panic when nobody reads.
pub(crate) fn tell(line: fmt::Arguments<'_>) {
    // there is no other place to say that it could not be said
    drop(writeln!(err(), "{line}"));
}

/// Whether there was still somebody to print it for.
///
/// # Errors
/// When it could not be printed for another reason: a disk that is full.
pub(crate) fn is_read(printed: io::Result<()>) -> io::Result<bool> {
    match printed {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Failing(ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    #[test]
    fn only_a_reader_that_left_is_no_error() {
        let mut left = Unread(Failing(ErrorKind::BrokenPipe));
        assert!(writeln!(left, "a").and_then(|()| left.flush()).is_ok());
        let mut full = Unread(Failing(ErrorKind::StorageFull));
        assert!(writeln!(full, "a").is_err());
        assert!(full.flush().is_err());
        assert!(!is_read(Err(ErrorKind::BrokenPipe.into())).unwrap());
        assert!(is_read(Err(ErrorKind::StorageFull.into())).is_err());
    }
}

//! The terminal while a password is typed on it.

use std::fs::File;

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

/// A terminal that shows nothing of what is typed, until this is dropped. From before the first
/// prompt until after the last answer: what is typed or pasted ahead of a prompt is not shown either.
pub(crate) struct Silence {
    terminal: File,
    before: Termios,
}

impl Silence {
    /// # Errors
    /// When there is no terminal.
    pub(crate) fn begin() -> std::io::Result<Self> {
        let terminal = File::options().read(true).write(true).open("/dev/tty")?;
        let before = tcgetattr(&terminal)?;
        let mut silent = before.clone();
        silent.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(&terminal, SetArg::TCSANOW, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // a terminal that is gone needs nothing any more
        let _ = tcsetattr(&self.terminal, SetArg::TCSANOW, &self.before);
    }
}

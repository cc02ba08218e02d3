//! The terminal while a picture is drawn on it again and again.

use std::{
    io::{self, IsTerminal as _, Read as _, Stdin, Write as _},
    thread,
};

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use tokio::sync::mpsc;

/// ECMA-48 and xterm's control sequences: the other screen, no cursor, no wrapping of long lines.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";
const HOME: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

const FEWEST_LINES: usize = 2;

/// The other screen, until this is dropped; then the terminal is as it was.
pub(super) struct Screen {
    /// Of the keyboard, if there is one.
    before: Option<Termios>,
    keyboard: Stdin,
}

impl Screen {
    pub(super) fn enter() -> io::Result<Self> {
        let keyboard = io::stdin();
        let before = if keyboard.is_terminal() {
            let before = tcgetattr(&keyboard)?;
            let mut silent = before.clone();
            // key by key; Ctrl-C stays a signal
            silent
                .local_flags
                .remove(LocalFlags::ECHO | LocalFlags::ICANON);
            tcsetattr(&keyboard, SetArg::TCSANOW, &silent)?;
            Some(before)
        } else {
            None
        };
        let screen = Self { before, keyboard };
        let mut out = io::stdout().lock();
        write!(out, "{ENTER}")?;
        out.flush()?;
        Ok(screen)
    }

    /// As many of the lines as there is room for.
    pub(super) fn draw(&self, lines: &[String]) -> io::Result<()> {
        let room = rustix::termios::tcgetwinsize(io::stdout())
            .map_or(usize::MAX, |size| usize::from(size.ws_row))
            .max(FEWEST_LINES);
        let mut picture = HOME.to_owned();
        let shown = if lines.len() > room {
            room - 1
        } else {
            lines.len()
        };
        for (number, line) in lines.iter().take(shown).enumerate() {
            if number > 0 {
                picture.push_str("\r\n");
            }
            picture.push_str(line);
            picture.push_str(CLEAR_LINE);
        }
        if shown < lines.len() {
            let left = lines.len() - shown;
            picture.push_str(&format!(
                "\r\n… {left} more lines: `status --once` prints all{CLEAR_LINE}"
            ));
        }
        picture.push_str(CLEAR_BELOW);
        let mut out = io::stdout().lock();
        out.write_all(picture.as_bytes())?;
        out.flush()
    }

    /// The keys as they are pressed. The thread ends with the process: nothing else ends a read.
    pub(super) fn keys(&self) -> mpsc::Receiver<u8> {
        let (sender, keys) = mpsc::channel(8);
        if self.before.is_some() {
            thread::spawn(move || {
                for key in io::stdin().lock().bytes() {
                    let Ok(key) = key else { return };
                    if sender.blocking_send(key).is_err() {
                        return;
                    }
                }
            });
        }
        keys
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // a terminal that is gone needs nothing any more
        let mut out = io::stdout().lock();
        let _ = write!(out, "{LEAVE}").and_then(|()| out.flush());
        if let Some(before) = &self.before {
            let _ = tcsetattr(&self.keyboard, SetArg::TCSANOW, before);
        }
    }
}

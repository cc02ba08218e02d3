//! The terminal while a picture is drawn on it again and again.

use std::{
    io::{self, IsTerminal as _, Read as _, Stdin, Stdout, Write as _},
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

/// The other screen, until this is dropped; then the terminal is as it was.
pub(super) struct Screen {
    /// Of the keyboard, if there is one.
    before: Option<Termios>,
    keyboard: Stdin,
    out: Stdout,
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
        let mut screen = Self {
            before,
            keyboard,
            out: io::stdout(),
        };
        write!(screen.out, "{ENTER}")?;
        screen.out.flush()?;
        Ok(screen)
    }

    /// As many of the lines as there is room for, and the hint below them.
    pub(super) fn draw(&mut self, lines: &[String], hint: &str) -> io::Result<()> {
        // a terminal that does not know its size says 0
        let room = rustix::termios::tcgetwinsize(&self.out)
            .ok()
            .map(|size| usize::from(size.ws_row))
            .filter(|rows| *rows > 0)
            .unwrap_or(usize::MAX);
        self.out.write_all(picture(lines, hint, room).as_bytes())?;
        self.out.flush()
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

/// Every line is cleared behind its end, and all below the last: nothing of the picture before is left.
fn picture(lines: &[String], hint: &str, room: usize) -> String {
    let shown = lines.len().min(room.saturating_sub(1));
    let hint = match lines.len() - shown {
        0 => hint.to_owned(),
        left => format!("… {left} more lines, which `status --once` prints; {hint}"),
    };
    let mut picture = HOME.to_owned();
    for line in lines.iter().take(shown) {
        picture.push_str(line);
        picture.push_str(CLEAR_LINE);
        picture.push_str("\r\n");
    }
    picture + &hint + CLEAR_BELOW
}

impl Drop for Screen {
    fn drop(&mut self) {
        // a terminal that is gone needs nothing any more
        let _ = write!(self.out, "{LEAVE}").and_then(|()| self.out.flush());
        if let Some(before) = &self.before {
            let _ = tcsetattr(&self.keyboard, SetArg::TCSANOW, before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_terminal_shows_what_it_can_and_how_to_see_the_rest() {
        let lines = ["one", "two", "three"].map(str::to_owned);
        let all = picture(&lines, "q ends", 4);
        assert_eq!(
            all,
            "\x1b[Hone\x1b[K\r\ntwo\x1b[K\r\nthree\x1b[K\r\nq ends\x1b[J"
        );
        let some = picture(&lines, "q ends", 2);
        assert_eq!(
            some,
            "\x1b[Hone\x1b[K\r\n… 2 more lines, which `status --once` prints; q ends\x1b[J"
        );
        assert!(picture(&lines, "q ends", 0).ends_with("q ends\x1b[J"));
    }
}

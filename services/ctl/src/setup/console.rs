//! The conversation: lines out, lines in. It needs nothing of the terminal but that, so it works over
//! ssh, in a recording and without colour.

use std::io::{self, BufRead, Write};

use secrecy::SecretString;

use crate::{output, table::printable, terminal::Silence};

/// Why a page was left before it was done.
#[derive(Debug)]
pub(crate) enum Leave {
    /// To the page before.
    Back,
    /// For good; nothing was written.
    Quit,
    Failed(anyhow::Error),
}

impl From<io::Error> for Leave {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<anyhow::Error> for Leave {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

/// What is wrong with an answer, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Complaint {
    pub(crate) field: String,
    pub(crate) problem: String,
    pub(crate) remedy: String,
}

impl Complaint {
    pub(crate) fn new(
        field: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            field: field.into(),
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }
}

/// Where hidden answers come from.
enum Hidden {
    Terminal,
    #[cfg(test)]
    Lines,
}

pub(crate) struct Console<'a> {
    input: Box<dyn BufRead + 'a>,
    output: Box<dyn Write + 'a>,
    hidden: Hidden,
}

impl Console<'_> {
    pub(crate) fn of_the_terminal() -> Self {
        Self {
            input: Box::new(io::stdin().lock()),
            output: Box::new(io::stdout()),
            hidden: Hidden::Terminal,
        }
    }

    /// For what is only told. A person is asked nothing that they cannot see; who is asked nothing may look away.
    pub(crate) fn that_asks_nothing() -> Self {
        Self {
            output: Box::new(output::out()),
            ..Self::of_the_terminal()
        }
    }

    /// What came over a wire is among what is said: none of it steers the terminal.
    pub(crate) fn say(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.output, "{}", printable(line))
    }

    pub(crate) fn heading(&mut self, number: usize, title: &str) -> io::Result<()> {
        let line = format!("{number} of {} · {title}", super::PAGES);
        writeln!(
            self.output,
            "\n{line}\n{}",
            "-".repeat(line.chars().count())
        )
    }

    pub(crate) fn complain(&mut self, complaint: &Complaint) -> io::Result<()> {
        self.say(&format!("  ! {}: {}", complaint.field, complaint.problem))?;
        self.say(&format!("    {}", complaint.remedy))
    }

    pub(crate) fn table(&mut self, headings: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
        crate::table::print(&mut self.output, headings, rows)
    }

    /// One line; the default for an empty one. Without a default an answer is needed.
    ///
    /// # Errors
    /// When the person goes back or quits, or the terminal is gone.
    pub(crate) fn ask(&mut self, prompt: &str, default: Option<&str>) -> Result<String, Leave> {
        loop {
            match default {
                Some("") => write!(self.output, "{prompt} [none]: ")?,
                Some(default) => write!(self.output, "{prompt} [{}]: ", printable(default))?,
                None => write!(self.output, "{prompt}: ")?,
            }
            self.output.flush()?;
            let line = self.line()?;
            match (line.as_str(), default) {
                ("back", _) => return Err(Leave::Back),
                ("quit", _) => return Err(Leave::Quit),
                ("none", Some(_)) => return Ok(String::new()),
                ("", Some(default)) => return Ok(default.to_owned()),
                ("", None) => {
                    self.say("  An answer is needed; `back` and `quit` leave the page.")?;
                }
                _ => return Ok(line),
            }
        }
    }

    /// As [`Self::ask`], until the answer can be parsed.
    pub(crate) fn ask_for<T>(
        &mut self,
        prompt: &str,
        default: Option<&str>,
        parse: impl Fn(&str) -> Result<T, Complaint>,
    ) -> Result<T, Leave> {
        loop {
            let text = self.ask(prompt, default)?;
            match parse(&text) {
                Ok(value) => return Ok(value),
                Err(complaint) => self.complain(&complaint)?,
            }
        }
    }

    pub(crate) fn yes_or_no(&mut self, prompt: &str, default: bool) -> Result<bool, Leave> {
        let shown = if default { "yes" } else { "no" };
        self.ask_for(prompt, Some(shown), |text| {
            match text.to_lowercase().as_str() {
                "y" | "yes" | "on" => Ok(true),
                "n" | "no" | "off" => Ok(false),
                _ => Err(Complaint::new(
                    "the answer",
                    "it is neither",
                    "type yes or no",
                )),
            }
        })
    }

    /// A secret, not shown while it is typed. None for an empty answer.
    pub(crate) fn ask_hidden(&mut self, prompt: &str) -> Result<Option<SecretString>, Leave> {
        let secret = match self.hidden {
            Hidden::Terminal => {
                let _silence = Silence::begin()?;
                self.output.flush()?;
                rpassword::prompt_password(prompt)?
            }
            #[cfg(test)]
            Hidden::Lines => {
                write!(self.output, "{prompt}")?;
                self.line()?
            }
        };
        match secret.as_str() {
            "back" => Err(Leave::Back),
            "quit" => Err(Leave::Quit),
            "" => Ok(None),
            _ => Ok(Some(SecretString::from(secret))),
        }
    }

    /// The end of the input is a person who has gone.
    fn line(&mut self) -> Result<String, Leave> {
        let mut line = String::new();
        if self.input.read_line(&mut line)? == 0 {
            writeln!(self.output)?;
            return Err(Leave::Quit);
        }
        Ok(line.trim().to_owned())
    }
}

#[cfg(test)]
impl<'a> Console<'a> {
    pub(crate) fn scripted(input: &'a str, output: &'a mut Vec<u8>) -> Self {
        Self {
            input: Box::new(input.as_bytes()),
            output: Box::new(output),
            hidden: Hidden::Lines,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_line_takes_the_default_and_none_takes_nothing() {
        let mut said = Vec::new();
        let mut console = Console::scripted("\nnone\n\nx\n", &mut said);
        assert_eq!(console.ask("A", Some("b")).unwrap(), "b");
        assert_eq!(console.ask("A", Some("b")).unwrap(), "");
        assert_eq!(console.ask("A", None).unwrap(), "x");
        drop(console);
        let said = String::from_utf8(said).unwrap();
        assert!(
            said.starts_with("A [b]: A [b]: A:   An answer is needed"),
            "{said}"
        );
    }

    #[test]
    fn back_and_quit_and_the_end_of_the_input_leave() {
        let mut said = Vec::new();
        let mut console = Console::scripted("back\nquit\n", &mut said);
        assert!(matches!(console.ask("A", None), Err(Leave::Back)));
        assert!(matches!(console.ask("A", Some("x")), Err(Leave::Quit)));
        assert!(matches!(console.ask("A", Some("x")), Err(Leave::Quit)));
    }

    #[test]
    fn an_answer_that_does_not_hold_is_asked_for_again() {
        let mut said = Vec::new();
        let mut console = Console::scripted("perhaps\nNo\n", &mut said);
        assert!(!console.yes_or_no("Sure", true).unwrap());
        drop(console);
        assert!(String::from_utf8(said).unwrap().contains("type yes or no"));
    }

    #[test]
    fn what_is_said_does_not_steer_the_terminal() {
        let mut said = Vec::new();
        Console::scripted("", &mut said).say("\u{1b}[2J").unwrap();
        assert_eq!(said, "\u{fffd}[2J\n".as_bytes());
    }
}

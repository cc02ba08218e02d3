//! What intake takes as a CloudEvent's id and source, and as the id of who asks. An event with another is refused there only
//! after its password was asked for and sealed.

const LONGEST_ID: usize = 512;
const LONGEST_SOURCE: usize = 1024;
const LONGEST_INITIATOR_ID: usize = 256;

pub(super) fn id(text: &str) -> Result<String, &'static str> {
    if text.is_empty() || text.len() > LONGEST_ID || text.chars().any(breaks_lines) {
        return Err(
            "1 to 512 bytes are expected, none of them a control character; leave --id out for a new one",
        );
    }
    Ok(text.to_owned())
}

pub(super) fn source(text: &str) -> Result<String, &'static str> {
    let unfit = |c: char| c.is_control() || c.is_whitespace();
    if text.is_empty() || text.len() > LONGEST_SOURCE || text.chars().any(unfit) {
        return Err(
            "a URI reference of 1 to 1024 bytes, without spaces and control characters, is expected, \
             such as https://cloud.example.com/directory; leave --source out for urn:writeback:ctl",
        );
    }
    Ok(text.to_owned())
}

pub(super) fn initiator_id(text: &str) -> Result<String, &'static str> {
    if text.len() > LONGEST_INITIATOR_ID || text.chars().any(breaks_lines) {
        return Err("at most 256 bytes are expected, none of them a control character");
    }
    Ok(text.to_owned())
}

/// Control characters, and the two that break a line as they do (Unicode Standard 5.8).
fn breaks_lines(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_intake_refuses_is_not_taken() {
        for fit in ["a", " a b ", &"x".repeat(512)] {
            assert!(id(fit).is_ok(), "{fit:?}");
        }
        for unfit in ["", "a\nb", "a\u{2028}b", &"x".repeat(513)] {
            assert!(id(unfit).is_err(), "{unfit:?}");
        }
        for fit in ["/", "urn:writeback:ctl", "https://cloud.example.com/a?b#c"] {
            assert!(source(fit).is_ok(), "{fit:?}");
        }
        for unfit in ["", "not a uri reference", "a\tb", &"x".repeat(1025)] {
            assert!(source(unfit).is_err(), "{unfit:?}");
        }
        assert!(initiator_id("").is_ok());
        assert!(initiator_id("a\nb").is_err());
        assert!(initiator_id(&"x".repeat(257)).is_err());
    }
}

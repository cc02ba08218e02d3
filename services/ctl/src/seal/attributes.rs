//! What intake takes as a CloudEvent's id and source, and as the id of who asks. An event with another is refused there only
//! after its password was asked for and sealed.

use operation::{is_event_id, is_event_source, is_initiator_id};

pub(super) fn id(text: &str) -> Result<String, &'static str> {
    if !is_event_id(text) {
        return Err(
            "1 to 512 bytes are expected, none of them a control character; leave --id out for a new one",
        );
    }
    Ok(text.to_owned())
}

pub(super) fn source(text: &str) -> Result<String, &'static str> {
    if !is_event_source(text) {
        return Err(
            "a URI reference of 1 to 1024 bytes, without spaces and control characters, is expected, \
             such as https://cloud.example.com/directory; leave --source out for urn:writeback:ctl",
        );
    }
    Ok(text.to_owned())
}

pub(super) fn initiator_id(text: &str) -> Result<String, &'static str> {
    if !is_initiator_id(text) {
        return Err("at most 256 bytes are expected, none of them a control character");
    }
    Ok(text.to_owned())
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

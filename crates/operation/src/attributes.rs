//! What the attributes of an event may hold: at the door that takes it, and where one is made.

/// The longest `source` and `id`, in bytes: together they are the ledger's key.
const LONGEST_SOURCE: usize = 1024;
const LONGEST_ID: usize = 512;
const LONGEST_INITIATOR_ID: usize = 256;

/// What no identifier holds: control characters, and the two that break a line as they do
/// (Unicode Standard 5.8).
pub fn breaks_lines(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Whether a `CloudEvents` `id` is taken.
pub fn is_event_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST_ID && !text.chars().any(breaks_lines)
}

/// Whether a `CloudEvents` `source`, a URI reference, is taken.
pub fn is_event_source(text: &str) -> bool {
    let unfit = |c: char| c.is_control() || c.is_whitespace();
    !text.is_empty() && text.len() <= LONGEST_SOURCE && !text.chars().any(unfit)
}

/// Whether the id of who asks is taken.
pub fn is_initiator_id(text: &str) -> bool {
    text.len() <= LONGEST_INITIATOR_ID && !text.chars().any(breaks_lines)
}

//! How long the caller wants to wait: the `Prefer` header (RFC 7240).

use std::time::Duration;

use http::HeaderMap;

/// What the caller asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Preference {
    respond_async: bool,
    wait: Option<u32>,
}

impl Preference {
    /// Reads every `Prefer` header. What is not understood is ignored, as RFC 7240 2 demands; of a
    /// preference given twice the first counts.
    pub(crate) fn parse(headers: &HeaderMap) -> Self {
        let mut preference = Self::default();
        let mut wait_seen = false;
        let values = headers.get_all("prefer").iter();
        for item in values
            .filter_map(|value| value.to_str().ok())
            .flat_map(|text| text.split(','))
        {
            // Parameters of a preference follow a semicolon; none are defined for these two.
            let head = item.split(';').next().unwrap_or_default();
            let (name, value) = head.split_once('=').unwrap_or((head, ""));
            let name = name.trim();
            let value = value.trim().trim_matches('"');
            if name.eq_ignore_ascii_case("respond-async") {
                // it takes no value (4.1); an empty one is none (2), and `false` is nobody's way to ask for it
                preference.respond_async |= value.is_empty();
            } else if name.eq_ignore_ascii_case("wait") && !wait_seen {
                wait_seen = true;
                preference.wait = value
                    .bytes()
                    .all(|byte| byte.is_ascii_digit())
                    .then(|| value.parse().ok())
                    .flatten();
            }
        }
        preference
    }

    /// The longest the answer may take; none means: until the outcome. Both preferences together
    /// mean "wait that long, then answer 202" (RFC 7240 4.3).
    pub(crate) fn longest_wait(self) -> Option<Duration> {
        match (self.wait, self.respond_async) {
            (Some(seconds), _) => Some(Duration::from_secs(seconds.into())),
            (None, true) => Some(Duration::ZERO),
            (None, false) => None,
        }
    }

    /// The value of `Preference-Applied`, if any was.
    pub(crate) fn applied(self, answered_pending: bool) -> Option<String> {
        let asynchronous =
            (self.respond_async && answered_pending).then(|| "respond-async".to_owned());
        let wait = self.wait.map(|seconds| format!("wait={seconds}"));
        match (asynchronous, wait) {
            (Some(first), Some(second)) => Some(format!("{first}, {second}")),
            (one, other) => one.or(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(values: &[&str]) -> Preference {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("prefer", value.parse().unwrap());
        }
        Preference::parse(&headers)
    }

    #[test]
    fn respond_async_answers_at_once() {
        for value in ["Respond-Async", "respond-async=\"\"", "respond-async; x=y"] {
            let preference = parse(&[value]);
            assert_eq!(preference.longest_wait(), Some(Duration::ZERO), "{value}");
            assert_eq!(preference.applied(true).as_deref(), Some("respond-async"));
            assert_eq!(preference.applied(false), None);
        }
    }

    #[test]
    fn wait_is_read_quoted_with_parameters_and_beside_others() {
        for values in [
            &["wait=7"][..],
            &["return=minimal, wait=\"7\""],
            &["handling=lenient", "WAIT = 7; x=y"],
            &["wait=7, wait=9"],
        ] {
            assert_eq!(parse(values).longest_wait(), Some(Duration::from_secs(7)));
        }
    }

    #[test]
    fn both_wait_first_and_then_answer() {
        let preference = parse(&["respond-async, wait=10"]);
        assert_eq!(preference.longest_wait(), Some(Duration::from_secs(10)));
        assert_eq!(
            preference.applied(true).as_deref(),
            Some("respond-async, wait=10")
        );
        assert_eq!(preference.applied(false).as_deref(), Some("wait=10"));
    }

    #[test]
    fn what_is_not_understood_is_ignored() {
        for values in [
            &[][..],
            &["wait"],
            &["wait=-1"],
            &["wait=soon"],
            &["wait=99999999999"],
            &["nothing"],
            &["respond-async=false"],
        ] {
            assert_eq!(parse(values).longest_wait(), None, "{values:?}");
            assert_eq!(parse(values).applied(true), None);
        }
    }
}

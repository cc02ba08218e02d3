//! Points in time as an operator writes and reads them.

use anyhow::Context as _;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

/// RFC 3339, or how long ago: `90s`, `15m`, `2h`, `7d`.
pub(crate) fn parse(text: &str, now: OffsetDateTime) -> anyhow::Result<OffsetDateTime> {
    let at = match parse_ago(text) {
        Some(ago) => now.checked_sub(ago),
        // where in the text its parser stopped is of no use to whoever wrote it
        None => OffsetDateTime::parse(text, &Rfc3339).ok(),
    };
    at.with_context(|| {
        format!(
            "{text:?} is no time that there is: a time such as 2026-01-31T12:00:00Z is expected, or how long ago it was, \
             such as 90s, 15m, 2h or 7d"
        )
    })
}

/// A span of time as an operator writes it: `90s`, `15m`, `2h`, `7d`.
pub(crate) fn parse_span(text: &str) -> Result<Duration, String> {
    parse_ago(text).ok_or_else(|| format!("{text:?} is no span of time such as 90s, 15m, 2h or 7d"))
}

fn parse_ago(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let seconds: i64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return None,
    };
    let count: u32 = text.strip_suffix(unit)?.parse().ok()?;
    Some(Duration::seconds(i64::from(count) * seconds))
}

/// RFC 3339 of the microseconds that travel on the wire; `-` for none.
pub(crate) fn show(micros: i64) -> String {
    optional(micros).unwrap_or_else(|| "-".to_owned())
}

pub(crate) fn optional(micros: i64) -> Option<String> {
    (micros != 0)
        .then(|| proto::from_micros(micros).ok())
        .flatten()
        .and_then(|at| at.format(&Rfc3339).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-01-31 12:00 UTC);

    #[test]
    fn an_age_counts_back_from_now() {
        assert_eq!(parse("2h", NOW).unwrap(), datetime!(2026-01-31 10:00 UTC));
        assert_eq!(parse("1d", NOW).unwrap(), datetime!(2026-01-30 12:00 UTC));
    }

    #[test]
    fn a_time_is_read_as_rfc_3339_and_anything_else_is_refused() {
        assert_eq!(
            parse("2026-01-01T00:00:00Z", NOW).unwrap(),
            datetime!(2026-01-01 0:00 UTC)
        );
        for text in [
            "",
            "yesterday",
            "-2h",
            "2w",
            "h",
            "é",
            "99999999d",
            "99999999999d",
        ] {
            let error = parse(text, NOW).unwrap_err();
            assert!(error.source().is_none(), "its own words: {error:?}");
            for part in [text, "2026-01-31T12:00:00Z", "7d"] {
                assert!(error.to_string().contains(part), "{error}");
            }
        }
    }

    #[test]
    fn a_time_that_is_not_set_shows_as_a_dash() {
        assert_eq!(show(0), "-");
        assert_eq!(show(1_000_000), "1970-01-01T00:00:01Z");
    }
}

//! What the operator's screen calls wrong and what an alert calls wrong is the same, where both judge it.

use anyhow::{Context as _, ensure};
use health::limits::{
    ANCHORS_WITHIN, CERTIFICATE_DAYS, CERTIFICATE_LAST_PART, CLOCK_SKEW, KEY_DAYS_OF_GRACE,
    PENDING_FOR,
};

/// Of the alert's rule with this severity, its words.
fn words(name: &str, severity: &str) -> anyhow::Result<Vec<String>> {
    let rules = sight::rules()?;
    let rule = { rules.alerts.iter() }
        .find(|alert| {
            alert.name == name
                && alert
                    .labels
                    .get("severity")
                    .is_some_and(|one| one == severity)
        })
        .with_context(|| format!("no {severity} is called {name}"))?;
    let words = rule.expression.split_whitespace();
    Ok(words
        .map(|word| word.trim_end_matches([')', ',']).to_owned())
        .collect())
}

/// Every number that something is compared with in this way.
fn compared(words: &[String], how: &str) -> anyhow::Result<Vec<i64>> {
    let pairs = words.iter().zip(words.iter().skip(1));
    pairs
        .filter(|(one, next)| {
            *one == how && next.starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9'])
        })
        .map(|(_, number)| number.parse().context(number.clone()))
        .collect()
}

fn expect(name: &str, severity: &str, how: &str, limits: &[i64]) -> anyhow::Result<()> {
    let found = compared(&words(name, severity)?, how)?;
    ensure!(
        found == limits,
        "{name}, {severity}: {how} {found:?} in deploy/prometheus/alerts.yml, {limits:?} in crates/health"
    );
    Ok(())
}

#[test]
fn alerts_and_status_judge_alike() -> anyhow::Result<()> {
    let skew = i64::try_from(CLOCK_SKEW.as_secs())?;
    expect("WritebackClockSkew", "ticket", ">", &[skew])?;
    expect("WritebackKeyOverdue", "ticket", "<", &[-KEY_DAYS_OF_GRACE])?;
    expect(
        "WritebackCertificateEnding",
        "ticket",
        "<",
        &[CERTIFICATE_DAYS],
    )?;
    // of the authority; the certificate's is below
    let service = "WritebackServiceCertificateEnding";
    expect(service, "ticket", "<", &[CERTIFICATE_DAYS])?;
    let told = words(service, "ticket")?.join(" ");
    // brackets and commas at the end of a word are left out
    let rule = format!(
        "< clamp_max(writeback_service_certificate_lifetime_days / {CERTIFICATE_LAST_PART} {CERTIFICATE_DAYS} or"
    );
    ensure!(told.contains(&rule), "{service}: {rule} is not in {told}");
    Ok(())
}

/// An alert may come before the screen calls it wrong, for it also waits; never after.
#[test]
fn no_alert_comes_later_than_status_says_so() -> anyhow::Result<()> {
    for (name, limit) in [
        ("WritebackQueueAge", PENDING_FOR),
        ("WritebackForestDown", ANCHORS_WITHIN),
    ] {
        let compared = compared(&words(name, "page")?, ">")?;
        let age = compared
            .first()
            .copied()
            .with_context(|| format!("{name} compares nothing"))?;
        ensure!(
            u64::try_from(age)? <= limit.as_secs(),
            "{name}: after {age} s in deploy/prometheus/alerts.yml, {limit:?} in crates/health"
        );
    }
    Ok(())
}

//! The picture: lines for a terminal or a log.

use std::{fmt::Write as _, io::IsTerminal, time::Duration};

use health::{
    ControllerReport, DomainReport, Finding, ForestReport, Instance, Level, Report, ServiceReport,
    kind_name,
};
use operation::ForestId;
use proto::v1::{self, Breaker};
use time::format_description::well_known::Rfc3339;

use super::Look;
use crate::{moment, table::printable};

const DAY_MICROS: i64 = 86_400_000_000;
const NAME_WIDTH: usize = 10;

/// Whether levels are coloured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint(bool);

impl Paint {
    /// On a terminal, unless it is asked to be plain (no-color.org).
    pub(super) fn of(out: &impl IsTerminal) -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self(out.is_terminal() && !plain)
    }

    #[cfg(test)]
    pub(super) const PLAIN: Self = Self(false);

    /// Padded first: what colours has no width.
    fn level(self, level: Level, text: &str) -> String {
        let colour = match level {
            Level::Healthy => "32",
            Level::Degraded => "33",
            Level::Down => "31;1",
        };
        self.coloured(colour, text)
    }

    fn strong(self, text: &str) -> String {
        self.coloured("1", text)
    }

    fn coloured(self, colour: &str, text: &str) -> String {
        if self.0 {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// As wide as the longest of them.
    fn word(self, level: Level) -> String {
        self.level(level, &format!("{:8}", level.as_str()))
    }
}

pub(super) fn lines(look: &Look, paint: Paint) -> Vec<String> {
    match look {
        Look::Away { at, why } => {
            let at = at.format(&Rfc3339).unwrap_or_default();
            let mut lines = vec![
                format!(
                    "{}   {at}",
                    paint.level(Level::Down, "Writeback is down, or cannot be asked")
                ),
                String::new(),
            ];
            let finding = Finding {
                level: Level::Down,
                what: format!("audit cannot be asked: {}", printable(why)),
                act: "see that audit runs, and that [ledger] urls or --audit name its address"
                    .to_owned(),
            };
            lines.extend(told(&finding, 2, paint));
            lines
        }
        Look::Seen { status, report, of } => seen(status, report, of.as_ref(), paint),
    }
}

fn seen(
    status: &v1::StatusResponse,
    report: &Report,
    of: Option<&ForestId>,
    paint: Paint,
) -> Vec<String> {
    let whose = of.map_or("Writeback".to_owned(), |forest| format!("Forest {forest}"));
    let head = format!("{whose} is {}", report.level.as_str());
    let mut lines = vec![
        format!(
            "{}   {}, as {} sees it",
            paint.level(report.level, &head),
            moment::show(seconds(status.at)),
            printable(&status.replica)
        ),
        String::new(),
    ];
    lines.push(row("broker", report.broker.level(), "", paint));
    lines.extend(all(report.broker.findings(), paint));
    lines.push(row(
        "ledger",
        report.ledger.level(),
        &ledger(status.ledger.as_ref()),
        paint,
    ));
    lines.extend(all(report.ledger.findings(), paint));
    let outcomes = &report.outcomes;
    lines.push(row(
        "outcomes",
        outcomes.verdict.level(),
        &without_forest(&outcomes.without_forest, status),
        paint,
    ));
    lines.extend(all(outcomes.verdict.findings(), paint));
    for service in &report.services {
        let replicas = replicas(service, status.at);
        lines.push(row(
            kind_name(service.kind),
            service.verdict.level(),
            &replicas,
            paint,
        ));
        lines.extend(all(service.verdict.findings(), paint));
    }
    let mut forests: Vec<&ForestReport> = report.forests.iter().collect();
    forests.sort_by_key(|forest| std::cmp::Reverse(forest.level()));
    for forest in forests {
        lines.push(String::new());
        lines.extend(of_forest(forest, status, paint));
    }
    lines
}

fn row(name: &str, level: Level, detail: &str, paint: Paint) -> String {
    let line = format!("  {name:NAME_WIDTH$} {} {detail}", paint.word(level));
    line.trim_end().to_owned()
}

fn all(findings: &[Finding], paint: Paint) -> Vec<String> {
    let lines = findings.iter().flat_map(|finding| told(finding, 4, paint));
    lines.collect()
}

/// What it is and, below it, what to do.
fn told(finding: &Finding, indent: usize, paint: Paint) -> [String; 2] {
    let (what, act) = (printable(&finding.what), printable(&finding.act));
    [
        format!(
            "{:indent$}{}",
            "",
            paint.level(finding.level, &format!("! {what}"))
        ),
        format!("{:indent$}  -> {act}", ""),
    ]
}

fn ledger(facts: Option<&v1::LedgerHealth>) -> String {
    let mut parts = Vec::new();
    if let Some(chain) = facts.and_then(|facts| facts.chain.as_ref()) {
        if chain.problem.is_empty() && chain.followed_to > 0 {
            parts.push(format!(
                "chain followed from {} to {}",
                chain.followed_from, chain.followed_to
            ));
        }
        if let Some(age) = chain.verified_age_ms.filter(|_| chain.verified_intact) {
            parts.push(format!(
                "verified {} ago",
                age_of(Duration::from_millis(age))
            ));
        }
    }
    if facts
        .and_then(|facts| facts.settings.as_ref())
        .is_some_and(|settings| !settings.unlock_without_reset)
    {
        parts.push("unlock without reset is off".to_owned());
    }
    parts.join(", ")
}

/// How long the ledger's window is.
fn window(status: &v1::StatusResponse) -> String {
    let window = status.ledger.as_ref().map_or(0, |ledger| ledger.window_ms);
    age_of(Duration::from_millis(window))
}

fn without_forest(without: &[v1::EndedOperations], status: &v1::StatusResponse) -> String {
    if without.is_empty() {
        return String::new();
    }
    format!("{}, without a forest: {}", window(status), ended(without))
}

fn replicas(service: &ServiceReport, now: i64) -> String {
    if service.instances.is_empty() {
        return "none is heard".to_owned();
    }
    let each: Vec<String> = service
        .instances
        .iter()
        .map(|one| replica(one, now))
        .collect();
    format!(
        "{} of {}   {}",
        service.alive(),
        service.instances.len(),
        each.join(", ")
    )
}

fn replica(instance: &Instance, now: i64) -> String {
    let (name, version) = (printable(&instance.name), printable(&instance.version));
    if !instance.alive {
        return format!("{name} {version} silent {}", age_of(instance.heard));
    }
    let up = u64::try_from(now.saturating_sub(instance.started_at)).unwrap_or(0);
    format!("{name} {version} up {}", age_of(Duration::from_micros(up)))
}

fn of_forest(forest: &ForestReport, status: &v1::StatusResponse, paint: Paint) -> Vec<String> {
    let head = format!("FOREST {}", printable(&forest.id));
    let mut lines = vec![format!(
        "{}   {}",
        paint.strong(&head),
        paint.word(forest.level()).trim_end()
    )];
    let width = NAME_WIDTH;
    let plain = |name: &str, detail: String| format!("  {name:width$} {detail}");
    lines.extend(all(forest.verdict.findings(), paint));
    lines.push(plain("writers", replicas(&forest.writers, status.at)));
    lines.push(plain("work", work(forest)));
    lines.push(plain(&window(status), ended(&forest.ended)));
    lines.extend(keys(forest).map(|keys| plain("keys", keys)));
    for domain in &forest.domains {
        lines.extend(of_domain(domain, status.at, paint));
    }
    lines
}

fn work(forest: &ForestReport) -> String {
    let figures = &forest.figures;
    let waiting = figures
        .waiting
        .map_or("?".to_owned(), |waiting| waiting.to_string());
    let mut text = format!(
        "queue {waiting}, under way {}, pending {}",
        figures.under_way, figures.pending
    );
    if let Some(age) = figures.oldest_pending {
        let _ = write!(text, " (the oldest for {})", age_of(age));
    }
    match figures.last_applied {
        Some(age) => {
            let _ = write!(text, "; last success {} ago", age_of(age));
        }
        None => text.push_str("; no success within a week"),
    }
    text
}

/// By status, with the reasons of each, the most frequent first.
fn ended(ended: &[v1::EndedOperations]) -> String {
    let mut parts = Vec::new();
    for status in operation::Status::ALL {
        let of_status: Vec<&v1::EndedOperations> = ended
            .iter()
            .filter(|ended| {
                operation::Status::try_from(ended.status()).is_ok_and(|known| known == status)
            })
            .collect();
        let total: u64 = of_status.iter().map(|ended| ended.count).sum();
        if total == 0 {
            continue;
        }
        let reasons: Vec<String> = of_status
            .iter()
            .filter(|ended| !ended.reason.is_empty())
            .map(|ended| format!("{} {}", printable(&ended.reason), ended.count))
            .collect();
        parts.push(if reasons.is_empty() {
            format!("{} {total}", status.as_str())
        } else {
            format!("{} {total} ({})", status.as_str(), reasons.join(", "))
        });
    }
    if parts.is_empty() {
        "nothing ended".to_owned()
    } else {
        parts.join("; ")
    }
}

/// Nothing while they are not known.
fn keys(forest: &ForestReport) -> Option<String> {
    let keys = forest.figures.keys.as_ref()?;
    let Some((newest, days)) = keys.last() else {
        return Some("none published".to_owned());
    };
    let newest: String = printable(newest).chars().take(8).collect();
    let left = days.map_or(String::new(), |days| {
        format!(", to be replaced in {days} days")
    });
    Some(format!(
        "{} published, the newest {newest}…{left}",
        keys.len()
    ))
}

fn of_domain(domain: &DomainReport, now: i64, paint: Paint) -> Vec<String> {
    let anchors = domain.anchors_age.map_or(String::new(), |age| {
        format!("anchors read {} ago", age_of(age))
    });
    let line = format!(
        "  {} {} {anchors}",
        printable(&domain.name),
        paint.word(domain.level())
    );
    let mut lines = vec![line.trim_end().to_owned()];
    lines.extend(all(domain.verdict.findings(), paint));
    for controller in &domain.controllers {
        lines.push(of_controller(controller, now, paint));
        let findings = controller.verdict.findings().iter();
        lines.extend(findings.flat_map(|finding| told(finding, 6, paint)));
    }
    lines
}

fn of_controller(controller: &ControllerReport, now: i64, paint: Paint) -> String {
    let facts = &controller.facts;
    let mut parts = vec![format!(
        "bound by {} of {}",
        controller.bound, controller.asking
    )];
    if controller.bound > 0 {
        if let Some(latency) = facts.latency_us {
            parts.push(format!("{}.{} ms", latency / 1_000, latency % 1_000 / 100));
        }
        if let Some(skew) = facts.clock_skew_ms {
            let sign = if skew < 0 { '-' } else { '+' };
            let skew = skew.unsigned_abs();
            parts.push(format!(
                "clock {sign}{}.{} s",
                skew / 1_000,
                skew % 1_000 / 100
            ));
        }
        let known = |fact: Option<bool>, yes: &str, no: &str| {
            fact.map(|fact| if fact { yes } else { no }.to_owned())
        };
        parts.extend(known(facts.policy_hints, "policy hints", "no policy hints"));
        parts.extend(known(facts.writable, "writable", "read-only"));
        parts.extend(
            facts
                .pdc_emulator
                .filter(|pdc| *pdc)
                .map(|_| "PDC emulator".to_owned()),
        );
    }
    if matches!(facts.breaker(), Breaker::Open | Breaker::HalfOpen) {
        parts.push("resting".to_owned());
    }
    if let Some(at) = facts.certificate_expires_at {
        parts.push(format!(
            "certificate {} d",
            at.saturating_sub(now) / DAY_MICROS
        ));
    }
    let name = facts
        .dns_host_name
        .as_deref()
        .map_or(String::new(), |name| format!(" ({})", printable(name)));
    format!(
        "    {}{name} {} {}",
        printable(&controller.endpoint),
        paint.word(controller.verdict.level()),
        parts.join(", ")
    )
}

/// To the second.
fn seconds(micros: i64) -> i64 {
    micros - micros.rem_euclid(1_000_000)
}

fn age_of(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

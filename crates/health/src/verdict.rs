//! How bad it is, what it is, and what to do.

/// The exit codes of `writebackctl status`, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    Healthy,
    /// It works, and somebody should act before it no longer does.
    Degraded,
    /// People are not getting their passwords.
    Down,
}

impl Level {
    pub const ALL: [Self; 3] = [Self::Healthy, Self::Degraded, Self::Down];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub level: Level,
    pub what: String,
    /// What an operator does about it.
    pub act: String,
}

impl Finding {
    pub(crate) fn degraded(what: impl Into<String>, act: impl Into<String>) -> Self {
        Self {
            level: Level::Degraded,
            what: what.into(),
            act: act.into(),
        }
    }

    pub(crate) fn down(what: impl Into<String>, act: impl Into<String>) -> Self {
        Self {
            level: Level::Down,
            what: what.into(),
            act: act.into(),
        }
    }
}

/// All that is not as it should be with one thing; nothing if it is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    findings: Vec<Finding>,
}

impl Verdict {
    pub(crate) fn new(mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
        Self { findings }
    }

    pub fn level(&self) -> Level {
        // the worst comes first
        self.findings
            .first()
            .map_or(Level::Healthy, |finding| finding.level)
    }

    /// The worst first.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }
}

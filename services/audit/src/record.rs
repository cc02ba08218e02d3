//! What the entries of one operation say together (pure).

use operation::Status;
use proto::v1;

use crate::content::{Admission, End, Reported, Step, Target, Write};

/// The step by which a later operation went first.
pub(crate) const OVERTAKEN: &str = "overtaken";
/// The step by which a writer keeps later operations from going first.
pub(crate) const TAKEN_UP: &str = "taken up";

/// One operation, folded from its entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) admission: Admission,
    pub(crate) outcome: Option<End>,
    pub(crate) completed_at: i64,
    pub(crate) target: Option<Target>,
    pub(crate) steps: Vec<Step>,
    pub(crate) write: Option<Write>,
}

impl Record {
    pub(crate) fn admitted(admission: Admission) -> Self {
        let accepted = Step {
            at: admission.admitted_at,
            service: admission.service.clone(),
            step: "accepted".to_owned(),
            detail: String::new(),
        };
        Self {
            admission,
            outcome: None,
            completed_at: 0,
            target: None,
            steps: vec![accepted],
            write: None,
        }
    }

    pub(crate) fn status(&self) -> Status {
        self.outcome.as_ref().map_or(Status::Pending, End::status)
    }

    pub(crate) fn is_pending(&self) -> bool {
        self.outcome.is_none()
    }

    /// Whether nothing is known of it but that it was accepted, and perhaps overtaken.
    pub(crate) fn is_untouched(&self) -> bool {
        self.is_pending()
            && self.target.is_none()
            && (self.steps.iter().skip(1)).all(|step| step.step == OVERTAKEN)
    }

    pub(crate) fn is_overtaken(&self) -> bool {
        self.has_step(OVERTAKEN)
    }

    pub(crate) fn is_taken_up(&self) -> bool {
        self.has_step(TAKEN_UP)
    }

    fn has_step(&self, name: &str) -> bool {
        self.steps.iter().any(|step| step.step == name)
    }

    /// What of a report is new. Services repeat what they were told, and messages may have twins.
    pub(crate) fn news(&self, report: Reported) -> Option<Reported> {
        if !self.is_pending() && report.outcome.is_some() {
            return None;
        }
        let mut steps: Vec<Step> = Vec::new();
        for step in report.steps {
            if !self.steps.contains(&step) && !steps.contains(&step) {
                steps.push(step);
            }
        }
        let news = Reported {
            target: report
                .target
                .filter(|target| self.is_pending() && self.target.as_ref() != Some(target)),
            outcome: report.outcome,
            steps,
            write: report.write.filter(|_| self.write.is_none()),
        };
        (news != Reported::default()).then_some(news)
    }

    /// Takes in what [`Self::news`] found, as the entry of this time says it.
    pub(crate) fn apply(&mut self, at: i64, news: Reported) {
        if let Some(target) = news.target {
            self.target = Some(target);
        }
        if let Some(write) = news.write {
            self.write = Some(write);
        }
        self.steps.extend(news.steps);
        self.steps.sort_by_key(|step| step.at);
        if let Some(outcome) = news.outcome
            && self.outcome.is_none()
        {
            self.outcome = Some(outcome);
            self.completed_at = at;
        }
    }

    pub(crate) fn to_wire(&self) -> v1::OperationRecord {
        v1::OperationRecord {
            operation: Some(self.admission.to_wire()),
            status: v1::Status::from(self.status()).into(),
            outcome: self.outcome.as_ref().map(End::to_wire),
            target: self.target.as_ref().map(Target::to_wire),
            completed_at: self.completed_at,
            steps: self.steps.iter().map(Step::to_wire).collect(),
            caller: self.admission.caller.clone(),
        }
    }

    /// As news for whoever waits on a reply queue.
    pub(crate) fn to_report(&self) -> v1::Report {
        v1::Report {
            operation_id: self.admission.id.to_string(),
            target: self.target.as_ref().map(Target::to_wire),
            outcome: self.outcome.as_ref().map(End::to_wire),
            steps: self.steps.iter().map(Step::to_wire).collect(),
            write: self.write.as_ref().map(Write::to_wire),
        }
    }
}

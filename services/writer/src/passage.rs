//! One operation's way through the writer: open the seal, read the account, write, report, ack.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bus::{Delivery, Message, Publisher, Truth};
use directory::{Account, DirectoryError, PasswordWrite, WriteError};
use operation::{Applied, DomainName, ForestId, Kind, Outcome, Reason, Refusal, Status};
use prost::Message as _;
use proto::{to_micros, v1};
use sealing::{Binding, Contents, PrivateKeys, SealedPassword};
use time::OffsetDateTime;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::Instrument as _;

use crate::{
    Domain,
    decide::{
        Rules, Sent, happened, is_set_since_admission_perhaps, notes, permit, set_since_admission,
        superseded,
    },
    ledger::Ledger,
    observe::{Doubt, Observer},
    work::Work,
};

const ASK_AGAIN_AFTER: Duration = Duration::from_millis(500);
/// How long a domain controller that is away is waited for, the deadline permitting.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) struct Passage {
    pub(crate) forest: ForestId,
    pub(crate) domains: BTreeMap<DomainName, Domain>,
    pub(crate) keys: PrivateKeys,
    pub(crate) ledger: Ledger,
    pub(crate) observer: Observer,
    pub(crate) publisher: Publisher,
    pub(crate) service: String,
    pub(crate) rules: Rules,
    pub(crate) write_time_out: Duration,
    pub(crate) seal_skew: Duration,
}

/// How it ended, with what tells this write from others later.
struct End {
    outcome: Outcome,
    write: Option<v1::Write>,
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> Self {
        Self {
            outcome: refusal.into(),
            write: None,
        }
    }
}

impl Passage {
    pub(crate) async fn take(self: Arc<Self>, delivery: Delivery) {
        let span = delivery.span();
        async {
            match Work::parse(
                &delivery.body,
                delivery.redelivered || delivery.attempts > 0,
            ) {
                Ok(mut work) => {
                    telemetry::span::current_belongs_to(work.operation.id);
                    self.observer.started(
                        work.operation.kind,
                        OffsetDateTime::now_utc() - work.operation.admitted_at,
                        work.perhaps_begun,
                    );
                    if let Some(end) = self.carry_out(&mut work, &delivery).await {
                        self.report(work, end, &delivery).await;
                    }
                }
                Err(problem) => tracing::error!(problem, "work that cannot be read is dropped"),
            }
            if let Err(error) = delivery.ack().await {
                tracing::debug!(%error, "not acknowledged; it will come again");
            }
        }
        .instrument(span)
        .await;
    }

    /// None when the operation has ended elsewhere, or will.
    async fn carry_out(&self, work: &mut Work, delivery: &Delivery) -> Option<End> {
        let seen = Instant::now();
        let Some(domain) = self.domains.get(&work.domain) else {
            return Some(
                Refusal::new(
                    Reason::DirectoryMisconfigured,
                    format!(
                        "forest {} has no domain {} in this writer's configuration",
                        self.forest, work.domain
                    ),
                )
                .into(),
            );
        };
        if let Some(earlier) = work.after {
            self.let_end(earlier, &work.operation).await;
        }
        let contents = match self.open(work) {
            Ok(contents) => contents,
            Err(refusal) => return Some(refusal.into()),
        };
        if work.perhaps_begun {
            let status = self.status_in_ledger(work).await;
            if status.is_terminal() {
                tracing::info!(%status, "ended already");
                return None;
            }
            self.observer.in_doubt(Doubt::Redelivered);
            if let Some(account) = self
                .look_for(domain, work, contents.as_ref(), None, |_| true)
                .await
            {
                work.step(
                    &self.service,
                    "reconciled",
                    "an earlier delivery had written it",
                );
                self.observer.reconciled(true);
                let notes = notes(&work.operation, &account, self.rules, Sent::Before);
                return Some(End {
                    outcome: Outcome::Applied(Applied { notes }),
                    write: None,
                });
            }
            self.observer.reconciled(false);
        }
        if work.reconcile_only {
            return Some(
                Refusal::new(
                    Reason::DeadlineExceeded,
                    "the deadline passed and nothing had been written",
                )
                .into(),
            );
        }
        let began = Instant::now();
        let end = self
            .write(domain, work, contents.as_ref(), seen, delivery)
            .await;
        self.observer
            .directory(work.operation.kind, began.elapsed());
        end
    }

    fn open(&self, work: &mut Work) -> Result<Option<Contents>, Refusal> {
        let operation = &work.operation;
        if !operation.kind.sets_password() {
            return Ok(None);
        }
        let invalid = |problem: String| {
            Refusal::new(Reason::SealInvalid, format!("sealedPassword: {problem}"))
        };
        let sealed = SealedPassword::from_json_text(&work.sealed_password)
            .map_err(|error| invalid(error.to_string()))?;
        let binding = Binding {
            issuer: operation.event.source.clone(),
            event_id: operation.event.id.clone(),
            subject: operation.user.subject(),
            kind: operation.kind,
        };
        // an operation may wait in the queue longer than its seal lives: what counts is admission
        let contents = self
            .keys
            .open(&sealed, &binding, operation.admitted_at, self.seal_skew)
            .map_err(|error| invalid(error.to_string()))?;
        work.step(&self.service, "sealed password opened", "");
        Ok(Some(contents))
    }

    /// Reads and writes, and again while the domain controllers are merely away.
    async fn write(
        &self,
        domain: &Domain,
        work: &mut Work,
        contents: Option<&Contents>,
        seen: Instant,
        delivery: &Delivery,
    ) -> Option<End> {
        loop {
            let now = OffsetDateTime::now_utc();
            let budget =
                time::Duration::try_from(self.write_time_out).unwrap_or(time::Duration::MAX);
            if !work.operation.allows_write(now, budget) {
                let refusal = Refusal::new(
                    Reason::DeadlineExceeded,
                    "too late: a write could no longer have ended before the deadline",
                );
                return Some(refusal.into());
            }
            let away = match self.try_once(domain, work, contents, delivery).await {
                Ok(end) => return end,
                Err(refusal) => refusal,
            };
            if seen.elapsed() > PATIENCE {
                return Some(away.into());
            }
            sleep(ASK_AGAIN_AFTER).await;
        }
    }

    /// None when the operation has ended elsewhere, or will.
    ///
    /// # Errors
    /// The refusal to give if no later try succeeds: nothing was written.
    async fn try_once(
        &self,
        domain: &Domain,
        work: &mut Work,
        contents: Option<&Contents>,
        delivery: &Delivery,
    ) -> Result<Option<End>, Refusal> {
        let account = match domain.directory.read_account(work.object_guid).await {
            Ok(Some(account)) => account,
            Ok(None) => {
                let refusal = Refusal::new(
                    Reason::UserNotFound,
                    "the account has been deleted or moved",
                );
                return Ok(Some(refusal.into()));
            }
            Err(error @ DirectoryError::Unavailable { .. }) => {
                return Err(Refusal::new(error.reason(), error.to_string()));
            }
            Err(error) => {
                let refusal = Refusal::new(error.reason(), error.to_string());
                return Ok(Some(refusal.into()));
            }
        };
        if let Err(refusal) = permit(&work.operation, &account, &domain.scope, self.rules) {
            return Ok(Some(refusal.into()));
        }
        if work.operation.kind.sets_password() {
            let clock = domain.directory.clock_of(&account.domain_controller);
            let since = set_since_admission(&work.operation, &account, &clock, self.rules);
            if since || work.perhaps_begun || work.after.is_some() {
                let standing = self
                    .ledger
                    .standing(work.operation.id, &work.target)
                    .await
                    .map_err(|problem| {
                        Refusal::new(
                            Reason::DirectoryError,
                            format!("the ledger cannot be asked: {problem}"),
                        )
                    })?;
                // it may have a twin, and that one's report may have come in only now
                if standing.status.is_terminal() {
                    tracing::info!(status = %standing.status, "ended meanwhile");
                    return Ok(None);
                }
                if let Some(refusal) = superseded(&account, since, &standing.precedents) {
                    return Ok(Some(refusal.into()));
                }
            }
        }
        let Some(change) = change(work, contents, self.rules) else {
            let refusal = Refusal::new(
                Reason::SealInvalid,
                "sealedPassword: it holds no current password",
            );
            return Ok(Some(refusal.into()));
        };
        // with its connection lost the message goes to another writer, which counts on no write
        // beginning here any more
        if !delivery.is_held() {
            return Ok(None);
        }
        let remaining = work
            .operation
            .remaining(OffsetDateTime::now_utc())
            .unsigned_abs();
        match domain
            .directory
            .write(work.object_guid, &change, Instant::now() + remaining)
            .await
        {
            Ok(receipt) => {
                let manner = manner(work, receipt.policy_hints);
                work.step(
                    &self.service,
                    "written",
                    format!("at {}{manner}", receipt.domain_controller),
                );
                let sent = Sent::ByUs(receipt.policy_hints);
                let write = v1::Write {
                    domain_controller: receipt.domain_controller,
                    began: to_micros(receipt.began),
                    ended: to_micros(receipt.ended),
                };
                let notes = notes(&work.operation, &account, self.rules, sent);
                Ok(Some(End {
                    outcome: Outcome::Applied(Applied { notes }),
                    write: Some(write),
                }))
            }
            Err(WriteError::CertainlyNot(explained)) => {
                let refusal = Refusal {
                    reason: explained.reason,
                    detail: explained.detail,
                    violations: explained.violations,
                };
                if explained.transient {
                    Err(refusal)
                } else {
                    Ok(Some(refusal.into()))
                }
            }
            Err(WriteError::Unknown {
                problem,
                policy_hints,
            }) => {
                tracing::warn!(problem, "in doubt");
                let manner = manner(work, policy_hints);
                work.step(
                    &self.service,
                    "in doubt",
                    format!("the answer to the write was lost{manner}"),
                );
                let sent = Sent::ByUs(policy_hints);
                let end = self.reconcile(domain, work, contents, &account, sent).await;
                Ok(Some(end))
            }
        }
    }

    /// The modify was sent and its answer lost: read until it is known, holding the message.
    async fn reconcile(
        &self,
        domain: &Domain,
        work: &mut Work,
        contents: Option<&Contents>,
        before: &Account,
        sent: Sent,
    ) -> End {
        self.observer.in_doubt(Doubt::AnswerLost);
        let is_touched = |account: &Account| {
            !work.operation.kind.sets_password() || account.pwd_last_set != before.pwd_last_set
        };
        let at = Some(before.domain_controller.as_str());
        if self
            .look_for(domain, work, contents, at, is_touched)
            .await
            .is_some()
        {
            work.step(&self.service, "reconciled", "it had been written");
            self.observer.reconciled(true);
            let notes = notes(&work.operation, before, self.rules, sent);
            return End {
                outcome: Outcome::Applied(Applied { notes }),
                write: None,
            };
        }
        work.step(&self.service, "reconciled", "nothing had been written");
        self.observer.reconciled(false);
        Refusal::new(
            Reason::ForestUnavailable,
            "the domain controller did not carry the write out",
        )
        .into()
    }

    /// Looks for a write that may have been sent: the account, if it has happened.
    ///
    /// A domain controller that stood still carries out on waking what it had received before, and
    /// answers others meanwhile. So "not" is said only of an account read again, a write's whole
    /// time-out after a domain controller has answered.
    async fn look_for(
        &self,
        domain: &Domain,
        work: &Work,
        contents: Option<&Contents>,
        at: Option<&str>,
        is_touched: impl Fn(&Account) -> bool,
    ) -> Option<Account> {
        for wait in [self.write_time_out, Duration::ZERO] {
            let account = self.read_surely(domain, work, at).await?;
            let answered = Instant::now();
            if is_touched(&account) && self.did_happen(domain, work, contents, &account).await {
                return Some(account);
            }
            sleep_until(answered + wait).await;
        }
        None
    }

    /// Reads the account however long it takes; None if it is gone.
    async fn read_surely(&self, domain: &Domain, work: &Work, at: Option<&str>) -> Option<Account> {
        loop {
            let read = match at {
                Some(controller) => {
                    domain
                        .directory
                        .read_account_at(work.object_guid, controller)
                        .await
                }
                None => domain.directory.read_account(work.object_guid).await,
            };
            match read {
                Ok(account) => return account,
                Err(error) => {
                    tracing::warn!(%error, "in doubt, and the account cannot be read yet");
                }
            }
            sleep(ASK_AGAIN_AFTER).await;
        }
    }

    async fn did_happen(
        &self,
        domain: &Domain,
        work: &Work,
        contents: Option<&Contents>,
        account: &Account,
    ) -> bool {
        let clock = domain.directory.clock_of(&account.domain_controller);
        let Some(contents) = contents else {
            return happened(&work.operation, account, None, &clock, self.rules);
        };
        if !is_set_since_admission_perhaps(&work.operation, account, &clock, self.rules) {
            return false;
        }
        loop {
            let opens = domain
                .directory
                .opens_at(
                    account.bind_name(),
                    &contents.new_password,
                    &account.domain_controller,
                )
                .await;
            match opens {
                Ok(opens) => {
                    return happened(&work.operation, account, Some(opens), &clock, self.rules);
                }
                Err(error) => {
                    tracing::warn!(%error, "in doubt, and the password cannot be tried yet");
                }
            }
            sleep(ASK_AGAIN_AFTER).await;
        }
    }

    /// Operations on one person end in the order of their admission.
    async fn let_end(&self, earlier: operation::OperationId, operation: &operation::Operation) {
        loop {
            match self.ledger.has_ended(earlier).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(problem) => tracing::warn!(
                    problem,
                    "the ledger cannot be asked for an earlier operation"
                ),
            }
            if operation.remaining(OffsetDateTime::now_utc()).is_zero() {
                return;
            }
            sleep(ASK_AGAIN_AFTER / 5).await;
        }
    }

    async fn status_in_ledger(&self, work: &Work) -> Status {
        loop {
            match self.ledger.standing(work.operation.id, &work.target).await {
                Ok(standing) => return standing.status,
                Err(problem) => {
                    tracing::warn!(problem, "in doubt, and the ledger cannot be asked yet");
                }
            }
            sleep(ASK_AGAIN_AFTER).await;
        }
    }

    async fn report(&self, mut work: Work, end: End, delivery: &Delivery) {
        let status = end.outcome.status();
        let reason = end.outcome.reason().map_or("", Reason::code);
        let kind = work.operation.kind;
        match &end.outcome {
            Outcome::NotApplied(refusal) if status == Status::Failed => {
                tracing::warn!(%status, reason, detail = refusal.detail, %kind, "ended");
            }
            Outcome::NotApplied(refusal) => {
                tracing::info!(%status, reason, detail = refusal.detail, %kind, "ended");
            }
            Outcome::Applied(_) => tracing::info!(%status, %kind, "ended"),
        }
        self.observer.ended(work.operation.kind, &end.outcome);
        work.step(
            &self.service,
            "ended",
            if reason.is_empty() {
                status.as_str()
            } else {
                reason
            },
        );
        let report = v1::Report {
            operation_id: work.operation.id.to_string(),
            target: Some(work.target),
            outcome: Some((&end.outcome).into()),
            steps: work.steps,
            write: end.write,
        };
        let message = Message {
            body: report.encode_to_vec(),
            id: report.operation_id,
            reply_to: delivery.reply_to.clone(),
            time_to_live: None,
        };
        let truth = if status == Status::Applied {
            Truth::Lasting
        } else {
            Truth::WhileHeld(delivery)
        };
        self.publisher.report(message, truth).await;
    }
}

/// How a reset was sent, for the ledger.
fn manner(work: &Work, policy_hints: Option<&str>) -> String {
    match (work.operation.kind, policy_hints) {
        (Kind::Reset, Some(control)) => format!(", with policy hints ({control})"),
        (Kind::Reset, None) => ", without policy hints".to_owned(),
        (Kind::Change | Kind::Unlock, _) => String::new(),
    }
}

fn change(work: &Work, contents: Option<&Contents>, rules: Rules) -> Option<PasswordWrite> {
    let operation = &work.operation;
    match (operation.kind, contents) {
        (Kind::Unlock, _) => Some(PasswordWrite::Unlock),
        (Kind::Reset, Some(contents)) => Some(PasswordWrite::Reset {
            new: contents.new_password.clone(),
            unlock: operation.unlock,
            must_change: operation.must_change_at_next_sign_in,
            policy_hints: rules.policy_hints(operation),
        }),
        (Kind::Change, Some(contents)) => Some(PasswordWrite::Change {
            current: contents.current_password.clone()?,
            new: contents.new_password.clone(),
            unlock: false,
        }),
        (_, None) => None,
    }
}

//! One operation's way through the writer: open the seal, read the account, write, report, ack.

mod attempt;
mod doubt;
mod inquiry;
mod misled;
mod tenure;
mod turn;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use bus::{Delivery, Message, Publisher, Truth};
use directory::{
    Account,
    rules::{EXPIRED_AT_ONCE, OwnAccounts, is_expired_at_once},
};
use operation::{Applied, DomainName, ForestId, Outcome, Reason, Refusal, Status};
use prost::Message as _;
use proto::v1;
use sealing::{Binding, Contents, SealedPassword};
use telemetry::trouble::Trouble;
use time::OffsetDateTime;
use tokio::time::Instant;
use tracing::Instrument as _;

pub(crate) use tenure::Tenure;
use turn::Claimed;

use crate::{
    Domain,
    decide::{Rules, Sent, newer_applied, notes},
    health::Health,
    keys::Keys,
    ledger::{Ledger, Standing},
    observe::{Doubt, Observer},
    places::Doubts,
    switch::Switch,
    work::Work,
};

const ASK_AGAIN_AFTER: Duration = Duration::from_millis(500);
/// How long a domain controller that is away is waited for, the deadline permitting.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) struct Passage {
    pub(crate) forest: ForestId,
    pub(crate) domains: BTreeMap<DomainName, Domain>,
    pub(crate) keys: Arc<Keys>,
    pub(crate) switch: Arc<Switch>,
    pub(crate) ledger: Ledger,
    pub(crate) observer: Observer,
    pub(crate) health: Arc<Health>,
    pub(crate) doubts: Doubts,
    pub(crate) publisher: Publisher,
    pub(crate) service: String,
    pub(crate) own_accounts: OwnAccounts,
    pub(crate) rules: Rules,
    pub(crate) write_time_out: Duration,
    pub(crate) seal_skew: Duration,
    /// That accounts cannot be claimed, and are written to all the same.
    pub(crate) unclaimed: Mutex<Trouble>,
}

/// Behind all others.
async fn make_way(delivery: Delivery) {
    if let Err(error) = delivery.reject().await {
        tracing::debug!(%error, "not rejected; it will come again");
    }
}

/// Whether nothing is left to do.
fn has_ended(standing: &Standing) -> bool {
    let status = standing.status;
    if status.is_terminal() {
        tracing::info!(%status, "ended already");
    }
    status.is_terminal()
}

/// How it ended, with what tells this write from others later.
struct End {
    outcome: Outcome,
    write: Option<v1::Write>,
}

/// How an operation leaves this writer.
enum Passed {
    Ended(End),
    /// It has ended elsewhere, or will.
    Elsewhere,
    /// Nobody has begun with it, and it is not its turn.
    GivesWay,
}

impl From<Refusal> for Passed {
    fn from(refusal: Refusal) -> Self {
        Self::Ended(refusal.into())
    }
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
                Ok(work) => {
                    telemetry::span::current_belongs_to(work.operation.id);
                    if work.after.is_some() && self.gives_way(&work, &delivery).await {
                        return make_way(delivery).await;
                    }
                    self.observer.started(
                        work.operation.kind,
                        OffsetDateTime::now_utc() - work.operation.admitted_at,
                        work.perhaps_begun,
                    );
                    let _under_way = self.health.begin(work.operation.admitted_at);
                    let tenure = Arc::clone(&work.tenure);
                    let keep = self.keep(work.operation.id, work.target.clone(), &tenure);
                    let gives_way = tokio::select! {
                        gives_way = Box::pin(self.go_on(work, &delivery)) => gives_way,
                        never = keep => match never {},
                    };
                    if gives_way {
                        return make_way(delivery).await;
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

    /// Until its end has been told; whether it gives way instead.
    async fn go_on(&self, mut work: Work, delivery: &Delivery) -> bool {
        match self.carry_out(&mut work, delivery).await {
            Passed::Ended(end) => match misled::request(&mut work, &end) {
                Some(request) => self.resolve_afresh(work, request, delivery).await,
                None => self.report(work, end, delivery).await,
            },
            Passed::Elsewhere => {}
            Passed::GivesWay => return true,
        }
        false
    }

    async fn carry_out(&self, work: &mut Work, delivery: &Delivery) -> Passed {
        let seen = Instant::now();
        let Some(domain) = self.domains.get(&work.domain) else {
            return Refusal::new(
                Reason::DirectoryMisconfigured,
                format!(
                    "forest {} has no domain {} in this writer's configuration",
                    self.forest, work.domain
                ),
            )
            .into();
        };
        let contents = match self.open(work).await {
            Ok(contents) => contents,
            Err(refusal) => return refusal.into(),
        };
        if work.perhaps_begun {
            if has_ended(&self.standing_in_ledger(work).await) {
                return Passed::Elsewhere;
            }
            if work.operation.kind.sets_password() {
                // a try of the password each time it is not its turn would be many
                match self.claim(work, delivery, seen).await {
                    Claimed::Ours { .. } => {}
                    Claimed::Held | Claimed::HeldByTwin => return Passed::GivesWay,
                }
                // one before it, or a twin, may have ended it meanwhile
                if has_ended(&self.standing_in_ledger(work).await) {
                    return Passed::Elsewhere;
                }
            }
            self.observer.in_doubt(Doubt::Redelivered);
            let in_doubt = self.doubts.enter(Instant::now());
            let found = self.look_everywhere(domain, work, contents.as_ref()).await;
            if let Some(account) = found {
                let how = if work.operation.kind.sets_password() {
                    "an earlier delivery had written it"
                } else {
                    "the account is not locked: nothing is left to write"
                };
                work.step(&self.service, "reconciled", how);
                self.observer.reconciled(true);
                let mut notes = self.notes(domain, work, &account, Sent::Before);
                if is_expired_at_once(&work.operation, &account) {
                    notes.push(self.expired_at_once(work));
                }
                return Passed::Ended(End {
                    outcome: Outcome::Applied(Applied { notes }),
                    write: doubt::seen_write(work, &account),
                });
            }
            self.observer.reconciled(false);
            drop(in_doubt);
            let standing = self.standing_in_ledger(work).await;
            // it may have a twin
            if has_ended(&standing) {
                return Passed::Elsewhere;
            }
            if work.operation.kind.sets_password() && newer_applied(&standing.precedents) {
                return Refusal::new(
                    Reason::Superseded,
                    "a newer operation has set the password; whether this one had before cannot be told, and makes no difference",
                )
                .into();
            }
        }
        if work.reconcile_only {
            return Refusal::new(
                Reason::DeadlineExceeded,
                "nobody finished with it before its deadline, or in many tries, and nothing had been written",
            )
            .into();
        }
        let began = Instant::now();
        let passed = self
            .write(domain, work, contents.as_ref(), seen, delivery)
            .await;
        self.observer
            .directory(work.operation.kind, began.elapsed());
        passed
    }

    /// What to remark on a success.
    fn notes(&self, domain: &Domain, work: &Work, account: &Account, sent: Sent) -> Vec<String> {
        let clock = domain.directory.clock_of(&account.domain_controller);
        let now = OffsetDateTime::now_utc();
        notes(&work.operation, account, self.rules, sent, &clock, now)
    }

    /// Tells the ledger, and what to remark.
    fn expired_at_once(&self, work: &mut Work) -> String {
        work.step(&self.service, "expired at once", EXPIRED_AT_ONCE);
        EXPIRED_AT_ONCE.to_owned()
    }

    async fn open(&self, work: &mut Work) -> Result<Option<Contents>, Refusal> {
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
            .open_seal(&sealed, &binding, operation.admitted_at, self.seal_skew)
            .await
            .map_err(|error| invalid(error.to_string()))?;
        work.step(&self.service, "sealed password opened", "");
        Ok(Some(contents))
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
        self.health.ended(&end.outcome);
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

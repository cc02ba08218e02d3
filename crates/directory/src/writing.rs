//! The way of a write: one modify, sent once, at the first domain controller that takes it.

use std::sync::Arc;

use operation::{ObjectGuid, Reason};
use secrecy::ExposeSecret as _;
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::{
    DeadlineInstant, Directory, Explained, LateAnswer, PasswordWrite, PwdLastSet, WriteError,
    WriteReceipt,
    account::{allowed_attributes, pwd_last_set},
    breaker::Failure,
    connection::{Answer, CallError, Connection, Outstanding},
    controllers::For,
    domain_of,
    exchange::{Knowing, by_guid, nobody_asked, read_one, ready, unavailable},
    explain::{explain, name_missing_right},
    filter,
    policy::{POLICY_ATTRIBUTES, Policy, SUBJECT_ATTRIBUTES, Subject},
    policy_hints::critical,
    pool::{Lease, Pool},
};

/// A modify that was sent.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) guid: ObjectGuid,
    pub(crate) change: PasswordWrite,
    pub(crate) policy_hints: Option<&'static str>,
    pub(crate) began: OffsetDateTime,
}

/// What came of it in time.
struct Exchange {
    sent: Sent,
    lease: Lease,
    at: Instant,
    answer: Result<Answer, CallError>,
    outstanding: Option<Outstanding>,
}

/// Why a write came to nothing at one domain controller.
pub(crate) enum Unwritten {
    /// To be done elsewhere, and how to explain that if it is not.
    Referred(Vec<String>, Explained),
    For(WriteError),
}

impl From<WriteError> for Unwritten {
    fn from(error: WriteError) -> Self {
        Self::For(error)
    }
}

/// RFC 4511 4.1.9.
const REFERRAL: u32 = 10;

impl Directory {
    /// Carries out a write as one modify, at the first writable domain controller that can be reached.
    /// The modify is sent only if its own time-out still ends before `at`. A refusal that comes out of
    /// it as transient is one that waiting may help: every domain controller has been asked.
    pub async fn write(
        &self,
        guid: ObjectGuid,
        change: &PasswordWrite,
        at: DeadlineInstant,
    ) -> Result<WriteReceipt, WriteError> {
        let pools = self.controllers.wanted(For::Writing).await;
        let pools = pools.map_err(|error| WriteError::CertainlyNot(error.explained()))?;
        let (mut last, mut away) = (None, false);
        for pool in pools {
            match self.write_or_follow(&pool, guid, change, at).await {
                Err(WriteError::CertainlyNot(explained)) if explained.transient => {
                    away |= explained.reason == Reason::ForestUnavailable;
                    last = Some(explained);
                }
                decided => return decided,
            }
        }
        let last = last.unwrap_or_else(|| nobody_asked().explained());
        // one that is away comes back; one that cannot do it does not learn it meanwhile
        Err(WriteError::CertainlyNot(Explained {
            transient: away,
            ..last
        }))
    }

    /// Writes at one domain controller, or at the one that it refers to: one hop, and only to a host
    /// on the allow-list, for the password goes with it.
    async fn write_or_follow(
        &self,
        pool: &Arc<Pool>,
        guid: ObjectGuid,
        change: &PasswordWrite,
        at: DeadlineInstant,
    ) -> Result<WriteReceipt, WriteError> {
        let (urls, explained) = match self.write_at(pool, guid, change, at).await {
            Err(Unwritten::Referred(urls, explained)) => (urls, explained),
            Err(Unwritten::For(error)) => return Err(error),
            Ok(receipt) => return Ok(receipt),
        };
        let not_followed = |why: String| {
            WriteError::CertainlyNot(Explained {
                detail: format!("{}: {}; {why}", pool.endpoint, explained.detail),
                ..explained.clone()
            })
        };
        let to = self.controllers.referred_to(&urls).map_err(|hosts| {
            not_followed(format!(
                "it names {hosts}, which is none of the domain's known controllers and not in referral_hosts"
            ))
        })?;
        tracing::debug!(from = %pool.endpoint, to = %to.endpoint, "referred");
        match self.write_at(&to, guid, change, at).await {
            Err(Unwritten::Referred(..)) => Err(not_followed(format!(
                "{} refers further, and only one referral is followed",
                to.endpoint
            ))),
            Err(Unwritten::For(error)) => Err(error),
            Ok(receipt) => Ok(receipt),
        }
    }

    /// Sends the modify once; again only when it certainly was not sent.
    async fn send(
        &self,
        pool: &Pool,
        guid: ObjectGuid,
        change: &PasswordWrite,
        at: DeadlineInstant,
    ) -> Result<Exchange, WriteError> {
        loop {
            // a connection proven alive a moment ago makes an unknown outcome rare
            let lease = ready(pool, Knowing::ClockAndLife).await.map_err(|error| {
                // nothing was sent: another may do, unless the account itself is refused
                WriteError::CertainlyNot(Explained {
                    transient: pool.standing_refusal().is_none(),
                    ..error.explained()
                })
            })?;
            if pool.facts.is_read_only() == Some(true) {
                pool.give_back(lease);
                return Err(WriteError::CertainlyNot(Explained {
                    reason: Reason::DirectoryMisconfigured,
                    detail: format!("{} is read-only", pool.endpoint),
                    violations: Vec::new(),
                    transient: true,
                }));
            }
            if Instant::now() + self.time_out > at {
                pool.give_back(lease);
                return Err(WriteError::CertainlyNot(Explained {
                    reason: Reason::DeadlineExceeded,
                    detail: "the write could no longer end before the deadline".to_owned(),
                    violations: Vec::new(),
                    transient: false,
                }));
            }
            let policy_hints = match change.policy_hints().control(pool.facts.policy_hints()) {
                Ok(control) => control,
                Err(explained) => {
                    pool.give_back(lease);
                    return Err(WriteError::CertainlyNot(explained));
                }
            };
            let (at, began) = (Instant::now(), OffsetDateTime::now_utc());
            let (answer, outstanding) = lease
                .connection
                .modify(
                    by_guid(guid),
                    change.modifications(),
                    policy_hints.map(critical),
                )
                .await;
            if lease.reused && matches!(answer, Err(CallError::NotSent)) {
                pool.forget_idle(); // it died since; nothing was sent
                continue;
            }
            let sent = Sent {
                guid,
                change: change.clone(),
                policy_hints,
                began,
            };
            return Ok(Exchange {
                sent,
                lease,
                at,
                answer,
                outstanding,
            });
        }
    }

    async fn write_at(
        &self,
        pool: &Arc<Pool>,
        guid: ObjectGuid,
        change: &PasswordWrite,
        at: DeadlineInstant,
    ) -> Result<WriteReceipt, Unwritten> {
        let Exchange {
            sent,
            lease,
            at,
            answer,
            outstanding,
        } = self.send(pool, guid, change, at).await?;
        match answer {
            Ok(answer) => {
                let ended = OffsetDateTime::now_utc();
                let told = sent.told(pool, &lease.connection, answer, ended).await;
                match &told {
                    Err(Unwritten::Referred(..)) => {
                        pool.give_back(lease);
                        pool.rest();
                    }
                    // it answers, and cannot do this, or not now
                    Err(Unwritten::For(WriteError::CertainlyNot(explained)))
                        if explained.transient =>
                    {
                        pool.rest();
                    }
                    Ok(_) | Err(Unwritten::For(_)) => pool.give_back(lease),
                }
                told
            }
            Err(CallError::NotSent) => {
                let error = unavailable(pool, CallError::NotSent);
                pool.failed(Failure::Faltered, &error);
                Err(WriteError::CertainlyNot(error.explained()).into())
            }
            Err(lost @ CallError::Lost(_)) => {
                pool.forget_idle();
                let error = unavailable(pool, lost);
                pool.came_to_nothing(at, &error);
                Err(WriteError::Unknown {
                    problem: error.to_string(),
                    domain_controller: pool.endpoint.to_string(),
                    policy_hints: sent.policy_hints,
                    late: outstanding.map(|outstanding| {
                        let pool = Arc::clone(pool);
                        Box::new(LateAnswer::new(pool, lease.connection, sent, outstanding))
                    }),
                }
                .into())
            }
        }
    }
}

impl Sent {
    /// What the domain controller's answer says of it, which came at `ended`.
    pub(crate) async fn told(
        &self,
        pool: &Pool,
        connection: &Connection,
        answer: Answer,
        ended: OffsetDateTime,
    ) -> Result<WriteReceipt, Unwritten> {
        let change = &self.change;
        if answer.result == 0 {
            let expired_at_once = change.needs_unexpire()
                && !pool.facts.unexpire_is_proven()
                && expired_at_once(pool, connection, self.guid).await;
            let clock = pool.facts.clock();
            return Ok(WriteReceipt {
                domain_controller: pool.endpoint.to_string(),
                began: clock.earliest(self.began),
                ended: clock.latest(ended),
                policy_hints: self.policy_hints,
                expired_at_once,
            });
        }
        let mut explained = explain(change, answer.result, &answer.text);
        if answer.result == REFERRAL {
            return Err(Unwritten::Referred(answer.referrals, explained));
        }
        if matches!(
            explained.reason,
            Reason::AccessDenied | Reason::CannotChangePassword
        ) {
            let allowed = allowed_on(connection, self.guid).await;
            name_missing_right(change, allowed.as_ref(), &mut explained);
        }
        if explained.reason == Reason::PasswordPolicy {
            let now = pool.facts.clock().earliest(ended);
            let history = change.obeys_history(self.policy_hints);
            let broken = &mut explained;
            name_broken_rules(connection, self.guid, change, now, history, broken).await;
        }
        Err(WriteError::CertainlyNot(explained).into())
    }
}

/// Whether the password that was just set must be changed at once; not, where that cannot be read: the
/// next reset will be looked at.
async fn expired_at_once(pool: &Pool, connection: &Connection, guid: ObjectGuid) -> bool {
    let Some(entry) = read_one(connection, &by_guid(guid), &["pwdLastSet"]).await else {
        return false;
    };
    // without the attribute nothing is told: the service account may not read it
    let Some(set) = entry.text("pwdLastSet") else {
        return false;
    };
    let expired = pwd_last_set(Some(set)) == PwdLastSet::MustChange;
    pool.facts.unexpire_seen(!expired);
    if expired {
        tracing::warn!(endpoint = %pool.endpoint, "a reset left the password expired: Unexpire-Password is missing");
    }
    expired
}

/// What the service account may write on the object; None if that cannot be read.
async fn allowed_on(
    connection: &Connection,
    guid: ObjectGuid,
) -> Option<std::collections::BTreeSet<String>> {
    let entry = read_one(connection, &by_guid(guid), &["allowedAttributesEffective"]).await?;
    Some(allowed_attributes(&entry))
}

/// Says which rules the password broke, as far as the service account may read the policy.
async fn name_broken_rules(
    connection: &Connection,
    guid: ObjectGuid,
    change: &PasswordWrite,
    now: OffsetDateTime,
    with_history: bool,
    explained: &mut Explained,
) {
    let Some(password) = change.new_password() else {
        return;
    };
    let Some(account) = read_one(connection, &by_guid(guid), SUBJECT_ATTRIBUTES).await else {
        return;
    };
    let subject = Subject::read(&account);
    let holder = match &subject.settings_object {
        Some(settings_object) => settings_object.clone(),
        None => match domain_of(&account.dn) {
            Some(domain) => filter::base(&domain),
            None => return,
        },
    };
    let Some(policy) = read_one(connection, &holder, POLICY_ATTRIBUTES)
        .await
        .and_then(|entry| Policy::read(&entry))
    else {
        return;
    };
    explained.violations = policy.violations(
        password.expose_secret(),
        &subject,
        now,
        with_history,
        std::mem::take(&mut explained.violations),
    );
}

//! The rules, without a network: may this operation be written to this account, and did it happen?

use directory::{
    Account, Membership, Opens, PolicyHints, PwdLastSet,
    clock::{Comparison, ControllerClock},
    rules,
    scope::Scope,
};
use operation::{InitiatorKind, Kind, Operation, Reason, Refusal, Status};
use time::{Duration, OffsetDateTime};

/// What the operator has configured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) users_reach_protected: bool,
    pub(crate) administrators_reach_protected: bool,
    /// By how much the clocks of our own machines may differ.
    pub(crate) clock_skew: Duration,
    pub(crate) users_hints: PolicyHints,
    pub(crate) administrators_hints: PolicyHints,
}

impl Rules {
    /// Whether who began this may reach protected accounts.
    fn reaches_protected(self, operation: &Operation) -> bool {
        match operation.initiator.kind {
            InitiatorKind::User => self.users_reach_protected,
            InitiatorKind::Administrator => self.administrators_reach_protected,
        }
    }

    /// Whether this reset is to be sent with policy hints.
    pub(crate) fn policy_hints(self, operation: &Operation) -> PolicyHints {
        match operation.initiator.kind {
            InitiatorKind::User => self.users_hints,
            InitiatorKind::Administrator => self.administrators_hints,
        }
    }
}

/// How a write that was applied had been sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// With this policy-hints control, if any.
    ByUs(Option<&'static str>),
    /// By an earlier delivery, of which nothing but the result is known.
    Before,
}

/// Another operation on the same account, as the ledger knows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Precedent {
    pub(crate) admitted_later: bool,
    pub(crate) kind: Kind,
    pub(crate) status: Status,
    /// Between which moments of the domain controller's clock it was written.
    pub(crate) written: Option<(OffsetDateTime, OffsetDateTime)>,
}

impl Precedent {
    /// Whether it is known to have set the password that was set then.
    pub(crate) fn has_written_at(&self, at: OffsetDateTime) -> bool {
        let contains = |(began, ended): (_, _)| (began..=ended).contains(&at);
        self.kind.sets_password()
            && self.status == Status::Applied
            && self.written.is_some_and(contains)
    }
}

/// Whether the account as read may be written to at all.
pub(crate) fn permit(
    operation: &Operation,
    account: &Account,
    scope: &Scope,
    rules: Rules,
) -> Result<(), Refusal> {
    rules::permit(
        operation,
        account,
        scope,
        rules.reaches_protected(operation),
    )
}

/// Whether the password was set after the operation was admitted: unless certainly not, the ledger is asked by whom.
pub(crate) fn set_since_admission(
    operation: &Operation,
    account: &Account,
    clock: &ControllerClock,
    rules: Rules,
) -> Comparison {
    match account.pwd_last_set {
        PwdLastSet::At(at) => clock.compare(at, operation.admitted_at, rules.clock_skew),
        // it may be a newer operation that asked for it
        PwdLastSet::MustChange => Comparison::Unsure,
    }
}

/// What happened to the account since the operation was admitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Overtaken {
    No,
    /// Unless it was by an older operation, whose end is still on its way to the ledger.
    Perhaps(Refusal),
    ByANewer(Refusal),
}

/// Newer wins: refused unless the password was last set by an operation admitted before this one.
pub(crate) fn superseded(
    account: &Account,
    set_since_admission: Comparison,
    precedents: &[Precedent],
) -> Overtaken {
    let by_older = |at: OffsetDateTime| {
        precedents
            .iter()
            .any(|precedent| !precedent.admitted_later && precedent.has_written_at(at))
    };
    let by_somebody_else = set_since_admission == Comparison::Later
        && match account.pwd_last_set {
            PwdLastSet::At(at) => !by_older(at),
            PwdLastSet::MustChange => false,
        };
    let refusal = Refusal::new(
        Reason::Superseded,
        "the password was set again after this operation was admitted",
    );
    if newer_applied(precedents) {
        return Overtaken::ByANewer(refusal);
    }
    if !by_somebody_else {
        return Overtaken::No;
    }
    let is_pending = |precedent: &Precedent| {
        !precedent.admitted_later
            && precedent.kind.sets_password()
            && precedent.status == Status::Pending
    };
    if precedents.iter().any(is_pending) {
        return Overtaken::Perhaps(refusal);
    }
    Overtaken::ByANewer(refusal)
}

/// Whether a newer operation has set the password: whatever this one did, it does not hold.
pub(crate) fn newer_applied(precedents: &[Precedent]) -> bool {
    precedents.iter().any(|precedent| {
        precedent.admitted_later
            && precedent.kind.sets_password()
            && precedent.status == Status::Applied
    })
}

/// Whether a write whose answer was lost has happened, as far as the account can tell.
pub(crate) fn happened(
    operation: &Operation,
    account: &Account,
    opens: Option<Opens>,
    clock: &ControllerClock,
    rules: Rules,
) -> bool {
    match operation.kind {
        Kind::Unlock => !account.locked,
        Kind::Reset | Kind::Change => {
            is_set_since_admission_perhaps(operation, account, clock, rules)
                && matches!(
                    opens,
                    Some(Opens::Yes | Opens::YesButMustChange | Opens::YesButKeptOut)
                )
        }
    }
}

/// Whether the password may have been set by this operation, as far as its age can tell. Only then
/// is it tried: a try with a wrong one counts towards the lockout.
pub(crate) fn is_set_since_admission_perhaps(
    operation: &Operation,
    account: &Account,
    clock: &ControllerClock,
    rules: Rules,
) -> bool {
    match account.pwd_last_set {
        PwdLastSet::At(at) => {
            clock.compare(at, operation.admitted_at, rules.clock_skew) != Comparison::Earlier
        }
        // it was asked for, or the service account lacks Unexpire-Password: no age tells
        PwdLastSet::MustChange => true,
    }
}

/// What to remark on a success.
pub(crate) fn notes(
    operation: &Operation,
    account: &Account,
    rules: Rules,
    sent: Sent,
    clock: &ControllerClock,
    now: OffsetDateTime,
) -> Vec<String> {
    let mut notes = Vec::new();
    if operation.kind == Kind::Reset {
        notes.push(match (sent, rules.policy_hints(operation)) {
            (Sent::ByUs(Some(control)), _) => {
                format!(
                    "password history was checked: the reset was sent with policy hints ({control})"
                )
            }
            (Sent::ByUs(None), PolicyHints::Never) => format!(
                "password history was not checked: resets by {} are sent without policy hints here",
                match operation.initiator.kind {
                    InitiatorKind::User => "users",
                    InitiatorKind::Administrator => "administrators",
                }
            ),
            (Sent::ByUs(None), _) => {
                "password history was not checked: the domain controller does not know policy hints"
                    .to_owned()
            }
            (Sent::Before, _) => {
                "whether password history was checked is not known: an earlier delivery wrote it"
                    .to_owned()
            }
        });
    }
    if account.membership == Membership::Unreadable && !rules.reaches_protected(operation) {
        notes.push(
            "the account's groups could not be read (tokenGroups): whether it is protected was told \
             by adminCount alone"
                .to_owned(),
        );
    }
    if operation.kind == Kind::Unlock && !account.locked {
        notes.push("the account was not locked".to_owned());
    }
    notes.extend(rules::remarks(operation, account, clock, now));
    notes
}

#[cfg(test)]
mod tests;

//! From what the forests answered to one account, or a refusal.

mod several;

use operation::{
    DomainName, EnabledInTwoForests, ForestId, ObjectGuid, Reason, Refusal, SourceAnchor,
    UserReference,
};

use crate::{Found, scope::Scope};

/// What one domain answered.
#[derive(Debug)]
pub struct Answer<'a> {
    pub forest: &'a ForestId,
    pub domain: &'a DomainName,
    pub scope: &'a Scope,
    /// Why it did not answer, in words for the caller.
    pub found: Result<Vec<Found>, String>,
}

/// The one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    pub forest: ForestId,
    pub domain: DomainName,
    pub object_guid: ObjectGuid,
    /// Where the person is enabled too: the operator's order decided.
    pub preferred_to: Vec<ForestId>,
}

/// Chooses the one enabled account in scope. `sealed_for` empty means that there is no seal.
pub fn locate(
    user: &UserReference,
    sealed_for: &[ForestId],
    rule: &EnabledInTwoForests,
    answers: &[Answer<'_>],
) -> Result<Located, Refusal> {
    let candidates: Vec<(&Answer<'_>, &Found)> = answers
        .iter()
        .flat_map(|answer| {
            answer
                .found
                .iter()
                .flatten()
                .map(move |found| (answer, found))
        })
        // what lies in another domain is told by that one, where its scope is known
        .filter(|(answer, found)| found.is_person && found.domain == *answer.domain)
        .collect();
    let agreeing: Vec<_> = candidates
        .iter()
        .filter(|(_, found)| disagreement(user, found).is_none())
        .copied()
        .collect();
    let in_scope: Vec<_> = agreeing
        .iter()
        .filter(|(answer, found)| answer.scope.contains(&found.dn))
        .copied()
        .collect();
    let enabled: Vec<_> = in_scope
        .iter()
        .filter(|(_, found)| found.enabled)
        .copied()
        .collect();

    let chosen = several::choose(&enabled, &agreeing, rule)?;
    // only when every forest has answered is one account known to be the only one
    if let Some((answer, why)) = answers
        .iter()
        .find_map(|answer| answer.found.as_ref().err().map(|why| (answer, why)))
    {
        return Err(Refusal::new(
            Reason::ForestUnavailable,
            format!("forest {} did not answer: {why}", answer.forest),
        ));
    }
    let Some((answer, found)) = chosen else {
        return Err(why_none(user, &candidates, &agreeing, &in_scope));
    };
    if !sealed_for.is_empty() && !sealed_for.contains(answer.forest) {
        return Err(Refusal::new(
            Reason::SealInvalid,
            format!(
                "sealedPassword: it has no recipient for forest {}, where the account is",
                answer.forest
            ),
        ));
    }
    Ok(Located {
        forest: answer.forest.clone(),
        domain: found.domain.clone(),
        object_guid: found.guid,
        preferred_to: enabled
            .iter()
            .filter(|(other, _)| other.forest != answer.forest)
            .map(|(other, _)| other.forest.clone())
            .collect(),
    })
}

fn why_none(
    user: &UserReference,
    candidates: &[(&Answer<'_>, &Found)],
    agreeing: &[(&Answer<'_>, &Found)],
    in_scope: &[(&Answer<'_>, &Found)],
) -> Refusal {
    if !in_scope.is_empty() {
        return Refusal::new(Reason::AccountDisabled, "the account is disabled");
    }
    if !agreeing.is_empty() {
        return Refusal::new(
            Reason::OutOfScope,
            "the account is outside the organizational units in which writeback may act",
        );
    }
    let given = [
        user.source_anchor().is_some(),
        user.security_identifier().is_some(),
        user.user_principal_name().is_some(),
    ];
    let several = given.into_iter().filter(|given| *given).count() > 1;
    if let Some(field) = candidates
        .iter()
        .find_map(|(_, found)| disagreement(user, found))
        .filter(|_| several)
    {
        return Refusal::new(
            Reason::UserNotFound,
            format!(
                "user.{field}: it does not belong to the account that the other identifiers name"
            ),
        );
    }
    let field = if user.source_anchor().is_some() {
        "sourceAnchor"
    } else if user.security_identifier().is_some() {
        "securityIdentifier"
    } else {
        "userPrincipalName"
    };
    Refusal::new(
        Reason::UserNotFound,
        format!("user.{field}: no person's account has it"),
    )
}

/// The anchor of an account: `mS-DS-ConsistencyGuid`, else `objectGUID`.
fn anchor_of(found: &Found) -> SourceAnchor {
    found
        .consistency_guid
        .unwrap_or_else(|| SourceAnchor::from_bytes(*found.guid.as_bytes()))
}

/// The first identifier given that is not this account's.
fn disagreement(user: &UserReference, found: &Found) -> Option<&'static str> {
    if user
        .source_anchor()
        .is_some_and(|anchor| anchor != anchor_of(found))
    {
        return Some("sourceAnchor");
    }
    if user
        .security_identifier()
        .is_some_and(|sid| found.sid.as_ref() != Some(sid))
    {
        return Some("securityIdentifier");
    }
    if user
        .user_principal_name()
        .is_some_and(|upn| found.upn.as_ref() != Some(upn))
    {
        return Some("userPrincipalName");
    }
    if user.domain().is_some_and(|domain| *domain != found.domain) {
        return Some("domain");
    }
    None
}

#[cfg(test)]
mod tests;

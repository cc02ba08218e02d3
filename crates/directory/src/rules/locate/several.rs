//! More than one account: who is meant, if anybody can tell.

use crate::Found;
use operation::{EnabledInTwoForests, ForestOrder, Reason, Refusal};

use super::{Answer, anchor_of};

type Candidate<'a> = (&'a Answer<'a>, &'a Found);

/// The one that is meant among the enabled accounts in scope; None if there is none. `agreeing` are
/// also those that are disabled or out of scope.
pub(super) fn choose<'a>(
    enabled: &[Candidate<'a>],
    agreeing: &[Candidate<'a>],
    rule: &EnabledInTwoForests,
) -> Result<Option<Candidate<'a>>, Refusal> {
    if let Some(refusal) = on_the_move(agreeing) {
        return Err(refusal);
    }
    let [first, second, ..] = enabled else {
        return Ok(enabled.first().copied());
    };
    let ambiguous = |why: &str| Err(Refusal::new(Reason::UserAmbiguous, why));
    if is_twice_in_one_forest(enabled) {
        return ambiguous(
            "more than one enabled account of a forest matches; disable all but one, or name the domain",
        );
    }
    let EnabledInTwoForests::Prefer(order) = rule else {
        return ambiguous(
            "more than one enabled account matches; disable all but one, or name the domain",
        );
    };
    if enabled
        .iter()
        .any(|(_, found)| anchor_of(found) != anchor_of(first.1))
    {
        return ambiguous(
            "enabled accounts in several forests match, and their anchors differ: they may be different people",
        );
    }
    match preferred(enabled, order) {
        Some(preferred) => Ok(Some(preferred)),
        None => ambiguous(&format!(
            "the person is enabled in several forests, among them {} and {}, and \
             resolver.enabled_in_two_forests does not name all of them",
            first.0.forest, second.0.forest
        )),
    }
}

/// None unless the order says something of every forest.
fn preferred<'a>(enabled: &[Candidate<'a>], order: &ForestOrder) -> Option<Candidate<'a>> {
    let ranked: Vec<(usize, Candidate<'a>)> = enabled
        .iter()
        .map(|candidate| Some((order.rank(candidate.0.forest)?, *candidate)))
        .collect::<Option<_>>()?;
    ranked
        .into_iter()
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, candidate)| candidate)
}

fn is_twice_in_one_forest(enabled: &[Candidate<'_>]) -> bool {
    pairs(enabled).any(|(one, other)| one.0.forest == other.0.forest)
}

/// A move to another domain of the forest keeps the `objectGUID` (MS-ADTS 3.1.1.5.4.2, cross-domain
/// move). Until the old domain's controllers have all heard of it, some of them still show the person,
/// and what is written there is lost.
fn on_the_move(agreeing: &[Candidate<'_>]) -> Option<Refusal> {
    pairs(agreeing)
        .find(|(one, other)| one.0.forest == other.0.forest && one.1.guid == other.1.guid)
        .map(|(one, other)| {
            Refusal::new(
                Reason::ForestUnavailable,
                format!(
                    "forest {}: the account is being moved between the domains {} and {}, and both \
                     show it; try again",
                    one.0.forest, one.1.domain, other.1.domain
                ),
            )
        })
}

fn pairs<'a, 'b>(
    candidates: &'b [Candidate<'a>],
) -> impl Iterator<Item = (Candidate<'a>, Candidate<'a>)> + 'b {
    candidates.iter().enumerate().flat_map(|(index, one)| {
        candidates
            .iter()
            .skip(index.saturating_add(1))
            .map(move |other| (*one, *other))
    })
}

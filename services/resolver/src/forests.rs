//! Asking the forests, all at once, and in each of them every domain.
//!
//! Not their global catalogs: a catalog lacks `mS-DS-ConsistencyGuid`, and hears of everything last. It
//! would lead to the account that somebody is just leaving behind in another domain, and what is
//! written there is lost; the domains, all asked, show that there are two.

use std::sync::Arc;

use arc_swap::ArcSwap;
use directory::{
    Directory, DirectoryError, Identifier,
    rules::{Answer, Located, locate},
    scope::Scope,
};
use futures_util::future::join_all;
use lookout::Lookout;
use operation::{
    DomainName, EnabledInTwoForests, ForestId, Reason, Refusal, SourceAnchor, UserReference,
};
use tokio::time::Instant;

use crate::{
    anchors::Anchors,
    observe::{Answered, Observer},
    remembered::{Question, Remembered},
    standstill::Gate,
};

/// Every domain of every forest. Whoever looks for somebody looks in those there were when it began.
pub(crate) struct Forests {
    asked: ArcSwap<Asked>,
    observer: Arc<Observer>,
    remembered: Remembered,
}

/// Who is asked, and what counts.
#[derive(Default)]
pub(crate) struct Asked {
    pub(crate) domains: Vec<Arc<Domain>>,
    pub(crate) enabled_in_two_forests: EnabledInTwoForests,
}

/// Whom to find.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    user: &'a UserReference,
    sealed_for: &'a [ForestId],
    rule: &'a EnabledInTwoForests,
}

/// How far a person is to be looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Search {
    /// What was found a moment ago will do: the writer compares it with the account.
    MayRecall,
    Afresh,
}

/// Where somebody is, and whether that was only remembered.
pub(crate) struct Found {
    pub(crate) located: Located,
    pub(crate) remembered: bool,
}

pub(crate) struct Domain {
    pub(crate) forest: ForestId,
    pub(crate) name: DomainName,
    pub(crate) scope: Scope,
    pub(crate) directory: Arc<Directory>,
    pub(crate) gate: Gate,
    pub(crate) anchors: Arc<Anchors>,
    pub(crate) lookout: Lookout,
}

impl Forests {
    pub(crate) fn new(observer: Arc<Observer>) -> Self {
        Self {
            asked: ArcSwap::default(),
            observer,
            remembered: Remembered::default(),
        }
    }

    /// From now on these are asked, and no others.
    pub(crate) fn ask(&self, asked: Asked) {
        self.asked.store(Arc::new(asked));
    }

    /// The domains that are asked now.
    pub(crate) fn asked(&self) -> Arc<Asked> {
        self.asked.load_full()
    }

    /// Finds the person.
    pub(crate) async fn locate(
        &self,
        user: &UserReference,
        sealed_for: &[ForestId],
        search: Search,
    ) -> Result<Found, Refusal> {
        let forests = self.asked.load_full();
        let asked: Vec<&Domain> = forests
            .domains
            .iter()
            .map(|domain| &**domain)
            .filter(|domain| match (user.domain(), sealed_for) {
                (Some(name), _) => domain.name == *name,
                (None, [only]) => domain.forest == *only,
                (None, _) => true,
            })
            .collect();
        if let (true, Some(name)) = (asked.is_empty(), user.domain()) {
            return Err(Refusal::new(
                Reason::UserNotFound,
                format!("user.domain: no configured forest has a domain {name}"),
            ));
        }
        // with several asked, a second account may have come into being: that only they can tell
        let question = match asked.as_slice() {
            [only] => Some(Question::new(user, &only.name)),
            _ => None,
        };
        if let (Some(question), Search::MayRecall) = (&question, search)
            && let Some(located) = self.remembered.recall(question, Instant::now())
            && (sealed_for.is_empty() || sealed_for.contains(&located.forest))
            // the domain may have been given to another forest since
            && asked.iter().all(|domain| domain.forest == located.forest)
        {
            self.observer.asked(0);
            return Ok(Found {
                located,
                remembered: true,
            });
        }
        let wanted = Wanted {
            user,
            sealed_for,
            rule: &forests.enabled_in_two_forests,
        };
        let located = self.look_for(&asked, wanted).await;
        if let Some(question) = question {
            match &located {
                Ok(located) => self
                    .remembered
                    .keep(question, located.clone(), Instant::now()),
                Err(_) => self.remembered.forget(&question),
            }
        }
        Ok(Found {
            located: located?,
            remembered: false,
        })
    }

    async fn look_for(&self, asked: &[&Domain], wanted: Wanted<'_>) -> Result<Located, Refusal> {
        let decided = self.look_in(asked, wanted).await;
        match (&decided, wanted.user.source_anchor()) {
            (Err(refusal), Some(anchor))
                if nobody_chosen(refusal.reason) && known_by_now(asked, anchor).await =>
            {
                self.look_in(asked, wanted).await
            }
            _ => decided,
        }
    }

    async fn look_in(&self, asked: &[&Domain], wanted: Wanted<'_>) -> Result<Located, Refusal> {
        let Wanted {
            user,
            sealed_for,
            rule,
        } = wanted;
        self.observer.asked(asked.len());
        locate(user, sealed_for, rule, &self.answers(asked, user).await)
    }

    async fn answers<'a>(&self, asked: &[&'a Domain], user: &UserReference) -> Vec<Answer<'a>> {
        join_all(asked.iter().map(|domain| async move {
            let found = domain.gate.pass(Box::pin(domain.ask(user))).await;
            let answered = match &found {
                Ok(found) if found.is_empty() => Answered::Nothing,
                Ok(_) => Answered::Found,
                Err(_) => Answered::Unavailable,
            };
            self.observer.answered(&domain.forest, answered);
            Answer {
                forest: &domain.forest,
                domain: &domain.name,
                scope: &domain.scope,
                found: found.map_err(|error| error.to_string()),
            }
        }))
        .await
    }
}

/// Whether a person whom nobody knew of may have been made a moment ago.
const fn nobody_chosen(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::UserNotFound | Reason::AccountDisabled | Reason::OutOfScope
    )
}

/// Whether any domain knows the anchor, once it was asked what changed up to now.
async fn known_by_now(asked: &[&Domain], anchor: SourceAnchor) -> bool {
    join_all(asked.iter().map(|domain| domain.anchors.look_again(anchor)))
        .await
        .contains(&true)
}

impl Domain {
    async fn ask(&self, user: &UserReference) -> Result<Vec<directory::Found>, DirectoryError> {
        let find = |by: Identifier| async move { self.directory.find(&self.name, &by).await };
        let other = other_than_anchor(user);
        let Some(anchor) = user.source_anchor() else {
            return match other {
                Some(other) => find(other).await,
                None => Ok(Vec::new()),
            };
        };
        // most anchors are the objectGUID, but another object may bear it as its consistency GUID
        let (mut found, others) = tokio::try_join!(
            find(Identifier::ObjectGuid(anchor.as_object_guid())),
            self.anchors.bearers(anchor, other),
        )?;
        for other in others {
            if found.iter().all(|known| known.guid != other.guid) {
                found.push(other);
            }
        }
        Ok(found)
    }
}

/// What the directory has an index for.
fn other_than_anchor(user: &UserReference) -> Option<Identifier> {
    user.security_identifier()
        .cloned()
        .map(Identifier::SecurityIdentifier)
        .or_else(|| {
            let upn = user.user_principal_name().cloned();
            upn.map(Identifier::UserPrincipalName)
        })
}

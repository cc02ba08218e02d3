//! `writebackctl explain`: one person, and what an operation on them would come to now. It asks as the
//! services ask and decides by the rules they decide by, and changes nothing.

mod show;

use std::io::Write as _;

use anyhow::{Context as _, bail};
use chassis::config::{self, Config, Treatment};
use directory::{
    DirectoryError, Found, Identifier,
    portrait::Portrait,
    rules::{self, Act, Answer, Located, OwnAccounts, Terms},
    scope::Scope,
};
use futures_util::future::join_all;
use operation::{EnabledInTwoForests, Kind, Reason, Refusal, SourceAnchor, UserReference};
use proto::v1::{self, settings_client::SettingsClient};
use time::OffsetDateTime;

use crate::{
    audit::{ANSWER_TIME_OUT, Address, answer, bounded},
    failure::Ending,
    forests::{self, Domain},
    output,
};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
USER is a user principal name, a security identifier, or a source anchor (the Base64 of the 16 bytes of mS-DS-ConsistencyGuid,
else of objectGUID). Every configured forest is asked, as the resolver does; the account is read as the writer reads it. Whether
writeback is turned on is asked of the audit service, if it can be reached.

Exit codes: 0 every operation would work, as far as it does not depend on the password itself; 1 one would not, with why and who
must act; 3 wrong use, or a forest could not be asked.

Examples:
  writebackctl --config /etc/writeback/config.toml explain ana@corp.example.com
  writebackctl --config /etc/writeback/config.toml explain S-1-5-21-3623811015-3361044348-30300820-1013
  writebackctl --config /etc/writeback/config.toml --json explain F39Sy2i2QUWBUm5D2zHvGA== | jq '.operations[] | select(.works | not)'")]
pub(crate) struct Explain {
    /// A user principal name, a security identifier or a source anchor
    #[arg(value_name = "USER")]
    user: String,
}

/// What one domain answered.
pub(crate) struct Asked<'a> {
    pub(crate) domain: Domain<'a>,
    pub(crate) scope: Scope,
    pub(crate) found: Result<Vec<Found>, String>,
}

/// What there is to tell.
pub(crate) struct Explanation<'a> {
    pub(crate) user: String,
    pub(crate) asked: &'a [Asked<'a>],
    pub(crate) located: Result<Located, Refusal>,
    pub(crate) person: Option<Person<'a>>,
    pub(crate) settings: Result<v1::SettingsValues, String>,
    pub(crate) operations: Vec<(Act, Result<Vec<String>, Refusal>)>,
}

/// The account the person was found to have.
pub(crate) struct Person<'a> {
    pub(crate) domain: Domain<'a>,
    pub(crate) in_scope: bool,
    pub(crate) portrait: Portrait,
}

impl Explain {
    pub(crate) async fn run(self, address: &Address, json: bool) -> anyhow::Result<Ending> {
        let user = reference(&self.user)?;
        let config = address.configuration()?;
        let domains = forests::domains(&config, None)?;
        let asked = ask(&domains, &user).await?;
        let located = locate(&asked, &user, &config.resolver.enabled_in_two_forests);
        let (person, unseen) = match person(&asked, &located).await? {
            Ok(person) => (person, None),
            Err(refusal) => (None, Some(refusal)),
        };
        let mut settings = settings(address).await;
        if let (Ok(settings), Some(person)) = (&mut settings, &person) {
            crate::settings::narrow(settings, &person.domain.forest.id);
        }
        let operations = if let Some(person) = &person {
            let configured = configured(&config, person)?;
            let on = settings.as_ref().ok();
            Act::ALL
                .map(|act| {
                    let told = outlook(act, person, &located, on, &configured.terms());
                    (act, told)
                })
                .into()
        } else {
            let nowhere = Refusal::new(Reason::UserNotFound, "the account is no longer there");
            let refusal = located.clone().err().or(unseen).unwrap_or(nowhere);
            Act::ALL.map(|act| (act, Err(refusal.clone()))).into()
        };
        let explanation = Explanation {
            user: self.user,
            asked: &asked,
            located,
            person,
            settings,
            operations,
        };
        let mut out = output::out();
        if json {
            writeln!(out, "{:#}", explanation.to_json())?;
        } else {
            explanation.print(&mut out)?;
        }
        Ok(explanation.ending())
    }
}

impl Explanation<'_> {
    fn ending(&self) -> Ending {
        if self.asked.iter().any(|asked| asked.found.is_err()) {
            Ending::NotPossible
        } else if self.operations.iter().any(|(_, told)| told.is_err()) {
            Ending::No
        } else {
            Ending::Done
        }
    }
}

fn reference(text: &str) -> anyhow::Result<UserReference> {
    let (mut anchor, mut sid, mut upn) = (None, None, None);
    if text.starts_with("S-1-") {
        sid = Some(text.parse()?);
    } else if text.contains('@') {
        upn = Some(text.parse()?);
    } else {
        let parsed = text.parse::<SourceAnchor>().ok();
        anchor = Some(parsed.with_context(|| {
            format!("{text:?} is no user principal name, security identifier or source anchor")
        })?);
    }
    Ok(UserReference::new(anchor, sid, upn, None)?)
}

/// Every domain, all at once.
async fn ask<'a>(domains: &[Domain<'a>], user: &UserReference) -> anyhow::Result<Vec<Asked<'a>>> {
    let answers = join_all(domains.iter().map(|domain| async move {
        anyhow::Ok(Asked {
            domain: *domain,
            scope: domain.scope()?,
            found: find(domain, user)
                .await
                .map_err(|error| format!("{error:#}")),
        })
    }));
    answers.await.into_iter().collect()
}

/// As the resolver finds; where it keeps an index of anchors, this looks through the domain.
async fn find(domain: &Domain<'_>, user: &UserReference) -> anyhow::Result<Vec<Found>> {
    let directory = domain.as_reader()?;
    let by = |identifier: Identifier| {
        let directory = &directory;
        async move { directory.find(domain.name(), &identifier).await }
    };
    if let Some(anchor) = user.source_anchor() {
        let mut found = by(Identifier::ObjectGuid(anchor.as_object_guid())).await?;
        for other in by(Identifier::ConsistencyGuid(anchor)).await? {
            if found.iter().all(|known| known.guid != other.guid) {
                found.push(other);
            }
        }
        return Ok(found);
    }
    if let Some(sid) = user.security_identifier() {
        return Ok(by(Identifier::SecurityIdentifier(sid.clone())).await?);
    }
    match user.user_principal_name() {
        Some(upn) => Ok(by(Identifier::UserPrincipalName(upn.clone())).await?),
        None => bail!("nobody is named"),
    }
}

fn locate(
    asked: &[Asked<'_>],
    user: &UserReference,
    rule: &EnabledInTwoForests,
) -> Result<Located, Refusal> {
    let answers: Vec<Answer<'_>> = asked
        .iter()
        .map(|asked| Answer {
            forest: &asked.domain.forest.id,
            domain: asked.domain.name(),
            scope: &asked.scope,
            found: asked.found.clone(),
        })
        .collect();
    rules::locate(user, &[], rule, &answers)
}

/// The account that was chosen, else the only one there is, so that its state can be told; or what the
/// writer says where it may not read that.
async fn person<'a>(
    asked: &[Asked<'a>],
    located: &Result<Located, Refusal>,
) -> anyhow::Result<Result<Option<Person<'a>>, Refusal>> {
    let people: Vec<(&Asked<'a>, &Found)> = asked
        .iter()
        .flat_map(|asked| {
            asked
                .found
                .iter()
                .flatten()
                .map(move |found| (asked, found))
        })
        .filter(|(_, found)| found.is_person)
        .collect();
    let chosen = match (located, people.as_slice()) {
        (Ok(located), _) => people
            .iter()
            .find(|(_, found)| found.guid == located.object_guid),
        (Err(_), [_]) => people.first(),
        (Err(_), _) => None,
    };
    let Some((asked, found)) = chosen else {
        return Ok(Ok(None));
    };
    let domain = asked.domain;
    let directory = domain.as_writer()?;
    let inspection = directory.inspect().await?;
    let account = domain
        .account(&inspection, &domain.forest.account, |sister| {
            sister.as_writer()
        })
        .await?;
    let writer = inspection.own_token(&account).await?;
    let reader = domain.reader_token(&writer).await?;
    let portrait = match inspection
        .portrait(domain.name(), found.guid, &writer, &reader)
        .await
    {
        Ok(portrait) => portrait,
        Err(error @ DirectoryError::Misconfigured { .. }) => {
            return Ok(Err(Refusal::new(error.reason(), error.to_string())));
        }
        Err(error) => return Err(error.into()),
    };
    inspection.end();
    Ok(Ok(portrait.map(|portrait| Person {
        domain,
        in_scope: asked.scope.contains(&portrait.account.dn),
        portrait,
    })))
}

/// Whether writeback is on. It is worth knowing, and no reason to tell nothing.
async fn settings(address: &Address) -> Result<v1::SettingsValues, String> {
    let ask = async {
        let mut client = SettingsClient::new(address.connect().await?);
        let request = bounded(v1::GetSettingsRequest {}, ANSWER_TIME_OUT);
        answer(client.get_settings(request), ANSWER_TIME_OUT).await
    };
    ask.await.map_err(|error| format!("{error:#}"))
}

/// What the configuration says for the person's forest.
struct Configured {
    scope: Scope,
    own_accounts: OwnAccounts,
    users: Treatment,
    administrators: Treatment,
    hints: config::PolicyHints,
}

fn configured(config: &Config, person: &Person<'_>) -> anyhow::Result<Configured> {
    let forest = person.domain.forest;
    let accounts = [Some(&forest.account), forest.reader_account.as_ref()];
    Ok(Configured {
        scope: person.domain.scope()?,
        own_accounts: OwnAccounts::new(accounts.into_iter().flatten().map(String::as_str)),
        users: config.writer.protected_accounts.users,
        administrators: config.writer.protected_accounts.administrators,
        hints: forest.policy_hints,
    })
}

impl Configured {
    fn terms(&self) -> Terms<'_> {
        Terms {
            scope: &self.scope,
            own_accounts: &self.own_accounts,
            users_reach_protected: self.users == Treatment::Allow,
            administrators_reach_protected: self.administrators == Treatment::Allow,
            users_hints: reach::hints(self.hints.users),
            administrators_hints: reach::hints(self.hints.administrators),
        }
    }
}

/// In the order in which the services would say no: admission, resolver, writer.
fn outlook(
    act: Act,
    person: &Person<'_>,
    located: &Result<Located, Refusal>,
    settings: Option<&v1::SettingsValues>,
    terms: &Terms<'_>,
) -> Result<Vec<String>, Refusal> {
    if let Some(settings) = settings {
        if !settings.writeback {
            let off = "writeback is turned off: writebackctl settings set writeback on";
            return Err(Refusal::new(Reason::WritebackDisabled, off));
        }
        if act.kind() == Kind::Unlock && !settings.unlock_without_reset {
            let off = "unlock without reset is turned off: writebackctl settings set unlock-without-reset on";
            return Err(Refusal::new(Reason::UnlockDisabled, off));
        }
    }
    let located = located.as_ref().map_err(Clone::clone)?;
    let own = settings.and_then(|settings| {
        let mut forests = settings.forests.iter();
        forests.find(|own| own.forest == located.forest.as_str())
    });
    if let Some(own) = own {
        let forest = &located.forest;
        if !own.writeback {
            let off = format!(
                "writeback is turned off in forest {forest}: writebackctl enable --forest {forest}"
            );
            return Err(Refusal::new(Reason::WritebackDisabled, off));
        }
        if act.kind() == Kind::Unlock && !own.unlock_without_reset {
            let off = format!(
                "unlock without reset is turned off in forest {forest}: \
                 writebackctl settings set unlock-without-reset on --forest {forest}"
            );
            return Err(Refusal::new(Reason::UnlockDisabled, off));
        }
    }
    rules::foretell(act, &person.portrait, terms, OffsetDateTime::now_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_named_in_three_ways() {
        assert!(
            reference("ana@corp.example.com")
                .unwrap()
                .user_principal_name()
                .is_some()
        );
        assert!(
            reference("S-1-5-21-1-2-3-1104")
                .unwrap()
                .security_identifier()
                .is_some()
        );
        assert!(
            reference("AAECAwQFBgcICQoLDA0ODw==")
                .unwrap()
                .source_anchor()
                .is_some()
        );
        for text in ["", "ana", "S-1-x", "AAEC"] {
            assert!(reference(text).is_err(), "{text:?}");
        }
    }
}

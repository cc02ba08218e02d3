//! A forest of several domains: everybody is found in theirs, and written to there, by its own policy and scope.
//!
//! To Samba each of these domains is a forest of its own; the product knows them as one forest, as the configuration says.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use e2e::{DomainController, Event, Person, World, fresh_password, source_anchor, until};
use lab::{Mover, Place};
use operation::Reason;
use uuid::Uuid;

use crate::{ALONE, forests::lab, parts, people};

const PEOPLE: &str = "People";
/// Promised for what nobody was missing.
const NEWS_WITHIN: Duration = Duration::from_mins(1);
const PATIENCE: Duration = Duration::from_secs(30);
/// Far less than any time-out towards a domain controller.
const AT_ONCE: Duration = Duration::from_secs(3);

/// The further domains; taken out again also by a test that fails.
struct Added(bool);

impl Added {
    async fn add() -> anyhow::Result<Self> {
        let added = Self(true);
        lab("add-domains").await?;
        Ok(added)
    }

    async fn remove(&mut self) -> anyhow::Result<()> {
        lab("remove-domains").await?;
        self.0 = false;
        Ok(())
    }
}

impl Drop for Added {
    fn drop(&mut self) {
        if let (true, Ok(place)) = (self.0, Place::of_this_repository()) {
            let removed = Command::new(place.binary("writeback-lab"))
                .arg("remove-domains")
                .status();
            eprintln!("the further domains are taken out: {removed:?}");
        }
    }
}

/// The forest of several domains, the first of which it had before.
struct Several<'a> {
    world: &'a World,
    first: &'a DomainController,
    child: &'a DomainController,
    tree: &'a DomainController,
}

impl<'a> Several<'a> {
    fn of(world: &'a World) -> anyhow::Result<Self> {
        let first = world.forest()?;
        let [child, tree] = world.domains.as_slice() else {
            anyhow::bail!("the lab has {} further domains", world.domains.len());
        };
        ensure!(
            child.id() == first.id() && tree.id() == first.id(),
            "not of one forest"
        );
        ensure!(
            child.domain().ends_with(first.domain()) && !tree.domain().ends_with(first.domain()),
            "no child and no tree: {} and {}",
            child.domain(),
            tree.domain()
        );
        Ok(Self {
            world,
            first,
            child,
            tree,
        })
    }

    const fn domains(&self) -> [&'a DomainController; 3] {
        [self.first, self.child, self.tree]
    }

    /// A reset of this event reaches this person in this domain.
    async fn reaches(
        &self,
        domain: &DomainController,
        person: &mut Person,
        naming: impl Fn(Event) -> Event,
    ) -> anyhow::Result<()> {
        let new = fresh_password();
        let event = naming(Event::reset(&person.user_principal_name, &new));
        let answer = self.world.door.send(&event).await?;
        answer.expect_applied()?;
        ensure!(
            answer.text("forest") == domain.id()
                && answer.body["steps"]
                    .to_string()
                    .contains(&format!("domain {}", domain.domain())),
            "not routed to {}: {}",
            domain.domain(),
            answer.body
        );
        domain
            .prove(&person.user_principal_name, &person.password, &new)
            .await?;
        person.password = new;
        Ok(())
    }

    async fn is_refused(&self, event: Event, status: u16, reason: Reason) -> anyhow::Result<()> {
        let answer = self.world.door.send(&event).await?;
        answer.expect_refused(status, reason)
    }
}

fn login(what: &str) -> String {
    let unique = Uuid::new_v4().simple().to_string();
    format!("{what}-{}", unique.get(..8).unwrap_or_default())
}

fn by(anchor: Uuid) -> Event {
    Event::unlock("").by_source_anchor(&source_anchor(anchor))
}

#[tokio::test]
async fn everybody_is_found_in_their_own_domain_of_a_forest() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let mut added = Added::add().await?;
    let world = World::enter().await?;
    let several = Several::of(&world)?;
    // so that no one hides what another shows
    let mut failed = Vec::new();
    for (what, ended) in [
        ("identifiers", identifiers(&several).await),
        ("policies", policies(&several).await),
        ("scopes", scopes(&several).await),
        ("anchors", anchors(&several).await),
        ("moves", moves(&several).await),
        ("a silent sister", a_silent_sister(&several).await),
    ] {
        println!("{what}: {ended:?}");
        if let Err(error) = ended {
            failed.push(format!("{what}: {error:?}"));
        }
    }
    added.remove().await?;
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    // nobody was left behind
    let person = several.child.person(people::AFTERWARDS.start)?;
    several
        .is_refused(Event::unlock(person), 404, Reason::UserNotFound)
        .await?;
    let mut person = several.first.hire(&login("later"), PEOPLE, None).await?;
    several
        .reaches(several.first, &mut person, |event| event)
        .await?;
    several.first.dismiss(&person).await
}

async fn identifiers(several: &Several<'_>) -> anyhow::Result<()> {
    for domain in several.domains() {
        let mut person = domain.hire(&login("found"), PEOPLE, None).await?;
        let known = domain.identifiers(&person.user_principal_name).await?;
        let sid = known.security_identifier.context("no SID")?;
        let anchor = known.source_anchor;
        several.reaches(domain, &mut person, |event| event).await?;
        several
            .reaches(domain, &mut person, |event| event.by_source_anchor(&anchor))
            .await?;
        several
            .reaches(domain, &mut person, |event| {
                event
                    .without("userPrincipalName")
                    .naming("securityIdentifier", &sid)
            })
            .await?;
        several
            .reaches(domain, &mut person, |event| {
                event
                    .naming("sourceAnchor", &anchor)
                    .naming("securityIdentifier", &sid)
                    .in_domain(domain.domain())
                    .sealed_to(domain.id())
            })
            .await?;
        for other in several.domains() {
            if other.domain() != domain.domain() {
                let event = Event::unlock(&person.user_principal_name).in_domain(other.domain());
                several.is_refused(event, 404, Reason::UserNotFound).await?;
            }
        }
        domain.dismiss(&person).await?;
    }
    Ok(())
}

/// The child asks for twelve characters.
async fn policies(several: &Several<'_>) -> anyhow::Result<()> {
    const NINE: &str = "Ab1-xyz!?";
    for domain in [several.first, several.tree] {
        let person = domain.hire(&login("policy"), PEOPLE, None).await?;
        let event = Event::reset(&person.user_principal_name, NINE);
        several.world.door.send(&event).await?.expect_applied()?;
        domain
            .prove(&person.user_principal_name, &person.password, NINE)
            .await?;
        domain.dismiss(&person).await?;
    }
    let domain = several.child;
    let person = domain.hire(&login("policy"), PEOPLE, None).await?;
    let event = Event::reset(&person.user_principal_name, NINE);
    let answer = several.world.door.send(&event).await?;
    answer.expect_refused(422, Reason::PasswordPolicy)?;
    let violations = answer.body["violations"].to_string();
    ensure!(violations.contains("12 characters"), "{violations}");
    domain
        .prove(&person.user_principal_name, NINE, &person.password)
        .await?;
    domain.dismiss(&person).await
}

/// In the child all but the contractors are in scope, in the tree the people alone.
async fn scopes(several: &Several<'_>) -> anyhow::Result<()> {
    for (domain, beside_is_in_scope) in [(several.child, true), (several.tree, false)] {
        let beside = login("Beside");
        domain.found_unit(&beside).await?;
        for (unit, in_scope) in [
            (PEOPLE, true),
            ("Contractors", false),
            (beside.as_str(), beside_is_in_scope),
        ] {
            let mut person = domain.hire(&login("scope"), unit, None).await?;
            if in_scope {
                several.reaches(domain, &mut person, |event| event).await?;
            } else {
                let event = Event::reset(&person.user_principal_name, &fresh_password());
                several.is_refused(event, 422, Reason::OutOfScope).await?;
                ensure!(
                    domain
                        .opens(&person.user_principal_name, &person.password)
                        .await?,
                    "written out of scope in {}",
                    domain.domain()
                );
            }
            domain.dismiss(&person).await?;
        }
    }
    Ok(())
}

/// Made, given up, taken over, deleted: in every domain as in a forest's only one.
async fn anchors(several: &Several<'_>) -> anyhow::Result<()> {
    for domain in [several.child, several.tree] {
        let anchor = Uuid::new_v4();
        let encoded = source_anchor(anchor);
        several
            .is_refused(by(anchor), 404, Reason::UserNotFound)
            .await?;
        let mut person = domain.hire(&login("anchor"), PEOPLE, Some(anchor)).await?;
        for _ in 0..2 {
            several
                .reaches(domain, &mut person, |event| {
                    event.by_source_anchor(&encoded)
                })
                .await?;
        }
        let other = Uuid::new_v4();
        domain.set_consistency_guid(&person, Some(other)).await?;
        several
            .is_refused(by(anchor), 404, Reason::UserNotFound)
            .await?;
        several
            .reaches(domain, &mut person, |event| {
                event.by_source_anchor(&source_anchor(other))
            })
            .await?;
        domain.dismiss(&person).await?;
        several
            .is_refused(by(other), 404, Reason::UserNotFound)
            .await?;
    }
    // the same anchor in a second domain: nobody is missing, so only the usual reading tells
    let anchor = Uuid::new_v4();
    let encoded = source_anchor(anchor);
    let mut one = several
        .first
        .hire(&login("twin"), PEOPLE, Some(anchor))
        .await?;
    several
        .reaches(several.first, &mut one, |event| {
            event.by_source_anchor(&encoded)
        })
        .await?;
    let two = several
        .child
        .hire(&login("twin"), PEOPLE, Some(anchor))
        .await?;
    let began = Instant::now();
    until("the twins are told apart", NEWS_WITHIN, || async {
        let answer = several.world.door.send(&by(anchor)).await?;
        if answer.status == 409 {
            answer.expect_refused(409, Reason::UserAmbiguous)?;
            return Ok(Some(()));
        }
        answer.expect_applied()?;
        Ok(None)
    })
    .await?;
    println!(
        "a second anchor in another domain was known after {:?}",
        began.elapsed()
    );
    // the migration is over
    several.first.dismiss(&one).await?;
    let mut two = two;
    several
        .reaches(several.child, &mut two, |event| {
            event.by_source_anchor(&encoded)
        })
        .await?;
    several.child.dismiss(&two).await
}

/// The `objectGUID` goes along to another domain, the SID does not.
async fn moves(several: &Several<'_>) -> anyhow::Result<()> {
    for target in [several.child, several.tree] {
        let name = login("mover");
        let mut person = several.first.hire(&name, PEOPLE, None).await?;
        let anchor = source_anchor(person.object);
        let former = several
            .first
            .identifiers(&person.user_principal_name)
            .await?;
        let former_sid = former.security_identifier.context("no SID")?;
        // remembered where only the first domain is asked
        for _ in 0..4 {
            several
                .reaches(several.first, &mut person, |event| {
                    event
                        .naming("sourceAnchor", &anchor)
                        .in_domain(several.first.domain())
                })
                .await?;
        }
        let mut arrived = Person {
            password: fresh_password(),
            ..person.clone()
        };
        let mover = Mover {
            login: name,
            user_principal_name: arrived.user_principal_name.clone(),
            object: arrived.object.to_string(),
            password: arrived.password.clone(),
        };
        lab::receive(&Place::of_this_repository()?, target.domain(), &mover).await?;
        // both show it: what is written to the one that is about to lose it would be lost
        let reset = || Event::reset("", &fresh_password()).by_source_anchor(&anchor);
        let answer = several.world.door.send(&reset()).await?;
        answer.expect_refused(503, Reason::ForestUnavailable)?;
        ensure!(
            answer.text("detail").contains("being moved"),
            "{}",
            answer.body
        );
        for (domain, holder) in [(several.first, &person), (target, &arrived)] {
            ensure!(
                domain
                    .opens(&holder.user_principal_name, &holder.password)
                    .await?,
                "written in {} while on the way",
                domain.domain()
            );
        }

        several.first.dismiss(&person).await?;
        several
            .is_refused(
                reset().in_domain(several.first.domain()),
                404,
                Reason::UserNotFound,
            )
            .await?;
        for _ in 0..2 {
            several
                .reaches(target, &mut arrived, |event| {
                    event.by_source_anchor(&anchor)
                })
                .await?;
            several
                .reaches(target, &mut arrived, |event| {
                    event
                        .naming("sourceAnchor", &anchor)
                        .in_domain(target.domain())
                })
                .await?;
        }
        let answer = several
            .world
            .door
            .send(&reset().naming("securityIdentifier", &former_sid))
            .await?;
        answer.expect_refused(404, Reason::UserNotFound)?;
        ensure!(
            answer.text("detail").contains("securityIdentifier"),
            "{}",
            answer.body
        );
        target.dismiss(&arrived).await?;
    }
    Ok(())
}

/// A sister that stands still is waited for by whom nobody's domain is named, and by nobody else.
async fn a_silent_sister(several: &Several<'_>) -> anyhow::Result<()> {
    const TIMES: u8 = 5;
    let (domain, other) = (several.child, several.first);
    let mut person = domain.hire(&login("sister"), PEOPLE, None).await?;
    let stopped = parts::Stopped::stop(parts::infrastructure("samba-tree")?)?;
    for _ in 0..TIMES {
        let event = Event::reset(&person.user_principal_name, &fresh_password());
        several
            .is_refused(event, 503, Reason::ForestUnavailable)
            .await?;
        let new = fresh_password();
        let event = Event::reset(&person.user_principal_name, &new).in_domain(domain.domain());
        let answer = several.world.door.send(&event).await?;
        answer.expect_applied()?;
        ensure!(answer.took < AT_ONCE, "{:?}", answer.took);
        domain
            .prove(&person.user_principal_name, &person.password, &new)
            .await?;
        person.password = new;
        let event = Event::unlock(other.person(people::AFTERWARDS.start)?);
        let answer = several
            .world
            .door
            .send(&event.in_domain(other.domain()))
            .await?;
        answer.expect_applied()?;
        ensure!(answer.took < AT_ONCE, "{:?}", answer.took);
    }
    drop(stopped);
    until("the tree answers again", PATIENCE, || async {
        let event = Event::unlock(&person.user_principal_name);
        let answer = several.world.door.send(&event).await?;
        Ok((answer.status == 200).then_some(()))
    })
    .await?;
    domain.dismiss(&person).await
}

//! Whom an event names: all that it says must be true of one person's account.

use e2e::{Event, World, fresh_password};
use operation::Reason;

use crate::people;

#[tokio::test]
async fn every_identifier_finds_the_person_alone_and_together() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for forest in &world.forests {
        let person = forest.person(people::IDENTIFIED)?;
        let mut old = forest.start_with_fresh_password(person).await?;
        let known = forest.identifiers(person).await?;
        let sid = known.security_identifier.as_deref().unwrap_or_default();
        let anchor = known.source_anchor.as_str();
        let by = |new: &str| Event::reset(person, new);
        for (what, naming) in [
            (
                "the anchor",
                &(|new: &str| by(new).by_source_anchor(anchor)) as &dyn Fn(&str) -> Event,
            ),
            ("the SID", &|new| {
                by(new)
                    .without("userPrincipalName")
                    .naming("securityIdentifier", sid)
            }),
            ("the UPN in capitals", &|new| {
                by(new).naming("userPrincipalName", &person.to_uppercase())
            }),
            ("all", &|new| {
                by(new)
                    .naming("sourceAnchor", anchor)
                    .naming("securityIdentifier", sid)
            }),
            ("UPN and domain", &|new| {
                by(new).naming("domain", forest.domain())
            }),
            ("all in capitals", &|new| {
                by(new)
                    .naming("sourceAnchor", anchor)
                    .naming("securityIdentifier", sid)
                    .naming("domain", &forest.domain().to_uppercase())
            }),
            ("one forest's seal", &|new| {
                by(new)
                    .naming("domain", forest.domain())
                    .sealed_to(forest.id())
            }),
        ] {
            let new = fresh_password();
            let answer = world.door.send(&naming(&new)).await?;
            answer
                .expect_applied()
                .map_err(|error| error.context(what))?;
            forest.prove(person, &old, &new).await?;
            old = new;
        }
    }
    Ok(())
}

#[tokio::test]
async fn identifiers_that_disagree_find_nobody() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for forest in &world.forests {
        let person = forest.person(people::UNTOUCHED)?;
        let other = forest.person(people::SOMEBODY_ELSE)?;
        let (known, wrong) = (
            forest.identifiers(person).await?,
            forest.identifiers(other).await?,
        );
        let [right_sid, wrong_sid] =
            [&known, &wrong].map(|of| of.security_identifier.clone().unwrap_or_default());
        let all = |new: &str| {
            Event::reset(person, new)
                .naming("sourceAnchor", &known.source_anchor)
                .naming("securityIdentifier", &right_sid)
        };
        let elsewhere = world
            .forests
            .iter()
            .find(|other| other.id() != forest.id())
            .map(|other| other.domain().to_owned())
            .unwrap_or_default();
        let new = fresh_password();
        for (event, named) in [
            (
                all(&new).naming("sourceAnchor", &wrong.source_anchor),
                vec!["securityIdentifier"],
            ),
            (
                all(&new).naming("securityIdentifier", &wrong_sid),
                vec!["securityIdentifier"],
            ),
            (
                all(&new).naming("userPrincipalName", other),
                vec!["userPrincipalName"],
            ),
            (
                all(&new).naming("sourceAnchor", "AAAAAAAAAAAAAAAAAAAAAA=="),
                vec!["sourceAnchor"],
            ),
            (
                Event::reset(person, &new).naming("securityIdentifier", &wrong_sid),
                vec!["userPrincipalName", "securityIdentifier"],
            ),
            (
                Event::reset(person, &new).naming("domain", &elsewhere),
                vec!["userPrincipalName", "domain"],
            ),
            (
                Event::reset(person, &new).naming("domain", "nowhere.example.org"),
                vec!["domain"],
            ),
        ] {
            let answer = world.door.send(&event).await?;
            answer.expect_refused(404, Reason::UserNotFound)?;
            assert!(
                named
                    .iter()
                    .any(|field| answer.text("detail").contains(&format!("user.{field}"))),
                "{named:?}: {}",
                answer.body
            );
        }
        for person in [person, other] {
            assert!(
                !forest.opens(person, &new).await?,
                "{person} was written to"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn computers_and_contacts_are_no_people() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for forest in &world.forests {
        let computer = forest.computer().await?;
        let contact = forest.contact("Konrad Kontakt").await?;
        let sid = computer.security_identifier.unwrap_or_default();
        let somebody = forest.named(people::UNKNOWN);
        for event in [
            Event::reset(&somebody, &fresh_password()).by_source_anchor(&computer.source_anchor),
            Event::unlock("")
                .without("userPrincipalName")
                .naming("securityIdentifier", &sid),
            Event::reset(&somebody, &fresh_password()).by_source_anchor(&contact.source_anchor),
            Event::unlock(&somebody).by_source_anchor(&contact.source_anchor),
        ] {
            world
                .door
                .send(&event)
                .await?
                .expect_refused(404, Reason::UserNotFound)?;
        }
    }
    Ok(())
}

/// Characters that mean something in a search filter mean nothing in a name (RFC 4515 3).
#[tokio::test]
async fn a_name_is_never_a_pattern() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for forest in &world.forests {
        let person = forest.person(people::UNTOUCHED)?;
        let (login, domain) = person.split_once('@').unwrap_or_default();
        let prefix: String = login.chars().take(4).collect();
        for name in [
            "*@*".to_owned(),
            format!("*@{domain}"),
            format!("{prefix}*@{domain}"),
            format!("{login}@*"),
            format!("{person})(objectClass=*"),
            format!("*)(userPrincipalName={person}"),
            format!("{person})(|(cn=*"),
            format!("\\2a@{domain}"),
            format!("{login}\\00@{domain}"),
            format!("{login}\\40{domain}@{domain}"),
            format!("{login}\u{ad}@{domain}"), // soft hyphen, which sorting ignores
            format!("{login}\u{200b}@{domain}"), // zero width space
            format!(" {person}"),
            format!("{person} "),
            format!("{login}@{domain}."),
            format!("{}@{domain}", "x".repeat(900)),
            format!("{login}@{domain}@{domain}"),
        ] {
            for event in [Event::unlock(&name), Event::reset(&name, &fresh_password())] {
                let answer = world.door.send(&event).await?;
                answer
                    .expect_refused(404, Reason::UserNotFound)
                    .map_err(|error| error.context(name.clone()))?;
            }
        }
    }
    Ok(())
}

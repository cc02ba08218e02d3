//! Accounts that a password alone does not open, or whose settings overrule what was asked: the
//! directory carries the write out, and the answer says what it is worth.

use anyhow::{Context as _, ensure};
use e2e::{Answer, Ctl, DomainController, Event, Person, SignIn, World, fresh_password};
use operation::Reason;
use uuid::Uuid;

const PEOPLE: &str = "People";

async fn hire(forest: &DomainController, role: &str) -> anyhow::Result<Person> {
    let unique = Uuid::new_v4().simple().to_string();
    let login = format!("{role}-{}", unique.get(..8).unwrap_or_default());
    forest.hire(&login, PEOPLE, None).await
}

fn ensure_noted(answer: &Answer, wanted: &str) -> anyhow::Result<()> {
    let notes = answer
        .body
        .get("notes")
        .map(ToString::to_string)
        .unwrap_or_default();
    ensure!(notes.contains(wanted), "no {wanted:?} in {notes}");
    Ok(())
}

#[tokio::test]
async fn an_expired_account_gets_its_password_and_the_truth() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for forest in &world.forests {
        let person = hire(forest, "expired").await?;
        let name = &person.user_principal_name;
        // 2024-01-17, in 100 ns since 1601
        forest
            .set(&person, "accountExpires", "133500000000000000")
            .await?;
        let new = fresh_password();
        let answer = world.door.send(&Event::reset(name, &new)).await?;
        answer.expect_applied()?;
        ensure_noted(&answer, "the account expired on 2024-01-17")?;
        // MS-ERREF: ERROR_ACCOUNT_EXPIRED
        assert_eq!(
            forest.sign_in(name, &new).await?,
            SignIn::Refused("701".to_owned())
        );
        let answer = world.door.send(&Event::unlock(name)).await?;
        answer.expect_applied()?;
        ensure_noted(&answer, "the account expired on 2024-01-17")?;

        forest.set(&person, "accountExpires", "0").await?;
        let newest = fresh_password();
        let answer = world.door.send(&Event::reset(name, &newest)).await?;
        answer.expect_applied()?;
        ensure!(!answer.body["notes"].to_string().contains("expired"));
        forest.prove(name, &new, &newest).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_password_that_never_expires_need_not_be_changed() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for forest in &world.forests {
        let person = hire(forest, "everlasting").await?;
        let name = &person.user_principal_name;
        // MS-ADTS 2.2.16: a normal account, DONT_EXPIRE_PASSWD
        forest.set(&person, "userAccountControl", "66048").await?;
        let new = fresh_password();
        let event = Event::reset(name, &new)
            .by_administrator()
            .must_change_at_next_sign_in();
        let answer = world.door.send(&event).await?;
        answer.expect_applied()?;
        ensure_noted(
            &answer,
            "has no effect: the account's password never expires",
        )?;
        forest.prove(name, &person.password, &new).await?;
    }
    Ok(())
}

#[tokio::test]
async fn who_needs_a_smart_card_is_told_so() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for forest in &world.forests {
        let person = hire(forest, "carded").await?;
        // MS-ADTS 2.2.16: a normal account, SMARTCARD_REQUIRED
        forest.set(&person, "userAccountControl", "262656").await?;
        let event = Event::reset(&person.user_principal_name, &fresh_password());
        let answer = world.door.send(&event).await?;
        answer.expect_applied()?;
        ensure_noted(&answer, "demands a smart card")?;
    }
    Ok(())
}

#[tokio::test]
async fn who_is_in_a_protected_group_through_another_is_left_alone() -> anyhow::Result<()> {
    const GROUP: &str = "Account Operators";

    let world = World::enter().await?;
    for forest in &world.forests {
        let person = hire(forest, "operator").await?;
        let name = &person.user_principal_name;
        let team = format!("team-{}", person.object.simple());
        forest.nest(&person, &team, GROUP).await?;
        let new = fresh_password();
        for event in [
            Event::reset(name, &new),
            Event::reset(name, &new).by_administrator(),
            Event::change(name, &person.password, &new),
            Event::unlock(name),
        ] {
            let answer = world.door.send(&event).await?;
            answer.expect_refused(422, Reason::ProtectedAccount)?;
            let detail = answer.text("detail");
            ensure!(detail.contains(GROUP), "no {GROUP} in {detail}");
        }
        forest.prove(name, &new, &person.password).await?;

        forest.unnest(&team, GROUP).await?;
        world
            .door
            .send(&Event::reset(name, &new))
            .await?
            .expect_applied()?;
        forest.prove(name, &person.password, &new).await?;
    }
    Ok(())
}

/// The keys of Kerberos and the forest's first administrator: whoever could set those passwords has the forest.
#[tokio::test]
async fn krbtgt_and_the_built_in_administrator_are_nobodys_to_reset() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for forest in &world.forests {
        for login in ["krbtgt", "Administrator"] {
            let account = forest.built_in(login).await?;
            let sid = account.security_identifier.context("no SID")?;
            let named = |event: Event| {
                event
                    .without("userPrincipalName")
                    .naming("securityIdentifier", &sid)
            };
            for event in [
                Event::reset("", &fresh_password()),
                Event::reset("", &fresh_password()).by_administrator(),
                Event::unlock(""),
            ] {
                let answer = world.door.send(&named(event)).await?;
                answer
                    .expect_refused(422, Reason::ProtectedAccount)
                    .with_context(|| login)?;
            }
        }
    }
    Ok(())
}

/// What is no matter for a password does not stop one.
#[tokio::test]
async fn who_is_not_to_be_delegated_is_told_so_and_reset_all_the_same() -> anyhow::Result<()> {
    const NOT_DELEGATED: &str = "1049088"; // 0x100000 and an ordinary account's 0x200

    let world = World::enter().await?;
    let forest = world.forest()?;
    let person = hire(forest, "sensitive").await?;
    forest
        .set(&person, "userAccountControl", NOT_DELEGATED)
        .await?;
    let name = &person.user_principal_name;
    let (_, explained) = Ctl::of_the_lab()?.json(&["explain", name]).await?;
    ensure!(
        explained.to_string().contains("\"mayBeDelegated\":false"),
        "{explained:#}"
    );
    let new = fresh_password();
    world
        .door
        .send(&Event::reset(name, &new))
        .await?
        .expect_applied()?;
    forest.prove(name, &person.password, &new).await
}

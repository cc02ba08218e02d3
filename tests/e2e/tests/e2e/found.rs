//! Whoever the event means is found, whatever their unit or name is; what is no person is nobody.

use anyhow::{Context as _, ensure};
use e2e::{
    DomainController, Event, Identifiers, Person, World, fresh_password, source_anchor, unit_below,
};
use futures_util::future::try_join_all;
use operation::Reason;
use uuid::Uuid;

const PEOPLE: &str = "People";
const CONTRACTORS: &str = "Contractors";
/// Every character that means something in a distinguished name (RFC 4514 2.4), where it does.
const ODD_NAMES: [&str; 16] = [
    " leading",
    "  two leading",
    "#leading",
    "trailing ",
    "a,b",
    "a+b",
    "a\"b",
    "a\\b",
    "a<b>",
    "a;b",
    "a=b",
    "a/b",
    "a\nb",
    "a\r\nb",
    ",OU=People",
    " #,+\"\\<>;=/\r\n Ünit*()| ",
];

fn unique(what: &str) -> String {
    let unique = Uuid::new_v4().simple().to_string();
    format!("{what}-{}", unique.get(..8).unwrap_or_default())
}

async fn is_reset(
    world: &World,
    forest: &DomainController,
    person: &mut Person,
    naming: impl Fn(Event) -> Event,
) -> anyhow::Result<()> {
    let new = fresh_password();
    let event = naming(Event::reset(&person.user_principal_name, &new));
    world.door.send(&event).await?.expect_applied()?;
    forest
        .prove(&person.user_principal_name, &person.password, &new)
        .await?;
    person.password = new;
    Ok(())
}

#[tokio::test]
async fn a_unit_may_have_any_name() -> anyhow::Result<()> {
    let world = World::enter().await?;
    try_join_all(
        world
            .forests
            .iter()
            .map(|forest| in_odd_units(&world, forest)),
    )
    .await?;
    Ok(())
}

async fn in_odd_units(world: &World, forest: &DomainController) -> anyhow::Result<()> {
    for odd in ODD_NAMES {
        let context = || format!("{odd:?} in {}", forest.id());
        // the odd part stays at the beginning or at the end, where it is odd
        let name = if odd.ends_with(' ') {
            format!("{}{odd}", unique("u"))
        } else {
            format!("{odd}{}", unique("u"))
        };
        let unit = forest.unit(&name);
        forest.found_unit_at(&unit).await?;
        let mut person = forest.hire_below(&unique("odd"), &unit, None).await?;
        let anchor = source_anchor(person.object);
        is_reset(world, forest, &mut person, |event| {
            event.naming("sourceAnchor", &anchor)
        })
        .await
        .with_context(context)?;

        // of the same name where writeback may not act
        let outside = unit_below(&name, &forest.unit(CONTRACTORS));
        forest.found_unit_at(&outside).await?;
        let own_name = format!("{odd}{odd}");
        forest
            .move_below(&person, own_name.trim(), &outside)
            .await
            .with_context(context)?;
        let new = fresh_password();
        let event = Event::reset(&person.user_principal_name, &new);
        let answer = world.door.send(&event).await?;
        answer
            .expect_refused(422, Reason::OutOfScope)
            .with_context(context)?;
        ensure!(
            forest
                .opens(&person.user_principal_name, &person.password)
                .await?,
            "{odd:?}: written out of scope"
        );
        // and back, with an odd name of their own
        forest
            .move_below(&person, own_name.trim(), &unit)
            .await
            .with_context(context)?;
        is_reset(world, forest, &mut person, |event| event)
            .await
            .with_context(context)?;
        forest.dismiss(&person).await?;
    }
    Ok(())
}

/// What follows the @ is a name, and says nothing about a domain or a forest.
#[tokio::test]
async fn a_suffix_need_be_no_domain() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for forest in &world.forests {
        let other = world
            .forests
            .iter()
            .find(|other| other.id() != forest.id())
            .context("no other forest")?;
        let mut person = forest.hire(&unique("suffix"), PEOPLE, None).await?;
        for suffix in ["brand.example", "BRAND", other.domain()] {
            let name = format!("{}@{suffix}", unique("suffix"));
            forest.set_user_principal_name(&mut person, &name).await?;
            is_reset(&world, forest, &mut person, |event| event).await?;
            is_reset(&world, forest, &mut person, |event| {
                event.in_domain(forest.domain())
            })
            .await?;
            let elsewhere = Event::unlock(&name).in_domain(other.domain());
            let answer = world.door.send(&elsewhere).await?;
            answer.expect_refused(404, Reason::UserNotFound)?;
        }
        forest.dismiss(&person).await?;
    }
    Ok(())
}

/// An account that is no person's, by everything it can be named by.
async fn is_nobody(
    world: &World,
    forest: &DomainController,
    what: &str,
    object: &Identifiers,
    name: Option<&str>,
) -> anyhow::Result<()> {
    let sid = object
        .security_identifier
        .as_deref()
        .with_context(|| format!("{what} has no SID"))?;
    let guid = Uuid::from_slice_le(&object.object_guid)?;
    let before = forest.password_set_at(guid).await?;
    let mut ways = vec![
        ("securityIdentifier", sid),
        ("sourceAnchor", &object.source_anchor),
    ];
    ways.extend(name.map(|name| ("userPrincipalName", name)));
    for (field, value) in ways {
        let reset = Event::reset("", &fresh_password());
        for event in [reset, Event::unlock("")] {
            let event = event.without("userPrincipalName").naming(field, value);
            for event in [event.clone(), event.in_domain(forest.domain())] {
                let answer = world.door.send(&event.with_id(&unique("event"))).await?;
                answer
                    .expect_refused(404, Reason::UserNotFound)
                    .with_context(|| format!("{what} by {field}"))?;
            }
        }
    }
    let after = forest.password_set_at(guid).await?;
    ensure!(before == after, "{what}: {before:?}, {after:?} now");
    Ok(())
}

#[tokio::test]
async fn what_is_no_person_is_nobody_by_any_identifier() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for forest in &world.forests {
        let (login, account) = (unique("grp"), unique("PC"));
        let group = forest
            .make(&login, &["group"], &[("sAMAccountName", &login)])
            .await?;
        is_nobody(&world, forest, "a group", &group, None).await?;

        let name = forest.named(&account);
        // MS-ADTS 2.2.16: 0x1000, a workstation's trust account
        let attributes = [
            ("sAMAccountName", format!("{account}$")),
            ("userPrincipalName", name.clone()),
            ("userAccountControl", "4096".to_owned()),
        ];
        let attributes = attributes
            .each_ref()
            .map(|(key, value)| (*key, value.as_str()));
        let computer = forest.make(&account, &["computer"], &attributes).await?;
        is_nobody(&world, forest, "a computer", &computer, Some(&name)).await?;

        let account = unique("msa");
        let name = forest.named(&account);
        let attributes = [
            ("sAMAccountName", format!("{account}$")),
            ("userPrincipalName", name.clone()),
            ("userAccountControl", "4096".to_owned()),
        ];
        let attributes = attributes
            .each_ref()
            .map(|(key, value)| (*key, value.as_str()));
        let managed = forest
            .make(&account, &["msDS-ManagedServiceAccount"], &attributes)
            .await?;
        is_nobody(
            &world,
            forest,
            "a managed service account",
            &managed,
            Some(&name),
        )
        .await?;

        let contact = forest.contact(&unique("contact")).await?;
        for event in [
            Event::reset("", &fresh_password()).by_source_anchor(&contact.source_anchor),
            Event::unlock("").by_source_anchor(&contact.source_anchor),
        ] {
            let answer = world.door.send(&event).await?;
            answer.expect_refused(404, Reason::UserNotFound)?;
        }
    }
    Ok(())
}

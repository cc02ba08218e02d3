//! Reading taken away from the accounts of the services: `check` names it where it ends, `grant` gives it to whoever lacks it, and
//! `revoke` takes that back.

#![expect(
    clippy::indexing_slicing,
    reason = "a member that JSON lacks reads as null, and a test may panic"
)]

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use e2e::{Dacl, DomainController, Event, Rights, World, fresh_password, hidden, unit_below};
use operation::Reason;
use serde_json::Value;

use super::{Stage, USER, USER_ACCOUNT_RESTRICTIONS, all_work, unique};

const USER_ACCOUNT_CONTROL: &str = "bf967a68-0de6-11d0-a285-00aa003049e2";
const OBJECT_GUID: &str = "bf9679e7-0de6-11d0-a285-00aa003049e2";
/// Whoever is authenticated reads the rest of a new account; these only through Pre-Windows 2000 Compatible Access.
const RESTRICTED: [&str; 8] = [
    "resolver: mS-DS-ConsistencyGuid",
    "resolver: uSNChanged",
    "resolver: userAccountControl",
    "writer: accountExpires",
    "writer: adminCount",
    "writer: mS-DS-ConsistencyGuid",
    "writer: pwdLastSet",
    "writer: userAccountControl",
];
const READ_BY_RESOLVER: usize = 8;
const READ_BY_WRITER: usize = 10;
const READ: usize = READ_BY_RESOLVER + READ_BY_WRITER;
const DONE: usize = super::ALL_THREE.len();

/// Nobody but the person's own kin may read: what everybody may is gone, save the list of entries itself.
fn unread(whole: &Dacl) -> Dacl {
    let stripped = whole.without(";AU").without(";RU");
    stripped.with_first("A;;RC;;;AU")
}

fn restricted() -> BTreeSet<String> {
    RESTRICTED.iter().map(ToString::to_string).collect()
}

async fn reader_of(forest: &DomainController) -> anyhow::Result<String> {
    let found = forest
        .identifiers(&forest.named("svc-writeback-read"))
        .await?;
    found
        .security_identifier
        .context("the reader has no identifier")
}

fn the_gap<'a>(found: &'a Value, why: &str) -> anyhow::Result<&'a Value> {
    let gaps = found["roots"][0]["gaps"].as_array();
    gaps.into_iter()
        .flatten()
        .find(|gap| gap["why"] == why)
        .with_context(|| format!("no {why} in {found:#}"))
}

/// What explain says of every operation, and what a reset comes to.
async fn fails(rights: &Rights<'_>, name: &str, status: u16, reason: Reason) -> anyhow::Result<()> {
    let told = rights.explain(name).await?;
    let operations = told["operations"].as_array().context("no operations")?;
    ensure!(
        !operations.is_empty()
            && operations
                .iter()
                .all(|operation| operation["reason"] == reason.code()),
        "{told:#}"
    );
    let event = Event::reset(name, &fresh_password());
    rights
        .world
        .door
        .send(&event)
        .await?
        .expect_refused(status, reason)
}

#[tokio::test]
async fn what_may_not_be_read_is_given_to_whoever_lacks_it() -> anyhow::Result<()> {
    let _rights = crate::RIGHTS.read().await;
    let world = World::enter().await?;
    let forest = world.forest()?;
    let stage = Stage::set(forest).await?;
    let reader = reader_of(forest).await?;
    // a unit that gives nobody the reading of people, as where Pre-Windows 2000 Compatible Access was emptied
    let bare = forest
        .set_dacl(&stage.dn, &stage.bare.without(";RU"))
        .await?;
    let mut rights = Rights::new(&world, forest, Some(stage.dn.clone()), &stage.person)?;
    let (code, found) = rights.check().await?;
    ensure!(code == 1 && hidden(&found) == restricted(), "{found:#}");
    ensure!(found["roots"][0]["hidden"]["count"] == 0, "{found:#}");
    fails(
        &rights,
        &stage.person.user_principal_name,
        502,
        Reason::DirectoryMisconfigured,
    )
    .await?;
    assert_eq!(rights.change("grant").await?.len(), DONE + RESTRICTED.len());
    rights.agree(&stage.person, &all_work()).await?;

    // a person of whom nothing may be read: who it is, is hidden too; named all the same, and not passed over
    let person = stage.person_dn();
    let whole = forest.dacl(&person).await?;
    forest.set_dacl(&person, &unread(&whole)).await?;
    let (code, found) = rights.check().await?;
    let told = &found["roots"][0];
    let named = told["hidden"]["examples"][0].as_str().unwrap_or_default();
    ensure!(
        code == 1
            && told["hidden"]["count"] == 1
            && named.ends_with(&stage.dn)
            && found["missing"].to_string().contains(named),
        "{found:#}"
    );
    let gap = the_gap(&found, "not-given")?;
    ensure!(
        gap["at"] == stage.dn.as_str()
            && gap["remedy"].to_string().contains(&stage.dn)
            && gap["people"]["count"] == 1,
        "{found:#}"
    );
    fails(
        &rights,
        &stage.person.user_principal_name,
        404,
        Reason::UserNotFound,
    )
    .await?;

    // the lines for Windows name both accounts; the service account cannot see who it is, and says the same
    let place = [
        "permissions",
        "grant",
        "--print",
        "--forest",
        forest.id(),
        "--ou",
        &stage.dn,
    ];
    let printed = rights.ctl.run(&place).await?.expect(0)?.out;
    let line = |account: &str, attribute: &str| {
        let account = forest.named(account);
        let dn = &stage.dn;
        format!(r#"dsacls "{dn}" /I:S /G "{account}:RP;{attribute};user""#)
    };
    let lines: BTreeSet<&str> = printed.lines().collect();
    ensure!(
        lines.len() == READ - RESTRICTED.len()
            && lines.contains(line("svc-writeback", "sAMAccountName").as_str())
            && lines.contains(line("svc-writeback-read", "objectGUID").as_str()),
        "{printed}"
    );

    let given = rights.change("grant").await?;
    ensure!(given.len() == READ - RESTRICTED.len(), "{given:#?}");
    rights.agree(&stage.person, &all_work()).await?;
    let granted = forest.dacl(&stage.dn).await?;
    assert_eq!(granted.count(&reader), READ_BY_RESOLVER);
    assert_eq!(granted.count(&stage.service), DONE + READ_BY_WRITER);
    assert!(rights.change("grant").await?.is_empty());
    assert_eq!(forest.dacl(&stage.dn).await?, granted);

    // what grant did not give stays, of either account
    let own = format!("A;;RP;;;{reader}");
    forest
        .set_dacl(&stage.dn, &granted.with_first(&own))
        .await?;
    let taken = rights.change("revoke").await?;
    ensure!(taken.len() == DONE + READ, "{taken:#?}");
    let left = forest.dacl(&stage.dn).await?;
    assert_eq!(left.count(&reader), 1);
    assert_eq!(left.without(&reader), bare);
    assert!(rights.change("revoke").await?.is_empty());

    // with what everybody reads given back, only what it was at first is missing
    forest.set_dacl(&person, &whole).await?;
    let (_, found) = rights.check().await?;
    ensure!(hidden(&found) == restricted(), "{found:#}");
    // where nobody is, nobody lacks anything: others look at the whole domain
    forest.dismiss(&stage.person).await
}

#[tokio::test]
async fn reading_is_mended_where_it_ends() -> anyhow::Result<()> {
    let _rights = crate::RIGHTS.read().await;
    let world = World::enter().await?;
    let forest = world.forest()?;
    let stage = Stage::set(forest).await?;
    let reader = reader_of(forest).await?;
    let rights = Rights::new(&world, forest, Some(stage.dn.clone()), &stage.person)?;
    rights.change("grant").await?;

    // a unit below that inherits nothing, and does not give what the one above gives
    let sub_dn = unit_below("Below", &stage.dn);
    forest.found_unit_at(&sub_dn).await?;
    let blocked = forest.dacl(&sub_dn).await?.blocking().without(";RU");
    forest.set_dacl(&sub_dn, &blocked).await?;
    let below = forest.hire_below(&unique("below"), &sub_dn, None).await?;
    let mut of_below = Rights::new(&world, forest, Some(stage.dn.clone()), &below)?;
    let (code, found) = of_below.check().await?;
    ensure!(code == 1 && hidden(&found) == restricted(), "{found:#}");
    let gap = the_gap(&found, "unit-inherits-nothing")?;
    ensure!(
        gap["at"] == sub_dn.as_str() && gap["remedy"].to_string().contains(&sub_dn),
        "{found:#}"
    );
    fails(
        &of_below,
        &below.user_principal_name,
        502,
        Reason::DirectoryMisconfigured,
    )
    .await?;
    // not where it does not end
    assert!(of_below.change("grant").await?.is_empty());
    of_below.unit = Some(sub_dn.clone());
    let given = of_below.change("grant").await?;
    ensure!(given.len() == RESTRICTED.len(), "{given:#?}");
    of_below.agree(&below, &all_work()).await?;
    of_below.unit = Some(stage.dn.clone());
    of_below.agree(&below, &all_work()).await?;

    // a person who inherits nothing
    let person = forest.dacl(&below.dn()).await?;
    let alone = person
        .blocking()
        .without(";RU")
        .without(&format!("RP;{USER_ACCOUNT_CONTROL};{USER}"));
    forest.set_dacl(&below.dn(), &alone).await?;
    let (_, found) = of_below.check().await?;
    let gap = the_gap(&found, "person-inherits-nothing")?;
    ensure!(
        gap["at"] == gap["people"]["examples"][0] && gap["remedy"].to_string().contains("/P:N"),
        "{found:#}"
    );
    forest.set_dacl(&below.dn(), &person).await?;
    of_below.agree(&below, &all_work()).await?;

    // an entry that denies it to the reader alone, above and on the person: giving it would not help
    let given = forest.dacl(&sub_dn).await?;
    let denied = format!("OD;CIIO;RP;{USER_ACCOUNT_CONTROL};{USER};{reader}");
    forest.set_dacl(&sub_dn, &given.with_first(&denied)).await?;
    let (code, found) = of_below.check().await?;
    let only = |what: &str| BTreeSet::from([what.to_owned()]);
    ensure!(
        code == 1 && hidden(&found) == only("resolver: userAccountControl"),
        "{found:#}"
    );
    let gap = the_gap(&found, "denied")?;
    ensure!(
        gap["at"] == sub_dn.as_str() && gap["account"] == reader.as_str(),
        "{found:#}"
    );
    assert!(of_below.change("grant").await?.is_empty());
    forest.set_dacl(&sub_dn, &given).await?;
    let denied = format!("OD;;RP;{OBJECT_GUID};;{reader}");
    let person = forest.dacl(&below.dn()).await?;
    forest
        .set_dacl(&below.dn(), &person.with_first(&denied))
        .await?;
    let (code, found) = of_below.check().await?;
    ensure!(
        code == 1 && hidden(&found) == only("resolver: objectGUID"),
        "{found:#}"
    );
    let gap = the_gap(&found, "denied")?;
    let told = &found["roots"][0]["hidden"];
    ensure!(
        told["count"] == 1 && told["examples"][0] == gap["at"],
        "{found:#}"
    );
    assert!(of_below.change("grant").await?.is_empty());
    fails(
        &of_below,
        &below.user_principal_name,
        404,
        Reason::UserNotFound,
    )
    .await?;
    forest.set_dacl(&below.dn(), &person).await?;
    of_below.agree(&below, &all_work()).await?;
    forest.dismiss(&below).await
}

#[tokio::test]
async fn what_a_property_set_lets_read_is_not_given_again() -> anyhow::Result<()> {
    let _rights = crate::RIGHTS.read().await;
    let world = World::enter().await?;
    let forest = world.forest()?;
    let stage = Stage::set(forest).await?;
    let reader = reader_of(forest).await?;
    let by_set = |account: &str| format!("OA;CIIO;RP;{USER_ACCOUNT_RESTRICTIONS};{USER};{account}");
    let bare = stage.bare.without(";RU");
    let sets = bare
        .with_first(&by_set(&stage.service))
        .with_first(&by_set(&reader));
    forest.set_dacl(&stage.dn, &sets).await?;
    let mut rights = Rights::new(&world, forest, Some(stage.dn.clone()), &stage.person)?;
    let given = rights.change("grant").await?;
    let mut read: Vec<&str> = given
        .iter()
        .filter_map(|entry| entry["right"].as_str()?.strip_prefix("read "))
        .collect();
    read.sort_unstable();
    assert_eq!(
        read,
        [
            "adminCount",
            "mS-DS-ConsistencyGuid",
            "mS-DS-ConsistencyGuid",
            "uSNChanged"
        ]
    );
    rights.agree(&stage.person, &all_work()).await?;
    forest.dismiss(&stage.person).await
}

//! The service account's rights taken away and given back one by one: `permissions check`, `explain` and the operation itself
//! agree in every case. Each test has an organizational unit of its own that inherits nothing, so that nobody else notices.

mod reading;

use anyhow::{Context as _, ensure};
use e2e::{Dacl, DomainController, Expected, Person, Rights, World, unit_below};
use operation::Reason;
use uuid::Uuid;

const RESET_PASSWORD: &str = "00299570-246d-11d0-a768-00aa006e0529";
const CHANGE_PASSWORD: &str = "ab721a53-1e2f-11d0-9819-00aa0040529b";
const LOCKOUT_TIME: &str = "28630ebf-41d5-11d1-a9c1-0000f80367c1";
const PWD_LAST_SET: &str = "bf967a0a-0de6-11d0-a285-00aa003049e2";
const USER_ACCOUNT_RESTRICTIONS: &str = "4c164200-20c0-11d0-a768-00aa006e0529";
const USER: &str = "bf967aba-0de6-11d0-a285-00aa003049e2";

use Reason::{AccessDenied, CannotChangePassword, ProtectedAccount};

const NO_RESET: &[(&str, Reason)] = &[
    ("reset-by-user", AccessDenied),
    ("reset-by-administrator", AccessDenied),
    ("reset-to-be-changed", AccessDenied),
];
const NO_UNLOCK: &[(&str, Reason)] = &[
    ("reset-by-user", AccessDenied),
    ("reset-by-administrator", AccessDenied),
    ("reset-to-be-changed", AccessDenied),
    ("unlock", AccessDenied),
];
const NO_MUST_CHANGE: &[(&str, Reason)] = &[("reset-to-be-changed", AccessDenied)];
const NO_CHANGE: &[(&str, Reason)] = &[("change", CannotChangePassword)];
const ALL_PROTECTED: &[(&str, Reason)] = &[
    ("reset-by-user", ProtectedAccount),
    ("reset-by-administrator", ProtectedAccount),
    ("reset-to-be-changed", ProtectedAccount),
    ("change", ProtectedAccount),
    ("unlock", ProtectedAccount),
];
const ALL_THREE: &[&str] = &["Reset Password", "lockoutTime", "pwdLastSet"];

/// A unit that inherits nothing and gives the service account nothing, with somebody in it.
struct Stage {
    dn: String,
    service: String,
    bare: Dacl,
    person: Person,
}

fn unique(name: &str) -> String {
    let number = Uuid::new_v4().simple().to_string();
    format!("{name}-{}", number.get(..8).unwrap_or_default())
}

impl Stage {
    async fn set(forest: &DomainController) -> anyhow::Result<Self> {
        let unit = unique("Rights");
        forest.found_unit(&unit).await?;
        let dn = forest.unit(&unit);
        let service = forest
            .identifiers(&forest.named("svc-writeback"))
            .await?
            .security_identifier
            .context("the service account has no identifier")?;
        let bare = forest.dacl(&dn).await?.blocking().without(&service);
        let bare = forest.set_dacl(&dn, &bare).await?;
        let person = forest.hire(&unique("rights"), &unit, None).await?;
        Ok(Self {
            dn,
            service,
            bare,
            person,
        })
    }

    fn person_dn(&self) -> String {
        format!("<GUID={}>", self.person.object)
    }

    fn entry(&self, kind: &str, right: &str, guid: &str) -> String {
        format!("{kind};CIIO;{right};{guid};{USER};{}", self.service)
    }
}

fn all_work() -> Expected<'static> {
    Expected::default()
}

#[tokio::test]
async fn what_is_missing_is_given_once_and_taken_back_whole() -> anyhow::Result<()> {
    let _rights = crate::RIGHTS.read().await;
    let world = World::enter().await?;
    let forest = world.forest()?;
    let stage = Stage::set(forest).await?;
    let mut rights = Rights::new(&world, forest, Some(stage.dn.clone()), &stage.person)?;
    let nothing = Expected {
        missing: ALL_THREE,
        hidden: &[],
        gap: Some(("not-given", &stage.dn)),
        refused: NO_UNLOCK,
        named: "lockoutTime",
    };
    rights.agree(&stage.person, &nothing).await?;

    // without a terminal to ask on, and without --yes, nothing is done
    rights.try_change("grant", &[]).await?.expect(3)?;
    assert_eq!(forest.dacl(&stage.dn).await?, stage.bare);
    // the lines for Windows, by the service account's own reading
    let ctl = e2e::Ctl::of_the_lab()?;
    let place = [
        "permissions",
        "grant",
        "--forest",
        forest.id(),
        "--ou",
        &stage.dn,
        "--print",
    ];
    let printed = ctl.run(&place).await?.expect(0)?.out;
    let lines: Vec<&str> = printed.lines().collect();
    ensure!(lines.len() == 3, "{printed}");
    for (line, right) in lines
        .iter()
        .zip(["CA;Reset Password", "WP;lockoutTime", "WP;pwdLastSet"])
    {
        let account = forest.named("svc-writeback");
        let wanted = format!(r#"dsacls "{}" /I:S /G "{account}:{right};user""#, stage.dn);
        assert_eq!(*line, wanted);
    }
    assert_eq!(forest.dacl(&stage.dn).await?, stage.bare);

    assert_eq!(rights.change("grant").await?.len(), 3);
    let given = forest.dacl(&stage.dn).await?;
    assert_eq!(given.count(&stage.service), 3);
    assert_eq!(given.without(&stage.service), stage.bare);
    rights.agree(&stage.person, &all_work()).await?;
    assert!(rights.change("grant").await?.is_empty());
    assert_eq!(forest.dacl(&stage.dn).await?, given);

    // what grant did not give stays
    let own = format!("A;;RP;;;{}", stage.service);
    let with_own = forest.set_dacl(&stage.dn, &given.with_first(&own)).await?;
    assert_eq!(with_own.count(&stage.service), 4);
    assert_eq!(rights.change("revoke").await?.len(), 3);
    let left = forest.dacl(&stage.dn).await?;
    assert_eq!(left.count(&stage.service), 1);
    assert_eq!(left.without(&stage.service), stage.bare);
    assert!(rights.change("revoke").await?.is_empty());
    rights.agree(&stage.person, &nothing).await?;
    // where nobody is, nobody lacks anything: others look at the whole domain
    forest.dismiss(&stage.person).await
}

#[tokio::test]
async fn each_right_is_missed_by_name() -> anyhow::Result<()> {
    let _rights = crate::RIGHTS.read().await;
    let world = World::enter().await?;
    let forest = world.forest()?;
    let stage = Stage::set(forest).await?;
    let mut rights = Rights::new(&world, forest, Some(stage.dn.clone()), &stage.person)?;
    rights.change("grant").await?;
    let given = forest.dacl(&stage.dn).await?;
    for (guid, name, refused) in [
        (RESET_PASSWORD, "Reset Password", NO_RESET),
        (LOCKOUT_TIME, "lockoutTime", NO_UNLOCK),
        (PWD_LAST_SET, "pwdLastSet", NO_MUST_CHANGE),
    ] {
        forest.set_dacl(&stage.dn, &given.without(guid)).await?;
        let missing = [name];
        let expected = Expected {
            missing: &missing,
            hidden: &[],
            gap: Some(("not-given", &stage.dn)),
            refused,
            named: name,
        };
        rights
            .agree(&stage.person, &expected)
            .await
            .with_context(|| format!("without {name}"))?;
        let added = rights.change("grant").await?;
        ensure!(added.len() == 1 && added[0]["right"] == name, "{added:?}");
        rights.agree(&stage.person, &all_work()).await?;
    }

    // the property set gives the attribute
    let set = stage.entry("OA", "WP", USER_ACCOUNT_RESTRICTIONS);
    let by_set = given.without(PWD_LAST_SET).with_first(&set);
    forest.set_dacl(&stage.dn, &by_set).await?;
    rights.agree(&stage.person, &all_work()).await?;

    // an entry that denies outweighs what is given at the same place, and giving more would not help
    let denied = stage.entry("OD", "CR", RESET_PASSWORD);
    forest
        .set_dacl(&stage.dn, &given.with_first(&denied))
        .await?;
    let expected = Expected {
        missing: &["Reset Password"],
        hidden: &[],
        gap: Some(("denied", &stage.dn)),
        refused: NO_RESET,
        named: "Reset Password",
    };
    rights.agree(&stage.person, &expected).await?;
    assert!(rights.change("grant").await?.is_empty());

    // too much is enough, and is told
    let everything = format!("A;CI;GA;;;{}", stage.service);
    forest
        .set_dacl(&stage.dn, &stage.bare.with_first(&everything))
        .await?;
    rights.agree(&stage.person, &all_work()).await?;
    let (_, found) = rights.check().await?;
    let wide = found["tooWide"].as_array().context("nothing too wide")?;
    ensure!(
        wide.iter()
            .any(|wide| wide["what"] == "full-control" && wide["at"] == stage.dn.as_str()),
        "{found:#}"
    );
    forest.set_dacl(&stage.dn, &given).await?;
    rights.agree(&stage.person, &all_work()).await
}

#[tokio::test]
async fn broken_inheritance_is_found_where_it_is_broken() -> anyhow::Result<()> {
    let _rights = crate::RIGHTS.read().await;
    let world = World::enter().await?;
    let forest = world.forest()?;
    let stage = Stage::set(forest).await?;
    let mut rights = Rights::new(&world, forest, Some(stage.dn.clone()), &stage.person)?;
    rights.change("grant").await?;
    rights.agree(&stage.person, &all_work()).await?;

    // a unit below
    let sub_dn = unit_below("Below", &stage.dn);
    forest.found_unit_at(&sub_dn).await?;
    let inheriting = forest.dacl(&sub_dn).await?;
    let blocked = inheriting.blocking().without(&stage.service);
    forest.set_dacl(&sub_dn, &blocked).await?;
    // nobody is there: nobody lacks anything, and it is told
    let (code, found) = rights.check().await?;
    ensure!(
        code == 0 && found["roots"][0]["idleGaps"][0] == sub_dn.as_str(),
        "{found:#}"
    );
    let below = forest.hire_below(&unique("below"), &sub_dn, None).await?;
    let mut of_below = Rights::new(&world, forest, Some(stage.dn.clone()), &below)?;
    let broken = Expected {
        missing: ALL_THREE,
        hidden: &[],
        gap: Some(("unit-inherits-nothing", &sub_dn)),
        refused: NO_UNLOCK,
        named: "lockoutTime",
    };
    of_below.agree(&below, &broken).await?;
    let mut at_below = Rights::new(&world, forest, Some(sub_dn.clone()), &below)?;
    assert_eq!(at_below.change("grant").await?.len(), 3);
    of_below = Rights::new(&world, forest, Some(stage.dn.clone()), &below)?;
    of_below.agree(&below, &all_work()).await?;
    forest.dismiss(&below).await?;
    assert_eq!(at_below.change("revoke").await?.len(), 3);
    assert_eq!(forest.dacl(&sub_dn).await?, blocked);
    forest.set_dacl(&sub_dn, &inheriting).await?;
    at_below.unit = Some(stage.dn.clone());
    assert_eq!(at_below.check().await?.0, 0);

    // a person
    let dn = stage.person_dn();
    let whole = forest.dacl(&dn).await?;
    let alone = whole.blocking().without(&stage.service);
    forest.set_dacl(&dn, &alone).await?;
    let (_, found) = rights.check().await?;
    let named = found["roots"][0]["gaps"][0]["at"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let broken = Expected {
        missing: ALL_THREE,
        hidden: &[],
        gap: Some(("person-inherits-nothing", &named)),
        refused: NO_UNLOCK,
        named: "lockoutTime",
    };
    ensure!(named.ends_with(&stage.dn), "{named}");
    rights.agree(&stage.person, &broken).await?;

    // the same on a protected account lacks nothing that is used: it is never written to
    forest.set(&stage.person, "adminCount", "1").await?;
    let protected = Expected {
        refused: ALL_PROTECTED,
        ..all_work()
    };
    rights.agree(&stage.person, &protected).await?;
    let (_, found) = rights.check().await?;
    ensure!(found["roots"][0]["protected"]["count"] == 1, "{found:#}");
    forest.set_dacl(&dn, &whole).await?;
    rights.agree(&stage.person, &protected).await?;
    forest.set(&stage.person, "adminCount", "0").await?;
    rights.agree(&stage.person, &all_work()).await?;

    // who may not change their password
    let denied = format!("OD;;CR;{CHANGE_PASSWORD};;WD");
    forest.set_dacl(&dn, &whole.with_first(&denied)).await?;
    let fixed = Expected {
        refused: NO_CHANGE,
        ..all_work()
    };
    rights.agree(&stage.person, &fixed).await?;
    let (_, found) = rights.check().await?;
    let change = &found["roots"][0]["changePassword"];
    ensure!(
        change["needed"] == false && change["cannotChange"]["count"] == 1,
        "{found:#}"
    );
    forest.set_dacl(&dn, &whole).await?;
    rights.agree(&stage.person, &all_work()).await
}

#[tokio::test]
async fn a_person_is_explained_by_any_identifier() -> anyhow::Result<()> {
    let _rights = crate::RIGHTS.read().await;
    let world = World::enter().await?;
    let forest = world.forest()?;
    let stage = Stage::set(forest).await?;
    let mut rights = Rights::new(&world, forest, Some(stage.dn.clone()), &stage.person)?;
    rights.change("grant").await?;
    rights.agree(&stage.person, &all_work()).await?;
    let upn = stage.person.user_principal_name.clone();
    let other = Uuid::new_v4();
    forest
        .set_consistency_guid(&stage.person, Some(other))
        .await?;
    let sid = forest
        .identifiers(&upn)
        .await?
        .security_identifier
        .context("no SID")?;
    for name in [&upn, &sid, &e2e::source_anchor(other)] {
        let told = rights.explain(name).await?;
        ensure!(
            told["located"]["objectGuid"] == stage.person.object.to_string(),
            "{told:#}"
        );
        ensure!(
            told["asked"]
                .as_array()
                .is_some_and(|asked| asked.len() == world.forests.len()),
            "{told:#}"
        );
        ensure!(
            told["person"]["policy"]["rules"]["minimumLength"] == 8,
            "{told:#}"
        );
    }

    forest.lock(&upn, "another").await?;
    let told = rights.explain(&upn).await?;
    ensure!(
        told["person"]["locked"] == true && told["person"]["lockedUntil"].is_string(),
        "{told:#}"
    );
    let change = told["operations"]
        .as_array()
        .and_then(|all| all.iter().find(|one| one["operation"] == "change").cloned());
    ensure!(
        change.is_some_and(
            |change| change["reason"] == "account-locked" && change["actor"] == "administrator"
        ),
        "{told:#}"
    );
    ensure!(told["operations"][0]["works"] == true, "{told:#}");

    // 514: disabled; 262656: with a smart card; 66048: whose password never expires
    for (control, member) in [
        ("262656", "smartCardRequired"),
        ("66048", "passwordNeverExpires"),
    ] {
        forest
            .set(&stage.person, "userAccountControl", control)
            .await?;
        let told = rights.explain(&upn).await?;
        ensure!(told["person"][member] == true, "{told:#}");
    }
    forest
        .set(&stage.person, "userAccountControl", "514")
        .await?;
    let told = rights.explain(&upn).await?;
    ensure!(
        told["resolves"] == false
            && told["located"]["reason"] == "account-disabled"
            && told["person"]["enabled"] == false,
        "{told:#}"
    );
    let nobody = rights.explain("nobody.at.all@corp.example.com").await?;
    ensure!(
        nobody["located"]["reason"] == "user-not-found" && nobody["person"].is_null(),
        "{nobody:#}"
    );
    let outside = rights.explain(&forest.named("otto.outside")).await?;
    ensure!(
        outside["located"]["reason"] == "out-of-scope",
        "{outside:#}"
    );
    let own = rights.explain(&forest.named("svc-writeback")).await?;
    ensure!(
        own["operations"][0]["reason"] == "protected-account",
        "{own:#}"
    );
    Ok(())
}

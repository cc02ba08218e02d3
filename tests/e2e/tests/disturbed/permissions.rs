//! The rights at a domain's root, taken away and given back, in a forest that nobody else relies on.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use e2e::{Dacl, DomainController, Event, Expected, Person, Rights, World, fresh_password, until};
use operation::Reason::AccessDenied;
use uuid::Uuid;

use crate::{
    ALONE,
    forests::{Added, with_key_of_third},
};

const PATIENCE: Duration = Duration::from_secs(30);
const UNEXPIRE_PASSWORD: &str = "ccc2dc7d-a6ad-4a7a-8846-c04e3cc53501";
const ALL_FOUR: &[&str] = &[
    "Reset Password",
    "lockoutTime",
    "pwdLastSet",
    "Unexpire-Password",
];

async fn service_of(forest: &DomainController) -> anyhow::Result<(Person, String)> {
    let user_principal_name = forest.named("svc-writeback");
    let found = forest.identifiers(&user_principal_name).await?;
    let bytes = STANDARD.decode(&found.source_anchor)?;
    let person = Person {
        object: Uuid::from_slice_le(&bytes)?,
        user_principal_name,
        password: String::new(),
    };
    let sid = found.security_identifier.context("no identifier")?;
    Ok((person, sid))
}

/// Somebody in the people's unit, once the product knows the forest.
async fn somebody(world: &World, forest: &DomainController) -> anyhow::Result<Person> {
    let person = forest.hire("rights-at-the-root", "People", None).await?;
    until("an operation in the third forest", PATIENCE, || async {
        let new = fresh_password();
        let event = Event::reset(&person.user_principal_name, &new);
        let answer = world.door.send(&event).await?;
        let done = answer.expect_applied().is_ok();
        Ok(done.then(|| Person {
            password: new,
            ..person.clone()
        }))
    })
    .await
}

/// Neither the account's own entries nor what everybody may do on the domain.
fn bare(whole: &Dacl, service: &str) -> Dacl {
    whole.without(service).without(UNEXPIRE_PASSWORD)
}

#[tokio::test]
async fn the_roots_rights_are_missed_given_and_taken_back() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let before = World::enter().await?;
    let mut added = Added::add().await?;
    let world = with_key_of_third(&before).await?;
    let forest = world.forests.last().context("no forest")?;
    let person = somebody(&world, forest).await?;
    let (account, service) = service_of(forest).await?;
    let root = forest
        .unit("x")
        .split_once(',')
        .context("no root")?
        .1
        .to_owned();
    let mut rights = Rights::new(&world, forest, None, &person)?;
    rights.agree(&person, &Expected::default()).await?;

    let whole = forest.dacl(&root).await?;
    let stripped = forest.set_dacl(&root, &bare(&whole, &service)).await?;
    let lacking = Expected {
        missing: ALL_FOUR,
        hidden: &[],
        gap: Some(("not-given", &root)),
        refused: &[
            ("reset-by-user", AccessDenied),
            ("reset-by-administrator", AccessDenied),
            ("reset-to-be-changed", AccessDenied),
            ("unlock", AccessDenied),
        ],
        named: "lockoutTime",
    };
    rights.agree(&person, &lacking).await?;
    let place = ["permissions", "grant", "--print", "--forest", forest.id()];
    let printed = rights.ctl.run(&place).await?.expect(0)?.out;
    ensure!(
        printed.lines().count() == 4 && printed.contains(r#":CA;Unexpire Password""#),
        "{printed}"
    );

    let given = rights.change("grant").await?;
    ensure!(given.len() == 4, "{given:?}");
    rights.agree(&person, &Expected::default()).await?;
    let granted = forest.dacl(&root).await?;
    assert!(rights.change("grant").await?.is_empty());
    assert_eq!(forest.dacl(&root).await?, granted);

    // only on the domain: a reset works, and leaves the password to be changed at once
    let without = granted.without(UNEXPIRE_PASSWORD);
    forest.set_dacl(&root, &without).await?;
    let (code, found) = rights.check().await?;
    ensure!(
        code == 1 && found["unexpirePassword"]["held"] == false,
        "{found:#}"
    );
    let told = rights.explain(&person.user_principal_name).await?;
    let reset = &told["operations"][0];
    ensure!(
        reset["works"] == true && reset["notes"].to_string().contains("Unexpire-Password"),
        "{told:#}"
    );
    let again = rights.change("grant").await?;
    ensure!(
        again.len() == 1 && again[0]["right"] == "Unexpire-Password",
        "{again:?}"
    );

    // a group in a group counts as the account does, and an administrative one is told
    forest
        .nest(&account, "rights-through-groups", "Account Operators")
        .await?;
    let (_, found) = rights.check().await?;
    let wide = found["tooWide"].to_string();
    ensure!(wide.contains("Account Operators"), "{found:#}");
    forest
        .unnest("rights-through-groups", "Account Operators")
        .await?;

    let taken = rights.change("revoke").await?;
    ensure!(taken.len() == 4, "{taken:?}");
    assert_eq!(forest.dacl(&root).await?, stripped);
    rights.agree(&person, &lacking).await?;
    forest.set_dacl(&root, &whole).await?;
    rights.agree(&person, &Expected::default()).await?;
    added.remove().await
}

//! A person who is enabled in two forests: refused, or decided by the order that the operator gave, and never by chance.

use std::{collections::BTreeSet, fs};

use anyhow::{Context as _, ensure};
use e2e::{DomainController, Event, Person, World, fresh_password, source_anchor, until};
use lab::{Lab, Place};
use operation::Reason;
use uuid::Uuid;

use crate::{
    ALONE,
    forests::{Changed, PATIENCE},
    parts,
};

const PEOPLE: &str = "People";

/// The lines in which resolvers say that another rule holds.
fn rules_told() -> anyhow::Result<usize> {
    let place = Place::of_this_repository()?;
    let mut lines = 0;
    for service in Lab::load()?.services {
        if service.name.starts_with("resolver-") {
            lines += fs::read_to_string(place.log(&service.name))?
                .lines()
                .filter(|line| line.contains("another rule for who is enabled in two forests"))
                .count();
        }
    }
    Ok(lines)
}

async fn until_told(before: usize) -> anyhow::Result<()> {
    let resolvers = parts::services("resolver")?.len();
    until("every resolver has the rule", PATIENCE, || async {
        Ok((rules_told()? >= before + resolvers).then_some(()))
    })
    .await
}

/// The running product with this order, until what is returned is dropped.
async fn prefer(forests: &[&str]) -> anyhow::Result<Changed> {
    let before = rules_told()?;
    let order: Vec<String> = forests.iter().map(|id| format!("\"{id}\"")).collect();
    let changed = Changed::with(&format!(
        "\n[resolver]\nenabled_in_two_forests = {{ prefer = [{}] }}\n",
        order.join(", ")
    ))?;
    until_told(before).await?;
    Ok(changed)
}

async fn as_before(changed: Changed) -> anyhow::Result<()> {
    let before = rules_told()?;
    drop(changed);
    until_told(before).await
}

/// Somebody with an account in each of the two forests, and one anchor.
struct Both<'a> {
    world: &'a World,
    accounts: [(&'a DomainController, Person); 2],
    anchor: Uuid,
}

impl<'a> Both<'a> {
    async fn hire(world: &'a World) -> anyhow::Result<Self> {
        let [one, two] = world.forests.as_slice() else {
            anyhow::bail!("not two forests");
        };
        let anchor = Uuid::new_v4();
        let login = format!("both-{}", &anchor.simple().to_string()[..8]);
        Ok(Self {
            world,
            accounts: [
                (one, one.hire(&login, PEOPLE, Some(anchor)).await?),
                (two, two.hire(&login, PEOPLE, Some(anchor)).await?),
            ],
            anchor,
        })
    }

    fn event(&self, new: &str) -> Event {
        Event::reset("", new).by_source_anchor(&source_anchor(self.anchor))
    }

    /// Nothing was written in either forest.
    async fn is_untouched(&self) -> anyhow::Result<()> {
        for (forest, person) in &self.accounts {
            ensure!(
                forest
                    .opens(&person.user_principal_name, &person.password)
                    .await?,
                "written to in {}",
                forest.id()
            );
        }
        Ok(())
    }

    /// A reset is applied in the forest with this number, and in no other, and says why there.
    async fn is_reset_in(&mut self, chosen: usize) -> anyhow::Result<()> {
        let new = fresh_password();
        let answer = self.world.door.send(&self.event(&new)).await?;
        answer.expect_applied()?;
        let (forest, other) = (self.accounts[chosen].0, self.accounts[1 - chosen].0);
        ensure!(answer.text("forest") == forest.id(), "{}", answer.body);
        let steps = answer.body["steps"].as_array().context("no steps")?;
        let told = steps.iter().any(|step| {
            step["step"] == "preferred"
                && step["detail"].as_str().is_some_and(|detail| {
                    detail.starts_with(&format!("forest {}", forest.id()))
                        && detail.contains(&format!("enabled in {}", other.id()))
                })
        });
        ensure!(told, "the choice is not told: {}", answer.body);
        let person = &mut self.accounts[chosen].1;
        forest
            .prove(&person.user_principal_name, &person.password, &new)
            .await?;
        person.password = new;
        self.is_untouched().await
    }

    /// Each resolver follows the forests by itself.
    async fn known_to_all(&self) -> anyhow::Result<Option<()>> {
        let resolvers = parts::services("resolver")?.len();
        let mut knowing = BTreeSet::new();
        for _ in 0..resolvers * 4 {
            let unlock = Event::unlock("").by_source_anchor(&source_anchor(self.anchor));
            let answer = self.world.door.send(&unlock).await?;
            if answer.status != 409 {
                return Ok(None);
            }
            let operation = self.world.door.operation(answer.operation_id()?).await?;
            let steps = operation.body["steps"].as_array().context("no steps")?;
            let services = steps.iter().filter_map(|step| step["service"].as_str());
            knowing.extend(
                services
                    .filter(|service| service.starts_with("resolver-"))
                    .map(str::to_owned),
            );
        }
        Ok((knowing.len() >= resolvers).then_some(()))
    }

    async fn is_refused(&self, status: u16, reason: Reason) -> anyhow::Result<()> {
        let answer = self.world.door.send(&self.event(&fresh_password())).await?;
        answer.expect_refused(status, reason)?;
        self.is_untouched().await
    }
}

#[tokio::test]
async fn an_order_decides_and_is_never_a_guess() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    let mut both = Both::hire(&world).await?;
    let ids: Vec<String> = world
        .forests
        .iter()
        .map(|forest| forest.id().to_owned())
        .collect();
    let [one, two] = ids.as_slice() else {
        anyhow::bail!("not two forests");
    };
    until("every resolver knows both accounts", PATIENCE, || {
        both.known_to_all()
    })
    .await?;
    both.is_refused(409, Reason::UserAmbiguous).await?;

    let changed = prefer(&[one, two]).await?;
    for _ in 0..4 {
        both.is_reset_in(0).await?;
    }
    // the preferred one is silent: the other one's account is not the answer
    let stopped = parts::Stopped::stop(parts::infrastructure(&format!("samba-{one}"))?)?;
    let answer = world.door.send(&both.event(&fresh_password())).await?;
    answer.expect_refused(503, Reason::ForestUnavailable)?;
    drop(stopped);
    until("it answers again", PATIENCE, || async {
        Ok(both.accounts[0].0.is_up().await.then_some(()))
    })
    .await?;
    both.is_untouched().await?;
    // one name in both forests is not one person
    namesakes(&world).await?;
    as_before(changed).await?;
    both.is_refused(409, Reason::UserAmbiguous).await?;

    let changed = prefer(&[two, one]).await?;
    for _ in 0..4 {
        both.is_reset_in(1).await?;
    }
    // disabled where it is preferred, there is one enabled account, and nothing to prefer
    let (forest, person) = &both.accounts[1];
    forest.set(person, "userAccountControl", "514").await?;
    let new = fresh_password();
    let answer = world.door.send(&both.event(&new)).await?;
    answer.expect_applied()?;
    ensure!(
        answer.text("forest") == one && !answer.body["steps"].to_string().contains("preferred"),
        "{}",
        answer.body
    );
    forest.set(person, "userAccountControl", "512").await?;
    both.accounts[0].1.password = new;
    both.is_untouched().await?;
    // of one of the two forests nothing was said
    as_before(changed).await?;
    let changed = prefer(&[one, "apac"]).await?;
    both.is_refused(409, Reason::UserAmbiguous).await?;
    as_before(changed).await?;
    for (forest, person) in &both.accounts {
        forest.dismiss(person).await?;
    }
    Ok(())
}

async fn namesakes(world: &World) -> anyhow::Result<()> {
    let name = format!("namesake-{}@brand.example", Uuid::new_v4().simple());
    let mut bearers = Vec::new();
    for forest in &world.forests {
        let login = format!("name-{}", &Uuid::new_v4().simple().to_string()[..8]);
        let mut person = forest.hire(&login, PEOPLE, None).await?;
        forest.set_user_principal_name(&mut person, &name).await?;
        bearers.push((forest, person));
    }
    let answer = world
        .door
        .send(&Event::reset(&name, &fresh_password()))
        .await?;
    answer.expect_refused(409, Reason::UserAmbiguous)?;
    for (forest, person) in bearers {
        ensure!(
            forest.opens(&name, &person.password).await?,
            "a namesake was written to in {}",
            forest.id()
        );
        forest.dismiss(&person).await?;
    }
    Ok(())
}

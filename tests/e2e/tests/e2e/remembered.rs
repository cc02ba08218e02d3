//! The resolver remembers where people are: it may spare a look, and never reaches the wrong one.

use anyhow::{bail, ensure};
use e2e::{Event, World, fresh_password};
use uuid::Uuid;

const PEOPLE: &str = "People";
/// There are several resolvers, and each remembers for itself.
const TRIES: usize = 20;

#[tokio::test]
async fn who_takes_over_a_name_is_reached_by_it_at_once() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for forest in &world.forests {
        let unique = Uuid::new_v4().simple().to_string();
        let login = |who: &str| format!("{who}-{}", unique.get(..8).unwrap_or_default());
        let mut leaver = forest.hire(&login("leaver"), PEOPLE, None).await?;
        let mut heir = forest.hire(&login("heir"), PEOPLE, None).await?;
        // no login of anybody's: a directory keeps those for who has them
        let name = forest.named(&login("role"));
        forest.set_user_principal_name(&mut leaver, &name).await?;

        // until every resolver has been asked, and one has answered from memory
        let mut tries = 0;
        loop {
            let new = fresh_password();
            let event = Event::reset(&name, &new).sealed_to(forest.id());
            let answer = world.door.send(&event).await?;
            answer.expect_applied()?;
            leaver.password = new;
            if answer.body["steps"].to_string().contains("as before") {
                break;
            }
            tries += 1;
            if tries > TRIES {
                bail!("nobody remembers {name}: {}", answer.body);
            }
        }

        let other = forest.named(&login("former"));
        forest.set_user_principal_name(&mut leaver, &other).await?;
        forest.set_user_principal_name(&mut heir, &name).await?;
        for _ in 0..TRIES / 4 {
            let new = fresh_password();
            let event = Event::reset(&name, &new).sealed_to(forest.id());
            world.door.send(&event).await?.expect_applied()?;
            forest.prove(&name, &heir.password, &new).await?;
            heir.password = new;
        }
        ensure!(
            forest.opens(&other, &leaver.password).await?,
            "the password of who bore the name before was changed"
        );
    }
    Ok(())
}

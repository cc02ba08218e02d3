//! Passwords as people may have them: whatever the directory takes, they sign in with.

use e2e::{Event, World, fresh_password};

use crate::people;

#[tokio::test]
async fn a_password_arrives_as_it_was_written() -> anyhow::Result<()> {
    let world = World::enter().await?;
    for forest in &world.forests {
        let person = forest.person(people::ODD_CHARACTERS)?;
        let mut old = forest.start_with_fresh_password(person).await?;
        let unique = fresh_password();
        for odd in [
            format!("\"{unique}\""),
            format!(" {unique} "),
            format!("{unique}\\ \" ' < > & % $ ; | ` {{}} [] () * ?"),
            format!("{unique}äöüß€ñçЖ中文"),
            format!("{unique}😀👩\u{200d}🔬𝔓"),
            format!("{unique}e\u{301}\u{200f}\u{2028}\u{a0}"),
            format!("{unique}\t\n\r\u{1}\u{1b}\u{7f}\u{85}"),
            format!("{unique}{}", "x".repeat(256 - unique.len())),
            // 256 as the directory counts: two for each of these
            format!("{unique}{}", "😀".repeat((256 - unique.len()) / 2)),
        ] {
            let event = Event::reset(person, &odd);
            let answer = world.door.send(&event).await?;
            answer
                .expect_applied()
                .map_err(|error| error.context(odd.clone()))?;
            forest
                .prove(person, &old, &odd)
                .await
                .map_err(|error| error.context(odd.clone()))?;
            // and as the current one of a change
            let next = fresh_password();
            let change = Event::change(person, &odd, &next);
            world.door.send(&change).await?.expect_applied()?;
            forest.prove(person, &odd, &next).await?;
            old = next;
        }
    }
    Ok(())
}

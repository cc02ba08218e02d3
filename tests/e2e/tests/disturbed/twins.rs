//! One operation is in its forest's queue several times, as after an outage of the broker: who published it could not know
//! whether the first had arrived.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::{Broker, Event, Measures, World, fresh_password, parts, until};
use proto::v1;

use crate::{
    ALONE,
    lost::{admit, publish},
    people,
};

const TWINS: usize = 3;
const SOON: Duration = Duration::from_secs(30);
const DEADLINE: Duration = Duration::from_mins(3);

/// How many requests have been resolved.
async fn resolved() -> anyhow::Result<f64> {
    Measures::sum_of_all(
        "resolver-",
        "writeback_resolver_duration_seconds_count",
        &[],
    )
    .await
}

#[tokio::test]
async fn an_operation_that_is_there_several_times_is_written_once() -> anyhow::Result<()> {
    let _alone = ALONE.lock().await;
    let world = World::enter().await?;
    let forest = world.forests.first().context("no forest")?;
    let mut begun = Vec::new();
    let writers = parts::Stopped::stop(parts::services(&format!("writer-{}", forest.id()))?)?;
    let before_these = resolved().await?;
    for number in people::UNDER_WAY {
        let person = forest.person(number)?;
        let old = forest.start_with_fresh_password(person).await?;
        let before = forest.passwords_set(person).await?;
        let new = fresh_password();
        let event = Event::reset(person, &new)
            .sealed_to(forest.id())
            .within(DEADLINE);
        let first = admit(&world, &event, person).await?;
        let marked = v1::Request {
            perhaps_repeated: true,
            ..first.clone()
        };
        // that it is one of several is not known of the first, which may have been lost, or come last
        let place = number % (TWINS + 1);
        for twin in 0..TWINS {
            publish(if twin == place { &first } else { &marked }).await?;
        }
        let id = first.operation.context("no operation")?.id;
        begun.push((person, old, before, new, id));
    }
    until("all are handed over", SOON, || async {
        let all = u32::try_from(TWINS * people::UNDER_WAY.len())?;
        Ok((resolved().await? >= before_these + f64::from(all)).then_some(()))
    })
    .await?;
    drop(writers);
    for (.., id) in &begun {
        world.door.ended_operation(id).await?.expect_applied()?;
    }
    Broker::of_the_lab()?.emptied(SOON).await?;
    for (person, old, before, new, id) in begun {
        forest.prove(person, &old, &new).await?;
        let set = forest.passwords_set(person).await? - before;
        ensure!(set == 1, "{id} set it {set} times");
    }
    Ok(())
}

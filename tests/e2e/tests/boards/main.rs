//! Every query of every board is asked of a real Prometheus that watches the lab while the product works, and finds
//! something. What is told only once it has happened is made to happen.

use std::{cell::RefCell, collections::BTreeMap, time::Duration};

use anyhow::ensure;
use e2e::{Ctl, DomainController, Event, Prometheus, World, fresh_password, until};
use futures_util::future::try_join_all;
use operation::Reason;
use sight::Query;

/// Whom nobody needs elsewhere, by number.
const PERSON: usize = 46;
const UNKNOWN: &str = "nobody.onboard";
/// On a lab that was just started; a warm one shows everything within ten seconds.
const SHOWN_WITHIN: Duration = Duration::from_secs(90);
/// Several scrapes, as Grafana would take.
const RATE_INTERVAL: &str = "10s";
const RANGE: &str = "5m";

/// What the boards are to show: good, bad, unknown, twice, refused, and what a deadline ends.
async fn work(world: &World, forest: &DomainController) -> anyhow::Result<()> {
    let person = forest.person(PERSON)?;
    let reset = world
        .door
        .prepare(&Event::reset(person, &fresh_password()))?;
    world.door.send_json(&reset).await?.expect_applied()?;
    world.door.send_json(&reset).await?.expect_applied()?;
    world
        .door
        .send(&Event::unlock(person))
        .await?
        .expect_applied()?;
    let weak = Event::reset(person, "short");
    world
        .door
        .send(&weak)
        .await?
        .expect_refused(422, Reason::PasswordPolicy)?;
    let unknown = Event::reset(&forest.named(UNKNOWN), &fresh_password());
    world
        .door
        .send(&unknown)
        .await?
        .expect_refused(404, Reason::UserNotFound)
}

/// Every query once, whatever forests it is asked for.
fn questions(world: &World) -> anyhow::Result<BTreeMap<String, Query>> {
    let mut questions = BTreeMap::new();
    for board in sight::boards()? {
        let mut forests: Vec<&str> = world.forests.iter().map(DomainController::id).collect();
        if board.shows_all_forests() {
            forests.push(".*");
        }
        for forest in forests {
            for query in board.queries(forest, RATE_INTERVAL, RANGE) {
                questions.insert(query.expression.clone(), query);
            }
        }
    }
    Ok(questions)
}

#[tokio::test]
async fn every_panel_shows_something() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let prometheus = Prometheus::watch("boards").await?;
    for forest in &world.forests {
        forest
            .start_with_fresh_password(forest.person(PERSON)?)
            .await?;
    }
    let questions = questions(&world)?;
    ensure!(
        questions.len() > 80,
        "only {} queries were found",
        questions.len()
    );
    let unanswered = RefCell::new(questions);
    let verified = Ctl::of_the_lab()?.run(&["ledger", "verify"]).await?;
    ensure!(verified.code == 0, "{}{}", verified.out, verified.err);
    let shown = until("every panel shows something", SHOWN_WITHIN, || async {
        try_join_all(world.forests.iter().map(|forest| work(&world, forest))).await?;
        let asked = unanswered.take().into_values().map(|query| async {
            let samples = prometheus.query(&query.expression).await?;
            // a ratio or a quantile of nothing is not a number
            let found = samples.iter().any(|sample| sample.value.is_finite());
            anyhow::Ok((!found).then_some((query.expression.clone(), query)))
        });
        let left: BTreeMap<_, _> = try_join_all(asked).await?.into_iter().flatten().collect();
        let done = left.is_empty();
        unanswered.replace(left);
        Ok(done.then_some(()))
    })
    .await;
    let left = unanswered.into_inner();
    let left: Vec<_> = left
        .values()
        .map(|query| format!("{}: {}", query.whose, query.expression))
        .collect();
    ensure!(
        left.is_empty(),
        "these panels are empty:\n{}",
        left.join("\n")
    );
    shown
}

//! One person's reset, sent as a cloud directory sends it, and what became of it, by sign-ins.

use std::{
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use e2e::{Answer, DomainController, Event, World, fresh_password, until};
use futures_util::future::{join_all, try_join_all};
use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval};

/// How far apart the errands of one lot begin.
const PACE: Duration = Duration::from_millis(40);
/// What is killed is back long before.
const DEADLINE: Duration = Duration::from_secs(30);
/// For an answer: a service may have to be restarted, or the database to come back.
const ANSWERS_WITHIN: Duration = Duration::from_mins(2);
/// For the end: past the deadline by as much as it takes to be sure that nobody took it up.
const ENDS_WITHIN: Duration = Duration::from_mins(3);

pub(crate) struct Errand<'a> {
    forest: &'a DomainController,
    person: String,
    old: String,
    new: String,
    event: Value,
}

/// What a caller was told.
pub(crate) struct Told {
    pub(crate) id: String,
    /// None when the end was not known yet.
    pub(crate) end: Option<End>,
    pub(crate) took: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    Applied,
    /// With the reason's code.
    Not(String),
}

impl End {
    fn of(answer: &Answer) -> Option<Self> {
        let reason = answer.text("reason").to_owned();
        match answer.text("status") {
            "pending" => None,
            "applied" => Some(Self::Applied),
            _ => Some(Self::Not(reason)),
        }
    }
}

impl<'a> Errand<'a> {
    pub(crate) async fn prepare(
        world: &World,
        forest: &'a DomainController,
        number: usize,
        deadline: Duration,
    ) -> anyhow::Result<Self> {
        let person = forest.person(number)?.to_owned();
        let old = forest.start_with_fresh_password(&person).await?;
        let new = fresh_password();
        // for one forest only: what another forest does must not matter
        let event = Event::reset(&person, &new)
            .sealed_to(forest.id())
            .within(deadline);
        Ok(Self {
            forest,
            event: world.door.prepare(&event)?,
            person,
            old,
            new,
        })
    }

    /// One attempt; an error when no answer came.
    pub(crate) async fn send_once(&self, world: &World) -> anyhow::Result<Answer> {
        world.door.send_json(&self.event).await
    }

    /// Sends the event until it has been admitted: the same event every time.
    pub(crate) async fn send(&self, world: &World) -> anyhow::Result<Told> {
        until("an answer", ANSWERS_WITHIN, || async {
            let Ok(answer) = self.send_once(world).await else {
                return Ok(None);
            };
            let Ok(id) = answer.operation_id() else {
                ensure!(
                    answer.status == 503,
                    "neither admitted nor unavailable: {} {}",
                    answer.status,
                    answer.body
                );
                return Ok(None);
            };
            Ok(Some(Told {
                id: id.to_owned(),
                end: match answer.status {
                    200 | 202 => End::of(&answer),
                    _ => Some(End::Not(answer.text("reason").to_owned())),
                },
                took: answer.took,
            }))
        })
        .await
    }

    /// How it ended by the ledger, which must not contradict what was told.
    pub(crate) async fn end(&self, world: &World, told: &Told) -> anyhow::Result<End> {
        let end = until(
            &format!("the end of {} for {}", told.id, self.person),
            ENDS_WITHIN,
            || async {
                let answer = world.door.operation(&told.id).await;
                Ok(answer
                    .ok()
                    .filter(|answer| answer.status == 200)
                    .and_then(|answer| End::of(&answer)))
            },
        )
        .await?;
        ensure!(
            told.end.as_ref().is_none_or(|told| *told == end),
            "{}: told {:?}, ended {end:?}",
            told.id,
            told.end
        );
        Ok(end)
    }

    /// The person signs in with the password that this end says, and with no other.
    pub(crate) async fn prove(&self, end: &End) -> anyhow::Result<()> {
        let (valid, invalid) = match end {
            End::Applied => (&self.new, &self.old),
            End::Not(_) => (&self.old, &self.new),
        };
        self.forest
            .prove(&self.person, invalid, valid)
            .await
            .with_context(|| format!("it ended {end:?}"))
    }
}

/// Errands for these people of this forest.
pub(crate) async fn prepare<'a>(
    world: &World,
    forest: &'a DomainController,
    people: Range<usize>,
    deadline: Duration,
) -> anyhow::Result<Vec<Errand<'a>>> {
    try_join_all(people.map(|number| Errand::prepare(world, forest, number, deadline))).await
}

/// Errands for these people of every forest.
pub(crate) async fn prepare_everywhere(
    world: &World,
    people: Range<usize>,
) -> anyhow::Result<Vec<Errand<'_>>> {
    let forests = world
        .forests
        .iter()
        .map(|forest| prepare(world, forest, people.clone(), DEADLINE));
    Ok(try_join_all(forests).await?.into_iter().flatten().collect())
}

/// Sends all, one after the other's start, and disturbs once some have been answered and others are under way.
pub(crate) async fn send_disturbed(
    world: &World,
    errands: &[Errand<'_>],
    disturb: impl AsyncFnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<Vec<Told>> {
    let answered = AtomicUsize::new(0);
    let sending = join_all((0_u32..).zip(errands).map(|(place, errand)| {
        let answered = &answered;
        async move {
            let mut turn = interval(PACE * place.max(1));
            turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
            turn.tick().await;
            if place > 0 {
                turn.tick().await;
            }
            let told = errand.send(world).await;
            answered.fetch_add(1, Ordering::Relaxed);
            told
        }
    }));
    let disturbing = async {
        until("the first answers", ANSWERS_WITHIN, || async {
            Ok((answered.load(Ordering::Relaxed) >= errands.len() / 4).then_some(()))
        })
        .await?;
        disturb().await
    };
    let (told, disturbed) = tokio::join!(sending, disturbing);
    disturbed?;
    told.into_iter().collect()
}

/// Each has one end, the one that was told, and it is true at the domain controller. The ends, in order.
pub(crate) async fn settle(
    world: &World,
    errands: &[Errand<'_>],
    told: &[Told],
) -> anyhow::Result<Vec<End>> {
    let ends = try_join_all(
        errands
            .iter()
            .zip(told)
            .map(|(errand, told)| errand.end(world, told)),
    )
    .await?;
    crate::parts::all_ready().await?;
    try_join_all(
        errands
            .iter()
            .zip(&ends)
            .map(|(errand, end)| errand.prove(end)),
    )
    .await?;
    // nothing has changed its end since, and a repeat of the event is told the same
    for ((errand, told), end) in errands.iter().zip(told).zip(&ends) {
        ensure!(
            errand.end(world, told).await? == *end,
            "{} ended twice",
            told.id
        );
    }
    Ok(ends)
}

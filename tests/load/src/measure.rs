//! The measurement: which cases there are, and the turns that the ceiling and the product take in each.

use std::{collections::VecDeque, fmt, time::Duration};

use anyhow::Context as _;
use e2e::{Event, World};
use futures_util::future::{join_all, try_join_all};
use serde::Serialize;

use crate::{
    ceiling::{self, Connection, Modify},
    pipeline::{self, Caller},
    placement::Processors,
    processor::Used,
    round::{Round, Worker, round},
};

const FIRST_GUESS: Duration = Duration::from_millis(500);
/// Operations beyond those expected in a round, so that it ends by time and not for want of work.
const SPARE: f64 = 1.6;

pub(crate) struct Plan {
    pub(crate) concurrency: Vec<usize>,
    pub(crate) rounds: usize,
    pub(crate) round: Duration,
    pub(crate) together_only: bool,
}

/// What else is under way while one forest is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Busy {
    /// Nothing.
    Alone,
    /// The other forests are just as busy.
    Both,
    /// The same, and the domain controllers have processors of their own.
    Apart,
}

impl fmt::Display for Busy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Alone => "alone",
            Self::Both => "both",
            Self::Apart => "apart",
        })
    }
}

/// What was measured in one forest at one concurrency.
pub(crate) struct Case {
    pub(crate) forest: String,
    pub(crate) busy: Busy,
    pub(crate) concurrency: usize,
    pub(crate) ceiling: Vec<Round>,
    pub(crate) pipeline: Vec<Round>,
    /// The processor time of both, of all forests of the case together.
    pub(crate) ceiling_used: Used,
    pub(crate) pipeline_used: Used,
}

/// One forest, with everything that works on it.
struct Side<'a> {
    world: &'a World,
    name: String,
    people: Vec<Person>,
    next: usize,
    connections: Vec<Connection>,
    callers: Vec<Caller>,
    /// The fastest rate seen so far, per second.
    rate: f64,
}

struct Person {
    user_principal_name: String,
    target: String,
}

pub(crate) async fn measure(
    plan: &Plan,
    lab: &lab::Lab,
    place: &lab::Place,
    world: &World,
) -> anyhow::Result<Vec<Case>> {
    let most = plan.concurrency.iter().copied().max().unwrap_or(1);
    let mut sides = Vec::new();
    for forest in &lab.forests {
        sides.push(Side::new(lab, place, world, forest, most).await?);
    }
    // first connections, caches, plans of the database: none of them is a matter of one operation
    for side in &mut sides {
        for _ in 0..2 {
            expect_applied(&[side.ceiling_round(most, FIRST_GUESS).await])?;
            expect_applied(&[side.pipeline_round(most, FIRST_GUESS).await?])?;
        }
    }
    let mut cases = Vec::new();
    if !plan.together_only {
        for group in sides.chunks_mut(1) {
            measure_group(plan, lab, group, Busy::Alone, &mut cases).await?;
        }
    }
    measure_group(plan, lab, &mut sides, Busy::Both, &mut cases).await?;
    let processors = Processors::of_this_machine()?;
    if processors.part(lab)? {
        let measured = measure_group(plan, lab, &mut sides, Busy::Apart, &mut cases).await;
        processors.share(lab)?;
        measured?;
    }
    Ok(cases)
}

/// The forests of a group are busy at the same time.
async fn measure_group(
    plan: &Plan,
    lab: &lab::Lab,
    group: &mut [Side<'_>],
    busy: Busy,
    cases: &mut Vec<Case>,
) -> anyhow::Result<()> {
    for concurrency in &plan.concurrency {
        let names: Vec<&str> = group.iter().map(|side| side.name.as_str()).collect();
        println!(
            "load: {} ({busy}), {concurrency} at a time in each",
            names.join(" and ")
        );
        let first = cases.len();
        for side in group.iter() {
            cases.push(Case {
                forest: side.name.clone(),
                busy,
                concurrency: *concurrency,
                ceiling: Vec::new(),
                pipeline: Vec::new(),
                ceiling_used: Used::default(),
                pipeline_used: Used::default(),
            });
        }
        for turn in 0..plan.rounds {
            // first the one, then the other: a machine that slows down or speeds up favours neither
            for ceilings_turn in [turn % 2 == 0, turn % 2 != 0] {
                let before = Used::so_far(lab)?;
                let rounds = if ceilings_turn {
                    join_all(
                        group
                            .iter_mut()
                            .map(|side| side.ceiling_round(*concurrency, plan.round)),
                    )
                    .await
                } else {
                    try_join_all(
                        group
                            .iter_mut()
                            .map(|side| side.pipeline_round(*concurrency, plan.round)),
                    )
                    .await?
                };
                expect_applied(&rounds)?;
                let used = Used::so_far(lab)?.since(&before);
                for (case, round) in cases.iter_mut().skip(first).zip(rounds) {
                    if ceilings_turn {
                        case.ceiling.push(round);
                        case.ceiling_used.add(&used);
                    } else {
                        case.pipeline.push(round);
                        case.pipeline_used.add(&used);
                    }
                }
            }
        }
    }
    Ok(())
}

/// An operation that was not applied has no place in a measurement.
fn expect_applied(rounds: &[Round]) -> anyhow::Result<()> {
    for round in rounds {
        if let Some(first) = round.failures.first() {
            anyhow::bail!(
                "{} operations failed, the first: {first}",
                round.failures.len()
            );
        }
    }
    Ok(())
}

impl<'a> Side<'a> {
    async fn new(
        lab: &lab::Lab,
        place: &lab::Place,
        world: &'a World,
        forest: &lab::Forest,
        most: usize,
    ) -> anyhow::Result<Self> {
        let mut connections = ceiling::connections(forest, place, most).await?;
        let first = connections
            .first_mut()
            .context("a concurrency of 0 measures nothing")?;
        let mut people = Vec::new();
        for user_principal_name in &forest.users {
            people.push(Person {
                user_principal_name: user_principal_name.clone(),
                target: first.target_of(forest, user_principal_name).await?,
            });
        }
        anyhow::ensure!(
            people.len() > 2 * most,
            "more operations at a time than people: they would wait for each other"
        );
        Ok(Self {
            world,
            name: forest.id.clone(),
            people,
            next: 0,
            connections,
            callers: pipeline::callers(&lab.intake, most)?,
            rate: 0.0,
        })
    }

    /// More operations than will be needed, each with the next person.
    fn prepare<T>(
        &mut self,
        length: Duration,
        make: impl Fn(&World, &Person) -> anyhow::Result<T>,
    ) -> anyhow::Result<VecDeque<T>> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rate is a small positive number"
        )]
        let count = (self.rate * SPARE * length.as_secs_f64()) as usize + 3 * self.people.len();
        let people = self.people.iter().cycle().skip(self.next).take(count);
        let operations = people
            .map(|person| make(self.world, person))
            .collect::<anyhow::Result<_>>()?;
        Ok(operations)
    }

    /// The next round goes on with the person after the last one.
    fn note(&mut self, prepared: usize, left: usize, round: &Round) {
        self.next = (self.next + prepared - left) % self.people.len();
        self.rate = self.rate.max(rate(round.counted, round.lasted));
    }

    async fn ceiling_round(&mut self, concurrency: usize, length: Duration) -> Round {
        let make = |_: &World, person: &Person| {
            Ok(Modify {
                target: person.target.clone(),
                password: e2e::fresh_password(),
            })
        };
        let mut operations = match self.prepare(length, make) {
            Ok(operations) => operations,
            Err(error) => return Round::failed(&error),
        };
        let prepared = operations.len();
        let round = run(&mut self.connections, concurrency, &mut operations, length).await;
        self.note(prepared, operations.len(), &round);
        round
    }

    async fn pipeline_round(
        &mut self,
        concurrency: usize,
        length: Duration,
    ) -> anyhow::Result<Round> {
        let name = self.name.clone();
        let mut operations = self.prepare(length, |world, person| {
            let event =
                Event::reset(&person.user_principal_name, &e2e::fresh_password()).sealed_to(&name);
            Ok(world.door.prepare(&event)?.to_string())
        })?;
        let prepared = operations.len();
        let round = run(&mut self.callers, concurrency, &mut operations, length).await;
        self.note(prepared, operations.len(), &round);
        for caller in &mut self.callers {
            caller.written_down().await?;
        }
        Ok(round)
    }
}

async fn run<W: Worker>(
    workers: &mut [W],
    concurrency: usize,
    operations: &mut VecDeque<W::Operation>,
    length: Duration,
) -> Round {
    let (busy, _) = workers.split_at_mut(concurrency.min(workers.len()));
    round(busy, operations, length).await
}

pub(crate) fn rate(count: usize, lasted: Duration) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a count of operations is far below 2^52"
    )]
    let count = count as f64;
    if lasted.is_zero() {
        0.0
    } else {
        count / lasted.as_secs_f64()
    }
}

//! The main operations, and what goes wrong with them, through the talkative services.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use e2e::{Answer, Ctl, Door, Event, World, fresh_password};
use serde_json::Value;

const PEOPLE: [usize; 3] = [45, 46, 47];
const AT_MOST_ROUNDS: usize = 20;

/// Does everything until each of these services has taken part. Everything that was answered.
pub(crate) async fn all(
    world: &World,
    door: &Door,
    intake: &str,
    services: &[&str],
) -> anyhow::Result<Vec<String>> {
    let mut answered = vec![by_command_line(world, intake).await?];
    let mut missing: BTreeSet<&str> = services.iter().copied().collect();
    for _ in 0..AT_MOST_ROUNDS {
        for answer in one_of_each(world, door).await? {
            answered.push(format!("{:?} {}", answer.headers, answer.body));
            let Ok(id) = answer.operation_id() else {
                continue;
            };
            let operation = door.ended_operation(id).await?;
            let applied = operation.text("status") == "applied";
            for step in operation.body["steps"].as_array().into_iter().flatten() {
                let service = step["service"].as_str().unwrap_or_default();
                // a writer has taken part when it has written
                if applied || !service.contains("writer") {
                    missing.remove(service);
                }
            }
            answered.push(operation.body.to_string());
        }
        if missing.is_empty() {
            return Ok(answered);
        }
    }
    anyhow::bail!("{missing:?} took no part in {AT_MOST_ROUNDS} rounds")
}

async fn one_of_each(world: &World, door: &Door) -> anyhow::Result<Vec<Answer>> {
    let mut answers = Vec::new();
    for forest in &world.forests {
        let [one, two, three] = PEOPLE;
        let (one, two, three) = (
            forest.person(one)?,
            forest.person(two)?,
            forest.person(three)?,
        );
        forest.start_with_fresh_password(one).await?;
        let reset = fresh_password();
        let applied = door.send(&Event::reset(one, &reset)).await?;
        applied.expect_applied()?;
        let changed = fresh_password();
        let change = Event::change(one, &reset, &changed);
        answers.push(door.send(&change).await?);
        // the same once more, and one that does not fit
        answers.push(door.send(&change).await?);
        answers.push(
            door.send(&Event::change(one, &fresh_password(), &fresh_password()))
                .await?,
        );
        answers.push(applied);

        forest.start_with_fresh_password(two).await?;
        let by_administrator = Event::reset(two, &fresh_password())
            .by_administrator()
            .must_change_at_next_sign_in();
        answers.push(door.send(&by_administrator).await?);
        // no capitals and no digits but these: not complex
        let simple: String = fresh_password()
            .to_lowercase()
            .replace(|c: char| !c.is_ascii_lowercase(), "x");
        answers.push(door.send(&Event::reset(two, &simple)).await?);
        answers.push(
            door.send(&Event::reset(two, "Ünï©ödé \"quoted\" \\ 100% & <b>+</b>"))
                .await?,
        );

        let known = forest.start_with_fresh_password(three).await?;
        forest.lock(three, &known).await?;
        answers.push(door.send(&Event::unlock(three)).await?);
        let nobody = forest.named("nobody.leaks");
        answers.push(door.send(&Event::reset(&nobody, &fresh_password())).await?);
        let about_another = Event::reset(three, &fresh_password()).sealed_about(two);
        answers.push(door.send(&about_another).await?);
        // a mistake that callers make: the password beside the seal, in the clear
        let mut clear = door.prepare(&Event::reset(three, &fresh_password()))?;
        clear["data"]["newPassword"] = Value::from(fresh_password());
        answers.push(door.send_json(&clear).await?);
        let mut instead = door.prepare(&Event::reset(three, &fresh_password()))?;
        instead["data"]["sealedPassword"] = Value::from(fresh_password());
        answers.push(door.send_json(&instead).await?);
        let broken = format!("{{\"data\": {{\"newPassword\": \"{}\"", fresh_password());
        answers.push(door.send_raw(broken).await?);
    }
    Ok(answers)
}

/// The way of the operator: the password over standard input.
async fn by_command_line(world: &World, intake: &str) -> anyhow::Result<String> {
    let ctl = Ctl::of_the_lab()?;
    let forest = world.forest()?;
    let person = forest.person(PEOPLE[0])?;
    let current = forest.start_with_fresh_password(person).await?;
    let new = fresh_password();
    let arguments = [
        "seal",
        "--kind",
        "change",
        "--user-principal-name",
        person,
        "--keys",
        intake,
        "--password-stdin",
    ];
    let sealed = ctl
        .run_with_input(&arguments, &format!("{current}\n{new}\n"))
        .await?
        .expect(0)?;
    let token = lab::Place::of_this_repository()?.path("secrets/leaks-token");
    std::fs::write(&token, lab::Lab::load()?.intake.token)?;
    let token = token.to_str().context("a path that is no text")?;
    let arguments = ["send", "--intake", intake, "--token-file", token];
    let sent = ctl.run_with_input(&arguments, &sealed.out).await?;
    ensure!(sent.code == 0, "{sent:?}");
    forest.prove(person, &current, &new).await?;
    Ok(format!("{sealed:?} {sent:?}"))
}

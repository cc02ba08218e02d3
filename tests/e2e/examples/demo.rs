//! `make demo`: what Writeback is for, on the running lab, each claim proved by real sign-ins.

use std::io::{Write as _, stdout};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};
use e2e::{Answer, DomainController, Event, SignIn, World, fresh_password};
use operation::Reason;
use serde_json::Value;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// The people it happens to, by their place in the lab's list.
const RESETS: usize = 40;
const CHANGES: usize = 41;
const FORCED: usize = 42;
const LOCKED_OUT: usize = 43;
const POLICY: usize = 44;
const TWICE: usize = 45;
const TOO_SHORT: &str = "Ab1!";

#[tokio::main]
async fn main() -> ExitCode {
    match tell().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nThe demo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn say(text: &str) -> anyhow::Result<()> {
    writeln!(stdout(), "{text}").context("nobody is listening")
}

async fn tell() -> anyhow::Result<()> {
    let world = World::enter().await?;
    let mut last = String::new();
    for forest in &world.forests {
        say(&format!("\n=== Forest {} ===", forest.id()))?;
        let story = Story {
            world: &world,
            forest,
        };
        story.reset().await.context("reset")?;
        story.change().await.context("change")?;
        story.forced_change().await.context("forced change")?;
        story.unlock().await.context("unlock")?;
        story.policy().await.context("policy")?;
        story.duplicate().await.context("duplicate")?;
        last = story.unknown().await.context("unknown person")?;
    }
    say(&format!(
        "\nEverything was proved at the domain controllers. The lab is still up. What to try next:
  export WRITEBACK_CONFIG=target/lab/config.toml
  target/debug/writebackctl operations list
  target/debug/writebackctl operations show {last}
  target/debug/writebackctl ledger verify
  target/debug/writebackctl reason password-policy
  the README's \"A first event\" sends one of your own; `make down` stops the lab"
    ))
}

/// What happens in one forest.
struct Story<'a> {
    world: &'a World,
    forest: &'a DomainController,
}

impl Story<'_> {
    async fn send(&self, event: &Event) -> anyhow::Result<Answer> {
        let answer = self.world.door.send(event).await?;
        say(&format!(
            "  the door answered {} {} after {}",
            answer.status,
            answer
                .body
                .get("reason")
                .and_then(Value::as_str)
                .unwrap_or_else(|| answer.text("status")),
            milliseconds(answer.took),
        ))?;
        Ok(answer)
    }

    /// The ledger's view of what was answered.
    async fn ledger(&self, answer: &Answer) -> anyhow::Result<String> {
        let id = answer.operation_id()?.to_owned();
        let record = self.world.door.ended_operation(&id).await?;
        say(&format!(
            "  the ledger: operation {id}, {}",
            record.text("status")
        ))?;
        let begun = OffsetDateTime::parse(record.text("acceptedAt"), &Rfc3339)?;
        let steps = record.body.get("steps").and_then(Value::as_array);
        for step in steps.into_iter().flatten() {
            let member = |name| step.get(name).and_then(Value::as_str).unwrap_or_default();
            let since = OffsetDateTime::parse(member("at"), &Rfc3339)? - begun;
            say(format!(
                "    {:>6.1} ms  {:<16} {} {}",
                since.as_seconds_f64() * 1000.0,
                member("service"),
                member("step"),
                member("detail")
            )
            .trim_end())?;
        }
        Ok(id)
    }

    async fn applied(&self, event: &Event) -> anyhow::Result<Answer> {
        let answer = self.send(event).await?;
        answer.expect_applied()?;
        self.ledger(&answer).await?;
        Ok(answer)
    }

    async fn replaced(&self, person: &str, old: &str, new: &str) -> anyhow::Result<()> {
        self.forest.prove(person, old, new).await?;
        say("  proved: the new password signs in, the old one does not")
    }

    async fn reset(&self) -> anyhow::Result<()> {
        let person = self.forest.person(RESETS)?;
        say(&format!("\n{person} forgot the password and resets it"))?;
        let old = self.forest.start_with_fresh_password(person).await?;
        let new = fresh_password();
        self.applied(&Event::reset(person, &new)).await?;
        self.replaced(person, &old, &new).await
    }

    async fn change(&self) -> anyhow::Result<()> {
        let person = self.forest.person(CHANGES)?;
        say(&format!("\n{person} changes a known password"))?;
        let old = self.forest.start_with_fresh_password(person).await?;
        let new = fresh_password();
        self.applied(&Event::change(person, &old, &new)).await?;
        self.replaced(person, &old, &new).await
    }

    async fn forced_change(&self) -> anyhow::Result<()> {
        let person = self.forest.person(FORCED)?;
        say(&format!(
            "\nan administrator gives {person} a password for one sign-in"
        ))?;
        let old = self.forest.start_with_fresh_password(person).await?;
        let once = fresh_password();
        let event = Event::reset(person, &once)
            .by_administrator()
            .must_change_at_next_sign_in();
        self.applied(&event).await?;
        let signed_in = self.forest.sign_in(person, &once).await?;
        ensure!(
            signed_in == SignIn::MustChange,
            "signing in ends with {signed_in:?}, not with a demand to change the password"
        );
        ensure!(
            !self.forest.opens(person, &old).await?,
            "the old password still signs in"
        );
        say("  proved: it must be changed at the next sign-in; the old one does not sign in")?;
        say(&format!("{person} changes it"))?;
        let new = fresh_password();
        self.applied(&Event::change(person, &once, &new)).await?;
        self.replaced(person, &once, &new).await
    }

    async fn unlock(&self) -> anyhow::Result<()> {
        let person = self.forest.person(LOCKED_OUT)?;
        say(&format!(
            "\n{person} has typed wrong passwords until locked out, and remembers the right one"
        ))?;
        let password = self.forest.start_with_fresh_password(person).await?;
        self.forest.lock(person, &password).await?;
        say("  proved: the right password does not sign in")?;
        self.applied(&Event::unlock(person)).await?;
        ensure!(
            self.forest.opens(person, &password).await?,
            "{person} is still locked out"
        );
        say("  proved: the same password signs in again")
    }

    async fn policy(&self) -> anyhow::Result<()> {
        let person = self.forest.person(POLICY)?;
        say(&format!(
            "\n{person} wants a password that is too short for the domain"
        ))?;
        let old = self.forest.start_with_fresh_password(person).await?;
        let answer = self.send(&Event::reset(person, TOO_SHORT)).await?;
        answer.expect_refused(422, Reason::PasswordPolicy)?;
        say(&format!(
            "  told: {} (event {})",
            answer.text("detail"),
            answer.text("eventId")
        ))?;
        self.ledger(&answer).await?;
        self.forest.prove(person, TOO_SHORT, &old).await?;
        say("  proved: the old password still signs in, the short one does not")
    }

    async fn duplicate(&self) -> anyhow::Result<()> {
        let person = self.forest.person(TWICE)?;
        say(&format!("\nthe cloud sends the reset of {person} twice"))?;
        let old = self.forest.start_with_fresh_password(person).await?;
        let new = fresh_password();
        let event = self.world.door.prepare(&Event::reset(person, &new))?;
        let first = self.world.door.send_json(&event).await?;
        first.expect_applied()?;
        let second = self.world.door.send_json(&event).await?;
        second.expect_applied()?;
        let (one, other) = (first.operation_id()?, second.operation_id()?);
        ensure!(
            one == other,
            "one event became operations {one} and {other}"
        );
        say(&format!(
            "  answered after {}, and again after {}: one operation",
            milliseconds(first.took),
            milliseconds(second.took)
        ))?;
        self.ledger(&second).await?;
        self.replaced(person, &old, &new).await
    }

    async fn unknown(&self) -> anyhow::Result<String> {
        let person = self.forest.named("nobody.atall");
        say(&format!("\n{person} is in no forest"))?;
        let answer = self.send(&Event::reset(&person, &fresh_password())).await?;
        answer.expect_refused(404, Reason::UserNotFound)?;
        say(&format!(
            "  told: {} (event {})",
            answer.text("detail"),
            answer.text("eventId")
        ))?;
        self.ledger(&answer).await
    }
}

fn milliseconds(took: Duration) -> String {
    format!("{} ms", took.as_millis())
}

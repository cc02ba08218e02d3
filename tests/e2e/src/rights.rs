//! What `permissions check`, `explain` and the product itself make of the rights on one person: they must agree.

#![expect(
    clippy::indexing_slicing,
    reason = "a member that JSON lacks reads as null, and a test may panic"
)]

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, ensure};
use operation::Reason;
use serde_json::Value;

use crate::{Answer, Ctl, DomainController, Event, Person, Run, World, fresh_password};

/// One organizational unit with one person in it, and who may change what there.
pub struct Rights<'a> {
    pub world: &'a World,
    pub forest: &'a DomainController,
    pub ctl: Ctl,
    /// The unit that is checked; the roots of the scope if None.
    pub unit: Option<String>,
    password: String,
}

/// What is to be found.
#[derive(Debug, Clone, Default)]
pub struct Expected<'a> {
    /// The rights that `check` misses, by name.
    pub missing: &'a [&'a str],
    /// What it says a service may not read, as `resolver: objectSid`.
    pub hidden: &'a [&'a str],
    /// Why it says they are, at which place.
    pub gap: Option<(&'a str, &'a str)>,
    /// By the operations' names in `explain`; those that are not there work.
    pub refused: &'a [(&'a str, Reason)],
    /// What a refusal for want of rights names.
    pub named: &'a str,
}

impl<'a> Rights<'a> {
    pub fn new(
        world: &'a World,
        forest: &'a DomainController,
        unit: Option<String>,
        person: &Person,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            world,
            forest,
            ctl: Ctl::of_the_lab()?,
            unit,
            password: person.password.clone(),
        })
    }

    fn place(&self) -> Vec<&str> {
        let mut place = vec!["--forest", self.forest.id()];
        if let Some(unit) = &self.unit {
            place.extend(["--ou", unit]);
        }
        place
    }

    pub async fn check(&self) -> anyhow::Result<(i32, Value)> {
        let words = [&["permissions", "check"][..], &self.place()].concat();
        let (code, value) = self.ctl.json(&words).await?;
        let domain = value["domains"][0].clone();
        ensure!(domain["error"].is_null(), "{value:#}");
        Ok((code, domain))
    }

    /// `grant` or `revoke`, as the administrator; returns the entries it says it changed.
    pub async fn change(&self, act: &str) -> anyhow::Result<Vec<Value>> {
        let run = self.try_change(act, &["--yes"]).await?.expect(0)?;
        let value = run.json()?;
        let member = if act == "grant" { "added" } else { "removed" };
        let domain = &value[member][0];
        Ok(domain["entries"].as_array().context("no entries")?.clone())
    }

    pub async fn try_change(&self, act: &str, more: &[&str]) -> anyhow::Result<Run> {
        let administrator = [
            "--administrator",
            &self.forest.forest.administrator,
            "--password-stdin",
        ];
        let words = ["--json", "permissions", act];
        let words = [&words[..], &self.place(), &administrator, more].concat();
        let password = format!("{}\n", self.forest.forest.administrator_password);
        self.ctl.run_with_input(&words, &password).await
    }

    /// What explain foretells, by operation.
    pub async fn explain(&self, who: &str) -> anyhow::Result<Value> {
        let (code, told) = self.ctl.json(&["explain", who]).await?;
        let operations = told["operations"].as_array().context("no operations")?;
        let all_work = operations
            .iter()
            .all(|operation| operation["works"] == true);
        ensure!(code == i32::from(!all_work), "exit code {code}: {told:#}");
        Ok(told)
    }

    /// Check, explain and the operations themselves find what is expected.
    pub async fn agree(&mut self, person: &Person, expected: &Expected<'_>) -> anyhow::Result<()> {
        self.check_finds(expected).await.context("check")?;
        let told = self.explain(&person.user_principal_name).await?;
        let foretold: BTreeMap<String, Option<String>> = told["operations"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|operation| {
                let reason = operation["reason"].as_str().map(str::to_owned);
                (
                    operation["operation"]
                        .as_str()
                        .unwrap_or_default()
                        .to_owned(),
                    reason,
                )
            })
            .collect();
        let expected_of = |operation: &str| {
            let found = expected.refused.iter().find(|(name, _)| *name == operation);
            found.map(|(_, reason)| *reason)
        };
        let wanted: BTreeMap<String, Option<String>> = foretold
            .keys()
            .map(|name| {
                (
                    name.clone(),
                    expected_of(name).map(|reason| reason.code().to_owned()),
                )
            })
            .collect();
        ensure!(
            foretold == wanted,
            "explain: {told:#}, expected {expected:?}"
        );
        self.operations_end(person, expected.named, expected_of)
            .await
    }

    async fn check_finds(&self, expected: &Expected<'_>) -> anyhow::Result<()> {
        let (code, found) = self.check().await?;
        let rights = found["roots"][0]["rights"]
            .as_array()
            .context("no rights")?;
        let mut missing: BTreeSet<&str> = rights
            .iter()
            .filter(|right| right["missing"] == true)
            .filter_map(|right| right["right"].as_str())
            .collect();
        if found["unexpirePassword"]["held"] != true {
            missing.insert("Unexpire-Password");
        }
        let wanted: BTreeSet<&str> = expected.missing.iter().copied().collect();
        ensure!(missing == wanted, "{found:#}, expected {wanted:?}");
        let hidden = hidden(&found);
        let unread: BTreeSet<String> = expected.hidden.iter().map(ToString::to_string).collect();
        ensure!(hidden == unread, "{found:#}, expected {unread:?}");
        let is_all = wanted.is_empty() && unread.is_empty();
        ensure!(code == i32::from(!is_all), "exit code {code}");
        if let Some((why, at)) = expected.gap {
            let gaps = found["roots"][0]["gaps"].as_array().context("no gaps")?;
            let is_there = gaps
                .iter()
                .any(|gap| gap["why"] == why && gap["at"] == at && gap["remedy"].is_string());
            ensure!(is_there, "no {why} at {at} in {found:#}");
        }
        Ok(())
    }

    async fn operations_end(
        &mut self,
        person: &Person,
        named: &str,
        expected: impl Fn(&str) -> Option<Reason>,
    ) -> anyhow::Result<()> {
        let upn = &person.user_principal_name;
        for name in [
            "reset-by-user",
            "reset-by-administrator",
            "change",
            "unlock",
            "reset-to-be-changed",
        ] {
            let new = fresh_password();
            let event = match name {
                "change" => Event::change(upn, &self.password, &new),
                "unlock" => Event::unlock(upn),
                "reset-by-user" => Event::reset(upn, &new),
                "reset-by-administrator" => Event::reset(upn, &new).by_administrator(),
                _ => Event::reset(upn, &new)
                    .by_administrator()
                    .must_change_at_next_sign_in(),
            };
            let answer = self.world.door.send(&event).await?;
            ended(&answer, expected(name), named).with_context(|| name.to_owned())?;
            if expected(name).is_none() && name != "unlock" {
                self.password = new;
            }
        }
        Ok(())
    }
}

/// What a service may not read of people at the first root, as `resolver: objectSid`.
pub fn hidden(found: &Value) -> BTreeSet<String> {
    let services = found["roots"][0]["reading"].as_array();
    let each = services.into_iter().flatten().filter_map(|reading| {
        let attributes = reading["hidden"].as_object()?.keys();
        let service = reading["service"].as_str()?;
        Some(attributes.map(move |attribute| format!("{service}: {attribute}")))
    });
    each.flatten().collect()
}

fn ended(answer: &Answer, refused: Option<Reason>, named: &str) -> anyhow::Result<()> {
    let Some(reason) = refused else {
        return answer.expect_applied();
    };
    answer.expect_refused(422, reason)?;
    let detail = answer.text("detail");
    ensure!(
        reason != Reason::AccessDenied || detail.contains(named),
        "{named} is not named: {detail}"
    );
    Ok(())
}

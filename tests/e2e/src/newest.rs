//! Of several resets of one person, the newest is the one whose password holds.

use anyhow::{Context as _, ensure};
use operation::Reason;

use crate::{Answer, World, forest::DomainController};

impl World {
    /// Whether each reset, by its operation's id and its password, was applied or superseded by a newer one, and the
    /// newest holds.
    pub async fn newest_holds(
        &self,
        forest: &DomainController,
        person: &str,
        resets: &[(String, String)],
    ) -> anyhow::Result<()> {
        let mut ends: Vec<(Answer, &str)> = Vec::new();
        for (id, password) in resets {
            ends.push((self.door.ended_operation(id).await?, password));
        }
        ends.sort_by(|(one, _), (other, _)| one.text("acceptedAt").cmp(other.text("acceptedAt")));
        let (newest, password) = ends.pop().context("none was sent")?;
        ensure!(
            newest.text("status") == "applied",
            "the newest: {}",
            newest.body
        );
        for (older, _) in &ends {
            let superseded = older.text("reason") == Reason::Superseded.code();
            ensure!(
                superseded || older.text("status") == "applied",
                "{}",
                older.body
            );
        }
        ensure!(
            forest.opens(person, password).await?,
            "{person}: not the newest password holds; newest {}, older {:?}",
            newest.body,
            ends.iter()
                .map(|(older, _)| &older.body)
                .collect::<Vec<_>>()
        );
        Ok(())
    }
}

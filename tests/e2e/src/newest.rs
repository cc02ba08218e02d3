//! Of several resets of one person, the newest is the one whose password holds.

use anyhow::{Context as _, ensure};
use operation::Reason;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{World, forest::DomainController};

impl World {
    /// Whether each reset, by its operation's id and its password, was applied or superseded by a newer one, and the
    /// newest holds.
    pub async fn newest_holds(
        &self,
        forest: &DomainController,
        person: &str,
        resets: &[(String, String)],
    ) -> anyhow::Result<()> {
        let mut ends = Vec::new();
        for (id, password) in resets {
            let end = self.door.ended_operation(id).await?;
            let accepted_at = OffsetDateTime::parse(end.text("acceptedAt"), &Rfc3339)?;
            ends.push((accepted_at, end, password));
        }
        ends.sort_by_key(|(accepted_at, ..)| *accepted_at);
        let (_, newest, password) = ends.pop().context("none was sent")?;
        ensure!(newest.text("status") == "applied", "{}", newest.body);
        for (_, older, _) in &ends {
            let superseded = older.text("reason") == Reason::Superseded.code();
            ensure!(
                superseded || older.text("status") == "applied",
                "{}",
                older.body
            );
        }
        ensure!(
            forest.opens(person, password).await?,
            "{person}: not the newest password holds, of {}",
            newest.body
        );
        Ok(())
    }
}

//! What operators have turned off, for everybody or in one forest, and what follows for an operation (pure).
//!
//! A forest can only be turned off beside the whole: what is off for everybody is on in no forest.

use std::collections::BTreeMap;

use operation::{ForestId, Kind, Reason};
use proto::v1;
use serde::{Deserialize, Serialize};

use crate::content::End;

/// The settings after a change, and who made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, sqlx::FromRow)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) writeback: bool,
    pub(crate) unlock_without_reset: bool,
    pub(crate) changed_at: i64,
    pub(crate) changed_by: String,
    /// What the operator said of it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) note: String,
    /// Forests that were ever turned off or on by themselves.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[sqlx(json)]
    pub(crate) forests: BTreeMap<ForestId, ForestSettings>,
}

/// What is on in one forest, as far as it is on for everybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ForestSettings {
    pub(crate) writeback: bool,
    pub(crate) unlock_without_reset: bool,
    pub(crate) changed_at: i64,
    pub(crate) changed_by: String,
}

/// What an operator asks for.
#[derive(Debug, Clone)]
pub(crate) struct SettingsChange {
    /// Everybody's settings without one.
    pub(crate) forest: Option<ForestId>,
    pub(crate) writeback: Option<bool>,
    pub(crate) unlock_without_reset: Option<bool>,
    /// The subject of the operator's token.
    pub(crate) changed_by: String,
    pub(crate) note: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            writeback: true,
            unlock_without_reset: true,
            changed_at: 0,
            changed_by: String::new(),
            note: String::new(),
            forests: BTreeMap::new(),
        }
    }
}

fn reason_against(kind: Kind, writeback: bool, unlock_without_reset: bool) -> Option<Reason> {
    if !writeback {
        return Some(Reason::WritebackDisabled);
    }
    (kind == Kind::Unlock && !unlock_without_reset).then_some(Reason::UnlockDisabled)
}

const fn what(reason: Reason) -> &'static str {
    match reason {
        Reason::UnlockDisabled => "unlocking without a reset is turned off",
        _ => "password writeback is turned off",
    }
}

impl Settings {
    /// What the settings become; nothing if they are so already.
    pub(crate) fn changed(&self, change: &SettingsChange, at: i64) -> Option<Self> {
        let mut wanted = self.clone();
        let differs = match &change.forest {
            None => {
                wanted.writeback = change.writeback.unwrap_or(self.writeback);
                wanted.unlock_without_reset = change
                    .unlock_without_reset
                    .unwrap_or(self.unlock_without_reset);
                wanted.writeback != self.writeback
                    || wanted.unlock_without_reset != self.unlock_without_reset
            }
            Some(forest) => {
                let before = self.forests.get(forest);
                let was = before.map_or((true, true), |set| {
                    (set.writeback, set.unlock_without_reset)
                });
                let is = (
                    change.writeback.unwrap_or(was.0),
                    change.unlock_without_reset.unwrap_or(was.1),
                );
                let set = ForestSettings {
                    writeback: is.0,
                    unlock_without_reset: is.1,
                    changed_at: at,
                    changed_by: change.changed_by.clone(),
                };
                wanted.forests.insert(forest.clone(), set);
                was != is
            }
        };
        wanted.changed_at = at;
        wanted.changed_by.clone_from(&change.changed_by);
        wanted.note.clone_from(&change.note);
        differs.then_some(wanted)
    }

    /// In which forests an operation of this kind is to be refused, and why.
    pub(crate) fn closed(&self, kind: Kind) -> BTreeMap<ForestId, Reason> {
        self.forests
            .iter()
            .filter_map(|(forest, set)| {
                let reason = reason_against(kind, set.writeback, set.unlock_without_reset)?;
                Some((forest.clone(), reason))
            })
            .collect()
    }

    /// What is to be said at once to an operation of this kind that only these forests could carry
    /// out; any forest, if there are none.
    pub(crate) fn refusal(&self, kind: Kind, only: &[ForestId]) -> Option<End> {
        if let Some(reason) = reason_against(kind, self.writeback, self.unlock_without_reset) {
            return Some(End::refusal(reason, what(reason)));
        }
        let closed = self.closed(kind);
        let reasons = only
            .iter()
            .map(|forest| closed.get(forest).map(|reason| (forest, *reason)))
            .collect::<Option<Vec<_>>>()?;
        let (forest, reason) = reasons.first()?;
        let detail = format!("{} in forest {forest}", what(*reason));
        Some(End::refusal(*reason, &detail))
    }

    pub(crate) fn to_wire(&self) -> v1::SettingsValues {
        v1::SettingsValues {
            writeback: self.writeback,
            unlock_without_reset: self.unlock_without_reset,
            changed_at: self.changed_at,
            changed_by: self.changed_by.clone(),
            note: self.note.clone(),
            forests: self
                .forests
                .iter()
                .map(|(forest, set)| v1::ForestSettings {
                    forest: forest.to_string(),
                    writeback: set.writeback,
                    unlock_without_reset: set.unlock_without_reset,
                    changed_at: set.changed_at,
                    changed_by: set.changed_by.clone(),
                })
                .collect(),
        }
    }

    /// For people who watch.
    pub(crate) fn told(&self) -> String {
        let on_off = |on| if on { "on" } else { "off" };
        let mut told = format!(
            "{} set writeback {}, unlock without reset {}",
            self.changed_by,
            on_off(self.writeback),
            on_off(self.unlock_without_reset)
        );
        for (forest, set) in &self.forests {
            let (writeback, unlock) = (on_off(set.writeback), on_off(set.unlock_without_reset));
            told =
                format!("{told}; in {forest} writeback {writeback}, unlock without reset {unlock}");
        }
        if !self.note.is_empty() {
            told = format!("{told} ({})", self.note);
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forest(id: &str) -> ForestId {
        id.parse().unwrap()
    }

    fn change(
        forest: Option<&str>,
        writeback: Option<bool>,
        unlock: Option<bool>,
    ) -> SettingsChange {
        SettingsChange {
            forest: forest.map(|id| id.parse().unwrap()),
            writeback,
            unlock_without_reset: unlock,
            changed_by: "ana".to_owned(),
            note: String::new(),
        }
    }

    fn reason(end: Option<End>) -> Option<Reason> {
        match end? {
            End::Refusal { reason, .. } => Some(reason),
            End::Applied { .. } => None,
        }
    }

    #[test]
    fn a_forest_is_turned_off_alone_and_a_whole_with_every_forest() {
        let on = Settings::default();
        let corp_off = on
            .changed(&change(Some("corp"), Some(false), None), 1)
            .unwrap();
        assert!(corp_off.writeback);
        let closed = corp_off.closed(Kind::Reset);
        assert_eq!(
            closed,
            BTreeMap::from([(forest("corp"), Reason::WritebackDisabled)])
        );
        // known at once only if no other forest could be the one
        for (only, expected) in [
            (vec![], None),
            (vec![forest("emea")], None),
            (vec![forest("corp"), forest("emea")], None),
            (vec![forest("corp")], Some(Reason::WritebackDisabled)),
        ] {
            assert_eq!(
                reason(corp_off.refusal(Kind::Reset, &only)),
                expected,
                "{only:?}"
            );
        }
        let all_off = corp_off
            .changed(&change(None, Some(false), None), 2)
            .unwrap();
        let emea_on = all_off.changed(&change(Some("emea"), Some(true), None), 3);
        assert_eq!(
            emea_on, None,
            "on in a forest says nothing against off for everybody"
        );
        let refused = all_off.refusal(Kind::Unlock, &[forest("emea")]);
        assert_eq!(reason(refused), Some(Reason::WritebackDisabled));
        // the whole turned on again leaves the forest as it was set
        let on_again = all_off.changed(&change(None, Some(true), None), 4).unwrap();
        assert_eq!(on_again.closed(Kind::Reset), closed);
    }

    #[test]
    fn unlock_off_in_a_forest_is_for_unlocks_only() {
        let off = Settings::default()
            .changed(&change(Some("corp"), None, Some(false)), 1)
            .unwrap();
        assert_eq!(off.closed(Kind::Reset), BTreeMap::new());
        assert_eq!(
            off.closed(Kind::Unlock),
            BTreeMap::from([(forest("corp"), Reason::UnlockDisabled)])
        );
    }

    #[test]
    fn what_is_so_already_is_no_change_and_every_change_names_who_and_when() {
        let on = Settings::default();
        assert_eq!(on.changed(&change(None, Some(true), Some(true)), 1), None);
        assert_eq!(on.changed(&change(Some("corp"), Some(true), None), 1), None);
        let off = on
            .changed(&change(Some("corp"), Some(false), None), 7)
            .unwrap();
        assert_eq!((off.changed_at, off.changed_by.as_str()), (7, "ana"));
        let corp = &off.forests[&forest("corp")];
        assert_eq!((corp.changed_at, corp.changed_by.as_str()), (7, "ana"));
    }

    #[test]
    fn entries_from_before_there_were_forests_are_read_and_written_as_they_were() {
        let text =
            r#"{"changedAt":1,"changedBy":"ana","unlockWithoutReset":true,"writeback":false}"#;
        let settings: Settings = crate::content::from_text(text).unwrap();
        assert!(!settings.writeback && settings.forests.is_empty());
        assert_eq!(crate::content::to_text(&settings).unwrap(), text);
    }
}

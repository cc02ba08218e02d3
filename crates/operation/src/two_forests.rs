//! What becomes of a person who is enabled in two forests.

use crate::ForestId;
use serde::Deserialize;

/// Never a guess: refused, or decided by an order that the operator gave.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EnabledInTwoForests {
    /// `user-ambiguous`.
    #[default]
    Refuse,
    /// The account in the forest that stands first, if all of them bear one anchor and every forest
    /// they are in is named.
    Prefer(ForestOrder),
}

/// Forests, the preferred one first.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<ForestId>")]
pub struct ForestOrder(Vec<ForestId>);

/// Why forests are no order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("give at least two forests, and each of them once")]
pub struct NoOrder;

impl ForestOrder {
    /// Where a forest stands; none, if the operator said nothing about it.
    pub fn rank(&self, forest: &ForestId) -> Option<usize> {
        self.0.iter().position(|named| named == forest)
    }

    pub fn iter(&self) -> impl Iterator<Item = &ForestId> {
        self.0.iter()
    }
}

impl TryFrom<Vec<ForestId>> for ForestOrder {
    type Error = NoOrder;

    fn try_from(forests: Vec<ForestId>) -> Result<Self, NoOrder> {
        let repeated = forests
            .iter()
            .enumerate()
            .any(|(index, forest)| forests.iter().take(index).any(|earlier| earlier == forest));
        if repeated || forests.len() < 2 {
            return Err(NoOrder);
        }
        Ok(Self(forests))
    }
}

//! The index itself, without a network: who bears an anchor that is not their own `objectGUID`.

use std::collections::{BTreeMap, BTreeSet};

use directory::{Bearing, Position};
use operation::{ObjectGuid, SourceAnchor};

/// More domain controllers than one domain is configured with.
const MOST_POSITIONS: usize = 64;

/// More hits that proved wrong than there can be between two readings.
const MOST_DOUBTED: usize = 1024;

/// Ordered trees, not hash tables: they grow without ever doubling, and several may bear one anchor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Index {
    by_anchor: BTreeSet<([u8; 16], ObjectGuid)>,
    by_object: BTreeMap<ObjectGuid, [u8; 16]>,
}

impl Index {
    /// Takes in what the directory shows of one person now. True if that is news.
    pub(crate) fn apply(&mut self, bearing: Bearing) -> bool {
        let Bearing { object, .. } = bearing;
        let anchor = bearing
            .consistency_guid
            .map(|anchor| *anchor.as_bytes())
            .filter(|anchor| anchor != object.as_bytes());
        let before = match anchor {
            Some(anchor) => self.by_object.insert(object, anchor),
            None => self.by_object.remove(&object),
        };
        if before == anchor {
            return false;
        }
        if let Some(before) = before {
            self.by_anchor.remove(&(before, object));
        }
        if let Some(anchor) = anchor {
            self.by_anchor.insert((anchor, object));
        }
        true
    }

    /// There is no such person any more. True if that is news.
    pub(crate) fn remove(&mut self, object: ObjectGuid) -> bool {
        self.apply(Bearing {
            object,
            consistency_guid: None,
        })
    }

    /// Everybody who bears this anchor, as far as is known.
    pub(crate) fn bearers(&self, anchor: SourceAnchor) -> Vec<ObjectGuid> {
        let anchor = *anchor.as_bytes();
        let first = ObjectGuid::from_bytes([0; 16]);
        let last = ObjectGuid::from_bytes([u8::MAX; 16]);
        self.by_anchor
            .range((anchor, first)..=(anchor, last))
            .map(|(_, object)| *object)
            .collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_object.len()
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = Bearing> {
        self.by_object.iter().map(|(object, anchor)| Bearing {
            object: *object,
            consistency_guid: Some(SourceAnchor::from_bytes(*anchor)),
        })
    }
}

/// Up to where each domain controller's changes are in the index, the one read last at the end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Positions(Vec<Position>);

impl Positions {
    /// After which number to read; None if only reading everybody brings the index up to date: at a
    /// domain controller not read before, or one whose numbers went back though its database claims
    /// to be the same (a copy of its disk was put back unsupported: "USN rollback").
    pub(crate) fn resume(&self, at: Position) -> Option<u64> {
        self.0
            .iter()
            .find(|known| known.invocation == at.invocation)
            .map(|known| known.update_sequence_number)
            .filter(|known| *known <= at.update_sequence_number)
    }

    /// Everything up to here is in the index.
    pub(crate) fn reached(&mut self, at: Position) {
        self.0.retain(|known| known.invocation != at.invocation);
        self.0.push(at);
        if self.0.len() > MOST_POSITIONS {
            self.0.remove(0);
        }
    }

    /// The index was read anew at this one: what others had told is no longer in it.
    pub(crate) fn only(&mut self, at: Position) {
        self.0 = vec![at];
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Position> {
        self.0.iter().copied()
    }
}

impl FromIterator<Position> for Positions {
    fn from_iter<T: IntoIterator<Item = Position>>(positions: T) -> Self {
        let mut all = Self::default();
        for position in positions {
            all.reached(position);
        }
        all
    }
}

/// Hits that proved wrong, and are to be read again where the index is read: the domain controller
/// that proved them wrong may only have been late.
#[derive(Debug, Default)]
pub(crate) struct Doubted(BTreeSet<ObjectGuid>);

impl Doubted {
    pub(crate) fn add(&mut self, object: ObjectGuid) {
        if self.0.len() < MOST_DOUBTED {
            self.0.insert(object);
        }
    }

    pub(crate) fn take(&mut self) -> BTreeSet<ObjectGuid> {
        std::mem::take(&mut self.0)
    }
}

#[cfg(test)]
mod tests;

//! What is under way at the moment, each with something that is remembered of it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Several things under way.
pub(crate) struct UnderWay<T>(Mutex<Entries<T>>);

struct Entries<T> {
    all: BTreeMap<u64, T>,
    next: u64,
}

/// One of them, for as long as this lives.
pub(crate) struct Entry<'a, T> {
    among: &'a UnderWay<T>,
    number: u64,
}

impl<T> Default for UnderWay<T> {
    fn default() -> Self {
        Self(Mutex::new(Entries {
            all: BTreeMap::new(),
            next: 0,
        }))
    }
}

impl<T> Drop for Entry<'_, T> {
    fn drop(&mut self) {
        self.among.entries().all.remove(&self.number);
    }
}

impl<T> UnderWay<T> {
    pub(crate) fn enter(&self, remembered: T) -> Entry<'_, T> {
        let mut entries = self.entries();
        let number = entries.next;
        entries.next += 1;
        entries.all.insert(number, remembered);
        Entry {
            among: self,
            number,
        }
    }

    /// Never held across an await; what is inside is whole after each statement.
    fn entries(&self) -> MutexGuard<'_, Entries<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Copy> UnderWay<T> {
    /// What is remembered of all that is under way, the oldest first.
    pub(crate) fn now(&self) -> Vec<T> {
        self.entries().all.values().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_ended_is_forgotten() {
        let under_way = UnderWay::default();
        let one = under_way.enter('a');
        let other = under_way.enter('b');
        assert_eq!(under_way.now(), ['a', 'b']);
        drop(one);
        assert_eq!(under_way.now(), ['b']);
        drop(other);
        assert!(under_way.now().is_empty());
    }
}

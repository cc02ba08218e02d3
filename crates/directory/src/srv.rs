//! The order of service records (RFC 2782): lower priorities first, and among equals more often those
//! of greater weight.

/// One service record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Record {
    pub(crate) priority: u16,
    pub(crate) weight: u16,
    /// In lower case, without the last dot.
    pub(crate) target: String,
}

/// The targets in an order drawn by `draw`, which gives a number from 0 to its argument, both included.
/// Targets of the same rank are as good as each other, and something else may decide between them.
pub(crate) fn in_order(
    records: &[Record],
    mut draw: impl FnMut(u32) -> u32,
) -> Vec<(String, usize)> {
    let mut left = records.to_vec();
    // by priority, and in it those without weight first, that they may be drawn at all
    left.sort();
    let mut ordered = Vec::with_capacity(left.len());
    let mut rank = 0;
    while let Some(first) = left.first().cloned() {
        let (mut alike, others): (Vec<_>, Vec<_>) = left
            .into_iter()
            .partition(|record| record.priority == first.priority);
        left = others;
        let weighted = alike.iter().any(|record| record.weight != first.weight);
        while !alike.is_empty() {
            let total = alike.iter().map(weight).fold(0, u32::saturating_add);
            let drawn = draw(total);
            let mut running = 0_u32;
            let chosen = alike.iter().position(|record| {
                running = running.saturating_add(weight(record));
                running >= drawn
            });
            let chosen = alike.remove(chosen.unwrap_or(0));
            ordered.push((chosen.target, rank));
            rank += usize::from(weighted);
        }
        rank += usize::from(!weighted);
    }
    ordered
}

fn weight(record: &Record) -> u32 {
    u32::from(record.weight)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(priority: u16, weight: u16, target: &str) -> Record {
        Record {
            priority,
            weight,
            target: target.to_owned(),
        }
    }

    #[test]
    fn a_lower_priority_comes_first() {
        let records = [record(10, 100, "b"), record(0, 0, "a"), record(20, 7, "c")];
        let order = in_order(&records, |most| most);
        let targets: Vec<&str> = order.iter().map(|(target, _)| target.as_str()).collect();
        assert_eq!(targets, ["a", "b", "c"]);
    }

    #[test]
    fn a_greater_weight_comes_first_more_often() {
        let records = [record(0, 1, "light"), record(0, 3, "heavy")];
        // every number that can be drawn first, once
        let first = |drawn: u32| in_order(&records, |most| drawn.min(most))[0].0.clone();
        let heavy = (1..=4).filter(|drawn| first(*drawn) == "heavy").count();
        assert_eq!(heavy, 3);
    }

    #[test]
    fn only_equals_have_one_rank() {
        let records = [
            record(0, 100, "a"),
            record(0, 100, "b"),
            record(1, 1, "c"),
            record(1, 2, "d"),
            record(2, 0, "e"),
        ];
        let ranks: Vec<usize> = in_order(&records, |_| 0)
            .into_iter()
            .map(|(_, rank)| rank)
            .collect();
        assert_eq!(ranks, [0, 0, 1, 2, 3]);
    }

    proptest! {
        #[test]
        fn every_target_is_there_once_and_priorities_ascend(
            given in proptest::collection::vec((0_u16..4, any::<u16>()), 0..20),
            draws in proptest::collection::vec(any::<u32>(), 20),
        ) {
            let records: Vec<Record> = given
                .iter()
                .enumerate()
                .map(|(index, (priority, weight))| record(*priority, *weight, &index.to_string()))
                .collect();
            let mut draws = draws.into_iter().cycle();
            let order = in_order(&records, |most| {
                draws.next().unwrap().checked_rem(most.saturating_add(1)).unwrap_or(0)
            });
            let priorities: Vec<u16> = order
                .iter()
                .map(|(target, _)| given[target.parse::<usize>().unwrap()].0)
                .collect();
            prop_assert!(priorities.is_sorted());
            let mut targets: Vec<_> = order.into_iter().map(|(target, _)| target).collect();
            targets.sort();
            targets.dedup();
            prop_assert_eq!(targets.len(), given.len());
        }
    }
}

//! What goes wrong for a while is told when it begins, now and then while it lasts, and when it is over.

use std::time::{Duration, Instant};

const FIRST_REMINDER: Duration = Duration::from_mins(1);
const RAREST_REMINDER: Duration = Duration::from_hours(1);
/// Where some succeed while others fail, it is over once all have succeeded for this long.
const CALM: Duration = Duration::from_secs(5);

/// A state in which something is tried in vain, again and again. Who tries writes a line when it is told
/// to, at `warn` or `error`, and one at `info` when it is over.
#[derive(Debug, Default)]
pub struct Trouble(Option<Spell>);

#[derive(Debug)]
struct Spell {
    began: Instant,
    /// Since its last failure, somebody has succeeded.
    well_since: Option<Instant>,
    tries: u64,
    reminder: Duration,
    reminder_at: Instant,
}

/// How long it has lasted and how often it was tried.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SoFar {
    pub seconds: f64,
    pub tries: u64,
}

impl Trouble {
    pub const fn none() -> Self {
        Self(None)
    }

    /// Tried in vain. Some if a line is due: the first time, and then after a minute, after two more,
    /// after four more, at last every hour.
    pub fn failed(&mut self) -> Option<SoFar> {
        self.failed_at(Instant::now())
    }

    /// Tried with success. Some if there was trouble.
    pub fn over(&mut self) -> Option<SoFar> {
        self.over_at(Instant::now())
    }

    /// As [`Trouble::over`], where others may fail still: what comes and goes is one trouble.
    pub fn calm(&mut self) -> Option<SoFar> {
        self.calm_at(Instant::now())
    }

    fn failed_at(&mut self, now: Instant) -> Option<SoFar> {
        let first = self.0.is_none();
        let spell = self.0.get_or_insert(Spell {
            began: now,
            well_since: None,
            tries: 0,
            reminder: FIRST_REMINDER,
            reminder_at: now + FIRST_REMINDER,
        });
        spell.tries = spell.tries.saturating_add(1);
        spell.well_since = None;
        let reminded = now >= spell.reminder_at;
        if reminded {
            spell.reminder = (spell.reminder * 2).min(RAREST_REMINDER);
            spell.reminder_at = now + spell.reminder;
        }
        (first || reminded).then(|| spell.so_far(now))
    }

    fn over_at(&mut self, now: Instant) -> Option<SoFar> {
        self.0.take().map(|spell| spell.so_far(now))
    }

    fn calm_at(&mut self, now: Instant) -> Option<SoFar> {
        let well_since = *self.0.as_mut()?.well_since.get_or_insert(now);
        let calm = now.duration_since(well_since) >= CALM;
        let spell = self.0.take_if(|_| calm)?;
        Some(spell.so_far(well_since))
    }
}

impl Spell {
    fn so_far(&self, now: Instant) -> SoFar {
        let tenths = (now.duration_since(self.began).as_secs_f64() * 10.0).round();
        SoFar {
            seconds: tenths / 10.0,
            tries: self.tries,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// The seconds at which a line was due, of failures twice a second.
    fn told(trouble: &mut Trouble, from: Instant, seconds: u32) -> Vec<f64> {
        (0..seconds * 2)
            .filter_map(|half| trouble.failed_at(from + SECOND / 2 * half))
            .map(|so_far| so_far.seconds)
            .collect()
    }

    #[test]
    fn a_trouble_is_told_once_and_then_more_and_more_rarely() {
        let (mut trouble, start) = (Trouble::none(), Instant::now());
        assert_eq!(told(&mut trouble, start, 40), [0.0]);
        let over = trouble.over_at(start + SECOND * 40);
        let so_far = |seconds, tries| Some(SoFar { seconds, tries });
        assert_eq!(over, so_far(40.0, 80));
        assert_eq!(trouble.over_at(start + SECOND * 41), None, "told once");
        let began = start + SECOND * 50;
        let lines = told(&mut trouble, began, 2 * 24 * 3600);
        assert_eq!(lines[..5], [0.0, 60.0, 180.0, 420.0, 900.0]);
        assert_eq!(
            lines
                .last()
                .zip(lines.get(lines.len() - 2))
                .map(|(a, b)| a - b),
            Some(3600.0)
        );
    }

    #[test]
    fn what_comes_and_goes_is_one_trouble() {
        let (mut trouble, start) = (Trouble::none(), Instant::now());
        assert!(trouble.failed_at(start).is_some());
        let calm = |trouble: &mut Trouble, second| trouble.calm_at(start + SECOND * second);
        assert_eq!(calm(&mut trouble, 1), None);
        assert_eq!(trouble.failed_at(start + SECOND * 3), None, "not told anew");
        assert_eq!(calm(&mut trouble, 7), None);
        assert_eq!(calm(&mut trouble, 11), None);
        let (seconds, tries) = (7.0, 2);
        assert_eq!(calm(&mut trouble, 12), Some(SoFar { seconds, tries }));
        assert_eq!(calm(&mut trouble, 20), None);
    }
}

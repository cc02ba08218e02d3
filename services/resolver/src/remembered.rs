//! Where people were found a moment ago, for those who try again.
//!
//! What is remembered can be out of date, and is nevertheless safe to write by: it holds only where a
//! single domain is asked, and the writer reads the account and compares every identifier with it. If
//! it no longer fits, the request comes back to be resolved afresh.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use directory::rules::Located;
use operation::{DomainName, SecurityIdentifier, SourceAnchor, UserReference};
use tokio::time::Instant;

/// Long enough for somebody who is told that a password is too short to think of another.
const REMEMBERED_FOR: Duration = Duration::from_secs(30);
const MOST_REMEMBERED: usize = 4096;

/// Whom, as the event says it, and which domain was asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    source_anchor: Option<SourceAnchor>,
    security_identifier: Option<SecurityIdentifier>,
    user_principal_name: Option<String>,
    domain: DomainName,
}

impl Question {
    pub(crate) fn new(user: &UserReference, domain: &DomainName) -> Self {
        Self {
            source_anchor: user.source_anchor(),
            security_identifier: user.security_identifier().cloned(),
            user_principal_name: user
                .user_principal_name()
                .map(|name| name.as_str().to_lowercase()),
            domain: domain.clone(),
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Remembered(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    answers: HashMap<Question, (Instant, Located)>,
    /// Oldest first. A question asked again stands here twice until its first answer is forgotten.
    order: VecDeque<(Instant, Question)>,
}

impl Remembered {
    pub(crate) fn recall(&self, question: &Question, now: Instant) -> Option<Located> {
        let memory = self.lock();
        let (at, located) = memory.answers.get(question)?;
        (now.duration_since(*at) < REMEMBERED_FOR).then(|| located.clone())
    }

    pub(crate) fn keep(&self, question: Question, located: Located, now: Instant) {
        let mut memory = self.lock();
        memory.answers.insert(question.clone(), (now, located));
        memory.order.push_back((now, question));
        while let Some((at, question)) = memory.order.front().cloned() {
            let is_full = memory.order.len() > MOST_REMEMBERED;
            if !is_full && now.duration_since(at) < REMEMBERED_FOR {
                break;
            }
            memory.order.pop_front();
            if memory
                .answers
                .get(&question)
                .is_some_and(|held| held.0 == at)
            {
                memory.answers.remove(&question);
            }
        }
    }

    pub(crate) fn forget(&self, question: &Question) {
        self.lock().answers.remove(question);
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn located(number: u128) -> Located {
        Located {
            forest: "corp".parse().unwrap(),
            domain: "corp.example.com".parse().unwrap(),
            object_guid: uuid::Uuid::from_u128(number).to_string().parse().unwrap(),
            preferred_to: Vec::new(),
        }
    }

    fn question(login: &str) -> Question {
        let name = format!("{login}@corp.example.com").parse().unwrap();
        let user = UserReference::new(None, None, Some(name), None).unwrap();
        Question::new(&user, &"corp.example.com".parse().unwrap())
    }

    #[test]
    fn an_answer_is_remembered_for_a_while() {
        let (remembered, now) = (Remembered::default(), Instant::now());
        assert_eq!(remembered.recall(&question("ana"), now), None);
        remembered.keep(question("ana"), located(1), now);
        assert_eq!(remembered.recall(&question("ANA"), now), Some(located(1)));
        assert_eq!(remembered.recall(&question("bea"), now), None);
        assert_eq!(
            remembered.recall(&question("ana"), now + REMEMBERED_FOR),
            None
        );
    }

    #[test]
    fn the_newest_answer_counts_and_is_forgotten_when_told() {
        let (remembered, now) = (Remembered::default(), Instant::now());
        remembered.keep(question("ana"), located(1), now);
        let later = now + REMEMBERED_FOR / 2;
        remembered.keep(question("ana"), located(2), later);
        // the first answer's time is over, the second's is not
        remembered.keep(question("bea"), located(3), now + REMEMBERED_FOR);
        assert_eq!(
            remembered.recall(&question("ana"), now + REMEMBERED_FOR),
            Some(located(2))
        );
        remembered.forget(&question("ana"));
        assert_eq!(remembered.recall(&question("ana"), later), None);
    }

    #[test]
    fn there_is_an_end_to_memory() {
        let (remembered, now) = (Remembered::default(), Instant::now());
        for number in 0..2 * MOST_REMEMBERED {
            remembered.keep(question(&format!("p{number}")), located(1), now);
        }
        let memory = remembered.lock();
        assert_eq!(memory.answers.len(), MOST_REMEMBERED);
        assert_eq!(memory.order.len(), MOST_REMEMBERED);
    }
}

//! Which of the service account's passwords to try: decided from what came of them so far.

use std::fmt;

use secrecy::{ExposeSecret as _, SecretString};

/// Which password the service account signs in with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordInUse {
    First,
    /// The one that is to follow.
    Next,
}

impl fmt::Display for PasswordInUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::First => "first",
            Self::Next => "next",
        })
    }
}

#[derive(Debug, Clone)]
struct Candidate {
    password: SecretString,
    /// How often it was wrong since it was last right.
    wrong: u32,
    /// It was right last.
    right: bool,
}

impl Candidate {
    const fn untried(password: SecretString) -> Self {
        Self {
            password,
            wrong: 0,
            right: false,
        }
    }

    fn is(&self, password: &SecretString) -> bool {
        self.password.expose_secret() == password.expose_secret()
    }
}

#[derive(Debug)]
pub(crate) struct Passwords {
    first: Candidate,
    next: Option<Candidate>,
    /// Which one was told of last; the first needs no telling.
    told: PasswordInUse,
}

impl Passwords {
    pub(crate) const fn new(first: SecretString) -> Self {
        Self {
            first: Candidate::untried(first),
            next: None,
            told: PasswordInUse::First,
        }
    }

    /// Whether one of them was not there before.
    pub(crate) fn replace(&mut self, first: SecretString, next: Option<SecretString>) -> bool {
        let known = |password: SecretString| {
            let before = self.all().find(|candidate| candidate.is(&password));
            (
                before.is_none(),
                before.cloned().unwrap_or(Candidate::untried(password)),
            )
        };
        let (first_is_new, first) = known(first);
        let next = next.filter(|next| !first.is(next)).map(known);
        let next_is_new = next.as_ref().is_some_and(|(new, _)| *new);
        self.first = first;
        self.next = next.map(|(_, candidate)| candidate);
        first_is_new || next_is_new
    }

    /// The one that was right last, else the one that was wrong least; of equals, the first.
    pub(crate) fn choice(&self) -> SecretString {
        self.all()
            .min_by_key(|candidate| (!candidate.right, candidate.wrong))
            .unwrap_or(&self.first)
            .password
            .clone()
    }

    pub(crate) fn in_use(&self) -> Option<PasswordInUse> {
        if self.first.right {
            Some(PasswordInUse::First)
        } else {
            let next = self.next.as_ref().is_some_and(|next| next.right);
            next.then_some(PasswordInUse::Next)
        }
    }

    /// It is right, and any other is not. Which one it is, if that is news.
    pub(crate) fn accepted(&mut self, password: &SecretString) -> Option<PasswordInUse> {
        if !self.all().any(|candidate| candidate.is(password)) {
            return None; // it was replaced meanwhile
        }
        for candidate in self.all_mut() {
            candidate.right = candidate.is(password);
            if candidate.right {
                candidate.wrong = 0;
            }
        }
        let in_use = self.in_use()?;
        (std::mem::replace(&mut self.told, in_use) != in_use).then_some(in_use)
    }

    /// It is wrong. Whether another may be tried at once: one that is right by what came of it since,
    /// or that was never tried.
    pub(crate) fn refused(&mut self, password: &SecretString) -> bool {
        for candidate in self.all_mut() {
            if candidate.is(password) {
                candidate.wrong = candidate.wrong.saturating_add(1);
                candidate.right = false;
            }
        }
        self.all()
            .any(|candidate| candidate.right || candidate.wrong == 0)
    }

    /// The account is refused for another cause: which password is right is to be seen again.
    pub(crate) fn doubt(&mut self) {
        for candidate in self.all_mut() {
            candidate.right = false;
        }
    }

    fn all(&self) -> impl Iterator<Item = &Candidate> {
        [&self.first].into_iter().chain(&self.next)
    }

    fn all_mut(&mut self) -> impl Iterator<Item = &mut Candidate> {
        [&mut self.first].into_iter().chain(&mut self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretString {
        text.into()
    }

    fn choice(passwords: &Passwords) -> String {
        passwords.choice().expose_secret().to_owned()
    }

    #[test]
    fn a_rotation_as_it_should_be() {
        let mut passwords = Passwords::new(secret("old"));
        assert_eq!(passwords.accepted(&secret("old")), None, "no news");
        assert!(passwords.replace(secret("old"), Some(secret("new"))));
        assert_eq!(choice(&passwords), "old", "it is right still");
        // the directory's password is changed
        assert!(passwords.refused(&secret("old")));
        assert_eq!(choice(&passwords), "new");
        assert_eq!(
            passwords.accepted(&secret("new")),
            Some(PasswordInUse::Next)
        );
        assert_eq!(passwords.accepted(&secret("new")), None, "told once");
        assert_eq!(choice(&passwords), "new", "the old one is left alone");
        // the files follow
        assert!(!passwords.replace(secret("new"), Some(secret("new"))));
        assert_eq!(passwords.in_use(), Some(PasswordInUse::First));
        assert!(!passwords.replace(secret("new"), None));
        assert_eq!(
            passwords.accepted(&secret("new")),
            Some(PasswordInUse::First)
        );
    }

    #[test]
    fn each_is_tried_at_once_only_once() {
        let mut passwords = Passwords::new(secret("a"));
        passwords.replace(secret("a"), Some(secret("b")));
        assert!(passwords.refused(&secret("a")), "b was never tried");
        assert!(!passwords.refused(&secret("b")));
        // what follows comes after a rest, in turn
        assert_eq!(choice(&passwords), "a");
        assert!(!passwords.refused(&secret("a")));
        assert_eq!(choice(&passwords), "b");
        assert!(!passwords.refused(&secret("b")));
        // the same again is nothing new, in whichever file
        assert!(!passwords.replace(secret("b"), Some(secret("a"))));
        assert!(!passwords.refused(&secret("b")));
        assert!(passwords.replace(secret("b"), Some(secret("c"))));
        assert_eq!(choice(&passwords), "c");
    }

    #[test]
    fn an_answer_that_comes_late_spoils_nothing() {
        let mut passwords = Passwords::new(secret("old"));
        passwords.replace(secret("old"), Some(secret("new")));
        passwords.accepted(&secret("old"));
        passwords.refused(&secret("old"));
        passwords.accepted(&secret("new"));
        // a second bind with the old one was under way
        assert!(passwords.refused(&secret("old")), "the new one is right");
        assert_eq!(choice(&passwords), "new");
        // as is one with a password that is no longer there
        passwords.replace(secret("new"), None);
        assert_eq!(passwords.accepted(&secret("old")), None);
        assert_eq!(choice(&passwords), "new");
        assert_eq!(passwords.in_use(), Some(PasswordInUse::First));
    }
}

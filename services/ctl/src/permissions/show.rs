//! What a check found.

mod json;
mod text;
mod words;

use directory::permissions::Report;

pub(crate) use self::json::held_json;
use super::{Target, check::Checked};

const CHANGE_PASSWORD: &str =
    "not needed: a change proves the old password, and that right is everybody's";

pub(crate) struct Shown<'a> {
    target: &'a Target<'a>,
    checked: &'a Checked,
}

impl<'a> Shown<'a> {
    pub(crate) const fn new(target: &'a Target<'a>, checked: &'a Checked) -> Self {
        Self { target, checked }
    }

    const fn report(&self) -> &Report {
        &self.checked.report
    }

    pub(crate) fn is_missing(&self) -> bool {
        !self.missing().is_empty()
    }

    /// Every right that somebody lacks, in words.
    pub(crate) fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        if !self.report().unexpire.holds() {
            missing.push(format!("Unexpire-Password on {}", self.report().domain_dn));
        }
        for root in &self.report().roots {
            if !root.is_readable {
                missing.push(format!(
                    "{} is not there, or hides who may do what",
                    root.dn
                ));
            }
            for right in root.rights.iter().filter(|right| right.is_missing()) {
                missing.push(format!(
                    "{} on {} objects below {}",
                    right.right, right.class, root.dn
                ));
            }
            for readable in &root.reading {
                for attribute in readable.hidden.keys() {
                    missing.push(format!(
                        "the {} to read {attribute} below {}",
                        readable.service, root.dn
                    ));
                }
            }
            if root.hidden.count > 0 {
                missing.push(format!(
                    "to find {} people or objects below {}, which hide who or what they are: {}",
                    root.hidden.count,
                    root.dn,
                    words::examples(&root.hidden)
                ));
            }
            if root.unreadable.count > 0 {
                missing.push(format!(
                    "to read who may do what to people below {}",
                    root.dn
                ));
            }
        }
        missing
    }
}

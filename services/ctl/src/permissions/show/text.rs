//! What a check found, for people.

use std::io::{self, Write};

use directory::permissions::{Held, MOST_TOLD, RootReport, RootRight};
use operation::SecurityIdentifier;

use super::{
    CHANGE_PASSWORD, Shown,
    words::{examples, too_wide, why},
};
use crate::{
    permissions::remedy,
    table::{self, printable},
};

impl Shown<'_> {
    pub(crate) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let domain = self.target.domain;
        let account = &self.checked.account;
        writeln!(
            out,
            "{}, forest {}, at {}",
            domain.name(),
            domain.forest.id,
            self.report().domain_controller
        )?;
        writeln!(
            out,
            "account {}  {}\n",
            printable(&domain.forest.account),
            account.sid
        )?;
        for outside in &self.target.outside {
            writeln!(
                out,
                "{}: outside the configured scope\n",
                printable(outside)
            )?;
        }
        for root in &self.report().roots {
            self.print_root(out, root)?;
        }
        for wide in &self.report().too_wide {
            writeln!(out, "TOO WIDE: {}", printable(&too_wide(wide)))?;
        }
        if !self.report().too_wide.is_empty() {
            writeln!(out)?;
        }
        let missing = self.missing();
        if missing.is_empty() {
            writeln!(out, "{}: every right is held\n", domain.name())
        } else {
            writeln!(
                out,
                "{}: {} missing:",
                domain.name(),
                if missing.len() == 1 {
                    "a right is"
                } else {
                    "rights are"
                }
            )?;
            for missing in missing {
                writeln!(out, "  {}", printable(&missing))?;
            }
            writeln!(out)
        }
    }

    fn print_root(&self, out: &mut impl Write, root: &RootReport) -> io::Result<()> {
        writeln!(
            out,
            "{}: {} people in scope",
            printable(&root.dn),
            root.people
        )?;
        if !root.is_readable {
            return writeln!(
                out,
                "  it is not there, or the account may not read who may do what to it\n"
            );
        }
        let mut rows: Vec<Vec<String>> = root
            .rights
            .iter()
            .map(|right| {
                vec![
                    format!("  {}", right.right),
                    right.class.clone(),
                    state(right),
                    from(&right.held, &self.checked.account.sid),
                ]
            })
            .collect();
        let unexpire = &self.report().unexpire;
        rows.push(vec![
            "  Unexpire-Password".to_owned(),
            "the domain".to_owned(),
            if unexpire.holds() { "held" } else { "MISSING" }.to_owned(),
            from(unexpire, &self.checked.account.sid),
        ]);
        for readable in &root.reading {
            let hidden: Vec<String> = readable
                .hidden
                .iter()
                .map(|(attribute, people)| format!("{attribute} ({people})"))
                .collect();
            rows.push(vec![
                format!("  read, by the {}", readable.service),
                "user".to_owned(),
                match (root.people, hidden.as_slice()) {
                    (0, []) => "nobody to read".to_owned(),
                    (_, []) => "held".to_owned(),
                    _ => format!("MISSING: {}", hidden.join(", ")),
                },
            ]);
        }
        rows.push(vec![
            "  Change Password".to_owned(),
            "user".to_owned(),
            CHANGE_PASSWORD.to_owned(),
        ]);
        table::print(out, &["  RIGHT", "ON", "STATE", "FROM"], &rows)?;
        self.print_gaps(out, root)?;
        for (what, people) in [
            ("protected (adminCount is 1)", &root.protected),
            ("cannot change their password", &root.cannot_change),
            ("hide who may do what to them", &root.unreadable),
            (
                "hide who or what they are, and cannot be found",
                &root.hidden,
            ),
        ] {
            if people.count > 0 {
                writeln!(out, "  {} {what}: {}", people.count, examples(people))?;
            }
        }
        writeln!(out)
    }

    fn print_gaps(&self, out: &mut impl Write, root: &RootReport) -> io::Result<()> {
        for gap in root.gaps.iter().take(MOST_TOLD) {
            let rights: Vec<_> = gap.rights.iter().map(ToString::to_string).collect();
            let whose = if gap.account == self.report().writer {
                String::new()
            } else {
                format!("{} is ", remedy::account(self.target, self.report(), gap))
            };
            writeln!(out, "  {}: {}", printable(&gap.at), why(gap))?;
            writeln!(
                out,
                "    {}without {}: {} people: {}",
                printable(&whose),
                rights.join(", "),
                gap.people.count,
                examples(&gap.people)
            )?;
            let remedy = remedy::of_gap(self.target, self.report(), gap);
            writeln!(out, "    to mend: {}", printable(&remedy))?;
        }
        if let Some(more) = root
            .gaps
            .len()
            .checked_sub(MOST_TOLD)
            .filter(|more| *more > 0)
        {
            writeln!(out, "  and {more} more such places; --json has them all")?;
        }
        for unit in &root.idle_gaps {
            writeln!(
                out,
                "  {}: inherits nothing, and would leave whoever comes there without rights; nobody is there now",
                printable(unit)
            )?;
            writeln!(
                out,
                "    to mend: {}",
                printable(&remedy::grant(self.target, Some(unit)))
            )?;
        }
        let lacking = root.rights.iter().any(RootRight::is_missing);
        if lacking && root.people == 0 {
            let is_a_root = self.target.domain.roots().contains(&root.dn);
            let mend = remedy::grant(self.target, (!is_a_root).then_some(root.dn.as_str()));
            writeln!(out, "    to mend: {}", printable(&mend))?;
        }
        if !self.report().unexpire.holds() {
            writeln!(
                out,
                "    to mend Unexpire-Password: {}",
                remedy::grant(self.target, None)
            )?;
        }
        Ok(())
    }
}

fn state(right: &RootRight) -> String {
    match (right.is_missing(), right.people) {
        (false, 0) => "held".to_owned(),
        (false, people) if right.held.holds() => format!("held on all {people}"),
        (false, people) => format!("held on all {people}, given further down"),
        (true, 0) => "MISSING".to_owned(),
        (true, people) => format!("MISSING on {} of {people}", right.without),
    }
}

fn from(held: &Held, own: &SecurityIdentifier) -> String {
    let through = |trustee: &SecurityIdentifier| {
        if trustee == own {
            String::new()
        } else {
            format!(" (through {trustee})")
        }
    };
    match held {
        Held::From { container, trustee } => format!("{container}{}", through(trustee)),
        Held::ByEverybody => "there is no list of entries: everybody may do everything".to_owned(),
        Held::Denied { container, trustee } => format!("denied to {trustee} at {container}"),
        Held::No => "not given here".to_owned(),
        Held::Unreadable => "not known: the account may not read it".to_owned(),
    }
}

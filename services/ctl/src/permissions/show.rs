//! What a check found, for people and for machines.

use std::io::{self, Write};

use directory::permissions::{
    Breach, Breadth, Gap, Held, MOST_TOLD, Report, RootReport, RootRight, Told, TooWide,
};
use operation::SecurityIdentifier;
use serde_json::{Value, json};

use super::{Target, check::Checked, remedy};
use crate::table::{self, printable};

const CHANGE_PASSWORD: &str =
    "not needed: a change proves the old password, and that right is everybody's";

pub(crate) struct Shown<'a> {
    target: &'a Target<'a>,
    checked: &'a Checked,
}

/// The people whom something is said of; the first are named.
fn told(told: &Told) -> Value {
    json!({ "count": told.count, "examples": told.examples })
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
                    right.right.name(),
                    right.class,
                    root.dn
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
            if root.unreadable.count > 0 {
                missing.push(format!(
                    "to read who may do what to people below {}",
                    root.dn
                ));
            }
        }
        missing
    }

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
                    format!("  {}", right.right.name()),
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
                    (0, _) => "nobody to read".to_owned(),
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
        ] {
            if people.count > 0 {
                writeln!(out, "  {} {what}: {}", people.count, examples(people))?;
            }
        }
        writeln!(out)
    }

    fn print_gaps(&self, out: &mut impl Write, root: &RootReport) -> io::Result<()> {
        for gap in root.gaps.iter().take(MOST_TOLD) {
            let rights: Vec<_> = gap.rights.iter().map(|right| right.name()).collect();
            writeln!(out, "  {}: {}", printable(&gap.at), why(gap))?;
            writeln!(
                out,
                "    without {}: {} people: {}",
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
        for readable in &root.reading {
            let account = if readable.service == "writer" {
                &self.target.domain.forest.account
            } else {
                self.target.domain.reader()
            };
            for line in remedy::of_reading(&root.dn, account, readable) {
                writeln!(out, "    to mend, on Windows: {}", printable(&line))?;
            }
        }
        Ok(())
    }

    pub(crate) fn to_json(&self) -> Value {
        let report = self.report();
        let own = &self.checked.account.sid;
        let roots: Vec<Value> = report
            .roots
            .iter()
            .map(|root| self.root_json(root))
            .collect();
        let too_wide: Vec<Value> = report
            .too_wide
            .iter()
            .map(|wide| {
                json!({
                    "what": breadth(wide.breadth),
                    "at": (!wide.at.is_empty()).then_some(&wide.at),
                    "trustee": wide.trustee.to_string(),
                    "detail": too_wide(wide),
                })
            })
            .collect();
        json!({
            "forest": self.target.domain.forest.id,
            "domain": report.domain,
            "domainController": report.domain_controller,
            "account": { "name": self.target.domain.forest.account, "securityIdentifier": own.to_string() },
            "held": !self.is_missing(),
            "missing": self.missing(),
            "unexpirePassword": held_json(&report.unexpire),
            "remedy": (!report.unexpire.holds()).then(|| remedy::grant(self.target, None)),
            "tooWide": too_wide,
            "outsideScope": self.target.outside,
            "roots": roots,
        })
    }

    fn root_json(&self, root: &RootReport) -> Value {
        let rights: Vec<Value> = root
            .rights
            .iter()
            .map(|right| {
                json!({
                    "right": right.right.name(),
                    "class": right.class,
                    "missing": right.is_missing(),
                    "people": right.people,
                    "without": right.without,
                    "atRoot": held_json(&right.held),
                })
            })
            .collect();
        let gaps: Vec<Value> = root
            .gaps
            .iter()
            .map(|gap| {
                json!({
                    "at": gap.at,
                    "why": code(&gap.why),
                    "detail": why(gap),
                    "rights": gap.rights.iter().map(|right| right.name()).collect::<Vec<_>>(),
                    "people": told(&gap.people),
                    "remedy": remedy::of_gap(self.target, self.report(), gap),
                })
            })
            .collect();
        let reading: Vec<Value> = root
            .reading
            .iter()
            .map(|readable| {
                json!({
                    "service": readable.service,
                    "account": readable.account.to_string(),
                    "hidden": readable.hidden,
                })
            })
            .collect();
        json!({
            "root": root.dn,
            "readable": root.is_readable,
            "people": root.people,
            "rights": rights,
            "reading": reading,
            "gaps": gaps,
            "idleGaps": root.idle_gaps,
            "protected": told(&root.protected),
            "unreadable": told(&root.unreadable),
            "changePassword": { "needed": false, "why": CHANGE_PASSWORD, "cannotChange": told(&root.cannot_change) },
        })
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

pub(crate) fn held_json(held: &Held) -> Value {
    match held {
        Held::From { container, trustee } => {
            json!({ "held": true, "from": container, "trustee": trustee.to_string() })
        }
        Held::ByEverybody => json!({ "held": true, "from": null, "trustee": null }),
        Held::Denied { container, trustee } => {
            json!({ "held": false, "deniedAt": container, "trustee": trustee.to_string() })
        }
        Held::No => json!({ "held": false }),
        Held::Unreadable => json!({ "held": null }),
    }
}

fn examples(told: &Told) -> String {
    const SHOWN: usize = 3;
    let mut names: Vec<String> = told
        .examples
        .iter()
        .take(SHOWN)
        .map(|dn| printable(dn))
        .collect();
    if told.count > SHOWN as u64 {
        names.push("…".to_owned());
    }
    names.join("; ")
}

const fn code(why: &Breach) -> &'static str {
    match why {
        Breach::NotGiven { .. } => "not-given",
        Breach::Unit { .. } => "unit-inherits-nothing",
        Breach::Person => "person-inherits-nothing",
        Breach::Protected => "protected",
        Breach::Denied { .. } => "denied",
        Breach::Class { .. } => "class",
        Breach::NotComeDown => "not-come-down",
    }
}

fn why(gap: &Gap) -> String {
    match &gap.why {
        Breach::NotGiven { class } => format!("it is not given here on {class} objects"),
        Breach::Unit { class } => {
            format!(
                "this unit inherits nothing from above, and gives nothing on {class} objects itself"
            )
        }
        Breach::Person => "this account inherits nothing from above".to_owned(),
        Breach::Protected => {
            "this account is protected (adminCount is 1) and inherits nothing from above".to_owned()
        }
        Breach::Denied { trustee } => format!("an entry denies it to {trustee}"),
        Breach::Class { class } => format!("nothing is given on {class} objects"),
        Breach::NotComeDown => "what is given above has not come down to this account".to_owned(),
    }
}

const fn breadth(breadth: Breadth) -> &'static str {
    match breadth {
        Breadth::Group(_) => "administrative-group",
        Breadth::FullControl => "full-control",
        Breadth::WriteDacl => "write-dacl",
        Breadth::WriteOwner => "write-owner",
        Breadth::Owner => "owner",
        Breadth::AllExtendedRights => "all-extended-rights",
        Breadth::AllProperties => "all-properties",
    }
}

fn too_wide(wide: &TooWide) -> String {
    let TooWide { at, trustee, .. } = wide;
    match wide.breadth {
        Breadth::Group(name) => format!(
            "the account is a member of {name} ({trustee}), itself or through other groups: take it out"
        ),
        Breadth::FullControl => format!("full control at {at}, through {trustee}"),
        Breadth::WriteDacl => {
            format!("the right to change who may do what (WriteDacl) at {at}, through {trustee}")
        }
        Breadth::WriteOwner => {
            format!("the right to take ownership (WriteOwner) at {at}, through {trustee}")
        }
        Breadth::Owner => {
            format!("{trustee} owns {at}: an owner may change who may do what")
        }
        Breadth::AllExtendedRights => {
            format!(
                "all extended rights at {at}, through {trustee}: they include the reading of secrets"
            )
        }
        Breadth::AllProperties => {
            format!("the right to write every property at {at}, through {trustee}")
        }
    }
}

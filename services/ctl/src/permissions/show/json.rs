//! What a check found, for machines.

use directory::permissions::{Breach, Breadth, Held, RootReport, Told};
use serde_json::{Value, json};

use super::{
    CHANGE_PASSWORD, Shown,
    words::{too_wide, why},
};
use crate::permissions::remedy;

/// The people whom something is said of; the first are named.
fn told(told: &Told) -> Value {
    json!({ "count": told.count, "examples": told.examples })
}

impl Shown<'_> {
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
                    "right": right.right.to_string(),
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
                    "account": gap.account.to_string(),
                    "rights": gap.rights.iter().map(ToString::to_string).collect::<Vec<_>>(),
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
                    "service": readable.service.to_string(),
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
            "hidden": told(&root.hidden),
            "changePassword": { "needed": false, "why": CHANGE_PASSWORD, "cannotChange": told(&root.cannot_change) },
        })
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

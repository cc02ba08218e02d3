//! What is to be done, shown before it is.

use std::io::{self, Write as _};

use directory::permissions::{Gift, Place};
use serde_json::{Value, json};

use super::holder::Holder;
use crate::{output, permissions::Target, table::printable};

/// What is to be done in one domain.
pub(super) struct Plan<'a> {
    pub(super) target: Target<'a>,
    /// The account that writes comes first.
    pub(super) holders: Vec<Holder>,
    pub(super) places: Vec<Place>,
}

impl Plan<'_> {
    pub(super) fn to_json(&self) -> Value {
        let entries: Vec<Value> = self
            .places
            .iter()
            .flat_map(|place| {
                place.gifts.iter().map(|gift| {
                    json!({
                        "at": place.dn,
                        "right": gift.right.to_string(),
                        "class": gift.class,
                        "account": gift.entry.trustee.to_string(),
                    })
                })
            })
            .collect();
        let accounts: Vec<String> = self
            .holders
            .iter()
            .map(|holder| holder.account.sid.to_string())
            .collect();
        json!({
            "forest": self.target.domain.forest.id,
            "domain": self.target.domain.name(),
            "accounts": accounts,
            "entries": entries,
        })
    }

    /// Goes to standard error, so that --json and --print stay clean.
    pub(super) fn show(&self, sign: char) -> io::Result<()> {
        let mut out = output::err();
        for holder in &self.holders {
            writeln!(
                out,
                "{}, for {} ({}):",
                self.target.domain.name(),
                printable(&holder.name),
                holder.account.sid
            )?;
            let mut is_bare = true;
            for place in &self.places {
                let mut gifts = place
                    .gifts
                    .iter()
                    .filter(|gift| holder.holds(gift))
                    .peekable();
                if gifts.peek().is_some() {
                    is_bare = false;
                    writeln!(out, "  {}", printable(&place.dn))?;
                }
                for gift in gifts {
                    writeln!(out, "    {sign} {}", words(gift))?;
                }
            }
            if is_bare {
                writeln!(out, "  nothing")?;
            }
        }
        Ok(())
    }
}

fn words(gift: &Gift) -> String {
    match gift.class {
        Some(class) => format!("{} on descendant {class} objects", gift.right),
        None => format!("{} on the domain itself", gift.right),
    }
}

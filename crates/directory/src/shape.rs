//! The shape of a forest, for who has to choose in it: its domains, and the tree of a domain's
//! organizational units.

use operation::DomainName;

use crate::{
    DirectoryError, distinguished_name::DistinguishedName, filter, permissions::Inspection,
};

/// Cross-references of domains of this forest: FLAG_CR_NTDS_NC and FLAG_CR_NTDS_DOMAIN
/// (MS-ADTS 6.1.1.2.1.1.4).
const DOMAINS: &str = "(&(objectClass=crossRef)(systemFlags:1.2.840.113556.1.4.803:=3))";

/// People are in organizational units, and where nobody made any in `CN=Users`.
const UNITS: &str = "(|(objectClass=organizationalUnit)(&(objectClass=container)(cn=Users)(isCriticalSystemObject=TRUE)))";

/// An organizational unit, or the container of users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    pub dn: String,
    /// Its own part of it.
    pub name: String,
    /// 0 right below the domain.
    pub depth: usize,
}

impl Inspection {
    /// Every domain of the forest, as its configuration lists them.
    pub async fn domains(&self) -> Result<Vec<DomainName>, DirectoryError> {
        let root = self.one("", &["configurationNamingContext"]).await?;
        let configuration = root
            .as_ref()
            .and_then(|entry| entry.text("configurationNamingContext"))
            .ok_or_else(|| self.misconfigured("it names no configuration partition".to_owned()))?;
        let mut pages = self.below(
            &format!("CN=Partitions,{configuration}"),
            DOMAINS,
            &["dnsRoot"],
        );
        let mut domains = Vec::new();
        while let Some(page) = pages.next().await? {
            domains.extend(
                page.iter()
                    .filter_map(|found| found.entry.text("dnsRoot")?.parse().ok()),
            );
        }
        domains.sort();
        domains.dedup();
        Ok(domains)
    }

    /// Whether there is an object of this name that the account may see.
    pub async fn is_there(&self, dn: &str) -> Result<bool, DirectoryError> {
        Ok(self.one(dn, &["objectClass"]).await?.is_some())
    }

    /// The units of a domain, each after the one that holds it.
    pub async fn units(&self, domain: &DomainName) -> Result<Vec<Unit>, DirectoryError> {
        let base = filter::base(domain);
        let mut pages = self.below(&base, UNITS, &["name"]);
        let mut names = Vec::new();
        while let Some(page) = pages.next().await? {
            names.extend(page.into_iter().filter_map(|found| {
                let name = found.entry.text("name")?.to_owned();
                Some((found.entry.dn, name))
            }));
        }
        Ok(tree(&base, names))
    }
}

/// Of distinguished names, each with its own part in words.
fn tree(base: &str, names: Vec<(String, String)>) -> Vec<Unit> {
    let above = DistinguishedName::parse(base).map_or(0, |base| base.path().len());
    let mut units: Vec<(Vec<String>, Unit)> = names
        .into_iter()
        .filter_map(|(dn, name)| {
            let path = DistinguishedName::parse(&dn)?.path();
            let depth = path.len().checked_sub(above + 1)?;
            Some((path, Unit { dn, name, depth }))
        })
        .collect();
    units.sort_by(|(one, _), (other, _)| one.cmp(other));
    units.into_iter().map(|(_, unit)| unit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_follows_the_one_that_holds_it() {
        let names = [
            ("OU=Sales,DC=x,DC=y", "Sales"),
            ("OU=North,OU=Sales,DC=x,DC=y", "North"),
            ("OU=Board,DC=x,DC=y", "Board"),
            ("OU=\\#Odd\\, Unit,OU=Board,DC=x,DC=y", "#Odd, Unit"),
            ("no name", "?"),
        ];
        let names = names.map(|(dn, name)| (dn.to_owned(), name.to_owned()));
        let units = tree("DC=x,DC=y", names.to_vec());
        let seen: Vec<(usize, &str)> = units
            .iter()
            .map(|unit| (unit.depth, unit.name.as_str()))
            .collect();
        assert_eq!(
            seen,
            [(0, "Board"), (1, "#Odd, Unit"), (0, "Sales"), (1, "North")]
        );
        assert_eq!(units[3].dn, "OU=North,OU=Sales,DC=x,DC=y");
    }
}

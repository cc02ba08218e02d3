//! What the forest's schema says.

use std::fmt::Write as _;

use ldap3::Scope;
use uuid::Uuid;

use super::Inspection;
use crate::{
    DirectoryError, filter,
    permissions::{
        Service,
        right::{Attribute, Schema},
        survey::KNOWN_CLASSES,
    },
};

/// More classes and attributes than are ever asked for.
const MOST_NAMES: i32 = 100;

impl Inspection {
    /// What it says of all that counts of people, and of these classes too.
    pub async fn people_schema(&self, classes: &[&str]) -> Result<Schema, DirectoryError> {
        let reads = Service::BOTH.iter().flat_map(|service| service.reads());
        let attributes: Vec<&str> = reads.chain(&["lockoutTime"]).copied().collect();
        let classes = [&KNOWN_CLASSES, classes].concat();
        self.schema(&attributes, &classes).await
    }

    /// What the schema says of these attributes and classes; as delivered, where it cannot be read.
    async fn schema(
        &self,
        attributes: &[&str],
        classes: &[&str],
    ) -> Result<Schema, DirectoryError> {
        let mut schema = Schema::default();
        let root = self.one("", &["schemaNamingContext"]).await?;
        let Some(base) = root
            .as_ref()
            .and_then(|root| root.text("schemaNamingContext"))
        else {
            return Ok(schema);
        };
        let mut names = String::new();
        for name in attributes.iter().chain(classes) {
            // writing to a String does not fail
            let _ = write!(
                names,
                "(lDAPDisplayName={})",
                filter::escape(name.as_bytes())
            );
        }
        let found = self
            .read(
                base,
                Scope::OneLevel,
                format!("(|{names})"),
                &[
                    "lDAPDisplayName",
                    "schemaIDGUID",
                    "attributeSecurityGUID",
                    "objectClass",
                ],
                MOST_NAMES,
            )
            .await?;
        for entry in found {
            let guid = |attribute| {
                entry
                    .bytes(attribute)
                    .and_then(|bytes| <[u8; 16]>::try_from(bytes).ok())
                    .map(Uuid::from_bytes_le)
            };
            let (Some(name), Some(own)) = (entry.text("lDAPDisplayName"), guid("schemaIDGUID"))
            else {
                continue;
            };
            let is_class = entry
                .texts("objectClass")
                .any(|class| class.eq_ignore_ascii_case("classSchema"));
            if is_class {
                schema.add_class(name, own);
            } else {
                let attribute = Attribute {
                    guid: own,
                    property_set: guid("attributeSecurityGUID"),
                };
                schema.add_attribute(name, attribute);
            }
        }
        Ok(schema)
    }
}

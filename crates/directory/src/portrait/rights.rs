//! What the services' accounts may do to one person and read of them.

use super::Hidden;
use crate::{
    DirectoryError,
    permissions::{
        Guarded, Held, Inspection, Object, Right, Schema, Service, Token, access::check,
        survey::Origins,
    },
};

impl Inspection {
    /// What the account that writes may do: on the person, and Unexpire-Password on the domain.
    pub(super) async fn rights_of(
        &self,
        writer: &Token,
        schema: &Schema,
        person: &Guarded,
        class: &str,
        (domain_dn, of_domain): (&str, Option<&Guarded>),
    ) -> Result<Vec<(Right, Held)>, DirectoryError> {
        let sid = crate::account::sid(&person.entry);
        let mut origins = Origins::new(self);
        let mut rights = Vec::new();
        for right in [
            Right::ResetPassword,
            Right::WriteLockoutTime,
            Right::WritePwdLastSet,
            Right::ChangePassword,
        ] {
            let held = match &person.descriptor {
                None => Held::Unreadable,
                Some(descriptor) => {
                    let asked = schema.asked(right, schema.class(class));
                    let object = Object {
                        descriptor,
                        sid: sid.as_ref(),
                    };
                    origins
                        .held(&person.entry.dn, check(writer, object, &asked))
                        .await?
                }
            };
            rights.push((right, held));
        }
        let unexpire = match of_domain.and_then(|domain| domain.descriptor.as_ref()) {
            None => Held::Unreadable,
            Some(descriptor) => {
                let asked = schema.asked(Right::UnexpirePassword, None);
                let object = Object {
                    descriptor,
                    sid: None,
                };
                origins
                    .held(domain_dn, check(writer, object, &asked))
                    .await?
            }
        };
        rights.push((Right::UnexpirePassword, unexpire));
        Ok(rights)
    }

    /// What the services' accounts may not read of the person. Nothing is known where the list is hidden.
    pub(super) async fn hidden_of(
        &self,
        readers: [(Service, &Token); 2],
        schema: &Schema,
        person: &Guarded,
        class: &str,
    ) -> Result<Vec<Hidden>, DirectoryError> {
        let Some(descriptor) = &person.descriptor else {
            return Ok(Vec::new());
        };
        let sid = crate::account::sid(&person.entry);
        let object = Object {
            descriptor,
            sid: sid.as_ref(),
        };
        let mut origins = Origins::new(self);
        let mut hidden = Vec::new();
        for (service, token) in readers {
            for attribute in service.reads().iter().copied() {
                let right = Right::Read(attribute);
                let asked = schema.asked(right, schema.class(class));
                let verdict = check(token, object, &asked);
                // a forest may lack the attribute
                if verdict.holds() || schema.object_type(right).is_none() {
                    continue;
                }
                hidden.push(Hidden {
                    service,
                    attribute,
                    held: origins.held(&person.entry.dn, verdict).await?,
                });
            }
        }
        Ok(hidden)
    }
}

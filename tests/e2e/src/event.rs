//! One event, as a cloud directory makes it.

use anyhow::Context;
use operation::{ForestId, Kind};
use sealing::{Binding, Contents, PublicKey, PublicKeys};
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use time::{Duration, OffsetDateTime};

use crate::passwords::remember;

const SOURCE: &str = "https://cloud.example.com/directory";
const SEAL_LASTS: Duration = Duration::minutes(5);

#[derive(Clone)]
pub struct Event {
    id: String,
    kind: Kind,
    user: Map<String, Value>,
    subject: String,
    initiator: &'static str,
    new_password: Option<String>,
    current_password: Option<String>,
    must_change: bool,
    sealed_to: Option<String>,
}

impl Event {
    fn new(kind: Kind, user_principal_name: &str) -> Self {
        let mut user = Map::new();
        user.insert("userPrincipalName".to_owned(), json!(user_principal_name));
        Self {
            id: uuid::Uuid::now_v7().to_string(),
            kind,
            user,
            subject: user_principal_name.to_owned(),
            initiator: "user",
            new_password: None,
            current_password: None,
            must_change: false,
            sealed_to: None,
        }
    }

    pub fn reset(user_principal_name: &str, new_password: &str) -> Self {
        remember(new_password);
        Self {
            new_password: Some(new_password.to_owned()),
            ..Self::new(Kind::Reset, user_principal_name)
        }
    }

    pub fn change(user_principal_name: &str, current_password: &str, new_password: &str) -> Self {
        remember(new_password);
        remember(current_password);
        Self {
            new_password: Some(new_password.to_owned()),
            current_password: Some(current_password.to_owned()),
            ..Self::new(Kind::Change, user_principal_name)
        }
    }

    pub fn unlock(user_principal_name: &str) -> Self {
        Self::new(Kind::Unlock, user_principal_name)
    }

    /// Asked for by an administrator, not by the person.
    #[must_use]
    pub fn by_administrator(mut self) -> Self {
        self.initiator = "administrator";
        self
    }

    #[must_use]
    pub fn must_change_at_next_sign_in(mut self) -> Self {
        self.must_change = true;
        self
    }

    /// Names the person by source anchor alone.
    #[must_use]
    pub fn by_source_anchor(mut self, anchor: &str) -> Self {
        self.user.clear();
        self.user.insert("sourceAnchor".to_owned(), json!(anchor));
        anchor.clone_into(&mut self.subject);
        self
    }

    /// Seals to this forest only; otherwise the seal has a recipient for every forest.
    #[must_use]
    pub fn sealed_to(mut self, forest: &str) -> Self {
        self.sealed_to = Some(forest.to_owned());
        self
    }

    /// Binds the seal to somebody else than the event names.
    #[must_use]
    pub fn sealed_about(mut self, subject: &str) -> Self {
        subject.clone_into(&mut self.subject);
        self
    }

    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The event in CloudEvents' structured mode.
    pub fn to_json(&self, keys: &PublicKeys, forests: &[ForestId]) -> anyhow::Result<Value> {
        let mut data = json!({
            "user": self.user,
            "initiator": { "kind": self.initiator },
        });
        if let Some(members) = data.as_object_mut() {
            if let Some(sealed) = self.sealed(keys, forests)? {
                members.insert("sealedPassword".to_owned(), sealed);
            }
            if self.must_change {
                members.insert("mustChangeAtNextSignIn".to_owned(), json!(true));
            }
        }
        Ok(json!({
            "specversion": "1.0",
            "id": self.id,
            "source": SOURCE,
            "type": self.kind.event_type(),
            "datacontenttype": "application/json",
            "data": data,
        }))
    }

    fn sealed(&self, keys: &PublicKeys, forests: &[ForestId]) -> anyhow::Result<Option<Value>> {
        let Some(new_password) = &self.new_password else {
            return Ok(None);
        };
        let recipients = forests
            .iter()
            .filter(|forest| {
                self.sealed_to
                    .as_ref()
                    .is_none_or(|only| *only == forest.to_string())
            })
            .map(|forest| {
                keys.for_forest(forest)
                    .with_context(|| format!("forest {forest} has no public key"))
            })
            .collect::<anyhow::Result<Vec<&PublicKey>>>()?;
        let binding = Binding {
            issuer: SOURCE.to_owned(),
            event_id: self.id.clone(),
            subject: self.subject.clone(),
            kind: self.kind,
        };
        let contents = Contents {
            new_password: SecretString::from(new_password.clone()),
            current_password: self.current_password.clone().map(SecretString::from),
        };
        let now = OffsetDateTime::now_utc();
        let sealed = sealing::seal(&binding, &contents, now, now + SEAL_LASTS, &recipients)?;
        Ok(Some(serde_json::from_str(&sealed.to_json_text())?))
    }
}

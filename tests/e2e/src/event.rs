//! One event, as a cloud directory makes it.

use anyhow::Context;
use operation::{ForestId, Kind};
use sealing::{Binding, Contents, PublicKey, PublicKeys};
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use crate::passwords::remember;

const SOURCE: &str = "https://cloud.example.com/directory";
const SEAL_LASTS: Duration = Duration::minutes(5);

#[derive(Clone)]
pub struct Event {
    id: String,
    source: String,
    kind: Kind,
    user: Map<String, Value>,
    /// Whom the seal is about, if not the person the event names.
    subject: Option<String>,
    initiator: &'static str,
    new_password: Option<String>,
    current_password: Option<String>,
    must_change: bool,
    unlock: Option<bool>,
    sealed_to: Option<String>,
    deadline: Option<OffsetDateTime>,
}

impl Event {
    fn new(kind: Kind, user_principal_name: &str) -> Self {
        let mut user = Map::new();
        user.insert("userPrincipalName".to_owned(), json!(user_principal_name));
        Self {
            id: uuid::Uuid::now_v7().to_string(),
            source: SOURCE.to_owned(),
            kind,
            user,
            subject: None,
            initiator: "user",
            new_password: None,
            current_password: None,
            must_change: false,
            unlock: None,
            sealed_to: None,
            deadline: None,
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

    /// A lockout is to stay.
    #[must_use]
    pub fn keeping_a_lockout(mut self) -> Self {
        self.unlock = Some(false);
        self
    }

    /// Names the person by source anchor alone.
    #[must_use]
    pub fn by_source_anchor(mut self, anchor: &str) -> Self {
        self.user.clear();
        self.naming("sourceAnchor", anchor)
    }

    /// Names the person by this too.
    #[must_use]
    pub fn naming(mut self, identifier: &str, value: &str) -> Self {
        self.user.insert(identifier.to_owned(), json!(value));
        self
    }

    /// Names the person by everything but this.
    #[must_use]
    pub fn without(mut self, identifier: &str) -> Self {
        self.user.remove(identifier);
        self
    }

    #[must_use]
    pub fn with_id(mut self, id: &str) -> Self {
        id.clone_into(&mut self.id);
        self
    }

    #[must_use]
    pub fn from_source(mut self, source: &str) -> Self {
        source.clone_into(&mut self.source);
        self
    }

    /// Seals to this forest only; otherwise the seal has a recipient for every forest.
    #[must_use]
    pub fn sealed_to(mut self, forest: &str) -> Self {
        self.sealed_to = Some(forest.to_owned());
        self
    }

    /// Sets the deadline: `expirytime`.
    #[must_use]
    pub fn within(mut self, deadline: std::time::Duration) -> Self {
        self.deadline = Some(OffsetDateTime::now_utc() + deadline);
        self
    }

    /// Says in which domain the person is: no other is asked.
    #[must_use]
    pub fn in_domain(mut self, domain: &str) -> Self {
        self.user.insert("domain".to_owned(), json!(domain));
        self
    }

    /// Binds the seal to somebody else than the event names.
    #[must_use]
    pub fn sealed_about(mut self, subject: &str) -> Self {
        self.subject = Some(subject.to_owned());
        self
    }

    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// What the plaintext of its seal is, were it sealed now.
    pub fn claims(&self) -> Value {
        let now = OffsetDateTime::now_utc();
        let mut claims = json!({
            "iss": self.source, "jti": self.id, "sub": self.sealed_subject(), "purpose": self.kind.as_str(),
            "iat": now.unix_timestamp(), "exp": (now + SEAL_LASTS).unix_timestamp(),
            "newPassword": self.new_password,
        });
        if let (Some(members), Some(current)) = (claims.as_object_mut(), &self.current_password) {
            members.insert("currentPassword".to_owned(), json!(current));
        }
        claims
    }

    /// The first that is given of source anchor, security identifier and user principal name.
    fn sealed_subject(&self) -> String {
        self.subject.clone().unwrap_or_else(|| {
            ["sourceAnchor", "securityIdentifier", "userPrincipalName"]
                .into_iter()
                .find_map(|name| self.user.get(name)?.as_str())
                .unwrap_or_default()
                .to_owned()
        })
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
            if let Some(unlock) = self.unlock {
                members.insert("unlock".to_owned(), json!(unlock));
            }
        }
        let mut event = json!({
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": self.kind.event_type(),
            "datacontenttype": "application/json",
            "data": data,
        });
        if let (Some(deadline), Some(members)) = (self.deadline, event.as_object_mut()) {
            members.insert("expirytime".to_owned(), json!(deadline.format(&Rfc3339)?));
        }
        Ok(event)
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
            issuer: self.source.clone(),
            event_id: self.id.clone(),
            subject: self.sealed_subject(),
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

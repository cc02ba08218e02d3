//! `writebackctl seal`: makes one ready-to-post CloudEvent with the password sealed inside.

mod attributes;

use std::{
    collections::BTreeSet,
    io::{self, Write as _},
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use clap::ValueEnum;
use operation::{
    DomainName, ForestId, InitiatorKind, Kind, SecurityIdentifier, SourceAnchor, UserPrincipalName,
    UserReference,
};
use sealing::{Binding, Contents, PublicKey, PublicKeys};
use serde_json::{Map, Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use uuid::Uuid;

use crate::{
    failure::Ending,
    output, password,
    web::{self, Trust},
};

const FETCH_TIME_OUT: Duration = Duration::from_secs(15);

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit codes: 0 sealed; 3 wrong use, no password, or no keys.

The password is asked for, or read from standard input: one line, and for a change the current password
in a line before it; nothing else may be there. It is never an argument, and leaves this process sealed only.

Examples:
  writebackctl seal --kind reset --user-principal-name ana@corp.example.com --keys https://writeback.example.com > event.json
  writebackctl seal --kind reset --source-anchor F39Sn2R6yU2mHqO4Qw0eXg== --initiator administrator --must-change \\
      --forest corp --keys jwks.json --password-stdin < password
  writebackctl seal --kind unlock --user-principal-name ana@corp.example.com")]
pub(crate) struct Seal {
    #[arg(long)]
    kind: KindArgument,
    #[command(flatten)]
    person: Person,
    /// Ask only the forest of this domain
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<DomainName>,
    /// Who asks
    #[arg(long, default_value = "user")]
    initiator: InitiatorArgument,
    /// The opaque id of who asks
    #[arg(long, value_name = "ID", value_parser = attributes::initiator_id)]
    initiator_id: Option<String>,
    /// The person must choose another password at the next sign-in (an administrator's reset only)
    #[arg(long)]
    must_change: bool,
    /// Leave a lockout as it is
    #[arg(long)]
    no_unlock: bool,
    /// Seal to this forest's newest key; may be repeated, by default to every forest's
    #[arg(long, value_name = "FOREST")]
    forest: Vec<ForestId>,
    /// The public sealing keys: a JSON Web Key Set in a file, its URL, or the intake's base URL
    #[arg(long, value_name = "FILE|URL", required_if_eq_any = [("kind", "reset"), ("kind", "change")])]
    keys: Option<String>,
    /// Read the password from standard input instead of asking for it
    #[arg(long)]
    password_stdin: bool,
    /// The CloudEvents source
    #[arg(long, value_name = "URI", default_value = "urn:writeback:ctl", value_parser = attributes::source)]
    source: String,
    /// The CloudEvents id, unique for the source; by default a new one
    #[arg(long, value_name = "ID", value_parser = attributes::id)]
    id: Option<String>,
    /// The deadline of the operation (CloudEvents expirytime); by default the intake's
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    deadline: Option<u32>,
    /// How long the sealed password may be used
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    valid_for: u32,
    #[command(flatten)]
    trust: Trust,
}

/// Whom it is about; all that are given must agree.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
struct Person {
    #[arg(long, value_name = "UPN")]
    user_principal_name: Option<UserPrincipalName>,
    /// Base64 of the 16 bytes of mS-DS-ConsistencyGuid, else of objectGUID
    #[arg(long, value_name = "BASE64")]
    source_anchor: Option<SourceAnchor>,
    #[arg(long, value_name = "SID")]
    security_identifier: Option<SecurityIdentifier>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum KindArgument {
    Reset,
    Change,
    Unlock,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum InitiatorArgument {
    User,
    Administrator,
}

impl From<KindArgument> for Kind {
    fn from(kind: KindArgument) -> Self {
        match kind {
            KindArgument::Reset => Self::Reset,
            KindArgument::Change => Self::Change,
            KindArgument::Unlock => Self::Unlock,
        }
    }
}

impl From<InitiatorArgument> for InitiatorKind {
    fn from(initiator: InitiatorArgument) -> Self {
        match initiator {
            InitiatorArgument::User => Self::User,
            InitiatorArgument::Administrator => Self::Administrator,
        }
    }
}

impl Seal {
    pub(crate) async fn run(self) -> anyhow::Result<Ending> {
        let kind = Kind::from(self.kind);
        self.check(kind)?;
        let sealed_with = match &self.keys {
            Some(keys) if kind.sets_password() => {
                let keys = self.fetch(keys).await?;
                // asked for only when everything else is in order
                let contents = if self.password_stdin {
                    password::read(kind, &mut io::stdin().lock())?
                } else {
                    password::prompt(kind)?
                };
                Some((keys, contents))
            }
            _ => None,
        };
        let event = self.event(
            kind,
            sealed_with
                .as_ref()
                .map(|(keys, contents)| (keys, contents)),
            OffsetDateTime::now_utc(),
        )?;
        writeln!(output::out(), "{event:#}")?;
        Ok(Ending::Done)
    }

    fn check(&self, kind: Kind) -> anyhow::Result<()> {
        let by_administrator = matches!(self.initiator, InitiatorArgument::Administrator);
        ensure!(
            !self.must_change || (kind == Kind::Reset && by_administrator),
            "--must-change is for an administrator's reset only: --kind reset --initiator administrator"
        );
        ensure!(
            !self.no_unlock || kind.sets_password(),
            "--no-unlock contradicts --kind unlock"
        );
        Ok(())
    }

    async fn fetch(&self, keys: &str) -> anyhow::Result<PublicKeys> {
        let json = if keys.contains("://") {
            let mut url = web::parse_url(keys)?;
            if matches!(url.path(), "" | "/") {
                url.set_path("/.well-known/jwks.json");
            }
            let request = self.trust.client(FETCH_TIME_OUT)?.get(url);
            let response = request.send().await.map_err(web::unasked)?;
            web::body(response.error_for_status()?).await?
        } else {
            web::read_file(Path::new(keys))?
        };
        PublicKeys::from_jwks(&json).with_context(|| format!("the keys of {keys}"))
    }

    fn event(
        &self,
        kind: Kind,
        sealed_with: Option<(&PublicKeys, &Contents)>,
        now: OffsetDateTime,
    ) -> anyhow::Result<Value> {
        let user = UserReference::new(
            self.person.source_anchor,
            self.person.security_identifier.clone(),
            self.person.user_principal_name.clone(),
            self.domain.clone(),
        )?;
        let id = self
            .id
            .clone()
            .unwrap_or_else(|| Uuid::now_v7().to_string());

        let mut initiator = object(json!({ "kind": InitiatorKind::from(self.initiator).as_str() }));
        insert(&mut initiator, "id", self.initiator_id.as_ref());
        let mut person = Map::new();
        insert(&mut person, "sourceAnchor", user.source_anchor());
        insert(
            &mut person,
            "securityIdentifier",
            user.security_identifier(),
        );
        insert(&mut person, "userPrincipalName", user.user_principal_name());
        insert(&mut person, "domain", user.domain());
        let mut data = object(json!({ "user": person, "initiator": initiator }));
        if let Some((keys, contents)) = sealed_with {
            let binding = Binding {
                issuer: self.source.clone(),
                event_id: id.clone(),
                subject: user.subject(),
                kind,
            };
            let seconds = self.valid_for.max(self.deadline.unwrap_or_default());
            let expires_at = now + Duration::from_secs(seconds.into());
            let recipients = recipients(keys, &self.forest)?;
            let sealed = sealing::seal(&binding, contents, now, expires_at, &recipients)?;
            let sealed = serde_json::from_str(&sealed.to_json_text())?;
            data.insert("sealedPassword".to_owned(), sealed);
            data.insert("unlock".to_owned(), (!self.no_unlock).into());
        }
        if self.must_change {
            data.insert("mustChangeAtNextSignIn".to_owned(), true.into());
        }

        let mut event = object(json!({
            "specversion": "1.0",
            "id": id,
            "source": self.source,
            "type": kind.event_type(),
            "time": now.format(&Rfc3339)?,
            "datacontenttype": "application/json",
            "data": data,
        }));
        if let Some(seconds) = self.deadline {
            let deadline = now + Duration::from_secs(seconds.into());
            event.insert("expirytime".to_owned(), deadline.format(&Rfc3339)?.into());
        }
        Ok(event.into())
    }
}

/// The newest key of each forest asked for, or of every forest there is.
fn recipients<'keys>(
    keys: &'keys PublicKeys,
    forests: &[ForestId],
) -> anyhow::Result<Vec<&'keys PublicKey>> {
    let forests: BTreeSet<&ForestId> = if forests.is_empty() {
        keys.iter().map(PublicKey::forest).collect()
    } else {
        forests.iter().collect()
    };
    ensure!(!forests.is_empty(), "the key set is empty");
    forests
        .into_iter()
        .map(|forest| {
            keys.for_forest(forest)
                .with_context(|| format!("the key set has no key of the forest {forest}"))
        })
        .collect()
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn insert(map: &mut Map<String, Value>, name: &str, value: Option<impl ToString>) {
    if let Some(value) = value {
        map.insert(name.to_owned(), value.to_string().into());
    }
}

#[cfg(test)]
mod tests;

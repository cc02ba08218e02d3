//! `writebackctl ledger`: proofs of the ledger, by the database and away from it.

mod entries;

use std::{
    fs::File,
    io::{self, BufReader, Write as _},
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use proto::v1::{self, ledger_client::LedgerClient};
use serde_json::{Value, json};

use self::entries::SignedCheckpoint;
use crate::{
    audit::{ANSWER_TIME_OUT, Address, answer, bounded},
    failure::{self, Ending},
    output, table,
};

/// For reading the whole ledger again.
const VERIFY_TIME_OUT: Duration = Duration::from_hours(1);

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Ledger {
    /// Have the chain, its head and its signature checked: by the database read again, or offline on an export
    #[command(after_help = "\
Offline nobody is asked: the export is followed entry by entry, and held against checkpoints that
the holder of the ledger's key signed. What follows the last checkpoint is only consistent in itself.

By the database, what is found is kept: every replica of audit tells it in `status` and in its metrics, until a verification finds
nothing. That includes a signed checkpoint that the ledger does not hold; it is cleared only by a verification that is held against
signed checkpoints and finds nothing. Where nothing is wrong but an ENTRY:HASH, you alone are told, and nothing is kept.

Exit codes: 0 intact; 1 not intact, with what is wrong and where; 3 wrong use or no connection.

Examples:
  writebackctl --config /etc/writeback/config.toml ledger verify
  writebackctl --config /etc/writeback/config.toml ledger verify --checkpoint checkpoints/
  writebackctl --config /etc/writeback/config.toml ledger verify --checkpoint 4711:9f86d0…
  writebackctl ledger verify --export ledger.jsonl --checkpoint checkpoint.json --public-key audit-signing-public.pem")]
    Verify(Verify),
    /// The signed end of the chain: keep it where the ledger's keepers cannot reach it
    #[command(after_help = "\
Exit codes: 0 printed; 3 wrong use, no connection, or the head's signature is not valid.

Example:
  writebackctl ledger checkpoint > checkpoint-$(date +%F).json")]
    Checkpoint,
    /// Every entry as the chain has it, a JSON object per line, oldest first
    #[command(after_help = "\
Exit codes: 0 all was printed, or whoever read it left; 3 wrong use or no connection: what was printed is not all.

Example:
  writebackctl ledger export > ledger.jsonl")]
    Export {
        /// Begin with this entry; only what begins with the first can be verified
        #[arg(long, value_name = "ENTRY", default_value_t = 1, value_parser = clap::value_parser!(i64).range(1..))]
        from: i64,
    },
}

#[derive(Debug, clap::Args)]
pub(crate) struct Verify {
    /// A file that `ledger checkpoint` printed, a folder of such files (none in it is no fault), or ENTRY:HASH as an earlier verification printed the head: finds a ledger that was put back whole to an earlier state; may be repeated
    #[arg(long, value_name = "FILE|FOLDER|ENTRY:HASH")]
    checkpoint: Vec<Checkpoint>,
    /// Check this export of the entries and ask nobody
    #[arg(long, value_name = "FILE", requires_all = ["checkpoint", "public_key"])]
    export: Option<PathBuf>,
    /// Whose signature the checkpoints must have: the public half of audit's signing key, PEM
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
}

/// The end of the chain at some time.
#[derive(Debug, Clone)]
pub(crate) enum Checkpoint {
    /// As `verify` prints it.
    Head(v1::Checkpoint),
    /// As `checkpoint` prints it.
    File(PathBuf),
}

impl FromStr for Checkpoint {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((sequence, hash)) = text.split_once(':') else {
            return Ok(Self::File(text.into()));
        };
        let parse = || {
            let checkpoint = v1::Checkpoint {
                sequence: sequence.parse().ok()?,
                hash: hex::decode(hash).ok()?,
                ..v1::Checkpoint::default()
            };
            (checkpoint.hash.len() == 32).then_some(Self::Head(checkpoint))
        };
        parse().ok_or("it is a file, or the number of an entry, a colon and its hash of 64 hexadecimal digits, as `ledger verify` prints the head")
    }
}

impl Ledger {
    pub(crate) async fn run(self, address: &Address, json: bool) -> anyhow::Result<Ending> {
        match self {
            Self::Verify(verify) => match &verify.export {
                Some(export) => verify.offline(export, json),
                None => verify.online(address, json).await,
            },
            Self::Checkpoint => {
                let mut client = LedgerClient::new(address.connect().await?);
                let request = bounded(v1::HeadRequest {}, ANSWER_TIME_OUT);
                let head = answer(client.head(request), ANSWER_TIME_OUT).await?;
                let checkpoint = SignedCheckpoint::from_wire(&head);
                ensure!(
                    checkpoint.is_signed_by_its_own_key(),
                    "the signature of the ledger's head is not valid: run `writebackctl ledger verify`"
                );
                // for keeping: the same for people and machines
                writeln!(output::out(), "{:#}", checkpoint.to_json())?;
                Ok(Ending::Done)
            }
            Self::Export { from } => {
                let mut client = LedgerClient::new(address.connect().await?);
                let request = v1::ExportRequest {
                    from_sequence: from,
                };
                let mut entries = answer(client.export(request), ANSWER_TIME_OUT).await?;
                let mut out = io::BufWriter::new(io::stdout().lock());
                loop {
                    let next = tokio::time::timeout(ANSWER_TIME_OUT, entries.message())
                        .await
                        .context("the audit service did not go on in time")?;
                    match next.map_err(|status| failure::explain(&status))? {
                        Some(entry) => {
                            let printed = writeln!(out, "{}", entries::to_json(&entry));
                            if !output::is_read(printed)? {
                                return Ok(Ending::Done);
                            }
                        }
                        None => break,
                    }
                }
                output::is_read(out.flush())?;
                Ok(Ending::Done)
            }
        }
    }
}

impl Verify {
    fn offline(&self, export: &PathBuf, json: bool) -> anyhow::Result<Ending> {
        let key = self
            .public_key
            .as_deref()
            .context("--public-key: missing")?;
        let key = entries::read_public_key(key)?;
        ensure!(
            self.heads().next().is_none(),
            "--checkpoint: offline it must be a file with the ledger's signature, as `ledger checkpoint` prints it"
        );
        let checkpoints: Vec<SignedCheckpoint> = { self.signed()?.into_iter() }
            .map(|(_, checkpoint)| checkpoint)
            .collect();
        ensure!(
            !checkpoints.is_empty(),
            "--checkpoint: there is none in that folder"
        );
        let file = File::open(export).with_context(|| export.display().to_string())?;
        let verified = entries::verify(BufReader::new(file), &checkpoints, &key)
            .with_context(|| export.display().to_string())?;
        let more = json!({ "vouchedUntil": verified.vouched });
        print(
            verified.entries,
            &verified.head,
            &verified.findings,
            Some(&more),
            json,
        )
    }

    /// The signed ones, each with the file that it is in; of a folder all that are in it.
    fn signed(&self) -> anyhow::Result<Vec<(PathBuf, SignedCheckpoint)>> {
        let mut files = Vec::new();
        for checkpoint in &self.checkpoint {
            match checkpoint {
                Checkpoint::File(path) if path.is_dir() => files.extend(checkpoints_in(path)?),
                Checkpoint::File(path) => files.push(path.clone()),
                Checkpoint::Head(_) => {}
            }
        }
        files
            .into_iter()
            .map(|path| Ok((path.clone(), SignedCheckpoint::read(&path)?)))
            .collect()
    }

    fn heads(&self) -> impl Iterator<Item = &v1::Checkpoint> {
        self.checkpoint.iter().filter_map(|given| match given {
            Checkpoint::Head(head) => Some(head),
            Checkpoint::File(_) => None,
        })
    }

    async fn online(self, address: &Address, json: bool) -> anyhow::Result<Ending> {
        let key = self.public_key.as_deref().map(entries::read_public_key);
        let key = key.transpose()?;
        let mut own_findings = Vec::new();
        let mut checkpoints: Vec<v1::Checkpoint> = self.heads().cloned().collect();
        for (path, signed) in self.signed()? {
            let valid = match &key {
                Some(key) => signed.is_signed_by(key),
                None => signed.is_signed_by_its_own_key(),
            };
            if !valid {
                own_findings.push(format!("{}: the signature is not valid", path.display()));
            }
            checkpoints.push(v1::Checkpoint {
                sequence: signed.tip.sequence,
                hash: signed.tip.hash,
                at: signed.tip.at,
                signature: signed.signature,
            });
        }
        let mut client = LedgerClient::new(address.connect().await?);
        let request = bounded(v1::VerifyRequest { checkpoints }, VERIFY_TIME_OUT);
        let found = answer(client.verify(request), VERIFY_TIME_OUT).await?;
        let mut findings = found.findings;
        if !found.intact && findings.is_empty() {
            findings.push("the audit service says so, and not why".to_owned());
        }
        findings.extend(own_findings);
        let more = json!({ "kept": found.kept });
        print(found.entries, &found.head, &findings, Some(&more), json)
    }
}

/// In a folder that somebody puts them into, or that a cluster mounts, with hidden files of its own.
fn checkpoints_in(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let read = || {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            if !hidden && entry.path().is_file() {
                files.push(entry.path());
            }
        }
        files.sort();
        Ok::<_, io::Error>(files)
    };
    read().with_context(|| folder.display().to_string())
}

fn print(
    entries: i64,
    head: &[u8],
    findings: &[String],
    more: Option<&Value>,
    json: bool,
) -> anyhow::Result<Ending> {
    let intact = findings.is_empty();
    let head = hex::encode(head);
    let mut out = output::out();
    if json {
        let mut value = json!({
            "intact": intact,
            "entries": entries,
            "head": head,
            "findings": findings,
        });
        if let (Some(members), Some(Value::Object(more))) = (value.as_object_mut(), more) {
            members.extend(more.clone());
        }
        writeln!(out, "{value:#}")?;
    } else if intact {
        writeln!(out, "intact: {entries} entries, head {entries}:{head}")?;
        if let Some(vouched) = more.and_then(|more| more.get("vouchedUntil")) {
            writeln!(out, "vouched for by a checkpoint up to entry {vouched}")?;
        }
    } else {
        writeln!(out, "NOT INTACT: {entries} entries read")?;
        for finding in findings {
            writeln!(out, "  {}", table::printable(finding))?;
        }
        if more.and_then(|more| more.get("kept")) == Some(&Value::Bool(false)) {
            writeln!(
                out,
                "this is not kept: `status`, metrics and alerts stay as they were. What rests on an ENTRY:HASH alone is told to its \
                 bringer alone; a file that `ledger checkpoint` printed proves itself"
            )?;
        }
    }
    Ok(if intact { Ending::Done } else { Ending::No })
}

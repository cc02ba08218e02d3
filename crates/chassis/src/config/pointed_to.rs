//! What a forest's section only points to: its authority, and the passwords of its service accounts.
//!
//! These files change while their paths stay: a password is rotated, an authority renewed, both mounted
//! from elsewhere. They are looked at as the configuration itself is, and a content counts once it was
//! seen twice.

use std::{
    io,
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret as _, SecretString};

use super::{ConfigError, Forest, read_file, read_secret};
use crate::reload;

/// A service account, and the files that hold what it needs to sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountFiles {
    pub account: String,
    ca_file: PathBuf,
    password_file: PathBuf,
    next_password_file: Option<PathBuf>,
}

/// What the files hold.
#[derive(Debug, Clone)]
pub struct PointedTo {
    pub ca_pem: Vec<u8>,
    pub password: SecretString,
    /// The one that is to follow, if one is.
    pub next_password: Option<SecretString>,
}

impl PartialEq for PointedTo {
    fn eq(&self, other: &Self) -> bool {
        let exposed = |held: &Self| {
            [Some(&held.password), held.next_password.as_ref()]
                .map(|secret| secret.map(|secret| secret.expose_secret().to_owned()))
        };
        self.ca_pem == other.ca_pem && exposed(self) == exposed(other)
    }
}

impl Forest {
    /// Of the account that writes.
    pub fn writing_account(&self) -> AccountFiles {
        AccountFiles {
            account: self.account.clone(),
            ca_file: self.ca_file.clone(),
            password_file: self.account_password_file.clone(),
            next_password_file: self.account_next_password_file.clone(),
        }
    }

    /// Of the account that only reads; without one, of the one that writes.
    pub fn reading_account(&self) -> Result<AccountFiles, ConfigError> {
        let next = &self.reader_account_next_password_file;
        match (&self.reader_account, &self.reader_account_password_file) {
            (Some(account), Some(password_file)) => Ok(AccountFiles {
                account: account.clone(),
                ca_file: self.ca_file.clone(),
                password_file: password_file.clone(),
                next_password_file: next.clone(),
            }),
            (None, None) if next.is_none() => Ok(self.writing_account()),
            (None, _) => Err(ConfigError::Required("forests.reader_account")),
            (Some(_), None) => Err(ConfigError::Required(
                "forests.reader_account_password_file",
            )),
        }
    }
}

impl AccountFiles {
    pub fn read(&self) -> Result<PointedTo, ConfigError> {
        Ok(PointedTo {
            ca_pem: read_file(&self.ca_file)?,
            password: read_secret(&self.password_file)?,
            next_password: self
                .next_password_file
                .as_deref()
                .map(read_next)
                .transpose()?
                .flatten(),
        })
    }

    /// Says what the files hold whenever it is something else than `known`. What cannot be read is told
    /// once. Runs until it is dropped.
    pub async fn follow(self, known: PointedTo, mut changed: impl FnMut(PointedTo)) {
        let account = self.account.clone();
        let read = move || self.read();
        reload::follow(known, read, |seen| match seen {
            Ok(pointed_to) => changed(pointed_to),
            Err(error) => tracing::error!(
                account,
                error,
                "what a service account needs cannot be read; what was read before stays in force"
            ),
        })
        .await;
    }
}

/// It is there only while a password is being changed.
fn read_next(path: &Path) -> Result<Option<SecretString>, ConfigError> {
    match read_secret(path) {
        Ok(secret) => Ok(Some(secret)),
        Err(ConfigError::Secret { .. }) => Ok(None),
        Err(ConfigError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use tokio::{sync::mpsc, time::timeout};

    use super::*;

    fn files(folder: &Path) -> AccountFiles {
        AccountFiles {
            account: "svc@corp.example.com".to_owned(),
            ca_file: folder.join("ca.pem"),
            password_file: folder.join("password"),
            next_password_file: Some(folder.join("next")),
        }
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("writeback-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("ca.pem"), "CA").unwrap();
        fs::write(folder.join("password"), "old\n").unwrap();
        folder
    }

    fn passwords(pointed_to: &PointedTo) -> (&str, Option<&str>) {
        let next = pointed_to.next_password.as_ref();
        (
            pointed_to.password.expose_secret(),
            next.map(secrecy::ExposeSecret::expose_secret),
        )
    }

    #[test]
    fn the_next_password_need_not_be_there() {
        let folder = folder("next");
        let files = files(&folder);
        assert_eq!(passwords(&files.read().unwrap()), ("old", None));
        fs::write(folder.join("next"), "\n").unwrap();
        assert_eq!(passwords(&files.read().unwrap()), ("old", None));
        fs::write(folder.join("next"), "new").unwrap();
        assert_eq!(passwords(&files.read().unwrap()), ("old", Some("new")));
        fs::write(folder.join("password"), "").unwrap();
        files.read().unwrap_err();
        fs::remove_dir_all(folder).unwrap();
    }

    #[tokio::test]
    async fn what_changes_is_told_once_and_what_is_gone_is_not() {
        let folder = folder("follow");
        let files = files(&folder);
        let (tell, mut told) = mpsc::unbounded_channel();
        let known = files.read().unwrap();
        let following = tokio::spawn(files.follow(known, move |pointed_to| {
            tell.send(pointed_to).unwrap();
        }));
        let patience = Duration::from_secs(20);
        fs::write(folder.join("next"), "new").unwrap();
        let changed = timeout(patience, told.recv()).await.unwrap().unwrap();
        assert_eq!(passwords(&changed), ("old", Some("new")));
        // of files that change together none is told of before the last is there
        fs::remove_file(folder.join("ca.pem")).unwrap();
        fs::write(folder.join("next"), "newer").unwrap();
        fs::write(folder.join("ca.pem"), "another CA").unwrap();
        let changed = timeout(patience, told.recv()).await.unwrap().unwrap();
        assert_eq!(changed.ca_pem, b"another CA");
        assert_eq!(passwords(&changed), ("old", Some("newer")));
        following.abort();
        fs::remove_dir_all(folder).unwrap();
    }
}

//! `writebackctl keys`: a forest's key pair, the private half for its writers and the public half
//! for everyone.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::ValueEnum;
use operation::ForestId;
use sealing::{Algorithm, KeyPair, PublicKey, PublicKeys};
use serde_json::json;

use crate::{failure::Ending, web};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Keys {
    /// Make a key pair: <kid>.pem in the private directory, and its public half added to the key set as the forest's newest
    #[command(after_help = "\
Exit codes: 0 made; 3 wrong use, or a file cannot be read or written.

Give the private key to every writer of the forest before the intake serves the key set.

Example:
  writebackctl keys generate --forest corp --private-keys-directory keys/corp --public-keys-file keys/jwks.json")]
    Generate(Generate),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Generate {
    #[arg(long, value_name = "FOREST")]
    forest: ForestId,
    #[arg(long, default_value = "rsa-oaep-256")]
    algorithm: AlgorithmArgument,
    /// Where the forest's writers read their keys; made if it is missing
    #[arg(long, value_name = "DIRECTORY")]
    private_keys_directory: PathBuf,
    /// The key set that the intake serves; made if it is missing
    #[arg(long, value_name = "FILE")]
    public_keys_file: PathBuf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum AlgorithmArgument {
    #[value(name = "rsa-oaep-256", alias = "RSA-OAEP-256")]
    RsaOaep256,
    #[value(name = "ecdh-es+a256kw", alias = "ECDH-ES+A256KW")]
    EcdhEsA256Kw,
}

impl From<AlgorithmArgument> for Algorithm {
    fn from(algorithm: AlgorithmArgument) -> Self {
        match algorithm {
            AlgorithmArgument::RsaOaep256 => Self::RsaOaep256,
            AlgorithmArgument::EcdhEsA256Kw => Self::EcdhEsA256Kw,
        }
    }
}

impl Keys {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<Ending> {
        let Self::Generate(generate) = self;
        let (kid, private_key_file) = generate.run()?;
        let mut out = io::stdout().lock();
        if json {
            let value = json!({
                "kid": kid,
                "forest": generate.forest,
                "privateKeyFile": private_key_file,
                "publicKeysFile": generate.public_keys_file,
            });
            writeln!(out, "{value:#}")?;
        } else {
            writeln!(out, "key          {kid}")?;
            writeln!(out, "forest       {}", generate.forest)?;
            writeln!(out, "private key  {}", private_key_file.display())?;
            writeln!(out, "key set      {}", generate.public_keys_file.display())?;
        }
        Ok(Ending::Done)
    }
}

impl Generate {
    /// The private key first: nothing may ever be sealed to a key that nobody holds.
    fn run(&self) -> anyhow::Result<(String, PathBuf)> {
        let pair = KeyPair::generate(self.algorithm.into(), self.forest.clone())?;
        let directory = &self.private_keys_directory;
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .with_context(|| directory.display().to_string())?;
        let path = directory.join(format!("{}.pem", pair.kid()));
        write_new(&path, 0o600, pair.private_pem().as_bytes())
            .with_context(|| path.display().to_string())?;
        add_public(&self.public_keys_file, pair.public())
            .with_context(|| self.public_keys_file.display().to_string())?;
        Ok((pair.kid().to_owned(), path))
    }
}

/// Readers see the old set or the new one, and of two writers at once neither loses its key.
fn add_public(path: &Path, key: PublicKey) -> anyhow::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder)?;
    let directory = File::open(folder)?;
    // held until the rename; released by closing
    directory.lock()?;
    let mut keys = if fs::exists(path)? {
        PublicKeys::from_jwks(&web::read_file(path)?)?
    } else {
        PublicKeys::default()
    };
    keys.add(key);
    let mut next = path.as_os_str().to_owned();
    next.push(".new");
    let next = PathBuf::from(next);
    match fs::remove_file(&next) {
        // left behind by a run that was interrupted; the lock says nobody else is writing it
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    write_new(&next, 0o644, format!("{:#}\n", keys.to_jwks()).as_bytes())?;
    fs::rename(&next, path)?;
    directory.sync_all()?;
    Ok(())
}

fn write_new(path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use sealing::PrivateKeys;

    use super::*;

    /// A folder of its own, removed at the end.
    struct Folder(PathBuf);
    impl Folder {
        fn new() -> Self {
            let name = format!("writebackctl-{}", uuid::Uuid::now_v7());
            Self(std::env::temp_dir().join(name))
        }
    }
    impl Drop for Folder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    #[test]
    fn a_new_key_is_private_to_its_owner_and_becomes_the_forests_newest() {
        let folder = Folder::new();
        let generate = Generate {
            forest: "corp".parse().unwrap(),
            algorithm: AlgorithmArgument::EcdhEsA256Kw,
            private_keys_directory: folder.0.join("corp"),
            public_keys_file: folder.0.join("jwks.json"),
        };
        let (first, _) = generate.run().unwrap();
        let (second, path) = generate.run().unwrap();

        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let private = PrivateKeys::from_directory(&generate.private_keys_directory).unwrap();
        assert_eq!(private.key_ids().count(), 2);
        let public = PublicKeys::from_jwks(&fs::read(&generate.public_keys_file).unwrap()).unwrap();
        assert_eq!(public.for_forest(&generate.forest).unwrap().kid(), second);
        assert_eq!(public.forest_of(&first), Some(&generate.forest));
        assert!(!folder.0.join("jwks.json.new").exists());
    }

    #[test]
    fn a_broken_key_set_is_left_as_it_is() {
        let folder = Folder::new();
        fs::create_dir_all(&folder.0).unwrap();
        let path = folder.0.join("jwks.json");
        fs::write(&path, "{").unwrap();
        let key = KeyPair::generate(Algorithm::EcdhEsA256Kw, "corp".parse().unwrap()).unwrap();
        assert!(add_public(&path, key.public()).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"{");
    }
}

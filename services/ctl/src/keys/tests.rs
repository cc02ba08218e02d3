use std::{fs, os::unix::fs::PermissionsExt as _};

use sealing::PrivateKeys;

use super::{
    files::Found,
    life::Kept,
    retire::{Retired, retire},
    rotate::rotate,
    *,
};

const DAY: i64 = 86_400;

/// A folder of its own, removed at the end.
struct Folder(PathBuf);
impl Folder {
    fn new() -> Self {
        let name = format!("writebackctl-{}", uuid::Uuid::now_v7());
        Self(std::env::temp_dir().join(name))
    }

    fn found(&self) -> Found {
        let places = Places {
            private_keys_directory: Some(self.0.join("corp")),
            public_keys_file: Some(self.0.join("jwks.json")),
        };
        places.find(&Address::default()).unwrap()
    }

    fn private(&self) -> Vec<String> {
        let keys = PrivateKeys::from_directory(&self.0.join("corp")).unwrap();
        keys.key_ids().map(str::to_owned).collect()
    }

    fn public(&self) -> PublicKeys {
        PublicKeys::from_jwks(&fs::read(self.0.join("jwks.json")).unwrap()).unwrap()
    }
}
impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn corp() -> ForestId {
    "corp".parse().unwrap()
}

const EC: Algorithm = Algorithm::EcdhEsA256Kw;

#[test]
fn a_new_key_is_private_to_its_owner_and_becomes_the_forests_newest() {
    let folder = Folder::new();
    let (first, _) = make(&folder.found(), &corp(), EC).unwrap();
    let (second, path) = make(&folder.found(), &corp(), EC).unwrap();
    let mode = fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(folder.private().len(), 2);
    let public = folder.public();
    assert_eq!(public.for_forest(&corp()).unwrap().kid(), second);
    assert_eq!(public.forest_of(&first), Some(&corp()));
    let left: Vec<_> = fs::read_dir(&folder.0).unwrap().flatten().collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn a_broken_key_set_is_left_as_it_is() {
    let folder = Folder::new();
    fs::create_dir_all(&folder.0).unwrap();
    let path = folder.0.join("jwks.json");
    fs::write(&path, "{").unwrap();
    assert!(make(&folder.found(), &corp(), EC).is_err());
    assert_eq!(fs::read(&path).unwrap(), b"{");
}

#[test]
fn who_makes_the_first_key_together_makes_one() {
    let folder = Folder::new();
    let (found, forest) = (folder.found(), corp());
    let made: usize = std::thread::scope(|scope| {
        let makers: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| make_first(&found, &forest, EC).unwrap()))
            .collect();
        let made = makers.into_iter().map(|maker| maker.join().unwrap());
        made.flatten().count()
    });
    assert_eq!(made, 1);
    assert_eq!(folder.private().len(), 1, "a private key of nobody's stays");
    assert_eq!(make_first(&found, &forest, EC).unwrap(), None);
    assert_eq!(folder.public().iter().count(), 1);
    assert!(newest(&found, &forest).unwrap().is_some());
}

#[test]
fn a_rotation_keeps_the_old_key_through_its_overlap_and_no_longer() {
    let folder = Folder::new();
    let found = folder.found();
    let (old, _) = make(&found, &corp(), EC).unwrap();
    let begun = now();
    let rotated = rotate(&found, &corp(), 7 * DAY, None, begun)
        .unwrap()
        .unwrap();
    assert_eq!(rotated.retiring, std::slice::from_ref(&old));
    let [new] = rotated.made.as_slice() else {
        panic!("{:?}", rotated.made);
    };
    assert_eq!(folder.public().for_forest(&corp()).unwrap().kid(), new);
    assert_eq!(folder.private().len(), 2);

    let refused =
        |key: &str, force, at| match retire(&found, &corp(), Some(key), force, at).unwrap() {
            Retired::Kept(why) => Some(why),
            Retired::Gone(_) => None,
        };
    assert_eq!(refused(&old, false, begun + DAY), Some(Kept::Overlap));
    assert_eq!(refused(new, false, begun + DAY), Some(Kept::Current));
    let nothing = retire(&found, &corp(), None, false, begun + DAY).unwrap();
    assert!(matches!(nothing, Retired::Gone(gone) if gone.is_empty()));
    assert_eq!(folder.private().len(), 2);

    let gone = retire(&found, &corp(), None, false, begun + 7 * DAY).unwrap();
    assert!(matches!(gone, Retired::Gone(gone) if gone == [old.clone()]));
    assert_eq!(folder.private(), std::slice::from_ref(new));
    assert_eq!(folder.public().forest_of(&old), None);
    assert_eq!(refused(new, true, begun + 7 * DAY), Some(Kept::Only));
    assert_eq!(folder.private(), std::slice::from_ref(new));
}

#[test]
fn what_is_young_is_not_rotated_and_what_is_old_is_once() {
    let folder = Folder::new();
    let found = folder.found();
    make(&found, &corp(), EC).unwrap();
    let due = |at| {
        rotate(&found, &corp(), DAY, Some(180 * DAY), at)
            .unwrap()
            .is_some()
    };
    let later = now() + 180 * DAY;
    assert!(!due(now()));
    assert!(!due(later - DAY));
    assert!(due(later + 1));
    assert!(!due(later + 1), "the new one is young");
}

#[test]
fn a_key_of_unknown_age_is_as_old_as_its_file() {
    let folder = Folder::new();
    let found = folder.found();
    make(&found, &corp(), EC).unwrap();
    // as an earlier release wrote it
    let set = folder.0.join("jwks.json");
    fs::write(&set, folder.public().to_jwks().to_string()).unwrap();
    assert!(
        rotate(&found, &corp(), DAY, Some(DAY), now())
            .unwrap()
            .is_none()
    );
    assert!(
        rotate(&found, &corp(), DAY, Some(DAY), now() + 2 * DAY)
            .unwrap()
            .is_some()
    );
}

#[test]
fn a_forest_without_a_key_is_not_rotated_in_silence() {
    let folder = Folder::new();
    let problem = rotate(&folder.found(), &corp(), DAY, None, 0)
        .err()
        .unwrap();
    assert!(
        format!("{problem:#}").contains("keys generate"),
        "{problem:#}"
    );
}

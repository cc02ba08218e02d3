//! Access control entries (MS-DTYP 2.4.4), read from bytes that are not trusted.

use operation::SecurityIdentifier;
use uuid::Uuid;

use super::Malformed;

/// The entry counts for what is below, and may count for the object too (MS-DTYP 2.4.4.1).
pub const CONTAINER_INHERIT: u8 = 0x02;
/// It counts for the children, and for nothing below them.
pub const NO_PROPAGATE: u8 = 0x04;
/// It does not count for the object itself.
pub const INHERIT_ONLY: u8 = 0x08;
/// It came from above.
pub const INHERITED: u8 = 0x10;

const ALLOWED: u8 = 0x00;
const DENIED: u8 = 0x01;
const ALLOWED_OBJECT: u8 = 0x05;
const DENIED_OBJECT: u8 = 0x06;

/// Which of the two GUIDs of an object entry are there (MS-DTYP 2.4.4.3).
const OBJECT_TYPE: u32 = 0x1;
const INHERITED_OBJECT_TYPE: u32 = 0x2;

const HEADER: usize = 4;

/// One entry of a list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Ace {
    Entry(Entry),
    /// Of a kind that is not evaluated here (audit, conditional, of a later Windows): kept as it is.
    Other {
        kind: u8,
        flags: u8,
        body: Vec<u8>,
    },
}

/// An entry that allows or denies, for everything or for one right, attribute, property set or class.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Entry {
    pub denies: bool,
    pub flags: u8,
    pub mask: u32,
    pub trustee: SecurityIdentifier,
    /// None: everything that the mask names.
    pub object_type: Option<Uuid>,
    /// None: objects of every class inherit it.
    pub inherited_object_type: Option<Uuid>,
    /// It is written as an object entry, though it may name neither.
    pub(super) is_object: bool,
    /// What follows the identifier; it means nothing in these kinds, and is kept.
    pub(super) rest: Vec<u8>,
}

impl Entry {
    /// An entry that allows.
    pub const fn allowing(
        mask: u32,
        flags: u8,
        object_type: Uuid,
        inherited_object_type: Option<Uuid>,
        trustee: SecurityIdentifier,
    ) -> Self {
        Self {
            denies: false,
            flags,
            mask,
            trustee,
            object_type: Some(object_type),
            inherited_object_type,
            is_object: true,
            rest: Vec::new(),
        }
    }

    pub const fn is_inherited(&self) -> bool {
        self.flags & INHERITED != 0
    }

    /// The same rule, wherever it came from.
    pub fn is_same_rule(&self, other: &Self) -> bool {
        self.denies == other.denies
            && self.mask == other.mask
            && self.trustee == other.trustee
            && self.object_type == other.object_type
            && self.inherited_object_type == other.inherited_object_type
    }
}

impl Ace {
    pub const fn flags(&self) -> u8 {
        match self {
            Self::Entry(entry) => entry.flags,
            Self::Other { flags, .. } => *flags,
        }
    }

    pub const fn is_inherited(&self) -> bool {
        self.flags() & INHERITED != 0
    }

    pub const fn entry(&self) -> Option<&Entry> {
        match self {
            Self::Entry(entry) => Some(entry),
            Self::Other { .. } => None,
        }
    }

    /// The first entry, and what follows it.
    pub(super) fn parse(bytes: &[u8]) -> Result<(Self, &[u8]), Malformed> {
        let [kind, flags, size @ ..] = bytes.first_chunk::<HEADER>().ok_or(Malformed::Cut)?;
        let size = usize::from(u16::from_le_bytes(*size));
        let (ace, following) = bytes.split_at_checked(size).ok_or(Malformed::Cut)?;
        let body = ace.get(HEADER..).ok_or(Malformed::Cut)?;
        let other = || Self::Other {
            kind: *kind,
            flags: *flags,
            body: body.to_vec(),
        };
        let ace = match *kind {
            ALLOWED | DENIED | ALLOWED_OBJECT | DENIED_OBJECT => {
                entry(*kind, *flags, body)?.map_or_else(other, Self::Entry)
            }
            _ => other(),
        };
        Ok((ace, following))
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        let (kind, body) = match self {
            Self::Other { kind, body, .. } => (*kind, body.clone()),
            Self::Entry(entry) => (entry.kind(), entry.body()),
        };
        let size = u16::try_from(HEADER + body.len()).map_err(|_| Malformed::TooLong)?;
        out.extend([kind, self.flags()]);
        out.extend(size.to_le_bytes());
        out.extend(body);
        Ok(())
    }

    /// Whether a list with it must be of revision 4 (MS-DTYP 2.4.5).
    pub(super) const fn is_object(&self) -> bool {
        match self {
            Self::Entry(entry) => entry.is_object,
            Self::Other { kind, .. } => matches!(kind, 0x05..=0x08 | 0x0b | 0x0c | 0x0f | 0x10),
        }
    }
}

impl Entry {
    const fn kind(&self) -> u8 {
        match (self.denies, self.is_object) {
            (false, false) => ALLOWED,
            (true, false) => DENIED,
            (false, true) => ALLOWED_OBJECT,
            (true, true) => DENIED_OBJECT,
        }
    }

    fn body(&self) -> Vec<u8> {
        let mut body = self.mask.to_le_bytes().to_vec();
        if self.is_object {
            let mut present = 0;
            if self.object_type.is_some() {
                present |= OBJECT_TYPE;
            }
            if self.inherited_object_type.is_some() {
                present |= INHERITED_OBJECT_TYPE;
            }
            body.extend(present.to_le_bytes());
            for guid in [self.object_type, self.inherited_object_type]
                .into_iter()
                .flatten()
            {
                body.extend(guid.to_bytes_le());
            }
        }
        body.extend(self.trustee.to_bytes());
        body.extend(&self.rest);
        body
    }
}

/// None where a flag says that more is there than this knows how to read.
fn entry(kind: u8, flags: u8, body: &[u8]) -> Result<Option<Entry>, Malformed> {
    let is_object = matches!(kind, ALLOWED_OBJECT | DENIED_OBJECT);
    let (mask, mut rest) = word(body)?;
    let (mut object_type, mut inherited_object_type) = (None, None);
    if is_object {
        let present;
        (present, rest) = word(rest)?;
        if present & !(OBJECT_TYPE | INHERITED_OBJECT_TYPE) != 0 {
            return Ok(None);
        }
        if present & OBJECT_TYPE != 0 {
            (object_type, rest) = guid(rest)?;
        }
        if present & INHERITED_OBJECT_TYPE != 0 {
            (inherited_object_type, rest) = guid(rest)?;
        }
    }
    let (trustee, rest) = sid(rest)?;
    Ok(Some(Entry {
        denies: matches!(kind, DENIED | DENIED_OBJECT),
        flags,
        mask,
        trustee,
        object_type,
        inherited_object_type,
        is_object,
        rest: rest.to_vec(),
    }))
}

fn word(bytes: &[u8]) -> Result<(u32, &[u8]), Malformed> {
    let (word, rest) = bytes.split_first_chunk::<4>().ok_or(Malformed::Cut)?;
    Ok((u32::from_le_bytes(*word), rest))
}

fn guid(bytes: &[u8]) -> Result<(Option<Uuid>, &[u8]), Malformed> {
    let (guid, rest) = bytes.split_first_chunk::<16>().ok_or(Malformed::Cut)?;
    Ok((Some(Uuid::from_bytes_le(*guid)), rest))
}

/// The identifier at the start: its second byte says how long it is (MS-DTYP 2.4.2.2).
pub(super) fn sid(bytes: &[u8]) -> Result<(SecurityIdentifier, &[u8]), Malformed> {
    let count = bytes.get(1).ok_or(Malformed::Cut)?;
    let (sid, rest) = bytes
        .split_at_checked(8 + 4 * usize::from(*count))
        .ok_or(Malformed::Cut)?;
    let sid = SecurityIdentifier::from_bytes(sid).map_err(|_| Malformed::Identifier)?;
    Ok((sid, rest))
}

//! Self-relative security descriptors (MS-DTYP 2.4.6) as `nTSecurityDescriptor` holds them, read from
//! bytes that are not trusted and written back.

use operation::SecurityIdentifier;

use super::{
    Malformed,
    ace::{Ace, sid},
};

const REVISION: u8 = 1;
const HEADER: usize = 20;
const ACL_HEADER: usize = 8;
/// MS-DTYP 2.4.5: with object entries a list is of revision 4.
const ACL_REVISION: u8 = 2;
const ACL_REVISION_DS: u8 = 4;

const DACL_PRESENT: u16 = 0x0004;
const DACL_PROTECTED: u16 = 0x1000;
const SELF_RELATIVE: u16 = 0x8000;
/// What of the control word concerns the DACL: defaulted, auto-inherit required, auto-inherited, protected.
const ABOUT_THE_DACL: u16 = 0x0008 | 0x0100 | 0x0400 | DACL_PROTECTED;

/// Who owns an object, and who may do what to it. What is audited is neither read nor written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityDescriptor {
    pub(super) control: u16,
    pub owner: Option<SecurityIdentifier>,
    pub group: Option<SecurityIdentifier>,
    /// None: without a list everybody may do everything (MS-DTYP 2.5.3.2).
    pub dacl: Option<Acl>,
}

/// A list of entries, in the order in which they are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acl {
    revision: u8,
    pub aces: Vec<Ace>,
}

impl SecurityDescriptor {
    /// # Errors
    /// When the bytes are no descriptor.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let header = bytes.first_chunk::<HEADER>().ok_or(Malformed::Cut)?;
        let [REVISION, _, control_low, control_high, offsets @ ..] = header else {
            return Err(Malformed::Revision);
        };
        let control = u16::from_le_bytes([*control_low, *control_high]);
        if control & SELF_RELATIVE == 0 {
            return Err(Malformed::Revision);
        }
        let (offsets, _) = offsets.as_chunks::<4>();
        let at = |which: usize| -> Result<Option<&[u8]>, Malformed> {
            let offset = offsets
                .get(which)
                .map_or(0, |word| u32::from_le_bytes(*word));
            if offset == 0 {
                return Ok(None);
            }
            let offset = usize::try_from(offset).map_err(|_| Malformed::Cut)?;
            bytes.get(offset..).map(Some).ok_or(Malformed::Cut)
        };
        let identifier = |which| -> Result<Option<SecurityIdentifier>, Malformed> {
            at(which)?
                .map(|bytes| sid(bytes).map(|(sid, _)| sid))
                .transpose()
        };
        let dacl = match at(3)? {
            Some(bytes) if control & DACL_PRESENT != 0 => Some(Acl::parse(bytes)?),
            _ => None,
        };
        Ok(Self {
            control,
            owner: identifier(0)?,
            group: identifier(1)?,
            dacl,
        })
    }

    /// # Errors
    /// When it has grown beyond what the format can hold.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Malformed> {
        let mut bytes = vec![0; HEADER];
        let mut offsets = [0_u32; 4];
        let parts = [
            self.owner.as_ref().map(SecurityIdentifier::to_bytes),
            self.group.as_ref().map(SecurityIdentifier::to_bytes),
            None, // the SACL
            self.dacl.as_ref().map(Acl::to_bytes).transpose()?,
        ];
        for (offset, part) in offsets.iter_mut().zip(parts) {
            if let Some(part) = part {
                *offset = u32::try_from(bytes.len()).map_err(|_| Malformed::TooLong)?;
                bytes.extend(part);
            }
        }
        let mut control = SELF_RELATIVE | (self.control & ABOUT_THE_DACL);
        if self.dacl.is_some() {
            control |= DACL_PRESENT;
        }
        let mut header = vec![REVISION, 0];
        header.extend(control.to_le_bytes());
        header.extend(offsets.into_iter().flat_map(u32::to_le_bytes));
        bytes.splice(..HEADER, header);
        Ok(bytes)
    }

    /// Nothing is inherited from above.
    pub const fn blocks_inheritance(&self) -> bool {
        self.control & DACL_PROTECTED != 0
    }

    /// The list alone: what is written back must not name an owner.
    #[must_use]
    pub fn with_dacl_alone(&self, dacl: Acl) -> Self {
        Self {
            control: self.control,
            owner: None,
            group: None,
            dacl: Some(dacl),
        }
    }

    #[cfg(test)]
    pub(super) fn for_test(protected: bool, aces: Vec<Ace>) -> Self {
        Self {
            control: SELF_RELATIVE | DACL_PRESENT | if protected { DACL_PROTECTED } else { 0 },
            owner: None,
            group: None,
            dacl: Some(Acl::of(aces)),
        }
    }
}

impl Acl {
    #[cfg(test)]
    pub(super) const fn of(aces: Vec<Ace>) -> Self {
        Self {
            revision: ACL_REVISION_DS,
            aces,
        }
    }

    fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let header = bytes.first_chunk::<ACL_HEADER>().ok_or(Malformed::Cut)?;
        let [revision, _, size_low, size_high, count_low, count_high, ..] = *header;
        if revision != ACL_REVISION && revision != ACL_REVISION_DS {
            return Err(Malformed::Revision);
        }
        let size = usize::from(u16::from_le_bytes([size_low, size_high]));
        let count = u16::from_le_bytes([count_low, count_high]);
        let mut rest = bytes.get(ACL_HEADER..size).ok_or(Malformed::Cut)?;
        // grown as they are read: the count is not believed
        let mut aces = Vec::new();
        for _ in 0..count {
            let (ace, following) = Ace::parse(rest)?;
            aces.push(ace);
            rest = following;
        }
        Ok(Self { revision, aces })
    }

    fn to_bytes(&self) -> Result<Vec<u8>, Malformed> {
        let mut body = Vec::new();
        for ace in &self.aces {
            ace.write(&mut body)?;
        }
        let revision = if self.aces.iter().any(Ace::is_object) {
            ACL_REVISION_DS
        } else {
            self.revision
        };
        let size = u16::try_from(ACL_HEADER + body.len()).map_err(|_| Malformed::TooLong)?;
        let count = u16::try_from(self.aces.len()).map_err(|_| Malformed::TooLong)?;
        let mut bytes = vec![revision, 0];
        bytes.extend(size.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.extend([0, 0]);
        bytes.extend(body);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::permissions::ace::Entry;

    /// `O:BAG:BAD:P(A;CI;GA;;;SY)(OA;CIIO;CR;00299570-…;bf967aba-…;S-1-5-21-1-2-3-1104)`, by hand.
    const KNOWN: &str = "01000494 14000000 24000000 00000000 34000000\
        0102000000000005 20000000 20020000\
        0102000000000005 20000000 20020000\
        0400 6400 0200 0000\
        00021400 00000010 0101000000000005 12000000\
        050a4800 00010000 03000000\
        70952900 6d24 d011 a768 00aa006e0529\
        ba7a96bf e60d d011 a285 00aa003049e2\
        0105000000000005 15000000 01000000 02000000 03000000 50040000";

    fn known() -> Vec<u8> {
        hex::decode(KNOWN.replace(' ', "")).unwrap()
    }

    #[test]
    fn a_descriptor_is_read_and_written_back() {
        let bytes = known();
        let descriptor = SecurityDescriptor::parse(&bytes).unwrap();
        assert!(descriptor.blocks_inheritance());
        assert_eq!(
            descriptor.owner.as_ref().unwrap().to_string(),
            "S-1-5-32-544"
        );
        let aces = &descriptor.dacl.as_ref().unwrap().aces;
        let reset = aces[1].entry().unwrap();
        assert_eq!(reset.trustee.to_string(), "S-1-5-21-1-2-3-1104");
        assert_eq!((reset.mask, reset.flags), (0x100, 0x0a));
        assert_eq!(
            reset.object_type,
            Some(uuid::uuid!("00299570-246d-11d0-a768-00aa006e0529"))
        );
        assert_eq!(
            reset.inherited_object_type,
            Some(uuid::uuid!("bf967aba-0de6-11d0-a285-00aa003049e2"))
        );
        assert_eq!(descriptor.to_bytes().unwrap(), bytes);
    }

    #[test]
    fn every_cut_is_refused_and_none_panics() {
        let whole = SecurityDescriptor::for_test(true, vec![Ace::Entry(an_entry(7, 3))])
            .to_bytes()
            .unwrap();
        for length in 0..whole.len() {
            assert!(
                SecurityDescriptor::parse(&whole[..length]).is_err(),
                "{length}"
            );
        }
    }

    fn an_entry(mask: u32, rid: u32) -> Entry {
        Entry::allowing(
            mask,
            0,
            Uuid::from_u128(1),
            None,
            format!("S-1-5-21-1-2-3-{rid}").parse().unwrap(),
        )
    }

    fn any_ace() -> impl Strategy<Value = Ace> {
        let guid = || proptest::option::of(any::<u128>().prop_map(Uuid::from_u128));
        let entry = (any::<(bool, u8, u32, u32)>(), guid(), guid()).prop_map(
            |((denies, flags, mask, rid), object_type, inherited_object_type)| {
                Ace::Entry(Entry {
                    denies,
                    flags,
                    object_type,
                    inherited_object_type,
                    ..an_entry(mask, rid)
                })
            },
        );
        let other = (
            9_u8..20,
            any::<u8>(),
            proptest::collection::vec(any::<u8>(), 0..40),
        )
            .prop_map(|(kind, flags, body)| Ace::Other { kind, flags, body });
        prop_oneof![entry, other]
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = SecurityDescriptor::parse(&bytes);
        }

        #[test]
        fn a_damaged_descriptor_is_read_or_refused(at in 0_usize..150, byte: u8) {
            let mut bytes = known();
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
            let _ = SecurityDescriptor::parse(&bytes);
        }

        #[test]
        fn what_is_written_is_read_back(protected: bool, aces in proptest::collection::vec(any_ace(), 0..12)) {
            let descriptor = SecurityDescriptor::for_test(protected, aces);
            let bytes = descriptor.to_bytes().unwrap();
            prop_assert_eq!(SecurityDescriptor::parse(&bytes).unwrap(), descriptor);
        }
    }
}

use proptest::prelude::*;

use super::*;
use crate::permissions::right::{
    CONTROL_ACCESS, INET_ORG_PERSON, RESET_PASSWORD, Right, Schema, USER,
    USER_ACCOUNT_RESTRICTIONS, WRITE_PROPERTY,
};

const SERVICE: &str = "S-1-5-21-1-2-3-1104";
const GROUP: &str = "S-1-5-21-1-2-3-2000";
const ANA: &str = "S-1-5-21-1-2-3-1105";

fn sid(text: &str) -> SecurityIdentifier {
    text.parse().unwrap()
}

fn token() -> Token {
    Token::new(sid(SERVICE), [sid(GROUP)])
}

fn entry(denies: bool, trustee: &str, mask: u32, object_type: Option<Uuid>) -> Entry {
    Entry {
        denies,
        object_type,
        ..Entry::allowing(mask, 0, Uuid::nil(), None, sid(trustee))
    }
}

fn allow(trustee: &str, mask: u32, object_type: Option<Uuid>) -> Entry {
    entry(false, trustee, mask, object_type)
}

fn deny(trustee: &str, mask: u32, object_type: Option<Uuid>) -> Entry {
    entry(true, trustee, mask, object_type)
}

fn flagged(flags: u8, class: Option<Uuid>, entry: Entry) -> Entry {
    Entry {
        flags,
        inherited_object_type: class,
        ..entry
    }
}

fn descriptor(entries: &[Entry]) -> SecurityDescriptor {
    SecurityDescriptor::for_test(false, entries.iter().cloned().map(Ace::Entry).collect())
}

fn holds(entries: &[Entry], right: Right) -> bool {
    let descriptor = descriptor(entries);
    let object = Object {
        descriptor: &descriptor,
        sid: Some(&sid(ANA)),
    };
    check(
        &token(),
        object,
        &Schema::default().asked(right, Some(USER)),
    )
    .holds()
}

fn holds_below(entries: &[Entry], class: Uuid, right: Right) -> bool {
    let schema = Schema::default();
    let asked = schema.asked(right, Some(class));
    check_below(&token(), &descriptor(entries), class, &asked).holds()
}

#[test]
fn nothing_said_is_nothing_given() {
    assert!(!holds(&[], Right::ResetPassword));
    let without = SecurityDescriptor {
        dacl: None,
        ..descriptor(&[])
    };
    let object = Object {
        descriptor: &without,
        sid: None,
    };
    let asked = Schema::default().asked(Right::ResetPassword, None);
    assert_eq!(check(&token(), object, &asked), Verdict::GrantedToAll);
}

#[test]
fn an_extended_right_is_given_by_name_or_with_all_of_them() {
    let reset = Right::ResetPassword;
    assert!(holds(
        &[allow(SERVICE, CONTROL_ACCESS, Some(RESET_PASSWORD))],
        reset
    ));
    assert!(holds(&[allow(GROUP, CONTROL_ACCESS, None)], reset));
    assert!(holds(&[allow("S-1-5-11", 0x1000_0000, None)], reset));
    assert!(!holds(
        &[allow(SERVICE, WRITE_PROPERTY, Some(RESET_PASSWORD))],
        reset
    ));
    assert!(!holds(
        &[allow(ANA, CONTROL_ACCESS, Some(RESET_PASSWORD))],
        reset
    ));
    // an entry on the class says nothing of control access rights
    assert!(!holds(&[allow(SERVICE, CONTROL_ACCESS, Some(USER))], reset));
}

#[test]
fn a_property_set_gives_its_attributes() {
    let set = [allow(
        SERVICE,
        WRITE_PROPERTY,
        Some(USER_ACCOUNT_RESTRICTIONS),
    )];
    assert!(holds(&set, Right::WritePwdLastSet));
    assert!(!holds(&set, Right::WriteLockoutTime));
    let class = [allow(SERVICE, WRITE_PROPERTY, Some(USER))];
    assert!(holds(&class, Right::WriteLockoutTime));
}

#[test]
fn the_first_word_counts() {
    let reset = Some(RESET_PASSWORD);
    let denied = deny(GROUP, CONTROL_ACCESS, reset);
    let allowed = allow(SERVICE, CONTROL_ACCESS, reset);
    assert!(!holds(
        &[denied.clone(), allowed.clone()],
        Right::ResetPassword
    ));
    // an explicit grant stands before an inherited denial
    let from_above = flagged(INHERITED, None, denied);
    assert!(holds(&[allowed.clone(), from_above], Right::ResetPassword));
    // what is denied to others, or is another right, is no word on this
    let others = deny(ANA, CONTROL_ACCESS, reset);
    let another = deny(SERVICE, CONTROL_ACCESS, Some(Uuid::from_u128(9)));
    assert!(holds(&[others, another, allowed], Right::ResetPassword));
}

#[test]
fn what_is_only_inherited_does_not_count_here_but_below() {
    let given = flagged(
        CONTAINER_INHERIT | INHERIT_ONLY,
        Some(USER),
        allow(SERVICE, CONTROL_ACCESS, Some(RESET_PASSWORD)),
    );
    let list = [given];
    assert!(!holds(&list, Right::ResetPassword));
    assert!(holds_below(&list, USER, Right::ResetPassword));
    assert!(!holds_below(&list, INET_ORG_PERSON, Right::ResetPassword));
    let for_all = [Entry {
        inherited_object_type: None,
        ..list[0].clone()
    }];
    assert!(holds_below(&for_all, INET_ORG_PERSON, Right::ResetPassword));
    let children_only = [Entry {
        flags: list[0].flags | NO_PROPAGATE,
        ..list[0].clone()
    }];
    assert!(!holds_below(&children_only, USER, Right::ResetPassword));
    let here_only = [Entry {
        flags: 0,
        ..list[0].clone()
    }];
    assert!(!holds_below(&here_only, USER, Right::ResetPassword));
}

#[test]
fn self_is_the_object_itself() {
    let given = [allow(PRINCIPAL_SELF, CONTROL_ACCESS, None)];
    assert!(!holds(&given, Right::ChangePassword));
    let descriptor = descriptor(&given);
    let ana = sid(ANA);
    let object = Object {
        descriptor: &descriptor,
        sid: Some(&ana),
    };
    let asked = Schema::default().asked(Right::ChangePassword, None);
    assert!(check(&Token::new(ana.clone(), []), object, &asked).holds());
}

#[test]
fn an_owner_has_what_is_given_to_owners() {
    let owned = SecurityDescriptor {
        owner: Some(sid(GROUP)),
        ..descriptor(&[allow(OWNER_RIGHTS, CONTROL_ACCESS, None)])
    };
    let object = Object {
        descriptor: &owned,
        sid: None,
    };
    let asked = Schema::default().asked(Right::ResetPassword, None);
    assert!(check(&token(), object, &asked).holds());
    assert!(!check(&Token::new(sid(ANA), []), object, &asked).holds());
}

#[test]
fn what_sweeps_is_told_with_whose_entry_it_is() {
    let list = descriptor(&[
        deny(GROUP, 0x4_0000, None),
        allow(GROUP, 0x1000_0000, None),
        allow(SERVICE, CONTROL_ACCESS, Some(RESET_PASSWORD)),
        allow(ANA, FULL_CONTROL, None),
    ]);
    let found = sweeping_on(&token(), &list);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0 & FULL_CONTROL, FULL_CONTROL & !0x4_0000);
    assert_eq!(found[0].1.trustee, sid(GROUP));
}

proptest! {
    /// One more denial never gives a right.
    #[test]
    fn a_denial_in_front_takes_away(
        masks in proptest::collection::vec((any::<bool>(), any::<u32>()), 0..8),
    ) {
        let mut list: Vec<Entry> = masks
            .into_iter()
            .map(|(denies, mask)| entry(denies, SERVICE, mask, None))
            .collect();
        list.insert(0, deny(SERVICE, CONTROL_ACCESS, None));
        prop_assert!(!holds(&list, Right::ResetPassword));
    }
}

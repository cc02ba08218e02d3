use proptest::prelude::*;

use super::*;

#[test]
fn a_source_anchor_is_sixteen_bytes() {
    let anchor: SourceAnchor = "F39SkR1Zf0uyBVz9HXbEag==".parse().expect("16 bytes");
    assert_eq!(anchor.to_string(), "F39SkR1Zf0uyBVz9HXbEag==");
    for wrong in [
        "",
        "F39SkR1Zf0uyBVz9HXbE",
        "not base64!",
        "F39SkR1Zf0uyBVz9HXbEag",
        "*)(objectClass=*",
    ] {
        assert!(wrong.parse::<SourceAnchor>().is_err(), "{wrong}");
    }
}

#[test]
fn an_object_guid_is_shown_in_the_directorys_dashed_form() {
    // MS-DTYP 2.3.4.2: the first three fields are little-endian
    let guid = ObjectGuid::from_bytes([
        0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee,
        0xff,
    ]);
    assert_eq!(guid.to_string(), "00112233-4455-6677-8899-aabbccddeeff");
    assert_eq!(guid.to_string().parse(), Ok(guid));
}

#[test]
fn malformed_identifiers_are_refused() {
    for wrong in [
        "",
        "S-1-5",
        "S-1-5-",
        "S-2-5-21",
        "S-1-5-21-4294967296",
        "S-1-5-+1",
        "S-1-5-21-1 ",
    ] {
        assert!(wrong.parse::<SecurityIdentifier>().is_err(), "{wrong}");
    }
    for wrong in [
        "",
        "ana",
        "@corp",
        "ana@",
        "ana\0@corp.example.com",
        "ana@corp\n",
    ] {
        assert!(wrong.parse::<UserPrincipalName>().is_err(), "{wrong:?}");
    }
    for wrong in [
        "",
        "Corp",
        "-corp",
        "co rp",
        "corp.",
        "abcdefghijklmnopqrstuvwxyzabcdefg",
    ] {
        assert!(wrong.parse::<ForestId>().is_err(), "{wrong}");
    }
    for wrong in ["", "corp..com", ".corp", "corp,DC=x", "a b"] {
        assert!(wrong.parse::<DomainName>().is_err(), "{wrong}");
    }
}

#[test]
fn principal_names_compare_without_case() {
    let one: UserPrincipalName = "Ana.Silva@Corp.Example.com".parse().expect("well formed");
    let other: UserPrincipalName = "ana.silva@corp.example.COM".parse().expect("well formed");
    assert_eq!(one, other);
}

proptest! {
    #[test]
    fn security_identifiers_survive_text_and_bytes(
        authority in 0u64..1 << 48,
        sub_authorities in prop::collection::vec(any::<u32>(), 1..=15),
    ) {
        let sid = SecurityIdentifier { authority, sub_authorities };
        prop_assert_eq!(&sid.to_string().parse::<SecurityIdentifier>().expect("own text"), &sid);
        prop_assert_eq!(&SecurityIdentifier::from_bytes(&sid.to_bytes()).expect("own bytes"), &sid);
    }

    #[test]
    fn no_bytes_make_the_sid_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = SecurityIdentifier::from_bytes(&bytes).map(|sid| sid.to_string());
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in ".{0,80}") {
        let _ = text.parse::<SecurityIdentifier>();
        let _ = text.parse::<SourceAnchor>();
        let _ = text.parse::<UserPrincipalName>();
        let _ = text.parse::<DomainName>();
        let _ = text.parse::<ForestId>();
        let _ = text.parse::<ObjectGuid>();
    }
}

use std::collections::HashSet;

use super::*;

#[test]
fn every_reason_has_its_own_code_and_survives_the_wire() {
    let codes: HashSet<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
    assert_eq!(codes.len(), Reason::ALL.len());
    for reason in Reason::ALL {
        assert_eq!(reason.code().parse(), Ok(*reason));
        assert!(reason.status().is_terminal());
    }
}

#[test]
fn every_reason_has_a_page_that_tells_what_happened_how_to_confirm_and_how_to_mend() {
    for reason in Reason::ALL {
        let page = reason.page();
        assert!(
            page.starts_with(&format!("# {}\n", reason.code())),
            "{reason}: the title is the code"
        );
        for heading in ["## What happened", "## How to confirm", "## How to mend"] {
            let body = page.split(heading).nth(1).unwrap_or_default();
            let paragraph = body.split("\n## ").next().unwrap_or_default().trim();
            assert!(
                paragraph.len() > 40,
                "{reason}: {heading} is missing or empty"
            );
        }
        assert!(
            page.contains(reason.event_id()),
            "{reason}: the page names the event id"
        );
    }
}

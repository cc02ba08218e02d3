//! Connect to the cloud directory: whose tokens are accepted.

use crate::setup::{
    answers::Cloud,
    cloud,
    console::{Console, Leave},
    draft::Draft,
};

pub(super) async fn show(console: &mut Console<'_>, draft: &mut Draft) -> Result<(), Leave> {
    console.heading(3, "Connect to the cloud directory")?;
    console.say(
        "Who asks for passwords to be written back shows a token; intake checks its issuer, its",
    )?;
    console.say("audience and its signature.")?;
    loop {
        let known = draft.answers.cloud.clone();
        let known = known.as_ref();
        let issuer = console.ask_for(
            "Issuer",
            known.map(|cloud| cloud.issuer.as_str()),
            cloud::issuer,
        )?;
        let audience = console.ask_for(
            "Audience",
            known.map(|cloud| cloud.audience.as_str()),
            cloud::audience,
        )?;
        let kept = known
            .filter(|cloud| cloud.issuer == issuer)
            .map(|cloud| cloud.key_set.clone());
        let offered = match kept {
            Some(kept) => Some(kept),
            None => cloud::announced_key_set(&issuer).await,
        };
        let key_set = console.ask("Its signing keys, an address or a file", offered.as_deref())?;
        let answer = Cloud {
            issuer,
            audience,
            key_set,
        };
        console.say("  reading the key set …")?;
        let checked = cloud::check(draft, &answer).await;
        draft.answers.cloud = Some(answer);
        match checked {
            Ok(found) => {
                console.say(&format!("  ok: {found}"))?;
                return Ok(());
            }
            Err(complaint) => console.complain(&complaint)?,
        }
    }
}

//! What this is, and what the services need before anything else.

use std::path::PathBuf;

use crate::setup::{
    answers::{Broker, Ledger},
    console::{Complaint, Console, Leave},
    draft::Draft,
    platform,
};

pub(super) fn show(console: &mut Console<'_>, draft: &mut Draft) -> Result<(), Leave> {
    console.heading(1, "Welcome")?;
    console.say(
        "This sets up password writeback: which cloud directory may ask, which forests it is",
    )?;
    console.say(
        "written back to, and where in them. Nothing is written before the page \"Configure\".",
    )?;
    console.say("")?;
    console.say("Enter takes what stands in [brackets]. `back` goes a page back, `quit` ends.")?;
    console.say("")?;
    let state = if draft.before.is_some() {
        "it is there, and stays as it is but for what you change"
    } else {
        "it is not there yet"
    };
    console.say(&format!(
        "Configuration: {}: {state}.",
        draft.config.display()
    ))?;
    if draft.answers.broker.is_none() {
        console.say("")?;
        console.say("The services meet at a RabbitMQ virtual host.")?;
        let mut known = None;
        draft.answers.broker = Some(loop {
            let answer = ask_broker(console, known.as_ref())?;
            let complaints = platform::broker(draft, &answer);
            if complaints.is_empty() {
                break answer;
            }
            for complaint in &complaints {
                console.complain(complaint)?;
            }
            known = Some(answer);
        });
    }
    if draft.answers.ledger.is_none() {
        let mut known = None;
        draft.answers.ledger = Some(loop {
            let answer = ask_ledger(console, known.as_ref())?;
            let complaints = platform::ledger(draft, &answer);
            if complaints.is_empty() {
                break answer;
            }
            for complaint in &complaints {
                console.complain(complaint)?;
            }
            known = Some(answer);
        });
    }
    if !console.yes_or_no("Continue", true)? {
        return Err(Leave::Quit);
    }
    Ok(())
}

fn ask_broker(console: &mut Console<'_>, known: Option<&Broker>) -> Result<Broker, Leave> {
    let shown = |path: &Option<PathBuf>| {
        path.as_ref()
            .map_or_else(String::new, |path| path.display().to_string())
    };
    let url = known.map_or("amqps://rabbitmq.example.com:5671/writeback", |broker| {
        &broker.url
    });
    let file = known.map_or_else(
        || "secrets/broker-password".to_owned(),
        |broker| broker.password_file.display().to_string(),
    );
    Ok(Broker {
        url: console.ask_for("Its address", Some(url), broker_url)?,
        username: console.ask(
            "The services' user there",
            Some(known.map_or("writeback", |broker| &broker.username)),
        )?,
        password_file: PathBuf::from(console.ask("The file with its password", Some(&file))?),
        ca_file: path(&console.ask(
            "The certificate authority of its certificate, a PEM file",
            Some(&known.map_or_else(String::new, |broker| shown(&broker.ca_file))),
        )?),
    })
}

fn ask_ledger(console: &mut Console<'_>, known: Option<&Ledger>) -> Result<Ledger, Leave> {
    let shown = |path: &Option<PathBuf>| {
        path.as_ref()
            .map_or_else(String::new, |path| path.display().to_string())
    };
    let url = known.and_then(|ledger| ledger.urls.first());
    let url = url.map_or("https://audit.example.com:9500", String::as_str);
    Ok(Ledger {
        urls: vec![console.ask_for("The audit service's address", Some(url), ledger_url)?],
        ca_file: path(&console.ask(
            "The certificate authority of its certificate, a PEM file",
            Some(&known.map_or_else(String::new, |ledger| shown(&ledger.ca_file))),
        )?),
        token_file: path(&console.ask(
            "The file with your own token for it; without one the settings stay as they are",
            Some(&known.map_or_else(String::new, |ledger| shown(&ledger.token_file))),
        )?),
    })
}

fn path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| PathBuf::from(text))
}

fn broker_url(text: &str) -> Result<String, Complaint> {
    address(
        text,
        &["amqps", "amqp"],
        "the broker's address",
        "amqps://rabbitmq.example.com:5671/writeback",
    )
}

fn ledger_url(text: &str) -> Result<String, Complaint> {
    address(
        text,
        &["https", "http"],
        "the audit service's address",
        "https://audit.example.com:9500",
    )
}

fn address(text: &str, schemes: &[&str], field: &str, example: &str) -> Result<String, Complaint> {
    let complain = |problem: &str| {
        Err(Complaint::new(
            field,
            problem,
            format!("give one such as {example}"),
        ))
    };
    match url::Url::parse(text) {
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            complain("credentials do not belong in it")
        }
        Ok(url) if schemes.contains(&url.scheme()) && url.has_host() => Ok(text.to_owned()),
        _ => complain(&format!("it is no {} address", schemes.join(" or "))),
    }
}

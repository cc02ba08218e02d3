//! What this is, and what the services need before anything else.

use std::path::PathBuf;

use crate::setup::{
    answers::{Broker, Ledger},
    console::{Complaint, Console, Leave},
    draft::Draft,
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
        let url = console.ask_for(
            "Its address",
            Some("amqps://rabbitmq.example.com:5671/writeback"),
            broker_url,
        )?;
        draft.answers.broker = Some(Broker {
            url,
            username: console.ask("The services' user there", Some("writeback"))?,
            password_file: PathBuf::from(console.ask(
                "The file with its password",
                Some("secrets/broker-password"),
            )?),
            ca_file: path(console.ask(
                "The certificate authority of its certificate, a PEM file",
                Some(""),
            )?),
        });
    }
    if draft.answers.ledger.is_none() {
        let url = console.ask_for(
            "The audit service's address",
            Some("https://audit.example.com:9500"),
            ledger_url,
        )?;
        draft.answers.ledger = Some(Ledger {
            urls: vec![url],
            ca_file: path(console.ask(
                "The certificate authority of its certificate, a PEM file",
                Some(""),
            )?),
            token_file: path(console.ask(
                "The file with your own token for it; without one the settings stay as they are",
                Some(""),
            )?),
        });
    }
    console.ask("Continue", Some("yes"))?;
    Ok(())
}

fn path(text: String) -> Option<PathBuf> {
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

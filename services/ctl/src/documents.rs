//! Every command that a document gives an operator is one that there is.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::{Parser as _, error::ErrorKind};

use super::{Arguments, Command, permissions::Permissions};

const FOLDERS: [&str; 6] = [
    "",
    "docs",
    "docs/runbooks",
    "crates/operation/src/reasons",
    "deploy/kubernetes",
    "deploy/compose",
];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> = FOLDERS
        .iter()
        .flat_map(|folder| fs::read_dir(repository().join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "md"))
        .collect();
    pages.sort();
    pages
}

/// The commands in a page's blocks (true) and between its backticks; a line that ends with a backslash goes on.
fn commands(text: &str) -> Vec<(bool, String)> {
    let mut found = Vec::new();
    let mut in_block = false;
    let joined = text.replace("\\\n", " ");
    for line in joined.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            found.extend(command(line).map(|command| (true, command)));
        } else {
            // of a text between backticks every second piece
            let quoted = line.split('`').skip(1).step_by(2).filter_map(command);
            found.extend(quoted.map(|command| (false, command)));
        }
    }
    found
}

/// What stands before the command itself: where it is run.
const BEFORE: [&str; 4] = [
    "writebackctl ",
    "$ctl ",
    "target/debug/writebackctl ",
    "docker-compose run --rm ctl ",
];

fn command(line: &str) -> Option<String> {
    let line = line.trim();
    let rest = BEFORE.iter().find_map(|before| line.strip_prefix(before))?;
    // `writebackctl COMMAND --help` and the like speak of commands in general
    let placeholder = rest
        .split_whitespace()
        .next()
        .is_some_and(|word| word.chars().all(|letter| letter.is_ascii_uppercase()));
    (!placeholder).then(|| rest.to_owned())
}

/// The words of a line as a shell divides it, to the end of the command. Nothing is expanded.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, '|' | '>' | '<' | ';' | '&' | ')') => break,
            (None, '#') if word.is_none() => break,
            (None, _) if letter.is_whitespace() => words.extend(word.take()),
            (_, _) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

/// Placeholders stand for something that has their shape.
fn filled(word: String) -> String {
    match word.as_str() {
        "ID" => "0198c0de-0000-7000-8000-000000000001".to_owned(),
        "CODE" => "password-policy".to_owned(),
        "ENTRY:HASH" => format!("5:{}", "0".repeat(64)),
        "FOREST" => "corp".to_owned(),
        "$upn" => "ana@corp.example.com".to_owned(),
        _ => word,
    }
}

fn is_unfinished(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::MissingRequiredArgument
            | ErrorKind::MissingSubcommand
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    )
}

#[test]
fn every_command_in_the_documents_is_one_that_there_is() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for (in_block, line) in commands(&text) {
            seen += 1;
            let arguments = words(&line).into_iter().map(filled);
            let line_of = std::iter::once("writebackctl".to_owned()).chain(arguments);
            let parsed = Arguments::try_parse_from(line_of);
            let fault = match parsed {
                // a sentence may speak of a command without what is given to it
                Err(error) if !in_block && is_unfinished(error.kind()) => None,
                Err(error) if error.use_stderr() => Some(error.to_string()),
                // whose hand it is has no default, and is asked for by nothing but this
                Ok(Arguments {
                    command: Command::Permissions(Permissions::Grant(_)),
                    ..
                }) if !line.contains("--administrator") && !line.contains("--print") => {
                    Some("it does not say who".to_owned())
                }
                _ => None,
            };
            if let Some(fault) = fault {
                let page = page.file_name().unwrap().to_string_lossy().into_owned();
                wrong.push(format!("{page}: writebackctl {line}\n{fault}"));
            }
        }
    }
    assert!(seen > 60, "only {seen} commands were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

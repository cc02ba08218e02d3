//! The answers as a page.

use std::fmt::Write as _;

use crate::{Answer, CASES};

/// A Markdown table: a row for each case, a column for each directory.
pub fn markdown(columns: &[(String, Vec<Answer>)]) -> String {
    let mut page = String::from("| case |");
    for (name, _) in columns {
        let _ = write!(page, " {name} |");
    }
    page.push_str("\n|---|");
    page.push_str(&"---|".repeat(columns.len()));
    for (row, case) in CASES.iter().enumerate() {
        let _ = write!(page, "\n| {} |", case.name);
        for (_, answers) in columns {
            let cell = match answers.get(row) {
                Some(Answer::Kept(said)) => said.clone(),
                Some(Answer::Broken(said)) => format!("**{said}**"),
                Some(Answer::NotTried(why)) => format!("not tried: {why}"),
                None => String::new(),
            };
            let _ = write!(page, " {} |", cell.replace('|', "\\|"));
        }
    }
    page.push('\n');
    page
}

//! Plain tables: columns as wide as their widest cell, the last one unbounded.

use std::io::{self, Write};

pub(crate) fn print(
    out: &mut impl Write,
    headings: &[&str],
    rows: &[Vec<String>],
) -> io::Result<()> {
    let headings: Vec<String> = headings
        .iter()
        .map(|heading| (*heading).to_owned())
        .collect();
    let widths: Vec<usize> = (0..headings.len())
        .map(|column| {
            std::iter::once(&headings)
                .chain(rows)
                .filter_map(|row| row.get(column))
                .map(|cell| printable(cell).chars().count())
                .max()
                .unwrap_or_default()
        })
        .collect();
    for row in std::iter::once(&headings).chain(rows) {
        let line: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{:width$}", printable(cell)))
            .collect();
        writeln!(out, "{}", line.join("  ").trim_end())?;
    }
    Ok(())
}

/// What others wrote into the ledger must not steer the operator's terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() || turns_text(c) {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

/// Characters that change the direction of what follows (Unicode TR 9): a name could look like another.
fn turns_text(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_control_characters_are_replaced() {
        let mut out = Vec::new();
        let rows = [
            vec!["a".to_owned(), "b\u{1b}[2J".to_owned()],
            vec!["long".to_owned(), String::new()],
        ];
        print(&mut out, &["X", "Y"], &rows).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "X     Y\na     b\u{fffd}[2J\nlong\n"
        );
    }
}

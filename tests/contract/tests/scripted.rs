//! The scripted directory keeps the contract, and the page says what it answers. The lab's forests are
//! asked in the end-to-end tests.

use contract::{Answer, CASES, Scripted, run};

const PAGE: &str = include_str!("../../../docs/contract.md");

#[tokio::test]
async fn the_scripted_directory_keeps_the_contract() {
    let scripted = Scripted::start().await.unwrap();
    let answers = run(&scripted).await.unwrap();
    assert_eq!(answers.len(), CASES.len());
    for (case, answer) in CASES.iter().zip(answers) {
        let Answer::Kept(said) = answer else {
            panic!("{}: {answer:?}", case.name);
        };
        let row = format!("\n| {} | {said} |", case.name);
        assert!(PAGE.contains(&row), "not in docs/contract.md: {row}");
    }
}

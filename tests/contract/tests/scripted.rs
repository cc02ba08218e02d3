//! The scripted directory keeps the contract; the lab's forests are asked in the end-to-end tests.

use contract::{Answer, CASES, Scripted, run};

#[tokio::test]
async fn the_scripted_directory_keeps_the_contract() {
    let scripted = Scripted::start().await.unwrap();
    let answers = run(&scripted).await.unwrap();
    for (case, answer) in CASES.iter().zip(answers) {
        assert!(
            matches!(answer, Answer::Kept(_)),
            "{}: {answer:?}",
            case.name
        );
    }
}

//! The lab's forests answer as every directory must, in an organizational unit of their own.

use anyhow::ensure;
use contract::{CASES, Live, LiveConfig, run};

#[tokio::test]
async fn the_forests_keep_the_contract() -> anyhow::Result<()> {
    for forest in &lab::Lab::load()?.forests {
        let forest = Live::enter(LiveConfig::of_lab(forest)?).await?;
        let answers = run(&forest).await;
        forest.leave().await?;
        for (case, answer) in CASES.iter().zip(answers?) {
            ensure!(!answer.is_broken(), "{}: {answer:?}", case.name);
        }
    }
    Ok(())
}

//! Prints what every directory within reach answers: the scripted one, the running lab's, and the one
//! that `WRITEBACK_CONTRACT_URL` names. Ends non-zero if one does not keep the contract.

use std::process::ExitCode;

use contract::{Answer, Live, LiveConfig, Scripted, Target as _, markdown, run};

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let mut columns = Vec::new();
    let scripted = Scripted::start().await?;
    columns.push((scripted.name(), run(&scripted).await?));
    let mut forests: Vec<LiveConfig> = Vec::new();
    match lab::Lab::load() {
        // the lab's forests are alike
        Ok(lab) => {
            for forest in lab.forests.iter().take(1) {
                forests.push(LiveConfig::of_lab(forest)?);
            }
        }
        Err(_) => eprintln!("contract: the lab is not up (`make up`); its forests are left out"),
    }
    forests.extend(LiveConfig::of_environment()?);
    for forest in forests {
        let forest = Live::enter(forest).await?;
        let answers = run(&forest).await;
        columns.push((forest.name(), Vec::new()));
        forest.leave().await?;
        if let Some((_, column)) = columns.last_mut() {
            *column = answers?;
        }
    }
    print!("{}", markdown(&columns));
    let kept = !columns
        .iter()
        .flat_map(|(_, answers)| answers)
        .any(Answer::is_broken);
    Ok(if kept {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

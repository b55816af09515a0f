//! `leveret backup` and `leveret restore`.

use std::error::Error;
use std::path::Path;
use std::path::PathBuf;

use crate::admin;
use crate::admin::Request;
use crate::cli::store;
use crate::settings::Override;
use crate::settings::Settings;
use crate::settings::Sources;
use crate::store::offline;

/// Asks the node that runs for a backup. Without a data directory it is the one that the settings name.
pub(super) fn backup(
    config: Option<PathBuf>,
    data_dir: Option<String>,
    target: &Path,
) -> Result<(), Box<dyn Error>> {
    let overrides = data_dir.into_iter().map(|dir| Override {
        option: "--data-dir".to_owned(),
        key: "data_dir".to_owned(),
        values: vec![dir],
    });
    let settings = Settings::load(&Sources::of_process(config, overrides.collect()))?;
    // The node has a working directory of its own.
    let target = std::path::absolute(target)?;
    let request = Request::Backup {
        target: target.clone(),
    };
    let made = admin::call(&settings.data_dir, &request)?;
    println!(
        "backup in {}: {} messages, {} bytes",
        target.display(),
        made["messages"],
        made["file_bytes"]
    );
    Ok(())
}

/// Puts a backup in place as a data directory.
pub(super) fn restore(backup: &Path, dir: &Path) -> Result<(), Box<dyn Error>> {
    let found = offline::restore(backup, dir)?;
    if !found.is_sound() {
        for damaged in &found.damaged {
            eprintln!("leveret: {}", store::damaged_text(damaged));
        }
        return Err(format!(
            "{} is damaged in {} places and was not put in place: to use what is left of it, copy its files to {} by hand",
            backup.display(),
            found.damaged_total,
            dir.display()
        )
        .into());
    }
    let messages: u64 = found.queues.values().map(|queue| queue.messages).sum();
    println!(
        "{} has {messages} messages now: start a broker with --data-dir {}",
        dir.display(),
        dir.display()
    );
    Ok(())
}

//! `export_definitions` and `import_definitions`: files on this side, the document on the node's.

use std::io;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

use clap::Args;

use crate::admin::Operation;
use crate::cli::ctl::DATA;
use crate::cli::ctl::Failure;
use crate::cli::ctl::Outcome;
use crate::cli::ctl::UNAVAILABLE;
use crate::cli::ctl::commands::Run;
use crate::cli::ctl::commands::bad_argument;
use crate::cli::ctl::tool::Tool;

fn check_format(format: &str) -> Outcome {
    match format.to_ascii_lowercase().as_str() {
        "json" => Ok(()),
        "erlang" => Err(Failure::new(
            UNAVAILABLE,
            "Erlang's term format is not supported by Leveret: use --format json",
        )),
        _ => Err(bad_argument("Format should be either json or erlang")),
    }
}

/// RabbitMQ's words for a file that cannot be used.
fn file_failure(path: &Path, error: &io::Error, to: &str) -> Failure {
    let path = path.display();
    #[expect(clippy::wildcard_enum_match_arm, reason = "any other is told as it is")]
    let text = match error.kind() {
        io::ErrorKind::NotFound => format!("Parent directory or file {path} does not exist"),
        io::ErrorKind::NotADirectory => {
            format!("Parent directory of file {path} is not a directory")
        }
        io::ErrorKind::StorageFull => format!("No space left on device hosting {path}"),
        io::ErrorKind::PermissionDenied => {
            format!("No permissions to {to} file {path} or its parent directory")
        }
        io::ErrorKind::IsADirectory => format!("Path {path} is a directory"),
        _ => format!("Could not {to} file {path}: {error}"),
    };
    Failure::new(DATA, text)
}

/// Write definitions to a file: export_definitions /backup/definitions.json.
#[derive(Args)]
pub(super) struct ExportDefinitions {
    /// File, or - for standard output
    file: PathBuf,
    /// json
    #[arg(long, default_value = "json")]
    format: String,
}

impl Run for ExportDefinitions {
    fn run(self, tool: &Tool) -> Outcome {
        check_format(&self.format)?;
        let file = self.file.as_path();
        let to_stdout = file == Path::new("-");
        let directory = file.parent().filter(|parent| *parent != Path::new(""));
        if let Some(directory) = directory
            && !directory.exists()
        {
            let text = format!("Directory {} does not exist", directory.display());
            return Err(bad_argument(&text));
        }
        if !to_stdout {
            tool.banner(&format!(
                "Exporting definitions in JSON to a file at \"{}\" ...",
                file.display()
            ));
        }
        let document = tool.call(Operation::ExportDefinitions)?.to_string();
        if to_stdout {
            tool.print(&document);
            return Ok(());
        }
        std::fs::write(file, document).map_err(|error| file_failure(file, &error, "write to"))?;
        tool.done("");
        Ok(())
    }
}

/// Take definitions: import_definitions /backup/definitions.json.
#[derive(Args)]
pub(super) struct ImportDefinitions {
    /// File; without one standard input
    file: Option<PathBuf>,
    /// json
    #[arg(long, default_value = "json")]
    format: String,
    /// Not when the same definitions were the last that were imported so
    #[arg(long = "skip-if-unchanged")]
    skip_if_unchanged: bool,
}

impl Run for ImportDefinitions {
    fn run(self, tool: &Tool) -> Outcome {
        check_format(&self.format)?;
        let skip_if_unchanged = self.skip_if_unchanged;
        let file = self.file.as_deref().filter(|file| *file != Path::new("-"));
        if let Some(file) = file
            && !file.exists()
        {
            let text = format!("File {} does not exist", file.display());
            return Err(bad_argument(&text));
        }
        let document = match file {
            Some(file) => {
                let shown = file.display();
                tool.banner(&format!(
                    "Importing definitions in JSON from a file at \"{shown}\" ..."
                ));
                let read = std::fs::read(file);
                let read = read.map_err(|error| file_failure(file, &error, "read from"))?;
                if read.is_empty() {
                    return Err(Failure::new(DATA, format!("File {shown} is zero-sized")));
                }
                read
            }
            None => {
                tool.banner("Importing definitions in JSON from standard input ...");
                let mut document = Vec::new();
                let read = io::stdin().lock().read_to_end(&mut document);
                read.map_err(|error| {
                    Failure::new(DATA, format!("Could not read from standard input: {error}"))
                })?;
                document
            }
        };
        // Here too, for nobody need be asked about what is no JSON.
        serde_json::from_slice::<serde::de::IgnoredAny>(&document).map_err(|error| {
            let text = format!("Failed to deserialise input (format: JSON) (error: {error})");
            Failure::new(DATA, text)
        })?;
        tool.call_with_body(
            Operation::ImportDefinitions { skip_if_unchanged },
            &document,
        )?;
        if tool.is_for_machines() {
            tool.done("");
        } else {
            tool.banner(
                "Successfully started definition import. This process is asynchronous and can take some time.",
            );
        }
        Ok(())
    }
}

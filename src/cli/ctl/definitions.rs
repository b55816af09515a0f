//! `export_definitions` and `import_definitions`: files on this side, the document on the node's.

use std::io;
use std::io::Read;
use std::path::Path;

use crate::admin::Operation;
use crate::cli::ctl::DATA;
use crate::cli::ctl::Failure;
use crate::cli::ctl::Outcome;
use crate::cli::ctl::Tool;
use crate::cli::ctl::UNAVAILABLE;
use crate::cli::ctl::keep::bad_argument;

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

impl Tool {
    pub(super) fn export(&self, file: &Path, format: &str) -> Outcome {
        check_format(format)?;
        let to_stdout = file == Path::new("-");
        let directory = file.parent().filter(|parent| *parent != Path::new(""));
        if let Some(directory) = directory
            && !directory.exists()
        {
            let text = format!("Directory {} does not exist", directory.display());
            return Err(bad_argument(&text));
        }
        if !to_stdout {
            self.banner(&format!(
                "Exporting definitions in JSON to a file at \"{}\" ...",
                file.display()
            ));
        }
        let document = self.call(Operation::ExportDefinitions)?.to_string();
        if to_stdout {
            self.print(&document);
            return Ok(());
        }
        std::fs::write(file, document).map_err(|error| file_failure(file, &error, "write to"))?;
        self.done("");
        Ok(())
    }

    pub(super) fn import(
        &self,
        file: Option<&Path>,
        format: &str,
        skip_if_unchanged: bool,
    ) -> Outcome {
        check_format(format)?;
        let file = file.filter(|file| *file != Path::new("-"));
        if let Some(file) = file
            && !file.exists()
        {
            let text = format!("File {} does not exist", file.display());
            return Err(bad_argument(&text));
        }
        let document = match file {
            Some(file) => {
                let shown = file.display();
                self.banner(&format!(
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
                self.banner("Importing definitions in JSON from standard input ...");
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
        self.call_with_body(
            Operation::ImportDefinitions { skip_if_unchanged },
            &document,
        )?;
        if self.options.formatter.is_for_machines() {
            self.done("");
        } else {
            self.banner(
                "Successfully started definition import. This process is asynchronous and can take some time.",
            );
        }
        Ok(())
    }
}

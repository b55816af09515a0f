//! The module tree is the architecture: who may use whom, checked on the source text.
//!
//! Imports are written one path a line, so that looking at lines is exact.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// Lowest floor first. A module imports only from floors below its own.
const FLOORS: &[&[&str]] = &[
    &["model"],
    &["protocol", "routing", "store", "metrics", "logs"],
    &["connection", "queue", "auth", "perf"],
    &["vhost"],
    &["cluster"],
    &["broker"],
    &["definitions"],
    &["server", "management", "admin"],
    &["settings"],
    &["cli", "main"],
];

/// Modules that decide and never wait: no runtime in them.
const WITHOUT_TOKIO: &[&str] = &[
    "model",
    "protocol",
    "routing",
    "connection",
    "queue",
    "store",
];

struct Line {
    place: String,
    text: String,
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// All Rust files under `path`, in a steady order.
fn files(path: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path).expect("a readable directory") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            // Build output of the fuzz package.
            if !path.ends_with("target") {
                found.extend(files(&path));
            }
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Modules of the crate as the source tree has them; `lib.rs` only names them.
fn modules() -> Vec<String> {
    let mut modules = Vec::new();
    for entry in fs::read_dir(src()).expect("a readable directory") {
        let path = entry.expect("a readable entry").path();
        let name = path.file_stem().expect("a name").to_string_lossy();
        if (path.is_dir() || path.extension().is_some_and(|ending| ending == "rs")) && name != "lib"
        {
            modules.push(name.into_owned());
        }
    }
    modules.sort();
    modules.dedup();
    modules
}

/// Lines of code of `module`, without comments.
fn source_lines(module: &str) -> Vec<Line> {
    let folder = src().join(module);
    let mut paths = vec![src().join(format!("{module}.rs"))];
    paths.retain(|path| path.is_file());
    if folder.is_dir() {
        paths.extend(files(&folder));
    }
    let mut lines = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).expect("a readable file");
        for (index, line) in text.lines().enumerate() {
            if !line.trim_start().starts_with("//") {
                lines.push(Line {
                    place: format!("{}:{}", path.display(), index + 1),
                    text: line.to_owned(),
                });
            }
        }
    }
    lines
}

fn first_identifier(text: &str) -> &str {
    let end = text
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    &text[..end]
}

/// Whether `line` uses the crate `name`, as the start of a path.
fn names_crate(line: &str, name: &str) -> bool {
    let path = format!("{name}::");
    line.match_indices(&path).any(|(at, _)| {
        !line[..at]
            .chars()
            .next_back()
            .is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

/// Names after `prefix` in `line`, where `prefix` starts a path.
fn imports<'a>(line: &'a str, prefix: &str) -> Vec<&'a str> {
    line.match_indices(prefix)
        .map(|(at, _)| first_identifier(&line[at + prefix.len()..]))
        .collect()
}

#[test]
fn modules_import_only_from_floors_below() {
    let mut upward = Vec::new();
    for (floor, modules) in FLOORS.iter().enumerate() {
        for module in *modules {
            // The binary sees its own library from outside.
            let prefix = if *module == "main" {
                "leveret::"
            } else {
                "crate::"
            };
            for line in source_lines(module) {
                for name in imports(&line.text, prefix) {
                    let below = FLOORS[..floor]
                        .iter()
                        .any(|modules| modules.contains(&name));
                    let beside_main = *module == "main" && FLOORS[floor].contains(&name);
                    if name != *module && !below && !beside_main {
                        upward.push(format!("{}: {}", line.place, line.text.trim()));
                    }
                }
            }
        }
    }
    assert!(
        upward.is_empty(),
        "imports that go up, sideways or in groups:\n{}",
        upward.join("\n")
    );
}

#[test]
fn every_module_has_its_floor() {
    let homeless: Vec<String> = modules()
        .into_iter()
        .filter(|module| {
            !FLOORS
                .iter()
                .any(|modules| modules.contains(&module.as_str()))
        })
        .collect();
    assert!(homeless.is_empty(), "modules on no floor: {homeless:?}");
}

#[test]
fn what_decides_knows_no_runtime() {
    let mut found = Vec::new();
    for module in WITHOUT_TOKIO {
        for line in source_lines(module) {
            if names_crate(&line.text, "tokio") {
                found.push(format!("{}: {}", line.place, line.text.trim()));
            }
        }
    }
    assert!(
        found.is_empty(),
        "tokio below broker:\n{}",
        found.join("\n")
    );
}

#[test]
fn only_the_store_knows_its_database() {
    let mut found = Vec::new();
    for module in modules().iter().filter(|module| *module != "store") {
        for line in source_lines(module) {
            if names_crate(&line.text, "redb") {
                found.push(format!("{}: {}", line.place, line.text.trim()));
            }
        }
    }
    assert!(
        found.is_empty(),
        "redb outside store:\n{}",
        found.join("\n")
    );
}

#[test]
fn every_file_says_what_it_is_for() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut silent = Vec::new();
    for folder in ["src", "tests", "benches", "compat-tests/src"] {
        let folder = root.join(folder);
        if !folder.is_dir() {
            continue;
        }
        for path in files(&folder) {
            let text = fs::read_to_string(&path).expect("a readable file");
            if !text.starts_with("//! ") {
                silent.push(path.display().to_string());
            }
        }
    }
    assert!(
        silent.is_empty(),
        "files that do not open with `//!`:\n{}",
        silent.join("\n")
    );
}

#[test]
fn imports_are_one_path_a_line() {
    let mut grouped = Vec::new();
    for module in modules() {
        for line in source_lines(&module) {
            let text = line.text.trim_start();
            let import = text.starts_with("use ") || text.starts_with("pub use ");
            if import && text.contains("crate::") && text.contains('{') {
                grouped.push(format!("{}: {text}", line.place));
            }
        }
    }
    assert!(
        grouped.is_empty(),
        "grouped imports:\n{}",
        grouped.join("\n")
    );
}

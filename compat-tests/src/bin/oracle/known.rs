//! The list of known differences, `compat-tests/oracle/differences.txt`.
//!
//! Three kinds of entries: `[differs SCRIPT]` with the exact lines of a script's difference;
//! `[replace rabbitmq]` or `[replace leveret]` with a text that is put in place of another in all
//! that this broker says, before the two are compared; `[sort leveret]` for a RabbitMQ that sorts
//! the headers of messages. An entry that no longer applies is an error.

use crate::transcript::Difference;
use crate::transcript::Record;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

#[derive(Debug)]
struct Differs {
    script: String,
    lines: Vec<String>,
    /// The lines are patterns for any number of differences.
    is_repeated: bool,
    was_seen: AtomicBool,
}

#[derive(Debug)]
struct Replace {
    /// 0: RabbitMQ, 1: Leveret.
    side: usize,
    from: String,
    to: String,
    was_seen: AtomicBool,
}

/// Sorts the headers of messages.
#[derive(Debug)]
struct Sort {
    side: usize,
    was_seen: AtomicBool,
}

#[derive(Debug, Default)]
pub(crate) struct Known {
    differs: Vec<Differs>,
    replaces: Vec<Replace>,
    sorts: Vec<Sort>,
}

#[derive(Default)]
struct Entry {
    head: String,
    number: usize,
    versions: String,
    reason: String,
    from: Option<String>,
    to: Option<String>,
    lines: Vec<String>,
    is_repeated: bool,
}

impl Differs {
    fn covers(&self, differences: &[Difference]) -> bool {
        let shown: Vec<String> = differences.iter().map(ToString::to_string).collect();
        if self.is_repeated {
            let fits_any = |text: &String| self.lines.iter().any(|line| fits(text, line));
            let is_used = |line: &String| shown.iter().any(|text| fits(text, line));
            return shown.iter().all(fits_any) && self.lines.iter().all(is_used);
        }
        let mut pairs = self.lines.iter().zip(&shown);
        self.lines.len() == shown.len() && pairs.all(|(line, text)| fits(text, line))
    }
}

impl Known {
    /// Entries for other versions than `version` are left out.
    pub(crate) fn parse(text: &str, version: &str) -> Result<Self, String> {
        let mut known = Self::default();
        let mut entry = Entry::default();
        for (index, line) in text.lines().enumerate() {
            let wrong = || format!("differences.txt:{}: {line}", index + 1);
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(head) = line.strip_prefix('[') {
                known.add(std::mem::take(&mut entry), version)?;
                entry.head = head.strip_suffix(']').ok_or_else(wrong)?.to_owned();
                entry.number = index + 1;
                continue;
            }
            if line.starts_with("- ") || line.starts_with("+ ") {
                entry.lines.push(line.to_owned());
                continue;
            }
            let (name, value) = line.split_once(": ").ok_or_else(wrong)?;
            match name {
                "version" => value.clone_into(&mut entry.versions),
                "repeated" => entry.is_repeated = value == "yes",
                "reason" => value.clone_into(&mut entry.reason),
                "from" => entry.from = Some(value.to_owned()),
                "to" => entry.to = Some(value.to_owned()),
                _ => return Err(wrong()),
            }
        }
        known.add(entry, version)?;
        Ok(known)
    }

    fn add(&mut self, entry: Entry, version: &str) -> Result<(), String> {
        if entry.head.is_empty() {
            return Ok(());
        }
        let wrong = |what| Err(format!("differences.txt:{}: {what}", entry.number));
        if entry.reason.is_empty() || entry.versions.is_empty() {
            return wrong("an entry needs a reason and a version");
        }
        let mut versions = entry.versions.split(' ');
        if !versions.any(|begin| version.starts_with(begin)) {
            return Ok(());
        }
        match entry.head.split_once(' ') {
            Some(("differs", script)) if !entry.lines.is_empty() => self.differs.push(Differs {
                script: script.to_owned(),
                lines: entry.lines,
                is_repeated: entry.is_repeated,
                was_seen: AtomicBool::new(false),
            }),
            Some(("replace", side @ ("rabbitmq" | "leveret"))) => {
                let Some(from) = entry.from else {
                    return wrong("replace what?");
                };
                self.replaces.push(Replace {
                    side: usize::from(side == "leveret"),
                    from,
                    to: entry.to.unwrap_or_default(),
                    was_seen: AtomicBool::new(false),
                });
            }
            Some(("sort", side @ ("rabbitmq" | "leveret"))) => self.sorts.push(Sort {
                side: usize::from(side == "leveret"),
                was_seen: AtomicBool::new(false),
            }),
            _ => {
                return wrong(
                    "neither [differs SCRIPT] with lines, [replace BROKER] nor [sort BROKER]",
                );
            }
        }
        Ok(())
    }

    pub(crate) fn replace(&self, records: &mut [Vec<Record>; 2]) {
        for entry in &self.sorts {
            for record in &mut records[entry.side] {
                if let Some(text) = with_sorted_headers(&record.text) {
                    record.text = text;
                    entry.was_seen.store(true, Ordering::Relaxed);
                }
            }
        }
        for entry in &self.replaces {
            for record in &mut records[entry.side] {
                if let Some(text) = replaced(&record.text, &entry.from, &entry.to) {
                    record.text = text;
                    entry.was_seen.store(true, Ordering::Relaxed);
                }
            }
        }
    }

    /// Whether the list has exactly this difference.
    pub(crate) fn has(&self, script: &str, differences: &[Difference]) -> bool {
        self.differs.iter().any(|entry| {
            let is_same = entry.script == script && entry.covers(differences);
            if is_same {
                entry.was_seen.store(true, Ordering::Relaxed);
            }
            is_same
        })
    }

    /// Entries that did not apply.
    pub(crate) fn unused(&self) -> Vec<String> {
        let differs = self
            .differs
            .iter()
            .filter(|entry| !entry.was_seen.load(Ordering::Relaxed));
        let replaces = self
            .replaces
            .iter()
            .filter(|entry| !entry.was_seen.load(Ordering::Relaxed));
        let sorts = self
            .sorts
            .iter()
            .filter(|entry| !entry.was_seen.load(Ordering::Relaxed));
        differs
            .map(|entry| format!("[differs {}]", entry.script))
            .chain(replaces.map(|entry| format!("[replace …] from: {}", entry.from)))
            .chain(sorts.map(|_| "[sort …]".to_owned()))
            .collect()
    }
}

/// Whether the whole text is as the pattern says; `*` stands for anything.
fn fits(text: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => text == pattern,
        Some((before, after)) => text.strip_prefix(before).is_some_and(|rest| {
            let mut ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
            ends.any(|at| fits(&rest[at..], after))
        }),
    }
}

/// The text with its message's headers sorted by key, of equal keys the first kept; nothing when
/// they are already so, or are none.
fn with_sorted_headers(text: &str) -> Option<String> {
    const BEGIN: &str = " headers={";
    let begin = text.find(BEGIN)? + BEGIN.len();
    let (mut entries, mut at, mut depth, mut is_quoted) = (Vec::new(), begin, 0, false);
    let mut escaped = false;
    for (index, letter) in text.char_indices().filter(|(index, _)| *index >= begin) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            ',' | '}' if depth == 0 => {
                entries.push(text[at..index].trim());
                at = index + 1;
                if letter == '}' {
                    break;
                }
            }
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            _ => {}
        }
    }
    let key = |entry: &&str| entry.split(": ").next().unwrap_or_default().to_owned();
    let mut sorted = entries.clone();
    sorted.sort_by_key(key);
    sorted.dedup_by_key(|entry| key(&*entry));
    let (before, after) = (&text[..begin], &text[at - 1..]);
    (sorted != entries).then(|| format!("{before}{}{after}", sorted.join(", ")))
}

/// What each `*` stands for and where the pattern ends, when `text` begins with it. A `*` is the
/// shortest possible and never crosses a brace, so that it stays within one table.
fn stars<'a>(text: &'a str, pattern: &str) -> Option<(Vec<&'a str>, usize)> {
    let mut parts = pattern.split('*');
    let first = parts.next()?;
    let mut end = text.starts_with(first).then_some(first.len())?;
    let mut stars = Vec::new();
    for part in parts {
        let star = &text[end..end + text[end..].find(part)?];
        if star.contains(['{', '}']) {
            return None;
        }
        stars.push(star);
        end += star.len() + part.len();
    }
    Some((stars, end))
}

/// `$1` in `to` is what the first `*` of `from` stood for. Nothing when `from` is not in the text.
fn replaced(text: &str, from: &str, to: &str) -> Option<String> {
    let mut out = String::new();
    let mut is_changed = false;
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if let Some((stars, end)) = stars(rest, from).filter(|(_, end)| *end > 0) {
            let filled = stars
                .iter()
                .enumerate()
                .fold(to.to_owned(), |to, (index, star)| {
                    to.replace(&format!("${}", index + 1), star)
                });
            out.push_str(&filled);
            rest = &rest[end..];
            is_changed = true;
        } else {
            out.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    is_changed.then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
[differs area/name]
version: 3.10
reason: because
- a1 channel.close * text=\"old\"
+ a1 channel.close * text=\"new\"

[replace rabbitmq]
version: 3.10
reason: because
from: {wrong,*}
to: \"bad $1\"
";

    fn difference(sign: char, text: &str) -> Difference {
        Difference {
            line: 1,
            stream: "a1".to_owned(),
            sign,
            text: text.to_owned(),
        }
    }

    #[test]
    fn an_entry_covers_its_difference_and_no_other() {
        let known = Known::parse(TEXT, "3.10.8").unwrap();
        let old = difference('-', "channel.close code=1 text=\"old\"");
        let new = difference('+', "channel.close code=1 text=\"new\"");
        assert!(!known.has("area/name", std::slice::from_ref(&old)));
        assert!(!known.has("area/other", &[old.clone(), new.clone()]));
        assert_eq!(known.unused().len(), 2);
        assert!(known.has("area/name", &[old, new]));
        assert_eq!(known.unused(), ["[replace …] from: {wrong,*}"]);
    }

    #[test]
    fn texts_are_replaced_before_comparing() {
        let known = Known::parse(TEXT, "3.10.8").unwrap();
        let record = Record {
            stream: "a1".to_owned(),
            line: 1,
            text: "x {wrong,a} y {wrong,b}".to_owned(),
        };
        let mut records = [vec![record.clone()], vec![record.clone()]];
        known.replace(&mut records);
        assert_eq!(records[0][0].text, "x \"bad a\" y \"bad b\"");
        assert_eq!(records[1][0], record);
    }

    #[test]
    fn entries_for_other_versions_are_left_out() {
        let known = Known::parse(TEXT, "4.0.5").unwrap();
        assert!(known.unused().is_empty());
    }

    #[test]
    fn headers_are_sorted_by_key_and_the_first_of_equal_ones_is_kept() {
        let text = r#"basic.return key="k" | headers={b: F {z: I 1, a: S "}, \"c"}, a: I 2, b: I 3} body="x, y""#;
        let sorted =
            r#"basic.return key="k" | headers={a: I 2, b: F {z: I 1, a: S "}, \"c"}} body="x, y""#;
        assert_eq!(with_sorted_headers(text).as_deref(), Some(sorted));
        assert_eq!(with_sorted_headers(sorted), None);
        assert_eq!(
            with_sorted_headers("basic.deliver | headers={} body=\"x\""),
            None
        );
    }

    #[test]
    fn an_entry_may_be_for_several_versions() {
        let text = "[differs a]\nversion: 3.10 4.0\nreason: x\n- a\n";
        for (version, applies) in [("3.10.8", 1), ("4.0.5", 1), ("4.1.0", 0)] {
            assert_eq!(Known::parse(text, version).unwrap().unused().len(), applies);
        }
    }

    #[test]
    fn entries_without_a_reason_are_refused() {
        assert!(Known::parse("[differs a]\nversion: 3\n- a\n", "3").is_err());
        assert!(Known::parse("[differs a]\nreason: x\nversion: 3\n", "3").is_err());
    }
}

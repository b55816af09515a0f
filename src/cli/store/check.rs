//! `leveret store check`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use serde_json::Value;
use serde_json::json;

use super::Failure;
use super::damaged_text;
use super::time::utc;
use crate::broker;
use crate::model::QueueId;
use crate::store::offline;
use crate::store::offline::Check;
use crate::store::offline::Damaged;
use crate::store::offline::QueueCheck;
use crate::vhost::inventory::Owner;
use crate::vhost::inventory::Owners;

/// Checks and prints; whether all is sound.
pub(super) fn check(dir: &Path, as_json: bool) -> Result<bool, Failure> {
    let check = offline::check(dir)?;
    let (owners, unreadable) = broker::inventory(&check.definitions);
    let report = Report {
        queues: queues(&check, &owners),
        check: &check,
        unreadable,
    };
    let out = &mut std::io::stdout().lock();
    if as_json {
        writeln!(out, "{:#}", report.json())?;
    } else {
        report.print(out)?;
    }
    out.flush()?;
    Ok(report.is_sound())
}

struct Row<'a> {
    id: QueueId,
    owner: Option<&'a Owner>,
    counts: QueueCheck,
}

struct Report<'a> {
    check: &'a Check,
    /// By virtual host and name; what nobody owns comes first.
    queues: Vec<Row<'a>>,
    unreadable: Vec<String>,
}

/// All queues that are defined, and those of which there are messages.
fn queues<'a>(check: &Check, owners: &'a Owners) -> Vec<Row<'a>> {
    let mut rows: BTreeMap<QueueId, Row<'a>> = BTreeMap::new();
    for (id, counts) in &check.queues {
        let owner = owners.get(id);
        if owner.is_some() || counts.messages + counts.damaged > 0 {
            rows.insert(
                *id,
                Row {
                    id: *id,
                    owner,
                    counts: counts.clone(),
                },
            );
        }
    }
    for (id, owner) in owners {
        rows.entry(*id).or_insert_with(|| Row {
            id: *id,
            owner: Some(owner),
            counts: QueueCheck::default(),
        });
    }
    let mut rows: Vec<_> = rows.into_values().collect();
    rows.sort_by_key(|row| row.owner.map(|owner| (&owner.vhost, &owner.name)));
    rows
}

impl Report<'_> {
    fn is_sound(&self) -> bool {
        self.check.is_sound() && self.unreadable.is_empty()
    }

    fn total(&self) -> QueueCheck {
        let mut total = QueueCheck::default();
        for row in &self.queues {
            total.messages += row.counts.messages;
            total.body_bytes += row.counts.body_bytes;
            total.damaged += row.counts.damaged;
            total.oldest = match (total.oldest, row.counts.oldest) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
        }
        total
    }

    fn print(&self, out: &mut impl Write) -> Result<(), Failure> {
        let Check {
            format,
            closed_cleanly,
            file_bytes,
            pages,
            definitions,
            ring,
            ..
        } = self.check;
        writeln!(
            out,
            "leveret.redb: format {format}, {file_bytes} bytes, {pages} pages, {} definitions known",
            definitions.len()
        )?;
        writeln!(
            out,
            "ring: {} files, {} bytes; in use {} with {} frames, {} blocks",
            ring.files, ring.file_bytes, ring.segments, ring.frames, ring.blocks
        )?;
        if let Some((file, offset)) = &ring.torn_tail {
            writeln!(
                out,
                "ring: {file} at {offset}: a frame was cut off while it was written; it was confirmed to nobody"
            )?;
        }
        let closed = if *closed_cleanly { "yes" } else { "no" };
        writeln!(out, "closed cleanly: {closed}")?;
        for row in &self.queues {
            writeln!(out, "{}: {}", name(row), counts_text(&row.counts))?;
        }
        writeln!(out, "total: {}", counts_text(&self.total()))?;
        for damaged in &self.check.damaged {
            writeln!(
                out,
                "damaged: {}{}",
                damaged_text(damaged),
                self.of(damaged)
            )?;
        }
        let listed = self.check.damaged.len() as u64;
        if self.check.damaged_total > listed {
            writeln!(
                out,
                "damaged: {} further places",
                self.check.damaged_total - listed
            )?;
        }
        for unreadable in &self.unreadable {
            writeln!(out, "damaged: {unreadable}")?;
        }
        let verdict = if self.is_sound() { "sound" } else { "DAMAGED" };
        writeln!(out, "{verdict}")?;
        Ok(())
    }

    /// Whose the damaged messages are.
    fn of(&self, damaged: &Damaged) -> String {
        let row = self.queues.iter().find(|row| Some(row.id) == damaged.queue);
        row.map(|row| format!(" in {}", name(row)))
            .unwrap_or_default()
    }

    fn json(&self) -> Value {
        let Check { ring, .. } = self.check;
        let torn_tail = ring.torn_tail.as_ref();
        json!({
            "sound": self.is_sound(),
            "format": self.check.format,
            "closed_cleanly": self.check.closed_cleanly,
            "file_bytes": self.check.file_bytes,
            "pages": self.check.pages,
            "definitions": self.check.definitions.len(),
            "ring": {
                "files": ring.files,
                "file_bytes": ring.file_bytes,
                "segments": ring.segments,
                "frames": ring.frames,
                "blocks": ring.blocks,
                "torn_tail": torn_tail.map(|(file, offset)| json!({ "file": file, "offset": offset })),
            },
            "queues": self.queues.iter().map(queue_json).collect::<Vec<_>>(),
            "total": counts_json(&self.total()),
            "damaged": self.check.damaged.iter().map(damaged_json).collect::<Vec<_>>(),
            "damaged_total": self.check.damaged_total,
            "unreadable_definitions": self.unreadable,
        })
    }
}

fn name(row: &Row<'_>) -> String {
    match row.owner {
        Some(owner) if owner.delayed => format!(
            "delayed messages of exchange '{}' in vhost '{}'",
            owner.name, owner.vhost
        ),
        Some(owner) => format!("queue '{}' in vhost '{}'", owner.name, owner.vhost),
        None => format!("queue id {} without a definition", row.id.0),
    }
}

fn counts_text(counts: &QueueCheck) -> String {
    let mut text = format!("{} messages, {} bytes", counts.messages, counts.body_bytes);
    if let Some(oldest) = counts.oldest {
        text += &format!(", oldest of {}", utc(oldest));
    }
    if counts.damaged > 0 {
        text += &format!(", {} DAMAGED", counts.damaged);
    }
    text
}

fn counts_json(counts: &QueueCheck) -> Value {
    json!({
        "messages": counts.messages,
        "body_bytes": counts.body_bytes,
        "oldest": counts.oldest.map(utc),
        "damaged": counts.damaged,
    })
}

fn queue_json(row: &Row<'_>) -> Value {
    let mut value = counts_json(&row.counts);
    value["id"] = json!(row.id.0);
    value["vhost"] = json!(row.owner.map(|owner| &owner.vhost));
    value["name"] = json!(row.owner.map(|owner| &owner.name));
    value["delayed"] = json!(row.owner.is_some_and(|owner| owner.delayed));
    value
}

fn damaged_json(damaged: &Damaged) -> Value {
    json!({
        "file": damaged.file,
        "offset": damaged.offset,
        "queue": damaged.queue.map(|queue| queue.0),
        "position": damaged.position.map(|position| position.0),
        "messages": damaged.messages,
        "why": damaged.why,
    })
}

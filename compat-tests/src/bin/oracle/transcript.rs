//! What a broker said in a script, made comparable: masked, in streams, in a steady order.
//!
//! Frames of different channels have no order between them, so each channel is a stream of its own.
//! Confirms are counted singly, whether they came as `multiple` or not, and stand apart from
//! deliveries, for queues and publishers do not wait for each other; returns stand with confirms.

use std::collections::HashMap;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// `a1`, `a1 confirms`, `http`.
    pub(crate) stream: String,
    /// Of the script, at which it came. Not compared.
    pub(crate) line: usize,
    pub(crate) text: String,
}

/// Makes names that a broker chose the same on both.
#[derive(Debug)]
pub(crate) struct Masks {
    /// The script's own id, part of its virtual host's name.
    id: String,
    seen: HashMap<String, String>,
}

/// Prefixes of generated names, and how long what follows is; 0: of any length.
const GENERATED: &[(&str, usize)] = &[
    ("amq.gen-", 22),
    ("amq.ctag-", 22),
    ("amq.rabbitmq.reply-to.", 0),
];

impl Masks {
    pub(crate) fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            seen: HashMap::new(),
        }
    }

    pub(crate) fn apply(&mut self, text: &str) -> String {
        let mut out = text.replace(&self.id, "ID");
        for (prefix, length) in GENERATED {
            out = self.mask(&out, prefix, *length);
        }
        out
    }

    fn mask(&mut self, text: &str, prefix: &str, length: usize) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(prefix) {
            let (before, found) = rest.split_at(at + prefix.len());
            out.push_str(before);
            let end = found
                .find(|c: char| !c.is_ascii_alphanumeric() && !"-_+/=.@".contains(c))
                .unwrap_or(found.len());
            let (name, after) = found.split_at(end);
            rest = after;
            // Scripts try such prefixes themselves.
            if name.len() < 16 {
                out.push_str(name);
                continue;
            }
            let number = self.seen.len() + 1;
            let label = self
                .seen
                .entry(format!("{prefix}{name}"))
                .or_insert_with(|| match name.len() {
                    got if length != 0 && got != length => format!("#{number}({got} long)"),
                    _ => format!("#{number}"),
                });
            out.push_str(label);
        }
        out.push_str(rest);
        out
    }
}

/// Confirms that came in one step are a set, after the returns of the step; a single return and a
/// single confirm keep their order.
pub(crate) fn normalise(records: &mut [Record]) {
    let mut streams: HashMap<String, Vec<usize>> = HashMap::new();
    for (index, record) in records.iter().enumerate() {
        if record.stream.ends_with(" confirms") {
            let stream = record.stream.clone();
            streams.entry(stream).or_default().push(index);
        }
    }
    let key = |text: &str| match text.strip_prefix("basic.return") {
        Some(_) => (0, 0, String::new()),
        None => (1, text.len(), text.to_owned()),
    };
    for places in streams.values() {
        let groups = places.chunk_by(|left, right| records[*left].line == records[*right].line);
        let groups: Vec<&[usize]> = groups.collect();
        for group in groups {
            let mut texts: Vec<String> = group
                .iter()
                .map(|index| records[*index].text.clone())
                .collect();
            let returns = texts.iter().filter(|text| key(text).0 == 0).count();
            if (returns, texts.len()) != (1, 2) {
                texts.sort_by_key(|text| key(text));
            }
            for (index, text) in group.iter().zip(texts) {
                records[*index].text = text;
            }
        }
    }
}

/// What only one of two said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) line: usize,
    pub(crate) stream: String,
    /// `-`: RabbitMQ alone; `+`: Leveret alone.
    pub(crate) sign: char,
    pub(crate) text: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} {} {}", self.sign, self.stream, self.text)
    }
}

/// All differences, by the line of the script.
pub(crate) fn compare(rabbitmq: &[Record], leveret: &[Record]) -> Vec<Difference> {
    let mut streams: Vec<&String> = Vec::new();
    for record in rabbitmq.iter().chain(leveret) {
        if !streams.contains(&&record.stream) {
            streams.push(&record.stream);
        }
    }
    let mut differences = Vec::new();
    for stream in streams {
        let of = |records: &[Record]| -> Vec<Record> {
            let own = records.iter().filter(|record| record.stream == *stream);
            own.cloned().collect()
        };
        differ(&of(rabbitmq), &of(leveret), &mut differences);
    }
    differences.sort_by_key(|difference| difference.line);
    differences
}

/// By the longest common subsequence.
fn differ(left: &[Record], right: &[Record], out: &mut Vec<Difference>) {
    let (rows, columns) = (left.len(), right.len());
    let mut common = vec![vec![0u32; columns + 1]; rows + 1];
    for row in (0..rows).rev() {
        for column in (0..columns).rev() {
            common[row][column] = if left[row].text == right[column].text {
                common[row + 1][column + 1] + 1
            } else {
                common[row + 1][column].max(common[row][column + 1])
            };
        }
    }
    let mut push = |record: &Record, sign| {
        out.push(Difference {
            line: record.line,
            stream: record.stream.clone(),
            sign,
            text: record.text.clone(),
        });
    };
    let (mut row, mut column) = (0, 0);
    while row < rows || column < columns {
        if row < rows && column < columns && left[row].text == right[column].text {
            row += 1;
            column += 1;
        } else if column == columns
            || (row < rows && common[row + 1][column] >= common[row][column + 1])
        {
            push(&left[row], '-');
            row += 1;
        } else {
            push(&right[column], '+');
            column += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(stream: &str, line: usize, text: &str) -> Record {
        Record {
            stream: stream.to_owned(),
            line,
            text: text.to_owned(),
        }
    }

    #[test]
    fn generated_names_become_numbers() {
        let mut masks = Masks::new("s1");
        let text = "no queue 'amq.gen-aaaaaaaaaaaaaaaaaaaaaa' in vhost 's1', amq.gen-x";
        assert_eq!(
            masks.apply(text),
            "no queue 'amq.gen-#1' in vhost 'ID', amq.gen-x"
        );
        assert_eq!(masks.apply("amq.gen-bbbbbbbbbbbbbbbbbbbbbb"), "amq.gen-#2");
        assert_eq!(masks.apply("amq.gen-aaaaaaaaaaaaaaaaaaaaaa"), "amq.gen-#1");
        assert_eq!(
            masks.apply("amq.gen-aaaaaaaaaaaaaaaaaaaa"),
            "amq.gen-#3(20 long)"
        );
    }

    #[test]
    fn confirms_of_one_line_are_a_set_after_its_returns() {
        let check = |texts: &[&str], wanted: &[&str]| {
            let mut records: Vec<Record> = texts
                .iter()
                .map(|text| record("a1 confirms", 3, text))
                .collect();
            normalise(&mut records);
            let texts: Vec<&str> = records.iter().map(|record| record.text.as_str()).collect();
            assert_eq!(texts, wanted);
        };
        check(
            &["basic.ack 10", "basic.ack 9", "basic.return x"],
            &["basic.return x", "basic.ack 9", "basic.ack 10"],
        );
        check(
            &["basic.ack 1", "basic.return x"],
            &["basic.ack 1", "basic.return x"],
        );
    }

    #[test]
    fn only_the_order_within_a_stream_counts() {
        let left = [
            record("a1", 1, "x"),
            record("b1", 1, "y"),
            record("a1", 2, "z"),
        ];
        let right = [
            record("b1", 1, "y"),
            record("a1", 1, "x"),
            record("a1", 2, "z"),
        ];
        assert_eq!(compare(&left, &right), []);
        let right = [
            record("b1", 1, "y"),
            record("a1", 1, "z"),
            record("a1", 2, "x"),
        ];
        let shown: Vec<String> = compare(&left, &right)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(shown, ["- a1 x", "+ a1 x"]);
    }
}

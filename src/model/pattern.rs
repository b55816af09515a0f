//! Patterns over names, of permissions and policies: RabbitMQ's regular expressions, searched for anywhere in a name.
//!
//! RabbitMQ uses PCRE, we use fancy-regex: look-around, back-references and atomic groups are in both. Where the two
//! read the same text differently, the text is rewritten first. A search that backtracks too long denies, as does a
//! pattern that does not compile. Patterns compile on first use: most users of a large directory are not logged in.

use std::fmt;
use std::sync::OnceLock;

use fancy_regex::Regex;
use fancy_regex::RegexBuilder;

/// Steps back after which a search gives up: some milliseconds, for it runs on a connection's loop.
const BACKTRACK_MAX: usize = 100_000;

/// Bound on one compiled pattern (the `regex` crate's measure).
const COMPILED_BYTES_MAX: usize = 1024 * 1024;

/// A text that is no regular expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{pattern}' is not a valid regular expression: {reason}")]
pub struct InvalidPattern {
    /// What was given.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: String,
}

/// A pattern over names. Equal when its text is.
#[derive(Clone)]
pub struct Pattern {
    source: Box<str>,
    matcher: OnceLock<Matcher>,
}

#[derive(Clone)]
enum Matcher {
    Everything,
    /// The empty name; RabbitMQ's reading of the empty pattern.
    EmptyName,
    Nothing,
    Search(Box<Regex>),
}

impl Pattern {
    /// Takes a pattern as it is; one that does not compile denies.
    pub fn new(source: &str) -> Self {
        Self {
            source: Box::from(source),
            matcher: OnceLock::new(),
        }
    }

    /// Takes a pattern that came from an operator.
    ///
    /// # Errors
    /// When it does not compile.
    pub fn checked(source: &str) -> Result<Self, InvalidPattern> {
        let matcher = compile(source).map_err(|error| InvalidPattern {
            pattern: source.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Self {
            source: Box::from(source),
            matcher: OnceLock::from(matcher),
        })
    }

    /// A pattern's text that is found where `text` is.
    pub fn literally(text: &str) -> String {
        fancy_regex::escape(text).into_owned()
    }

    /// The text it was made of.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it is found in `name`.
    pub fn matches(&self, name: &str) -> bool {
        let matcher = self
            .matcher
            .get_or_init(|| compile(&self.source).unwrap_or(Matcher::Nothing));
        match matcher {
            Matcher::Everything => true,
            Matcher::EmptyName => name.is_empty(),
            Matcher::Nothing => false,
            Matcher::Search(regex) => regex.is_match(name).unwrap_or(false),
        }
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

fn compile(source: &str) -> Result<Matcher, Box<fancy_regex::Error>> {
    match source {
        "" | "^$" => Ok(Matcher::EmptyName),
        ".*" | "^.*" => Ok(Matcher::Everything),
        _ => RegexBuilder::new(&from_pcre(source))
            .backtrack_limit(BACKTRACK_MAX)
            .delegate_size_limit(COMPILED_BYTES_MAX)
            .build()
            .map(|regex| Matcher::Search(Box::new(regex)))
            .map_err(Box::new),
    }
}

/// The same pattern for fancy-regex. What PCRE takes literally and fancy-regex does not, gets a backslash:
/// `\<` and `\>`, text between `\Q` and `\E`, a `{` that opens no count, and in classes `[`, `&`, `~` and a `-`
/// after a class such as `\w`.
fn from_pcre(source: &str) -> String {
    let mut out = String::with_capacity(source.len() + 8);
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let mut taken = first.len_utf8();
        match first {
            '\\' => taken = escape(rest, &mut out),
            '[' => taken = class(rest, &mut out),
            '{' if !is_count(rest) => out.push_str("\\{"),
            _ => out.push(first),
        }
        rest = &rest[taken..];
    }
    out
}

/// Copies the escape that opens `rest`; says how much of `rest` that was.
fn escape(rest: &str, out: &mut String) -> usize {
    let Some(escaped) = rest.chars().nth(1) else {
        out.push('\\');
        return 1;
    };
    match escaped {
        'Q' => {
            let quoted = &rest[2..];
            let end = quoted.find("\\E");
            let quoted = &quoted[..end.unwrap_or(quoted.len())];
            out.push_str(&fancy_regex::escape(quoted));
            return 2 + quoted.len() + if end.is_some() { 2 } else { 0 };
        }
        // A quotation's end without its beginning is nothing.
        'E' => {}
        '<' | '>' => out.push(escaped),
        // Blanks; fancy-regex reads hexadecimal digits.
        'h' => out.push_str("[ \\t]"),
        // These have braces of their own, which are no counts.
        'x' | 'p' | 'P' | 'g' | 'k' if rest[2..].starts_with('{') => {
            let end = rest.find('}').map_or(rest.len(), |end| end + 1);
            out.push_str(&rest[..end]);
            return end;
        }
        _ => {
            out.push('\\');
            out.push(escaped);
        }
    }
    1 + escaped.len_utf8()
}

/// Copies the class that opens `rest`; says how much of `rest` that was.
fn class(rest: &str, out: &mut String) -> usize {
    let mut at = if rest[1..].starts_with('^') { 2 } else { 1 };
    out.push_str(&rest[..at]);
    if rest[at..].starts_with(']') {
        out.push_str("\\]");
        at += 1;
    }
    // Whether what stands before can begin no range.
    let mut after_class = false;
    while let Some(first) = rest[at..].chars().next() {
        let (before, mut taken) = (std::mem::take(&mut after_class), first.len_utf8());
        match first {
            ']' => {
                out.push(']');
                return at + taken;
            }
            '[' => match posix_class(&rest[at..]) {
                Some(name) => {
                    out.push_str(name);
                    taken = name.len();
                    after_class = true;
                }
                None => out.push_str("\\["),
            },
            '\\' => {
                let escaped = rest[at + 1..].chars().next();
                taken += escaped.map_or(0, char::len_utf8);
                after_class = escaped.is_some_and(|escaped| "wWdDsSh".contains(escaped));
                match escaped {
                    Some('h') => out.push_str(" \\t"),
                    _ => out.push_str(&rest[at..at + taken]),
                }
            }
            '&' | '~' => {
                out.push('\\');
                out.push(first);
            }
            '-' if before => out.push_str("\\-"),
            _ => out.push(first),
        }
        at += taken;
    }
    at
}

/// `[:alpha:]` and the like at the head of `rest`.
fn posix_class(rest: &str) -> Option<&str> {
    let inner = rest.strip_prefix("[:")?;
    let end = inner.find(":]")?;
    let word = inner[..end].trim_start_matches('^');
    word.bytes()
        .all(|byte| byte.is_ascii_lowercase())
        .then(|| &rest[..end + 4])
}

/// Whether `rest` begins with `{3}`, `{3,}` or `{3,5}`.
fn is_count(rest: &str) -> bool {
    let Some((inner, _)) = rest[1..].split_once('}') else {
        return false;
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (from, to) = inner.split_once(',').unwrap_or((inner, ""));
    !from.is_empty() && digits(from) && digits(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, matching: &[&str], others: &[&str]) {
        for pattern in [
            Pattern::checked(pattern).expect("a pattern"),
            Pattern::new(pattern),
        ] {
            for name in matching {
                assert!(pattern.matches(name), "{pattern:?} allows {name:?}");
            }
            for name in others {
                assert!(!pattern.matches(name), "{pattern:?} denies {name:?}");
            }
        }
    }

    #[test]
    fn patterns_are_searched_for_anywhere() {
        check("orders", &["orders", "my.orders.eu"], &["order", ""]);
        check("^orders$", &["orders"], &["my.orders", "orders.eu"]);
        check(".*", &["", "anything", "über", "two\nlines"], &[]);
        check(
            "^(amq\\.gen.*|amq\\.default)$",
            &["amq.gen-x", "amq.default"],
            &["amq.direct"],
        );
        check("a|b", &["xa", "b"], &["c"]);
    }

    #[test]
    fn the_empty_pattern_allows_only_the_empty_name() {
        check("", &[""], &["a", "\n"]);
        check("^$", &[""], &["a"]);
    }

    #[test]
    fn pcre_features_work() {
        check("^(?!amq\\.)", &["orders"], &["amq.topic"]);
        check(
            "^(?=.*eu)(?!.*test).+$",
            &["orders-eu"],
            &["orders-eu-test", "orders"],
        );
        check("(?<=shop\\.)orders", &["shop.orders"], &["orders"]);
        check("(?i)^orders$", &["ORDERS"], &[]);
        check("^(a+)-\\1$", &["aa-aa"], &["aa-a"]);
        check("^(?>a+)b$", &["aab"], &["aa"]);
        check("^[[:alpha:]]+\\d{2,3}$", &["queue12"], &["queue1", "12"]);
        check("^a++b$", &["aab"], &["aa"]);
        check("^(?:x|y)\\.q$", &["x.q"], &["z.q"]);
        check("^\\x{61}\\x62$", &["ab"], &["aa"]);
    }

    #[test]
    fn what_pcre_takes_literally_is_literal() {
        check("^\\<a\\>$", &["<a>"], &["a"]);
        check("^\\Qa.b*\\E.$", &["a.b*c"], &["axb*c", "a.b"]);
        check("^a{b}$", &["a{b}"], &["ab"]);
        check("^a{,2}$", &["a{,2}"], &["aa"]);
        check("^[a[b]$", &["a", "[", "b"], &["c"]);
        check("^[]a]$", &["]", "a"], &["b"]);
        check("^[^]a]$", &["b"], &["]", "a"]);
        check("^[a&&b]$", &["a", "&", "b"], &["c"]);
        check("^[\\w-.]+$", &["a-b.c_1"], &["a b", "a/b"]);
        check("^[\\w.-]+$", &["a-b.c_1"], &["a b"]);
        check("^[[:digit:]-x]+$", &["1-x"], &["y"]);
        check("^[a-c]+$", &["abc"], &["-"]);
        check("^a\\-b\\/c\\@d\\_e$", &["a-b/c@d_e"], &[]);
        check("^a]$", &["a]"], &[]);
        check("^a}$", &["a}"], &[]);
        check("^a\\h[\\h]$", &["a  ", "a \t"], &["aff"]);
    }

    #[test]
    fn a_pattern_that_does_not_compile_is_refused_or_denies() {
        for pattern in ["(", "[a", "*", "a{3,1}", "(?<=a+", "\\"] {
            let error = Pattern::checked(pattern).expect_err("refused").to_string();
            assert!(
                error.contains("is not a valid regular expression"),
                "{error}"
            );
            assert!(!Pattern::new(pattern).matches("a"));
        }
        let huge = "(a{1000}){1000}";
        assert!(Pattern::checked(huge).is_err());
        let deep = format!("{}a{}", "(".repeat(10_000), ")".repeat(10_000));
        assert!(Pattern::checked(&deep).is_err());
    }

    #[test]
    fn a_search_that_backtracks_too_long_denies() {
        // Found in the end, after about 2^30 steps.
        let name = format!("{}c", "a".repeat(30));
        let slow = Pattern::checked("^(?:(?:(a|aa)+)+\\1b|a+c)$").expect("a pattern");
        let Some(Matcher::Search(regex)) = slow.matcher.get() else {
            panic!("not compiled to a search");
        };
        assert!(regex.is_match(&name).is_err(), "the limit was reached");
        assert!(!slow.matches(&name));
        assert!(slow.matches("ac"));
    }
}

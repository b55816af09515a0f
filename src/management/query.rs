//! What stands behind the question mark: pages, columns, order, time ranges.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::management::Api;
use crate::management::ApiError;

/// Items of a page when the client does not say.
const PAGE_SIZE: usize = 100;
/// The same, at most.
const PAGE_SIZE_MAX: usize = 500;
/// Longest pattern for names.
const PATTERN_BYTES_MAX: usize = 1024;
/// Samples that a client can ask for.
const SAMPLES_MAX: i64 = 500;
/// Longest time that samples are kept for, in seconds.
pub(super) const RANGE_SECONDS_MAX: u64 = 600;

/// The query's pairs, decoded.
#[derive(Debug, Clone, Default)]
pub(super) struct Query(Vec<(String, String)>);

/// A page that somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) number: usize,
    pub(super) size: usize,
    /// What names must contain, or match.
    pub(super) name: Option<String>,
    pub(super) use_regex: bool,
}

/// Samples of so many seconds, one every so often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) age: u64,
    pub(super) step: u64,
}

impl FromRequestParts<Api> for Query {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, ApiError> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

impl Query {
    pub(super) fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(key), decoded(value))
        });
        Self(pairs.collect())
    }

    /// The value under `key`, the first if there are several.
    pub(super) fn value(&self, key: &str) -> Option<&str> {
        let pair = self.0.iter().find(|(name, _)| name == key);
        pair.map(|(_, value)| value.as_str())
    }

    /// All pairs.
    pub(super) fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    pub(super) fn flag(&self, key: &str) -> bool {
        self.value(key) == Some("true")
    }

    /// The fields to sort by beside the usual ones.
    pub(super) fn sort(&self) -> Option<&str> {
        self.value("sort").filter(|sort| !sort.is_empty())
    }

    pub(super) fn reverse(&self) -> bool {
        self.flag("sort_reverse")
    }

    /// Dotted names of the fields to keep; `None`: all.
    pub(super) fn columns(&self) -> Option<Vec<Vec<String>>> {
        let columns = self.value("columns")?;
        let columns = columns.split(',').filter(|column| !column.is_empty());
        let parts = |column: &str| column.split('.').map(str::to_owned).collect();
        Some(columns.map(parts).collect())
    }

    pub(super) fn page(&self) -> Result<Option<Page>, ApiError> {
        let number = |key| match self.value(key) {
            None => Ok(None),
            Some(text) => text
                .trim()
                .parse::<i64>()
                .map(Some)
                .map_err(|_| ApiError::bad_request("Pagination parameters are invalid")),
        };
        let (page, size) = (number("page")?, number("page_size")?);
        let Some(page) = page else { return Ok(None) };
        let asked = size.unwrap_or(PAGE_SIZE as i64);
        let fits = page > 0 && asked > 0 && asked <= PAGE_SIZE_MAX as i64;
        if !fits {
            let shown = size.map_or("undefined".to_owned(), |size| size.to_string());
            return Err(ApiError::InvalidPage {
                error: "invalid_pagination_parameters",
                reason: format!(
                    "Invalid pagination parameters: page number {page}, page size {shown}"
                ),
            });
        }
        let name = self.value("name").filter(|name| !name.is_empty());
        let use_regex = self.flag("use_regex");
        if use_regex && name.is_some_and(|name| name.len() > PATTERN_BYTES_MAX) {
            return Err(ApiError::InvalidPage {
                error: "invalid_pagination_parameters",
                reason: "name filter regex is too long".to_owned(),
            });
        }
        Ok(Some(Page {
            number: usize::try_from(page).unwrap_or(usize::MAX),
            size: asked as usize,
            name: name.map(str::to_owned),
            use_regex,
        }))
    }

    /// For which time samples are wanted, of what `prefix` names.
    pub(super) fn range(&self, prefix: &str) -> Result<Option<Range>, ApiError> {
        // What is no number is as if nobody had said it.
        let number = |suffix: &str| {
            self.value(&format!("{prefix}_{suffix}"))?
                .parse::<i64>()
                .ok()
        };
        let (Some(age), Some(step)) = (number("age"), number("incr")) else {
            return Ok(None);
        };
        if age <= 0 || step <= 0 || age / step > SAMPLES_MAX {
            return Err(ApiError::InvalidPage {
                error: "invalid_range_parameters",
                reason: format!("Invalid range parameters: age {age}, incr {step}"),
            });
        }
        let age = age.unsigned_abs().min(RANGE_SECONDS_MAX);
        let step = step.unsigned_abs().min(age);
        Ok(Some(Range { age, step }))
    }
}

/// Percent-decoded, a plus being a space. What is not UTF-8 has its bad octets replaced.
pub(super) fn decoded(text: &str) -> String {
    let mut octets = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let code = || {
            let hex = std::str::from_utf8(bytes.get(at + 1..at + 3)?).ok()?;
            u8::from_str_radix(hex, 16).ok()
        };
        match (byte, (*byte == b'%').then(code).flatten()) {
            (_, Some(octet)) => {
                octets.push(octet);
                at += 2;
            }
            (b'+', None) => octets.push(b' '),
            (other, None) => octets.push(*other),
        }
        at += 1;
    }
    String::from_utf8_lossy(&octets).into_owned()
}

/// Percent-encoded, a space being a plus.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded() {
        let query = Query::parse("a=b%2Fc+d&flag=true&=x&empty&a=second&bad=%zz%");
        assert_eq!(query.value("a"), Some("b/c d"));
        assert_eq!(query.value("empty"), Some(""));
        assert_eq!(query.value("bad"), Some("%zz%"));
        assert!(query.flag("flag") && !query.flag("a") && !query.flag("none"));
        assert_eq!(decoded(&encoded("a b/ü~%+")), "a b/ü~%+");
    }

    #[test]
    fn pages_have_bounds() {
        let page = |text| Query::parse(text).page();
        assert_eq!(page("page_size=5"), Ok(None));
        let first = page("page=1&name=q&use_regex=true").unwrap().unwrap();
        assert_eq!((first.number, first.size), (1, 100));
        assert_eq!((first.name.as_deref(), first.use_regex), (Some("q"), true));
        assert!(page("page=2&page_size=500").is_ok());
        for wrong in [
            "page=0",
            "page=-1",
            "page=x",
            "page=1&page_size=501",
            "page=1&page_size=-2",
            "page=1&page_size=x",
            "page=",
        ] {
            assert!(page(wrong).is_err(), "{wrong}");
        }
        let long = format!("page=1&use_regex=true&name={}", "a".repeat(1025));
        assert!(page(&long).is_err());
    }

    #[test]
    fn ranges_are_positive_and_bounded() {
        let range = |text| Query::parse(text).range("lengths");
        assert_eq!(range(""), Ok(None));
        assert_eq!(
            range("lengths_age=60&lengths_incr=5"),
            Ok(Some(Range { age: 60, step: 5 }))
        );
        let most = range("lengths_age=99999&lengths_incr=200")
            .unwrap()
            .unwrap();
        assert_eq!(most.age, RANGE_SECONDS_MAX);
        assert_eq!(range("lengths_age=x&lengths_incr=5"), Ok(None));
        for wrong in [
            "lengths_age=0&lengths_incr=5",
            "lengths_age=60&lengths_incr=-5",
            "lengths_age=5010&lengths_incr=10",
        ] {
            assert!(range(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn columns_have_dots() {
        let columns = Query::parse("columns=name,arguments.x-message-ttl")
            .columns()
            .unwrap();
        assert_eq!(columns, [vec!["name"], vec!["arguments", "x-message-ttl"]]);
    }
}

//! What rows of lists are sorted by.

use std::cmp::Ordering;

use serde_json::Value;

/// A row's value in RabbitMQ's order: numbers, then words, then tables, then lists, then texts; what is not there is as 0.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum SortKey {
    Number(f64),
    Word(bool),
    Table,
    List,
    Text(String),
}

impl SortKey {
    /// What is not there.
    pub(super) const ABSENT: Self = Self::Number(0.0);

    pub(super) fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::ABSENT,
            Value::Number(number) => Self::Number(number.as_f64().unwrap_or(0.0)),
            Value::Bool(word) => Self::Word(*word),
            Value::Object(_) => Self::Table,
            Value::Array(_) => Self::List,
            Value::String(text) => Self::Text(text.clone()),
        }
    }

    pub(super) fn text(text: Option<&str>) -> Self {
        text.map_or(Self::ABSENT, |text| Self::Text(text.to_owned()))
    }

    pub(super) fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(left), Self::Number(right)) => left.total_cmp(right),
            (Self::Word(left), Self::Word(right)) => left.cmp(right),
            (Self::Text(left), Self::Text(right)) => left.cmp(right),
            _ => self.rank().cmp(&other.rank()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Number(_) => 0,
            Self::Word(_) => 1,
            Self::Table => 2,
            Self::List => 3,
            Self::Text(_) => 4,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_order_is_that_of_rabbitmq() {
        let ascending = [
            json!(-1.5),
            json!(null),
            json!(2),
            json!(false),
            json!(true),
            json!({"a": 1}),
            json!([]),
            json!(""),
            json!("a"),
        ];
        let keys = ascending.each_ref().map(SortKey::of);
        assert!(keys.is_sorted_by(|left, right| left.compare(right) == Ordering::Less));
        for (one, same) in [(json!(null), json!(0)), (json!([1]), json!([2]))] {
            let order = SortKey::of(&one).compare(&SortKey::of(&same));
            assert_eq!(order, Ordering::Equal);
        }
    }
}

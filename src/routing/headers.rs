//! The headers exchange: a binding's arguments against a message's headers (specification §5.4).
//!
//! Keys play no part. Bindings lie in the [`Ledger`](super::ledger::Ledger); here is only what one binding asks for.

use amq_protocol::types::AMQPValue;
use amq_protocol::types::FieldTable;

use crate::model::Arguments;
use crate::model::arguments::same;
use crate::model::arguments::text;
use crate::routing::RoutingError;

/// The argument that says how the others are combined.
const X_MATCH: &str = "x-match";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quantifier {
    /// Every considered argument must match.
    All,
    /// One is enough.
    Any,
}

/// Which arguments are considered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Those whose name does not begin with `x-`.
    Plain,
    /// All but `x-match` itself.
    WithX,
}

/// Refuses arguments that no message could be compared with.
pub(super) fn validate(arguments: &Arguments) -> Result<(), RoutingError> {
    match arguments.value(X_MATCH) {
        None => Ok(()),
        Some(value) => match value {
            AMQPValue::LongString(_) | AMQPValue::ShortString(_) => match mode_named(text(value)) {
                Some(_) => Ok(()),
                None => Err(RoutingError::MatchWord {
                    value: value.clone(),
                }),
            },
            AMQPValue::Boolean(_)
            | AMQPValue::ShortShortInt(_)
            | AMQPValue::ShortShortUInt(_)
            | AMQPValue::ShortInt(_)
            | AMQPValue::ShortUInt(_)
            | AMQPValue::LongInt(_)
            | AMQPValue::LongUInt(_)
            | AMQPValue::LongLongInt(_)
            | AMQPValue::Float(_)
            | AMQPValue::Double(_)
            | AMQPValue::DecimalValue(_)
            | AMQPValue::FieldArray(_)
            | AMQPValue::Timestamp(_)
            | AMQPValue::FieldTable(_)
            | AMQPValue::ByteArray(_)
            | AMQPValue::Void => Err(RoutingError::MatchType {
                value: value.clone(),
            }),
        },
    }
}

/// Whether a message with `headers` takes the binding with `arguments`.
pub(super) fn matches(arguments: &Arguments, headers: Option<&FieldTable>) -> bool {
    let (quantifier, scope) = arguments
        .value(X_MATCH)
        .and_then(|value| mode_named(text(value)))
        .unwrap_or((Quantifier::All, Scope::Plain));
    let mut considered = arguments.iter().filter(|(name, _)| match scope {
        Scope::Plain => !name.starts_with("x-"),
        Scope::WithX => *name != X_MATCH,
    });
    let present = |(name, wanted): (&str, &AMQPValue)| {
        headers
            .and_then(|headers| headers.inner().get(name))
            .is_some_and(|found| satisfies(wanted, found))
    };
    match quantifier {
        Quantifier::All => considered.all(present),
        Quantifier::Any => considered.any(present),
    }
}

fn mode_named(word: Option<&str>) -> Option<(Quantifier, Scope)> {
    match word? {
        "all" => Some((Quantifier::All, Scope::Plain)),
        "any" => Some((Quantifier::Any, Scope::Plain)),
        "all-with-x" => Some((Quantifier::All, Scope::WithX)),
        "any-with-x" => Some((Quantifier::Any, Scope::WithX)),
        _ => None,
    }
}

/// RabbitMQ compares bare values, so wire types of one kind are equal by value: whole numbers, others, strings of octets. A
/// void argument asks for presence alone.
fn satisfies(wanted: &AMQPValue, found: &AMQPValue) -> bool {
    if matches!(wanted, AMQPValue::Void) || same(wanted, found) {
        return true;
    }
    if let (Some(wanted), Some(found)) = (octets(wanted), octets(found)) {
        return wanted == found;
    }
    matches!((fraction(wanted), fraction(found)), (Some(wanted), Some(found)) if wanted == found)
}

fn octets(value: &AMQPValue) -> Option<&[u8]> {
    if let AMQPValue::LongString(text) = value {
        Some(text.as_bytes())
    } else if let AMQPValue::ByteArray(bytes) = value {
        Some(bytes.as_slice())
    } else if let AMQPValue::ShortString(text) = value {
        Some(text.as_str().as_bytes())
    } else {
        None
    }
}

/// No whole number, even where its value is one.
fn fraction(value: &AMQPValue) -> Option<f64> {
    if let AMQPValue::Double(value) = value {
        Some(*value)
    } else if let AMQPValue::Float(value) = value {
        Some(f64::from(*value))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(entries: &[(&str, AMQPValue)]) -> FieldTable {
        let mut table = FieldTable::default();
        for (key, value) in entries {
            table.insert((*key).into(), value.clone());
        }
        table
    }

    fn string(text: &str) -> AMQPValue {
        AMQPValue::LongString(text.into())
    }

    #[track_caller]
    fn check(
        arguments: &[(&str, AMQPValue)],
        matching: &[&[(&str, AMQPValue)]],
        others: &[&[(&str, AMQPValue)]],
    ) {
        let arguments = Arguments::from(table(arguments));
        validate(&arguments).expect("valid");
        for headers in matching {
            assert!(
                matches(&arguments, Some(&table(headers))),
                "{arguments:?} takes {headers:?}"
            );
        }
        for headers in others {
            assert!(
                !matches(&arguments, Some(&table(headers))),
                "{arguments:?} does not take {headers:?}"
            );
        }
    }

    #[test]
    fn all_wants_every_argument_and_is_the_default() {
        let (a, b) = (("a", string("1")), ("b", string("2")));
        for mode in [vec![], vec![("x-match", string("all"))]] {
            let arguments = [mode, vec![a.clone(), b.clone()]].concat();
            check(
                &arguments,
                &[
                    &[a.clone(), b.clone()],
                    &[a.clone(), b.clone(), ("c", string("3"))],
                ],
                &[
                    &[],
                    std::slice::from_ref(&a),
                    &[a.clone(), ("b", string("3"))],
                ],
            );
        }
    }

    #[test]
    fn any_wants_one_argument() {
        let (a, b) = (("a", string("1")), ("b", string("2")));
        check(
            &[("x-match", string("any")), a.clone(), b.clone()],
            &[std::slice::from_ref(&a), &[b, ("c", string("3"))]],
            &[&[], &[("a", string("2"))], &[("c", string("3"))]],
        );
    }

    #[test]
    fn arguments_beginning_with_x_are_skipped_unless_the_mode_says_with_x() {
        let x = ("x-kind", string("1"));
        check(&[("x-match", string("all")), x.clone()], &[&[]], &[]);
        check(
            &[("x-match", string("any")), x.clone()],
            &[],
            &[&[], std::slice::from_ref(&x)],
        );
        check(
            &[("x-match", string("all-with-x")), x.clone()],
            &[std::slice::from_ref(&x)],
            &[&[], &[("x-kind", string("2"))]],
        );
        check(
            &[
                ("x-match", string("any-with-x")),
                x.clone(),
                ("a", string("1")),
            ],
            &[std::slice::from_ref(&x), &[("a", string("1"))]],
            &[&[]],
        );
        check(&[("x-match", string("all-with-x"))], &[&[]], &[]);
        check(
            &[("x-match", string("any-with-x"))],
            &[],
            &[&[("x-match", string("any-with-x"))]],
        );
    }

    #[test]
    fn whole_numbers_are_equal_across_their_types_and_fractions_too() {
        let one = |value| ("a", value);
        check(
            &[one(AMQPValue::LongInt(1))],
            &[
                &[one(AMQPValue::LongLongInt(1))],
                &[one(AMQPValue::ShortShortUInt(1))],
            ],
            &[
                &[one(AMQPValue::Double(1.0))],
                &[one(AMQPValue::Timestamp(1))],
                &[one(AMQPValue::Boolean(true))],
                &[one(string("1"))],
            ],
        );
    }

    #[test]
    fn nothing_to_consider_matches_all_but_not_any() {
        for headers in [None, Some(&table(&[("a", string("1"))]))] {
            assert!(matches(&Arguments::default(), headers));
            let any = Arguments::from(table(&[("x-match", string("any"))]));
            assert!(!matches(&any, headers));
        }
    }

    #[test]
    fn void_asks_for_presence() {
        check(
            &[("a", AMQPValue::Void)],
            &[&[("a", string("1"))], &[("a", AMQPValue::Void)]],
            &[&[("b", string("1"))]],
        );
        check(&[("a", string(""))], &[], &[&[("a", AMQPValue::Void)]]);
    }

    #[test]
    fn values_compare_without_their_wire_types() {
        check(
            &[("n", AMQPValue::LongInt(5))],
            &[
                &[("n", AMQPValue::LongLongInt(5))],
                &[("n", AMQPValue::ShortShortUInt(5))],
            ],
            &[
                &[("n", AMQPValue::LongInt(6))],
                &[("n", string("5"))],
                &[("n", AMQPValue::Double(5.5))],
                &[("n", AMQPValue::Boolean(true))],
            ],
        );
        check(
            &[("f", AMQPValue::Double(0.5))],
            &[&[("f", AMQPValue::Float(0.5))]],
            &[&[("f", AMQPValue::Float(0.25))]],
        );
        check(
            &[("s", string("ab"))],
            &[&[("s", AMQPValue::ByteArray(b"ab".as_slice().into()))]],
            &[&[("s", string("AB"))]],
        );
    }

    #[test]
    fn a_wrong_x_match_is_refused_in_rabbitmqs_words() {
        let refusal = |value| {
            validate(&Arguments::from(table(&[("x-match", value)])))
                .expect_err("refused")
                .to_string()
        };
        assert_eq!(
            refusal(string("some")),
            r#"Invalid x-match field value <<"some">>; expected all, any, all-with-x, or any-with-x"#
        );
        assert_eq!(
            refusal(AMQPValue::LongInt(1)),
            "Invalid x-match field type signedint (value 1); expected longstr"
        );
    }
}

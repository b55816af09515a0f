//! One exchange's bindings and the look-up that its type asks for.
//!
//! It does not know its exchange's name or what a destination is. Not synchronised: whoever shares one guards it.

use std::hash::Hash;

use amq_protocol::types::FieldTable;

use crate::model::Arguments;
use crate::model::RoutingKey;
use crate::routing::Kind;
use crate::routing::RoutingError;
use crate::routing::consistent_hash;
use crate::routing::consistent_hash::ConsistentHash;
use crate::routing::direct::Direct;
use crate::routing::fanout::Fanout;
use crate::routing::headers;
use crate::routing::ledger::Binding;
use crate::routing::ledger::Ledger;
use crate::routing::pool::Pool;
use crate::routing::topic::Topic;

/// What the type needs beside the bindings themselves.
#[derive(Debug, Clone)]
enum Index<D> {
    Direct(Direct<D>),
    Fanout(Fanout<D>),
    Topic(Topic<D>),
    /// Every binding is looked at.
    Headers,
    ConsistentHash(ConsistentHash<D>),
    Pool(Pool<D>),
}

/// The bindings of one exchange.
///
/// `D` is a destination: a queue or an exchange. It is cloned for each message that is routed to it, so it should be
/// a number or an `Arc`.
#[derive(Debug, Clone)]
pub struct Router<D> {
    kind: Kind,
    ledger: Ledger<D>,
    index: Index<D>,
}

impl<D: Clone + Eq + Hash> Router<D> {
    /// An exchange of type `kind` without bindings.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            ledger: Ledger::default(),
            index: match kind {
                Kind::Direct => Index::Direct(Direct::default()),
                // A delayed exchange has the router of the type that its argument names.
                Kind::Fanout | Kind::RecentHistory | Kind::Deduplication | Kind::Delayed => {
                    Index::Fanout(Fanout::default())
                }
                Kind::Topic => Index::Topic(Topic::default()),
                Kind::Headers => Index::Headers,
                Kind::ConsistentHash => Index::ConsistentHash(ConsistentHash::default()),
                Kind::ModulusHash | Kind::Random | Kind::LocalRandom => {
                    Index::Pool(Pool::default())
                }
            },
        }
    }

    /// The exchange's type.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Adds a binding; `Ok(false)` when the same one (destination, key and arguments) is there already.
    ///
    /// # Errors
    /// When the type does not take such a binding; nothing has changed then.
    pub fn bind(
        &mut self,
        key: &RoutingKey,
        arguments: &Arguments,
        destination: D,
    ) -> Result<bool, RoutingError> {
        self.validate(key, arguments)?;
        if !self.ledger.insert(key, arguments, destination.clone()) {
            return Ok(false);
        }
        match &mut self.index {
            Index::Direct(direct) => direct.insert(key, &destination),
            Index::Fanout(fanout) => fanout.insert(&destination),
            Index::Topic(topic) => topic.insert(key, &destination),
            Index::Headers => {}
            Index::ConsistentHash(ring) => {
                ring.insert(consistent_hash::weight(key)?, &destination);
            }
            Index::Pool(pool) => pool.insert(&destination),
        }
        Ok(true)
    }

    /// Whether the type takes such a binding.
    ///
    /// # Errors
    /// Why it does not.
    pub fn validate(&self, key: &RoutingKey, arguments: &Arguments) -> Result<(), RoutingError> {
        match self.kind {
            Kind::Headers => headers::validate(arguments),
            Kind::ConsistentHash => consistent_hash::weight(key).map(drop),
            Kind::LocalRandom if !key.is_empty() => Err(RoutingError::KeyNotEmpty {
                key: key.to_string(),
            }),
            Kind::Direct
            | Kind::Fanout
            | Kind::Topic
            | Kind::ModulusHash
            | Kind::Random
            | Kind::LocalRandom
            | Kind::RecentHistory
            | Kind::Deduplication
            | Kind::Delayed => Ok(()),
        }
    }

    /// Whether there is this binding.
    pub fn has(&self, key: &str, arguments: &Arguments, destination: &D) -> bool {
        self.ledger.has(key, arguments, destination)
    }

    /// Removes a binding; `false` when there is none with that destination, key and arguments.
    pub fn unbind(&mut self, key: &str, arguments: &Arguments, destination: &D) -> bool {
        match self.ledger.remove(key, arguments, destination) {
            Some(binding) => {
                self.unindex(&binding);
                true
            }
            None => false,
        }
    }

    /// Removes all bindings that lead to `destination` and says how many there were.
    ///
    /// Its cost is that of those bindings, not of all.
    pub fn remove_destination(&mut self, destination: &D) -> usize {
        let removed = self.ledger.remove_destination(destination);
        for binding in &removed {
            self.unindex(binding);
        }
        removed.len()
    }

    /// Whether there are no bindings.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many bindings there are.
    pub fn len(&self) -> usize {
        self.ledger.len()
    }

    /// All bindings, in no order.
    pub fn bindings(&self) -> impl Iterator<Item = (&RoutingKey, &Arguments, &D)> {
        self.ledger.iter().map(parts)
    }

    /// The bindings that lead to `destination`, in no order; the others cost nothing.
    pub fn bindings_to(
        &self,
        destination: &D,
    ) -> impl Iterator<Item = (&RoutingKey, &Arguments, &D)> {
        self.ledger.of_destination(destination).map(parts)
    }

    /// Pushes each destination that a message with `key` and `headers` goes to.
    ///
    /// Only a topic exchange may push one destination more than once (when several patterns match); it, like a
    /// message with several keys, leaves duplicates to the caller. `headers` (`None`: the message has none) is only
    /// looked at by a headers exchange. Types that say [`Kind::picks_one`] push nothing: see [`Router::pick`].
    pub fn route(&self, key: &str, headers: Option<&FieldTable>, out: &mut Vec<D>) {
        match &self.index {
            Index::Direct(direct) => direct.route(key, out),
            Index::Fanout(fanout) => fanout.route(out),
            Index::Topic(topic) => topic.route(key, out),
            Index::Headers => {
                for (destination, mut bindings) in self.ledger.destinations() {
                    if bindings.any(|binding| headers::matches(&binding.arguments, headers)) {
                        out.push(destination.clone());
                    }
                }
            }
            Index::ConsistentHash(_) | Index::Pool(_) => {}
        }
    }

    /// The destination that `draw` falls on, for types that say [`Kind::picks_one`].
    ///
    /// `draw` is a [`stable_hash`](super::stable_hash) of what the type hashes, or a random number: any of 64 bits.
    pub fn pick(&self, draw: u64) -> Option<&D> {
        match &self.index {
            Index::ConsistentHash(ring) => ring.pick(draw),
            Index::Pool(pool) => pool.pick(draw),
            Index::Direct(_) | Index::Fanout(_) | Index::Topic(_) | Index::Headers => None,
        }
    }

    fn unindex(&mut self, binding: &Binding<D>) {
        match &mut self.index {
            Index::Direct(direct) => direct.remove(&binding.key, &binding.destination),
            Index::Fanout(fanout) => fanout.remove(&binding.destination),
            Index::Topic(topic) => topic.remove(&binding.key, &binding.destination),
            Index::Headers => {}
            Index::ConsistentHash(ring) => {
                // It was judged when it was bound.
                if let Ok(weight) = consistent_hash::weight(&binding.key) {
                    ring.remove(weight, &binding.destination);
                }
            }
            Index::Pool(pool) => pool.remove(&binding.destination),
        }
    }
}

fn parts<D>(binding: &Binding<D>) -> (&RoutingKey, &Arguments, &D) {
    (&binding.key, &binding.arguments, &binding.destination)
}

#[cfg(test)]
mod tests {
    use super::*;
    use amq_protocol::types::AMQPValue;
    use proptest::prelude::*;

    type Bound = (RoutingKey, Arguments, u32);

    /// Types that send a message everywhere where a binding takes it.
    const MATCHING: [Kind; 6] = [
        Kind::Direct,
        Kind::Fanout,
        Kind::Topic,
        Kind::Headers,
        Kind::RecentHistory,
        Kind::Deduplication,
    ];

    /// Types that send a message to one destination.
    const PICKING: [Kind; 4] = [
        Kind::ConsistentHash,
        Kind::ModulusHash,
        Kind::Random,
        Kind::LocalRandom,
    ];

    fn key(text: &str) -> RoutingKey {
        RoutingKey::known(text)
    }

    fn arguments(entries: &[(&str, AMQPValue)]) -> Arguments {
        let mut arguments = Arguments::default();
        for (name, value) in entries {
            arguments.set(name, value.clone());
        }
        arguments
    }

    fn routed(router: &Router<u32>, key: &str, headers: Option<&FieldTable>) -> Vec<u32> {
        let mut out = Vec::new();
        router.route(key, headers, &mut out);
        out.sort_unstable();
        out
    }

    #[test]
    fn a_direct_exchange_routes_by_equal_keys_and_learns_none() {
        let mut router = Router::new(Kind::Direct);
        let none = Arguments::default();
        router.bind(&key("k"), &none, 1).expect("bound");
        router.bind(&key("k"), &none, 2).expect("bound");
        router.bind(&key(""), &none, 3).expect("bound");
        assert_eq!(routed(&router, "k", None), [1, 2]);
        assert_eq!(routed(&router, "", None), [3]);
        assert!(routed(&router, "K", None).is_empty());
        assert!(routed(&router, "#", None).is_empty());
        assert_eq!(router.len(), 3);
    }

    #[test]
    fn the_same_binding_twice_is_one_binding() {
        for kind in MATCHING {
            let mut router = Router::new(kind);
            let with = arguments(&[("a", AMQPValue::LongInt(1))]);
            assert_eq!(router.bind(&key("k"), &with, 1), Ok(true));
            assert_eq!(router.bind(&key("k"), &with, 1), Ok(false));
            assert_eq!(router.len(), 1);
            assert!(router.unbind("k", &with, &1));
            assert!(!router.unbind("k", &with, &1));
            assert!(router.is_empty());
            assert!(routed(&router, "k", Some(with.table())).is_empty());
        }
    }

    #[test]
    fn bindings_that_differ_in_arguments_are_two_and_one_copy_is_sent() {
        for kind in MATCHING {
            let mut router = Router::new(kind);
            let first = arguments(&[("a", AMQPValue::LongInt(1))]);
            let second = arguments(&[("b", AMQPValue::Double(1.0))]);
            let headers = arguments(&[("a", AMQPValue::LongInt(1)), ("b", AMQPValue::Double(1.0))]);
            router.bind(&key("k"), &first, 1).expect("bound");
            router.bind(&key("k"), &second, 1).expect("bound");
            assert_eq!(routed(&router, "k", Some(headers.table())), [1]);
            assert!(router.unbind("k", &first, &1));
            assert_eq!(routed(&router, "k", Some(headers.table())), [1]);
            assert!(router.unbind("k", &second, &1));
            assert!(routed(&router, "k", Some(headers.table())).is_empty());
        }
    }

    #[test]
    fn a_refused_binding_changes_nothing() {
        let mut router = Router::new(Kind::Headers);
        let wrong = arguments(&[("x-match", AMQPValue::LongString("most".into()))]);
        assert!(router.bind(&key(""), &wrong, 1).is_err());
        assert!(router.is_empty());
        let mut router = Router::new(Kind::Topic);
        assert_eq!(
            router.bind(&key(""), &wrong, 1),
            Ok(true),
            "not its argument"
        );
    }

    #[test]
    fn picking_types_take_what_is_a_binding_to_them() {
        let none = Arguments::default();
        for kind in PICKING {
            let mut router = Router::new(kind);
            let (good, bad) = if kind == Kind::ConsistentHash {
                ("3", Some("three"))
            } else if kind == Kind::LocalRandom {
                ("", Some("k"))
            } else {
                ("anything", None)
            };
            if let Some(wrong) = bad {
                assert!(router.bind(&key(wrong), &none, 1).is_err());
            }
            assert!(router.is_empty() && router.pick(7).is_none());
            assert_eq!(router.bind(&key(good), &none, 1), Ok(true));
            assert_eq!(router.bind(&key(good), &none, 1), Ok(false));
            assert_eq!(router.bind(&key(good), &none, 2), Ok(true));
            let picked = |router: &Router<u32>| {
                let mut picked: Vec<u32> = (0..100)
                    .filter_map(|n: u64| router.pick(crate::routing::mix(n)).copied())
                    .collect();
                picked.sort_unstable();
                picked.dedup();
                picked
            };
            assert_eq!(picked(&router), [1, 2]);
            assert!(
                routed(&router, good, None).is_empty(),
                "it picks, it does not match"
            );
            assert_eq!(router.remove_destination(&1), 1);
            assert_eq!(picked(&router), [2]);
            assert!(router.unbind(good, &none, &2));
            assert!(router.pick(7).is_none());
        }
    }

    #[test]
    fn destinations_come_and_go_among_a_hundred_thousand_others() {
        for kind in MATCHING {
            let mut router = Router::new(kind);
            let none = Arguments::default();
            for destination in 0..100_000 {
                let own = key(&format!("a.{destination}"));
                router.bind(&own, &none, destination).expect("bound");
                router
                    .bind(&key("shared"), &none, destination)
                    .expect("bound");
            }
            // With a walk over all bindings each, these would be 2 * 10^9 steps.
            for destination in 0..10_000 {
                assert_eq!(router.bindings_to(&destination).count(), 2);
                assert_eq!(router.remove_destination(&destination), 2);
            }
            assert_eq!(router.remove_destination(&5), 0);
            assert_eq!(router.len(), 180_000);
            let left = routed(&router, "shared", None);
            assert_eq!(left, (10_000..100_000).collect::<Vec<_>>());
        }
    }

    #[derive(Debug, Clone)]
    enum Change {
        Bind(Bound),
        Unbind(Bound),
        RemoveDestination(u32),
    }

    fn arguments_strategy() -> impl Strategy<Value = Arguments> {
        let value = prop_oneof![
            Just(AMQPValue::LongInt(1)),
            Just(AMQPValue::LongLongInt(1)),
            Just(AMQPValue::Double(0.5)),
            Just(AMQPValue::Void),
            Just(AMQPValue::LongString("any".into())),
        ];
        proptest::collection::vec(
            (proptest::sample::select(vec!["a", "b", "x-c"]), value),
            0..3,
        )
        .prop_map(|entries| arguments(&entries))
    }

    fn bound() -> impl Strategy<Value = Bound> {
        let keys = proptest::sample::select(vec!["", "a", "a.b", "a.*", "#", "a.#.b", "*"]);
        (keys.prop_map(key), arguments_strategy(), 0..50u32)
    }

    fn changes() -> impl Strategy<Value = Vec<Change>> {
        let change = prop_oneof![
            6 => bound().prop_map(Change::Bind),
            3 => bound().prop_map(Change::Unbind),
            1 => (0..50u32).prop_map(Change::RemoveDestination),
        ];
        proptest::collection::vec(change, 1..200)
    }

    /// Whether one binding takes a message, each asked alone.
    fn takes(kind: Kind, bound: &Bound, key: &str, headers: &FieldTable) -> bool {
        let mut alone = Router::new(kind);
        alone.bind(&bound.0, &bound.1, ()).expect("bound");
        let mut out = Vec::new();
        alone.route(key, Some(headers), &mut out);
        !out.is_empty()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_router_agrees_with_a_list_of_bindings(
            kind in proptest::sample::select(MATCHING.to_vec()),
            changes in changes(),
            headers in arguments_strategy(),
        ) {
            let mut router = Router::new(kind);
            let mut list: Vec<Bound> = Vec::new();
            for change in changes {
                match change {
                    Change::Bind(bound) => {
                        let new = !list.contains(&bound);
                        prop_assert_eq!(router.bind(&bound.0, &bound.1, bound.2), Ok(new));
                        if new {
                            list.push(bound);
                        }
                    }
                    Change::Unbind(bound) => {
                        let position = list.iter().position(|known| *known == bound);
                        prop_assert_eq!(router.unbind(&bound.0, &bound.1, &bound.2), position.is_some());
                        position.map(|position| list.remove(position));
                    }
                    Change::RemoveDestination(destination) => {
                        let before = list.len();
                        list.retain(|known| known.2 != destination);
                        prop_assert_eq!(router.remove_destination(&destination), before - list.len());
                    }
                }
            }
            prop_assert_eq!(router.len(), list.len());
            for (key, arguments, destination) in router.bindings() {
                prop_assert!(list.contains(&(key.clone(), arguments.clone(), *destination)));
            }
            for destination in 0..50 {
                let expected = list.iter().filter(|known| known.2 == destination).count();
                prop_assert_eq!(router.bindings_to(&destination).count(), expected);
            }
            for key in ["", "a", "a.b", "a.x.b", "c"] {
                let mut actual = routed(&router, key, Some(headers.table()));
                if kind == Kind::Topic {
                    actual.dedup();
                }
                let mut expected: Vec<u32> = list
                    .iter()
                    .filter(|bound| takes(kind, bound, key, headers.table()))
                    .map(|bound| bound.2)
                    .collect();
                expected.sort_unstable();
                expected.dedup();
                prop_assert_eq!(actual, expected, "key {:?}", key);
            }
        }
    }
}

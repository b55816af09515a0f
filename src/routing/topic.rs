//! The topic exchange: binding keys are patterns over the words of the routing key (specification §5.3).
//!
//! Words are split on `.` and may be empty; the empty key has no words. `*` stands for exactly one word, `#` for any
//! number, zero included. Patterns share a trie; the routing key walks it as through a finite automaton, word by
//! word with all places it can be in at once. So no pattern and no key costs more than one visit of each node
//! per word, however many `#` there are.
//!
//! Before it enters the trie a run of wildcards is written in one way, its `*` first and then at most one `#`, which
//! means the same. Hence a node behind a `#` has only words as children.

use std::collections::HashMap;
use std::collections::HashSet;
use std::hash::Hash;
use std::num::NonZeroU32;

use foldhash::fast::RandomState;
use smallvec::SmallVec;

use crate::routing::destinations::Destinations;

/// The root is no node's child, so children fit [`NonZeroU32`].
const ROOT: u32 = 0;

/// Places of the automaton that need no heap.
const PLACES_INLINE: usize = 16;

type Places = SmallVec<[u32; PLACES_INLINE]>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step<'a> {
    /// This very word.
    Word(&'a str),
    /// `*`
    One,
    /// `#`
    Many,
}

#[derive(Debug, Clone)]
struct Node<D> {
    /// Of the patterns that end here.
    destinations: Destinations<D>,
    /// The child for `*`.
    one: Option<NonZeroU32>,
    /// The child for `#`.
    many: Option<NonZeroU32>,
    /// How many children there are for words, in [`Topic::edges`].
    words: u32,
}

impl<D> Default for Node<D> {
    fn default() -> Self {
        Self {
            destinations: Destinations::default(),
            one: None,
            many: None,
            words: 0,
        }
    }
}

/// A word that occurs in patterns, known by number so that a routing key's word is hashed once for all nodes.
#[derive(Debug, Clone)]
struct Word {
    number: u32,
    /// Edges with this word.
    edges: u32,
}

/// The trie of all binding keys.
#[derive(Debug, Clone)]
pub(super) struct Topic<D> {
    nodes: Vec<Node<D>>,
    free_nodes: Vec<u32>,
    words: HashMap<Box<str>, Word, RandomState>,
    free_words: Vec<u32>,
    /// (node, word) → child.
    edges: HashMap<(u32, u32), NonZeroU32, RandomState>,
}

impl<D> Default for Topic<D> {
    fn default() -> Self {
        Self {
            nodes: vec![Node::default()],
            free_nodes: Vec::new(),
            words: HashMap::default(),
            free_words: Vec::new(),
            edges: HashMap::default(),
        }
    }
}

impl<D: Clone + Eq + Hash> Topic<D> {
    pub(super) fn insert(&mut self, key: &str, destination: &D) {
        let mut node = ROOT;
        for step in steps(key) {
            node = match self.child(node, step) {
                Some(child) => child.get(),
                None => self.add_child(node, step).get(),
            };
        }
        self.node_mut(node).destinations.insert(destination);
    }

    pub(super) fn remove(&mut self, key: &str, destination: &D) {
        let steps = steps(key);
        let mut path: Places = SmallVec::new();
        let mut node = ROOT;
        for step in &steps {
            let Some(child) = self.child(node, *step) else {
                return;
            };
            path.push(node);
            node = child.get();
        }
        self.node_mut(node).destinations.remove(destination);
        for (parent, step) in path.into_iter().zip(steps).rev() {
            if !self.is_bare(node) {
                return;
            }
            self.remove_child(parent, step);
            self.free_nodes.push(node);
            node = parent;
        }
    }

    /// Pushes the destinations of every matching pattern; one that several patterns lead to is pushed for each.
    pub(super) fn route(&self, key: &str, out: &mut Vec<D>) {
        let mut loops = Loops::default();
        let mut places: Places = SmallVec::new();
        let mut next: Places = SmallVec::new();
        self.enter(ROOT, &mut places, &mut loops);
        for word in words(key) {
            // A loop that this word enters takes part from the next word on.
            let loops_entered = loops.list.len();
            let word = self.words.get(word).map(|word| word.number);
            for place in &places {
                if let Some(child) = self.word_child(*place, word) {
                    self.enter(child.get(), &mut next, &mut loops);
                }
                if let Some(child) = self.node(*place).one {
                    self.enter(child.get(), &mut next, &mut loops);
                }
            }
            for position in 0..loops_entered {
                if let Some(child) = self.word_child(loops.list[position], word) {
                    self.enter(child.get(), &mut next, &mut loops);
                }
            }
            std::mem::swap(&mut places, &mut next);
            next.clear();
            if places.is_empty() && loops.list.is_empty() {
                return;
            }
        }
        for place in places.iter().chain(&loops.list) {
            self.node(*place).destinations.push_all(out);
        }
    }

    /// Arrives at a node, and at once at the one behind its `#`, which may stand for no word at all.
    ///
    /// A node that is not behind a `#` has one parent and one way from it, so it is entered once per word.
    fn enter(&self, node: u32, places: &mut Places, loops: &mut Loops) {
        places.push(node);
        if let Some(many) = self.node(node).many {
            loops.enter(many.get());
        }
    }

    fn node(&self, node: u32) -> &Node<D> {
        &self.nodes[node as usize]
    }

    fn node_mut(&mut self, node: u32) -> &mut Node<D> {
        &mut self.nodes[node as usize]
    }

    fn is_bare(&self, node: u32) -> bool {
        let node = self.node(node);
        node.destinations.is_empty() && node.one.is_none() && node.many.is_none() && node.words == 0
    }

    fn child(&self, node: u32, step: Step<'_>) -> Option<NonZeroU32> {
        match step {
            Step::Word(word) => self.word_child(node, self.words.get(word).map(|word| word.number)),
            Step::One => self.node(node).one,
            Step::Many => self.node(node).many,
        }
    }

    /// The child for a word that patterns know by number.
    fn word_child(&self, node: u32, word: Option<u32>) -> Option<NonZeroU32> {
        if self.node(node).words == 0 {
            return None;
        }
        self.edges.get(&(node, word?)).copied()
    }

    fn add_child(&mut self, parent: u32, step: Step<'_>) -> NonZeroU32 {
        let child = self.free_nodes.pop().unwrap_or_else(|| {
            self.nodes.push(Node::default());
            u32::try_from(self.nodes.len() - 1).expect("fewer nodes than 2^32")
        });
        let child = NonZeroU32::new(child).expect("the root is never free");
        match step {
            Step::Word(word) => {
                let word = self.learn_word(word);
                self.edges.insert((parent, word), child);
                self.node_mut(parent).words += 1;
            }
            Step::One => self.node_mut(parent).one = Some(child),
            Step::Many => self.node_mut(parent).many = Some(child),
        }
        child
    }

    fn remove_child(&mut self, parent: u32, step: Step<'_>) {
        match step {
            Step::Word(word) => {
                let Some(number) = self.words.get(word).map(|word| word.number) else {
                    return;
                };
                self.edges.remove(&(parent, number));
                self.node_mut(parent).words -= 1;
                self.forget_word(word);
            }
            Step::One => self.node_mut(parent).one = None,
            Step::Many => self.node_mut(parent).many = None,
        }
    }

    /// The word's number, with one more edge counted.
    fn learn_word(&mut self, word: &str) -> u32 {
        if let Some(known) = self.words.get_mut(word) {
            known.edges += 1;
            return known.number;
        }
        // Numbers in use and free ones together are 0..n.
        let number = self
            .free_words
            .pop()
            .unwrap_or_else(|| u32::try_from(self.words.len()).expect("fewer words than 2^32"));
        self.words
            .insert(Box::from(word), Word { number, edges: 1 });
        number
    }

    /// Counts one edge less.
    fn forget_word(&mut self, word: &str) {
        if let Some(known) = self.words.get_mut(word) {
            known.edges -= 1;
            if known.edges == 0 {
                self.free_words.push(known.number);
                self.words.remove(word);
            }
        }
    }
}

/// The nodes behind a `#` that the walk has reached: any word keeps it there, so none is ever left.
#[derive(Default)]
struct Loops {
    list: Places,
    /// The same as `list`, once that is too long to be searched.
    seen: HashSet<u32, RandomState>,
}

impl Loops {
    fn enter(&mut self, node: u32) {
        let new = if self.seen.is_empty() {
            !self.list.contains(&node)
        } else {
            self.seen.insert(node)
        };
        if !new {
            return;
        }
        self.list.push(node);
        if self.seen.is_empty() && self.list.len() >= PLACES_INLINE {
            self.seen.extend(&self.list);
        }
    }
}

/// The words of a key; the empty key has none.
fn words(key: &str) -> impl Iterator<Item = &str> {
    (!key.is_empty())
        .then(|| key.split('.'))
        .into_iter()
        .flatten()
}

/// A binding key's words as steps, runs of wildcards in their one form.
fn steps(key: &str) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    let mut many = false;
    for word in words(key) {
        match word {
            "#" => many = true,
            "*" => steps.push(Step::One),
            word => {
                if std::mem::take(&mut many) {
                    steps.push(Step::Many);
                }
                steps.push(Step::Word(word));
            }
        }
    }
    if many {
        steps.push(Step::Many);
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn route(topic: &Topic<u32>, key: &str) -> Vec<u32> {
        let mut out = Vec::new();
        topic.route(key, &mut out);
        out.sort_unstable();
        out
    }

    #[track_caller]
    fn check_topic(pattern: &str, matching: &[&str], others: &[&str]) {
        let mut topic = Topic::default();
        topic.insert(pattern, &1);
        for key in matching {
            assert_eq!(route(&topic, key), [1], "{pattern:?} takes {key:?}");
        }
        for key in others {
            assert!(route(&topic, key).is_empty(), "{pattern:?} leaves {key:?}");
        }
        topic.remove(pattern, &1);
        assert!(topic.is_bare(ROOT), "{pattern:?} leaves nothing behind");
        assert!(topic.edges.is_empty() && topic.words.is_empty());
    }

    #[test]
    fn words_match_themselves() {
        check_topic(
            "stock.usd.nyse",
            &["stock.usd.nyse"],
            &["stock.usd", "stock.usd.nyse.x", ""],
        );
        check_topic(
            "stock",
            &["stock"],
            &["Stock", "stocks", "stock.", ".stock"],
        );
    }

    #[test]
    fn star_is_exactly_one_word() {
        check_topic("*", &["a", "*", "#"], &["", "a.b", "."]);
        check_topic(
            "stock.*",
            &["stock.usd", "stock."],
            &["stock", "stock.usd.nyse"],
        );
        check_topic("*.*", &["a.b", "."], &["", "a", "a.b.c"]);
        check_topic(
            "*.orange.*",
            &["quick.orange.rabbit"],
            &["orange", "quick.orange", "a.b.orange.c"],
        );
    }

    #[test]
    fn hash_is_any_number_of_words() {
        check_topic("#", &["", "a", "a.b", "..."], &[]);
        check_topic(
            "stock.#",
            &["stock", "stock.usd.nyse", "stock."],
            &["stocks", "", "a.stock"],
        );
        check_topic(
            "#.nyse",
            &["nyse", "stock.usd.nyse"],
            &["nyse.stock", "", "xnyse"],
        );
        check_topic(
            "a.#.b",
            &["a.b", "a.x.b", "a.x.y.b", "a.b.b", "a.a.b"],
            &["a", "b", "a.b.c"],
        );
        check_topic(
            "#.a.#",
            &["a", "a.a", "x.a", "a.x", "x.a.y.a"],
            &["", "x.y"],
        );
    }

    #[test]
    fn wildcards_in_a_row_add_up() {
        check_topic("#.#", &["", "a", "a.b"], &[]);
        check_topic("#.*", &["a", "a.b"], &[""]);
        check_topic("*.#.*", &["a.b", "a.b.c"], &["", "a"]);
        check_topic("a.*.#.*.b", &["a.x.y.b", "a.x.y.z.b"], &["a.b", "a.x.b"]);
    }

    #[test]
    fn empty_words_count() {
        check_topic("", &[""], &["a", "."]);
        check_topic(".", &["."], &["", "a", ".."]);
        check_topic("a..b", &["a..b"], &["a.b", "a.x.b"]);
        check_topic("a.*.b", &["a..b"], &["a.b"]);
        check_topic("a.#.b", &["a..b"], &[]);
    }

    #[test]
    fn wildcards_are_whole_words() {
        check_topic("a*", &["a*"], &["ab", "a"]);
        check_topic("a#.b", &["a#.b"], &["a.b", "ax.b"]);
    }

    #[test]
    fn hostile_patterns_take_no_more_than_a_visit_of_each_node_per_word() {
        let mut topic = Topic::default();
        let hashes = "#.a.".repeat(63);
        for words in 1..=63 {
            topic.insert(&format!("{}#", &hashes[..words * 4]), &(words as u32));
        }
        topic.insert(&["#"; 127].join("."), &100);
        let key = ["a"; 127].join(".");
        assert_eq!(
            route(&topic, &key),
            (1..=63).chain([100]).collect::<Vec<_>>()
        );
        assert_eq!(
            route(&topic, &key[..39]),
            (1..=20).chain([100]).collect::<Vec<_>>()
        );
    }

    #[test]
    fn twenty_eight_words_match() {
        let key = (0..28).map(|n| n.to_string()).collect::<Vec<_>>().join(".");
        check_topic(&key, &[&key], &[&key[1..]]);
        check_topic("#.27", &[&key], &[]);
        check_topic(&["*"; 28].join("."), &[&key], &[]);
    }

    /// The rules as they are told.
    fn matches(pattern: &[&str], key: &[&str]) -> bool {
        match pattern {
            [] => key.is_empty(),
            ["#", rest @ ..] => (0..=key.len()).any(|skipped| matches(rest, &key[skipped..])),
            ["*", rest @ ..] => !key.is_empty() && matches(rest, &key[1..]),
            [word, rest @ ..] => key.first() == Some(word) && matches(rest, &key[1..]),
        }
    }

    fn keys(word: &'static [&'static str]) -> impl Strategy<Value = String> {
        proptest::collection::vec(proptest::sample::select(word), 0..7)
            .prop_map(|words| words.join("."))
    }

    proptest! {
        #[test]
        fn the_trie_agrees_with_the_rules(
            patterns in proptest::collection::vec(keys(&["a", "b", "", "*", "#"]), 1..30),
            removed in proptest::collection::vec(any::<bool>(), 30),
            routed in proptest::collection::vec(keys(&["a", "b", "", "*", "c"]), 1..20),
        ) {
            let mut topic = Topic::default();
            for (destination, pattern) in (0..).zip(&patterns) {
                topic.insert(pattern, &destination);
            }
            let bound: Vec<(u32, &String)> = (0..).zip(&patterns).filter(|(n, _)| !removed[*n as usize]).collect();
            for (destination, pattern) in (0..).zip(&patterns) {
                if removed[destination as usize] {
                    topic.remove(pattern, &destination);
                }
            }
            for key in &routed {
                let key_words: Vec<&str> = words(key).collect();
                let expected: Vec<u32> = bound
                    .iter()
                    .filter(|(_, pattern)| matches(&words(pattern).collect::<Vec<_>>(), &key_words))
                    .map(|(destination, _)| *destination)
                    .collect();
                // Each pattern has its own destination here, so none may come twice.
                prop_assert_eq!(route(&topic, key), expected, "key {:?}", key);
            }
            for (destination, pattern) in &bound {
                topic.remove(pattern, destination);
            }
            prop_assert!(topic.is_bare(ROOT) && topic.edges.is_empty() && topic.words.is_empty());
            prop_assert_eq!(topic.free_nodes.len() + 1, topic.nodes.len());
        }
    }
}

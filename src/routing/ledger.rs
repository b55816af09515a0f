//! All bindings of one exchange, whatever its type.
//!
//! It says whether a binding exists and which ones lead to a destination, both without a walk over the others. What
//! a binding means is not its matter. A binding's identity is (destination, key, arguments).
//!
//! Bindings lie in one list of slots; those of one destination are chained through their slots, and a hash table of
//! slot numbers finds a binding by identity. That is about 100 bytes a binding beside its key and arguments.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::hash::Hash;
use std::hash::Hasher;
use std::mem::discriminant;

use amq_protocol::types::AMQPValue;
use foldhash::fast::RandomState;
use hashbrown::HashTable;

use crate::model::Arguments;
use crate::model::RoutingKey;

/// Marks the end of a chain.
const NONE: u32 = u32::MAX;

/// One binding.
#[derive(Debug, Clone)]
pub(super) struct Binding<D> {
    pub(super) key: RoutingKey,
    pub(super) arguments: Arguments,
    pub(super) destination: D,
}

#[derive(Debug, Clone)]
struct Slot<D> {
    binding: Binding<D>,
    /// Neighbours in the chain of the same destination.
    previous: u32,
    next: u32,
}

/// See the module's documentation.
#[derive(Debug, Clone)]
pub(super) struct Ledger<D> {
    slots: Vec<Option<Slot<D>>>,
    free: Vec<u32>,
    /// First slot of each destination's chain.
    chains: HashMap<D, u32, RandomState>,
    /// Slots by the hash of their binding's identity.
    identities: HashTable<u32>,
    hasher: RandomState,
}

impl<D> Default for Ledger<D> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            chains: HashMap::default(),
            identities: HashTable::new(),
            hasher: RandomState::default(),
        }
    }
}

impl<D: Clone + Eq + Hash> Ledger<D> {
    pub(super) fn len(&self) -> usize {
        self.identities.len()
    }

    /// Whether the binding was not there yet.
    pub(super) fn insert(
        &mut self,
        key: &RoutingKey,
        arguments: &Arguments,
        destination: D,
    ) -> bool {
        let hash = identity_hash(&self.hasher, key, arguments, &destination);
        if self.find(hash, key, arguments, &destination).is_some() {
            return false;
        }
        let number = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).expect("fewer bindings than 2^32")
        });
        let next = self.chains.insert(destination.clone(), number);
        if let Some(next) = next {
            self.slot_mut(next).previous = number;
        }
        self.slots[number as usize] = Some(Slot {
            binding: Binding {
                key: key.clone(),
                arguments: arguments.clone(),
                destination,
            },
            previous: NONE,
            next: next.unwrap_or(NONE),
        });
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.identities.insert_unique(hash, number, |number| {
            let binding = &occupied(slots, *number).binding;
            identity_hash(
                hasher,
                &binding.key,
                &binding.arguments,
                &binding.destination,
            )
        });
        true
    }

    pub(super) fn has(&self, key: &str, arguments: &Arguments, destination: &D) -> bool {
        let hash = identity_hash(&self.hasher, key, arguments, destination);
        self.find(hash, key, arguments, destination).is_some()
    }

    /// Takes one binding out; `None` when there is no such binding.
    pub(super) fn remove(
        &mut self,
        key: &str,
        arguments: &Arguments,
        destination: &D,
    ) -> Option<Binding<D>> {
        let hash = identity_hash(&self.hasher, key, arguments, destination);
        let number = self.find(hash, key, arguments, destination)?;
        let slot = self.take(number, hash);
        if slot.previous != NONE {
            self.slot_mut(slot.previous).next = slot.next;
        } else if slot.next != NONE {
            self.chains.insert(destination.clone(), slot.next);
        } else {
            self.chains.remove(destination);
        }
        if slot.next != NONE {
            self.slot_mut(slot.next).previous = slot.previous;
        }
        Some(slot.binding)
    }

    /// Takes out all bindings that lead to `destination`.
    pub(super) fn remove_destination(&mut self, destination: &D) -> Vec<Binding<D>> {
        let mut removed = Vec::new();
        let mut number = self.chains.remove(destination).unwrap_or(NONE);
        while number != NONE {
            let binding = &occupied(&self.slots, number).binding;
            let hash = identity_hash(&self.hasher, &binding.key, &binding.arguments, destination);
            let slot = self.take(number, hash);
            removed.push(slot.binding);
            number = slot.next;
        }
        removed
    }

    /// All bindings, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Binding<D>> {
        self.slots.iter().flatten().map(|slot| &slot.binding)
    }

    /// All destinations, each once and with its bindings, in no order.
    pub(super) fn destinations(
        &self,
    ) -> impl Iterator<Item = (&D, impl Iterator<Item = &Binding<D>>)> {
        self.chains
            .iter()
            .map(|(destination, first)| (destination, self.chain(*first)))
    }

    /// The bindings that lead to `destination`, the latest first.
    pub(super) fn of_destination(&self, destination: &D) -> impl Iterator<Item = &Binding<D>> {
        self.chain(self.chains.get(destination).copied().unwrap_or(NONE))
    }

    fn chain(&self, first: u32) -> impl Iterator<Item = &Binding<D>> {
        let mut number = first;
        std::iter::from_fn(move || {
            if number == NONE {
                return None;
            }
            let slot = occupied(&self.slots, number);
            number = slot.next;
            Some(&slot.binding)
        })
    }

    fn find(&self, hash: u64, key: &str, arguments: &Arguments, destination: &D) -> Option<u32> {
        let same = |number: &u32| {
            let binding = &occupied(&self.slots, *number).binding;
            binding.destination == *destination
                && *binding.key == *key
                && binding.arguments == *arguments
        };
        self.identities.find(hash, same).copied()
    }

    /// Empties a slot and its place in the table of identities; the chain is the caller's.
    fn take(&mut self, number: u32, hash: u64) -> Slot<D> {
        if let Ok(entry) = self.identities.find_entry(hash, |other| *other == number) {
            entry.remove();
        }
        self.free.push(number);
        self.slots[number as usize]
            .take()
            .expect("a chained slot is occupied")
    }

    fn slot_mut(&mut self, number: u32) -> &mut Slot<D> {
        self.slots[number as usize]
            .as_mut()
            .expect("a chained slot is occupied")
    }
}

fn occupied<D>(slots: &[Option<Slot<D>>], number: u32) -> &Slot<D> {
    slots[number as usize]
        .as_ref()
        .expect("a chained slot is occupied")
}

/// Equal identities have equal hashes; nested and fractional values count by their type alone.
fn identity_hash<D: Hash>(
    hasher: &RandomState,
    key: &str,
    arguments: &Arguments,
    destination: &D,
) -> u64 {
    let mut state = hasher.build_hasher();
    destination.hash(&mut state);
    key.hash(&mut state);
    for (name, value) in arguments.iter() {
        name.hash(&mut state);
        discriminant(value).hash(&mut state);
        match value {
            AMQPValue::Boolean(value) => value.hash(&mut state),
            AMQPValue::ShortShortInt(value) => value.hash(&mut state),
            AMQPValue::ShortShortUInt(value) => value.hash(&mut state),
            AMQPValue::ShortInt(value) => value.hash(&mut state),
            AMQPValue::ShortUInt(value) => value.hash(&mut state),
            AMQPValue::LongInt(value) => value.hash(&mut state),
            AMQPValue::LongUInt(value) => value.hash(&mut state),
            AMQPValue::LongLongInt(value) => value.hash(&mut state),
            AMQPValue::DecimalValue(value) => value.hash(&mut state),
            AMQPValue::ShortString(value) => value.hash(&mut state),
            AMQPValue::LongString(value) => value.hash(&mut state),
            AMQPValue::Timestamp(value) => value.hash(&mut state),
            AMQPValue::ByteArray(value) => value.hash(&mut state),
            AMQPValue::Float(_)
            | AMQPValue::Double(_)
            | AMQPValue::FieldArray(_)
            | AMQPValue::FieldTable(_)
            | AMQPValue::Void => {}
        }
    }
    state.finish()
}

//! Policies take effect: on what is declared, and at once on what exists.

use std::sync::Arc;

use crate::model::ExchangeName;
use crate::model::Lsn;
use crate::queue::DeadLetter;
use crate::queue::QueueArguments;
use crate::queue::arguments::with_policy;
use crate::store::Record;
use crate::vhost::Change;
use crate::vhost::Exchange;
use crate::vhost::QueueHandle;
use crate::vhost::Vhost;
use crate::vhost::definitions;
use crate::vhost::policies::Applied;
use crate::vhost::policies::Policies;
use crate::vhost::policies::Policy;
use crate::vhost::policies::PolicyKind;
use crate::vhost::policies::Subject;

/// What policies make of a queue, as far as it is asked outside its lock.
#[derive(Debug, Clone)]
pub(in crate::vhost) struct GovernedQueue {
    applied: Applied,
    refuses: bool,
    dead_letter: Option<DeadLetter>,
}

impl GovernedQueue {
    /// A queue under `applied`, which obeys `effective`.
    pub(in crate::vhost) fn new(applied: Applied, effective: &QueueArguments) -> Self {
        Self {
            applied,
            refuses: effective.limits.refuse(),
            dead_letter: effective.dead_letter.clone(),
        }
    }
}

/// What policies make of an exchange.
#[derive(Debug, Clone, Default)]
pub(in crate::vhost) struct GovernedExchange {
    applied: Applied,
    /// Where messages go that it cannot route.
    alternate: Option<ExchangeName>,
}

impl QueueHandle {
    /// The policies that apply to it.
    pub fn applied(&self) -> Applied {
        self.governed.read().applied.clone()
    }

    /// Whether it may refuse messages when it is full.
    pub fn refuses(&self) -> bool {
        self.governed.read().refuses
    }

    /// Where its dead messages go.
    pub fn dead_letter_target(&self) -> Option<DeadLetter> {
        self.governed.read().dead_letter.clone()
    }

    /// Answers whether other policies apply to it now.
    fn govern(&self, policies: &Policies, now: u64) -> bool {
        let applied = policies.applied_to(Subject::Queue(self.queue_type), &self.name);
        if self.governed.read().applied == applied {
            return false;
        }
        let arguments = with_policy(self.queue_type, &self.arguments, &applied.arguments());
        let effective = QueueArguments::read(self.queue_type, &arguments);
        // First, so that what dies of it goes where the new policy says.
        *self.governed.write() = GovernedQueue::new(applied, &effective);
        self.enter(|queue, records| queue.reconfigure(effective, now, records));
        true
    }
}

impl Exchange {
    /// The policies that apply to it.
    pub fn applied(&self) -> Applied {
        self.governed.read().applied.clone()
    }

    /// Where messages go that it cannot route: its argument says, else a policy. Not so for the default exchange.
    pub(in crate::vhost) fn alternate(&self) -> Option<ExchangeName> {
        if self.is_default() {
            return None;
        }
        self.governed.read().alternate.clone()
    }

    /// Answers whether it now routes otherwise.
    pub(in crate::vhost) fn govern(&self, policies: &Policies) -> bool {
        let applied = policies.applied_to(Subject::Exchange, &self.name);
        let number = |key| applied.number(key);
        self.behaviour
            .govern_seen(number("x-cache-size"), number("x-cache-ttl"));
        let mut governed = self.governed.write();
        let by_policy = || ExchangeName::new(&applied.text("alternate-exchange")?).ok();
        let alternate = self.declared_alternate().or_else(by_policy);
        let reroutes = governed.alternate != alternate;
        *governed = GovernedExchange { applied, alternate };
        reroutes
    }
}

impl Vhost {
    /// All policies of one kind, in the order in which they are tried.
    pub fn policies(&self, kind: PolicyKind) -> Vec<Arc<Policy>> {
        self.policies.load().of(kind).to_vec()
    }

    /// The policy of that name.
    pub fn policy(&self, kind: PolicyKind, name: &str) -> Option<Arc<Policy>> {
        self.policies.load().find(kind, name).cloned()
    }

    /// Adds a policy or replaces the one with its name. In effect when this returns; stored once the answer is durable.
    pub fn set_policy(&self, kind: PolicyKind, policy: Policy, now: u64) -> Lsn {
        let record = definitions::define_policy(&self.name, kind, &policy);
        let told = Arc::new(policy.clone());
        let told = |queue| Change::QueuePolicyUpdated(queue, Arc::clone(&told));
        self.change_policies(now, told, |policies| {
            let known = policies.find(kind, &policy.name);
            if known.is_some_and(|known| **known == policy) {
                return None;
            }
            policies.put(kind, policy);
            Some(record)
        })
    }

    /// Removes a policy; one that is not there is removed already.
    pub fn clear_policy(&self, kind: PolicyKind, name: &str, now: u64) -> Lsn {
        self.change_policies(now, Change::QueuePolicyCleared, |policies| {
            policies
                .remove(kind, name)
                .then(|| definitions::undefine_policy(&self.name, kind, name))
        })
    }

    /// Takes over a policy that was stored, before there are queues and exchanges but those that are always there.
    pub(in crate::vhost) fn restore_policy(&self, kind: PolicyKind, policy: Policy) {
        let mut policies = Policies::clone(&self.policies.load());
        policies.put(kind, policy);
        for exchange in self.exchanges() {
            exchange.govern(&policies);
        }
        self.policies.store(Arc::new(policies));
    }

    /// The policies for something of that name, and for a queue the arguments that it then obeys.
    pub(in crate::vhost) fn governed_queue(
        &self,
        name: &str,
        declared: &crate::model::Arguments,
        judged: QueueArguments,
    ) -> (Applied, QueueArguments) {
        let queue_type = judged.queue_type;
        let policies = self.policies.load();
        let applied = policies.applied_to(Subject::Queue(queue_type), name);
        if applied == Applied::default() {
            return (applied, judged);
        }
        let arguments = with_policy(queue_type, declared, &applied.arguments());
        (applied, QueueArguments::read(queue_type, &arguments))
    }

    fn change_policies(
        &self,
        now: u64,
        told: impl Fn(Arc<QueueHandle>) -> Change,
        change: impl FnOnce(&mut Policies) -> Option<Record>,
    ) -> Lsn {
        // For the whole pass, so that two of them do not overtake each other; nothing else takes this lock.
        let _turn = self.policy_changes.lock();
        let lsn;
        {
            // What is declared after this finds the new policies; what was declared before is found below.
            let _changes = self.changes.lock();
            if self.check_alive().is_err() {
                return Lsn::NONE;
            }
            let mut policies = Policies::clone(&self.policies.load());
            let Some(record) = change(&mut policies) else {
                return Lsn::NONE;
            };
            lsn = self.shared.store.append(vec![record]);
            self.policies.store(Arc::new(policies));
        }
        let policies = self.policies.load_full();
        let mut reroutes = false;
        for exchange in self.exchanges() {
            reroutes |= exchange.govern(&policies);
        }
        if reroutes {
            self.changed();
        }
        for queue in self.queues() {
            if queue.govern(&policies, now) {
                self.shared.events.note(|| told(queue));
            }
        }
        lsn
    }
}

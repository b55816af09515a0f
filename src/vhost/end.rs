//! The end of a virtual host.

use std::sync::atomic::Ordering;

use crate::model::AmqpError;
use crate::model::Lsn;
use crate::model::ReplyCode;
use crate::vhost::Vhost;
use crate::vhost::definitions;
use crate::vhost::policies::PolicyKind;

impl Vhost {
    /// Deletes everything in it and lets nothing new in. Its connections are told apart from this.
    pub fn delete_all(&self) -> Lsn {
        {
            // What is declared under this lock sees the flag, or is found below.
            let _changes = self.changes.lock();
            self.deleted.store(true, Ordering::Relaxed);
        }
        let mut last = Lsn::NONE;
        for queue in self.queues() {
            if let Ok((_, lsn)) = self.delete_queue(&queue, false, false) {
                last = last.max(lsn);
            }
        }
        let _changes = self.changes.lock();
        let mut records = Vec::new();
        for exchange in self.exchanges() {
            self.remove_exchange(&exchange, &mut records);
        }
        for kind in [PolicyKind::Ordinary, PolicyKind::Operator] {
            let policies = self.policies(kind);
            let undefine = policies
                .iter()
                .map(|policy| definitions::undefine_policy(&self.name, kind, &policy.name));
            records.extend(undefine);
        }
        self.changed();
        let last = last.max(self.shared.store.append(records));
        self.delete_ended_lines();
        last
    }

    /// An error for whoever is still connected to a virtual host that is gone. The caller holds `changes`.
    pub(super) fn check_alive(&self) -> Result<(), AmqpError> {
        if self.deleted.load(Ordering::Relaxed) {
            return Err(AmqpError::new(
                ReplyCode::ConnectionForced,
                self.deletion_text(),
            ));
        }
        Ok(())
    }

    /// What its connections are told when it is deleted.
    pub fn deletion_text(&self) -> String {
        format!("vhost '{}' is deleted", self.name)
    }
}

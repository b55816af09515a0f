//! What a connection has to write: frames as octets, and large bodies left where they lie until the kernel copies them.
//!
//! It knows frames only as octets, and nothing of sockets: whoever writes asks for slices and says how much was taken.

use std::collections::VecDeque;
use std::io::IoSlice;

use crate::model::MessageRef;
use crate::model::Run;
use crate::model::SharedBody;

/// Parts of a body from this size on are not copied; below, a copy costs less than a slice of its own.
pub(super) const SHARED_BYTES_MIN: usize = 16 * 1024;
/// Slices that are written at once.
const SLICES_MAX: usize = 64;

/// Roughly how much of what a delivery of `run` writes is copied.
pub fn copied_bytes(run: &Run) -> usize {
    let held = run.held_bytes();
    if held < run.len() * SHARED_BYTES_MIN {
        held
    } else {
        0
    }
}

/// Where frames go.
pub trait Sink {
    /// To append octets to.
    fn octets(&mut self) -> &mut Vec<u8>;

    /// Appends `len` octets of the body, from `at` on.
    fn body(&mut self, message: MessageRef<'_>, at: usize, len: usize);
}

impl Sink for Vec<u8> {
    fn octets(&mut self) -> &mut Vec<u8> {
        self
    }

    fn body(&mut self, message: MessageRef<'_>, at: usize, len: usize) {
        self.extend_from_slice(&message.body()[at..at + len]);
    }
}

/// A part of a body that goes between two octets.
struct Splice {
    /// How many of the octets go before it.
    at: usize,
    body: SharedBody,
}

/// See the module's documentation.
#[derive(Default)]
pub struct Output {
    octets: Vec<u8>,
    splices: VecDeque<Splice>,
    /// Octets in `splices`.
    spliced: usize,
    /// How many of `octets` were written.
    written: usize,
    /// The same of the first splice.
    written_of_splice: usize,
}

impl Sink for Output {
    fn octets(&mut self) -> &mut Vec<u8> {
        &mut self.octets
    }

    fn body(&mut self, message: MessageRef<'_>, at: usize, len: usize) {
        if len < SHARED_BYTES_MIN {
            return self.octets.body(message, at, len);
        }
        self.spliced += len;
        self.splices.push_back(Splice {
            at: self.octets.len(),
            body: message.shared_body(at, len),
        });
    }
}

impl Output {
    /// With room that an output had before.
    pub fn with_buffer(buffer: Vec<u8>) -> Self {
        Self {
            octets: buffer,
            ..Self::default()
        }
    }

    /// Its room, for the next one.
    ///
    /// # Panics
    /// When something is still to be written.
    pub fn take_buffer(&mut self) -> Vec<u8> {
        assert!(self.is_empty(), "output is thrown away");
        self.written = 0;
        std::mem::take(&mut self.octets)
    }

    /// Whether it has room of its own.
    pub fn has_buffer(&self) -> bool {
        self.octets.capacity() > 0
    }

    /// Octets that are still to be written.
    pub fn len(&self) -> usize {
        self.octets.len() - self.written + self.spliced - self.written_of_splice
    }

    /// Whether everything was written.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is still to be written when that is one piece, as it is unless there are large bodies.
    pub fn single(&self) -> Option<&[u8]> {
        self.splices
            .is_empty()
            .then(|| &self.octets[self.written..])
    }

    /// What is to be written next, in pieces.
    pub fn with_slices<T>(&self, write: impl FnOnce(&[IoSlice<'_>]) -> T) -> T {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut count = 0;
        let mut add = |octets| {
            slices[count] = IoSlice::new(octets);
            count += 1;
        };
        let (mut at, mut skip) = (self.written, self.written_of_splice);
        // Two for each, and one for what follows the last.
        let mut splices = self.splices.iter();
        for splice in splices.by_ref().take((SLICES_MAX - 1) / 2) {
            if splice.at > at {
                add(&self.octets[at..splice.at]);
            }
            add(&splice.body.as_slice()[skip..]);
            (at, skip) = (splice.at, 0);
        }
        let end = splices.next().map_or(self.octets.len(), |next| next.at);
        if end > at {
            add(&self.octets[at..end]);
        }
        write(&slices[..count])
    }

    /// So many octets of it were written.
    ///
    /// # Panics
    /// When there were fewer.
    pub fn advance(&mut self, mut count: usize) {
        while let Some(splice) = self.splices.front() {
            let before = count.min(splice.at - self.written);
            self.written += before;
            count -= before;
            if self.written < splice.at {
                return;
            }
            let len = splice.body.as_slice().len();
            let inside = count.min(len - self.written_of_splice);
            self.written_of_splice += inside;
            count -= inside;
            if self.written_of_splice < len {
                return;
            }
            self.spliced -= len;
            self.written_of_splice = 0;
            self.splices.pop_front();
        }
        self.written += count;
        assert!(self.written <= self.octets.len(), "more than there was");
        if self.written == self.octets.len() {
            self.octets.clear();
            self.written = 0;
        }
    }

    /// Forgets what was written, when that is at least so much.
    pub fn compact(&mut self, at_least: usize) {
        if self.written < at_least {
            return;
        }
        self.octets.drain(..self.written);
        for splice in &mut self.splices {
            splice.at -= self.written;
        }
        self.written = 0;
    }

    /// All that is still to be written, copied.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.len());
        let (mut at, mut skip) = (self.written, self.written_of_splice);
        for splice in &self.splices {
            all.extend_from_slice(&self.octets[at..splice.at]);
            all.extend_from_slice(&splice.body.as_slice()[skip..]);
            (at, skip) = (splice.at, 0);
        }
        all.extend_from_slice(&self.octets[at..]);
        all
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.octets.clear();
        self.splices.clear();
        (self.spliced, self.written, self.written_of_splice) = (0, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::ExchangeName;
    use crate::model::RunBuilder;
    use crate::model::message;
    use crate::model::message::Traits;

    /// What is written, piece by piece, is what went in, whatever its parts and however much each write takes.
    #[derive(Debug, Clone)]
    enum Step {
        Octets(usize),
        Body(usize),
        Write(usize),
        Compact,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let sizes = prop_oneof![0_usize..20, 16_000_usize..17_000, 40_000_usize..50_000];
        let step = prop_oneof![
            3 => (0_usize..300).prop_map(Step::Octets),
            3 => sizes.clone().prop_map(Step::Body),
            4 => prop_oneof![sizes, Just(usize::MAX)].prop_map(Step::Write),
            1 => Just(Step::Compact),
        ];
        prop::collection::vec(step, 1..120)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn everything_is_written_once_and_in_order(steps in steps()) {
            let (mut output, mut expected, mut written) = (Output::default(), Vec::new(), Vec::new());
            let mut next = 0_u8;
            let mut bytes = |len: usize| {
                next = next.wrapping_add(1);
                (0..len).map(|at| next.wrapping_mul(7).wrapping_add(at as u8)).collect::<Vec<u8>>()
            };
            for step in steps {
                match step {
                    Step::Octets(len) => {
                        let octets = bytes(len);
                        output.octets().extend_from_slice(&octets);
                        expected.extend_from_slice(&octets);
                    }
                    Step::Body(len) => {
                        let body = bytes(len + 10);
                        let mut builder = RunBuilder::default();
                        let route = message::route(&ExchangeName::known(""), "q");
                        builder.push(&route, &[0, 0], &body, Traits::default());
                        output.body(builder.finish().first(), 5, len);
                        expected.extend_from_slice(&body[5..5 + len]);
                    }
                    Step::Write(most) => {
                        prop_assert!(output.is_empty() || output.with_slices(|slices| !slices[0].is_empty()));
                        let taken = output.with_slices(|slices| slices.iter().flat_map(|slice| slice.to_vec()).collect::<Vec<u8>>());
                        if let Some(single) = output.single() {
                            prop_assert_eq!(&taken, single);
                        }
                        let count = most.min(taken.len());
                        written.extend_from_slice(&taken[..count]);
                        output.advance(count);
                    }
                    Step::Compact => output.compact(64),
                }
                prop_assert_eq!(written.len() + output.len(), expected.len());
            }
            written.extend(output.to_vec());
            prop_assert!(written == expected);
        }
    }

    #[test]
    fn a_large_body_is_not_copied() {
        let body = vec![1; SHARED_BYTES_MIN];
        let mut builder = RunBuilder::default();
        builder.push(&[0, 0], &[0, 0], &body, Traits::default());
        let run = builder.finish();
        let mut output = Output::default();
        output.body(run.first(), 0, body.len());
        assert!(output.octets().is_empty());
        output.with_slices(|slices| assert_eq!(slices[0].as_ptr(), run.first().body().as_ptr()));
    }
}

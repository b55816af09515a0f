//! Ready messages in the order in which they are served, as segments: ranges of runs that share one fate record.
//!
//! Mostly that is the order of their positions. A queue with priorities has a line for each priority in use, a quorum
//! queue one for what came back and, in RabbitMQ 4, two for what arrived. Only the foremost message of all is ever looked at, for expiry too, as in RabbitMQ.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::collections::btree_map::Entry;
use std::ops::Bound;

use crate::model::ConsumerId;
use crate::model::Delivered;
use crate::model::Position;
use crate::model::QueueId;
use crate::model::Run;
use crate::queue::paged::Away;
use crate::queue::paged::Paged;

/// Consecutive ready messages with equal expiry and history, which came within a second of the first.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub(super) first: u64,
    pub(super) run: Run,
    pub(super) redelivered: bool,
    pub(super) returns: u32,
    pub(super) expires_at: Option<u64>,
    /// When it entered the queue, in milliseconds since the Unix epoch; 0 where that is not known.
    pub(super) entered_at: u64,
    /// It came back and stands behind everything that has a position below this one; 0 when it stands where it came.
    pub(super) behind: u64,
}

impl Segment {
    pub(super) fn into_delivered(self, queue: QueueId, consumer: Option<ConsumerId>) -> Delivered {
        Delivered {
            queue,
            consumer,
            first: Position(self.first),
            run: self.run,
            redelivered: self.redelivered,
            returns: self.returns,
            expires_at: self.expires_at,
            entered_at: self.entered_at,
            streamed: false,
        }
    }

    fn take_front(&mut self, count: usize) -> Segment {
        let front = Segment {
            run: self.run.take_front(count),
            ..self.clone()
        };
        self.first += count as u64;
        front
    }

    /// Whether it came before another; what came back to the end came then.
    fn is_older(&self, other: &Self) -> bool {
        self.first.max(self.behind) < other.first.max(other.behind)
    }

    fn end(&self) -> u64 {
        self.first + self.run.len() as u64
    }
}

/// In which order a queue serves its messages; fixed for its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// By position; what comes back, comes back to its position.
    Position,
    /// Highest priority first, by position within one; priorities above this one count as this one.
    Priority(u8),
    /// By arrival, but for what came back: [`Ready::give_back`] decides.
    Arrival,
    /// The same, with two levels of priority: two urgent messages, then one other.
    Weighted,
}

pub(super) type Line = VecDeque<Segment>;

/// Which line of a queue: the priority of its messages; 0 where they do not decide.
pub(super) type Level = u8;

enum Lines {
    Position(Paged),
    Priority(Box<Levels>),
    Arrival(Box<Returns>),
}

/// The line that has what is served first of what is away.
pub(super) struct NextAway<'a> {
    pub(super) level: Level,
    pub(super) line: &'a Paged,
    /// What is in memory and served before it takes so much.
    pub(super) bytes_before: u64,
}

/// Lines of the priorities that have messages.
struct Levels {
    max: u8,
    /// None of them is empty.
    lines: BTreeMap<Reverse<Level>, Paged>,
    /// The last line that became empty, for the next that is needed: a priority that comes and goes allocates nothing.
    spare: Paged,
}

/// The lowest priority that is urgent in a quorum queue.
const URGENT_MIN: u8 = 5;

/// Of messages that are not urgent, every third is served before those that are.
const URGENT_TURNS: u8 = 2;

#[derive(Default)]
struct Returns {
    /// Served first.
    returned: Line,
    arrived: Paged,
    urgent: Line,
    /// There are two levels of priority.
    has_levels: bool,
    /// Goes round from 0 to [`URGENT_TURNS`] with each message served from the two lines.
    turn: u8,
}

/// See the module's documentation.
pub(super) struct Ready {
    lines: Lines,
    len: u64,
    body_bytes: u64,
    /// What the messages in memory take there.
    held_bytes: u64,
}

impl Ready {
    pub(super) fn new(order: Order) -> Self {
        let lines = match order {
            Order::Position => Lines::Position(Paged::default()),
            Order::Priority(max) => Lines::Priority(Box::new(Levels {
                max,
                lines: BTreeMap::new(),
                spare: Paged::default(),
            })),
            Order::Arrival => Lines::Arrival(Box::default()),
            Order::Weighted => Lines::Arrival(Box::new(Returns {
                has_levels: true,
                ..Returns::default()
            })),
        };
        Self {
            lines,
            len: 0,
            body_bytes: 0,
            held_bytes: 0,
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    /// What the messages in memory take there.
    pub(super) fn held_bytes(&self) -> u64 {
        self.held_bytes
    }

    /// Whether messages may be away at all.
    pub(super) fn can_page(&self) -> bool {
        match &self.lines {
            Lines::Position(_) | Lines::Priority(_) => true,
            Lines::Arrival(returns) => !returns.has_levels,
        }
    }

    /// Of what is away, what is served first.
    pub(super) fn next_away(&self) -> Option<NextAway<'_>> {
        let mut bytes_before = 0;
        for (level, line) in self.paged() {
            bytes_before += line.head_bytes();
            if line.first_away().is_some() {
                return Some(NextAway {
                    level,
                    line,
                    bytes_before,
                });
            }
        }
        None
    }

    /// The lines whose middle may be away, with what it takes to find them again, in the order in which they are served.
    pub(super) fn paged(&self) -> impl Iterator<Item = (Level, &Paged)> {
        let (one, levels) = match &self.lines {
            Lines::Position(line) => (Some(line), None),
            Lines::Priority(levels) => (None, Some(&levels.lines)),
            Lines::Arrival(returns) if !returns.has_levels => (Some(&returns.arrived), None),
            Lines::Arrival(_) => (None, None),
        };
        let levels = levels.into_iter().flatten();
        one.map(|line| (0, line))
            .into_iter()
            .chain(levels.map(|(Reverse(level), line)| (*level, line)))
    }

    /// One of them, to change it. Who does tells [`Ready::moved`] what that did to the counts, and [`Ready::prune`] when a
    /// line may have become empty.
    pub(super) fn paged_mut(&mut self, level: Level) -> Option<&mut Paged> {
        match &mut self.lines {
            Lines::Position(line) => Some(line),
            Lines::Priority(levels) => levels.lines.get_mut(&Reverse(level)),
            Lines::Arrival(returns) if !returns.has_levels => Some(&mut returns.arrived),
            Lines::Arrival(_) => None,
        }
    }

    /// The line that is served after this one; the first of all for `None`.
    pub(super) fn next_level(&self, after: Option<Level>) -> Option<Level> {
        match (&self.lines, after) {
            (Lines::Priority(levels), None) => {
                let first = levels.lines.first_key_value();
                first.map(|(Reverse(level), _)| *level)
            }
            (Lines::Priority(levels), Some(after)) => {
                let behind = (Bound::Excluded(Reverse(after)), Bound::Unbounded);
                let next = levels.lines.range(behind).next();
                next.map(|(Reverse(level), _)| *level)
            }
            (Lines::Position(_) | Lines::Arrival(_), None) => Some(0),
            (Lines::Position(_) | Lines::Arrival(_), Some(_)) => None,
        }
    }

    /// The line of messages that all have the priority of the first.
    pub(super) fn level_of(&self, run: &Run) -> Level {
        match &self.lines {
            Lines::Priority(levels) => {
                let first = run.iter().next();
                first.map_or(0, |message| message.traits().priority.min(levels.max))
            }
            Lines::Position(_) | Lines::Arrival(_) => 0,
        }
    }

    /// Forgets the line of a priority of which nothing is left.
    pub(super) fn prune(&mut self, level: Level) {
        if let Lines::Priority(levels) = &mut self.lines
            && let Entry::Occupied(line) = levels.lines.entry(Reverse(level))
            && line.get().is_empty()
        {
            levels.spare = line.remove();
        }
    }

    /// Whether the foremost message of all is away.
    pub(super) fn front_is_away(&self) -> bool {
        self.front().is_none() && self.len > 0
    }

    /// Messages moved between memory and disk, or were lost there.
    pub(super) fn moved(&mut self, held_bytes: i64, len: i64, body_bytes: i64) {
        self.held_bytes = self.held_bytes.saturating_add_signed(held_bytes);
        self.len = self.len.saturating_add_signed(len);
        self.body_bytes = self.body_bytes.saturating_add_signed(body_bytes);
    }

    /// Whether the priority of a message decides when it is served.
    pub(super) fn has_priorities(&self) -> bool {
        match &self.lines {
            Lines::Position(_) => false,
            Lines::Priority(_) => true,
            Lines::Arrival(returns) => returns.has_levels,
        }
    }

    pub(super) fn front(&self) -> Option<&Segment> {
        match &self.lines {
            Lines::Position(line) => line.front(),
            Lines::Priority(levels) => levels.lines.values().next()?.front(),
            Lines::Arrival(returns) => {
                let returned = returns.returned.front();
                returned.or_else(|| returns.front())
            }
        }
    }

    /// When what has waited longest entered the queue, as far as each line's first message tells; 0 where that is not known. `None`
    /// when nothing waits.
    pub(super) fn oldest(&self) -> Option<u64> {
        let line = |line: &Line| line.front().map(|segment| segment.entered_at);
        match &self.lines {
            Lines::Position(line) => line.oldest(),
            Lines::Priority(levels) => levels.lines.values().filter_map(Paged::oldest).min(),
            Lines::Arrival(returns) => {
                let lines = [&returns.returned, &returns.urgent].map(line);
                let lines = lines.into_iter().chain([returns.arrived.oldest()]);
                lines.flatten().min()
            }
        }
    }

    /// How many messages of the first segment are served before any other.
    pub(super) fn in_turn(&self) -> usize {
        let most = match &self.lines {
            Lines::Arrival(returns) if returns.returned.is_empty() => returns.next().1,
            Lines::Position(_) | Lines::Priority(_) | Lines::Arrival(_) => usize::MAX,
        };
        self.front().map_or(0, |front| front.run.len().min(most))
    }

    /// All segments; foremost first, but for the turns of two levels.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Segment> {
        let (lines, paged): (Vec<&Line>, Vec<&Paged>) = match &self.lines {
            Lines::Position(line) => (Vec::new(), vec![line]),
            Lines::Priority(levels) => (Vec::new(), levels.lines.values().collect()),
            Lines::Arrival(returns) => (
                vec![&returns.returned, &returns.urgent],
                vec![&returns.arrived],
            ),
        };
        let paged = paged.into_iter().flat_map(Paged::iter);
        lines.into_iter().flatten().chain(paged)
    }

    /// Appends newer messages, joined to the last segment where they continue it.
    pub(super) fn push_back(&mut self, segment: Segment) {
        self.count_in(&segment);
        match &mut self.lines {
            Lines::Position(line) => line.append(segment),
            Lines::Priority(levels) => levels.each(segment, Paged::append),
            Lines::Arrival(returns) => returns.append(segment),
        }
    }

    /// Puts back what was delivered: to its old place, for one dying consumer must not reorder the queue. In a queue that
    /// serves by arrival to the front, behind what came back before, or, with `last`, behind everything that is there
    /// when this is the next position, and as nothing urgent.
    ///
    /// What belongs between messages that are away is given back; it is counted already.
    pub(super) fn give_back(&mut self, mut segment: Segment, last: Option<u64>) -> Vec<Segment> {
        self.count_in(&segment);
        let mut between = Vec::new();
        match &mut self.lines {
            Lines::Position(line) => between.extend(line.insert(segment).err()),
            Lines::Priority(levels) => levels.each(segment, |line, piece| {
                between.extend(line.insert(piece).err());
            }),
            Lines::Arrival(returns) => {
                segment.behind = last.unwrap_or(0);
                match last {
                    Some(_) => returns.arrived.append(segment),
                    None => append(&mut returns.returned, segment),
                }
            }
        }
        between
    }

    fn count_in(&mut self, segment: &Segment) {
        self.len += segment.run.len() as u64;
        self.body_bytes += segment.run.body_bytes();
        self.held_bytes += held_bytes(&segment.run);
    }

    /// Takes up to `count` messages of the first segment, of those that are [in turn](Ready::in_turn).
    pub(super) fn take_front(&mut self, count: usize) -> Option<Segment> {
        let taken = match &mut self.lines {
            Lines::Position(line) => line.take(count)?,
            Lines::Priority(levels) => levels.take(count)?,
            Lines::Arrival(returns) if returns.returned.is_empty() => returns.take(count)?,
            Lines::Arrival(returns) => take(&mut returns.returned, count)?,
        };
        self.len -= taken.run.len() as u64;
        self.body_bytes -= taken.run.body_bytes();
        self.held_bytes -= held_bytes(&taken.run);
        Some(taken)
    }

    /// Empties it: what was in memory, and what was away.
    pub(super) fn drain(&mut self) -> (impl Iterator<Item = Segment> + use<>, VecDeque<Away>) {
        self.len = 0;
        self.body_bytes = 0;
        self.held_bytes = 0;
        let mut away = VecDeque::new();
        let lines: Vec<Line> = match &mut self.lines {
            Lines::Position(paged) => {
                let line;
                (line, away) = paged.drain();
                vec![line]
            }
            Lines::Priority(levels) => {
                let lines = std::mem::take(&mut levels.lines).into_values();
                let drained = lines.map(|mut paged| {
                    let (line, gone) = paged.drain();
                    away.extend(gone);
                    line
                });
                drained.collect()
            }
            Lines::Arrival(returns) => {
                returns.turn = 0;
                let arrived;
                (arrived, away) = returns.arrived.drain();
                let lines = [&mut returns.returned, &mut returns.urgent];
                let [returned, urgent] = lines.map(std::mem::take);
                vec![returned, urgent, arrived]
            }
        };
        (lines.into_iter().flatten(), away)
    }
}

impl Returns {
    /// Behind all others of their level.
    fn append(&mut self, mut segment: Segment) {
        if !self.has_levels {
            return self.arrived.append(segment);
        }
        while !segment.run.is_empty() {
            let urgent = segment
                .run
                .iter()
                .map(|message| message.traits().priority >= URGENT_MIN);
            let mut urgent = urgent.peekable();
            let is_urgent = urgent.peek().copied().unwrap_or_default();
            let count = urgent.take_while(|other| *other == is_urgent).count();
            let piece = segment.take_front(count);
            if is_urgent {
                append(&mut self.urgent, piece);
            } else {
                self.arrived.append(piece);
            }
        }
    }

    /// Whether the urgent ones are served next, and how many before the others have their turn.
    fn next(&self) -> (bool, usize) {
        match (self.urgent.front(), self.arrived.front()) {
            (None, _) => (false, usize::MAX),
            (Some(_), None) => (true, usize::MAX),
            (Some(_), Some(_)) if self.turn < URGENT_TURNS => {
                (true, usize::from(URGENT_TURNS - self.turn))
            }
            // Nobody is overtaken by what came before.
            (Some(urgent), Some(other)) if urgent.is_older(other) => (true, 1),
            (Some(_), Some(_)) => (false, 1),
        }
    }

    /// The message that is served next.
    fn front(&self) -> Option<&Segment> {
        match self.next() {
            (true, _) => self.urgent.front(),
            (false, _) => self.arrived.front(),
        }
    }

    fn take(&mut self, count: usize) -> Option<Segment> {
        let (is_urgent, most) = self.next();
        let count = count.min(most);
        let taken = if is_urgent {
            take(&mut self.urgent, count)?
        } else {
            self.arrived.take(count)?
        };
        let turns = usize::from(URGENT_TURNS) + 1;
        self.turn = ((usize::from(self.turn) + taken.run.len()) % turns) as u8;
        Some(taken)
    }
}

impl Levels {
    /// Cuts the segment where the priority changes and hands each piece to its line.
    fn each(&mut self, mut segment: Segment, mut put: impl FnMut(&mut Paged, Segment)) {
        while !segment.run.is_empty() {
            let mut levels = segment.run.iter().map(|message| message.traits().priority);
            let level = levels.next().unwrap_or_default().min(self.max);
            let count = 1 + levels
                .take_while(|other| (*other).min(self.max) == level)
                .count();
            let piece = segment.take_front(count);
            let spare = &mut self.spare;
            let line = self.lines.entry(Reverse(level));
            put(line.or_insert_with(|| std::mem::take(spare)), piece);
        }
    }

    fn take(&mut self, count: usize) -> Option<Segment> {
        let mut highest = self.lines.first_entry()?;
        let taken = highest.get_mut().take(count)?;
        if highest.get().is_empty() {
            self.spare = highest.remove();
        }
        Some(taken)
    }
}

/// Messages that came further apart, in milliseconds, are no segment together: the time of the first stands for all.
const SEGMENT_MS: u64 = 1000;

pub(super) fn append(line: &mut Line, segment: Segment) {
    let Some(last) = line.back_mut() else {
        return line.push_back(segment);
    };
    let alike = last.end() == segment.first
        && last.redelivered == segment.redelivered
        && last.returns == segment.returns
        && last.expires_at == segment.expires_at
        && last.behind == segment.behind
        && segment.entered_at.abs_diff(last.entered_at) < SEGMENT_MS;
    if !alike {
        return line.push_back(segment);
    }
    let Segment {
        first,
        run,
        redelivered,
        returns,
        expires_at,
        entered_at,
        behind,
    } = segment;
    if let Err(run) = last.run.try_join(run) {
        line.push_back(Segment {
            first,
            run,
            redelivered,
            returns,
            expires_at,
            entered_at,
            behind,
        });
    }
}

pub(super) fn insert(line: &mut Line, segment: Segment) {
    let at = line.partition_point(|other| other.first < segment.first);
    debug_assert!(
        at == 0 || line[at - 1].end() <= segment.first,
        "positions are unique"
    );
    line.insert(at, segment);
}

/// What a run takes in memory, with what is kept of each message beside its octets.
pub(super) fn held_bytes(run: &Run) -> u64 {
    run.held_bytes() as u64 + 16 * run.len() as u64
}

pub(super) fn take(line: &mut Line, count: usize) -> Option<Segment> {
    let front = line.front_mut()?;
    if count >= front.run.len() {
        line.pop_front()
    } else {
        Some(front.take_front(count))
    }
}

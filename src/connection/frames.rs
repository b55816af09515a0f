//! Frames in: each is judged by where the connection and its channel stand, and handed to whom it concerns.

use crate::connection::Connection;
use crate::connection::Phase;
use crate::connection::batch::PUBLISH;
use crate::connection::channel::Assembly;
use crate::connection::channel::ContentFault;
use crate::connection::close::SILENT_PAUSE;
use crate::connection::host::Settle;
use crate::connection::reply_text::NO_METHOD;
use crate::connection::turn::Turn;
use crate::model::AmqpError;
use crate::model::ChannelId;
use crate::model::ReplyCode;
use crate::protocol::envelope::Cut;
use crate::protocol::envelope::FRAME_HEARTBEAT;
use crate::protocol::envelope::FRAME_METHOD;
use crate::protocol::envelope::Frame;
use crate::protocol::envelope::cut;
use crate::protocol::method::Method;
use crate::protocol::method::method_id;
use crate::protocol::method::parse_method;

impl Connection {
    /// Takes what `input` begins with; 0 when that is incomplete or must wait.
    pub(super) fn step(&mut self, input: &[u8], turn: &mut Turn<'_>) -> usize {
        match self.phase {
            Phase::Header => return self.receive_header(input, turn),
            Phase::Finished { .. } => return input.len(),
            Phase::Starting
            | Phase::Tuning
            | Phase::Opening
            | Phase::Open
            | Phase::Closing { .. }
            | Phase::PeerClosing => {}
        }
        match cut(input, self.shared.frame_max) {
            Ok(Cut::Frame { frame, consumed }) => {
                let (octets, rest) = input.split_at(consumed);
                self.frame(&frame, octets, rest, turn)
            }
            Ok(Cut::Incomplete { needed }) => {
                self.needed = needed;
                0
            }
            Err(error) => {
                // Nothing after it can be read, not even close-ok.
                self.flush(turn);
                let error = AmqpError::new(ReplyCode::FrameError, error.to_string());
                self.fail(error, NO_METHOD, turn);
                self.finish(SILENT_PAUSE);
                input.len()
            }
        }
    }

    /// Takes `frame`, which `octets` of input are, and maybe what goes with it from `rest`. Octets taken.
    fn frame(
        &mut self,
        frame: &Frame<'_>,
        octets: &[u8],
        rest: &[u8],
        turn: &mut Turn<'_>,
    ) -> usize {
        let consumed = octets.len();
        if frame.channel == ChannelId(0) {
            self.connection_frame(frame, turn);
            return consumed;
        }
        match self.phase {
            Phase::Open => {}
            Phase::Closing { .. } => return consumed,
            Phase::Header
            | Phase::Starting
            | Phase::Tuning
            | Phase::Opening
            | Phase::PeerClosing
            | Phase::Finished { .. } => {
                self.fail(misplaced(frame), NO_METHOD, turn);
                return consumed;
            }
        }
        match frame.kind {
            FRAME_METHOD => self.channel_method(frame, octets, rest, turn),
            FRAME_HEARTBEAT => {
                self.flush(turn);
                self.fail(misplaced(frame), NO_METHOD, turn);
                consumed
            }
            _ => self.content(frame, consumed, turn),
        }
    }

    fn connection_frame(&mut self, frame: &Frame<'_>, turn: &mut Turn<'_>) {
        match frame.kind {
            FRAME_HEARTBEAT => {}
            FRAME_METHOD => {
                self.said = true;
                self.flush(turn);
                match parse_method(frame.payload) {
                    Ok(method) => self.connection_method(method, frame.payload, turn),
                    Err(error) => self.fail_unparsed(ChannelId(0), &error, turn),
                }
            }
            _ => {
                self.flush(turn);
                self.fail(misplaced(frame), NO_METHOD, turn);
            }
        }
    }

    fn channel_method(
        &mut self,
        frame: &Frame<'_>,
        octets: &[u8],
        rest: &[u8],
        turn: &mut Turn<'_>,
    ) -> usize {
        let consumed = octets.len();
        let id = frame.channel;
        let Some(channel) = self.channels.get_mut(&id) else {
            self.method_without_channel(frame, turn);
            return consumed;
        };
        if channel.is_closing() {
            self.method_on_closing_channel(id, frame.payload, turn);
            return consumed;
        }
        if !channel.assembly.is_idle() {
            let error = channel.assembly.interrupted();
            self.flush(turn);
            self.fail_at(id, error, PUBLISH, turn);
            return consumed;
        }
        let outcome = match parse_method(frame.payload) {
            Ok(Method::Publish(publish)) => {
                self.said = true;
                if self.block_publisher(turn) {
                    return 0;
                }
                return self.publish(id, &publish, octets, rest, turn).map_or_else(
                    |error| {
                        self.flush(turn);
                        self.fail_channel(id, error, PUBLISH, turn);
                        consumed
                    },
                    |content| consumed + content,
                );
            }
            Ok(Method::Ack { tag, multiple }) => {
                self.gather_settle(id, tag, multiple, Settle::Ack, turn)
            }
            Ok(Method::Nack {
                tag,
                multiple,
                requeue,
            }) => self.gather_settle(id, tag, multiple, returned(requeue), turn),
            Ok(Method::Reject { tag, requeue }) => {
                self.gather_settle(id, tag, false, returned(requeue), turn)
            }
            Ok(method @ (Method::Qos { .. } | Method::Other(_))) => {
                self.said = true;
                self.flush(turn);
                self.other_method(id, method, frame.payload, turn)
            }
            Err(error) => {
                self.flush(turn);
                self.fail_unparsed(id, &error, turn);
                return consumed;
            }
        };
        if let Err(error) = outcome {
            self.flush(turn);
            let method = method_id(frame.payload).unwrap_or(NO_METHOD);
            self.fail_channel(id, error, method, turn);
        }
        consumed
    }

    /// A header or body frame.
    fn content(&mut self, frame: &Frame<'_>, consumed: usize, turn: &mut Turn<'_>) -> usize {
        let id = frame.channel;
        let Some(channel) = self.channels.get_mut(&id) else {
            self.flush(turn);
            self.fail_at(id, Assembly::Idle.interrupted(), NO_METHOD, turn);
            return consumed;
        };
        if channel.is_closing() {
            return consumed;
        }
        if !channel.assembly.is_idle() && self.block_publisher(turn) {
            return 0;
        }
        let Some(channel) = self.channels.get_mut(&id) else {
            return consumed;
        };
        let body_bytes_max = self.shared.options.max_message_bytes;
        let known = &mut channel.known_header;
        match channel.assembly.content(frame, body_bytes_max, known) {
            Ok(None) => {}
            Ok(Some(message)) => self.gather_complete(id, message, turn),
            Err(ContentFault::Stray(error)) => {
                self.flush(turn);
                self.fail_at(id, error, NO_METHOD, turn);
            }
            Err(ContentFault::Publish(error)) => {
                self.flush(turn);
                self.fail_channel(id, error, PUBLISH, turn);
            }
        }
        consumed
    }
}

/// What `basic.reject` and `basic.nack` mean.
fn returned(requeue: bool) -> Settle {
    if requeue {
        Settle::Requeue
    } else {
        Settle::Reject
    }
}

/// A well-formed frame where no such frame may be.
fn misplaced(frame: &Frame<'_>) -> AmqpError {
    AmqpError::new(ReplyCode::UnexpectedFrame, frame.snippet())
}

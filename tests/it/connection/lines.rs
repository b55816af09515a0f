//! What a server sends as text: `channel.close 1 code=404 ids=60,40 NOT_FOUND - …`.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "what servers do not send is a test's failure, whatever it is"
)]

use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::basic;
use amq_protocol::protocol::channel;
use amq_protocol::protocol::connection;
use amq_protocol::protocol::exchange;
use amq_protocol::protocol::parse_class;
use amq_protocol::protocol::queue;
use amq_protocol::protocol::tx;

use leveret::protocol::content::parse_content_header;
use leveret::protocol::envelope::FRAME_BODY;
use leveret::protocol::envelope::FRAME_HEADER;
use leveret::protocol::envelope::FRAME_HEARTBEAT;
use leveret::protocol::envelope::FRAME_METHOD;
use leveret::protocol::envelope::Frame;

/// Server frames to lines; content is added to its method's.
#[derive(Default)]
pub(super) struct Decoder {
    content: Option<(String, Vec<u8>, u64)>,
}

impl Decoder {
    /// The line of a frame, once complete.
    pub(super) fn line(&mut self, frame: &Frame<'_>) -> Option<String> {
        let channel = match frame.channel.0 {
            0 => String::new(),
            number => format!(" {number}"),
        };
        match frame.kind {
            FRAME_HEARTBEAT => Some("heartbeat".to_owned()),
            FRAME_METHOD => {
                let (rest, method) = parse_class(frame.payload).expect("a method");
                assert!(rest.is_empty(), "octets after a method");
                let (name, arguments, has_content) = describe(&method);
                let line = format!("{name}{channel}{arguments}");
                if has_content {
                    self.content = Some((line, Vec::new(), u64::MAX));
                    return None;
                }
                Some(line)
            }
            FRAME_HEADER => {
                let header = parse_content_header(frame.payload).expect("a header");
                self.content.as_mut().expect("a method before").2 = header.body_size;
                self.content_line()
            }
            FRAME_BODY => {
                let content = self.content.as_mut().expect("a header before");
                content.1.extend_from_slice(frame.payload);
                self.content_line()
            }
            other => panic!("frame of type {other}"),
        }
    }

    fn content_line(&mut self) -> Option<String> {
        let (line, body, _) = self
            .content
            .take_if(|(_, body, size)| body.len() as u64 == *size)?;
        let body = match body.len() {
            0..64 => String::from_utf8_lossy(&body).into_owned(),
            long => format!("{long} octets"),
        };
        Some(format!("{line} body={body}"))
    }
}

fn flag(set: bool, name: &str) -> String {
    if set {
        format!(" {name}")
    } else {
        String::new()
    }
}

/// Name, arguments and whether content follows, of what servers send.
fn describe(method: &AMQPClass) -> (&'static str, String, bool) {
    let line = |name, arguments: String| (name, arguments, false);
    let plain = |name| (name, String::new(), false);
    match method {
        AMQPClass::Connection(method) => match method {
            connection::AMQPMethod::Start(start) => line(
                "connection.start",
                format!(" mechanisms={}", start.mechanisms),
            ),
            connection::AMQPMethod::Tune(tune) => line(
                "connection.tune",
                format!(
                    " channel-max={} frame-max={} heartbeat={}",
                    tune.channel_max, tune.frame_max, tune.heartbeat
                ),
            ),
            connection::AMQPMethod::OpenOk(_) => plain("connection.open-ok"),
            connection::AMQPMethod::Close(close) => line(
                "connection.close",
                format!(
                    " code={} ids={},{} {}",
                    close.reply_code, close.class_id, close.method_id, close.reply_text
                ),
            ),
            connection::AMQPMethod::CloseOk(_) => plain("connection.close-ok"),
            connection::AMQPMethod::Blocked(blocked) => {
                line("connection.blocked", format!(" {}", blocked.reason))
            }
            connection::AMQPMethod::Unblocked(_) => plain("connection.unblocked"),
            connection::AMQPMethod::UpdateSecretOk(_) => plain("connection.update-secret-ok"),
            other => panic!("servers do not send {other:?}"),
        },
        AMQPClass::Channel(method) => match method {
            channel::AMQPMethod::OpenOk(_) => plain("channel.open-ok"),
            channel::AMQPMethod::Close(close) => line(
                "channel.close",
                format!(
                    " code={} ids={},{} {}",
                    close.reply_code, close.class_id, close.method_id, close.reply_text
                ),
            ),
            channel::AMQPMethod::CloseOk(_) => plain("channel.close-ok"),
            channel::AMQPMethod::FlowOk(ok) => line("channel.flow-ok", flag(ok.active, "active")),
            other => panic!("servers do not send {other:?}"),
        },
        AMQPClass::Access(_) => plain("access.request-ok"),
        AMQPClass::Exchange(method) => plain(match method {
            exchange::AMQPMethod::DeclareOk(_) => "exchange.declare-ok",
            exchange::AMQPMethod::DeleteOk(_) => "exchange.delete-ok",
            exchange::AMQPMethod::BindOk(_) => "exchange.bind-ok",
            exchange::AMQPMethod::UnbindOk(_) => "exchange.unbind-ok",
            other => panic!("servers do not send {other:?}"),
        }),
        AMQPClass::Queue(method) => match method {
            queue::AMQPMethod::DeclareOk(ok) => line(
                "queue.declare-ok",
                format!(
                    " queue={} messages={} consumers={}",
                    ok.queue, ok.message_count, ok.consumer_count
                ),
            ),
            queue::AMQPMethod::BindOk(_) => plain("queue.bind-ok"),
            queue::AMQPMethod::UnbindOk(_) => plain("queue.unbind-ok"),
            queue::AMQPMethod::PurgeOk(ok) => {
                line("queue.purge-ok", format!(" messages={}", ok.message_count))
            }
            queue::AMQPMethod::DeleteOk(ok) => {
                line("queue.delete-ok", format!(" messages={}", ok.message_count))
            }
            other => panic!("servers do not send {other:?}"),
        },
        AMQPClass::Confirm(_) => plain("confirm.select-ok"),
        AMQPClass::Tx(method) => plain(match method {
            tx::AMQPMethod::SelectOk(_) => "tx.select-ok",
            tx::AMQPMethod::CommitOk(_) => "tx.commit-ok",
            tx::AMQPMethod::RollbackOk(_) => "tx.rollback-ok",
            other => panic!("servers do not send {other:?}"),
        }),
        AMQPClass::Basic(method) => describe_basic(method),
    }
}

fn describe_basic(method: &basic::AMQPMethod) -> (&'static str, String, bool) {
    let line = |name, arguments: String| (name, arguments, false);
    match method {
        basic::AMQPMethod::QosOk(_) => line("basic.qos-ok", String::new()),
        basic::AMQPMethod::ConsumeOk(ok) => {
            line("basic.consume-ok", format!(" consumer={}", ok.consumer_tag))
        }
        basic::AMQPMethod::CancelOk(ok) => {
            line("basic.cancel-ok", format!(" consumer={}", ok.consumer_tag))
        }
        basic::AMQPMethod::Cancel(cancel) => line(
            "basic.cancel",
            format!(
                " consumer={}{}",
                cancel.consumer_tag,
                flag(cancel.nowait, "nowait")
            ),
        ),
        basic::AMQPMethod::GetEmpty(_) => line("basic.get-empty", String::new()),
        basic::AMQPMethod::RecoverOk(_) => line("basic.recover-ok", String::new()),
        basic::AMQPMethod::Ack(ack) => line(
            "basic.ack",
            format!(
                " tag={}{}",
                ack.delivery_tag,
                flag(ack.multiple, "multiple")
            ),
        ),
        basic::AMQPMethod::Nack(nack) => line(
            "basic.nack",
            format!(
                " tag={}{}{}",
                nack.delivery_tag,
                flag(nack.multiple, "multiple"),
                flag(nack.requeue, "requeue")
            ),
        ),
        basic::AMQPMethod::Deliver(deliver) => (
            "basic.deliver",
            format!(
                " consumer={} tag={}{} exchange={} key={}",
                deliver.consumer_tag,
                deliver.delivery_tag,
                flag(deliver.redelivered, "redelivered"),
                deliver.exchange,
                deliver.routing_key
            ),
            true,
        ),
        basic::AMQPMethod::GetOk(ok) => (
            "basic.get-ok",
            format!(
                " tag={}{} key={} left={}",
                ok.delivery_tag,
                flag(ok.redelivered, "redelivered"),
                ok.routing_key,
                ok.message_count
            ),
            true,
        ),
        basic::AMQPMethod::Return(returned) => (
            "basic.return",
            format!(
                " code={} {} exchange={} key={}",
                returned.reply_code, returned.reply_text, returned.exchange, returned.routing_key
            ),
            true,
        ),
        other => panic!("servers do not send {other:?}"),
    }
}

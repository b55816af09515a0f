//! From the protocol header to `open-ok` (specification §2.1-§2.5).
//!
//! The order of methods and the negotiated numbers are decided here; who may log in, and where to, by the host.

use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::connection;
use amq_protocol::types::AMQPValue;
use amq_protocol::types::FieldTable;
use amq_protocol::types::LongString;

use crate::connection::Connection;
use crate::connection::Ending;
use crate::connection::Phase;
use crate::connection::close::SILENT_PAUSE;
use crate::connection::host::Login;
use crate::connection::reply_text::NO_METHOD;
use crate::connection::turn::Turn;
use crate::model::AmqpError;
use crate::model::ChannelId;
use crate::model::VhostName;
use crate::model::arguments::text;
use crate::model::limits::FRAME_SIZE_MIN;
use crate::protocol::encode;
use crate::protocol::header::HeaderVerdict;
use crate::protocol::header::judge_header;
use crate::protocol::method::MethodId;
use crate::protocol::output::Sink as _;

const HEADER_BYTES: usize = 8;
const CHANNEL_MAX_MIN: u16 = 1;

const TUNE: MethodId = MethodId {
    class: 10,
    method: 30,
};
const OPEN: MethodId = MethodId {
    class: 10,
    method: 40,
};

/// What the client told and chose.
#[derive(Debug, Default)]
pub(super) struct Client {
    pub(super) properties: FieldTable,
    /// Capability `connection.blocked`.
    pub(super) wants_blocked: bool,
    /// Capability `consumer_cancel_notify`.
    pub(super) wants_cancel: bool,
    /// Capability `authentication_failure_close`.
    wants_login_failure: bool,
    /// `tune-ok` came.
    pub(super) tuned: bool,
    pub(super) channel_max: u16,
    pub(super) heartbeat: u16,
    pub(super) vhost: Option<VhostName>,
}

impl Client {
    fn new(properties: FieldTable) -> Self {
        let capable = |name: &str| match properties.inner().get("capabilities") {
            Some(AMQPValue::FieldTable(capabilities)) => {
                capabilities.inner().get(name) == Some(&AMQPValue::Boolean(true))
            }
            _ => false,
        };
        Self {
            wants_blocked: capable("connection.blocked"),
            wants_cancel: capable("consumer_cancel_notify"),
            wants_login_failure: capable("authentication_failure_close"),
            properties,
            ..Self::default()
        }
    }

    pub(super) fn connection_name(&self) -> Option<&str> {
        text(self.properties.inner().get("connection_name")?)
    }
}

impl Connection {
    /// Takes the protocol header, once it is there.
    pub(super) fn receive_header(&mut self, input: &[u8], turn: &mut Turn<'_>) -> usize {
        let Some(header) = input.first_chunk::<HEADER_BYTES>() else {
            self.needed = HEADER_BYTES;
            return 0;
        };
        match judge_header(header) {
            HeaderVerdict::Accept => {
                let start = connection::AMQPMethod::Start(connection::Start {
                    version_major: 0,
                    version_minor: 9,
                    server_properties: turn.host.server_properties(),
                    mechanisms: LongString::from(turn.host.mechanisms().join(" ").as_str()),
                    locales: LongString::from("en_US"),
                });
                send(start, turn);
                self.phase = Phase::Starting;
            }
            HeaderVerdict::Refuse { answer, what } => {
                turn.out.octets().extend_from_slice(&answer);
                self.end(Ending::WrongProtocol(what));
                self.finish(std::time::Duration::ZERO);
            }
        }
        HEADER_BYTES
    }

    pub(super) fn start_ok(&mut self, start_ok: connection::StartOk, turn: &mut Turn<'_>) {
        self.client = Client::new(start_ok.client_properties);
        let mechanism = start_ok.mechanism.as_str();
        let response = start_ok.response.as_bytes();
        match turn
            .host
            .login(mechanism, response, &self.client.properties)
        {
            Login::Accepted => {
                let tune = connection::AMQPMethod::Tune(connection::Tune {
                    channel_max: self.shared.options.channel_max,
                    frame_max: self.shared.options.frame_max,
                    heartbeat: self.shared.options.heartbeat,
                });
                send(tune, turn);
                self.phase = Phase::Tuning;
            }
            Login::Refused => {
                self.end(Ending::LoginRefused);
                if self.client.wants_login_failure {
                    let text = format!(
                        "Login was refused using authentication mechanism {mechanism}. \
                         For details see the broker logfile."
                    );
                    let refused = AmqpError::access_refused(text).widened();
                    self.close_with(refused, NO_METHOD, turn);
                } else {
                    self.finish(SILENT_PAUSE);
                }
            }
            Login::Invalid(error) => self.fail(error, NO_METHOD, turn),
        }
    }

    /// The client's numbers hold, within what we offered.
    pub(super) fn tune_ok(&mut self, tune_ok: &connection::TuneOk, turn: &mut Turn<'_>) {
        let options = &self.shared.options;
        let judged = judge_negotiated(
            "channel_max",
            u32::from(tune_ok.channel_max),
            u32::from(CHANNEL_MAX_MIN),
            u32::from(options.channel_max),
        )
        .and_then(|()| {
            judge_negotiated(
                "frame_max",
                tune_ok.frame_max,
                FRAME_SIZE_MIN,
                options.frame_max,
            )
        });
        if let Err(error) = judged {
            self.tell(&error, ChannelId(0), TUNE, turn);
            return self.close_with(error, TUNE, turn);
        }
        self.client.tuned = true;
        self.client.channel_max = tune_ok.channel_max;
        self.client.heartbeat = tune_ok.heartbeat;
        self.shared.frame_max = tune_ok.frame_max;
        self.heartbeats.start(tune_ok.heartbeat, turn.now);
        turn.host
            .tuned(tune_ok.channel_max, tune_ok.frame_max, tune_ok.heartbeat);
        self.phase = Phase::Opening;
    }

    pub(super) fn open(&mut self, open: &connection::Open, turn: &mut Turn<'_>) {
        let vhost = VhostName::known(open.virtual_host.as_str());
        if let Err(error) = turn.host.open(&vhost) {
            let error = error.widened();
            self.tell(&error, ChannelId(0), OPEN, turn);
            return self.close_with(error, OPEN, turn);
        }
        self.host_open = true;
        self.client.vhost = Some(vhost);
        send(connection::AMQPMethod::OpenOk(connection::OpenOk {}), turn);
        self.phase = Phase::Open;
    }
}

/// Sends a method on channel 0.
pub(super) fn send(method: connection::AMQPMethod, turn: &mut Turn<'_>) {
    encode::method(
        turn.out.octets(),
        ChannelId(0),
        &AMQPClass::Connection(method),
    );
}

/// Judges what the client made of the `server`'s offer; 0 is no limit.
fn judge_negotiated(field: &str, client: u32, min: u32, server: u32) -> Result<(), AmqpError> {
    let (than, which, bound) = if client != 0 && client < min {
        ("lower", "minimum", min)
    } else if server != 0 && (client == 0 || client > server) {
        ("higher", "maximum", server)
    } else {
        return Ok(());
    };
    // RabbitMQ says this of channel_max alone.
    let detail = match (field, client) {
        ("channel_max", 0) => " (no limit)",
        _ => "",
    };
    Err(AmqpError::not_allowed(format!(
        "negotiated {field} = {client}{detail} is {than} than the {which} allowed value ({bound})"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(field: &str, client: u32, min: u32, server: u32, expected: Option<&str>) {
        let verdict = judge_negotiated(field, client, min, server);
        assert_eq!(
            verdict.as_ref().err().map(|error| error.text()),
            expected,
            "{field} = {client} where {server} was offered"
        );
    }

    #[test]
    fn clients_may_choose_less_but_not_too_little() {
        check("frame_max", 131_072, 4096, 131_072, None);
        check("frame_max", 4096, 4096, 131_072, None);
        check(
            "frame_max",
            4095,
            4096,
            131_072,
            Some("negotiated frame_max = 4095 is lower than the minimum allowed value (4096)"),
        );
        check("channel_max", 1, 1, 2047, None);
    }

    #[test]
    fn clients_may_not_choose_more() {
        check(
            "frame_max",
            131_073,
            4096,
            131_072,
            Some("negotiated frame_max = 131073 is higher than the maximum allowed value (131072)"),
        );
        check(
            "channel_max",
            0,
            1,
            2047,
            Some(
                "negotiated channel_max = 0 (no limit) is higher than the maximum allowed value (2047)",
            ),
        );
        check(
            "frame_max",
            0,
            4096,
            131_072,
            Some("negotiated frame_max = 0 is higher than the maximum allowed value (131072)"),
        );
    }

    #[test]
    fn without_a_limit_of_ours_anything_not_too_little_goes() {
        check("frame_max", 0, 4096, 0, None);
        check("frame_max", u32::MAX, 4096, 0, None);
        check("channel_max", 0, 1, 0, None);
    }
}

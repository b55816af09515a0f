//! A connection of the rig's own that looks at queues while a script waits for them.

use crate::side::Endpoint;
use crate::side::method_frame;
use crate::side::next_frame;
use crate::value::Reader;
use crate::wire::Field;
use crate::wire::Fields;
use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(15);

pub(crate) struct Probe {
    socket: TcpStream,
    received: Vec<u8>,
}

fn fields(values: &[(&'static str, &str)]) -> Fields {
    let mut fields = Fields::default();
    for (name, value) in values {
        fields.set(name, Field::Bytes(value.as_bytes().to_vec()));
    }
    fields
}

impl Probe {
    pub(crate) fn open(endpoint: &Endpoint) -> Result<Self, String> {
        let wrong = |error: std::io::Error| format!("probe: {error}");
        let mut socket = TcpStream::connect_timeout(&endpoint.amqp, PATIENCE).map_err(wrong)?;
        socket.set_read_timeout(Some(PATIENCE)).map_err(wrong)?;
        socket.set_nodelay(true).map_err(wrong)?;
        socket.write_all(b"AMQP\0\0\x09\x01").map_err(wrong)?;
        let mut probe = Self {
            socket,
            received: Vec::new(),
        };
        probe.expect((10, 10))?;
        let login = [
            ("mechanism", "PLAIN"),
            ("response", "\0guest\0guest"),
            ("locale", "en_US"),
        ];
        probe.send(0, "connection.start-ok", &fields(&login))?;
        probe.expect((10, 30))?;
        let mut tune = Fields::default();
        tune.set("channel-max", Field::Number(2047));
        tune.set("frame-max", Field::Number(131_072));
        probe.send(0, "connection.tune-ok", &tune)?;
        probe.send(0, "connection.open", &fields(&[("vhost", &endpoint.vhost)]))?;
        probe.expect((10, 41))?;
        Ok(probe)
    }

    fn send(&mut self, channel: u16, name: &str, fields: &Fields) -> Result<(), String> {
        let frame = method_frame(channel, name, fields)?;
        self.socket
            .write_all(&frame)
            .map_err(|error| format!("probe: {error}"))
    }

    fn next(&mut self) -> Result<((u64, u64), Vec<u8>), String> {
        loop {
            let frame = next_frame(&mut self.socket, &mut self.received)
                .map_err(|reason| format!("probe: {reason}"))?
                .ok_or("probe: the broker closed the connection")?;
            if frame.kind == crate::wire::METHOD {
                let mut reader = Reader(&frame.payload);
                let id = (reader.number(2)?, reader.number(2)?);
                return Ok((id, reader.0.to_vec()));
            }
        }
    }

    fn expect(&mut self, wanted: (u64, u64)) -> Result<Vec<u8>, String> {
        let (id, arguments) = self.next()?;
        if id == wanted {
            Ok(arguments)
        } else {
            let text = String::from_utf8_lossy(&arguments).into_owned();
            Err(format!("probe: {wanted:?} expected, got {id:?} {text:?}"))
        }
    }

    /// Ready messages and consumers; nothing when there is no such queue.
    pub(crate) fn counts(&mut self, queue: &str) -> Result<Option<(u64, u64)>, String> {
        self.send(1, "channel.open", &Fields::default())?;
        self.expect((20, 11))?;
        let mut declare = fields(&[("queue", queue)]);
        declare.set("passive", Field::Number(1));
        self.send(1, "queue.declare", &declare)?;
        let (id, arguments) = self.next()?;
        let mut reader = Reader(&arguments);
        match id {
            (50, 11) => {
                reader.short_string()?;
                let counts = (reader.number(4)?, reader.number(4)?);
                self.send(1, "channel.close", &Fields::default())?;
                self.expect((20, 41))?;
                Ok(Some(counts))
            }
            (20, 40) => {
                self.send(1, "channel.close-ok", &Fields::default())?;
                match reader.number(2)? {
                    404 => Ok(None),
                    code => {
                        let text = String::from_utf8_lossy(reader.short_string()?).into_owned();
                        Err(format!("probe: {code} {text}"))
                    }
                }
            }
            other => Err(format!("probe: unexpected {other:?}")),
        }
    }

    /// Deletes these, as far as they are there.
    pub(crate) fn delete(&mut self, queues: &[&str], exchanges: &[&str]) -> Result<(), String> {
        self.send(2, "channel.open", &Fields::default())?;
        self.expect((20, 11))?;
        for queue in queues {
            self.send(2, "queue.delete", &fields(&[("queue", queue)]))?;
            self.expect((50, 41))?;
        }
        for exchange in exchanges {
            self.send(2, "exchange.delete", &fields(&[("exchange", exchange)]))?;
            self.expect((40, 21))?;
        }
        self.send(2, "channel.close", &Fields::default())?;
        self.expect((20, 41))?;
        Ok(())
    }
}

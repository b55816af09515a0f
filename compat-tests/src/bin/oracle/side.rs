//! One broker in a script: its connections, what it said, what is still awaited from it.
//!
//! It sends what a step asks for and files what comes; how long to wait is [`crate::play`]'s.

use crate::layout::MethodId;
use crate::layout::by_id;
use crate::layout::by_name;
use crate::script::MethodStep;
use crate::script::Place;
use crate::transcript::Masks;
use crate::transcript::Record;
use crate::value::Reader;
use crate::value::Table;
use crate::value::Value;
use crate::value::quoted;
use crate::wire;
use crate::wire::Field;
use crate::wire::Fields;
use crate::wire::Frame;
use crate::wire::Received;
use std::collections::BTreeSet;
use std::collections::HashMap;
use std::io::Read;
use std::io::Write;
use std::net::Shutdown;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::sync::mpsc::Sender;
use std::time::Duration;

/// The longest a handshake or a write may take.
const HANDSHAKE: Duration = Duration::from_secs(15);

/// What a reader thread heard.
pub(crate) struct Event {
    pub(crate) side: usize,
    pub(crate) connection: u64,
    /// Empty at the end of the stream.
    pub(crate) octets: Vec<u8>,
}

/// A broker's addresses, and the virtual host to work in.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    pub(crate) amqp: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) vhost: String,
}

/// A content whose parts are still coming.
struct Content {
    method: String,
    is_return: bool,
    size: Option<u64>,
    properties: String,
    body: Vec<u8>,
}

#[derive(Default)]
struct Channel {
    was_opened: bool,
    is_open: bool,
    /// Its open-ok is no part of the transcript.
    opened_by_rig: bool,
    answers: Vec<MethodId>,
    /// `channel.flow-ok` that end our barriers.
    barriers: u32,
    content: Option<Content>,
    /// An unfinished content of ours: nothing may be sent in between.
    is_partial: bool,
    confirmed: BTreeSet<u64>,
    confirmed_to: u64,
    came: HashMap<String, usize>,
    waited_for: HashMap<String, usize>,
}

struct Connection {
    name: String,
    socket: TcpStream,
    received: Vec<u8>,
    channels: HashMap<u16, Channel>,
    has_ended: bool,
    is_manual: bool,
    frame_max: usize,
}

pub(crate) struct Side {
    index: usize,
    pub(crate) endpoint: Endpoint,
    /// By number, so that a name can be used again.
    connections: HashMap<u64, Connection>,
    next_connection: u64,
    pub(crate) records: Vec<Record>,
    pub(crate) masks: Masks,
    pub(crate) variables: HashMap<&'static str, String>,
    /// At which we are.
    pub(crate) line: usize,
    events: Sender<Event>,
}

fn capabilities() -> Table {
    [
        "publisher_confirms",
        "exchange_exchange_bindings",
        "basic.nack",
        "consumer_cancel_notify",
        "connection.blocked",
        "authentication_failure_close",
    ]
    .iter()
    .map(|name| (name.as_bytes().to_vec(), Value::Integer(b't', 1)))
    .collect()
}

impl Side {
    pub(crate) fn new(index: usize, endpoint: Endpoint, id: &str, events: Sender<Event>) -> Self {
        Self {
            index,
            endpoint,
            connections: HashMap::new(),
            next_connection: 0,
            records: Vec::new(),
            masks: Masks::new(id),
            variables: HashMap::from([("id", id.to_owned())]),
            line: 0,
            events,
        }
    }

    /// The line with this broker's values for its variables.
    pub(crate) fn substituted(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, value) in &self.variables {
            text = text.replace(&format!("${name}"), value);
        }
        text
    }

    pub(crate) fn record(&mut self, stream: &str, text: &str) {
        let text = self.masks.apply(text);
        self.records.push(Record {
            stream: stream.to_owned(),
            line: self.line,
            text,
        });
    }

    fn number_of(&self, name: &str) -> Option<u64> {
        let named = self
            .connections
            .iter()
            .filter(|(_, found)| found.name == name);
        named.map(|(number, _)| *number).max()
    }

    pub(crate) fn is_known(&self, name: &str) -> bool {
        self.number_of(name).is_some()
    }

    fn connection(&mut self, name: &str) -> Result<&mut Connection, String> {
        self.number_of(name)
            .and_then(|number| self.connections.get_mut(&number))
            .ok_or_else(|| format!("no connection {name}"))
    }

    fn channel(&mut self, place: &Place) -> Result<&mut Channel, String> {
        let connection = self.connection(&place.connection)?;
        Ok(connection.channels.entry(place.channel).or_default())
    }

    /// A TCP connection, and a thread that reads it from now on.
    pub(crate) fn open_socket(&mut self, name: &str) -> Result<(), String> {
        let socket = self.socket()?;
        self.adopt(name, socket, Vec::new(), 131_072)
    }

    fn socket(&self) -> Result<TcpStream, String> {
        let socket = TcpStream::connect_timeout(&self.endpoint.amqp, HANDSHAKE)
            .map_err(|error| format!("connect: {error}"))?;
        let options = socket
            .set_nodelay(true)
            .and_then(|()| socket.set_write_timeout(Some(HANDSHAKE)));
        options.map_err(|error| format!("connect: {error}"))?;
        Ok(socket)
    }

    fn adopt(
        &mut self,
        name: &str,
        socket: TcpStream,
        received: Vec<u8>,
        frame_max: usize,
    ) -> Result<(), String> {
        self.next_connection += 1;
        let number = self.next_connection;
        let mut reading = socket.try_clone().map_err(|error| error.to_string())?;
        reading
            .set_read_timeout(None)
            .map_err(|error| error.to_string())?;
        let (events, side) = (self.events.clone(), self.index);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65536];
            loop {
                let count = reading.read(&mut buffer).unwrap_or(0);
                let event = Event {
                    side,
                    connection: number,
                    octets: buffer[..count].to_vec(),
                };
                if events.send(event).is_err() || count == 0 {
                    return;
                }
            }
        });
        self.connections.insert(
            number,
            Connection {
                name: name.to_owned(),
                socket,
                received,
                channels: HashMap::new(),
                has_ended: false,
                is_manual: false,
                frame_max,
            },
        );
        Ok(())
    }

    /// The whole handshake. What the broker refuses it with is recorded.
    pub(crate) fn connect(&mut self, name: &str, fields: &Fields) -> Result<(), String> {
        let mut socket = self.socket()?;
        socket
            .set_read_timeout(Some(HANDSHAKE))
            .map_err(|error| error.to_string())?;
        let stream = format!("{name}0");
        let mut received = Vec::new();
        let mut write = |octets: &[u8]| socket.write_all(octets).map_err(|error| error.to_string());
        write(b"AMQP\0\0\x09\x01")?;
        let mut reading = self.socket_clone(&socket)?;
        let frame_max = fields.number("frame-max").unwrap_or(131_072);
        loop {
            let frame = match next_frame(&mut reading, &mut received) {
                Ok(Some(frame)) => frame,
                Ok(None) => {
                    self.record(&stream, "(socket closed)");
                    return Ok(());
                }
                Err(reason) => {
                    self.record(&stream, &format!("({reason})"));
                    return Ok(());
                }
            };
            let mut reader = Reader(&frame.payload);
            let id = (
                u16::try_from(reader.number(2)?).unwrap_or(0),
                u16::try_from(reader.number(2)?).unwrap_or(0),
            );
            let answers = match id {
                (10, 10) => vec![start_ok(fields)?],
                (10, 30) => {
                    let mut tune = Fields::default();
                    let number =
                        |name, fallback| Field::Number(fields.number(name).unwrap_or(fallback));
                    tune.set("channel-max", number("channel-max", 2047));
                    tune.set("frame-max", Field::Number(frame_max));
                    tune.set("heartbeat", number("heartbeat", 0));
                    let mut open = Fields::default();
                    let vhost = fields
                        .bytes("vhost")
                        .unwrap_or(self.endpoint.vhost.as_bytes())
                        .to_vec();
                    open.set("vhost", Field::Bytes(vhost));
                    vec![
                        method_frame(0, "connection.tune-ok", &tune)?,
                        method_frame(0, "connection.open", &open)?,
                    ]
                }
                (10, 41) => break,
                (10, 50) => {
                    let shown = shown_method(id, &mut reader);
                    self.record(&stream, &shown);
                    vec![method_frame(0, "connection.close-ok", &Fields::default())?]
                }
                _ => {
                    let shown = shown_method(id, &mut reader);
                    self.record(&stream, &shown);
                    Vec::new()
                }
            };
            // The broker may have closed already; then the end is what comes next.
            for answer in answers {
                let _ = socket.write_all(&answer);
            }
        }
        let frame_max = if frame_max == 0 { 131_072 } else { frame_max };
        self.adopt(
            name,
            socket,
            received,
            usize::try_from(frame_max).unwrap_or(131_072),
        )
    }

    fn socket_clone(&self, socket: &TcpStream) -> Result<TcpStream, String> {
        socket.try_clone().map_err(|error| error.to_string())
    }

    pub(crate) fn set_manual(&mut self, name: &str) -> Result<(), String> {
        if !self.is_known(name) {
            self.connect(name, &Fields::default())?;
        }
        self.connection(name)?.is_manual = true;
        Ok(())
    }

    /// Closes the TCP connection; its end is not recorded.
    pub(crate) fn drop_connection(&mut self, name: &str) -> Result<(), String> {
        let number = self.number_of(name).ok_or("no such connection")?;
        if let Some(connection) = self.connections.remove(&number) {
            let _ = connection.socket.shutdown(Shutdown::Both);
        }
        Ok(())
    }

    /// A write to a closed connection is no mistake of the script's.
    pub(crate) fn send(&mut self, name: &str, octets: &[u8]) -> Result<(), String> {
        let _ = self.connection(name)?.socket.write_all(octets);
        Ok(())
    }

    pub(crate) fn send_part(
        &mut self,
        place: &Place,
        kind: u8,
        payload: &[u8],
    ) -> Result<(), String> {
        self.channel(place)?.is_partial = true;
        self.send(
            &place.connection,
            &wire::frame(kind, place.channel, payload),
        )
    }

    /// Opens what the step takes for open; true when there is something to wait for.
    pub(crate) fn prepare(&mut self, step: &MethodStep) -> Result<bool, String> {
        let place = &step.place;
        if !self.is_known(&place.connection) {
            self.connect(&place.connection, &Fields::default())?;
        }
        if !self.is_known(&place.connection) || place.channel == 0 || step.method.id == (20, 10) {
            return Ok(false);
        }
        if self.channel(place)?.was_opened {
            return Ok(false);
        }
        self.open_channel(place)?;
        Ok(true)
    }

    /// Opens the channel, and its connection, if they are closed; true when there is something to
    /// wait for.
    pub(crate) fn reopen(&mut self, place: &Place) -> Result<bool, String> {
        let has_ended = self
            .connection(&place.connection)
            .map_or(true, |connection| connection.has_ended);
        if has_ended {
            self.connect(&place.connection, &Fields::default())?;
        }
        let channel = self.channel(place)?;
        if channel.is_open || !channel.answers.is_empty() {
            return Ok(false);
        }
        self.open_channel(place)?;
        Ok(true)
    }

    fn open_channel(&mut self, place: &Place) -> Result<(), String> {
        let channel = self.channel(place)?;
        channel.was_opened = true;
        channel.opened_by_rig = true;
        channel.answers = vec![(20, 11)];
        let open = method_frame(place.channel, "channel.open", &Fields::default())?;
        self.send(&place.connection, &open)
    }

    /// Sends the step; its answer is awaited from now on.
    pub(crate) fn send_method(&mut self, step: &MethodStep) -> Result<(), String> {
        let place = &step.place;
        let mut out = method_frame(place.channel, step.method.name, &step.fields)?;
        let connection = self.connection(&place.connection)?;
        if connection.has_ended {
            return Ok(());
        }
        let frame_max = connection.frame_max;
        if let Some(body) = &step.body {
            let size = body.len() as u64;
            let header = step.fields.header(60, 0, size)?;
            out.extend(wire::frame(wire::HEADER, place.channel, &header));
            for part in body.chunks(frame_max.saturating_sub(8).max(1)) {
                out.extend(wire::frame(wire::BODY, place.channel, part));
            }
        }
        let is_bare = step.fields.number("bare") == Some(1);
        let channel = self.channel(place)?;
        channel.is_partial = is_bare;
        channel.was_opened = true;
        // Nothing may follow a close.
        channel.is_open &= step.method.id != (20, 40);
        if step.awaits_answer() {
            let answers = step.method.answers.iter();
            channel.answers = answers.map(|number| (step.method.id.0, *number)).collect();
        }
        self.send(&place.connection, &out)
    }

    /// Something without effect that the broker answers only after all that was sent before.
    pub(crate) fn send_barrier(&mut self, place: &Place) -> Result<(), String> {
        let connection = self.connection(&place.connection)?;
        if connection.has_ended || place.channel == 0 {
            return Ok(());
        }
        let channel = self.channel(place)?;
        if !channel.is_open || channel.is_partial {
            return Ok(());
        }
        channel.barriers += 1;
        let mut fields = Fields::default();
        fields.set("active", Field::Number(1));
        let flow = method_frame(place.channel, "channel.flow", &fields)?;
        self.send(&place.connection, &flow)
    }

    /// Whether an answer is still to come.
    pub(crate) fn is_waiting(&self) -> bool {
        self.connections.values().any(|connection| {
            let mut channels = connection.channels.values();
            channels.any(|channel| !channel.answers.is_empty() || channel.barriers > 0)
        })
    }

    /// No answer came in time: that is recorded, and no longer awaited.
    pub(crate) fn give_up(&mut self) {
        let mut silent = Vec::new();
        for connection in self.connections.values_mut() {
            for (number, channel) in &mut connection.channels {
                if !channel.answers.is_empty() || channel.barriers > 0 {
                    silent.push(format!("{}{number}", connection.name));
                }
                channel.answers.clear();
                channel.barriers = 0;
            }
        }
        for stream in silent {
            self.record(&stream, "(no answer)");
        }
    }

    /// How many of the method came since the last wait for it ended.
    pub(crate) fn came(&self, place: &Place, what: &str) -> usize {
        self.number_of(&place.connection)
            .and_then(|number| self.connections.get(&number))
            .map_or(0, |connection| {
                if what == "end" {
                    return usize::from(connection.has_ended);
                }
                connection
                    .channels
                    .get(&place.channel)
                    .map_or(0, |channel| {
                        let number =
                            |of: &HashMap<String, usize>| of.get(what).copied().unwrap_or(0);
                        number(&channel.came).saturating_sub(number(&channel.waited_for))
                    })
            })
    }

    pub(crate) fn waited(&mut self, place: &Place, what: &str, count: usize) {
        if let Ok(channel) = self.channel(place) {
            *channel.waited_for.entry(what.to_owned()).or_default() += count;
        }
    }

    /// Files what came.
    pub(crate) fn hear(&mut self, number: u64, octets: &[u8]) {
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        connection.received.extend_from_slice(octets);
        let name = connection.name.clone();
        loop {
            let Some(connection) = self.connections.get_mut(&number) else {
                return;
            };
            match wire::take_frame(&mut connection.received) {
                Ok(Some(frame)) => {
                    if let Err(reason) = self.file(number, &name, frame) {
                        self.record(&format!("{name}0"), &format!("(undecodable: {reason})"));
                    }
                }
                Ok(None) => break,
                Err(reason) => {
                    self.record(&format!("{name}0"), &format!("({reason})"));
                    break;
                }
            }
        }
        if octets.is_empty() {
            self.end(number);
            self.record(&format!("{name}0"), "(socket closed)");
        }
    }

    fn end(&mut self, number: u64) {
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.has_ended = true;
            for channel in connection.channels.values_mut() {
                channel.is_open = false;
                channel.answers.clear();
                channel.barriers = 0;
            }
        }
    }

    fn file(&mut self, number: u64, name: &str, frame: Frame) -> Result<(), String> {
        let stream = format!("{name}{}", frame.channel);
        let mut reader = Reader(&frame.payload);
        match frame.kind {
            wire::HEARTBEAT => Ok(()),
            wire::METHOD => {
                let id = (
                    u16::try_from(reader.number(2)?).unwrap_or(0),
                    u16::try_from(reader.number(2)?).unwrap_or(0),
                );
                self.file_method(number, &stream, frame.channel, id, &mut reader)
            }
            wire::HEADER => {
                let content = self.content(number, frame.channel)?;
                let class = (reader.number(2)?, reader.number(2)?);
                content.size = Some(reader.number(8)?);
                let mut properties = Received::properties(&mut reader)?;
                let reply_to = properties.text("reply-to");
                content.properties = properties.shown();
                if class != (60, 0) || !reader.0.is_empty() {
                    return Err(format!("content header {class:?}, {:?}", reader.0));
                }
                if !reply_to.is_empty() {
                    self.variables.insert("replyto", reply_to);
                }
                self.complete(number, &stream, frame.channel);
                Ok(())
            }
            wire::BODY => {
                let content = self.content(number, frame.channel)?;
                content.body.extend_from_slice(&frame.payload);
                self.complete(number, &stream, frame.channel);
                Ok(())
            }
            other => Err(format!("frame type {other}")),
        }
    }

    fn content(&mut self, number: u64, channel: u16) -> Result<&mut Content, String> {
        self.connections
            .get_mut(&number)
            .and_then(|connection| connection.channels.get_mut(&channel))
            .and_then(|channel| channel.content.as_mut())
            .ok_or_else(|| "a content frame without a method".to_owned())
    }

    fn complete(&mut self, number: u64, stream: &str, channel: u16) {
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        let channel = connection.channels.entry(channel).or_default();
        let is_complete = channel.content.as_ref().is_some_and(|content| {
            content
                .size
                .is_some_and(|size| content.body.len() as u64 >= size)
        });
        if !is_complete {
            return;
        }
        if let Some(content) = channel.content.take() {
            let name = content.method.split(' ').next().unwrap_or_default();
            *channel.came.entry(name.to_owned()).or_default() += 1;
            let text = format!(
                "{} |{} body={}",
                content.method,
                content.properties,
                wire::shown_body(&content.body)
            );
            if content.is_return {
                self.record(&format!("{stream} confirms"), &text);
            } else {
                self.record(stream, &text);
            }
        }
    }

    fn file_method(
        &mut self,
        number: u64,
        stream: &str,
        channel_number: u16,
        id: MethodId,
        reader: &mut Reader<'_>,
    ) -> Result<(), String> {
        let method = by_id(id).ok_or_else(|| format!("unknown method {id:?}"))?;
        let mut arguments = Received::decode(method.arguments, reader)?;
        if !reader.0.is_empty() {
            return Err(format!(
                "{} with {} octets too many",
                method.name,
                reader.0.len()
            ));
        }
        let Some(connection) = self.connections.get_mut(&number) else {
            return Ok(());
        };
        let is_manual = connection.is_manual;
        let channel = connection.channels.entry(channel_number).or_default();
        let is_answer = channel.answers.contains(&id);
        if is_answer {
            channel.answers.clear();
        }
        let mut answer = None;
        match id {
            (20, 11) => {
                channel.is_open = true;
                if std::mem::take(&mut channel.opened_by_rig) {
                    return Ok(());
                }
            }
            (20, 21) if !is_answer && channel.barriers > 0 => {
                channel.barriers -= 1;
                return Ok(());
            }
            (20, 40 | 41) => {
                let came = std::mem::take(&mut channel.came);
                let waited_for = std::mem::take(&mut channel.waited_for);
                *channel = Channel {
                    was_opened: true,
                    came,
                    waited_for,
                    ..Channel::default()
                };
                if id == (20, 40) && !is_manual {
                    answer = Some("channel.close-ok");
                }
            }
            (10, 50) => {
                for channel in connection.channels.values_mut() {
                    channel.is_open = false;
                    channel.answers.clear();
                    channel.barriers = 0;
                }
                if !is_manual {
                    answer = Some("connection.close-ok");
                }
            }
            (10, 51) => {
                // As clients do: some brokers wait for it.
                let _ = connection.socket.shutdown(Shutdown::Write);
                connection.has_ended = true;
            }
            (60, 50 | 60 | 71) => {
                let text = format!("{}{}", method.name, arguments.shown());
                channel.content = Some(Content {
                    method: text,
                    is_return: id == (60, 50),
                    size: None,
                    properties: String::new(),
                    body: Vec::new(),
                });
                return Ok(());
            }
            (60, 80 | 120) => {
                let tags = channel.confirm(arguments.number("tag"), arguments.number("multiple"));
                *channel.came.entry(method.name.to_owned()).or_default() += tags.len();
                for tag in tags {
                    self.record(
                        &format!("{stream} confirms"),
                        &format!("{} {tag}", method.name),
                    );
                }
                return Ok(());
            }
            (50, 11) => {
                self.variables.insert("queue", arguments.text("queue"));
            }
            (60, 21) => {
                self.variables.insert("ctag", arguments.text("tag"));
            }
            (10, 10) => mask_server(&mut arguments),
            _ => {}
        }
        if let Ok(channel) = self.channel_by_number(number, channel_number) {
            *channel.came.entry(method.name.to_owned()).or_default() += 1;
        }
        self.record(stream, &format!("{}{}", method.name, arguments.shown()));
        if let Some(name) = answer {
            let frame = method_frame(channel_number, name, &Fields::default())?;
            if let Some(connection) = self.connections.get_mut(&number) {
                let _ = connection.socket.write_all(&frame);
            }
        }
        Ok(())
    }

    fn channel_by_number(&mut self, number: u64, channel: u16) -> Result<&mut Channel, String> {
        let connection = self.connections.get_mut(&number).ok_or("it is gone")?;
        Ok(connection.channels.entry(channel).or_default())
    }

    /// How much was recorded in each stream.
    pub(crate) fn counts(&self) -> HashMap<&str, i64> {
        let mut counts = HashMap::new();
        for record in &self.records {
            *counts.entry(record.stream.as_str()).or_default() += 1;
        }
        counts
    }

    /// Ends everything.
    pub(crate) fn finish(&mut self) {
        for (_, connection) in self.connections.drain() {
            let _ = connection.socket.shutdown(Shutdown::Both);
        }
    }
}

impl Channel {
    /// The single numbers that this confirms. A number that was confirmed already is shown again.
    fn confirm(&mut self, tag: u64, multiple: u64) -> Vec<u64> {
        if multiple == 0 {
            self.confirmed.insert(tag);
            return vec![tag];
        }
        let new: Vec<u64> = (self.confirmed_to + 1..=tag)
            .filter(|number| !self.confirmed.contains(number))
            .collect();
        self.confirmed.extend(&new);
        self.confirmed_to = self.confirmed_to.max(tag);
        new
    }
}

/// What differs between two brokers of one product: versions, names, and no client may rely on the
/// order of mechanisms.
fn mask_server(start: &mut Received) {
    if let Some(properties) = start.table_mut("server-properties") {
        for (key, value) in properties {
            let masked: &[&[u8]] = &[
                b"version",
                b"platform",
                b"cluster_name",
                b"copyright",
                b"information",
            ];
            if let Value::Bytes(b'S', text) = value
                && masked.contains(&key.as_slice())
            {
                *text = b"...".to_vec();
            }
        }
    }
    start.sort_words("mechanisms");
}

fn start_ok(fields: &Fields) -> Result<Vec<u8>, String> {
    let mut start = Fields::default();
    let text = |name: &str, fallback: &str| {
        let bytes = fields.bytes(name).unwrap_or(fallback.as_bytes());
        bytes.to_vec()
    };
    let response = fields.bytes("response").map_or_else(
        || {
            let (user, password) = (text("user", "guest"), text("password", "guest"));
            [b"\0", user.as_slice(), b"\0", password.as_slice()].concat()
        },
        <[u8]>::to_vec,
    );
    let properties = fields
        .table("properties")
        .cloned()
        .unwrap_or_else(|| vec![(b"capabilities".to_vec(), Value::Table(capabilities()))]);
    start.set("client-properties", Field::Table(properties));
    start.set("mechanism", Field::Bytes(text("mechanism", "PLAIN")));
    start.set("response", Field::Bytes(response));
    start.set("locale", Field::Bytes(b"en_US".to_vec()));
    method_frame(0, "connection.start-ok", &start)
}

pub(crate) fn method_frame(channel: u16, name: &str, fields: &Fields) -> Result<Vec<u8>, String> {
    let method = by_name(name).ok_or_else(|| format!("unknown method {name}"))?;
    let payload = wire::method_payload(method.id, &fields.encode(method.arguments)?);
    Ok(wire::frame(wire::METHOD, channel, &payload))
}

fn shown_method(id: MethodId, reader: &mut Reader<'_>) -> String {
    let Some(method) = by_id(id) else {
        return format!("(unknown method {id:?})");
    };
    match Received::decode(method.arguments, reader) {
        Ok(mut arguments) => format!("{}{}", method.name, arguments.shown()),
        Err(reason) => format!(
            "(undecodable {}: {reason}, {})",
            method.name,
            quoted(reader.0)
        ),
    }
}

/// The next frame; none at the end of the stream.
pub(crate) fn next_frame(
    socket: &mut TcpStream,
    received: &mut Vec<u8>,
) -> Result<Option<Frame>, String> {
    let mut buffer = [0; 8192];
    loop {
        if let Some(frame) = wire::take_frame(received)? {
            return Ok(Some(frame));
        }
        match socket.read(&mut buffer) {
            Ok(0) => return Ok(None),
            Ok(count) => received.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Ok(None),
            Err(error) => return Err(error.to_string()),
        }
    }
}

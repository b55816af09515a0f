//! A raw AMQP client: sends any octets, legal or not, and tells exactly what came back.
//!
//! Reads are bounded by a deadline, and running into it fails the test; nothing here sleeps.

pub(crate) mod encode;

use std::collections::BTreeSet;
use std::io;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::time::Duration;
use std::time::Instant;

use encode::BODY;
use encode::HEADER;
use encode::HEARTBEAT;
use encode::METHOD;
use encode::MethodId;

/// Longest wait for an answer that must come; generous, for machines that build something else meanwhile.
const PATIENCE: Duration = Duration::from_secs(30);

/// A frame as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) channel: u16,
    pub(crate) payload: Vec<u8>,
}

/// What came within a time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Frame(Frame),
    /// The socket was closed; whether by an end of stream or by a reset.
    End,
    Silence,
}

/// A method of the server's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Method {
    pub(crate) channel: u16,
    pub(crate) id: MethodId,
    pub(crate) arguments: Vec<u8>,
}

/// `connection.close` or `channel.close`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Close {
    pub(crate) code: u16,
    pub(crate) text: String,
    /// Of the method to blame.
    pub(crate) id: MethodId,
}

/// A message from `basic.deliver`, `basic.get-ok` or `basic.return`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// 0 for what was returned.
    pub(crate) tag: u64,
    pub(crate) redelivered: bool,
    pub(crate) exchange: String,
    pub(crate) key: String,
    /// Flags and list.
    pub(crate) properties: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

/// Reads arguments off the front.
pub(crate) struct Arguments<'a>(pub(crate) &'a [u8]);

impl Arguments<'_> {
    fn take(&mut self, count: usize) -> &[u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    pub(crate) fn octet(&mut self) -> u8 {
        self.take(1)[0]
    }

    pub(crate) fn short(&mut self) -> u16 {
        u16::from_be_bytes(self.take(2).try_into().unwrap())
    }

    pub(crate) fn long(&mut self) -> u32 {
        u32::from_be_bytes(self.take(4).try_into().unwrap())
    }

    pub(crate) fn long_long(&mut self) -> u64 {
        u64::from_be_bytes(self.take(8).try_into().unwrap())
    }

    pub(crate) fn text(&mut self) -> String {
        let length = usize::from(self.octet());
        String::from_utf8(self.take(length).to_vec()).expect("UTF-8")
    }
}

/// How to log in.
#[derive(Debug, Clone)]
pub(crate) struct Login<'a> {
    pub(crate) user: &'a str,
    pub(crate) password: &'a str,
    /// Entries of the client properties.
    pub(crate) properties: Vec<u8>,
    pub(crate) vhost: &'a str,
    pub(crate) channel_max: u16,
    pub(crate) frame_max: u32,
    pub(crate) heartbeat: u16,
}

impl Default for Login<'_> {
    fn default() -> Self {
        Self {
            user: "guest",
            password: "guest",
            properties: Vec::new(),
            vhost: "/",
            channel_max: 2047,
            frame_max: 131_072,
            heartbeat: 0,
        }
    }
}

impl Login<'_> {
    /// The response for PLAIN.
    pub(crate) fn plain(&self) -> Vec<u8> {
        format!("\0{}\0{}", self.user, self.password).into_bytes()
    }
}

/// Client properties that announce these capabilities.
pub(crate) fn capabilities(names: &[&str]) -> Vec<u8> {
    let entries: Vec<u8> = names
        .iter()
        .flat_map(|name| encode::entry(name, &[b't', 1]))
        .collect();
    encode::entry("capabilities", &encode::sized(b'F', &entries))
}

fn is_timeout(error: &io::Error) -> bool {
    let timeouts = [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut];
    timeouts.contains(&error.kind())
}

/// See the module's documentation.
pub(crate) struct Wire {
    socket: TcpStream,
    received: Vec<u8>,
    /// How much of `received` was taken.
    taken: usize,
}

impl Wire {
    /// A TCP connection on which nothing was said yet.
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).expect("a listener");
        socket.set_nodelay(true).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        Self {
            socket,
            received: Vec::new(),
            taken: 0,
        }
    }

    /// An open connection in `/` of guest, without heartbeats.
    pub(crate) fn open(address: SocketAddr) -> Self {
        Self::log_in(address, &Login::default())
    }

    /// As [`Wire::open`], with channel 1.
    pub(crate) fn with_channel(address: SocketAddr) -> Self {
        let mut wire = Self::open(address);
        wire.open_channel(1);
        wire
    }

    /// An open connection.
    pub(crate) fn log_in(address: SocketAddr, login: &Login<'_>) -> Self {
        let mut wire = Self::connect(address);
        wire.send(&encode::PROTOCOL_HEADER);
        wire.expect(0, (10, 10));
        wire.send(&encode::start_ok(
            &login.properties,
            "PLAIN",
            &login.plain(),
        ));
        wire.expect(0, (10, 30));
        wire.send(&encode::tune_ok(
            login.channel_max,
            login.frame_max,
            login.heartbeat,
        ));
        wire.send(&encode::open(login.vhost));
        wire.expect(0, (10, 41));
        wire
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    pub(crate) fn send(&mut self, octets: &[u8]) {
        self.socket.write_all(octets).expect("an open connection");
    }

    /// For what the server may answer by closing.
    pub(crate) fn try_send(&mut self, octets: &[u8]) -> io::Result<()> {
        self.socket.write_all(octets)
    }

    /// The next frame, heartbeats included, if it comes within `patience`.
    pub(crate) fn hear(&mut self, patience: Duration) -> Heard {
        let until = Instant::now() + patience;
        loop {
            if let Some(frame) = self.take_frame() {
                return Heard::Frame(frame);
            }
            match self.read(until) {
                Ok(0) => return Heard::End,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Heard::End,
                Err(error) if is_timeout(&error) => return Heard::Silence,
                Err(error) => panic!("cannot read: {error}"),
            }
        }
    }

    fn read(&mut self, until: Instant) -> io::Result<usize> {
        let rest = until.saturating_duration_since(Instant::now());
        // Zero would mean for ever.
        let rest = rest.max(Duration::from_millis(1));
        self.socket.set_read_timeout(Some(rest))?;
        self.received.drain(..std::mem::take(&mut self.taken));
        let mut buffer = [0; 65536];
        let count = self.socket.read(&mut buffer)?;
        self.received.extend_from_slice(&buffer[..count]);
        Ok(count)
    }

    fn take_frame(&mut self) -> Option<Frame> {
        let received = &self.received[self.taken..];
        let mut head = Arguments(received.first_chunk::<7>()?);
        let (kind, channel) = (head.octet(), head.short());
        let size = head.long() as usize;
        if received.len() < size + 8 {
            return None;
        }
        assert_eq!(received[7 + size], 0xce, "a frame without its end");
        let payload = received[7..7 + size].to_vec();
        self.taken += size + 8;
        Some(Frame {
            kind,
            channel,
            payload,
        })
    }

    /// All octets until the server closes, which must happen within `patience`.
    pub(crate) fn read_to_end(&mut self, patience: Duration) -> Vec<u8> {
        let until = Instant::now() + patience;
        loop {
            match self.read(until) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => break,
                Err(error) => panic!("not closed within {patience:?}: {error}"),
            }
        }
        self.received.split_off(std::mem::take(&mut self.taken))
    }

    /// The next frame that is no heartbeat; none when the server closed the socket.
    pub(crate) fn next_frame(&mut self) -> Option<Frame> {
        loop {
            match self.hear(PATIENCE) {
                Heard::Frame(frame) if frame.kind == HEARTBEAT => {}
                Heard::Frame(frame) => return Some(frame),
                Heard::End => return None,
                Heard::Silence => panic!("nothing came within {PATIENCE:?}"),
            }
        }
    }

    /// The next method.
    pub(crate) fn next_method(&mut self) -> Method {
        let frame = self.next_frame().expect("an open connection");
        assert_eq!(frame.kind, METHOD, "a method expected, got {frame:?}");
        let mut arguments = Arguments(&frame.payload);
        let id = (arguments.short(), arguments.short());
        Method {
            channel: frame.channel,
            id,
            arguments: arguments.0.to_vec(),
        }
    }

    /// The next method, which must be this one; its arguments.
    pub(crate) fn expect(&mut self, channel: u16, id: MethodId) -> Vec<u8> {
        let method = self.next_method();
        assert!(
            (method.channel, method.id) == (channel, id),
            "{id:?} expected on channel {channel}, got {:?} on channel {}: {}",
            method.id,
            method.channel,
            String::from_utf8_lossy(&method.arguments)
        );
        method.arguments
    }

    /// The server closes channel `channel`, or the connection if that is 0.
    pub(crate) fn expect_close(&mut self, channel: u16) -> Close {
        let id = if channel == 0 { (10, 50) } else { (20, 40) };
        let arguments = self.expect(channel, id);
        let mut arguments = Arguments(&arguments);
        Close {
            code: arguments.short(),
            text: arguments.text(),
            id: (arguments.short(), arguments.short()),
        }
    }

    /// The server closes the socket within `patience` and says nothing before but heartbeats.
    pub(crate) fn expect_end(&mut self, patience: Duration) {
        let until = Instant::now() + patience;
        loop {
            match self.hear(until.saturating_duration_since(Instant::now())) {
                Heard::Frame(frame) if frame.kind == HEARTBEAT => {}
                Heard::Frame(frame) => panic!("more was said: {frame:?}"),
                Heard::End => return,
                Heard::Silence => panic!("not closed within {patience:?}"),
            }
        }
    }

    pub(crate) fn open_channel(&mut self, channel: u16) {
        self.send(&encode::channel_open(channel));
        self.expect(channel, (20, 11));
    }

    /// Sends a method and waits for its answer, whose number is `answer` in the same class; gives its arguments.
    pub(crate) fn call(&mut self, request: &[u8], answer: MethodId) -> Vec<u8> {
        let channel = u16::from_be_bytes([request[1], request[2]]);
        self.send(request);
        self.expect(channel, answer)
    }

    /// Declares a queue on channel 1; how many messages and consumers it has.
    pub(crate) fn declare_queue(&mut self, name: &str, flags: u8) -> (u32, u32) {
        let ok = self.call(&encode::queue_declare(1, name, flags, &[]), (50, 11));
        let mut ok = Arguments(&ok);
        ok.text();
        (ok.long(), ok.long())
    }

    /// Content after its method.
    pub(crate) fn content(&mut self, channel: u16) -> (Vec<u8>, Vec<u8>) {
        let header = self.next_frame().expect("a content header");
        assert_eq!((header.kind, header.channel), (HEADER, channel));
        let mut fields = Arguments(&header.payload);
        assert_eq!((fields.short(), fields.short()), (60, 0));
        let size = fields.long_long() as usize;
        let properties = fields.0.to_vec();
        let mut body = Vec::new();
        while body.len() < size {
            let part = self.next_frame().expect("a body");
            assert_eq!((part.kind, part.channel), (BODY, channel));
            body.extend_from_slice(&part.payload);
        }
        assert_eq!(body.len(), size);
        (properties, body)
    }

    /// The next method is `basic.deliver`.
    pub(crate) fn delivery(&mut self, channel: u16) -> Message {
        let arguments = self.expect(channel, (60, 60));
        self.delivered(channel, &arguments)
    }

    /// The next method is `basic.deliver`, if something comes within `patience`.
    pub(crate) fn delivery_within(&mut self, channel: u16, patience: Duration) -> Option<Message> {
        let Heard::Frame(frame) = self.hear(patience) else {
            return None;
        };
        assert_eq!((frame.kind, frame.channel), (METHOD, channel));
        assert_eq!(frame.payload[..4], [0, 60, 0, 60]);
        Some(self.delivered(channel, &frame.payload[4..]))
    }

    fn delivered(&mut self, channel: u16, arguments: &[u8]) -> Message {
        let mut arguments = Arguments(arguments);
        arguments.text();
        let (tag, redelivered) = (arguments.long_long(), arguments.octet() != 0);
        let (exchange, key) = (arguments.text(), arguments.text());
        let (properties, body) = self.content(channel);
        Message {
            tag,
            redelivered,
            exchange,
            key,
            properties,
            body,
        }
    }

    /// `basic.get`; nothing when the queue is empty.
    pub(crate) fn get(&mut self, channel: u16, queue: &str, no_ack: bool) -> Option<Message> {
        self.send(&encode::get(channel, queue, no_ack));
        let answer = self.next_method();
        if answer.id == (60, 72) {
            return None;
        }
        assert_eq!(
            answer.id,
            (60, 71),
            "{}",
            String::from_utf8_lossy(&answer.arguments)
        );
        let mut arguments = Arguments(&answer.arguments);
        let (tag, redelivered) = (arguments.long_long(), arguments.octet() != 0);
        let (exchange, key) = (arguments.text(), arguments.text());
        let (properties, body) = self.content(channel);
        Some(Message {
            tag,
            redelivered,
            exchange,
            key,
            properties,
            body,
        })
    }

    /// Everything in the queue, taken out.
    pub(crate) fn drain_queue(&mut self, channel: u16, queue: &str) -> Vec<Message> {
        std::iter::from_fn(|| self.get(channel, queue, true)).collect()
    }

    /// Waits until all of `outstanding` are confirmed.
    pub(crate) fn await_confirms(&mut self, channel: u16, outstanding: &mut BTreeSet<u64>) {
        while !outstanding.is_empty() {
            let arguments = self.expect(channel, (60, 80));
            let mut arguments = Arguments(&arguments);
            let (tag, multiple) = (arguments.long_long(), arguments.octet() != 0);
            if multiple {
                *outstanding = outstanding.split_off(&(tag + 1));
            } else {
                outstanding.remove(&tag);
            }
        }
    }

    /// Closes the connection in order.
    pub(crate) fn close(mut self) {
        self.send(&encode::close());
        self.expect(0, (10, 51));
        let _ = self.socket.shutdown(std::net::Shutdown::Write);
        self.expect_end(PATIENCE);
    }
}

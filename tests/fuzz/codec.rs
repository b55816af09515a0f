//! What the fuzz targets do with their input: plain functions that panic when something is wrong.
//!
//! Shared by the fuzz package and by the test that replays the corpus, so it uses nothing but Leveret's public
//! interface.

use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::basic::AMQPProperties;
use leveret::model::ChannelId;
use leveret::protocol::content::parse_content_header;
use leveret::protocol::encode;
use leveret::protocol::envelope::Cut;
use leveret::protocol::envelope::FRAME_HEADER;
use leveret::protocol::envelope::FRAME_METHOD;
use leveret::protocol::envelope::FrameError;
use leveret::protocol::envelope::cut;
use leveret::protocol::method::Method;
use leveret::protocol::method::method_id;
use leveret::protocol::method::parse_method;
use leveret::protocol::properties;
use leveret::protocol::properties::Fields;
use leveret::protocol::table;

/// A stream of frames: two octets `frame_max`, one octet how much arrives at a time (0 is all at once), then the
/// stream. However it arrives, the same frames come out and the same error ends it.
pub(super) fn envelope(input: &[u8]) {
    let Some(([high, low, piece], stream)) = input.split_first_chunk() else {
        return;
    };
    let frame_max = u32::from(u16::from_be_bytes([*high, *low]));
    let piece = match usize::from(*piece) {
        0 => stream.len().max(1),
        piece => piece,
    };
    let whole = receive(std::iter::once(stream), frame_max);
    let pieces = receive(stream.chunks(piece), frame_max);
    assert_eq!(whole, pieces, "frames depend on how the stream was cut");
    for (kind, payload) in &whole.0 {
        match *kind {
            FRAME_METHOD => methods(payload),
            FRAME_HEADER => content_header(payload),
            _ => {}
        }
    }
}

type Received = (Vec<(u8, Vec<u8>)>, Option<FrameError>);

fn receive<'a>(reads: impl Iterator<Item = &'a [u8]>, frame_max: u32) -> Received {
    let mut frames = Vec::new();
    let mut buffer = Vec::new();
    for read in reads {
        buffer.extend_from_slice(read);
        let mut at = 0;
        loop {
            match cut(&buffer[at..], frame_max) {
                Ok(Cut::Frame { frame, consumed }) => {
                    assert_eq!(consumed, frame.payload.len() + 8);
                    assert!(frame_max == 0 || frame.payload.len() <= frame_max as usize);
                    assert!(!frame.snippet().is_empty());
                    frames.push((frame.kind, frame.payload.to_vec()));
                    at += consumed;
                }
                Ok(Cut::Incomplete { needed }) => {
                    assert!(needed > buffer.len() - at, "nothing is missing");
                    break;
                }
                Err(error) => {
                    assert!(error.to_string().len() < 255, "text does not fit a reply");
                    return (frames, Some(error));
                }
            }
        }
        buffer.drain(..at);
    }
    (frames, None)
}

/// The payload of a method frame. What is taken can be encoded, and is the same when it comes back.
pub(super) fn methods(payload: &[u8]) {
    match parse_method(payload) {
        Ok(Method::Publish(publish)) => {
            let route = publish.route;
            assert_eq!(
                route.len(),
                publish.exchange().len() + publish.routing_key().len() + 2
            );
        }
        Ok(
            Method::Ack { .. } | Method::Nack { .. } | Method::Reject { .. } | Method::Qos { .. },
        ) => {
            assert!(method_id(payload).is_some());
        }
        Ok(Method::Other(method)) => {
            let again = method_payload(&method);
            assert_eq!(
                parse_method(&again),
                Ok(Method::Other(method)),
                "not the same when it comes back"
            );
        }
        Err(error) => {
            assert!(error.to_string().len() < 1000, "text has no bound");
            assert!(error.reply_code().closes_connection());
        }
    }
}

fn method_payload(method: &AMQPClass) -> Vec<u8> {
    let mut out = Vec::new();
    encode::method(&mut out, ChannelId(1), method);
    match cut(&out, 0) {
        Ok(Cut::Frame { frame, consumed }) => {
            assert_eq!(consumed, out.len());
            frame.payload.to_vec()
        }
        other => panic!("encoded to something else than a frame: {other:?}"),
    }
}

fn content_header(payload: &[u8]) {
    match parse_content_header(payload) {
        Ok(header) => property_list(header.properties),
        Err(error) => assert!(error.reply_code().closes_connection()),
    }
}

/// A field table with its length; and the same octets as property flags and list.
pub(super) fn tables(input: &[u8]) {
    property_list(input);
    let Ok(octets) = table::check(input) else {
        assert!(table::decode(input).is_err(), "decoded what was refused");
        return;
    };
    assert!((4..=input.len()).contains(&octets));
    let decoded = table::decode(input).expect("what was checked is decoded");
    let sent = properties::encode(&AMQPProperties::default().with_headers(decoded.clone()));
    assert_eq!(properties::headers(&sent), Some(decoded));
}

/// Property flags and list: either refused, or all look-ups agree with the decoder.
fn property_list(input: &[u8]) {
    let fields = Fields(input);
    let rewritten = properties::with_reply_to(input, "queue");
    let Ok(traits) = properties::scan(input) else {
        assert!(
            properties::decode(input).is_err(),
            "decoded what was refused"
        );
        return;
    };
    let decoded = properties::decode(input).expect("what was scanned is decoded");
    assert_eq!(traits.has_headers(), decoded.headers().is_some());
    assert_eq!(traits.persistent(), *decoded.delivery_mode() == Some(2));
    assert_eq!(traits.priority, decoded.priority().unwrap_or(0));
    assert_eq!(fields.timestamp(), *decoded.timestamp());
    assert_eq!(fields.reply_to().is_some(), traits.has_reply_to());
    assert_eq!(Fields(&rewritten).reply_to().as_deref(), Some("queue"));
    assert_eq!(
        properties::decode(&rewritten),
        Ok(decoded.with_reply_to("queue".into()))
    );
}

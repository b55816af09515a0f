//! Frames come out the same however the stream was cut; errors read as RabbitMQ's.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::model::ChannelId;
use crate::protocol::encode;
use crate::protocol::envelope::Cut;
use crate::protocol::envelope::FRAME_BODY;
use crate::protocol::envelope::FRAME_END;
use crate::protocol::envelope::FRAME_HEADER;
use crate::protocol::envelope::FRAME_HEARTBEAT;
use crate::protocol::envelope::FRAME_METHOD;
use crate::protocol::envelope::FrameError;
use crate::protocol::envelope::cut;
use crate::protocol::tests::strategies::method;

type Owned = (u8, u16, Vec<u8>);

/// Frames of a stream that arrives in `reads`, and what ended it.
fn receive<'a>(
    reads: impl Iterator<Item = &'a [u8]>,
    frame_max: u32,
) -> (Vec<Owned>, Result<usize, FrameError>) {
    let mut frames = Vec::new();
    let mut buffer = Vec::new();
    for read in reads {
        buffer.extend_from_slice(read);
        loop {
            match cut(&buffer, frame_max) {
                Ok(Cut::Frame { frame, consumed }) => {
                    frames.push((frame.kind, frame.channel.0, frame.payload.to_vec()));
                    buffer.drain(..consumed);
                }
                Ok(Cut::Incomplete { needed }) => {
                    assert!(needed > buffer.len(), "nothing is missing");
                    break;
                }
                Err(error) => return (frames, Err(error)),
            }
        }
    }
    (frames, Ok(buffer.len()))
}

fn pieces<'a>(stream: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
    at.extend([0, stream.len()]);
    at.sort_unstable();
    at.windows(2)
        .map(|pair| &stream[pair[0]..pair[1]])
        .collect()
}

fn frame() -> impl Strategy<Value = Owned> {
    let kind_and_payload = prop_oneof![
        (Just(FRAME_METHOD), vec(any::<u8>(), 4..60)),
        (Just(FRAME_HEADER), vec(any::<u8>(), 12..60)),
        (Just(FRAME_BODY), vec(any::<u8>(), 0..300)),
        (Just(FRAME_HEARTBEAT), Just(Vec::new())),
    ];
    (kind_and_payload, any::<u16>()).prop_map(|((kind, payload), channel)| (kind, channel, payload))
}

fn wire((kind, channel, payload): &Owned) -> Vec<u8> {
    let mut wire = vec![*kind];
    wire.extend_from_slice(&channel.to_be_bytes());
    wire.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    wire.extend_from_slice(payload);
    wire.push(FRAME_END);
    wire
}

/// A stream that is mostly frames, with octets changed or cut off here and there.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let damage = vec((any::<Index>(), any::<u8>()), 0..3);
    (vec(frame(), 1..6), damage, any::<Index>()).prop_map(|(frames, damage, end)| {
        let mut stream: Vec<u8> = frames.iter().flat_map(wire).collect();
        for (at, octet) in damage {
            let at = at.index(stream.len());
            stream[at] = octet;
        }
        stream.truncate(end.index(stream.len() * 4).max(1));
        stream
    })
}

proptest! {
    #[test]
    fn however_the_stream_is_cut_the_same_frames_come_out(
        frames in vec(frame(), 0..8),
        cuts in vec(any::<Index>(), 0..20),
    ) {
        let stream: Vec<u8> = frames.iter().flat_map(wire).collect();
        let (received, end) = receive(pieces(&stream, &cuts).into_iter(), 4096);
        prop_assert_eq!(&received, &frames);
        prop_assert_eq!(end, Ok(0));
        let (received, end) = receive(stream.chunks(1), 4096);
        prop_assert_eq!(&received, &frames);
        prop_assert_eq!(end, Ok(0));
    }

    #[test]
    fn however_a_damaged_stream_is_cut_it_ends_the_same(
        stream in damaged(),
        cuts in vec(any::<Index>(), 0..20),
        frame_max in prop_oneof![Just(0u32), 8..300u32],
    ) {
        let whole = receive(std::iter::once(&stream[..]), frame_max);
        prop_assert_eq!(&receive(pieces(&stream, &cuts).into_iter(), frame_max), &whole);
        prop_assert_eq!(&receive(stream.chunks(1), frame_max), &whole);
    }

    #[test]
    fn what_is_encoded_is_one_frame(method in method(), channel: u16) {
        let mut out = vec![1, 2, 3];
        encode::method(&mut out, ChannelId(channel), &method);
        prop_assert_eq!(&out[..3], &[1, 2, 3]);
        let Ok(Cut::Frame { frame, consumed }) = cut(&out[3..], 0) else {
            panic!("no frame");
        };
        prop_assert_eq!((frame.kind, frame.channel, consumed), (FRAME_METHOD, ChannelId(channel), out.len() - 3));
    }
}

fn error(frame: &[u8], frame_max: u32) -> String {
    cut(frame, frame_max)
        .expect_err("a broken frame")
        .to_string()
}

fn unknown(kind: u8, payload: &[u8]) -> String {
    error(&wire(&(kind, 1, payload.to_vec())), 131_072)
}

/// Recorded from RabbitMQ 3.10.
#[test]
fn unknown_frames_are_described_as_rabbitmq_does() {
    assert_eq!(unknown(4, b""), "type 4, all octets = <<>>: unknown_frame");
    assert_eq!(
        unknown(9, b"0123456789abcdef"),
        r#"type 9, all octets = <<"0123456789abcdef">>: unknown_frame"#
    );
    assert_eq!(
        unknown(9, b"0123456789abcdefg"),
        r#"type 9, first 16 octets = <<"0123456789abcdef">>: unknown_frame"#
    );
    assert_eq!(
        unknown(FRAME_METHOD, &[0, 1, 2]),
        "type 1, all octets = <<0,1,2>>: unknown_frame"
    );
    assert_eq!(
        unknown(FRAME_HEADER, &[0; 11]),
        "type 2, all octets = <<0,0,0,0,0,0,0,0,0,0,0>>: unknown_frame"
    );
    assert_eq!(
        unknown(FRAME_HEARTBEAT, &[0]),
        "type 8, all octets = <<0>>: unknown_frame"
    );
}

/// Recorded from RabbitMQ 3.10.
#[test]
fn a_wrong_end_octet_is_described_as_rabbitmq_does() {
    let with_end = |kind, payload: &[u8], end| {
        let mut frame = wire(&(kind, 1, payload.to_vec()));
        *frame.last_mut().expect("an end") = end;
        error(&frame, 131_072)
    };
    assert_eq!(
        with_end(FRAME_BODY, b"hello", 0x41),
        r#"type 3, all octets = <<"hello">>: {invalid_frame_end_marker,65}"#
    );
    assert_eq!(
        with_end(9, b"hello", 0x41),
        r#"type 9, all octets = <<"hello">>: {invalid_frame_end_marker,65}"#
    );
    assert_eq!(
        with_end(FRAME_BODY, &[1; 20], 0),
        "type 3, first 16 octets = <<1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1>>: {invalid_frame_end_marker,\n                                                                0}"
    );
}

/// Recorded from RabbitMQ 3.10.
#[test]
fn a_frame_is_too_large_8_octets_late_and_before_its_payload_comes() {
    let head = |size: u32| [&[FRAME_BODY, 0, 1][..], &size.to_be_bytes()].concat();
    assert_eq!(
        error(&head(131_073), 131_072),
        "type 3, all octets = <<>>: {frame_too_large,131073,131064}"
    );
    assert_eq!(
        cut(&head(131_072), 131_072),
        Ok(Cut::Incomplete { needed: 131_080 })
    );
    assert_eq!(
        error(&head(4097), 4096),
        "type 3, all octets = <<>>: {frame_too_large,4097,4088}"
    );
}

#[test]
fn without_a_limit_no_frame_exceeds_the_largest_message() {
    let head = |size: u32| [&[FRAME_BODY, 0, 1][..], &size.to_be_bytes()].concat();
    let largest = 512 * 1024 * 1024;
    assert!(matches!(cut(&head(largest), 0), Ok(Cut::Incomplete { .. })));
    assert!(matches!(
        cut(&head(largest + 1), 0),
        Err(FrameError::TooLarge { .. })
    ));
}

#[test]
fn an_unknown_type_is_refused_as_soon_as_its_text_is_known() {
    let frame = wire(&(0x41, 0, vec![b'x'; 1000]));
    assert_eq!(
        cut(&frame[..7 + 16], 0),
        Ok(Cut::Incomplete { needed: 1008 })
    );
    assert!(matches!(
        cut(&frame[..7 + 17], 0),
        Err(FrameError::Unknown(_))
    ));
}

#[test]
fn a_misplaced_frame_is_described_as_rabbitmq_does() {
    let stream = wire(&(FRAME_BODY, 0, b"hello".to_vec()));
    let Ok(Cut::Frame { frame, .. }) = cut(&stream, 0) else {
        panic!("no frame");
    };
    assert_eq!(frame.snippet(), r#"type 3, all octets = <<"hello">>"#);
}

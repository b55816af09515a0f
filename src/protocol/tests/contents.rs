//! Content: headers, properties, and whole messages on their way out.

use amq_protocol::protocol::basic::AMQPProperties;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::model::ChannelId;
use crate::model::DeliveryTag;
use crate::model::ExchangeName;
use crate::model::ReplyCode;
use crate::model::Run;
use crate::model::RunBuilder;
use crate::model::message::Traits;
use crate::model::message::route;
use crate::protocol::content::ContentError;
use crate::protocol::content::parse_content_header;
use crate::protocol::encode;
use crate::protocol::envelope::Cut;
use crate::protocol::envelope::FRAME_BODY;
use crate::protocol::envelope::FRAME_HEADER;
use crate::protocol::envelope::cut;
use crate::protocol::properties;
use crate::protocol::properties::Fields;
use crate::protocol::table::TableError;
use crate::protocol::tests::strategies;

fn header(class: u16, weight: u16, body_size: u64, properties: &[u8]) -> Vec<u8> {
    [
        &class.to_be_bytes()[..],
        &weight.to_be_bytes(),
        &body_size.to_be_bytes(),
        properties,
    ]
    .concat()
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(sent in strategies::properties()) {
        let wire = properties::encode(&sent);
        prop_assert_eq!(properties::decode(&wire), Ok(sent));
    }

    #[test]
    fn fields_and_traits_tell_what_was_sent(sent in strategies::properties()) {
        let wire = properties::encode(&sent);
        let fields = Fields(&wire);
        macro_rules! check_texts {
            ($($field:ident => $their:ident),*) => {
                $(let field = fields.$field();
                prop_assert_eq!(field.as_deref(), sent.$their().as_ref().map(|text| text.as_str()));)*
            };
        }
        check_texts!(
            content_type => content_type, content_encoding => content_encoding, correlation_id => correlation_id,
            reply_to => reply_to, expiration => expiration, message_id => message_id, kind => kind,
            user_id => user_id, app_id => app_id, cluster_id => cluster_id
        );
        prop_assert_eq!(fields.delivery_mode(), *sent.delivery_mode());
        prop_assert_eq!(fields.priority(), *sent.priority());
        prop_assert_eq!(fields.timestamp(), *sent.timestamp());
        prop_assert_eq!(&properties::headers(&wire), sent.headers());
        let traits = Traits::new(
            *sent.delivery_mode() == Some(2),
            sent.headers().is_some(),
            sent.expiration().is_some(),
            sent.user_id().is_some(),
            sent.reply_to().is_some(),
            sent.priority().unwrap_or(0),
        );
        prop_assert_eq!(properties::scan(&wire), Ok(traits));
    }

    #[test]
    fn rewriting_reply_to_changes_nothing_else(
        sent in strategies::properties(),
        reply_to in strategies::short_string(),
    ) {
        let rewritten = properties::with_reply_to(&properties::encode(&sent), reply_to.as_str());
        prop_assert_eq!(rewritten, properties::encode(&sent.with_reply_to(reply_to)));
    }

    #[test]
    fn damaged_properties_are_refused_or_consistent(
        sent in strategies::properties(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        end: prop::sample::Index,
    ) {
        let mut wire = properties::encode(&sent);
        for (at, octet) in damage {
            let at = at.index(wire.len());
            wire[at] = octet;
        }
        wire.truncate(end.index(wire.len() * 3));
        let Ok(traits) = properties::scan(&wire) else {
            // Nobody should look, but looking is harmless.
            let _ = (Fields(&wire).expiration(), properties::headers(&wire));
            let _ = properties::with_reply_to(&wire, "q");
            return Ok(());
        };
        let decoded = properties::decode(&wire).expect("what was scanned is decoded");
        prop_assert_eq!(traits.has_expiration(), decoded.expiration().is_some());
        let rewritten = properties::with_reply_to(&wire, "q");
        let rewritten = properties::scan(&rewritten).expect("what was rewritten is whole");
        prop_assert!(rewritten.has_reply_to());
        prop_assert_eq!(rewritten.priority, traits.priority);
    }

    #[test]
    fn messages_go_out_whole(
        exchange in "[a-z]{0,20}",
        key in "[a-z.]{0,20}",
        sent in strategies::properties(),
        body in vec(any::<u8>(), 0..300),
        frame_max in prop_oneof![Just(0u32), 0..400u32],
    ) {
        let run = run(&exchange, &key, &properties::encode(&sent), &body);
        let mut out = Vec::new();
        encode::deliver(&mut out, ChannelId(7), "tag", DeliveryTag(9), true, run.first(), run.first().header(), frame_max);
        let (method, header, received) = content(&out, frame_max);
        prop_assert_eq!(&method[..4], &[0, 60, 0, 60]);
        prop_assert_eq!(&method[4..8], b"\x03tag");
        prop_assert_eq!(&method[8..17], &[0, 0, 0, 0, 0, 0, 0, 9, 1]);
        prop_assert_eq!(&method[17..], run.first().route());
        let header = parse_content_header(&header).expect("a content header");
        prop_assert_eq!((header.class, header.body_size), (60, body.len() as u64));
        prop_assert_eq!(properties::decode(header.properties), Ok(sent));
        prop_assert_eq!(received, body);
    }
}

fn run(exchange: &str, key: &str, properties: &[u8], body: &[u8]) -> Run {
    let mut builder = RunBuilder::default();
    let route = route(&ExchangeName::known(exchange), key);
    builder.push(&route, properties, body, Traits::default());
    builder.finish()
}

/// Payloads of method and header frame and the body, from frames of channel 7 that keep `frame_max`.
fn content(mut out: &[u8], frame_max: u32) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let (mut method, mut header, mut body) = (Vec::new(), None, Vec::new());
    while !out.is_empty() {
        let Ok(Cut::Frame { frame, consumed }) = cut(out, 0) else {
            panic!("no frame");
        };
        assert_eq!(frame.channel, ChannelId(7));
        if frame.kind == FRAME_BODY {
            assert!(header.is_some(), "body before header");
            assert!(!frame.payload.is_empty(), "a body frame without a body");
            assert!(frame_max < 9 || consumed <= frame_max as usize);
            body.extend_from_slice(frame.payload);
        } else if frame.kind == FRAME_HEADER {
            assert_eq!(header, None);
            header = Some(frame.payload.to_vec());
        } else {
            method = frame.payload.to_vec();
        }
        out = &out[consumed..];
    }
    (method, header.expect("a content header"), body)
}

#[test]
fn an_empty_body_has_no_frame() {
    let run = run("x", "k", &[0, 0], b"");
    let mut out = Vec::new();
    let text = "NO_ROUTE";
    encode::basic_return(
        &mut out,
        ChannelId(7),
        ReplyCode::NoRoute,
        text,
        run.first(),
        0,
    );
    let (method, _, body) = content(&out, 0);
    assert_eq!(method, b"\0\x3c\0\x32\x01\x38\x08NO_ROUTE\x01x\x01k");
    assert!(body.is_empty());
}

#[test]
fn get_ok_tells_what_is_left() {
    let run = run("", "q", &[0, 0], b"hi");
    let mut out = Vec::new();
    encode::get_ok(
        &mut out,
        ChannelId(7),
        DeliveryTag(1),
        false,
        42,
        run.first(),
        0,
    );
    let (method, _, _) = content(&out, 0);
    assert_eq!(method, b"\0\x3c\0\x47\0\0\0\0\0\0\0\x01\0\0\x01q\0\0\0\x2a");
}

#[test]
fn confirms_are_as_amq_protocol_makes_them() {
    use amq_protocol::protocol::AMQPClass;
    use amq_protocol::protocol::basic;
    let method = |method| {
        let mut out = Vec::new();
        encode::method(&mut out, ChannelId(3), &AMQPClass::Basic(method));
        out
    };
    for (multiple, requeue) in [(false, false), (false, true), (true, false), (true, true)] {
        let delivery_tag = 0x0102_0304_0506_0708;
        let mut out = Vec::new();
        encode::ack(&mut out, ChannelId(3), DeliveryTag(delivery_tag), multiple);
        let ack = basic::Ack {
            delivery_tag,
            multiple,
        };
        assert_eq!(out, method(basic::AMQPMethod::Ack(ack)));
        out.clear();
        encode::nack(
            &mut out,
            ChannelId(3),
            DeliveryTag(delivery_tag),
            multiple,
            requeue,
        );
        let nack = basic::Nack {
            delivery_tag,
            multiple,
            requeue,
        };
        assert_eq!(out, method(basic::AMQPMethod::Nack(nack)));
    }
}

#[test]
fn a_heartbeat_is_8_octets() {
    let mut out = Vec::new();
    encode::heartbeat(&mut out);
    assert_eq!(out, [8, 0, 0, 0, 0, 0, 0, 0xce]);
}

#[test]
fn content_headers_are_told_apart() {
    let whole = header(60, 0, 5, &[0, 0]);
    let parsed = parse_content_header(&whole).expect("a content header");
    assert_eq!((parsed.class, parsed.body_size), (60, 5));
    assert_eq!(parsed.properties, [0, 0]);
    assert_eq!(
        parse_content_header(&whole[..11]),
        Err(ContentError::Truncated)
    );
    let heavy = parse_content_header(&header(60, 1, 5, &[0, 0])).expect_err("a weight");
    assert_eq!(heavy.reply_code(), ReplyCode::UnexpectedFrame);
    assert_eq!(
        heavy.to_string(),
        "expected content header for class 60, got non content header frame instead"
    );
}

/// Taken and refused as by RabbitMQ 3.10.
#[test]
fn properties_are_as_loose_as_rabbitmqs() {
    let refused = Err(ContentError::Properties);
    assert_eq!(properties::scan(&[]), refused);
    assert_eq!(properties::scan(&[0]), refused);
    assert_eq!(properties::scan(&[0, 0, 0]), refused, "octets left over");
    assert_eq!(properties::scan(b"\x80\0\x05ab"), refused, "cut short");
    assert_eq!(
        properties::scan(&[0, 1, 0, 0]),
        refused,
        "no second flags word"
    );
    assert_eq!(
        properties::scan(b"\x20\0\0\0\0\x01\x01"),
        Err(ContentError::Headers(TableError::Truncated))
    );
    for taken in [
        &[0, 0][..],
        &[0, 1],
        &[0, 2],
        b"\x80\0\x01\xff",
        b"\x20\0\0\0\0\x04\x01\xfft\0",
    ] {
        assert_eq!(
            properties::scan(taken).map(|traits| traits.persistent()),
            Ok(false),
            "{taken:?}"
        );
    }
}

#[test]
fn decoded_texts_fit_even_when_replaced() {
    let wire = [&[0x80, 0, 255][..], &[0xff; 255]].concat();
    let decoded = properties::decode(&wire).expect("properties");
    let expected = AMQPProperties::default().with_content_type("\u{fffd}".repeat(85).into());
    assert_eq!(decoded, expected);
}

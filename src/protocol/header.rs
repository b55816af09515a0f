//! The first 8 octets of a connection (specification §1.2).
//!
//! Judges them; waiting for them and sending the answer is for others.

/// The protocol header of AMQP 0-9-1, from the client, and from us to whoever speaks something else.
pub const AMQP_0_9_1: [u8; 8] = *b"AMQP\x00\x00\x09\x01";

/// The header of 0-9, which 0-9-1 grew out of; RabbitMQ treats it as 0-9-1.
const AMQP_0_9: [u8; 8] = *b"AMQP\x01\x01\x00\x09";

/// What to do with a peer after its first 8 octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderVerdict {
    /// Go on with `connection.start`.
    Accept,
    /// Send `answer`, then close.
    Refuse {
        /// The header of the protocol that we do speak.
        answer: [u8; 8],
        /// What the peer seems to speak, for the log.
        what: &'static str,
    },
}

/// Judges the first 8 octets.
///
/// AMQP 1.0 is not implemented, so its headers are answered with ours, as RabbitMQ 3.13 does without its plugin.
pub fn judge_header(header: &[u8; 8]) -> HeaderVerdict {
    if *header == AMQP_0_9_1 || *header == AMQP_0_9 {
        return HeaderVerdict::Accept;
    }
    let what = match header {
        [b'A', b'M', b'Q', b'P', 3, 1, 0, 0] => "AMQP 1.0 with SASL",
        [b'A', b'M', b'Q', b'P', 2, 1, 0, 0] => "AMQP 1.0 with TLS",
        [b'A', b'M', b'Q', b'P', _, 1, 0, 0] => "AMQP 1.0",
        [b'A', b'M', b'Q', b'P', 1, 1, 8, 0] | [b'A', b'M', b'Q', b'P', 1, 1, 9, 1] => "AMQP 0-8",
        [b'A', b'M', b'Q', b'P', ..] => "unknown AMQP version",
        [b'G', b'E', b'T', b' ', ..]
        | [b'P', b'U', b'T', b' ', ..]
        | [b'P', b'O', b'S', b'T', b' ', ..]
        | [b'H', b'E', b'A', b'D', b' ', ..]
        | [b'O', b'P', b'T', b'I', b'O', b'N', b'S', b' ']
        | [b'D', b'E', b'L', b'E', b'T', b'E', b' ', ..] => "HTTP request",
        // A TLS record: handshake, version 3.x, length, ClientHello.
        [0x16, 3, _, _, _, 1, ..] => "TLS ClientHello on a plain port",
        _ => "not AMQP",
    };
    HeaderVerdict::Refuse {
        answer: AMQP_0_9_1,
        what,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(header: &[u8; 8]) -> &'static str {
        match judge_header(header) {
            HeaderVerdict::Accept => "accepted",
            HeaderVerdict::Refuse { answer, what } => {
                assert_eq!(answer, AMQP_0_9_1);
                what
            }
        }
    }

    #[test]
    fn every_header_of_the_specification_gets_its_verdict() {
        assert_eq!(what(b"AMQP\x00\x00\x09\x01"), "accepted");
        assert_eq!(what(b"AMQP\x01\x01\x00\x09"), "accepted");
        assert_eq!(what(b"AMQP\x03\x01\x00\x00"), "AMQP 1.0 with SASL");
        assert_eq!(what(b"AMQP\x00\x01\x00\x00"), "AMQP 1.0");
        assert_eq!(what(b"AMQP\x00\x00\x09\x02"), "unknown AMQP version");
        assert_eq!(what(b"AMQP\x01\x01\x08\x00"), "AMQP 0-8");
        assert_eq!(what(b"AMQPabcd"), "unknown AMQP version");
        assert_eq!(what(b"GET / HT"), "HTTP request");
        assert_eq!(
            what(b"\x16\x03\x01\x02\x00\x01\x00\x01"),
            "TLS ClientHello on a plain port"
        );
        assert_eq!(what(b"XXXXXXXX"), "not AMQP");
    }
}

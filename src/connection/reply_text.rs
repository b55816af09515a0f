//! Reply texts as clients read them (specification §4).

use amq_protocol::protocol::AMQPClass;
use amq_protocol::protocol::channel;
use amq_protocol::protocol::connection;
use amq_protocol::types::ShortString;

use crate::model::AmqpError;
use crate::model::ReplyCode;
use crate::protocol::method::MethodId;

/// Octets of a short string.
const TEXT_BYTES_MAX: usize = 255;
/// Closes a text that was cut.
const CUT: &str = "...";

/// No method is to blame: an error of frames, or of the server's own accord.
pub(super) const NO_METHOD: MethodId = MethodId {
    class: 0,
    method: 0,
};

/// `NAME - explanation`, cut to a short string.
pub(super) fn reply_text(code: ReplyCode, explanation: &str) -> ShortString {
    let mut text = format!("{} - {explanation}", code.name());
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX - CUT.len()));
        text.push_str(CUT);
    }
    ShortString::from(text)
}

/// `channel.close`.
pub(super) fn channel_close(error: &AmqpError, method: MethodId) -> AMQPClass {
    AMQPClass::Channel(channel::AMQPMethod::Close(channel::Close {
        reply_code: error.code().code(),
        reply_text: reply_text(error.code(), error.text()),
        class_id: method.class,
        method_id: method.method,
    }))
}

/// `connection.close`.
pub(super) fn connection_close(error: &AmqpError, method: MethodId) -> AMQPClass {
    AMQPClass::Connection(connection::AMQPMethod::Close(connection::Close {
        reply_code: error.code().code(),
        reply_text: reply_text(error.code(), error.text()),
        class_id: method.class,
        method_id: method.method,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_explanation_follows_its_name() {
        let text = reply_text(ReplyCode::NotFound, "no queue 'q' in vhost '/'");
        assert_eq!(text.as_str(), "NOT_FOUND - no queue 'q' in vhost '/'");
    }

    #[test]
    fn a_long_explanation_is_cut_at_a_character() {
        let text = reply_text(ReplyCode::NotFound, &"q".repeat(300));
        assert_eq!(text.as_str().len(), 255);
        assert!(text.as_str().ends_with("q..."));
        // 12 octets of name leave an even number, so that the cut falls inside a character.
        let text = reply_text(ReplyCode::NotFound, &format!("q{}", "é".repeat(150)));
        assert_eq!(text.as_str().len(), 254);
        assert!(text.as_str().ends_with("é..."));
    }
}

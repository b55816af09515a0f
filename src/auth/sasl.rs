//! SASL mechanisms: from the octets of a response to credentials (specification §2.3).
//!
//! Whether the credentials are right is the [`Directory`](super::Directory)'s matter. Errors never repeat what came,
//! for a malformed response still holds a password.

use std::fmt;

use crate::model::ReplyCode;

/// A way to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// `NUL user NUL password`.
    Plain,
    /// A field table with `LOGIN` and `PASSWORD`, without its length.
    Amqplain,
    /// Anything: whoever the settings say.
    Anonymous,
}

impl Mechanism {
    /// All mechanisms.
    pub const ALL: [Mechanism; 3] = [Mechanism::Plain, Mechanism::Amqplain, Mechanism::Anonymous];

    /// The name in `connection.start-ok`; `None` when there is no such mechanism.
    pub fn from_name(name: &str) -> Option<Mechanism> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    /// The name in `connection.start`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Amqplain => "AMQPLAIN",
            Self::Anonymous => "ANONYMOUS",
        }
    }

    /// The mechanism that the client chose, if `offered` has it.
    pub fn chosen(name: &str, offered: &[Mechanism]) -> Result<Mechanism, SaslError> {
        let name_owned = || name.to_owned();
        match Self::from_name(name) {
            None => Err(SaslError::UnknownMechanism { name: name_owned() }),
            Some(known) if offered.contains(&known) => Ok(known),
            Some(_) => Err(SaslError::DisabledMechanism { name: name_owned() }),
        }
    }

    /// Takes the response of `connection.start-ok` apart; `anonymous` are those of clients that have none.
    pub fn credentials(
        self,
        response: &[u8],
        anonymous: &Credentials,
    ) -> Result<Credentials, SaslError> {
        match self {
            Self::Plain => plain(response),
            Self::Amqplain => amqplain(response),
            Self::Anonymous => Ok(anonymous.clone()),
        }
    }
}

/// Name and password as a client gave them; the password does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user's name; octets that are no UTF-8 are replaced (no user has such a name).
    pub user: String,
    /// The password's octets.
    pub password: Vec<u8>,
}

impl Credentials {
    /// Credentials as settings have them.
    pub fn new(user: &str, password: &str) -> Self {
        Self::from_octets(user.as_bytes(), password.as_bytes())
    }

    fn from_octets(user: &[u8], password: &[u8]) -> Self {
        Self {
            user: String::from_utf8_lossy(user).into_owned(),
            password: password.to_vec(),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// A response that holds no credentials; each closes the connection after the silent delay.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SaslError {
    /// There is no such mechanism.
    #[error("unknown authentication mechanism '{name}'")]
    UnknownMechanism {
        /// What the client asked for.
        name: String,
    },
    /// There is, but the settings do not offer it.
    #[error("invalid authentication mechanism '{name}'")]
    DisabledMechanism {
        /// What the client asked for.
        name: String,
    },
    /// Not `NUL user NUL password`.
    #[error("response of {bytes} octets invalid")]
    MalformedPlain {
        /// Its length.
        bytes: usize,
    },
    /// Not a field table.
    #[error("AMQPLAIN auth info of {bytes} octets is not a table")]
    MalformedAmqplain {
        /// Its length.
        bytes: usize,
    },
    /// A table without name or password.
    #[error("AMQPLAIN auth info of {bytes} octets is missing LOGIN or PASSWORD field")]
    MissingField {
        /// Its length.
        bytes: usize,
    },
    /// Name or password is not a string.
    #[error(
        "AMQPLAIN auth info of {bytes} octets uses unsupported type for LOGIN or PASSWORD field"
    )]
    UnsupportedType {
        /// Its length.
        bytes: usize,
    },
}

impl SaslError {
    /// The code that RabbitMQ logs with the text.
    pub fn code(&self) -> ReplyCode {
        match self {
            Self::UnknownMechanism { .. } | Self::DisabledMechanism { .. } => {
                ReplyCode::CommandInvalid
            }
            Self::MalformedPlain { .. }
            | Self::MalformedAmqplain { .. }
            | Self::MissingField { .. }
            | Self::UnsupportedType { .. } => ReplyCode::SyntaxError,
        }
    }
}

/// RabbitMQ takes no authorization identity: the first octet is the NUL before the user.
fn plain(response: &[u8]) -> Result<Credentials, SaslError> {
    let mut parts = response.split(|octet| *octet == 0);
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some([]), Some(user), Some(password), None) => {
            Ok(Credentials::from_octets(user, password))
        }
        _ => Err(SaslError::MalformedPlain {
            bytes: response.len(),
        }),
    }
}

fn amqplain(response: &[u8]) -> Result<Credentials, SaslError> {
    let bytes = response.len();
    let mut fields = Fields { rest: response };
    let (mut login, mut password) = (None, None);
    while !fields.rest.is_empty() {
        let Some((name, value)) = fields.next_field() else {
            return Err(SaslError::MalformedAmqplain { bytes });
        };
        // The first of equal names counts, as in all of RabbitMQ's tables.
        match name {
            b"LOGIN" => login = login.or(Some(value)),
            b"PASSWORD" => password = password.or(Some(value)),
            _ => {}
        }
    }
    match (login, password) {
        (Some(Value::Octets(login)), Some(Value::Octets(password))) => {
            Ok(Credentials::from_octets(login, password))
        }
        (Some(_), Some(_)) => Err(SaslError::UnsupportedType { bytes }),
        _ => Err(SaslError::MissingField { bytes }),
    }
}

#[derive(Clone, Copy)]
enum Value<'a> {
    Octets(&'a [u8]),
    Other,
}

/// Walks a field table; nested tables are skipped whole, so no nesting costs anything.
struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn next_field(&mut self) -> Option<(&'a [u8], Value<'a>)> {
        let name_bytes = self.take(1)?[0];
        let name = self.take(usize::from(name_bytes))?;
        let fixed_bytes = match self.take(1)?[0] {
            b'S' | b'x' => return Some((name, Value::Octets(self.take_long()?))),
            b'F' | b'A' => {
                self.take_long()?;
                0
            }
            b'V' => 0,
            b't' | b'b' | b'B' => 1,
            b's' | b'u' => 2,
            b'I' | b'i' | b'f' => 4,
            b'D' => 5,
            b'l' | b'L' | b'd' | b'T' => 8,
            _ => return None,
        };
        self.take(fixed_bytes)?;
        Some((name, Value::Other))
    }

    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(bytes)?;
        self.rest = rest;
        Some(taken)
    }

    fn take_long(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        self.take(usize::try_from(u32::from_be_bytes(*length)).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nobody() -> Credentials {
        Credentials::new("nobody", "known")
    }

    #[test]
    fn anonymous_is_whoever_the_settings_say() {
        for response in [&b""[..], b"\0u\0p"] {
            let found = Mechanism::Anonymous.credentials(response, &nobody());
            assert_eq!(found, Ok(nobody()));
        }
    }

    #[track_caller]
    fn check_plain(response: &[u8], expected: Option<(&str, &[u8])>) {
        let credentials = Mechanism::Plain.credentials(response, &nobody()).ok();
        let expected = expected.map(|(user, password)| Credentials {
            user: user.to_owned(),
            password: password.to_vec(),
        });
        assert_eq!(credentials, expected);
    }

    #[test]
    fn plain_is_nul_user_nul_password() {
        check_plain(b"\0guest\0guest", Some(("guest", b"guest")));
        check_plain(b"\0u\0", Some(("u", b"")));
        check_plain(b"\0\0", Some(("", b"")));
        check_plain(
            "\0ü\0p:\u{1F511}".as_bytes(),
            Some(("ü", "p:\u{1F511}".as_bytes())),
        );
        check_plain(b"\0u\0\xff", Some(("u", b"\xff")));
        for malformed in [
            &b""[..],
            b"\0",
            b"guest\0guest",
            b"z\0u\0p",
            b"\0u",
            b"\0u\0p\0",
            b"\0u\0p\0x",
        ] {
            check_plain(malformed, None);
        }
    }

    fn field(name: &str, tag: u8, value: &[u8]) -> Vec<u8> {
        let mut bytes = vec![name.len() as u8];
        bytes.extend(name.as_bytes());
        bytes.push(tag);
        bytes.extend(value);
        bytes
    }

    fn long(value: &[u8]) -> Vec<u8> {
        [&(value.len() as u32).to_be_bytes()[..], value].concat()
    }

    fn login() -> Vec<u8> {
        field("LOGIN", b'S', &long(b"u"))
    }

    #[track_caller]
    fn check_amqplain(fields: &[Vec<u8>], expected: Result<(&str, &[u8]), &str>) {
        let found = Mechanism::Amqplain.credentials(&fields.concat(), &nobody());
        match expected {
            Ok((user, password)) => {
                let found = found.expect("credentials");
                assert_eq!((found.user.as_str(), &found.password[..]), (user, password));
            }
            Err(text) => {
                let refusal = found.expect_err("refused").to_string();
                assert!(refusal.contains(text), "{refusal}");
            }
        }
    }

    #[test]
    fn amqplain_is_a_table_without_its_length() {
        let password = || field("PASSWORD", b'S', &long(b"p"));
        check_amqplain(&[login(), password()], Ok(("u", b"p")));
        check_amqplain(&[password(), login()], Ok(("u", b"p")));
        check_amqplain(
            &[login(), field("PASSWORD", b'x', &long(b"\xff"))],
            Ok(("u", b"\xff")),
        );
        let again = field("LOGIN", b'S', &long(b"other"));
        check_amqplain(&[login(), again, password()], Ok(("u", b"p")));
        let nested = field("n", b'F', &long(&[b'F'; 100_000]));
        check_amqplain(&[nested, login(), password()], Ok(("u", b"p")));

        check_amqplain(&[], Err("is missing LOGIN or PASSWORD field"));
        check_amqplain(&[login()], Err("is missing LOGIN or PASSWORD field"));
        let number = field("PASSWORD", b'I', &[0; 4]);
        check_amqplain(&[login(), number], Err("uses unsupported type"));
        check_amqplain(&[login(), field("x", b'?', b"")], Err("is not a table"));
        check_amqplain(
            &[login(), field("x", b'S', &[0xff; 4])],
            Err("is not a table"),
        );
        check_amqplain(&[vec![200, b'x']], Err("is not a table"));
    }

    #[test]
    fn all_types_of_field_are_stepped_over() {
        let sizes = [
            (&b"V"[..], 0),
            (b"tbB", 1),
            (b"su", 2),
            (b"Iif", 4),
            (b"D", 5),
            (b"lLdT", 8),
        ];
        for (tags, size) in sizes {
            for tag in tags {
                let other = field("x", *tag, &vec![b'S'; size]);
                let password = field("PASSWORD", b'S', &long(b"p"));
                check_amqplain(&[other, login(), password], Ok(("u", b"p")));
            }
        }
    }

    #[test]
    fn a_mechanism_must_be_known_and_offered() {
        let offered = [Mechanism::Plain];
        assert_eq!(Mechanism::chosen("PLAIN", &offered), Ok(Mechanism::Plain));
        let refusal = |name| {
            Mechanism::chosen(name, &offered)
                .expect_err("refused")
                .to_string()
        };
        assert_eq!(
            refusal("AMQPLAIN"),
            "invalid authentication mechanism 'AMQPLAIN'"
        );
        assert_eq!(
            refusal("GSSAPI"),
            "unknown authentication mechanism 'GSSAPI'"
        );
    }

    #[test]
    fn credentials_and_errors_keep_the_password_to_themselves() {
        let credentials = Mechanism::Plain
            .credentials(b"\0u\0hunter2", &nobody())
            .expect("credentials");
        assert!(!format!("{credentials:?}").contains("hunter2"));
        let refusal = Mechanism::Plain
            .credentials(b"u\0hunter2", &nobody())
            .expect_err("refused");
        assert_eq!(refusal.to_string(), "response of 9 octets invalid");
    }

    proptest! {
        #[test]
        fn no_response_makes_trouble(response in proptest::collection::vec(any::<u8>(), 0..200)) {
            for mechanism in Mechanism::ALL {
                let _ = mechanism.credentials(&response, &nobody());
            }
        }
    }
}

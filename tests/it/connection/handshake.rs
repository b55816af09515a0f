//! From the protocol header to `open-ok` (specification §1.2, §2.1-§2.5).

use crate::connection::script::Script;
use crate::connection::wire;
use leveret::connection::ConnectionOptions;
use leveret::connection::Ending;
use leveret::connection::Status;
use leveret::protocol::header::AMQP_0_9_1;
use leveret::protocol::output::Output;

#[test]
fn a_client_opens_a_connection() {
    let mut client = Script::log_in();
    client.send("connection.tune-ok channel-max=100 frame-max=8192 heartbeat=30");
    client.expect_nothing();
    client
        .send("connection.open vhost=/")
        .expect("connection.open-ok");
    assert_eq!(client.machine.status(), Status::Open);
    assert_eq!(client.machine.frame_max(), 8192);
    assert_eq!(client.machine.channel_max(), 100);
    assert_eq!(client.machine.heartbeat(), 30);
    assert_eq!(client.machine.vhost().unwrap().as_str(), "/");
}

#[test]
fn the_clients_name_is_known() {
    let client = Script::open();
    assert_eq!(client.machine.connection_name(), Some("test"));
    assert!(
        client
            .machine
            .client_properties()
            .contains_key("capabilities")
    );
}

#[test]
fn another_protocol_gets_ours_and_is_closed() {
    let mut client = Script::connect();
    client.send_octets(b"GET / HTTP/1.1\r\n");
    client.expect("protocol-header").expect_finished(0);
    let ending = Some(&Ending::WrongProtocol("HTTP request"));
    assert_eq!(client.machine.ending(), ending);
}

#[test]
fn a_header_may_come_octet_by_octet() {
    let mut client = Script::connect();
    assert!(client.machine.is_untouched());
    for octet in &AMQP_0_9_1[..7] {
        client.send_octets(&[*octet]).expect_nothing();
        assert_eq!(client.machine.needed(), 8);
        assert!(!client.machine.is_untouched());
    }
    client
        .send_octets(&AMQP_0_9_1[7..])
        .expect("connection.start");
}

#[test]
fn a_refused_login_is_told_to_clients_that_can_hear_it() {
    let mut client = Script::start();
    client.send("connection.start-ok password=wrong capabilities=authentication_failure_close");
    client.expect(
        "connection.close code=403 ids=0,0 ACCESS_REFUSED - Login was refused using \
         authentication mechanism PLAIN. For details see the broker logfile.",
    );
    assert_eq!(client.machine.status(), Status::Closing);
    client.send("connection.close-ok").expect_finished(0);
}

#[test]
fn a_refused_login_that_is_not_acknowledged_ends_after_three_seconds() {
    let mut client = Script::start();
    client.send("connection.start-ok password=wrong capabilities=authentication_failure_close");
    client.expect("connection.close");
    client.pass(2);
    assert_eq!(client.machine.status(), Status::Closing);
    client.pass(1).expect_finished(0);
}

#[test]
fn a_refused_login_is_silent_for_other_clients() {
    let mut client = Script::start();
    client
        .send("connection.start-ok password=wrong")
        .expect_finished(3);
    assert_eq!(client.machine.ending(), Some(&Ending::LoginRefused));
    client.send("connection.start-ok").expect_nothing();
    client.hang_up();
    client.expect_finished(3);
}

#[test]
fn an_unknown_mechanism_is_silent() {
    let mut client = Script::start();
    client.send("connection.start-ok mechanism=FOO capabilities=authentication_failure_close");
    client.expect_finished(3);
}

fn check_tune(tune_ok: &str, refused: &str) {
    let mut client = Script::log_in();
    client.send(&format!("connection.tune-ok {tune_ok}"));
    client.expect(&format!(
        "connection.close code=530 ids=10,30 NOT_ALLOWED - {refused}"
    ));
    client.send("connection.close-ok").expect_finished(0);
}

#[test]
fn numbers_beyond_the_offer_are_refused() {
    check_tune(
        "channel-max=2048 frame-max=8192",
        "negotiated channel_max = 2048 is higher than the maximum allowed value (2047)",
    );
    check_tune(
        "channel-max=0 frame-max=8192",
        "negotiated channel_max = 0 (no limit) is higher than the maximum allowed value (2047)",
    );
    check_tune(
        "channel-max=1 frame-max=131073",
        "negotiated frame_max = 131073 is higher than the maximum allowed value (131072)",
    );
    check_tune(
        "channel-max=1 frame-max=4095",
        "negotiated frame_max = 4095 is lower than the minimum allowed value (4096)",
    );
}

#[test]
fn no_limit_is_fine_where_we_have_none() {
    let mut client = Script::connect_with(ConnectionOptions {
        frame_max: 0,
        channel_max: 0,
        ..ConnectionOptions::default()
    });
    client.send_octets(&AMQP_0_9_1).send("connection.start-ok");
    client.expect("connection.start");
    client.expect("connection.tune channel-max=0 frame-max=0");
    client.send("connection.tune-ok channel-max=0 frame-max=0 heartbeat=0");
    client
        .send("connection.open vhost=/")
        .expect("connection.open-ok");
    client.with_channel(65535);
}

#[test]
fn a_missing_vhost_closes_the_connection() {
    let mut client = Script::log_in();
    client.send("connection.tune-ok channel-max=1 frame-max=4096 heartbeat=60");
    client.send("connection.open vhost=nope");
    client.expect("connection.close code=530 ids=10,40 NOT_ALLOWED - vhost nope not found");
    client.send("connection.close-ok").expect_finished(0);
    client.hang_up();
    client.host_did(&[]);
}

#[test]
fn methods_out_of_order_are_silent() {
    let mut client = Script::start();
    client
        .send("connection.tune-ok channel-max=1 frame-max=4096")
        .expect_finished(3);
    let mut client = Script::log_in();
    client.send("connection.open vhost=/").expect_finished(3);
    let mut client = Script::log_in();
    client.send("channel.open 1").expect_finished(3);
}

#[test]
fn a_client_may_change_its_mind() {
    let mut client = Script::log_in();
    client
        .send("connection.close")
        .expect("connection.close-ok")
        .expect_finished(3);
}

#[test]
fn frames_before_tuning_are_small() {
    let mut client = Script::start();
    client
        .send_octets(&wire::frame(1, 0, &[0; 4097])[..20])
        .expect_finished(3);
}

#[test]
fn a_slow_handshake_ends_after_ten_seconds() {
    for mut client in [Script::connect(), Script::start(), Script::log_in()] {
        client.pass(9);
        assert_eq!(client.machine.status(), Status::Handshaking);
        client.pass(1).expect_finished(0);
        assert_eq!(client.machine.ending(), Some(&Ending::HandshakeTimeout));
    }
}

#[test]
fn forced_close_before_open_is_just_the_end() {
    let mut client = Script::log_in();
    let (code, text) = (
        leveret::model::ReplyCode::ConnectionForced,
        "shutdown".into(),
    );
    client.machine.force_close(
        code,
        text,
        client.now,
        &mut client.host,
        &mut Output::default(),
    );
    client.expect_finished(0);
}

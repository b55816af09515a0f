//! Tables that are nested too deep, or broken inside: refused without recursion, wherever a table can be.

use super::Scene;
use crate::broker::PATIENCE;
use crate::wire::Close;
use crate::wire::Wire;
use crate::wire::encode;
use crate::wire::encode::MethodId;
use crate::wire::encode::TRANSIENT;
use crate::wire::encode::entry;
use crate::wire::encode::headers_property;
use crate::wire::encode::nested_table;
use crate::wire::encode::sized;

/// Some are deep enough to end a stack of 8 MB, if each level took a call.
const DEPTHS: [usize; 2] = [1_000, 15_000];

fn check(wire: &mut Wire, text: &str, id: MethodId) {
    let expected = Close {
        code: 501,
        text: format!("FRAME_ERROR - {text}"),
        id,
    };
    assert_eq!(wire.expect_close(0), expected);
    wire.send(&encode::close_ok());
    wire.expect_end(PATIENCE);
}

#[test]
fn arguments_nested_too_deep() {
    let scene = Scene::start();
    for depth in DEPTHS {
        let mut wire = Wire::with_channel(scene.address());
        let arguments = nested_table(depth);
        wire.send(&encode::queue_declare(1, "q", 0, &arguments));
        let text = "field table is nested more than 128 deep";
        check(&mut wire, text, (50, 10));
    }
    scene.end();
}

#[test]
fn headers_nested_too_deep() {
    let scene = Scene::start();
    for depth in DEPTHS {
        let mut wire = Wire::with_channel(scene.address());
        wire.declare_queue("q", 0);
        let properties = headers_property(&nested_table(depth));
        wire.send(&encode::publish(1, ("", "q"), 0, &properties, b"body"));
        let text = "field table is nested more than 128 deep";
        check(&mut wire, text, (60, 40));
    }
    scene.end();
}

#[test]
fn client_properties_nested_too_deep() {
    let scene = Scene::start();
    // As deep as fits a frame before login.
    for depth in [500, 20_000] {
        let mut wire = Wire::connect(scene.address());
        wire.send(&encode::PROTOCOL_HEADER);
        wire.expect(0, (10, 10));
        let properties = nested_table(depth);
        wire.send(&encode::start_ok(&properties, "PLAIN", b"\0guest\0guest"));
        // Who did not log in learns nothing.
        wire.expect_end(PATIENCE);
    }
    scene.end();
}

#[test]
fn what_real_clients_nest_is_taken() {
    let scene = Scene::start();
    let mut wire = Wire::with_channel(scene.address());
    let properties = headers_property(&nested_table(100));
    let arguments = nested_table(100);
    wire.call(&encode::queue_declare(1, "q", 0, &arguments), (50, 11));
    wire.send(&encode::publish(1, ("", "q"), 0, &properties, b"body"));
    assert_eq!(wire.get(1, "q", true).unwrap().properties, properties);
    wire.close();
    scene.end();
}

#[test]
fn tables_broken_inside() {
    let scene = Scene::start();
    let cases = [
        (
            entry("k", b"?"),
            "field table has a value of unknown type 63",
        ),
        (entry("k", b"I\x00"), "field table is cut short"),
        (
            entry("k", b"S\xff\xff\xff\xffx"),
            "field table is cut short",
        ),
        (
            entry("k", b"F\x00\x00\x00\x05x"),
            "field table is cut short",
        ),
        (entry("k", &sized(b'A', b"S")), "field table is cut short"),
        (vec![200, b'k'], "field table is cut short"),
        (entry("k", b""), "field table is cut short"),
    ];
    for (entries, text) in cases {
        let mut wire = Wire::with_channel(scene.address());
        wire.send(&encode::queue_declare(1, "q", 0, &entries));
        check(&mut wire, text, (50, 10));

        let mut wire = Wire::with_channel(scene.address());
        let properties = headers_property(&entries);
        wire.send(&encode::publish(1, ("", "q"), 0, &properties, b"body"));
        check(&mut wire, text, (60, 40));
    }
    // A table whose length reaches past its frame.
    let mut wire = Wire::with_channel(scene.address());
    let mut declare = encode::queue_declare(1, "q", 0, &[]);
    let length_at = declare.len() - 5;
    declare[length_at] = 0x7f;
    wire.send(&declare);
    let text = "cannot decode <<0,0,1,113,0,127,0,0,0>>";
    check(&mut wire, text, (50, 10));
    let mut wire = Wire::with_channel(scene.address());
    let broken = [0x20, 0, 0x7f, 0, 0, 0];
    wire.send(&encode::publish(1, ("", "q"), 0, &broken, TRANSIENT));
    check(&mut wire, "property list does not fit its flags", (60, 40));
    scene.end();
}

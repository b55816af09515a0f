//! What the directory answers and refuses, without a broker around it.

use super::*;

fn name(text: &str) -> UserName {
    UserName::known(text)
}

fn credentials(user: &str, password: &str) -> Credentials {
    Credentials {
        user: user.to_owned(),
        password: password.as_bytes().to_vec(),
    }
}

fn permission(user: &str, vhost: &str, patterns: [&str; 3]) -> PermissionRecord {
    let [configure, write, read] = patterns.map(str::to_owned);
    PermissionRecord {
        user: user.to_owned(),
        vhost: vhost.to_owned(),
        configure,
        write,
        read,
    }
}

fn first_start() -> Directory {
    let mut directory = Directory::new(["guest".to_owned()]);
    let root = VhostName::known("/");
    directory.add_administrator(&name("guest"), PasswordHash::new("guest"), &root);
    directory
}

#[test]
fn the_first_user_may_do_everything_in_its_vhost_from_this_machine() {
    let directory = first_start();
    let user = directory
        .authenticate(&credentials("guest", "guest"))
        .expect("let in");
    assert_eq!(
        (user.name().as_str(), user.tags()),
        ("guest", &["administrator".to_owned()][..])
    );
    assert!(!user.may_impersonate());
    assert!(directory.may_access("guest", "/") && !directory.may_access("guest", "other"));
    for right in [Right::Configure, Right::Write, Right::Read] {
        assert!(directory.check("guest", "/", right, "any"));
        assert!(
            !directory.check("guest", "other", right, "any"),
            "tags give no rights"
        );
    }
    assert_eq!(directory.may_connect_from("guest", true), Ok(()));
    let refusal = directory
        .may_connect_from("guest", false)
        .expect_err("refused");
    assert_eq!(
        refusal.to_string(),
        "user 'guest' can only connect via localhost"
    );
    assert_eq!(directory.may_connect_from("other", false), Ok(()));
}

#[test]
fn wrong_credentials_are_refused_in_one_way() {
    let mut directory = first_start();
    directory.put_user(&name("none"), PasswordHash::none(), Vec::new());
    directory.put_user(&name("blank"), PasswordHash::new(""), Vec::new());
    let refusal = |user, password| {
        directory
            .authenticate(&credentials(user, password))
            .expect_err("refused")
            .to_string()
    };
    for (user, password) in [
        ("guest", "Guest"),
        ("nobody", "guest"),
        ("none", "x"),
        ("Guest", "guest"),
    ] {
        assert_eq!(
            refusal(user, password),
            format!("user '{user}' - invalid credentials")
        );
    }
    for user in ["guest", "nobody", "none", "blank"] {
        assert!(refusal(user, "").contains("blank password"));
    }
}

#[test]
fn each_right_has_its_own_pattern() {
    let mut directory = first_start();
    directory.put_user(&name("u"), PasswordHash::new("p"), Vec::new());
    assert!(!directory.may_access("u", "/"));
    let patterns = permission("u", "/", ["^c", "^w", ""]);
    assert_eq!(directory.set_permission(&patterns), Ok(patterns.clone()));
    assert!(directory.may_access("u", "/"));
    for (right, allowed) in [
        (Right::Configure, "c1"),
        (Right::Write, "w1"),
        (Right::Read, ""),
    ] {
        for resource in ["c1", "w1", ""] {
            let expected = resource == allowed;
            assert_eq!(
                directory.check("u", "/", right, resource),
                expected,
                "{right} {resource}"
            );
        }
    }
    let nothing = permission("u", "/", ["", "", ""]);
    directory.set_permission(&nothing).expect("set");
    assert!(
        directory.may_access("u", "/"),
        "a row without rights is still a row"
    );
    assert_eq!(directory.clear_permission("u", "/"), Some(nothing));
    assert_eq!(directory.clear_permission("u", "/"), None);
    assert!(!directory.may_access("u", "/"));
}

#[test]
fn wrong_changes_change_nothing() {
    let mut directory = first_start();
    let before = directory.permission("guest", "/");
    let wrong = permission("guest", "/", [".*", "(", ".*"]);
    assert!(matches!(
        directory.set_permission(&wrong),
        Err(AuthError::InvalidPattern(_))
    ));
    assert_eq!(directory.permission("guest", "/"), before);
    let nobody = permission("nobody", "/", [".*", ".*", ".*"]);
    let missing = Err(AuthError::NoSuchUser {
        user: "nobody".to_owned(),
    });
    assert_eq!(directory.set_permission(&nobody), missing);
    let long = permission("guest", &"v".repeat(256), [".*", ".*", ".*"]);
    assert_eq!(
        directory.set_permission(&long),
        Err(AuthError::NameTooLong { bytes: 256 })
    );
    assert!(directory.set_tags("nobody", Vec::new()).is_err());
    assert!(
        directory
            .set_password("nobody", PasswordHash::none())
            .is_err()
    );
}

#[test]
fn changes_keep_what_they_do_not_change() {
    let mut directory = first_start();
    let published = directory.clone();
    let record = directory
        .set_tags("guest", vec!["impersonator".to_owned()])
        .expect("set");
    assert_eq!(record.tags, ["impersonator"]);
    directory
        .set_password("guest", PasswordHash::new("new"))
        .expect("set");
    let user = directory
        .authenticate(&credentials("guest", "new"))
        .expect("let in");
    assert!(user.may_impersonate() && directory.may_access("guest", "/"));
    directory.put_user(&name("guest"), PasswordHash::new("newer"), Vec::new());
    assert!(directory.may_access("guest", "/"), "permissions stay");

    assert!(
        published
            .authenticate(&credentials("guest", "guest"))
            .is_ok(),
        "snapshots stay"
    );
}

#[test]
fn deleting_a_user_or_a_vhost_returns_the_permissions_that_go_with_it() {
    let mut directory = first_start();
    directory.put_user(&name("u"), PasswordHash::new("p"), Vec::new());
    for vhost in ["/", "a"] {
        directory
            .set_permission(&permission("u", vhost, ["", "", ""]))
            .expect("set");
    }
    let (mut gone, _) = directory.remove_vhost("/");
    gone.sort_by(|left, right| left.user.cmp(&right.user));
    assert_eq!(
        gone,
        [
            permission("guest", "/", [".*"; 3]),
            permission("u", "/", [""; 3])
        ]
    );
    assert_eq!(
        directory.delete_user("u"),
        Some((vec![permission("u", "a", [""; 3])], Vec::new()))
    );
    assert_eq!(directory.delete_user("u"), None);
    directory.put_user(&name("u"), PasswordHash::new("p"), Vec::new());
    assert!(
        !directory.may_access("u", "a"),
        "nothing is inherited from the name"
    );
}

fn topic(exchange: &str, write: &str, read: &str) -> TopicPermissionRecord {
    TopicPermissionRecord {
        user: "a.b".to_owned(),
        vhost: "/".to_owned(),
        exchange: exchange.to_owned(),
        write: write.to_owned(),
        read: read.to_owned(),
    }
}

#[test]
fn a_topic_permission_bounds_the_keys_of_one_exchange() {
    let mut directory = first_start();
    directory.put_user(&name("a.b"), PasswordHash::new("p"), Vec::new());
    let may = |directory: &Directory, right, exchange: &str, key: &str| {
        directory.check_topic("a.b", "/", right, exchange, key)
    };
    assert!(may(&directory, Right::Write, "x", "any"));
    let record = topic("x", "^{username}\\.{vhost}$", "");
    directory.set_topic_permission(record.clone()).expect("set");
    assert!(may(&directory, Right::Write, "x", "a.b./"));
    assert!(
        !may(&directory, Right::Write, "x", "axb./"),
        "names are literal"
    );
    assert!(!may(&directory, Right::Read, "x", "a"));
    assert!(may(&directory, Right::Read, "x", ""));
    assert!(may(&directory, Right::Read, "y", "a"));
    assert!(directory.check_topic("a.b", "v", Right::Read, "x", "a"));
    assert!(directory.check_topic("guest", "/", Right::Read, "x", "a"));
    assert!(!directory.check_topic("nobody", "/", Right::Read, "x", "a"));

    directory
        .set_topic_permission(topic("y", "", ""))
        .expect("set");
    assert!(directory.set_topic_permission(topic("z", "(", "")).is_err());
    let users: Vec<UserRecord> = directory.users().map(|user| user.record()).collect();
    let stored: Vec<_> = directory.topic_permissions().cloned().collect();
    let loaded = Directory::load([], users, [], stored).expect("loaded");
    assert!(!may(&loaded, Right::Write, "y", "a"));
    directory
        .set_topic_permission(topic("y", ".*", ""))
        .expect("set");
    assert!(may(&directory, Right::Write, "y", "a"));
    assert_eq!(
        directory.clear_topic_permissions("a.b", "/", Some("x")),
        [record]
    );
    assert_eq!(directory.clear_topic_permissions("a.b", "/", None).len(), 1);
    assert!(may(&directory, Right::Write, "y", "a"));
}

#[test]
fn a_directory_comes_back_from_its_records() {
    let mut directory = first_start();
    directory.put_user(
        &name("u"),
        PasswordHash::new("p"),
        vec!["monitoring".to_owned()],
    );
    directory
        .set_permission(&permission("u", "a", ["x", "y", "z"]))
        .expect("set");
    let users: Vec<UserRecord> = directory.users().map(|user| user.record()).collect();
    let permissions: Vec<PermissionRecord> = directory.permissions().collect();
    assert_eq!((users.len(), permissions.len()), (2, 2));
    let loaded = Directory::load([], users, permissions, []).expect("loaded");
    let user = loaded.authenticate(&credentials("u", "p")).expect("let in");
    assert!(user.has_tag("monitoring"));
    assert_eq!(loaded.permissions_of("u"), directory.permissions_of("u"));
    assert_eq!(
        loaded.may_connect_from("guest", false),
        Ok(()),
        "the settings decide"
    );
}

#[test]
fn stored_patterns_that_do_not_compile_deny() {
    let users = first_start()
        .users()
        .map(|user| user.record())
        .collect::<Vec<_>>();
    let stored = permission("guest", "/", ["(", ".*", ".*"]);
    let directory = Directory::load([], users, [stored], []).expect("loaded");
    assert!(!directory.check("guest", "/", Right::Configure, "("));
    assert!(directory.check("guest", "/", Right::Read, "("));
    let orphan = permission("nobody", "/", [".*"; 3]);
    assert!(Directory::load([], [], [orphan], []).is_err());
}

#[test]
fn a_directory_prints_no_hashes() {
    let directory = first_start();
    let hash = directory
        .user("guest")
        .expect("there")
        .record()
        .password_hash;
    assert!(!format!("{directory:?}").contains(&hash));
}

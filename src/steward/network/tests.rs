//! What the network promises, without a radio or a kernel to change.

use super::*;

#[test]
fn no_two_devices_have_the_same_key() {
    let (one, two) = (random_key().unwrap(), random_key().unwrap());
    assert_ne!(one, two);
    assert_eq!(one.len(), 19);
    assert!(crate::config::is_wifi_password(&one), "{one}");
}

#[test]
fn neighbours_that_come_and_go_do_not_wear_the_card() {
    let seen = |names: &[String]| -> Vec<SeenNetwork> {
        let seen = |(i, ssid): (usize, &String)| {
            let signal = -40 - i32::try_from(i).unwrap();
            SeenNetwork { ssid: ssid.clone(), signal, open: false }
        };
        names.iter().enumerate().map(seen).collect()
    };
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut strangers = BTreeSet::new();
    add_strangers(&mut strangers, seen(&names(&["hom", "garden"])));
    let first = strangers.clone();
    assert_eq!(first.iter().collect::<Vec<_>>(), ["garden", "hom"]);
    // In another order, without one, without any.
    for again in [&["garden", "hom"][..], &["hom"], &[]] {
        add_strangers(&mut strangers, seen(&names(again)));
        assert_eq!(strangers, first);
    }
    // A telephone or two that go by are told, a street of them is not.
    for telephone in 0..100 {
        add_strangers(&mut strangers, seen(&[format!("telephone {telephone}")]));
    }
    assert_eq!(strangers.len(), STRANGERS);
    assert!(strangers.is_superset(&first));
}

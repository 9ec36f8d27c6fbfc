//! Rows for the device around the camera.

use log::LevelFilter;

use super::{Key, Scope, Section, key};
use crate::config::shape::{List, Maybe, Switch, Time, Unit, Unseen, WebUrl, Whole, Words};
use crate::config::{Install, Level, Schedule};

pub(super) const SECTIONS: &[Section] = &[
    Section {
        name: "led",
        scope: Scope::Everywhere,
        doc: "A lamp on a Raspberry Pi's GPIO. It is on while somebody watches. It blinks slowly \
              while Picket starts, flashes twice every 2 seconds without a network (the one that \
              the image opens itself is none), winks every 4 seconds when all is well, and blinks \
              fast when there should be a picture and is none: the camera was not found, though the \
              test picture may stand in for it, or is lost. While the button is held, it is on with one short gap a second from 5 seconds \
              on, with two from 20 seconds on. A build without the feature `gpio` has no lamp and no \
              button, and says so when it starts.",
    },
    Section {
        name: "button",
        scope: Scope::Everywhere,
        doc: "A button on a Raspberry Pi's GPIO. Let go after 5 seconds or more, it restarts the \
              device; after 20 seconds or more, it makes the device forget everything, as it was \
              shipped. A shorter press does nothing, because it may be an accident. Elsewhere \
              than on the image, presses are only logged.",
    },
    Section {
        name: "watchdog",
        scope: Scope::Image,
        doc: "The Pi's own watchdog, which restarts a device that hangs.",
    },
    Section {
        name: "update",
        scope: Scope::Image,
        doc: "Updates of the image. They are signed; one that fails falls back by itself to what \
              ran before.",
    },
    Section {
        name: "ssh",
        scope: Scope::Image,
        doc: "Signing in to the device itself, to look around. Nobody needs it to use the camera.",
    },
    Section { name: "log", scope: Scope::Everywhere, doc: "The log." },
];

const LEVELS: Words<Level> = Words(&[("high", Level::High), ("low", Level::Low)]);

pub(super) fn keys() -> Vec<Key> {
    vec![
        key!(
            "led.pin",
            led.pin,
            Maybe(Whole(0, 27)),
            "GPIO the lamp hangs on, by its BCM number. Unset: no lamp."
        )
        .example("17"),
        key!("led.active", led.active, LEVELS, "Level at which the lamp shines."),
        key!(
            "button.pin",
            button.pin,
            Maybe(Whole(0, 27)),
            "GPIO the button hangs on, by its BCM number. Unset: no button."
        )
        .example("27"),
        key!(
            "button.active",
            button.active,
            LEVELS,
            "Level while the button is pressed; the pin is pulled to the other one."
        ),
        key!(
            "watchdog.enabled",
            watchdog.enabled,
            Switch,
            "Whether a device that hangs restarts by itself."
        ),
        key!(
            "watchdog.timeout",
            watchdog.timeout,
            Time(Unit::Seconds, 5.0, 15.0),
            "How long it may hang. The Pi's hardware cannot wait longer than 15."
        ),
        key!(
            "update.url",
            update.url,
            Maybe(WebUrl("a URL such as \"https://updates.example/picket\"")),
            "Where updates are announced, as `{\"version\": \"1.2.3\", \"url\": \
             \"https://…/picket.raucb\", \"size\": 41943040}` with the size in bytes. Unset: the \
             device asks nobody."
        )
        .example("\"https://updates.example/picket\""),
        key!(
            "update.check",
            update.check,
            Words(&[
                ("never", Schedule::Never),
                ("daily", Schedule::Daily),
                ("weekly", Schedule::Weekly),
            ]),
            "How often it looks there by itself. Its owner can have it look at any time, on the page."
        ),
        key!(
            "update.install",
            update.install,
            Words(&[("manual", Install::Manual), ("automatic", Install::Automatic)]),
            "Who decides to install: the owner on the page, or the device itself when nobody has \
             watched for 10 minutes. Installing ends in a restart."
        ),
        key!(
            "ssh.authorized_keys",
            ssh.authorized_keys,
            List(Unseen("a public key such as \"ssh-ed25519 AAAA… me@home\"")),
            "Who may sign in by SSH as `root`: lines of an `id_….pub` file. Without any, nothing \
             listens. There is no sign-in by password."
        ),
        key!(
            "log.level",
            log.level,
            Words(&[
                ("off", LevelFilter::Off),
                ("error", LevelFilter::Error),
                ("warn", LevelFilter::Warn),
                ("info", LevelFilter::Info),
                ("debug", LevelFilter::Debug),
                ("trace", LevelFilter::Trace),
            ]),
            "How much is told. `info` says what changed in the world, `debug` how; `trace` slows \
             the device down."
        )
        .live(),
    ]
}

//! Rows for the device around the camera.

use log::LevelFilter;

use super::key::{Key, Scope, Section, key};
use crate::config::shape::{
    Boolean, Choice, Integer, List, Optional, SensitiveParsed, Time, Unit, WebUrl,
};
use crate::config::{Install, Level, Schedule};

pub(super) const SECTIONS: &[Section] = &[
    Section {
        name: "led",
        scope: Scope::Everywhere,
        doc: "An LED on a Raspberry Pi's GPIO. It is on while somebody watches. It blinks slowly \
              while Picket starts, flashes twice every 2 seconds without a network (the one that \
              the image opens itself does not count), flashes briefly every 4 seconds when all is \
              well, and blinks fast when there should be a picture and there is none: the camera \
              was not found, even if the test picture stands in for it, or was lost. While the \
              button is held, it is on with one short gap per second from 5 seconds on, with two \
              from 20 seconds on. A build without the feature `gpio` supports no LED and no \
              button, and says so when it starts.",
    },
    Section {
        name: "button",
        scope: Scope::Everywhere,
        doc: "A button on a Raspberry Pi's GPIO. Released after 5 seconds or more, it restarts the \
              device; after 20 seconds or more, it resets the device to how it was shipped. A \
              shorter press does nothing, because it may be an accident. Other than on the image, \
              presses are only logged.",
    },
    Section {
        name: "watchdog",
        scope: Scope::Image,
        doc: "The Pi's own watchdog, which restarts a device that hangs.",
    },
    Section {
        name: "update",
        scope: Scope::Image,
        doc: "Updates of the image. They are signed; if one fails, the device goes back by itself \
              to the version before it.",
    },
    Section {
        name: "ssh",
        scope: Scope::Image,
        doc: "Signing in to the device itself, to look around. The camera works without it.",
    },
    Section { name: "log", scope: Scope::Everywhere, doc: "The log." },
];

const LEVELS: Choice<Level> = Choice(&[("high", Level::High), ("low", Level::Low)]);

pub(super) fn keys() -> Vec<Key> {
    vec![
        key!(
            "led.pin",
            led.pin,
            Optional(Integer(0, 27)),
            "GPIO the LED is connected to, by its BCM number. Unset: no LED."
        )
        .example("17"),
        key!("led.active", led.active, LEVELS, "Level at which the LED is lit."),
        key!(
            "button.pin",
            button.pin,
            Optional(Integer(0, 27)),
            "GPIO the button is connected to, by its BCM number. Unset: no button."
        )
        .example("27"),
        key!(
            "button.active",
            button.active,
            LEVELS,
            "Level while the button is pressed; the pin is pulled to the other level."
        ),
        key!(
            "watchdog.enabled",
            watchdog.enabled,
            Boolean,
            "Whether a device that hangs restarts by itself."
        ),
        key!(
            "watchdog.timeout",
            watchdog.timeout,
            Time(Unit::Seconds, 5.0, 15.0),
            "How long it may hang before that. The Pi's hardware cannot wait longer than 15."
        ),
        key!(
            "update.url",
            update.url,
            Optional(WebUrl("a URL such as \"https://updates.example/picket\"")),
            "Where updates are announced, as `{\"version\": \"1.2.3\", \"url\": \
             \"https://…/picket.raucb\", \"size\": 41943040}` with the size in bytes. Unset: the \
             device does not look for updates."
        )
        .example("\"https://updates.example/picket\""),
        key!(
            "update.check",
            update.check,
            Choice(&[
                ("never", Schedule::Never),
                ("daily", Schedule::Daily),
                ("weekly", Schedule::Weekly),
            ]),
            "How often it looks there by itself. The owner can make it look at any time, on the \
             page."
        ),
        key!(
            "update.install",
            update.install,
            Choice(&[("manual", Install::Manual), ("automatic", Install::Automatic)]),
            "Who decides to install: the owner on the page, or the device itself when nobody has \
             watched for 10 minutes. Installing ends with a restart."
        ),
        key!(
            "ssh.authorized_keys",
            ssh.authorized_keys,
            List(SensitiveParsed("a public key such as \"ssh-ed25519 AAAA… me@home\"")),
            "Who may sign in by SSH as `root`: lines of an `id_….pub` file. Without any, no SSH \
             server runs. There is no sign-in by password."
        ),
        key!(
            "log.level",
            log.level,
            Choice(&[
                ("off", LevelFilter::Off),
                ("error", LevelFilter::Error),
                ("warn", LevelFilter::Warn),
                ("info", LevelFilter::Info),
                ("debug", LevelFilter::Debug),
                ("trace", LevelFilter::Trace),
            ]),
            "How much is logged. `info` says what changed in the world, `debug` how; `trace` slows \
             the device down."
        )
        .live(),
    ]
}

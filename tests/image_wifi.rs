//! The appliance on the air: two radios that the kernel only pretends to have (`mac80211_hwsim`),
//! one for the device, and one, in a network namespace of its own, for an access point that is
//! really `hostapd`.
//!
//! `scripts/test-image` makes or finds the image and runs these; without one they say so.

mod common;

use common::device::{Card, Device, STEWARD};

/// Where the disk with what only tests run is mounted, and how its programs are run.
const EXTRAS: &str = "X=/run/extras; L=$X/usr/lib/aarch64-linux-gnu; \
     x() { p=$1; shift; $L/ld-linux-aarch64.so.1 --library-path $L $X/usr/$p \"$@\"; }; ";

/// The radio's neighbour: an access point that can be switched off and on.
struct AccessPoint<'a>(&'a Device);

impl<'a> AccessPoint<'a> {
    /// Plugs both radios in and puts the second one away into a namespace.
    fn plug(device: &'a Device) -> Self {
        device.shell("mkdir -p /run/extras && mount -t squashfs -o ro /dev/vdb /run/extras");
        device.shell("modprobe mac80211_hwsim radios=2");
        device.shell(&format!(
            "{EXTRAS} (exec $L/ld-linux-aarch64.so.1 --library-path $L $X/usr/bin/unshare -n \
             sleep 1000000) </dev/null >/dev/null 2>&1 & echo $! > /run/neighbour"
        ));
        let elsewhere = "readlink /proc/$(cat /run/neighbour)/ns/net";
        let here = device.shell("readlink /proc/self/ns/net");
        let is_there = |_| device.try_shell(elsewhere).is_ok_and(|there| there != here);
        assert!((0..100).any(is_there), "a namespace");
        device.shell(&format!(
            "{EXTRAS} x sbin/iw phy $(cat /sys/class/net/wlan1/phy80211/name) set netns \
             $(cat /run/neighbour)"
        ));
        Self(device)
    }

    /// Runs a line in the neighbour's namespace.
    fn run(&self, line: &str) -> String {
        self.0.shell(&beside(line))
    }

    /// Switches it on. `security` is what hostapd is to ask for.
    fn on(&self, ssid: &str, security: &str) {
        self.set_up(ssid, security);
        self.run(SWITCH_ON);
    }

    /// Says what it is to be when it is switched on.
    fn set_up(&self, ssid: &str, security: &str) {
        let conf = format!("interface=wlan1\nssid={ssid}\nhw_mode=g\nchannel=6\n{security}");
        self.0.shell(&format!("cat > /run/hostapd.conf <<'TEXT'\n{conf}\nTEXT"));
        self.0.shell(
            "cat > /run/neighbour.dhcp <<'TEXT'\ninterface wlan1\nstart 192.168.77.50\nend 192.168.77.60\n\
             opt router 192.168.77.1\nopt subnet 255.255.255.0\nlease_file /run/neighbour.leases\n\
             pidfile /run/neighbour.dhcp.pid\nTEXT\n: > /run/neighbour.leases",
        );
    }

    fn off(&self) {
        self.run(
            "kill $(cat /run/hostapd.pid) $(cat /run/neighbour.dhcp.pid); ip link set wlan1 down",
        );
    }
}

/// Switches on what [`AccessPoint::set_up`] has set up, in the neighbour's namespace.
const SWITCH_ON: &str = "ip link set wlan1 up; ip addr replace 192.168.77.1/24 dev wlan1; \
     x sbin/hostapd -B -P /run/hostapd.pid /run/hostapd.conf; udhcpd /run/neighbour.dhcp";

/// A line of shell that runs `line` in the neighbour's namespace.
fn beside(line: &str) -> String {
    let quoted = line.replace('\'', "'\\''");
    format!("{EXTRAS} x bin/nsenter -t $(cat /run/neighbour) -n sh -ec '{EXTRAS} {quoted}'")
}

/// What the access point has given the device.
fn address(device: &mut Device) -> String {
    let mut address = None;
    device.wait_for("the address", |device| {
        let console = device.console();
        let said = console.rsplit_once("wlan0 has the address ");
        // A line that is still being written may end in the middle of it.
        let whole = said.and_then(|(_, said)| said.split_once('\n'));
        address = whole.map(|(address, _)| address.trim().to_owned());
        address.is_some()
    });
    address.expect("waited for")
}

const PSK: &str = "wpa=2\nwpa_key_mgmt=WPA-PSK\nrsn_pairwise=CCMP\nwpa_passphrase=right secret\n";
const SAE: &str =
    "wpa=2\nwpa_key_mgmt=SAE\nrsn_pairwise=CCMP\nieee80211w=2\nsae_password=right secret\n";

#[test]
fn a_network_is_joined_again_whether_it_was_gone_or_the_radio() {
    let text = "[wifi]\ncountry = 'DE'\nssid = 'at home'\npassword = 'right secret'\n";
    let Some(card) = Card::with_config(text) else { return };
    let mut device = Device::start(&card);
    device.wait_for_shell();
    {
        let neighbour = AccessPoint::plug(&device);
        neighbour.on("at home", PSK);
    }
    device.wait_for_line("joined \"at home\"", 1);
    device.wait_for_line("wlan0 has the address 192.168.77.5", 1);
    // Packets go both ways, encrypted.
    let ping = format!("ping -c 3 -W 5 {}", address(&mut device));
    AccessPoint(&device).run(&ping);

    // The access point goes away, and comes back as one that wants WPA3.
    AccessPoint(&device).off();
    device.wait_for("it is gone", |device| {
        let carrier = device.shell("cat /sys/class/net/wlan0/carrier 2>/dev/null || echo 0");
        carrier.trim() == "0"
    });
    AccessPoint(&device).on("at home", SAE);
    device.wait_for_line("joined \"at home\"", 2);
    AccessPoint(&device).run(&ping);
    device.wait_for("the owner is told", |_| card.status().contains("Wi-Fi: joined “at home”."));
    assert!(card.status().contains("http://192.168.77.5"), "{}", card.status());

    // The radio is pulled, and plugged in again.
    let radio = device.shell("cat /sys/class/net/wlan0/phy80211/index");
    let set_netns = |whose: &str| format!("x sbin/iw phy#{} set netns {whose}", radio.trim());
    device.shell(&format!("{EXTRAS} {}", set_netns("$(cat /run/neighbour)")));
    device.wait_for_line("the Wi-Fi interface, wlan0, is gone", 1);
    AccessPoint(&device).run(&set_netns("1"));
    device.wait_for_line("joined \"at home\"", 3);
    device.wait_for("packets go both ways again", |d| d.try_shell(&beside(&ping)).is_ok());
    // It stays what it was: a camera.
    device.wait_for_pages();
}

#[test]
fn a_wrong_password_is_told_in_plain_words() {
    let text = "[wifi]\ncountry = 'DE'\nssid = 'at home'\npassword = 'wrong secret'\n";
    let Some(card) = Card::with_config(text) else { return };
    let mut device = Device::start(&card);
    device.wait_for_shell();
    AccessPoint::plug(&device).on("at home", PSK);
    device.wait_for("the owner is told", |_| {
        card.status().contains("the password of “at home” is wrong")
    });
    assert!(!device.console().contains("joined"), "{}", device.console());
}

/// What somebody with a telephone does beside a device without a network: reads its status, and
/// joins its network. Told on the console, as there is no other way out.
const GUEST: &str = r#"
say() { echo "guest: $*" > /dev/console; }
told() { tr -d '\r' < /boot/picket-status.txt | sed -n "s/^  $1  *//p"; }
until [ -n "$(told password)" ]; do sleep 1; done
printf 'network={\n ssid="%s"\n psk="%s"\n}\n' "$(told name)" "$(told password)" > /run/guest.conf
printf '#!/bin/sh\n[ "$1" != bound ] || ip addr add $ip/24 dev wlan1\n' > /run/guest.dhcp
chmod +x /run/guest.dhcp
ip link set wlan1 up
wpa_supplicant -B -P /run/guest.pid -D nl80211 -i wlan1 -c /run/guest.conf > /dev/null
udhcpc -i wlan1 -q -s /run/guest.dhcp > /dev/null 2>&1
say "has the address $(ip addr show dev wlan1 | sed -n 's/.* inet \([^/]*\).*/\1/p')"
"#;

/// What such a guest does then who wants the device in another network: asks it to join that, by the
/// request in `/run/wish`. Once the device has closed its own, there is that other one; there is one
/// radio for both.
const WISH: &str = r#"
# The line stays open: who closes it is taken for somebody who has left.
(cat /run/wish; sleep 1000000) | x bin/nc.openbsd 192.168.4.1 80 > /run/answer 2>&1 &
while ip link show dev wlan1 | grep -q LOWER_UP; do sleep 1; done
say "has lost the device, which said: $(cat /run/answer)"
kill "$(cat /run/guest.pid)"
ip addr flush dev wlan1
"#;

/// Has the device lose its cable beside somebody with a telephone, who does as told.
fn leave_it_to_a_guest(device: &mut Device, script: &str) {
    device.shell(&format!("cat > /run/guest.sh <<'TEXT'\n{EXTRAS}\n{script}\nTEXT"));
    AccessPoint(device).run("sh /run/guest.sh < /dev/null > /dev/null 2>&1 &");
    device.cable(false);
    device.wait_for_line("access point: the device's own network, Picket-", 1);
}

#[test]
fn without_a_cable_or_a_network_it_opens_one_of_its_own_that_lets_in_who_has_the_key() {
    let text = "[auth]\npassword = 'correct horse'\n[wifi]\ncountry = 'DE'\n";
    let Some(card) = Card::with_config(text) else { return };
    let mut device = Device::start(&card);
    device.wait_for_shell();
    AccessPoint::plug(&device);
    assert!(!card.status().contains("own network"), "a cable is enough");
    leave_it_to_a_guest(&mut device, GUEST);
    device.wait_for("the owner is told", |_| card.status().contains("http://192.168.4.1/"));
    device.wait_for_line("guest: has the address 192.168.4.", 1);
    // The cable's way is open again, beside that of who is in its network.
    device.cable(true);
    device.wait_for_pages();
}

#[test]
fn a_network_chosen_by_a_guest_is_joined_and_kept() {
    let text = "# Mine.\n[auth]\npassword = 'correct horse'\n[wifi]\ncountry = 'DE'\n";
    let Some(card) = Card::with_config(text) else { return };
    let mut device = Device::start(&card);
    device.wait_for_shell();
    AccessPoint::plug(&device).set_up("at home", PSK);
    let owner = device.sign_in("correct horse");
    let wish = r#"{"ssid": "at home", "password": "right secret"}"#;
    let head = format!(
        "PUT /api/v1/device/network HTTP/1.1\r\nHost: 192.168.4.1\r\n\
         Cookie: {owner}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        wish.len()
    );
    let head = head.replace('\r', "\\r").replace('\n', "\\n");
    device.shell(&format!("printf '{head}{wish}' > /run/wish"));
    leave_it_to_a_guest(&mut device, &format!("{GUEST}{WISH}{SWITCH_ON}"));
    device.wait_for_line("joining \"at home\", as its owner chose", 1);
    device.wait_for_line("joined \"at home\"", 1);
    device.wait_for_line("wlan0 has the address 192.168.77.5", 1);
    let config = || String::from_utf8(card.read("config.toml").unwrap_or_default()).expect("text");
    device.wait_for("it is kept", |_| config().contains("\"at home\""));
    assert!(config().contains("# Mine."), "{}", config());
}

/// Every program that the device runs from the steward's start on, with its arguments, as the
/// kernel is asked for it: the steward is ended under strace, and init starts another.
#[test]
fn nothing_in_config_toml_is_ever_run_as_a_command() {
    let hostile = "$(reboot) `reboot`; reboot |";
    let text = format!(
        "[auth]\npassword = '{hostile} \"{hostile}'\n[device]\nhostname = '{hostile}'\n\
         timezone = '{hostile}'\n[wifi]\ncountry = 'DE'\nssid = '{hostile}'\npassword = '{hostile}'\n\
         [network]\nntp = ['{hostile}', 'ntp.example']\n\
         [camera]\nsource = 'file:{hostile}'\noverlay = {{ text = '{hostile}' }}\n"
    );
    let Some(card) = Card::with_config(&text) else { return };
    let mut device = Device::start(&card);
    device.wait_for_shell();
    device.shell("mkdir -p /run/extras && mount -t squashfs -o ro /dev/vdb /run/extras");
    device.shell(&format!(
        "{EXTRAS} x bin/strace -f -q -s 400 -e trace=execve -o /run/execs -p 1 </dev/null >/dev/null 2>&1 & \
         echo $! > /run/strace"
    ));
    device.wait_for("strace looks on", |device| {
        device.shell("grep TracerPid /proc/1/status").trim() != "TracerPid:\t0"
    });
    // The radio comes while it looks on, so that it is seen being set up.
    device.shell(&format!("modprobe mac80211_hwsim radios=1; kill $({STEWARD})"));
    // Nobody answers at first: it is the steward that has to let one in again.
    let look = "cat /run/execs";
    let seen = |device: &Device| device.try_shell(look).unwrap_or_default();
    for program in [
        "\"steward\"",
        "\"run\"",
        "udhcpc",
        "default.script",
        "\"lease\"",
        "wpa_supplicant",
        "ntpd",
    ] {
        device.wait_for(program, |device| seen(device).contains(program));
    }
    let execs = seen(&device);
    // Looking into it runs a shell, too: that one is this test's.
    let own = format!("[\"sh\", \"-c\", \"{look}\"]");
    let run: Vec<&str> =
        execs.lines().filter(|line| line.contains("execve(") && !line.contains(&own)).collect();
    for line in &run {
        assert!(!line.contains("reboot"), "{line}");
        let (_, program) = line.split_once("execve(\"").expect("a call");
        let (program, arguments) = program.split_once('"').expect("a program");
        assert!(!program.ends_with("/sh") && !arguments.contains("\"-c\", \"$"), "{line}");
    }
    println!("{} programs were run, none of them a shell", run.len());
    assert!(!device.firmware().contains("restarts"), "{}", device.firmware());
}

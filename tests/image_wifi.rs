//! The appliance on the air: two radios that the kernel only pretends to have (`mac80211_hwsim`),
//! one for the device, and one, in a network namespace of its own, for an access point that is
//! really `hostapd`.
//!
//! `scripts/test-image` makes or finds the image and runs these; without one they say so.

mod common;

use common::device::{Card, Device};

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
            "{EXTRAS} x bin/unshare -n sleep 1000000 </dev/null >/dev/null 2>&1 & \
             echo $! > /run/neighbour"
        ));
        // The radio can be moved once the namespace is there.
        device.shell(&format!(
            "{EXTRAS} phy=$(cat /sys/class/net/wlan1/phy80211/name); n=0; \
             until x sbin/iw phy $phy set netns $(cat /run/neighbour); do \
             n=$((n + 1)); [ $n -lt 50 ]; sleep 0.2; done"
        ));
        Self(device)
    }

    /// Runs a line in the neighbour's namespace.
    fn run(&self, line: &str) -> String {
        let quoted = line.replace('\'', "'\\''");
        self.0.shell(&format!(
            "{EXTRAS} x bin/nsenter -t $(cat /run/neighbour) -n sh -c '{EXTRAS} {quoted}'"
        ))
    }

    /// Switches it on. `security` is what hostapd is to ask for.
    fn on(&self, ssid: &str, security: &str) {
        let conf = format!("interface=wlan1\nssid={ssid}\nhw_mode=g\nchannel=6\n{security}");
        self.0.shell(&format!("cat > /run/hostapd.conf <<'TEXT'\n{conf}\nTEXT"));
        self.0.shell(
            "cat > /run/neighbour.dhcp <<'TEXT'\ninterface wlan1\nstart 192.168.77.50\nend 192.168.77.60\n\
             opt router 192.168.77.1\nopt subnet 255.255.255.0\nlease_file /run/neighbour.leases\n\
             pidfile /run/neighbour.dhcp.pid\nTEXT\n: > /run/neighbour.leases",
        );
        self.run("ip link set wlan1 up; ip addr replace 192.168.77.1/24 dev wlan1; x sbin/hostapd -B -P /run/hostapd.pid /run/hostapd.conf; udhcpd /run/neighbour.dhcp");
    }

    fn off(&self) {
        self.run(
            "kill $(cat /run/hostapd.pid) $(cat /run/neighbour.dhcp.pid); ip link set wlan1 down",
        );
    }
}

const PSK: &str = "wpa=2\nwpa_key_mgmt=WPA-PSK\nrsn_pairwise=CCMP\nwpa_passphrase=right secret\n";
const SAE: &str =
    "wpa=2\nwpa_key_mgmt=SAE\nrsn_pairwise=CCMP\nieee80211w=2\nsae_password=right secret\n";

#[test]
fn a_network_is_joined_left_alone_and_joined_again() {
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
    AccessPoint(&device).run("ping -c 3 -W 5 192.168.77.50");

    // The access point goes away, and comes back as one that wants WPA3.
    AccessPoint(&device).off();
    device.wait_for("it is gone", |device| {
        let carrier = device.shell("cat /sys/class/net/wlan0/carrier 2>/dev/null || echo 0");
        carrier.trim() == "0"
    });
    AccessPoint(&device).on("at home", SAE);
    device.wait_for_line("joined \"at home\"", 2);
    AccessPoint(&device).run("ping -c 3 -W 5 192.168.77.50");
    device.wait_for("the owner is told", |_| card.status().contains("Radio: joined “at home”."));
    assert!(card.status().contains("http://192.168.77.5"), "{}", card.status());
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

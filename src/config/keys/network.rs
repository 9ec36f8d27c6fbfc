//! Rows for the network: the device on it, and what it serves there.

use super::{Key, Scope, Section, key};
use crate::config::shape::{
    ByPath, IceServerTable, List, Maybe, Parsed, Passphrase, Place, Switch, TlsTable, WebUrl,
    Whole, WifiTable, ZoneName,
};

pub(super) const SECTIONS: &[Section] = &[
    Section {
        name: "auth",
        scope: Scope::Everywhere,
        doc: "Who may sign in. It stands first because a file that is cut short, by a power \
              failure say, keeps what stands first. With nothing set, only the device itself may \
              watch, and others get just the page on which the owner sets a password. A mistake \
              here locks sign-in until it is mended; it never opens it.",
    },
    Section { name: "device", scope: Scope::Everywhere, doc: "The device itself." },
    Section {
        name: "wifi",
        scope: Scope::Image,
        doc: "The wireless network to join. A cable needs nothing.",
    },
    Section { name: "network", scope: Scope::Image, doc: "The device's address." },
    Section {
        name: "http",
        scope: Scope::Everywhere,
        doc: "The web server: pages, signalling and API.",
    },
    Section {
        name: "webrtc",
        scope: Scope::Everywhere,
        doc: "How pictures reach viewers. In one's own network the defaults are enough.",
    },
    Section {
        name: "site",
        scope: Scope::Everywhere,
        doc: "The files the pages are made of. They are part of the program, and served from it; to \
              change them, name a folder for copies that can be edited.",
    },
];

pub(super) fn keys() -> Vec<Key> {
    [device(), http(), webrtc(), site()].into_iter().flatten().collect()
}

fn device() -> Vec<Key> {
    vec![
        key!(
            "device.hostname",
            device.hostname,
            Parsed("a name of 1 to 63 letters, digits and inner hyphens"),
            "The device's name. On the image it is found at `NAME.local`; elsewhere by the name that \
             its system has. Two devices need two names: the second to come is found at \
             `NAME-2.local`, as its `picket-status.txt` says."
        ),
        key!(
            "device.timezone",
            device.timezone,
            ZoneName,
            "The time zone of the clock in the picture, by its IANA name; `Etc/GMT-2` is two hours \
             ahead of UTC."
        ),
        key!(
            "device.factory_reset",
            device.factory_reset,
            Switch,
            "Only on the image: `true` makes the device forget all it has kept, at its next start, \
             and takes this line out of the file. What else stands in the file stays. Holding \
             the button for 20 seconds does the same and puts this file back as it was shipped, \
             too."
        ),
        key!(
            "wifi.country",
            wifi.country,
            Maybe(Parsed("the two capital letters of a country, such as \"DE\"")),
            "Where the device stands. It decides which channels are lawful; without it only those \
             allowed everywhere are used, and a network on another channel is not found."
        )
        .example("\"DE\""),
        key!(
            "wifi.ssid",
            wifi.ssid,
            Maybe(Parsed("a network's name of 1 to 32 bytes")),
            "The network's name. With none here and no cable plugged, the device opens one of its \
             own, in which its page lets one choose; `picket-status.txt` says how to get in."
        )
        .example("\"my network\""),
        key!(
            "wifi.password",
            wifi.password,
            Maybe(Passphrase),
            "The network's password. Leave it out for an open network. On the device only the \
             part that joins networks can read it; the camera's own program cannot."
        )
        .example("\"its passphrase\""),
        key!(
            "wifi.hidden",
            wifi.hidden,
            Switch,
            "Whether the network does not announce its name. The device then calls for it aloud, \
             which takes longer and lets everyone in reach know the name."
        ),
        key!(
            "wifi.networks",
            wifi.networks,
            List(WifiTable),
            "Further networks, for a device that moves or a house that has several: \
             `[{ ssid = \"garden\", password = \"its passphrase\" }]`. Of those in reach, the \
             first in this file is joined."
        ),
        key!(
            "network.address",
            network.address,
            Parsed("\"dhcp\" or an address with its prefix, such as \"192.168.1.20/24\""),
            "Where the address comes from. With a static one, set `gateway` and `dns` too, or the \
             device reaches only its own network. It is the address of the wireless network where \
             `[wifi]` names one, as it does once one was chosen on the page, else of the cable; \
             the other uses DHCP."
        ),
        key!(
            "network.gateway",
            network.gateway,
            Maybe(Parsed("an IP address")),
            "The router, beside a static address."
        )
        .example("\"192.168.1.1\""),
        key!(
            "network.dns",
            network.dns,
            List(Parsed("an IP address")),
            "Name servers. Empty: those DHCP names."
        ),
        key!(
            "network.ntp",
            network.ntp,
            List(Parsed("a host name or an IP address")),
            "Time servers. The Pi has no clock of its own: without one of these, its time begins \
             at the day its image was built, and the clock in the picture is wrong. `[]` asks \
             nobody."
        ),
    ]
}

fn http() -> Vec<Key> {
    vec![
        key!(
            "http.listen",
            http.listen,
            Parsed("an address with its port, such as \"0.0.0.0:8000\" or \"[::]:8000\""),
            "Where the web server listens. The default is reached from the device itself only; \
             `0.0.0.0:8000` is every IPv4 network it is on, `[::]:8000` IPv6 as well. A value \
             that cannot be read leaves it at the default; one that cannot be had, because the port \
             is taken, say, is replaced by another port of the same address, or by one that is \
             reached from the device itself only, until it can be."
        ),
        key!(
            "http.tls",
            http.tls,
            Maybe(TlsTable),
            "Serves HTTPS instead of HTTP. Without it a password crosses the network in the \
             clear, so a mistake here locks sign-in. This version does not serve HTTPS yet: where \
             this is set, sign-in is locked, so that no password crosses it unencrypted."
        )
        .guard()
        .example("{ cert = \"/etc/picket/cert.pem\", key = \"/etc/picket/key.pem\" }"),
        key!(
            "http.allowed_hosts",
            http.allowed_hosts,
            List(Parsed("a host name or an IP address, without port")),
            "Further names under which browsers may ask for the pages, such as that of a reverse \
             proxy, whatever its port. The device's own names and addresses always may. Other names are refused, \
             because a foreign page can point a name of its own at the device (DNS rebinding)."
        ),
        key!(
            "http.trusted_proxies",
            http.trusted_proxies,
            List(Parsed("an IP address or a range such as \"10.0.0.0/8\"")),
            "Reverse proxies that are trusted to say who the visitor is: the visitor's address, for \
             the limit on sign-ins and the log; whether the visitor came by HTTPS; the host name \
             and the path. They tell it in `X-Forwarded-For`, `-Proto`, `-Host` and `-Prefix`, or in \
             `Forwarded`. Name only proxies that write these themselves: one that passes on what \
             visitors wrote lets them choose who they are."
        ),
        key!(
            "http.cors",
            http.cors,
            List(Parsed("an exact origin such as \"https://cams.example\"; \"*\" is not allowed")),
            "Pages of other sites that may use the API. A page listed here can do whatever the \
             visitor who opens it may do."
        ),
        key!(
            "http.frame_ancestors",
            http.frame_ancestors,
            List(Parsed(
                "an origin such as \"https://home.example\", \"https://*.home.example\" or \
                 \"http://10.0.0.2:*\", or \"'self'\"; \"*\" is not allowed"
            )),
            "Pages of other sites that may show the player in a frame, and the snapshot and MJPEG \
             as an image. Such a page can have visitors click something they cannot see. A browser \
             that has signed in is known inside another site's page only where both have the \
             same host name."
        ),
        key!(
            "http.token_in_url",
            http.token_in_url,
            Switch,
            "Whether programs that can send nothing but an address may show their token in it, for \
             still pictures and MJPEG: `/snapshot.jpg?token=TOKEN`. Addresses stay in histories and \
             in the logs of proxies: give such a program a token of its own."
        ),
        key!(
            "http.mounts",
            http.mounts,
            ByPath(Place("a folder")),
            "Folders to serve as they are, by path: `{ \"/clips\" = \"/data/clips\" }`. Whoever \
             may watch may read them."
        ),
        key!(
            "http.pages",
            http.pages,
            ByPath(Parsed("a template below `templates`, such as \"garden.html\"")),
            "Further pages, by path: `{ \"/garden\" = \"garden.html\" }`, a file in `templates/` below \
             `site.data_location`."
        ),
        key!(
            "http.max_connections",
            http.max_connections,
            Whole(1, 65_535),
            "Most connections at once. Each costs memory while it is open. Watching over WebRTC \
             needs none after it has begun; MJPEG keeps one."
        ),
        key!(
            "http.max_connections_per_address",
            http.max_connections_per_address,
            Whole(1, 65_535),
            "Most connections at once from one address, or one network of IPv6 (a /64), so that one \
             visitor cannot take them all. It does not hold for this machine itself and for \
             http.trusted_proxies, which are many visitors behind one address."
        ),
    ]
}

fn webrtc() -> Vec<Key> {
    vec![
        key!(
            "webrtc.udp_port",
            webrtc.udp_port,
            Whole(0, 65_535),
            "The one UDP port for all viewers: the one to open in a firewall. 0 takes any that is \
             free, another at each start; so does one that cannot be had, which the log then says."
        ),
        key!(
            "webrtc.announce",
            webrtc.announce,
            List(Parsed("an IP address")),
            "Further addresses under which viewers reach that port, such as the public one of a \
             router that forwards it."
        ),
        key!(
            "webrtc.ice_servers",
            webrtc.ice_servers,
            List(IceServerTable),
            "Servers that help viewers behind routers: `{ urls = \"stun:stun.example.org:3478\" \
             }`, or a relay, `{ urls = \"turn:turn.example.org\", username = \"cam\", credential = \
             \"secret\" }`. STUN costs nothing; through TURN each viewer's stream passes the relay \
             and is delayed by the way there. Viewers get the credentials too, or they could not \
             use the relay. A change holds for new viewers."
        )
        .live(),
        key!("webrtc.ipv6", webrtc.ipv6, Switch, "Whether viewers may come over IPv6."),
        key!(
            "webrtc.tcp",
            webrtc.tcp,
            Switch,
            "Whether viewers may come over TCP, on the same port number, where a firewall lets no \
             UDP through (ICE-TCP, RFC 6544). A lost packet then holds up all that follow: the \
             picture lags where it would otherwise blur. UDP is used wherever it gets through."
        ),
    ]
}

fn site() -> Vec<Key> {
    vec![
        key!(
            "site.data_location",
            site.data_location,
            Maybe(Place("a folder")),
            "The folder of the data-files (`templates/`, `static/`). It must be writable: those that \
             are missing in it are written there at the start, and those that are there are used as \
             they are. Who is signed in is kept there, too. Unset, the built-in files are served, and \
             sign-ins are kept in the folder that the system gives the service, if it does."
        )
        .example("\"/data/site\""),
        key!(
            "site.overwrite_default_files",
            site.overwrite_default_files,
            Switch,
            "Writes the files Picket brought anew at every start, which undoes edits in them. \
             Files of your own are never touched."
        ),
        key!(
            "site.download_url",
            site.download_url,
            Maybe(WebUrl("a URL such as \"https://files.example/site.tar.gz\"")),
            "Where missing data-files are fetched, instead of the built-in ones. Needs \
             `download_sha256` and `data_location`. Until it has come, and when the download fails, \
             the built-in files are used."
        )
        .example("\"https://files.example/site.tar.gz\""),
        key!(
            "site.download_sha256",
            site.download_sha256,
            Maybe(Parsed("a SHA-256 checksum: 64 hexadecimal digits")),
            "Checksum of the download; a file with another one is thrown away."
        )
        .example("\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\""),
    ]
}

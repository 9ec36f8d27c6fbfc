//! Rows for the network: the device on it, and what it serves there.

use super::key::{Key, Scope, Section, key};
use crate::config::shape::{
    Boolean, FilePath, IceServerTable, Integer, List, Optional, OrAuto, Parsed, Passphrase,
    PathMap, TlsSource, WebUrl, WifiTable, ZoneName,
};

pub(super) const SECTIONS: &[Section] = &[
    Section {
        name: "auth",
        scope: Scope::Everywhere,
        doc: "Who may sign in. This section stands first because a file that is cut short, by a \
              power failure for example, keeps its beginning. With nothing set, only the device \
              itself may watch, and everyone else gets just the page on which the owner sets a \
              password. A mistake here locks sign-in until it is fixed; it never opens it.",
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
        doc: "How pictures reach viewers. In your own network the defaults are enough.",
    },
    Section {
        name: "site",
        scope: Scope::Everywhere,
        doc: "The files the pages are made of. They are part of the program and served from it; to \
              change them, name a folder for copies that you can edit.",
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
            "The device's name. On the image it is found at `NAME.local`; elsewhere by the name of \
             the system it runs on. Two devices need two names: the second one to start is found \
             at `NAME-2.local`, as its `picket-status.txt` says."
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
            Boolean,
            "Only on the image: `true` makes the device forget everything it has stored, at its \
             next start, and removes this line from the file. The rest of the file stays. Holding \
             the button for 20 seconds does the same and also resets this file to what it was when \
             shipped."
        ),
        key!(
            "wifi.country",
            wifi.country,
            Optional(Parsed("the two capital letters of a country, such as \"DE\"")),
            "The country the device is in. It decides which radio channels are legal; without it, \
             only those allowed everywhere are used, and a network on another channel is not \
             found."
        )
        .example("\"DE\""),
        key!(
            "wifi.ssid",
            wifi.ssid,
            Optional(Parsed("a network's name of 1 to 32 bytes")),
            "The network's name. Without one here and without a cable, the device opens a network \
             of its own, where a network can be chosen on its page; `picket-status.txt` says how \
             to join it."
        )
        .example("\"my network\""),
        key!(
            "wifi.password",
            wifi.password,
            Optional(Passphrase),
            "The network's password. Leave it out for an open network. On the device only the \
             part that joins networks can read it; the camera's own program cannot."
        )
        .example("\"its passphrase\""),
        key!(
            "wifi.hidden",
            wifi.hidden,
            Boolean,
            "Whether the network does not announce its name. The device then asks for it by name, \
             which takes longer and tells the name to everyone in range."
        ),
        key!(
            "wifi.networks",
            wifi.networks,
            List(WifiTable),
            "Further networks, for a device that moves or a house that has several: `[{ ssid = \
             \"garden\", password = \"its passphrase\" }]`. Of those in range, the first in this \
             file is joined."
        ),
        key!(
            "network.address",
            network.address,
            Parsed("\"dhcp\" or an address with its prefix, such as \"192.168.1.20/24\""),
            "Where the address comes from. With a static one, set `gateway` and `dns` too, or the \
             device reaches only its own network. It is used on the wireless network if `[wifi]` \
             names one, as it does once one was chosen on the page, otherwise on the cable; the \
             other of the two uses DHCP."
        ),
        key!(
            "network.gateway",
            network.gateway,
            Optional(Parsed("an IP address")),
            "The router, needed with a static address."
        )
        .example("\"192.168.1.1\""),
        key!(
            "network.dns",
            network.dns,
            List(Parsed("an IP address")),
            "Name servers. Empty: the ones that DHCP gives."
        ),
        key!(
            "network.ntp",
            network.ntp,
            List(Parsed("a host name or an IP address")),
            "Time servers. The Pi has no clock of its own: without one of these, its time starts \
             on the day its image was built, and the clock in the picture is wrong. `[]` uses \
             none."
        ),
    ]
}

fn http() -> Vec<Key> {
    vec![
        key!(
            "http.listen",
            http.listen,
            Parsed("an address with its port, such as \"0.0.0.0:8000\" or \"[::]:8000\""),
            "Where the web server listens. The default can be reached from the device itself only; \
             `0.0.0.0:8000` is every IPv4 network it is on, `[::]:8000` IPv6 as well. A value that \
             cannot be read leaves it at the default; an address that is not available, for \
             example because the port is taken, is replaced by another port of the same address, \
             or by one that can be reached from the device itself only, until it is available."
        ),
        key!(
            "http.tls",
            http.tls,
            TlsSource,
            "HTTPS, beside HTTP: a browser lets only a secure page use the microphone, and a password \
             cannot be read on its way. `auto` makes a certificate for the device's names and \
             addresses; each browser warns of it until it is told to trust the device, which the page \
             `/secure` explains. With a certificate of your own, `{ cert = \"…\", key = \"…\" }` \
             names its files, which are read again when they change; while they cannot be used, the \
             certificate of `auto` is shown. For a domain of your own, `{ acme = \"cam.example.org\", \
             dns_server = \"…\", dns_key = \"…\" }` gets a certificate from Let's Encrypt that every \
             browser knows, and renews it; docs/http.md says how. A value that cannot be read locks \
             sign-in, so that no password crosses the network in the clear."
        )
        .guard(),
        key!(
            "http.tls_listen",
            http.tls_listen,
            OrAuto(Parsed("an address with its port, such as \"0.0.0.0:8443\" or \"[::]:443\"")),
            "Where it listens for HTTPS. `auto` is the address of `listen`, with port 443 if that \
             has port 80, and 8443 otherwise."
        ),
        key!(
            "http.redirect_to_https",
            http.redirect_to_https,
            Boolean,
            "Whether whoever comes by HTTP, from another machine, is sent on to HTTPS. Programs that \
             do not follow such an answer, or do not trust the certificate, then get nothing. Only \
             `/secure` and the certificate itself stay, so that browsers can be told to trust it."
        ),
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
            "Reverse proxies that are trusted to say who the visitor is: the visitor's address, \
             for the limit on sign-ins and the log; whether the visitor came by HTTPS; the host \
             name and the path. They say so in `X-Forwarded-For`, `-Proto`, `-Host` and `-Prefix`, \
             or in `Forwarded`. Name only proxies that write these headers themselves: one that \
             passes on what visitors sent lets them choose who they are."
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
             as an image. Such a page can make visitors click on something they cannot see. A \
             browser that has signed in is known inside another site's page only where both have \
             the same host name."
        ),
        key!(
            "http.token_in_url",
            http.token_in_url,
            Boolean,
            "Whether programs that can send nothing but a URL may put their token in it, for still \
             pictures and MJPEG: `/snapshot.jpg?token=TOKEN`. URLs stay in browser histories and \
             in the logs of proxies: give such a program a token of its own."
        ),
        key!(
            "http.mounts",
            http.mounts,
            PathMap(FilePath("a folder")),
            "Folders to serve as they are, by path: `{ \"/clips\" = \"/data/clips\" }`. Everyone \
             who may watch may read them."
        ),
        key!(
            "http.pages",
            http.pages,
            PathMap(Parsed("a template below `templates`, such as \"garden.html\"")),
            "Further pages, by path: `{ \"/garden\" = \"garden.html\" }`, a file in `templates/` below \
             `site.data_location`."
        ),
        key!(
            "http.max_connections",
            http.max_connections,
            Integer(1, 65_535),
            "The most connections at once. Each takes memory while it is open. Watching over \
             WebRTC needs none after it has begun; MJPEG and `/api/v1/events` keep one."
        ),
        key!(
            "http.max_connections_per_address",
            http.max_connections_per_address,
            Integer(1, 65_535),
            "The most connections at once from one address, or one IPv6 network (a /64), so that \
             one visitor cannot take them all. It does not apply to this machine itself and to \
             http.trusted_proxies, which are many visitors behind one address."
        ),
    ]
}

fn webrtc() -> Vec<Key> {
    vec![
        key!(
            "webrtc.udp_port",
            webrtc.udp_port,
            Integer(0, 65_535),
            "The one UDP port for all viewers: the one to open in a firewall. 0 takes any free \
             port, a different one at each start; so does a port that is not available, and the \
             log says so."
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
             \"secret\" }`. STUN costs nothing; through TURN each viewer's stream passes through \
             the relay and is delayed by the detour. Viewers are given the credentials too, or \
             they could not use the relay. A change applies to new viewers."
        )
        .live(),
        key!("webrtc.ipv6", webrtc.ipv6, Boolean, "Whether viewers may come over IPv6."),
        key!(
            "webrtc.tcp",
            webrtc.tcp,
            Boolean,
            "Whether viewers may come over TCP, on the same port number, where a firewall lets no \
             UDP through (ICE-TCP, RFC 6544). A lost packet then delays all that follow: the \
             picture lags where it would otherwise blur. UDP is used wherever it gets through."
        ),
    ]
}

fn site() -> Vec<Key> {
    vec![
        key!(
            "site.data_location",
            site.data_location,
            Optional(FilePath("a folder")),
            "The folder of the data-files (`templates/`, `static/`). It must be writable: files \
             that are missing in it are written there at the start, and files that are there are \
             used as they are. Who is signed in is stored there, too. Unset, the built-in files \
             are served, and sign-ins are stored in the folder that the system gives the service, \
             if there is one."
        )
        .example("\"/data/site\""),
        key!(
            "site.overwrite_default_files",
            site.overwrite_default_files,
            Boolean,
            "Writes Picket's own files again at every start, which undoes edits in them. Files of \
             your own are never touched."
        ),
        key!(
            "site.download_url",
            site.download_url,
            Optional(WebUrl("a URL such as \"https://files.example/site.tar.gz\"")),
            "Where missing data-files are downloaded from, instead of the built-in ones. Needs \
             `download_sha256` and `data_location`. Until the download is complete, and if it \
             fails, the built-in files are used."
        )
        .example("\"https://files.example/site.tar.gz\""),
        key!(
            "site.download_sha256",
            site.download_sha256,
            Optional(Parsed("a SHA-256 checksum: 64 hexadecimal digits")),
            "Checksum of the download; a file with a different one is discarded."
        )
        .example("\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\""),
    ]
}

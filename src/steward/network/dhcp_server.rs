//! udhcpd, which gives addresses to the stations of the device's own access point.

use std::io;
use std::path::Path;

use super::links::Link;
use crate::appliance::ACCESS_POINT_ADDRESS;
use crate::steward::process;
use crate::steward::supervised_process::SupervisedProcess;

/// Starts the server on `link`, with its files in `runtime_dir`. It offers no router: telephones
/// then keep using their own for the Internet.
///
/// # Errors
/// When its files cannot be written.
pub(super) fn start(link: &Link, runtime_dir: &Path) -> io::Result<SupervisedProcess> {
    let [a, b, c, _] = ACCESS_POINT_ADDRESS.0.octets();
    let run = runtime_dir.display();
    let conf = format!(
        "start {a}.{b}.{c}.10\nend {a}.{b}.{c}.99\ninterface {}\nlease_file {run}/udhcpd.leases\n\
         pidfile {run}/udhcpd.pid\noption subnet 255.255.255.0\noption lease 600\n",
        link.name
    );
    let file = runtime_dir.join("udhcpd.conf");
    std::fs::write(&file, conf)?;
    // udhcpd complains about a lease file that does not exist yet.
    let leases = runtime_dir.join("udhcpd.leases");
    std::fs::File::options().create(true).append(true).open(leases)?;
    Ok(SupervisedProcess::start("udhcpd", move || {
        let mut command = process::command("udhcpd");
        command.arg("-f").arg(&file);
        command
    }))
}

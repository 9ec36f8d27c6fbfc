//! Records put into the DNS by an update of the zone (RFC 2136), signed (TSIG, RFC 8945).

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64ct::{Base64, Encoding};
use hickory_proto::op::{Message, Query, ResponseCode, update_message};
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::rdata::tsig::TsigAlgorithm;
use hickory_proto::rr::{Name, RData, Record, RecordSet, RecordType, TSigner};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Change, TxtRecord};
use crate::config::{HostAndPort, TsigAlgorithm as Algorithm, TsigKey};

/// Of the DNS.
const PORT: u16 = 53;

/// For a question and its answer.
const TIMEOUT: Duration = Duration::from_secs(15);

/// How far the clocks of camera and server may be apart, in seconds (RFC 8945 §10).
const FUDGE: u16 = 300;

/// How long the record is kept by who has asked for it, in seconds.
const TTL: u32 = 60;

/// Changes a record at the zone's server.
pub(super) async fn send(
    server: &HostAndPort,
    key: &TsigKey,
    change: Change,
    record: &TxtRecord,
) -> Result<(), String> {
    let all = async {
        let address = resolve(server.as_str()).await?;
        let name = Name::from_str(&record.name).map_err(|e| format!("{}: {e}", record.name))?;
        let zone = zone_of(address, &name).await?;
        let text = RData::TXT(TXT::new(vec![record.value.clone()]));
        let set = RecordSet::from(Record::from_rdata(name, TTL, text));
        let mut message = match change {
            Change::Add => update_message::append(set, zone.clone(), false, false),
            Change::Remove => update_message::delete_by_rdata(set, zone.clone(), false),
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let signer = signer(key)?;
        let verifier = message.finalize(&signer, now).map_err(|e| e.to_string())?;
        let answer = exchange(address, &message).await?;
        // Anybody on the way could say that it was done.
        let verified = match verifier {
            Some(mut verifier) => verifier.verify(&answer).map(drop).map_err(|e| e.to_string()),
            None => Ok(()),
        };
        let code = read(&answer)?.response_code;
        match (code, verified) {
            (ResponseCode::NoError, Ok(())) => Ok(()),
            (ResponseCode::NoError, Err(why)) => {
                Err(format!("its answer is not signed well: {why}"))
            }
            (code, _) => Err(format!("it refuses to change {zone}: {code}")),
        }
    };
    let done = tokio::time::timeout(TIMEOUT, all).await;
    let done = done.unwrap_or_else(|_| Err("it has not answered".into()));
    done.map_err(|why| format!("the DNS server {server}: {why}"))
}

async fn resolve(server: &str) -> Result<SocketAddr, String> {
    let has_port = server.rsplit_once(':').is_some_and(|(host, port)| {
        port.parse::<u16>().is_ok() && (!host.contains(':') || host.ends_with(']'))
    });
    let server = if has_port { server.to_owned() } else { format!("{server}:{PORT}") };
    let mut found = tokio::net::lookup_host(server).await.map_err(|error| error.to_string())?;
    found.next().ok_or_else(|| "it has no address".to_owned())
}

fn signer(key: &TsigKey) -> Result<TSigner, String> {
    let algorithm = match key.algorithm {
        Algorithm::HmacSha256 => TsigAlgorithm::HmacSha256,
        Algorithm::HmacSha384 => TsigAlgorithm::HmacSha384,
        Algorithm::HmacSha512 => TsigAlgorithm::HmacSha512,
    };
    let secret = Base64::decode_vec(key.secret.expose()).map_err(|_| "the key is no Base64")?;
    let name = Name::from_str(&key.name).map_err(|error| error.to_string())?;
    TSigner::new(secret, algorithm, name, FUDGE).map_err(|error| error.to_string())
}

/// The zone that a name is in: the nearest above it that the server has.
async fn zone_of(server: SocketAddr, name: &Name) -> Result<Name, String> {
    let mut zone = name.clone();
    while !zone.is_root() {
        let mut question = Message::query();
        question.add_query(Query::query(zone.clone(), RecordType::SOA));
        let answer = read(&exchange(server, &question).await?)?;
        let has = answer
            .answers
            .iter()
            .any(|record| record.record_type() == RecordType::SOA && record.name == zone);
        if has {
            return Ok(zone);
        }
        zone = zone.base_name();
    }
    Err(format!("it has no zone for {name}"))
}

fn read(answer: &[u8]) -> Result<Message, String> {
    Message::from_vec(answer).map_err(|error| format!("its answer cannot be read: {error}"))
}

/// Sends a message by TCP (RFC 1035 §4.2.2), and waits for the answer to it.
async fn exchange(server: SocketAddr, message: &Message) -> Result<Vec<u8>, String> {
    let bytes = message.to_vec().map_err(|error| error.to_string())?;
    let length = u16::try_from(bytes.len()).map_err(|_| "the message is too long")?;
    let exchanged = async {
        let mut stream = TcpStream::connect(server).await?;
        stream.write_all(&[&length.to_be_bytes(), &bytes[..]].concat()).await?;
        let mut answer = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = exchanged.await.map_err(|error| error.to_string())?;
    if answer.get(..2) != Some(&message.id.to_be_bytes()) {
        return Err("its answer is to another question".into());
    }
    Ok(answer)
}

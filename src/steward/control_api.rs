//! What the daemon can have done over the control socket: each request, and what the steward does
//! about it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::boot_partition::BootPartition;
use super::control_socket::{Client, RequestHandler};
use super::device_state::DeviceState;
use super::network::NetworkRequest;
use super::reboot::BootTarget;
use super::shutdown::Shutdown;
use super::unix_user::UnixUser;
use super::update::Updater;
use super::{config_file, log_buffer, sanitize, startup};
use crate::appliance::{StewardReply, StewardRequest};
use crate::config::Hostname;

/// How long the steward goes on after a request to restart, so that the reply gets out.
const REPLY_TIME: Duration = Duration::from_secs(1);

/// Carries out requests.
pub(super) struct ControlApi {
    pub(super) boot: BootPartition,
    pub(super) device_state: DeviceState,
    pub(super) updater: Arc<Updater>,
    pub(super) network: mpsc::Sender<NetworkRequest>,
    pub(super) shutdown: mpsc::Sender<Shutdown>,
    pub(super) user: UnixUser,
}

impl ControlApi {
    /// Passes a request on to the network, and waits for its reply.
    async fn ask_network<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, String>>) -> NetworkRequest,
    ) -> Result<T, String> {
        let (reply, replied) = oneshot::channel();
        let not_ready = || "the network is not ready yet; try again in a moment".to_owned();
        self.network.send(request(reply)).await.map_err(|_| not_ready())?;
        replied.await.map_err(|_| not_ready())?
    }

    /// Ends the steward, unless an update is being installed.
    fn shut_down_if_idle(&self, shutdown: Shutdown) -> Result<StewardReply, String> {
        if self.updater.is_installing() {
            return Err("an update is being installed; the device restarts by itself then".into());
        }
        Ok(self.shut_down(shutdown))
    }

    /// Ends the steward after the reply to this request.
    fn shut_down(&self, shutdown: Shutdown) -> StewardReply {
        let sender = self.shutdown.clone();
        tokio::spawn(async move {
            tokio::time::sleep(REPLY_TIME).await;
            let _ = sender.send(shutdown).await;
        });
        StewardReply::Done
    }
}

impl RequestHandler for ControlApi {
    async fn handle(
        &self,
        request: StewardRequest,
        client: &mut Client,
    ) -> Result<StewardReply, String> {
        match request {
            StewardRequest::Status => Ok(StewardReply::Status(Box::new(self.device_state.get()))),
            StewardRequest::Report(camera) => {
                self.device_state.update(|status| status.camera = sanitize::camera_report(&camera));
                Ok(StewardReply::Done)
            }
            StewardRequest::FoundAs { name } => {
                let name: Hostname = name.parse().map_err(|_| "not a valid host name")?;
                self.device_state.update(|status| status.found_as = Some(name.to_string()));
                Ok(StewardReply::Done)
            }
            StewardRequest::Https(https) => {
                self.device_state.update(|status| status.https = Some(sanitize::https(&https)));
                Ok(StewardReply::Done)
            }
            StewardRequest::KeepPassword { hash } => {
                let hash = hash.parse().map_err(|_| "not a password hash")?;
                config_file::set_password(&self.boot, &hash).map_err(|e| e.to_string())?;
                startup::write_daemon_config(&self.boot, self.user).map_err(|e| e.to_string())?;
                self.device_state.update(|status| status.password_set = true);
                Ok(StewardReply::Done)
            }
            StewardRequest::Networks => {
                let networks = self.ask_network(NetworkRequest::Networks).await?;
                Ok(StewardReply::Networks { networks })
            }
            StewardRequest::Join(join) => {
                self.ask_network(|reply| NetworkRequest::Join(join, reply)).await?;
                Ok(StewardReply::Done)
            }
            StewardRequest::Install { length } => {
                self.updater.install(length, client).await?;
                Ok(self.shut_down(Shutdown::Reboot(BootTarget::Tryboot)))
            }
            StewardRequest::Restart => {
                self.shut_down_if_idle(Shutdown::Reboot(BootTarget::Default))
            }
            StewardRequest::Reset => self.shut_down_if_idle(Shutdown::FactoryReset),
            StewardRequest::Log => Ok(StewardReply::Log { lines: log_buffer::lines() }),
            StewardRequest::Lease(lease) if client.is_root => {
                let sent = self.network.send(NetworkRequest::Lease(lease)).await;
                sent.map(|()| StewardReply::Done).map_err(|_| "the network has ended".into())
            }
            StewardRequest::Lease(_) => Err("only root may report a DHCP lease".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appliance::DeviceStatus;
    use crate::steward::sd_card::SdCard;
    use tokio::sync::Mutex;

    #[tokio::test(start_paused = true)]
    async fn while_an_update_is_installed_the_device_is_not_restarted() {
        let folder = tempfile::tempdir().unwrap();
        let boot = BootPartition::at_directory(folder.path());
        let device_state = DeviceState::new(DeviceStatus::default());
        let updater = Arc::new(Updater {
            card: SdCard::without_partitions(),
            boot: boot.clone(),
            device_state: device_state.clone(),
            state_dir: None,
            runtime_dir: folder.path().into(),
            install_lock: Mutex::new(()),
        });
        let ((network, _), (shutdown, mut shutdowns)) = (mpsc::channel(1), mpsc::channel(1));
        let user = UnixUser { uid: 500, gid: 500 };
        let updates = updater.clone();
        let api = ControlApi { boot, device_state, updater, network, shutdown, user };

        let installing = updates.install_lock.lock().await;
        for shutdown in [Shutdown::Reboot(BootTarget::Default), Shutdown::FactoryReset] {
            let refused = api.shut_down_if_idle(shutdown).unwrap_err();
            assert!(refused.contains("being installed"), "{refused}");
        }
        drop(installing);
        assert_eq!(api.shut_down_if_idle(Shutdown::FactoryReset), Ok(StewardReply::Done));
        assert_eq!(shutdowns.recv().await, Some(Shutdown::FactoryReset));
    }
}

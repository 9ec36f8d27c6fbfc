use super::*;

#[tokio::test(start_paused = true)]
async fn while_an_update_is_installed_the_device_is_not_restarted() {
    let folder = tempfile::tempdir().unwrap();
    let owner = Owner::folder(folder.path());
    let notices = Notices::new(DeviceStatus::default());
    let updates = Arc::new(Updates {
        card: Card::bare(),
        owner: owner.clone(),
        notices: notices.clone(),
        keeps: None,
        run: folder.path().into(),
        busy: Mutex::new(()),
    });
    let ((asks, _), (end, mut ends)) = (mpsc::channel(1), mpsc::channel(1));
    let desk = Desk { owner, notices, updates: updates.clone(), asks, end, ids: (500, 500) };

    let installing = updates.busy.lock().await;
    for end in [End::Restart(Next::Kept), End::Reset] {
        let refused = desk.end_if_idle(end).unwrap_err();
        assert!(refused.contains("being installed"), "{refused}");
    }
    drop(installing);
    assert_eq!(desk.end_if_idle(End::Reset), Ok(Reply::Done));
    assert_eq!(ends.recv().await, Some(End::Reset));
}

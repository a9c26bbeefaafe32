//! What systemd is told: ready, reloading, stopping, alive.

use std::time::Duration;

use sd_notify::NotifyState;

/// The daemon answers on all its addresses.
pub(super) fn ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// A reload has begun; it ends with [`ready`].
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(_) => notify(&[NotifyState::Reloading]),
    }
}

/// The daemon drains.
pub(super) fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// The daemon is alive, and how it is; to be said more often than [`watchdog_interval`].
pub(super) fn alive(status: &str) {
    notify(&[NotifyState::Watchdog, NotifyState::Status(status)]);
}

/// How often systemd wants to hear that the daemon is alive; nothing where it does not.
#[must_use]
pub(super) fn watchdog_interval() -> Option<Duration> {
    // Twice as often as asked, as systemd advises.
    sd_notify::watchdog_enabled().map(|interval| interval / 2)
}

fn notify(states: &[NotifyState<'_>]) {
    // Without systemd there is nobody to tell, and nothing to do about it.
    let _ = sd_notify::notify(states);
}

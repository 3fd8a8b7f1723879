//! What is known of the sessions before the first bar.

use super::History;
use crate::pattern::MinuteVolumes;
use crate::pattern::days::Day;

impl History {
    /// Tells of a finished session before all that were seen; false if bars were, and nothing is changed.
    pub fn know(&mut self, day: Day) -> bool {
        if !self.window.is_empty() {
            return false;
        }
        if let Some(volumes) = &mut self.volumes {
            volumes.know(&day, self.now.range.days());
        }
        self.now.range.know(day);
        self.base.range.know(day);
        if let Some(longer) = &mut self.longer {
            longer.know(day);
        }
        true
    }

    /// What the minutes of other sessions traded; `None` if no pattern that is on asks for it.
    #[must_use]
    pub fn volumes(&self) -> Option<&MinuteVolumes> {
        self.volumes.as_deref()
    }

    /// Tells what a minute of a week's sessions traded at most; see [`MinuteVolumes`]. False if bars were seen.
    pub fn know_volume(&mut self, open_us: i64, minute: i64, volume: i64, flags: u8) -> bool {
        let volumes = self.volumes.as_mut().filter(|_| self.window.is_empty());
        volumes.is_some_and(|volumes| volumes.tell(open_us, minute, volume, flags))
    }
}

//! The board that Picket runs on, by its device tree.

/// A board, as its device tree describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Board {
    /// "Raspberry Pi 4 Model B Rev 1.4"; `None` where the firmware says nothing, as on a PC.
    pub model: Option<String>,
    /// What it is compatible with, the board first and the chip last: "raspberrypi,4-model-b",
    /// "brcm,bcm2711".
    pub compatible: Vec<String>,
}

impl Board {
    /// Whether it is a Raspberry Pi.
    #[must_use]
    pub fn is_raspberry_pi(&self) -> bool {
        self.compatible.iter().any(|name| name.starts_with("raspberrypi,"))
    }

    /// Its chip: "BCM2711".
    #[must_use]
    pub fn chip(&self) -> Option<String> {
        let (_, name) = self.compatible.last()?.split_once(',')?;
        Some(name.to_uppercase())
    }
}

/// What board this is.
#[must_use]
pub fn board() -> Board {
    // Strings of a device tree end in a NUL (Devicetree Specification §2.2.4).
    let strings = |name: &str| -> Vec<String> {
        let text = std::fs::read(format!("/proc/device-tree/{name}")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        text.split('\0').map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect()
    };
    Board { model: strings("model").into_iter().next(), compatible: strings("compatible") }
}

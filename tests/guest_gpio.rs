//! The lines of a real GPIO chip, as the kernel tells of them: the emulated machine that
//! `scripts/test-guest` starts has one, a PL061, whose line 3 is the power button.

#[test]
fn the_kernel_s_gpio_chips_are_read_with_who_uses_their_lines() {
    if std::env::var_os("PICKET_IN_GUEST").is_none() {
        println!("skipped: only in the guest of scripts/test-guest");
        return;
    }
    let chips = picket::testing::appliance::gpio_chips();
    let chip = chips.iter().find(|chip| chip.label.contains("pl061")).expect("a PL061");
    assert_eq!((chip.name.as_str(), chip.lines.len()), ("gpiochip0", 8));
    let told = picket::probe();
    let json = told.json();
    assert_eq!(json["board"]["model"], "linux,dummy-virt");
    assert_eq!(json["gpio"]["usable"], false);
    assert!(told.to_string().contains("this machine is not a Raspberry Pi"), "{told}");
}

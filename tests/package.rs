//! What the package for Raspberry Pi OS brings along.

mod common;

use std::collections::BTreeSet;
use std::process::Command;

const MANUAL: &str = include_str!("../packaging/picket.1");

/// What a command says of itself.
fn help(arguments: &[&str]) -> String {
    let out = Command::new(env!("CARGO_BIN_EXE_picket")).args(arguments).arg("--help").output();
    String::from_utf8(out.expect("picket runs").stdout).expect("text")
}

/// The options in a text, such as `--config`.
fn options(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let options = words.filter(|word| word.starts_with("--") && word.len() > 2);
    options.map(str::to_owned).collect()
}

/// The commands listed in a help text.
fn commands(help: &str) -> BTreeSet<String> {
    let list = help.split_once("Commands:\n").expect("commands").1;
    let lines = list.lines().take_while(|line| !line.is_empty());
    let first = lines.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    first.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

#[test]
fn the_manual_names_every_command_and_option_there_is_and_no_other() {
    let manual = MANUAL.replace("\\-", "-");
    let of_commands = manual.split_once(".SH COMMANDS\n").expect("a section").1;
    let of_commands = of_commands.split_once(".SH ").expect("its end").0;
    let told: BTreeSet<String> = of_commands
        .split(".TP\n")
        .skip(1)
        .filter_map(|entry| entry.split([' ', '\n']).nth(1).map(str::to_owned))
        .collect();
    let there_are = commands(&help(&[]));
    assert_eq!(told, there_are);

    let mut of_help = options(&help(&[]));
    for command in there_are.iter().filter(|command| *command != "help") {
        of_help.extend(options(&help(&[command])));
    }
    assert_eq!(options(&manual), of_help);
}

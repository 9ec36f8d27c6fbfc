//! The examples as programs.

use std::process::Command;

/// An example, up to date whatever was built before: a test that only looked for it would find the
/// one of last week. Built here, so that no clock of a test runs meanwhile.
pub fn example(name: &str) -> Command {
    let built = Command::new(env!("CARGO")).args(["build", "--quiet", "--example", name]).status();
    assert!(built.expect("cargo runs").success());
    let tests = std::env::current_exe().expect("this program has a path");
    let target = tests.parent().and_then(|deps| deps.parent()).expect("in target/debug/deps");
    Command::new(target.join("examples").join(name))
}
